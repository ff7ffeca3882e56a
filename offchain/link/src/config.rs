//! Bounds and times of a link.

use std::sync::Arc;
use std::time::Duration;

use crate::timer::{RuntimeTimer, Timer};

/// Bounds and times. The defaults suit the Internet; tests shrink them.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// A connection that has not proven itself by then is dropped.
    pub handshake_timeout: Duration,
    /// A silent peer is asked this often whether it is there; live links are re-checked as often.
    pub ping_interval: Duration,
    /// A peer that says nothing, or reads nothing, for this long is gone.
    pub idle_timeout: Duration,
    /// Each side of a live link asks the other for a fresh proof this often.
    pub proof_interval: Duration,
    /// Quotes in the making at a time for clients that dial in, over all listeners of an endpoint, and as many again for clients whose
    /// links stand; at least one. Anybody can be a client, and quotes take the platform's time: nodes that show quotes themselves wait
    /// for no client's turn (attack 75).
    pub max_client_quotes: usize,
    /// A client that asks for another proof sooner than this is left (attack 75).
    pub client_challenge_interval: Duration,
    /// Streams open at a time, for each side that opens.
    pub max_streams: usize,
    /// Handshakes in progress at a time on one listener (attack 75).
    pub max_handshakes: usize,
    /// Handshakes in progress at a time from one address.
    pub max_handshakes_per_source: usize,
    /// Handshakes from one address that may fail in a minute; then its connections are dropped unheard until the minute is over.
    pub max_failures_per_source: u32,
    /// What measures the times above.
    pub timer: Arc<dyn Timer>,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            proof_interval: Duration::from_secs(600),
            max_client_quotes: 2,
            client_challenge_interval: Duration::from_secs(30),
            max_streams: 1024,
            max_handshakes: 128,
            max_handshakes_per_source: 32,
            max_failures_per_source: 64,
            timer: Arc::new(RuntimeTimer),
        }
    }
}
