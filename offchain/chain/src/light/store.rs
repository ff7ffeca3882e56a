//! What is proven, kept over restarts: a small file, so that the next start need not go through all key blocks again.

use std::io::Write;
use std::path::{Path, PathBuf};

use cocoon_lite::BlockIdExt;
use serde::{Deserialize, Serialize};
use tycho_types::cell::HashBytes;

const VERSION: u32 = 1;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// The file system.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: std::io::Error,
    },
    /// Its content is not what this program writes.
    #[error("{}: {why}; delete it to start from the network's own file", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// It belongs to another network.
    #[error("{} is of another network, whose zerostate is {found} and not {expected}", path.display())]
    OtherNetwork {
        /// Which file.
        path: PathBuf,
        /// The network's zerostate.
        expected: HashBytes,
        /// The file's.
        found: HashBytes,
    },
}

/// What is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Trusted {
    /// From where to go on: a key block, or the beginning.
    pub anchor: BlockIdExt,
    /// The newest block that was proven. A network that shows an older one as its newest has gone back.
    pub head: BlockIdExt,
}

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    zero_state: String,
    anchor: FileBlock,
    head: FileBlock,
}

#[derive(Serialize, Deserialize)]
struct FileBlock {
    seqno: u32,
    root_hash: String,
    file_hash: String,
}

impl FileBlock {
    fn new(id: &BlockIdExt) -> Self {
        Self { seqno: id.seqno, root_hash: hex::encode(id.root_hash), file_hash: hex::encode(id.file_hash) }
    }

    fn id(&self) -> Option<BlockIdExt> {
        let hash = |text: &str| <[u8; 32]>::try_from(hex::decode(text).ok()?).ok().map(HashBytes);
        Some(BlockIdExt {
            workchain: -1,
            shard: 1 << 63,
            seqno: self.seqno,
            root_hash: hash(&self.root_hash)?,
            file_hash: hash(&self.file_hash)?,
        })
    }
}

/// Reads what was kept of this network; nothing if there is no file yet.
pub(super) fn load(path: &Path, zero_state: &BlockIdExt) -> Result<Option<Trusted>, StateFileError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StateFileError::Io { path: path.to_owned(), source }),
    };
    let content = |why: String| StateFileError::Content { path: path.to_owned(), why };
    let file: File = serde_json::from_str(&text).map_err(|e| content(e.to_string()))?;
    if file.version != VERSION {
        return Err(content(format!("it has version {}, and this program writes {VERSION}", file.version)));
    }
    let zero = FileBlock { seqno: 0, root_hash: file.zero_state, file_hash: hex::encode(HashBytes::ZERO) };
    let wrong = || content("a hash is not 64 hexadecimal digits".to_owned());
    let found = zero.id().ok_or_else(wrong)?.root_hash;
    if found != zero_state.root_hash {
        let (path, expected) = (path.to_owned(), zero_state.root_hash);
        return Err(StateFileError::OtherNetwork { path, expected, found });
    }
    let (anchor, head) = (file.anchor.id().ok_or_else(wrong)?, file.head.id().ok_or_else(wrong)?);
    Ok(Some(Trusted { anchor, head }))
}

/// Replaces what was kept, all or nothing.
pub(super) fn save(path: &Path, zero_state: &BlockIdExt, trusted: &Trusted) -> Result<(), StateFileError> {
    let file = File {
        version: VERSION,
        zero_state: hex::encode(zero_state.root_hash),
        anchor: FileBlock::new(&trusted.anchor),
        head: FileBlock::new(&trusted.head),
    };
    let written = || -> std::io::Result<()> {
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let new = PathBuf::from(name);
        let mut out = std::fs::File::create(&new)?;
        out.write_all(&serde_json::to_vec_pretty(&file)?)?;
        out.sync_all()?;
        std::fs::rename(&new, path)
    };
    written().map_err(|source| StateFileError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(seqno: u32) -> BlockIdExt {
        let hash = HashBytes([seqno as u8; 32]);
        BlockIdExt { workchain: -1, shard: 1 << 63, seqno, root_hash: hash, file_hash: hash }
    }

    #[test]
    fn what_is_kept_is_found_again_and_only_by_the_same_network() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("light.json");
        assert!(load(&path, &block(0)).unwrap().is_none());
        let trusted = Trusted { anchor: block(5), head: block(9) };
        save(&path, &block(0), &trusted).unwrap();
        assert_eq!(load(&path, &block(0)).unwrap().unwrap(), trusted);
        let refused = load(&path, &block(1)).unwrap_err();
        assert!(matches!(refused, StateFileError::OtherNetwork { .. }), "{refused}");
    }

    #[test]
    fn a_broken_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("light.json");
        for text in ["", "{}", r#"{"version":2,"zero_state":"","anchor":{},"head":{}}"#] {
            std::fs::write(&path, text).unwrap();
            let refused = load(&path, &block(0)).unwrap_err();
            assert!(refused.to_string().contains("light.json"), "{refused}");
        }
    }
}
