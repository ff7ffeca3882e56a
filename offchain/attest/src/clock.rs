//! Where time comes from.

use cocoon_protocol::UnixSeconds;

/// The current time as proven by the chain.
///
/// A guest has no trusted clock of its own (attack 74): services give the time of the last block they proved. Any closure
/// is a clock.
pub trait Clock: Send + Sync {
    /// Seconds since 1970 of the last proven block.
    fn now(&self) -> UnixSeconds;
}

impl<F: Fn() -> UnixSeconds + Send + Sync> Clock for F {
    fn now(&self) -> UnixSeconds {
        self()
    }
}
