//! The schema is the one that everybody has, and no bytes do harm.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use cocoon_lite::codec::Constructor;
use cocoon_lite::{Answer, Frame, Query, answers, queries, types, unwrap_query, wrap_query};
use proptest::prelude::*;
use tycho_types::cell::HashBytes;

/// Numbers as pytoniq-core computes them from the same schema.
const NUMBERS: &[(u32, u32)] = &[
    (answers::Error::ID, 0xbba9e148),
    (answers::MasterchainInfo::ID, 0x85832881),
    (answers::MasterchainInfoExt::ID, 0xa8cce0f5),
    (answers::CurrentTime::ID, 0xe953000d),
    (answers::Version::ID, 0x5a0491e5),
    (answers::BlockData::ID, 0xa574ed6c),
    (answers::BlockState::ID, 0xabaddc0c),
    (answers::BlockHeader::ID, 0x752d8219),
    (answers::SendMsgStatus::ID, 0x3950e597),
    (answers::AccountState::ID, 0x7079c751),
    (answers::RunMethodResult::ID, 0xa39a616b),
    (answers::ShardInfo::ID, 0x9fe6cd84),
    (answers::AllShardsInfo::ID, 0x098fe72d),
    (answers::TransactionInfo::ID, 0x0edeed47),
    (answers::TransactionList::ID, 0x6f26c60b),
    (answers::BlockTransactions::ID, 0xbd8cad2b),
    (answers::BlockTransactionsExt::ID, 0xfb8ffce4),
    (answers::PartialBlockProof::ID, 0x8ed0d2c1),
    (answers::ConfigInfo::ID, 0xae7b272f),
    (answers::ValidatorStats::ID, 0xb9f796d8),
    (answers::LibraryResult::ID, 0x117ab96b),
    (answers::LibraryResultWithProof::ID, 0x10a927bf),
    (answers::ShardBlockProof::ID, 0x1d62a07a),
    (answers::LookupBlockResult::ID, 0x99786be7),
    (answers::OutMsgQueueSizes::ID, 0xf8504a03),
    (answers::BlockOutMsgQueueSize::ID, 0x8acdbe1b),
    (answers::DispatchQueueInfo::ID, 0x5d1132d0),
    (answers::DispatchQueueMessages::ID, 0x4b407931),
    (queries::GetMasterchainInfo::ID, 0x89b5e62e),
    (queries::GetMasterchainInfoExt::ID, 0x70a671df),
    (queries::GetTime::ID, 0x16ad5a34),
    (queries::GetVersion::ID, 0x232b940b),
    (queries::GetBlock::ID, 0x6377cf0d),
    (queries::GetState::ID, 0xba6e2eb6),
    (queries::GetBlockHeader::ID, 0x21ec069e),
    (queries::SendMessage::ID, 0x690ad482),
    (queries::GetAccountState::ID, 0x6b890e25),
    (queries::GetAccountStatePrunned::ID, 0x5a698507),
    (queries::RunSmcMethod::ID, 0x5cc65dd2),
    (queries::GetShardInfo::ID, 0x46a2f425),
    (queries::GetAllShardsInfo::ID, 0x74d3fd6b),
    (queries::GetOneTransaction::ID, 0xd40f24ea),
    (queries::GetTransactions::ID, 0x1c40e7a1),
    (queries::LookupBlock::ID, 0xfac8f71e),
    (queries::LookupBlockWithProof::ID, 0x9c045ff8),
    (queries::ListBlockTransactions::ID, 0xadfcc7da),
    (queries::ListBlockTransactionsExt::ID, 0x0079dd5c),
    (queries::GetBlockProof::ID, 0x8aea9c44),
    (queries::GetConfigAll::ID, 0x911b26b7),
    (queries::GetConfigParams::ID, 0x2a111c19),
    (queries::GetValidatorStats::ID, 0x091a58bc),
    (queries::GetLibraries::ID, 0xd122b662),
    (queries::GetLibrariesWithProof::ID, 0xd97693bd),
    (queries::GetShardBlockProof::ID, 0x4ca60350),
    (queries::GetOutMsgQueueSizes::ID, 0x7bc19c36),
    (queries::GetBlockOutMsgQueueSize::ID, 0x8f6c7779),
    (queries::GetDispatchQueueInfo::ID, 0x01e66bf3),
    (queries::GetDispatchQueueMessages::ID, 0xbbfd6439),
    (types::BlockIdExt::ID, 0x6752eb78),
    (types::TransactionId::ID, 0xb12f65af),
    (types::SignatureSetOrdinary::ID, 0xf644a6e6),
    (types::SignatureSetSimplex::ID, 0xac249800),
    (types::BlockLinkBack::ID, 0xef7e1bef),
    (types::BlockLinkForward::ID, 0x520fce1c),
];

