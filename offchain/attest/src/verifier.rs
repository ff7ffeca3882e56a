//! From a certificate to the identity of a peer.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cocoon_protocol::{GlobalId, Hash256, ImageId, NodePublicKey, Role, UnixSeconds};
use dcap_qvl::verify::QuoteVerifier;
use dcap_qvl::{QuotePolicy, TcbStatus};
use sha2::{Digest, Sha256};

use crate::claims::{Claims, check_shown};
use crate::clock::Clock;
use crate::collateral::{Collateral, CollateralProvider, Fmspc, RootHash};
use crate::error::AttestError;
use crate::evidence::{Evidence, MAX_CERTIFICATE, ParsedQuote};
use crate::measurements::{Measurements, image_id};
use crate::policy::{PlatformId, Policy, PolicyHandle};
use crate::signatures::Remembering;
use crate::staple::Learned;

/// Verified certificates that are remembered.
const CACHE_ENTRIES: usize = 1024;
/// How long a verified certificate is remembered, in seconds: a newly published revocation takes effect within this time.
const CACHE_SECONDS: u32 = 600;

/// What a quote proves once its signatures have been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedQuote {
    /// What runs in the trust domain.
    pub measurements: Measurements,
    /// Its identity in the registry.
    pub image: ImageId,
    /// The machine.
    pub platform: PlatformId,
    /// The root that certifies the machine.
    pub root: RootHash,
    /// State of the machine's firmware; [`TcbStatus::UpToDate`], or it would have been refused.
    pub tcb_status: TcbStatus,
    /// Age of the collateral, as the vendor numbers it.
    pub tcb_evaluation: u32,
    /// The collateral says nothing about later times.
    pub collateral_expires: UnixSeconds,
}

/// Who the peer is. Two certificates of one node give equal identities except for `valid_until`: never identify a peer
/// by the bytes of its certificate or quote, which anybody can vary (attack 72).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// What it does.
    pub role: Role,
    /// Its on-chain key.
    pub node_key: NodePublicKey,
    /// Its chain.
    pub network: GlobalId,
    /// Last second for which the evidence speaks.
    pub valid_until: UnixSeconds,
    /// What its quote proves; `None` for a client, and for nobody else.
    pub domain: Option<TrustDomain>,
}

/// What a quote proves of a peer: the trust domain that holds its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustDomain {
    /// What runs in it.
    pub image: ImageId,
    /// Its machine.
    pub platform: PlatformId,
    /// The root that certifies its machine.
    pub root: RootHash,
    /// State of its machine's firmware.
    pub tcb_status: TcbStatus,
    /// TCB evaluation number of the collateral that it was verified with.
    pub tcb_evaluation: u32,
    /// Digest of the evidence of its GPUs, which it then gives on request; `None` if it claims no attested GPU.
    pub gpu_evidence: Option<Hash256>,
}

impl PeerIdentity {
    /// What its quote proves.
    ///
    /// # Errors
    /// [`AttestError::NotAttested`]: it is a client, and shows none.
    pub fn attested(&self) -> Result<&TrustDomain, AttestError> {
        self.domain.as_ref().ok_or(AttestError::NotAttested)
    }
}

/// How much work a verifier did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifierStats {
    /// Quotes whose signatures were checked.
    pub verified: u64,
    /// Certificates answered from the cache.
    pub cached: u64,
    /// Fresh quotes that took one signature, because everything else in them was verified before.
    pub refreshed: u64,
}

/// A certificate that was found in order.
pub(crate) struct Verified {
    pub(crate) claims: Claims,
    /// `None` for a client.
    pub(crate) attested: Option<Attested>,
}

/// The quote in a certificate, verified.
pub(crate) struct Attested {
    pub(crate) quote: VerifiedQuote,
    pub(crate) parsed: ParsedQuote,
}

