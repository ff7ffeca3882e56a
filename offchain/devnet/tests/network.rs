//! The network as a whole: money, time, bounds, and what it refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::time::Duration;

use cocoon_chain::{
    AccountSnapshot, AccountStatus, Cell, Chain, ChainError, GetterError, OutMessage, RefusalReason, SendMsgFlags,
    Wallet, WalletVersion, call_getter, cell_hash, run_getter,
};
use cocoon_devnet::{Devnet, DevnetError, genesis};
use cocoon_protocol::{GlobalId, Nano, StdAddr};
use cocoon_wrappers::{GetterCall, StackValue};
use common::{START, balance, funded, network, pay, text, wallet};
use proptest::prelude::*;
use tycho_types::boc::Boc;
use tycho_types::cell::{CellBuilder, HashBytes};
use tycho_types::models::{ExtInMsgInfo, IntMsgInfo, MsgInfo, OwnedMessage};

const V5: WalletVersion = WalletVersion::V5R1;

#[tokio::test]
async fn the_network_says_which_it_is_and_where_it_stands() {
    let (devnet, clock) = network().await;
    assert_eq!(devnet.network(), GlobalId::DEVNET);
    assert_eq!(devnet.config().await.unwrap().global_id(), GlobalId::DEVNET);
    assert_eq!(devnet.config().await.unwrap().unknown_tvm_version(), None);
    assert_eq!(devnet.head().await.unwrap().utime, START);
    assert_eq!(balance(&devnet, devnet.giver()).await, genesis::SUPPLY);

    let mut heads = devnet.subscribe();
    clock.set(START.plus(5));
    let head = devnet.tick().await.unwrap();
    heads.changed().await.unwrap();
    assert_eq!((*heads.borrow(), head.seqno, head.utime), (head, 1, START.plus(5)));
    // A clock that goes back does not turn the network's back.
    clock.set(START);
    assert_eq!(devnet.tick().await.unwrap().utime, START.plus(5));
    assert_eq!(devnet.block(1).await.unwrap().unwrap().end_lt, head.lt);
    assert_eq!(devnet.block(99).await.unwrap(), None);
}

#[tokio::test]
async fn time_travel_moves_days_and_storage_is_paid_for() {
    let (devnet, clock) = network().await;
    let alice = funded(&devnet, V5, 1).await;
    alice.send_and_confirm(&devnet, &[pay(devnet.giver(), Nano::from_ton(1))]).await.unwrap().ok().unwrap();
    let before = balance(&devnet, alice.address()).await;

    let year = Duration::from_secs(365 * 86_400);
    let head = devnet.advance(year).await.unwrap();
    assert_eq!(head.utime, START.plus(365 * 86_400));
    clock.set(START.plus(10));
    assert_eq!(devnet.tick().await.unwrap().utime, START.plus(365 * 86_400 + 10));

    let trace = alice.send_and_confirm(&devnet, &[pay(devnet.giver(), Nano::from_ton(1))]).await.unwrap();
    let storage = trace.root.transaction.storage_fees;
    // 22 cells and some 5,000 bits for a year.
    assert!(storage > Nano::new(1_000_000) && storage < Nano::new(20_000_000), "{storage}");
    let spent = Nano::from_ton(1).checked_add(trace.total_fees()).unwrap();
    // The giver's own storage fee is among the fees.
    let giver_storage = trace.on(devnet.giver()).unwrap().storage_fees;
    let after = before.checked_sub(spent).unwrap().checked_add(giver_storage).unwrap();
    let giver_gas = trace.on(devnet.giver()).unwrap().total_fees.checked_sub(giver_storage).unwrap();
    assert_eq!(balance(&devnet, alice.address()).await, after.checked_add(giver_gas).unwrap());
}

#[tokio::test]
async fn the_faucet_pays_from_the_giver_and_says_when_it_cannot() {
    let (devnet, _) = network().await;
    let alice = wallet(V5, 1);
    let trace = devnet.faucet(alice.address(), Nano::from_ton(7)).await.unwrap();
    trace.ok().unwrap();
    assert_eq!(trace.root.transaction.account, *devnet.giver());
    assert_eq!(balance(&devnet, alice.address()).await, Nano::from_ton(7));
    let too_much = devnet.faucet(alice.address(), genesis::SUPPLY).await.unwrap_err();
    assert!(matches!(too_much, DevnetError::Faucet { .. }), "{too_much}");
    // At once from many sides.
    let gifts = (10..60).map(|seed| {
        let devnet = devnet.clone();
        async move { devnet.faucet(wallet(V5, seed).address(), Nano::from_ton(1)).await.unwrap().ok().unwrap() }
    });
    futures::future::join_all(gifts).await;
    for seed in 10..60 {
        assert_eq!(balance(&devnet, wallet(V5, seed).address()).await, Nano::from_ton(1));
    }
    assert_eq!(devnet.supply().await.unwrap().sum(), genesis::SUPPLY);
}

