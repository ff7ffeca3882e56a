//! The payee's side of a channel.

use std::collections::BTreeMap;

use cocoon_protocol::frame::{Books, ChannelTerms};
use cocoon_protocol::voucher::VerifyError;
use cocoon_protocol::{GlobalId, Nano, SignedReceipt, SignedVoucher, StdAddr, UnixSeconds};

use crate::RequestId;
use crate::record::{PayeeRecord, RECORD_VERSION};

/// Most vouchers kept per channel; beyond it, ones in the middle are thinned out, which costs only precision when a payer
/// vanishes in mid-answer.
const MAX_VOUCHERS: usize = 64;

/// What fixes the payee's side.
#[derive(Clone, Debug)]
pub struct PayeeTerms {
    /// The network.
    pub global_id: GlobalId,
    /// The channel contract.
    pub channel: StdAddr,
    /// What fixes its address.
    pub terms: ChannelTerms,
    /// A voucher must be valid for at least this many seconds more, so that there is time to claim.
    pub expiry_margin: u32,
    /// The registry to which a claim may hand evidence.
    pub registry: StdAddr,
}

/// What a payee has been promised, has released and has billed in one channel.
///
/// A voucher counts only once it is durable: [`PayeeBooks::accept`] takes it in, [`PayeeBooks::record`] gives what must be
/// written, and [`PayeeBooks::durable`] says that it was (P3.5).
///
/// Invariant: `billed + Σ granted ≤ best durable voucher ≤ deposit`, and each request's `consumed ≤ granted`.
#[derive(Clone, Debug)]
pub struct PayeeBooks {
    fixed: PayeeTerms,
    deposit: Nano,
    closing: bool,
    billed: Nano,
    /// By amount; with the version of the record that first has it.
    vouchers: BTreeMap<Nano, (SignedVoucher, u64)>,
    receipt: Option<SignedReceipt>,
    in_flight: BTreeMap<RequestId, InFlight>,
    next: u64,
    version: u64,
    durable: u64,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    reserved: Nano,
    authorised: Nano,
    granted: Nano,
    consumed: Nano,
}

/// A request is not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// Its worst case does not fit the channel.
    #[error(
        "the channel has {available} left, but this request may cost {needed}; top the channel up or lower max_tokens"
    )]
    Insufficient {
        /// Cost of the worst case.
        needed: Nano,
        /// Deposit less what is billed and reserved.
        available: Nano,
    },
    /// The payer has asked the contract to close the channel.
    #[error("the payer is closing the channel; wait until it is settled and top it up, or open another one")]
    Closing,
}

/// A voucher is not acceptable.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// It names another network (attack 4).
    #[error("the voucher is for network {found}, this is network {expected}")]
    Network {
        /// What it names.
        found: GlobalId,
        /// Where we are.
        expected: GlobalId,
    },
    /// It names another channel (attack 3).
    #[error("the voucher is for channel {found}, not for {expected}")]
    Channel {
        /// What it names.
        found: Box<StdAddr>,
        /// Ours.
        expected: Box<StdAddr>,
    },
    /// It expires too early to be claimed safely (attack 8).
    #[error("the voucher expires at {valid_until}; it must be valid beyond {needed}")]
    Expiring {
        /// When it expires.
        valid_until: UnixSeconds,
        /// Until when it must be valid.
        needed: UnixSeconds,
    },
    /// It promises more than there is (attack 9).
    #[error("the voucher promises {cumulative}, but the channel's deposit is {deposit}")]
    AboveDeposit {
        /// What it promises.
        cumulative: Nano,
        /// What there is.
        deposit: Nano,
    },
    /// It promises less than is billed (attack 1).
    #[error("the voucher promises {cumulative}, but {billed} is billed already")]
    BelowBilled {
        /// What it promises.
        cumulative: Nano,
        /// What is billed.
        billed: Nano,
    },
    /// A claim would hand its evidence, and the rest of the claimer's money with it, to somebody else.
    #[error("the voucher's evidence is for {found}, but the registry is {expected}")]
    Registry {
        /// What it names.
        found: Box<StdAddr>,
        /// The network's registry.
        expected: Box<StdAddr>,
    },
    /// The signature is wrong (attacks 6, 7).
    #[error("the voucher is not signed by the channel's payer: {0}")]
    Signature(#[from] VerifyError),
}

