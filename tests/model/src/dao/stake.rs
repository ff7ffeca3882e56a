//! A stake account as the specification describes it.

use std::collections::BTreeMap;

use cocoon_wrappers::generated::{shared::*, stake_account};
use tycho_types::cell::{Cell, CellFamily, HashBytes};
use tycho_types::models::{StateInit, StdAddr};
use tycho_types::num::Tokens;

use crate::cells::{Reader, Writer};
use crate::chain::{Chain, address_of};
use crate::channel::model::BURN;
use crate::faults::{self, Accusation, Report};
use crate::keys::is_signed;
use crate::verdict::{Amount, Call, Reasons, Sent, Verdict, done, kept, malformed};

use super::{CENT, TON, cell, excesses};

/// Least value of a message that stays within the account.
pub const MIN_VALUE: u128 = TON / 20;
/// Least value of a message that makes a round trip.
pub const ROUND_TRIP: u128 = TON / 5;
/// Kept for storage.
pub const RESERVE: u128 = TON / 10;
/// The smallest lot.
pub const MIN_LOT: u128 = TON;
const MAX_LOTS: usize = 16;
const MAX_NODES: usize = 32;
const MAX_RECEIPTS: usize = 32;
const MAX_RECEIPT_LIFE: u32 = 400 * 86_400;
const RECEIPT_MARGIN: u32 = 600;
const PENDING: u32 = u32::MAX;
const NODE_AUTH: u32 = 0x4e4f_4431;

/// Error codes.
pub mod code {
    #![allow(missing_docs)]
    pub const LOW_VALUE: i32 = 1400;
    pub const NOT_OWNER: i32 = 1401;
    pub const NOT_GOVERNOR: i32 = 1402;
    pub const LOT_TOO_SMALL: i32 = 1403;
    pub const TOO_MANY_LOTS: i32 = 1404;
    pub const NO_LOT: i32 = 1405;
    pub const LOT_NOT_STAYING: i32 = 1406;
    pub const LOT_LOCKED: i32 = 1407;
    pub const BONDED: i32 = 1408;
    pub const NO_WEIGHT: i32 = 1409;
    pub const VOTED: i32 = 1410;
    pub const TOO_MANY_RECEIPTS: i32 = 1411;
    pub const BAD_RECEIPT: i32 = 1412;
    pub const TOO_MANY_NODES: i32 = 1413;
    pub const NO_NODE: i32 = 1414;
    pub const BAD_SIGNATURE: i32 = 1415;
    pub const NODE_LOCKED: i32 = 1416;
    pub const NODE_RETIRED: i32 = 1417;
    pub const BOND_LOWERED: i32 = 1418;
    pub const NODE_SLASHED: i32 = 1419;
    pub const NODE_FREE: i32 = 1420;
    pub const LOT_TOO_LARGE: i32 = 1421;
}

/// Least value of a proof of a fault as it arrives.
pub const FAULT_VALUE: u128 = TON / 5;
/// What the governor gets with the news that stake was slashed.
pub const NOTICE_VALUE: u128 = 6 * CENT;

/// What an account knows.
#[derive(Clone, Debug)]
pub struct State {
    /// Whose word about epochs counts.
    pub governor: StdAddr,
    /// Whose it is.
    pub owner: StdAddr,
    /// Number of the next lot.
    pub next_lot: u32,
    /// Sum of all lots.
    pub held: Tokens,
    /// Sum of those that are confirmed and not leaving.
    pub staying: Tokens,
    /// Sum of the bonds of registered nodes.
    pub bonded: Tokens,
    /// Seconds.
    pub unbonding_delay: u32,
    /// By number.
    pub lots: BTreeMap<u32, Lot>,
    /// By key.
    pub nodes: BTreeMap<HashBytes, Node>,
    /// Until when, by proposal.
    pub receipts: BTreeMap<StdAddr, u32>,
}

