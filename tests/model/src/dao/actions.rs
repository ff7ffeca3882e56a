//! What people do with the DAO.

use cocoon_wrappers::AbiError;
use cocoon_wrappers::generated::governor;
use cocoon_wrappers::generated::registry::{DeprecateEntry, RemoveEntry, RevokeEntry};
use cocoon_wrappers::generated::shared::Action as GovernorAction;
use cocoon_wrappers::generated::shared::*;
use tycho_types::cell::{Cell, CellFamily, HashBytes};
use tycho_types::models::StdAddr;
use tycho_types::num::Tokens;

use crate::cells::Writer;
use crate::chain::Message;
use crate::faults::{self, Report};
use crate::registry;
use crate::rng::Rng;

use super::governor::MIN_ACTION_GAS;
use super::net::Model;
use super::proposal::Status;
use super::stake::{MIN_LOT, MIN_VALUE, RESERVE, ROUND_TRIP, node_auth};
use super::{CENT, DaoWorld, TON, cell, rules};

/// One step.
pub enum Action {
    /// Somebody sends a message.
    Send {
        /// The operation.
        name: &'static str,
        /// The message.
        message: Message,
    },
    /// A message on its way arrives.
    Arrive,
    /// Time passes, in seconds.
    Wait(u32),
}

#[derive(Clone, Copy)]
enum Kind {
    SetUp,
    Gift,
    Deposit,
    Unbond,
    Withdraw,
    Propose,
    Vote,
    Execute,
    Close,
    Register,
    Retire,
    Forget,
    Commit,
    Reveal,
    Forged,
    Nonsense,
    Arrive,
    Wait,
}

/// Chooses what happens next.
pub fn choose(world: &mut DaoWorld, rng: &mut Rng) -> Action {
    let now = world.net.chain.now;
    let some = |status: Status| (0..world.proposals.len()).any(|place| world.proposal(place).status(now) == status);
    let (voting, ready) = (some(Status::Active), some(Status::Ready));
    let due = (0..world.people.len())
        .any(|who| world.account(who).state.lots.values().any(|lot| lot.release_at.abs_diff(now) < 2));
    let (votes, nodes) = if world.of_nodes { (0, 4) } else { (1, 1) };
    let kind = rng.weighted(&[
        (1, Kind::SetUp),
        (2, Kind::Gift),
        (13, Kind::Deposit),
        (4 * nodes, Kind::Unbond),
        (if due { 40 } else { 6 }, Kind::Withdraw),
        (votes * if voting { 4 } else { 12 }, Kind::Propose),
        (votes * if voting { 45 } else { 6 }, Kind::Vote),
        (votes * if ready { 14 } else { 3 }, Kind::Execute),
        (3 * votes, Kind::Close),
        (6 * nodes, Kind::Register),
        (3 * nodes, Kind::Retire),
        (3 * nodes, Kind::Forget),
        (6, Kind::Commit),
        (if world.reports.is_empty() { 1 } else { 10 }, Kind::Reveal),
        (5, Kind::Forged),
        (2, Kind::Nonsense),
        (8, Kind::Arrive),
        (18, Kind::Wait),
    ]);
    // Few people, so that much happens to one of them.
    let mut who = rng.index(if world.of_nodes { 2 } else { world.people.len() });
    if matches!(kind, Kind::Propose | Kind::Vote) && rng.chance(70) {
        // Rather somebody whose word weighs.
        let epoch = world.governor().epoch(world.net.chain.now);
        let voters: Vec<usize> = (0..world.people.len()).filter(|who| world.account(*who).weight(epoch) > 0).collect();
        who = if voters.is_empty() { who } else { *rng.pick(&voters) };
    }
    let (name, message) = match kind {
        Kind::SetUp => ("SetUpGovernor", set_up(world, who, *rng.pick(&[2 * TON, TON / 2, CENT, 1, 0]))),
        Kind::Gift => ("Gift", plain(world, who, &world.governor, rng.magnitude(36), Cell::empty_cell())),
        Kind::Deposit => ("Deposit", any_deposit(world, who, rng)),
        Kind::Unbond => ("Unbond", any_unbond(world, who, rng)),
        Kind::Withdraw => ("Withdraw", any_withdraw(world, who, rng)),
        Kind::Propose => ("Propose", any_proposal(world, who, rng)),
        Kind::Vote => ("Vote", any_vote(world, who, rng)),
        Kind::Execute | Kind::Close if world.proposals.is_empty() => return Action::Wait(10),
        Kind::Execute => ("Execute", any_execute(world, who, rng)),
        Kind::Close => {
            let place = rng.index(world.proposals.len());
            let value = *rng.pick(&[5 * CENT, 5 * CENT - 1, TON, CENT]);
            let body = cell(CloseProposal { query_id: 11 }.to_cell());
            ("CloseProposal", plain(world, who, &world.proposals[place], value, body))
        }
        Kind::Register => ("RegisterNode", any_register(world, who, rng)),
        Kind::Retire => ("RetireNode", owners(world, who, retire(world, who, &some_node(world, who, rng)), rng)),
        Kind::Forget => {
            let body = ForgetNode { query_id: 10, key: some_node(world, who, rng) };
            ("ForgetNode", owners(world, who, own(world, who, MIN_VALUE, body.to_cell()), rng))
        }
        Kind::Commit => ("CommitFault", commit(world, who, rng)),
        Kind::Reveal if world.reports.is_empty() => return Action::Wait(20),
        Kind::Reveal => ("RevealFault", reveal(world, who, rng)),
        Kind::Forged => forged(world, who, rng),
        Kind::Nonsense => ("Nonsense", nonsense(world, who, rng)),
        Kind::Arrive => return Action::Arrive,
        Kind::Wait => return Action::Wait(pause(world, rng)),
    };
    Action::Send { name, message }
}

