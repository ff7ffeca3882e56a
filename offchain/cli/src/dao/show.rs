//! Proposals in words.

use anyhow::Result;
use cocoon_actions::dao::{DecodedAction, Found, Roots, decode};
use cocoon_actions::system::{hash, nano};
use cocoon_actions::text::read_snake;
use cocoon_protocol::Nano;
use cocoon_wrappers::generated::governor::GovernorState;

use crate::report::Report;

/// A proposal in a list.
pub(crate) fn line(found: &Found, roots: &Roots) -> Report {
    let titles = match decode(&found.state.actions, roots) {
        Ok(actions) => actions.into_iter().map(|a| Report::new().text("title", a.title)).collect(),
        Err(error) => vec![Report::new().text("title", format!("its actions cannot be read: {error}"))],
    };
    Report::new()
        .text("proposal", &found.address)
        .text("status", found.status())
        .maybe("description", read_snake(&found.state.metadata))
        .list("actions", titles)
        .time("voting_ends", found.state.ends_at)
}

/// Everything about a proposal.
pub(crate) fn whole(found: &Found, roots: &Roots) -> Result<Report> {
    let state = &found.state;
    let actions = actions(found, roots)?;
    Ok(Report::new()
        .text("proposal", &found.address)
        .text("id", hash(state.id))
        .text("status", found.status())
        .maybe("description", read_snake(&state.metadata))
        .text("proposer", &state.proposer)
        .list("actions", actions)
        .ton("yes", nano(state.yes))
        .ton("no", nano(state.no))
        .ton("abstain", nano(state.abstain))
        .ton("quorum", nano(state.quorum))
        .ton("total_stake", nano(state.total_stake))
        .number("snapshot_epoch", state.snapshot)
        .time("voting_starts", state.starts_at)
        .time("voting_ends", state.ends_at)
        .time("executable_from", state.executable_from)
        .time("expires_at", state.expires_at)
        .ton("bond", nano(state.bond))
        .ton("execution_needs", nano(state.execute_value)))
}

/// What a proposal will do.
pub(crate) fn actions(found: &Found, roots: &Roots) -> Result<Vec<Report>> {
    Ok(decode(&found.state.actions, roots)?.iter().map(action).collect())
}

/// An action in words.
pub(crate) fn action(action: &DecodedAction) -> Report {
    let fields = action.fields.iter().fold(Report::new(), |r, (name, value)| r.text(name.replace(' ', "_"), value));
    let report = Report::new()
        .text("title", &action.title)
        .text("kind", action.kind)
        .flag("understood", action.is_known())
        .text("to", &action.to)
        .ton("from_treasury", action.value)
        .ton("gas", action.gas)
        .section("says", fields);
    let report = match &action.warning {
        Some(warning) => report.text("warning", warning),
        None => report,
    };
    if action.is_known() { report } else { report.text("body", &action.body) }
}

/// The rules of voting.
pub(crate) fn rules(roots: &Roots, state: &GovernorState, treasury: Nano) -> Report {
    let p = &state.params;
    Report::new()
        .text("governor", &roots.governor)
        .text("registry", &roots.registry)
        .ton("treasury", treasury)
        .number("epoch", state.epoch)
        .seconds("epoch_length", state.epoch_length)
        .ton("total_stake", nano(state.total_stake))
        .ton("next_total_stake", nano(state.next_total_stake))
        .number("proposals", state.proposals)
        .ton("proposal_threshold", nano(p.proposal_threshold))
        .ton("proposal_bond", nano(p.proposal_bond))
        .seconds("voting_delay", p.voting_delay)
        .seconds("voting_period", p.voting_period)
        .seconds("late_extension", p.late_extension)
        .seconds("timelock", p.timelock)
        .seconds("execution_window", p.execution_window)
        .seconds("unbonding_delay", p.unbonding_delay)
        .number("quorum_bps", p.quorum_bps)
}
