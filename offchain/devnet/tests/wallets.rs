//! Wallets of both kinds on a real TVM: what arrives, what comes back, what is refused, and that money adds up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::time::Duration;

use cocoon_chain::message::MessageKind;
use cocoon_chain::trace::{Failure, check_balances};
use cocoon_chain::{
    AccountStatus, Chain, ChainError, OutMessage, RefusalReason, SendMsgFlags, Wallet, WalletError, WalletVersion,
};
use cocoon_protocol::{GlobalId, Nano, UnixSeconds};
use common::{funded, network, pay, text, wallet};
use tycho_types::cell::CellBuilder;

const KINDS: [WalletVersion; 2] = [WalletVersion::V4R2, WalletVersion::V5R1];

#[tokio::test]
async fn the_first_message_deploys_and_transfers_arrive_to_the_nano() {
    for kind in KINDS {
        let (devnet, _) = network().await;
        let alice = funded(&devnet, kind, 1).await;
        let bob = wallet(kind, 2);
        assert_eq!(devnet.account(alice.address()).await.unwrap().status, AccountStatus::Uninit);
        assert_eq!(alice.seqno(&devnet).await.unwrap(), 0);

        let before = [devnet.account(alice.address()).await.unwrap(), devnet.account(bob.address()).await.unwrap()];
        let amount = Nano::new(1_234_567_891);
        let pay = OutMessage::new(bob.address().clone(), amount).no_bounce().body(text("thanks"));
        let trace = alice.send_and_confirm(&devnet, &[pay]).await.unwrap();
        trace.ok().unwrap();

        let after = [devnet.account(alice.address()).await.unwrap(), devnet.account(bob.address()).await.unwrap()];
        assert_eq!(after[0].status, AccountStatus::Active);
        assert_eq!(after[1].status, AccountStatus::Uninit);
        assert_eq!(after[1].balance, amount);
        assert_eq!(alice.seqno(&devnet).await.unwrap(), 1);
        check_balances(&before, &after, [&trace]).unwrap();
        let fees = trace.total_fees();
        assert_eq!(before[0].balance.checked_sub(amount).unwrap().checked_sub(fees).unwrap(), after[0].balance);
        assert_eq!(trace.balance_changes().values().sum::<i128>(), -i128::from(fees.get()));
        assert_eq!(trace.transactions().len(), 2);
        assert!(trace.root.transaction.gas_used() > 0);
    }
}

#[tokio::test]
async fn money_that_nobody_takes_comes_back_less_the_way() {
    for kind in KINDS {
        let (devnet, _) = network().await;
        let alice = funded(&devnet, kind, 1).await;
        let nobody = wallet(kind, 3);
        let pay = OutMessage::new(nobody.address().clone(), Nano::from_ton(1));
        let trace = alice.send_and_confirm(&devnet, &[pay]).await.unwrap();

        let failure = trace.ok().unwrap_err();
        assert_eq!(failure.account, *nobody.address());
        assert!(matches!(failure.failure, Failure::Skipped(_)), "{failure}");
        let transactions = trace.transactions();
        assert_eq!(transactions.len(), 3);
        assert!(transactions[1].bounced_back);
        assert!(transactions[2].in_message.as_ref().unwrap().bounced);
        assert_eq!(transactions[2].account, *alice.address());
        assert_eq!(devnet.account(nobody.address()).await.unwrap().balance, Nano::ZERO);
        assert_eq!(devnet.account(nobody.address()).await.unwrap().status, AccountStatus::NotExists);
    }
}

#[tokio::test]
async fn a_wrong_seqno_is_refused_with_the_contracts_exit_code() {
    for (kind, code) in [(WalletVersion::V4R2, 33), (WalletVersion::V5R1, 133)] {
        let (devnet, _) = network().await;
        let alice = funded(&devnet, kind, 1).await;
        let pay = OutMessage::new(wallet(kind, 2).address().clone(), Nano::from_ton(1)).no_bounce();
        alice.send_and_confirm(&devnet, std::slice::from_ref(&pay)).await.unwrap().ok().unwrap();
        let balance = devnet.account(alice.address()).await.unwrap().balance;

        let until = devnet.head().await.unwrap().utime.plus(60);
        for seqno in [0, 2] {
            let message = alice.sign(std::slice::from_ref(&pay), seqno, until, false).unwrap();
            let refused = devnet.send(message).await.unwrap_err();
            let ChainError::Refused(refusal) = refused else { panic!("{refused}") };
            assert_eq!(refusal.exit_code(), Some(code), "{refusal}");
            assert_eq!(refusal.account.as_ref(), Some(alice.address()));
        }
        assert_eq!(devnet.account(alice.address()).await.unwrap().balance, balance);
    }
}