fn plain(world: &DaoWorld, who: usize, to: &StdAddr, value: u128, body: Cell) -> Message {
    let (src, dst) = (world.people[who].address.clone(), to.clone());
    Message { src, dst, value, bounce: true, bounced: false, init: None, body }
}

/// To the sender's own stake account.
fn own(world: &DaoWorld, who: usize, value: u128, body: Result<Cell, AbiError>) -> Message {
    plain(world, who, &world.accounts[who], value, cell(body))
}

/// The same, sometimes by somebody else, or with too little money.
fn owners(world: &DaoWorld, who: usize, mut message: Message, rng: &mut Rng) -> Message {
    if rng.chance(6) {
        message.src = world.people[rng.index(world.people.len())].address.clone();
    }
    message.value = match rng.below(16) {
        0 => message.value - 1,
        1 => message.value + rng.magnitude(34),
        2 => rng.magnitude(26),
        _ => message.value,
    };
    let exists = world.net.chain.account(&world.accounts[who]).1.is_some();
    if !exists && rng.chance(50) {
        message.init = Some(world.account(who).init.clone());
    }
    message.bounce = !rng.chance(4);
    message
}

/// Anybody sets the governor up.
pub fn set_up(world: &DaoWorld, who: usize, value: u128) -> Message {
    let mut message = plain(world, who, &world.governor, value, cell(SetUpGovernor { query_id: 1 }.to_cell()));
    message.init = Some(world.governor().init.clone());
    message
}

/// A deposit with enough money.
pub fn deposit(world: &DaoWorld, who: usize, amount: u128, more: u128) -> Message {
    let body = Deposit { query_id: 2, amount: Tokens::new(amount) };
    let mut message = own(world, who, amount + ROUND_TRIP + RESERVE + more, body.to_cell());
    message.init = Some(world.account(who).init.clone());
    message
}

fn any_deposit(world: &DaoWorld, who: usize, rng: &mut Rng) -> Message {
    let amount = match rng.below(12) {
        0 => MIN_LOT - 1,
        1 => MIN_LOT,
        2 => rng.magnitude(40),
        _ => MIN_LOT + rng.magnitude(34),
    };
    let (balance, _) = world.net.chain.account(&world.accounts[who]);
    let lacking = (world.account(who).state.held.into_inner() + RESERVE).saturating_sub(balance);
    let needed = amount + ROUND_TRIP + lacking;
    let body = Deposit { query_id: rng.below(9), amount: Tokens::new(amount) };
    let mut message = owners(world, who, own(world, who, needed, body.to_cell()), rng);
    if message.value == needed && rng.chance(60) {
        message.value += rng.magnitude(32);
    }
    let exists = world.net.chain.account(&world.accounts[who]).1.is_some();
    if rng.chance(if exists { 10 } else { 92 }) {
        message.init = Some(world.account(who).init.clone());
    }
    message
}