/// Results by certificate hash; bounded in number, each with an end.
struct Cache<T> {
    entries: HashMap<[u8; 32], (Arc<T>, UnixSeconds)>,
    order: VecDeque<[u8; 32]>,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new() }
    }
}

impl<T> Cache<T> {
    fn get(&self, certificate: &[u8; 32], now: UnixSeconds) -> Option<Arc<T>> {
        self.entries.get(certificate).filter(|(_, until)| now < *until).map(|(verified, _)| verified.clone())
    }

    fn put(&mut self, certificate: [u8; 32], verified: Arc<T>, until: UnixSeconds) {
        if self.entries.insert(certificate, (verified, until)).is_none() {
            self.order.push_back(certificate);
        }
        while self.order.len() > CACHE_ENTRIES {
            if let Some(oldest) = self.order.pop_front() {
                self.entries.remove(&oldest);
            }
        }
    }
}

/// Checks the evidence of peers.
///
/// Signatures are checked once per certificate and remembered for a bounded time; the policy is evaluated anew for every
/// connection, so that a change in the registry acts at once.
pub struct Verifier {
    policy: PolicyHandle,
    collateral: Arc<dyn CollateralProvider>,
    learned: Mutex<Learned>,
    clock: Arc<dyn Clock>,
    latest: AtomicU32,
    cache: Mutex<Cache<Verified>>,
    verified: AtomicU64,
    cached: AtomicU64,
    pub(crate) refreshed: AtomicU64,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("policy", &self.policy.current()).finish_non_exhaustive()
    }
}

impl Verifier {
    /// A verifier that follows the policy behind the handle.
    pub fn new(policy: PolicyHandle, collateral: Arc<dyn CollateralProvider>, clock: Arc<dyn Clock>) -> Self {
        Self {
            policy,
            collateral,
            learned: Mutex::default(),
            clock,
            latest: AtomicU32::new(0),
            cache: Mutex::default(),
            verified: AtomicU64::new(0),
            cached: AtomicU64::new(0),
            refreshed: AtomicU64::new(0),
        }
    }

    /// The policy that this verifier follows.
    pub fn policy(&self) -> &PolicyHandle {
        &self.policy
    }

    /// Chain time; it never runs backwards, so that rolling the clock back revives no expired evidence (attack 74).
    pub fn now(&self) -> UnixSeconds {
        let now = self.clock.now().0;
        UnixSeconds(self.latest.fetch_max(now, Ordering::Relaxed).max(now))
    }

    /// Counters since the start.
    pub fn stats(&self) -> VerifierStats {
        VerifierStats {
            verified: self.verified.load(Ordering::Relaxed),
            cached: self.cached.load(Ordering::Relaxed),
            refreshed: self.refreshed.load(Ordering::Relaxed),
        }
    }

    /// Checks a peer's certificate (DER). `roles`: which peers this connection is for.
    ///
    /// Proves that the evidence is genuine and allowed, not that the peer holds the keys in it: that is the handshake's part, and of
    /// a client there is nothing else to prove.
    pub fn verify(&self, certificate: &[u8], roles: &[Role]) -> Result<PeerIdentity, AttestError> {
        let now = self.now();
        let policy = self.policy.current();
        let verified = self.verified(certificate, roles, &policy, now)?;
        peer_of(&policy, &verified, roles, now)
    }

