//! Collateral on its way from one node to another, so that a verifier needs no network of its own.
//!
//! A staple is data, not trust: all that it says is signed under the vendor's root and checked with the quote, by block time, as if it
//! had come from the vendor's service. What remains is its age. The vendor signs each part for some weeks, and a peer may hand over the
//! oldest that still speaks, from before its platform was revoked. So the verifier asks only when it has nothing fit of its own, takes
//! nothing that is older in any part than what it has seen, relies on what peers say for a day only, and the registry's minimum TCB
//! evaluation number bounds the rest.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ciborium::Value;
use cocoon_protocol::UnixSeconds;
use dcap_qvl::QuoteCollateralV3;

use crate::claims::to_cbor;
use crate::collateral::{Collateral, Fmspc};
use crate::error::AttestError;

/// Largest staple that is read, in bytes. Intel's collateral makes some 10 to 14 KB.
pub const MAX_STAPLE: usize = 32 * 1024;
/// Version of the encoding.
const VERSION: u64 = 1;
/// Platform models of which staples are kept; there are some dozens in the world.
const MODELS: usize = 64;
/// How long what a peer handed over counts; then peers are asked again, and what they have must not be older.
const LEARNED_SECONDS: u32 = 86_400;

fn malformed(why: impl ToString) -> AttestError {
    AttestError::MalformedStaple { why: why.to_string() }
}

impl Collateral {
    /// For a peer: a CBOR array of the version and the parts, in one encoding. The chain of the enclave identity's signer is null where
    /// it is that of the TCB levels'. A platform's own certificates are in its quotes, and not in here.
    pub fn to_staple(&self) -> Vec<u8> {
        let data = self.data();
        let bytes = |bytes: &[u8]| Value::from(bytes);
        let text = |text: &str| Value::from(text);
        let same = data.qe_identity_issuer_chain == data.tcb_info_issuer_chain;
        to_cbor(&Value::Array(vec![
            Value::from(VERSION),
            text(&data.pck_crl_issuer_chain),
            bytes(&data.root_ca_crl),
            bytes(&data.pck_crl),
            text(&data.tcb_info_issuer_chain),
            text(&data.tcb_info),
            bytes(&data.tcb_info_signature),
            if same { Value::Null } else { text(&data.qe_identity_issuer_chain) },
            text(&data.qe_identity),
            bytes(&data.qe_identity_signature),
        ]))
    }

    /// The reverse of [`Collateral::to_staple`], for bytes from anybody. Nothing is verified but the form.
    pub fn from_staple(staple: &[u8]) -> Result<Self, AttestError> {
        if staple.len() > MAX_STAPLE {
            return Err(AttestError::StapleTooLarge { size: staple.len(), limit: MAX_STAPLE });
        }
        let wrong =
            || malformed("not [1, chain, root CRL, PCK CRL, chain, TCB info, signature, chain, identity, signature]");
        let Value::Array(items) = ciborium::from_reader::<Value, _>(staple).map_err(malformed)? else {
            return Err(wrong());
        };
        let parts = <[Value; 10]>::try_from(items).map_err(|_| wrong())?;
        let [version, pck_chain, root_crl, pck_crl, tcb_chain, tcb_info, tcb_signature, qe_chain, qe, qe_signature] =
            parts;
        if version != Value::from(VERSION) {
            return Err(malformed(format!("it is not of version {VERSION}")));
        }
        let text = |value: Value| value.into_text().map_err(|_| wrong());
        let bytes = |value: Value| value.into_bytes().map_err(|_| wrong());
        let tcb_info_issuer_chain = text(tcb_chain)?;
        let collateral = Self::new(QuoteCollateralV3 {
            pck_crl_issuer_chain: text(pck_chain)?,
            root_ca_crl: bytes(root_crl)?,
            pck_crl: bytes(pck_crl)?,
            qe_identity_issuer_chain: if qe_chain.is_null() { tcb_info_issuer_chain.clone() } else { text(qe_chain)? },
            tcb_info_issuer_chain,
            tcb_info: text(tcb_info)?,
            tcb_info_signature: bytes(tcb_signature)?,
            qe_identity: text(qe)?,
            qe_identity_signature: bytes(qe_signature)?,
            pck_certificate_chain: None,
        })
        .map_err(malformed)?;
        // One encoding only, so that nothing rides along.
        if collateral.to_staple() == staple { Ok(collateral) } else { Err(malformed("it is not in its one encoding")) }
    }
}

/// Collateral that peers handed over and that has verified a quote; the newest of each model, for a bounded number of models.
#[derive(Default)]
pub(crate) struct Learned {
    known: HashMap<Fmspc, (Arc<Collateral>, UnixSeconds)>,
    order: VecDeque<Fmspc>,
}

impl Learned {
    /// What is relied upon.
    pub fn get(&self, fmspc: Fmspc, now: UnixSeconds) -> Option<Arc<Collateral>> {
        let known = self.known.get(&fmspc).filter(|(_, since)| now <= since.plus(LEARNED_SECONDS));
        known.map(|(collateral, _)| collateral.clone())
    }

    /// What was ever learned, to hold others against.
    pub fn newest(&self, fmspc: Fmspc) -> Option<Arc<Collateral>> {
        self.known.get(&fmspc).map(|(collateral, _)| collateral.clone())
    }

    /// Keeps collateral that has verified a quote of this model and is not older than what was learned before.
    pub fn put(&mut self, fmspc: Fmspc, collateral: Arc<Collateral>, now: UnixSeconds) {
        match self.known.get_mut(&fmspc) {
            // Another connection has brought newer meanwhile.
            Some((known, _)) if collateral.is_older_than(known) => {}
            Some(known) => *known = (collateral, now),
            None => {
                self.known.insert(fmspc, (collateral, now));
                self.order.push_back(fmspc);
            }
        }
        while self.order.len() > MODELS {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}
