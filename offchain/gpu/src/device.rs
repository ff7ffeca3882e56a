//! One device: its report and its chain, checked together.

use cocoon_protocol::{Hash256, UnixSeconds};

use crate::chain::{Chain, DeviceId, NVIDIA_ROOT_DER};
use crate::error::GpuError;
use crate::policy::{GpuPolicy, RuleResult};
use crate::report::Report;

/// What a device hands out: its report as bytes, and its certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceEvidence {
    /// The SPDM request and response, as [`Report::parse`] reads them.
    pub report: Vec<u8>,
    /// The chain of the report's key.
    pub chain: Chain,
}

/// A device whose report and chain are genuine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedDevice {
    /// Which device.
    pub device: DeviceId,
    /// Common name of its report key's certificate: chip, stepping and firmware.
    pub name: String,
    /// What it reported.
    pub report: Report,
    /// Serial numbers of its certificates, hexadecimal, the report key's first.
    pub serials: Vec<String>,
    /// Each rule of the policy.
    pub rules: Vec<RuleResult>,
}

impl VerifiedDevice {
    /// The first rule of the policy that the device breaks.
    pub fn broken_rule(&self) -> Option<&GpuError> {
        self.rules.iter().find_map(|rule| rule.outcome.as_ref().err())
    }
}

impl DeviceEvidence {
    /// Checks that the evidence is genuine: a report for this nonce, signed with a key that is certified under NVIDIA's device
    /// identity root, by the firmware that the key was certified for. The rules of the policy are all evaluated and listed in the
    /// result, and not enforced: see [`DeviceEvidence::verify`].
    pub fn examine(&self, nonce: &Hash256, policy: &GpuPolicy, now: UnixSeconds) -> Result<VerifiedDevice, GpuError> {
        self.examine_under(NVIDIA_ROOT_DER, nonce, policy, now)
    }

    /// Checks that the evidence is genuine and that the device obeys every rule of the policy.
    pub fn verify(&self, nonce: &Hash256, policy: &GpuPolicy, now: UnixSeconds) -> Result<VerifiedDevice, GpuError> {
        let device = self.examine(nonce, policy, now)?;
        match device.broken_rule() {
            Some(error) => Err(error.clone()),
            None => Ok(device),
        }
    }

    pub(crate) fn examine_under(
        &self,
        root: &[u8],
        nonce: &Hash256,
        policy: &GpuPolicy,
        now: UnixSeconds,
    ) -> Result<VerifiedDevice, GpuError> {
        let report = Report::parse(&self.report)?;
        // The cheap check first: evidence for somebody else costs no signature.
        if report.nonce != *nonce {
            return Err(GpuError::Nonce { got: report.nonce, expected: *nonce });
        }
        let certified = self.chain.verify(root, now)?;
        report.check_signature(&certified.key)?;
        // Otherwise a key made for one firmware would vouch for another.
        if let Some(id) = report.fields.firmware_id
            && certified.firmware_id != Some(id)
        {
            let certificate = certified.firmware_id.map_or_else(|| "none".into(), hex::encode);
            return Err(GpuError::Firmware { report: hex::encode(id), certificate });
        }
        let rules = policy.judge(&report, &certified);
        Ok(VerifiedDevice { device: certified.device, name: certified.name, report, serials: certified.serials, rules })
    }
}
