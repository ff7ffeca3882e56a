//! The registry as the specification describes it.

use std::collections::BTreeMap;

use cocoon_wrappers::generated::pay_channel::{ChannelTerms, Evidence};
use cocoon_wrappers::generated::registry::{self, *};
use cocoon_wrappers::generated::shared::PunishNode;
use tycho_types::cell::{Cell, CellFamily, HashBytes};
use tycho_types::models::{StateInit, StdAddr};

use crate::cells::{Reader, Writer};
use crate::chain::{Chain, address_from, address_of};
use crate::channel::model::BURN;
use crate::code::Codes;
use crate::dao::{CENT, TON, cell, excesses};
use crate::faults::{self, Accusation, Report};
use crate::keys::is_signed;
use crate::reputation::model::Record;
use crate::verdict::{Amount, Call, Reasons, Sent, Verdict, done, kept, malformed};

/// Least value of a message, beside a bond.
pub const MIN_VALUE: u128 = 7 * CENT;
/// What the log is told with.
pub const LOG_ENTRY_VALUE: u128 = 2 * CENT;
/// What the log begins with.
pub const LOG_RESERVE: u128 = 10 * CENT;
/// What a proxy leaves for the storage of its entry.
pub const PROXY_FEE: u128 = 10 * CENT;
/// What must be there when the registry is set up.
pub const RESERVE: u128 = TON;
/// Caps of the lists.
pub const MAX_IMAGES: usize = 256;
/// The same of models.
pub const MAX_MODELS: usize = 1024;
/// The same of proxies.
pub const MAX_PROXIES: usize = 256;
/// The same of attestation roots.
pub const MAX_ROOTS: usize = 8;
/// The same of banned platforms.
pub const MAX_BANNED: usize = 512;
/// The same of rebuilders.
pub const MAX_REBUILDERS: usize = 16;
/// The same of members of the council.
pub const MAX_COUNCIL: usize = 15;
/// The same of former versions of the channel.
pub const MAX_FORMER: usize = 8;
/// Least value of evidence.
pub const EVIDENCE_VALUE: u128 = 10 * CENT;
const REVOCATION_GRACE: u32 = 600;
const MIN_SUSPENSION: u32 = 86_400;
const MAX_SUSPENSION: u32 = 30 * 86_400;
const REBUILD: u32 = 0x5242_4c31;
const SUSPENSION: u32 = 0x5353_5031;
const MIN_DELAY: u32 = 600;
const MAX_DELAY: u32 = 90 * 86_400;
const MAX_FEE_BPS: u16 = 2000;
const PROXY_AUTH: u32 = 0x5052_5831;
const LOG_ENTRY: u32 = 0x544c_0001;

const SCHEDULED: u8 = 1;
const DEPRECATED: u8 = 3;
const REVOKED: u8 = 4;

/// Error codes.
pub mod code {
    #![allow(missing_docs)]
    pub const LOW_VALUE: i32 = 1100;
    pub const NOT_GOVERNOR: i32 = 1101;
    pub const NOT_READY: i32 = 1102;
    pub const BAD_PARAMS: i32 = 1103;
    pub const FULL: i32 = 1104;
    pub const NO_ENTRY: i32 = 1105;
    pub const LISTED: i32 = 1106;
    pub const BAD_SUNSET: i32 = 1107;
    pub const IN_USE: i32 = 1108;
    pub const BAD_ROLE: i32 = 1109;
    pub const BAD_KIND: i32 = 1110;
    pub const BAD_TEXT: i32 = 1111;
    pub const LOW_BOND: i32 = 1112;
    pub const PROXY_EXISTS: i32 = 1113;
    pub const NO_PROXY: i32 = 1114;
    pub const PROXY_LOCKED: i32 = 1115;
    pub const BAD_SIGNATURE: i32 = 1116;
    pub const NOT_CHANNEL: i32 = 1117;
    pub const LOW_FEE: i32 = 1118;
    pub const TOO_FEW_REBUILDS: i32 = 1119;
    pub const BAD_THRESHOLD: i32 = 1120;
    pub const NOT_COUNCIL: i32 = 1121;
    pub const EXPIRED: i32 = 1122;
    pub const NO_SUSPENSION: i32 = 1123;
    pub const NOT_SUSPENDED: i32 = 1124;
    pub const NOT_REVOKED: i32 = 1125;
    pub const OTHER_KEY: i32 = 1126;
}

/// What an entry amounts to at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Standing {
    Scheduled,
    Suspended,
    Active,
    Deprecated,
    Revoked,
    Retired,
}

