//! The demand that a worker's evidence is in the transparency log (docs/protocol.md P8).

use std::collections::HashMap;

use cocoon_attest::PeerIdentity;
use cocoon_node::{Node, log};
use cocoon_protocol::{Fault, FaultCode, Hash256, LogProof};
use cocoon_transparency::{LogState, evidence_digest, require_evidence};
use parking_lot::Mutex;

/// Certificates that are remembered: many times those of all workers that a proxy names at once.
const KEPT: usize = 1_024;

/// Evidence that this client has seen in the log. Nothing is ever taken out of a log, so once is enough for each certificate.
#[derive(Default)]
pub(crate) struct Logged(Mutex<HashMap<Hash256, LogProof>>);

impl Logged {
    /// The proof by which a certificate (DER) was found in the log.
    pub fn proof(&self, certificate: &[u8]) -> Option<LogProof> {
        self.0.lock().get(&evidence_digest(certificate)).cloned()
    }

    /// Checks that a worker's certificate is in the log as this client's own view of the chain has it, unless that was seen before.
    ///
    /// # Errors
    /// Says why this worker is not asked, and what can be done.
    pub fn check(
        &self,
        state: &LogState,
        worker: &PeerIdentity,
        certificate: &[u8],
        proof: Option<&LogProof>,
    ) -> Result<(), Fault> {
        let refuse =
            |why: String| Err(Fault::new(FaultCode::AttestationFailed, format!("worker {} {why}", worker.node_key)));
        let Some(proof) = proof else {
            return refuse(
                "does not show that its evidence is in the transparency log, which this client demands; use a proxy whose workers \
                 log theirs, or set demand_logged to false"
                    .to_owned(),
            );
        };
        let digest = evidence_digest(certificate);
        if let Err(error) = require_evidence(state, &worker.node_key, &digest, proof) {
            return refuse(format!(
                "does not show that its evidence {digest} is in the transparency log, which this client demands: {error}"
            ));
        }
        let mut known = self.0.lock();
        if known.len() >= KEPT {
            // What is forgotten is looked up again.
            known.clear();
        }
        known.insert(digest, proof.clone());
        Ok(())
    }
}

/// The log as the chain has it now: proven to this node, whatever the proxy and its workers say.
pub(crate) async fn state(node: &Node) -> Result<LogState, Fault> {
    log::read(&**node.chain(), node.registry_address()).await.map_err(|error| {
        let message = format!(
            "the transparency log cannot be read ({error}), and this client asks logged workers only; ask again"
        );
        Fault::new(FaultCode::AttestationFailed, message)
    })
}
