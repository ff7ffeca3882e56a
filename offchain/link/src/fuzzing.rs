//! The frame reader for the fuzzing driver, which is another crate. No part of the interface.

use bytes::{Bytes, BytesMut};

use crate::error::ResetCode;
use crate::frame::Frame;

/// Reads frames until the bytes end or one is wrong; says how that ended. What is read is written back and read again the same.
pub fn read_frames(input: &[u8]) -> String {
    let mut buffer = BytesMut::from(input);
    let mut kinds = 0u32;
    loop {
        match Frame::decode(&mut buffer) {
            Ok(Some(frame)) => {
                let mut again = BytesMut::new();
                frame.encode(&mut again);
                assert_eq!(Frame::decode(&mut again).ok().flatten().as_ref(), Some(&frame), "a frame changes");
                kinds = kinds.saturating_add(1);
            }
            Ok(None) => {
                return format!("{} and a rest: {}", if kinds > 0 { "frames" } else { "none" }, !buffer.is_empty());
            }
            Err(error) => return error.to_string(),
        }
    }
}

/// One of each kind.
pub fn frames() -> Vec<Vec<u8>> {
    let reason = || "why not".to_owned();
    let frames = [
        Frame::Open { stream: 1 },
        Frame::Data { stream: 2, bytes: Bytes::from_static(b"data"), more: true },
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
    ];
    let mut samples: Vec<Vec<u8>> = vec![];
    let mut all = BytesMut::new();
    for frame in frames {
        let mut one = BytesMut::new();
        frame.encode(&mut one);
        all.extend_from_slice(&one);
        samples.push(one.to_vec());
    }
    samples.push(all.to_vec());
    samples
}