    /// The same with collateral that the peer handed over ([`Collateral::to_staple`]), which is looked at only if newer collateral than
    /// is known here could change the verdict. It is kept for other peers on platforms of the model once it has verified this one.
    pub fn verify_stapled(
        &self,
        certificate: &[u8],
        staple: &[u8],
        roles: &[Role],
    ) -> Result<PeerIdentity, AttestError> {
        match self.verify(certificate, roles) {
            // An empty staple is none.
            Err(error) if error.wants_collateral() && !staple.is_empty() => {}
            verdict => return verdict,
        }
        let (now, policy) = (self.now(), self.policy.current());
        // In this order work stays bounded (attack 75): what is large, malformed, foreign, old, or under another root costs no signature.
        let collateral = Arc::new(Collateral::from_staple(staple)?);
        let evidence = Evidence::from_certificate(certificate)?;
        let fmspc = evidence.attested()?.fmspc()?;
        match collateral.fmspc() {
            Some(got) if got == fmspc => {}
            Some(got) => return Err(AttestError::StapleForOtherModel { got, expected: fmspc }),
            None => return Err(AttestError::MalformedStaple { why: "its TCB info names no platform model".into() }),
        }
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner).newest(fmspc);
        if self.known(fmspc, now).iter().chain(&learned).any(|known| collateral.is_older_than(known)) {
            return Err(AttestError::StapleOlder { fmspc });
        }
        if let Some(evaluation) = collateral.evaluation() {
            policy.check_tcb_evaluation(evaluation)?;
        }
        let verified = self.verify_evidence(evidence, &collateral, &policy, now)?;
        let peer = peer_of(&policy, &verified, roles, now)?;
        self.remember(certificate, &verified, now);
        self.learned.lock().unwrap_or_else(PoisonError::into_inner).put(fmspc, collateral, now);
        Ok(peer)
    }

    /// What the certificate's signatures prove, from the cache if it is there.
    pub(crate) fn verified(
        &self,
        certificate: &[u8],
        roles: &[Role],
        policy: &Policy,
        now: UnixSeconds,
    ) -> Result<Arc<Verified>, AttestError> {
        if certificate.len() > MAX_CERTIFICATE {
            return Err(AttestError::CertificateTooLarge { size: certificate.len(), limit: MAX_CERTIFICATE });
        }
        let id: [u8; 32] = Sha256::digest(certificate).into();
        let hit = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(&id, now);
        if let Some(verified) = hit {
            self.cached.fetch_add(1, Ordering::Relaxed);
            return Ok(verified);
        }
        let evidence = Evidence::from_certificate(certificate)?;
        // The registry first: evidence that would be refused anyway must not cost signatures (attacks 71, 75).
        check_allowed(policy, &evidence, roles, now)?;
        let Some(quote) = &evidence.quote else {
            // Not remembered: it cost no signature, and clients, of which anybody can be many, would displace those whose did.
            return Ok(Arc::new(Verified { claims: evidence.claims, attested: None }));
        };
        let collateral = self.collateral_of(quote, policy, now)?;
        let verified = self.verify_evidence(evidence, &collateral, policy, now)?;
        self.remember(certificate, &verified, now);
        Ok(verified)
    }

    fn verify_evidence(
        &self,
        evidence: Evidence,
        collateral: &Collateral,
        policy: &Policy,
        now: UnixSeconds,
    ) -> Result<Arc<Verified>, AttestError> {
        let parsed = evidence.quote.ok_or(AttestError::NotAttested)?;
        let quote = self.verify_with(policy, &parsed, collateral, now)?;
        Ok(Arc::new(Verified { claims: evidence.claims, attested: Some(Attested { quote, parsed }) }))
    }

    fn remember(&self, certificate: &[u8], verified: &Arc<Verified>, now: UnixSeconds) {
        let Some(Attested { quote, .. }) = &verified.attested else { return };
        let until = now.plus(CACHE_SECONDS).min(quote.collateral_expires);
        let id = Sha256::digest(certificate).into();
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).put(id, verified.clone(), until);
    }

    /// Whether a peer that was accepted earlier would still be accepted, evidence's age aside. For live links after a
    /// change of the policy (attack 60).
    pub fn recheck(&self, peer: &PeerIdentity) -> Result<(), AttestError> {
        check_peer(&self.policy.current(), peer, self.now())
    }

    /// What the vendor says about the platform of this certificate (DER), for whoever checks it later and elsewhere.
    pub fn collateral(&self, certificate: &[u8]) -> Result<Arc<Collateral>, AttestError> {
        let evidence = Evidence::from_certificate(certificate)?;
        self.collateral_of(evidence.attested()?, &self.policy.current(), self.now())
    }

    /// The same by the platform's model, if something is known of it that speaks for this time and suffices for the registry.
    pub fn collateral_for(&self, fmspc: Fmspc) -> Option<Arc<Collateral>> {
        let now = self.now();
        self.best(fmspc, &self.policy.current(), now).filter(|c| self.is_fit(c, now))
    }

    /// The model of the platform that a certificate (DER) is from; read, not verified.
    pub fn platform_model(&self, certificate: &[u8]) -> Result<Fmspc, AttestError> {
        Evidence::from_certificate(certificate)?.attested()?.fmspc()
    }

    fn is_fit(&self, collateral: &Collateral, now: UnixSeconds) -> bool {
        collateral.is_fit(now, self.policy.current().min_tcb_evaluation())
    }

    /// Our own and what peers have handed over.
    fn known(&self, fmspc: Fmspc, now: UnixSeconds) -> Vec<Arc<Collateral>> {
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner).get(fmspc, now);
        self.collateral.collateral(fmspc, now).into_iter().chain(learned).collect()
    }

    /// What suffices, our own if it is not the older one.
    fn best(&self, fmspc: Fmspc, policy: &Policy, now: UnixSeconds) -> Option<Arc<Collateral>> {
        let least = policy.min_tcb_evaluation();
        self.known(fmspc, now).into_iter().reduce(|own, learned| {
            let better = match (own.is_fit(now, least), learned.is_fit(now, least)) {
                (true, true) => own.is_older_than(&learned) && !learned.is_older_than(&own),
                (own, learned) => learned && !own,
            };
            if better { learned } else { own }
        })
    }

    fn collateral_of(
        &self,
        parsed: &ParsedQuote,
        policy: &Policy,
        now: UnixSeconds,
    ) -> Result<Arc<Collateral>, AttestError> {
        let fmspc = parsed.fmspc()?;
        self.best(fmspc, policy, now).ok_or(AttestError::NoCollateral { fmspc })
    }

    /// Checks a bare quote over the given report data: its signatures up to an accepted root, the platform's TCB, and the
    /// policy's rules on platforms. The image is left to the caller.
    pub fn verify_quote(&self, quote: &[u8], report_data: &[u8; 64]) -> Result<VerifiedQuote, AttestError> {
        let policy = self.policy.current();
        let now = self.now();
        let verified = self.verify_parsed(&policy, &ParsedQuote::parse(quote.to_vec(), report_data)?, now)?;
        policy.check_platform(verified.platform, verified.tcb_evaluation)?;
        Ok(verified)
    }

    pub(crate) fn verify_parsed(
        &self,
        policy: &Policy,
        parsed: &ParsedQuote,
        now: UnixSeconds,
    ) -> Result<VerifiedQuote, AttestError> {
        let collateral = self.collateral_of(parsed, policy, now)?;
        self.verify_with(policy, parsed, &collateral, now)
    }

    fn verify_with(
        &self,
        policy: &Policy,
        parsed: &ParsedQuote,
        collateral: &Collateral,
        now: UnixSeconds,
    ) -> Result<VerifiedQuote, AttestError> {
        let root = collateral.root();
        policy.check_root(root)?;
        let (from, until) = collateral.validity().map_err(|e| AttestError::QuoteRejected { why: e.to_string() })?;
        if !(from..=until).contains(&now) {
            return Err(AttestError::CollateralOutOfDate { from, until, now });
        }
        self.verified.fetch_add(1, Ordering::Relaxed);
        // Not `verify()`: it returns Ok for platforms whose firmware is out of date (attack 63).
        let claims = QuoteVerifier::<Remembering>::new_with_config(collateral.root_der().to_vec())
            .verify_with_policy(&parsed.raw, collateral.data(), u64::from(now.0), &platform_rules(now))
            .map_err(|e| AttestError::QuoteRejected { why: format!("{e:#}") })?;
        Ok(VerifiedQuote {
            image: image_id(&parsed.measurements),
            measurements: parsed.measurements.clone(),
            platform: PlatformId::of_ppid(&claims.platform.pck.ppid),
            root,
            tcb_status: claims.tcb.status,
            tcb_evaluation: claims.tcb.eval_data_number,
            // The library's date takes certificates into account as well.
            collateral_expires: UnixSeconds(u32::try_from(claims.earliest_expiration_date).unwrap_or(u32::MAX))
                .min(until),
        })
    }
}

