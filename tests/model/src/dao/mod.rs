//! The DAO: stake accounts, the governor, proposals, and people who want something of them.

pub mod actions;
pub mod governor;
pub mod invariants;
pub mod net;
pub mod proposal;
pub mod stake;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use cocoon_wrappers::AbiError;
use cocoon_wrappers::generated::registry::SetUpRegistry;
use cocoon_wrappers::generated::shared::{Excesses, GovernorParams, SetRegistry};
use tycho_types::cell::Cell;
use tycho_types::models::StdAddr;
use tycho_types::num::Tokens;

use crate::chain::Message;
use crate::code::Codes;
use crate::coverage::{Coverage, Ending};
use crate::keys::Person;
use crate::registry::{self, model::Registry};
use crate::rng::Rng;
use crate::run::{Failure, Story, World};

use self::governor::Governor;
use self::invariants::Ledger;
use self::net::{Model, Net};
use self::stake::Stake;

/// Nanotons in a Toncoin.
pub const TON: u128 = 1_000_000_000;
/// Nanotons in a hundredth of it.
pub const CENT: u128 = TON / 100;

/// A cell of the model's own making, which always fits.
pub fn cell(built: Result<Cell, AbiError>) -> Cell {
    built.expect("the model's figures fit into their fields")
}

/// What is left goes back.
pub fn excesses(query_id: u64) -> Cell {
    cell(Excesses { query_id }.to_cell())
}

/// The world.
pub struct DaoWorld {
    /// Accounts, messages on their way, models.
    pub net: Net,
    /// Stakers first, then others.
    pub people: Vec<Person>,
    /// Where the governor is.
    pub governor: StdAddr,
    /// Where the registry is, which the governor governs.
    pub registry: StdAddr,
    /// Everybody's stake account, in the order of the people.
    pub accounts: Vec<StdAddr>,
    /// Proposals, in the order in which they were opened.
    pub proposals: Vec<StdAddr>,
    /// Accusations: where, salt and proof.
    pub reports: Vec<(StdAddr, [u8; 32], Cell)>,
    /// Code of reports.
    pub fault_code: Cell,
    /// Whether people care about nodes and their bonds rather than about votes.
    pub of_nodes: bool,
    /// What the invariants need to remember.
    ledger: Ledger,
}

