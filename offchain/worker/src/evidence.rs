//! What a worker shows of itself: its certificate and, when it logs its evidence, where that stands in the transparency log
//! (docs/protocol.md P8).
//!
//! A renewed certificate is shown once it is in the log: until then the one before it, which is still good, so that clients who
//! demand a logged worker never meet one that is not.

use std::sync::Arc;

use cocoon_node::Node;
use cocoon_node::log::{self, LogAccessError};
use cocoon_protocol::{Hash256, LogProof, UnixSeconds};
use cocoon_transparency::{Leaf, Tail, evidence_digest};
use tokio::sync::watch;

/// Pause after a failure to publish, in seconds of the chain's time; it doubles with each failure.
const FIRST_PAUSE: u32 = 30;
/// The longest pause.
const LONGEST_PAUSE: u32 = 3_600;

/// What clients get to see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Shown {
    /// The certificate, DER.
    pub evidence: Vec<u8>,
    /// That it is in the log, if it is.
    pub logged: Option<LogProof>,
    /// The certificate's end.
    not_after: UnixSeconds,
}

impl Shown {
    /// A node's present certificate, whether logged or not.
    fn of(node: &Node, logged: Option<LogProof>) -> Self {
        let identity = node.identity();
        Self { evidence: identity.certificate().to_vec(), logged, not_after: identity.claims().not_after }
    }

    /// What a worker shows before anything is logged.
    pub fn first(node: &Node) -> watch::Sender<Self> {
        watch::Sender::new(Self::of(node, None))
    }
}

/// A certificate that is to be in the log.
struct Following {
    digest: Hash256,
    /// The log since the certificate was made: proofs of leaves take no more.
    tail: Tail,
    /// Where the leaf is, and when it was logged.
    place: Option<(u64, UnixSeconds)>,
}

/// Keeps what is shown up to date, and the present certificate in the log if it is to be there.
pub(crate) struct Keeper {
    node: Arc<Node>,
    shown: watch::Sender<Shown>,
    log_evidence: bool,
    following: Option<Following>,
    not_before: UnixSeconds,
    pause: u32,
}

impl Keeper {
    pub fn new(node: Arc<Node>, shown: watch::Sender<Shown>, log_evidence: bool) -> Self {
        Self { node, shown, log_evidence, following: None, not_before: UnixSeconds(0), pause: FIRST_PAUSE }
    }

    /// Looks at every block; never ends while there are any.
    pub async fn run(mut self) {
        let mut head = self.node.chain().subscribe();
        loop {
            self.look().await;
            if head.changed().await.is_err() {
                return;
            }
        }
    }

    async fn look(&mut self) {
        // Read once: what is logged is what will be shown.
        let mut next = Shown::of(&self.node, None);
        if self.log_evidence {
            // Rather one that only clients who demand the log refuse than one that everybody refuses.
            if self.shown.borrow().not_after <= self.node.now() {
                self.show(next.clone());
            }
            next.logged = self.keep_logged(&next.evidence).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "this worker's evidence is not shown to be in the transparency log; trying again");
                None
            });
            if next.logged.is_none() {
                return;
            }
        }
        self.show(next);
    }

    fn show(&self, next: Shown) {
        self.shown.send_if_modified(|shown| {
            let changed = *shown != next;
            *shown = next;
            changed
        });
    }

    /// The proof for this certificate; publishes it first if that is not done yet. None while it pauses after a failure.
    async fn keep_logged(&mut self, certificate: &[u8]) -> Result<Option<LogProof>, LogAccessError> {
        let digest = evidence_digest(certificate);
        let mut following = match self.following.take().filter(|following| following.digest == digest) {
            Some(following) => following,
            None => {
                let tail = log::tail(&**self.node.chain(), self.node.registry_address()).await?;
                Following { digest, tail, place: None }
            }
        };
        let found = self.find_or_publish(&mut following).await;
        if let Err(LogAccessError::Index(_) | LogAccessError::Log(_)) = &found {
            // This tail is not the log's. The next one begins after the leaf, so another must be paid for: not at once.
            self.pause();
            return found.map(|()| None);
        }
        let proof = following.place.and_then(|(index, at)| following.tail.prove(index, at));
        self.following = Some(following);
        found.map(|()| proof)
    }

    async fn find_or_publish(&mut self, following: &mut Following) -> Result<(), LogAccessError> {
        let node = self.node.clone();
        following.find(&node).await?;
        if following.place.is_some() || node.now() < self.not_before {
            return Ok(());
        }
        // Should this fail halfway, the leaf may come all the same: the tail will see it before another is paid for.
        let (chain, registry) = (&**node.chain(), node.registry_address());
        let published = log::publish(node.wallet(), chain, registry, node.key(), &following.digest).await;
        following.find(&node).await?;
        match (following.place, published) {
            (Some((index, _)), _) => {
                tracing::info!(index, digest = %following.digest, "this worker's evidence is in the transparency log");
                self.pause = FIRST_PAUSE;
            }
            (None, outcome) => {
                // A wallet that cannot pay sends nothing, and that is no failure of its transaction.
                let why = outcome.err().map_or("the wallet sent nothing; has it money?".to_owned(), |e| e.to_string());
                tracing::warn!(why, pause_s = self.pause, "this worker's evidence could not be logged; trying again");
                self.pause();
            }
        }
        Ok(())
    }

    fn pause(&mut self) {
        self.not_before = self.node.now().plus(self.pause);
        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

impl Following {
    /// Reads on, and looks for the leaf.
    async fn find(&mut self, node: &Node) -> Result<(), LogAccessError> {
        let Self { digest, tail, place } = self;
        let key = node.key().public();
        let each = |index, leaf: &Leaf| *place = place.or_else(|| Some((index, leaf.logs(&key, digest)?)));
        log::follow(tail, &**node.chain(), node.registry_address(), each).await
    }
}