/// What every platform must fulfil. The three allowances are what today's servers report in normal operation: several packages,
/// registered keys, hyper-threading.
pub(crate) fn platform_rules(now: UnixSeconds) -> QuotePolicy {
    QuotePolicy::strict(u64::from(now.0)).allow_dynamic_platform(true).allow_cached_keys(true).allow_smt(true)
}

fn check_claims(policy: &Policy, claims: &Claims, roles: &[Role], now: UnixSeconds) -> Result<(), AttestError> {
    policy.check_network(claims.network)?;
    if !roles.contains(&claims.role) {
        return Err(AttestError::WrongRole { got: claims.role, expected: roles.to_vec() });
    }
    claims.check_window(now)
}

/// What can be decided about evidence without a signature.
fn check_allowed(policy: &Policy, evidence: &Evidence, roles: &[Role], now: UnixSeconds) -> Result<(), AttestError> {
    check_claims(policy, &evidence.claims, roles, now)?;
    match &evidence.quote {
        Some(quote) => policy.check_image(evidence.claims.role, image_id(&quote.measurements), now),
        None => Ok(()),
    }
}

/// Who that is, if the policy of this moment allows it.
fn peer_of(
    policy: &Policy,
    verified: &Verified,
    roles: &[Role],
    now: UnixSeconds,
) -> Result<PeerIdentity, AttestError> {
    let claims = &verified.claims;
    check_claims(policy, claims, roles, now)?;
    let quote = verified.attested.as_ref().map(|attested| &attested.quote);
    let domain = quote.map(|quote| TrustDomain {
        image: quote.image,
        platform: quote.platform,
        root: quote.root,
        tcb_status: quote.tcb_status,
        tcb_evaluation: quote.tcb_evaluation,
        gpu_evidence: claims.gpu_evidence,
    });
    let peer = PeerIdentity {
        role: claims.role,
        node_key: claims.node_key,
        network: claims.network,
        valid_until: quote.map_or(claims.not_after, |quote| claims.not_after.min(quote.collateral_expires)),
        domain,
    };
    check_peer(policy, &peer, now)?;
    Ok(peer)
}