/// Consumption is not covered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConsumeError {
    /// The request is not in flight.
    #[error("the request is not in flight in this channel")]
    Unknown,
    /// The durable vouchers do not cover this much.
    #[error("{needed} is needed for this request, and vouchers cover {covered}")]
    NotCovered {
        /// The request's cost with what is to be released.
        needed: Nano,
        /// What is covered.
        covered: Nano,
    },
}

impl PayeeBooks {
    /// Books of a channel in which nothing has happened yet.
    pub fn new(fixed: PayeeTerms, deposit: Nano) -> Self {
        Self {
            fixed,
            deposit,
            closing: false,
            billed: Nano::ZERO,
            vouchers: BTreeMap::new(),
            receipt: None,
            in_flight: BTreeMap::new(),
            next: 0,
            version: 0,
            durable: 0,
        }
    }

    /// Books from disk; what was in flight is gone with the links that carried it, and was never billed.
    pub fn restore(fixed: PayeeTerms, record: PayeeRecord, deposit: Nano) -> Self {
        let mut books = Self::new(fixed, deposit);
        books.billed = record.billed;
        books.receipt = record.receipt;
        books.vouchers = record.vouchers.into_iter().map(|v| (v.voucher.cumulative, (v, 0))).collect();
        books
    }

    /// What must be on disk, with the version to report to [`PayeeBooks::durable`].
    pub fn record(&self) -> (u64, PayeeRecord) {
        let record = PayeeRecord {
            version: RECORD_VERSION,
            channel: self.fixed.channel.clone(),
            terms: self.fixed.terms.clone(),
            billed: self.billed,
            vouchers: self.vouchers.values().map(|(v, _)| v.clone()).collect(),
            receipt: self.receipt.clone(),
        };
        (self.version, record)
    }

    /// The record of this version is on disk.
    pub fn durable(&mut self, version: u64) {
        self.durable = self.durable.max(version);
    }

    /// True when everything up to this version is on disk.
    pub fn is_durable(&self, version: u64) -> bool {
        self.durable >= version
    }

    /// What fixes this side.
    pub fn fixed(&self) -> &PayeeTerms {
        &self.fixed
    }

    /// Sum of the costs of finished requests.
    pub fn billed(&self) -> Nano {
        self.billed
    }

    /// The deposit on chain.
    pub fn deposit(&self) -> Nano {
        self.deposit
    }

    /// The deposit on chain changed: it grows with a top-up and falls to what was claimed with a settlement.
    pub fn set_deposit(&mut self, deposit: Nano) {
        self.deposit = deposit;
    }

    /// The payer has asked the contract to close the channel, or it is settled. While it is closing nothing new is taken in:
    /// what is earned now might come too late to be claimed.
    pub fn set_closing(&mut self, closing: bool) {
        self.closing = closing;
    }

    /// The latest receipt issued here.
    pub fn receipt(&self) -> Option<&SignedReceipt> {
        self.receipt.as_ref()
    }

    /// Number of requests in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// What the payer is told at the start of a session (P2.3).
    pub fn books(&self) -> Books {
        Books { billed: self.billed, voucher: self.claimable().cloned(), receipt: self.receipt.clone() }
    }

    /// Takes a request in if its worst case fits the deposit (P3.3).
    pub fn admit(&mut self, worst_case: Nano) -> Result<RequestId, AdmitError> {
        if self.closing {
            return Err(AdmitError::Closing);
        }
        let reserved: Nano = self.in_flight.values().map(|f| f.reserved).sum();
        let available = self.deposit.saturating_sub(self.billed.saturating_add(reserved));
        if worst_case > available {
            return Err(AdmitError::Insufficient { needed: worst_case, available });
        }
        let id = RequestId(self.next);
        self.next += 1;
        let zero = Nano::ZERO;
        self.in_flight.insert(id, InFlight { reserved: worst_case, authorised: zero, granted: zero, consumed: zero });
        Ok(id)
    }

