//! A node's record as the specification describes it.

use std::collections::BTreeMap;

use tycho_types::cell::{Cell, CellBuilder, HashBytes};
use tycho_types::dict::RawDict;
use tycho_types::models::{StateInit, StdAddr};

use crate::cells::{Reader, Writer};
use crate::chain::address_of;
use crate::verdict::{Amount, Call, Sent, Verdict, done, malformed};

/// Kept for storage.
pub const RESERVE: u128 = 50_000_000;
/// Channels whose counters are kept.
pub const MAX_CHANNELS: usize = 32;
/// Sixteen of these, in seconds, halve every weight.
pub const FADE_STEP: u32 = 30 * 86_400 / 16;

/// Operations.
pub mod op {
    #![allow(missing_docs)]
    pub const ADD_EVIDENCE: u32 = 0x5250_0001;
    pub const ANSWERED: u32 = 0x5250_0011;
}

/// The error code of words that are not the registry's.
pub const NOT_REGISTRY: i32 = 1500;
const BACKWARDS: u16 = 1501;
const NOTHING_NEW: u16 = 1502;

/// The latest counters of a channel.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Seen {
    /// Good answers.
    pub ok: u64,
    /// Bad ones.
    pub failed: u64,
    /// Sum over the good ones.
    pub latency_ms: u64,
    /// When.
    pub at: u32,
}

/// A record.
#[derive(Clone, Debug)]
pub struct Record {
    registry: StdAddr,
    node: [u8; 32],
    /// Nanotons for good answers, fading.
    pub good: u128,
    /// Nanotons for bad ones.
    pub bad: u128,
    /// Mean over the good ones.
    pub latency_ms: u32,
    step: u32,
    /// By channel.
    pub channels: BTreeMap<StdAddr, Seen>,
    /// Code and initial data.
    pub init: StateInit,
    /// Where it is.
    pub address: StdAddr,
}

/// `weight · 2^(−sixteenths/16)`, each factor of which is a fraction of 2³².
fn fade(weight: u128, sixteenths: u32) -> u128 {
    const FACTORS: [(u32, u128); 4] = [(8, 3_037_000_500), (4, 3_611_622_603), (2, 3_938_502_376), (1, 4_112_874_773)];
    let halvings = sixteenths / 16;
    let mut left = if halvings >= 128 { 0 } else { weight >> halvings };
    for (part, factor) in FACTORS {
        if (sixteenths % 16) & part != 0 {
            // Multiplied in two halves, because the product may have 160 bits.
            let (high, low) = (left >> 32, left & 0xffff_ffff);
            left = high * factor + ((low * factor) >> 32);
        }
    }
    left
}

/// `a · b / c`, where the product may have 190 bits and the quotient is at most `a`.
fn part(a: u128, b: u64, c: u128) -> u128 {
    let (b, mut rest, mut quotient) = (u128::from(b), 0_u128, 0_u128);
    for i in (0..128).rev() {
        // Schoolbook: one bit of a at a time.
        rest = (rest << 1) + if a >> i & 1 == 1 { b } else { 0 };
        quotient = (quotient << 1) + rest / c;
        rest %= c;
    }
    quotient
}

impl Record {
    /// A record that knows nothing.
    pub fn new(code: &Cell, registry: &StdAddr, node: [u8; 32]) -> Self {
        let mut record = Self {
            registry: registry.clone(),
            node,
            good: 0,
            bad: 0,
            latency_ms: 0,
            step: 0,
            channels: BTreeMap::new(),
            init: StateInit::default(),
            address: registry.clone(),
        };
        record.init = StateInit { code: Some(code.clone()), data: Some(record.data()), ..Default::default() };
        record.address = address_of(&record.init);
        record
    }

