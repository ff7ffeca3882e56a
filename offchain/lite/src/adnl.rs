//! Connections: ADNL over TCP, from either side.

use adnl::crypto::{KeyPair, SecretKey};
use adnl::{AdnlError, AdnlPeer};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::net::{TcpStream, ToSocketAddrs};

use crate::codec::TlError;
use crate::frame::Frame;

/// No frame is longer, in bytes.
pub const MAX_FRAME: usize = (1 << 24) - 64;

/// A connection cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The connection itself.
    #[error("the ADNL connection failed: {0}")]
    Adnl(String),
    /// What was received is no frame.
    #[error("a frame cannot be read: {0}")]
    Frame(#[from] TlError),
    /// The other side ended the connection.
    #[error("the other side closed the connection")]
    Closed,
}

impl From<AdnlError> for ConnectionError {
    fn from(error: AdnlError) -> Self {
        Self::Adnl(match error {
            AdnlError::IoError(e) => e.to_string(),
            other => other.to_string(),
        })
    }
}

/// The key that a server is known by.
pub struct ServerKey(KeyPair);

impl ServerKey {
    /// The key that follows from a secret seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(KeyPair::from(&SecretKey::from_bytes(seed)))
    }

    /// What clients know the server by: an Ed25519 key.
    pub fn public(&self) -> [u8; 32] {
        self.0.public_key.to_bytes()
    }
}

/// One end of a connection.
pub struct Connection {
    /// Where frames are sent.
    pub sender: Sender,
    /// Where frames come from.
    pub receiver: Receiver,
}

/// The half of a connection that sends.
pub struct Sender(SplitSink<AdnlPeer<TcpStream>, tokio_util::bytes::Bytes>);

/// The half of a connection that receives.
pub struct Receiver(SplitStream<AdnlPeer<TcpStream>>);

impl Connection {
    /// Connects to a server that must have this key.
    pub async fn connect(address: impl ToSocketAddrs, server: &[u8; 32]) -> Result<Self, ConnectionError> {
        let stream = TcpStream::connect(address).await.map_err(AdnlError::IoError)?;
        // Questions are small, and are not held back for more.
        stream.set_nodelay(true).map_err(AdnlError::IoError)?;
        Ok(Self::new(AdnlPeer::perform_handshake(stream, server).await?))
    }

    /// Lets a client in.
    pub async fn accept(stream: TcpStream, key: &ServerKey) -> Result<Self, ConnectionError> {
        Ok(Self::new(AdnlPeer::handle_handshake(stream, |_| Some(key.0)).await?))
    }

    fn new(peer: AdnlPeer<TcpStream>) -> Self {
        let (sender, receiver) = peer.split();
        Self { sender: Sender(sender), receiver: Receiver(receiver) }
    }
}

impl Sender {
    /// Sends a frame.
    pub async fn send(&mut self, frame: &Frame) -> Result<(), ConnectionError> {
        Ok(self.0.send(frame.to_bytes().into()).await?)
    }
}

impl Receiver {
    /// The next frame. After [`ConnectionError::Frame`] more can be received; after other errors the connection is over.
    pub async fn receive(&mut self) -> Result<Frame, ConnectionError> {
        loop {
            let bytes = self.0.next().await.ok_or(ConnectionError::Closed)??;
            // An empty one says only that the connection stands.
            if !bytes.is_empty() {
                return Ok(Frame::from_bytes(&bytes)?);
            }
        }
    }
}
