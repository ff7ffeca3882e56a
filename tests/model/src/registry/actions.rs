//! What people do with the registry.

use std::collections::BTreeMap;

use cocoon_wrappers::generated::pay_channel::{ChannelTerms, Evidence};
use cocoon_wrappers::generated::registry::{self, *};
use tycho_types::cell::{Cell, CellFamily, HashBytes};
use tycho_types::models::StdAddr;
use tycho_types::num::Tokens;

use crate::cells::Writer;
use crate::chain::{Message, address_from};
use crate::dao::{CENT, TON, cell};
use crate::faults::{self, Report};
use crate::keys::Person;
use crate::rng::Rng;

use super::RegistryWorld;
use super::model::{EVIDENCE_VALUE, Genesis, Registry, rebuild, suspension};
use super::model::{
    MAX_BANNED, MAX_FORMER, MAX_IMAGES, MAX_MODELS, MAX_PROXIES, MAX_REBUILDERS, MIN_VALUE, PROXY_FEE, proxy_auth,
};

/// One step.
pub enum Action {
    /// Somebody sends a message.
    Send {
        /// The operation.
        name: &'static str,
        /// The message.
        message: Message,
    },
    /// Time passes, in seconds.
    Wait(u32),
}

/// The id of something: few of them, so that people mean the same ones.
pub fn id(number: u64) -> HashBytes {
    HashBytes(*b"an image, a model or a platform!").with(number)
}

trait Numbered {
    fn with(self, number: u64) -> Self;
}

impl Numbered for HashBytes {
    fn with(mut self, number: u64) -> Self {
        self.0[24..].copy_from_slice(&number.to_be_bytes());
        self
    }
}

/// Parameters of a network in a hurry.
pub fn params(rng: &mut Rng) -> RegistryParams {
    RegistryParams {
        min_worker_stake: Tokens::new(TON),
        min_proxy_bond: Tokens::new(*rng.pick(&[1, TON, 10 * TON])),
        activation_delay: *rng.pick(&[600, 3600]),
        proxy_unbonding: *rng.pick(&[600, 7200]),
        min_challenge: 600,
        protocol_fee_bps: *rng.pick(&[0, 100, 2000]),
        suspension_period: *rng.pick(&[86_400, 30 * 86_400]),
    }
}

/// Makes one of the parameters absurd.
pub fn spoil(p: &mut RegistryParams, rng: &mut Rng) {
    match rng.below(11) {
        9 => p.suspension_period = 86_399,
        10 => p.suspension_period = 30 * 86_400 + 1,
        0 => p.min_worker_stake = Tokens::ZERO,
        1 => p.min_proxy_bond = Tokens::ZERO,
        2 => p.activation_delay = 599,
        3 => p.proxy_unbonding = 599,
        4 => p.min_challenge = 599,
        5 => p.activation_delay = 90 * 86_400 + 1,
        6 => p.proxy_unbonding = 90 * 86_400 + 1,
        7 => p.min_challenge = 90 * 86_400 + 1,
        _ => p.protocol_fee_bps = 2001,
    }
}

/// A version of some code; few of them.
fn version(number: u64) -> Code {
    Code { hash: id(1000 + number), depth: u16::try_from(number).expect("a few") }
}

/// What a registry begins with.
pub fn genesis(people: &[Person], params: RegistryParams, roots: u64, rng: &mut Rng) -> Genesis {
    let keys = |from: usize, to: usize| people[from..to].iter().map(|p| HashBytes(p.public()));
    let count = 1 + rng.index(3);
    let mut council =
        Council { threshold: rng.below(3) as u8 + 1, members: keys(2, 5).map(|key| (key, true)).collect() };
    if rng.chance(10) {
        council = Council { threshold: 0, members: BTreeMap::new() };
    }
    let codes = [0, 1, 2, 3].map(|_| version(rng.below(3)));
    let [pay_channel, stake_account, proposal, fault_report] = codes;
    Genesis {
        params,
        roots: (0..roots).map(|i| (id(i), 1)).collect(),
        codes: CodeHashes { pay_channel, stake_account, proposal, fault_report },
        council,
        rebuilders: keys(0, count).map(|key| (key, 1)).collect(),
        rebuild_threshold: 1 + rng.index(count) as u8,
    }
}

