//! The explorer's index: every contract of the system, what became of it and where it stands, in SQLite.
//!
//! Everything comes from proven blocks, one after the other, and each block is written in one transaction together with its number: an
//! index that is killed at any instant goes on where it was, and one that is made anew from the beginning has the same rows
//! ([`Index::digest`]).

mod accounts;
mod contracts;
mod events;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cocoon_chain::{AccountSnapshot, AccountStatus, Cell, ChainError, Head, NetworkBlock, NetworkConfig, StdAddr};
use cocoon_protocol::Hash256;
use cocoon_wrappers::generated::CONTRACTS;
use parking_lot::Mutex;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};
use tycho_types::boc::Boc;
use tycho_types::cell::{HashBytes, Lazy};
use tycho_types::models::ShardAccount;

use accounts::{Cells, OpenBlock};
pub use contracts::Kind;
pub use events::Event;

const SCHEMA: &str = include_str!("schema.sql");
/// Written into every index; one of another format is made anew.
const FORMAT: u32 = 1;

/// The index cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// SQLite failed.
    #[error("the index {}: {source}; nothing is lost, for it can be made anew from the chain: delete the file", .path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The same, before the path is known.
    #[error(transparent)]
    Db(#[from] rusqlite::Error),
    /// The chain, or what it returned.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The file is the index of something else.
    #[error("the index {} is of {found}, and this is {expected}: use another file", .path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What it is of.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// Blocks must come without gaps.
    #[error("block {got} does not follow block {last}")]
    Gap {
        /// What came.
        got: u32,
        /// The last one that is in the index.
        last: u32,
    },
}

/// The index. One writer; readers share the connection, which SQLite serves in microseconds.
pub struct Index {
    path: PathBuf,
    config: Arc<NetworkConfig>,
    registry: StdAddr,
    inner: Mutex<Inner>,
}

struct Inner {
    db: Connection,
    /// The newest states of the system's contracts.
    accounts: HashMap<StdAddr, (Kind, Cell)>,
    /// Code that a new account may share with others.
    code: Cells,
    seqno: u32,
}

