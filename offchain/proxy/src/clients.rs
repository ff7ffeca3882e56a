//! A client's session with the proxy.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use cocoon_node::books::PayeeChannel;
use cocoon_protocol::StdAddr;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A client that has dialled in, the channel that it pays from, and its answers under way.
pub(crate) struct ClientSession {
    channel: Arc<PayeeChannel>,
    ended: CancellationToken,
    answers: TaskTracker,
}

impl ClientSession {
    pub fn channel(&self) -> &Arc<PayeeChannel> {
        &self.channel
    }

    /// Cancelled when the link has ended or another session takes this one's place: the client is not here any more.
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Carries an answer until it is done. It is never dropped half-way, which would leave the worker paid and our books
    /// without it; it watches [`ClientSession::ended`] instead.
    pub fn carry(&self, answer: impl Future<Output = ()> + Send + 'static) {
        self.answers.spawn(answer);
    }

    /// Ends answers under way as if the client had stopped them, and waits until they are billed.
    pub async fn settle(&self) {
        self.ended.cancel();
        self.answers.close();
        self.answers.wait().await;
    }
}

/// The sessions of all clients: one per channel at a time, so that no answer of an old link is billed after the books were
/// compared on a new one.
#[derive(Default)]
pub(crate) struct Clients(Mutex<HashMap<StdAddr, Arc<ClientSession>>>);

impl Clients {
    /// Ends the channel's old session, if there is one, and begins another.
    pub async fn begin(&self, channel: Arc<PayeeChannel>) -> Arc<ClientSession> {
        let session = Arc::new(ClientSession {
            channel: channel.clone(),
            ended: CancellationToken::new(),
            answers: TaskTracker::new(),
        });
        // A third session must not overtake: it waits for this one, and so for the first one's answers.
        let _beginning = session.answers.token();
        let old = self.0.lock().insert(channel.address().clone(), session.clone());
        if let Some(old) = old {
            // Its link is dead or about to be; what it has passed on is settled first.
            old.settle().await;
        }
        session
    }

    /// Ends all sessions, as [`ClientSession::settle`] does.
    pub async fn settle_all(&self) {
        let all: Vec<_> = self.0.lock().values().cloned().collect();
        all.iter().for_each(|session| session.ended.cancel());
        for session in all {
            session.settle().await;
        }
    }

    /// Forgets a session, unless another has taken its place.
    pub fn end(&self, session: &Arc<ClientSession>) {
        let mut all = self.0.lock();
        if all.get(session.channel().address()).is_some_and(|current| Arc::ptr_eq(current, session)) {
            all.remove(session.channel().address());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::pin::pin;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use cocoon_node::books::Ledger;
    use cocoon_payments::{PayeeBooks, PayeeTerms, Store};
    use cocoon_protocol::frame::ChannelTerms;
    use cocoon_protocol::{GlobalId, Nano, NodeKey};
    use tokio::sync::Notify;
    use tycho_types::cell::HashBytes;

    use super::*;

    fn channel(dir: &tempfile::TempDir) -> Arc<PayeeChannel> {
        let address = |n| StdAddr::new(0, HashBytes([n; 32]));
        let key = |n| NodeKey::from_seed(&[n; 32]).public();
        let terms = ChannelTerms {
            payer: address(1),
            payee: address(2),
            protocol_fee_bps: 0,
            payer_key: key(1),
            payee_key: key(2),
            salt: 0,
            challenge: 3600,
        };
        let (channel, registry) = (address(9), address(7));
        let fixed = PayeeTerms { global_id: GlobalId::DEVNET, channel, terms, expiry_margin: 600, registry };
        let store = Arc::new(Store::open(dir.path().join("store")).unwrap());
        Ledger::start(store).payee(PayeeBooks::new(fixed, Nano::new(1_000)))
    }

    /// Polls for as long as anybody can make progress.
    async fn is_pending(future: &mut (impl Future + Unpin)) -> bool {
        tokio::select! {
            biased;
            _ = future => false,
            () = async { for _ in 0..100 { tokio::task::yield_now().await } } => true,
        }
    }

    #[tokio::test]
    async fn attack_79_a_client_that_dials_again_waits_until_its_old_answers_are_billed() {
        let dir = tempfile::tempdir().unwrap();
        let (clients, channel) = (Arc::new(Clients::default()), channel(&dir));
        let first = clients.begin(channel.clone()).await;
        // An answer that takes a while to settle with its worker after it has heard that the client is gone.
        let (worker, billed) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        first.carry({
            let (ended, worker, billed) = (first.ended().clone(), worker.clone(), billed.clone());
            async move {
                ended.cancelled().await;
                worker.notified().await;
                billed.store(true, Ordering::Relaxed);
            }
        });
        let mut second = Box::pin(clients.begin(channel.clone()));
        assert!(is_pending(&mut second).await);
        assert!(first.ended().is_cancelled());
        // Whoever comes in between does not overtake.
        let mut third = pin!(clients.begin(channel.clone()));
        assert!(is_pending(&mut third).await);
        worker.notify_one();
        second.await;
        let third = tokio::time::timeout(Duration::from_secs(10), third).await.unwrap();
        assert!(billed.load(Ordering::Relaxed), "an answer is never dropped half-way");
        // The newest session is the one that counts.
        clients.end(&first);
        assert!(clients.0.lock().values().any(|s| Arc::ptr_eq(s, &third)));
    }

    #[tokio::test]
    async fn a_proxy_that_stops_settles_all_sessions() {
        let dir = tempfile::tempdir().unwrap();
        let clients = Clients::default();
        let session = clients.begin(channel(&dir)).await;
        let ended = session.ended().clone();
        session.carry(async move { ended.cancelled().await });
        clients.settle_all().await;
        assert!(session.ended().is_cancelled());
    }
}
