//! From a bundle to a verdict, without a network.

use std::fmt;
use std::sync::Arc;

use cocoon_attest::{AttestError, Collateral, CollateralProvider, Fmspc, PeerIdentity, PolicyHandle, Verifier};
use cocoon_chain::light::{ProvenState, StateProof};
use cocoon_chain::{GlobalConfig, StdAddr, run_getter};
use cocoon_node::{RegistryView, channels, registry, stake};
use cocoon_protocol::frame::ChannelTerms;
use cocoon_protocol::hash::{ResponseHasher, request_hash};
use cocoon_protocol::{GlobalId, NodePublicKey, Role, UnixSeconds};
use cocoon_transparency::{LogState, evidence_digest, log_address, require_evidence};
use cocoon_wrappers::generated::pay_channel;

use crate::bundle::Bundle;
use crate::verdict::{Outcome, Subject, Verdict};

/// The block of the proof may be so much younger than the receipt, in seconds. What the registry forbade in between counts against
/// the receipt; what it allowed anew does not count for it, except that a ban or a rule on firmware may have been lifted: this
/// bounds how long before.
pub const MAX_GAP_SECONDS: u32 = 3_600;

/// What the reader of a bundle knows by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trust {
    /// The network, with the block where proofs begin.
    pub network: GlobalConfig,
    /// The root contract.
    pub registry: StdAddr,
}

/// The bundle's collateral, whatever is asked for: the quote verifier compares the platform's model itself.
struct Bundled(Arc<Collateral>);

impl CollateralProvider for Bundled {
    fn collateral(&self, _: Fmspc, _: UnixSeconds) -> Option<Arc<Collateral>> {
        Some(self.0.clone())
    }
}

/// Checks a bundle. It waits for nothing: there is no I/O behind it.
pub async fn verify(bundle: &Bundle, trust: &Trust) -> Verdict {
    let mut verdict = Verdict::default();
    content(&mut verdict, bundle);
    if let Some((state, view)) = chain(&mut verdict, bundle, trust).await {
        let worker = evidence(&mut verdict, bundle, &view);
        if let Some(worker) = worker {
            signatures(&mut verdict, bundle, &worker);
            bond(&mut verdict, bundle, &state, &view, &worker.node_key).await;
            logged(&mut verdict, bundle, &state, &trust.registry, &worker.node_key);
        }
    }
    verdict.closed()
}

fn same<T: PartialEq + fmt::Display>(what: &str, found: T, expected: T) -> Result<T, String> {
    if found == expected { Ok(found) } else { Err(format!("{what} is {found}, and the receipt says {expected}")) }
}

/// What needs nothing but the receipt (attacks 76, 77).
fn content(verdict: &mut Verdict, bundle: &Bundle) {
    let receipt = &bundle.receipt.receipt;
    let cost = same("price times usage", receipt.price.cost(receipt.usage), receipt.cost);
    verdict.result(Subject::Cost, cost, |cost| {
        format!("{cost} for {} prompt and {} completion tokens", receipt.usage.prompt.0, receipt.usage.completion.0)
    });
    let Some(content) = &bundle.content else {
        for subject in [Subject::Request, Subject::Response] {
            verdict.note(subject, Outcome::Absent, "the bundle has the hash only");
        }
        return;
    };
    let request = same("the hash of the request", request_hash(&content.request.0), receipt.request);
    verdict.result(Subject::Request, request, |_| format!("{} sealed bytes", content.request.0.len()));
    let mut hasher = ResponseHasher::default();
    content.chunks.iter().for_each(|chunk| hasher.chunk(&chunk.0));
    let response = same("the hash of the answer", hasher.finish(), receipt.response);
    verdict.result(Subject::Response, response, |_| format!("{} sealed chunks", content.chunks.len()));
}

