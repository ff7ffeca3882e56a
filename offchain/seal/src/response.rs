//! The answer, chunk by chunk: each is sealed with its place in the answer and the token count that travels beside it.

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit, Nonce};
use cocoon_protocol::Tokens;
use hpke::HpkeError;
use zeroize::Zeroizing;

use crate::padding::{pad, unpad};
use crate::{Aead, SealError};

/// Plaintexts of chunks are filled up to a multiple of this many bytes.
pub const BLOCK: usize = 256;

struct Keys {
    aead: Aead,
    base: [u8; 12],
    index: u64,
}

impl Keys {
    /// The exporter of the HPKE context (RFC 9180 §5.3), with the salt in its context.
    fn derive(export: impl Fn(&[u8], &mut [u8]) -> Result<(), HpkeError>, salt: &[u8; 32]) -> Result<Self, SealError> {
        let label = |what: &[u8]| [b"cocoon-answer-v1\0", what, salt.as_slice()].concat();
        let failed = |_| SealError::Seal("an answer");
        let (mut key, mut base) = (Zeroizing::new([0; 32]), [0; 12]);
        export(&label(b"key"), key.as_mut_slice()).map_err(failed)?;
        export(&label(b"nonce"), &mut base).map_err(failed)?;
        Ok(Self { aead: Aead::new(&(*key).into()), base, index: 0 })
    }

    /// As in TLS 1.3: the base with the index in its last bytes, so that no nonce repeats under a key.
    fn nonce(&self) -> Nonce {
        let mut nonce = self.base;
        for (byte, index) in nonce.iter_mut().rev().zip(self.index.to_le_bytes()) {
            *byte ^= index;
        }
        nonce.into()
    }
}

/// Seals an answer at the worker.
pub struct ChunkSealer(Keys);

/// Opens an answer at the client, in order.
pub struct ChunkOpener(Keys);

impl ChunkSealer {
    pub(crate) fn derive(
        export: impl Fn(&[u8], &mut [u8]) -> Result<(), HpkeError>,
        salt: &[u8; 32],
    ) -> Result<Self, SealError> {
        Keys::derive(export, salt).map(Self)
    }

    /// Seals the next chunk, to travel beside this count of completion tokens.
    pub fn seal(&mut self, chunk: &[u8], completion: Tokens) -> Result<Vec<u8>, SealError> {
        let failed = SealError::Seal("a chunk");
        let padded = Zeroizing::new(pad(chunk, BLOCK).ok_or(failed.clone())?);
        let payload = Payload { msg: &padded, aad: &completion.0.to_le_bytes() };
        let sealed = self.0.aead.encrypt(&self.0.nonce(), payload).map_err(|_| failed)?;
        self.0.index += 1;
        Ok(sealed)
    }
}

impl ChunkOpener {
    pub(crate) fn derive(
        export: impl Fn(&[u8], &mut [u8]) -> Result<(), HpkeError>,
        salt: &[u8; 32],
    ) -> Result<Self, SealError> {
        Keys::derive(export, salt).map(Self)
    }

    /// Opens the next chunk, which came beside this count of completion tokens.
    pub fn open(&mut self, sealed: &[u8], completion: Tokens) -> Result<Vec<u8>, SealError> {
        let index = self.0.index;
        let payload = Payload { msg: sealed, aad: &completion.0.to_le_bytes() };
        let opened = self.0.aead.decrypt(&self.0.nonce(), payload).ok().and_then(unpad);
        self.0.index += 1;
        opened.ok_or(SealError::Chunk { index })
    }
}
