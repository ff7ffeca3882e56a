//! Typed frames on a link's stream.

use std::marker::PhantomData;

use cocoon_link::{Stream, StreamError};
use cocoon_protocol::frame::{Frame, FrameError};

/// A stream on which frames of type `Out` are sent and of type `In` received.
///
/// Dropped before [`Wire::finish`], the stream is reset, which the other side sees at once.
pub struct Wire<Out, In> {
    stream: Stream,
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
    /// The other side ended the stream before it was due.
    #[error("the peer ended the stream early")]
    Ended,
}

impl<Out: Frame, In: Frame> Wire<Out, In> {
    /// Frames on this stream.
    pub fn new(stream: Stream) -> Self {
        Self { stream, frames: PhantomData }
    }

    /// Sends a frame; waits while the receiver has no room.
    pub async fn send(&mut self, frame: &Out) -> Result<(), WireError> {
        Ok(self.stream.send(frame.encode()?.into()).await?)
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