/// What a long run must have seen at least once.
pub const EXPECTED: &[(&str, &[Ending])] = {
    use crate::faults::code as f;
    use Ending::{Done, NoAction, NoContract, NoGas, Refused};
    use governor::code as g;
    use proposal::code as p;
    use stake::code as s;
    &[
        ("SetUpGovernor", &[Done, NoGas, NoAction, Refused(g::BAD_PARAMS)]),
        ("Gift", &[Done, Refused(g::NOT_READY)]),
        (
            "Deposit",
            &[
                Done,
                NoGas,
                NoContract,
                Refused(s::LOW_VALUE),
                Refused(s::NOT_OWNER),
                Refused(s::LOT_TOO_SMALL),
                Refused(s::TOO_MANY_LOTS),
            ],
        ),
        ("AddStake", &[Done, Refused(g::NOT_READY), Refused(g::NOT_STAKE_ACCOUNT)]),
        ("RemoveStake", &[Done, Refused(g::NOT_STAKE_ACCOUNT)]),
        ("StakeConfirmed", &[Done, Refused(s::NOT_GOVERNOR)]),
        ("ExitConfirmed", &[Done, Refused(s::NOT_GOVERNOR)]),
        (
            "Unbond",
            &[
                Done,
                Refused(s::LOW_VALUE),
                Refused(s::NOT_OWNER),
                Refused(s::NO_LOT),
                Refused(s::LOT_NOT_STAYING),
                Refused(s::BONDED),
            ],
        ),
        ("Withdraw", &[Done, Refused(s::LOW_VALUE), Refused(s::NOT_OWNER), Refused(s::NO_LOT), Refused(s::LOT_LOCKED)]),
        ("Propose", &[Done, Refused(s::LOW_VALUE), Refused(s::NOT_OWNER), Refused(s::NO_WEIGHT)]),
        (
            "SubmitProposal",
            &[
                Done,
                Refused(g::LOW_VALUE),
                Refused(g::NOT_STAKE_ACCOUNT),
                Refused(g::WRONG_EPOCH),
                Refused(g::BELOW_THRESHOLD),
                Refused(g::BAD_ACTIONS),
            ],
        ),
        ("OpenProposal", &[Done, Refused(p::NOT_GOVERNOR)]),
        (
            "Vote",
            &[
                Done,
                Refused(s::LOW_VALUE),
                Refused(s::NOT_OWNER),
                Refused(s::NO_WEIGHT),
                Refused(s::VOTED),
                Refused(s::BAD_RECEIPT),
            ],
        ),
        (
            "CastVote",
            &[
                Done,
                Refused(p::NOT_STAKE_ACCOUNT),
                Refused(p::NOT_VOTING),
                Refused(p::WRONG_SNAPSHOT),
                Refused(p::SHORT_RECEIPT),
                Refused(p::BAD_SUPPORT),
            ],
        ),
        ("Execute", &[Done, Refused(p::NOT_READY), Refused(p::LOW_VALUE)]),
        ("ExecuteProposal", &[Done, Refused(g::NOT_PROPOSAL), Refused(g::POOR)]),
        ("ProposalExecuted", &[Done, Refused(p::NOT_GOVERNOR)]),
        ("CloseProposal", &[Done, Refused(p::LOW_VALUE), Refused(p::NOT_OVER)]),
        ("SetGovernorParams", &[Done, Refused(g::NOT_SELF), Refused(g::BAD_PARAMS)]),
        (
            "RegisterNode",
            &[
                Done,
                Refused(s::LOW_VALUE),
                Refused(s::NOT_OWNER),
                Refused(s::BAD_SIGNATURE),
                Refused(s::BONDED),
                Refused(s::BOND_LOWERED),
                Refused(s::NODE_RETIRED),
            ],
        ),
        ("RetireNode", &[Done, Refused(s::LOW_VALUE), Refused(s::NOT_OWNER), Refused(s::NO_NODE)]),
        ("ForgetNode", &[Done, Refused(s::NOT_OWNER), Refused(s::NO_NODE), Refused(s::NODE_LOCKED)]),
        ("bounced AddStake", &[Done]),
        ("bounced SubmitProposal", &[Done]),
        ("bounced CastVote", &[Done]),
        ("bounced ExecuteProposal", &[Done]),
        ("Unbond", &[Refused(s::LOT_TOO_SMALL), Refused(s::LOT_TOO_LARGE), Refused(s::TOO_MANY_LOTS)]),
        ("Withdraw", &[Refused(s::BONDED)]),
        ("CommitFault", &[Done, Refused(f::LOW_VALUE), Refused(f::NOT_REPORTER), Refused(f::COMMITTED)]),
        (
            "RevealFault",
            &[
                Done,
                Refused(f::LOW_VALUE),
                Refused(f::NOT_REPORTER),
                Refused(f::TOO_EARLY),
                Refused(f::TOO_LATE),
                Refused(f::OTHER_COMMITMENT),
            ],
        ),
        (
            "ProveFault",
            &[
                Done,
                Refused(f::NOT_REPORT),
                Refused(f::OTHER_KIND),
                Refused(f::BAD_FORMAT),
                Refused(f::BAD_SIGNATURE),
                Refused(f::OTHER_NETWORK),
                Refused(f::NO_CONTRADICTION),
                Refused(s::NO_NODE),
                Refused(s::NODE_SLASHED),
                Refused(s::NODE_FREE),
            ],
        ),
        ("bounced ProveFault", &[Done]),
        ("SlashStake", &[Done, Refused(g::NOT_STAKE_ACCOUNT)]),
        ("PunishNode", &[Done, Refused(g::NOT_REGISTRY), Refused(g::LOW_VALUE)]),
        ("SlashNode", &[Done, Refused(s::NOT_GOVERNOR), Refused(s::NO_NODE), Refused(s::NODE_SLASHED)]),
        ("bounced SlashNode", &[Done]),
        ("SetRegistry", &[Done, Refused(g::NOT_SELF)]),
        ("RegisterNode", &[Refused(s::NODE_SLASHED)]),
        ("ForgetNode", &[Refused(s::NODE_SLASHED)]),
        ("ScheduleImage", &[Done]),
        ("ScheduleModel", &[Done]),
        ("SetRegistryParams", &[Done]),
        ("bounced action", &[Done]),
        ("Nonsense", &[Refused(130), NoContract]),
    ]
};

impl World for DaoWorld {
    const NAME: &'static str = "dao";

