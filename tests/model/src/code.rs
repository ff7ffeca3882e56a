//! The contracts under test: compiled code from a folder, so that altered contracts can be tried.

use std::path::{Path, PathBuf};

use tycho_types::boc::Boc;
use tycho_types::cell::Cell;

use crate::chain::Chain;
use crate::run::Failure;

/// Compiled code of the contracts.
#[derive(Clone, Debug)]
pub struct Codes {
    folder: PathBuf,
    /// PayChannel.
    pub channel: Cell,
    /// FaultReport.
    pub fault: Cell,
    /// Governor; it carries the code of its children.
    pub governor: Cell,
    /// Proposal.
    pub proposal: Cell,
    /// Registry.
    pub registry: Cell,
    /// Reputation.
    pub reputation: Cell,
    /// StakeAccount.
    pub stake: Cell,
    /// TransparencyLog.
    pub log: Cell,
    empty: Chain,
}

impl Codes {
    /// The committed artefacts.
    pub fn committed() -> Result<Self, Failure> {
        Self::from_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wrappers/artifacts"))
    }

    /// `NAME.code.boc` of every contract in this folder.
    pub fn from_folder(folder: &Path) -> Result<Self, Failure> {
        Ok(Self {
            folder: folder.to_owned(),
            channel: load(folder, "PayChannel")?,
            fault: load(folder, "FaultReport")?,
            governor: load(folder, "Governor")?,
            proposal: load(folder, "Proposal")?,
            registry: load(folder, "Registry")?,
            reputation: load(folder, "Reputation")?,
            stake: load(folder, "StakeAccount")?,
            log: load(folder, "TransparencyLog")?,
            empty: Chain::new()?,
        })
    }

    /// A chain without accounts.
    pub fn chain(&self) -> Result<Chain, Failure> {
        Ok(self.empty.emptied())
    }

    /// Where they come from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

fn load(folder: &Path, name: &str) -> Result<Cell, Failure> {
    let path = folder.join(format!("{name}.code.boc"));
    let bytes = std::fs::read(&path).map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
    Boc::decode(bytes).map_err(|e| Failure::new(format!("{}: {e}", path.display())))
}