impl State {
    /// The contract's data in this state.
    pub fn data(&self) -> stake_account::Data {
        let books = Books {
            next_lot: self.next_lot,
            held: self.held,
            staying: self.staying,
            bonded: self.bonded,
            unbonding_delay: self.unbonding_delay,
            nodes: self.nodes.clone(),
        };
        stake_account::Data {
            governor: self.governor.clone(),
            owner: self.owner.clone(),
            lots: self.lots.clone(),
            receipts: self.receipts.clone(),
            books: if self.next_lot == 0 { None } else { Some(cell(books.to_cell())) },
        }
    }

    /// Sum of the lots that can be slashed.
    pub fn confirmed(&self) -> u128 {
        self.lots.values().filter(|lot| lot.active_from != 0).map(|lot| lot.amount.into_inner()).sum()
    }

    /// Sum of the bonds that can be.
    pub fn pledged(&self, now: u32) -> u128 {
        self.nodes.values().filter(|node| self.answers_for(node, now)).map(|node| node.bond.into_inner()).sum()
    }

    /// Whether stake answers for the node: for a retired one until the unbonding delay is over that held when it retired.
    pub const fn answers_for(&self, node: &Node, now: u32) -> bool {
        node.free_at == 0 || now < node.free_at
    }
}

/// One account.
#[derive(Clone, Debug)]
pub struct Stake {
    /// Everything it knows.
    pub state: State,
    /// Code and initial data.
    pub init: StateInit,
    /// Where it is.
    pub address: StdAddr,
    /// Code of reports.
    fault_code: Cell,
}

/// What a node's key signs to be answered for by an account.
pub fn node_auth(account: &StdAddr, key: &[u8; 32]) -> Cell {
    Writer::op(NODE_AUTH).int32(Chain::NETWORK).address(account).word(key).end()
}

impl Stake {
    /// The account of an owner, before its first deposit.
    pub fn new(code: &Cell, fault_code: &Cell, governor: &StdAddr, owner: &StdAddr) -> Self {
        let state = State {
            governor: governor.clone(),
            owner: owner.clone(),
            next_lot: 0,
            held: Tokens::ZERO,
            staying: Tokens::ZERO,
            bonded: Tokens::ZERO,
            unbonding_delay: 0,
            lots: BTreeMap::new(),
            nodes: BTreeMap::new(),
            receipts: BTreeMap::new(),
        };
        let data = cell(state.data().to_cell());
        let init = StateInit { code: Some(code.clone()), data: Some(data), ..Default::default() };
        Self { state, address: address_of(&init), init, fault_code: fault_code.clone() }
    }

    /// The address of an owner's account.
    pub fn address_for(code: &Cell, governor: &StdAddr, owner: &StdAddr) -> StdAddr {
        Self::new(code, code, governor, owner).address
    }

    /// What weighs at an epoch.
    pub fn weight(&self, epoch: u32) -> u128 {
        let weighs = |lot: &&Lot| {
            let joined = lot.active_from != 0 && lot.active_from <= epoch;
            joined && (lot.exit_from == 0 || (lot.exit_from != PENDING && epoch < lot.exit_from))
        };
        self.state.lots.values().filter(weighs).map(|lot| lot.amount.into_inner()).sum()
    }

    /// What a message must do; if it is accepted, this is the state after it.
    pub fn receive(&mut self, call: &Call<'_>) -> Verdict {
        if call.bounced {
            return self.bounced(call);
        }
        let body = call.body;
        match call.op() {
            Some(Deposit::OP) => Deposit::from_cell(body).map_or(malformed(), |m| self.deposit(call, &m)),
            Some(Unbond::OP) => Unbond::from_cell(body).map_or(malformed(), |m| self.unbond(call, &m)),
            Some(Withdraw::OP) => Withdraw::from_cell(body).map_or(malformed(), |m| self.withdraw(call, &m)),
            Some(Propose::OP) => Propose::from_cell(body).map_or(malformed(), |m| self.propose(call, m)),
            Some(Vote::OP) => Vote::from_cell(body).map_or(malformed(), |m| self.vote(call, &m)),
            Some(RegisterNode::OP) => RegisterNode::from_cell(body).map_or(malformed(), |m| self.register(call, &m)),
            Some(RetireNode::OP) => RetireNode::from_cell(body).map_or(malformed(), |m| self.retire(call, &m)),
            Some(ForgetNode::OP) => ForgetNode::from_cell(body).map_or(malformed(), |m| self.forget(call, &m)),
            Some(StakeConfirmed::OP) => StakeConfirmed::from_cell(body).map_or(malformed(), |m| self.joined(call, &m)),
            Some(ExitConfirmed::OP) => ExitConfirmed::from_cell(body).map_or(malformed(), |m| self.left(call, &m)),
            Some(SlashNode::OP) => SlashNode::from_cell(body).map_or(malformed(), |m| self.told_to_slash(call, &m)),
            Some(faults::op::PROVE) => faults::accusation(body).map_or(malformed(), |m| self.judge(call, &m)),
            _ => Verdict::Refused(vec![130]),
        }
    }

