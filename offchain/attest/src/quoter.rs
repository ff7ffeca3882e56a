//! Where quotes come from.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::evidence::exact_length;

/// Makes TDX quotes.
pub trait Quoter: Send + Sync {
    /// A quote over 64 bytes of report data. May block for some milliseconds.
    fn quote(&self, report_data: &[u8; 64]) -> Result<Vec<u8>, QuoterError>;

    /// The same without the zeros that firmware pads quotes with: verifiers refuse what follows the end (attack 72).
    fn exact_quote(&self, report_data: &[u8; 64]) -> Result<Vec<u8>, QuoterError> {
        let mut quote = self.quote(report_data)?;
        let length = exact_length(&quote).ok_or(QuoterError::NotAQuote { size: quote.len() })?;
        quote.truncate(length);
        Ok(quote)
    }
}

/// A quote cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuoterError {
    /// The kernel's interface fails.
    #[error("{}: {source}; a TDX guest needs Linux with TSM_REPORTS and TDX_GUEST_DRIVER, and configfs mounted", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The guest is of another kind.
    #[error("{}: the report provider is {found:?}, and only tdx_guest makes TDX quotes", .path.display())]
    Provider {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// Another process used the same report entry at the same time.
    #[error("{}: generation {found} where {expected} was expected: another process writes to the same entry; try again", .path.display())]
    GenerationRace {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What it must say.
        expected: u64,
    },
    /// What the platform made is no quote.
    #[error("the platform returned {size} bytes that are not a whole TDX quote")]
    NotAQuote {
        /// How many.
        size: usize,
    },
    /// The simulated platform failed.
    #[error("simulated platform: {why}")]
    Simulator {
        /// What failed.
        why: String,
    },
}

/// Quotes of a real TDX guest, through the kernel's configfs interface (`Documentation/ABI/testing/configfs-tsm-report`).
#[derive(Debug, Clone)]
pub struct TsmQuoter {
    root: PathBuf,
}

impl Default for TsmQuoter {
    fn default() -> Self {
        Self::at("/sys/kernel/config/tsm/report")
    }
}

impl TsmQuoter {
    /// The interface mounted elsewhere than in the usual place.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn quote_with(&self, files: &impl Files, report_data: &[u8; 64]) -> Result<Vec<u8>, QuoterError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let name = format!("cocoon-{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let entry = self.root.join(name);
        files.make_folder(&entry).map_err(at(&entry))?;
        let result = Self::ask(files, &entry, report_data);
        let removed = files.remove_folder(&entry).map_err(at(&entry));
        let quote = result?;
        removed?;
        Ok(quote)
    }

    fn ask(files: &impl Files, entry: &Path, report_data: &[u8; 64]) -> Result<Vec<u8>, QuoterError> {
        let text = |name: &str| {
            let path = entry.join(name);
            let bytes = files.read(&path).map_err(at(&path))?;
            Ok((path, String::from_utf8_lossy(&bytes).trim().to_owned()))
        };
        let (path, found) = text("provider")?;
        if found != "tdx_guest" {
            return Err(QuoterError::Provider { path, found });
        }
        let (_, before) = text("generation")?;
        let expected = before.parse::<u64>().unwrap_or(0).saturating_add(1);
        let inblob = entry.join("inblob");
        files.write(&inblob, report_data).map_err(at(&inblob))?;
        let outblob = entry.join("outblob");
        let quote = files.read(&outblob).map_err(at(&outblob))?;
        // One write is ours. More of them mean that the quote may be over somebody else's data.
        let (path, found) = text("generation")?;
        if found.parse() != Ok(expected) {
            return Err(QuoterError::GenerationRace { path, found, expected });
        }
        Ok(quote)
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> QuoterError {
    let path = path.to_owned();
    move |source| QuoterError::Io { path, source }
}

impl Quoter for TsmQuoter {
    fn quote(&self, report_data: &[u8; 64]) -> Result<Vec<u8>, QuoterError> {
        self.quote_with(&Kernel, report_data)
    }
}

/// The file operations that the interface consists of. The kernel fills a folder when it is made, which no ordinary file
/// system does, hence the seam.
trait Files {
    fn make_folder(&self, path: &Path) -> io::Result<()>;
    fn remove_folder(&self, path: &Path) -> io::Result<()>;
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
}

struct Kernel;

impl Files for Kernel {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir(path)
    }
    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        std::fs::write(path, bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use super::*;

    /// Behaves as the kernel does: a new folder has its files, each write counts, `outblob` follows `inblob`.
    #[derive(Default)]
    struct FakeKernel {
        files: Mutex<BTreeMap<PathBuf, Vec<u8>>>,
        provider: &'static str,
        stranger_writes: bool,
    }

    impl Files for FakeKernel {
        fn make_folder(&self, path: &Path) -> io::Result<()> {
            let mut files = self.files.lock().unwrap();
            files.insert(path.join("provider"), format!("{}\n", self.provider).into_bytes());
            files.insert(path.join("generation"), b"0\n".to_vec());
            Ok(())
        }
        fn remove_folder(&self, path: &Path) -> io::Result<()> {
            self.files.lock().unwrap().retain(|file, _| !file.starts_with(path));
            Ok(())
        }
        fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
            self.files.lock().unwrap().get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
        }
        fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
            let entry = path.parent().unwrap();
            let generation = if self.stranger_writes { "2\n" } else { "1\n" };
            let mut files = self.files.lock().unwrap();
            files.insert(entry.join("outblob"), [b"quote of ", bytes].concat());
            files.insert(entry.join("generation"), generation.into());
            Ok(())
        }
    }

    #[test]
    fn a_quote_is_read_and_the_entry_removed() {
        let kernel = FakeKernel { provider: "tdx_guest", ..Default::default() };
        let quote = TsmQuoter::default().quote_with(&kernel, &[b'x'; 64]).unwrap();
        assert_eq!(quote, [&b"quote of "[..], &[b'x'; 64]].concat());
        assert!(kernel.files.lock().unwrap().is_empty());
    }

    #[test]
    fn a_race_and_a_foreign_provider_are_errors_and_leave_nothing() {
        let race = FakeKernel { provider: "tdx_guest", stranger_writes: true, ..Default::default() };
        let error = TsmQuoter::default().quote_with(&race, &[0; 64]).unwrap_err();
        assert!(matches!(error, QuoterError::GenerationRace { expected: 1, .. }), "{error}");
        let foreign = FakeKernel { provider: "sev_guest", ..Default::default() };
        let error = TsmQuoter::default().quote_with(&foreign, &[0; 64]).unwrap_err();
        assert!(matches!(error, QuoterError::Provider { .. }), "{error}");
        assert!(race.files.lock().unwrap().is_empty() && foreign.files.lock().unwrap().is_empty());
    }

    #[test]
    fn a_machine_without_the_interface_says_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let error = TsmQuoter::at(folder.path().join("tsm")).quote(&[0; 64]).unwrap_err();
        assert!(error.to_string().contains("TSM_REPORTS"), "{error}");
    }
}
