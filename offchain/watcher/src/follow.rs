//! Keeps an index up to date.

use std::sync::Arc;
use std::time::Duration;

use cocoon_chain::{BlockFeed, Head, NetworkBlock};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::index::{Event, Index, IndexError};

/// Blocks that are taken in together while catching up: one commit for all of them.
const BATCH: u32 = 64;
/// Events that a slow listener may be behind before it must read them from the index.
const BACKLOG: usize = 4096;
/// After a failure.
const PAUSE: Duration = Duration::from_millis(500);

/// An index that follows a network.
pub struct Follower {
    index: Arc<Index>,
    events: broadcast::Sender<Event>,
}

impl Follower {
    /// Follows nothing until [`Follower::run`].
    pub fn new(index: Arc<Index>) -> Self {
        Self { index, events: broadcast::Sender::new(BACKLOG) }
    }

    /// The index.
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// Hears of events as they are written.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Takes in all blocks that there are; returns how many.
    pub async fn catch_up(&self, feed: &dyn BlockFeed) -> Result<u32, IndexError> {
        let mut taken = 0;
        loop {
            let from = self.index.seqno();
            let mut batch: Vec<NetworkBlock> = vec![];
            while (batch.len() as u32) < BATCH {
                let next = from + 1 + batch.len() as u32;
                match feed.network_block(next).await? {
                    Some(block) => batch.push(block),
                    None => break,
                }
            }
            let count = batch.len() as u32;
            if count == 0 {
                return Ok(taken);
            }
            let index = self.index.clone();
            // Parsing, running getters and writing take their time, and must not hold up a runtime's thread.
            let applied = tokio::task::spawn_blocking(move || index.apply(&batch)).await;
            let happened = applied.map_err(|e| cocoon_chain::ChainError::malformed("block", e))??;
            for event in happened {
                // Nobody may be listening.
                let _ = self.events.send(event);
            }
            taken += count;
        }
    }

    /// Follows the network until told to stop. Whatever goes wrong is tried again.
    pub async fn run(&self, feed: &dyn BlockFeed, mut head: watch::Receiver<Head>, stop: CancellationToken) {
        loop {
            match self.catch_up(feed).await {
                Ok(0) => {}
                Ok(blocks) => tracing::debug!(blocks, seqno = self.index.seqno(), "the index has caught up"),
                Err(error) => {
                    tracing::warn!(%error, "the index cannot go on for now");
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => continue,
                        () = stop.cancelled() => return,
                    }
                }
            }
            tokio::select! {
                changed = head.changed() => if changed.is_err() { return },
                () = stop.cancelled() => return,
            }
        }
    }
}
