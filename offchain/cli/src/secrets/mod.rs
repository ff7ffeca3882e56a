//! Files with secrets: wallets and keys.
//!
//! They are readable by their owner only, never overwritten, never on a command line, and never printed unless asked for
//! (attack 88).

pub mod mnemonic;
pub mod seed;

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use zeroize::Zeroizing;

/// A secret is a few lines.
const MAX_BYTES: u64 = 4_096;

/// Writes a new file that only its owner can read. An existing one stays as it is.
pub fn create(path: &Path, contents: &[u8]) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).with_context(|| {
        format!(
            "making {}; an existing file is never replaced, because it may hold the only copy of a key",
            path.display()
        )
    })?;
    file.write_all(contents).and_then(|()| file.sync_all()).with_context(|| format!("writing {}", path.display()))
}

/// Writes a file at once: whoever reads it sees the old contents or the new ones.
pub fn replace(path: &Path, contents: &[u8], mode: u32) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file =
        tempfile::NamedTempFile::new_in(folder).with_context(|| format!("writing in {}", folder.display()))?;
    file.write_all(contents)?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path).with_context(|| format!("writing {}", path.display()))?;
    Ok(())
}

/// Reads a secret, after making sure that nobody else can.
pub fn read(path: &Path) -> Result<Zeroizing<String>> {
    let about = || format!("reading {}", path.display());
    let metadata = std::fs::metadata(path).with_context(about)?;
    let mode = metadata.permissions().mode() & 0o777;
    ensure!(
        mode & 0o077 == 0,
        "{} can be read by others (mode {mode:03o}): make it yours with chmod 600, and consider the key known",
        path.display()
    );
    ensure!(metadata.is_file() && metadata.len() <= MAX_BYTES, "{} is no file with a secret", path.display());
    std::fs::read_to_string(path).map(Zeroizing::new).with_context(about)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;

    #[test]
    fn attack_88_secrets_are_for_their_owner_only_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        create(&path, b"secret").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(create(&path, b"other").is_err());
        assert_eq!(&**read(&path).unwrap(), "secret");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("chmod 600") && !error.contains("secret\n"), "{error}");
    }
}
