//! Vouchers and consents in files, as they pass from one party to the other.

use std::path::Path;

use anyhow::{Context, Result};
use cocoon_actions::channel::SignedVoucher;
use cocoon_protocol::{CloseAuth, Signature};
use cocoon_watcher::deliver::VoucherFile;
use serde::{Deserialize, Serialize};

use crate::{input, secrets};

/// Most bytes of such a file.
const MAX_BYTES: u64 = 16_384;

/// Reads a voucher: the very cell that is signed, and the payer's signature.
pub(crate) fn read_voucher(path: &Path) -> Result<SignedVoucher> {
    let about = || format!("{} is no voucher file (cocoon channel sign-voucher)", path.display());
    let file: VoucherFile = serde_json::from_str(&input::text(path, MAX_BYTES)?).with_context(about)?;
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
        serde_json::from_str(&input::text(path, MAX_BYTES)?)
            .with_context(|| format!("{} is no consent file (cocoon channel sign-close)", path.display()))
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        put(path, self)
    }
}

/// Whoever has a voucher can claim it for the payee; nobody else needs to see it.
fn put(path: &Path, value: &impl Serialize) -> Result<()> {
    secrets::replace(path, format!("{}\n", serde_json::to_string_pretty(value)?).as_bytes(), 0o600)
}