/// Makes a council or the rebuilders absurd.
pub fn spoil_genesis(genesis: &mut Genesis, rng: &mut Rng) {
    match rng.below(5) {
        0 => genesis.rebuild_threshold = 0,
        1 => genesis.rebuild_threshold = 4,
        2 => genesis.council.threshold = 4,
        3 => genesis.council.threshold = 0,
        _ => genesis.council.members = (0..16).map(|i| (id(i), true)).collect(),
    }
}

/// Writes something where only votes and owners of proxies may write.
pub fn soil(state: &mut registry::Data, owner: &StdAddr, rng: &mut Rng) {
    let life = Life {
        status: 1,
        active_from: 1,
        sunset: 0,
        changed_at: 1,
        reason: "first".to_owned(),
        scheduled_at: 1,
        suspended_until: 0,
    };
    let (source_commit, recipe_hash) = (HashBytes::ZERO, HashBytes::ZERO);
    state.counts = RegistryCounts { images: 1, models: 1, proxies: 1, roots: 1, banned: 1 };
    match rng.below(9) {
        0 => state.bonded = Tokens::new(1),
        1 => {
            let image = ImageEntry { role: 1, source_commit, recipe_hash, rebuilds: BTreeMap::new(), life };
            state.images.insert(id(0), image);
        }
        2 => {
            let model = ModelEntry { source_commit, recipe_hash, name: "m".to_owned(), life };
            state.models.insert(id(0), model);
        }
        3 => {
            let endpoint = "somewhere".to_owned();
            let proxy = ProxyEntry { node_key: id(1), bond: Tokens::new(1), since: 1, unbonding_at: 0, endpoint };
            state.proxies.insert(owner.clone(), proxy);
            state.bonded = Tokens::new(1);
        }
        4 => {
            state.tcb.banned.insert(id(0), 1);
        }
        5 => {
            let former = FormerCode { depth: 1, accepted_until: u32::MAX };
            state.former_channels.insert(id(0), former);
        }
        6 => state.successor = Some(owner.clone()),
        7 => state.successor_from = 1,
        // Figures that set-up writes anyway.
        _ => {}
    }
}

/// From one of the people to the registry.
pub fn plain(world: &RegistryWorld, who: usize, value: u128, body: Cell) -> Message {
    let (src, dst) = (world.people[who].address.clone(), world.registry.clone());
    Message { src, dst, value, bounce: true, bounced: false, init: None, body }
}

/// A proxy's owner begins to leave.
pub fn unbond(world: &RegistryWorld, who: usize) -> Message {
    plain(world, who, MIN_VALUE, cell(UnbondProxy { query_id: 3 }.to_cell()))
}

/// A former proxy's owner takes the bond.
pub fn withdraw(world: &RegistryWorld, who: usize) -> Message {
    plain(world, who, MIN_VALUE, cell(WithdrawProxy { query_id: 4 }.to_cell()))
}

/// Chooses what happens next.
pub fn choose(world: &mut RegistryWorld, rng: &mut Rng) -> Action {
    let who = rng.index(world.people.len());
    let (name, mut message) = match rng.below(130) {
        100..=109 => ("SuspendEntry", suspend(world, who, rng)),
        110..=119 => ("Settled", settled(world, who, rng)),
        120..=129 => ("ProveFault", accuse(world, who, rng)),
        0..=11 => return Action::Wait(pause(world, rng)),
        12..=63 => {
            let (name, body) = governed(world.net.chain.now, &world.people, Some(world.model()), rng);
            let governor = world.people.iter().position(|p| p.address == world.model().state.governor).unwrap_or(0);
            (name, plain(world, if rng.chance(93) { governor } else { who }, MIN_VALUE, body))
        }
        64..=76 => ("RegisterProxy", register(world, who, rng)),
        77..=84 => ("UpdateProxy", update(world, who, rng)),
        85..=89 => ("UnbondProxy", unbond(world, who)),
        90..=93 => ("WithdrawProxy", withdraw(world, who)),
        94 | 95 => {
            let value = *rng.pick(&[TON * 2, TON / 2, TON / 5, CENT, 0]);
            let mut message = plain(world, who, value, cell(SetUpRegistry { query_id: 1 }.to_cell()));
            if rng.chance(70) {
                message.init = Some(world.model().init.clone());
            }
            ("SetUpRegistry", message)
        }
        96 => ("Gift", plain(world, who, TON, Cell::empty_cell())),
        _ => {
            let body = match rng.below(2) {
                0 => Writer::op(rng.number() as u32).word(&rng.bytes32()).end(),
                _ => Writer::op(*rng.pick(&[ProxyBondReturned::OP, 0x4348_0001, 0x5354_0001])).uint(0, 64).end(),
            };
            ("Nonsense", plain(world, who, TON, body))
        }
    };
    match rng.below(24) {
        0 => message.value = message.value.saturating_sub(1),
        1 => message.value = rng.magnitude(27),
        2 => message.value += rng.magnitude(34),
        _ => {}
    }
    if !world.model().state.ready && rng.chance(50) {
        message.init = Some(world.model().init.clone());
    }
    message.bounce = !rng.chance(4);
    Action::Send { name, message }
}

