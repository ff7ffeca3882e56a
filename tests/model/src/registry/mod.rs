//! The registry, its governor (here a person, who is heard at once), and owners of proxies.

pub mod actions;
pub mod model;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use cocoon_wrappers::generated::registry::{RevokeEntry, SetUpRegistry, SuspendEntry};
use tycho_types::cell::{Cell, HashBytes};
use tycho_types::models::StdAddr;
use tycho_types::num::Tokens;

use crate::cells::ton;
use crate::chain::Message;
use crate::code::Codes;
use crate::coverage::{Coverage, Ending};
use crate::dao::net::{Model, Net, name_of};
use crate::dao::{TON, cell};
use crate::faults;
use crate::keys::Person;
use crate::rng::Rng;
use crate::run::{Failure, Story, World};

use self::model::{RESERVE, Registry, Standing, code, standing};

/// The world.
pub struct RegistryWorld {
    /// Accounts, messages on their way, models.
    pub net: Net,
    /// The governor first, then its successor, then others.
    pub people: Vec<Person>,
    /// Where the registry is.
    pub registry: StdAddr,
    /// Every order of the council, for replays.
    pub suspensions: Vec<Cell>,
}

/// What a long run must have seen at least once.
pub const EXPECTED: &[(&str, &[Ending])] = {
    use Ending::{Done, NoAction, NoContract, NoGas, Refused};
    const GOVERNED: &[Ending] =
        &[Done, Refused(code::NOT_GOVERNOR), Refused(code::LOW_VALUE), Refused(code::NOT_READY)];
    &[
        ("SetUpRegistry", &[Done, NoGas, NoAction, Refused(code::BAD_PARAMS), Refused(code::FULL)]),
        ("Gift", &[Done, Refused(code::NOT_READY)]),
        ("ScheduleImage", GOVERNED),
        (
            "ScheduleImage",
            &[Refused(code::LISTED), Refused(code::FULL), Refused(code::BAD_ROLE), Refused(code::BAD_TEXT)],
        ),
        ("ScheduleModel", GOVERNED),
        ("ScheduleModel", &[Refused(code::LISTED), Refused(code::FULL), Refused(code::BAD_TEXT)]),
        ("DeprecateEntry", GOVERNED),
        (
            "DeprecateEntry",
            &[Refused(code::NO_ENTRY), Refused(code::BAD_SUNSET), Refused(code::BAD_KIND), Refused(code::BAD_TEXT)],
        ),
        ("RevokeEntry", GOVERNED),
        ("RevokeEntry", &[Refused(code::NO_ENTRY), Refused(code::BAD_KIND), Refused(code::BAD_TEXT)]),
        ("RemoveEntry", GOVERNED),
        ("RemoveEntry", &[Refused(code::NO_ENTRY), Refused(code::IN_USE), Refused(code::BAD_KIND)]),
        ("SetRoot", GOVERNED),
        ("SetRoot", &[Refused(code::LISTED), Refused(code::FULL), Refused(code::NO_ENTRY)]),
        ("SetPlatformBan", GOVERNED),
        ("SetPlatformBan", &[Refused(code::LISTED), Refused(code::FULL), Refused(code::NO_ENTRY)]),
        ("SetMinTcbEvaluation", GOVERNED),
        ("SetRegistryParams", GOVERNED),
        ("SetRegistryParams", &[Refused(code::BAD_PARAMS)]),
        ("SetCodeHashes", GOVERNED),
        ("SetGovernor", GOVERNED),
        ("EvictProxy", GOVERNED),
        ("EvictProxy", &[Refused(code::NO_PROXY)]),
        (
            "RegisterProxy",
            &[
                Done,
                Refused(code::LOW_VALUE),
                Refused(code::NOT_READY),
                Refused(code::PROXY_EXISTS),
                Refused(code::FULL),
                Refused(code::LOW_BOND),
                Refused(code::BAD_TEXT),
                Refused(code::BAD_SIGNATURE),
            ],
        ),
        (
            "UpdateProxy",
            &[
                Done,
                Refused(code::LOW_VALUE),
                Refused(code::NO_PROXY),
                Refused(code::LOW_BOND),
                Refused(code::BAD_TEXT),
            ],
        ),
        ("UnbondProxy", &[Done, Refused(code::LOW_VALUE), Refused(code::NO_PROXY)]),
        ("WithdrawProxy", &[Done, Refused(code::LOW_VALUE), Refused(code::NO_PROXY), Refused(code::PROXY_LOCKED)]),
        (
            "SuspendEntry",
            &[
                Done,
                Refused(code::LOW_VALUE),
                Refused(code::EXPIRED),
                Refused(code::NO_ENTRY),
                Refused(code::NO_SUSPENSION),
                Refused(code::NOT_COUNCIL),
                Refused(code::BAD_SIGNATURE),
                Refused(code::BAD_KIND),
                Refused(code::BAD_TEXT),
            ],
        ),
        ("LiftSuspension", GOVERNED),
        ("LiftSuspension", &[Refused(code::NO_ENTRY), Refused(code::NOT_SUSPENDED), Refused(code::BAD_TEXT)]),
        ("SetCouncil", GOVERNED),
        ("SetCouncil", &[Refused(code::BAD_THRESHOLD)]),
        ("SetRebuilder", GOVERNED),
        (
            "SetRebuilder",
            &[Refused(code::LISTED), Refused(code::NO_ENTRY), Refused(code::FULL), Refused(code::BAD_THRESHOLD)],
        ),
        ("SetRebuildThreshold", GOVERNED),
        ("SetRebuildThreshold", &[Refused(code::BAD_THRESHOLD)]),
        ("SetSuccessor", GOVERNED),
        ("SetCodeHashes", &[Refused(code::FULL)]),
        ("ScheduleImage", &[Refused(code::TOO_FEW_REBUILDS)]),
        (
            "Settled",
            &[
                Done,
                Refused(code::LOW_VALUE),
                Refused(code::NOT_CHANNEL),
                Refused(code::NO_PROXY),
                Refused(code::OTHER_KEY),
                Refused(code::LOW_FEE),
            ],
        ),
        ("AddEvidence", &[Done]),
        (
            "ProveFault",
            &[
                Done,
                Refused(faults::code::NOT_REPORT),
                Refused(faults::code::BAD_FORMAT),
                Refused(faults::code::BAD_SIGNATURE),
                Refused(faults::code::OTHER_NETWORK),
                Refused(faults::code::NO_CONTRADICTION),
                Refused(code::NOT_CHANNEL),
                Refused(code::NO_PROXY),
                Refused(code::OTHER_KEY),
                Refused(code::NO_ENTRY),
                Refused(code::NOT_REVOKED),
            ],
        ),
        ("Nonsense", &[Refused(130), NoContract]),
    ]
};

