//! Faults that signatures prove: what a proof must hold, and the report that binds a reporter to it before it is shown.

pub mod making;

use cocoon_wrappers::generated::pay_channel::ChannelTerms;
use tycho_types::cell::Cell;
use tycho_types::error::Error;
use tycho_types::models::{StateInit, StdAddr};

use crate::cells::{Reader, Writer};
use crate::chain::{Chain, address_of};
use crate::dao::{CENT, TON, excesses};
use crate::keys::is_signed;
use crate::verdict::{Amount, Call, Reasons, Sent, Verdict, done, malformed};

/// Least value of a commitment.
pub const COMMIT_VALUE: u128 = 3 * CENT;
/// Least value of a revelation.
pub const REVEAL_VALUE: u128 = TON / 2;
/// Kept for storage.
pub const RESERVE: u128 = CENT;
/// Seconds from commitment to revelation, at least.
pub const MIN_WAIT: u32 = 60;
/// And at most.
pub const MAX_WAIT: u32 = 7 * 86_400;
const MAX_ANSWER_TIME: u32 = 3600;

/// First words and operations.
pub mod op {
    #![allow(missing_docs)]
    pub const COMMIT: u32 = 0x4652_0001;
    pub const REVEAL: u32 = 0x4652_0002;
    pub const PROVE: u32 = 0x4652_0003;
    pub const REWARDED: u32 = 0x4652_0011;
    pub const COMMITMENT: u32 = 0x4643_4d31;
    pub const RECEIPT: u32 = 0x5243_5031;
    pub const ACCEPTANCE: u32 = 0x4143_5031;
    pub const TWO_RECEIPTS: u32 = 0x4650_3031;
    pub const WRONG_MODEL: u32 = 0x4650_3032;
    pub const TWO_IMAGES: u32 = 0x4650_3033;
    pub const REVOKED_USE: u32 = 0x4650_3034;
    pub const EQUIVOCATION: u32 = 0x4650_3035;
    pub const VOUCHER: u32 = 0x5643_4831;
    pub const EVIDENCE: u32 = 0x4556_4432;
}

/// Error codes.
pub mod code {
    #![allow(missing_docs)]
    pub const LOW_VALUE: i32 = 1600;
    pub const NOT_REPORTER: i32 = 1601;
    pub const COMMITTED: i32 = 1602;
    pub const OTHER_COMMITMENT: i32 = 1603;
    pub const TOO_EARLY: i32 = 1604;
    pub const TOO_LATE: i32 = 1605;
    pub const NOT_REPORT: i32 = 1610;
    pub const OTHER_KIND: i32 = 1611;
    pub const BAD_FORMAT: i32 = 1612;
    pub const BAD_SIGNATURE: i32 = 1613;
    pub const OTHER_NETWORK: i32 = 1614;
    pub const NO_CONTRADICTION: i32 = 1615;
}

/// What a commitment hides.
pub fn commitment(reporter: &StdAddr, salt: &[u8; 32], proof: &Cell) -> [u8; 32] {
    let opened = Writer::op(op::COMMITMENT).address(reporter).word(salt).word(&proof.repr_hash().0);
    opened.end().repr_hash().0
}

/// A report.
#[derive(Clone, Debug)]
pub struct Report {
    /// Who judges.
    pub target: StdAddr,
    /// Who accuses.
    pub reporter: StdAddr,
    /// Hash of what is hidden.
    pub commitment: [u8; 32],
    /// When it was committed to; 0: not yet.
    pub committed_at: u32,
    /// Code and initial data.
    pub init: StateInit,
    /// Where it is.
    pub address: StdAddr,
}

impl Report {
    /// A report that nobody has committed to.
    pub fn new(code: &Cell, target: &StdAddr, reporter: &StdAddr, commitment: [u8; 32]) -> Self {
        let mut report = Self {
            target: target.clone(),
            reporter: reporter.clone(),
            commitment,
            committed_at: 0,
            init: StateInit::default(),
            address: target.clone(),
        };
        report.init = StateInit { code: Some(code.clone()), data: Some(report.data()), ..Default::default() };
        report.address = address_of(&report.init);
        report
    }

    /// The contract's data in this state.
    pub fn data(&self) -> Cell {
        Writer::default()
            .address(&self.target)
            .address(&self.reporter)
            .word(&self.commitment)
            .uint(self.committed_at.into(), 32)
            .end()
    }

    /// What a message must do; if it is accepted, this is the state after it.
    pub fn receive(&mut self, call: &Call<'_>) -> Verdict {
        let mut r = Reader::new(call.body);
        if call.bounced {
            let (Ok(_), Ok(op::PROVE), Ok(query)) = (r.u32(), r.u32(), r.uint(64)) else { return malformed() };
            return done(call.own(), vec![Sent::plain(self.reporter.clone(), Amount::Rest, excesses(query))]);
        }
        match (r.u32(), r.uint(64)) {
            (Ok(op::COMMIT), Ok(query)) => self.commit(call, query),
            (Ok(op::REVEAL), Ok(query)) => match (r.word(), r.cell()) {
                (Ok(salt), Ok(proof)) => self.reveal(call, query, &salt, proof),
                _ => malformed(),
            },
            _ => Verdict::Refused(vec![130]),
        }
    }