fn text(rng: &mut Rng) -> String {
    match rng.below(30) {
        0 => String::new(),
        1 => "x".repeat(127),
        2 => "x".repeat(128),
        _ => "because".to_owned(),
    }
}

fn kind(rng: &mut Rng) -> u8 {
    *rng.pick(&[1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 0, 3])
}

/// Something that the governor could say.
pub fn governed(now: u32, people: &[Person], registry: Option<&Registry>, rng: &mut Rng) -> (&'static str, Cell) {
    let query_id = rng.below(99);
    let some = id(rng.below(12));
    let soon = |rng: &mut Rng| match rng.below(4) {
        0 => 0,
        1 => now,
        2 => now + rng.below(9000) as u32,
        _ => now.saturating_sub(rng.below(9000) as u32),
    };
    let (source_commit, recipe_hash) = (HashBytes(rng.bytes32()), HashBytes(rng.bytes32()));
    let (name, body) = match rng.below(56) {
        40..=42 => {
            let body = LiftSuspension {
                query_id,
                kind: kind(rng),
                id: suspended(registry, now, some, rng),
                reason: text(rng),
            };
            ("LiftSuspension", body.to_cell())
        }
        43..=45 => {
            let mut members: BTreeMap<HashBytes, bool> =
                people.iter().filter(|_| rng.chance(50)).map(|p| (HashBytes(p.public()), true)).collect();
            if rng.chance(5) {
                members.insert(some, false);
            }
            if rng.chance(5) {
                members.extend((0..16).map(|i| (id(i), true)));
            }
            let threshold = if members.is_empty() { rng.below(2) } else { rng.below(4) } as u8;
            ("SetCouncil", SetCouncil { query_id, threshold, members }.to_cell())
        }
        46..=49 => {
            let key =
                if rng.chance(75) { HashBytes(people[rng.index(people.len())].public()) } else { id(rng.below(20)) };
            ("SetRebuilder", SetRebuilder { query_id, key, allowed: rng.chance(70) }.to_cell())
        }
        50 | 51 => ("SetRebuildThreshold", SetRebuildThreshold { query_id, threshold: rng.below(4) as u8 }.to_cell()),
        52 | 53 => {
            let successor = if rng.chance(60) { Some(people[0].address.clone()) } else { None };
            ("SetSuccessor", SetSuccessor { query_id, successor }.to_cell())
        }
        0..=9 => {
            let role = *rng.pick(&[1, 2, 3, 1, 2, 3, 1, 2, 3, 0, 4]);
            let rebuilds = registry.map_or_else(BTreeMap::new, |registry| {
                let statement = rebuild(&registry.address, role, &some, &source_commit, &recipe_hash);
                rebuilds(people, &statement, rng)
            });
            let body = ScheduleImage {
                query_id,
                id: some,
                role,
                active_from: soon(rng),
                source_commit,
                recipe_hash,
                reason: text(rng),
                rebuilds,
            };
            ("ScheduleImage", body.to_cell())
        }
        10..=15 => {
            let (active_from, name, reason) = (soon(rng), text(rng), text(rng));
            let body = ScheduleModel { query_id, id: some, active_from, source_commit, recipe_hash, name, reason };
            ("ScheduleModel", body.to_cell())
        }
        16..=20 => {
            let body = DeprecateEntry { query_id, kind: kind(rng), id: some, sunset: soon(rng), reason: text(rng) };
            ("DeprecateEntry", body.to_cell())
        }
        21..=23 => ("RevokeEntry", RevokeEntry { query_id, kind: kind(rng), id: some, reason: text(rng) }.to_cell()),
        24..=27 => ("RemoveEntry", RemoveEntry { query_id, kind: kind(rng), id: some }.to_cell()),
        28..=30 => ("SetRoot", SetRoot { query_id, root: some, allowed: rng.chance(65) }.to_cell()),
        31 | 32 => ("SetPlatformBan", SetPlatformBan { query_id, platform: some, banned: rng.chance(60) }.to_cell()),
        33 => ("SetMinTcbEvaluation", SetMinTcbEvaluation { query_id, number: rng.number() as u32 }.to_cell()),
        34 | 35 => {
            let mut params = params(rng);
            if rng.chance(40) {
                spoil(&mut params, rng);
            }
            ("SetRegistryParams", SetRegistryParams { query_id, params }.to_cell())
        }
        36 | 54 | 55 => {
            let [pay_channel, stake_account, proposal, fault_report] = [0, 1, 2, 3].map(|_| version(rng.below(14)));
            let codes = CodeHashes { pay_channel, stake_account, proposal, fault_report };
            let former_until = match rng.below(3) {
                0 => now,
                1 => now + 1,
                _ => now + rng.below(1_000_000) as u32,
            };
            ("SetCodeHashes", SetCodeHashes { query_id, codes, former_until }.to_cell())
        }
        37 => {
            let governor = people[rng.index(2)].address.clone();
            ("SetGovernor", SetGovernor { query_id, governor }.to_cell())
        }
        _ => {
            let owner = people[rng.index(people.len())].address.clone();
            ("EvictProxy", EvictProxy { query_id, owner }.to_cell())
        }
    };
    (name, cell(body))
}