/// The network at the time of the answer.
async fn chain(verdict: &mut Verdict, bundle: &Bundle, trust: &Trust) -> Option<(ProvenState, RegistryView)> {
    let receipt = &bundle.receipt.receipt;
    let state = StateProof::from(&bundle.chain).check(&trust.network);
    let state = verdict.result(Subject::Blocks, state, |state| {
        format!(
            "block {} of {} is signed by the network's validators",
            state.block.id.seqno,
            UnixSeconds(state.block.utime)
        )
    })?;
    let network = same("the network of the block", GlobalId(state.block.global_id), receipt.global_id);
    verdict.result(Subject::Network, network, ToString::to_string);
    // Several blocks may have the same second, and the registry may have changed between them: a later second has them all.
    let time = match state.block.utime.checked_sub(receipt.time.0) {
        None | Some(0) => Err(format!(
            "the block of the proof is of {}, and must be younger than the answer, which ended at {}",
            UnixSeconds(state.block.utime),
            receipt.time
        )),
        Some(gap) if gap > MAX_GAP_SECONDS => Err(format!(
            "the block of the proof is {gap} s younger than the answer, and at most {MAX_GAP_SECONDS} s prove anything about it"
        )),
        Some(gap) => Ok(gap),
    };
    verdict
        .result(Subject::Time, time, |gap| format!("the answer ended at {}, {gap} s before the block", receipt.time));
    let view = registry::read(&state, &trust.registry).await;
    let view =
        verdict.result(Subject::Registry, view, |view| format!("{}, revision {}", trust.registry, view.revision))?;
    let model = if view.model_active(&receipt.model, receipt.time) {
        Ok(view.model_name(&receipt.model).unwrap_or_default().to_owned())
    } else {
        Err(format!("model {} was not approved at {}", receipt.model, receipt.time))
    };
    verdict.result(Subject::Model, model, |name| format!("{name} ({})", receipt.model));
    Some((state, view))
}

/// Who the worker was, by what the registry demanded when the answer ended (attacks 48, 60 to 66).
fn evidence(verdict: &mut Verdict, bundle: &Bundle, view: &RegistryView) -> Option<PeerIdentity> {
    let receipt = &bundle.receipt.receipt;
    let time = receipt.time;
    let json = bundle.evidence.collateral.to_string();
    let collateral = match Collateral::from_json(json.as_bytes()) {
        Ok(collateral) => Arc::new(collateral),
        Err(error) => {
            verdict.note(Subject::Evidence, Outcome::Failed, error);
            return None;
        }
    };
    let policy = PolicyHandle::new(view.policy(time));
    let verifier = Verifier::new(policy, Arc::new(Bundled(collateral)), Arc::new(move || time));
    let verified = verifier.verify(&bundle.evidence.certificate.0, &[Role::Worker]);
    match verified.and_then(|worker| Ok((*worker.attested()?, worker))) {
        Ok((domain, worker)) => {
            let status = format!("a quote under root {}, for node {}", domain.root, worker.node_key);
            verdict.note(Subject::Evidence, Outcome::Passed, status);
            let platform = format!("{}, evaluation {}", domain.platform, domain.tcb_evaluation);
            verdict.note(Subject::Platform, Outcome::Passed, platform);
            let image = same("the attested image", domain.image, receipt.image);
            verdict.result(Subject::Image, image, |image| format!("{image} was approved"));
            Some(worker)
        }
        Err(error) => {
            let subject = match error {
                AttestError::ImageNotApproved { .. } | AttestError::ImageNotActive { .. } => Subject::Image,
                AttestError::PlatformBanned { .. }
                | AttestError::RootNotAllowed { .. }
                | AttestError::TcbEvaluationTooLow { .. } => Subject::Platform,
                _ => Subject::Evidence,
            };
            verdict.note(subject, Outcome::Failed, error);
            None
        }
    }
}

/// What the worker signed (attack 78).
fn signatures(verdict: &mut Verdict, bundle: &Bundle, worker: &PeerIdentity) {
    let receipt = &bundle.receipt.receipt;
    let key = worker.node_key;
    let signature = bundle.receipt.verify_signature(&key);
    verdict.result(Subject::Signature, signature, |()| format!("signed by node {key}"));
    let Some(signed) = &bundle.acceptance else {
        verdict.note(Subject::Acceptance, Outcome::Absent, "the bundle has none");
        return;
    };
    let acceptance = signed
        .verify(&key, receipt.global_id, &receipt.request, &receipt.model)
        .map_err(|e| e.to_string())
        .and_then(|()| same("the acceptance's channel", &signed.acceptance.channel, &receipt.channel).map(drop))
        .and_then(|()| {
            let (accepted, ended) = (signed.acceptance.time, receipt.time);
            let late = format!("it was accepted at {accepted}, after its end at {ended}");
            if accepted <= ended { Ok(accepted) } else { Err(late) }
        });
    verdict.result(Subject::Acceptance, acceptance, |time| format!("the worker had promised this model at {time}"));
}