    /// Takes a voucher in after checking it. It counts once the returned version is durable.
    pub fn accept(&mut self, signed: &SignedVoucher, now: UnixSeconds) -> Result<u64, AcceptError> {
        let (v, fixed) = (&signed.voucher, &self.fixed);
        if v.global_id != fixed.global_id {
            return Err(AcceptError::Network { found: v.global_id, expected: fixed.global_id });
        }
        if v.channel != fixed.channel {
            let (found, expected) = (Box::new(v.channel.clone()), Box::new(fixed.channel.clone()));
            return Err(AcceptError::Channel { found, expected });
        }
        let needed = now.plus(fixed.expiry_margin);
        if v.valid_until != UnixSeconds(0) && v.valid_until <= needed {
            return Err(AcceptError::Expiring { valid_until: v.valid_until, needed });
        }
        if v.cumulative > self.deposit {
            return Err(AcceptError::AboveDeposit { cumulative: v.cumulative, deposit: self.deposit });
        }
        if v.cumulative < self.billed {
            return Err(AcceptError::BelowBilled { cumulative: v.cumulative, billed: self.billed });
        }
        if let Some(evidence) = v.evidence.as_ref().filter(|e| e.registry != fixed.registry) {
            let (found, expected) = (Box::new(evidence.registry.clone()), Box::new(fixed.registry.clone()));
            return Err(AcceptError::Registry { found, expected });
        }
        // One that we have, perhaps with a longer life, must not be replaced by one that ends sooner.
        // Of two that live equally long, one with evidence is better: it counts for the node's reputation.
        let as_good = |(known, _): &&(SignedVoucher, u64)| {
            let gains = known.voucher.evidence.is_none() && v.evidence.is_some() && lives_as_long(signed, known);
            lives_as_long(known, signed) && !gains
        };
        if let Some((_, version)) = self.vouchers.get(&v.cumulative).filter(as_good) {
            return Ok(*version);
        }
        signed.verify(&fixed.terms.payer_key)?;
        self.version += 1;
        self.vouchers.insert(v.cumulative, (signed.clone(), self.version));
        self.prune();
        Ok(self.version)
    }

    /// Takes in the exact voucher after an answer. When nothing else is in flight it forgets every higher one (P3.7), except
    /// one that stays valid for longer: the exact one may expire before it is claimed.
    ///
    /// While other requests run, a higher voucher may pay for one of them: vouchers of different requests overtake each
    /// other, and nothing tells which was signed last. It stays, and [`PayeeBooks::claimable`] passes it over.
    pub fn accept_exact(&mut self, signed: &SignedVoucher, now: UnixSeconds) -> Result<u64, AcceptError> {
        let version = self.accept(signed, now)?;
        let before = self.vouchers.len();
        if self.in_flight.is_empty() {
            let exact = signed.voucher.cumulative;
            self.vouchers.retain(|amount, (other, _)| *amount <= exact || !lives_as_long(signed, other));
        }
        if self.vouchers.len() < before {
            self.version += 1;
            return Ok(self.version);
        }
        Ok(version)
    }

    /// The payer says how much it allows for a request in sum; held at its reservation.
    pub fn authorise(&mut self, id: RequestId, amount: Nano) {
        if let Some(request) = self.in_flight.get_mut(&id) {
            request.authorised = request.authorised.max(amount.min(request.reserved));
        }
    }

    /// The payer pays for a request: [`PayeeBooks::authorise`] and [`PayeeBooks::accept`] in one.
    ///
    /// Vouchers of different requests overtake each other. One that was signed before others were billed may promise less
    /// than is billed by now: that is no fault as long as later ones cover the request, be they on the disk yet or not. The request
    /// waits for the one that does.
    pub fn pay(
        &mut self,
        id: RequestId,
        amount: Nano,
        signed: &SignedVoucher,
        now: UnixSeconds,
    ) -> Result<u64, AcceptError> {
        self.authorise(id, amount);
        match self.accept(signed, now) {
            Err(below @ AcceptError::BelowBilled { .. }) => {
                let version = self.covering_all_authorised(id).ok_or(below)?;
                signed.verify(&self.fixed.terms.payer_key)?;
                Ok(version)
            }
            other => other,
        }
    }

    /// The version that must be durable for a request to be covered as far as its payer allows; none if no voucher goes so far.
    fn covering_all_authorised(&self, id: RequestId) -> Option<u64> {
        let request = self.in_flight.get(&id)?;
        if request.granted >= request.authorised {
            return Some(self.durable);
        }
        let needed = self.taken_beside(id).saturating_add(request.authorised);
        // Vouchers from before a settlement may promise more than there is now.
        let enough = (needed <= self.deposit).then(|| self.vouchers.range(needed..));
        enough.into_iter().flatten().map(|(_, (_, version))| *version).min()
    }

