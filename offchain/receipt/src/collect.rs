//! From an answer to a bundle.

use std::time::Duration;

use cocoon_attest::AttestError;
use cocoon_chain::{AccountStatus, Chain, ChainError, StdAddr, run_getter};
use cocoon_node::{Node, log, stake};
use cocoon_protocol::acceptance::SignedAcceptance;
use cocoon_protocol::{LogProof, Role, SignedReceipt};
use cocoon_transparency::{evidence_digest, log_address, require_evidence};
use cocoon_wrappers::generated::pay_channel;

use crate::bundle::{Bundle, Bytes, Content, Evidence, VERSION};

/// How long the first block may take that is younger than the receipt.
const BLOCK_PATIENCE: Duration = Duration::from_secs(15);

/// What a client has in hand when an answer has ended.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The worker's statement.
    pub receipt: SignedReceipt,
    /// The worker's promise.
    pub acceptance: SignedAcceptance,
    /// The worker's certificate, DER.
    pub certificate: Vec<u8>,
    /// Where the certificate is in the transparency log, if the client has seen it there.
    pub logged: Option<LogProof>,
    /// Question and answer as they travelled, if they were kept.
    pub content: Option<Content>,
}

/// No bundle can be made.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The network's state cannot be proven now.
    #[error("the state of the network cannot be proven now: {0}; ask again")]
    Chain(#[from] ChainError),
    /// The network does not go on.
    #[error("no block younger than the receipt has come within {} s; ask again", BLOCK_PATIENCE.as_secs())]
    NoBlock,
    /// There is nothing to check the evidence with.
    #[error("what the worker's platform is certified by is not at hand: {0}")]
    Evidence(#[from] AttestError),
    /// The collateral cannot be written down.
    #[error("the collateral cannot be written: {0}")]
    Collateral(String),
}

/// Adds to an answer what proves it: the collateral of the worker's platform, and the registry, the worker's channel and its stake
/// account at the newest block. Soon after the answer: what is proven must be as it was then.
pub async fn collect(node: &Node, statement: Statement) -> Result<Bundle, CollectError> {
    let Statement { receipt, acceptance, certificate, logged, content } = statement;
    let collateral = node.endpoint().verifier().collateral(&certificate)?;
    let collateral = collateral.to_json().map_err(|e| CollectError::Collateral(e.to_string()))?;
    let collateral = serde_json::from_slice(&collateral).map_err(|e| CollectError::Collateral(e.to_string()))?;
    let chain = node.chain().as_ref();
    let mut heads = chain.subscribe();
    let young = heads.wait_for(|head| head.utime > receipt.receipt.time);
    if !matches!(tokio::time::timeout(BLOCK_PATIENCE, young).await, Ok(Ok(_))) {
        return Err(CollectError::NoBlock);
    }
    let mut accounts = vec![node.registry_address().clone(), receipt.receipt.channel.clone()];
    accounts.extend(stake_of(node, chain, &receipt.receipt.channel).await?);
    accounts.extend(logged.as_ref().and_then(|_| log_address(node.registry_address()).ok()));
    let proof = chain.prove(&accounts).await?;
    let logged = still_good(node, &certificate, logged).await;
    Ok(Bundle {
        version: VERSION,
        receipt,
        acceptance: Some(acceptance),
        evidence: Evidence { certificate: Bytes(certificate), collateral },
        chain: proof.into(),
        logged,
        content,
    })
}

/// The stake account behind a worker's channel, if the channel is on chain. What does not fit is left to whoever verifies.
async fn stake_of(node: &Node, chain: &dyn Chain, channel: &StdAddr) -> Result<Option<StdAddr>, ChainError> {
    let (account, config) = (chain.account(channel).await?, chain.config().await?);
    if account.status != AccountStatus::Active || !account.has_code(&node.registry().channel_code) {
        return Ok(None);
    }
    let state = run_getter(&account, &config, &pay_channel::get_state()).ok();
    let state = state.and_then(|output| pay_channel::decode_state(output.stack).ok());
    let identified = state.and_then(|state| stake::identify(&node.registry().governor, &state.payee).ok());
    Ok(identified.map(|(_, address)| address))
}

/// A place in the log, if it still leads to a peak after the block of the proof, and so in that block, too: a log only grows, and
/// the client has seen the leaf in it before.
async fn still_good(node: &Node, certificate: &[u8], logged: Option<LogProof>) -> Option<LogProof> {
    let proof = logged?;
    let worker = node.endpoint().verifier().verify(certificate, &[Role::Worker]).ok()?;
    let state = log::read(node.chain().as_ref(), node.registry_address()).await.ok()?;
    require_evidence(&state, &worker.node_key, &evidence_digest(certificate), &proof).ok()?;
    Some(proof)
}