/// What an entry amounts to at a time.
pub fn standing(life: &Life, now: u32) -> Standing {
    if life.status == REVOKED {
        Standing::Revoked
    } else if life.sunset != 0 && now >= life.sunset {
        Standing::Retired
    } else if now < life.suspended_until {
        Standing::Suspended
    } else if now < life.active_from {
        Standing::Scheduled
    } else if life.status == DEPRECATED {
        Standing::Deprecated
    } else {
        Standing::Active
    }
}

fn is_over(life: &Life, now: u32) -> bool {
    matches!(standing(life, now), Standing::Revoked | Standing::Retired)
}

/// Whether the parameters are within the bounds of the specification.
pub fn are_sound(p: &RegistryParams) -> bool {
    let delay = |seconds: u32| (MIN_DELAY..=MAX_DELAY).contains(&seconds);
    p.min_worker_stake.into_inner() > 0
        && p.min_proxy_bond.into_inner() > 0
        && delay(p.activation_delay)
        && delay(p.proxy_unbonding)
        && delay(p.min_challenge)
        && p.protocol_fee_bps <= MAX_FEE_BPS
        && (MIN_SUSPENSION..=MAX_SUSPENSION).contains(&p.suspension_period)
}

fn is_council(council: &Council) -> bool {
    let (members, threshold) = (council.members.len(), usize::from(council.threshold));
    match members {
        0 => threshold == 0,
        _ => council.members.values().all(|m| *m) && (1..=members).contains(&threshold) && members <= MAX_COUNCIL,
    }
}

/// What a rebuilder signs.
pub fn rebuild(registry: &StdAddr, role: u8, image: &HashBytes, source: &HashBytes, recipe: &HashBytes) -> Cell {
    let head = Writer::op(REBUILD).int32(Chain::NETWORK).address(registry).uint(role.into(), 8);
    // One cell has no room for three hashes and an address: the last hash is in a second one.
    head.word(&image.0).word(&source.0).cell(Writer::default().word(&recipe.0).end()).end()
}

/// What a member of the council signs.
pub fn suspension(registry: &StdAddr, kind: u8, id: &HashBytes, scheduled_at: u32, valid_until: u32) -> Cell {
    Writer::op(SUSPENSION)
        .int32(Chain::NETWORK)
        .address(registry)
        .uint(kind.into(), 8)
        .word(&id.0)
        .uint(scheduled_at.into(), 32)
        .uint(valid_until.into(), 32)
        .end()
}

/// What a proxy's node key signs.
pub fn proxy_auth(registry: &StdAddr, owner: &StdAddr, key: &HashBytes) -> Cell {
    Writer::op(PROXY_AUTH).int32(Chain::NETWORK).address(registry).address(owner).word(&key.0).end()
}

/// The registry.
#[derive(Clone, Debug)]
pub struct Registry {
    /// Everything it knows; the model's own figures, in the shape in which they are compared.
    pub state: registry::Data,
    /// Code and initial data.
    pub init: StateInit,
    /// Where it is.
    pub address: StdAddr,
    /// Code of the records of nodes.
    pub record_code: Cell,
    /// Code of reports.
    pub fault_code: Cell,
    /// Code of the log.
    pub log_code: Cell,
}

/// What a registry begins with.
#[derive(Clone, Debug)]
pub struct Genesis {
    /// Parameters.
    pub params: RegistryParams,
    /// Attestation roots.
    pub roots: BTreeMap<HashBytes, u32>,
    /// Accepted code.
    pub codes: CodeHashes,
    /// Who may suspend.
    pub council: Council,
    /// Who rebuilds.
    pub rebuilders: BTreeMap<HashBytes, u32>,
    /// How many of them must have.
    pub rebuild_threshold: u8,
}

/// What the log is told about a change, beside the message that made it.
struct Note {
    query: u64,
    kind: u8,
    id: HashBytes,
    moment: u32,
}

impl Note {
    const fn about(query: u64, kind: u8, id: HashBytes, moment: u32) -> Self {
        Self { query, kind, id, moment }
    }

    /// A change of the registry as a whole.
    const fn whole(query: u64, now: u32) -> Self {
        Self::about(query, 0, HashBytes::ZERO, now)
    }
}

fn good_text(text: &str) -> bool {
    (1..=127).contains(&text.len())
}

