//! The governor as the specification describes it.

use std::collections::HashSet;

use cocoon_wrappers::generated::{governor, proposal, shared::*};
use tycho_types::cell::{Cell, HashBytes};
use tycho_types::models::{StateInit, StdAddr};
use tycho_types::num::Tokens;

use crate::cells::{Reader, Writer};
use crate::chain::address_of;
use crate::verdict::{Amount, Call, Reasons, Sent, Verdict, done, kept, malformed};

use super::proposal::Proposal;
use super::stake::Stake;
use super::{CENT, TON, cell, excesses};

/// Least value of a message about stake.
pub const MIN_VALUE: u128 = 5 * CENT;
/// What a proposal needs beside its bond.
pub const SUBMIT_VALUE: u128 = TON / 2;
/// The treasury never goes below this.
pub const RESERVE: u128 = TON / 2;
/// Least gas value of an action.
pub const MIN_ACTION_GAS: u128 = 2 * CENT;
const MAX_ACTIONS: usize = 32;
const MAX_ACTION_CELLS: usize = 512;
const MAX_METADATA_CELLS: usize = 64;
const EXECUTE_BASE: u128 = 10 * CENT;
const EXECUTE_PER_ACTION: u128 = CENT;
/// Longest period, in seconds.
pub const MAX_PERIOD: u32 = 90 * 86_400;

/// Error codes.
pub mod code {
    #![allow(missing_docs)]
    pub const LOW_VALUE: i32 = 1200;
    pub const NOT_READY: i32 = 1201;
    pub const BAD_PARAMS: i32 = 1202;
    pub const NOT_STAKE_ACCOUNT: i32 = 1203;
    pub const NOT_PROPOSAL: i32 = 1204;
    pub const NOT_SELF: i32 = 1205;
    pub const WRONG_EPOCH: i32 = 1206;
    pub const BELOW_THRESHOLD: i32 = 1207;
    pub const BAD_ACTIONS: i32 = 1208;
    pub const POOR: i32 = 1209;
    pub const NOT_REGISTRY: i32 = 1210;
}

/// The governor.
#[derive(Clone, Debug)]
pub struct Governor {
    /// Everything it knows; the model's own figures, in the shape in which they are compared.
    pub state: governor::Data,
    /// Code and initial data.
    pub init: StateInit,
    /// Where it is.
    pub address: StdAddr,
    /// Code of its children.
    pub stake_code: Cell,
    /// The same of proposals.
    pub proposal_code: Cell,
}

/// Whether votes under these rules mean something (attack 44).
pub const fn are_sound(p: &GovernorParams) -> bool {
    p.proposal_threshold.into_inner() > 0
        && p.proposal_bond.into_inner() > 0
        && p.quorum_bps > 0
        && p.quorum_bps <= 10_000
        && p.voting_delay <= MAX_PERIOD
        && p.voting_period > 0
        && p.voting_period <= MAX_PERIOD
        && p.late_extension <= p.voting_period
        && p.timelock > 0
        && p.timelock <= MAX_PERIOD
        && p.execution_window > 0
        && p.execution_window <= MAX_PERIOD
        && p.unbonding_delay <= 4 * MAX_PERIOD
        && p.unbonding_delay > p.voting_delay + p.voting_period + p.late_extension + p.timelock
}

/// A proposal's id: what it does and what it says.
pub fn proposal_id(actions: &Cell, metadata: &HashBytes) -> HashBytes {
    *Writer::op(0x5052_4f50).word(&actions.repr_hash().0).word(&metadata.0).end().repr_hash()
}

/// The actions of a bundle, in order; `None` when it cannot be read to its end.
pub fn actions_of(bundle: &Cell) -> Option<Vec<Action>> {
    let mut actions = vec![];
    let mut next = Some(bundle.clone());
    while let Some(at) = next {
        let action = Action::from_cell(&at).ok()?;
        next = action.next.clone();
        actions.push(action);
        // Far more than is allowed.
        if actions.len() > 100 {
            break;
        }
    }
    Some(actions)
}

