//! One attested connection between two nodes, with any number of streams on it (docs/protocol.md P1).
//!
//! An [`Endpoint`] is a node's side: its identity and its verifier. It dials ([`Endpoint::connect`]) or listens
//! ([`Endpoint::listen`]); either way a [`Link`] comes out, whose [`Link::peer`] has proven by a quote what it runs, by
//! the TLS handshake that it holds the certificate's key, and by a fresh quote and a signature over this very connection that it
//! is still there and holds the on-chain node key; that last step is repeated on a schedule. Nothing here turns any of it off.
//!
//! A client ([`Endpoint::client`]) verifies all that of others and proves of itself the keys alone: its certificate has no quote, its
//! proof is the signature, and [`cocoon_attest::PeerIdentity::domain`] of such a peer is `None`.
//!
//! Both sides may open streams. A [`Stream`] carries messages of up to [`MAX_MESSAGE`] bytes in both directions, with its
//! own credit: whoever reads slowly stops only that stream (attack 82). Dropping a stream cancels it, and the other side
//! sees that at once.
//!
//! ```no_run
//! # use cocoon_link::*; use cocoon_protocol::Role;
//! # async fn example(endpoint: Endpoint) -> Result<(), Box<dyn std::error::Error>> {
//! let link = endpoint.connect("127.0.0.1:9000".parse()?, &Expect::role(Role::Proxy)).await?;
//! let mut stream = link.open()?;
//! stream.send("question".into()).await?;
//! stream.finish()?;
//! while let Some(message) = stream.recv().await {
//!     println!("{:?}", message?);
//! }
//! # Ok(()) }
//! ```

mod config;
mod endpoint;
mod error;
mod frame;
#[doc(hidden)]
pub mod fuzzing;
mod hello;
mod link;
mod mux;
mod proof;
mod stream;
#[cfg(test)]
mod tests;
mod timer;
mod tls;

pub use config::LinkConfig;
pub use endpoint::{Endpoint, Expect, Listener};
pub use error::{LinkError, ResetCode, StreamError};
pub use link::Link;
pub use stream::{RecvHalf, SendHalf, Stream};
pub use timer::{RuntimeTimer, Timer};

/// Largest message on a stream, in bytes.
pub const MAX_MESSAGE: usize = 1 << 20;
