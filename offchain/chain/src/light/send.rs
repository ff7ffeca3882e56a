//! Sends messages: to several servers at once, because one that says yes may do nothing.

use std::sync::Arc;

use cocoon_lite::Answer;
use cocoon_lite::queries::SendMessage;
use cocoon_protocol::Hash256;
use tokio::sync::mpsc;
use tycho_types::boc::Boc;
use tycho_types::cell::Cell;

use super::client::Inner;
use super::pool::{Vain, expect};
use super::server::ServerError;
use crate::cell_hash;
use crate::chain::{ChainError, Refusal, RefusalReason};
use crate::message::{MessageKind, MessageRecord};

/// So many servers get a message. It has the same effect as if one did.
const SERVERS: usize = 4;

/// Sends an external message. Success is that a server took it; whether it is in a block, its transaction says.
pub(super) async fn send(inner: &Arc<Inner>, message: Cell) -> Result<Hash256, ChainError> {
    let hash = cell_hash(&message);
    let record = MessageRecord::from_cell(&message)?;
    if record.kind != MessageKind::ExternalIn {
        return Err(ChainError::malformed("message", "only a message from outside can be sent"));
    }
    let body = Boc::encode(&message);
    let ranked: Vec<String> =
        inner.pool.ranked(0).into_iter().take(SERVERS).map(|server| server.name.clone()).collect();
    let (results, mut answers) = mpsc::channel(SERVERS);
    for (index, server) in inner.pool.servers.iter().enumerate() {
        if !ranked.contains(&server.name) {
            continue;
        }
        let (inner, results, body) = (inner.clone(), results.clone(), body.clone());
        // Goes on when the first server has said yes: the others shall have it too.
        tokio::spawn(async move {
            let Some(server) = inner.pool.servers.get(index) else { return };
            let query = SendMessage { body }.into();
            let sent = server.ask(&query, None, inner.settings.timeout).await.and_then(|answer| {
                expect(answer, |answer| {
                    matches!(answer, Answer::SendMsgStatus(status) if status.status == 1).then_some(())
                })
            });
            match &sent {
                // A refusal is no fault of the server.
                Ok(()) | Err(ServerError::Refused { .. }) => server.succeeded(),
                Err(error) => inner.pool.failed(server, error),
            }
            drop(results.send((server.name.clone(), sent)).await);
        });
    }
    drop(results);
    let mut vain = Vain::default();
    while let Some((name, sent)) = answers.recv().await {
        match sent {
            Ok(()) => return Ok(hash),
            Err(error) => vain.0.push((name, error)),
        }
    }
    let refused = vain.0.iter().find_map(|(_, error)| match error {
        ServerError::Refused { message, .. } => Some(reason(message)),
        _ => None,
    });
    match refused {
        Some(reason) => Err(Box::new(Refusal { message: hash, account: record.dst, reason }).into()),
        None => Err(inner.not_sent(&hash, &vain)),
    }
}

/// Servers say in words why they refuse a message; the exit code is among them if the contract's code ran.
fn reason(message: &str) -> RefusalReason {
    for mark in ["exitcode=", "exit code "] {
        if let Some((_, rest)) = message.split_once(mark) {
            let digits: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
            if let Ok(exit_code) = digits.parse() {
                return RefusalReason::NotAccepted { exit_code };
            }
        }
    }
    if message.contains("no contract is deployed") {
        return RefusalReason::NoContract;
    }
    RefusalReason::Other(message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_found_in_what_servers_write() {
        let public = "cannot apply external message to current state : External message was not accepted\nCannot run message \
                      on account: inbound external message rejected by transaction 0A: exitcode=33, steps=19, gas_used=0";
        assert_eq!(reason(public), RefusalReason::NotAccepted { exit_code: 33 });
        assert_eq!(reason("exitcode=-14"), RefusalReason::NotAccepted { exit_code: -14 });
        assert_eq!(reason("the contract ended with exit code 134"), RefusalReason::NotAccepted { exit_code: 134 });
        assert!(matches!(reason("too big"), RefusalReason::Other(_)));
    }
}
