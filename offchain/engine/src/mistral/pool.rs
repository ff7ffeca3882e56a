//! Places: which engine may take another sequence, who waits, who is turned away.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::api::EngineError;

const MIN_RETRY: Duration = Duration::from_millis(100);
const MAX_RETRY: Duration = Duration::from_secs(60);
/// What a sequence is thought to take before one has been seen.
const FIRST_GUESS_MS: usize = 1000;

/// All places of all engines.
pub(crate) struct Pool {
    /// As many permits as free places; hands them out in the order of asking.
    permits: Arc<Semaphore>,
    /// The engine of each free place.
    free: Mutex<Vec<usize>>,
    places: usize,
    queue: usize,
    /// Requests that were let in and have not ended.
    admitted: AtomicUsize,
    /// A running mean of how long a place is held, in milliseconds.
    held_ms: AtomicUsize,
}

/// A place in an engine. It is free again when this is dropped.
pub(crate) struct Place {
    pool: Arc<Pool>,
    engine: usize,
    since: Instant,
    _permit: OwnedSemaphorePermit,
}

/// A request that was let in.
pub(crate) struct Admission(Arc<Pool>);

impl Pool {
    /// `places` lists the engine of each place; `queue` more requests may wait.
    pub fn new(places: Vec<usize>, queue: usize) -> Arc<Self> {
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(places.len())),
            places: places.len(),
            free: Mutex::new(places),
            queue,
            admitted: AtomicUsize::new(0),
            held_ms: AtomicUsize::new(FIRST_GUESS_MS),
        })
    }

    pub fn places(&self) -> usize {
        self.places
    }

    pub fn queue(&self) -> usize {
        self.queue
    }

    /// Lets a request in, or says when to try again.
    pub fn admit(self: &Arc<Self>) -> Result<Admission, EngineError> {
        let limit = self.places + self.queue;
        let increment = |n: usize| (n < limit).then_some(n + 1);
        match self.admitted.fetch_update(Ordering::AcqRel, Ordering::Acquire, increment) {
            Ok(_) => Ok(Admission(self.clone())),
            Err(waiting) => Err(EngineError::Overloaded { retry_after: self.retry_after(waiting) }),
        }
    }

    /// Waits for a place, first come first served.
    pub async fn place(self: &Arc<Self>) -> Result<Place, EngineError> {
        let permit = self.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|_| EngineError::failed("the engine is shut down"))?;
        let engine = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let engine = engine.ok_or_else(|| EngineError::failed("a place without an engine"))?;
        Ok(Place { pool: self.clone(), engine, since: Instant::now(), _permit: permit })
    }

    /// When one of `admitted` requests is likely to have ended.
    fn retry_after(&self, admitted: usize) -> Duration {
        let held = Duration::from_millis(self.held_ms.load(Ordering::Relaxed) as u64);
        let rounds = u32::try_from(admitted.div_ceil(self.places.max(1))).unwrap_or(u32::MAX);
        held.saturating_mul(rounds).clamp(MIN_RETRY, MAX_RETRY)
    }

    #[cfg(test)]
    pub fn free_places(&self) -> usize {
        self.permits.available_permits()
    }
}

impl Place {
    pub fn engine(&self) -> usize {
        self.engine
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Before the permit: whoever gets it must find an engine.
        self.pool.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.engine);
        let held = usize::try_from(self.since.elapsed().as_millis()).unwrap_or(usize::MAX);
        let mean = |old: usize| Some(old.saturating_mul(7).saturating_add(held) / 8);
        let _ = self.pool.held_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, mean);
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.admitted.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;

    #[tokio::test]
    async fn over_the_limit_requests_are_turned_away_with_a_hint() {
        let pool = Pool::new(vec![0], 2);
        let admitted: Vec<_> = (0..3).map(|_| pool.admit().unwrap()).collect();
        let Err(EngineError::Overloaded { retry_after }) = pool.admit() else { panic!("let in") };
        assert_eq!(retry_after, Duration::from_secs(3));
        drop(admitted);
        pool.admit().unwrap();
    }

    #[tokio::test]
    async fn places_go_round_in_the_order_of_asking() {
        let pool = Pool::new(vec![0, 1], 8);
        let (a, b) = (pool.place().await.unwrap(), pool.place().await.unwrap());
        assert_ne!(a.engine(), b.engine());
        let mut waiting = Box::pin(pool.place());
        let mut second = Box::pin(pool.place());
        assert!(futures::poll!(&mut waiting).is_pending());
        assert!(futures::poll!(&mut second).is_pending());
        let engine = a.engine();
        drop(a);
        assert!(futures::poll!(&mut second).is_pending(), "asked later");
        assert_eq!(waiting.await.unwrap().engine(), engine);
    }
}
