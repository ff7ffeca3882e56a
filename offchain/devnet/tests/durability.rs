//! A network that is kept in a folder goes on exactly where it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::path::Path;
use std::time::Duration;

use cocoon_chain::{Chain, Wallet, WalletVersion};
use cocoon_devnet::block::Workchain;
use cocoon_devnet::{Devnet, DevnetError, ManualClock, Settings, genesis};
use cocoon_protocol::{GlobalId, Nano, UnixSeconds};
use common::{START, balance, funded, pay, wallet};

async fn open(folder: &Path) -> Result<Devnet, DevnetError> {
    open_at(folder, START).await
}

async fn open_at(folder: &Path, now: UnixSeconds) -> Result<Devnet, DevnetError> {
    let clock = Box::new(ManualClock::new(now));
    Devnet::start(Settings { folder: Some(folder.to_owned()), clock, tick: None, ..Settings::default() }).await
}

#[tokio::test]
async fn a_reopened_network_has_the_same_head_accounts_transactions_and_time() {
    let folder = tempfile::tempdir().unwrap();
    let devnet = open(folder.path()).await.unwrap();
    let alice = funded(&devnet, WalletVersion::V5R1, 1).await;
    let bob = wallet(WalletVersion::V4R2, 2);
    devnet.advance(Duration::from_secs(86_400)).await.unwrap();
    alice.send_and_confirm(&devnet, &[pay(bob.address(), Nano::from_ton(3))]).await.unwrap().ok().unwrap();

    let head = devnet.head().await.unwrap();
    let supply = devnet.supply().await.unwrap();
    let account = devnet.account(alice.address()).await.unwrap();
    let history = devnet.transactions(alice.address(), 0, 100).await.unwrap();
    let block = devnet.block(head.seqno).await.unwrap();
    assert!(history.len() == 2 && block.is_some());
    devnet.stop().await;

    let devnet = open_at(folder.path(), START.plus(5)).await.unwrap();
    assert_eq!(devnet.head().await.unwrap(), head);
    assert_eq!(*devnet.subscribe().borrow(), head);
    assert_eq!(devnet.supply().await.unwrap(), supply);
    assert_eq!(devnet.account(alice.address()).await.unwrap(), account);
    assert_eq!(devnet.transactions(alice.address(), 0, 100).await.unwrap(), history);
    assert_eq!(devnet.block(head.seqno).await.unwrap(), block);
    // A day ahead of the clock as before, and the wallet goes on with its next seqno.
    assert_eq!(devnet.tick().await.unwrap().utime, START.plus(86_405));
    let trace = alice.send_and_confirm(&devnet, &[pay(bob.address(), Nano::from_ton(4))]).await.unwrap();
    trace.ok().unwrap();
    // Five seconds of storage have their price, even for an account without code.
    let rent = trace.on(bob.address()).unwrap().storage_fees;
    assert_eq!(balance(&devnet, bob.address()).await, Nano::from_ton(7).checked_sub(rent).unwrap());
    devnet.faucet(bob.address(), Nano::from_ton(1)).await.unwrap().ok().unwrap();
    assert_eq!(devnet.supply().await.unwrap().sum(), genesis::SUPPLY);
}

#[tokio::test]
async fn what_was_on_its_way_arrives_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let devnet = open(folder.path()).await.unwrap();
    let alice = funded(&devnet, WalletVersion::V5R1, 1).await;
    let (state, address) = common::perpetual();
    let start = pay(&address, Nano::from_ton(20)).state_init(state);
    let until = devnet.head().await.unwrap().utime.plus(60);
    devnet.send(alice.sign(&[start], 0, until, true).unwrap()).await.unwrap();
    let supply = devnet.supply().await.unwrap();
    assert!(!supply.in_flight.is_zero());
    devnet.stop().await;

    let devnet = open(folder.path()).await.unwrap();
    assert_eq!(devnet.supply().await.unwrap(), supply);
    devnet.tick().await.unwrap();
    let later = devnet.supply().await.unwrap();
    assert!(later.totals.transactions > supply.totals.transactions);
    assert_eq!(later.sum(), genesis::SUPPLY);
}

