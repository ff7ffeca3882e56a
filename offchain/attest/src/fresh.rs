//! Fresh quotes: that the trust domain of a certificate is at the other end of this very connection, now.

use std::sync::atomic::Ordering;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use cocoon_protocol::Role;

use crate::claims::check_shown;
use crate::error::AttestError;
use crate::evidence::ParsedQuote;
use crate::verifier::Verifier;

/// Lengths in a quote's signature data: the quote's signature and the attestation key, both as two 32-byte numbers.
const SIGNATURE: usize = 64;
const KEY: usize = 64;
/// Where the report data stand in a TD report 1.0, with which later ones begin.
const REPORT_DATA: std::ops::Range<usize> = 520..584;
/// The header of a quote; in version 5 the body's type and size follow.
const HEADER: usize = 48;
const BODY_HEAD: usize = 6;

/// The parts of a quote by their role in a signature.
struct Parts<'a> {
    /// What is signed, with the report data in it.
    signed: &'a [u8],
    report_data: std::ops::Range<usize>,
    signature: &'a [u8],
    key: &'a [u8],
    /// Who vouches for the key.
    certification: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(quote: &'a ParsedQuote) -> Option<Self> {
        let (signed, rest) = quote.raw.split_at_checked(quote.quote.signed_length())?;
        let (_length, rest) = rest.split_at_checked(4)?;
        let (signature, rest) = rest.split_at_checked(SIGNATURE)?;
        let (key, certification) = rest.split_at_checked(KEY)?;
        let body = HEADER + if quote.quote.header.version == 5 { BODY_HEAD } else { 0 };
        let report_data = body + REPORT_DATA.start..body + REPORT_DATA.end;
        signed.get(report_data.clone())?;
        Some(Self { signed, report_data, signature, key, certification })
    }

    /// Whether two quotes say the same of the same domain, report data aside, under the same certification.
    fn differ_in_report_data_only(&self, other: &Self) -> bool {
        let around = |p: &Parts<'a>| Some((p.signed.get(..p.report_data.start)?, p.signed.get(p.report_data.end..)?));
        self.report_data == other.report_data
            && around(self).is_some()
            && around(self) == around(other)
            && self.key == other.key
            && self.certification == other.certification
    }

    /// The signature of the attestation key over the whole report (Intel SGX ECDSA quote, `ecdsa_signature`).
    fn is_signed(&self) -> bool {
        let mut point = Vec::with_capacity(1 + KEY);
        point.push(4); // uncompressed
        point.extend(self.key);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(self.signed, self.signature).is_ok()
    }
}

impl Verifier {
    /// Checks that a fresh quote over `report_data` comes from the very trust domain that a certificate's quote came from. For a
    /// client's certificate the quote must be empty, and nothing is proven by it.
    ///
    /// As a rule it says the same as that one except for the report data, and then everything but its own signature has been
    /// verified before: one elliptic-curve verification. Otherwise (a run-time measurement was extended, the platform has new
    /// certificates) it is verified in full, and image and platform must be the certificate's.
    pub fn verify_fresh(
        &self,
        certificate: &[u8],
        roles: &[Role],
        quote: &[u8],
        report_data: &[u8; 64],
    ) -> Result<(), AttestError> {
        let (now, policy) = (self.now(), self.policy().current());
        let known = self.verified(certificate, roles, &policy, now)?;
        check_shown(known.claims.role, !quote.is_empty())?;
        let Some(known) = &known.attested else { return Ok(()) };
        let fresh = ParsedQuote::parse(quote.to_vec(), report_data)?;
        if let (Some(before), Some(now)) = (Parts::of(&known.parsed), Parts::of(&fresh))
            && now.differ_in_report_data_only(&before)
        {
            self.refreshed.fetch_add(1, Ordering::Relaxed);
            let why = || "the fresh quote's signature is wrong".to_owned();
            return if now.is_signed() { Ok(()) } else { Err(AttestError::QuoteRejected { why: why() }) };
        }
        let full = self.verify_parsed(&policy, &fresh, now)?;
        policy.check_platform(full.platform, full.tcb_evaluation)?;
        if (full.image, full.platform) == (known.quote.image, known.quote.platform) {
            return Ok(());
        }
        let domain = |image, platform| format!("image {image} on platform {platform}");
        Err(AttestError::OtherDomain {
            found: domain(full.image, full.platform),
            expected: domain(known.quote.image, known.quote.platform),
        })
    }
}
