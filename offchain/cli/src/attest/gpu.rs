//! `cocoon attest gpu`: the evidence of one NVIDIA GPU in files.

use std::path::PathBuf;

use anyhow::{Context, Result};
use cocoon_gpu::{Chain, DeviceEvidence, GpuPolicy, MAX_CHAIN, MAX_REPORT, VerifiedDevice};
use cocoon_protocol::{Hash256, UnixSeconds};

use super::read_bytes;
use super::words::{Line, Verdict, with_rules};
use crate::input;
use crate::network::wall_clock;
use crate::report::Report;

/// Largest policy that is read.
const MAX_POLICY: u64 = 1 << 20;

#[derive(clap::Args, Clone, Debug)]
pub(super) struct Gpu {
    /// The SPDM measurement report, request and response, as bytes or hexadecimal digits.
    #[arg(long, value_name = "FILE")]
    report: PathBuf,
    /// The certificates of the report's key, PEM, up to NVIDIA's root.
    #[arg(long, value_name = "FILE")]
    certificates: PathBuf,
    /// The nonce that the report must answer: 64 hexadecimal digits.
    #[arg(long, value_name = "HEX")]
    nonce: Hash256,
    /// Judge by this time, in Unix seconds; the clock on the wall if absent.
    #[arg(long, value_name = "UNIX")]
    at: Option<u32>,
    /// Policy: a JSON file. Without it, any genuine device will do.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

impl Gpu {
    pub(super) fn run(&self) -> Result<Report> {
        let policy = match &self.policy {
            None => GpuPolicy::genuine_device(),
            Some(path) => serde_json::from_slice(&input::bytes(path, MAX_POLICY)?)
                .with_context(|| format!("{} is no policy for GPUs", path.display()))?,
        };
        let limit = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        let report = read_bytes(&self.report, limit(MAX_REPORT))?;
        let chain = Chain::from_pem(&input::bytes(&self.certificates, limit(MAX_CHAIN))?)
            .with_context(|| format!("in {}", self.certificates.display()))?;
        let now = self.at.map_or_else(wall_clock, UnixSeconds);
        // What is not genuine has no facts to show; its one reason is the error.
        let device = DeviceEvidence { report, chain }.examine(&self.nonce, &policy, now)?;
        let lines: Vec<_> = fixed().into_iter().chain(rules(&device)).collect();
        Ok(with_rules("the GPU's evidence", facts(&device, now), &lines))
    }
}

/// What holds for every device that could be examined.
fn fixed() -> [Line; 4] {
    [
        ("nonce", "as demanded"),
        ("chain", "ends at NVIDIA's device identity root"),
        ("signature", "by the key of the first certificate"),
        ("firmware", "the report's is the one that the key was certified for, where the report names it"),
    ]
    .map(|(rule, detail)| Line { rule, outcome: Verdict::Pass, detail: detail.to_owned() })
}

fn rules(device: &VerifiedDevice) -> impl Iterator<Item = Line> + '_ {
    device.rules.iter().map(|rule| {
        let (outcome, detail) = match &rule.outcome {
            Ok(true) => (Verdict::Pass, "as the policy demands".to_owned()),
            Ok(false) => (Verdict::Open, "the policy leaves it open, so it was not checked".to_owned()),
            Err(error) => (Verdict::Fail, error.to_string()),
        };
        Line { rule: rule.rule, outcome, detail }
    })
}

fn facts(device: &VerifiedDevice, now: UnixSeconds) -> Report {
    let fields = &device.report.fields;
    let measurement = |m: &cocoon_gpu::Measurement| {
        Report::new()
            .number("index", m.index)
            .text("kind", format!("{:02x}", m.kind))
            .text("value", hex::encode(&m.value))
    };
    let serial = |serial: &String| Report::new().text("serial", serial);
    Report::new()
        .time("judged_at", now.0)
        .text("device", device.device)
        .text("name", &device.name)
        .text("driver", &fields.driver_version)
        .text("vbios", &fields.vbios_version)
        .text("driver_manifest", fields.driver_manifest())
        .maybe("vbios_manifest", fields.vbios_manifest())
        .maybe("firmware", fields.firmware_id.map(hex::encode))
        .list("certificates", device.serials.iter().map(serial).collect())
        .list("measurements", device.report.measurements.iter().map(measurement).collect())
}