    fn commit(&mut self, call: &Call<'_>, query: u64) -> Verdict {
        let mut reasons = Reasons::default();
        reasons.when(*call.sender != self.reporter, code::NOT_REPORTER);
        reasons.when(call.value < COMMIT_VALUE, code::LOW_VALUE);
        reasons.when(self.committed_at != 0, code::COMMITTED);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        self.committed_at = call.now;
        done(RESERVE, vec![Sent::plain(self.reporter.clone(), Amount::Rest, excesses(query))])
    }

    fn reveal(&self, call: &Call<'_>, query: u64, salt: &[u8; 32], proof: Cell) -> Verdict {
        let mut reasons = Reasons::default();
        reasons.when(*call.sender != self.reporter, code::NOT_REPORTER);
        reasons.when(call.value < REVEAL_VALUE, code::LOW_VALUE);
        let age = call.now - self.committed_at;
        reasons.when(self.committed_at == 0 || age < MIN_WAIT, code::TOO_EARLY);
        reasons.when(age > MAX_WAIT, code::TOO_LATE);
        reasons.when(commitment(&self.reporter, salt, &proof) != self.commitment, code::OTHER_COMMITMENT);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        let said = Writer::op(op::PROVE)
            .uint(query.into(), 64)
            .address(&self.reporter)
            .word(&self.commitment)
            .uint(self.committed_at.into(), 32)
            .cell(proof)
            .end();
        done(call.own(), vec![Sent::bouncing(self.target.clone(), Amount::Rest, said)])
    }
}

/// What a report tells its target.
pub struct Accusation {
    /// Of the message.
    pub query: u64,
    /// Who accuses.
    pub reporter: StdAddr,
    /// What was hidden.
    pub commitment: [u8; 32],
    /// What is shown.
    pub proof: Cell,
}

/// Reads ProveFault.
pub fn accusation(body: &Cell) -> Result<Accusation, Error> {
    let mut r = Reader::new(body);
    r.u32()?;
    let (query, reporter, commitment, _, proof) = (r.uint(64)?, r.address()?, r.word()?, r.u32()?, r.cell()?);
    Ok(Accusation { query, reporter, commitment, proof })
}

/// The word to the reporter.
pub fn rewarded(query: u64, key: &[u8; 32], slashed: u128) -> Cell {
    Writer::op(op::REWARDED).uint(query.into(), 64).word(key).coins(slashed).end()
}

/// Why a proof proves nothing: error codes; none when it cannot be read.
pub type Doubt = Vec<i32>;

fn unreadable(_: Error) -> Doubt {
    vec![]
}

fn opened(signed: &Cell, key: &[u8; 32]) -> Result<Cell, Doubt> {
    let mut r = Reader::new(signed);
    let (signature, body) = (r.signature().map_err(unreadable)?, r.cell().map_err(unreadable)?);
    let mut doubts = vec![];
    if r.end().is_err() {
        doubts.push(code::BAD_FORMAT);
    }
    if !is_signed(&body, &signature, key) {
        doubts.push(code::BAD_SIGNATURE);
    }
    if doubts.is_empty() { Ok(body) } else { Err(doubts) }
}

/// Whose word, for which network: the head of everything signed.
fn head(r: &mut Reader<'_>, tag: u32) -> Result<StdAddr, Doubt> {
    let (found, network, channel) =
        (r.u32().map_err(unreadable)?, r.int32().map_err(unreadable)?, r.address().map_err(unreadable)?);
    let mut doubts = vec![];
    if found != tag {
        doubts.push(code::BAD_FORMAT);
    }
    if network != Chain::NETWORK {
        doubts.push(code::OTHER_NETWORK);
    }
    if doubts.is_empty() { Ok(channel) } else { Err(doubts) }
}

struct Answer {
    hash: [u8; 32],
    channel: StdAddr,
    seqno: u64,
    time: u32,
    request: [u8; 32],
    model: [u8; 32],
    image: [u8; 32],
}

fn answer(signed: &Cell, key: &[u8; 32]) -> Result<Answer, Doubt> {
    let body = opened(signed, key)?;
    let mut r = Reader::new(&body);
    let channel = head(&mut r, op::RECEIPT)?;
    let read = |r: &mut Reader<'_>| -> Result<_, Error> {
        let (seqno, time, content, terms) = (r.uint(64)?, r.u32()?, r.cell()?, r.cell()?);
        r.end()?;
        let mut c = Reader::new(&content);
        let (request, _, model) = (c.word()?, c.word()?, c.word()?);
        c.end()?;
        let image = Reader::new(&terms).word()?;
        Ok((seqno, time, request, model, image))
    };
    let (seqno, time, request, model, image) = read(&mut r).map_err(unreadable)?;
    Ok(Answer { hash: body.repr_hash().0, channel, seqno, time, request, model, image })
}

