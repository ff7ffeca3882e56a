//! What a node claims inside its evidence, and how a quote is bound to it.

use ciborium::Value;
use cocoon_protocol::{GlobalId, Hash256, NodePublicKey, Role, UnixSeconds};
use sha2::{Digest, Sha512};

use crate::error::AttestError;

/// Version of the claims.
pub const CLAIMS_VERSION: u64 = 1;
/// Longest validity window that a verifier accepts: a day.
pub const MAX_WINDOW_SECONDS: u32 = 86_400;
/// Largest encoding that is read; the present one has 150 bytes.
const MAX_CLAIMS: usize = 1024;
/// Domain separation of [`report_data`].
const REPORT_DOMAIN: &[u8] = b"cocoon-ra-tls-v1\0";

/// What a node says about itself: a trust domain has it signed by the platform, a client has nobody sign it.
///
/// Encoded as a CBOR map with the integer keys 0 to 7, and 8 if there are GPUs, in this order, deterministic (RFC 8949 §4.2): `0`
/// version, `1` SHA-384 of the certificate's SubjectPublicKeyInfo, `2` not before, `3` not after, `4` role, `5` network, `6` node
/// key, `7` masterchain seqno known when the claims were made, `8` digest of the GPU evidence. Other encodings of the same claims,
/// and other keys, are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// SHA-384 of the DER SubjectPublicKeyInfo of the TLS key.
    pub spki_sha384: [u8; 48],
    /// First second of validity, chain time.
    pub not_before: UnixSeconds,
    /// Last second of validity, chain time.
    pub not_after: UnixSeconds,
    /// What the node does.
    pub role: Role,
    /// The chain it belongs to.
    pub network: GlobalId,
    /// The on-chain key of the node; made inside the trust domain.
    pub node_key: NodePublicKey,
    /// The last masterchain block that the node had proven; informative.
    pub anchor_seqno: u32,
    /// Digest of the evidence of the node's GPUs (docs/attestation.md); `None` if it claims none.
    pub gpu_evidence: Option<Hash256>,
}

/// The 64 bytes of a quote's report data: SHA-512 over `"cocoon-ra-tls-v1\0"` and the encoded claims.
pub fn report_data(encoded_claims: &[u8]) -> [u8; 64] {
    Sha512::new().chain_update(REPORT_DOMAIN).chain_update(encoded_claims).finalize().into()
}

/// Whether a node of this role runs in a trust domain and shows its quotes. A client does not: it proves that it holds its node key,
/// and is believed nothing else.
pub const fn is_attested(role: Role) -> bool {
    !matches!(role, Role::Client)
}

/// The one rule on who shows quotes: a client never, everybody else always (attack 70).
pub(crate) const fn check_shown(role: Role, quote: bool) -> Result<(), AttestError> {
    match (is_attested(role), quote) {
        (true, false) => Err(AttestError::NoQuote { role }),
        (false, true) => Err(AttestError::QuoteOfClient),
        (true, true) | (false, false) => Ok(()),
    }
}

pub(crate) fn malformed(why: impl ToString) -> AttestError {
    AttestError::MalformedEvidence { why: why.to_string() }
}

/// CBOR bytes of a value. Writing to memory cannot fail.
pub(crate) fn to_cbor(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let written = ciborium::into_writer(value, &mut out);
    debug_assert!(written.is_ok());
    out
}

impl Claims {
    /// Deterministic CBOR.
    pub fn encode(&self) -> Vec<u8> {
        let values = [
            Value::from(CLAIMS_VERSION),
            Value::from(self.spki_sha384.as_slice()),
            Value::from(self.not_before.0),
            Value::from(self.not_after.0),
            Value::from(self.role.code()),
            Value::from(self.network.0),
            Value::from(self.node_key.as_bytes().as_slice()),
            Value::from(self.anchor_seqno),
        ];
        let gpu_evidence = self.gpu_evidence.map(|digest| Value::from(digest.0.as_slice()));
        to_cbor(&Value::Map((0u64..).map(Value::from).zip(values.into_iter().chain(gpu_evidence)).collect()))
    }

