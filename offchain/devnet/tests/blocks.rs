//! Blocks are what a TON network makes: complete, and agreeing with each other and with what happened.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::time::Duration;

use cocoon_chain::{Chain, ChainError, OutMessage, SendMsgFlags, Wallet, WalletVersion, call_getter};
use cocoon_devnet::block::Workchain;
use cocoon_devnet::store::CHECKPOINT;
use cocoon_devnet::{Devnet, ManualClock, Settings};
use cocoon_protocol::{Hash256, Nano, StdAddr};
use cocoon_wrappers::{GetterCall, StackValue};
use common::check::check_from;
use common::{START, funded, network, pay, wallet};
use proptest::prelude::*;
use tycho_types::cell::{Cell, CellBuilder, HashBytes};
use tycho_types::models::ShardStateUnsplit;

const V5: WalletVersion = WalletVersion::V5R1;

#[tokio::test]
async fn empty_blocks_follow_each_other() {
    let (devnet, _) = network().await;
    for _ in 0..5 {
        devnet.tick().await.unwrap();
    }
    check_from(&devnet, 1).await;
}

#[tokio::test]
async fn a_payment_in_the_first_blocks_leaves_part_of_the_state() {
    let (devnet, _) = network().await;
    for byte in [0x11, 0x01, 0x91, 0xf1] {
        devnet.faucet(&StdAddr::new(0, HashBytes([byte; 32])), Nano::from_ton(1)).await.unwrap().ok().unwrap();
    }
    check_from(&devnet, 1).await;
}

#[tokio::test]
async fn messages_between_the_chains_leave_one_queue_and_arrive_once() {
    let (devnet, _) = network().await;
    let alice = funded(&devnet, V5, 1).await;
    let bob = wallet(V5, 2);
    let there = StdAddr::new(-1, HashBytes([0x42; 32]));
    alice
        .send_and_confirm(&devnet, &[pay(&there, Nano::from_ton(2)), pay(bob.address(), Nano::from_ton(3))])
        .await
        .unwrap()
        .ok()
        .unwrap();
    // Nobody is there: it bounces, down again.
    let bounced = OutMessage::new(there, Nano::from_ton(1));
    alice.send_and_confirm(&devnet, &[bounced]).await.unwrap();
    devnet.tick().await.unwrap();
    check_from(&devnet, 1).await;
}

#[tokio::test]
async fn what_waits_longer_than_a_block_is_in_the_queue() {
    let (devnet, _) = network().await;
    let alice = funded(&devnet, V5, 1).await;
    let (state, address) = common::perpetual();
    let start = OutMessage::new(address, Nano::from_ton(10)).state_init(state).no_bounce();
    let until = devnet.head().await.unwrap().utime.plus(60);
    devnet.send(alice.sign(&[start], 0, until, true).unwrap()).await.unwrap();
    assert!(!devnet.supply().await.unwrap().in_flight.is_zero());
    check_from(&devnet, 1).await;
}

#[tokio::test]
async fn a_reopened_network_goes_on_with_the_same_chains() {
    let folder = tempfile::tempdir().unwrap();
    let open = || async {
        let clock = Box::new(ManualClock::new(START));
        let settings = Settings { folder: Some(folder.path().to_owned()), clock, tick: None, ..Settings::default() };
        Devnet::start(settings).await.unwrap()
    };
    let devnet = open().await;
    let alice = funded(&devnet, V5, 1).await;
    let there = StdAddr::new(-1, HashBytes([0x42; 32]));
    alice.send_and_confirm(&devnet, &[OutMessage::new(there, Nano::from_ton(1))]).await.unwrap();
    let (state, address) = common::perpetual();
    let start = OutMessage::new(address, Nano::from_ton(5)).state_init(state).no_bounce();
    let until = devnet.head().await.unwrap().utime.plus(60);
    devnet.send(alice.sign(&[start], 1, until, false).unwrap()).await.unwrap();
    devnet.stop().await;
    let devnet = open().await;
    devnet.tick().await.unwrap();
    devnet.stop().await;
    let devnet = open().await;
    devnet.tick().await.unwrap();
    check_from(&devnet, 1).await;
}

#[tokio::test]
async fn a_changed_configuration_makes_a_key_block_and_holds_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let open = || async {
        let clock = Box::new(ManualClock::new(START));
        let settings = Settings { folder: Some(folder.path().to_owned()), clock, tick: None, ..Settings::default() };
        Devnet::start(settings).await.unwrap()
    };
    let devnet = open().await;
    let alice = funded(&devnet, V5, 1).await;
    let before = devnet.config().await.unwrap();
    let mut prices = before.params().get_gas_prices(false).unwrap();
    prices.gas_price *= 10;
    let head = devnet.set_config_param(21, Some(CellBuilder::build_from(&prices).unwrap())).await.unwrap();
    let fee = devnet.config().await.unwrap().gas_fee(1_000_000);
    assert!(fee > before.gas_fee(9_000_000), "{fee}");
    devnet.tick().await.unwrap();
    let cost = |trace: cocoon_chain::Trace| trace.root.transaction.total_fees;
    let dear = cost(alice.send_and_confirm(&devnet, &[pay(devnet.giver(), Nano::new(1))]).await.unwrap());
    devnet.stop().await;

    let devnet = open().await;
    assert_eq!(devnet.config().await.unwrap().gas_fee(1_000_000), fee);
    let again = cost(alice.send_and_confirm(&devnet, &[pay(devnet.giver(), Nano::new(1))]).await.unwrap());
    assert!(again > Nano::new(10_000_000) && dear > again, "{dear} {again}");
    for seqno in 1..=devnet.head().await.unwrap().seqno {
        let is_key = devnet.block(seqno).await.unwrap().unwrap().is_key;
        assert_eq!(is_key, seqno == 1 || seqno == head.seqno);
    }
    check_from(&devnet, 1).await;

    for param in [0, 12, 19, 28, 34] {
        let error = devnet.set_config_param(param, None).await.unwrap_err();
        assert!(error.to_string().contains(&param.to_string()), "{error}");
    }
    let head = devnet.head().await.unwrap();
    devnet.set_config_param(20, Some(Cell::default())).await.unwrap_err();
    devnet.set_config_param(21, None).await.unwrap_err();
    assert_eq!(devnet.head().await.unwrap(), head);
}

