//! The payer's side of a channel.

use std::collections::BTreeMap;

use cocoon_protocol::frame::{Books, ChannelTerms};
use cocoon_protocol::voucher::VerifyError;
use cocoon_protocol::{Evidence, GlobalId, Nano, StdAddr, Voucher};

use crate::RequestId;
use crate::record::{PayerRecord, RECORD_VERSION, Service};

/// What a payer has agreed to and promised in one channel.
///
/// Invariant: `billed + Σ reserved ≤ deposit`, and every amount that is signed is `billed + Σ authorised`, where each
/// request's `authorised ≤ reserved`. So nothing that is signed exceeds the deposit, and the payee of a request gains at most
/// what was authorised ahead.
///
/// Evidence about the payee's node is signed into an exact voucher only when that one's amount is above every amount signed with
/// evidence before, and after the counters are on disk. So no two vouchers of a channel ever contradict each other in it, which
/// would cost a proxy its bond.
#[derive(Clone, Debug)]
pub struct PayerBooks {
    global_id: GlobalId,
    channel: StdAddr,
    terms: ChannelTerms,
    deposit: Nano,
    billed: Nano,
    signed: Nano,
    in_flight: BTreeMap<RequestId, InFlight>,
    next: u64,
    claimed: Nano,
    report: Option<Report>,
    service: Service,
    evidenced: Nano,
    silent: bool,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    reserved: Nano,
    authorised: Nano,
}

/// To whom a payer reports how the payee's node serves, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The registry that counts it.
    pub registry: StdAddr,
    /// Only when at least this much is unclaimed: a claim with evidence costs its sender more.
    pub from: Nano,
}

/// The channel cannot pay for the worst case of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the channel has {available} left, but this request may cost {needed}; top the channel up or lower max_tokens")]
pub struct Insufficient {
    /// Cost of the worst case.
    pub needed: Nano,
    /// Deposit less what is billed and reserved.
    pub available: Nano,
}

/// A voucher cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthoriseError {
    /// The request is not in flight.
    #[error("the request is not in flight in this channel")]
    Unknown,
}

/// A cost is not acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BillError {
    /// The request is not in flight.
    #[error("the request is not in flight in this channel")]
    Unknown,
    /// The payee asks for more than was authorised.
    #[error("the payee bills {cost}, but only {authorised} was authorised for this request")]
    TooMuch {
        /// What is billed.
        cost: Nano,
        /// What was authorised.
        authorised: Nano,
    },
}

/// The payee's books cannot be adopted.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The payee claims more than it can prove.
    #[error("the payee says that {billed} is billed, but shows no voucher of ours for as much")]
    Unproven {
        /// What it claims.
        billed: Nano,
    },
    /// The voucher that it shows is of another channel or network.
    #[error("the payee shows a voucher of another channel or network")]
    Foreign,
    /// The signature under the voucher is not ours.
    #[error("the payee shows a voucher that we have not signed: {0}")]
    Forged(#[from] VerifyError),
}

impl PayerBooks {
    /// Books of a channel in which nothing has happened yet.
    pub fn new(global_id: GlobalId, channel: StdAddr, terms: ChannelTerms, deposit: Nano) -> Self {
        Self {
            global_id,
            channel,
            terms,
            deposit,
            billed: Nano::ZERO,
            signed: Nano::ZERO,
            in_flight: BTreeMap::new(),
            next: 0,
            claimed: Nano::ZERO,
            report: None,
            service: Service::default(),
            evidenced: Nano::ZERO,
            silent: false,
        }
    }

    /// Signs evidence about the payee's node into exact vouchers: what a bonded proxy does.
    #[must_use]
    pub fn reporting(mut self, report: Report) -> Self {
        self.report = Some(report);
        self
    }

    /// Books from disk; what was in flight is gone with the links that carried it.
    pub fn restore(global_id: GlobalId, record: PayerRecord, deposit: Nano) -> Self {
        let mut books = Self::new(global_id, record.channel, record.terms, deposit);
        books.billed = record.billed;
        books.signed = record.signed;
        books.service = record.service;
        books.evidenced = record.evidenced;
        books.silent = record.silent;
        books
    }

    /// What must be on disk.
    pub fn record(&self) -> PayerRecord {
        PayerRecord {
            version: RECORD_VERSION,
            channel: self.channel.clone(),
            terms: self.terms.clone(),
            billed: self.billed,
            signed: self.signed,
            service: self.service,
            evidenced: self.evidenced,
            silent: self.silent,
        }
    }

    /// The channel contract.
    pub fn channel(&self) -> &StdAddr {
        &self.channel
    }

    /// What fixes the channel's address.
    pub fn terms(&self) -> &ChannelTerms {
        &self.terms
    }

    /// Sum of the agreed costs of finished requests.
    pub fn billed(&self) -> Nano {
        self.billed
    }

    /// The highest cumulative amount ever signed.
    pub fn signed(&self) -> Nano {
        self.signed
    }

    /// The deposit on chain.
    pub fn deposit(&self) -> Nano {
        self.deposit
    }

    /// The deposit on chain changed: it grows with a top-up and falls to what was claimed with a settlement.
    pub fn set_deposit(&mut self, deposit: Nano) {
        self.deposit = deposit;
    }

    /// What the payee has claimed on chain so far.
    pub fn set_claimed(&mut self, claimed: Nano) {
        self.claimed = claimed;
    }

