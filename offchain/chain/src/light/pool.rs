//! All liteservers of a network: whom to ask, and whom to ask next when the answer is none or false.

use std::time::Duration;

use cocoon_lite::queries::WaitMasterchainSeqno;
use cocoon_lite::{Answer, Query};

use super::error::ProofError;
use super::server::{Server, ServerError};
use super::settings::LightSettings;

pub(super) struct Pool {
    pub servers: Vec<Server>,
    timeout: Duration,
    distrust: Duration,
}

/// What every server said that was asked in vain.
#[derive(Debug, Default)]
pub(super) struct Vain(pub Vec<(String, ServerError)>);

impl Vain {
    /// What the network does that this program does not know, if that is the reason.
    pub fn unsupported(&self) -> Option<&ProofError> {
        self.0.iter().find_map(|(_, error)| match error {
            ServerError::False(proof @ ProofError::Unsupported { .. }) => Some(proof),
            _ => None,
        })
    }
}

impl std::fmt::Display for Vain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (name, error)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{name}: {error}")?;
        }
        Ok(())
    }
}

impl Pool {
    pub fn new(settings: &LightSettings) -> Self {
        let servers = settings.network.servers.iter().cloned().map(Server::new).collect();
        Self { servers, timeout: settings.timeout, distrust: settings.distrust }
    }

    /// All servers, the best first; those that say they have this block before those that do not.
    pub fn ranked(&self, seqno: u32) -> Vec<&Server> {
        let mut ranked: Vec<_> = self
            .servers
            .iter()
            .map(|server| {
                let (distrusted, resting, behind, latency) = server.rank();
                ((distrusted, resting, lacks(server, seqno), behind, latency), server)
            })
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, server)| server).collect()
    }

    /// Asks one server after the other until an answer passes the check.
    pub async fn ask<T>(
        &self,
        query: &Query,
        seqno: u32,
        check: impl Fn(Answer) -> Result<T, ServerError>,
    ) -> Result<T, Vain> {
        let mut vain = Vain::default();
        for server in self.ranked(seqno) {
            let timeout_ms = u32::try_from(self.timeout.as_millis() / 2).unwrap_or(u32::MAX);
            let wait = lacks(server, seqno).then_some(WaitMasterchainSeqno { seqno, timeout_ms });
            match server.ask(query, wait.as_ref(), self.timeout).await.and_then(&check) {
                Ok(checked) => {
                    server.proved();
                    return Ok(checked);
                }
                Err(error) => {
                    self.failed(server, &error);
                    vain.0.push((server.name.clone(), error));
                }
            }
        }
        Err(vain)
    }

    pub fn failed(&self, server: &Server, error: &ServerError) {
        server.failed(error, self.distrust);
    }

    /// What is wrong with which servers.
    pub fn troubles(&self) -> Vec<String> {
        self.servers.iter().filter_map(Server::trouble).collect()
    }
}

fn lacks(server: &Server, seqno: u32) -> bool {
    server.claim().is_none_or(|claim| claim.id.seqno < seqno)
}

/// Takes the one kind of answer that a question has.
pub(super) fn expect<T>(answer: Answer, take: impl FnOnce(Answer) -> Option<T>) -> Result<T, ServerError> {
    take(answer).ok_or_else(|| ServerError::Garbled("it answers another question".to_owned()))
}
