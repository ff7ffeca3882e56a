//! Who is at the other end, proven by hardware; a client by its key alone.
//!
//! A node holds a short-lived certificate whose one extension carries a TDX quote and the claims that the quote signs
//! (docs/protocol.md P1.1): the TLS key, the on-chain node key, the role, the network and a validity window. A
//! [`Verifier`] turns such a certificate into a [`PeerIdentity`] or an [`AttestError`] that says what was wrong.
//!
//! * [`Measurements`], [`image_id`]: what runs inside a trust domain, and its identity in the registry;
//! * [`Quoter`]: where quotes come from: [`TsmQuoter`] in a real guest, [`sim::SimQuoter`] on a developer's machine;
//! * [`Identity`], [`issue_identity`], [`issue_client_identity`]: a certificate with its keys;
//! * [`TrustDomain`]: what a quote proves of a peer, and what no client has;
//! * [`Policy`], [`PolicyHandle`]: what the registry allows, exchanged while links live;
//! * [`appraise_quote`], [`appraise_certificate`]: every rule with its outcome, for people who ask why;
//! * [`Collateral`], [`CollateralProvider`]: what the hardware vendor says about platforms;
//! * [`Collateral::to_staple`], [`Verifier::verify_stapled`]: the same handed over by the peer, for verifiers without a network;
//! * [`sim`]: a simulated platform under its **own root**, checked by the same verifier. Mainnet and testnet accept only
//!   Intel's root, in code. Nothing here turns verification off.
//!
//! ```
//! use std::sync::Arc;
//! use cocoon_attest::{sim::Simulator, *};
//! use cocoon_protocol::{GlobalId, NodeKey, Role, UnixSeconds};
//!
//! let now = UnixSeconds(1_800_000_000);
//! let vendor = Arc::new(Simulator::from_seed(&[1; 32])?);
//! let measurements = Measurements::simulated(b"worker image");
//! let quoter = vendor.platform(0)?.quoter(measurements.clone());
//!
//! let mut policy = Policy::new(GlobalId::DEVNET);
//! policy.allow_root(vendor.root());
//! policy.allow_image(Role::Worker, image_id(&measurements), ImageWindow::ALWAYS);
//! let verifier = Verifier::new(PolicyHandle::new(policy), vendor.clone(), Arc::new(move || now));
//!
//! let key = NodeKey::from_seed(&[2; 32]);
//! let identity = issue_identity(&quoter, &key, &IdentityRequest::new(Role::Worker, GlobalId::DEVNET, now))?;
//! let peer = verifier.verify(identity.certificate(), &[Role::Worker])?;
//! assert_eq!(peer.node_key, key.public());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod appraisal;
#[cfg(test)]
mod appraisal_tests;
#[cfg(test)]
mod attacks;
mod claims;
#[cfg(test)]
mod client_tests;
mod clock;
mod collateral;
mod error;
mod evidence;
mod fresh;
mod identity;
mod measurements;
pub mod pccs;
mod policy;
mod policy_file;
mod quoter;
mod signatures;
pub mod sim;
mod staple;
#[cfg(test)]
mod staple_tests;
mod verifier;

pub use appraisal::{Appraisal, Demands, Genuine, ImageDemand, Outcome, Rule, appraise_certificate, appraise_quote};
pub use claims::{CLAIMS_VERSION, Claims, MAX_WINDOW_SECONDS, is_attested, report_data};
pub use clock::Clock;
pub use collateral::{
    Collateral, CollateralError, CollateralProvider, CollateralStore, Fmspc, INTEL_ROOT_DER, RootHash,
};
pub use dcap_qvl::TcbStatus;
pub use error::AttestError;
pub use evidence::{EVIDENCE_TAG, MAX_CERTIFICATE, OID_EVIDENCE};
pub use identity::{
    Identity, IdentityHandle, IdentityRequest, IssueError, issue_client_identity, issue_identity,
    issue_identity_with_gpus,
};
pub use measurements::{Measurements, TdAttribute, image_id};
pub use policy::{ImageWindow, PlatformId, Policy, PolicyHandle};
pub use policy_file::PolicyFileError;
pub use quoter::{Quoter, QuoterError, TsmQuoter};
pub use staple::MAX_STAPLE;
pub use verifier::{PeerIdentity, TrustDomain, VerifiedQuote, Verifier, VerifierStats};