/// Signatures of most people over a statement, some of them spoiled.
fn rebuilds(people: &[Person], statement: &Cell, rng: &mut Rng) -> BTreeMap<HashBytes, Signature> {
    let mut all = BTreeMap::new();
    for person in people {
        if rng.chance(85) {
            let mut bytes = person.sign(statement);
            if rng.chance(8) {
                bytes[rng.index(64)] ^= 4;
            }
            all.insert(HashBytes(person.public()), Signature { bytes });
        }
    }
    all
}

fn suspended(registry: Option<&Registry>, now: u32, other: HashBytes, rng: &mut Rng) -> HashBytes {
    let images = registry.map(|registry| &registry.state.images);
    let found: Vec<HashBytes> =
        images.into_iter().flatten().filter(|(_, entry)| entry.life.suspended_until > now).map(|(id, _)| *id).collect();
    if found.is_empty() || rng.chance(15) { other } else { *rng.pick(&found) }
}

/// The council, or those who would like to be it, suspend something.
fn suspend(world: &mut RegistryWorld, who: usize, rng: &mut Rng) -> Message {
    if !world.suspensions.is_empty() && rng.chance(25) {
        // Attack 41: an old order once more.
        return plain(world, who, MIN_VALUE, rng.pick(&world.suspensions).clone());
    }
    let (now, model) = (world.net.chain.now, world.model());
    let kind = kind(rng);
    let ids: Vec<HashBytes> = match kind {
        1 => model.state.images.keys().copied().collect(),
        _ => model.state.models.keys().copied().collect(),
    };
    let id = if ids.is_empty() || rng.chance(5) { id(rng.below(12)) } else { *rng.pick(&ids) };
    let scheduled_at = model.life(kind, &id).map_or(0, |life| life.scheduled_at);
    let scheduled_at = if rng.chance(4) { scheduled_at ^ 1 } else { scheduled_at };
    let valid_until = if rng.chance(6) { now } else { now + 1 + rng.below(200_000) as u32 };
    let order = suspension(&world.registry, kind, &id, scheduled_at, valid_until);
    let mut signatures = BTreeMap::new();
    for person in &world.people {
        let member = model.state.council.members.contains_key(&HashBytes(person.public()));
        if rng.chance(if member { 80 } else { 2 }) {
            let mut bytes = person.sign(&order);
            bytes[5] ^= u8::from(rng.chance(2));
            signatures.insert(HashBytes(person.public()), Signature { bytes });
        }
    }
    let body = cell(SuspendEntry { query_id: 8, kind, id, valid_until, reason: text(rng), signatures }.to_cell());
    world.suspensions.push(body.clone());
    plain(world, who, MIN_VALUE, body)
}

