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
        // Nobody has signed that yet, so that it is no proof of an upgrade either.
        other => return Err(ProofError::unreadable(SIGNATURES, format_args!("candidates of kind {other:#010x}"))),
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

#[cfg(test)]
mod tests {
    use cocoon_lite::types::SignatureSetOrdinary;
    use cocoon_protocol::NodeKey;
    use std::num::NonZeroU16;

    use super::*;

    const CATCHAIN_SEQNO: u32 = 7;

    fn key(index: usize) -> NodeKey {
        NodeKey::from_seed(&[index as u8 + 1; 32])
    }

    /// Validators with these weights, of whom so many are of the masterchain.
    fn validators(weights: &[u64], main: u16) -> Validators {
        let describe = |(index, weight): (usize, &u64)| ValidatorDescription {
            public_key: HashBytes(*key(index).public().as_bytes()),
            weight: *weight,
            adnl_addr: None,
            mc_seqno_since: 0,
            prev_total_weight: weights[..index].iter().sum(),
        };
        let set = ValidatorSet {
            utime_since: 0,
            utime_until: u32::MAX,
            main: NonZeroU16::new(main).unwrap(),
            total_weight: weights.iter().sum(),
            list: weights.iter().enumerate().map(describe).collect(),
        };
        let catchain = CatchainConfig {
            isolate_mc_validators: false,
            shuffle_mc_validators: true,
            mc_catchain_lifetime: 200,
            shard_catchain_lifetime: 200,
            shard_validators_lifetime: 3000,
            shard_validators_num: 7,
        };
        Validators { set, catchain }
    }

    fn block() -> BlockIdExt {
        let (root_hash, file_hash) = (HashBytes([3; 32]), HashBytes([4; 32]));
        BlockIdExt { workchain: -1, shard: 1 << 63, seqno: 9, root_hash, file_hash }
    }

    fn hash_short(validators: &Validators) -> u32 {
        validators.set.compute_mc_subset(CATCHAIN_SEQNO, true).unwrap().1
    }

    fn sign(who: usize, what: &[u8]) -> Signature {
        let node_id_short = short_id(&HashBytes(*key(who).public().as_bytes()));
        Signature { node_id_short, signature: key(who).sign_bytes(what).0.to_vec() }
    }

    fn signed(validators: &Validators, block: &BlockIdExt, who: &[usize]) -> SignatureSet {
        let data = Block::build_data_for_sign(&block.to_block_id().unwrap());
        SignatureSet::Ordinary(SignatureSetOrdinary {
            validator_set_hash: hash_short(validators),
            catchain_seqno: CATCHAIN_SEQNO,
            signatures: who.iter().map(|who| sign(*who, &data)).collect(),
        })
    }

    fn refusal(validators: &Validators, set: &SignatureSet) -> String {
        validators.check(&block(), set).unwrap_err().to_string()
    }

    #[test]
    fn attack_86_more_than_two_thirds_of_the_weight_must_sign() {
        let validators = validators(&[10, 10, 10, 5, 100], 4);
        let all = signed(&validators, &block(), &[3, 1, 0, 2]);
        let session = Session { catchain_seqno: CATCHAIN_SEQNO, hash_short: hash_short(&validators) };
        assert_eq!(validators.check(&block(), &all).unwrap(), session);
        // 25 of 35 are enough; 20 are not, and neither is exactly two thirds.
        validators.check(&block(), &signed(&validators, &block(), &[0, 1, 3])).unwrap();
        let few = signed(&validators, &block(), &[0, 1]);
        assert!(refusal(&validators, &few).contains("only 20 of 35"));
        let thirds = super::tests::validators(&[10, 10, 10], 3);
        assert!(refusal(&thirds, &signed(&thirds, &block(), &[0, 1])).contains("only 20 of 30"));
    }

    #[test]
    fn attack_86_nobody_else_counts_and_nobody_twice() {
        let validators = validators(&[10, 10, 10, 100], 3);
        // The fourth is a validator, but not of the masterchain.
        assert!(refusal(&validators, &signed(&validators, &block(), &[0, 1, 3])).contains("no validator"));
        assert!(refusal(&validators, &signed(&validators, &block(), &[0, 1, 1])).contains("signed twice"));
        assert!(refusal(&validators, &signed(&validators, &block(), &[0, 1, 9])).contains("no validator"));
        // Signatures of another block.
        let other = BlockIdExt { file_hash: HashBytes([5; 32]), ..block() };
        assert!(refusal(&validators, &signed(&validators, &other, &[0, 1, 2])).contains("is false"));
    }

    /// As the newer consensus has it: a vote for a candidate that names the block.
    fn voted(validators: &Validators, named: &BlockIdExt, vote_kind: u32, kind: u32) -> SignatureSet {
        let mut candidate = vec![];
        kind.write(&mut candidate);
        named.write(&mut candidate);
        candidate.extend([8; 76]);
        let mut set = SignatureSetSimplex {
            cc_seqno: CATCHAIN_SEQNO,
            validator_set_hash: hash_short(validators),
            signatures: vec![],
            session_id: HashBytes([6; 32]),
            slot: 11,
            candidate,
        };
        // Put together byte by byte, as the schema says.
        let mut data = set.session_id.0.to_vec();
        data.splice(0..0, 0xa8e3_3df8_u32.to_le_bytes());
        data.push(44);
        data.extend(vote_kind.to_le_bytes());
        data.extend(0xb691_cd3f_u32.to_le_bytes());
        data.extend(11u32.to_le_bytes());
        data.extend(Sha256::digest(&set.candidate));
        data.extend([0; 3]);
        set.signatures = (0..3).map(|who| sign(who, &data)).collect();
        SignatureSet::Simplex(set)
    }

    #[test]
    fn the_votes_of_the_simplex_consensus_count_for_the_block_that_they_name() {
        let validators = validators(&[10, 10, 10], 3);
        for kind in [CANDIDATE, CANDIDATE_EMPTY] {
            validators.check(&block(), &voted(&validators, &block(), FINALIZE_VOTE, kind)).unwrap();
        }
        let other = BlockIdExt { seqno: 10, ..block() };
        let stolen = voted(&validators, &other, FINALIZE_VOTE, CANDIDATE);
        assert!(refusal(&validators, &stolen).contains("voted for"));
        // A vote that only approves (`consensus.simplex.notarizeVote`) makes nothing final.
        assert!(refusal(&validators, &voted(&validators, &block(), 0xcdf6_05a8, CANDIDATE)).contains("is false"));
        let unknown = voted(&validators, &block(), FINALIZE_VOTE, 1);
        assert!(refusal(&validators, &unknown).contains("of kind"), "{}", refusal(&validators, &unknown));
        let SignatureSet::Simplex(mut cut) = voted(&validators, &block(), FINALIZE_VOTE, CANDIDATE) else { panic!() };
        cut.candidate.truncate(60);
        assert!(refusal(&validators, &SignatureSet::Simplex(cut)).contains("cannot be read"));
    }
}
