//! Who may sign masterchain blocks, and whether they did.

use std::collections::BTreeMap;

use cocoon_lite::types::{Signature, SignatureSet, SignatureSetSimplex};
use cocoon_lite::{BlockIdExt, Reader, Tl};
use cocoon_protocol::{NodePublicKey, Signature as Ed25519};
use sha2::{Digest, Sha256};
use tycho_types::cell::HashBytes;
use tycho_types::error::Error;
use tycho_types::models::{
    Block, BlockchainConfigParams, CatchainConfig, ConfigParam28, ValidatorDescription, ValidatorSet,
};

use super::error::{Name, ProofError, same, same_block};

const WHAT: &str = "the set of validators";
const SIGNATURES: &str = "the signatures of a block";

/// `pub.ed25519`, as TL names the kind of a key.
const PUB_ED25519: [u8; 4] = 0x4813_b4c6_u32.to_le_bytes();

/// `consensus.dataToSign session_id:int256 data:bytes`.
const DATA_TO_SIGN: u32 = 0xa8e3_3df8;
/// `consensus.simplex.finalizeVote id:consensus.CandidateId`.
const FINALIZE_VOTE: u32 = 0x40a7_e105;
/// `consensus.candidateId slot:int hash:int256`.
const CANDIDATE_ID: u32 = 0xb691_cd3f;
/// `consensus.candidateHashDataOrdinary`: the slot made the block that follows.
const CANDIDATE: u32 = 0xe8f9_bcdc;
/// `consensus.candidateHashDataEmpty`: the slot made none, and confirms the block that follows.
const CANDIDATE_EMPTY: u32 = 0x72b4_d933;

/// The validators of a configuration: from the key block that has it up to the next one, they sign masterchain blocks.
#[derive(Clone, Debug)]
pub(super) struct Validators {
    set: ValidatorSet,
    catchain: CatchainConfig,
}

/// Which session of validators signed. The block's header must name the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Session {
    pub catchain_seqno: u32,
    pub hash_short: u32,
}

impl Validators {
    /// Reads the current set: parameter 35, a temporary one, or else 34.
    pub fn read(config: &BlockchainConfigParams) -> Result<Self, ProofError> {
        let read = || -> Result<Self, Error> {
            let catchain = config.get::<ConfigParam28>()?.ok_or(Error::CellUnderflow)?;
            Ok(Self { set: config.get_current_validator_set()?, catchain })
        };
        read().map_err(|e| match e {
            Error::InvalidTag => ProofError::unsupported(WHAT, "of another format"),
            other => ProofError::unreadable(WHAT, other),
        })
    }

    /// Fails unless more than two thirds of the validators, by weight, signed this block.
    pub fn check(&self, block: &BlockIdExt, set: &SignatureSet) -> Result<Session, ProofError> {
        let (session, signatures) = match set {
            SignatureSet::Ordinary(set) => {
                (Session { catchain_seqno: set.catchain_seqno, hash_short: set.validator_set_hash }, &set.signatures)
            }
            SignatureSet::Simplex(set) => {
                (Session { catchain_seqno: set.cc_seqno, hash_short: set.validator_set_hash }, &set.signatures)
            }
        };
        let (members, hash_short) = self
            .set
            .compute_mc_subset(session.catchain_seqno, self.catchain.shuffle_mc_validators)
            .ok_or_else(|| ProofError::wrong(WHAT, "no masterchain validators follow from it"))?;
        same("the hash of the validators", hash_short, session.hash_short, u32::to_string)?;
        let signed = match set {
            SignatureSet::Ordinary(_) => {
                let id = block.to_block_id().ok_or_else(|| ProofError::wrong(SIGNATURES, "it is in no shard"))?;
                Block::build_data_for_sign(&id).to_vec()
            }
            SignatureSet::Simplex(set) => vote(block, set)?,
        };
        enough(block, &members, &signed, signatures)?;
        Ok(session)
    }
}

fn enough(
    block: &BlockIdExt,
    members: &[ValidatorDescription],
    signed: &[u8],
    signatures: &[Signature],
) -> Result<(), ProofError> {
    let wrong = |why: std::fmt::Arguments<'_>| Err(ProofError::wrong(SIGNATURES, why));
    let mut waiting: BTreeMap<HashBytes, &ValidatorDescription> =
        members.iter().map(|member| (short_id(&member.public_key), member)).collect();
    let mut weight = 0u128;
    for signature in signatures {
        // Taken out, so that nobody counts twice.
        let Some(member) = waiting.remove(&signature.node_id_short) else {
            return wrong(format_args!("{} is no validator, or signed twice", signature.node_id_short));
        };
        let valid = NodePublicKey::from_bytes(&member.public_key.0).is_ok_and(|key| {
            <[u8; 64]>::try_from(signature.signature.as_slice())
                .is_ok_and(|bytes| key.verify_bytes(signed, &Ed25519(bytes)).is_ok())
        });
        if !valid {
            return wrong(format_args!("that of {} under {} is false", signature.node_id_short, Name(block)));
        }
        weight += u128::from(member.weight);
    }
    let total: u128 = members.iter().map(|member| u128::from(member.weight)).sum();
    if weight * 3 <= total * 2 {
        return wrong(format_args!("only {weight} of {total} signed {}", Name(block)));
    }
    Ok(())
}

fn short_id(key: &HashBytes) -> HashBytes {
    HashBytes(Sha256::new().chain_update(PUB_ED25519).chain_update(key.0).finalize().into())
}

/// What validators of the simplex consensus sign to make a block final: a vote for a candidate, which names the block.
fn vote(block: &BlockIdExt, set: &SignatureSetSimplex) -> Result<Vec<u8>, ProofError> {
    let mut candidate = Reader::new(&set.candidate);
    let unreadable = |e| ProofError::unreadable(SIGNATURES, e);
    match u32::read(&mut candidate).map_err(unreadable)? {
        CANDIDATE | CANDIDATE_EMPTY => {}
        other => return Err(ProofError::unsupported("a candidate block", format_args!("of kind {other:#010x}"))),
    }
    same_block("the block that was voted for", block, &BlockIdExt::read(&mut candidate).map_err(unreadable)?)?;
    let mut vote = vec![];
    FINALIZE_VOTE.write(&mut vote);
    CANDIDATE_ID.write(&mut vote);
    set.slot.write(&mut vote);
    HashBytes(Sha256::digest(&set.candidate).into()).write(&mut vote);
    let mut signed = vec![];
    DATA_TO_SIGN.write(&mut signed);
    set.session_id.write(&mut signed);
    vote.write(&mut signed);
    Ok(signed)
}
