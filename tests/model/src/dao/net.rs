//! Contracts that talk to each other: their models, and the messages on their way.

use std::collections::BTreeMap;

use cocoon_wrappers::generated::registry::{DeprecateEntry, RemoveEntry, RevokeEntry, ScheduleImage, ScheduleModel};
use cocoon_wrappers::generated::registry::{SetGovernor, SetRegistryParams};
use cocoon_wrappers::generated::{governor, pay_channel, proposal as proposal_abi, registry, shared::*, stake_account};
use tycho_types::cell::Cell;
use tycho_types::models::StdAddr;

use crate::cells::{MAX_COINS, ton};
use crate::chain::{BEGINNING, Chain, Compute, Message, Receipt};
use crate::coverage::{Coverage, Ending};
use crate::faults::Report;
use crate::keys::Person;
use crate::registry::model::Registry;
use crate::reputation::model::Record;
use crate::rng::Rng;
use crate::run::{Failure, Story};
use crate::verdict::{Call, Verdict, judge, malformed};

use super::governor::{Governor, id_of};
use super::proposal::Proposal;
use super::stake::Stake;
use super::{CENT, cell};

/// The model of one contract.
#[derive(Clone, Debug)]
pub enum Model {
    /// The DAO.
    Governor(Governor),
    /// Somebody's stake.
    Stake(Stake),
    /// A proposal.
    Proposal(Proposal),
    /// The registry.
    Registry(Box<Registry>),
    /// What is known of a node.
    Record(Record),
    /// An accusation.
    Report(Report),
}

impl Model {
    fn receive(&mut self, call: &Call<'_>) -> Verdict {
        match self {
            Self::Governor(model) => model.receive(call),
            Self::Stake(model) => model.receive(call),
            Self::Proposal(model) => model.receive(call),
            Self::Registry(model) => model.receive(call),
            Self::Record(model) => model.receive(call),
            Self::Report(model) => model.receive(call),
        }
    }

    /// The contract's data in this state.
    fn data(&self) -> Cell {
        match self {
            Self::Governor(model) => cell(model.state.to_cell()),
            Self::Stake(model) => cell(model.state.data().to_cell()),
            Self::Proposal(model) => model.data(),
            Self::Registry(model) => cell(model.state.to_cell()),
            Self::Record(model) => model.data(),
            Self::Report(model) => model.data(),
        }
    }

    /// The state, as it should be and as it is.
    fn compare(&self, found: &Cell) -> String {
        match self {
            Self::Governor(model) => format!("{:#?}\nis {:#?}", model.state, governor::Data::from_cell(found)),
            Self::Stake(model) => {
                let found = stake_account::Data::from_cell(found);
                let books = found.as_ref().ok().and_then(|f| f.books.as_ref()).map(Books::from_cell);
                format!("{:#?}\nis {found:#?} with {books:#?}", model.state)
            }
            Self::Record(model) => format!("{model:#?}"),
            Self::Report(model) => format!("{model:#?}"),
            Self::Proposal(model) => format!("{:#?}\nis {:#?}", model.state, proposal_abi::Data::from_cell(found)),
            Self::Registry(model) => format!("{:#?}\nis {:#?}", model.state, registry::Data::from_cell(found)),
        }
    }

    const fn label(&self) -> &'static str {
        match self {
            Self::Governor(_) => "governor",
            Self::Stake(_) => "stake account",
            Self::Proposal(_) => "proposal",
            Self::Registry(_) => "registry",
            Self::Record(_) => "record",
            Self::Report(_) => "report",
        }
    }
}

/// How a message ended.
#[derive(Debug)]
pub struct Delivered {
    /// In a word.
    pub ending: Ending,
    /// In figures.
    pub receipt: Receipt,
}

/// Accounts, models and messages.
pub struct Net {
    /// Accounts and the clock.
    pub chain: Chain,
    /// By address.
    pub models: BTreeMap<StdAddr, Model>,
    /// Proposals that have just been opened.
    pub opened: Vec<StdAddr>,
    /// What storage has cost an account since its owner last made good for it.
    pub storage: BTreeMap<StdAddr, u128>,
    queue: Vec<Message>,
    /// What happened.
    pub story: Story,
}

