//! Wallets over a network that loses, delays and forgets: money moves once or not at all, and the caller knows which.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cocoon_chain::{
    AccountSnapshot, Cell, Chain, ChainError, Head, NetworkConfig, Patience, TraceError, TransactionRecord, Wallet,
    WalletError, WalletVersion, cell_hash,
};
use cocoon_devnet::Devnet;
use cocoon_protocol::{GlobalId, Hash256, Nano, StdAddr};
use common::{balance, network, pay, wallet};
use tokio::sync::watch;

/// A devnet behind a bad line.
struct Flaky {
    devnet: Devnet,
    faults: Mutex<Faults>,
}

#[derive(Default)]
struct Faults {
    /// So many messages are taken and forgotten.
    forget: usize,
    /// So many messages arrive, and the answer is lost.
    lose_answer: usize,
    /// So many looks at this account's transactions show none.
    hide: Option<(StdAddr, usize)>,
    /// After a message was sent, nothing can be asked.
    cut_after_send: bool,
    is_cut: bool,
    /// After each message that is sent, time moves.
    then_wait: Duration,
    sent: Vec<Hash256>,
}

impl Flaky {
    fn new(devnet: &Devnet, faults: Faults) -> Self {
        Self { devnet: devnet.clone(), faults: Mutex::new(faults) }
    }

    fn line(&self) -> Result<(), ChainError> {
        if self.faults.lock().unwrap().is_cut { Err(self.down()) } else { Ok(()) }
    }

    fn down(&self) -> ChainError {
        ChainError::Unreachable { network: self.devnet.network(), why: "the line is down".to_owned() }
    }

    fn sent(&self) -> Vec<Hash256> {
        self.faults.lock().unwrap().sent.clone()
    }
}

#[async_trait]
impl Chain for Flaky {
    fn network(&self) -> GlobalId {
        self.devnet.network()
    }

    async fn head(&self) -> Result<Head, ChainError> {
        self.line()?;
        self.devnet.head().await
    }

    async fn account(&self, address: &StdAddr) -> Result<AccountSnapshot, ChainError> {
        self.line()?;
        self.devnet.account(address).await
    }

    async fn transactions(
        &self,
        address: &StdAddr,
        after_lt: u64,
        limit: usize,
    ) -> Result<Vec<TransactionRecord>, ChainError> {
        self.line()?;
        if let Some((hidden, looks)) = &mut self.faults.lock().unwrap().hide
            && hidden == address
            && *looks > 0
        {
            *looks -= 1;
            return Ok(vec![]);
        }
        self.devnet.transactions(address, after_lt, limit).await
    }

    async fn config(&self) -> Result<Arc<NetworkConfig>, ChainError> {
        self.devnet.config().await
    }

    async fn send(&self, message: Cell) -> Result<Hash256, ChainError> {
        self.line()?;
        let (forget, lose, wait) = {
            let mut faults = self.faults.lock().unwrap();
            faults.sent.push(cell_hash(&message));
            let forget = faults.forget > 0;
            faults.forget = faults.forget.saturating_sub(1);
            let lose = !forget && faults.lose_answer > 0;
            faults.lose_answer -= usize::from(lose);
            faults.is_cut = faults.cut_after_send;
            (forget, lose, faults.then_wait)
        };
        let answer = if forget { Ok(cell_hash(&message)) } else { self.devnet.send(message).await };
        if !wait.is_zero() {
            self.devnet.advance(wait).await.unwrap();
        }
        if lose { Err(self.down()) } else { answer }
    }

    fn subscribe(&self) -> watch::Receiver<Head> {
        self.devnet.subscribe()
    }
}

/// A funded wallet that looks again at once and gives up soon.
async fn funded(devnet: &Devnet, kind: WalletVersion, seed: u8) -> Wallet {
    let patience = Patience { look_again: Duration::from_millis(1), give_up: Duration::from_millis(100) };
    common::funded(devnet, kind, seed).await.patient(patience)
}

async fn pay_over(faults: Faults) -> (Devnet, Flaky, StdAddr, Result<cocoon_chain::Trace, WalletError>) {
    let (devnet, _) = network().await;
    let alice = funded(&devnet, WalletVersion::V5R1, 1).await;
    let bob = wallet(WalletVersion::V5R1, 2).address().clone();
    let flaky = Flaky::new(&devnet, faults);
    let outcome = alice.send_and_confirm(&flaky, &[pay(&bob, Nano::from_ton(1))]).await;
    (devnet, flaky, bob, outcome)
}

