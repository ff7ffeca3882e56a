//! `cocoon stake node`: node keys that a stake answers for.

use std::path::PathBuf;

use anyhow::Result;
use cocoon_actions::System;
use cocoon_actions::stake::Stake;
use cocoon_protocol::{Hash256, NodePublicKey, Signature};

use crate::args::{Address, PublicKey, Sig, Ton};
use crate::pay::{Pay, carry};
use crate::report::Report;
use crate::secrets::seed;
use crate::session::Session;

/// A node's key: at hand, or inside a machine that has signed.
#[derive(clap::Args, Clone, Debug)]
pub struct NodeKeyArgs {
    /// The file with the node's key.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["node", "signature"], required_unless_present = "node")]
    pub(crate) node_key: Option<PathBuf>,
    /// The node's public key, if its secret lives in a trusted machine.
    #[arg(long, value_name = "KEY", requires = "signature")]
    pub(crate) node: Option<PublicKey>,
    /// That machine's signature over the hash that `proof` shows.
    #[arg(long, value_name = "SIGNATURE", requires = "node")]
    pub(crate) signature: Option<Sig>,
}

impl NodeKeyArgs {
    /// The key, and its signature over what `proof` makes of it.
    pub(crate) fn sign(
        &self,
        proof: impl FnOnce(&NodePublicKey) -> Result<Hash256>,
    ) -> Result<(NodePublicKey, Signature)> {
        match (&self.node_key, self.node, self.signature) {
            (Some(file), _, _) => {
                let key = seed::open(file)?;
                Ok((key.public(), key.sign(&proof(&key.public())?)))
            }
            (None, Some(node), Some(signature)) => Ok((node.0, signature.0)),
            // The argument parser asks for one or the other.
            _ => {
                Err(crate::exit::Usage("name the node's key with --node-key, or with --node and --signature".into())
                    .into())
            }
        }
    }
}

/// What can be done about nodes.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show the hash that a node's key has to sign before it can be registered.
    Proof {
        /// The owner's wallet.
        owner: Address,
        /// The node's public key.
        node: PublicKey,
    },
    /// Let a part of the stake answer for a node, or raise that part.
    Register {
        /// The part of the stake.
        #[arg(long, value_name = "AMOUNT")]
        bond: Ton,
        #[command(flatten)]
        key: NodeKeyArgs,
        #[command(flatten)]
        pay: Pay,
    },
    /// The node works no more. Its bond stays until the unbonding delay is over.
    Retire {
        /// Its public key.
        node: PublicKey,
        #[command(flatten)]
        pay: Pay,
    },
    /// Drop the record of a node that was retired long ago.
    Forget {
        /// Its public key.
        node: PublicKey,
        #[command(flatten)]
        pay: Pay,
    },
}

pub(crate) async fn run(command: &Command, session: &mut Session, system: &System) -> Result<Report> {
    let (pay, node) = match command {
        Command::Proof { owner, node } => {
            let stake = Stake::of(system, &owner.on(system.chain().network())?).await?;
            return Ok(Report::new()
                .text("stake_account", stake.address())
                .text("to_sign", stake.node_proof(&node.0)?));
        }
        Command::Register { pay, .. } => (pay, None),
        Command::Retire { node, pay } | Command::Forget { node, pay } => (pay, Some(node.0)),
    };
    let wallet = pay.open(system)?;
    let stake = Stake::of(system, wallet.address()).await?;
    let (plan, node) = match (command, node) {
        (Command::Register { bond, key, .. }, _) => {
            let (node, signature) = key.sign(|node| Ok(stake.node_proof(node)?))?;
            (stake.register_node(&node, bond.0, &signature)?, node)
        }
        (Command::Retire { .. }, Some(node)) => (stake.retire_node(&node)?, node),
        (_, Some(node)) => (stake.forget_node(&node)?, node),
        (_, None) => return Err(crate::exit::Usage("which node?".to_owned()).into()),
    };
    let head = Report::new().text("stake_account", stake.address()).text("node", node);
    Box::pin(carry(session, pay, system, &wallet, &plan, head)).await
}
