//! Payment channels between people who do what they like.

pub mod actions;
pub mod model;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use tycho_types::cell::Cell;
use tycho_types::models::StdAddr;

use crate::cells::{MAX_COINS, ton};
use crate::chain::{BEGINNING, Chain, Message};
use crate::code::Codes;
use crate::coverage::{Coverage, Ending};
use crate::keys::Person;
use crate::rng::Rng;
use crate::run::{Failure, Story, World};
use crate::verdict::{Call, Verdict, judge};

use self::model::{Channel, MAX_CHALLENGE, MIN_CHALLENGE, RESERVE, Terms, code};

/// From this value on, in nanotons, a message pays for any refusal.
const LEAST: u128 = 10_000_000;

/// A cell and a signature that may or may not be what they pretend to be.
#[derive(Clone, Debug)]
pub struct Signed {
    /// What is signed.
    pub cell: Cell,
    /// By somebody, over it or over something else.
    pub signature: [u8; 64],
    /// When it expires; 0: never.
    pub valid_until: u32,
    /// What it looks like.
    pub label: String,
}

/// A channel with what the invariants need.
#[derive(Clone, Debug)]
pub struct Tracked {
    /// The model.
    pub model: Channel,
    /// Places of the parties among the people.
    pub payer: usize,
    /// The other one.
    pub payee: usize,
    /// The highest amount that the payer has signed for exactly this channel.
    pub signed: u128,
    /// Storage fees since the reserve was last made full.
    pub storage: u128,
    /// The network has frozen it.
    pub frozen: bool,
}

/// The world.
pub struct ChannelWorld {
    /// Accounts.
    pub chain: Chain,
    /// Everybody.
    pub people: Vec<Person>,
    /// All channels.
    pub channels: Vec<Tracked>,
    /// Everything ever signed, for replays.
    pub vouchers: Vec<Signed>,
    /// The same of close authorisations.
    pub auths: Vec<Signed>,
    /// Messages on their way, which may arrive in any order.
    pub queue: Vec<(&'static str, Message)>,
    story: Story,
}

/// What a long run must have seen at least once.
pub const EXPECTED: &[(&str, &[Ending])] = &[
    (
        "TopUp",
        &[
            Ending::Done,
            Ending::NoGas,
            Ending::NoContract,
            Ending::Refused(code::CLOSING),
            Ending::Refused(code::UNDERPAID),
            Ending::Refused(code::NO_AMOUNT),
            Ending::Refused(code::BAD_TERMS),
        ],
    ),
    (
        "Claim",
        &[
            Ending::Done,
            Ending::NoGas,
            Ending::NoContract,
            Ending::Refused(code::LOW_VALUE),
            Ending::Refused(code::BAD_SIGNATURE),
            Ending::Refused(code::BAD_FORMAT),
            Ending::Refused(code::OTHER_NETWORK),
            Ending::Refused(code::OTHER_CHANNEL),
            Ending::Refused(code::EXPIRED),
            Ending::Refused(code::NOTHING_NEW),
            Ending::Refused(code::ERODED),
        ],
    ),
    (
        "RequestClose",
        &[
            Ending::Done,
            Ending::NoGas,
            Ending::NoContract,
            Ending::Refused(code::LOW_VALUE),
            Ending::Refused(code::NOT_PAYER),
            Ending::Refused(code::CLOSING),
            Ending::Refused(code::EMPTY),
        ],
    ),
    (
        "Settle",
        &[
            Ending::Done,
            Ending::NoGas,
            Ending::NoContract,
            Ending::Refused(code::LOW_VALUE),
            Ending::Refused(code::NOT_CLOSING),
            Ending::Refused(code::TOO_EARLY),
        ],
    ),
    (
        "CoopClose",
        &[
            Ending::Done,
            Ending::NoGas,
            Ending::NoContract,
            Ending::Refused(code::LOW_VALUE),
            Ending::Refused(code::BAD_SIGNATURE),
            Ending::Refused(code::BAD_FORMAT),
            Ending::Refused(code::OTHER_NETWORK),
            Ending::Refused(code::OTHER_CHANNEL),
            Ending::Refused(code::STALE),
        ],
    ),
    ("EvidenceBounce", &[Ending::Done, Ending::NoGas]),
    ("Nonsense", &[Ending::Refused(130), Ending::NoContract]),
];

impl World for ChannelWorld {
    const NAME: &'static str = "channel";