/// Terms of some channel, and where it would be with some code.
fn some_channel(world: &RegistryWorld, rng: &mut Rng) -> (usize, ChannelTerms, Cell, StdAddr) {
    let payer = 2 + rng.index(4);
    let terms = ChannelTerms {
        payer: world.people[payer].address.clone(),
        payee: world.people[0].address.clone(),
        payer_key: HashBytes(world.people[if rng.chance(95) { payer } else { 1 }].public()),
        challenge: 3600,
        salt: rng.below(3),
        payee_key: HashBytes(world.people[rng.index(2)].public()),
        protocol_fee_bps: *rng.pick(&[2000, 2000, 100, 0]),
    };
    let terms_cell = cell(terms.to_cell());
    let data = Writer::default().cell(terms_cell.clone()).uint(0, 8).uint(0, 64).end();
    let state = &world.model().state;
    let formers: Vec<Code> =
        state.former_channels.iter().map(|(hash, former)| Code { hash: *hash, depth: former.depth }).collect();
    let code = match rng.below(10) {
        0 => version(rng.below(14)),
        1..=3 if !formers.is_empty() => rng.pick(&formers).clone(),
        _ => state.codes.pay_channel.clone(),
    };
    (payer, terms, terms_cell, address_from(&code.hash, code.depth, &data))
}

/// A channel tells what was claimed with which evidence; or somebody who is no channel does.
fn settled(world: &RegistryWorld, who: usize, rng: &mut Rng) -> Message {
    let (_, _, terms, channel) = some_channel(world, rng);
    let evidence = Evidence {
        tag: 0x4556_4432,
        registry: world.registry.clone(),
        ok: rng.below(4) + 1,
        failed: rng.below(4),
        latency_ms: rng.below(1000),
    };
    let body = Settled {
        query_id: 5,
        amount: Tokens::new(rng.magnitude(50)),
        caller: world.people[who].address.clone(),
        terms,
        evidence: cell(evidence.to_cell()),
    };
    let mut message =
        plain(world, who, *rng.pick(&[EVIDENCE_VALUE, EVIDENCE_VALUE, TON, EVIDENCE_VALUE - 1]), cell(body.to_cell()));
    if rng.chance(95) {
        message.src = channel;
    }
    message
}

/// A report shows its proof; or somebody pretends to be a report.
fn accuse(world: &RegistryWorld, who: usize, rng: &mut Rng) -> Message {
    let model = world.model();
    let proof = if rng.chance(60) {
        let (payer, ChannelTerms { payer_key: key, .. }, terms, channel) = some_channel(world, rng);
        let signer = world.people.iter().find(|p| p.public() == key.0).unwrap_or(&world.people[payer]);
        faults::making::against_payer(signer, &terms, &channel, &world.registry, rng)
    } else {
        let kind = kind(rng);
        let revoked: Vec<(HashBytes, u32)> = match kind {
            1 => model.state.images.iter().map(|(id, entry)| (*id, entry.life.changed_at)).collect(),
            _ => model.state.models.iter().map(|(id, entry)| (*id, entry.life.changed_at)).collect(),
        };
        let (id, since) = if revoked.is_empty() { (id(0), 0) } else { *rng.pick(&revoked) };
        let time = since + *rng.pick(&[0, 600, 601, 602, 5000]);
        faults::making::of_use(&world.people[rng.index(6)], &world.people[1].address, kind, &id.0, time, rng)
    };
    let reporter = world.people[who].address.clone();
    let commitment = faults::commitment(&reporter, &[1; 32], &proof);
    let report = Report::new(&model.fault_code, &world.registry, &reporter, commitment);
    let body =
        Writer::op(faults::op::PROVE).uint(6, 64).address(&reporter).word(&commitment).uint(1, 32).cell(proof).end();
    let mut message = plain(world, who, TON / 2, body);
    if rng.chance(95) {
        message.src = report.address;
    }
    message
}

fn signed_by(world: &RegistryWorld, owner: usize, node: &Person, rng: &mut Rng) -> (HashBytes, [u8; 64]) {
    let key = HashBytes(node.public());
    let owner = if rng.chance(94) { owner } else { rng.index(6) };
    let auth = proxy_auth(&world.registry, &world.people[owner].address, &key);
    let signer = if rng.chance(97) { node } else { &world.people[0] };
    (key, signer.sign(&auth))
}

fn register(world: &RegistryWorld, who: usize, rng: &mut Rng) -> Message {
    let least = world.model().state.params.min_proxy_bond.into_inner();
    let bond = match rng.below(8) {
        0 => least.saturating_sub(1),
        1 => least,
        _ => least + rng.magnitude(33),
    };
    let (node_key, signature) = signed_by(world, who, &world.people[who], rng);
    let body = RegisterProxy { query_id: 2, node_key, bond: Tokens::new(bond), signature, endpoint: text(rng) };
    plain(world, who, bond + PROXY_FEE + MIN_VALUE, cell(body.to_cell()))
}

