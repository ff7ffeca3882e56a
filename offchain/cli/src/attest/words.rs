//! An appraisal as a report.

use cocoon_attest::{Appraisal, Genuine, Measurements, Outcome, Rule};
use cocoon_protocol::UnixSeconds;

use crate::exit;
use crate::report::Report;

/// One rule of any appraisal, as people and programs read it.
pub(super) struct Line {
    pub rule: &'static str,
    pub outcome: Verdict,
    pub detail: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    Fail,
    Open,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Open => "open",
        }
    }
}

impl From<&Rule> for Line {
    fn from(rule: &Rule) -> Self {
        let (outcome, detail) = match &rule.outcome {
            Outcome::Passed(found) => (Verdict::Pass, found.clone()),
            Outcome::Failed(error) => (Verdict::Fail, error.to_string()),
            Outcome::Open(why) => (Verdict::Open, (*why).to_owned()),
        };
        Self { rule: rule.name, outcome, detail }
    }
}

/// The verdict first, the facts, then every rule; a failure is in the exit code too.
pub(super) fn with_rules(head: &str, facts: Report, lines: &[Line]) -> Report {
    let failed = lines.iter().filter(|line| line.outcome == Verdict::Fail).count();
    let verdict = match failed {
        0 => format!("{head} holds: no rule fails"),
        1 => format!("{head} is refused: a rule fails"),
        more => format!("{head} is refused: {more} rules fail"),
    };
    let row = |line: &Line| {
        let report = Report::new().text("outcome", line.outcome.word()).text("rule", line.rule);
        report.text("detail", &line.detail)
    };
    let report = Report::new().text("verdict", verdict).and(facts).list("rules", lines.iter().map(row).collect());
    report.exiting(if failed == 0 { 0 } else { exit::FAILED })
}

/// What an appraisal found, without its rules.
pub(super) fn facts(appraisal: &Appraisal, policy_from: &str, now: UnixSeconds) -> Report {
    let Appraisal { quote_version, image, report_data, fmspc, root, genuine, claims, measurements, .. } = appraisal;
    let mut report = Report::new()
        .text("policy", policy_from)
        .time("judged_at", now.0)
        .maybe("status", genuine.as_ref().map(|g| format!("{:?}", g.tcb_status)));
    let advisories = genuine.iter().flat_map(|g| &g.advisories).map(|id| Report::new().text("id", id)).collect();
    report = report.list("advisories", advisories);
    report = match genuine {
        Some(Genuine { platform, tcb_evaluation, collateral_expires, .. }) => report
            .text("platform", platform)
            .number("tcb_evaluation", *tcb_evaluation)
            .time("collateral_expires", collateral_expires.0),
        None => report.maybe("platform", None::<String>),
    };
    report = report.maybe("platform_model", *fmspc).maybe("root", *root).number("quote_version", *quote_version);
    report = report.text("image", image).section("measurements", measured(measurements));
    if let Some(claims) = claims {
        let claimed = Report::new()
            .text("role", claims.role)
            .text("network", claims.network)
            .text("node_key", claims.node_key)
            .time("not_before", claims.not_before.0)
            .time("not_after", claims.not_after.0)
            .number("anchor_seqno", claims.anchor_seqno)
            .text("tls_key_sha384", hex::encode(claims.spki_sha384))
            .maybe("gpu_evidence", claims.gpu_evidence);
        report = report.section("claims", claimed);
    }
    report.text("report_data", hex::encode(report_data))
}

fn measured(m: &Measurements) -> Report {
    let all: [(&str, &[u8]); 13] = [
        ("mr_td", &m.mr_td),
        ("rtmr0", &m.rtmr0),
        ("rtmr1", &m.rtmr1),
        ("rtmr2", &m.rtmr2),
        ("rtmr3", &m.rtmr3),
        ("mr_config_id", &m.mr_config_id),
        ("mr_owner", &m.mr_owner),
        ("mr_owner_config", &m.mr_owner_config),
        ("mr_seam", &m.mr_seam),
        ("mr_signer_seam", &m.mr_signer_seam),
        ("seam_attributes", &m.seam_attributes),
        ("td_attributes", &m.td_attributes),
        ("xfam", &m.xfam),
    ];
    all.into_iter().fold(Report::new(), |report, (name, value)| report.text(name, hex::encode(value)))
}
