//! What mainnet's validators and liteservers made, as other people recorded it; `tests/fixtures/README.md` says who.

use cocoon_lite::BlockIdExt;
use cocoon_protocol::{GlobalId, Nano, NodeKey};
use cocoon_wrappers::{GetterCall, StackValue};
use tycho_types::boc::Boc;
use tycho_types::cell::{Cell, HashBytes};
use tycho_types::dict::Dict;
use tycho_types::merkle::MerkleProof;
use tycho_types::models::{BlockchainConfigParams, CatchainConfig, ConfigParam32, ShardIdent};

use super::header::{Header, header};
use super::proof;
use super::state::{State, shard_of};
use super::validators::Validators;
use crate::{AccountSnapshot, Head, NetworkConfig, Wallet, WalletVersion, run_getter};

const MAINNET: i32 = -239;

fn hash(text: &str) -> HashBytes {
    text.parse().unwrap()
}

fn config() -> Cell {
    Boc::decode(include_bytes!("../../tests/fixtures/mainnet_config_46991999.boc")).unwrap()
}

/// The key block that brought this configuration.
fn key_block() -> Header {
    let proof = include_bytes!("../../tests/fixtures/mainnet_block_46991999_proof.boc");
    let id = BlockIdExt {
        workchain: -1,
        shard: 1 << 63,
        seqno: 46_991_999,
        root_hash: hash("cbebaa6ac4270c987c90c5ed930ff37f9b73c705999585d6d8c1c5e9fa3dd6e3"),
        file_hash: HashBytes::ZERO,
    };
    header("a block", &proof::single("a block", proof).unwrap(), &id).unwrap()
}

#[test]
fn a_key_block_of_mainnet_is_read() {
    let block = key_block();
    assert_eq!((block.global_id, block.is_key, block.utime), (MAINNET, true, 1_745_112_841));
    assert_eq!((block.previous_key, block.end_lt), (46_989_053, 56_255_102_000_004));
    // It brought the recorded configuration.
    let params = block.config().unwrap();
    assert_eq!(params.as_dict().root().as_ref().unwrap().hash(0), config().repr_hash());
}

#[test]
fn the_configuration_of_mainnet_is_read_and_getters_run_with_it() {
    // It does not say which network it is of; blocks do.
    assert!(NetworkConfig::from_cell(config()).is_err());
    let config = NetworkConfig::of_network(GlobalId(MAINNET), config()).unwrap();
    assert_eq!((config.global_id().0, config.tvm_version(), config.unknown_tvm_version()), (MAINNET, 9, None));
    Validators::read(config.params()).unwrap();
    let wallet = Wallet::new(NodeKey::from_seed(&[1; 32]), WalletVersion::V5R1, GlobalId(MAINNET)).unwrap();
    let (address, state) = (wallet.address().clone(), wallet.state_init().clone());
    let account = AccountSnapshot::hypothetical(address, state, Nano::from_ton(1), Head::default());
    let output = run_getter(&account, &config, &GetterCall { name: "seqno", args: vec![] }).unwrap();
    assert_eq!(output.stack, [StackValue::Int(0.into())]);
}

#[test]
fn the_validators_who_signed_a_block_of_mainnet_follow_from_the_configuration() {
    // The block brought new validators. Those before them, who made it, are parameter 32 from then on; and the block says
    // of them what they hash to.
    let block = key_block();
    let params = BlockchainConfigParams::from_raw(config());
    let before = params.get::<ConfigParam32>().unwrap().unwrap();
    let catchain: CatchainConfig = params.get_catchain_config().unwrap();
    let hash_short = |seqno| before.compute_mc_subset(seqno, catchain.shuffle_mc_validators).unwrap().1;
    assert_eq!(hash_short(block.catchain_seqno), block.validators_hash);
    assert_ne!(hash_short(block.catchain_seqno + 1), block.validators_hash);
}

#[test]
fn accounts_of_mainnet_are_looked_for_in_their_shard() {
    // Both halves of the workchain were in two parts then.
    let proof: Cell = Boc::decode(include_bytes!("../../tests/fixtures/mainnet_block_46991999_proof.boc")).unwrap();
    let root = proof::open("a block", &proof, &proof.parse_exotic::<MerkleProof>().unwrap().hash).unwrap();
    let block = root.as_slice().unwrap();
    let extra = block.get_reference_cloned(3).unwrap();
    let custom = extra.as_slice().unwrap().get_reference_cloned(3).unwrap();
    let mut custom = custom.as_slice().unwrap();
    custom.skip_first(16 + 1, 0).unwrap();
    let shards: Dict<i32, Cell> = tycho_types::cell::Load::load_from(&mut custom).unwrap();
    for (prefix, seqno) in [
        (0x2000_0000_0000_0000u64, 52_077_744),
        (0x6000_0000_0000_0000, 52_097_945),
        (0xa000_0000_0000_0000, 51_731_388),
        (0xe000_0000_0000_0000, 51_757_085),
    ] {
        let shard = ShardIdent::new(0, prefix).unwrap();
        for first in 0..=255u8 {
            let address = HashBytes([first; 32]);
            if shard.contains_account(&address) {
                let found = shard_of(&shards, 0, &address).unwrap().unwrap();
                assert_eq!((found.workchain, found.shard, found.seqno), (0, prefix, seqno));
            }
        }
    }
    assert_eq!(shard_of(&shards, 1, &HashBytes::ZERO).unwrap(), None);
}

#[test]
fn an_account_of_mainnet_is_proven_and_no_other() {
    let bytes = include_bytes!("../../tests/fixtures/mainnet_account_proof.boc");
    let (block, state) = proof::pair("a proof", bytes).unwrap();
    let id = BlockIdExt {
        workchain: 0,
        shard: 1 << 63,
        seqno: 31_618_192,
        root_hash: hash("ad1fac010600066adee2f20868a8c14accca61c429dced7e2e2ae0e6c2b7d118"),
        file_hash: HashBytes::ZERO,
    };
    let block = header("a block", &block, &id).unwrap();
    let state = State::read("a state", &proof::open("a state", &state, &block.state).unwrap()).unwrap();
    assert_eq!(state.global_id, MAINNET);
    let address = hash("83dfd552e63729b472fcbcc8c45ebcc6691702558b68ec7527e1ba403a0f31a8");
    let account = state.account(&address).unwrap().unwrap();
    assert_eq!(account.hash, hash("82d2c4bb54f2cd7f72b9b24dbccd130b92d3e8980c404c492dba4ee7d060cf57"));
    assert!(account.last_trans_lt > 0 && account.last_trans_lt < block.end_lt);
    // What is pruned is not absent.
    for first in 0..=255 {
        state.account(&HashBytes([first; 32])).map(drop).unwrap_err();
    }
    // The state of another block.
    let mut other = block.state;
    other.0[31] ^= 1;
    let (_, root) = proof::pair("a proof", bytes).unwrap();
    proof::open("a state", &root, &other).unwrap_err();
}