    fn begin(codes: &Codes, seed: u64, story: Story) -> Result<Self, Failure> {
        let mut rng = Rng::new(seed);
        let people: Vec<Person> =
            ["client", "proxy", "worker", "rival", "thief", "stranger"].map(Person::new).into_iter().collect();
        let pairs = [(0, 1), (1, 2), (0, 2), (3, 1), (1, 3), (2, 2)];
        let mut channels = vec![];
        for i in 0..2 + rng.index(4) {
            let (payer, payee) = if i < 2 { pairs[i] } else { *rng.pick(&pairs) };
            let mut terms = Terms {
                payer: people[payer].address.clone(),
                payee: people[payee].address.clone(),
                payer_key: people[payer].public(),
                payee_key: people[payee].public(),
                challenge: *rng.pick(&[MIN_CHALLENGE, 3600, 86_400, MAX_CHALLENGE]),
                salt: i as u64,
                fee_bps: *rng.pick(&[0, 1, 100, 2000]),
            };
            if i > 1 && rng.chance(25) {
                match rng.below(6) {
                    5 => terms.fee_bps = *rng.pick(&[2001, 10_000, 65_535]),
                    0 => terms.challenge = MIN_CHALLENGE - 1,
                    1 => terms.challenge = MAX_CHALLENGE + 1,
                    2 => terms.challenge = u32::MAX,
                    3 => terms.payer.workchain = -1,
                    _ => terms.payee.workchain = -1,
                }
            }
            let model = Channel::new(&codes.channel, terms);
            channels.push(Tracked { model, payer, payee, signed: 0, storage: 0, frozen: false });
        }
        let chain = codes.chain()?;
        Ok(Self { chain, people, channels, vouchers: vec![], auths: vec![], queue: vec![], story })
    }

    fn step(&mut self, seed: u64, coverage: &mut Coverage) -> Result<(), Failure> {
        let mut rng = Rng::new(seed);
        match actions::choose(self, &mut rng) {
            actions::Action::Send { name, message, later } => {
                if later {
                    self.story.tell(|| format!("(a {name} is on its way)"));
                    self.queue.push((name, message));
                    return Ok(());
                }
                self.deliver(name, &message, coverage).map(|_| ())
            }
            actions::Action::Arrive(place) => {
                let (name, message) = self.queue.swap_remove(place);
                self.deliver(name, &message, coverage).map(|_| ())
            }
            actions::Action::Wait(seconds) => {
                // Unix seconds of 32 bits end in 2106.
                self.chain.now = self.chain.now.saturating_add(seconds).min(BEGINNING + 70 * 365 * 86_400);
                self.story.tell(|| format!("{seconds} s pass"));
                Ok(())
            }
        }
    }

    /// I5, I8: whoever wants to leave can, alone; I3: and then the books are even.
    fn finish(&mut self, coverage: &mut Coverage) -> Result<(), Failure> {
        for place in 0..self.channels.len() {
            let channel = &self.channels[place];
            if !channel.model.deployed || channel.frozen {
                continue;
            }
            let (payer, payee) = (channel.payer, channel.payee);
            let want = channel.signed.min(channel.model.deposit);
            if want > channel.model.claimed {
                let voucher = actions::voucher_for(self, place, want, 0, None);
                self.exit(actions::claim(self, place, payee, &voucher), "Claim", coverage)?;
                self.must(place, |c| c.claimed == want, "I5: the payee is not paid in one transaction")?;
            }
            if self.channels[place].model.left() > 0 {
                if self.channels[place].model.close_at == 0 {
                    self.exit(actions::request_close(self, place, payer), "RequestClose", coverage)?;
                }
                let model = &self.channels[place].model;
                let limit = self.chain.now.saturating_add(model.terms.challenge);
                if self.channels[place].frozen {
                    continue;
                }
                if model.close_at == 0 || model.close_at > limit {
                    return Err(Failure::new(format!(
                        "I5: channel {place} lets the payer wait for longer than agreed"
                    )));
                }
                self.chain.now = self.chain.now.max(model.close_at);
                self.exit(actions::settle(self, place, payer), "Settle", coverage)?;
                self.must(place, |c| c.left() == 0, "I5: the payer cannot leave alone")?;
            }
        }
        Ok(())
    }

    fn story(&self) -> &Story {
        &self.story
    }
}

impl ChannelWorld {
    fn exit(&mut self, message: Message, name: &'static str, coverage: &mut Coverage) -> Result<(), Failure> {
        let ending = self.deliver(name, &message, coverage)?;
        let frozen = self.channels.iter().any(|c| c.model.address == message.dst && c.frozen);
        if ending == Ending::Done || frozen {
            return Ok(());
        }
        Err(Failure::new(format!("I8: an exit is refused: {name} ended with “{ending}”")))
    }