    fn to_owner(&self, keeps: u128, body: Cell) -> Verdict {
        done(keeps, vec![Sent::plain(self.state.owner.clone(), Amount::Rest, body)])
    }

    fn to_governor(&self, call: &Call<'_>, keeps: u128, body: Cell) -> Verdict {
        let _ = call;
        done(keeps, vec![Sent::bouncing(self.state.governor.clone(), Amount::Rest, body)])
    }

    /// The reasons that every message of the owner's may be refused for.
    fn of_owner(&self, call: &Call<'_>, least: u128) -> Reasons {
        let mut reasons = Reasons::default();
        reasons.when(*call.sender != self.state.owner, code::NOT_OWNER);
        reasons.when(call.value < least, code::LOW_VALUE);
        reasons
    }

    fn deposit(&mut self, call: &Call<'_>, m: &Deposit) -> Verdict {
        let amount = m.amount.into_inner();
        let mut reasons = self.of_owner(call, 0);
        reasons.when(amount < MIN_LOT, code::LOT_TOO_SMALL);
        reasons.when(self.state.lots.len() >= MAX_LOTS, code::TOO_MANY_LOTS);
        let keeps = call.own().max(self.state.held.into_inner() + RESERVE) + amount;
        reasons.when(call.balance < keeps + ROUND_TRIP, code::LOW_VALUE);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        let lot = self.state.next_lot;
        self.state.next_lot += 1;
        self.state.held += m.amount;
        self.state.lots.insert(lot, Lot { amount: m.amount, active_from: 0, exit_from: 0, release_at: 0 });
        let owner = self.state.owner.clone();
        self.to_governor(call, keeps, cell(AddStake { query_id: m.query_id, lot, amount: m.amount, owner }.to_cell()))
    }

    fn joined(&mut self, call: &Call<'_>, m: &StakeConfirmed) -> Verdict {
        let mut reasons = Reasons::default();
        reasons.when(*call.sender != self.state.governor, code::NOT_GOVERNOR);
        reasons.when(!self.state.lots.contains_key(&m.lot), code::NO_LOT);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        let lot = self.state.lots.get_mut(&m.lot).expect("looked up above");
        lot.active_from = m.active_from;
        self.state.staying += lot.amount;
        self.state.unbonding_delay = m.unbonding_delay;
        let said = StakeActive { query_id: m.query_id, lot: m.lot, active_from: m.active_from };
        self.to_owner(call.own(), cell(said.to_cell()))
    }

    fn unbond(&mut self, call: &Call<'_>, m: &Unbond) -> Verdict {
        let mut reasons = self.of_owner(call, ROUND_TRIP);
        let Some(lot) = self.state.lots.get(&m.lot).cloned() else {
            reasons.when(true, code::NO_LOT);
            return reasons.verdict().unwrap_or(malformed());
        };
        reasons.when(lot.active_from == 0 || lot.exit_from != 0, code::LOT_NOT_STAYING);
        let whole = lot.amount.into_inner();
        let part = if m.amount == Tokens::ZERO { whole } else { m.amount.into_inner() };
        let splits = part != whole;
        reasons.when(part > whole, code::LOT_TOO_LARGE);
        reasons.when(splits && (part < MIN_LOT || whole.saturating_sub(part) < MIN_LOT), code::LOT_TOO_SMALL);
        reasons.when(splits && self.state.lots.len() >= MAX_LOTS, code::TOO_MANY_LOTS);
        // Whatever the stake answers for stays.
        let (staying, bonded) = (self.state.staying.into_inner(), self.state.bonded.into_inner());
        reasons.when(staying < bonded + part, code::BONDED);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        let mut id = m.lot;
        if splits {
            self.state.lots.insert(id, Lot { amount: Tokens::new(whole - part), ..lot.clone() });
            id = self.state.next_lot;
            self.state.next_lot += 1;
        }
        let amount = Tokens::new(part);
        self.state.lots.insert(id, Lot { amount, exit_from: PENDING, ..lot });
        self.state.staying -= amount;
        let owner = self.state.owner.clone();
        let said = RemoveStake { query_id: m.query_id, lot: id, amount, owner };
        self.to_governor(call, call.own(), cell(said.to_cell()))
    }

