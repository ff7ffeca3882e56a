//! What the registry tells its log, in words.

use cocoon_actions::registry::Kind;
use cocoon_protocol::Hash256;
use cocoon_transparency::Entry;
use cocoon_wrappers::generated::registry::{
    DeprecateEntry, EvictProxy, LiftSuspension, ProveFault, RegisterProxy, RemoveEntry, RevokeEntry, ScheduleImage,
    ScheduleModel, SetCodeHashes, SetCouncil, SetGovernor, SetMinTcbEvaluation, SetPlatformBan, SetRebuildThreshold,
    SetRebuilder, SetRegistryParams, SetRoot, SetSuccessor, SetUpRegistry, SuspendEntry, UnbondProxy,
};

/// The change that a message with this operation code makes.
pub(super) fn in_words(op: u32) -> String {
    match op {
        SetUpRegistry::OP => "the registry is set up",
        ScheduleImage::OP => "an image is approved",
        ScheduleModel::OP => "a model is approved",
        DeprecateEntry::OP => "an entry is deprecated",
        RevokeEntry::OP => "an entry is revoked",
        RemoveEntry::OP => "an entry that has ended is removed",
        SuspendEntry::OP => "the council suspends an entry",
        LiftSuspension::OP => "a suspension is lifted",
        SetRoot::OP => "an attestation root is accepted or dropped",
        SetMinTcbEvaluation::OP => "another TCB evaluation number is demanded",
        SetPlatformBan::OP => "a platform is banned or allowed again",
        SetRegistryParams::OP => "other parameters",
        SetCodeHashes::OP => "other contract codes",
        SetGovernor::OP => "another governor",
        SetSuccessor::OP => "another successor",
        SetCouncil::OP => "another council",
        SetRebuilder::OP => "a rebuilder is accepted or dropped",
        SetRebuildThreshold::OP => "another number of rebuilds is demanded",
        RegisterProxy::OP => "a proxy is bonded",
        UnbondProxy::OP => "a proxy leaves",
        EvictProxy::OP => "a proxy is sent away",
        ProveFault::OP => "a proxy is slashed",
        other => return format!("a change that this program does not know, by operation {other:#010x}"),
    }
    .to_owned()
}

/// The hash or key that it is about; none when it is about the registry as a whole.
pub(super) fn about(entry: &Entry) -> Option<String> {
    match (entry.kind, Kind::from_code(entry.kind)) {
        (0, _) => (entry.id != Hash256::default()).then(|| entry.id.to_string()),
        (_, Some(kind)) => Some(format!("{kind} {}", entry.id)),
        (other, None) => Some(format!("entry of unknown kind {other} {}", entry.id)),
    }
}
