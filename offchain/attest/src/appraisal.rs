//! Every rule with its outcome, also after one has failed: for people who ask why evidence is refused.
//!
//! [`Verifier`](crate::Verifier) decides on connections and stops at the first reason. This looks on with the same checks, and a
//! test holds the two together: evidence that it finds in order is accepted there, and the other way round.

use cocoon_protocol::{ImageId, Role, UnixSeconds};
use dcap_qvl::verify::QuoteVerifier;
use dcap_qvl::{Policy as _, QuoteClaims, QuotePolicy, TcbStatus};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::claims::{Claims, check_shown, report_data};
use crate::collateral::{Collateral, Fmspc, RootHash};
use crate::error::AttestError;
use crate::evidence::{self, ParsedQuote, exact_length};
use crate::measurements::{Measurements, TdAttribute, image_id};
use crate::policy::{PlatformId, Policy};
use crate::verifier::platform_rules;

/// What evidence is held against.
#[derive(Clone, Debug)]
pub struct Demands<'a> {
    /// The network's rules.
    pub policy: &'a Policy,
    /// Whether and how the image must be approved.
    pub image: ImageDemand,
    /// The report data that a bare quote must have; certificates bring their own demand.
    pub report_data: Option<[u8; 64]>,
    /// The time of the check.
    pub now: UnixSeconds,
}

/// Whether the policy must approve the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageDemand {
    /// No: only whether the quote is genuine is asked.
    Open,
    /// For some role: a bare quote names none.
    AnyRole,
    /// For this role. In a certificate, its own role must also be this one.
    Role(Role),
}

/// How evidence did by one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds, and what was found.
    Passed(String),
    /// It does not hold.
    Failed(AttestError),
    /// It was not demanded, or cannot be judged because of another rule that failed.
    Open(&'static str),
}

/// A rule and its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name; the names are listed in docs/attestation.md.
    pub name: &'static str,
    /// How the evidence did.
    pub outcome: Outcome,
}

/// What the signatures and the collateral prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genuine {
    /// State of the platform's firmware as the vendor judges it.
    pub tcb_status: TcbStatus,
    /// The vendor's advisories that concern the platform.
    pub advisories: Vec<String>,
    /// The machine.
    pub platform: PlatformId,
    /// Age of the collateral, as the vendor numbers it.
    pub tcb_evaluation: u32,
    /// The collateral says nothing about later times.
    pub collateral_expires: UnixSeconds,
}

/// Everything that can be said of a quote, or of a certificate with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appraisal {
    /// Version of the quote's form.
    pub quote_version: u16,
    /// What it says runs in the trust domain.
    pub measurements: Measurements,
    /// The registry's name of that.
    pub image: ImageId,
    /// What the trust domain had signed.
    pub report_data: [u8; 64],
    /// The platform's model; `None` if the quote names none that can be read.
    pub fmspc: Option<Fmspc>,
    /// The root that the collateral is signed under, if there is collateral.
    pub root: Option<RootHash>,
    /// `None` if it is not genuine, or not known to be.
    pub genuine: Option<Genuine>,
    /// The claims of a certificate; unproven unless all rules hold.
    pub claims: Option<Claims>,
    /// All rules in a fixed order.
    pub rules: Vec<Rule>,
}

impl Appraisal {
    /// Whether no rule failed.
    pub fn passed(&self) -> bool {
        !self.rules.iter().any(|rule| matches!(rule.outcome, Outcome::Failed(_)))
    }

    fn rule(&mut self, name: &'static str, result: Result<impl Into<String>, AttestError>) {
        let outcome = match result {
            Ok(found) => Outcome::Passed(found.into()),
            Err(error) => Outcome::Failed(error),
        };
        self.rules.push(Rule { name, outcome });
    }

    fn open(&mut self, name: &'static str, why: &'static str) {
        self.rules.push(Rule { name, outcome: Outcome::Open(why) });
    }
}

