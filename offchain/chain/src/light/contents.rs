//! What a proven block proves in turn: accounts, their history, and the configuration.

use cocoon_lite::BlockIdExt;
use cocoon_lite::answers::{AccountState, ConfigInfo, LibraryResultWithProof, TransactionList};
use cocoon_protocol::{GlobalId, Hash256, StdAddr, UnixSeconds};
use tycho_types::cell::{Cell, HashBytes, Lazy};
use tycho_types::models::{OptionalAccount, ShardAccount, ShardIdent};

use super::error::{ProofError, same, same_block};
use super::header::header;
use super::links::ProvenBlock;
use super::proof;
use super::state::State;
use crate::account::AccountSnapshot;
use crate::chain::{ChainError, Head};
use crate::config::NetworkConfig;
use crate::transaction::TransactionRecord;

const ACCOUNT: &str = "an account's proof";
const SHARD: &str = "the proof of a shard's block";
const CONFIG: &str = "the proof of the configuration";
const LIBRARIES: &str = "the proof of public libraries";
const HISTORY: &str = "an account's history";

impl ProvenBlock {
    /// The block as services see it.
    pub const fn head(&self) -> Head {
        Head { seqno: self.id.seqno, utime: UnixSeconds(self.utime), lt: self.lt }
    }
}

/// Checks an answer about an account after this block.
pub fn check_account(
    at: &ProvenBlock,
    address: &StdAddr,
    answer: &AccountState,
) -> Result<AccountSnapshot, ProofError> {
    same_block("the block of an account's state", &at.id, &answer.id)?;
    let shard = &answer.shardblk;
    if address.workchain == -1 {
        same_block("the block of a masterchain account", &at.id, shard)?;
    } else {
        let Some(named) = shard_of(at, address, &answer.shard_proof)? else {
            if !answer.proof.is_empty() || !answer.state.is_empty() {
                let why = format_args!("there is no workchain {}, and yet an account in it", address.workchain);
                return Err(ProofError::wrong(ACCOUNT, why));
            }
            return Ok(AccountSnapshot::nonexistent(address.clone(), at.head()));
        };
        same_block("the block of the account's shard", &named, shard)?;
    }
    let (root, state_hash) = if shard.seqno == 0 {
        // The beginning is a state and has no block: its hash is known from the outset.
        (proof::single(ACCOUNT, &answer.proof)?, shard.root_hash)
    } else {
        let (block, state) = proof::pair(ACCOUNT, &answer.proof)?;
        (state, header(ACCOUNT, &block, shard)?.state)
    };
    let state = State::read(ACCOUNT, &proof::open(ACCOUNT, &root, &state_hash)?)?;
    same(ACCOUNT, at.global_id, state.global_id, |id| format!("of network {id}"))?;
    same(ACCOUNT, ShardIdent::new(shard.workchain, shard.shard), Some(state.shard), |s| format!("of shard {s:?}"))?;
    let entry = state.account(&address.address).map_err(|e| ProofError::unreadable(ACCOUNT, e))?;
    let Some(entry) = entry else {
        if !answer.state.is_empty() {
            return Err(ProofError::wrong(ACCOUNT, "there is no such account, and yet it has a state"));
        }
        return Ok(AccountSnapshot::nonexistent(address.clone(), at.head()));
    };
    let hash = entry.hash;
    let account = if answer.state.is_empty() {
        // One that is gone and has a history: its state is a cell with one unset bit, which servers leave out.
        let none = Lazy::<OptionalAccount>::new(&OptionalAccount(None)).map_err(|e| ProofError::wrong(ACCOUNT, e))?;
        proof::whole("an account's state", none.into_inner(), &hash)?
    } else {
        proof::whole("an account's state", proof::single(ACCOUNT, &answer.state)?, &hash)?
    };
    let account = Lazy::from_raw(account).map_err(|e| ProofError::unreadable(ACCOUNT, e))?;
    let entry = ShardAccount { account, last_trans_hash: entry.last_trans_hash, last_trans_lt: entry.last_trans_lt };
    AccountSnapshot::from_state(address.clone(), &entry, at.head()).map_err(unread)
}

/// The newest block of the account's shard that a masterchain block knows; none if it knows no such workchain.
fn shard_of(at: &ProvenBlock, address: &StdAddr, proof: &[u8]) -> Result<Option<BlockIdExt>, ProofError> {
    let (root, state) = proof::pair(SHARD, proof)?;
    let hash = header(SHARD, &root, &at.id)?.state;
    let state = State::read(SHARD, &proof::open(SHARD, &state, &hash)?)?;
    state
        .master(SHARD)?
        .shard_of(address.workchain.into(), &address.address)
        .map_err(|e| ProofError::unreadable(SHARD, e))
}