#[tokio::test]
async fn the_same_signed_message_counts_once() {
    for kind in KINDS {
        let (devnet, _) = network().await;
        let alice = funded(&devnet, kind, 1).await;
        let bob = wallet(kind, 2);
        let pay = OutMessage::new(bob.address().clone(), Nano::from_ton(1)).no_bounce();
        let until = devnet.head().await.unwrap().utime.plus(60);
        let message = alice.sign(&[pay], 0, until, true).unwrap();
        devnet.send(message.clone()).await.unwrap();
        devnet.send(message).await.unwrap_err();
        assert_eq!(devnet.account(bob.address()).await.unwrap().balance, Nano::from_ton(1));
    }
}

#[tokio::test]
async fn a_message_that_the_balance_does_not_cover_still_uses_up_its_seqno() {
    // Otherwise the same signed message could be replayed, and each time the wallet would pay for its gas.
    for kind in KINDS {
        let (devnet, _) = network().await;
        let alice = funded(&devnet, kind, 1).await;
        let pay = OutMessage::new(wallet(kind, 2).address().clone(), Nano::from_ton(1_000_000)).no_bounce();
        let trace = alice.send_and_confirm(&devnet, &[pay]).await.unwrap();
        let failure = trace.ok().unwrap_err();
        assert_eq!(failure.failure, Failure::NotSent { skipped: 1, total: 1 });
        assert_eq!(alice.seqno(&devnet).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn an_expired_message_is_refused() {
    for (kind, code) in [(WalletVersion::V4R2, 36), (WalletVersion::V5R1, 136)] {
        let (devnet, _) = network().await;
        let alice = funded(&devnet, kind, 1).await;
        let pay = OutMessage::new(wallet(kind, 2).address().clone(), Nano::from_ton(1)).no_bounce();
        let now = devnet.head().await.unwrap().utime;
        let message = alice.sign(std::slice::from_ref(&pay), 0, now.plus(60), true).unwrap();
        devnet.advance(Duration::from_secs(61)).await.unwrap();
        let refused = devnet.send(message).await.unwrap_err();
        let ChainError::Refused(refusal) = refused else { panic!("{refused}") };
        assert_eq!(refusal.exit_code(), Some(code), "{refusal}");
        // A second before the end it is still good.
        let now = devnet.head().await.unwrap().utime;
        let message = alice.sign(&[pay], 0, now.plus(60), true).unwrap();
        devnet.advance(Duration::from_secs(59)).await.unwrap();
        devnet.send(message).await.unwrap();
    }
}

#[tokio::test]
async fn a_message_of_another_key_is_refused() {
    for (kind, code) in [(WalletVersion::V4R2, 35), (WalletVersion::V5R1, 135)] {
        let (devnet, _) = network().await;
        let alice = funded(&devnet, kind, 1).await;
        let mallory = wallet(kind, 6);
        let pay = OutMessage::new(mallory.address().clone(), Nano::from_ton(1)).no_bounce();
        alice.send_and_confirm(&devnet, std::slice::from_ref(&pay)).await.unwrap().ok().unwrap();
        let until = devnet.head().await.unwrap().utime.plus(60);
        let signed = mallory.sign(&[pay], 1, until, false).unwrap();
        let redirected = common::redirect(&signed, alice.address());
        let refused = devnet.send(redirected).await.unwrap_err();
        let ChainError::Refused(refusal) = refused else { panic!("{refused}") };
        assert_eq!(refusal.exit_code(), Some(code), "{refusal}");
    }
}

#[tokio::test]
async fn attack_4_a_message_signed_for_another_network_is_refused() {
    let (devnet, _) = network().await;
    let alice = funded(&devnet, WalletVersion::V5R1, 1).await;
    let pay = OutMessage::new(wallet(WalletVersion::V5R1, 2).address().clone(), Nano::from_ton(1)).no_bounce();
    alice.send_and_confirm(&devnet, std::slice::from_ref(&pay)).await.unwrap().ok().unwrap();

    // The same key's wallet on mainnet has another address, and what it signs is refused here.
    let on_mainnet = Wallet::new(common::key(1), WalletVersion::V5R1, GlobalId::MAINNET).unwrap();
    assert_ne!(on_mainnet.address(), alice.address());
    let until = devnet.head().await.unwrap().utime.plus(60);
    let signed = on_mainnet.sign(std::slice::from_ref(&pay), 1, until, false).unwrap();
    let refused = devnet.send(common::redirect(&signed, alice.address())).await.unwrap_err();
    assert!(matches!(&refused, ChainError::Refused(r) if r.exit_code() == Some(134)), "{refused}");

    let refused = on_mainnet.send_and_confirm(&devnet, &[pay]).await.unwrap_err();
    assert!(matches!(refused, WalletError::WrongNetwork { .. }), "{refused}");
}

#[tokio::test]
async fn a_hundred_sends_at_once_from_one_wallet_arrive_once_each() {
    for kind in KINDS {
        let (devnet, _) = network().await;
        let alice = funded(&devnet, kind, 1).await;
        let bob = wallet(kind, 2);
        let sends = (0..100u64).map(|i| {
            let (alice, devnet) = (alice.clone(), devnet.clone());
            let pay = OutMessage::new(bob.address().clone(), Nano::new(1_000_000 + (1 << 20) * i)).no_bounce();
            async move { alice.send_and_confirm(&devnet, &[pay]).await.unwrap().ok().unwrap() }
        });
        futures::future::join_all(sends).await;
        let mut arrived: Vec<u64> = devnet
            .transactions(bob.address(), 0, 1000)
            .await
            .unwrap()
            .iter()
            .map(|t| t.in_message.as_ref().unwrap().value.get())
            .collect();
        arrived.sort_unstable();
        let expected: Vec<u64> = (0..100).map(|i| 1_000_000 + (1 << 20) * i).collect();
        assert_eq!(arrived, expected);
        assert_eq!(alice.seqno(&devnet).await.unwrap(), 100);
    }
}

#[tokio::test]
async fn many_messages_at_once_leave_in_the_order_given() {
    for (kind, count) in [(WalletVersion::V4R2, 4u64), (WalletVersion::V5R1, 255)] {
        let (devnet, _) = network().await;
        let alice = funded(&devnet, kind, 1).await;
        let bob = wallet(kind, 2);
        let message = |i| OutMessage::new(bob.address().clone(), Nano::new(1_000_000 + i)).no_bounce();
        let all: Vec<_> = (0..count).map(message).collect();
        let trace = alice.send_and_confirm(&devnet, &all).await.unwrap();
        trace.ok().unwrap();
        let values: Vec<u64> = trace.root.transaction.out_messages.iter().map(|m| m.value.get()).collect();
        assert_eq!(values, (0..count).map(|i| 1_000_000 + i).collect::<Vec<_>>());
        assert!(trace.root.transaction.out_messages.iter().all(|m| m.kind == MessageKind::Internal));

        let too_many: Vec<_> = (0..=count).map(message).collect();
        let refused = alice.send(&devnet, &too_many).await.unwrap_err();
        assert!(matches!(refused, WalletError::TooMany { .. }), "{refused}");
    }
}

#[tokio::test]
async fn modes_are_kept() {
    for kind in KINDS {
        let (devnet, _) = network().await;
        let alice = funded(&devnet, kind, 1).await;
        let bob = wallet(kind, 2);
        let all = OutMessage::new(bob.address().clone(), Nano::ZERO).no_bounce().mode(SendMsgFlags::ALL_BALANCE);
        alice.send_and_confirm(&devnet, &[all]).await.unwrap().ok().unwrap();
        assert_eq!(devnet.account(alice.address()).await.unwrap().balance, Nano::ZERO);
        assert!(devnet.account(bob.address()).await.unwrap().balance > Nano::from_ton(99));
    }
}

#[tokio::test]
async fn a_wallet_without_money_says_what_is_missing() {
    let (devnet, _) = network().await;
    let poor = wallet(WalletVersion::V5R1, 9);
    let pay = OutMessage::new(devnet.giver().clone(), Nano::from_ton(1));
    let refused = poor.send_and_confirm(&devnet, &[pay]).await.unwrap_err();
    let refusal = refused.refusal().expect("a refusal");
    assert_eq!(refusal.reason, RefusalReason::NoFunds, "{refusal}");

    let until = UnixSeconds(u32::MAX);
    let refused = devnet.send(poor.sign(&[], 0, until, false).unwrap()).await.unwrap_err();
    assert!(matches!(&refused, ChainError::Refused(r) if r.reason == RefusalReason::NoContract), "{refused}");
}

#[tokio::test]
async fn bodies_of_every_size_arrive_whole_with_and_without_a_state_init() {
    for kind in KINDS {
        let (devnet, _) = network().await;
        let alice = funded(&devnet, kind, 1).await;
        let sizes = [0, 31, 256, 310, 311, 420, 598, 599, 800, 1023];
        let shapes = sizes.iter().flat_map(|bits| [0, 1, 3, 4].map(|refs| (*bits, refs)));
        for (i, (bits, refs)) in shapes.enumerate() {
            let mut body = CellBuilder::new();
            body.store_zeros(bits).unwrap();
            (0..refs).for_each(|_| body.store_reference(text("below")).unwrap());
            let body = body.build().unwrap();
            let to = Wallet::with_wallet_id(common::key(7), kind, devnet.network(), i as i32).unwrap();
            for deploy in [false, true] {
                let mut message = pay(to.address(), Nano::from_ton(1)).body(body.clone());
                if deploy {
                    message = message.state_init(to.state_init().clone());
                }
                let trace = alice.send_and_confirm(&devnet, &[message]).await.unwrap();
                let what = format!("{kind}, {bits} bits, {refs} references, deploy {deploy}");
                let arrived = trace.on(to.address()).expect(&what).in_message.as_ref().unwrap();
                assert_eq!((&arrived.body, arrived.has_state_init), (&body, deploy), "{what}");
            }
        }
    }
}