/// Appraises a bare quote. Zeros after its end, with which platforms fill their buffers, are cut off.
///
/// # Errors
/// The bytes are no quote of a trust domain. All other failings are rules of the result.
pub fn appraise_quote(
    quote: &[u8],
    collateral: Option<&Collateral>,
    demands: &Demands<'_>,
) -> Result<Appraisal, AttestError> {
    let filled = exact_length(quote).and_then(|end| quote.split_at_checked(end));
    let quote = match filled {
        Some((quote, fill)) if fill.iter().all(|b| *b == 0) => quote,
        _ => quote,
    };
    let parsed = ParsedQuote::read(quote.to_vec())?;
    let mut appraisal = begin(&parsed, None);
    match &demands.report_data {
        Some(expected) => appraisal.rule("report_data", parsed.check_report_data(expected).map(|()| "as demanded")),
        None => appraisal.open("report_data", "none was demanded"),
    }
    judge_quote(&mut appraisal, &parsed, collateral, demands);
    Ok(appraisal)
}

/// Appraises a certificate with evidence (DER). That the peer holds its keys is not in it: see [`crate::Verifier::verify`].
///
/// # Errors
/// It is no certificate with evidence that can be read, or a client's, in which there is nothing to appraise. All other failings are
/// rules of the result.
pub fn appraise_certificate(
    certificate: &[u8],
    collateral: Option<&Collateral>,
    demands: &Demands<'_>,
) -> Result<Appraisal, AttestError> {
    let carrier = evidence::open(certificate)?;
    let claims = Claims::decode(&carrier.encoded_claims)?;
    check_shown(claims.role, !carrier.quote.is_empty())?;
    if carrier.quote.is_empty() {
        return Err(AttestError::NotAttested);
    }
    let parsed = ParsedQuote::read(carrier.quote)?;
    let mut appraisal = begin(&parsed, Some(claims.clone()));
    let bound =
        if claims.spki_sha384 == carrier.spki_sha384 { Ok("by the claims") } else { Err(AttestError::KeyNotBound) };
    appraisal.rule("key_bound", bound);
    let own = report_data(&carrier.encoded_claims);
    appraisal.rule("report_data", parsed.check_report_data(&own).map(|()| "made for these claims"));
    appraisal.rule("network", demands.policy.check_network(claims.network).map(|()| claims.network.to_string()));
    match demands.image {
        ImageDemand::Role(expected) if expected != claims.role => {
            let refused = AttestError::WrongRole { got: claims.role, expected: vec![expected] };
            appraisal.rule("role", Err::<String, _>(refused));
        }
        ImageDemand::Role(role) => appraisal.rule("role", Ok(role.to_string())),
        ImageDemand::Open | ImageDemand::AnyRole => appraisal.open("role", "none was demanded"),
    }
    let window = format!("{} to {}", date(claims.not_before), date(claims.not_after));
    appraisal.rule("window", claims.check_window(demands.now).map(|()| window));
    // An image is approved for a role, and here the role is known.
    let image = match demands.image {
        ImageDemand::Open => ImageDemand::Open,
        ImageDemand::AnyRole | ImageDemand::Role(_) => ImageDemand::Role(claims.role),
    };
    judge_quote(&mut appraisal, &parsed, collateral, &Demands { image, ..demands.clone() });
    Ok(appraisal)
}

/// A time as people write it, in UTC.
fn date(time: UnixSeconds) -> String {
    let date = OffsetDateTime::from_unix_timestamp(i64::from(time.0)).ok().and_then(|date| date.format(&Rfc3339).ok());
    date.unwrap_or_else(|| time.to_string())
}

fn begin(parsed: &ParsedQuote, claims: Option<Claims>) -> Appraisal {
    Appraisal {
        quote_version: parsed.quote.header.version,
        measurements: parsed.measurements.clone(),
        image: image_id(&parsed.measurements),
        report_data: parsed.report_data,
        fmspc: parsed.fmspc().ok(),
        root: None,
        genuine: None,
        claims,
        rules: vec![],
    }
}

