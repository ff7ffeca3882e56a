//! G1, G2, G5 and G6, and that the stake is there: what must hold whatever the model says.

use std::collections::BTreeMap;

use cocoon_wrappers::generated::shared::{CastVote, Deposit, ExecuteProposal, SetGovernorParams};
use tycho_types::models::StdAddr;

use crate::cells::ton;
use crate::chain::Message;
use crate::registry;
use crate::run::Failure;

use super::DaoWorld;
use super::net::Model;
use super::proposal::Status;
use super::stake::RESERVE;

/// What happened, as far as invariants speak of the past.
#[derive(Clone, Default, Debug)]
pub struct Ledger {
    /// Votes counted: proposal and owner.
    votes: BTreeMap<(StdAddr, StdAddr), u32>,
    /// Executions: proposal.
    pub(super) executed: BTreeMap<StdAddr, u32>,
}

impl DaoWorld {
    /// Takes note of an accepted message; `before` is the receiver's state before it.
    pub(super) fn note(&mut self, message: &Message, before: Option<&Model>) -> Result<(), Failure> {
        let broken = |what: String| Err(Failure::new(what));
        match message.op() {
            Some(CastVote::OP) if !message.bounced => {
                let Ok(vote) = CastVote::from_cell(&message.body) else { return Ok(()) };
                let times = self.ledger.votes.entry((message.dst.clone(), vote.owner)).or_default();
                *times += 1;
                if *times > 1 {
                    return broken("G2 is broken: the same lots voted twice".to_owned());
                }
            }
            Some(ExecuteProposal::OP) if !message.bounced => {
                let times = self.ledger.executed.entry(message.src.clone()).or_default();
                *times += 1;
                if *times > 1 {
                    return broken("G6 is broken: a proposal was executed twice".to_owned());
                }
            }
            // The depositor restores what storage took.
            Some(Deposit::OP) if !message.bounced => {
                self.net.storage.remove(&message.dst);
            }
            _ => {}
        }
        let after = self.net.models.get(&message.dst);
        if let (Some(Model::Registry(before)), Some(Model::Registry(after))) = (before, after) {
            return registry::invariants(before, after, message, self.net.chain.now);
        }
        if let (Some(Model::Stake(before)), Some(Model::Stake(after))) = (before, after) {
            for (key, node) in &before.state.nodes {
                let revived = after.state.nodes.get(key).is_none_or(|after| after.bond.into_inner() > 0);
                if node.bond.into_inner() == 0 && revived {
                    return broken("a key that was slashed lives on".to_owned());
                }
            }
        }
        if let (Some(Model::Governor(before)), Some(Model::Governor(after))) = (before, after) {
            let voted = message.src == self.governor && message.op() == Some(SetGovernorParams::OP);
            if before.state.params != after.state.params && !voted {
                return broken("G5 is broken: the rules changed without a vote".to_owned());
            }
        }
        Ok(())
    }

    /// What holds at any time.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let now = self.net.chain.now;
        let governor = self.governor();
        let epoch = governor.epoch(now);
        let weight: u128 = (0..self.people.len()).map(|who| self.account(who).weight(epoch)).sum();
        let total = governor.total(now);
        // What was slashed is missing at once, and counted out from the next epoch on.
        let sum = |epoch: u32| (0..self.people.len()).map(|who| self.account(who).weight(epoch)).sum::<u128>();
        let state = &governor.state;
        let uneven = state.ready && !self.net.has_queue() && {
            let coming = state.total.into_inner() + state.joining.into_inner() - state.leaving.into_inner();
            sum(state.epoch.max(epoch) + 1) != coming
        };
        if weight > total || uneven {
            return Err(Failure::new(format!("G1 is broken: lots weigh {}, the total is {}", ton(weight), ton(total))));
        }
        for place in 0..self.proposals.len() {
            let proposal = self.proposal(place);
            let Some(terms) = &proposal.terms else { continue };
            if proposal.votes() > terms.total_stake.into_inner() {
                return Err(Failure::new(format!("G1 is broken: more votes than stake on {proposal:?}")));
            }
            let executed = self.ledger.executed.get(&proposal.address).copied().unwrap_or_default();
            if executed > 0 && !matches!(proposal.status(now), Status::Executing | Status::Executed) {
                return Err(Failure::new(format!("G6 is broken: executed, and yet {:?}", proposal.status(now))));
            }
        }
        for who in 0..self.people.len() {
            let stake = self.account(who);
            let held = stake.state.held.into_inner();
            let sum: u128 = stake.state.lots.values().map(|lot| lot.amount.into_inner()).sum();
            let (balance, _) = self.net.chain.account(&stake.address);
            let short = stake.state.pledged(now) > stake.state.confirmed();
            if sum != held || stake.state.bonded > stake.state.staying || short {
                return Err(Failure::new(format!("the books of an account are uneven: {:?}", stake.state)));
            }
            // Storage takes from the reserve first; nothing else takes from either.
            let storage = self.net.storage.get(&stake.address).copied().unwrap_or_default();
            if stake.state.next_lot > 0 && balance + storage < held + RESERVE {
                let (there, storage) = (ton(balance), ton(storage));
                return Err(Failure::new(format!(
                    "stake is missing: {there} of {}, {storage} cost storage",
                    ton(held)
                )));
            }
        }
        Ok(())
    }
}
