//! What the registry allows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use cocoon_protocol::{GlobalId, Hash256, ImageId, Role, UnixSeconds};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::collateral::RootHash;
use crate::error::AttestError;

/// The identity of one machine: SHA-256 over `"cocoon-platform-v1\0"` and the PPID in its PCK certificate. The PPID itself
/// stays off the chain, because it is a serial number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PlatformId(pub Hash256);

impl PlatformId {
    /// The id of the platform with this PPID.
    pub fn of_ppid(ppid: &[u8]) -> Self {
        Self(Hash256(Sha256::new().chain_update(b"cocoon-platform-v1\0").chain_update(ppid).finalize().into()))
    }
}

impl fmt::Display for PlatformId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// When an approved image may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageWindow {
    /// First second.
    pub active_from: UnixSeconds,
    /// First second at which it may not be used any more, once it is deprecated.
    pub sunset: Option<UnixSeconds>,
}

impl ImageWindow {
    /// From the beginning of time, with no end.
    pub const ALWAYS: Self = Self { active_from: UnixSeconds(0), sunset: None };
}

/// What a verifier demands, as the registry says it. The caller builds it from proven chain state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    network: GlobalId,
    roots: BTreeSet<RootHash>,
    images: BTreeMap<(Role, ImageId), ImageWindow>,
    min_tcb_evaluation: u32,
    banned_platforms: BTreeSet<PlatformId>,
}

impl Policy {
    /// A policy that allows nobody yet.
    pub fn new(network: GlobalId) -> Self {
        Self {
            network,
            roots: BTreeSet::new(),
            images: BTreeMap::new(),
            min_tcb_evaluation: 0,
            banned_platforms: BTreeSet::new(),
        }
    }

    /// The chain that this policy was read from.
    pub fn network(&self) -> GlobalId {
        self.network
    }

    /// Allows platforms certified under a root. Without effect on mainnet and testnet: see [`Policy::accepts_root`].
    pub fn allow_root(&mut self, root: RootHash) {
        self.roots.insert(root);
    }

    /// Approves an image for a role.
    pub fn allow_image(&mut self, role: Role, image: ImageId, window: ImageWindow) {
        self.images.insert((role, image), window);
    }

    /// Withdraws the approval of an image for a role.
    pub fn revoke_image(&mut self, role: Role, image: ImageId) {
        self.images.remove(&(role, image));
    }

    /// Demands collateral of at least this TCB evaluation number.
    pub fn require_tcb_evaluation(&mut self, least: u32) {
        self.min_tcb_evaluation = least;
    }

    /// The least TCB evaluation number that collateral must have.
    pub(crate) fn min_tcb_evaluation(&self) -> u32 {
        self.min_tcb_evaluation
    }

    /// Refuses a platform.
    pub fn ban_platform(&mut self, platform: PlatformId) {
        self.banned_platforms.insert(platform);
    }

    /// Whether platforms under this root are accepted. On mainnet and testnet only Intel's is, whatever the registry says:
    /// a governance mistake must not admit a simulated platform where money is real (attack 66).
    pub fn accepts_root(&self, root: RootHash) -> bool {
        match self.network {
            GlobalId::MAINNET | GlobalId::TESTNET => root == RootHash::intel(),
            _ => self.roots.contains(&root),
        }
    }

    pub(crate) fn check_root(&self, root: RootHash) -> Result<(), AttestError> {
        if self.accepts_root(root) { Ok(()) } else { Err(AttestError::RootNotAllowed { root, network: self.network }) }
    }

    pub(crate) fn check_network(&self, got: GlobalId) -> Result<(), AttestError> {
        if got == self.network { Ok(()) } else { Err(AttestError::WrongNetwork { got, expected: self.network }) }
    }

    /// Whether an image may act in a role at a time (attacks 48, 60).
    pub fn check_image(&self, role: Role, image: ImageId, now: UnixSeconds) -> Result<(), AttestError> {
        let window = self.images.get(&(role, image)).ok_or(AttestError::ImageNotApproved { image, role })?;
        if now < window.active_from || window.sunset.is_some_and(|sunset| now >= sunset) {
            return Err(AttestError::ImageNotActive {
                image,
                active_from: window.active_from,
                sunset: window.sunset,
                now,
            });
        }
        Ok(())
    }

    /// Whether an image may act in some role at a time, for evidence that names no role. Otherwise the reason of the role that comes
    /// closest: one for which it is approved, if there is any.
    pub(crate) fn check_image_in_any_role(&self, image: ImageId, now: UnixSeconds) -> Result<Role, AttestError> {
        let verdict = |role| self.check_image(role, image, now).map(|()| role);
        let verdicts = [Role::Worker, Role::Proxy, Role::Client].map(verdict);
        let inactive = |v: &&Result<Role, AttestError>| matches!(v, Err(AttestError::ImageNotActive { .. }));
        let found = verdicts.iter().find(|v| v.is_ok()).or_else(|| verdicts.iter().find(inactive));
        found.or(verdicts.first()).cloned().unwrap_or(Err(AttestError::ImageNotApproved { image, role: Role::Worker }))
    }

    pub(crate) fn check_platform(&self, platform: PlatformId, tcb_evaluation: u32) -> Result<(), AttestError> {
        self.check_ban(platform)?;
        self.check_tcb_evaluation(tcb_evaluation)
    }

    pub(crate) fn check_ban(&self, platform: PlatformId) -> Result<(), AttestError> {
        if self.banned_platforms.contains(&platform) {
            return Err(AttestError::PlatformBanned { platform });
        }
        Ok(())
    }

    pub(crate) fn check_tcb_evaluation(&self, got: u32) -> Result<(), AttestError> {
        if got < self.min_tcb_evaluation {
            return Err(AttestError::TcbEvaluationTooLow { got, least: self.min_tcb_evaluation });
        }
        Ok(())
    }
}

/// The policy in force, shared by every verifier and link of a process. Updating it re-checks live links.
#[derive(Clone, Debug)]
pub struct PolicyHandle(Arc<watch::Sender<Arc<Policy>>>);

impl PolicyHandle {
    /// A handle on a first policy.
    pub fn new(policy: Policy) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(policy))))
    }

    /// The policy in force.
    pub fn current(&self) -> Arc<Policy> {
        self.0.borrow().clone()
    }

    /// Puts a policy in force; tells nobody when nothing changed.
    pub fn update(&self, policy: Policy) {
        self.0.send_if_modified(|current| {
            let changed = **current != policy;
            if changed {
                *current = Arc::new(policy);
            }
            changed
        });
    }

    /// Hears of changes.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Policy>> {
        self.0.subscribe()
    }
}
