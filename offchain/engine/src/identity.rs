//! The identity of a model, and loading only bytes that have it.
//!
//! A model is a directory. **Every** regular file in it counts, at any depth, dot files and READMEs too: a chat template
//! or a generation config changes behaviour as much as weights do. The identity is the root of its manifest:
//!
//! ```text
//! root = sha256( "cocoon-model-v1\0"
//!                ‖ for each file, sorted by path bytewise:
//!                    u32le(length of path) ‖ path ‖ u64le(size) ‖ sha256(content) )
//! ```
//!
//! A path is relative, UTF-8, its parts joined by `/`. Modes, owners and times do not count. Directories do not count
//! either, so an empty one changes nothing. Links, devices, pipes and sockets are refused: what they stand for
//! could change after hashing.
//!
//! [`SealedModel`] hashes while it copies into memory files that the kernel then seals against any change, and offers them
//! as a directory of links to `/proc/self/fd/N`. What is loaded is therefore what was hashed, whatever happens to the
//! original files in the meantime; there is no moment between check and use.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use cocoon_protocol::ModelHash;
use rustix::fs::{MemfdFlags, OFlags, SealFlags};
use sha2::{Digest, Sha256};

/// Most files of a model.
pub const MAX_FILES: usize = 1024;
/// Most bytes of a model, all files together: 1 TiB.
pub const MAX_BYTES: u64 = 1 << 40;
/// Deepest directory below the model's own.
pub const MAX_DEPTH: usize = 8;
/// Longest path in a manifest, in bytes.
pub const MAX_PATH: usize = 1024;

const DOMAIN: &[u8] = b"cocoon-model-v1\0";
const BUFFER: usize = 1 << 20;

/// A model directory cannot be identified or is not the one wanted.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Reading, copying or linking failed.
    #[error("model file {}: {action} failed: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Neither a regular file nor a directory.
    #[error("model file {} is a {kind}; a model may hold only regular files (copy it with `cp -rL`)", path.display())]
    NotRegular {
        /// Where.
        path: PathBuf,
        /// What it is instead.
        kind: &'static str,
    },
    /// The name cannot stand in a manifest.
    #[error("model file {} has a name that cannot be used: {why}", path.display())]
    BadName {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// More than this code is willing to load.
    #[error("model {} is over a limit: {limit}", dir.display())]
    TooLarge {
        /// The model.
        dir: PathBuf,
        /// Which limit.
        limit: String,
    },
    /// No files at all.
    #[error("{} is not a model directory: it holds no files", dir.display())]
    Empty {
        /// The directory.
        dir: PathBuf,
    },
    /// The files are not those that were approved.
    #[error("model {} has hash {found}, which is not approved; approved: {}. The files were changed, or the wrong model was given", dir.display(), list(approved))]
    NotApproved {
        /// The model.
        dir: PathBuf,
        /// What its files hash to.
        found: ModelHash,
        /// What would have been accepted.
        approved: Vec<ModelHash>,
    },
}

fn list(hashes: &[ModelHash]) -> String {
    if hashes.is_empty() {
        return "none".to_owned();
    }
    hashes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn io_error<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> ModelError + 'a {
    move |source| ModelError::Io { action, path: path.to_owned(), source }
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Relative path, parts joined by `/`.
    pub path: String,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
}

/// All files of a model, sorted by path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    entries: Vec<Entry>,
}

impl Manifest {
    /// Hashes a model directory without loading it.
    ///
    /// # Errors
    /// See [`ModelError`]; never [`ModelError::NotApproved`].
    pub fn of(dir: &Path) -> Result<Self, ModelError> {
        read_all(dir, |_| Ok(io::sink())).map(|(manifest, _)| manifest)
    }

    /// The files.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Bytes of all files.
    pub fn total_bytes(&self) -> u64 {
        self.entries.iter().map(|e| e.size).sum()
    }

    /// The model's identity.
    pub fn root(&self) -> ModelHash {
        let mut hasher = Sha256::new_with_prefix(DOMAIN);
        for entry in &self.entries {
            // MAX_PATH keeps the length far below 2³².
            hasher.update((entry.path.len() as u32).to_le_bytes());
            hasher.update(entry.path.as_bytes());
            hasher.update(entry.size.to_le_bytes());
            hasher.update(entry.sha256);
        }
        ModelHash(hasher.finalize().into())
    }