    fn begin(codes: &Codes, seed: u64, story: Story) -> Result<Self, Failure> {
        let mut rng = Rng::new(seed);
        let people: Vec<Person> =
            ["ann", "bob", "cid", "dan", "eve", "stranger"].map(Person::new).into_iter().collect();
        let mut params = rules(&mut rng);
        if rng.chance(5) {
            actions::spoil(&mut params, &mut rng);
        }
        let mut governor = Governor::new(codes, 600, params);
        if rng.chance(3) {
            actions::soil(&mut governor.state, &people[0].address, &mut rng);
            governor = Governor::with_state(codes, governor.state);
        }
        let mut models = BTreeMap::new();
        let mut accounts = vec![];
        for person in &people {
            let account = Stake::new(&codes.stake, &codes.fault, &governor.address, &person.address);
            accounts.push(account.address.clone());
            models.insert(account.address.clone(), Model::Stake(account));
        }
        let address = governor.address.clone();
        models.insert(address.clone(), Model::Governor(governor));
        let params = registry::actions::params(&mut rng);
        let genesis = registry::actions::genesis(&people, params, 1, &mut rng);
        let registry = Registry::new(codes, &address, genesis);
        let registry_address = registry.address.clone();
        let opening = Message {
            src: people[0].address.clone(),
            dst: registry_address.clone(),
            value: 2 * TON,
            bounce: true,
            bounced: false,
            init: Some(registry.init.clone()),
            body: cell(SetUpRegistry { query_id: 1 }.to_cell()),
        };
        models.insert(registry_address.clone(), Model::Registry(Box::new(registry)));
        let net = Net::new(codes.chain()?, models, story);
        let mut world = Self {
            net,
            people,
            governor: address,
            registry: registry_address,
            accounts,
            proposals: vec![],
            reports: vec![],
            fault_code: codes.fault.clone(),
            of_nodes: rng.chance(30),
            ledger: Ledger::default(),
        };
        world.deliver("SetUpRegistry", opening, &mut Coverage::default())?;
        // Most worlds have a DAO from the beginning.
        if rng.chance(90) {
            let message = actions::set_up(&world, 0, 2 * TON);
            world.deliver("SetUpGovernor", message, &mut Coverage::default())?;
        }
        if rng.chance(60) && world.governor().state.ready {
            // As if a vote had said so.
            let body = cell(SetRegistry { query_id: 1, registry: world.registry.clone() }.to_cell());
            let mut message = actions::set_up(&world, 0, TON);
            (message.src, message.init, message.body) = (world.governor.clone(), None, body);
            world.deliver("SetRegistry", message, &mut Coverage::default())?;
        }
        if rng.chance(70) {
            let rich = if rng.chance(10) { 16 } else { 1 };
            for who in (0..3).chain(std::iter::repeat_n(0, rich - 1)) {
                let message = actions::deposit(&world, who, (1 + rng.magnitude(6)) * TON, TON);
                world.deliver("Deposit", message, &mut Coverage::default())?;
                world.arrive_all(&mut rng, &mut Coverage::default())?;
            }
            world.net.chain.now += 600;
        }
        Ok(world)
    }

    fn step(&mut self, seed: u64, coverage: &mut Coverage) -> Result<(), Failure> {
        let mut rng = Rng::new(seed);
        match actions::choose(self, &mut rng) {
            actions::Action::Send { name, message } => self.deliver(name, message, coverage)?,
            actions::Action::Arrive => self.arrive(&mut rng, coverage)?,
            actions::Action::Wait(seconds) => {
                self.net.chain.now += seconds;
                self.net.story.tell(|| format!("{seconds} s pass"));
            }
        }
        if rng.chance(75) {
            self.arrive_all(&mut rng, coverage)?;
        }
        Ok(())
    }

    fn finish(&mut self, coverage: &mut Coverage) -> Result<(), Failure> {
        self.arrive_all(&mut Rng::new(0), coverage)?;
        self.everybody_leaves(coverage)
    }

    fn story(&self) -> &Story {
        &self.net.story
    }
}

impl DaoWorld {
    /// The governor's model.
    pub fn governor(&self) -> &Governor {
        match self.net.models.get(&self.governor) {
            Some(Model::Governor(governor)) => governor,
            _ => unreachable!("there is always a governor"),
        }
    }

