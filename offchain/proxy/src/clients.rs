//! A client's session with the proxy.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cocoon_node::books::PayeeChannel;
use cocoon_protocol::StdAddr;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long answers of a replaced session may take to let go.
const GRACE: Duration = Duration::from_secs(5);

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

    /// Cancelled when another session takes this one's place.
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Carries an answer until it is done or the session is replaced.
    pub fn carry(&self, answer: impl Future<Output = ()> + Send + 'static) {
        let ended = self.ended.clone();
        self.answers.spawn(async move { ended.run_until_cancelled(answer).await });
    }

    /// Waits for answers under way; a link that has ended settles them as if the client had stopped.
    pub async fn settle(&self, patience: Duration) {
        self.answers.close();
        if tokio::time::timeout(patience, self.answers.wait()).await.is_err() {
            self.ended.cancel();
            let _ = tokio::time::timeout(GRACE, self.answers.wait()).await;
        }
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
        let old = self.0.lock().insert(channel.address().clone(), session.clone());
        if let Some(old) = old {
            // Its link is dead or about to be; what it has passed on is settled first.
            old.settle(GRACE).await;
            old.ended.cancel();
        }
        session
    }

    /// Forgets a session, unless another has taken its place.
    pub fn end(&self, session: &Arc<ClientSession>) {
        let mut all = self.0.lock();
        if all.get(session.channel().address()).is_some_and(|current| Arc::ptr_eq(current, session)) {
            all.remove(session.channel().address());
        }
    }
}
