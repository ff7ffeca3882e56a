//! What can go wrong with the network itself.

use std::path::PathBuf;

use cocoon_chain::{ChainError, ConfigError, GetterError, Refusal, TraceError, WalletError};
use cocoon_protocol::{Nano, StdAddr};

/// The devnet cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DevnetError {
    /// No set of validators is so large.
    #[error("{0} validators are asked for, and a set has at most {max}", max = crate::blocks::validator::MAX_VALIDATORS)]
    Validators(u16),
    /// The folder cannot be made.
    #[error("the devnet's folder {} cannot be made: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Another process, or another devnet of this one, has the folder open.
    #[error("the devnet in {} is already running; stop that one, or choose another folder", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Reading or writing the store failed. The network stands where it stood before.
    #[error("the devnet's store {}: {source}; nothing that happened before is lost; check the disk and start again", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What the database says.
        #[source]
        source: Box<redb::Error>,
    },
    /// The store holds something that this program did not write.
    #[error("the devnet's store {}: {what} cannot be read ({why}); restore the file from a copy, or remove it to begin a new network", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Which entry.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The store belongs to a network with another configuration.
    #[error("the devnet's store {} was made with another network configuration ({found}, now {expected}); remove it to begin a new network", path.display())]
    OtherConfig {
        /// The file.
        path: PathBuf,
        /// Hash of the configuration that it was made with.
        found: String,
        /// Hash of the configuration of this program.
        expected: String,
    },
    /// The store belongs to another network.
    #[error("the devnet's store {} is of network {found}, not {expected}; name the right one, or choose another folder", path.display())]
    OtherNetwork {
        /// The file.
        path: PathBuf,
        /// The network that it is.
        found: cocoon_protocol::GlobalId,
        /// The network that was expected.
        expected: cocoon_protocol::GlobalId,
    },
    /// There is a network already where a copy of another was to go.
    #[error("there is a network in {} already; choose another folder for the copy", path.display())]
    Occupied {
        /// The file.
        path: PathBuf,
    },
    /// The built-in configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A parameter of the configuration cannot be changed so.
    #[error("parameter {param} of the configuration cannot be changed: {why}")]
    ConfigParam {
        /// Its number.
        param: u32,
        /// Why not.
        why: String,
    },
    /// A block could not be made. The network stands where it stood before.
    #[error("no block could be made: {0}")]
    Block(String),
    /// A message was not accepted.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The faucet has not enough left.
    #[error("the faucet cannot give {amount} to {to}: {why}")]
    Faucet {
        /// For whom.
        to: StdAddr,
        /// How much.
        amount: Nano,
        /// Why not.
        why: String,
    },
    /// The giver's wallet failed.
    #[error("the faucet's wallet: {0}")]
    Wallet(#[from] Box<WalletError>),
    /// The giver's seqno cannot be read.
    #[error("the faucet's wallet: {0}")]
    Getter(#[from] Box<GetterError>),
    /// What the faucet sent cannot be followed.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A structure of the network cannot be read.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The thread that keeps the network cannot be started.
    #[error("the devnet's thread cannot be started: {0}")]
    Thread(#[source] std::io::Error),
    /// A server cannot listen there.
    #[error("no server can listen at {address}: {source}; choose another port")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The network was stopped.
    #[error("the devnet is stopped")]
    Stopped,
}
