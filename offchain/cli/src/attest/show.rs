//! `cocoon attest show`: the evidence of a node that runs.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use cocoon_attest::{
    Appraisal, CollateralStore, Demands, IdentityHandle, IdentityRequest, PolicyHandle, Verifier, appraise_certificate,
    issue_client_identity,
};
use cocoon_link::{Endpoint, Expect, LinkConfig};
use cocoon_protocol::{NodeKey, Role};

use super::probe::probe;
use super::terms::{Terms, TermsArgs};
use super::words::{Line, Verdict, facts, with_rules};
use crate::report::Report;
use crate::session::Session;

#[derive(clap::Args, Clone, Debug)]
pub(super) struct Show {
    /// The node's link address, such as 127.0.0.1:9000.
    addr: SocketAddr,
    #[command(flatten)]
    terms: TermsArgs,
}

impl Show {
    pub(super) async fn run(&self, session: &mut Session) -> Result<Report> {
        let terms = self.terms.read(session).await?;
        let certificate = probe(self.addr).await?;
        let demands = Demands { policy: &terms.policy, image: terms.image, report_data: None, now: terms.now };
        let appraisal = appraise_certificate(&certificate, terms.collateral.as_ref(), &demands)
            .with_context(|| format!("{} shows a certificate that is no evidence", self.addr))?;
        let mut lines: Vec<Line> = appraisal.rules.iter().map(Into::into).collect();
        let held = "it has just signed with the certificate's key";
        lines.push(Line { rule: "tls_key", outcome: Verdict::Pass, detail: held.to_owned() });
        lines.push(self.fresh_quote(&appraisal, &terms).await?);
        let report = Report::new().text("address", self.addr).and(facts(&appraisal, &terms.policy_from, terms.now));
        Ok(with_rules("the node's evidence", report, &lines))
    }

    /// The step after TLS, which any client may ask for: a quote and a signature of the node key over this very connection
    /// (docs/protocol.md P1.2).
    async fn fresh_quote(&self, appraisal: &Appraisal, terms: &Terms) -> Result<Line> {
        let line = |outcome, detail: &str| Line { rule: "fresh_quote", outcome, detail: detail.to_owned() };
        let (Some(claims), Some(collateral)) = (&appraisal.claims, &terms.collateral) else {
            return Ok(line(Verdict::Open, "not asked for without collateral"));
        };
        let Some(fmspc) = appraisal.fmspc else {
            return Ok(line(Verdict::Open, "not asked for, because the quote names no platform model"));
        };
        // A client's key is asked for by nobody before a channel is named.
        let node_key = NodeKey::generate(&mut rand::rngs::OsRng);
        let request = IdentityRequest::new(Role::Client, terms.policy.network(), terms.now);
        let identity = issue_client_identity(&node_key, &request)?;
        let store = CollateralStore::default();
        store.put(fmspc, collateral.clone());
        let (policy, now) = (PolicyHandle::new(terms.policy.clone()), terms.now);
        let verifier = Arc::new(Verifier::new(policy, Arc::new(store), Arc::new(move || now)));
        let endpoint = Endpoint::client(IdentityHandle::new(identity), verifier, LinkConfig::default());
        let expect = Expect::node(self.terms.role().unwrap_or(claims.role), claims.node_key);
        Ok(match endpoint.connect(self.addr, &expect).await {
            Ok(link) => {
                link.close("only looking");
                line(Verdict::Pass, "made and signed by the node's key over this connection, for our nonce")
            }
            Err(error) => line(Verdict::Fail, &error.to_string()),
        })
    }
}