    /// The same text as `sha256sum` prints, so that anybody can compare file by file.
    pub fn text(&self) -> String {
        self.entries.iter().fold(String::new(), |mut text, e| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}  {}", hex::encode(e.sha256), e.path);
            text
        })
    }
}

/// A model whose bytes were hashed and can no longer change. Keep it for as long as the model is being loaded or used.
#[derive(Debug)]
pub struct SealedModel {
    manifest: Manifest,
    root: ModelHash,
    links: tempfile::TempDir,
    _files: Vec<OwnedFd>,
}

impl SealedModel {
    /// Copies the files of `dir` into sealed memory, and refuses them when their root hash is not one of `approved`.
    ///
    /// # Errors
    /// [`ModelError::NotApproved`] names the hash found and those that would do; the others see [`ModelError`].
    pub fn open(dir: &Path, approved: &[ModelHash]) -> Result<Self, ModelError> {
        let (manifest, files) = read_all(dir, memory_file)?;
        let root = manifest.root();
        if !approved.contains(&root) {
            return Err(ModelError::NotApproved { dir: dir.to_owned(), found: root, approved: approved.to_vec() });
        }
        let links = tempfile::Builder::new()
            .prefix("cocoon-model-")
            .tempdir()
            .map_err(io_error("creating a directory of links", &std::env::temp_dir()))?;
        let mut sealed = Vec::with_capacity(files.len());
        for (entry, file) in manifest.entries.iter().zip(files) {
            let link = links.path().join(&entry.path);
            let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
            rustix::fs::fcntl_add_seals(&file, seals).map_err(|e| io_error("sealing", &link)(e.into()))?;
            if let Some(parent) = link.parent() {
                fs::create_dir_all(parent).map_err(io_error("creating a directory of links", parent))?;
            }
            symlink(format!("/proc/self/fd/{}", file.as_raw_fd()), &link).map_err(io_error("linking", &link))?;
            sealed.push(OwnedFd::from(file));
        }
        Ok(Self { manifest, root, links, _files: sealed })
    }

    /// The identity of what is held.
    pub fn root(&self) -> ModelHash {
        self.root
    }

    /// What is held.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// A directory through which the sealed files can be loaded, in this process only.
    pub fn dir(&self) -> &Path {
        self.links.path()
    }

    /// The content of one file, at most `limit` bytes; `None` when the model has no such file.
    ///
    /// # Errors
    /// [`ModelError::TooLarge`] over the limit, [`ModelError::Io`] when reading fails.
    pub fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, ModelError> {
        let Some(entry) = self.manifest.entries.iter().find(|e| e.path == path) else { return Ok(None) };
        if entry.size > limit {
            let limit = format!("{path} has {} bytes, at most {limit} are read", entry.size);
            return Err(ModelError::TooLarge { dir: self.dir().to_owned(), limit });
        }
        let link = self.dir().join(path);
        fs::read(&link).map(Some).map_err(io_error("reading", &link))
    }
}

fn memory_file(path: &str) -> io::Result<File> {
    // The name shows only in /proc and may have 249 bytes.
    let name: String = path.chars().filter(char::is_ascii_graphic).take(200).collect();
    let fd = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    Ok(File::from(fd))
}

