//! Vouchers and consents in files, as they pass from one party to the other.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use cocoon_actions::channel::SignedVoucher;
use cocoon_protocol::{CloseAuth, Signature};
use cocoon_watcher::deliver::VoucherFile;
use serde::{Deserialize, Serialize};

use crate::secrets;

/// Most bytes of such a file.
const MAX_BYTES: u64 = 16_384;

/// Reads a voucher: the very cell that is signed, and the payer's signature.
pub(crate) fn read_voucher(path: &Path) -> Result<SignedVoucher> {
    let about = || format!("{} is no voucher file (cocoon channel sign-voucher)", path.display());
    let file: VoucherFile = serde_json::from_str(&text(path)?).with_context(about)?;
    let (cell, signature) = file.open().with_context(about)?;
    SignedVoucher::new(cell, signature).with_context(about)
}

/// Writes a voucher.
pub(crate) fn write_voucher(voucher: &SignedVoucher, path: &Path) -> Result<()> {
    put(path, &VoucherFile::new(&voucher.cell, voucher.signature))
}

/// A payee's consent to close, and its signature.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConsentFile {
    pub(crate) consent: CloseAuth,
    pub(crate) signature: Signature,
}

impl ConsentFile {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        serde_json::from_str(&text(path)?)
            .with_context(|| format!("{} is no consent file (cocoon channel sign-close)", path.display()))
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        put(path, self)
    }
}

fn text(path: &Path) -> Result<String> {
    let about = || format!("reading {}", path.display());
    let size = std::fs::metadata(path).with_context(about)?.len();
    ensure!(size <= MAX_BYTES, "{} has {size} bytes; such a file has at most {MAX_BYTES}", path.display());
    std::fs::read_to_string(path).with_context(about)
}

/// Whoever has a voucher can claim it for the payee; nobody else needs to see it.
fn put(path: &Path, value: &impl Serialize) -> Result<()> {
    secrets::replace(path, format!("{}\n", serde_json::to_string_pretty(value)?).as_bytes(), 0o600)
}
