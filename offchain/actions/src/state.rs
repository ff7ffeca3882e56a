//! Any contract of the project as a flat list of fields, to show and to compare.

use cocoon_chain::{AccountSnapshot, NetworkConfig, run_getter};
use cocoon_wrappers::generated::{governor, pay_channel, proposal, registry, stake_account};
use cocoon_wrappers::{AbiError, GetterCall, StackValue};
use tycho_types::num::Tokens;

use crate::ActionError;
use crate::exits::contract_of;
use crate::registry::EntryStatus;
use crate::system::nano;
use crate::text::printable;

/// A field of a contract's state in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its name; parts of maps are separated by dots.
    pub name: String,
    /// Its value, with its unit.
    pub value: String,
}

/// Fields under construction.
#[derive(Default)]
struct Fields(Vec<Field>);

impl Fields {
    fn set(&mut self, name: impl Into<String>, value: impl ToString) {
        self.0.push(Field { name: name.into(), value: printable(&value.to_string()) });
    }

    fn ton(&mut self, name: impl Into<String>, value: Tokens) {
        self.set(name, nano(value));
    }
}

/// The state of one of the project's contracts. Empty for every other account. A contract that cannot tell its state yet,
/// because it was not set up, has no fields either.
pub fn fields(account: &AccountSnapshot, config: &NetworkConfig) -> Result<Vec<Field>, ActionError> {
    let mut out = Fields::default();
    match contract_of(account) {
        Some("PayChannel") => {
            channel(&mut out, &ask(account, config, pay_channel::get_state(), pay_channel::decode_state)?)
        }
        Some("StakeAccount") => {
            stake(&mut out, &ask(account, config, stake_account::get_state(), stake_account::decode_state)?);
        }
        Some("Governor") => govern(&mut out, &ask(account, config, governor::get_state(), governor::decode_state)?),
        Some("Proposal") => {
            // A proposal that was not opened has no terms to tell.
            if let Ok(state) = ask(account, config, proposal::get_state(), proposal::decode_state) {
                propose(&mut out, &state);
            }
        }
        Some("Registry") => {
            entries(
                &mut out,
                &ask(account, config, registry::get_snapshot(), registry::decode_snapshot)?,
                account.at.utime.0,
            );
        }
        _ => {}
    }
    Ok(out.0)
}

fn ask<T>(
    account: &AccountSnapshot,
    config: &NetworkConfig,
    call: GetterCall,
    decode: impl FnOnce(Vec<StackValue>) -> Result<T, AbiError>,
) -> Result<T, ActionError> {
    Ok(decode(run_getter(account, config, &call)?.stack)?)
}

fn channel(out: &mut Fields, state: &pay_channel::ChannelState) {
    out.set("payer", &state.payer);
    out.set("payee", &state.payee);
    out.set("payer_key", state.payer_key);
    out.set("payee_key", state.payee_key);
    out.set("challenge", format!("{} s", state.challenge));
    out.set("salt", state.salt);
    out.set("protocol_fee_bps", state.protocol_fee_bps);
    out.ton("deposit", state.deposit);
    out.ton("claimed", state.claimed);
    out.set("close_at", state.close_at);
    out.set("epoch", state.epoch);
}

fn stake(out: &mut Fields, state: &stake_account::StakeState) {
    out.set("governor", &state.governor);
    out.set("owner", &state.owner);
    out.ton("held", state.held);
    out.ton("staying", state.staying);
    out.ton("bonded", state.bonded);
    out.ton("pledged", state.pledged);
    for (number, lot) in &state.lots {
        out.ton(format!("lots.{number}.amount"), lot.amount);
        out.set(format!("lots.{number}.active_from"), lot.active_from);
        out.set(format!("lots.{number}.exit_from"), lot.exit_from);
        out.set(format!("lots.{number}.release_at"), lot.release_at);
    }
    for (key, node) in &state.nodes {
        out.ton(format!("nodes.{key}.bond"), node.bond);
        out.set(format!("nodes.{key}.free_at"), node.free_at);
    }
    for (proposal, until) in &state.receipts {
        out.set(format!("receipts.{proposal}"), until);
    }
}