/// Different cells and their bits.
fn size(root: &Cell) -> (usize, u128) {
    let mut seen = HashSet::new();
    let mut bits = 0;
    let mut left = vec![root.clone()];
    while let Some(cell) = left.pop() {
        if seen.insert(*cell.repr_hash()) {
            bits += u128::from(cell.bit_len());
            left.extend((0..cell.reference_count()).filter_map(|i| cell.reference_cloned(i)));
        }
    }
    (seen.len(), bits)
}

impl Governor {
    /// A governor that has not been set up.
    pub fn new(codes: &crate::code::Codes, epoch_length: u32, params: GovernorParams) -> Self {
        let state = governor::Data {
            salt: 1,
            epoch_length,
            params,
            ready: false,
            epoch: 0,
            total: Tokens::ZERO,
            joining: Tokens::ZERO,
            leaving: Tokens::ZERO,
            proposals: 0,
            registry: None,
        };
        Self::with_state(codes, state)
    }

    /// A governor whose initial data are these.
    pub fn with_state(codes: &crate::code::Codes, state: governor::Data) -> Self {
        let init =
            StateInit { code: Some(codes.governor.clone()), data: Some(cell(state.to_cell())), ..Default::default() };
        let (stake_code, proposal_code) = (codes.stake.clone(), codes.proposal.clone());
        Self { state, address: address_of(&init), init, stake_code, proposal_code }
    }

    /// The proposal of this id.
    pub fn proposal(&self, id: HashBytes) -> Proposal {
        Proposal::new(&self.proposal_code, &self.stake_code, &self.address, id)
    }

    /// The epoch at this time.
    pub const fn epoch(&self, now: u32) -> u32 {
        now / self.state.epoch_length
    }

    /// The stake that weighs at this time.
    pub fn total(&self, now: u32) -> u128 {
        if !self.state.ready {
            return 0;
        }
        let mut then = self.clone();
        then.enter_epoch(now);
        then.state.total.into_inner()
    }

    fn enter_epoch(&mut self, now: u32) {
        let current = self.epoch(now);
        if current > self.state.epoch {
            self.state.total = self.state.total + self.state.joining - self.state.leaving;
            self.state.joining = Tokens::ZERO;
            self.state.leaving = Tokens::ZERO;
            self.state.epoch = current;
        }
    }

    /// What a message must do; if it is accepted, this is the state after it.
    pub fn receive(&mut self, call: &Call<'_>) -> Verdict {
        if call.bounced {
            return kept();
        }
        let body = call.body;
        match call.op() {
            // No operation: a plain transfer.
            None => self.gift(),
            Some(SetUpGovernor::OP) => SetUpGovernor::from_cell(body).map_or(malformed(), |m| self.set_up(call, &m)),
            Some(AddStake::OP) => AddStake::from_cell(body).map_or(malformed(), |m| self.add(call, &m)),
            Some(RemoveStake::OP) => RemoveStake::from_cell(body).map_or(malformed(), |m| self.remove(call, &m)),
            Some(SubmitProposal::OP) => SubmitProposal::from_cell(body).map_or(malformed(), |m| self.submit(call, m)),
            Some(ExecuteProposal::OP) => {
                ExecuteProposal::from_cell(body).map_or(malformed(), |m| self.execute(call, &m))
            }
            Some(SetGovernorParams::OP) => {
                SetGovernorParams::from_cell(body).map_or(malformed(), |m| self.set_params(call, m))
            }
            Some(SlashStake::OP) => SlashStake::from_cell(body).map_or(malformed(), |m| self.slashed(call, &m)),
            Some(PunishNode::OP) => PunishNode::from_cell(body).map_or(malformed(), |m| self.punish(call, m)),
            Some(SetRegistry::OP) => SetRegistry::from_cell(body).map_or(malformed(), |m| self.set_registry(call, m)),
            Some(Excesses::OP | BondReturned::OP) => kept(),
            _ => Verdict::Refused(vec![130]),
        }
    }

    fn gift(&self) -> Verdict {
        if self.state.ready { kept() } else { Verdict::Refused(vec![code::NOT_READY]) }
    }

    fn set_up(&mut self, call: &Call<'_>, m: &SetUpGovernor) -> Verdict {
        let sound = are_sound(&self.state.params) && (60..=MAX_PERIOD).contains(&self.state.epoch_length);
        if !sound || (!self.state.ready && !self.is_empty()) {
            return Verdict::Refused(vec![code::BAD_PARAMS]);
        }
        self.state.ready = true;
        done(call.own().max(RESERVE), vec![Sent::plain(call.sender.clone(), Amount::Rest, excesses(m.query_id))])
    }

