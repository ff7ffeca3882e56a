//! What a bundle will do, in words. Whoever votes should not have to trust the description.

use base64::Engine;
use cocoon_chain::Cell;
use cocoon_protocol::{Nano, Role, StdAddr};
use cocoon_wrappers::AbiError;
use cocoon_wrappers::generated::governor::{Action, SetGovernorParams, SetRegistry};
use cocoon_wrappers::generated::registry::{
    Code, DeprecateEntry, EvictProxy, LiftSuspension, RemoveEntry, RevokeEntry, ScheduleImage, ScheduleModel,
    SetCodeHashes, SetCouncil, SetGovernor, SetMinTcbEvaluation, SetPlatformBan, SetRebuildThreshold, SetRebuilder,
    SetRegistryParams, SetRoot, SetSuccessor,
};
use tycho_types::boc::Boc;
use tycho_types::cell::HashBytes;

use super::unbundle;
use crate::ActionError;
use crate::registry::Kind;
use crate::system::nano;
use crate::text::{printable, read_comment};

/// The contracts that actions are usually addressed to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Roots {
    /// The governor.
    pub governor: StdAddr,
    /// The registry.
    pub registry: StdAddr,
}

/// One action in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecodedAction {
    /// To whom.
    pub to: StdAddr,
    /// What the treasury pays.
    pub value: Nano,
    /// What the executor attaches for gas.
    pub gas: Nano,
    /// A short stable name, such as `schedule-image`; `unknown` for what could not be read.
    pub kind: &'static str,
    /// One sentence.
    pub title: String,
    /// Everything that the message says, in the order of its fields.
    pub fields: Vec<(&'static str, String)>,
    /// What a voter should think about.
    pub warning: Option<String>,
    /// The whole body, as a bag of cells in Base64.
    pub body: String,
}

impl DecodedAction {
    /// False if nobody can tell from the words alone what the action does.
    pub fn is_known(&self) -> bool {
        self.kind != "unknown"
    }
}

/// Tells what every action of a bundle will do.
pub fn decode(bundle: &Cell, roots: &Roots) -> Result<Vec<DecodedAction>, ActionError> {
    Ok(unbundle(bundle)?.iter().map(|action| one(action, roots)).collect())
}

/// A body in words.
struct Words {
    kind: &'static str,
    title: String,
    fields: Vec<(&'static str, String)>,
    warning: Option<String>,
}

impl Words {
    fn new(kind: &'static str, title: String) -> Self {
        Self { kind, title, fields: vec![], warning: None }
    }

    fn field(mut self, name: &'static str, value: impl ToString) -> Self {
        self.fields.push((name, printable(&value.to_string())));
        self
    }

