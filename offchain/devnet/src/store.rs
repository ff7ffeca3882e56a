//! The durable store: accounts, transactions, queue and head in one redb file, one commit per block.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use cocoon_chain::Head;
use cocoon_protocol::{Hash256, Nano, StdAddr, UnixSeconds};
use redb::backends::InMemoryBackend;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};
use tycho_types::boc::{Boc, BocRepr};
use tycho_types::cell::{Cell, HashBytes};
use tycho_types::models::ShardAccount;

use crate::block::Block;
use crate::error::DevnetError;
use crate::ledger::{LedgerState, Totals};

/// Version of the file's form.
const FORMAT: u16 = 1;

/// One entry, "chain": [`Meta`] in JSON.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Address to account.
const ACCOUNTS: TableDefinition<'_, [u8; 33], &[u8]> = TableDefinition::new("accounts");
/// Address and logical time, both big endian, to number of the block and transaction.
const TRANSACTIONS: TableDefinition<'_, [u8; 41], (u32, &[u8])> = TableDefinition::new("transactions");
/// Number of a block to [`BlockRecord`] in JSON.
const BLOCKS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("blocks");
/// Logical time and hash, both big endian, to message.
const QUEUE: TableDefinition<'_, [u8; 40], &[u8]> = TableDefinition::new("queue");

const CHAIN: &str = "chain";

#[derive(Serialize, Deserialize)]
struct Meta {
    format: u16,
    config: Hash256,
    seqno: u32,
    utime: UnixSeconds,
    lt: u64,
    seed: Hash256,
    fees: Nano,
    burned: Nano,
    lost: Nano,
    transactions: u64,
    /// How far the network's time is ahead of the clock, in seconds.
    offset: u32,
}

/// A block as the store keeps it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BlockRecord {
    /// Its number.
    pub seqno: u32,
    /// Its time.
    pub utime: UnixSeconds,
    /// Logical time at which it begins.
    pub start_lt: u64,
    /// Logical time at its end.
    pub end_lt: u64,
    /// Its random seed.
    pub seed: Hash256,
    /// Its transactions in order: account and logical time.
    pub transactions: Vec<(StdAddr, u64)>,
}

/// What a store held when it was opened.
pub struct Opened {
    /// The state, or none if the store is new.
    pub state: Option<LedgerState>,
    /// How far the network's time is ahead of the clock, in seconds.
    pub offset: u32,
}

/// The store.
#[derive(Debug)]
pub struct Store {
    database: Database,
    path: PathBuf,
    config: Hash256,
}

impl Store {
    /// Opens or makes the store in a folder; `config` is the hash of the network's configuration.
    pub fn open(folder: &Path, config: Hash256) -> Result<Self, DevnetError> {
        std::fs::create_dir_all(folder).map_err(|source| DevnetError::Folder { path: folder.to_owned(), source })?;
        let path = folder.join("devnet.redb");
        let database = Database::create(&path).map_err(|e| match e {
            redb::DatabaseError::DatabaseAlreadyOpen => DevnetError::InUse { path: path.clone() },
            other => DevnetError::Store { path: path.clone(), source: Box::new(other.into()) },
        })?;
        Ok(Self { database, path, config })
    }

    /// A store that is gone when it is closed.
    pub fn ephemeral(config: Hash256) -> Result<Self, DevnetError> {
        let path = PathBuf::from("(memory)");
        let database = Database::builder()
            .create_with_backend(InMemoryBackend::new())
            .map_err(|e| DevnetError::Store { path: path.clone(), source: Box::new(e.into()) })?;
        Ok(Self { database, path, config })
    }