#[tokio::test]
async fn attack_85_a_forgotten_message_is_sent_again_and_counts_once() {
    let (devnet, flaky, bob, outcome) = pay_over(Faults { forget: 3, ..Faults::default() }).await;
    outcome.unwrap().ok().unwrap();
    assert_eq!(balance(&devnet, &bob).await, Nano::from_ton(1));
    let sent = flaky.sent();
    assert_eq!(sent.len(), 4);
    assert!(sent.iter().all(|hash| *hash == sent[0]), "one signed message only, however often it is sent");
}

#[tokio::test]
async fn attack_85_a_lost_answer_does_not_pay_twice() {
    let (devnet, flaky, bob, outcome) = pay_over(Faults { lose_answer: 1, ..Faults::default() }).await;
    outcome.unwrap().ok().unwrap();
    assert_eq!(balance(&devnet, &bob).await, Nano::from_ton(1));
    assert_eq!(flaky.sent().len(), 1);
}

#[tokio::test]
async fn attack_85_a_lagging_server_that_refuses_the_repeated_message_does_not_pay_twice() {
    let (devnet, _) = network().await;
    let alice = funded(&devnet, WalletVersion::V4R2, 1).await;
    let bob = wallet(WalletVersion::V5R1, 2).address().clone();
    // The message arrives, but the wallet's transaction is not shown: sent again it is refused for its seqno.
    let hide = Some((alice.address().clone(), 2));
    let flaky = Flaky::new(&devnet, Faults { lose_answer: 1, hide, ..Faults::default() });
    let trace = alice.send_and_confirm(&flaky, &[pay(&bob, Nano::from_ton(1))]).await.unwrap();
    trace.ok().unwrap();
    assert_eq!(flaky.sent().len(), 3);
    assert_eq!(balance(&devnet, &bob).await, Nano::from_ton(1));
    assert_eq!(alice.seqno(&devnet).await.unwrap(), 1);
}

#[tokio::test]
async fn attack_85_what_expired_is_said_to_be_so_and_never_happens() {
    let faults = Faults { forget: usize::MAX, then_wait: Duration::from_secs(40), ..Faults::default() };
    let (devnet, _, bob, outcome) = pay_over(faults).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, WalletError::Expired { .. }), "{error}");
    assert_eq!(balance(&devnet, &bob).await, Nano::ZERO);
}

#[tokio::test]
async fn attack_85_when_the_network_is_gone_the_outcome_is_said_to_be_unknown() {
    let (devnet, _, bob, outcome) = pay_over(Faults { cut_after_send: true, ..Faults::default() }).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, WalletError::Unconfirmed { .. }), "{error}");
    // It did happen; a careless caller would pay again.
    assert_eq!(balance(&devnet, &bob).await, Nano::from_ton(1));
}

#[tokio::test]
async fn attack_85_what_a_message_caused_is_waited_for_and_not_for_ever() {
    for (looks, arrives) in [(5, true), (usize::MAX, false)] {
        let (devnet, _) = network().await;
        let alice = funded(&devnet, WalletVersion::V5R1, 1).await;
        let bob = wallet(WalletVersion::V5R1, 2).address().clone();
        let flaky = Flaky::new(&devnet, Faults { hide: Some((bob.clone(), looks)), ..Faults::default() });
        match alice.send_and_confirm(&flaky, &[pay(&bob, Nano::from_ton(1))]).await {
            Ok(trace) => assert!(arrives && trace.on(&bob).is_some()),
            Err(WalletError::Trace(TraceError::Stalled { account, .. })) => assert!(!arrives && account == bob),
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_failed_send_lets_the_next_one_through() {
    let (devnet, _) = network().await;
    let alice = funded(&devnet, WalletVersion::V5R1, 1).await;
    let bob = wallet(WalletVersion::V5R1, 2).address().clone();
    let faults = Faults { forget: 2, then_wait: Duration::from_secs(40), ..Faults::default() };
    let flaky = Flaky::new(&devnet, faults);
    let payment = [pay(&bob, Nano::from_ton(1))];
    let (first, second) =
        tokio::join!(alice.send_and_confirm(&flaky, &payment), alice.send_and_confirm(&flaky, &payment));
    assert!(matches!(first.unwrap_err(), WalletError::Expired { .. }));
    second.unwrap().ok().unwrap();
    assert_eq!(balance(&devnet, &bob).await, Nano::from_ton(1));
}