    fn warn(mut self, warning: &str) -> Self {
        self.warning = Some(warning.to_owned());
        self
    }
}

fn one(action: &Action, roots: &Roots) -> DecodedAction {
    let value = nano(action.value);
    let words = words(action, roots, value);
    DecodedAction {
        to: action.to.clone(),
        value,
        gas: nano(action.gas),
        kind: words.kind,
        title: words.title,
        fields: words.fields,
        warning: words.warning,
        body: base64::engine::general_purpose::STANDARD.encode(Boc::encode(&action.body)),
    }
}

fn words(action: &Action, roots: &Roots, value: Nano) -> Words {
    let body = &action.body;
    let op = body.as_slice().ok().and_then(|mut slice| slice.load_u32().ok());
    let known = if action.to == roots.registry {
        op.and_then(|op| to_registry(op, body))
    } else if action.to == roots.governor {
        op.and_then(|op| to_governor(op, body))
    } else if body.bit_len() == 0 && body.reference_count() == 0 {
        Some(Ok(Words::new("transfer", format!("Pay {value} from the treasury to {}", action.to))))
    } else {
        read_comment(body).map(|comment| {
            let title = format!("Pay {value} from the treasury to {}", action.to);
            Ok(Words::new("transfer", title).field("comment", comment))
        })
    };
    let unknown = |why: String| {
        let op = op.map_or_else(|| "without an operation".to_owned(), |op| format!("with operation {op:#010x}"));
        Words::new("unknown", format!("Send a message {op} and {value} to {}", action.to)).warn(&why)
    };
    match known {
        Some(Ok(words)) if value.is_zero() || words.kind == "transfer" => words,
        Some(Ok(words)) => words.warn("the treasury pays for this, although the operation needs no money"),
        Some(Err(error)) => unknown(format!("its body does not have the form of this operation: {error}")),
        None => unknown("this program cannot tell what it does; read the body before you vote".to_owned()),
    }
}

/// A field that holds a time; zero has a meaning of its own.
fn time(value: u32, zero: &str) -> String {
    if value == 0 { zero.to_owned() } else { format!("{value} (Unix time)") }
}

fn percent(bps: u16) -> String {
    format!("{}.{:02} %", bps / 100, bps % 100)
}

fn entry(kind: u8, id: &HashBytes) -> String {
    Kind::from_code(kind).map_or_else(|| format!("entry of unknown kind {kind} {id}"), |kind| format!("{kind} {id}"))
}

fn to_registry(op: u32, body: &Cell) -> Option<Result<Words, AbiError>> {
    Some(match op {
        ScheduleImage::OP => ScheduleImage::from_cell(body).map(|m| {
            let role = Role::from_code(m.role).map_or_else(|| format!("unknown role {}", m.role), |r| r.to_string());
            let words = Words::new("schedule-image", format!("Approve the {role} image {}", m.id))
                .field("image", m.id)
                .field("role", &role)
                .field("active from", time(m.active_from, "as soon as the activation delay is over"))
                .field("source commit", m.source_commit)
                .field("recipe", m.recipe_hash)
                .field("reason", &m.reason)
                .field("rebuilt by", keys(m.rebuilds.keys()));
            if m.source_commit == HashBytes::ZERO {
                return words.warn("no source commit is named, so nobody can rebuild this image");
            }
            words
        }),
        ScheduleModel::OP => ScheduleModel::from_cell(body).map(|m| {
            Words::new("schedule-model", format!("Approve the model {} ({})", printable(&m.name), m.id))
                .field("model", m.id)
                .field("name", &m.name)
                .field("active from", time(m.active_from, "as soon as the activation delay is over"))
                .field("source commit", m.source_commit)
                .field("recipe", m.recipe_hash)
                .field("reason", &m.reason)
        }),
        DeprecateEntry::OP => DeprecateEntry::from_cell(body).map(|m| {
            Words::new("deprecate", format!("Let {} end at its sunset", entry(m.kind, &m.id)))
                .field("entry", entry(m.kind, &m.id))
                .field("sunset", time(m.sunset, "at once"))
                .field("reason", &m.reason)
        }),
        RevokeEntry::OP => RevokeEntry::from_cell(body).map(|m| {
            Words::new("revoke", format!("Revoke {} at once", entry(m.kind, &m.id)))
                .field("entry", entry(m.kind, &m.id))
                .field("reason", &m.reason)
        }),
        RemoveEntry::OP => RemoveEntry::from_cell(body).map(|m| {
            Words::new("remove", format!("Drop the ended {} from the registry", entry(m.kind, &m.id)))
                .field("entry", entry(m.kind, &m.id))
        }),
        SetRoot::OP => SetRoot::from_cell(body).map(|m| {
            let verb = if m.allowed { "Trust" } else { "Stop trusting" };
            let words = Words::new("set-root", format!("{verb} attestation root {}", m.root)).field("root", m.root);
            if m.allowed { words.warn("whoever holds this root's key can vouch for any machine") } else { words }
        }),
        SetMinTcbEvaluation::OP => SetMinTcbEvaluation::from_cell(body).map(|m| {
            Words::new("set-min-tcb", format!("Demand a TCB evaluation number of at least {}", m.number))
                .field("number", m.number)
        }),
        SetPlatformBan::OP => SetPlatformBan::from_cell(body).map(|m| {
            let verb = if m.banned { "Ban" } else { "Allow again" };
            Words::new("set-ban", format!("{verb} platform {}", m.platform)).field("platform", m.platform)
        }),
        SetRegistryParams::OP => SetRegistryParams::from_cell(body).map(|m| {
            let p = m.params;
            Words::new("set-params", "Change what the network asks of its members".to_owned())
                .field("least stake of a worker", nano(p.min_worker_stake))
                .field("least bond of a proxy", nano(p.min_proxy_bond))
                .field("activation delay", format!("{} s", p.activation_delay))
                .field("unbonding of proxies", format!("{} s", p.proxy_unbonding))
                .field("least challenge period", format!("{} s", p.min_challenge))
                .field("protocol fee", percent(p.protocol_fee_bps))
                .field("suspension lasts", format!("{} s", p.suspension_period))
        }),
        SetCodeHashes::OP => SetCodeHashes::from_cell(body).map(|m| {
            Words::new("set-codes", "Change which contract code members accept".to_owned())
                .field("channel", code(&m.codes.pay_channel))
                .field("stake account", code(&m.codes.stake_account))
                .field("proposal", code(&m.codes.proposal))
                .field("fault report", code(&m.codes.fault_report))
                .field("evidence of former channels counts until", time(m.former_until, "not at all"))
                .warn("members will trust contracts with this code; compare it with a build of the sources")
        }),
        SetGovernor::OP => SetGovernor::from_cell(body).map(|m| {
            Words::new("set-governor", format!("Hand the registry to the governor {}", m.governor))
                .field("governor", m.governor)
                .warn("this DAO will have no say about the registry any more")
        }),
        EvictProxy::OP => EvictProxy::from_cell(body)
            .map(|m| Words::new("evict-proxy", format!("Send the proxy of {} away", m.owner)).field("owner", m.owner)),
        LiftSuspension::OP => LiftSuspension::from_cell(body).map(|m| {
            Words::new("lift-suspension", format!("End the suspension of {}", entry(m.kind, &m.id)))
                .field("entry", entry(m.kind, &m.id))
                .field("reason", &m.reason)
        }),
        SetCouncil::OP => SetCouncil::from_cell(body).map(|m| {
            let title = match m.members.len() {
                0 => "Dissolve the emergency council".to_owned(),
                count => format!("Let {} of {count} keys suspend entries in an emergency", m.threshold),
            };
            Words::new("set-council", title).field("members", keys(m.members.keys())).field("threshold", m.threshold)
        }),
        SetRebuilder::OP => SetRebuilder::from_cell(body).map(|m| {
            let verb = if m.allowed { "Count" } else { "Stop counting" };
            Words::new("set-rebuilder", format!("{verb} rebuilds by {}", m.key)).field("key", m.key)
        }),
        SetRebuildThreshold::OP => SetRebuildThreshold::from_cell(body).map(|m| {
            let title = format!("Demand {} independent rebuilds of every image", m.threshold);
            Words::new("set-rebuild-threshold", title).field("threshold", m.threshold)
        }),
        SetSuccessor::OP => SetSuccessor::from_cell(body).map(|m| match m.successor {
            Some(successor) => Words::new("set-successor", format!("Move the network to the registry {successor}"))
                .field("successor", successor)
                .warn("after the activation delay everybody follows the other registry, whatever it says"),
            None => Words::new("set-successor", "Stay with this registry".to_owned()),
        }),
        _ => return None,
    })
}

fn code(code: &Code) -> String {
    format!("{} (depth {})", code.hash, code.depth)
}

fn keys<'a>(keys: impl Iterator<Item = &'a HashBytes>) -> String {
    let keys: Vec<String> = keys.map(HashBytes::to_string).collect();
    if keys.is_empty() { "nobody".to_owned() } else { keys.join(", ") }
}

fn to_governor(op: u32, body: &Cell) -> Option<Result<Words, AbiError>> {
    if op == SetRegistry::OP {
        return Some(SetRegistry::from_cell(body).map(|m| {
            Words::new("set-registry", format!("Believe the registry {} when it accuses nodes", m.registry))
                .field("registry", m.registry)
                .warn("this registry can have stakes of nodes slashed")
        }));
    }
    if op != SetGovernorParams::OP {
        return None;
    }
    Some(SetGovernorParams::from_cell(body).map(|m| {
        let p = m.params;
        Words::new("set-rules", "Change the rules of voting".to_owned())
            .field("stake to propose", nano(p.proposal_threshold))
            .field("bond of a proposal", nano(p.proposal_bond))
            .field("voting delay", format!("{} s", p.voting_delay))
            .field("voting period", format!("{} s", p.voting_period))
            .field("late extension", format!("{} s", p.late_extension))
            .field("timelock", format!("{} s", p.timelock))
            .field("execution window", format!("{} s", p.execution_window))
            .field("unbonding delay", format!("{} s", p.unbonding_delay))
            .field("quorum", percent(p.quorum_bps))
    }))
}
