//! What a server can do wrong, for negative tests of clients.

/// What a server does wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Accounts have a little more than they have; the proofs are those of the true ones.
    ForgeState,
    /// Accounts have a little more than they have, and the proof of the state says so too; only the block does not.
    ForgeProof,
    /// Signatures under blocks are wrong in one bit.
    ForgeSignature,
    /// Questions are taken, and never answered.
    Stall,
    /// The newest so many blocks do not exist.
    Lag(u32),
}
