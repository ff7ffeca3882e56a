//! What travels inside of an ADNL connection.

use tycho_types::cell::HashBytes;

use crate::codec::{Reader, Tl, TlError, constructor_id};
use crate::macros::{one_of, tl};
use crate::queries::{Query, WaitMasterchainSeqno};

tl! {
    /// Are you there?
    "tcp.ping random_id:long = tcp.Pong"
    Ping { random_id: u64 }

    /// I am.
    "tcp.pong random_id:long = tcp.Pong"
    Pong { random_id: u64 }

    /// A client wants to prove who it is, and sends its part of what will be signed.
    "tcp.authentificate nonce:bytes = tcp.Message"
    Authentificate { nonce: Vec<u8> }

    /// The server's part of it.
    "tcp.authentificationNonce nonce:bytes = tcp.Message"
    AuthentificationNonce { nonce: Vec<u8> }

    /// The client's key and signature; the key is `pub.ed25519`.
    "tcp.authentificationComplete key:PublicKey signature:bytes = tcp.Message"
    AuthentificationComplete { kind: u32, key: HashBytes, signature: Vec<u8> }

    /// A question.
    "adnl.message.query query_id:int256 query:bytes = adnl.Message"
    Asked { query_id: HashBytes, query: Vec<u8> }

    /// Its answer.
    "adnl.message.answer query_id:int256 answer:bytes = adnl.Message"
    Answered { query_id: HashBytes, answer: Vec<u8> }
}

one_of! {
    /// What travels inside of an ADNL connection.
    Frame, "a frame" {
        Ping(Ping), Pong(Pong), Authentificate(Authentificate), AuthentificationNonce(AuthentificationNonce),
        AuthentificationComplete(AuthentificationComplete), Asked(Asked), Answered(Answered),
    }
}

const QUERY: u32 = constructor_id("liteServer.query data:bytes = Object");
const QUERY_PREFIX: u32 = constructor_id("liteServer.queryPrefix = Object");
const WAIT: u32 = constructor_id("liteServer.waitMasterchainSeqno seqno:int timeout_ms:int = Object");

/// A question as a server gets it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// For which block to wait first.
    pub wait: Option<WaitMasterchainSeqno>,
    /// The question; an error if it is none that is known, for the server to say so.
    pub query: Result<Query, TlError>,
}

/// Wraps a question as servers expect it.
pub fn wrap_query(query: &Query, wait: Option<&WaitMasterchainSeqno>) -> Vec<u8> {
    let mut data = vec![];
    if let Some(wait) = wait {
        WAIT.write(&mut data);
        wait.write(&mut data);
    }
    query.write(&mut data);
    let mut out = vec![];
    QUERY.write(&mut out);
    data.write(&mut out);
    out
}

/// Unwraps a question. Some clients leave out the wrapping.
pub fn unwrap_query(bytes: &[u8]) -> Result<Request, TlError> {
    let mut reader = Reader::new(bytes);
    let wrapped;
    if starts_with(&reader, QUERY) {
        u32::read(&mut reader)?;
        wrapped = Vec::<u8>::read(&mut reader)?;
        reader.end()?;
        reader = Reader::new(&wrapped);
    }
    let mut wait = None;
    loop {
        if starts_with(&reader, QUERY_PREFIX) {
            u32::read(&mut reader)?;
        } else if starts_with(&reader, WAIT) {
            u32::read(&mut reader)?;
            wait = Some(WaitMasterchainSeqno::read(&mut reader)?);
        } else {
            return Ok(Request { wait, query: Query::from_bytes(reader.rest()) });
        }
    }
}

fn starts_with(reader: &Reader<'_>, id: u32) -> bool {
    reader.rest().starts_with(&id.to_le_bytes())
}
