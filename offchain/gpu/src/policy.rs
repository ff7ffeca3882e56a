//! What a verifier of GPU evidence demands, and what it knowingly leaves open.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::chain::Certified;
use crate::error::GpuError;
use crate::report::Report;

/// The demands on one device. The two things that NVIDIA's service checks online and this crate does not, reference measurements
/// and the state of certificates, have no default: whoever writes a policy says how they are dealt with.
///
/// As JSON:
///
/// ```json
/// {
///   "reference_measurements": "not_checked",
///   "revocation": { "serials": ["53c22ba15e5d68088282da074ed9fb37aa585771"] },
///   "drivers": ["550.90.07"],
///   "vbioses": ["96.00.9f.00.01"]
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuPolicy {
    /// How measurements are compared with the values that NVIDIA publishes for driver and VBIOS.
    pub reference_measurements: ReferenceMeasurements,
    /// How withdrawn certificates are known.
    pub revocation: Revocation,
    /// Versions of the driver that are allowed; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drivers: Option<BTreeSet<String>>,
    /// Versions of the VBIOS that are allowed; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vbioses: Option<BTreeSet<String>>,
}

/// How measurements are judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceMeasurements {
    /// Not at all: the device is genuine, and what firmware and state it measured stays open.
    NotChecked,
    /// Each index listed must have one of its values (hexadecimal), which the author of the policy took from NVIDIA's signed
    /// manifests of the allowed versions. Indices not listed stay open.
    Values(BTreeMap<u8, BTreeSet<String>>),
}

/// How withdrawn certificates are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revocation {
    /// Not at all: nobody was asked.
    NotChecked,
    /// Certificates with these serial numbers (hexadecimal) are refused, wherever they stand in the chain.
    Serials(BTreeSet<String>),
}

/// A rule of the policy and how a device did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleResult {
    /// Its name: the policy's field.
    pub rule: &'static str,
    /// `Ok(false)`: the policy leaves it open. `Ok(true)`: it was checked and holds.
    pub outcome: Result<bool, GpuError>,
}

impl GpuPolicy {
    /// Any genuine device: reference measurements and revocation knowingly not checked.
    pub const fn genuine_device() -> Self {
        Self {
            reference_measurements: ReferenceMeasurements::NotChecked,
            revocation: Revocation::NotChecked,
            drivers: None,
            vbioses: None,
        }
    }

    /// Every rule, also after one has failed.
    pub(crate) fn judge(&self, report: &Report, certified: &Certified) -> Vec<RuleResult> {
        let (driver, vbios) = (&report.fields.driver_version, &report.fields.vbios_version);
        let allowed = |set: &BTreeSet<String>| set.iter().cloned().collect();
        vec![
            RuleResult {
                rule: "drivers",
                outcome: listed(self.drivers.as_ref(), driver)
                    .map_err(|set| GpuError::Driver { got: driver.clone(), allowed: allowed(set) }),
            },
            RuleResult {
                rule: "vbioses",
                outcome: listed(self.vbioses.as_ref(), vbios)
                    .map_err(|set| GpuError::Vbios { got: vbios.clone(), allowed: allowed(set) }),
            },
            RuleResult { rule: "reference_measurements", outcome: self.reference_measurements.judge(report) },
            RuleResult { rule: "revocation", outcome: self.revocation.judge(&certified.serials) },
        ]
    }
}

fn listed<'a>(set: Option<&'a BTreeSet<String>>, got: &str) -> Result<bool, &'a BTreeSet<String>> {
    match set {
        None => Ok(false),
        Some(set) if set.contains(got) => Ok(true),
        Some(set) => Err(set),
    }
}

/// Whether a set of hexadecimal numbers, in either case, holds one.
fn holds(set: &BTreeSet<String>, number: &str) -> bool {
    set.iter().any(|listed| listed.eq_ignore_ascii_case(number))
}

impl ReferenceMeasurements {
    fn judge(&self, report: &Report) -> Result<bool, GpuError> {
        let Self::Values(values) = self else { return Ok(false) };
        for (index, allowed) in values {
            let got = report.measurement(*index).map(hex::encode);
            if !got.as_ref().is_some_and(|got| holds(allowed, got)) {
                return Err(GpuError::Measurement { index: *index, got: got.unwrap_or_else(|| "absent".into()) });
            }
        }
        Ok(!values.is_empty())
    }
}

impl Revocation {
    fn judge(&self, serials: &[String]) -> Result<bool, GpuError> {
        let Self::Serials(revoked) = self else { return Ok(false) };
        match serials.iter().enumerate().find(|(_, serial)| holds(revoked, serial)) {
            Some((index, serial)) => Err(GpuError::Revoked { index, serial: serial.clone() }),
            None => Ok(true),
        }
    }
}