#[tokio::test]
async fn accounts_live_in_the_masterchain_too() {
    let (devnet, _) = network().await;
    let alice = funded(&devnet, V5, 1).await;
    let there = StdAddr::new(-1, HashBytes([0x42; 32]));
    alice.send_and_confirm(&devnet, &[pay(&there, Nano::from_ton(2))]).await.unwrap().ok().unwrap();
    assert_eq!(balance(&devnet, &there).await, Nano::from_ton(2));
    assert_eq!(balance(&devnet, &StdAddr::new(0, HashBytes([0x42; 32]))).await, Nano::ZERO);
    // Nobody lives anywhere else: the wallet cannot send it, and keeps its money.
    let nowhere = StdAddr::new(5, HashBytes([0x42; 32]));
    let trace = alice.send_and_confirm(&devnet, &[pay(&nowhere, Nano::from_ton(2))]).await.unwrap();
    trace.ok().unwrap_err();
    assert_eq!(trace.transactions().len(), 1);
    assert_eq!(devnet.supply().await.unwrap().sum(), genesis::SUPPLY);
}

#[tokio::test]
async fn a_contract_that_never_stops_is_bounded_and_ends_with_its_money() {
    let (devnet, _) = network().await;
    let alice = funded(&devnet, V5, 1).await;
    let (state, address) = common::perpetual();
    let start = OutMessage::new(address.clone(), Nano::from_ton(20)).state_init(state).no_bounce();
    let until = devnet.head().await.unwrap().utime.plus(60);
    devnet.send(alice.sign(&[start], 0, until, true).unwrap()).await.unwrap();
    let supply = devnet.supply().await.unwrap();
    assert!(supply.totals.transactions > 1000, "{supply:?}");
    assert!(supply.totals.transactions < 10_000, "{supply:?}");
    assert!(!supply.in_flight.is_zero(), "it goes on: {supply:?}");
    assert_eq!(supply.sum(), genesis::SUPPLY);
    // Others are served meanwhile.
    devnet.faucet(wallet(V5, 2).address(), Nano::from_ton(1)).await.unwrap().ok().unwrap();
    for _ in 0..200 {
        devnet.tick().await.unwrap();
        if devnet.supply().await.unwrap().in_flight.is_zero() {
            break;
        }
    }
    let supply = devnet.supply().await.unwrap();
    assert!(supply.in_flight.is_zero(), "{supply:?}");
    assert_eq!(supply.sum(), genesis::SUPPLY);
    // Its history can be read in pages without a gap.
    let mut after_lt = 0;
    let mut count = 0;
    let mut newest = cocoon_protocol::Hash256::default();
    loop {
        let page = devnet.transactions(&address, after_lt, 300).await.unwrap();
        let Some(last) = page.last() else { break };
        for transaction in &page {
            assert_eq!((transaction.prev_lt, transaction.prev_hash), (after_lt, newest));
            (after_lt, newest) = (transaction.lt, transaction.hash);
            count += 1;
        }
        assert_eq!(after_lt, last.lt);
    }
    assert!(count > 1000, "{count}");
}

#[tokio::test]
async fn getters_run_on_the_state_and_name_what_fails() {
    let (devnet, _) = network().await;
    let alice = funded(&devnet, V5, 1).await;
    let seqno = GetterCall { name: "seqno", args: vec![] };
    let missing = call_getter(&devnet, alice.address(), &seqno).await.unwrap_err();
    assert!(matches!(missing, GetterError::NoCode { status: AccountStatus::Uninit, .. }), "{missing}");
    alice.send_and_confirm(&devnet, &[]).await.unwrap().ok().unwrap();
    assert_eq!(call_getter(&devnet, alice.address(), &seqno).await.unwrap().len(), 1);
    let unknown = GetterCall { name: "no_such_getter", args: vec![] };
    let error = call_getter(&devnet, alice.address(), &unknown).await.unwrap_err();
    assert!(matches!(error, GetterError::Exit { exit_code: 11, .. }), "{error}");
    assert!(error.to_string().contains("no_such_getter") && error.to_string().contains(&alice.address().to_string()));
}

