//! The payment channel as the specification describes it.

use tycho_types::cell::{Cell, CellBuilder, CellFamily, CellType};
use tycho_types::models::{StateInit, StdAddr};

use crate::cells::{MAX_COINS, Reader, Writer};
use crate::chain::{Chain, address_of};
use crate::keys::is_signed;
use crate::verdict::{Amount, Call, Reasons, Sent, Verdict, done};

/// Nanotons in a hundredth of a Toncoin.
pub const CENT: u128 = 10_000_000;

/// Least value of a message.
pub const MIN_VALUE: u128 = 2 * CENT;
/// Kept for storage.
pub const RESERVE: u128 = 4 * CENT;
/// Shortest challenge period, in seconds.
pub const MIN_CHALLENGE: u32 = 600;
/// Longest challenge period, in seconds.
pub const MAX_CHALLENGE: u32 = 30 * 86_400;

/// The highest part of a claim that may burn, in hundredths of a percent.
pub const MAX_FEE_BPS: u16 = 2000;
/// What a claim with evidence needs beside the least value.
pub const EVIDENCE_VALUE: u128 = 10 * CENT;

/// Where fees go: an address to which nobody can have a key.
pub const BURN: StdAddr = StdAddr::new(0, tycho_types::cell::HashBytes::ZERO);

/// Operations.
pub mod op {
    #![allow(missing_docs)]
    pub const TOP_UP: u32 = 0x4348_0001;
    pub const CLAIM: u32 = 0x4348_0002;
    pub const REQUEST_CLOSE: u32 = 0x4348_0003;
    pub const SETTLE: u32 = 0x4348_0004;
    pub const COOP_CLOSE: u32 = 0x4348_0005;
    pub const PAID: u32 = 0x4348_0011;
    pub const REFUNDED: u32 = 0x4348_0012;
    pub const CLOSING_STARTED: u32 = 0x4348_0013;
    pub const EXCESSES: u32 = 0xd532_76db;
    pub const VOUCHER: u32 = 0x5643_4831;
    pub const CLOSE: u32 = 0x434c_5331;
    pub const EVIDENCE: u32 = 0x4556_4432;
    pub const SETTLED: u32 = 0x5247_0031;
}

/// Error codes.
pub mod code {
    #![allow(missing_docs)]
    pub const LOW_VALUE: i32 = 1000;
    pub const NOT_PAYER: i32 = 1001;
    pub const CLOSING: i32 = 1002;
    pub const NOT_CLOSING: i32 = 1003;
    pub const TOO_EARLY: i32 = 1004;
    pub const UNDERPAID: i32 = 1005;
    pub const NO_AMOUNT: i32 = 1006;
    pub const BAD_TERMS: i32 = 1007;
    pub const BAD_SIGNATURE: i32 = 1008;
    pub const BAD_FORMAT: i32 = 1009;
    pub const OTHER_NETWORK: i32 = 1010;
    pub const OTHER_CHANNEL: i32 = 1011;
    pub const EXPIRED: i32 = 1012;
    pub const NOTHING_NEW: i32 = 1013;
    pub const ERODED: i32 = 1014;
    pub const STALE: i32 = 1015;
    pub const EMPTY: i32 = 1016;
}

/// What was agreed on.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Gets the refund.
    pub payer: StdAddr,
    /// Gets the claims.
    pub payee: StdAddr,
    /// Signs vouchers.
    pub payer_key: [u8; 32],
    /// Signs close authorisations.
    pub payee_key: [u8; 32],
    /// Seconds.
    pub challenge: u32,
    /// Tells channels apart.
    pub salt: u64,
    /// What of a claim burns, in hundredths of a percent.
    pub fee_bps: u16,
}

impl Terms {
    /// The cell in the channel's data.
    pub fn cell(&self) -> Cell {
        let second = Writer::default().word(&self.payee_key).uint(self.fee_bps.into(), 16);
        Writer::default()
            .address(&self.payer)
            .address(&self.payee)
            .word(&self.payer_key)
            .uint(self.challenge.into(), 32)
            .uint(self.salt.into(), 64)
            .cell(second.end())
            .end()
    }

    fn acceptable(&self) -> bool {
        (MIN_CHALLENGE..=MAX_CHALLENGE).contains(&self.challenge)
            && self.fee_bps <= MAX_FEE_BPS
            && self.payer.workchain == 0
            && self.payee.workchain == 0
    }
}

