//! Frames: `kind (1) ‖ stream (4) ‖ length (4) ‖ payload`, integers big-endian.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::error::{LinkError, ResetCode};

/// Bytes before the payload.
pub const HEADER: usize = 9;
/// Largest payload. Messages are cut into pieces of this size, so that a large one does not hold up the other streams.
pub const MAX_PAYLOAD: usize = 32 * 1024;
/// Reasons are cut to this length.
const MAX_REASON: usize = 512;

const OPEN: u8 = 1;
const DATA: u8 = 2;
const PART: u8 = 3;
const FIN: u8 = 4;
const RESET: u8 = 5;
const WINDOW: u8 = 6;
const PING: u8 = 7;
const PONG: u8 = 8;
const GOAWAY: u8 = 9;
const HELLO: u8 = 10;
const CHALLENGE: u8 = 11;
const PROOF: u8 = 12;
const ASK: u8 = 13;
const COLLATERAL: u8 = 14;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A new stream.
    Open { stream: u32 },
    /// A message or its last piece; with `more`, a piece that others follow.
    Data { stream: u32, bytes: Bytes, more: bool },
    /// No more messages from here.
    Fin { stream: u32 },
    /// The stream is cut off in both directions.
    Reset { stream: u32, code: ResetCode, reason: String },
    /// So much more may be sent.
    Window { stream: u32, credit: u32 },
    /// Are you there?
    Ping,
    /// Yes.
    Pong,
    /// No new streams; with `closing`, the end of the link.
    GoAway { closing: bool, reason: String },
    /// The first frame of each side: see `hello`.
    Hello(Bytes),
    /// Prove yourself anew, with this number in it.
    Challenge([u8; 32]),
    /// See `proof`.
    Proof(Bytes),
    /// What does the hardware vendor say about this platform model?
    Ask([u8; 6]),
    /// This, as a staple; nothing, if it is empty.
    Collateral(Bytes),
}

impl Frame {
    /// Appends the frame.
    pub fn encode(&self, out: &mut BytesMut) {
        let mut put = |kind: u8, stream: u32, parts: &[&[u8]]| {
            let length: usize = parts.iter().map(|p| p.len()).sum();
            debug_assert!(length <= MAX_PAYLOAD);
            out.reserve(HEADER + length);
            out.put_u8(kind);
            out.put_u32(stream);
            out.put_u32(length as u32);
            parts.iter().for_each(|p| out.put_slice(p));
        };
        match self {
            Self::Open { stream } => put(OPEN, *stream, &[]),
            Self::Data { stream, bytes, more } => put(if *more { PART } else { DATA }, *stream, &[bytes]),
            Self::Fin { stream } => put(FIN, *stream, &[]),
            Self::Reset { stream, code, reason } => {
                put(RESET, *stream, &[&code.code().to_be_bytes(), cut(reason).as_bytes()]);
            }
            Self::Window { stream, credit } => put(WINDOW, *stream, &[&credit.to_be_bytes()]),
            Self::Ping => put(PING, 0, &[]),
            Self::Pong => put(PONG, 0, &[]),
            Self::GoAway { closing, reason } => put(GOAWAY, 0, &[&[u8::from(*closing)], cut(reason).as_bytes()]),
            Self::Hello(bytes) => put(HELLO, 0, &[bytes]),
            Self::Challenge(nonce) => put(CHALLENGE, 0, &[nonce]),
            Self::Proof(bytes) => put(PROOF, 0, &[bytes]),
            Self::Ask(model) => put(ASK, 0, &[model]),
            Self::Collateral(bytes) => put(COLLATERAL, 0, &[bytes]),
        }
    }

