//! Typed frames on a link's stream.

use std::marker::PhantomData;
use std::time::Duration;

use cocoon_link::{Stream, StreamError};
use cocoon_protocol::frame::{Frame, FrameError};

/// A stream on which frames of type `Out` are sent and of type `In` received.
///
/// Dropped before [`Wire::finish`], the stream is reset, which the other side sees at once.
pub struct Wire<Out, In> {
    stream: Stream,
    patience: Duration,
    frames: PhantomData<fn(Out) -> In>,
}

/// A frame could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The link or the stream broke.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// A frame is malformed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The other side keeps the link alive but does not read.
    #[error("the peer has not read what was sent for {} s", .0.as_secs())]
    Stalled(Duration),
    /// The other side ended the stream before it was due.
    #[error("the peer ended the stream early")]
    Ended,
}

impl<Out: Frame, In: Frame> Wire<Out, In> {
    /// Frames on this stream; a receiver that leaves no room for one for as long as `patience` is given up (attack 82).
    pub fn new(stream: Stream, patience: Duration) -> Self {
        Self { stream, patience, frames: PhantomData }
    }

    /// Sends a frame; waits while the receiver has no room. After an error, or when the future was dropped, nothing more can
    /// be sent.
    pub async fn send(&mut self, frame: &Out) -> Result<(), WireError> {
        let sent = self.stream.send(frame.encode()?.into());
        let sent = tokio::time::timeout(self.patience, sent).await;
        Ok(sent.map_err(|_| WireError::Stalled(self.patience))??)
    }

    /// Receives the next frame. Safe to cancel.
    pub async fn recv(&mut self) -> Result<In, WireError> {
        let bytes = self.stream.recv().await.ok_or(WireError::Ended)??;
        Ok(In::decode(&bytes)?)
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) -> Result<(), WireError> {
        Ok(self.stream.finish()?)
    }
}