fn some_lot(world: &DaoWorld, who: usize, rng: &mut Rng) -> u32 {
    let lots: Vec<u32> = world.account(who).state.lots.keys().copied().collect();
    if lots.is_empty() || rng.chance(5) { rng.below(20) as u32 } else { *rng.pick(&lots) }
}

/// The owner unbonds a lot.
pub fn unbond(world: &DaoWorld, who: usize, lot: u32, amount: u128) -> Message {
    own(world, who, ROUND_TRIP, Unbond { query_id: 3, lot, amount: Tokens::new(amount) }.to_cell())
}

fn any_unbond(world: &DaoWorld, who: usize, rng: &mut Rng) -> Message {
    let lot = some_lot(world, who, rng);
    let whole = world.account(who).state.lots.get(&lot).map_or(TON, |lot| lot.amount.into_inner());
    let amount = match rng.below(10) {
        0 => whole,
        1 => whole + 1,
        2 => MIN_LOT,
        3 => MIN_LOT - 1,
        4 => whole.saturating_sub(MIN_LOT),
        5 => whole / 2,
        _ => 0,
    };
    owners(world, who, unbond(world, who, lot, amount), rng)
}

/// The owner withdraws a lot.
pub fn withdraw(world: &DaoWorld, who: usize, lot: u32) -> Message {
    own(world, who, MIN_VALUE, Withdraw { query_id: 4, lot }.to_cell())
}

/// Rather a lot that may leave since this second, or from the next one on.
fn any_withdraw(world: &DaoWorld, who: usize, rng: &mut Rng) -> Message {
    let now = world.net.chain.now;
    let all = (0..world.people.len()).flat_map(|who| world.account(who).state.lots.iter().map(move |lot| (who, lot)));
    let due: Vec<(usize, u32)> =
        all.filter(|(_, (_, lot))| lot.release_at.abs_diff(now) < 2).map(|(who, (lot, _))| (who, *lot)).collect();
    let (who, lot) = if due.is_empty() || rng.chance(10) { (who, some_lot(world, who, rng)) } else { *rng.pick(&due) };
    owners(world, who, withdraw(world, who, lot), rng)
}

fn any_proposal(world: &DaoWorld, who: usize, rng: &mut Rng) -> Message {
    let epoch = world.governor().epoch(world.net.chain.now);
    let snapshot = if rng.chance(8) { epoch - 1 + rng.below(3) as u32 } else { epoch };
    // Few descriptions, so that somebody proposes the same.
    let metadata = Writer::default().uint(rng.below(40).into(), 64).end();
    let body = Propose { query_id: 5, snapshot, actions: bundle(world, rng), metadata };
    let bond = world.governor().state.params.proposal_bond.into_inner();
    let value = *rng.pick(&[bond + TON * 6 / 10, bond + TON * 6 / 10, 2 * TON + bond, bond + TON / 4]);
    owners(world, who, own(world, who, value, body.to_cell()), rng)
}

/// What a proposal would do.
fn bundle(world: &DaoWorld, rng: &mut Rng) -> Cell {
    let mut next = None;
    let length = if rng.chance(3) { 33 } else { 1 + rng.index(3) };
    for _ in 0..length {
        let (to, body) = match rng.below(12) {
            0..=3 => {
                let mut params = rules(rng);
                if rng.chance(40) {
                    spoil(&mut params, rng);
                }
                (world.governor.clone(), cell(SetGovernorParams { query_id: 6, params }.to_cell()))
            }
            // Words that only the governor's own code may say.
            4 => (world.accounts[0].clone(), Writer::op(0x5354_0011).uint(0, 64).end()),
            5 => (world.governor.clone(), Writer::op(rng.number() as u32).end()),
            7..=9 => (world.registry.clone(), word_to_registry(world, rng)),
            10 if rng.chance(40) => {
                let registry = world.registry.clone();
                (world.governor.clone(), cell(SetRegistry { query_id: 6, registry }.to_cell()))
            }
            6 => (world.accounts[rng.index(6)].clone(), Writer::op(Excesses::OP).uint(0, 64).end()),
            _ => (world.people[rng.index(6)].address.clone(), Cell::empty_cell()),
        };
        let value = if rng.chance(75) { 0 } else { rng.magnitude(34) };
        let gas = match rng.below(24) {
            0 => MIN_ACTION_GAS - 1,
            1..=4 => MIN_ACTION_GAS + rng.magnitude(24),
            // Enough for the registry.
            _ => 8 * CENT,
        };
        let action = GovernorAction { to, value: Tokens::new(value), gas: Tokens::new(gas), body, next: next.take() };
        next = Some(cell(action.to_cell()));
    }
    let bundle = next.unwrap_or_default();
    if rng.chance(3) { Writer::default().uint(1, 7).end() } else { bundle }
}

