//! A simulated TDX platform: the hardware vendor, its machines, and their quotes.
//!
//! Everything a real quote needs is here in the same structures: a root, the CA of platform certificates, a certificate per
//! machine with its serial number and firmware versions, signed TCB levels and quoting-enclave identity, revocation lists,
//! an attestation key certified by a quoting-enclave report, and the quote itself. The unmodified verifier checks it all,
//! under this vendor's **own root**, which the policy of a development network names. It is never a way around a check: on
//! mainnet and testnet the root is refused in code (attack 66).
//!
//! A vendor is a function of its 32-byte seed: keep the seed to have the same root again. The seed makes every machine's
//! keys, so a simulated network is worth nothing to anybody who has it.

mod collateral;
mod key;
mod pki;
mod quote;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use cocoon_protocol::UnixSeconds;

use crate::collateral::{Collateral, CollateralProvider, Fmspc, RootHash};
use crate::measurements::Measurements;
use crate::policy::PlatformId;
use crate::quoter::{Quoter, QuoterError};
use key::SimKey;
use pki::Authority;

/// The model of simulated machines: ASCII `COCOON`.
pub const SIM_FMSPC: Fmspc = Fmspc(*b"COCOON");
/// TCB evaluation number that the simulated vendor publishes at present.
pub const SIM_TCB_EVALUATION: u32 = 20;
/// Collateral is published daily and speaks for this long.
const COLLATERAL_SECONDS: u32 = 30 * DAY;
const DAY: u32 = 86_400;

/// The simulated vendor cannot make what was asked.
#[derive(Debug, thiserror::Error)]
#[error("simulated platform: {what}: {why}")]
pub struct SimError {
    what: &'static str,
    why: String,
}

impl SimError {
    fn of<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> Self {
        move |e| Self { what, why: e.to_string() }
    }
}

/// State of a machine's firmware, as the vendor will judge it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum SimTcb {
    /// Up to date.
    #[default]
    Current,
    /// Known weaknesses are not fixed.
    Outdated,
    /// The machine's keys are known to have leaked.
    Revoked,
}

impl SimTcb {
    /// The version number of each firmware component.
    const fn svn(self) -> u8 {
        match self {
            Self::Current => 7,
            Self::Outdated => 4,
            Self::Revoked => 1,
        }
    }
}

/// Form of the quotes of a trust domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum QuoteVersion {
    /// Version 4.
    #[default]
    V4,
    /// Version 5 around the same report.
    V5,
    /// Version 5 around a report 1.5, which modules give that can be updated while domains run.
    V5Td15,
}

/// What the vendor publishes: vary it to see evidence refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Publication {
    /// Start of validity.
    pub issued: UnixSeconds,
    /// Length of validity, in seconds.
    pub lifetime: u32,
    /// TCB evaluation number.
    pub tcb_evaluation: u32,
}

impl Publication {
    /// What is published on the day of `now`.
    pub fn on_day_of(now: UnixSeconds) -> Self {
        Self {
            issued: UnixSeconds(now.0 - now.0 % DAY),
            lifetime: COLLATERAL_SECONDS,
            tcb_evaluation: SIM_TCB_EVALUATION,
        }
    }
}

/// The simulated hardware vendor.
pub struct Simulator {
    seed: [u8; 32],
    root: Authority,
    platform_ca: Authority,
    tcb_signer: Authority,
    root_hash: RootHash,
    revoked: Mutex<BTreeSet<u32>>,
    published: Mutex<BTreeMap<UnixSeconds, Arc<Collateral>>>,
}

