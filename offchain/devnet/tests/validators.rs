//! Several validators, and others after them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::num::NonZeroU16;
use std::time::Duration;

use cocoon_chain::{Chain, WalletVersion};
use cocoon_devnet::block::Workchain;
use cocoon_devnet::{Devnet, DevnetError, ManualClock, Settings};
use common::check::check_from;
use common::face::Face;
use common::{START, funded};
use serde_json::json;
use tycho_types::models::{BlockchainConfigParams, ConfigParam32, ConfigParam34, ConfigParam36, ValidatorSet};

fn count(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).unwrap()
}

async fn params(devnet: &Devnet) -> BlockchainConfigParams {
    devnet.config().await.unwrap().params().clone()
}

fn keys(set: &ValidatorSet) -> Vec<[u8; 32]> {
    set.list.iter().map(|one| one.public_key.0).collect()
}

#[tokio::test]
async fn elected_validators_sign_from_their_time_on_and_the_blocks_stay_whole() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(START);
    let open = || {
        let (folder, clock) = (Some(folder.path().to_owned()), Box::new(clock.clone()));
        Devnet::start(Settings { folder, clock, tick: None, validators: count(4), ..Settings::default() })
    };
    let devnet = open().await.unwrap();
    funded(&devnet, WalletVersion::V5R1, 1).await;
    let first = params(&devnet).await.get::<ConfigParam34>().unwrap().unwrap();
    assert_eq!((first.list.len(), first.main), (4, count(4)));

    let named = devnet.elect(count(7)).await.unwrap();
    let config = params(&devnet).await;
    assert_eq!(keys(&config.get::<ConfigParam34>().unwrap().unwrap()), keys(&first));
    let next = config.get::<ConfigParam36>().unwrap().unwrap();
    assert_eq!(next.list.len(), 7);
    assert!(next.list.iter().all(|one| !keys(&first).contains(&one.public_key.0)));
    assert!(devnet.block(named.seqno).await.unwrap().unwrap().is_key);
    // In the same second nothing happens.
    let head = devnet.tick().await.unwrap();
    assert!(!devnet.block(head.seqno).await.unwrap().unwrap().is_key);
    let head = devnet.advance(Duration::from_secs(1)).await.unwrap();
    assert!(devnet.block(head.seqno).await.unwrap().unwrap().is_key);
    let config = params(&devnet).await;
    assert_eq!(keys(&config.get::<ConfigParam34>().unwrap().unwrap()), keys(&next));
    assert_eq!(keys(&config.get::<ConfigParam32>().unwrap().unwrap()), keys(&first));
    assert!(config.get::<ConfigParam36>().unwrap().is_none());
    funded(&devnet, WalletVersion::V4R2, 2).await;
    devnet.stop().await;

    // What signs follows from what is stored.
    let devnet = open().await.unwrap();
    funded(&devnet, WalletVersion::V4R2, 3).await;
    devnet.advance(Duration::from_secs(3600)).await.unwrap();
    check_from(&devnet, 1).await;
    let refused = devnet.elect(count(101)).await.unwrap_err();
    assert!(matches!(refused, DevnetError::Validators(101)), "{refused}");
}

#[tokio::test]
async fn a_block_is_signed_by_the_set_of_the_key_block_before_it() {
    let clock = Box::new(ManualClock::new(START));
    let devnet = Devnet::start(Settings { clock, tick: None, ..Settings::default() }).await.unwrap();
    devnet.tick().await.unwrap();
    devnet.elect(count(9)).await.unwrap();
    let rotated = devnet.advance(Duration::from_secs(1)).await.unwrap().seqno;
    devnet.tick().await.unwrap();
    let face = Face::of(&devnet).await;
    let signatures = async |seqno: u32| {
        let answer = face.ask("getMasterchainBlockSignatures", json!({ "seqno": seqno })).await;
        answer["signatures"].as_array().unwrap().len()
    };
    // The block that brings the new ones is signed by the one before; of the nine not all are needed.
    assert_eq!(signatures(rotated).await, 1);
    let after = signatures(rotated + 1).await;
    assert!((4..9).contains(&after), "{after}");
    let known = devnet.sealed(Workchain::Master, rotated + 1).await.unwrap().unwrap();
    assert!(!known.is_key);
}
