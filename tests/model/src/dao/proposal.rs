//! A proposal as the specification describes it.

use cocoon_wrappers::generated::{proposal, shared::*};
use tycho_types::cell::{Cell, HashBytes};
use tycho_types::models::{StateInit, StdAddr};
use tycho_types::num::Tokens;

use crate::cells::{Reader, Writer};
use crate::chain::address_of;
use crate::verdict::{Amount, Call, Reasons, Sent, Verdict, done, malformed};

use super::stake::Stake;
use super::{CENT, TON, cell, excesses};

/// Least value of a vote as it arrives, and of closing.
pub const MIN_VALUE: u128 = 5 * CENT;
/// Kept for storage beside the bond.
pub const RESERVE: u128 = TON / 10;

/// Error codes.
pub mod code {
    #![allow(missing_docs)]
    pub const LOW_VALUE: i32 = 1300;
    pub const NOT_GOVERNOR: i32 = 1301;
    pub const NOT_STAKE_ACCOUNT: i32 = 1302;
    pub const NOT_VOTING: i32 = 1303;
    pub const WRONG_SNAPSHOT: i32 = 1304;
    pub const SHORT_RECEIPT: i32 = 1305;
    pub const BAD_SUPPORT: i32 = 1306;
    pub const NOT_READY: i32 = 1307;
    pub const NOT_OVER: i32 = 1308;
}

/// Where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Status {
    Unknown,
    Pending,
    Active,
    Defeated,
    Queued,
    Ready,
    Executing,
    Executed,
    Expired,
}

const EMPTY: u8 = 0;
const OPEN: u8 = 1;
const EXECUTING: u8 = 2;
const EXECUTED: u8 = 3;
const CLOSED: u8 = 4;

/// One proposal.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Its id.
    pub id: HashBytes,
    /// Where votes stand; the model's own figures, in the shape in which they are compared. `details` is filled in when they are.
    pub state: proposal::Data,
    /// The rest, when it is open.
    pub details: Option<ProposalDetails>,
    /// Its terms, when it is open.
    pub terms: Option<ProposalTerms>,
    /// Code and initial data.
    pub init: StateInit,
    /// Where it is.
    pub address: StdAddr,
    /// Code of stake accounts.
    stake_code: Cell,
}

impl Proposal {
    /// A proposal that nobody has opened.
    pub fn new(code: &Cell, stake_code: &Cell, governor: &StdAddr, id: HashBytes) -> Self {
        let state = proposal::Data {
            governor: governor.clone(),
            stage: EMPTY,
            starts_at: 0,
            ends_at: 0,
            snapshot: 0,
            late_extension: 0,
            extended: false,
            yes: 0,
            no: 0,
            abstain: 0,
            quorum: 0,
            stake_code_hash: HashBytes::ZERO,
            stake_code_depth: 0,
            details: Writer::default().word(&id.0).end(),
        };
        let init = StateInit { code: Some(code.clone()), data: Some(cell(state.to_cell())), ..Default::default() };
        let address = address_of(&init);
        Self { id, state, details: None, terms: None, address, init, stake_code: stake_code.clone() }
    }

    /// The contract's data in this state.
    pub fn data(&self) -> Cell {
        let mut state = self.state.clone();
        if let Some(details) = &self.details {
            state.details = cell(details.to_cell());
        }
        cell(state.to_cell())
    }

    /// All votes.
    pub fn votes(&self) -> u128 {
        [self.state.yes, self.state.no, self.state.abstain].map(u128::from).iter().sum()
    }

    fn has_quorum(&self) -> bool {
        u128::from(self.state.yes) + u128::from(self.state.abstain) >= u128::from(self.state.quorum)
    }

    /// The latest that the vote can end.
    pub fn last_end(&self) -> u32 {
        let late = self.state.late_extension;
        if self.state.extended { self.state.ends_at } else { self.state.ends_at + late }
    }