    /// The contract's data in this state.
    pub fn data(&self) -> Cell {
        let mut channels = RawDict::<267>::new();
        for (channel, seen) in &self.channels {
            let key = Writer::default().address(channel).end();
            let seen = Writer::default()
                .uint(seen.ok.into(), 64)
                .uint(seen.failed.into(), 64)
                .uint(seen.latency_ms.into(), 64)
                .uint(seen.at.into(), 32)
                .end();
            let mut value = CellBuilder::new();
            value.store_reference(seen).expect("one reference fits");
            channels.set(key.as_slice_allow_exotic(), value).expect("the key has 267 bits");
        }
        Writer::default()
            .address(&self.registry)
            .word(&self.node)
            .uint(self.good, 128)
            .uint(self.bad, 128)
            .uint(self.latency_ms.into(), 32)
            .uint(self.step.into(), 32)
            .uint(self.channels.len() as u128, 16)
            .maybe(channels.into_root())
            .end()
    }

    /// What a message must do; if it is accepted, this is the state after it.
    pub fn receive(&mut self, call: &Call<'_>) -> Verdict {
        if call.op() != Some(op::ADD_EVIDENCE) {
            return Verdict::Refused(vec![130]);
        }
        let mut r = Reader::new(call.body);
        let mut read = || -> Result<_, tycho_types::error::Error> {
            let (_, query, channel, caller) = (r.u32()?, r.uint(64)?, r.address()?, r.address()?);
            Ok((query, channel, caller, r.coins()?, r.uint(64)?, r.uint(64)?, r.uint(64)?))
        };
        let Ok((query, channel, caller, amount, ok, failed, latency_ms)) = read() else { return malformed() };
        if *call.sender != self.registry {
            return Verdict::Refused(vec![NOT_REGISTRY]);
        }
        let result = self.add(call.now, channel, amount, Seen { ok, failed, latency_ms, at: call.now });
        let answer = Writer::op(op::ANSWERED).uint(query.into(), 64).uint(result.into(), 16).end();
        done(call.own().max(RESERVE), vec![Sent::plain(caller, Amount::Rest, answer)])
    }

    fn add(&mut self, now: u32, channel: StdAddr, amount: u128, seen: Seen) -> u16 {
        let before = self.channels.get(&channel).copied().unwrap_or_default();
        // RP-3.
        let (Some(ok), Some(failed), Some(latency)) = (
            seen.ok.checked_sub(before.ok),
            seen.failed.checked_sub(before.failed),
            seen.latency_ms.checked_sub(before.latency_ms),
        ) else {
            return BACKWARDS;
        };
        let answers = u128::from(ok) + u128::from(failed);
        if answers == 0 {
            return NOTHING_NEW;
        }
        // RP-4.
        if !self.channels.contains_key(&channel) && self.channels.len() >= MAX_CHANNELS {
            let stalest = self.channels.iter().min_by_key(|(_, seen)| seen.at).map(|(channel, _)| channel.clone());
            stalest.map(|channel| self.channels.remove(&channel));
        }
        self.channels.insert(channel, seen);
        // RP-5.
        let step = now / FADE_STEP;
        if step > self.step {
            self.good = fade(self.good, step - self.step);
            self.bad = fade(self.bad, step - self.step);
            self.step = step;
        }
        // RP-2.
        let good = part(amount, ok, answers);
        self.bad += amount - good;
        // RP-7.
        if good > 0 {
            let mean = u128::from((latency / ok).min(u64::from(u32::MAX)));
            let old = u128::from(self.latency_ms);
            // old · good and mean · new may have 160 bits: the mean of both, exactly, from the lower of the two.
            let (low, high, weight) = if old < mean { (old, mean, good) } else { (mean, old, self.good) };
            let all = self.good + good;
            let above = part(weight, u64::try_from(high - low).expect("32 bits"), all);
            self.latency_ms = u32::try_from(low + above).expect("a mean lies between its terms");
            self.good = all;
        }
        0
    }

    /// Hundredths of a percent: RP-6.
    pub fn score(&self, now: u32) -> u128 {
        let steps = (now / FADE_STEP).saturating_sub(self.step);
        let (good, bad) = (fade(self.good, steps), fade(self.bad, steps));
        part(good, 10_000, good + bad + 10_000_000_000)
    }
}

/// Some channel's address.
pub fn channel(number: u8) -> StdAddr {
    StdAddr::new(0, HashBytes([number; 32]))
}
