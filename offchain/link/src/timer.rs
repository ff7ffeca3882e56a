//! Waiting, injected so that tests decide when time passes.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

/// Waits.
pub trait Timer: fmt::Debug + Send + Sync {
    /// Ends after the given time.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The runtime's own time.
#[derive(Debug, Clone, Copy, Default)]
pub struct RuntimeTimer;

impl Timer for RuntimeTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// The result of a future that ends within a time.
pub(crate) async fn within<T>(timer: &dyn Timer, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    tokio::select! {
        // The future first: most end at once, and then no timer is set.
        biased;
        result = &mut future => Some(result),
        () = timer.sleep(limit) => None,
    }
}
