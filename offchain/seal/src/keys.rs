//! A worker's key for the questions of one session.

use std::collections::HashMap;

use cocoon_protocol::{Announcement, GlobalId, NodeKey, NodePublicKey, SignedAnnouncement, UnixSeconds};
use hpke::{Deserializable, Kem as _, Serializable};
use rand::{CryptoRng, RngCore};
use zeroize::Zeroize;

use crate::{Kem, SealError};

/// Most workers whose keys are remembered; what is forgotten is checked again.
const KNOWN: usize = 256;

/// Length of a public key in bytes.
pub const PUBLIC_KEY_BYTES: usize = 1216;

/// The secret half. It is made for one session with a proxy and forgotten with it, so that what was recorded of that session
/// stays closed even to whoever takes the worker's machine over later.
pub struct SealingKey {
    pub(crate) secret: <Kem as hpke::Kem>::PrivateKey,
    public: SealingPublicKey,
}

impl SealingKey {
    /// A fresh key.
    pub fn generate(random: &mut (impl RngCore + CryptoRng)) -> Self {
        let mut seed = [0; 32];
        random.fill_bytes(&mut seed);
        let (secret, public) = Kem::derive_keypair(&seed);
        seed.zeroize();
        Self { secret, public: SealingPublicKey { bytes: public.to_bytes().to_vec(), key: public } }
    }

    /// The public half.
    pub fn public(&self) -> &SealingPublicKey {
        &self.public
    }

    /// Says under the attested node key that questions for it are sealed with this key.
    pub fn announce(&self, network: GlobalId, valid_until: UnixSeconds, node: &NodeKey) -> SignedAnnouncement {
        Announcement { global_id: network, valid_until, key: self.public.bytes.clone() }.sign(node)
    }
}

/// The public half.
#[derive(Clone)]
pub struct SealingPublicKey {
    bytes: Vec<u8>,
    pub(crate) key: <Kem as hpke::Kem>::PublicKey,
}

impl SealingPublicKey {
    /// Reads [`PUBLIC_KEY_BYTES`] bytes; refuses what is no key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealError> {
        if bytes.len() != PUBLIC_KEY_BYTES {
            return Err(SealError::Key("it has a wrong length"));
        }
        let key =
            <Kem as hpke::Kem>::PublicKey::from_bytes(bytes).map_err(|_| SealError::Key("it is not a valid key"))?;
        Ok(Self { bytes: bytes.to_vec(), key })
    }

    /// Takes the key from an announcement: of this network, not too old, signed by the node key that the worker's evidence
    /// certifies.
    pub fn from_announcement(
        signed: &SignedAnnouncement,
        worker: &NodePublicKey,
        network: GlobalId,
        now: UnixSeconds,
    ) -> Result<Self, SealError> {
        let a = &signed.announcement;
        in_force(a, network, now)?;
        signed.verify(worker).map_err(|_| SealError::Announcement("is not signed by the attested worker"))?;
        Self::from_bytes(&a.key)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn in_force(a: &Announcement, network: GlobalId, now: UnixSeconds) -> Result<(), SealError> {
    if a.global_id != network {
        return Err(SealError::Announcement("is for another network"));
    }
    if now > a.valid_until {
        return Err(SealError::Announcement("is too old"));
    }
    Ok(())
}

/// Keys whose announcements were checked. A client seals every question to the same few, and the check costs as much as the sealing.
#[derive(Default)]
pub struct KnownKeys(HashMap<NodePublicKey, (SignedAnnouncement, SealingPublicKey)>);

impl KnownKeys {
    /// [`SealingPublicKey::from_announcement`], which looks at the signature of each announcement once.
    pub fn take(
        &mut self,
        signed: &SignedAnnouncement,
        worker: &NodePublicKey,
        network: GlobalId,
        now: UnixSeconds,
    ) -> Result<SealingPublicKey, SealError> {
        match self.0.get(worker) {
            Some((known, key)) if known == signed => {
                in_force(&signed.announcement, network, now)?;
                Ok(key.clone())
            }
            _ => {
                let key = SealingPublicKey::from_announcement(signed, worker, network, now)?;
                if self.0.len() >= KNOWN {
                    self.0.clear();
                }
                self.0.insert(*worker, (signed.clone(), key.clone()));
                Ok(key)
            }
        }
    }
}

impl std::fmt::Debug for SealingPublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealingPublicKey({:02x?}…)", self.bytes.get(..4).unwrap_or_default())
    }
}
