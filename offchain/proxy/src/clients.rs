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