#[test]
fn numbers_agree_with_another_implementation() {
    for (ours, theirs) in NUMBERS {
        assert_eq!(ours, theirs, "{ours:#010x} {theirs:#010x}");
    }
}

fn block() -> types::BlockIdExt {
    let (root_hash, file_hash) = (HashBytes([1; 32]), HashBytes([2; 32]));
    types::BlockIdExt { workchain: -1, shard: 1 << 63, seqno: 7, root_hash, file_hash }
}

#[test]
fn optional_fields_and_their_flags_agree() {
    let id = types::BlockId { workchain: 0, shard: 1 << 63, seqno: 0 };
    // Whatever the mode says, the bits are those of the fields that are there.
    let query = Query::LookupBlock(queries::LookupBlock { mode: 0b1010_0000_0010, id, lt: None, utime: Some(5) });
    let Query::LookupBlock(read) = Query::from_bytes(&query.to_bytes()).unwrap() else { panic!() };
    assert_eq!((read.mode, read.lt, read.utime), (0b1010_0000_0100, None, Some(5)));
}

#[test]
fn questions_are_unwrapped_with_and_without_what_clients_put_around_them() {
    let query =
        Query::GetBlockProof(queries::GetBlockProof { mode: 1, known_block: block(), target_block: Some(block()) });
    let wait = queries::WaitMasterchainSeqno { seqno: 3, timeout_ms: 1000 };
    let request = unwrap_query(&wrap_query(&query, Some(&wait))).unwrap();
    assert_eq!((request.wait, request.query), (Some(wait), Ok(query.clone())));
    let request = unwrap_query(&query.to_bytes()).unwrap();
    assert_eq!((request.wait, request.query), (None, Ok(query)));
    // What nobody knows is no reason to hang up.
    let unknown = unwrap_query(&[0xdf, 0x06, 0x8c, 0x79, 4, 1, 2, 3, 4, 0, 0, 0]).unwrap();
    unknown.query.unwrap_err();
}

proptest! {
    #[test]
    fn no_bytes_do_harm(id in 0..NUMBERS.len(), bytes in prop::collection::vec(any::<u8>(), 0..300), with_id in any::<bool>()) {
        let mut all = if with_id { NUMBERS[id].0.to_le_bytes().to_vec() } else { vec![] };
        all.extend(bytes);
        let _ = unwrap_query(&all);
        if let Ok(frame) = Frame::from_bytes(&all) {
            Frame::from_bytes(&frame.to_bytes()).unwrap();
        }
        if let Ok(query) = Query::from_bytes(&all) {
            prop_assert_eq!(Query::from_bytes(&query.to_bytes()).unwrap(), query);
        }
        if let Ok(answer) = Answer::from_bytes(&all) {
            prop_assert_eq!(Answer::from_bytes(&answer.to_bytes()).unwrap(), answer);
        }
    }

    /// Every cut and every flipped bit of a long answer gives an error or another answer.
    #[test]
    fn damaged_answers_are_errors(cut in 0..400usize, bit in 0..3200usize) {
        let link = types::BlockLinkForward {
            to_key_block: true,
            from: block(),
            to: block(),
            dest_proof: vec![1; 30],
            config_proof: vec![2; 31],
            signatures: types::SignatureSet::Ordinary(types::SignatureSetOrdinary {
                validator_set_hash: 1,
                catchain_seqno: 2,
                signatures: vec![types::Signature { node_id_short: HashBytes([3; 32]), signature: vec![4; 64] }],
            }),
        };
        let steps = vec![types::BlockLink::Forward(link)];
        let answer = answers::PartialBlockProof { complete: true, from: block(), to: block(), steps };
        let bytes = Answer::PartialBlockProof(answer.clone()).to_bytes();
        prop_assert_eq!(Answer::from_bytes(&bytes).unwrap(), Answer::PartialBlockProof(answer));
        prop_assert!(Answer::from_bytes(&bytes[..cut.min(bytes.len() - 1)]).is_err());
        let mut flipped = bytes.clone();
        flipped[bit / 8 % bytes.len()] ^= 1 << (bit % 8);
        let _ = Answer::from_bytes(&flipped);
    }
}
