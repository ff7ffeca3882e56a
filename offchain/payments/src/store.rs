//! The durable store of both sides' records: one redb file per service.

use std::path::{Path, PathBuf};

use cocoon_protocol::StdAddr;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::record::{PayeeRecord, PayerRecord, RECORD_VERSION};

const PAYER: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("payer");
const PAYEE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("payee");

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
        let database = Database::create(&path).map_err(|e| match e {
            redb::DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path: path.clone() },
            other => StoreError::Io { path: path.clone(), source: Box::new(other.into()) },
        })?;
        Self::with(database, path)
    }

    /// Opens a database on any storage, for fault injection.
    pub fn on_backend(backend: impl StorageBackend) -> Result<Self, StoreError> {
        let path = PathBuf::from("(backend)");
        let database = Database::builder()
            .create_with_backend(backend)
            .map_err(|e| StoreError::Io { path: path.clone(), source: Box::new(e.into()) })?;
        Self::with(database, path)
    }

    fn with(database: Database, path: PathBuf) -> Result<Self, StoreError> {
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
                    table.insert(channel.as_str(), bytes.as_slice())?;
                }
            }
            transaction.commit()?;
            Ok(())
        };
        write().map_err(|e| self.io(e))
    }

    /// All records of channels in which this service pays.
    pub fn payers(&self) -> Result<Vec<PayerRecord>, StoreError> {
        self.read(PAYER, "payer", |r: &PayerRecord| r.version)
    }

    /// All records of channels in which this service is paid.
    pub fn payees(&self) -> Result<Vec<PayeeRecord>, StoreError> {
        self.read(PAYEE, "payee", |r: &PayeeRecord| r.version)
    }

    fn read<T: DeserializeOwned>(
        &self,
        definition: TableDefinition<'_, &str, &[u8]>,
        side: &'static str,
        version: impl Fn(&T) -> u16,
    ) -> Result<Vec<T>, StoreError> {
        let raw = || -> Result<Vec<(String, Vec<u8>)>, redb::Error> {
            let table = self.database.begin_read()?.open_table(definition)?;
            let mut all = vec![];
            for entry in table.iter()? {
                let (key, value) = entry?;
                all.push((key.value().to_owned(), value.value().to_owned()));
            }
            Ok(all)
        };
        let decode = |(channel, bytes): (String, Vec<u8>)| {
            let corrupt =
                |why: String| StoreError::Corrupt { path: self.path.clone(), side, channel: channel.clone(), why };
            let record: T = ciborium::from_reader(bytes.as_slice()).map_err(|e| corrupt(e.to_string()))?;
            match version(&record) {
                v if v <= RECORD_VERSION => Ok(record),
                v => Err(corrupt(format!("it has version {v}, and this program knows up to {RECORD_VERSION}"))),
            }
        };
        raw().map_err(|e| self.io(e))?.into_iter().map(decode).collect()
    }

    fn io(&self, error: redb::Error) -> StoreError {
        StoreError::Io { path: self.path.clone(), source: Box::new(error) }
    }
}

fn encode(channel: &StdAddr, record: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    ciborium::into_writer(record, &mut bytes)
        .map_err(|e| StoreError::Encode { channel: channel.to_string(), why: e.to_string() })?;
    Ok(bytes)
}