impl World for RegistryWorld {
    const NAME: &'static str = "registry";

    fn begin(codes: &Codes, seed: u64, story: Story) -> Result<Self, Failure> {
        let mut rng = Rng::new(seed);
        let people: Vec<Person> =
            ["dao", "new dao", "proxy 1", "proxy 2", "proxy 3", "thief"].map(Person::new).into_iter().collect();
        let mut params = actions::params(&mut rng);
        if rng.chance(5) {
            actions::spoil(&mut params, &mut rng);
        }
        let count = if rng.chance(3) { 9 } else { rng.below(9) };
        let mut genesis = actions::genesis(&people, params, count, &mut rng);
        if rng.chance(5) {
            actions::spoil_genesis(&mut genesis, &mut rng);
        }
        let mut registry = Registry::new(codes, &people[0].address, genesis);
        if rng.chance(3) {
            actions::soil(&mut registry.state, &people[5].address, &mut rng);
            registry = Registry::with_state(codes, registry.state);
        }
        let address = registry.address.clone();
        let models = BTreeMap::from([(address.clone(), Model::Registry(Box::new(registry)))]);
        let net = Net::new(codes.chain()?, models, story);
        let mut world = Self { net, people, registry: address, suspensions: vec![] };
        if rng.chance(94) {
            let body = cell(SetUpRegistry { query_id: 1 }.to_cell());
            let mut message = actions::plain(&world, 0, 2 * TON, body);
            message.init = Some(world.model().init.clone());
            world.deliver("SetUpRegistry", message, &mut Coverage::default())?;
        }
        // One of the lists is full from the beginning; seldom one of the long ones.
        let list = if rng.chance(8) { Some(4 + rng.below(2)) } else { None };
        let list = if rng.chance(2) { Some(*rng.pick(&[0, 0, 0, 1, 2, 2, 2, 3])) } else { list };
        if let Some(list) = list {
            for (name, message) in actions::fill(&world, list) {
                world.deliver(name, message, &mut Coverage::default())?;
            }
        }
        Ok(world)
    }

    fn step(&mut self, seed: u64, coverage: &mut Coverage) -> Result<(), Failure> {
        let mut rng = Rng::new(seed);
        match actions::choose(self, &mut rng) {
            actions::Action::Send { name, message } => {
                self.deliver(name, message, coverage)?;
                // What the registry tells a record, and what comes back.
                while let Some(message) = self.net.take(&mut rng) {
                    self.deliver(name_of(&message), message, coverage)?;
                }
                Ok(())
            }
            actions::Action::Wait(seconds) => {
                self.net.chain.now += seconds;
                self.net.story.tell(|| format!("{seconds} s pass"));
                Ok(())
            }
        }
    }

