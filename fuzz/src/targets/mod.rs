//! The targets, by what they read.

mod attest;
mod chain;
mod image;
mod protocol;
mod receipt;

/// A reader of strangers' bytes.
pub struct Target {
    /// Its name on the command line, and of its folder in the corpus.
    pub name: &'static str,
    read: fn(&[u8]) -> String,
    samples: fn() -> Vec<Vec<u8>>,
}

impl Target {
    /// Reads the input and says how that ended.
    ///
    /// # Panics
    /// When the reader does, or when what it gives is not what it promises.
    pub fn run(&self, input: &[u8]) -> String {
        (self.read)(input)
    }

    /// Inputs that are what they should be.
    pub fn samples(&self) -> Vec<Vec<u8>> {
        (self.samples)()
    }
}

/// Every target.
pub fn all() -> Vec<Target> {
    vec![
        Target { name: "quotes", read: attest::quotes, samples: attest::quote_samples },
        Target { name: "certificates", read: attest::certificates, samples: attest::certificate_samples },
        Target { name: "evidence", read: attest::evidence, samples: attest::evidence_samples },
        Target { name: "collateral", read: attest::collateral, samples: attest::collateral_samples },
        Target { name: "staples", read: attest::staples, samples: attest::staple_samples },
        Target { name: "logs", read: image::logs, samples: image::log_samples },
        Target { name: "tpm-logs", read: image::tpm_logs, samples: image::tpm_log_samples },
        Target { name: "receipts", read: receipt::receipts, samples: receipt::receipt_samples },
        Target { name: "bundles", read: receipt::bundles, samples: receipt::bundle_samples },
        Target { name: "seal", read: protocol::seal, samples: protocol::seal_samples },
        Target { name: "frames", read: protocol::frames, samples: protocol::frame_samples },
        Target { name: "link", read: protocol::link, samples: protocol::link_samples },
        Target { name: "proofs", read: chain::proofs, samples: chain::proof_samples },
    ]
}

/// How a result ended, in words.
fn told<T, E: std::fmt::Display>(result: Result<T, E>) -> String {
    match result {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}
