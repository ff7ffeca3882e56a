//! Forms that many answers share.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cocoon_protocol::StdAddr;
use serde_json::{Value, json};
use tycho_types::boc::Boc;
use tycho_types::cell::{Cell, HashBytes};
use tycho_types::error::Error;
use tycho_types::models::{BlockId, ExtraCurrencyCollection};

use super::addresses;

/// Bytes, in base64.
pub(super) fn bytes(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// A cell, as a bag of cells in base64.
pub(super) fn bag(cell: &Cell) -> String {
    bytes(Boc::encode(cell))
}

/// A block's full name. Shards are signed numbers, in strings because they do not fit a double.
pub(super) fn block_id(id: &BlockId) -> Value {
    json!({
        "@type": "ton.blockIdExt",
        "workchain": id.shard.workchain(),
        "shard": id.shard.prefix().cast_signed().to_string(),
        "seqno": id.seqno,
        "root_hash": bytes(id.root_hash.0),
        "file_hash": bytes(id.file_hash.0),
    })
}

/// A block's full name, as a liteserver gives it.
pub(super) fn lite_id(id: &cocoon_lite::BlockIdExt) -> Value {
    json!({
        "@type": "ton.blockIdExt",
        "workchain": id.workchain,
        "shard": id.shard.cast_signed().to_string(),
        "seqno": id.seqno,
        "root_hash": bytes(id.root_hash.0),
        "file_hash": bytes(id.file_hash.0),
    })
}

/// A transaction's name.
pub(super) fn transaction_id(lt: u64, hash: &HashBytes) -> Value {
    json!({ "@type": "internal.transactionId", "lt": lt.to_string(), "hash": bytes(hash.0) })
}

/// An account's address.
pub(super) fn account_address(address: &StdAddr) -> Value {
    json!({ "@type": "accountAddress", "account_address": addresses::shown(address) })
}

/// Currencies other than the network's own.
pub(super) fn extra_currencies(extra: &ExtraCurrencyCollection) -> Result<Value, Error> {
    let mut list = vec![];
    for entry in extra.as_dict().iter() {
        let (id, amount) = entry?;
        list.push(json!({ "@type": "extraCurrency", "id": id, "amount": amount.to_string() }));
    }
    Ok(Value::Array(list))
}