/// Walks the directory and hashes each file while it is copied to what `create` makes for it.
fn read_all<W: Write>(dir: &Path, create: impl Fn(&str) -> io::Result<W>) -> Result<(Manifest, Vec<W>), ModelError> {
    let too_large = |limit: String| ModelError::TooLarge { dir: dir.to_owned(), limit };
    let mut paths = Vec::new();
    walk(dir, "", 0, &mut |relative, path| {
        paths.push((relative, path));
        if paths.len() > MAX_FILES { Err(too_large(format!("more than {MAX_FILES} files"))) } else { Ok(()) }
    })?;
    if paths.is_empty() {
        return Err(ModelError::Empty { dir: dir.to_owned() });
    }
    // Rust orders strings bytewise.
    paths.sort();

    let (mut entries, mut copies, mut total) = (Vec::new(), Vec::new(), 0u64);
    let mut buffer = vec![0; BUFFER];
    for (relative, path) in paths {
        let mut source = open_regular(&path)?;
        let mut copy = create(&relative).map_err(io_error("creating a memory file for it", &path))?;
        let (mut hasher, mut size) = (Sha256::new(), 0u64);
        loop {
            let n = source.read(&mut buffer).map_err(io_error("reading", &path))?;
            let chunk = buffer.get(..n).unwrap_or_default();
            if chunk.is_empty() {
                break;
            }
            hasher.update(chunk);
            copy.write_all(chunk).map_err(io_error("copying into memory", &path))?;
            size += n as u64;
            total += n as u64;
            if total > MAX_BYTES {
                return Err(too_large(format!("more than {MAX_BYTES} bytes")));
            }
        }
        entries.push(Entry { path: relative, size, sha256: hasher.finalize().into() });
        copies.push(copy);
    }
    Ok((Manifest { entries }, copies))
}

fn walk(
    dir: &Path,
    prefix: &str,
    depth: usize,
    found: &mut impl FnMut(String, PathBuf) -> Result<(), ModelError>,
) -> Result<(), ModelError> {
    for item in fs::read_dir(dir).map_err(io_error("listing", dir))? {
        let item = item.map_err(io_error("listing", dir))?;
        let path = item.path();
        let relative = format!("{prefix}{}", name(&item.file_name(), &path)?);
        if relative.len() > MAX_PATH {
            return Err(ModelError::BadName { path, why: "the path is longer than 1024 bytes" });
        }
        // Does not follow links.
        let kind = item.file_type().map_err(io_error("reading the kind", &path))?;
        if kind.is_dir() {
            if depth >= MAX_DEPTH {
                let limit = format!("{} is more than {MAX_DEPTH} directories deep", path.display());
                return Err(ModelError::TooLarge { dir: dir.to_owned(), limit });
            }
            walk(&path, &format!("{relative}/"), depth + 1, found)?;
        } else if kind.is_file() {
            found(relative, path)?;
        } else {
            return Err(ModelError::NotRegular { path, kind: kind_name(kind) });
        }
    }
    Ok(())
}

fn name<'a>(name: &'a OsStr, path: &Path) -> Result<&'a str, ModelError> {
    let bad = |why| ModelError::BadName { path: path.to_owned(), why };
    let name = name.to_str().ok_or_else(|| bad("it is not UTF-8"))?;
    if name.chars().any(|c| c.is_control() || c == '\\') {
        // `sha256sum` would write such names in another form.
        return Err(bad("it has a control character or a backslash"));
    }
    Ok(name)
}

/// Opens without following a link and without waiting for a pipe's other end, then looks at what was really opened.
fn open_regular(path: &Path) -> Result<File, ModelError> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.cast_signed())
        .open(path)
        .map_err(io_error("opening", path))?;
    let kind = file.metadata().map_err(io_error("reading the kind", path))?.file_type();
    if kind.is_file() { Ok(file) } else { Err(ModelError::NotRegular { path: path.to_owned(), kind: kind_name(kind) }) }
}

