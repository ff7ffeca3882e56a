//! One liteserver: its connection, made anew when it breaks, and what is known of its health.

use std::collections::HashMap;
use std::time::Duration;

use cocoon_lite::frame::Asked;
use cocoon_lite::queries::WaitMasterchainSeqno;
use cocoon_lite::{Answer, BlockIdExt, Connection, ConnectionError, Frame, Query, wrap_query};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tycho_types::cell::HashBytes;

use super::error::ProofError;
use super::settings::ServerAddress;

/// Questions that may be open on one connection.
const OPEN_QUESTIONS: usize = 256;

/// A server that failed is left alone for this time, and for twice as long each time that it fails again, up to the longest.
const FIRST_REST: Duration = Duration::from_millis(200);
const LONGEST_REST: Duration = Duration::from_secs(30);

/// Code of an error that says: what was waited for did not happen in time.
pub(super) const TIMEOUT: i32 = 652;

/// A server did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum ServerError {
    #[error("it cannot be reached: {0}")]
    Connection(String),
    #[error("it did not answer within {} ms", .0.as_millis())]
    Stalled(Duration),
    #[error("its answer cannot be read: {0}")]
    Garbled(String),
    #[error("it answered with error {code}: {message}")]
    Refused { code: i32, message: String },
    #[error("its answer is false: {0}")]
    False(#[from] ProofError),
    #[error("its newest block is {claimed}, older than block {known}, which was seen before")]
    WentBack { claimed: u32, known: u32 },
}

impl ServerError {
    /// Whether an honest server cannot say that.
    const fn is_lie(&self) -> bool {
        match self {
            Self::False(proof) => !matches!(proof, ProofError::Unsupported { .. }),
            Self::Garbled(_) => true,
            _ => false,
        }
    }

    /// Whether it is mended as soon as the server answers.
    const fn is_of_contact(&self) -> bool {
        matches!(self, Self::Connection(_) | Self::Stalled(_) | Self::Refused { .. })
    }
}

/// The newest block that a server says it has. Nothing is proven by that.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub id: BlockIdExt,
    pub utime: u32,
}

#[derive(Debug, Default)]
struct Health {
    /// How long it takes to answer, on average.
    latency: Option<Duration>,
    failures: u32,
    /// It is left alone for a while.
    resting_until: Option<Instant>,
    /// It lied, and is asked only if there is no other.
    distrusted_until: Option<Instant>,
    /// What was wrong last, until it answers well again.
    trouble: Option<ServerError>,
    /// By how many seconds it is behind, if it is.
    behind: Option<u32>,
    claim: Option<Claim>,
    last_success: Option<Instant>,
}

impl Health {
    /// It lied, not long ago.
    fn is_distrusted(&self) -> bool {
        self.distrusted_until.is_some_and(|until| until > Instant::now())
    }
}

/// A liteserver.
pub(super) struct Server {
    pub name: String,
    address: ServerAddress,
    link: tokio::sync::Mutex<Option<Link>>,
    health: Mutex<Health>,
}

impl Server {
    pub fn new(address: ServerAddress) -> Self {
        let name = address.address.to_string();
        Self { name, address, link: tokio::sync::Mutex::new(None), health: Mutex::default() }
    }

    /// Asks. Says nothing about health: what an answer is worth, the caller knows.
    pub async fn ask(
        &self,
        query: &Query,
        wait: Option<&WaitMasterchainSeqno>,
        timeout: Duration,
    ) -> Result<Answer, ServerError> {
        let begin = Instant::now();
        let asking = async {
            let (reply, answer) = oneshot::channel();
            let questions = self.questions().await?;
            let lost = || ServerError::Connection("the connection ended".to_owned());
            questions.send(Question { query: wrap_query(query, wait), reply }).await.map_err(|_| lost())?;
            answer.await.map_err(|_| lost())
        };
        let Ok(answered) = tokio::time::timeout(timeout, asking).await else {
            // Perhaps the connection hangs; the next question makes a new one.
            self.hang_up().await;
            return Err(ServerError::Stalled(timeout));
        };
        let answer = Answer::from_bytes(&answered?).map_err(|e| ServerError::Garbled(e.to_string()))?;
        if wait.is_none() {
            self.took(begin.elapsed());
        }
        match answer {
            Answer::Error(error) => {
                // Words of a stranger, for logs: not too many.
                let message = error.message.chars().filter(|c| !c.is_control()).take(300).collect();
                Err(ServerError::Refused { code: error.code, message })
            }
            answer => Ok(answer),
        }
    }

    async fn questions(&self) -> Result<mpsc::Sender<Question>, ServerError> {
        let mut link = self.link.lock().await;
        if let Some(link) = link.as_ref().filter(|link| !link.questions.is_closed()) {
            return Ok(link.questions.clone());
        }
        let connection = Connection::connect(self.address.address, &self.address.key);
        let connection = connection.await.map_err(|e| ServerError::Connection(e.to_string()))?;
        let made = Link::new(connection);
        let questions = made.questions.clone();
        *link = Some(made);
        Ok(questions)
    }

    async fn hang_up(&self) {
        // If somebody is connecting, there is nothing to hang up.
        if let Ok(mut link) = self.link.try_lock() {
            *link = None;
        }
    }

    fn took(&self, time: Duration) {
        let mut health = self.health.lock();
        health.latency = Some(health.latency.map_or(time, |before| (before * 7 + time) / 8));
    }

