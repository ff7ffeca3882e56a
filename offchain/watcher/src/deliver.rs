//! Hands a payee's vouchers to a watchtower, so that the payee may be away when a payer closes (invariants I5, I8).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cocoon_node::Node;
use cocoon_protocol::{CellError, Nano, Signature, SignedVoucher, StdAddr, Voucher};
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use tycho_types::boc::Boc;
use tycho_types::cell::Cell;

/// How long a tower may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A voucher in a file or on its way to a tower, as `cocoon channel sign-voucher` writes it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoucherFile {
    /// The cell that is signed: a bag of cells in Base64.
    voucher: String,
    /// The payer's, over the cell's hash.
    signature: Signature,
}

/// A voucher's file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum VoucherFileError {
    /// The text.
    #[error("its voucher is not Base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// The bag.
    #[error("its voucher is no bag of cells: {0}")]
    Boc(#[from] tycho_types::boc::de::Error),
    /// The cell.
    #[error(transparent)]
    Cell(#[from] CellError),
}

impl VoucherFile {
    /// The file of a voucher.
    pub fn of(signed: &SignedVoucher) -> Result<Self, CellError> {
        Ok(Self::new(&signed.voucher.to_cell()?, signed.signature))
    }

    /// The file of a voucher's cell, whatever is in it.
    pub fn new(voucher: &Cell, signature: Signature) -> Self {
        Self { voucher: STANDARD.encode(Boc::encode(voucher)), signature }
    }

    /// What it holds; the signature is not verified here.
    pub fn read(&self) -> Result<SignedVoucher, VoucherFileError> {
        let (cell, signature) = self.open()?;
        Ok(SignedVoucher { voucher: Voucher::from_cell(&cell)?, signature })
    }

    /// The cell and the signature, neither of them looked at.
    pub fn open(&self) -> Result<(Cell, Signature), VoucherFileError> {
        Ok((Boc::decode(STANDARD.decode(&self.voucher)?)?, self.signature))
    }
}

/// Follows the chain until the node stops, and gives the tower at this address (`http://host:port/v1`) what the node could claim
/// now, whenever that has grown. What fails is tried again at the next block.
pub async fn deliver(node: Arc<Node>, http: reqwest::Client, tower: String) {
    let stop = node.stopping();
    let mut head = node.chain().subscribe();
    let mut delivered = HashMap::<StdAddr, Nano>::new();
    loop {
        tokio::select! {
            changed = head.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
        }
        for channel in node.earning_channels() {
            let Some(signed) = channel.with(|books| books.claimable_at(node.now()).cloned()) else { continue };
            let (address, amount) = (channel.address().clone(), signed.voucher.cumulative);
            if delivered.get(&address).is_some_and(|known| *known >= amount) {
                continue;
            }
            match hand_over(&http, &tower, &signed).await {
                Ok(()) => {
                    delivered.insert(address, amount);
                }
                Err(why) => tracing::warn!(%why, channel = %address, tower, "the tower did not take a voucher"),
            }
        }
    }
}

async fn hand_over(http: &reqwest::Client, tower: &str, signed: &SignedVoucher) -> Result<(), String> {
    let file = VoucherFile::of(signed).map_err(|e| e.to_string())?;
    let body = serde_json::to_vec(&file).map_err(|e| e.to_string())?;
    let request = http
        .post(format!("{}/vouchers", tower.trim_end_matches('/')))
        .header("content-type", "application/json")
        .timeout(PATIENCE)
        .body(body);
    let answer = request.send().await.map_err(|e| e.to_string())?;
    match answer.status() {
        StatusCode::OK => Ok(()),
        // It knows a higher one: somebody handed it in before this service was started again.
        StatusCode::CONFLICT => Ok(()),
        status => Err(format!("it answered {status}")),
    }
}