    /// GV-1: nothing stands where only stakes and votes may write.
    fn is_empty(&self) -> bool {
        let s = &self.state;
        let figures = [s.total, s.joining, s.leaving].iter().all(|amount| *amount == Tokens::ZERO);
        figures && s.epoch == 0 && s.proposals == 0 && s.registry.is_none()
    }

    fn of_stake_account(&self, call: &Call<'_>, owner: &StdAddr) -> Reasons {
        let mut reasons = Reasons::default();
        reasons.when(!self.state.ready, code::NOT_READY);
        let child = Stake::address_for(&self.stake_code, &self.address, owner);
        reasons.when(*call.sender != child, code::NOT_STAKE_ACCOUNT);
        reasons.when(call.value < MIN_VALUE, code::LOW_VALUE);
        reasons
    }

    fn add(&mut self, call: &Call<'_>, m: &AddStake) -> Verdict {
        if let Some(refused) = self.of_stake_account(call, &m.owner).verdict() {
            return refused;
        }
        self.enter_epoch(call.now);
        self.state.joining += m.amount;
        let said = StakeConfirmed {
            query_id: m.query_id,
            lot: m.lot,
            active_from: self.state.epoch + 1,
            unbonding_delay: self.state.params.unbonding_delay,
        };
        done(call.own(), vec![Sent::plain(call.sender.clone(), Amount::Rest, cell(said.to_cell()))])
    }

    fn remove(&mut self, call: &Call<'_>, m: &RemoveStake) -> Verdict {
        if let Some(refused) = self.of_stake_account(call, &m.owner).verdict() {
            return refused;
        }
        self.enter_epoch(call.now);
        self.state.leaving += m.amount;
        let said = ExitConfirmed {
            query_id: m.query_id,
            lot: m.lot,
            exit_from: self.state.epoch + 1,
            unbonding_delay: self.state.params.unbonding_delay,
        };
        done(call.own(), vec![Sent::plain(call.sender.clone(), Amount::Rest, cell(said.to_cell()))])
    }

    /// GV-7: nothing but a false sender refuses it.
    fn slashed(&mut self, call: &Call<'_>, m: &SlashStake) -> Verdict {
        let child = Stake::address_for(&self.stake_code, &self.address, &m.owner);
        if *call.sender != child {
            return Verdict::Refused(vec![code::NOT_STAKE_ACCOUNT]);
        }
        self.enter_epoch(call.now);
        self.state.leaving += m.amount;
        kept()
    }

    fn punish(&self, call: &Call<'_>, m: PunishNode) -> Verdict {
        let mut reasons = Reasons::default();
        reasons.when(self.state.registry.as_ref() != Some(call.sender), code::NOT_REGISTRY);
        reasons.when(call.value < MIN_VALUE, code::LOW_VALUE);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        let said = SlashNode { query_id: m.query_id, node: m.node, reporter: m.reporter };
        done(call.own(), vec![Sent::bouncing(m.account, Amount::Rest, cell(said.to_cell()))])
    }

    /// G5 again.
    fn set_registry(&mut self, call: &Call<'_>, m: SetRegistry) -> Verdict {
        if *call.sender != self.address {
            return Verdict::Refused(vec![code::NOT_SELF]);
        }
        self.state.registry = Some(m.registry);
        kept()
    }