impl Registry {
    /// A registry that has not been set up.
    pub fn new(codes: &Codes, governor: &StdAddr, genesis: Genesis) -> Self {
        let state = registry::Data {
            governor: governor.clone(),
            ready: false,
            revision: 0,
            bonded: tycho_types::num::Tokens::ZERO,
            params: genesis.params,
            counts: RegistryCounts { images: 0, models: 0, proxies: 0, roots: 0, banned: 0 },
            codes: genesis.codes,
            tcb: TcbPolicy { min_evaluation: 0, roots: genesis.roots, banned: BTreeMap::new() },
            images: BTreeMap::new(),
            models: BTreeMap::new(),
            proxies: BTreeMap::new(),
            council: genesis.council,
            rebuilders: genesis.rebuilders,
            rebuild_threshold: genesis.rebuild_threshold,
            former_channels: BTreeMap::new(),
            successor: None,
            successor_from: 0,
        };
        let init =
            StateInit { code: Some(codes.registry.clone()), data: Some(cell(state.to_cell())), ..Default::default() };
        let (record_code, fault_code, log_code) = (codes.reputation.clone(), codes.fault.clone(), codes.log.clone());
        Self { state, address: address_of(&init), init, record_code, fault_code, log_code }
    }

    /// The record that this message of the registry's creates.
    pub fn record_in(&self, init: &StateInit) -> Option<Record> {
        let mut data = Reader::new(init.data.as_ref()?);
        data.address().ok()?;
        Some(Record::new(&self.record_code, &self.address, data.word().ok()?))
    }

    /// The life of an entry.
    pub fn life(&self, kind: u8, id: &HashBytes) -> Option<&Life> {
        match kind {
            1 => self.state.images.get(id).map(|entry| &entry.life),
            2 => self.state.models.get(id).map(|entry| &entry.life),
            _ => None,
        }
    }

    /// What a message must do; if it is accepted, this is the state after it.
    pub fn receive(&mut self, call: &Call<'_>) -> Verdict {
        if call.bounced {
            return kept();
        }
        let b = call.body;
        match call.op() {
            None => self.gift(),
            Some(SetUpRegistry::OP) => SetUpRegistry::from_cell(b).map_or(malformed(), |m| self.set_up(call, &m)),
            Some(RegisterProxy::OP) => RegisterProxy::from_cell(b).map_or(malformed(), |m| self.register(call, m)),
            Some(UpdateProxy::OP) => UpdateProxy::from_cell(b).map_or(malformed(), |m| self.update(call, m)),
            Some(UnbondProxy::OP) => UnbondProxy::from_cell(b).map_or(malformed(), |m| self.unbond(call, &m)),
            Some(WithdrawProxy::OP) => WithdrawProxy::from_cell(b).map_or(malformed(), |m| self.withdraw(call, &m)),
            Some(SuspendEntry::OP) => SuspendEntry::from_cell(b).map_or(malformed(), |m| self.suspend(call, m)),
            Some(Settled::OP) => Settled::from_cell(b).map_or(malformed(), |m| self.settled(call, &m)),
            Some(faults::op::PROVE) => faults::accusation(b).map_or(malformed(), |m| self.judge(call, &m)),
            Some(op) => self.governed(call, op),
        }
    }

    fn gift(&self) -> Verdict {
        if self.state.ready { kept() } else { Verdict::Refused(vec![code::NOT_READY]) }
    }

    fn set_up(&mut self, call: &Call<'_>, m: &SetUpRegistry) -> Verdict {
        let mut sends = vec![];
        if !self.state.ready {
            let rebuilders = self.state.rebuilders.len();
            let reachable = (1..=rebuilders).contains(&usize::from(self.state.rebuild_threshold));
            let sound = are_sound(&self.state.params) && is_council(&self.state.council);
            if !sound || !reachable || rebuilders > MAX_REBUILDERS {
                return Verdict::Refused(vec![code::BAD_PARAMS]);
            }
            let roots = self.state.tcb.roots.len();
            if roots > MAX_ROOTS {
                return Verdict::Refused(vec![code::FULL]);
            }
            self.state.counts.roots = u16::try_from(roots).expect("a few");
            self.state.ready = true;
            self.state.revision = 1;
            let nothing = Cell::empty_cell();
            let open = Sent::plain(self.log(), Amount::LessForwarding(LOG_RESERVE), nothing);
            sends.push(Sent { deploys: true, ..open });
            sends.push(self.told(call, &Note::whole(m.query_id, call.now)));
        }
        sends.push(Sent::plain(call.sender.clone(), Amount::Rest, excesses(m.query_id)));
        done(call.own().max(RESERVE), sends)
    }

    /// What only the governor may do.
    fn governed(&mut self, call: &Call<'_>, op: u32) -> Verdict {
        let mut reasons = Reasons::default();
        reasons.when(!self.state.ready, code::NOT_READY);
        reasons.when(*call.sender != self.state.governor, code::NOT_GOVERNOR);
        reasons.when(call.value < MIN_VALUE, code::LOW_VALUE);
        let before = self.clone();
        let note = match self.change(call, op, &mut reasons) {
            Ok(note) => note,
            Err(Some(verdict)) => return verdict,
            Err(None) => {
                reasons.malformed();
                Note::whole(0, call.now)
            }
        };
        if let Some(refused) = reasons.verdict() {
            *self = before;
            return refused;
        }
        self.changed(call, &note)
    }