    /// What is billed, and granted to other requests than this one.
    fn taken_beside(&self, id: RequestId) -> Nano {
        let others = self.in_flight.iter().filter(|(other, _)| **other != id).map(|(_, f)| f.granted);
        self.billed.saturating_add(others.sum())
    }

    /// How much a request may consume in sum: what its payer allows, as far as durable vouchers cover it beside everything
    /// that is billed and granted to others. Never falls while the request is in flight.
    pub fn covered(&mut self, id: RequestId) -> Nano {
        // Vouchers from before a settlement may promise more than there is now.
        let promised = self.best_durable().min(self.deposit);
        let room = promised.saturating_sub(self.taken_beside(id));
        match self.in_flight.get_mut(&id) {
            None => Nano::ZERO,
            Some(request) => {
                request.granted = request.granted.max(request.authorised.min(room));
                request.granted
            }
        }
    }

    /// A request's output up to this cost is about to be released (P3.4): fails unless it is covered.
    pub fn consume(&mut self, id: RequestId, cost: Nano) -> Result<(), ConsumeError> {
        let covered = self.covered(id);
        let request = self.in_flight.get_mut(&id).ok_or(ConsumeError::Unknown)?;
        if cost > covered {
            return Err(ConsumeError::NotCovered { needed: cost, covered });
        }
        request.consumed = request.consumed.max(cost);
        Ok(())
    }

    /// Bills a request and takes it out of flight. The version must be durable before the payer is told.
    pub fn finish(&mut self, id: RequestId, cost: Nano, receipt: Option<SignedReceipt>) -> Result<u64, ConsumeError> {
        self.consume(id, cost)?;
        self.in_flight.remove(&id);
        self.billed = self.billed.saturating_add(cost);
        self.receipt = receipt.or(self.receipt.take());
        self.version += 1;
        self.prune();
        Ok(self.version)
    }

    /// Takes a request out of flight; nothing is billed (P3.8).
    pub fn fail(&mut self, id: RequestId) {
        self.in_flight.remove(&id);
    }

    /// The voucher that proves and pays what is billed: the smallest that covers it.
    pub fn claimable(&self) -> Option<&SignedVoucher> {
        self.covering().next()
    }

    /// The voucher to claim with at this time: the smallest that covers what is billed and that the contract still takes.
    pub fn claimable_at(&self, now: UnixSeconds) -> Option<&SignedVoucher> {
        self.covering().find(|v| v.voucher.valid_until == UnixSeconds(0) || now < v.voucher.valid_until)
    }

    fn covering(&self) -> impl Iterator<Item = &SignedVoucher> {
        let billed = (!self.billed.is_zero()).then_some(self.billed);
        billed.into_iter().flat_map(|billed| self.vouchers.range(billed..)).map(|(_, (v, _))| v)
    }

    fn best_durable(&self) -> Nano {
        let durable = self.vouchers.iter().rev().find(|(_, (_, version))| *version <= self.durable);
        durable.map_or(Nano::ZERO, |(amount, _)| *amount)
    }

    /// Drops vouchers below what is billed. When there are many, thins them out where they are closest to each other, so that
    /// wherever the bill ends, one little above it is left; the smallest and the best always stay.
    fn prune(&mut self) {
        let billed = self.billed;
        self.vouchers.retain(|amount, _| *amount >= billed);
        while self.vouchers.len() > MAX_VOUCHERS {
            let amounts: Vec<Nano> = self.vouchers.keys().copied().collect();
            let gap = |around: &&[Nano]| match around {
                [below, _, above] => above.saturating_sub(*below),
                _ => Nano::MAX,
            };
            let Some([_, crowded, _]) = amounts.windows(3).min_by_key(gap) else { return };
            self.vouchers.remove(crowded);
        }
    }
}

/// True when `one` stays valid at least as long as `other`.
fn lives_as_long(one: &SignedVoucher, other: &SignedVoucher) -> bool {
    let end = |v: &SignedVoucher| match v.voucher.valid_until {
        UnixSeconds(0) => u32::MAX,
        UnixSeconds(end) => end,
    };
    end(one) >= end(other)
}