    /// Where it stands at this time.
    pub fn status(&self, now: u32) -> Status {
        let Some(terms) = &self.terms else { return Status::Unknown };
        let from = self.state.ends_at + terms.timelock;
        match self.state.stage {
            EXECUTING => Status::Executing,
            EXECUTED => Status::Executed,
            _ if now < self.state.starts_at => Status::Pending,
            _ if now < self.state.ends_at => Status::Active,
            _ if self.state.yes <= self.state.no => Status::Defeated,
            _ if !self.has_quorum() => Status::Defeated,
            _ if now < from => Status::Queued,
            _ if now < from + terms.execution_window => Status::Ready,
            _ => Status::Expired,
        }
    }

    /// What a message must do; if it is accepted, this is the state after it.
    pub fn receive(&mut self, call: &Call<'_>) -> Verdict {
        if call.bounced {
            return self.bounced(call);
        }
        let body = call.body;
        match call.op() {
            Some(OpenProposal::OP) => OpenProposal::from_cell(body).map_or(malformed(), |m| self.open(call, m)),
            Some(CastVote::OP) => CastVote::from_cell(body).map_or(malformed(), |m| self.vote(call, &m)),
            Some(Execute::OP) => Execute::from_cell(body).map_or(malformed(), |m| self.execute(call, &m)),
            Some(ProposalExecuted::OP) => {
                ProposalExecuted::from_cell(body).map_or(malformed(), |m| self.executed(call, &m))
            }
            Some(CloseProposal::OP) => CloseProposal::from_cell(body).map_or(malformed(), |m| self.close(call, &m)),
            _ => Verdict::Refused(vec![130]),
        }
    }

    fn open(&mut self, call: &Call<'_>, m: OpenProposal) -> Verdict {
        if *call.sender != self.state.governor {
            return Verdict::Refused(vec![code::NOT_GOVERNOR]);
        }
        let Ok(terms) = ProposalTerms::from_cell(&m.terms) else { return malformed() };
        let (query_id, id, proposer) = (m.query_id, self.id, terms.proposer.clone());
        if self.state.stage != EMPTY {
            let said = cell(ProposalExists { query_id, id }.to_cell());
            return done(call.own(), vec![Sent::plain(proposer, Amount::Rest, said)]);
        }
        self.state.stage = OPEN;
        self.state.starts_at = m.starts_at;
        self.state.ends_at = m.ends_at;
        self.state.snapshot = m.snapshot;
        self.state.late_extension = m.late_extension;
        self.state.quorum = m.quorum;
        self.state.stake_code_hash = m.stake_code.hash;
        self.state.stake_code_depth = m.stake_code.depth;
        self.terms = Some(terms);
        let (terms, actions, metadata) = (m.terms, m.actions, m.metadata);
        self.details = Some(ProposalDetails { id, bond: m.bond, executor: None, terms, actions, metadata });
        let said = cell(ProposalOpened { query_id, id }.to_cell());
        done(call.own() + m.bond.into_inner() + RESERVE, vec![Sent::plain(proposer, Amount::Rest, said)])
    }

    fn vote(&mut self, call: &Call<'_>, m: &CastVote) -> Verdict {
        let mut reasons = Reasons::default();
        let from = Stake::address_for(&self.stake_code, &self.state.governor, &m.owner);
        reasons.when(*call.sender != from, code::NOT_STAKE_ACCOUNT);
        reasons.when(call.value < MIN_VALUE, code::LOW_VALUE);
        let voting = self.state.stage == OPEN && call.now >= self.state.starts_at && call.now < self.state.ends_at;
        reasons.when(!voting, code::NOT_VOTING);
        reasons.when(m.snapshot != self.state.snapshot, code::WRONG_SNAPSHOT);
        reasons.when(m.receipt_until < self.last_end(), code::SHORT_RECEIPT);
        reasons.when(m.support > 2, code::BAD_SUPPORT);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        let had_quorum = self.has_quorum();
        let Ok(weight) = u64::try_from(m.weight.into_inner()) else { return malformed() };
        match m.support {
            0 => self.state.no += weight,
            1 => self.state.yes += weight,
            _ => self.state.abstain += weight,
        }
        if self.has_quorum() && !had_quorum && call.now + self.state.late_extension > self.state.ends_at {
            self.state.ends_at = call.now + self.state.late_extension;
            self.state.extended = true;
        }
        let said = cell(VoteCounted { query_id: m.query_id, weight: m.weight }.to_cell());
        done(call.own(), vec![Sent::plain(m.owner.clone(), Amount::Rest, said)])
    }