/// Sums over the channel's life, in nanotons: what the books have to agree with.
#[derive(Clone, Default, Debug)]
pub struct Books {
    /// Added by top-ups.
    pub topped_up: u128,
    /// Claimed: what the payee got and what burned.
    pub paid: u128,
    /// What burned of it.
    pub burned: u128,
    /// Returned to the payer by settlements, fees and reserve apart.
    pub refunded: u128,
}

/// One channel.
#[derive(Clone, Debug)]
pub struct Channel {
    /// What was agreed on.
    pub terms: Terms,
    /// Code and initial data.
    pub init: StateInit,
    /// Where it is.
    pub address: StdAddr,
    /// Whether it has accepted anything.
    pub deployed: bool,
    /// Sum of the top-ups, less what was refunded.
    pub deposit: u128,
    /// Sum of the claims.
    pub claimed: u128,
    /// When the challenge period ends; 0 while open.
    pub close_at: u32,
    /// Settlements so far.
    pub epoch: u32,
    /// Sums.
    pub books: Books,
}

impl Channel {
    /// A channel that nobody has put money into.
    pub fn new(code: &Cell, terms: Terms) -> Self {
        let mut channel = Self {
            terms,
            init: StateInit::default(),
            address: StdAddr::new(0, tycho_types::cell::HashBytes::ZERO),
            deployed: false,
            deposit: 0,
            claimed: 0,
            close_at: 0,
            epoch: 0,
            books: Books::default(),
        };
        channel.init = StateInit { code: Some(code.clone()), data: Some(channel.data()), ..Default::default() };
        channel.address = address_of(&channel.init);
        channel
    }

    /// The contract's data in this state.
    pub fn data(&self) -> Cell {
        Writer::default()
            .cell(self.terms.cell())
            .coins(self.deposit)
            .coins(self.claimed)
            .uint(self.close_at.into(), 32)
            .uint(self.epoch.into(), 32)
            .end()
    }

    /// Whether it is as it was created: then its code and data can be brought along again after the network froze it.
    pub const fn is_pristine(&self) -> bool {
        self.deposit == 0 && self.claimed == 0 && self.close_at == 0 && self.epoch == 0
    }

    /// What the payer can still get back.
    pub const fn left(&self) -> u128 {
        self.deposit - self.claimed
    }

    /// What a message must do, and the state after it if it is accepted.
    pub fn receive(&self, call: &Call<'_>) -> (Verdict, Self) {
        let mut next = self.clone();
        next.deployed = true;
        let mut body = Reader::new(call.body);
        if call.bounced {
            return (next.evidence_returned(call, &mut body), next);
        }
        let verdict = match body.u32() {
            Ok(op::TOP_UP) => next.top_up(call, &mut body),
            Ok(op::CLAIM) => next.claim(call, &mut body),
            Ok(op::REQUEST_CLOSE) => next.request_close(call, &mut body),
            Ok(op::SETTLE) => next.settle(call, &mut body),
            Ok(op::COOP_CLOSE) => next.coop_close(call, &mut body),
            _ => Verdict::Refused(vec![130]),
        };
        (verdict, next)
    }

    fn top_up(&mut self, call: &Call<'_>, body: &mut Reader<'_>) -> Verdict {
        let (Ok(query), Ok(amount)) = (body.uint(64), body.coins()) else { return Verdict::Refused(vec![]) };
        let mut reasons = Reasons::default();
        reasons.when(self.close_at != 0, code::CLOSING);
        reasons.when(amount == 0, code::NO_AMOUNT);
        reasons.when(self.deposit == 0 && !self.terms.acceptable(), code::BAD_TERMS);
        // What was here, or what should be here, whichever is more; and the new money.
        let keeps = (call.balance - call.value).max(self.left() + RESERVE) + amount;
        reasons.when(call.balance < keeps + MIN_VALUE, code::UNDERPAID);
        if self.deposit + amount > MAX_COINS {
            reasons.malformed();
        }
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        self.deposit += amount;
        self.books.topped_up += amount;
        done(keeps, vec![Sent::plain(call.sender.clone(), Amount::Rest, excesses(query))])
    }

