//! The durable store: accounts, transactions, queue, blocks and head in one redb file, one commit per block.
//!
//! States of the chains are not written with every block: they follow from a state that was ([`CHECKPOINT`]) and the updates
//! in the blocks after it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use cocoon_chain::Head;
use cocoon_protocol::{GlobalId, Hash256, Nano, StdAddr, UnixSeconds};
use redb::backends::InMemoryBackend;
use redb::{Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};
use tycho_types::boc::{Boc, BocRepr};
use tycho_types::cell::{Cell, HashBytes};
use tycho_types::models::{Block as BlockCell, BlockId, MsgInfo, ShardAccount};

use crate::block::{Block, QueueKey, Workchain};
use crate::blocks::{Pair, Sealed};
use crate::error::DevnetError;
use crate::ledger::{self, LedgerState, Totals};
use crate::libraries::Libraries;

/// Version of the file's form.
const FORMAT: u16 = 2;

/// Every so many blocks both states are written whole; the two newest of them are kept. So the states of at least this many
/// blocks can be had after a restart.
pub const CHECKPOINT: u32 = 256;

/// One entry, "chain": [`Meta`] in JSON.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Address to account.
const ACCOUNTS: TableDefinition<'_, [u8; 33], &[u8]> = TableDefinition::new("accounts");
/// Address and logical time, both big endian, to number of the block and transaction.
const TRANSACTIONS: TableDefinition<'_, [u8; 41], (u32, &[u8])> = TableDefinition::new("transactions");
/// Number of a block to [`BlockRecord`] in JSON.
const BLOCKS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("blocks");
/// Number of a block to the basechain's block; number 0 is the zerostate.
const BASE: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("basechain");
/// Number of a block to the masterchain's block; number 0 is the zerostate.
const MASTER: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("masterchain");
/// Number of a block to the states after it: a bag of two roots, the basechain's first.
const STATES: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("states");
/// Logical time and hash, both big endian, to message.
const QUEUE: TableDefinition<'_, [u8; 40], &[u8]> = TableDefinition::new("queue");

/// Name of the file in the network's folder.
const FILE: &str = "devnet.redb";

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
    /// The basechain's block.
    pub base: BlockName,
    /// The masterchain's block.
    pub master: BlockName,
    /// True if the masterchain's block is a key block.
    pub is_key: bool,
}

/// What names a block of one of the chains, besides its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BlockName {
    /// Hash of its root.
    pub root_hash: Hash256,
    /// Hash of its bytes.
    pub file_hash: Hash256,
    /// Logical time at which it begins.
    pub start_lt: u64,
    /// Logical time at which it ends.
    pub end_lt: u64,
}

impl BlockRecord {
    /// Name of the block of a chain.
    pub const fn name(&self, chain: Workchain) -> &BlockName {
        match chain {
            Workchain::Base => &self.base,
            Workchain::Master => &self.master,
        }
    }