    fn submit(&mut self, call: &Call<'_>, m: SubmitProposal) -> Verdict {
        let mut reasons = self.of_stake_account(call, &m.owner);
        if !self.state.ready {
            return reasons.verdict().unwrap_or(malformed());
        }
        self.enter_epoch(call.now);
        let p = self.state.params.clone();
        reasons.when(m.snapshot != self.state.epoch, code::WRONG_EPOCH);
        reasons.when(m.weight < p.proposal_threshold, code::BELOW_THRESHOLD);
        reasons.when(call.value < p.proposal_bond.into_inner() + SUBMIT_VALUE, code::LOW_VALUE);
        let (cells, bits) = size(&m.actions);
        let mut execute_value = EXECUTE_BASE + 400_000 + 400 * bits + 40_000 * cells as u128;
        if cells > MAX_ACTION_CELLS || size(&m.metadata).0 > MAX_METADATA_CELLS {
            reasons.malformed();
        }
        match actions_of(&m.actions) {
            None => reasons.malformed(),
            Some(actions) => {
                let bad = |a: &Action| a.gas.into_inner() < MIN_ACTION_GAS || is_word_of_governor(&a.body);
                reasons.when(actions.len() > MAX_ACTIONS || actions.iter().any(bad), code::BAD_ACTIONS);
                execute_value += actions.iter().map(|a| a.gas.into_inner() + EXECUTE_PER_ACTION).sum::<u128>();
            }
        }
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        self.state.proposals += 1;
        let starts_at = call.now + p.voting_delay;
        let total = self.state.total.into_inner();
        let Ok(quorum) = u64::try_from((total * u128::from(p.quorum_bps)).div_ceil(10_000)) else { return malformed() };
        let terms = ProposalTerms {
            proposer: m.owner,
            timelock: p.timelock,
            execution_window: p.execution_window,
            total_stake: self.state.total,
            execute_value: Tokens::new(execute_value),
        };
        let child = self.proposal(proposal_id(&m.actions, m.metadata.repr_hash()));
        let said = OpenProposal {
            query_id: m.query_id,
            starts_at,
            ends_at: starts_at + p.voting_period,
            snapshot: self.state.epoch,
            late_extension: p.late_extension,
            quorum,
            bond: p.proposal_bond,
            stake_code: StakeCode { hash: *self.stake_code.repr_hash(), depth: self.stake_code.repr_depth() },
            terms: cell(terms.to_cell()),
            actions: m.actions,
            metadata: m.metadata,
        };
        let sent = Sent { deploys: true, ..Sent::bouncing(child.address, Amount::Rest, cell(said.to_cell())) };
        done(call.own(), vec![sent])
    }

    fn execute(&self, call: &Call<'_>, m: &ExecuteProposal) -> Verdict {
        let mut reasons = Reasons::default();
        let child = self.proposal(proposal_id(&m.actions, &m.metadata_hash));
        reasons.when(*call.sender != child.address, code::NOT_PROPOSAL);
        let Some(actions) = actions_of(&m.actions) else { return malformed() };
        let spent: u128 = actions.iter().map(|a| a.value.into_inner()).sum();
        let gas: u128 = actions.iter().map(|a| a.gas.into_inner() + EXECUTE_PER_ACTION).sum();
        reasons.when(call.value < gas + MIN_VALUE, code::LOW_VALUE);
        reasons.when(spent > 0 && call.own() < spent + RESERVE, code::POOR);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        let mut sends: Vec<Sent> = actions
            .into_iter()
            .map(|a| {
                let amount = Amount::LessForwarding(a.value.into_inner() + a.gas.into_inner());
                Sent::bouncing(a.to, amount, a.body)
            })
            .collect();
        let said = ProposalExecuted { query_id: m.query_id };
        sends.push(Sent::plain(call.sender.clone(), Amount::Rest, cell(said.to_cell())));
        done(call.own() - spent, sends)
    }

    /// G5: only what was voted comes from the governor itself.
    fn set_params(&mut self, call: &Call<'_>, m: SetGovernorParams) -> Verdict {
        let mut reasons = Reasons::default();
        reasons.when(*call.sender != self.address, code::NOT_SELF);
        reasons.when(!are_sound(&m.params), code::BAD_PARAMS);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        self.state.params = m.params;
        kept()
    }
}

/// Only the governor's code says such things, to stake accounts and proposals.
fn is_word_of_governor(body: &Cell) -> bool {
    let mut s = body.as_slice_allow_exotic();
    s.load_u32().is_ok_and(|op| matches!(op >> 16, 0x5354 | 0x5052))
}

/// The id in a proposal's initial data.
pub fn id_of(init: &StateInit) -> Option<HashBytes> {
    let data = proposal::Data::from_cell(init.data.as_ref()?).ok()?;
    Reader::new(&data.details).word().ok().map(HashBytes)
}