    fn left(&mut self, call: &Call<'_>, m: &ExitConfirmed) -> Verdict {
        if *call.sender != self.state.governor {
            return Verdict::Refused(vec![code::NOT_GOVERNOR]);
        }
        let Some(lot) = self.state.lots.get_mut(&m.lot) else {
            // Slashed while the answer was on its way.
            return self.to_owner(call.own(), excesses(m.query_id));
        };
        lot.exit_from = m.exit_from;
        lot.release_at = call.now + m.unbonding_delay;
        let release_at = lot.release_at;
        self.state.unbonding_delay = m.unbonding_delay;
        self.to_owner(call.own(), cell(StakeLeaving { query_id: m.query_id, lot: m.lot, release_at }.to_cell()))
    }

    fn withdraw(&mut self, call: &Call<'_>, m: &Withdraw) -> Verdict {
        let mut reasons = self.of_owner(call, MIN_VALUE);
        let Some(lot) = self.state.lots.get(&m.lot).cloned() else {
            reasons.when(true, code::NO_LOT);
            return reasons.verdict().unwrap_or(malformed());
        };
        reasons.when(lot.release_at == 0 || call.now < lot.release_at, code::LOT_LOCKED);
        // What remains covers every bond that may still be slashed (attack 53).
        let remains = self.state.confirmed().saturating_sub(lot.amount.into_inner());
        reasons.when(remains < self.state.pledged(call.now), code::BONDED);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        self.state.lots.remove(&m.lot);
        self.state.held -= lot.amount;
        self.give_back(call, m.query_id, m.lot, lot.amount)
    }

    fn give_back(&self, call: &Call<'_>, query_id: u64, lot: u32, amount: Tokens) -> Verdict {
        let keeps = call.own().saturating_sub(amount.into_inner());
        self.to_owner(keeps, cell(StakeReturned { query_id, lot, amount }.to_cell()))
    }

    fn propose(&mut self, call: &Call<'_>, m: Propose) -> Verdict {
        let mut reasons = self.of_owner(call, ROUND_TRIP);
        let weight = self.weight(m.snapshot);
        reasons.when(weight == 0, code::NO_WEIGHT);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        let said = SubmitProposal {
            query_id: m.query_id,
            snapshot: m.snapshot,
            weight: Tokens::new(weight),
            owner: self.state.owner.clone(),
            actions: m.actions,
            metadata: m.metadata,
        };
        self.to_governor(call, call.own(), cell(said.to_cell()))
    }

    fn vote(&mut self, call: &Call<'_>, m: &Vote) -> Verdict {
        let mut reasons = self.of_owner(call, ROUND_TRIP);
        let far = call.now.saturating_add(MAX_RECEIPT_LIFE);
        reasons.when(m.receipt_until <= call.now || m.receipt_until > far, code::BAD_RECEIPT);
        reasons.when(self.state.receipts.contains_key(&m.proposal), code::VOTED);
        let mut receipts = self.state.receipts.clone();
        receipts.retain(|_, until| u64::from(*until) + u64::from(RECEIPT_MARGIN) > u64::from(call.now));
        reasons.when(receipts.len() >= MAX_RECEIPTS, code::TOO_MANY_RECEIPTS);
        let weight = self.weight(m.snapshot);
        reasons.when(weight == 0, code::NO_WEIGHT);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        receipts.insert(m.proposal.clone(), m.receipt_until);
        self.state.receipts = receipts;
        let said = CastVote {
            query_id: m.query_id,
            support: m.support,
            snapshot: m.snapshot,
            receipt_until: m.receipt_until,
            weight: Tokens::new(weight),
            owner: self.state.owner.clone(),
        };
        done(call.own(), vec![Sent::bouncing(m.proposal.clone(), Amount::Rest, cell(said.to_cell()))])
    }