fn judge_quote(
    appraisal: &mut Appraisal,
    parsed: &ParsedQuote,
    collateral: Option<&Collateral>,
    demands: &Demands<'_>,
) {
    let (policy, now, image) = (demands.policy, demands.now, appraisal.image);
    appraisal.rule("length", parsed.check_length().map(|()| format!("{} bytes", parsed.raw.len())));
    appraisal.rule("not_debug", parsed.check_debug().map(|()| "its host cannot read it"));
    appraisal.rule("sept_ve_disable", parsed.check_sept_ve_disable().map(|()| "on"));
    match demands.image {
        ImageDemand::Open => appraisal.open("image", "no policy was given"),
        ImageDemand::Role(role) => {
            appraisal.rule("image", policy.check_image(role, image, now).map(|()| format!("approved for a {role}")));
        }
        ImageDemand::AnyRole => {
            let verdict = policy.check_image_in_any_role(image, now);
            appraisal.rule("image", verdict.map(|role| format!("approved for a {role}")));
        }
    }
    let claims = judge_platform(appraisal, parsed, collateral, demands);
    let Some(claims) = claims else {
        for name in ["tcb_status", "tcb_evaluation", "platform"] {
            appraisal.open(name, "not known, because the quote is not shown to be genuine");
        }
        return;
    };
    let status = claims.tcb.status;
    let up_to_date = platform_rules(now).validate(&claims).map(|()| format!("{status:?}"));
    appraisal.rule("tcb_status", up_to_date.map_err(|e| AttestError::QuoteRejected { why: format!("{e:#}") }));
    let number = claims.tcb.eval_data_number;
    appraisal.rule("tcb_evaluation", policy.check_tcb_evaluation(number).map(|()| number.to_string()));
    let platform = PlatformId::of_ppid(&claims.platform.pck.ppid);
    appraisal.rule("platform", policy.check_ban(platform).map(|()| "not banned"));
    appraisal.genuine = Some(Genuine {
        tcb_status: status,
        advisories: claims.tcb.advisory_ids,
        platform,
        tcb_evaluation: number,
        collateral_expires: UnixSeconds(u32::try_from(claims.earliest_expiration_date).unwrap_or(u32::MAX)),
    });
}

/// The rules about collateral, root and signatures.
fn judge_platform(
    appraisal: &mut Appraisal,
    parsed: &ParsedQuote,
    collateral: Option<&Collateral>,
    demands: &Demands<'_>,
) -> Option<QuoteClaims> {
    let now = demands.now;
    let Some(collateral) = collateral else {
        let missing = parsed.fmspc().map_or_else(|e| e, |fmspc| AttestError::NoCollateral { fmspc });
        appraisal.rule("collateral", Err::<String, _>(missing));
        for name in ["root", "genuine"] {
            appraisal.open(name, "not known without collateral");
        }
        return None;
    };
    let current = collateral.validity().map_err(|e| e.to_string()).and_then(|(from, to)| {
        let span = format!("speaks for {} to {}", date(from), date(to));
        if from <= now && now <= to { Ok(span) } else { Err(format!("the collateral {span}, and it is {}", date(now))) }
    });
    appraisal.rule("collateral", current.map_err(|why| AttestError::QuoteRejected { why }));
    let root = collateral.root();
    appraisal.root = Some(root);
    let name = if root == RootHash::intel() { "Intel's".to_owned() } else { root.to_string() };
    appraisal.rule("root", demands.policy.check_root(root).map(|()| name));
    let seconds = u64::from(now.0);
    let verified = QuoteVerifier::new(collateral.root_der().to_vec())
        // A debug quote can be genuine; that it is a debug quote is a rule of its own.
        .allow_debug(parsed.measurements.has(TdAttribute::Debug))
        .verify_with_policy(&parsed.raw, collateral.data(), seconds, &QuotePolicy::claims_only(seconds))
        .map_err(|e| AttestError::QuoteRejected { why: format!("{e:#}") });
    let (claims, verdict) = match verified {
        Ok(claims) => (Some(claims), Ok("signed up to the root, nothing revoked")),
        Err(error) => (None, Err(error)),
    };
    appraisal.rule("genuine", verdict);
    claims
}