fn word_to_registry(world: &DaoWorld, rng: &mut Rng) -> Cell {
    let images: Vec<HashBytes> = world.registry().state.images.keys().copied().collect();
    if images.is_empty() || rng.chance(50) {
        return registry::actions::governed(world.net.chain.now, &world.people, Some(world.registry()), rng).1;
    }
    let (query_id, kind, id, reason) = (7, 1, *rng.pick(&images), "voted".to_owned());
    let sunset = world.net.chain.now + rng.below(20_000) as u32;
    cell(match rng.below(3) {
        0 => RevokeEntry { query_id, kind, id, reason }.to_cell(),
        1 => DeprecateEntry { query_id, kind, id, sunset, reason }.to_cell(),
        _ => RemoveEntry { query_id, kind, id }.to_cell(),
    })
}

/// Makes one of the rules absurd (attack 44).
pub fn spoil(params: &mut GovernorParams, rng: &mut Rng) {
    match rng.below(12) {
        0 => params.proposal_threshold = Tokens::ZERO,
        1 => params.proposal_bond = Tokens::ZERO,
        2 => params.quorum_bps = 0,
        3 => params.quorum_bps = 10_001,
        4 => params.voting_period = 0,
        5 => params.voting_period = 90 * 86_400 + 1,
        6 => params.late_extension = params.voting_period + 1,
        7 => params.timelock = 0,
        8 => params.execution_window = 0,
        9 => params.voting_delay = 90 * 86_400 + 1,
        10 => params.unbonding_delay = 4 * 90 * 86_400 + 1,
        _ => {
            params.unbonding_delay =
                params.voting_delay + params.voting_period + params.late_extension + params.timelock;
        }
    }
}

/// Writes something where only stakes and votes may write.
pub fn soil(state: &mut governor::Data, registry: &StdAddr, rng: &mut Rng) {
    match rng.below(6) {
        0 => state.total = Tokens::new(1),
        1 => state.joining = Tokens::new(1),
        2 => state.leaving = Tokens::new(1),
        3 => state.epoch = 1,
        4 => state.proposals = 1,
        _ => state.registry = Some(registry.clone()),
    }
}

fn any_vote(world: &DaoWorld, who: usize, rng: &mut Rng) -> Message {
    let now = world.net.chain.now;
    let (address, snapshot, last_end) = if world.proposals.is_empty() || rng.chance(3) {
        // No proposal at all: a wallet, or an account.
        (world.people[5].address.clone(), world.governor().epoch(now), now + 100)
    } else {
        let voting: Vec<usize> =
            (0..world.proposals.len()).filter(|place| world.proposal(*place).status(now) == Status::Active).collect();
        let place = if voting.is_empty() || rng.chance(10) { recent(world, rng) } else { *rng.pick(&voting) };
        let proposal = world.proposal(place);
        let snapshot = proposal.state.snapshot;
        (proposal.address.clone(), snapshot, proposal.last_end())
    };
    let vote = Vote {
        query_id: 7,
        proposal: address,
        snapshot: if rng.chance(4) { snapshot + 1 - 2 * rng.below(2) as u32 } else { snapshot },
        receipt_until: match rng.below(30) {
            0 => last_end.saturating_sub(1),
            1 => now,
            2 => now + 400 * 86_400 + 1,
            3 => now + 400 * 86_400,
            _ => last_end,
        },
        support: *rng.pick(&[0, 1, 1, 1, 1, 2, 1, 1, 1, 2, 0, 3]),
    };
    owners(world, who, own(world, who, ROUND_TRIP, vote.to_cell()), rng)
}