    /// Every proxy gets its bond back, with nobody's help.
    fn finish(&mut self, coverage: &mut Coverage) -> Result<(), Failure> {
        if !self.model().state.ready {
            return Ok(());
        }
        for who in 0..self.people.len() {
            let owner = &self.people[who].address;
            let Some(proxy) = self.model().state.proxies.get(owner) else { continue };
            if proxy.unbonding_at == 0 {
                let message = actions::unbond(self, who);
                self.deliver("UnbondProxy", message, coverage)?;
            }
            let delay = self.model().state.params.proxy_unbonding;
            self.net.chain.now += delay;
            let message = actions::withdraw(self, who);
            self.deliver("WithdrawProxy", message, coverage)?;
            if self.model().state.proxies.contains_key(&self.people[who].address) {
                return Err(Failure::new("a proxy cannot leave"));
            }
        }
        Ok(())
    }

    fn story(&self) -> &Story {
        &self.net.story
    }
}

impl RegistryWorld {
    /// The registry's model.
    pub fn model(&self) -> &Registry {
        match self.net.models.get(&self.registry) {
            Some(Model::Registry(registry)) => registry,
            _ => unreachable!("there is always a registry"),
        }
    }

    fn deliver(&mut self, name: &'static str, message: Message, coverage: &mut Coverage) -> Result<(), Failure> {
        let before = self.model().clone();
        let done = self.net.deliver(name, &message, &self.people, coverage)?;
        if done.ending == Ending::Done && message.dst == self.registry {
            invariants(&before, self.model(), &message, self.net.chain.now)?;
        }
        if message.dst == self.registry && self.model().state.ready {
            let owed = self.model().state.bonded.into_inner() + RESERVE;
            let storage = self.net.storage.get(&self.registry).copied().unwrap_or_default();
            if done.receipt.after + storage < owed {
                let (there, owed, storage) = (ton(done.receipt.after), ton(owed), ton(storage));
                return Err(Failure::new(format!("bonds are missing: {there} of {owed}, {storage} cost storage")));
            }
        }
        Ok(())
    }
}

/// What must hold whatever the model says: G3, G4, and that only the governor decides.
pub fn invariants(before: &Registry, after: &Registry, message: &Message, now: u32) -> Result<(), Failure> {
    let broken = |what: &str| Err(Failure::new(what.to_owned()));
    let lives = |registry: &Registry| {
        let images = registry.state.images.iter().map(|(id, entry)| ((1, *id), entry.life.clone()));
        let models = registry.state.models.iter().map(|(id, entry)| ((2, *id), entry.life.clone()));
        images.chain(models).collect::<BTreeMap<(u8, HashBytes), _>>()
    };
    let (old, new) = (lives(before), lives(after));
    for (id, life) in &new {
        let was = old.get(id);
        if was == Some(life) {
            continue;
        }
        let usable = |standing: Standing| matches!(standing, Standing::Active | Standing::Deprecated);
        let was_usable = was.is_some_and(|life| usable(standing(life, now)));
        let lifted = was.is_some_and(|was| was.suspended_until > now && was.active_from == life.active_from);
        if usable(standing(life, now)) && !was_usable && !lifted {
            return broken("G3 is broken: an entry became usable at once");
        }
        let suspended = was.filter(|was| was.scheduled_at == life.scheduled_at && was.suspended_until != 0);
        if suspended.is_some_and(|was| life.suspended_until > was.suspended_until) {
            return broken("attack 41: an entry was suspended twice in one approval");
        }
        let fresh = was.is_none_or(|was| was.active_from != life.active_from);
        if fresh && life.active_from < now + before.state.params.activation_delay {
            return broken("G3 is broken: an entry activates before its delay");
        }
    }
    for (root, from) in &after.state.tcb.roots {
        let is_new = before.state.tcb.roots.get(root) != Some(from);
        if is_new && *from < now + before.state.params.activation_delay {
            return broken("G3 is broken: a root is valid before its delay");
        }
    }
    if let (Some(RevokeEntry::OP), Ok(m)) = (message.op(), RevokeEntry::from_cell(&message.body)) {
        let life = after.life(m.kind, &m.id);
        if life.is_none_or(|life| standing(life, now) != Standing::Revoked) {
            return broken("G4 is broken: a revocation did not work");
        }
    }
    let ruled = |r: &Registry| {
        let s = &r.state;
        (s.governor.clone(), s.params.clone(), s.codes.clone(), s.tcb.clone(), s.images.clone(), s.models.clone())
    };
    // Attack 40: the council puts entries aside and does nothing else.
    let aside = |before: &Registry, after: &Registry| {
        let mut expected = after.clone();
        expected.state.images = before.state.images.clone();
        expected.state.models = before.state.models.clone();
        ruled(before) == ruled(&expected)
    };
    let council = message.op() == Some(SuspendEntry::OP) && aside(before, after);
    if before.state.ready && ruled(before) != ruled(after) && message.src != before.state.governor && !council {
        return broken("somebody else than the governor changed the rules");
    }
    let bonds: u128 = after.state.proxies.values().map(|proxy| proxy.bond.into_inner()).sum();
    if Tokens::new(bonds) != after.state.bonded {
        return broken("the sum of the bonds is wrong");
    }
    Ok(())
}