    /// Reads claims; refuses anything that [`Claims::encode`] would not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, AttestError> {
        if bytes.len() > MAX_CLAIMS {
            return Err(malformed(format!("claims of {} bytes", bytes.len())));
        }
        let Value::Map(map) =
            ciborium::from_reader::<Value, _>(bytes).map_err(|e| malformed(format!("claims: {e}")))?
        else {
            return Err(malformed("claims are not a map"));
        };
        let claim = |key: u64| {
            let found = map.iter().find(|(k, _)| *k == Value::from(key));
            found.map(|(_, v)| v).ok_or_else(|| malformed(format!("claim {key} is missing")))
        };
        let wrong = |key: u64| move || malformed(format!("claim {key} has a wrong type or range"));
        let number = |key: u64| claim(key)?.as_integer().ok_or_else(wrong(key));
        let u32_of = |key: u64| u32::try_from(number(key)?).map_err(|_| wrong(key)());
        let bytes_of = |key: u64| claim(key)?.as_bytes().map(Vec::as_slice).ok_or_else(wrong(key));

        if number(0)? != CLAIMS_VERSION.into() {
            return Err(malformed(format!("claims are not of version {CLAIMS_VERSION}")));
        }
        let role = u8::try_from(number(4)?).ok().and_then(Role::from_code).ok_or_else(wrong(4))?;
        let node_key: &[u8; 32] = bytes_of(6)?.try_into().map_err(|_| wrong(6)())?;
        let gpu_evidence = match map.iter().any(|(key, _)| *key == Value::from(8)) {
            true => Some(Hash256(bytes_of(8)?.try_into().map_err(|_| wrong(8)())?)),
            false => None,
        };
        let claims = Self {
            spki_sha384: bytes_of(1)?.try_into().map_err(|_| wrong(1)())?,
            not_before: UnixSeconds(u32_of(2)?),
            not_after: UnixSeconds(u32_of(3)?),
            role,
            network: GlobalId(i32::try_from(number(5)?).map_err(|_| wrong(5)())?),
            node_key: NodePublicKey::from_bytes(node_key).map_err(malformed)?,
            anchor_seqno: u32_of(7)?,
            gpu_evidence,
        };
        if claims.encode() != bytes {
            return Err(malformed("claims are not in their one deterministic encoding"));
        }
        Ok(claims)
    }

    /// Refuses claims that are not for this time.
    pub(crate) fn check_window(&self, now: UnixSeconds) -> Result<(), AttestError> {
        let seconds = self.not_after.0.saturating_sub(self.not_before.0);
        if seconds > MAX_WINDOW_SECONDS {
            return Err(AttestError::WindowTooLong { seconds, limit: MAX_WINDOW_SECONDS });
        }
        if now < self.not_before || now > self.not_after {
            return Err(AttestError::OutsideWindow { not_before: self.not_before, not_after: self.not_after, now });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use cocoon_protocol::NodeKey;

    use super::*;

    fn sample() -> Claims {
        Claims {
            spki_sha384: [7; 48],
            not_before: UnixSeconds(1_000),
            not_after: UnixSeconds(2_000),
            role: Role::Proxy,
            network: GlobalId::MAINNET,
            node_key: NodeKey::from_seed(&[1; 32]).public(),
            anchor_seqno: 42,
            gpu_evidence: None,
        }
    }

    #[test]
    fn the_digest_of_gpu_evidence_is_one_more_claim() {
        let without = sample();
        let with = Claims { gpu_evidence: Some(Hash256([3; 32])), ..sample() };
        assert_eq!(Claims::decode(&with.encode()).unwrap(), with);
        assert_eq!(without.encode()[0], 0xa8, "claims without it are what they were before it was thought of");
        let mut short = with.encode();
        short.pop();
        assert!(Claims::decode(&short).is_err());
        let mut ninth = with.encode();
        ninth[0] += 1;
        ninth.extend([9, 0]);
        assert!(Claims::decode(&ninth).is_err(), "nothing rides along");
    }

    #[test]
    fn claims_survive_the_encoding() {
        assert_eq!(Claims::decode(&sample().encode()).unwrap(), sample());
    }

    #[test]
    fn one_set_of_claims_has_one_encoding() {
        let bytes = sample().encode();
        let mut trailing = bytes.clone();
        trailing.push(0);
        // The map's header with an explicit one-byte length is the same map in longer form.
        let mut longer = vec![0xb8, 8];
        longer.extend_from_slice(&bytes[1..]);
        for other in [trailing, longer, vec![], vec![0xff; 2000], vec![0x81; 900]] {
            assert!(Claims::decode(&other).is_err());
        }
        for cut in 0..bytes.len() {
            assert!(Claims::decode(&bytes[..cut]).is_err());
        }
    }
}