/// A proposal, rather a new one.
fn recent(world: &DaoWorld, rng: &mut Rng) -> usize {
    let count = world.proposals.len();
    if rng.chance(70) { count - 1 - rng.index(count.min(3)) } else { rng.index(count) }
}

fn any_execute(world: &DaoWorld, who: usize, rng: &mut Rng) -> Message {
    let now = world.net.chain.now;
    let ready: Vec<usize> =
        (0..world.proposals.len()).filter(|place| world.proposal(*place).status(now) == Status::Ready).collect();
    let place = if ready.is_empty() || rng.chance(10) { rng.index(world.proposals.len()) } else { *rng.pick(&ready) };
    let proposal = world.proposal(place);
    let needed = proposal.terms.as_ref().map_or(TON, |terms| terms.execute_value.into_inner());
    let value = match rng.below(8) {
        0 => needed.saturating_sub(1),
        1 => needed,
        _ => needed + rng.magnitude(34),
    };
    plain(world, who, &proposal.address, value, cell(Execute { query_id: 8 }.to_cell()))
}

fn any_register(world: &DaoWorld, who: usize, rng: &mut Rng) -> Message {
    // A key is somebody's; a person signs for its own account, or for somebody else's.
    let node = &world.people[rng.index(3)];
    let account = if rng.chance(92) { who } else { rng.index(6) };
    let auth = node_auth(&world.accounts[account], &node.public());
    let state = &world.account(who).state;
    let known = state.nodes.get(&HashBytes(node.public())).map_or(0, |node| node.bond.into_inner());
    let free = state.staying.into_inner().saturating_sub(state.bonded.into_inner());
    let bond = match rng.below(8) {
        0 => known,
        1..=3 => known + free,
        4 => known + free + 1,
        _ => known + 1 + rng.magnitude(31),
    };
    let body = RegisterNode {
        query_id: 9,
        key: HashBytes(node.public()),
        bond: Tokens::new(bond),
        signature: node.sign(&auth),
    };
    owners(world, who, own(world, who, MIN_VALUE, body.to_cell()), rng)
}

fn some_node(world: &DaoWorld, who: usize, rng: &mut Rng) -> HashBytes {
    let nodes: Vec<HashBytes> = world.account(who).state.nodes.keys().copied().collect();
    if nodes.is_empty() || rng.chance(5) { HashBytes(world.people[5].public()) } else { *rng.pick(&nodes) }
}

/// The owner retires a node.
pub fn retire(world: &DaoWorld, who: usize, key: &HashBytes) -> Message {
    own(world, who, MIN_VALUE, RetireNode { query_id: 10, key: *key }.to_cell())
}

/// Somebody binds itself to a proof, of a fault or of nothing.
fn commit(world: &mut DaoWorld, who: usize, rng: &mut Rng) -> Message {
    let now = world.net.chain.now;
    let accused = rng.index(3);
    let key = HashBytes(world.people[accused].public());
    let owners: Vec<usize> =
        (0..world.people.len()).filter(|who| world.account(*who).state.nodes.contains_key(&key)).collect();
    let owner = if owners.is_empty() || rng.chance(5) { rng.index(6) } else { *rng.pick(&owners) };
    let (target, proof) = if rng.chance(92) {
        let channel = world.people[5].address.clone();
        let proof = faults::making::against_node(&world.people[accused], &channel, now, rng);
        (world.accounts[owner].clone(), proof)
    } else {
        let id = registry::actions::id(rng.below(12)).0;
        let account = world.accounts[owner].clone();
        let proof = faults::making::of_use(&world.people[accused], &account, 1, &id, now + 5000, rng);
        (world.registry.clone(), proof)
    };
    let reporter = world.people[who].address.clone();
    let salt = rng.bytes32();
    let report = Report::new(&world.fault_code, &target, &reporter, faults::commitment(&reporter, &salt, &proof));
    let mut message =
        plain(world, who, &report.address, faults::COMMIT_VALUE, Writer::op(faults::op::COMMIT).uint(1, 64).end());
    message.dst = report.address.clone();
    message.init = Some(report.init.clone());
    match rng.below(12) {
        0 => message.value -= 1,
        1 => message.value += TON,
        2 => message.src = world.people[rng.index(6)].address.clone(),
        _ => {}
    }
    world.reports.push((report.address.clone(), salt, proof));
    world.net.models.insert(report.address.clone(), Model::Report(report));
    if world.reports.len() > 1 && rng.chance(10) {
        // Once more what was committed to before.
        message.dst = rng.pick(&world.reports).0.clone();
        message.init = None;
    }
    message
}