    fn changed(&mut self, call: &Call<'_>, note: &Note) -> Verdict {
        self.state.revision += 1;
        let rest = Sent::plain(call.sender.clone(), Amount::Rest, excesses(note.query));
        done(call.own(), vec![self.told(call, note), rest])
    }

    /// Where the log is.
    fn log(&self) -> StdAddr {
        let data = Writer::default().address(&self.address).uint(0, 64 + 1).end();
        address_from(self.log_code.repr_hash(), self.log_code.repr_depth(), &data)
    }

    /// RG-24: what the log hears of a change.
    fn told(&self, call: &Call<'_>, note: &Note) -> Sent {
        let entry = Writer::op(LOG_ENTRY)
            .uint(self.state.revision.into(), 32)
            .uint(call.op().unwrap_or_default().into(), 32)
            .uint(note.kind.into(), 8)
            .word(&note.id.0)
            .uint(note.moment.into(), 32)
            .uint(call.now.into(), 32)
            .word(&call.body.repr_hash().0)
            .end();
        Sent::bouncing(self.log(), Amount::LessForwarding(LOG_ENTRY_VALUE), entry)
    }

    /// Carries out the governor's word and collects the reasons against it. `Err(Some)`: not its word at all; `Err(None)`:
    /// malformed.
    fn change(&mut self, call: &Call<'_>, op: u32, reasons: &mut Reasons) -> Result<Note, Option<Verdict>> {
        let b = call.body;
        let now = call.now;
        match op {
            ScheduleImage::OP => {
                let m = ScheduleImage::from_cell(b).map_err(|_| None)?;
                reasons.when(!(1..=3).contains(&m.role), code::BAD_ROLE);
                let life = self.begin(now, m.active_from, &m.reason, reasons);
                let active_from = life.active_from;
                match self.state.images.get(&m.id) {
                    Some(old) => reasons.when(!is_over(&old.life, now), code::LISTED),
                    None => {
                        reasons.when(self.state.images.len() >= MAX_IMAGES, code::FULL);
                        self.state.counts.images += 1;
                    }
                }
                let (role, source_commit, recipe_hash) = (m.role, m.source_commit, m.recipe_hash);
                let statement = rebuild(&self.address, role, &m.id, &source_commit, &recipe_hash);
                let mut rebuilds = m.rebuilds;
                let registered = &self.state.rebuilders;
                rebuilds.retain(|key, s| registered.contains_key(key) && is_signed(&statement, &s.bytes, &key.0));
                reasons.when(rebuilds.len() < usize::from(self.state.rebuild_threshold), code::TOO_FEW_REBUILDS);
                self.state.images.insert(m.id, ImageEntry { role, source_commit, recipe_hash, rebuilds, life });
                Ok(Note::about(m.query_id, 1, m.id, active_from))
            }
            ScheduleModel::OP => {
                let m = ScheduleModel::from_cell(b).map_err(|_| None)?;
                reasons.when(!good_text(&m.name), code::BAD_TEXT);
                let life = self.begin(now, m.active_from, &m.reason, reasons);
                let active_from = life.active_from;
                match self.state.models.get(&m.id) {
                    Some(old) => reasons.when(!is_over(&old.life, now), code::LISTED),
                    None => {
                        reasons.when(self.state.models.len() >= MAX_MODELS, code::FULL);
                        self.state.counts.models += 1;
                    }
                }
                let (name, source_commit, recipe_hash) = (m.name, m.source_commit, m.recipe_hash);
                self.state.models.insert(m.id, ModelEntry { name, source_commit, recipe_hash, life });
                Ok(Note::about(m.query_id, 2, m.id, active_from))
            }
            DeprecateEntry::OP => {
                let m = DeprecateEntry::from_cell(b).map_err(|_| None)?;
                reasons.when(!good_text(&m.reason), code::BAD_TEXT);
                if let Some(life) = self.life_mut(m.kind, &m.id, reasons) {
                    let sunset = m.sunset.max(now);
                    let later = life.sunset != 0 && sunset > life.sunset;
                    reasons.when(life.status == REVOKED || later, code::BAD_SUNSET);
                    life.sunset = sunset;
                    set(life, now, DEPRECATED, m.reason);
                }
                Ok(Note::about(m.query_id, m.kind, m.id, m.sunset.max(now)))
            }
            RevokeEntry::OP => {
                let m = RevokeEntry::from_cell(b).map_err(|_| None)?;
                reasons.when(!good_text(&m.reason), code::BAD_TEXT);
                if let Some(life) = self.life_mut(m.kind, &m.id, reasons) {
                    set(life, now, REVOKED, m.reason);
                }
                Ok(Note::about(m.query_id, m.kind, m.id, now))
            }
            RemoveEntry::OP => {
                let m = RemoveEntry::from_cell(b).map_err(|_| None)?;
                if let Some(life) = self.life_mut(m.kind, &m.id, reasons) {
                    reasons.when(!is_over(life, now), code::IN_USE);
                    if m.kind == 1 {
                        self.state.images.remove(&m.id);
                        self.state.counts.images -= 1;
                    } else {
                        self.state.models.remove(&m.id);
                        self.state.counts.models -= 1;
                    }
                }
                Ok(Note::about(m.query_id, m.kind, m.id, now))
            }
            SetRoot::OP => {
                let m = SetRoot::from_cell(b).map_err(|_| None)?;
                let moment = if m.allowed { now + self.state.params.activation_delay } else { now };
                let roots = &mut self.state.tcb.roots;
                if m.allowed {
                    reasons.when(roots.contains_key(&m.root), code::LISTED);
                    reasons.when(roots.len() >= MAX_ROOTS, code::FULL);
                    roots.insert(m.root, now + self.state.params.activation_delay);
                    self.state.counts.roots += 1;
                } else {
                    reasons.when(roots.remove(&m.root).is_none(), code::NO_ENTRY);
                    self.state.counts.roots = self.state.counts.roots.wrapping_sub(1);
                }
                Ok(Note::about(m.query_id, 0, m.root, moment))
            }
            SetPlatformBan::OP => {
                let m = SetPlatformBan::from_cell(b).map_err(|_| None)?;
                let banned = &mut self.state.tcb.banned;
                if m.banned {
                    reasons.when(banned.contains_key(&m.platform), code::LISTED);
                    reasons.when(banned.len() >= MAX_BANNED, code::FULL);
                    banned.insert(m.platform, now);
                    self.state.counts.banned += 1;
                } else {
                    reasons.when(banned.remove(&m.platform).is_none(), code::NO_ENTRY);
                    self.state.counts.banned = self.state.counts.banned.wrapping_sub(1);
                }
                Ok(Note::about(m.query_id, 0, m.platform, now))
            }
            SetMinTcbEvaluation::OP => {
                let m = SetMinTcbEvaluation::from_cell(b).map_err(|_| None)?;
                self.state.tcb.min_evaluation = m.number;
                Ok(Note::whole(m.query_id, now))
            }
            SetRegistryParams::OP => {
                let m = SetRegistryParams::from_cell(b).map_err(|_| None)?;
                reasons.when(!are_sound(&m.params), code::BAD_PARAMS);
                self.state.params = m.params;
                Ok(Note::whole(m.query_id, now))
            }
            SetCodeHashes::OP => {
                let m = SetCodeHashes::from_cell(b).map_err(|_| None)?;
                let old = self.state.codes.pay_channel.clone();
                if old.hash != m.codes.pay_channel.hash {
                    let formers = &mut self.state.former_channels;
                    formers.remove(&m.codes.pay_channel.hash);
                    let accepted_until = m.former_until;
                    formers.insert(old.hash, FormerCode { depth: old.depth, accepted_until });
                    formers.retain(|_, former| former.accepted_until > now);
                    reasons.when(formers.len() > MAX_FORMER, code::FULL);
                }
                self.state.codes = m.codes;
                Ok(Note::whole(m.query_id, now))
            }
            LiftSuspension::OP => {
                let m = LiftSuspension::from_cell(b).map_err(|_| None)?;
                reasons.when(!good_text(&m.reason), code::BAD_TEXT);
                if let Some(life) = self.life_mut(m.kind, &m.id, reasons) {
                    reasons.when(now >= life.suspended_until, code::NOT_SUSPENDED);
                    life.suspended_until = now;
                    life.reason = m.reason;
                }
                Ok(Note::about(m.query_id, m.kind, m.id, now))
            }
            SetCouncil::OP => {
                let m = SetCouncil::from_cell(b).map_err(|_| None)?;
                self.state.council = Council { threshold: m.threshold, members: m.members };
                reasons.when(!is_council(&self.state.council), code::BAD_THRESHOLD);
                Ok(Note::whole(m.query_id, now))
            }
            SetRebuilder::OP => {
                let m = SetRebuilder::from_cell(b).map_err(|_| None)?;
                let rebuilders = &mut self.state.rebuilders;
                if m.allowed {
                    reasons.when(rebuilders.contains_key(&m.key), code::LISTED);
                    reasons.when(rebuilders.len() >= MAX_REBUILDERS, code::FULL);
                    rebuilders.insert(m.key, now);
                } else {
                    reasons.when(rebuilders.remove(&m.key).is_none(), code::NO_ENTRY);
                    let left = rebuilders.len();
                    reasons.when(left < usize::from(self.state.rebuild_threshold), code::BAD_THRESHOLD);
                }
                Ok(Note::about(m.query_id, 0, m.key, now))
            }
            SetRebuildThreshold::OP => {
                let m = SetRebuildThreshold::from_cell(b).map_err(|_| None)?;
                let reachable = (1..=self.state.rebuilders.len()).contains(&usize::from(m.threshold));
                reasons.when(!reachable, code::BAD_THRESHOLD);
                self.state.rebuild_threshold = m.threshold;
                Ok(Note::whole(m.query_id, now))
            }
            SetSuccessor::OP => {
                let m = SetSuccessor::from_cell(b).map_err(|_| None)?;
                let from = now + self.state.params.activation_delay;
                self.state.successor_from = if m.successor.is_some() { from } else { 0 };
                self.state.successor = m.successor;
                Ok(Note::whole(m.query_id, self.state.successor_from.max(now)))
            }
            SetGovernor::OP => {
                let m = SetGovernor::from_cell(b).map_err(|_| None)?;
                self.state.governor = m.governor;
                Ok(Note::whole(m.query_id, now))
            }
            EvictProxy::OP => {
                let m = EvictProxy::from_cell(b).map_err(|_| None)?;
                let key = self.leave(now, &m.owner, reasons);
                Ok(Note::about(m.query_id, 0, key, now))
            }
            _ => Err(Some(Verdict::Refused(vec![130]))),
        }
    }