impl Index {
    /// Opens or creates the index of a registry's network.
    pub fn open(path: &Path, config: Arc<NetworkConfig>, registry: StdAddr) -> Result<Self, IndexError> {
        let sqlite = |source| IndexError::Sqlite { path: path.to_owned(), source };
        let mut db = Connection::open(path).map_err(sqlite)?;
        Self::prepare(&mut db, path, &config, &registry)?;
        let (mut accounts, mut seqno) = (HashMap::new(), 0);
        {
            let mut all = db.prepare("SELECT address, kind, state FROM contracts").map_err(sqlite)?;
            let rows = all.query_map([], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, Vec<u8>>(2)?))
            });
            for row in rows.map_err(sqlite)? {
                let (address, kind, boc) = row.map_err(sqlite)?;
                let damaged =
                    |why: String| ChainError::malformed("index", format!("{address}: {why}; delete the file"));
                let kind = Kind::of_name(&kind).ok_or_else(|| damaged(format!("unknown kind {kind}")))?;
                let cell = Boc::decode(&boc).map_err(|e| damaged(e.to_string()))?;
                accounts.insert(address.parse().map_err(|_| damaged("no address".to_owned()))?, (kind, cell));
            }
            if let Some(at) =
                db.query_row("SELECT seqno FROM cursor", [], |row| row.get(0)).optional().map_err(sqlite)?
            {
                seqno = at;
            }
        }
        let mut code = Cells::default();
        CONTRACTS.iter().for_each(|contract| code.add(&(contract.code)()));
        let inner = Mutex::new(Inner { db, accounts, code, seqno });
        Ok(Self { path: path.to_owned(), config, registry, inner })
    }

    fn prepare(db: &mut Connection, path: &Path, config: &NetworkConfig, registry: &StdAddr) -> Result<(), IndexError> {
        let sqlite = |source| IndexError::Sqlite { path: path.to_owned(), source };
        // Readers of the file do not hold up the writer; a commit that a power cut takes back is made again.
        db.pragma_update(None, "journal_mode", "WAL").map_err(sqlite)?;
        db.pragma_update(None, "synchronous", "NORMAL").map_err(sqlite)?;
        db.set_prepared_statement_cache_capacity(64);
        db.execute_batch(SCHEMA).map_err(sqlite)?;
        let found: Option<(u32, i32, String)> = db
            .query_row("SELECT format, network, registry FROM cursor", [], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
            .optional()
            .map_err(sqlite)?;
        let name =
            |format, network: i32, registry: &str| format!("format {format}, network {network}, registry {registry}");
        if let Some((format, network, of)) = found
            && (format, network, of.as_str()) != (FORMAT, config.global_id().0, registry.to_string().as_str())
        {
            return Err(IndexError::Other {
                path: path.to_owned(),
                found: name(format, network, &of),
                expected: name(FORMAT, config.global_id().0, &registry.to_string()),
            });
        }
        Ok(())
    }

    /// Number of the last block that is in the index whole; 0 before the first.
    pub fn seqno(&self) -> u32 {
        self.inner.lock().seqno
    }

    /// Runs a query. Keep it short: the writer waits for it.
    pub fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, IndexError> {
        query(&self.inner.lock().db).map_err(|source| IndexError::Sqlite { path: self.path.clone(), source })
    }

    /// Takes the next blocks in, all of them or none; returns what happened in them. The blocks must follow each other and the
    /// index's last one without a gap.
    pub fn apply(&self, blocks: &[NetworkBlock]) -> Result<Vec<Event>, IndexError> {
        let mut inner = self.inner.lock();
        let Inner { db, accounts, code, seqno } = &mut *inner;
        let mut changed = HashMap::new();
        let mut happened = vec![];
        let mut at = *seqno;
        let transaction = db.transaction()?;
        for block in blocks {
            if block.seqno != at + 1 {
                return Err(IndexError::Gap { got: block.seqno, last: at });
            }
            for shard in &block.shards {
                let mut step = Step { index: self, db: &transaction, block, code, accounts, changed: &mut changed };
                happened.extend(step.shard(shard)?);
            }
            at = block.seqno;
        }
        if let Some(last) = blocks.last() {
            let governor = match changed.get(&self.registry).or_else(|| accounts.get(&self.registry)) {
                Some((_, cell)) => {
                    let account = self.snapshot(&self.registry, cell, last)?;
                    Some(contracts::governor_of(&account, &self.config)?.to_string())
                }
                None => None,
            };
            transaction.execute(
                "REPLACE INTO cursor VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    FORMAT,
                    self.config.global_id().0,
                    self.registry.to_string(),
                    governor,
                    last.seqno,
                    last.utime.0
                ],
            )?;
        }
        transaction.commit()?;
        accounts.extend(changed);
        *seqno = at;
        Ok(happened)
    }

    fn snapshot(&self, address: &StdAddr, account: &Cell, block: &NetworkBlock) -> Result<AccountSnapshot, IndexError> {
        let account = Lazy::from_raw(account.clone()).map_err(|e| ChainError::malformed("account", e))?;
        let entry = ShardAccount { account, last_trans_hash: HashBytes::ZERO, last_trans_lt: 0 };
        let at = Head { seqno: block.seqno, utime: block.utime, lt: 0 };
        Ok(AccountSnapshot::from_state(address.clone(), &entry, at)?)
    }

    /// Events after an id, in order.
    pub fn events(&self, after: i64, limit: u32) -> Result<Vec<Event>, IndexError> {
        self.read(|db| {
            let sql = "SELECT id, seqno, utime, account, lt, kind, data FROM events WHERE id > ?1 ORDER BY id LIMIT ?2";
            let mut query = db.prepare_cached(sql)?;
            let rows = query.query_map(params![after, limit], |row| {
                let data: String = row.get(6)?;
                Ok(Event {
                    id: row.get(0)?,
                    seqno: row.get(1)?,
                    utime: row.get(2)?,
                    account: row.get(3)?,
                    lt: row.get::<_, i64>(4)?.unsigned_abs(),
                    kind: row.get(5)?,
                    data: serde_json::from_str(&data).unwrap_or_default(),
                })
            })?;
            rows.collect()
        })
    }

    /// SHA-256 over all rows of all tables in the order of their keys: two indices of the same blocks have the same.
    pub fn digest(&self) -> Result<Hash256, IndexError> {
        const TABLES: [&str; 12] = [
            "cursor",
            "contracts",
            "transactions",
            "events",
            "channels",
            "claims",
            "stakes",
            "lots",
            "nodes",
            "proposals",
            "entries",
            "proxies",
        ];
        self.read(|db| {
            let mut hash = Sha256::new();
            for table in TABLES.iter().chain(["reputation"].iter()) {
                hash.update(table);
                let mut rows = db.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2"))?;
                let columns = rows.column_count();
                let mut rows = rows.query([])?;
                while let Some(row) = rows.next()? {
                    for column in 0..columns {
                        let bytes = match row.get_ref(column)? {
                            ValueRef::Null => vec![0],
                            ValueRef::Integer(n) => n.to_le_bytes().to_vec(),
                            ValueRef::Real(x) => x.to_le_bytes().to_vec(),
                            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
                        };
                        hash.update((bytes.len() as u64).to_le_bytes());
                        hash.update(&bytes);
                    }
                }
            }
            Ok(Hash256(hash.finalize().into()))
        })
    }
}