    /// Takes the next frame off the front; `None` when it has not arrived whole.
    pub fn decode(buffer: &mut BytesMut) -> Result<Option<Self>, LinkError> {
        let wrong = |why: String| LinkError::Protocol { why };
        let mut header: &[u8] = match buffer.get(..HEADER) {
            Some(header) => header,
            None => return Ok(None),
        };
        let (kind, stream, length) = (header.get_u8(), header.get_u32(), header.get_u32() as usize);
        if !(OPEN..=COLLATERAL).contains(&kind) {
            return Err(wrong(format!("unknown frame kind {kind}")));
        }
        if length > MAX_PAYLOAD {
            return Err(wrong(format!("a frame of {length} bytes, over the limit of {MAX_PAYLOAD}")));
        }
        if buffer.len() < HEADER + length {
            buffer.reserve(HEADER + length - buffer.len());
            return Ok(None);
        }
        buffer.advance(HEADER);
        // A copy, because a slice would keep the whole read buffer alive for as long as the message lives.
        let mut payload = Bytes::copy_from_slice(&buffer.split_to(length));
        let short = |kind: &str| wrong(format!("a {kind} frame with {length} bytes"));
        let empty = |frame: Self, kind: &str| if length == 0 { Ok(frame) } else { Err(short(kind)) };
        let frame = match kind {
            OPEN => empty(Self::Open { stream }, "OPEN")?,
            DATA => Self::Data { stream, bytes: payload, more: false },
            PART => Self::Data { stream, bytes: payload, more: true },
            FIN => empty(Self::Fin { stream }, "FIN")?,
            RESET => {
                let code = payload.try_get_u16().map_err(|_| short("RESET"))?;
                Self::Reset { stream, code: ResetCode::from_code(code), reason: text(&payload) }
            }
            WINDOW if length == 4 => Self::Window { stream, credit: payload.get_u32() },
            WINDOW => return Err(short("WINDOW")),
            PING => empty(Self::Ping, "PING")?,
            PONG => empty(Self::Pong, "PONG")?,
            GOAWAY => {
                let closing = payload.try_get_u8().map_err(|_| short("GOAWAY"))? != 0;
                Self::GoAway { closing, reason: text(&payload) }
            }
            CHALLENGE => Self::Challenge(payload.as_ref().try_into().map_err(|_| short("CHALLENGE"))?),
            PROOF => Self::Proof(payload),
            ASK => Self::Ask(payload.as_ref().try_into().map_err(|_| short("ASK"))?),
            COLLATERAL => Self::Collateral(payload),
            _ => Self::Hello(payload),
        };
        Ok(Some(frame))
    }
}

/// At most [`MAX_REASON`] bytes of a text.
pub fn cut(text: &str) -> &str {
    let end = (0..=text.len().min(MAX_REASON)).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// A peer's words: short, valid UTF-8, and no control characters that would disturb a log.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    cut(&text).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, RngCore, SeedableRng};

    use super::*;

    fn samples() -> Vec<Frame> {
        let reason = || "why not".to_owned();
        vec![
            Frame::Open { stream: 1 },
            Frame::Data { stream: u32::MAX, bytes: Bytes::from(vec![7; MAX_PAYLOAD]), more: true },
            Frame::Data { stream: 2, bytes: Bytes::new(), more: false },
            Frame::Fin { stream: 3 },
            Frame::Reset { stream: 4, code: ResetCode::TooLarge, reason: reason() },
            Frame::Window { stream: 5, credit: 6 },
            Frame::Ping,
            Frame::Pong,
            Frame::GoAway { closing: true, reason: reason() },
            Frame::Hello(Bytes::from_static(b"hello")),
            Frame::Challenge([8; 32]),
            Frame::Proof(Bytes::from_static(b"proof")),
            Frame::Ask(*b"COCOON"),
            Frame::Collateral(Bytes::from_static(b"collateral")),
        ]
    }

    #[test]
    fn frames_survive_any_cutting_of_the_byte_stream() {
        let mut wire = BytesMut::new();
        samples().iter().for_each(|f| f.encode(&mut wire));
        for step in [1, 2, 7, 1000, wire.len()] {
            let (mut buffer, mut frames) = (BytesMut::new(), vec![]);
            for piece in wire.chunks(step) {
                buffer.extend_from_slice(piece);
                while let Some(frame) = Frame::decode(&mut buffer).unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!(frames, samples());
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn attack_71_random_bytes_never_panic_and_never_ask_for_much_memory() {
        let mut rng = StdRng::seed_from_u64(1);
        for _ in 0..20_000 {
            let mut bytes = vec![0; rng.gen_range(0..64)];
            rng.fill_bytes(&mut bytes);
            if let (Some(kind), true) = (bytes.first_mut(), rng.gen_bool(0.8)) {
                *kind %= 16;
            }
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = Frame::decode(&mut buffer) {}
            assert!(buffer.capacity() <= 2 * (HEADER + MAX_PAYLOAD));
        }
    }

    #[test]
    fn a_peers_words_are_short_and_printable() {
        let reason = format!("line\nbreak\u{1b}[31m{}", "ü".repeat(1000));
        let mut wire = BytesMut::new();
        Frame::GoAway { closing: false, reason }.encode(&mut wire);
        let Ok(Some(Frame::GoAway { reason, .. })) = Frame::decode(&mut wire) else { panic!() };
        assert!(reason.len() <= MAX_REASON && !reason.chars().any(char::is_control), "{reason}");
    }
}
