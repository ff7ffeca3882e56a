//! Files that people name on the command line: read whole, and only if they are as small as such a file is.

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// The bytes of a file, of which there may be at most so many.
pub(crate) fn bytes(path: &Path, most: u64) -> Result<Vec<u8>> {
    check_size(path, most)?;
    std::fs::read(path).with_context(|| reading(path))
}

/// The text of a file of at most so many bytes.
pub(crate) fn text(path: &Path, most: u64) -> Result<String> {
    check_size(path, most)?;
    std::fs::read_to_string(path).with_context(|| reading(path))
}

fn check_size(path: &Path, most: u64) -> Result<()> {
    let size = std::fs::metadata(path).with_context(|| reading(path))?.len();
    ensure!(size <= most, "{} has {size} bytes; at most {most} are read", path.display());
    Ok(())
}

fn reading(path: &Path) -> String {
    format!("reading {}", path.display())
}
