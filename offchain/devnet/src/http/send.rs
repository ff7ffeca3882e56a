//! Messages from outside: sent, or only tried.

use cocoon_chain::cell_hash;
use serde_json::{Value, json};
use tycho_types::cell::{Cell, CellBuilder, CellFamily, HashBytes};
use tycho_types::error::Error;
use tycho_types::models::{ComputePhase, ExtInMsgInfo, Message, MsgInfo, OwnedMessage, StateInit, Transaction, TxInfo};
use tycho_types::num::Tokens;

use super::error::ApiError;
use super::json::bytes;
use super::params::Params;
use crate::devnet::Devnet;
use crate::ledger::Attempt;

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

/// `sendBocReturnHashNoError`: what the message is called, whether the network takes it or not.
pub(super) async fn boc_return_hash_anyway(devnet: &Devnet, params: &Params) -> Result<Value, ApiError> {
    let message = params.cell("boc")?;
    let (hash, normal) = (cell_hash(&message), normal_hash(&message)?);
    if let Err(error) = devnet.take(message).await {
        tracing::debug!(%error, "a message was not taken, and its sender does not want to know");
    }
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
    let fees = match devnet.attempt(message(params)?, any_signature).await? {
        Attempt::Taken(transaction) => fees(&transaction)?,
        // As the public service counts: gas is paid by whoever accepts.
        Attempt::NotAccepted(entry) => Fees { import: entry.import, storage: entry.storage, ..Fees::default() },
    };
    let fee = |amount: Tokens| u64::try_from(amount.into_inner()).unwrap_or(u64::MAX);
    Ok(json!({
        "@type": "query.fees",
        "source_fees": {
            "@type": "fees",
            "in_fwd_fee": fee(fees.import),
            "storage_fee": fee(fees.storage),
            "gas_fee": fee(fees.gas),
            "fwd_fee": fee(fees.forward),
        },
        "destination_fees": [],
    }))
}

/// What a message costs its receiver.
#[derive(Default)]
struct Fees {
    import: Tokens,
    storage: Tokens,
    gas: Tokens,
    forward: Tokens,
}

fn fees(transaction: &Cell) -> Result<Fees, ApiError> {
    let transaction = transaction.parse::<Transaction>()?;
    let TxInfo::Ordinary(info) = transaction.load_info()? else {
        return Err(ApiError::Broken("a message caused no ordinary transaction".to_owned()));
    };
    let storage = info.storage_phase.map_or(Tokens::ZERO, |phase| phase.storage_fees_collected);
    let gas = match info.compute_phase {
        ComputePhase::Executed(phase) => phase.gas_fees,
        ComputePhase::Skipped(_) => Tokens::ZERO,
    };
    let phase = info.action_phase.as_ref();
    let forward = phase.and_then(|phase| phase.total_fwd_fees).unwrap_or_default();
    // What the network takes of the forwarding fees at once is in the total.
    let action = phase.and_then(|phase| phase.total_action_fees).unwrap_or_default();
    let import = transaction.total_fees.tokens.saturating_sub(storage.saturating_add(gas).saturating_add(action));
    Ok(Fees { import, storage, gas, forward })
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
