//! The keys of a local network. All follow from one secret in the data directory.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cocoon_protocol::NodeKey;
use rand::RngCore;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The secret from which every key of a local network is derived.
pub struct Secrets(Zeroizing<[u8; 32]>);

impl Secrets {
    /// A fresh secret, kept nowhere.
    pub fn ephemeral() -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rand::thread_rng().fill_bytes(&mut *seed);
        Self(seed)
    }

    /// The secret of a data directory; made there the first time, readable by its owner only.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("secret");
        if path.exists() {
            let text =
                Zeroizing::new(std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?);
            let mut seed = Zeroizing::new([0; 32]);
            let decoded = hex::decode_to_slice(text.trim(), &mut *seed);
            ensure!(
                decoded.is_ok(),
                "{} is not 64 hexadecimal digits: restore it from a copy, or begin with another --data",
                path.display()
            );
            return Ok(Self(seed));
        }
        let secrets = Self::ephemeral();
        let text = Zeroizing::new(hex::encode(*secrets.0));
        let mut file = tempfile::NamedTempFile::new_in(dir).with_context(|| format!("writing in {}", dir.display()))?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist_noclobber(&path).with_context(|| format!("writing {}", path.display()))?;
        Ok(secrets)
    }

    /// 32 bytes for one purpose.
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let hash = Sha256::new().chain_update(b"cocoon-localnet-v1\0").chain_update(*self.0).chain_update(purpose);
        Zeroizing::new(hash.finalize().into())
    }

    /// A key for one purpose.
    pub fn key(&self, purpose: &str) -> NodeKey {
        NodeKey::from_seed(&self.derive(purpose))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn attack_88_the_secret_is_for_its_owner_only_and_survives() {
        let dir = tempfile::tempdir().unwrap();
        let first = Secrets::open(dir.path()).unwrap().key("x").public();
        assert_eq!(Secrets::open(dir.path()).unwrap().key("x").public(), first);
        assert_ne!(Secrets::open(dir.path()).unwrap().key("y").public(), first);
        let mode = std::fs::metadata(dir.path().join("secret")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_secret_is_named_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), "half a secr").unwrap();
        let error = Secrets::open(dir.path()).err().unwrap().to_string();
        assert!(error.contains("secret") && !error.contains("half a"), "{error}");
    }
}