    /// G3: every approval waits for its delay.
    fn begin(&self, now: u32, active_from: u32, reason: &str, reasons: &mut Reasons) -> Life {
        reasons.when(!good_text(reason), code::BAD_TEXT);
        Life {
            status: SCHEDULED,
            active_from: active_from.max(now + self.state.params.activation_delay),
            sunset: 0,
            changed_at: now,
            reason: reason.to_owned(),
            scheduled_at: now,
            suspended_until: 0,
        }
    }

    fn life_mut(&mut self, kind: u8, id: &HashBytes, reasons: &mut Reasons) -> Option<&mut Life> {
        reasons.when(!matches!(kind, 1 | 2), code::BAD_KIND);
        let found = match kind {
            1 => self.state.images.get_mut(id).map(|entry| &mut entry.life),
            2 => self.state.models.get_mut(id).map(|entry| &mut entry.life),
            _ => return None,
        };
        reasons.when(found.is_none(), code::NO_ENTRY);
        found
    }

    /// Returns the proxy's key.
    fn leave(&mut self, now: u32, owner: &StdAddr, reasons: &mut Reasons) -> HashBytes {
        match self.state.proxies.get_mut(owner) {
            Some(proxy) if proxy.unbonding_at == 0 => {
                proxy.unbonding_at = now;
                proxy.node_key
            }
            _ => {
                reasons.when(true, code::NO_PROXY);
                HashBytes::ZERO
            }
        }
    }