    fn claim(&mut self, call: &Call<'_>, body: &mut Reader<'_>) -> Verdict {
        let (Ok(query), Ok(signature), Ok(voucher)) = (body.uint(64), body.signature(), body.cell()) else {
            return Verdict::Refused(vec![]);
        };
        let mut reasons = Reasons::default();
        reasons.when(!is_signed(&voucher, &signature, &self.terms.payer_key), code::BAD_SIGNATURE);
        let read = || -> Result<_, tycho_types::error::Error> {
            let mut r = Reader::new(&voucher);
            let read = (r.u32()?, r.int32()?, r.address()?, r.coins()?, r.u32()?, r.maybe()?);
            r.end()?;
            Ok(read)
        };
        let Ok((tag, network, channel, cumulative, valid_until, evidence)) = read() else {
            return Verdict::Refused(vec![]);
        };
        // Evidence goes to the registry that it names. What is no evidence stands in nobody's way.
        let registry = evidence.as_ref().and_then(registry_of);
        let needed = if registry.is_some() { MIN_VALUE + EVIDENCE_VALUE } else { MIN_VALUE };
        reasons.when(call.value < needed, code::LOW_VALUE);
        reasons.when(tag != op::VOUCHER, code::BAD_FORMAT);
        reasons.when(network != Chain::NETWORK, code::OTHER_NETWORK);
        reasons.when(channel != self.address, code::OTHER_CHANNEL);
        reasons.when(valid_until != 0 && call.now >= valid_until, code::EXPIRED);
        let target = cumulative.min(self.deposit);
        let amount = target.saturating_sub(self.claimed);
        reasons.when(amount == 0, code::NOTHING_NEW);
        reasons.when(call.balance < amount + needed, code::ERODED);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        self.claimed = target;
        self.books.paid += amount;
        let fee = amount * u128::from(self.terms.fee_bps) / 10_000;
        self.books.burned += fee;
        let paid = Writer::op(op::PAID).uint(query.into(), 64).coins(amount).coins(target).coins(fee).end();
        // I7: storage may have eaten into what is left for the payer, never into the payee's money.
        let keeps = (call.balance - call.value).saturating_sub(amount);
        let payee = self.terms.payee.clone();
        let mut sends = vec![];
        if fee > 0 {
            sends.push(Sent::plain(BURN, Amount::Exact(fee), Cell::empty_cell()));
        }
        let caller = call.sender.clone();
        match (registry, evidence) {
            (Some(registry), Some(evidence)) => {
                let settled = Writer::op(op::SETTLED)
                    .uint(query.into(), 64)
                    .coins(amount)
                    .address(&caller)
                    .cell(self.terms.cell())
                    .cell(evidence)
                    .end();
                sends.push(Sent::plain(payee, Amount::Exact(amount - fee), paid));
                sends.push(Sent::bouncing(registry, Amount::Rest, settled));
            }
            _ if caller == payee => sends.push(Sent::plain(payee, Amount::Rest, paid)),
            _ => {
                sends.push(Sent::plain(payee, Amount::Exact(amount - fee), paid));
                sends.push(Sent::plain(caller, Amount::Rest, excesses(query)));
            }
        }
        done(keeps, sends)
    }

    /// The registry did not take the evidence: what is left of the claim's value goes to the payee.
    fn evidence_returned(&self, call: &Call<'_>, body: &mut Reader<'_>) -> Verdict {
        let (Ok(u32::MAX), Ok(op::SETTLED), Ok(query)) = (body.u32(), body.u32(), body.uint(64)) else {
            return Verdict::Refused(vec![]);
        };
        let sends = vec![Sent::plain(self.terms.payee.clone(), Amount::Rest, excesses(query))];
        done(call.balance - call.value, sends)
    }

    fn request_close(&mut self, call: &Call<'_>, body: &mut Reader<'_>) -> Verdict {
        let Ok(query) = body.uint(64) else { return Verdict::Refused(vec![]) };
        let mut reasons = Reasons::default();
        reasons.when(call.value < MIN_VALUE, code::LOW_VALUE);
        reasons.when(*call.sender != self.terms.payer, code::NOT_PAYER);
        reasons.when(self.close_at != 0, code::CLOSING);
        reasons.when(self.left() == 0, code::EMPTY);
        // A slip in the terms, with which nothing can be paid in.
        let Some(close_at) = call.now.checked_add(self.terms.challenge) else {
            reasons.malformed();
            return reasons.verdict().unwrap_or(Verdict::Refused(vec![]));
        };
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        self.close_at = close_at;
        let notice = Writer::op(op::CLOSING_STARTED).uint(query.into(), 64).uint(close_at.into(), 32).end();
        done(
            call.balance - call.value,
            vec![
                Sent::plain(self.terms.payee.clone(), Amount::Exact(0), notice),
                Sent::plain(call.sender.clone(), Amount::Rest, excesses(query)),
            ],
        )
    }