#[tokio::test]
async fn states_of_the_last_blocks_are_at_hand_after_a_restart_too() {
    let folder = tempfile::tempdir().unwrap();
    let open = || async {
        let clock = Box::new(ManualClock::new(START));
        let settings = Settings { folder: Some(folder.path().to_owned()), clock, tick: None, ..Settings::default() };
        Devnet::start(settings).await.unwrap()
    };
    let devnet = open().await;
    for _ in 0..CHECKPOINT * 2 + 10 {
        devnet.tick().await.unwrap();
    }
    let head = devnet.head().await.unwrap().seqno;
    let has_state = |devnet: Devnet, seqno: u32| async move {
        let known = devnet.sealed(Workchain::Master, seqno).await.unwrap().unwrap();
        known.state.is_some_and(|state| state.parse::<ShardStateUnsplit>().unwrap().seqno == seqno)
    };
    for again in 0..2 {
        let devnet = if again == 0 { devnet.clone() } else { open().await };
        assert!(has_state(devnet.clone(), head).await && has_state(devnet.clone(), head - CHECKPOINT).await);
        assert!(has_state(devnet.clone(), 0).await, "the beginning is never forgotten");
        assert!(!has_state(devnet.clone(), 5).await);
        check_from(&devnet, head - 3).await;
        devnet.stop().await;
    }
}

/// Sends, and waits for nothing.
async fn send(devnet: &Devnet, wallet: &Wallet, messages: &[OutMessage]) -> Result<Hash256, ChainError> {
    let account = devnet.account(wallet.address()).await?;
    let seqno = match account.code {
        Some(_) => call_getter(devnet, wallet.address(), &GetterCall { name: "seqno", args: vec![] }).await,
        None => Ok(vec![StackValue::Int(0.into())]),
    };
    let [StackValue::Int(seqno)] = &seqno.unwrap()[..] else { panic!("no seqno") };
    let until = devnet.head().await?.utime.plus(60);
    let seqno = u32::try_from(seqno).unwrap();
    devnet.send(wallet.sign(messages, seqno, until, account.code.is_none()).unwrap()).await
}

/// One random deed: who pays whom, how much, in which way.
#[derive(Clone, Debug)]
struct Deed {
    from: usize,
    to: Vec<(usize, u64, bool)>,
    mode: u8,
    later: u32,
}

fn deed() -> impl Strategy<Value = Deed> {
    let amount = prop_oneof![Just(0), 1..1000u64, 1_000_000..100_000_000u64, 1_000_000_000..30_000_000_000u64];
    let to = prop::collection::vec((0..8usize, amount, any::<bool>()), 1..4);
    let mode = prop_oneof![Just(0u8), Just(1), Just(3), Just(128), Just(160)];
    let later = prop_oneof![4 => Just(0u32), 2 => 1..1000u32, 1 => 1_000_000..100_000_000u32];
    (0..4usize, to, mode, later).prop_map(|(from, to, mode, later)| Deed { from, to, mode, later })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever wallets in either chain do, every block can be recomputed from its leaves.
    #[test]
    fn blocks_of_any_traffic_can_be_recomputed(deeds in prop::collection::vec(deed(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (devnet, _) = network().await;
            let wallets: Vec<_> = (0..4u8).map(|i| wallet(V5, i + 1)).collect();
            let mut places: Vec<_> = wallets.iter().map(|wallet| wallet.address().clone()).collect();
            places.extend((0..3).map(|i| StdAddr::new(-1, HashBytes([i; 32]))));
            places.push(StdAddr::new(0, HashBytes([9; 32])));
            for wallet in &wallets {
                devnet.faucet(wallet.address(), Nano::from_ton(100)).await.unwrap().ok().unwrap();
            }
            for deed in deeds {
                if deed.later > 0 {
                    devnet.advance(Duration::from_secs(u64::from(deed.later))).await.unwrap();
                }
                let messages: Vec<_> = deed.to.iter().map(|(to, amount, bounce)| OutMessage {
                    bounce: *bounce,
                    mode: SendMsgFlags::from_bits_retain(deed.mode),
                    ..OutMessage::new(places[*to].clone(), Nano::new(*amount))
                }).collect();
                // Whoever is spent or frozen is refused.
                let _ = send(&devnet, &wallets[deed.from], &messages).await;
            }
            check_from(&devnet, 1).await;
        });
    }
}