/// Checks an answer about the whole configuration after this block.
pub fn check_config(at: &ProvenBlock, answer: &ConfigInfo) -> Result<NetworkConfig, ProofError> {
    same_block("the block of a configuration", &at.id, &answer.id)?;
    let hash = header(CONFIG, &proof::single(CONFIG, &answer.state_proof)?, &at.id)?.state;
    let state = proof::open(CONFIG, &proof::single(CONFIG, &answer.config_proof)?, &hash)?;
    let params = State::read(CONFIG, &state)?.master(CONFIG)?.config;
    let root = params.as_dict().root().as_ref().ok_or_else(|| ProofError::wrong(CONFIG, "it is empty"))?;
    // A parameter that is pruned would look like one that is not there.
    let root = original(root).ok_or_else(|| ProofError::unreadable(CONFIG, "a part of it is pruned"))?;
    let network = GlobalId(at.global_id);
    let config = NetworkConfig::of_network(network, root).map_err(|e| ProofError::unsupported(CONFIG, e))?;
    same(CONFIG, network, config.global_id(), |id| format!("of network {id}"))?;
    Ok(config)
}

/// Checks an answer about public libraries after this block: each that the block's state has must be there, and it must be the
/// cell that its hash names. Those that the state has not are left out.
pub fn check_libraries(
    at: &ProvenBlock,
    wanted: &[HashBytes],
    answer: &LibraryResultWithProof,
) -> Result<Vec<Cell>, ProofError> {
    same_block("the block of public libraries", &at.id, &answer.id)?;
    let hash = header(LIBRARIES, &proof::single(LIBRARIES, &answer.state_proof)?, &at.id)?.state;
    let state =
        State::read(LIBRARIES, &proof::open(LIBRARIES, &proof::single(LIBRARIES, &answer.data_proof)?, &hash)?)?;
    let unreadable = |e| ProofError::unreadable(LIBRARIES, e);
    let public = state.libraries().map_err(unreadable)?;
    let mut found = vec![];
    for hash in wanted {
        let Some(library) = public.get(hash).map_err(unreadable)? else { continue };
        // A network that keeps other cells under a hash gives nobody a library.
        if library.hash != *hash {
            continue;
        }
        let given = answer.result.iter().find(|entry| entry.hash == *hash);
        let given = given.ok_or_else(|| ProofError::wrong(LIBRARIES, format_args!("library {hash} is left out")))?;
        found.push(proof::whole("a public library", proof::single("a public library", &given.data)?, hash)?);
    }
    Ok(found)
}

/// Copies cells out of a proof, if none of them is pruned.
fn original(cell: &Cell) -> Option<Cell> {
    use tycho_types::boc::Boc;
    // Written down and read again they are what they were before they came into the proof.
    let copy = Boc::decode(Boc::encode(cell)).ok()?;
    (copy.level() == 0 && copy.repr_hash() == cell.hash(0)).then_some(copy)
}

/// Checks a page of an account's history, the newest transaction first: it begins with the one that is known by time and
/// hash, and each of the others with the hash that the one after it names.
pub fn check_history(
    address: &StdAddr,
    newest: (u64, Hash256),
    most: usize,
    answer: &TransactionList,
) -> Result<Vec<TransactionRecord>, ProofError> {
    let cells = proof::bag(HISTORY, &answer.transactions, 1, most)?;
    let (mut lt, mut hash) = newest;
    let mut records = Vec::with_capacity(cells.len());
    for cell in cells {
        if lt == 0 {
            return Err(ProofError::wrong(HISTORY, "it goes on before its beginning"));
        }
        let cell = proof::whole("a transaction", cell, &HashBytes(*hash.as_bytes()))?;
        let record = TransactionRecord::from_cell(address.workchain, cell).map_err(unread)?;
        same("a transaction", (lt, address), (record.lt, &record.account), |(lt, who)| format!("at {lt} on {who}"))?;
        if record.prev_lt >= lt {
            return Err(ProofError::wrong(HISTORY, "a transaction is older than the one before it"));
        }
        (lt, hash) = (record.prev_lt, record.prev_hash);
        records.push(record);
    }
    Ok(records)
}

/// It has the right hash, so that it is real, and yet it cannot be read.
fn unread(error: ChainError) -> ProofError {
    ProofError::unsupported("what the network has", format_args!("in a form that cannot be read ({error})"))
}