    /// The registry's model.
    pub fn registry(&self) -> &Registry {
        match self.net.models.get(&self.registry) {
            Some(Model::Registry(registry)) => registry,
            _ => unreachable!("there is always a registry"),
        }
    }

    /// The stake account of one of the people.
    pub fn account(&self, who: usize) -> &Stake {
        match self.net.models.get(&self.accounts[who]) {
            Some(Model::Stake(stake)) => stake,
            _ => unreachable!("everybody has an account"),
        }
    }

    /// An open proposal.
    pub fn proposal(&self, place: usize) -> &proposal::Proposal {
        match self.net.models.get(&self.proposals[place]) {
            Some(Model::Proposal(proposal)) => proposal,
            _ => unreachable!("only proposals are listed"),
        }
    }

    fn deliver(&mut self, name: &'static str, message: Message, coverage: &mut Coverage) -> Result<(), Failure> {
        let before = self.net.models.get(&message.dst).cloned();
        let done = self.net.deliver(name, &message, &self.people, coverage)?;
        for address in self.net.opened.drain(..) {
            self.proposals.push(address);
        }
        if done.ending == Ending::Done {
            self.note(&message, before.as_ref()).map_err(|e| e.in_context(name))?;
        }
        self.check()
    }

    fn arrive(&mut self, rng: &mut Rng, coverage: &mut Coverage) -> Result<(), Failure> {
        match self.net.take(rng) {
            Some(message) => {
                let name = net::name_of(&message);
                self.deliver(name, message, coverage)
            }
            None => Ok(()),
        }
    }

    /// Everything on its way arrives, in some order.
    fn arrive_all(&mut self, rng: &mut Rng, coverage: &mut Coverage) -> Result<(), Failure> {
        while self.net.has_queue() {
            self.arrive(rng, coverage)?;
        }
        Ok(())
    }

    /// When nothing holds it any more, everybody gets all of their stake out, with nobody's help.
    fn everybody_leaves(&mut self, coverage: &mut Coverage) -> Result<(), Failure> {
        if !self.governor().state.ready {
            return Ok(());
        }
        for who in 0..self.people.len() {
            let keys: Vec<_> = self.account(who).state.nodes.keys().copied().collect();
            for key in keys {
                let message = actions::retire(self, who, &key);
                self.deliver("RetireNode", message, coverage)?;
            }
            let lots: Vec<u32> = self.account(who).state.lots.keys().copied().collect();
            for lot in &lots {
                let message = actions::unbond(self, who, *lot, 0);
                self.deliver("Unbond", message, coverage)?;
                self.arrive_all(&mut Rng::new(1), coverage)?;
            }
            // Lots may leave under different rules; none is locked for longer than the rules can ever say.
            let state = &self.account(who).state;
            let released = state.lots.values().map(|lot| lot.release_at).max().unwrap_or_default();
            let answered = state.nodes.values().map(|node| node.free_at).max();
            let until = released.max(answered.unwrap_or_default());
            if until > self.net.chain.now + 4 * governor::MAX_PERIOD {
                return Err(Failure::new(format!("stake is locked until {until}: {state:?}")));
            }
            self.net.chain.now = self.net.chain.now.max(until);
            for lot in &lots {
                let message = actions::withdraw(self, who, *lot);
                self.deliver("Withdraw", message, coverage)?;
            }
            let left = &self.account(who).state;
            if left.held != Tokens::ZERO || !left.lots.is_empty() {
                return Err(Failure::new(format!("stake cannot leave: {left:?}")));
            }
        }
        Ok(())
    }
}

/// Rules of a DAO in a hurry.
fn rules(rng: &mut Rng) -> GovernorParams {
    let late_extension = *rng.pick(&[0, 300, 1200]);
    GovernorParams {
        proposal_threshold: Tokens::new(*rng.pick(&[1, TON, 5 * TON])),
        proposal_bond: Tokens::new(*rng.pick(&[1, TON, 3 * TON])),
        voting_delay: *rng.pick(&[0, 100]),
        voting_period: *rng.pick(&[1200, 3000]),
        late_extension,
        timelock: *rng.pick(&[1, 600]),
        execution_window: *rng.pick(&[600, 6000]),
        unbonding_delay: 3100 + late_extension + 600 + *rng.pick(&[1, 1, 20_000]),
        quorum_bps: *rng.pick(&[1, 2000, 5000, 10_000]),
    }
}