impl Simulator {
    /// The vendor of a seed.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, SimError> {
        let root = Authority::root(SimKey::derive(seed, "root", 0)?)?;
        let platform_ca = root.intermediate(SimKey::derive(seed, "platform CA", 0)?)?;
        let tcb_signer = root.signer(SimKey::derive(seed, "TCB signer", 0)?)?;
        let root_hash = RootHash::of_certificate(root.der()).map_err(SimError::of("root"))?;
        Ok(Self {
            seed: *seed,
            root,
            platform_ca,
            tcb_signer,
            root_hash,
            revoked: Mutex::default(),
            published: Mutex::default(),
        })
    }

    /// The root, as a policy names it.
    pub fn root(&self) -> RootHash {
        self.root_hash
    }

    /// Machine number `index`, in good order.
    pub fn platform(&self, index: u32) -> Result<SimPlatform, SimError> {
        self.platform_with(index, SimTcb::Current)
    }

    /// Machine number `index` with firmware of the given state.
    pub fn platform_with(&self, index: u32, tcb: SimTcb) -> Result<SimPlatform, SimError> {
        let pck_key = SimKey::derive(&self.seed, "PCK", index)?;
        let ppid = pki::ppid(&self.seed, index);
        let pck = self.platform_ca.platform(&pck_key, index, &ppid, tcb.svn())?;
        let chain = [pck.as_str(), self.platform_ca.pem(), self.root.pem()].concat();
        Ok(SimPlatform {
            pck_key,
            attestation_key: SimKey::derive(&self.seed, "attestation", index)?,
            chain,
            ppid,
            svn: tcb.svn(),
            rogue: false,
        })
    }

    /// Puts machine number `index` on the revocation list of everything published from now on.
    pub fn revoke_platform(&self, index: u32) {
        self.revoked.lock().unwrap_or_else(PoisonError::into_inner).insert(index);
        self.published.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Collateral for [`SIM_FMSPC`].
    pub fn publish(&self, publication: &Publication) -> Result<Collateral, SimError> {
        let revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        collateral::publish(self, publication, &revoked)
    }
}

impl CollateralProvider for Simulator {
    /// What the vendor published on the day of `now`.
    fn collateral(&self, fmspc: Fmspc, now: UnixSeconds) -> Option<Arc<Collateral>> {
        if fmspc != SIM_FMSPC {
            return None;
        }
        let publication = Publication::on_day_of(now);
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(collateral) = published.get(&publication.issued) {
            return Some(collateral.clone());
        }
        let collateral = Arc::new(self.publish(&publication).ok()?);
        // Yesterday's is of no use once today's exists.
        published.clear();
        published.insert(publication.issued, collateral.clone());
        Some(collateral)
    }
}

/// A simulated machine.
#[derive(Clone)]
pub struct SimPlatform {
    pck_key: SimKey,
    attestation_key: SimKey,
    chain: String,
    ppid: [u8; 16],
    svn: u8,
    rogue: bool,
}

impl SimPlatform {
    /// The id under which the registry can ban it.
    pub fn id(&self) -> PlatformId {
        PlatformId::of_ppid(&self.ppid)
    }

    /// The same machine with a quoting enclave that the vendor did not sign (attack 73).
    pub fn with_rogue_quoting_enclave(mut self) -> Self {
        self.rogue = true;
        self
    }

    /// A trust domain with these measurements on this machine.
    pub fn quoter(&self, measurements: Measurements) -> SimQuoter {
        SimQuoter { platform: self.clone(), version: QuoteVersion::default(), measurements }
    }
}

/// Makes quotes for one simulated trust domain.
#[derive(Clone)]
pub struct SimQuoter {
    platform: SimPlatform,
    version: QuoteVersion,
    measurements: Measurements,
}

impl SimQuoter {
    /// The same with quotes of another version.
    #[must_use]
    pub fn version(self, version: QuoteVersion) -> Self {
        Self { version, ..self }
    }
}

impl Quoter for SimQuoter {
    fn quote(&self, report_data: &[u8; 64]) -> Result<Vec<u8>, QuoterError> {
        quote::quote(&self.platform, self.version, &self.measurements, report_data)
            .map_err(|e| QuoterError::Simulator { why: e.to_string() })
    }
}
