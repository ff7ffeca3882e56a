//! Which method is which.

use serde_json::{Value, json};

use super::addresses;
use super::error::ApiError;
use super::params::Params;
use super::send;
use crate::devnet::Devnet;
use crate::lite::answer::Responder;

/// A question about the network as it is.
type Question = fn(&Responder<'_>, &Params) -> Result<Value, ApiError>;

/// Methods that only read, by name.
const QUESTIONS: &[(&str, Question)] = &[
    ("getMasterchainInfo", |at, _| at.http_masterchain_info()),
    ("getMasterchainBlockSignatures", |at, params| at.http_signatures(params)),
    ("getConsensusBlock", |at, _| at.http_consensus_block()),
    ("getAddressInformation", |at, params| at.http_account(params)?.information()),
    ("getExtendedAddressInformation", |at, params| at.http_account(params)?.extended()),
    ("getWalletInformation", |at, params| at.http_account(params)?.wallet_information()),
    ("getAddressBalance", |at, params| Ok(at.http_account(params)?.balance())),
    ("getAddressState", |at, params| Ok(json!(at.http_account(params)?.state()))),
    ("getTransactions", |at, params| at.http_transactions(params)),
    ("getTransactionsStd", |at, params| at.http_transactions_std(params)),
    ("getBlockTransactions", |at, params| at.http_block_transactions(params)),
    ("getBlockTransactionsExt", |at, params| at.http_block_transactions_ext(params)),
    ("getBlockHeader", |at, params| at.http_header(params)),
    ("lookupBlock", |at, params| at.http_lookup(params)),
    ("shards", |at, params| at.http_shards(params)),
    ("getShards", |at, params| at.http_shards(params)),
    ("getShardBlockProof", |at, params| at.http_shard_block_proof(params)),
    ("getOutMsgQueueSize", |at, _| at.http_queue_sizes()),
    ("getOutMsgQueueSizes", |at, _| at.http_queue_sizes()),
    ("getTokenData", |at, params| at.http_token_data(params)),
    ("tryLocateTx", |at, params| at.http_locate_result(params)),
    ("tryLocateResultTx", |at, params| at.http_locate_result(params)),
    ("tryLocateSourceTx", |at, params| at.http_locate_source(params)),
    ("getConfigParam", |at, params| at.http_config_param(params)),
    ("getConfigAll", |at, params| at.http_config_all(params)),
    ("getLibraries", |at, params| at.http_libraries(params)),
    ("packAddress", |_, params| Ok(json!(addresses::parse(params.text("address")?)?.packed()))),
    ("unpackAddress", |_, params| Ok(json!(params.address("address")?.to_string()))),
    ("detectHash", |_, params| {
        let hash = params.optional_hash("hash")?.ok_or(ApiError::Missing("hash"))?;
        Ok(addresses::detected_hash(&hash))
    }),
    ("detectAddress", |_, params| Ok(addresses::parse(params.text("address")?)?.detected())),
];

/// Methods that the public service takes with POST only.
const POST_ONLY: [&str; 7] = [
    "sendBoc",
    "sendBocReturnHash",
    "sendBocReturnHashNoError",
    "sendQuery",
    "estimateFee",
    "runGetMethod",
    "runGetMethodStd",
];

/// Fails if the method must not be asked for with GET.
pub(super) fn allow_get(method: &str) -> Result<(), ApiError> {
    POST_ONLY.into_iter().find(|name| *name == method).map_or(Ok(()), |name| Err(ApiError::PostOnly(name)))
}

/// Answers one request.
pub(super) async fn answer(devnet: &Devnet, method: &str, params: Params) -> Result<Value, ApiError> {
    let found = match method {
        "runGetMethod" => Some::<Question>(|at, params| at.http_run_getter(params)),
        "runGetMethodStd" => Some::<Question>(|at, params| at.http_run_getter_std(params)),
        _ => QUESTIONS.iter().find(|(name, _)| *name == method).map(|(_, question)| *question),
    };
    match (found, method) {
        (Some(question), _) => devnet.look(move |at| question(at, &params)).await?,
        (None, "sendBoc") => send::boc(devnet, &params).await,
        (None, "sendBocReturnHash") => send::boc_return_hash(devnet, &params).await,
        (None, "sendBocReturnHashNoError") => send::boc_return_hash_anyway(devnet, &params).await,
        (None, "sendQuery") => send::query(devnet, &params).await,
        (None, "estimateFee") => send::estimate(devnet, &params).await,
        (None, _) => Err(ApiError::UnknownMethod(method.chars().take(64).collect())),
    }
}