fn kind_name(kind: fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_symlink() {
        "symbolic link"
    } else if kind.is_dir() {
        "directory"
    } else if kind.is_fifo() {
        "named pipe"
    } else if kind.is_socket() {
        "socket"
    } else {
        "device"
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn model() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("b.json"), "bee").unwrap();
        fs::write(dir.path().join("a.bin"), [7; 3000]).unwrap();
        fs::write(dir.path().join("sub/c"), "").unwrap();
        dir
    }

    #[test]
    fn the_root_is_what_the_format_says() {
        let dir = model();
        let manifest = Manifest::of(dir.path()).unwrap();
        let mut bytes = b"cocoon-model-v1\0".to_vec();
        for (path, content) in [("a.bin", vec![7; 3000]), ("b.json", b"bee".to_vec()), ("sub/c", vec![])] {
            bytes.extend([path.len() as u8, 0, 0, 0]);
            bytes.extend(path.as_bytes());
            bytes.extend((content.len() as u64).to_le_bytes());
            bytes.extend(Sha256::digest(&content));
        }
        assert_eq!(manifest.root(), ModelHash(Sha256::digest(&bytes).into()));
        assert_eq!(manifest.total_bytes(), 3003);
        assert!(manifest.text().ends_with("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  sub/c\n"));
    }

    #[test]
    fn every_file_and_every_byte_counts() {
        let dir = model();
        let root = || Manifest::of(dir.path()).unwrap().root();
        let original = root();
        fs::write(dir.path().join(".hidden"), "x").unwrap();
        assert_ne!(root(), original, "a dot file");
        fs::remove_file(dir.path().join(".hidden")).unwrap();
        assert_eq!(root(), original);
        fs::write(dir.path().join("b.json"), "beE").unwrap();
        assert_ne!(root(), original, "a changed byte");
        fs::write(dir.path().join("b.json"), "bee").unwrap();
        fs::rename(dir.path().join("sub/c"), dir.path().join("sub/d")).unwrap();
        assert_ne!(root(), original, "a renamed file");
    }

    #[test]
    fn a_tampered_file_is_refused_with_both_hashes() {
        let dir = model();
        let approved = Manifest::of(dir.path()).unwrap().root();
        fs::write(dir.path().join("a.bin"), [8; 3000]).unwrap();
        let found = Manifest::of(dir.path()).unwrap().root();
        let error = SealedModel::open(dir.path(), &[approved]).unwrap_err().to_string();
        assert!(error.contains(&approved.to_string()) && error.contains(&found.to_string()), "{error}");
        assert!(matches!(SealedModel::open(dir.path(), &[]), Err(ModelError::NotApproved { .. })));
    }

    #[test]
    fn sealed_bytes_stay_what_was_hashed() {
        let dir = model();
        let approved = Manifest::of(dir.path()).unwrap().root();
        let sealed = SealedModel::open(dir.path(), &[approved]).unwrap();
        fs::write(dir.path().join("b.json"), "changed").unwrap();
        let link = sealed.dir().join("b.json");
        assert_eq!(fs::read(&link).unwrap(), b"bee");
        assert_eq!(sealed.read("b.json", 100).unwrap().unwrap(), b"bee");
        assert!(sealed.read("none", 100).unwrap().is_none());
        assert!(matches!(sealed.read("a.bin", 100), Err(ModelError::TooLarge { .. })));
        // Not even the process itself can change them.
        let through_link = OpenOptions::new().write(true).open(&link).and_then(|mut f| f.write_all(b"x"));
        assert!(through_link.is_err());
        assert_eq!(fs::read(sealed.dir().join("sub/c")).unwrap(), b"");
    }

    #[test]
    fn what_could_change_after_hashing_is_refused() {
        let dir = model();
        symlink("b.json", dir.path().join("link")).unwrap();
        let error = Manifest::of(dir.path()).unwrap_err().to_string();
        assert!(error.contains("symbolic link") && error.contains("link"), "{error}");
        fs::remove_file(dir.path().join("link")).unwrap();

        let fifo = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let error = Manifest::of(dir.path()).unwrap_err().to_string();
        assert!(error.contains("named pipe"), "{error}");
        fs::remove_file(fifo).unwrap();

        for name in [&b"caf\xe9"[..], b"new\nline", b"back\\slash"] {
            let path = dir.path().join(OsStr::from_bytes(name));
            fs::write(&path, "").unwrap();
            assert!(matches!(Manifest::of(dir.path()), Err(ModelError::BadName { .. })), "{name:?}");
            fs::remove_file(path).unwrap();
        }
        Manifest::of(dir.path()).unwrap();
    }

    #[test]
    fn limits_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Manifest::of(dir.path()), Err(ModelError::Empty { .. })));
        assert!(matches!(Manifest::of(&dir.path().join("none")), Err(ModelError::Io { .. })));
        let deep = (0..=MAX_DEPTH).fold(dir.path().to_owned(), |path, _| path.join("d"));
        fs::create_dir_all(&deep).unwrap();
        assert!(matches!(Manifest::of(dir.path()), Err(ModelError::TooLarge { .. })));
        fs::remove_dir_all(dir.path().join("d")).unwrap();
        for i in 0..=MAX_FILES {
            fs::write(dir.path().join(i.to_string()), "").unwrap();
        }
        assert!(matches!(Manifest::of(dir.path()), Err(ModelError::TooLarge { .. })));
    }
}