#[tokio::test]
async fn getters_follow_the_rules_of_the_networks_version() {
    let (devnet, _) = network().await;
    let config = devnet.config().await.unwrap();
    assert_eq!(config.tvm_version(), 12);
    // DROP, NEWC, BTOS, SBITS: there is no BTOS before version 12.
    let (state, address) = common::contract("30c8cf50d749", 0);
    let account = AccountSnapshot::hypothetical(address, state, Nano::from_ton(1), devnet.head().await.unwrap());
    let call = GetterCall { name: "anything", args: vec![] };
    let output = run_getter(&account, &config, &call).unwrap();
    assert_eq!(output.stack, [StackValue::Int(0.into())]);
}

fn external(to: impl Into<tycho_types::models::IntAddr>, body: Cell) -> Cell {
    let info = MsgInfo::ExtIn(ExtInMsgInfo { dst: to.into(), ..Default::default() });
    CellBuilder::build_from(OwnedMessage { info, init: None, body: body.into(), layout: None }).unwrap()
}

async fn refused(devnet: &Devnet, message: Cell) -> RefusalReason {
    let hash = cell_hash(&message);
    match devnet.send(message).await.unwrap_err() {
        ChainError::Refused(refusal) => {
            assert_eq!(refusal.message, hash);
            refusal.reason
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn malformed_messages_are_refused_and_change_nothing() {
    let (devnet, _) = network().await;
    let alice = funded(&devnet, V5, 1).await;
    let head = devnet.head().await.unwrap();
    let malformed = |reason: RefusalReason| assert!(matches!(reason, RefusalReason::Malformed(_)), "{reason}");

    malformed(refused(&devnet, Cell::default()).await);
    malformed(refused(&devnet, text("hello")).await);
    // From inside, as if a contract had sent it: money out of nothing.
    let internal = CellBuilder::build_from(OwnedMessage {
        info: MsgInfo::Int(IntMsgInfo {
            src: devnet.giver().clone().into(),
            dst: alice.address().clone().into(),
            value: tycho_types::models::CurrencyCollection::new(1_000_000_000),
            ..Default::default()
        }),
        init: None,
        body: Cell::default().into(),
        layout: None,
    });
    malformed(refused(&devnet, internal.unwrap()).await);
    // To where nobody can be.
    malformed(refused(&devnet, external(StdAddr::new(3, HashBytes::ZERO), Cell::default())).await);
    // Too deep.
    let mut deep = Cell::default();
    for _ in 0..600 {
        deep = CellBuilder::build_from(deep).unwrap();
    }
    malformed(refused(&devnet, external(alice.address().clone(), deep)).await);
    // Too large: 1,000 different cells of 120 bytes.
    let mut large = Cell::default();
    let mut leaves = (0..1000u32).map(|i| {
        let mut builder = CellBuilder::new();
        builder.store_u32(i).unwrap();
        builder.store_raw(&[0x5a; 116], 928).unwrap();
        builder.build().unwrap()
    });
    loop {
        let mut builder = CellBuilder::new();
        builder.store_reference(large.clone()).unwrap();
        let three: Vec<_> = leaves.by_ref().take(3).collect();
        if three.is_empty() {
            break;
        }
        three.into_iter().for_each(|leaf| builder.store_reference(leaf).unwrap());
        large = builder.build().unwrap();
    }
    malformed(refused(&devnet, external(alice.address().clone(), large)).await);
    // A library cell as root.
    let mut library = CellBuilder::new();
    library.set_exotic(true);
    library.store_u8(2).unwrap();
    library.store_u256(&HashBytes([7; 32])).unwrap();
    malformed(refused(&devnet, library.build().unwrap()).await);
    // Somebody else's code and data.
    let stranger = Wallet::new(common::key(9), V5, GlobalId::MAINNET).unwrap();
    let init = Some(stranger.state_init().clone());
    let info = MsgInfo::ExtIn(ExtInMsgInfo { dst: alice.address().clone().into(), ..Default::default() });
    let message = OwnedMessage { info, init, body: Cell::default().into(), layout: None };
    malformed(refused(&devnet, CellBuilder::build_from(message).unwrap()).await);
    // Nobody there at all.
    let nobody = external(StdAddr::new(0, HashBytes([9; 32])), Cell::default());
    assert_eq!(refused(&devnet, nobody).await, RefusalReason::NoContract);

    assert_eq!(devnet.head().await.unwrap(), head, "no block was made for any of them");
}

#[tokio::test]
async fn no_bytes_from_outside_end_the_network() {
    let (devnet, _) = network().await;
    let alice = funded(&devnet, V5, 1).await;
    alice.send_and_confirm(&devnet, &[]).await.unwrap().ok().unwrap();
    let until = devnet.head().await.unwrap().utime.plus(60);
    let good = Boc::encode(alice.sign(&[pay(devnet.giver(), Nano::from_ton(1))], 1, until, false).unwrap());
    let before = balance(&devnet, alice.address()).await;
    let mut decoded = 0;
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(cell) = Boc::decode(&bytes)
            && cell.repr_hash() != Boc::decode(&good).unwrap().repr_hash()
        {
            decoded += 1;
            devnet.send(cell).await.unwrap_err();
        }
    }
    assert!(decoded > 500, "{decoded}");
    assert_eq!(balance(&devnet, alice.address()).await, before);
    devnet.send(Boc::decode(good).unwrap()).await.unwrap();
}

#[tokio::test]
async fn after_it_is_stopped_every_handle_says_so() {
    let (devnet, _) = network().await;
    let other = devnet.clone();
    devnet.stop().await;
    assert!(matches!(other.head().await.unwrap_err(), ChainError::Unreachable { .. }));
    assert!(matches!(other.tick().await.unwrap_err(), DevnetError::Stopped));
    other.stop().await;
}

/// One random deed: who pays whom, how much, in which way.
#[derive(Clone, Debug)]
struct Deed {
    from: usize,
    to: usize,
    amount: u64,
    bounce: bool,
    mode: u8,
    later: u32,
}

fn deed() -> impl Strategy<Value = Deed> {
    let amount = prop_oneof![Just(0), 1..1000u64, 1_000_000..100_000_000u64, 1_000_000_000..200_000_000_000u64];
    let mode = prop_oneof![Just(0u8), Just(1), Just(3), Just(128), Just(160), Just(64)];
    let later = prop_oneof![4 => Just(0u32), 2 => 1..1000u32, 1 => 1_000_000..100_000_000u32];
    (0..4usize, 0..8usize, amount, any::<bool>(), mode, later)
        .prop_map(|(from, to, amount, bounce, mode, later)| Deed { from, to, amount, bounce, mode, later })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever wallets do over years, no nano appears or vanishes. Proptest prints the deeds of a failing case, and keeps
    /// its seed beside this file.
    #[test]
    fn money_is_conserved_to_the_nano(deeds in prop::collection::vec(deed(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (devnet, _) = network().await;
            let kinds = [V5, WalletVersion::V4R2];
            let wallets: Vec<_> = (0..8u8).map(|i| wallet(kinds[usize::from(i) % 2], i + 1)).collect();
            for wallet in &wallets[..4] {
                devnet.faucet(wallet.address(), Nano::from_ton(100)).await.unwrap().ok().unwrap();
            }
            for deed in deeds {
                if deed.later > 0 {
                    devnet.advance(Duration::from_secs(u64::from(deed.later))).await.unwrap();
                }
                let (from, to) = (&wallets[deed.from], wallets[deed.to].address());
                let message = OutMessage {
                    bounce: deed.bounce,
                    mode: SendMsgFlags::from_bits_retain(deed.mode),
                    ..OutMessage::new(to.clone(), Nano::new(deed.amount))
                };
                let before = snapshots(&devnet, &wallets).await;
                match from.send_and_confirm(&devnet, &[message]).await {
                    Ok(trace) => {
                        let after = snapshots(&devnet, &wallets).await;
                        cocoon_chain::trace::check_balances(&before, &after, [&trace]).unwrap();
                    }
                    // Spent, frozen or too poor: refused, and nothing happened.
                    Err(e) => {
                        assert!(e.refusal().is_some(), "{e}");
                        assert_eq!(balances(&before), balances(&snapshots(&devnet, &wallets).await));
                    }
                }
                let supply = devnet.supply().await.unwrap();
                assert_eq!(supply.sum(), genesis::SUPPLY, "{supply:?}");
                assert_eq!(supply.in_flight, Nano::ZERO);
            }
        });
    }
}

async fn snapshots(devnet: &Devnet, wallets: &[Wallet]) -> Vec<cocoon_chain::AccountSnapshot> {
    let mut all = vec![];
    for wallet in wallets {
        all.push(devnet.account(wallet.address()).await.unwrap());
    }
    all
}

fn balances(snapshots: &[cocoon_chain::AccountSnapshot]) -> Vec<Nano> {
    snapshots.iter().map(|snapshot| snapshot.balance).collect()
}