    fn check_proxy(
        &self,
        call: &Call<'_>,
        key: &HashBytes,
        signature: &[u8; 64],
        endpoint: &str,
        reasons: &mut Reasons,
    ) {
        reasons.when(!good_text(endpoint), code::BAD_TEXT);
        let auth = proxy_auth(&self.address, call.sender, key);
        reasons.when(!is_signed(&auth, signature, &key.0), code::BAD_SIGNATURE);
    }

    fn register(&mut self, call: &Call<'_>, m: RegisterProxy) -> Verdict {
        let mut reasons = Reasons::default();
        reasons.when(!self.state.ready, code::NOT_READY);
        reasons.when(self.state.proxies.contains_key(call.sender), code::PROXY_EXISTS);
        reasons.when(self.state.proxies.len() >= MAX_PROXIES, code::FULL);
        reasons.when(m.bond < self.state.params.min_proxy_bond, code::LOW_BOND);
        let stays = m.bond.into_inner() + PROXY_FEE;
        reasons.when(call.value < stays + MIN_VALUE, code::LOW_VALUE);
        self.check_proxy(call, &m.node_key, &m.signature, &m.endpoint, &mut reasons);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        self.state.counts.proxies += 1;
        self.state.bonded += m.bond;
        self.state.revision += 1;
        let entry =
            ProxyEntry { node_key: m.node_key, endpoint: m.endpoint, bond: m.bond, since: call.now, unbonding_at: 0 };
        self.state.proxies.insert(call.sender.clone(), entry);
        let rest = Sent::plain(call.sender.clone(), Amount::Rest, excesses(m.query_id));
        let note = Note::about(m.query_id, 0, m.node_key, call.now);
        done(call.own() + stays, vec![self.told(call, &note), rest])
    }