fn update(world: &RegistryWorld, who: usize, rng: &mut Rng) -> Message {
    let add = if rng.chance(60) { 0 } else { rng.magnitude(33) };
    let body = UpdateProxy { query_id: 2, add_bond: Tokens::new(add), endpoint: text(rng) };
    plain(world, who, add + MIN_VALUE, cell(body.to_cell()))
}

/// Messages that fill one of the lists.
pub fn fill(world: &RegistryWorld, list: u64) -> Vec<(&'static str, Message)> {
    let ids = |count: usize| (100..100 + count as u64).map(id);
    let (source_commit, recipe_hash) = (HashBytes::ZERO, HashBytes::ZERO);
    let say = |body| plain(world, 0, MIN_VALUE, cell(body));
    match list {
        4 => ids(MAX_REBUILDERS)
            .map(|key| SetRebuilder { query_id: 0, key, allowed: true })
            .map(|m| ("SetRebuilder", say(m.to_cell())))
            .collect(),
        5 => (0..MAX_FORMER as u64)
            .map(|number| {
                let [pay_channel, stake_account, proposal, fault_report] = [100 + number, 0, 0, 0].map(version);
                let codes = CodeHashes { pay_channel, stake_account, proposal, fault_report };
                SetCodeHashes { query_id: 0, codes, former_until: u32::MAX }
            })
            .map(|m| ("SetCodeHashes", say(m.to_cell())))
            .collect(),
        0 => ids(MAX_IMAGES)
            .map(|id| {
                let statement = rebuild(&world.registry, 3, &id, &source_commit, &recipe_hash);
                let all = world.people.iter().map(|p| (HashBytes(p.public()), Signature { bytes: p.sign(&statement) }));
                let rebuilds = all.collect();
                let (query_id, role, active_from, reason) = (0, 3, 0, "full".to_owned());
                ScheduleImage { query_id, id, role, active_from, source_commit, recipe_hash, reason, rebuilds }
            })
            .map(|m| ("ScheduleImage", say(m.to_cell())))
            .collect(),
        1 => ids(MAX_MODELS)
            .map(|id| ScheduleModel {
                query_id: 0,
                id,
                active_from: 0,
                source_commit,
                recipe_hash,
                name: "m".to_owned(),
                reason: "full".to_owned(),
            })
            .map(|m| ("ScheduleModel", say(m.to_cell())))
            .collect(),
        2 => ids(MAX_BANNED)
            .map(|platform| SetPlatformBan { query_id: 0, platform, banned: true })
            .map(|m| ("SetPlatformBan", say(m.to_cell())))
            .collect(),
        _ => (0..MAX_PROXIES)
            .map(|i| {
                let person = Person::new(&format!("owner {i}"));
                let key = HashBytes(person.public());
                let auth = proxy_auth(&world.registry, &person.address, &key);
                let bond = 10 * TON;
                let body = RegisterProxy {
                    query_id: 0,
                    node_key: key,
                    bond: Tokens::new(bond),
                    signature: person.sign(&auth),
                    endpoint: "somewhere".to_owned(),
                };
                let mut message = plain(world, 0, bond + PROXY_FEE + MIN_VALUE, cell(body.to_cell()));
                message.src = person.address;
                ("RegisterProxy", message)
            })
            .collect(),
    }
}

fn pause(world: &RegistryWorld, rng: &mut Rng) -> u32 {
    let now = world.net.chain.now;
    if rng.chance(2) {
        return 365 * 86_400 * (1 + rng.below(4) as u32);
    }
    let model = world.model();
    let mut times: Vec<u32> = vec![now + rng.below(4000) as u32];
    for (kind, id) in (1..=2).flat_map(|kind| (0..12).map(move |i| (kind, id(i)))) {
        if let Some(life) = model.life(kind, &id) {
            times.extend([life.active_from, life.sunset]);
        }
    }
    times.extend(model.state.proxies.values().map(|p| p.unbonding_at + model.state.params.proxy_unbonding));
    times.retain(|time| *time >= now && *time < now + 100_000);
    if times.is_empty() { 10 } else { (rng.pick(&times) + rng.below(3) as u32).saturating_sub(now + 1) }
}
