//! Where the devnet's time comes from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use cocoon_protocol::UnixSeconds;

/// A source of time. Block times never go back, whatever it says.
pub trait Clock: Send + 'static {
    /// The time now.
    fn now(&self) -> UnixSeconds;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixSeconds {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        UnixSeconds(u32::try_from(seconds).unwrap_or(u32::MAX))
    }
}

/// A clock that stands still until it is set. Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU32>);

impl ManualClock {
    /// A clock that shows this time.
    pub fn new(now: UnixSeconds) -> Self {
        Self(Arc::new(AtomicU32::new(now.0)))
    }

    /// Sets the time.
    pub fn set(&self, now: UnixSeconds) {
        self.0.store(now.0, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixSeconds {
        UnixSeconds(self.0.load(Ordering::Relaxed))
    }
}