    fn register(&mut self, call: &Call<'_>, m: &RegisterNode) -> Verdict {
        let mut reasons = self.of_owner(call, MIN_VALUE);
        let auth = node_auth(call.me, &m.key.0);
        reasons.when(!is_signed(&auth, &m.signature, &m.key.0), code::BAD_SIGNATURE);
        let known = self.state.nodes.get(&m.key).cloned();
        reasons.when(known.is_none() && self.state.nodes.len() >= MAX_NODES, code::TOO_MANY_NODES);
        let slashed = known.as_ref().is_some_and(|node| node.bond == Tokens::ZERO);
        reasons.when(slashed, code::NODE_SLASHED);
        reasons.when(!slashed && known.as_ref().is_some_and(|node| node.free_at != 0), code::NODE_RETIRED);
        let before = known.as_ref().map_or(0, |node| node.bond.into_inner());
        let bond = m.bond.into_inner();
        reasons.when(bond <= before, code::BOND_LOWERED);
        let bonded = self.state.bonded.into_inner() + bond.saturating_sub(before);
        // What answers for a retired node cannot answer for another one, too (attack 53).
        let free = self.state.confirmed().saturating_sub(self.state.pledged(call.now));
        let short = self.state.staying.into_inner() < bonded || free < bond.saturating_sub(before);
        reasons.when(short, code::BONDED);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        self.state.bonded = Tokens::new(bonded);
        let since = known.map_or(call.now, |node| node.since);
        self.state.nodes.insert(m.key, Node { bond: m.bond, since, free_at: 0 });
        self.to_owner(call.own(), excesses(m.query_id))
    }

    fn retire(&mut self, call: &Call<'_>, m: &RetireNode) -> Verdict {
        let mut reasons = self.of_owner(call, MIN_VALUE);
        let working = self.state.nodes.get(&m.key).is_some_and(|node| node.free_at == 0);
        reasons.when(!working, code::NO_NODE);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        let node = self.state.nodes.get_mut(&m.key).expect("looked up above");
        node.free_at = call.now + self.state.unbonding_delay;
        self.state.bonded -= node.bond;
        self.to_owner(call.own(), excesses(m.query_id))
    }

    fn forget(&mut self, call: &Call<'_>, m: &ForgetNode) -> Verdict {
        let mut reasons = self.of_owner(call, MIN_VALUE);
        match self.state.nodes.get(&m.key) {
            None => reasons.when(true, code::NO_NODE),
            Some(node) => {
                reasons.when(node.bond == Tokens::ZERO, code::NODE_SLASHED);
                reasons.when(self.state.answers_for(node, call.now), code::NODE_LOCKED);
            }
        }
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        self.state.nodes.remove(&m.key);
        self.to_owner(call.own(), excesses(m.query_id))
    }

    fn judge(&mut self, call: &Call<'_>, m: &Accusation) -> Verdict {
        let report = Report::new(&self.fault_code, call.me, &m.reporter, m.commitment);
        if report.address != *call.sender {
            return Verdict::Refused(vec![faults::code::NOT_REPORT]);
        }
        match faults::convicted(&m.proof) {
            Ok(node) => self.slash(call, m.query, node, &m.reporter),
            Err(doubt) => Verdict::Refused(doubt),
        }
    }

    fn told_to_slash(&mut self, call: &Call<'_>, m: &SlashNode) -> Verdict {
        if *call.sender != self.state.governor {
            return Verdict::Refused(vec![code::NOT_GOVERNOR]);
        }
        self.slash(call, m.query_id, m.node.0, &m.reporter)
    }