    /// Reads the state. Fails if the store belongs to another configuration.
    pub fn load(&self) -> Result<Opened, DevnetError> {
        let raw = || -> Result<_, redb::Error> {
            let read = self.database.begin_read()?;
            let meta = match read.open_table(META) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
                table => table?.get(CHAIN)?.map(|entry| entry.value().to_vec()),
            };
            let Some(meta) = meta else { return Ok(None) };
            let mut accounts = vec![];
            for entry in read.open_table(ACCOUNTS)?.iter()? {
                let (key, value) = entry?;
                accounts.push((key.value(), value.value().to_vec()));
            }
            let mut queue = vec![];
            for entry in read.open_table(QUEUE)?.iter()? {
                let (key, value) = entry?;
                queue.push((key.value(), value.value().to_vec()));
            }
            Ok(Some((meta, accounts, queue)))
        };
        let Some((meta, raw_accounts, raw_queue)) = raw().map_err(|e| self.io(e))? else {
            return Ok(Opened { state: None, offset: 0 });
        };
        let meta: Meta = serde_json::from_slice(&meta).map_err(|e| self.corrupt("the head", e))?;
        if meta.format != FORMAT {
            let why = format!("it has form {}, and this program writes {FORMAT}", meta.format);
            return Err(self.corrupt("the head", why));
        }
        if meta.config != self.config {
            let (found, expected) = (meta.config.to_string(), self.config.to_string());
            return Err(DevnetError::OtherConfig { path: self.path.clone(), found, expected });
        }
        let mut accounts = HashMap::new();
        for (key, value) in raw_accounts {
            let address = address(&key);
            let account: ShardAccount =
                BocRepr::decode(value).map_err(|e| self.corrupt(&format!("account {address}"), e))?;
            accounts.insert(address, account);
        }
        let mut queue = BTreeMap::new();
        for (key, value) in raw_queue {
            let message = Boc::decode(value).map_err(|e| self.corrupt("a message on its way", e))?;
            let mut lt = [0; 8];
            lt.copy_from_slice(&key[..8]);
            queue.insert((u64::from_be_bytes(lt), *message.repr_hash()), message);
        }
        let state = LedgerState {
            head: Head { seqno: meta.seqno, utime: meta.utime, lt: meta.lt },
            seed: HashBytes(meta.seed.0),
            totals: Totals { fees: meta.fees, burned: meta.burned, lost: meta.lost, transactions: meta.transactions },
            accounts,
            queue,
        };
        Ok(Opened { state: Some(state), offset: meta.offset })
    }

    /// Writes the beginning of a network.
    pub fn begin(&self, state: &LedgerState, offset: u32) -> Result<(), DevnetError> {
        let meta = self.meta(state.head, state.seed, state.totals, offset)?;
        let mut accounts = vec![];
        for (address, account) in &state.accounts {
            accounts.push((address_key(address), Some(self.encode(account)?)));
        }
        self.write(&meta, accounts, None).map_err(|e| self.io(e))
    }

    /// Makes a block durable: all of it or nothing. `totals` are those before it.
    pub fn commit(&self, block: &Block, totals: Totals, offset: u32) -> Result<(), DevnetError> {
        let totals = Totals {
            fees: totals.fees.saturating_add(block.fees),
            burned: totals.burned.saturating_add(block.burned),
            lost: totals.lost.saturating_add(block.lost),
            transactions: totals.transactions + block.transactions.len() as u64,
        };
        let meta = self.meta(block.head, block.seed, totals, offset)?;
        let mut accounts = vec![];
        for (address, account) in &block.accounts {
            let encoded = account.as_ref().map(|account| self.encode(account)).transpose()?;
            accounts.push((address_key(address), encoded));
        }
        self.write(&meta, accounts, Some(block)).map_err(|e| self.io(e))
    }

    fn write(
        &self,
        meta: &[u8],
        accounts: Vec<([u8; 33], Option<Vec<u8>>)>,
        block: Option<&Block>,
    ) -> Result<(), redb::Error> {
        let mut write = self.database.begin_write()?;
        write.set_durability(Durability::Immediate)?;
        {
            write.open_table(META)?.insert(CHAIN, meta)?;
            let mut table = write.open_table(ACCOUNTS)?;
            for (key, account) in accounts {
                match account {
                    Some(account) => table.insert(key, account.as_slice())?,
                    None => table.remove(key)?,
                };
            }
            let mut transactions = write.open_table(TRANSACTIONS)?;
            let mut queue = write.open_table(QUEUE)?;
            let mut blocks = write.open_table(BLOCKS)?;
            if let Some(block) = block {
                for tx in &block.transactions {
                    let key = transaction_key(&tx.account, tx.lt);
                    transactions.insert(key, (block.head.seqno, Boc::encode(&tx.cell).as_slice()))?;
                }
                for (lt, hash) in &block.taken {
                    queue.remove(queue_key(*lt, hash))?;
                }
                for ((lt, hash), message) in &block.queued {
                    queue.insert(queue_key(*lt, hash), Boc::encode(message).as_slice())?;
                }
                let record = BlockRecord {
                    seqno: block.head.seqno,
                    utime: block.head.utime,
                    start_lt: block.start_lt,
                    end_lt: block.head.lt,
                    seed: Hash256(block.seed.0),
                    transactions: block.transactions.iter().map(|tx| (tx.account.clone(), tx.lt)).collect(),
                };
                let record = serde_json::to_vec(&record).map_err(|e| redb::Error::Io(e.into()))?;
                blocks.insert(record_key(block), record.as_slice())?;
            }
        }
        write.commit()?;
        Ok(())
    }

    /// Transactions of an account, the oldest first, beginning after a logical time.
    pub fn transactions(&self, account: &StdAddr, after_lt: u64, limit: usize) -> Result<Vec<Cell>, DevnetError> {
        let Some(first) = after_lt.checked_add(1) else { return Ok(vec![]) };
        let range = transaction_key(account, first)..=transaction_key(account, u64::MAX);
        let read = || -> Result<Vec<Vec<u8>>, redb::Error> {
            let table = self.database.begin_read()?.open_table(TRANSACTIONS)?;
            let mut found = vec![];
            for entry in table.range(range)?.take(limit) {
                found.push(entry?.1.value().1.to_vec());
            }
            Ok(found)
        };
        let decode = |boc: Vec<u8>| {
            Boc::decode(boc).map_err(|e| self.corrupt(&format!("a transaction of {account} after lt {after_lt}"), e))
        };
        read().map_err(|e| self.io(e))?.into_iter().map(decode).collect()
    }

    /// A block.
    pub fn block(&self, seqno: u32) -> Result<Option<BlockRecord>, DevnetError> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let table = self.database.begin_read()?.open_table(BLOCKS)?;
            Ok(table.get(seqno)?.map(|entry| entry.value().to_vec()))
        };
        let decode =
            |json: Vec<u8>| serde_json::from_slice(&json).map_err(|e| self.corrupt(&format!("block {seqno}"), e));
        read().map_err(|e| self.io(e))?.map(decode).transpose()
    }

    fn meta(&self, head: Head, seed: HashBytes, totals: Totals, offset: u32) -> Result<Vec<u8>, DevnetError> {
        let meta = Meta {
            format: FORMAT,
            config: self.config,
            seqno: head.seqno,
            utime: head.utime,
            lt: head.lt,
            seed: Hash256(seed.0),
            fees: totals.fees,
            burned: totals.burned,
            lost: totals.lost,
            transactions: totals.transactions,
            offset,
        };
        serde_json::to_vec(&meta).map_err(|e| DevnetError::Block(e.to_string()))
    }

    fn encode(&self, account: &ShardAccount) -> Result<Vec<u8>, DevnetError> {
        BocRepr::encode(account).map_err(|e| DevnetError::Block(e.to_string()))
    }

    fn io(&self, error: redb::Error) -> DevnetError {
        DevnetError::Store { path: self.path.clone(), source: Box::new(error) }
    }

    fn corrupt(&self, what: &str, why: impl std::fmt::Display) -> DevnetError {
        DevnetError::Corrupt { path: self.path.clone(), what: what.to_owned(), why: why.to_string() }
    }
}

const fn record_key(block: &Block) -> u32 {
    block.head.seqno
}

/// Workchain, then account.
fn address_key(address: &StdAddr) -> [u8; 33] {
    let mut key = [0; 33];
    key[0] = address.workchain.to_be_bytes()[0];
    key[1..].copy_from_slice(&address.address.0);
    key
}

fn address(key: &[u8; 33]) -> StdAddr {
    let mut hash = [0; 32];
    hash.copy_from_slice(&key[1..]);
    StdAddr::new(i8::from_be_bytes([key[0]]), HashBytes(hash))
}

fn transaction_key(account: &StdAddr, lt: u64) -> [u8; 41] {
    let mut key = [0; 41];
    key[..33].copy_from_slice(&address_key(account));
    key[33..].copy_from_slice(&lt.to_be_bytes());
    key
}

fn queue_key(lt: u64, hash: &HashBytes) -> [u8; 40] {
    let mut key = [0; 40];
    key[..8].copy_from_slice(&lt.to_be_bytes());
    key[8..].copy_from_slice(&hash.0);
    key
}
