//! Entries of the registry, and the roles of images.

use cocoon_actions::registry::Kind;
use cocoon_protocol::{Hash256, Role};

/// Which entry.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct EntryArgs {
    /// Image or model.
    pub kind: EntryKind,
    /// Its hash.
    pub id: Hash256,
}

/// What an entry is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum EntryKind {
    /// A virtual machine image.
    Image,
    /// A model.
    Model,
}

impl From<EntryKind> for Kind {
    fn from(kind: EntryKind) -> Self {
        match kind {
            EntryKind::Image => Self::Image,
            EntryKind::Model => Self::Model,
        }
    }
}

/// Who runs an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum RoleArg {
    /// Whoever asks.
    Client,
    /// Whoever routes.
    Proxy,
    /// Whoever answers.
    Worker,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Client => Self::Client,
            RoleArg::Proxy => Self::Proxy,
            RoleArg::Worker => Self::Worker,
        }
    }
}