    /// The whole bond, once: half burns, half is the reporter's.
    fn slash(&mut self, call: &Call<'_>, query_id: u64, key: [u8; 32], reporter: &StdAddr) -> Verdict {
        let mut reasons = Reasons::default();
        reasons.when(call.value < FAULT_VALUE, code::LOW_VALUE);
        let Some(node) = self.state.nodes.get(&HashBytes(key)).cloned() else {
            reasons.when(true, code::NO_NODE);
            return reasons.verdict().unwrap_or(malformed());
        };
        let slashed = node.bond == Tokens::ZERO;
        reasons.when(slashed, code::NODE_SLASHED);
        reasons.when(!slashed && !self.state.answers_for(&node, call.now), code::NODE_FREE);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        let registered = node.free_at == 0;
        let (taken, from_staying) = self.take(node.bond.into_inner(), registered);
        self.state.held -= Tokens::new(taken);
        self.state.staying -= Tokens::new(from_staying);
        if registered {
            self.state.bonded -= node.bond;
        }
        let free_at = if registered { call.now } else { node.free_at };
        self.state.nodes.insert(HashBytes(key), Node { bond: Tokens::ZERO, free_at, since: node.since });
        let (owner, amount) = (self.state.owner.clone(), Tokens::new(from_staying));
        let mut sends = vec![];
        if from_staying > 0 {
            let news = cell(SlashStake { query_id, amount, owner: owner.clone() }.to_cell());
            sends.push(Sent::bouncing(self.state.governor.clone(), Amount::Exact(NOTICE_VALUE), news));
        }
        let news = NodeSlashed { query_id, key: HashBytes(key), amount: Tokens::new(taken) };
        sends.push(Sent::plain(owner, Amount::Exact(0), cell(news.to_cell())));
        let burnt = taken.min(call.own()).div_ceil(2);
        sends.push(Sent::plain(BURN, Amount::Exact(burnt), Cell::empty_cell()));
        sends.push(Sent::plain(reporter.clone(), Amount::Rest, faults::rewarded(query_id, &key, taken)));
        done(call.own().saturating_sub(taken), sends)
    }

    /// Takes up to so much out of confirmed lots, in their order, those that stay first or last. Returns how much it was, and how
    /// much of it had been staying.
    fn take(&mut self, amount: u128, staying_first: bool) -> (u128, u128) {
        let (mut taken, mut from_staying) = (0, 0);
        for staying in [staying_first, !staying_first] {
            for lot in self.state.lots.values_mut() {
                let stays = lot.active_from != 0 && lot.exit_from == 0;
                if lot.active_from == 0 || stays != staying {
                    continue;
                }
                let part = lot.amount.into_inner().min(amount - taken);
                lot.amount -= Tokens::new(part);
                taken += part;
                from_staying += if staying { part } else { 0 };
            }
        }
        self.state.lots.retain(|_, lot| lot.amount != Tokens::ZERO);
        (taken, from_staying)
    }

    /// What the account sent came back: the governor or the proposal did not take it, so it never happened.
    fn bounced(&mut self, call: &Call<'_>) -> Verdict {
        let mut body = Reader::new(call.body);
        let (Ok(_), Ok(op), Ok(query_id)) = (body.u32(), body.u32(), body.uint(64)) else { return malformed() };
        match op {
            AddStake::OP => {
                let (Ok(id), Ok(_)) = (body.u32(), body.coins()) else { return malformed() };
                let Some(lot) = self.state.lots.remove(&id) else { return Verdict::Refused(vec![code::NO_LOT]) };
                self.state.held -= lot.amount;
                self.give_back(call, query_id, id, lot.amount)
            }
            RemoveStake::OP => {
                let (Ok(id), Ok(_)) = (body.u32(), body.coins()) else { return malformed() };
                // Gone when it was slashed meanwhile.
                if let Some(lot) = self.state.lots.get_mut(&id) {
                    lot.exit_from = 0;
                    self.state.staying += lot.amount;
                }
                self.to_owner(call.own(), excesses(query_id))
            }
            SubmitProposal::OP => self.to_owner(call.own(), excesses(query_id)),
            CastVote::OP => {
                self.state.receipts.remove(call.sender);
                self.to_owner(call.own(), excesses(query_id))
            }
            _ => kept(),
        }
    }
}

/// The key of a node, as maps have it.
pub const fn key(public: [u8; 32]) -> HashBytes {
    HashBytes(public)
}