fn govern(out: &mut Fields, state: &governor::GovernorState) {
    out.set("ready", state.ready);
    out.ton("total_stake", state.total_stake);
    out.ton("next_total_stake", state.next_total_stake);
    out.set("proposals", state.proposals);
    out.set("registry", state.registry.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string));
    let p = &state.params;
    out.ton("params.proposal_threshold", p.proposal_threshold);
    out.ton("params.proposal_bond", p.proposal_bond);
    out.set("params.voting_delay", format!("{} s", p.voting_delay));
    out.set("params.voting_period", format!("{} s", p.voting_period));
    out.set("params.late_extension", format!("{} s", p.late_extension));
    out.set("params.timelock", format!("{} s", p.timelock));
    out.set("params.execution_window", format!("{} s", p.execution_window));
    out.set("params.unbonding_delay", format!("{} s", p.unbonding_delay));
    out.set("params.quorum_bps", p.quorum_bps);
}

fn propose(out: &mut Fields, state: &proposal::ProposalState) {
    out.set("status", crate::dao::Status::from_code(state.status));
    out.ton("yes", state.yes);
    out.ton("no", state.no);
    out.ton("abstain", state.abstain);
    out.ton("quorum", state.quorum);
    out.set("ends_at", state.ends_at);
    out.ton("bond", state.bond);
}

fn entries(out: &mut Fields, state: &registry::RegistryState, now: u32) {
    out.set("governor", &state.governor);
    out.set("ready", state.ready);
    out.set("revision", state.revision);
    out.ton("bonded", state.bonded);
    out.ton("params.min_worker_stake", state.params.min_worker_stake);
    out.ton("params.min_proxy_bond", state.params.min_proxy_bond);
    out.set("params.activation_delay", format!("{} s", state.params.activation_delay));
    out.set("params.proxy_unbonding", format!("{} s", state.params.proxy_unbonding));
    out.set("params.min_challenge", format!("{} s", state.params.min_challenge));
    out.set("params.protocol_fee_bps", state.params.protocol_fee_bps);
    out.set("params.suspension_period", format!("{} s", state.params.suspension_period));
    let codes = &state.codes;
    for (name, code) in [
        ("pay_channel", &codes.pay_channel),
        ("stake_account", &codes.stake_account),
        ("proposal", &codes.proposal),
        ("fault_report", &codes.fault_report),
    ] {
        out.set(format!("codes.{name}"), code.hash);
    }
    for (code, former) in &state.former_channels {
        out.set(format!("former_channels.{code}"), former.accepted_until);
    }
    out.set("council.threshold", state.council.threshold);
    for key in state.council.members.keys() {
        out.set(format!("council.members.{key}"), "member");
    }
    out.set("rebuild_threshold", state.rebuild_threshold);
    for (key, since) in &state.rebuilders {
        out.set(format!("rebuilders.{key}"), since);
    }
    out.set("successor", state.successor.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string));
    out.set("tcb.min_evaluation", state.tcb.min_evaluation);
    for (root, from) in &state.tcb.roots {
        out.set(format!("tcb.roots.{root}"), from);
    }
    for (platform, since) in &state.tcb.banned {
        out.set(format!("tcb.banned.{platform}"), since);
    }
    let life = |out: &mut Fields, name: String, life: &registry::Life| {
        out.set(format!("{name}.status"), EntryStatus::of(life, now));
        out.set(format!("{name}.active_from"), life.active_from);
        out.set(format!("{name}.sunset"), life.sunset);
        out.set(format!("{name}.suspended_until"), life.suspended_until);
    };
    for (id, image) in &state.images {
        out.set(format!("images.{id}.role"), image.role);
        life(out, format!("images.{id}"), &image.life);
    }
    for (id, model) in &state.models {
        out.set(format!("models.{id}.name"), &model.name);
        life(out, format!("models.{id}"), &model.life);
    }
    for (owner, proxy) in &state.proxies {
        out.set(format!("proxies.{owner}.endpoint"), &proxy.endpoint);
        out.ton(format!("proxies.{owner}.bond"), proxy.bond);
        out.set(format!("proxies.{owner}.unbonding_at"), proxy.unbonding_at);
    }
}