fn reveal(world: &DaoWorld, who: usize, rng: &mut Rng) -> Message {
    let count = world.reports.len();
    let place = if rng.chance(70) { count - 1 - rng.index(count.min(3)) } else { rng.index(count) };
    let (address, salt, proof) = &world.reports[place];
    let mut salt = *salt;
    if rng.chance(4) {
        salt[0] ^= 1;
    }
    let reporter = match world.net.models.get(address) {
        Some(Model::Report(report)) if rng.chance(95) => report.reporter.clone(),
        _ => world.people[who].address.clone(),
    };
    let body = Writer::op(faults::op::REVEAL).uint(2, 64).word(&salt).cell(proof.clone()).end();
    let value = if rng.chance(5) { faults::REVEAL_VALUE - 1 } else { faults::REVEAL_VALUE + rng.magnitude(30) };
    let mut message = plain(world, who, address, value, body);
    message.src = reporter;
    message
}

/// Somebody says what only a contract may say (attacks 39, 58).
fn forged(world: &DaoWorld, who: usize, rng: &mut Rng) -> (&'static str, Message) {
    let owner = world.people[rng.index(6)].address.clone();
    let account = &world.accounts[rng.index(6)];
    let (query_id, lot, amount) = (6, rng.below(3) as u32, Tokens::new(rng.magnitude(50)));
    let now = world.net.chain.now;
    let proposal = if world.proposals.is_empty() { None } else { Some(rng.index(world.proposals.len())) };
    let at_proposal = proposal.map_or(&world.governor, |place| &world.proposals[place]);
    let epoch = world.governor().epoch(now);
    if rng.chance(30) {
        // The registry accuses a node, or somebody pretends to be it; the governor's word to an account likewise.
        let node = HashBytes(world.people[rng.index(3)].public());
        let known: Vec<usize> =
            (0..world.people.len()).filter(|who| world.account(*who).state.nodes.contains_key(&node)).collect();
        let of = if known.is_empty() { who } else { *rng.pick(&known) };
        let (account, reporter) = (world.accounts[of].clone(), owner);
        if rng.chance(30) {
            let body = cell(SlashNode { query_id, node, reporter }.to_cell());
            return ("SlashNode", plain(world, who, &account, TON, body));
        }
        let body = cell(PunishNode { query_id, account, node, reporter }.to_cell());
        let mut message = plain(world, who, &world.governor, *rng.pick(&[TON / 2, TON / 2, CENT * 4]), body);
        if rng.chance(80) {
            message.src = world.registry.clone();
        }
        return ("PunishNode", message);
    }
    let (name, to, body) = match rng.below(13) {
        10 => ("SlashStake", &world.governor, SlashStake { query_id, amount, owner }.to_cell()),
        11 => {
            let registry = world.people[who].address.clone();
            ("SetRegistry", &world.governor, SetRegistry { query_id, registry }.to_cell())
        }
        12 => {
            let report = Report::new(&world.fault_code, account, &owner, [3; 32]);
            let proof = faults::making::against_node(&world.people[0], account, now, rng);
            let body = Writer::op(faults::op::PROVE).uint(1, 64).address(&report.reporter).word(&[3; 32]).uint(1, 32);
            ("ProveFault", account, Ok(body.cell(proof).end()))
        }
        0 => ("AddStake", &world.governor, AddStake { query_id, lot, amount, owner }.to_cell()),
        1 => ("RemoveStake", &world.governor, RemoveStake { query_id, lot, amount, owner }.to_cell()),
        2 => {
            let (actions, metadata) = (bundle(world, rng), Cell::empty_cell());
            let body = SubmitProposal { query_id, snapshot: epoch, weight: amount, owner, actions, metadata };
            ("SubmitProposal", &world.governor, body.to_cell())
        }
        3 => {
            let body = StakeConfirmed { query_id, lot, active_from: 1, unbonding_delay: 0 };
            ("StakeConfirmed", account, body.to_cell())
        }
        4 => ("ExitConfirmed", account, ExitConfirmed { query_id, lot, exit_from: 1, unbonding_delay: 0 }.to_cell()),
        5 => {
            let body = cell(SetGovernorParams { query_id, params: rules(rng) }.to_cell());
            let mut message = plain(world, who, &world.governor, TON, body);
            if rng.chance(70) {
                // As if a vote had said so.
                message.src = world.governor.clone();
            }
            return ("SetGovernorParams", message);
        }
        6 => {
            let actions = bundle(world, rng);
            let body = ExecuteProposal { query_id, metadata_hash: HashBytes::ZERO, actions };
            ("ExecuteProposal", &world.governor, body.to_cell())
        }
        7 if proposal.is_some() => {
            let snapshot = proposal.map_or(0, |place| world.proposal(place).state.snapshot);
            let body = CastVote { query_id, support: 1, snapshot, receipt_until: u32::MAX, weight: amount, owner };
            ("CastVote", at_proposal, body.to_cell())
        }
        8 if proposal.is_some() => ("ProposalExecuted", at_proposal, ProposalExecuted { query_id }.to_cell()),
        9 if proposal.is_some() => {
            let empty = Cell::empty_cell();
            let body = OpenProposal {
                query_id,
                starts_at: 0,
                ends_at: u32::MAX,
                snapshot: 0,
                late_extension: 0,
                quorum: 1,
                bond: amount,
                stake_code: StakeCode { hash: HashBytes::ZERO, depth: 0 },
                terms: empty.clone(),
                actions: empty.clone(),
                metadata: empty,
            };
            ("OpenProposal", at_proposal, body.to_cell())
        }
        _ => ("Excesses", &world.governor, Excesses { query_id }.to_cell()),
    };
    (name, plain(world, who, to, TON, cell(body)))
}