/// One shard's block on its way into the index.
struct Step<'a> {
    index: &'a Index,
    db: &'a rusqlite::Transaction<'a>,
    block: &'a NetworkBlock,
    code: &'a Cells,
    accounts: &'a HashMap<StdAddr, (Kind, Cell)>,
    changed: &'a mut HashMap<StdAddr, (Kind, Cell)>,
}

impl Step<'_> {
    fn shard(&mut self, root: &Cell) -> Result<Vec<Event>, IndexError> {
        let open = OpenBlock::open(root)?;
        let mut happened = vec![];
        for (address, cells) in &open.transactions {
            let known = self.changed.get(address).or_else(|| self.accounts.get(address)).cloned();
            let mut records = vec![];
            // Of the others, only one that came to life here may be one of ours.
            let mut came_to_life = false;
            if known.is_none() {
                for cell in cells {
                    let record = open.read(cell)?;
                    came_to_life |=
                        record.status_before != AccountStatus::Active && record.status_after == AccountStatus::Active;
                    records.push(record);
                }
                if !came_to_life {
                    continue;
                }
            }
            let mut former = Cells::default();
            if let Some((_, cell)) = &known {
                former.add(cell);
            }
            let Some(entry) = (match open.account(address, &former, self.code) {
                Ok(entry) => entry,
                // Somebody else's contract may share cells with anything.
                Err(_) if known.is_none() => continue,
                Err(error) => return Err(error.into()),
            }) else {
                continue;
            };
            let at = Head { seqno: self.block.seqno, utime: self.block.utime, lt: entry.last_trans_lt };
            let account = AccountSnapshot::from_state(address.clone(), &entry, at)?;
            let Some(kind) = known.as_ref().map(|(kind, _)| *kind).or_else(|| Kind::of(&account)) else { continue };
            if kind == Kind::Registry && *address != self.index.registry {
                continue;
            }
            if records.is_empty() {
                for cell in cells {
                    records.push(open.read(cell)?);
                }
            }
            for record in &records {
                happened.extend(events::write(self.db, kind, self.block.seqno, record)?);
            }
            let cell = entry.account.inner().clone();
            self.keep(kind, &account, &cell, known.is_none())?;
            self.changed.insert(address.clone(), (kind, cell));
        }
        Ok(happened)
    }

    fn keep(&self, kind: Kind, account: &AccountSnapshot, cell: &Cell, new: bool) -> Result<(), IndexError> {
        let balance = i64::try_from(account.balance.get()).unwrap_or(i64::MAX);
        let state = Boc::encode(cell);
        let address = account.address.to_string();
        // A frozen contract has no state to read; its rows stay as they were.
        let readable = account.status == AccountStatus::Active;
        if new {
            let parent = contracts::parent(kind, account, &self.index.config)?.map(|parent| parent.to_string());
            self.db.prepare_cached("INSERT INTO contracts VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
                address,
                kind.name(),
                parent,
                self.block.seqno,
                balance,
                state
            ])?;
        } else {
            self.db
                .prepare_cached("UPDATE contracts SET balance = ?2, state = ?3 WHERE address = ?1")?
                .execute(params![address, balance, state])?;
        }
        if readable {
            contracts::write(self.db, kind, account, &self.index.config)?;
        }
        Ok(())
    }
}