    fn execute(&mut self, call: &Call<'_>, m: &Execute) -> Verdict {
        let mut reasons = Reasons::default();
        reasons.when(self.status(call.now) != Status::Ready || self.state.stage == CLOSED, code::NOT_READY);
        let needed = self.terms.as_ref().map_or(0, |terms| terms.execute_value.into_inner());
        reasons.when(call.value < needed, code::LOW_VALUE);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        self.state.stage = EXECUTING;
        let Some(details) = &mut self.details else { return malformed() };
        details.executor = Some(call.sender.clone());
        let (query_id, metadata_hash) = (m.query_id, *details.metadata.repr_hash());
        let said = ExecuteProposal { query_id, metadata_hash, actions: details.actions.clone() };
        done(call.own(), vec![Sent::bouncing(self.state.governor.clone(), Amount::Rest, cell(said.to_cell()))])
    }

    fn executed(&mut self, call: &Call<'_>, m: &ProposalExecuted) -> Verdict {
        if *call.sender != self.state.governor {
            return Verdict::Refused(vec![code::NOT_GOVERNOR]);
        }
        self.state.stage = EXECUTED;
        let executor = self.details.as_mut().and_then(|details| details.executor.take());
        let (Some(executor), Some(terms)) = (executor, self.terms.clone()) else { return malformed() };
        self.return_bond(call, m.query_id, terms.proposer, executor)
    }

    fn close(&mut self, call: &Call<'_>, m: &CloseProposal) -> Verdict {
        let mut reasons = Reasons::default();
        reasons.when(call.value < MIN_VALUE, code::LOW_VALUE);
        let Some(terms) = self.terms.clone() else {
            reasons.when(true, code::NOT_READY);
            return reasons.verdict().unwrap_or(malformed());
        };
        let over = matches!(self.status(call.now), Status::Defeated | Status::Expired) && self.state.stage == OPEN;
        reasons.when(!over, code::NOT_OVER);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        self.state.stage = CLOSED;
        let cared = self.votes() >= u128::from(self.state.quorum);
        let to = if cared { terms.proposer } else { self.state.governor.clone() };
        self.return_bond(call, m.query_id, to, call.sender.clone())
    }

    fn return_bond(&mut self, call: &Call<'_>, query_id: u64, to: StdAddr, rest: StdAddr) -> Verdict {
        let Some(details) = &mut self.details else { return malformed() };
        let bond = details.bond.into_inner().min(call.own());
        details.bond = Tokens::ZERO;
        let said = cell(BondReturned { query_id, id: self.id }.to_cell());
        let sends =
            vec![Sent::plain(to, Amount::Exact(bond), said), Sent::plain(rest, Amount::Rest, excesses(query_id))];
        done(call.own() - bond, sends)
    }

    /// The governor did not execute: it may be tried again (attack 45).
    fn bounced(&mut self, call: &Call<'_>) -> Verdict {
        let mut body = Reader::new(call.body);
        let (Ok(_), Ok(ExecuteProposal::OP), Ok(query)) = (body.u32(), body.u32(), body.uint(64)) else {
            return malformed();
        };
        self.state.stage = OPEN;
        let executor = self.details.as_mut().and_then(|details| details.executor.take());
        let Some(executor) = executor else { return malformed() };
        done(call.own(), vec![Sent::plain(executor, Amount::Rest, excesses(query))])
    }
}
