//! Follows the newest block: every server says what it has, and the client believes what is proven.

use std::sync::Arc;
use std::time::Duration;

use cocoon_lite::queries::{GetBlockHeader, GetBlockProof, GetMasterchainInfoExt, WaitMasterchainSeqno};
use cocoon_lite::{Answer, BlockIdExt};
use cocoon_protocol::GlobalId;

use super::client::Inner;
use super::error::{ProofError, same};
use super::links::{ProvenBlock, check_header, check_steps};
use super::pool::expect;
use super::server::{Claim, Server, ServerError, TIMEOUT};
use super::store::{self, Trusted};

/// A server that rests is tried again after this time at the latest, even one that lied: it may be the only one there is.
const RETRY: Duration = Duration::from_secs(30);

/// What is kept over restarts is written again after so many blocks, or when there is a new key block.
const SAVE_EVERY: u32 = 256;

/// Keeps asking one server for its newest block.
pub(super) async fn watch(inner: Arc<Inner>, index: usize) {
    let Some(server) = inner.pool.servers.get(index) else { return };
    loop {
        tokio::time::sleep(server.rest().min(RETRY)).await;
        let before = server.claim().map(|claim| claim.id.seqno);
        match newest(&inner, server, before).await {
            Ok(claim) => {
                server.succeeded();
                let again = before.is_some_and(|before| claim.id.seqno <= before);
                server.claimed(claim);
                inner.compare();
                inner.news.notify_one();
                if again {
                    tokio::time::sleep(inner.settings.poll).await;
                }
            }
            // Nothing new, and it said so.
            Err(ServerError::Refused { code: TIMEOUT, .. }) => server.succeeded(),
            Err(error) => {
                inner.pool.failed(server, &error);
                inner.news.notify_one();
            }
        }
    }
}

/// What a server says that its newest block is. If a block is known already, the server waits for the next one before it
/// answers.
async fn newest(inner: &Inner, server: &Server, before: Option<u32>) -> Result<Claim, ServerError> {
    let timeout = inner.settings.timeout;
    let timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    let wait = before.map(|seqno| WaitMasterchainSeqno { seqno: seqno.saturating_add(1), timeout_ms });
    let patience = if wait.is_some() { timeout * 2 } else { timeout };
    let answer = server.ask(&GetMasterchainInfoExt { mode: 0 }.into(), wait.as_ref(), patience).await?;
    let info = expect(answer, |answer| match answer {
        Answer::MasterchainInfoExt(info) => Some(info),
        _ => None,
    })?;
    let zero = inner.settings.network.zero_state.root_hash;
    same("the network's zerostate", zero, info.init.root_hash, ToString::to_string)?;
    Ok(Claim { id: info.last, utime: info.last_utime })
}

/// Keeps proving the newest blocks that servers say they have.
pub(super) async fn advance(inner: Arc<Inner>) {
    loop {
        inner.news.notified().await;
        while let Some((server, target)) = next_claim(&inner) {
            match prove(&inner, server, &target).await {
                Ok(block) => {
                    server.proved();
                    publish(&inner, block).await;
                }
                Err(error) => {
                    if let ServerError::False(proof @ ProofError::Unsupported { .. }) = &error {
                        *inner.unsupported.lock() = Some(proof.clone());
                    }
                    inner.pool.failed(server, &error);
                    server.unclaim();
                    if inner.head.borrow().is_none() {
                        // Whoever waits for the first block looks why there is none.
                        inner.heads.send_modify(|_| ());
                    }
                }
            }
        }
    }
}

/// The best server among those that say they have something new.
fn next_claim(inner: &Inner) -> Option<(&Server, BlockIdExt)> {
    let head = inner.head.borrow().as_ref().map_or(0, |head| head.id.seqno);
    inner.pool.ranked(0).into_iter().find_map(|server| {
        let claim = server.claim()?;
        (claim.id.seqno > head).then_some((server, claim.id))
    })
}

/// Proves a block, from the newest one that is trusted.
async fn prove(inner: &Inner, server: &Server, target: &BlockIdExt) -> Result<ProvenBlock, ServerError> {
    let known = inner.floor;
    if target.seqno < known {
        return Err(ServerError::WentBack { claimed: target.seqno, known });
    }
    let block = if target == &inner.anchor() {
        header(inner, server, target).await?
    } else {
        steps(inner, server, target).await?
    };
    if let Some(network) = inner.network.get() {
        same("the network of a block", *network, GlobalId(block.global_id), |id| id.0.to_string())?;
    }
    Ok(block)
}

/// Proves the block that is trusted already.
async fn header(inner: &Inner, server: &Server, id: &BlockIdExt) -> Result<ProvenBlock, ServerError> {
    let query = GetBlockHeader { id: id.clone(), mode: 0 }.into();
    let answer = server.ask(&query, None, inner.settings.timeout).await?;
    let header = expect(answer, |answer| match answer {
        Answer::BlockHeader(header) => Some(header.header_proof),
        _ => None,
    })?;
    Ok(check_header(id, &header)?)
}

/// Proves a block by steps from the newest one that is trusted.
async fn steps(inner: &Inner, server: &Server, target: &BlockIdExt) -> Result<ProvenBlock, ServerError> {
    let mut at = inner.anchor();
    let mut first = true;
    loop {
        let query = GetBlockProof { mode: 1, known_block: at.clone(), target_block: Some(target.clone()) }.into();
        let answer = server.ask(&query, None, inner.settings.timeout).await?;
        let proof = expect(answer, |answer| match answer {
            Answer::PartialBlockProof(proof) => Some(proof),
            _ => None,
        })?;
        let reached = check_steps(&at, target, &proof)?;
        if let Some(anchor) = reached.anchor {
            // Proven, whatever becomes of the rest.
            inner.set_anchor(anchor);
        }
        match reached.end {
            Some(end) if reached.complete => return Ok(end),
            // Only from a block that is no key block, and only once, does the way lead back.
            _ if reached.id.seqno > at.seqno || (first && reached.id != at) => {
                at = reached.id;
                first = false;
            }
            _ => return Err(ProofError::wrong("a chain of proofs", "it leads nowhere").into()),
        }
    }
}

async fn publish(inner: &Inner, block: ProvenBlock) {
    let _ = inner.network.set(GlobalId(block.global_id));
    let head = block.head();
    let (seqno, id) = (block.id.seqno, block.id.clone());
    *inner.unsupported.lock() = None;
    inner.head.send_replace(Some(block));
    inner.heads.send_replace(head);
    inner.compare();
    let Some(path) = inner.settings.state_file.clone() else { return };
    let anchor = inner.anchor();
    let due = {
        let saved = inner.saved.lock();
        saved.as_ref().is_none_or(|saved| saved.anchor != anchor || seqno >= saved.head.seqno + SAVE_EVERY)
    };
    if due {
        let trusted = Trusted { anchor, head: id };
        *inner.saved.lock() = Some(trusted.clone());
        let zero = inner.settings.network.zero_state.clone();
        let written = tokio::task::spawn_blocking(move || store::save(&path, &zero, &trusted)).await;
        if let Ok(Err(error)) = written {
            // The next start takes longer, and nothing else is lost.
            tracing::warn!(%error, "what is proven cannot be kept");
        }
    }
}