    fn must(&self, place: usize, holds: impl Fn(&Channel) -> bool, why: &str) -> Result<(), Failure> {
        let channel = &self.channels[place];
        if channel.frozen || holds(&channel.model) { Ok(()) } else { Err(Failure::new(format!("{why}: {channel:?}"))) }
    }

    fn deliver(&mut self, name: &'static str, message: &Message, coverage: &mut Coverage) -> Result<Ending, Failure> {
        let line = self.describe(name, message);
        let outcome = self.deliver_quietly(name, message, coverage);
        self.story.tell(|| match &outcome {
            Ok(ending) => format!("{line}: {ending}"),
            Err(_) => format!("{line}: FAILED"),
        });
        outcome.map_err(|e| e.in_context(&line))
    }

    fn deliver_quietly(
        &mut self,
        name: &'static str,
        message: &Message,
        coverage: &mut Coverage,
    ) -> Result<Ending, Failure> {
        let place = self.channels.iter().position(|c| c.model.address == message.dst);
        let place = place.ok_or_else(|| Failure::new("nobody knows this channel"))?;
        let tracked = &self.channels[place];
        let (balance, data) = self.chain.account(&message.dst);
        if balance + message.value > MAX_COINS {
            // More money than a network can have.
            return Ok(Ending::NoContract);
        }
        let absent = data.is_none() && (message.init.is_none() || (tracked.frozen && !tracked.model.is_pristine()));
        let receipt = self.chain.deliver(message)?;
        coverage.transactions += 1;
        let call = Call::new(self.chain.now, message, &receipt);
        let tracked = &mut self.channels[place];
        tracked.storage += receipt.storage;
        tracked.frozen = receipt.frozen;
        // Storage that nobody paid for has ended it in this very transaction.
        let lost = data.is_some() && receipt.data.is_none() && receipt.start <= receipt.value;
        let (verdict, next) = if absent || lost {
            (Verdict::Refused(vec![]), tracked.model.clone())
        } else {
            tracked.model.receive(&call)
        };
        let ending = judge(&receipt, &verdict, message, LEAST)?;
        coverage.count(name, ending);
        if ending == Ending::Done {
            let expected = next.data();
            if receipt.data.as_ref() != Some(&expected) {
                return Err(Failure::new(format!("another state than {next:?}")));
            }
            let before = std::mem::replace(&mut tracked.model, next);
            if name == "TopUp" {
                tracked.storage = 0;
            }
            tracked.invariants(&before)?;
        }
        // What goes to a registry may come back.
        let forwarded = receipt.out.iter().filter(|m| m.bounce && !m.bounced);
        self.queue.extend(forwarded.map(|sent| ("EvidenceBounce", actions::returned(sent))));
        let tracked = &self.channels[place];
        tracked.funded(receipt.after)?;
        Ok(ending)
    }

    fn describe(&self, name: &str, message: &Message) -> String {
        let who = |address: &StdAddr| {
            self.people.iter().find(|p| p.address == *address).map_or_else(|| address.to_string(), |p| p.name.clone())
        };
        let place = self.channels.iter().position(|c| c.model.address == message.dst).unwrap_or(usize::MAX);
        let mut line = format!("+{} s  {} → channel {place}  {name}", self.chain.now - BEGINNING, who(&message.src));
        let details = actions::details(self, message);
        if !details.is_empty() {
            let _ = write!(line, " {details}");
        }
        let _ = write!(line, ", {} TON", ton(message.value));
        if message.init.is_some() {
            line.push_str(", with its code");
        }
        line
    }
}

impl Tracked {
    /// What holds after every accepted message.
    fn invariants(&self, before: &Channel) -> Result<(), Failure> {
        let now = &self.model;
        let check = |holds: bool, what: &str| {
            if holds { Ok(()) } else { Err(Failure::new(format!("{what} is broken: {before:?} → {now:?}"))) }
        };
        check(now.claimed <= now.deposit && now.claimed >= before.claimed, "I1")?;
        let sums = now.books.paid + now.books.refunded + now.left() == now.books.topped_up;
        check(sums && now.books.paid == now.claimed, "I3")?;
        check(now.claimed <= self.signed, "I4")
    }

    /// I2: the money is there, but for what storage has cost.
    fn funded(&self, balance: u128) -> Result<(), Failure> {
        let owed = self.model.left() + RESERVE;
        if !self.model.deployed || self.model.books.topped_up == 0 || balance + self.storage >= owed {
            return Ok(());
        }
        let storage = ton(self.storage);
        Err(Failure::new(format!(
            "I2 is broken: {} are there, {} are owed, {storage} cost storage",
            ton(balance),
            ton(owed)
        )))
    }
}