fn check_peer(policy: &Policy, peer: &PeerIdentity, now: UnixSeconds) -> Result<(), AttestError> {
    policy.check_network(peer.network)?;
    check_shown(peer.role, peer.domain.is_some())?;
    let Some(domain) = &peer.domain else { return Ok(()) };
    policy.check_root(domain.root)?;
    policy.check_image(peer.role, domain.image, now)?;
    policy.check_platform(domain.platform, domain.tcb_evaluation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_72_ever_new_certificates_do_not_fill_memory() {
        let mut cache = Cache::default();
        let id = |i: u32| <[u8; 32]>::from(Sha256::digest(i.to_le_bytes()));
        for i in 0..3000 {
            cache.put(id(i), Arc::new(i), UnixSeconds(100));
            cache.put(id(i), Arc::new(i), UnixSeconds(100));
        }
        assert_eq!((cache.entries.len(), cache.order.len()), (CACHE_ENTRIES, CACHE_ENTRIES));
        assert_eq!(cache.get(&id(2999), UnixSeconds(99)).as_deref(), Some(&2999));
        assert_eq!(cache.get(&id(2999), UnixSeconds(100)), None, "results end");
        assert_eq!(cache.get(&id(0), UnixSeconds(0)), None, "the oldest went first");
    }
}
