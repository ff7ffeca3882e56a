//! Records of nodes, and what registries and others tell them.

pub mod model;

use tycho_types::cell::{Cell, CellFamily};

use crate::cells::{MAX_COINS, Writer, ton};
use crate::chain::{BEGINNING, Chain, Message};
use crate::code::Codes;
use crate::coverage::{Coverage, Ending};
use crate::keys::Person;
use crate::rng::Rng;
use crate::run::{Failure, Story, World};
use crate::verdict::{Call, Verdict, judge};

use self::model::{MAX_CHANNELS, NOT_REGISTRY, RESERVE, Record, Seen, op};

/// The world: one record.
pub struct ReputationWorld {
    chain: Chain,
    registry: Person,
    stranger: Person,
    record: Record,
    story: Story,
}

/// What a long run must have seen at least once.
pub const EXPECTED: &[(&str, &[Ending])] = &[
    (
        "AddEvidence",
        &[Ending::Done, Ending::NoGas, Ending::NoContract, Ending::NoAction, Ending::Refused(NOT_REGISTRY)],
    ),
    ("AddEvidence: counted", &[Ending::Done]),
    ("AddEvidence: backwards", &[Ending::Done]),
    ("AddEvidence: nothing new", &[Ending::Done]),
    ("AddEvidence: replaced the stalest", &[Ending::Done]),
    ("Nonsense", &[Ending::Refused(130)]),
];

impl World for ReputationWorld {
    const NAME: &'static str = "reputation";

    fn begin(codes: &Codes, seed: u64, story: Story) -> Result<Self, Failure> {
        let (registry, stranger) = (Person::new("registry"), Person::new("stranger"));
        let record = Record::new(&codes.reputation, &registry.address, Rng::new(seed).bytes32());
        Ok(Self { chain: codes.chain()?, registry, stranger, record, story })
    }

    fn step(&mut self, seed: u64, coverage: &mut Coverage) -> Result<(), Failure> {
        let mut rng = Rng::new(seed);
        if rng.chance(25) {
            let seconds = match rng.below(8) {
                // Twelve years without money would end an account.
                0 => 2 * 365 * 86_400,
                1 => rng.magnitude(24) as u32,
                _ => rng.magnitude(18) as u32,
            };
            self.chain.now = self.chain.now.saturating_add(seconds).min(BEGINNING + 70 * 365 * 86_400);
            self.story.tell(|| format!("{seconds} s pass"));
            return Ok(());
        }
        let channel = if rng.chance(60) { rng.below(8) as u8 } else { rng.below(45) as u8 };
        let channel = model::channel(channel);
        let before = self.record.channels.get(&channel).copied().unwrap_or_default();
        let grown = |counter: u64, rng: &mut Rng| match rng.below(12) {
            0 => counter.saturating_sub(1),
            1 => u64::MAX,
            2..=4 => counter,
            _ => counter.saturating_add(rng.magnitude(40) as u64),
        };
        let seen = Seen {
            ok: grown(before.ok, &mut rng),
            failed: grown(before.failed, &mut rng),
            latency_ms: grown(before.latency_ms, &mut rng),
            at: 0,
        };
        let amount = if rng.chance(3) { MAX_COINS } else { rng.magnitude(60) };
        let sender = if rng.chance(92) { &self.registry } else { &self.stranger };
        let body = Writer::op(if rng.chance(3) { rng.number() as u32 } else { op::ADD_EVIDENCE })
            .uint(rng.below(99).into(), 64)
            .address(&channel)
            .address(&self.stranger.address)
            .coins(amount)
            .uint(seen.ok.into(), 64)
            .uint(seen.failed.into(), 64)
            .uint(seen.latency_ms.into(), 64)
            .end();
        let message = Message {
            src: sender.address.clone(),
            dst: self.record.address.clone(),
            value: match rng.below(20) {
                0 => rng.magnitude(27),
                1 => RESERVE,
                _ => 100_000_000,
            },
            bounce: true,
            bounced: false,
            init: if rng.chance(95) { Some(self.record.init.clone()) } else { None },
            body: if rng.chance(1) { Cell::empty_cell() } else { body },
        };
        let line = format!("+{} s  {} → record: {seen:?} for {}", self.chain.now - BEGINNING, sender.name, ton(amount));
        let result = self.deliver(&message, coverage);
        self.story.tell(|| match &result {
            Ok(ending) => format!("{line}: {ending}"),
            Err(_) => format!("{line}: FAILED"),
        });
        result.map(|_| ()).map_err(|e| e.in_context(&line))
    }

    fn finish(&mut self, _: &mut Coverage) -> Result<(), Failure> {
        Ok(())
    }

    fn story(&self) -> &Story {
        &self.story
    }
}

impl ReputationWorld {
    fn deliver(&mut self, message: &Message, coverage: &mut Coverage) -> Result<Ending, Failure> {
        let (_, data) = self.chain.account(&message.dst);
        let receipt = self.chain.deliver(message)?;
        coverage.transactions += 1;
        let absent = data.is_none() && message.init.is_none();
        let lost = receipt.data.is_none() && receipt.start <= receipt.value;
        let mut next = self.record.clone();
        let verdict = if absent || lost {
            Verdict::Refused(vec![])
        } else {
            next.receive(&Call::new(self.chain.now, message, &receipt))
        };
        let ending = judge(&receipt, &verdict, message, 50_000_000)?;
        let known = matches!(message.op(), Some(op::ADD_EVIDENCE));
        coverage.count(if known { "AddEvidence" } else { "Nonsense" }, ending);
        if ending != Ending::Done {
            return Ok(ending);
        }
        if receipt.data.as_ref() != Some(&next.data()) {
            return Err(Failure::new(format!("another state than {next:?}")));
        }
        self.note(&next, message, coverage)?;
        self.record = next;
        Ok(ending)
    }

    /// What happened, finer than by exit codes; and what no evidence may do.
    fn note(&self, next: &Record, message: &Message, coverage: &mut Coverage) -> Result<(), Failure> {
        let before = &self.record;
        let moved = next.channels != before.channels;
        let dropped = before.channels.keys().any(|channel| !next.channels.contains_key(channel));
        let mut body = crate::cells::Reader::new(&message.body);
        let says_more = body.u32().and_then(|_| body.uint(64)).and_then(|_| body.address()).is_ok_and(|channel| {
            let seen = before.channels.get(&channel).copied().unwrap_or_default();
            let _ = (body.address(), body.coins());
            (body.uint(64).unwrap_or(0), body.uint(64).unwrap_or(0)) != (seen.ok, seen.failed)
        });
        let what = match (moved, dropped, says_more) {
            (true, true, _) => "AddEvidence: replaced the stalest",
            (true, false, _) => "AddEvidence: counted",
            (false, _, true) => "AddEvidence: backwards",
            (false, _, false) => "AddEvidence: nothing new",
        };
        coverage.count(what, Ending::Done);
        let now = self.chain.now;
        if next.channels.len() > MAX_CHANNELS {
            return Err(Failure::new("RP-4 is broken: more channels than a record keeps"));
        }
        if next.score(now) > 9_999 || (!moved && next.score(now) != before.score(now)) {
            return Err(Failure::new("RP-6 is broken: a score that nobody earned"));
        }
        Ok(())
    }
}