/// Who is liable, if channel and stake are proven.
async fn bond(verdict: &mut Verdict, bundle: &Bundle, state: &ProvenState, view: &RegistryView, key: &NodePublicKey) {
    let address = &bundle.receipt.receipt.channel;
    let Some(account) = state.proven(address).filter(|account| account.code.is_some()) else {
        verdict.note(Subject::Bond, Outcome::Absent, "the worker's channel is not proven, so its owner is not known");
        return;
    };
    if !account.has_code(&view.channel_code) {
        // Before anything of it runs: a stranger's contract may be there.
        return verdict.note(
            Subject::Bond,
            Outcome::Failed,
            format!("{address} is not a payment channel of this network"),
        );
    }
    let terms = || -> Result<ChannelTerms, String> {
        let stack = run_getter(account, &state.config, &pay_channel::get_state()).map_err(|e| e.to_string())?.stack;
        let channel = pay_channel::decode_state(stack).map_err(|e| e.to_string())?;
        let node_key = |key: [u8; 32]| NodePublicKey::from_bytes(&key).map_err(|e| e.to_string());
        Ok(ChannelTerms {
            payer: channel.payer,
            payee: channel.payee,
            payer_key: node_key(channel.payer_key.0)?,
            payee_key: node_key(channel.payee_key.0)?,
            salt: channel.salt,
            challenge: channel.challenge,
            protocol_fee_bps: channel.protocol_fee_bps,
        })
    };
    let owner = terms().and_then(|terms| {
        // Only an address that follows from code and terms is a channel: anybody can deploy the code with other data.
        let (_, follows) = channels::identify(&terms).map_err(|e| e.to_string())?;
        same("the address of a channel with these terms", &follows, address)?;
        same("the key that is paid in this channel", terms.payee_key, *key)?;
        Ok(terms.payee)
    });
    let owner = match owner {
        Ok(owner) => owner,
        Err(error) => return verdict.note(Subject::Bond, Outcome::Failed, error),
    };
    let covered = stake::identify(&view.governor, &owner).is_ok_and(|(_, stake)| state.proven(&stake).is_some());
    if !covered {
        return verdict.note(Subject::Bond, Outcome::Absent, format!("the stake account of {owner} is not proven"));
    }
    let checked = stake::check_node(state, view, &owner, key).await;
    verdict.result(Subject::Bond, checked, |()| {
        format!("the stake of {owner} answers with {} at least", view.min_worker_stake)
    });
}

/// Whether the worker's certificate is in the registry's log, so that nobody can deny it (attacks 58, 59).
fn logged(verdict: &mut Verdict, bundle: &Bundle, state: &ProvenState, registry: &StdAddr, key: &NodePublicKey) {
    let Some(proof) = &bundle.logged else {
        let why = "the bundle does not show the worker's certificate in the transparency log";
        return verdict.note(Subject::Log, Outcome::Absent, why);
    };
    let checked = || -> Result<u64, String> {
        let address = log_address(registry).map_err(|e| e.to_string())?;
        let account = state.proven(&address).ok_or_else(|| format!("the transparency log {address} is not proven"))?;
        let log = LogState::from_account(account, registry).map_err(|e| e.to_string())?;
        let digest = evidence_digest(&bundle.evidence.certificate.0);
        require_evidence(&log, key, &digest, proof).map_err(|e| e.to_string())?;
        Ok(log.size())
    };
    verdict.result(Subject::Log, checked(), |size| {
        format!("the worker's certificate is leaf {} of {size}, logged at {}", proof.index, proof.at)
    });
}
