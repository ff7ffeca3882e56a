//! The registry in words.

use anyhow::Result;
use cocoon_actions::ActionError;
use cocoon_actions::registry::EntryStatus;
use cocoon_actions::system::{hash, nano};
use cocoon_chain::StdAddr;
use cocoon_protocol::{Hash256, ImageId, ModelHash, Role};
use cocoon_wrappers::generated::registry::{ImageEntry, Life, ModelEntry, ProxyEntry, RegistryState};
use tycho_types::cell::HashBytes;

use crate::args::hash::commit_in_words;
use crate::report::Report;

/// Everything.
pub(crate) fn whole(address: &StdAddr, state: &RegistryState, now: u32) -> Report {
    let p = &state.params;
    let images = state.images.iter().map(|(id, entry)| image(id, entry, now)).collect();
    let models = state.models.iter().map(|(id, entry)| model(id, entry, now)).collect();
    let proxies = state.proxies.iter().map(|(owner, entry)| proxy(owner, entry)).collect();
    let times = |map: &std::collections::BTreeMap<HashBytes, u32>, name: &str, since: &str| {
        map.iter().map(|(id, time)| Report::new().text(name, hash(*id)).time(since, *time)).collect::<Vec<_>>()
    };
    let former = state.former_channels.iter();
    let former =
        former.map(|(code, f)| Report::new().text("code", hash(*code)).time("accepted_until", f.accepted_until));
    Report::new()
        .text("registry", address)
        .text("governor", &state.governor)
        .flag("ready", state.ready)
        .number("revision", state.revision)
        .list("images", images)
        .list("models", models)
        .list("proxies", proxies)
        .ton("proxies_bonded", nano(state.bonded))
        .number("min_tcb_evaluation", state.tcb.min_evaluation)
        .list("attestation_roots", times(&state.tcb.roots, "root", "valid_from"))
        .list("banned_platforms", times(&state.tcb.banned, "platform", "since"))
        .ton("min_worker_stake", nano(p.min_worker_stake))
        .ton("min_proxy_bond", nano(p.min_proxy_bond))
        .seconds("activation_delay", p.activation_delay)
        .seconds("proxy_unbonding", p.proxy_unbonding)
        .seconds("min_challenge", p.min_challenge)
        .number("protocol_fee_bps", p.protocol_fee_bps)
        .seconds("suspension_period", p.suspension_period)
        .text("channel_code", hash(state.codes.pay_channel.hash))
        .text("stake_account_code", hash(state.codes.stake_account.hash))
        .text("proposal_code", hash(state.codes.proposal.hash))
        .text("fault_report_code", hash(state.codes.fault_report.hash))
        .list("former_channel_codes", former.collect())
        .number("council_threshold", state.council.threshold)
        .list("council", state.council.members.keys().map(|key| Report::new().text("key", hash(*key))).collect())
        .number("rebuild_threshold", state.rebuild_threshold)
        .list("rebuilders", times(&state.rebuilders, "key", "since"))
        .maybe("successor", state.successor.as_ref())
        .time("successor_from", state.successor_from)
}

fn life(report: Report, life: &Life, now: u32) -> Report {
    let status = EntryStatus::of(life, now);
    report
        .text("status", status)
        .flag("usable", status.is_usable())
        .time("active_from", life.active_from)
        .time("sunset", life.sunset)
        .time("approved_at", life.scheduled_at)
        .time("suspended_until", life.suspended_until)
        .time("changed_at", life.changed_at)
        .text("reason", &life.reason)
}

fn image(id: &HashBytes, entry: &ImageEntry, now: u32) -> Report {
    let role = Role::from_code(entry.role).map_or_else(|| format!("unknown ({})", entry.role), |r| r.to_string());
    let report = Report::new()
        .text("image", hash(*id))
        .text("role", role)
        .text("source_commit", commit_in_words(&Hash256(entry.source_commit.0)))
        .text("recipe", hash(entry.recipe_hash))
        .list("rebuilt_by", entry.rebuilds.keys().map(|key| Report::new().text("key", hash(*key))).collect());
    life(report, &entry.life, now)
}

fn model(id: &HashBytes, entry: &ModelEntry, now: u32) -> Report {
    let report = Report::new()
        .text("model", hash(*id))
        .text("name", &entry.name)
        .text("source_commit", commit_in_words(&Hash256(entry.source_commit.0)))
        .text("recipe", hash(entry.recipe_hash));
    life(report, &entry.life, now)
}

/// A proxy.
pub(crate) fn proxy(owner: &StdAddr, entry: &ProxyEntry) -> Report {
    Report::new()
        .text("owner", owner)
        .text("endpoint", &entry.endpoint)
        .text("node_key", hash(entry.node_key))
        .ton("bond", nano(entry.bond))
        .time("since", entry.since)
        .time("unbonding_at", entry.unbonding_at)
}

/// The error for what is not listed.
pub(crate) fn missing(what: &'static str, id: &dyn std::fmt::Display) -> anyhow::Error {
    ActionError::Invalid { what, why: format!("the registry does not know {id}") }.into()
}

/// An image by its id.
pub(crate) fn one_image(state: &RegistryState, id: &ImageId, now: u32) -> Result<Report> {
    let key = HashBytes(id.0);
    state.images.get(&key).map(|entry| image(&key, entry, now)).ok_or_else(|| missing("image", id))
}

/// A model by its hash.
pub(crate) fn one_model(state: &RegistryState, id: &ModelHash, now: u32) -> Result<Report> {
    let key = HashBytes(id.0);
    state.models.get(&key).map(|entry| model(&key, entry, now)).ok_or_else(|| missing("model", id))
}