impl Net {
    /// Nothing has happened yet.
    pub const fn new(chain: Chain, models: BTreeMap<StdAddr, Model>, story: Story) -> Self {
        Self { chain, models, opened: vec![], storage: BTreeMap::new(), queue: vec![], story }
    }

    /// True if messages are on their way.
    pub fn has_queue(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Messages on their way.
    pub fn queue(&self) -> &[Message] {
        &self.queue
    }

    /// The next message to arrive: any, but those between the same two accounts in the order in which they were sent.
    pub fn take(&mut self, rng: &mut Rng) -> Option<Message> {
        if self.queue.is_empty() {
            return None;
        }
        let chosen = &self.queue[rng.index(self.queue.len())];
        let first = self.queue.iter().position(|m| m.src == chosen.src && m.dst == chosen.dst)?;
        Some(self.queue.remove(first))
    }

    /// Lets a message arrive and compares what it does with the model.
    pub fn deliver(
        &mut self,
        name: &'static str,
        message: &Message,
        people: &[Person],
        coverage: &mut Coverage,
    ) -> Result<Delivered, Failure> {
        let line = self.describe(name, message, people);
        let outcome = self.deliver_quietly(name, message, coverage);
        self.story.tell(|| match &outcome {
            Ok(done) => format!("{line}: {}", done.ending),
            Err(_) => format!("{line}: FAILED"),
        });
        outcome.map_err(|e| e.in_context(&line))
    }

    fn deliver_quietly(
        &mut self,
        name: &'static str,
        message: &Message,
        coverage: &mut Coverage,
    ) -> Result<Delivered, Failure> {
        let model = self.models.get(&message.dst).ok_or_else(|| Failure::new("nobody knows this contract"))?;
        let (balance, data) = self.chain.account(&message.dst);
        if balance + message.value > MAX_COINS {
            return Err(Failure::new("more money than a network can have"));
        }
        let receipt = self.chain.deliver(message)?;
        coverage.transactions += 1;
        *self.storage.entry(message.dst.clone()).or_default() += receipt.storage;
        let call = Call::new(self.chain.now, message, &receipt);
        let absent = data.is_none() && (message.init.is_none() || receipt.compute == Compute::NoContract);
        let lost = data.is_some() && receipt.data.is_none() && receipt.start <= receipt.value;
        let mut next = model.clone();
        let verdict = if absent || lost { malformed() } else { next.receive(&call) };
        let ending = judge(&receipt, &verdict, message, 5 * CENT)?;
        coverage.count(name, ending);
        if ending == Ending::Done {
            let found = receipt.data.clone().unwrap_or_default();
            if found != next.data() {
                return Err(Failure::new(format!("the state should be {}", next.compare(&found))));
            }
            self.models.insert(message.dst.clone(), next);
        }
        for sent in &receipt.out {
            self.learn(sent);
            if self.models.contains_key(&sent.dst) {
                self.queue.push(sent.clone());
            }
        }
        Ok(Delivered { ending, receipt })
    }

    /// A child that the governor or the registry deploys is a contract from now on.
    fn learn(&mut self, sent: &Message) {
        if self.models.contains_key(&sent.dst) {
            return;
        }
        let Some(init) = &sent.init else { return };
        let child = match self.models.get(&sent.src) {
            Some(Model::Governor(governor)) => {
                let Some(id) = id_of(init) else { return };
                let proposal = governor.proposal(id);
                (proposal.address.clone(), Model::Proposal(proposal))
            }
            Some(Model::Registry(registry)) => {
                let Some(record) = registry.record_in(init) else { return };
                (record.address.clone(), Model::Record(record))
            }
            _ => return,
        };
        if child.0 == sent.dst {
            if matches!(child.1, Model::Proposal(_)) {
                self.opened.push(child.0.clone());
            }
            self.models.insert(child.0, child.1);
        }
    }

    fn describe(&self, name: &str, message: &Message, people: &[Person]) -> String {
        if self.story.is_silent() {
            return name.to_owned();
        }
        let who = |address: &StdAddr| {
            if let Some(person) = people.iter().find(|p| p.address == *address) {
                return person.name.clone();
            }
            let label = self.models.get(address).map_or("account", Model::label);
            format!("{label} {}", &address.address.to_string()[..6])
        };
        let at = self.chain.now - BEGINNING;
        let (from, to) = (who(&message.src), who(&message.dst));
        format!("+{at} s  {from} → {to}  {name} {}, {} TON", said(message), ton(message.value))
    }
}

/// What a message says, as far as a reader of a story needs it.
fn said(message: &Message) -> String {
    let body = &message.body;
    let read = match message.op() {
        _ if message.bounced => None,
        Some(Deposit::OP) => Deposit::from_cell(body).ok().map(|m| ton(m.amount.into_inner())),
        Some(Unbond::OP) => Unbond::from_cell(body).ok().map(|m| format!("lot {}", m.lot)),
        Some(Withdraw::OP) => Withdraw::from_cell(body).ok().map(|m| format!("lot {}", m.lot)),
        Some(Vote::OP) => Vote::from_cell(body).ok().map(|m| format!("{m:?}")),
        Some(CastVote::OP) => CastVote::from_cell(body).ok().map(|m| format!("{m:?}")),
        Some(RegisterNode::OP) => RegisterNode::from_cell(body).ok().map(|m| ton(m.bond.into_inner())),
        Some(pay_channel::TopUp::OP) => None,
        _ => None,
    };
    read.unwrap_or_default()
}

/// What a message is called in reports.
pub fn name_of(message: &Message) -> &'static str {
    let name = |op: Option<u32>| match op {
        Some(AddStake::OP) => ["AddStake", "bounced AddStake"],
        Some(RemoveStake::OP) => ["RemoveStake", "bounced RemoveStake"],
        Some(SubmitProposal::OP) => ["SubmitProposal", "bounced SubmitProposal"],
        Some(ExecuteProposal::OP) => ["ExecuteProposal", "bounced ExecuteProposal"],
        Some(SetGovernorParams::OP) => ["SetGovernorParams", "bounced action"],
        Some(OpenProposal::OP) => ["OpenProposal", "bounced OpenProposal"],
        Some(CastVote::OP) => ["CastVote", "bounced CastVote"],
        Some(ProposalExecuted::OP) => ["ProposalExecuted", "bounced action"],
        Some(StakeConfirmed::OP) => ["StakeConfirmed", "bounced action"],
        Some(ExitConfirmed::OP) => ["ExitConfirmed", "bounced action"],
        Some(Excesses::OP) => ["Excesses", "bounced action"],
        Some(BondReturned::OP) => ["BondReturned", "bounced action"],
        Some(ScheduleImage::OP) => ["ScheduleImage", "bounced action"],
        Some(ScheduleModel::OP) => ["ScheduleModel", "bounced action"],
        Some(DeprecateEntry::OP) => ["DeprecateEntry", "bounced action"],
        Some(RevokeEntry::OP) => ["RevokeEntry", "bounced action"],
        Some(RemoveEntry::OP) => ["RemoveEntry", "bounced action"],
        Some(SetRegistryParams::OP) => ["SetRegistryParams", "bounced action"],
        Some(SetGovernor::OP) => ["SetGovernor", "bounced action"],
        Some(SlashStake::OP) => ["SlashStake", "bounced SlashStake"],
        Some(PunishNode::OP) => ["PunishNode", "bounced PunishNode"],
        Some(SetRegistry::OP) => ["SetRegistry", "bounced action"],
        Some(SlashNode::OP) => ["SlashNode", "bounced SlashNode"],
        Some(ProveFault::OP) => ["ProveFault", "bounced ProveFault"],
        Some(AddEvidence::OP) => ["AddEvidence", "bounced AddEvidence"],
        Some(0x5247_0000..=0x5247_ffff) => ["word to the registry", "bounced action"],
        _ => ["other", "bounced action"],
    };
    name(message.op())[usize::from(message.bounced)]
}
