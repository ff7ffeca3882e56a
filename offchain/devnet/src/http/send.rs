//! Messages from outside: sent, or only tried.

use cocoon_chain::cell_hash;
use serde_json::{Value, json};
use tycho_types::cell::{Cell, CellBuilder, CellFamily, HashBytes};
use tycho_types::error::Error;
use tycho_types::models::{ComputePhase, ExtInMsgInfo, Message, MsgInfo, OwnedMessage, StateInit, Transaction, TxInfo};

use super::error::ApiError;
use super::json::bytes;
use super::params::Params;
use crate::devnet::Devnet;

/// `sendBoc`.
pub(super) async fn boc(devnet: &Devnet, params: &Params) -> Result<Value, ApiError> {
    devnet.take(params.cell("boc")?).await?;
    Ok(json!({ "@type": "ok" }))
}

/// `sendBocReturnHash`.
pub(super) async fn boc_return_hash(devnet: &Devnet, params: &Params) -> Result<Value, ApiError> {
    let message = params.cell("boc")?;
    let (hash, normal) = (cell_hash(&message), normal_hash(&message));
    devnet.take(message).await?;
    let normal = normal?;
    Ok(json!({ "@type": "raw.extMessageInfo", "hash": bytes(hash.0), "hash_norm": bytes(normal.0) }))
}

/// `sendQuery`: the message is put together here.
pub(super) async fn query(devnet: &Devnet, params: &Params) -> Result<Value, ApiError> {
    devnet.take(message(params)?).await?;
    Ok(json!({ "@type": "ok" }))
}

/// `estimateFee`: the message is executed, and nothing of it kept.
pub(super) async fn estimate(devnet: &Devnet, params: &Params) -> Result<Value, ApiError> {
    let any_signature = params.flag("ignore_chksig", true)?;
    let transaction = devnet.attempt(message(params)?, any_signature).await?;
    let transaction = transaction.parse::<Transaction>()?;
    let TxInfo::Ordinary(info) = transaction.load_info()? else {
        return Err(ApiError::Broken("a message caused no ordinary transaction".to_owned()));
    };
    let storage = info.storage_phase.map_or(0, |phase| phase.storage_fees_collected.into_inner());
    let gas = match info.compute_phase {
        ComputePhase::Executed(phase) => phase.gas_fees.into_inner(),
        ComputePhase::Skipped(_) => 0,
    };
    let phase = info.action_phase.as_ref();
    let forward = phase.and_then(|phase| phase.total_fwd_fees).map_or(0, tycho_types::num::Tokens::into_inner);
    // What the network takes of the forwarding fees at once is in the total.
    let action = phase.and_then(|phase| phase.total_action_fees).map_or(0, tycho_types::num::Tokens::into_inner);
    let import = transaction.total_fees.tokens.into_inner().saturating_sub(storage + gas + action);
    let fee = |amount: u128| u64::try_from(amount).unwrap_or(u64::MAX);
    Ok(json!({
        "@type": "query.fees",
        "source_fees": {
            "@type": "fees",
            "in_fwd_fee": fee(import),
            "storage_fee": fee(storage),
            "gas_fee": fee(gas),
            "fwd_fee": fee(forward),
        },
        "destination_fees": [],
    }))
}

/// The message from outside that the parameters describe.
fn message(params: &Params) -> Result<Cell, ApiError> {
    let dst = params.address("address")?.into();
    let (code, data) = (params.optional_cell("init_code")?, params.optional_cell("init_data")?);
    let init = (code.is_some() || data.is_some()).then(|| StateInit { code, data, ..Default::default() });
    let body = params.cell("body")?;
    let info = MsgInfo::ExtIn(ExtInMsgInfo { dst, ..Default::default() });
    Ok(CellBuilder::build_from(OwnedMessage { info, init, body: body.into(), layout: None })?)
}

/// Hash of a message from outside without what anybody may change on its way: no source, no fee, no code and data, and the
/// body in a reference.
fn normal_hash(message: &Cell) -> Result<HashBytes, Error> {
    let message = message.parse::<Message<'_>>()?;
    let MsgInfo::ExtIn(info) = message.info else { return Err(Error::InvalidData) };
    let mut builder = CellBuilder::new();
    // ext_in_msg_info$10 src:addr_none$00
    builder.store_small_uint(0b1000, 4)?;
    tycho_types::cell::Store::store_into(&info.dst, &mut builder, Cell::empty_context())?;
    // import_fee:0 init:nothing body:in a reference
    builder.store_small_uint(0b00_0001, 6)?;
    builder.store_reference(CellBuilder::build_from(message.body)?)?;
    Ok(*builder.build()?.repr_hash())
}
