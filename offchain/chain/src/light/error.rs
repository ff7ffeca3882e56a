//! Why something that a liteserver said is not believed.

use cocoon_lite::BlockIdExt;
use std::fmt;

/// A proof that proves nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProofError {
    /// Cells that cannot be read: not a bag of cells, too deep, of another form, or pruned where they are needed.
    #[error("{what} cannot be read: {why}")]
    Unreadable {
        /// Which part of the answer.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// It is about something else than what was asked for, or than what it hangs on.
    #[error("{what} should be {expected}, but is {found}")]
    Differs {
        /// Which part of the answer.
        what: &'static str,
        /// What follows from what is known.
        expected: String,
        /// What was sent.
        found: String,
    },
    /// Something that it must have is not there.
    #[error("{what}: {why}")]
    Wrong {
        /// Which part of the answer.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Signed by validators, and yet of a kind that this program does not know: the network was upgraded.
    #[error("{what} is {found}, which this program does not know: upgrade it")]
    Unsupported {
        /// Which part of the answer.
        what: &'static str,
        /// What was found.
        found: String,
    },
}

impl ProofError {
    pub(super) fn unreadable(what: &'static str, why: impl fmt::Display) -> Self {
        Self::Unreadable { what, why: why.to_string() }
    }

    pub(super) fn wrong(what: &'static str, why: impl fmt::Display) -> Self {
        Self::Wrong { what, why: why.to_string() }
    }

    pub(super) fn unsupported(what: &'static str, found: impl fmt::Display) -> Self {
        Self::Unsupported { what, found: found.to_string() }
    }
}

/// Fails unless two things are the same.
pub(super) fn same<T: PartialEq>(
    what: &'static str,
    expected: T,
    found: T,
    show: impl Fn(&T) -> String,
) -> Result<(), ProofError> {
    if expected == found {
        return Ok(());
    }
    Err(ProofError::Differs { what, expected: show(&expected), found: show(&found) })
}

/// Fails unless it is this block.
pub(super) fn same_block(what: &'static str, expected: &BlockIdExt, found: &BlockIdExt) -> Result<(), ProofError> {
    same(what, expected, found, |id| Name(id).to_string())
}

/// A block as explorers write it.
pub(super) struct Name<'a>(pub &'a BlockIdExt);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BlockIdExt { workchain, shard, seqno, root_hash, file_hash } = self.0;
        write!(f, "({workchain},{shard:016x},{seqno}):{root_hash}:{file_hash}")
    }
}