    fn update(&mut self, call: &Call<'_>, m: UpdateProxy) -> Verdict {
        let mut reasons = Reasons::default();
        reasons.when(call.value < m.add_bond.into_inner() + MIN_VALUE, code::LOW_VALUE);
        reasons.when(!good_text(&m.endpoint), code::BAD_TEXT);
        let least = self.state.params.min_proxy_bond;
        match self.state.proxies.get_mut(call.sender) {
            Some(proxy) if proxy.unbonding_at == 0 => {
                proxy.bond += m.add_bond;
                reasons.when(proxy.bond < least, code::LOW_BOND);
                proxy.endpoint = m.endpoint;
            }
            _ => reasons.when(true, code::NO_PROXY),
        }
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        self.state.bonded += m.add_bond;
        self.state.revision += 1;
        let rest = Sent::plain(call.sender.clone(), Amount::Rest, excesses(m.query_id));
        done(call.own() + m.add_bond.into_inner(), vec![rest])
    }

    fn unbond(&mut self, call: &Call<'_>, m: &UnbondProxy) -> Verdict {
        let mut reasons = Reasons::default();
        reasons.when(call.value < MIN_VALUE, code::LOW_VALUE);
        let key = self.leave(call.now, call.sender, &mut reasons);
        let note = Note::about(m.query_id, 0, key, call.now);
        reasons.verdict().unwrap_or_else(|| self.changed(call, &note))
    }

    fn withdraw(&mut self, call: &Call<'_>, m: &WithdrawProxy) -> Verdict {
        let mut reasons = Reasons::default();
        reasons.when(call.value < MIN_VALUE, code::LOW_VALUE);
        let Some(proxy) = self.state.proxies.get(call.sender).cloned() else {
            reasons.when(true, code::NO_PROXY);
            return reasons.verdict().unwrap_or(malformed());
        };
        let over = proxy.unbonding_at != 0 && call.now >= proxy.unbonding_at + self.state.params.proxy_unbonding;
        reasons.when(!over, code::PROXY_LOCKED);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        self.state.proxies.remove(call.sender);
        self.state.counts.proxies -= 1;
        self.state.bonded -= proxy.bond;
        self.state.revision += 1;
        let said = cell(ProxyBondReturned { query_id: m.query_id, amount: proxy.bond }.to_cell());
        let keeps = call.own().saturating_sub(proxy.bond.into_inner());
        done(keeps, vec![Sent::plain(call.sender.clone(), Amount::Rest, said)])
    }

    /// EC-1 to EC-5: k of n keys put an entry aside at once, once in an approval.
    fn suspend(&mut self, call: &Call<'_>, m: SuspendEntry) -> Verdict {
        let mut reasons = Reasons::default();
        reasons.when(call.value < MIN_VALUE, code::LOW_VALUE);
        reasons.when(call.now >= m.valid_until, code::EXPIRED);
        reasons.when(!good_text(&m.reason), code::BAD_TEXT);
        let (address, council) = (self.address.clone(), self.state.council.clone());
        let until = call.now + self.state.params.suspension_period;
        if let Some(life) = self.life_mut(m.kind, &m.id, &mut reasons) {
            let order = suspension(&address, m.kind, &m.id, life.scheduled_at, m.valid_until);
            reasons.when(life.suspended_until != 0 || is_over(life, call.now), code::NO_SUSPENSION);
            reasons.when(m.signatures.keys().any(|key| !council.members.contains_key(key)), code::NOT_COUNCIL);
            let forged = m.signatures.iter().any(|(key, s)| !is_signed(&order, &s.bytes, &key.0));
            reasons.when(forged, code::BAD_SIGNATURE);
            let count = m.signatures.len();
            reasons.when(count == 0 || count < usize::from(council.threshold), code::NOT_COUNCIL);
            life.suspended_until = until;
            life.reason = m.reason;
        }
        let note = Note::about(m.query_id, m.kind, m.id, until);
        reasons.verdict().unwrap_or_else(|| self.changed(call, &note))
    }

    /// Whether this is the channel of these terms, of code that is accepted now.
    fn is_channel(&self, now: u32, address: &StdAddr, terms: &Cell) -> bool {
        let data = Writer::default().cell(terms.clone()).uint(0, 8).uint(0, 64).end();
        let current = &self.state.codes.pay_channel;
        let formers = self.state.former_channels.iter().filter(|(_, former)| now < former.accepted_until);
        formers
            .map(|(hash, former)| (*hash, former.depth))
            .chain([(current.hash, current.depth)])
            .any(|(hash, depth)| address_from(&hash, depth, &data) == *address)
    }