    /// What was seen of the payee's node.
    pub fn service(&self) -> Service {
        self.service
    }

    /// An answer of the payee's node ended well; its first output came after this many milliseconds.
    pub fn served(&mut self, latency_ms: u64) {
        self.service.ok = self.service.ok.saturating_add(1);
        self.service.latency_ms = self.service.latency_ms.saturating_add(latency_ms);
    }

    /// An answer failed by the fault of the payee's node.
    pub fn let_down(&mut self) {
        self.service.failed = self.service.failed.saturating_add(1);
    }

    /// Deposit less what is billed and reserved.
    pub fn available(&self) -> Nano {
        let reserved: Nano = self.in_flight.values().map(|f| f.reserved).sum();
        self.deposit.saturating_sub(self.billed.saturating_add(reserved))
    }

    /// Number of requests in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Sets the worst case of a request aside (P3.3).
    pub fn reserve(&mut self, worst_case: Nano) -> Result<RequestId, Insufficient> {
        let available = self.available();
        if worst_case > available {
            return Err(Insufficient { needed: worst_case, available });
        }
        let id = RequestId(self.next);
        self.next += 1;
        self.in_flight.insert(id, InFlight { reserved: worst_case, authorised: Nano::ZERO });
        Ok(id)
    }

    /// Allows a request to cost up to `amount` in sum, held at its reservation and at what is left of the deposit, and returns
    /// what it may cost now with the voucher to sign.
    pub fn authorise(&mut self, id: RequestId, amount: Nano) -> Result<(Nano, Voucher), AuthoriseError> {
        let others: Nano = self.in_flight.iter().filter(|(other, _)| **other != id).map(|(_, f)| f.authorised).sum();
        let room = self.deposit.saturating_sub(self.billed.saturating_add(others));
        let request = self.in_flight.get_mut(&id).ok_or(AuthoriseError::Unknown)?;
        request.authorised = request.authorised.max(amount.min(request.reserved).min(room));
        let authorised = request.authorised;
        Ok((authorised, self.voucher()))
    }

    /// What the request may cost at the moment.
    pub fn authorised(&self, id: RequestId) -> Option<Nano> {
        self.in_flight.get(&id).map(|f| f.authorised)
    }

    /// Agrees to a request's cost, takes it out of flight and returns the exact voucher to sign (P3.6). It may be lower than
    /// one signed before: the payee forgets the higher one (P3.7).
    pub fn bill(&mut self, id: RequestId, cost: Nano) -> Result<Voucher, BillError> {
        let request = self.in_flight.get(&id).ok_or(BillError::Unknown)?;
        if cost > request.authorised {
            return Err(BillError::TooMuch { cost, authorised: request.authorised });
        }
        self.in_flight.remove(&id);
        self.billed = self.billed.saturating_add(cost);
        let mut voucher = self.voucher();
        if let Some(Report { registry, from }) = &self.report
            && !self.silent
            && voucher.cumulative > self.evidenced
            && voucher.cumulative >= self.claimed.saturating_add(*from)
        {
            self.evidenced = voucher.cumulative;
            let Service { ok, failed, latency_ms } = self.service;
            voucher.evidence = Some(Evidence { registry: registry.clone(), ok, failed, latency_ms });
        }
        Ok(voucher)
    }

    /// Takes a request out of flight; nothing is billed (P3.8).
    pub fn fail(&mut self, id: RequestId) {
        self.in_flight.remove(&id);
    }

    /// Compares with the payee's books at the start of a session (P2.3, attack 28). Adopts a higher sum if a voucher of our
    /// own proves it; returns how much was adopted. Refused books change nothing.
    ///
    /// A session begins on a new link, so whatever was in flight on the old one has ended: it is taken out of flight. The
    /// payee may have billed it, and then it is in the sum that is adopted; a bill for it that is read from the old link
    /// afterwards must not count again, and fails as [`BillError::Unknown`].
    pub fn reconcile(&mut self, theirs: &Books) -> Result<Nano, ReconcileError> {
        if let Some(signed) = &theirs.voucher {
            let v = &signed.voucher;
            if v.global_id != self.global_id || v.channel != self.channel {
                return Err(ReconcileError::Foreign);
            }
            signed.verify(&self.terms.payer_key)?;
        }
        let proven = theirs.voucher.as_ref().map_or(Nano::ZERO, |v| v.voucher.cumulative);
        if theirs.billed > self.billed && theirs.billed > proven {
            return Err(ReconcileError::Unproven { billed: theirs.billed });
        }
        let adopted = theirs.billed.saturating_sub(self.billed);
        // Either an answer was billed that we had not booked yet, or this record is an old copy: then evidence with higher
        // counters may be signed already, and to sign lower ones now would be equivocation.
        self.silent |= !adopted.is_zero();
        self.billed = self.billed.max(theirs.billed);
        self.signed = self.signed.max(proven);
        self.in_flight.clear();
        Ok(adopted)
    }

    /// `billed + Σ authorised`, which the invariant keeps within the deposit. Never lower than what is billed.
    fn voucher(&mut self) -> Voucher {
        let authorised: Nano = self.in_flight.values().map(|f| f.authorised).sum();
        let cumulative = self.billed.saturating_add(authorised);
        self.signed = self.signed.max(cumulative);
        Voucher {
            global_id: self.global_id,
            channel: self.channel.clone(),
            cumulative,
            valid_until: cocoon_protocol::UnixSeconds(0),
            evidence: None,
        }
    }
}
