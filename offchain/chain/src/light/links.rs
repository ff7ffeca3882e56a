//! From one masterchain block to another: forward by signatures of validators, back by what a state names.

use cocoon_lite::BlockIdExt;
use cocoon_lite::answers::PartialBlockProof;
use cocoon_lite::types::{BlockLink, BlockLinkBack, BlockLinkForward};
use tycho_types::cell::HashBytes;

use super::error::{ProofError, same, same_block};
use super::proof::{self, Header};
use super::state::{self, State};
use super::validators::Validators;

const LINK: &str = "a step between blocks";
const HEADER: &str = "a block's header";
const STATE: &str = "a state";
const CONFIG: &str = "the configuration of a key block";

/// A masterchain block that is proven, with what its header says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProvenBlock {
    /// The block.
    pub id: BlockIdExt,
    /// Its network.
    pub global_id: i32,
    /// Its time, in Unix seconds.
    pub utime: u32,
    /// Logical time at its end.
    pub lt: u64,
    /// Whether it is a key block: one with the whole configuration.
    pub is_key: bool,
    /// Number of the key block before it.
    pub previous_key: u32,
    /// Hash of the state after it.
    pub state: HashBytes,
}

impl ProvenBlock {
    fn new(id: &BlockIdExt, header: &Header) -> Self {
        Self {
            id: id.clone(),
            global_id: header.block.global_id,
            utime: header.info.gen_utime,
            lt: header.info.end_lt,
            is_key: header.info.key_block,
            previous_key: header.info.prev_key_block_seqno,
            state: header.state,
        }
    }

    /// Number of the key block whose configuration is in force after it.
    pub const fn config_seqno(&self) -> u32 {
        if self.is_key { self.id.seqno } else { self.previous_key }
    }
}

/// Reads the header of a block that is trusted already.
pub fn check_header(id: &BlockIdExt, proof: &[u8]) -> Result<ProvenBlock, ProofError> {
    let header = proof::header(HEADER, &proof::single(HEADER, proof)?, id)?;
    Ok(ProvenBlock::new(id, &header))
}

/// Where a chain of steps led.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reached {
    /// Its end; none if it went back to the beginning, which is no block.
    pub end: Option<ProvenBlock>,
    /// The end.
    pub id: BlockIdExt,
    /// The newest key block on the way, or the beginning: from where the next chain is shortest.
    pub anchor: Option<BlockIdExt>,
    /// Whether the end is where it should lead.
    pub complete: bool,
}

/// Follows steps from a block that is trusted.
pub fn check_steps(from: &BlockIdExt, target: &BlockIdExt, proof: &PartialBlockProof) -> Result<Reached, ProofError> {
    same_block("the block where a chain of proofs begins", from, &proof.from)?;
    let mut at = Reached { end: None, id: from.clone(), anchor: None, complete: false };
    for step in &proof.steps {
        let begin = match step {
            BlockLink::Back(link) => &link.from,
            BlockLink::Forward(link) => &link.from,
        };
        same_block("the block where a step begins", &at.id, begin)?;
        at.end = match step {
            BlockLink::Back(link) => back(link)?,
            BlockLink::Forward(link) => {
                at.anchor = Some(link.from.clone());
                Some(forward(link)?)
            }
        };
        at.id = match step {
            BlockLink::Back(link) => link.to.clone(),
            BlockLink::Forward(link) => link.to.clone(),
        };
        if at.id.seqno == 0 || at.end.as_ref().is_some_and(|end| end.is_key) {
            at.anchor = Some(at.id.clone());
        }
    }
    at.complete = at.id == *target;
    if proof.complete != at.complete {
        return Err(ProofError::wrong("a chain of proofs", "it does not lead where it says"));
    }
    Ok(at)
}

fn masterchain(from: &BlockIdExt, to: &BlockIdExt) -> Result<(), ProofError> {
    const SHARD: u64 = 1 << 63;
    for id in [from, to] {
        same(LINK, (-1, SHARD), (id.workchain, id.shard), |id| format!("of the masterchain, {id:x?}"))?;
    }
    Ok(())
}

/// A key block's validators signed a later one, before the next key block.
fn forward(link: &BlockLinkForward) -> Result<ProvenBlock, ProofError> {
    let (from, to) = (&link.from, &link.to);
    masterchain(from, to)?;
    if to.seqno <= from.seqno {
        return Err(ProofError::wrong(LINK, "it says forward, and leads back"));
    }
    let config_proof = proof::single(CONFIG, &link.config_proof)?;
    let config = if from.seqno == 0 {
        let state = proof::open(STATE, &config_proof, &from.root_hash)?;
        State::read(STATE, &state)?.master(STATE)?.config
    } else {
        let header = proof::header(CONFIG, &config_proof, from)?;
        if !header.info.key_block {
            return Err(ProofError::wrong(LINK, "it says forward from a block that is no key block"));
        }
        let extra = header.block.load_extra().map_err(|e| ProofError::unreadable(CONFIG, e))?;
        state::config_of_block(&extra).map_err(|e| ProofError::unreadable(CONFIG, e))?
    };
    // The signatures first: what the header says is believed, even that it is of an unknown kind, when it is signed.
    let session = Validators::read(&config)?.check(to, &link.signatures)?;
    let header = proof::header(HEADER, &proof::single(HEADER, &link.dest_proof)?, to)?;
    let info = &header.info;
    same("the session of the signatures", info.gen_catchain_seqno, session.catchain_seqno, u32::to_string)?;
    same("the hash of the validators", info.gen_validator_list_hash_short, session.hash_short, u32::to_string)?;
    same("the kind of a block", info.key_block, link.to_key_block, |key| format!("key block: {key}"))?;
    // A key block between the two might have other validators, so that those of the first have no say any more.
    same("the key block before a block", from.seqno, info.prev_key_block_seqno, u32::to_string)?;
    Ok(ProvenBlock::new(to, &header))
}

/// A block's state names an earlier block.
fn back(link: &BlockLinkBack) -> Result<Option<ProvenBlock>, ProofError> {
    let (from, to) = (&link.from, &link.to);
    masterchain(from, to)?;
    if to.seqno >= from.seqno {
        return Err(ProofError::wrong(LINK, "it says back, and leads forward"));
    }
    let header = proof::header(HEADER, &proof::single(HEADER, &link.proof)?, from)?;
    let state = proof::open(STATE, &proof::single(STATE, &link.state_proof)?, &header.state)?;
    let master = State::read(STATE, &state)?.master(STATE)?;
    let named = master
        .previous(to.seqno)
        .map_err(|e| ProofError::unreadable(STATE, e))?
        .ok_or_else(|| ProofError::wrong(STATE, format_args!("it names no block {}", to.seqno)))?;
    let found = named.block_ref;
    same("an earlier block", to.root_hash, found.root_hash, HashBytes::to_string)?;
    same("an earlier block", to.file_hash, found.file_hash, HashBytes::to_string)?;
    if to.seqno == 0 {
        return Ok(None);
    }
    let header = proof::header(HEADER, &proof::single(HEADER, &link.dest_proof)?, to)?;
    same("the kind of a block", header.info.key_block, link.to_key_block, |key| format!("key block: {key}"))?;
    Ok(Some(ProvenBlock::new(to, &header)))
}
