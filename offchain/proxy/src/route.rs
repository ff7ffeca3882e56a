//! Which worker gets a request: Peak-EWMA with the power of two choices.
//!
//! A worker's cost is its smoothed time to the first chunk × (requests pending + 1). Of two workers drawn at random the
//! cheaper one gets the request, so that no worker is flooded and a slow one is still tried now and then. A failure counts as
//! a very long time: failing fast must not attract traffic.

use std::time::Duration;

use rand::Rng;

/// How fast old measurements fade.
const DECAY: Duration = Duration::from_secs(10);
/// What a failure counts as.
const FAILURE: Duration = Duration::from_secs(30);
/// What a worker that was never measured counts as: neither favoured nor shunned.
const UNKNOWN: Duration = Duration::from_millis(500);

/// A worker's load as the proxy sees it. Times are since the proxy's start.
#[derive(Debug, Default)]
pub struct Load {
    pending: usize,
    latency: Option<f64>,
    measured_at: Duration,
}

impl Load {
    /// A request begins.
    pub fn begin(&mut self) {
        self.pending += 1;
    }

    /// A request ends.
    pub fn end(&mut self) {
        self.pending = self.pending.saturating_sub(1);
    }

    /// The first chunk came after `latency`. A peak is taken over at once, better times only gradually.
    pub fn success(&mut self, now: Duration, latency: Duration) {
        self.measure(now, latency.as_secs_f64());
    }

    /// The request failed.
    pub fn failure(&mut self, now: Duration) {
        self.measure(now, FAILURE.as_secs_f64());
    }

    fn measure(&mut self, now: Duration, sample: f64) {
        let old = self.latency(now);
        let keep = match self.latency {
            None => 0.0,
            Some(_) if sample > old => 0.0,
            Some(_) => (-now.saturating_sub(self.measured_at).as_secs_f64() / DECAY.as_secs_f64()).exp().min(0.9),
        };
        self.latency = Some(old * keep + sample * (1.0 - keep));
        self.measured_at = now;
    }

    /// The smoothed latency in seconds; it fades towards that of an unknown worker, so that a penalty ends.
    fn latency(&self, now: Duration) -> f64 {
        let unknown = UNKNOWN.as_secs_f64();
        let Some(latency) = self.latency else { return unknown };
        let age = now.saturating_sub(self.measured_at).as_secs_f64();
        let weight = (-age / DECAY.as_secs_f64()).exp();
        latency * weight + unknown * (1.0 - weight)
    }

    /// What one more request would cost.
    pub fn cost(&self, now: Duration) -> f64 {
        self.latency(now) * (self.pending as f64 + 1.0)
    }
}

/// Draws two of the candidates, given what each would cost, and returns the cheaper one's place.
pub fn choose<R: Rng>(rng: &mut R, costs: &[f64]) -> Option<usize> {
    let cost = |i: usize| costs.get(i).copied().unwrap_or(f64::INFINITY);
    match costs.len() {
        0 => None,
        1 => Some(0),
        count => {
            let first = rng.gen_range(0..count);
            let second = (first + rng.gen_range(1..count)) % count;
            Some(if cost(second) < cost(first) { second } else { first })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    const SEED: u64 = 7;

    fn share(loads: &[Load], now: Duration) -> Vec<usize> {
        let mut rng = StdRng::seed_from_u64(SEED);
        let costs: Vec<f64> = loads.iter().map(|l| l.cost(now)).collect();
        let mut counts = vec![0; loads.len()];
        for _ in 0..10_000 {
            counts[choose(&mut rng, &costs).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn with_little_traffic_all_workers_get_some() {
        let counts = share(&[Load::default(), Load::default(), Load::default()], Duration::ZERO);
        assert!(counts.iter().all(|c| *c > 2_500), "{counts:?}");
    }

    #[test]
    fn fast_failures_repel_traffic_and_are_forgiven_later() {
        let (mut failing, mut fine) = (Load::default(), Load::default());
        failing.failure(Duration::ZERO);
        fine.success(Duration::ZERO, Duration::from_millis(400));
        let loads = [failing, fine];
        assert_eq!(share(&loads, Duration::from_millis(1))[0], 0);
        let later = loads[0].cost(Duration::from_secs(120));
        assert!(later < 1.0, "{later}");
    }

    #[test]
    fn the_busy_one_of_two_is_spared() {
        let (mut busy, idle) = (Load::default(), Load::default());
        (0..5).for_each(|_| busy.begin());
        assert_eq!(share(&[busy, idle], Duration::ZERO)[0], 0);
    }

    #[test]
    fn a_peak_counts_at_once() {
        let mut load = Load::default();
        load.success(Duration::ZERO, Duration::from_millis(10));
        load.success(Duration::from_secs(1), Duration::from_secs(5));
        assert!(load.cost(Duration::from_secs(1)) > 4.9);
        load.success(Duration::from_secs(2), Duration::from_millis(10));
        assert!(load.cost(Duration::from_secs(2)) > 1.0, "one good time does not wipe it out");
    }
}