    /// RG-19.
    fn settled(&self, call: &Call<'_>, m: &Settled) -> Verdict {
        let mut reasons = Reasons::default();
        reasons.when(call.value < EVIDENCE_VALUE, code::LOW_VALUE);
        reasons.when(!self.is_channel(call.now, call.sender, &m.terms), code::NOT_CHANNEL);
        let Ok(terms) = ChannelTerms::from_cell(&m.terms) else {
            reasons.malformed();
            return reasons.verdict().unwrap_or(malformed());
        };
        match self.state.proxies.get(&terms.payer) {
            Some(proxy) if proxy.unbonding_at == 0 => {
                reasons.when(proxy.node_key != terms.payer_key, code::OTHER_KEY);
            }
            _ => reasons.when(true, code::NO_PROXY),
        }
        reasons.when(terms.protocol_fee_bps < self.state.params.protocol_fee_bps, code::LOW_FEE);
        let Ok(evidence) = Evidence::from_cell(&m.evidence) else {
            reasons.malformed();
            return reasons.verdict().unwrap_or(malformed());
        };
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        let record = Record::new(&self.record_code, &self.address, terms.payee_key.0);
        let said = Writer::op(crate::reputation::model::op::ADD_EVIDENCE)
            .uint(m.query_id.into(), 64)
            .address(call.sender)
            .address(&m.caller)
            .coins(m.amount.into_inner())
            .uint(evidence.ok.into(), 64)
            .uint(evidence.failed.into(), 64)
            .uint(evidence.latency_ms.into(), 64)
            .end();
        done(call.own(), vec![Sent { deploys: true, ..Sent::bouncing(record.address, Amount::Rest, said) }])
    }

    /// RG-20 to RG-22.
    fn judge(&mut self, call: &Call<'_>, m: &Accusation) -> Verdict {
        let report = Report::new(&self.fault_code, &self.address, &m.reporter, m.commitment);
        if report.address != *call.sender {
            return Verdict::Refused(vec![faults::code::NOT_REPORT]);
        }
        match Reader::new(&m.proof).u32() {
            Ok(faults::op::EQUIVOCATION) => self.slash_proxy(call, m),
            Ok(_) => self.accuse(call, m),
            Err(_) => malformed(),
        }
    }

    fn slash_proxy(&mut self, call: &Call<'_>, m: &Accusation) -> Verdict {
        let fault = match faults::equivocation(&m.proof) {
            Ok(fault) => fault,
            Err(doubt) => return Verdict::Refused(doubt),
        };
        let mut reasons = Reasons::default();
        reasons.when(!self.is_channel(call.now, &fault.channel, &fault.terms_cell), code::NOT_CHANNEL);
        let owner = &fault.terms.payer;
        let Some(proxy) = self.state.proxies.get(owner).cloned() else {
            reasons.when(true, code::NO_PROXY);
            return reasons.verdict().unwrap_or(malformed());
        };
        reasons.when(proxy.node_key != fault.terms.payer_key, code::OTHER_KEY);
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        self.state.proxies.remove(owner);
        self.state.counts.proxies -= 1;
        self.state.bonded -= proxy.bond;
        self.state.revision += 1;
        let bond = proxy.bond.into_inner();
        let word = faults::rewarded(m.query, &fault.terms.payer_key.0, bond);
        let sends = vec![
            self.told(call, &Note::about(m.query, 0, proxy.node_key, call.now)),
            Sent::plain(BURN, Amount::Exact(bond - bond / 2), Cell::empty_cell()),
            Sent::plain(m.reporter.clone(), Amount::Rest, word),
        ];
        done(call.own().saturating_sub(bond), sends)
    }

    fn accuse(&self, call: &Call<'_>, m: &Accusation) -> Verdict {
        let used = match faults::used(&m.proof) {
            Ok(used) => used,
            Err(doubt) => return Verdict::Refused(doubt),
        };
        let mut reasons = Reasons::default();
        reasons.when(!matches!(used.kind, 1 | 2), code::BAD_KIND);
        match self.life(used.kind, &HashBytes(used.id)) {
            None => reasons.when(true, code::NO_ENTRY),
            Some(life) => {
                let late = u64::from(used.time) > u64::from(life.changed_at) + u64::from(REVOCATION_GRACE);
                reasons.when(life.status != REVOKED || !late, code::NOT_REVOKED);
            }
        }
        if let Some(refused) = reasons.verdict() {
            return refused;
        }
        let word = PunishNode {
            query_id: m.query,
            account: used.account,
            node: HashBytes(used.node),
            reporter: m.reporter.clone(),
        };
        let governor = self.state.governor.clone();
        done(call.own(), vec![Sent::bouncing(governor, Amount::Rest, cell(word.to_cell()))])
    }
}

/// A second revocation does not make the first one younger.
fn set(life: &mut Life, now: u32, status: u8, reason: String) {
    if life.status != status {
        life.changed_at = now;
    }
    life.status = status;
    life.reason = reason;
}