#[tokio::test]
async fn a_copy_goes_on_from_where_it_was_made() {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let devnet = open(folder.path()).await.unwrap();
    let alice = funded(&devnet, WalletVersion::V5R1, 1).await;
    devnet.advance(Duration::from_secs(86_400)).await.unwrap();
    devnet.snapshot(copy.path()).await.unwrap();
    let error = devnet.snapshot(copy.path()).await.unwrap_err();
    assert!(matches!(error, DevnetError::Occupied { .. }), "{error}");
    let (head, supply) = (devnet.head().await.unwrap(), devnet.supply().await.unwrap());
    alice.send_and_confirm(&devnet, &[pay(devnet.giver(), Nano::from_ton(9))]).await.unwrap().ok().unwrap();

    let other = open(copy.path()).await.unwrap();
    assert_eq!((other.head().await.unwrap(), other.supply().await.unwrap()), (head, supply));
    let trace = alice.send_and_confirm(&other, &[pay(devnet.giver(), Nano::from_ton(1))]).await.unwrap();
    trace.ok().unwrap();
    common::check::check_from(&other, 1).await;
    // The same clock, the same messages: to the byte what the first one made at this number.
    let block =
        |devnet: Devnet| async move { devnet.sealed(Workchain::Master, head.seqno).await.unwrap().unwrap().boc };
    assert_eq!(block(devnet).await, block(other).await);
}

#[tokio::test]
async fn a_network_has_the_id_that_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    let start = |network| {
        let clock = Box::new(ManualClock::new(START));
        Devnet::start(Settings {
            folder: Some(folder.path().to_owned()),
            clock,
            tick: None,
            network,
            ..Settings::default()
        })
    };
    let devnet = start(Some(GlobalId(-77))).await.unwrap();
    assert_eq!((devnet.network(), devnet.config().await.unwrap().global_id()), (GlobalId(-77), GlobalId(-77)));
    let wallet = Wallet::new(common::key(1), WalletVersion::V5R1, GlobalId(-77)).unwrap();
    devnet.faucet(wallet.address(), Nano::from_ton(5)).await.unwrap().ok().unwrap();
    wallet.send_and_confirm(&devnet, &[pay(devnet.giver(), Nano::from_ton(1))]).await.unwrap().ok().unwrap();
    common::check::check_from(&devnet, 1).await;
    devnet.stop().await;
    let error = start(Some(GlobalId::DEVNET)).await.err().expect("a refusal");
    assert!(matches!(error, DevnetError::OtherNetwork { .. }) && error.to_string().contains("-77"), "{error}");
    let again = start(None).await.unwrap();
    assert_eq!((again.network(), again.giver()), (GlobalId(-77), devnet.giver()), "it stays what it is");
}

#[tokio::test]
async fn attack_84_one_folder_is_not_two_networks() {
    let folder = tempfile::tempdir().unwrap();
    let devnet = open(folder.path()).await.unwrap();
    let second = open(folder.path()).await.err().expect("a refusal");
    assert!(matches!(second, DevnetError::InUse { .. }), "{second}");
    devnet.stop().await;
    open(folder.path()).await.unwrap();
}

#[tokio::test]
async fn a_folder_that_is_none_and_a_file_of_something_else_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "text").unwrap();
    let error = open(&file).await.err().expect("an error");
    assert!(error.to_string().contains("file"), "{error}");

    std::fs::write(folder.path().join("devnet.redb"), [7; 4096]).unwrap();
    let error = open(folder.path()).await.err().expect("an error");
    assert!(matches!(error, DevnetError::Store { .. }) && error.to_string().contains("devnet.redb"), "{error}");
}