    /// It answered.
    pub fn succeeded(&self) {
        let mut health = self.health.lock();
        health.failures = 0;
        health.resting_until = None;
        // What was wrong with its proofs, only a proof can mend.
        if health.trouble.as_ref().is_none_or(ServerError::is_of_contact) {
            health.trouble = None;
            health.last_success = Some(Instant::now());
        }
    }

    /// It gave a proof that holds.
    pub fn proved(&self) {
        self.succeeded();
        let mut health = self.health.lock();
        health.last_success = Some(Instant::now());
        if !health.is_distrusted() {
            health.trouble = None;
        }
    }

    /// It did badly. A false answer is worse than none.
    pub fn failed(&self, error: &ServerError, distrust: Duration) {
        let now = Instant::now();
        let mut health = self.health.lock();
        if error.is_lie() {
            tracing::warn!(server = %self.name, %error, "a liteserver is not to be trusted");
            health.distrusted_until = Some(now + distrust);
            health.claim = None;
        } else {
            tracing::debug!(server = %self.name, %error, "a liteserver failed");
        }
        // What it refuses, others may have: it works.
        let steps = if matches!(error, ServerError::Refused { .. }) { 0 } else { health.failures.min(10) };
        health.resting_until = Some(now + FIRST_REST.saturating_mul(1 << steps).min(LONGEST_REST));
        health.failures = health.failures.saturating_add(1);
        if error.is_lie() || !health.is_distrusted() {
            // Not answering does not make up for having proven nothing.
            let keep = error.is_of_contact() && health.trouble.as_ref().is_some_and(|before| !before.is_of_contact());
            if !keep {
                health.trouble = Some(error.clone());
            }
        }
    }

    /// Its word about its newest block is worth nothing.
    pub fn unclaim(&self) {
        self.health.lock().claim = None;
    }

    /// For how much longer it should be left alone.
    pub fn rest(&self) -> Duration {
        let until = self.health.lock().resting_until;
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    pub fn claimed(&self, claim: Claim) {
        self.health.lock().claim = Some(claim);
    }

    pub fn claim(&self) -> Option<Claim> {
        self.health.lock().claim.clone()
    }

    /// Compares it with the newest block that is proven.
    pub fn compare(&self, utime: u32, max_lag: Duration) {
        let mut health = self.health.lock();
        let lag = health.claim.as_ref().map_or(0, |claim| utime.saturating_sub(claim.utime));
        let behind = u64::from(lag) > max_lag.as_secs();
        if behind && health.behind.is_none() {
            tracing::warn!(server = %self.name, seconds = lag, "a liteserver is behind");
        }
        health.behind = behind.then_some(lag);
    }

    /// The lower, the sooner it is asked.
    pub fn rank(&self) -> (bool, bool, bool, Duration) {
        let health = self.health.lock();
        let resting = health.resting_until.is_some_and(|until| until > Instant::now());
        let latency = health.latency.unwrap_or_default().saturating_mul(health.failures.saturating_add(1));
        (health.is_distrusted(), resting, health.behind.is_some(), latency)
    }

    /// When it last said something that can be believed.
    pub fn last_success(&self) -> Option<Instant> {
        self.health.lock().last_success
    }

    /// Whether it said or failed to say anything yet.
    pub fn was_heard(&self) -> bool {
        let health = self.health.lock();
        health.claim.is_some() || health.trouble.is_some()
    }

    /// What is wrong with it; none if nothing is.
    pub fn trouble(&self) -> Option<String> {
        let health = self.health.lock();
        match (&health.trouble, health.behind) {
            (Some(error), _) => Some(format!("{}: {error}", self.name)),
            (None, Some(seconds)) => Some(format!("{}: it is {seconds} s behind", self.name)),
            (None, None) => None,
        }
    }
}

struct Question {
    query: Vec<u8>,
    reply: oneshot::Sender<Vec<u8>>,
}

/// A connection that stands. Dropping it ends the task that serves it.
struct Link {
    questions: mpsc::Sender<Question>,
    task: AbortHandle,
}

impl Link {
    fn new(connection: Connection) -> Self {
        let (questions, asked) = mpsc::channel(OPEN_QUESTIONS);
        let task = tokio::spawn(async move {
            if let Err(error) = serve(connection, asked).await {
                tracing::debug!(%error, "a connection to a liteserver ended");
            }
        });
        Self { questions, task: task.abort_handle() }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Brings questions to the server and answers to those who asked.
async fn serve(connection: Connection, mut asked: mpsc::Receiver<Question>) -> Result<(), ConnectionError> {
    let Connection { mut sender, mut receiver } = connection;
    let mut open: HashMap<HashBytes, oneshot::Sender<Vec<u8>>> = HashMap::new();
    let mut number = 0u64;
    loop {
        tokio::select! {
            question = asked.recv() => {
                let Some(Question { query, reply }) = question else { return Ok(()) };
                // Those who gave up are forgotten.
                open.retain(|_, reply| !reply.is_closed());
                if open.len() >= OPEN_QUESTIONS {
                    continue;
                }
                number += 1;
                let mut query_id = HashBytes::ZERO;
                if let Some(bytes) = query_id.0.first_chunk_mut() {
                    *bytes = number.to_le_bytes();
                }
                open.insert(query_id, reply);
                sender.send(&Frame::Asked(Asked { query_id, query })).await?;
            }
            frame = receiver.receive() => match frame {
                Ok(Frame::Answered(answered)) => {
                    if let Some(reply) = open.remove(&answered.query_id) {
                        // An error says that nobody waits any more.
                        let _ = reply.send(answered.answer);
                    }
                }
                // Nothing else is of interest, and what cannot be read is nothing.
                Ok(_) | Err(ConnectionError::Frame(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
}