/// The node that the proof convicts of contradicting itself.
pub fn convicted(proof: &Cell) -> Result<[u8; 32], Doubt> {
    let mut r = Reader::new(proof);
    let kind = r.u32().map_err(unreadable)?;
    if ![op::TWO_RECEIPTS, op::WRONG_MODEL, op::TWO_IMAGES].contains(&kind) {
        return Err(vec![code::OTHER_KIND]);
    }
    let node = r.word().map_err(unreadable)?;
    let (first, second) = (r.cell().map_err(unreadable)?, r.cell().map_err(unreadable)?);
    r.end().map_err(unreadable)?;
    let b = answer(&second, &node)?;
    let guilty = if kind == op::WRONG_MODEL {
        let body = opened(&first, &node)?;
        let mut r = Reader::new(&body);
        let channel = head(&mut r, op::ACCEPTANCE)?;
        let mut rest = || Ok((r.u32()?, r.word()?, r.word()?, r.end()?));
        let (time, request, model, ()) = rest().map_err(unreadable)?;
        let timely = time <= b.time && u64::from(b.time) <= u64::from(time) + u64::from(MAX_ANSWER_TIME);
        channel == b.channel && request == b.request && timely && model != b.model
    } else {
        let a = answer(&first, &node)?;
        match kind {
            op::TWO_RECEIPTS => a.channel == b.channel && a.seqno == b.seqno && a.hash != b.hash,
            _ => a.image != b.image,
        }
    };
    if guilty { Ok(node) } else { Err(vec![code::NO_CONTRADICTION]) }
}

/// Somebody's node used something; whether it was revoked the registry knows.
pub struct Used {
    /// The node's key.
    pub node: [u8; 32],
    /// Where it is bonded.
    pub account: StdAddr,
    /// Image or model.
    pub kind: u8,
    /// Of either.
    pub id: [u8; 32],
    /// When.
    pub time: u32,
}

/// Reads a proof of use.
pub fn used(proof: &Cell) -> Result<Used, Doubt> {
    let mut r = Reader::new(proof);
    if r.u32().map_err(unreadable)? != op::REVOKED_USE {
        return Err(vec![code::OTHER_KIND]);
    }
    let mut rest = || -> Result<_, Error> {
        let (node, account, kind, receipt) = (r.word()?, r.address()?, r.uint(8)?, r.cell()?);
        r.end()?;
        Ok((node, account, kind, receipt))
    };
    let (node, account, kind, receipt) = rest().map_err(unreadable)?;
    let a = answer(&receipt, &node)?;
    let kind = u8::try_from(kind).expect("eight bits");
    Ok(Used { node, account, kind, id: if kind == 1 { a.image } else { a.model }, time: a.time })
}

/// A payer that said two things.
pub struct Equivocation {
    /// The channel's terms.
    pub terms: ChannelTerms,
    /// As a cell.
    pub terms_cell: Cell,
    /// The channel that both vouchers name.
    pub channel: StdAddr,
}

struct Said {
    channel: StdAddr,
    cumulative: u128,
    evidence: Cell,
    counters: [u64; 3],
}

fn said(signed: &Cell, key: &[u8; 32]) -> Result<Said, Doubt> {
    let body = opened(signed, key)?;
    let mut r = Reader::new(&body);
    let channel = head(&mut r, op::VOUCHER)?;
    let mut rest = || -> Result<_, Error> {
        let (cumulative, _, evidence) = (r.coins()?, r.u32()?, r.maybe()?);
        r.end()?;
        Ok((cumulative, evidence))
    };
    let (cumulative, evidence) = rest().map_err(unreadable)?;
    let evidence = evidence.ok_or_else(|| vec![code::BAD_FORMAT])?;
    let mut e = Reader::new(&evidence);
    let mut counters = || -> Result<_, Error> {
        let (tag, _, counters) = (e.u32()?, e.address()?, [e.uint(64)?, e.uint(64)?, e.uint(64)?]);
        e.end()?;
        Ok((tag, counters))
    };
    match counters() {
        Ok((op::EVIDENCE, counters)) => Ok(Said { channel, cumulative, evidence: evidence.clone(), counters }),
        Ok(_) => Err(vec![code::BAD_FORMAT]),
        Err(_) => Err(vec![]),
    }
}

/// The payer that the proof convicts.
pub fn equivocation(proof: &Cell) -> Result<Equivocation, Doubt> {
    let mut r = Reader::new(proof);
    let mut rest = || -> Result<_, Error> {
        let (_, terms, a, b) = (r.u32()?, r.cell()?, r.cell()?, r.cell()?);
        r.end()?;
        Ok((terms, a, b))
    };
    let (terms_cell, a, b) = rest().map_err(unreadable)?;
    let terms = ChannelTerms::from_cell(&terms_cell).map_err(|_| vec![])?;
    let (a, b) = (said(&a, &terms.payer_key.0)?, said(&b, &terms.payer_key.0)?);
    let backwards = a.cumulative < b.cumulative && a.counters.iter().zip(b.counters).any(|(a, b)| b < *a);
    let twice = a.cumulative == b.cumulative && a.evidence != b.evidence;
    if a.channel != b.channel || !(backwards || twice) {
        return Err(vec![code::NO_CONTRADICTION]);
    }
    Ok(Equivocation { terms, terms_cell, channel: a.channel })
}
