//! Streams: messages in both directions.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::MAX_MESSAGE;
use crate::error::{ResetCode, StreamError};
use crate::frame::MAX_PAYLOAD;
use crate::mux::{FRAME_COST, Mux, Slot, lock};

/// A stream of messages in both directions. Dropping it before both sides have finished cancels it.
#[derive(Debug)]
pub struct Stream {
    send: SendHalf,
    recv: RecvHalf,
}

/// The sending half of a stream. Dropping it unfinished cuts off the whole stream.
pub struct SendHalf {
    mux: Arc<Mux>,
    slot: Arc<Slot>,
    /// A message is on its way; still set at the next `send` if that one was dropped half-way.
    busy: bool,
}

/// The receiving half of a stream. Dropping it before the peer has finished cuts off the whole stream.
pub struct RecvHalf {
    mux: Arc<Mux>,
    slot: Arc<Slot>,
    partial: BytesMut,
}

impl fmt::Debug for SendHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SendHalf({})", self.slot.id)
    }
}

impl fmt::Debug for RecvHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecvHalf({})", self.slot.id)
    }
}

impl Stream {
    pub(crate) fn new(mux: Arc<Mux>, slot: Arc<Slot>) -> Self {
        Self {
            send: SendHalf { mux: mux.clone(), slot: slot.clone(), busy: false },
            recv: RecvHalf { mux, slot, partial: BytesMut::new() },
        }
    }

    /// Sends a message of up to [`MAX_MESSAGE`] bytes; waits while the peer's reader is behind. If the future is dropped
    /// before it ends, the stream cannot be used for sending any more.
    pub async fn send(&mut self, message: Bytes) -> Result<(), StreamError> {
        self.send.send(message).await
    }

    /// Says that no more messages come from here. What was sent still arrives.
    pub fn finish(&mut self) -> Result<(), StreamError> {
        self.send.finish()
    }

    /// The next message; `None` when the peer has finished. Dropping the future loses nothing.
    pub async fn recv(&mut self) -> Option<Result<Bytes, StreamError>> {
        self.recv.recv().await
    }

    /// Cuts the stream off and tells the peer why (at most 512 bytes of it).
    pub fn reset(self, reason: &str) {
        self.send.reset(reason);
    }

    /// Two halves for two tasks.
    pub fn split(self) -> (SendHalf, RecvHalf) {
        (self.send, self.recv)
    }

    /// The number of the stream on its link, for logs.
    pub fn id(&self) -> u32 {
        self.send.slot.id
    }
}

impl SendHalf {
    /// See [`Stream::send`].
    pub async fn send(&mut self, message: Bytes) -> Result<(), StreamError> {
        if message.len() > MAX_MESSAGE {
            return Err(StreamError::TooLarge { size: message.len(), limit: MAX_MESSAGE });
        }
        if std::mem::replace(&mut self.busy, true) {
            self.mux.reset(&self.slot, ResetCode::Cancelled, "a message was sent only in part");
            return Err(StreamError::Interrupted);
        }
        let result = self.send_pieces(message).await;
        self.busy = false;
        result
    }

    async fn send_pieces(&mut self, mut message: Bytes) -> Result<(), StreamError> {
        loop {
            let size = self.credit(message.len().min(MAX_PAYLOAD)).await?;
            let space = self.mux.space(size).await?;
            let piece = message.split_to(size);
            let more = !message.is_empty();
            self.mux.send(&self.slot, piece, more, space)?;
            if !more {
                return Ok(());
            }
        }
    }

    /// Waits for credit; how many of the `wanted` bytes may be sent at once.
    async fn credit(&self, wanted: usize) -> Result<usize, StreamError> {
        loop {
            {
                let state = lock(&self.slot.state);
                if let Some(reason) = &state.cut {
                    return Err(reason.clone());
                }
                if state.local_finished {
                    return Err(StreamError::Finished);
                }
                let credit = state.credit.saturating_sub(FRAME_COST) as usize;
                // An empty message needs credit for its frame only.
                if credit > 0 || (wanted == 0 && state.credit >= FRAME_COST) {
                    return Ok(wanted.min(credit));
                }
            }
            self.slot.writable.notified().await;
        }
    }

    /// See [`Stream::finish`].
    pub fn finish(&mut self) -> Result<(), StreamError> {
        if self.busy {
            self.mux.reset(&self.slot, ResetCode::Cancelled, "a message was sent only in part");
            return Err(StreamError::Interrupted);
        }
        if let Some(reason) = &lock(&self.slot.state).cut {
            return Err(reason.clone());
        }
        self.mux.finish(&self.slot);
        Ok(())
    }

    /// See [`Stream::reset`]. The receiving half ends as well.
    pub fn reset(self, reason: &str) {
        self.mux.reset(&self.slot, ResetCode::Application, reason);
    }

    /// Waits until the stream is cut off from the other side or with the link, and says why. For whoever has nothing to
    /// send at the moment but must stop working when nobody wants the result.
    pub async fn cut_off(&mut self) -> StreamError {
        loop {
            if let Some(reason) = &lock(&self.slot.state).cut {
                return reason.clone();
            }
            self.slot.writable.notified().await;
        }
    }
}

impl Drop for SendHalf {
    fn drop(&mut self) {
        let over = {
            let state = lock(&self.slot.state);
            state.local_finished || state.cut.is_some()
        };
        if !over {
            self.mux.reset(&self.slot, ResetCode::Cancelled, "");
        }
    }
}

impl RecvHalf {
    /// See [`Stream::recv`].
    pub async fn recv(&mut self) -> Option<Result<Bytes, StreamError>> {
        loop {
            let piece = {
                let mut state = lock(&self.slot.state);
                match state.inbox.pop_front() {
                    Some(piece) => Some(piece),
                    None if state.remote_finished && self.partial.is_empty() => return None,
                    None if state.remote_finished => Some((Bytes::new(), true)),
                    None => match &state.cut {
                        Some(reason) => return Some(Err(reason.clone())),
                        None => None,
                    },
                }
            };
            let Some((bytes, more)) = piece else {
                self.slot.readable.notified().await;
                continue;
            };
            if bytes.is_empty() && more {
                // Senders do not cut messages into empty pieces; the end in the middle of one looks like that, too.
                self.mux.reset(&self.slot, ResetCode::Application, "the stream ended in the middle of a message");
                self.partial.clear();
                return Some(Err(StreamError::Truncated));
            }
            self.mux.took(&self.slot, bytes.len());
            let size = self.partial.len().saturating_add(bytes.len());
            if size > MAX_MESSAGE {
                self.mux.reset(&self.slot, ResetCode::TooLarge, "");
                return Some(Err(StreamError::TooLarge { size, limit: MAX_MESSAGE }));
            }
            if more {
                self.partial.extend_from_slice(&bytes);
            } else if self.partial.is_empty() {
                return Some(Ok(bytes));
            } else {
                self.partial.extend_from_slice(&bytes);
                return Some(Ok(self.partial.split().freeze()));
            }
        }
    }
}

impl Drop for RecvHalf {
    fn drop(&mut self) {
        let over = {
            let state = lock(&self.slot.state);
            state.remote_finished || state.cut.is_some()
        };
        if !over {
            self.mux.reset(&self.slot, ResetCode::Cancelled, "");
        }
    }
}