fn nonsense(world: &DaoWorld, who: usize, rng: &mut Rng) -> Message {
    let account = &world.accounts[who];
    let to = match rng.below(3) {
        0 if !world.proposals.is_empty() => rng.pick(&world.proposals),
        1 => &world.governor,
        _ => account,
    };
    let body = match rng.below(3) {
        0 => Writer::op(rng.number() as u32).word(&rng.bytes32()).end(),
        1 => Writer::op(*rng.pick(&[Deposit::OP, Unbond::OP, CastVote::OP, AddStake::OP, Vote::OP])).end(),
        _ => Writer::default().uint(rng.number().into(), 1 + rng.below(31) as u16).end(),
    };
    plain(world, who, to, TON, body)
}

fn pause(world: &DaoWorld, rng: &mut Rng) -> u32 {
    let now = world.net.chain.now;
    let until = |time: u32, rng: &mut Rng| (time + rng.below(3) as u32).saturating_sub(now + 1).min(30_000);
    match rng.below(20) {
        0..=9 if !world.proposals.is_empty() => {
            let proposal = world.proposal(recent(world, rng));
            let Some(terms) = &proposal.terms else { return 1 };
            let from = proposal.state.ends_at + terms.timelock;
            let times = [proposal.state.starts_at, proposal.state.ends_at, from, from + terms.execution_window];
            // The next thing that happens to it by itself.
            until(times.into_iter().find(|time| *time > now).unwrap_or_default(), rng)
        }
        10 => until((world.governor().epoch(now) + 1) * 600, rng),
        12 | 13 if !world.reports.is_empty() => 58 + rng.below(5) as u32,
        11 | 15 => {
            // The next lot that may leave.
            let lots = (0..world.people.len()).flat_map(|who| world.account(who).state.lots.values());
            let next = lots.map(|lot| lot.release_at).filter(|time| *time > now).min();
            until(next.unwrap_or_default(), rng)
        }
        14 if rng.chance(30) => rng.below(20_000) as u32,
        17 if rng.chance(4) => 7 * 86_400,
        16 if rng.chance(3) => 365 * 86_400 * (1 + rng.below(4) as u32),
        _ => rng.below(100) as u32,
    }
}
