//! The durable store of both sides' records: one redb file per service.

use std::path::{Path, PathBuf};

use cocoon_protocol::StdAddr;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::record::{PayeeRecord, PayerRecord, RECORD_VERSION};

// Keys are addresses as text, but bytes to the database: it panics on a text that is damaged.
const PAYER: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("payer");
const PAYEE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("payee");

/// Records of all channels of one service. Opened by one process at a time (attack 84).
#[derive(Debug)]
pub struct Store {
    database: Database,
    path: PathBuf,
}

/// The store cannot do what was asked. Whatever was durable before still is.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another service of this one, has it open.
    #[error("the voucher store {} is in use by another service; stop that one, or give this one its own --data", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Reading or writing failed.
    #[error("the voucher store {}: {source}; nothing that was acknowledged is lost; check the disk and start again", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the database says.
        source: Box<redb::Error>,
    },
    /// The file's structure is damaged.
    #[error("the voucher store {} is damaged ({why}); the latest records may be lost, so it is not used; restore it from a copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the database stumbled over.
        why: String,
    },
    /// A record cannot be read.
    #[error(
        "the voucher store {}: the {side} record of channel {channel} cannot be read ({why}); restore the file from a copy, \
         or take it to a newer version of this program", path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// `payer` or `payee`.
        side: &'static str,
        /// The channel.
        channel: String,
        /// What is wrong.
        why: String,
    },
    /// A record cannot be written.
    #[error("a record of channel {channel} cannot be encoded: {why}")]
    Encode {
        /// The channel.
        channel: String,
        /// What is wrong.
        why: String,
    },
}

impl Store {
    /// Opens or creates the file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        Self::with(path, |path| {
            let new = !path.exists();
            let database = Database::create(path)?;
            // A new file must not vanish with its folder's entry.
            if new && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                std::fs::File::open(folder).and_then(|f| f.sync_all()).map_err(redb::StorageError::from)?;
            }
            Ok(database)
        })
    }

    /// Opens a database on any storage, for fault injection.
    pub fn on_backend(backend: impl StorageBackend) -> Result<Self, StoreError> {
        Self::with(PathBuf::from("(backend)"), |_| Database::builder().create_with_backend(backend))
    }

    fn with(
        path: PathBuf,
        open: impl FnOnce(&Path) -> Result<Database, redb::DatabaseError>,
    ) -> Result<Self, StoreError> {
        // The check reads the whole file. Without it, damage in the tables' roots would look like tables without records.
        let open_and_check = || {
            let mut database = open(&path)?;
            let sound = database.check_integrity()?;
            Ok((database, sound))
        };
        let (database, sound) = unharmed(&path, open_and_check)?.map_err(|e| match e {
            redb::DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path: path.clone() },
            other => StoreError::Io { path: path.clone(), source: Box::new(other.into()) },
        })?;
        if !sound {
            return Err(StoreError::Damaged { path, why: "some checksums are wrong".to_owned() });
        }
        let store = Self { database, path };
        store.commit(&[], &[])?; // makes the tables
        Ok(store)
    }

    /// Writes records of any number of channels in one durable step: all of them or none.
    pub fn commit(&self, payers: &[PayerRecord], payees: &[PayeeRecord]) -> Result<(), StoreError> {
        let mut encoded = (Vec::new(), Vec::new());
        for record in payers {
            encoded.0.push((record.channel.to_string(), encode(&record.channel, record)?));
        }
        for record in payees {
            encoded.1.push((record.channel.to_string(), encode(&record.channel, record)?));
        }
        let write = || -> Result<(), redb::Error> {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            for (definition, records) in [(PAYER, &encoded.0), (PAYEE, &encoded.1)] {
                let mut table = transaction.open_table(definition)?;
                for (channel, bytes) in records {
                    table.insert(channel.as_bytes(), bytes.as_slice())?;
                }
            }
            transaction.commit()?;
            Ok(())
        };
        unharmed(&self.path, write)?.map_err(|e| self.io(e))
    }

    /// All records of channels in which this service pays.
    pub fn payers(&self) -> Result<Vec<PayerRecord>, StoreError> {
        self.read(PAYER, "payer")
    }

    /// All records of channels in which this service is paid.
    pub fn payees(&self) -> Result<Vec<PayeeRecord>, StoreError> {
        self.read(PAYEE, "payee")
    }

    fn read<T: DeserializeOwned>(
        &self,
        definition: TableDefinition<'_, &[u8], &[u8]>,
        side: &'static str,
    ) -> Result<Vec<T>, StoreError> {
        let raw = || -> Result<Vec<(String, Vec<u8>)>, redb::Error> {
            let table = self.database.begin_read()?.open_table(definition)?;
            let mut all = vec![];
            for entry in table.iter()? {
                let (key, value) = entry?;
                all.push((String::from_utf8_lossy(key.value()).into_owned(), value.value().to_owned()));
            }
            Ok(all)
        };
        let decode = |(channel, bytes): (String, Vec<u8>)| {
            let corrupt =
                |why: String| StoreError::Corrupt { path: self.path.clone(), side, channel: channel.clone(), why };
            let read = |e: ciborium::de::Error<_>| corrupt(e.to_string());
            // The version first: a record of the future may have another shape.
            let Header { version } = ciborium::from_reader(bytes.as_slice()).map_err(read)?;
            if version > RECORD_VERSION {
                return Err(corrupt(format!(
                    "it has version {version}, and this program knows up to {RECORD_VERSION}"
                )));
            }
            ciborium::from_reader(bytes.as_slice()).map_err(read)
        };
        unharmed(&self.path, raw)?.map_err(|e| self.io(e))?.into_iter().map(decode).collect()
    }

    fn io(&self, error: redb::Error) -> StoreError {
        StoreError::Io { path: self.path.clone(), source: Box::new(error) }
    }
}

/// Runs a step of the database, which panics on some damages of its file. Whoever gets the error has no use for the store
/// any more, so it does not matter in which state a panic leaves it.
fn unharmed<T>(path: &Path, step: impl FnOnce() -> T) -> Result<T, StoreError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(step)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        StoreError::Damaged { path: path.to_owned(), why: text.unwrap_or("the database gave up").to_owned() }
    })
}

/// The part of a record that every version has.
#[derive(serde::Deserialize)]
struct Header {
    version: u16,
}

fn encode(channel: &StdAddr, record: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    ciborium::into_writer(record, &mut bytes)
        .map_err(|e| StoreError::Encode { channel: channel.to_string(), why: e.to_string() })?;
    Ok(bytes)
}