    fn settle(&mut self, call: &Call<'_>, body: &mut Reader<'_>) -> Verdict {
        let Ok(query) = body.uint(64) else { return Verdict::Refused(vec![]) };
        let mut reasons = Reasons::default();
        reasons.when(call.value < MIN_VALUE, code::LOW_VALUE);
        reasons.when(self.close_at == 0, code::NOT_CLOSING);
        reasons.when(call.now < self.close_at, code::TOO_EARLY);
        reasons.verdict().unwrap_or_else(|| self.refund(call, query))
    }

    fn coop_close(&mut self, call: &Call<'_>, body: &mut Reader<'_>) -> Verdict {
        let (Ok(query), Ok(signature), Ok(auth)) = (body.uint(64), body.signature(), body.cell()) else {
            return Verdict::Refused(vec![]);
        };
        let mut reasons = Reasons::default();
        reasons.when(call.value < MIN_VALUE, code::LOW_VALUE);
        reasons.when(!is_signed(&auth, &signature, &self.terms.payee_key), code::BAD_SIGNATURE);
        let read = || -> Result<_, tycho_types::error::Error> {
            let mut r = Reader::new(&auth);
            let read = (r.u32()?, r.int32()?, r.address()?, r.coins()?, r.u32()?);
            r.end()?;
            Ok(read)
        };
        let Ok((tag, network, channel, claimed, epoch)) = read() else {
            return Verdict::Refused(vec![]);
        };
        reasons.when(tag != op::CLOSE, code::BAD_FORMAT);
        reasons.when(network != Chain::NETWORK, code::OTHER_NETWORK);
        reasons.when(channel != self.address, code::OTHER_CHANNEL);
        reasons.when(claimed != self.claimed || epoch != self.epoch, code::STALE);
        reasons.verdict().unwrap_or_else(|| self.refund(call, query))
    }

    fn refund(&mut self, call: &Call<'_>, query: u64) -> Verdict {
        let amount = self.left();
        self.books.refunded += amount;
        self.deposit = self.claimed;
        self.close_at = 0;
        self.epoch += 1;
        let body = Writer::op(op::REFUNDED).uint(query.into(), 64).coins(amount).coins(self.claimed).end();
        let keeps = RESERVE.min(call.balance - call.value);
        done(keeps, vec![Sent::plain(self.terms.payer.clone(), Amount::Rest, body)])
    }
}

/// The registry that evidence names; none if the cell is not evidence.
fn registry_of(evidence: &Cell) -> Option<StdAddr> {
    if evidence.cell_type() != CellType::Ordinary {
        return None;
    }
    let mut r = Reader::new(evidence);
    let tag = r.u32().ok()?;
    let registry = r.address().ok()?;
    let counters = [r.uint(64), r.uint(64), r.uint(64)];
    let whole = r.end().is_ok() && counters.iter().all(Result::is_ok);
    (whole && tag == op::EVIDENCE && registry.workchain == 0).then_some(registry)
}

fn excesses(query: u64) -> Cell {
    Writer::op(op::EXCESSES).uint(query.into(), 64).end()
}

/// Copies a cell with more bits or fewer, or with a reference more.
pub fn distorted(cell: &Cell, how: u64) -> Cell {
    let mut slice = cell.as_slice_allow_exotic();
    let mut b = CellBuilder::new();
    let stored = match how % 3 {
        0 => b.store_slice(slice).and_then(|()| b.store_bit_zero()),
        1 => b.store_slice(slice).and_then(|()| b.store_reference(Cell::empty_cell())),
        _ => {
            let bits = slice.size_bits().saturating_sub(1);
            slice.load_prefix(bits, slice.size_refs()).and_then(|prefix| b.store_slice(prefix))
        }
    };
    match stored.and_then(|()| b.build()) {
        Ok(changed) => changed,
        Err(_) => cell.clone(),
    }
}
