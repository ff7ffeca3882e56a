//! Who made how many blocks, as the masterchain's state keeps it.

use std::collections::BTreeSet;

use cocoon_protocol::UnixSeconds;
use tycho_types::cell::HashBytes;
use tycho_types::dict::Dict;
use tycho_types::error::Error;
use tycho_types::models::{BlockCounters, CreatorStats};

/// e^(-1/2048) and e^(-1/65536), times 2^64: what is left of a rate after one second.
const DECAY_2048: u64 = 18_437_739_073_120_195_921;
const DECAY_65536: u64 = 18_446_462_600_880_313_685;

/// Counters by validator, and under the key zero for all of them.
pub(super) type Stats = Dict<HashBytes, CreatorStats>;

/// Counts a block of each chain for its validator.
pub(super) fn count(stats: &Stats, master: HashBytes, base: HashBytes, now: UnixSeconds) -> Result<Stats, Error> {
    let none = BlockCounters { updated_at: 0, total: 0, cnt2048: 0, cnt65536: 0 };
    let mut stats = stats.clone();
    for key in BTreeSet::from([HashBytes::ZERO, master, base]) {
        let mut counters = stats.get(key)?.unwrap_or(CreatorStats { mc_blocks: none, shard_blocks: none });
        if key == master || key == HashBytes::ZERO {
            counters.mc_blocks = one_more(counters.mc_blocks, now);
        }
        if key == base || key == HashBytes::ZERO {
            counters.shard_blocks = one_more(counters.shard_blocks, now);
        }
        stats.set(key, counters)?;
    }
    Ok(stats)
}

fn one_more(before: BlockCounters, now: UnixSeconds) -> BlockCounters {
    let seconds = now.0.saturating_sub(before.updated_at);
    let rate = |before, decay| decayed(before, decay, seconds).saturating_add(1 << 32);
    BlockCounters {
        updated_at: now.0,
        total: before.total.saturating_add(1),
        cnt2048: rate(before.cnt2048, DECAY_2048),
        cnt65536: rate(before.cnt65536, DECAY_65536),
    }
}

/// A rate after so many seconds: times the decay to their power, in whole numbers, so that every machine gets the same.
fn decayed(rate: u64, decay: u64, mut seconds: u32) -> u64 {
    let times = |a: u64, b: u64| ((u128::from(a) * u128::from(b)) >> 64) as u64;
    let (mut rate, mut power) = (rate, decay);
    while seconds > 0 {
        if seconds & 1 == 1 {
            rate = times(rate, power);
        }
        power = times(power, power);
        seconds >>= 1;
    }
    rate
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rates_fall_to_an_e_th_in_their_time() {
        let e = std::f64::consts::E;
        for (decay, time) in [(DECAY_2048, 2048), (DECAY_65536, 65536)] {
            let left = decayed(1 << 48, decay, time) as f64 * e / (1u64 << 48) as f64;
            assert!((left - 1.0).abs() < 1e-6, "{left}");
            assert_eq!(decayed(1 << 48, decay, 0), 1 << 48);
        }
        assert_eq!(decayed(u64::MAX, DECAY_2048, u32::MAX), 0);
    }

    #[test]
    fn every_block_counts_for_its_validator_and_for_all() {
        let validator = HashBytes([7; 32]);
        let mut stats = Stats::new();
        for second in 0..10 {
            stats = count(&stats, validator, validator, UnixSeconds(1_760_000_000 + second)).unwrap();
        }
        let entries: Vec<_> = stats.iter().map(Result::unwrap).collect();
        assert_eq!(entries.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [HashBytes::ZERO, validator]);
        for (_, stats) in entries {
            assert_eq!((stats.mc_blocks.total, stats.shard_blocks.total), (10, 10));
            assert!(stats.mc_blocks.cnt2048 < 10 << 32 && stats.mc_blocks.cnt2048 > 9 << 32);
        }
    }
}