    /// The whole name of the block of a chain.
    pub const fn id(&self, chain: Workchain) -> BlockId {
        let name = self.name(chain);
        let (root_hash, file_hash) = (HashBytes(name.root_hash.0), HashBytes(name.file_hash.0));
        BlockId { shard: chain.shard(), seqno: self.seqno, root_hash, file_hash }
    }
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
        let path = folder.join(FILE);
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
            let place = match message.parse::<MsgInfo>() {
                Ok(MsgInfo::Int(info)) => ledger::queue_key(&message, &info),
                Ok(_) => Err(tycho_types::error::Error::InvalidTag),
                Err(e) => Err(e),
            };
            let place = place.map_err(|e| self.corrupt("a message on its way", e))?;
            if queue_key(&place) != key {
                return Err(self.corrupt("a message on its way", "it has another place than its own"));
            }
            queue.insert(place, message);
        }
        let state = LedgerState {
            head: Head { seqno: meta.seqno, utime: meta.utime, lt: meta.lt },
            seed: HashBytes(meta.seed.0),
            totals: Totals { fees: meta.fees, burned: meta.burned, lost: meta.lost, transactions: meta.transactions },
            accounts,
            queue,
            // They are in the masterchain's state.
            libraries: Libraries::new(),
        };
        Ok(Opened { state: Some(state), offset: meta.offset })
    }

    /// Writes the beginning of a network.
    pub fn begin(&self, state: &LedgerState, zerostates: &Pair, offset: u32) -> Result<(), DevnetError> {
        let record = BlockRecord {
            seqno: 0,
            utime: state.head.utime,
            start_lt: 0,
            end_lt: 0,
            seed: Hash256(state.seed.0),
            transactions: vec![],
            base: name(&zerostates.base, 0),
            master: name(&zerostates.master, 0),
            is_key: true,
        };
        let mut accounts = vec![];
        for (address, account) in &state.accounts {
            accounts.push((address_key(address), Some(self.encode(account)?)));
        }
        let meta = self.meta(state.head, state.seed, state.totals, offset)?;
        let write = Write { meta, accounts, record, pair: zerostates, block: None };
        self.write(&write).map_err(|e| self.io(e))
    }

    /// Makes a block durable: all of it or nothing. `totals` are those before it.
    pub fn commit(&self, block: &Block, pair: &Pair, totals: Totals, offset: u32) -> Result<(), DevnetError> {
        let count = block.transactions().count() as u64;
        let totals = Totals {
            fees: totals.fees.saturating_add(block.fees),
            burned: totals.burned.saturating_add(block.burned),
            lost: totals.lost.saturating_add(block.lost),
            transactions: totals.transactions + count,
        };
        let [base, master] = block.parts.as_slice() else {
            return Err(DevnetError::Block("it has not two parts".to_owned()));
        };
        let record = BlockRecord {
            seqno: block.head.seqno,
            utime: block.head.utime,
            start_lt: base.start_lt,
            end_lt: master.end_lt,
            seed: Hash256(base.seed.0),
            transactions: block.transactions().map(|tx| (tx.account.clone(), tx.lt)).collect(),
            base: name(&pair.base, base.start_lt),
            master: name(&pair.master, master.start_lt),
            is_key: pair.master.is_key,
        };
        let mut accounts = vec![];
        for (address, account) in &block.accounts {
            let encoded = account.as_ref().map(|account| self.encode(account)).transpose()?;
            accounts.push((address_key(address), encoded));
        }
        let meta = self.meta(block.head, base.seed, totals, offset)?;
        self.write(&Write { meta, accounts, record, pair, block: Some(block) }).map_err(|e| self.io(e))
    }

    fn write(&self, content: &Write<'_>) -> Result<(), redb::Error> {
        let mut write = self.database.begin_write()?;
        write.set_durability(Durability::Immediate)?;
        let seqno = content.record.seqno;
        {
            write.open_table(META)?.insert(CHAIN, content.meta.as_slice())?;
            let mut table = write.open_table(ACCOUNTS)?;
            for (key, account) in &content.accounts {
                match account {
                    Some(account) => table.insert(key, account.as_slice())?,
                    None => table.remove(key)?,
                };
            }
            let mut transactions = write.open_table(TRANSACTIONS)?;
            let mut queue = write.open_table(QUEUE)?;
            if let Some(block) = content.block {
                for tx in block.transactions() {
                    let key = transaction_key(&tx.account, tx.lt);
                    transactions.insert(key, (seqno, Boc::encode(&tx.cell).as_slice()))?;
                }
                for key in &block.taken {
                    queue.remove(queue_key(key))?;
                }
                for (key, message) in &block.queued {
                    queue.insert(queue_key(key), Boc::encode(message).as_slice())?;
                }
            }
            let record = serde_json::to_vec(&content.record).map_err(|e| redb::Error::Io(e.into()))?;
            write.open_table(BLOCKS)?.insert(seqno, record.as_slice())?;
            write.open_table(BASE)?.insert(seqno, content.pair.base.boc.as_slice())?;
            write.open_table(MASTER)?.insert(seqno, content.pair.master.boc.as_slice())?;
            if seqno.is_multiple_of(CHECKPOINT) {
                let mut states = write.open_table(STATES)?;
                let both = Boc::encode_pair((&content.pair.base.state, &content.pair.master.state));
                states.insert(seqno, both.as_slice())?;
                states.retain(|written, _| written.saturating_add(CHECKPOINT) >= seqno)?;
            }
        }
        write.commit()?;
        Ok(())
    }

    /// The blocks at the end of the chain for which states can be had, the oldest first.
    pub fn recent(&self, head: u32) -> Result<Vec<Pair>, DevnetError> {
        let oldest = || -> Result<Option<(u32, Vec<u8>)>, redb::Error> {
            let table = self.database.begin_read()?.open_table(STATES)?;
            Ok(table.first()?.map(|(seqno, both)| (seqno.value(), both.value().to_vec())))
        };
        let Some((first, both)) = oldest().map_err(|e| self.io(e))? else {
            return Err(self.corrupt("the states", "there are none"));
        };
        let (mut base, mut master) =
            Boc::decode_pair(both).map_err(|e| self.corrupt(&format!("the states after block {first}"), e))?;
        let mut pairs = vec![];
        for seqno in first..=head {
            let damaged = |e: String| self.corrupt(&format!("block {seqno}"), e);
            let missing = || damaged("it is not there".to_owned());
            let record = self.record(seqno)?.ok_or_else(missing)?;
            let next = |chain: Workchain, state: &mut Cell| -> Result<Sealed, DevnetError> {
                let (root, boc) = self.cells(chain, seqno)?.ok_or_else(missing)?;
                if seqno > first {
                    let update = root.parse::<BlockCell>().and_then(|block| block.load_state_update());
                    *state = update.and_then(|update| update.apply(state)).map_err(|e| damaged(e.to_string()))?;
                }
                let (end_lt, is_key) = (record.name(chain).end_lt, record.is_key && chain == Workchain::Master);
                Ok(Sealed { id: record.id(chain), root, boc, state: state.clone(), end_lt, is_key })
            };
            let base = next(Workchain::Base, &mut base)?;
            let master = next(Workchain::Master, &mut master)?;
            pairs.push(Pair { base, master });
        }
        Ok(pairs)
    }

    /// A block of a chain as it was made, or the chain's zerostate: root and bytes.
    pub fn cells(&self, chain: Workchain, seqno: u32) -> Result<Option<(Cell, Vec<u8>)>, DevnetError> {
        let table = match chain {
            Workchain::Base => BASE,
            Workchain::Master => MASTER,
        };
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let table = self.database.begin_read()?.open_table(table)?;
            Ok(table.get(seqno)?.map(|entry| entry.value().to_vec()))
        };
        let Some(boc) = read().map_err(|e| self.io(e))? else { return Ok(None) };
        let root = Boc::decode(&boc).map_err(|e| self.corrupt(&format!("block {seqno}"), e))?;
        Ok(Some((root, boc)))
    }

    /// A transaction and the number of its block.
    pub fn transaction(&self, account: &StdAddr, lt: u64) -> Result<Option<(u32, Cell)>, DevnetError> {
        let read = || -> Result<Option<(u32, Vec<u8>)>, redb::Error> {
            let table = self.database.begin_read()?.open_table(TRANSACTIONS)?;
            Ok(table.get(transaction_key(account, lt))?.map(|entry| {
                let (seqno, boc) = entry.value();
                (seqno, boc.to_vec())
            }))
        };
        let Some((seqno, boc)) = read().map_err(|e| self.io(e))? else { return Ok(None) };
        let cell = Boc::decode(boc).map_err(|e| self.corrupt(&format!("transaction {lt} of {account}"), e))?;
        Ok(Some((seqno, cell)))
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

    /// What is recorded of a block; number 0 is the beginning.
    pub fn record(&self, seqno: u32) -> Result<Option<BlockRecord>, DevnetError> {
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

    /// Copies everything into a store in another folder.
    pub fn copy_to(&self, folder: &Path) -> Result<(), DevnetError> {
        let path = folder.join(FILE);
        if path.exists() {
            return Err(DevnetError::Occupied { path });
        }
        let copy = Self::open(folder, self.config)?;
        let run = || -> Result<(), redb::Error> {
            let read = self.database.begin_read()?;
            let mut write = copy.database.begin_write()?;
            write.set_durability(Durability::Immediate)?;
            copy_table(&read, &write, META)?;
            copy_table(&read, &write, ACCOUNTS)?;
            copy_table(&read, &write, TRANSACTIONS)?;
            copy_table(&read, &write, QUEUE)?;
            for table in [BLOCKS, BASE, MASTER, STATES] {
                copy_table(&read, &write, table)?;
            }
            Ok(write.commit()?)
        };
        run().map_err(|e| copy.io(e))
    }

    /// Says that the store is of another network.
    pub(crate) fn other_network(&self, found: GlobalId, expected: GlobalId) -> DevnetError {
        DevnetError::OtherNetwork { path: self.path.clone(), found, expected }
    }

    /// Says that something in the store cannot be.
    pub(crate) fn damaged(&self, what: &str, why: impl std::fmt::Display) -> DevnetError {
        self.corrupt(what, why)
    }

    fn corrupt(&self, what: &str, why: impl std::fmt::Display) -> DevnetError {
        DevnetError::Corrupt { path: self.path.clone(), what: what.to_owned(), why: why.to_string() }
    }
}

fn copy_table<K: redb::Key + 'static, V: redb::Value + 'static>(
    from: &ReadTransaction,
    to: &WriteTransaction,
    table: TableDefinition<'_, K, V>,
) -> Result<(), redb::Error> {
    let mut copy = to.open_table(table)?;
    for entry in from.open_table(table)?.iter()? {
        let (key, value) = entry?;
        copy.insert(key.value(), value.value())?;
    }
    Ok(())
}

/// What one commit writes.
struct Write<'a> {
    meta: Vec<u8>,
    accounts: Vec<([u8; 33], Option<Vec<u8>>)>,
    record: BlockRecord,
    pair: &'a Pair,
    block: Option<&'a Block>,
}

const fn name(sealed: &Sealed, start_lt: u64) -> BlockName {
    let (root_hash, file_hash) = (Hash256(sealed.id.root_hash.0), Hash256(sealed.id.file_hash.0));
    BlockName { root_hash, file_hash, start_lt, end_lt: sealed.end_lt }
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

fn queue_key(place: &QueueKey) -> [u8; 40] {
    let mut key = [0; 40];
    key[..8].copy_from_slice(&place.lt.to_be_bytes());
    key[8..].copy_from_slice(&place.hash.0);
    key
}
