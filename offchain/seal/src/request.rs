//! The question: one body under a fresh content key, and that key sealed to each candidate.

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit, Nonce};
use cocoon_protocol::hash::request_hash;
use cocoon_protocol::{GlobalId, Hash256, ModelHash, NodePublicKey, SealedKey};
use hpke::{Deserializable, OpModeR, OpModeS, Serializable};
use rand::{CryptoRng, RngCore};
use zeroize::Zeroizing;

use crate::keys::{SealingKey, SealingPublicKey};
use crate::padding::{pad, unpad};
use crate::random::Adapter;
use crate::response::{ChunkOpener, ChunkSealer};
use crate::{Aead, HpkeAead, Kdf, Kem, OpeningContext, SealError, SealingContext};

/// Plaintexts of questions are filled up to a multiple of this many bytes.
pub const BLOCK: usize = 512;
/// Most candidates that a question is sealed to.
pub const MAX_CANDIDATES: usize = 8;

/// A question as it leaves the client.
pub struct SealedQuestion {
    /// The body under the content key.
    pub body: Vec<u8>,
    /// The content key, sealed to each candidate.
    pub keys: Vec<SealedKey>,
}

/// What the client keeps to open the answer of whichever candidate gives it.
pub struct ClientKeys(Vec<(NodePublicKey, SealingContext)>);

/// What the worker keeps to seal its answer.
pub struct WorkerKeys(OpeningContext);

/// HPKE's `info`: the protocol, the network and the model that is to answer.
fn info(network: GlobalId, model: &ModelHash) -> Vec<u8> {
    let mut info = b"cocoon-question-v1\0".to_vec();
    info.extend(network.0.to_le_bytes());
    info.extend(model.0);
    info
}

/// The content key is used once, so its nonce may be constant.
fn once() -> Nonce {
    Nonce::default()
}

/// Seals a question to the candidates, of which the proxy may choose any.
///
/// # Errors
/// [`SealError::Seal`] when the body is beyond 4 GiB, or the candidates are none or too many.
pub fn seal(
    body: &[u8],
    network: GlobalId,
    model: &ModelHash,
    candidates: &[(NodePublicKey, SealingPublicKey)],
    random: &mut (impl RngCore + CryptoRng),
) -> Result<(SealedQuestion, ClientKeys), SealError> {
    if candidates.is_empty() || candidates.len() > MAX_CANDIDATES {
        return Err(SealError::Seal("a question for no candidate, or for too many,"));
    }
    let mut content_key = Zeroizing::new([0; 32]);
    random.fill_bytes(content_key.as_mut_slice());
    let info = info(network, model);
    let padded = Zeroizing::new(pad(body, BLOCK).ok_or(SealError::Seal("a body of this size"))?);
    let payload = Payload { msg: &padded, aad: &info };
    let body = Aead::new(&(*content_key).into()).encrypt(&once(), payload).map_err(|_| SealError::Seal("the body"))?;
    // Each key is bound to the body, so that a proxy cannot pair it with another one.
    let binding = request_hash(&body);
    let mut keys = vec![];
    let mut contexts = vec![];
    for (worker, key) in candidates {
        let (encapsulated, mut context) =
            hpke::setup_sender_with_rng::<HpkeAead, Kdf, Kem>(&OpModeS::Base, &key.key, &info, &mut Adapter(random))
                .map_err(|_| SealError::Key("no key can be encapsulated with it"))?;
        let sealed =
            context.seal(content_key.as_slice(), &binding.0).map_err(|_| SealError::Seal("the content key"))?;
        keys.push(SealedKey { worker: *worker, encapsulated: encapsulated.to_bytes().to_vec(), key: sealed });
        contexts.push((*worker, context));
    }
    Ok((SealedQuestion { body, keys }, ClientKeys(contexts)))
}

/// Opens a question at the worker.
pub fn open(
    body: &[u8],
    sealed: &SealedKey,
    network: GlobalId,
    model: &ModelHash,
    key: &SealingKey,
) -> Result<(Zeroizing<Vec<u8>>, WorkerKeys), SealError> {
    let broken = |_| SealError::Question;
    let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(&sealed.encapsulated).map_err(broken)?;
    let info = info(network, model);
    let mut context = hpke::setup_receiver::<HpkeAead, Kdf, Kem>(&OpModeR::Base, &key.secret, &encapsulated, &info)
        .map_err(broken)?;
    let binding: Hash256 = request_hash(body);
    let content_key = Zeroizing::new(context.open(&sealed.key, &binding.0).map_err(broken)?);
    let aead = Aead::new_from_slice(&content_key).map_err(|_| SealError::Question)?;
    let padded = aead.decrypt(&once(), Payload { msg: body, aad: &info }).map_err(|_| SealError::Question)?;
    let body = unpad(padded).ok_or(SealError::Question)?;
    Ok((Zeroizing::new(body), WorkerKeys(context)))
}

impl ClientKeys {
    /// Opens the answer of this worker, which chose `salt`; `None` when the question was not sealed to it.
    pub fn opener(&self, worker: &NodePublicKey, salt: &[u8; 32]) -> Option<ChunkOpener> {
        let (_, context) = self.0.iter().find(|(candidate, _)| candidate == worker)?;
        ChunkOpener::derive(|label, out| context.export(label, out), salt).ok()
    }
}

impl WorkerKeys {
    /// Seals the answer under keys that nobody else has. `salt` is fresh for each answer: should a proxy show one question
    /// to a worker twice, the two answers do not share a key.
    pub fn sealer(&self, salt: &[u8; 32]) -> Result<ChunkSealer, SealError> {
        ChunkSealer::derive(|label, out| self.0.export(label, out), salt)
    }
}
