//! `cocoon registry proxy`: bonded proxies.

use anyhow::Result;
use cocoon_actions::{System, proxy};

use super::show;
use crate::args::{Address, PublicKey, Ton};
use crate::pay::{Pay, carry};
use crate::report::Report;
use crate::session::Session;
use crate::stake::NodeKeyArgs;

/// What can be done about proxies.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show an owner's proxy.
    Show {
        /// The owner's wallet.
        owner: Address,
    },
    /// Show the hash that a proxy's node key has to sign before it can be registered.
    Proof {
        /// The owner's wallet.
        owner: Address,
        /// The node's public key.
        node: PublicKey,
    },
    /// Register the wallet's proxy with a bond.
    Register {
        /// Where it listens: host and port.
        #[arg(long, value_name = "HOST:PORT")]
        endpoint: String,
        /// Its bond; the registry asks for a least one.
        #[arg(long, value_name = "AMOUNT")]
        bond: Ton,
        #[command(flatten)]
        key: NodeKeyArgs,
        #[command(flatten)]
        pay: Pay,
    },
    /// Tell where the wallet's proxy listens now, or add to its bond.
    Update {
        /// Where it listens: host and port.
        #[arg(long, value_name = "HOST:PORT")]
        endpoint: String,
        /// What is added to its bond.
        #[arg(long, value_name = "AMOUNT", default_value = "0TON")]
        add_bond: Ton,
        #[command(flatten)]
        pay: Pay,
    },
    /// Take the wallet's proxy out of service.
    Unbond {
        #[command(flatten)]
        pay: Pay,
    },
    /// Take the bond back after the unbonding period.
    Withdraw {
        #[command(flatten)]
        pay: Pay,
    },
}

pub(crate) async fn run(command: &Command, session: &mut Session, system: &System) -> Result<Report> {
    let network = system.chain().network();
    let pay = match command {
        Command::Show { owner } => {
            let owner = owner.on(network)?;
            let state = system.registry_state().await?;
            let entry = state.proxies.get(&owner).ok_or_else(|| show::missing("proxy", &owner))?;
            return Ok(show::proxy(&owner, entry));
        }
        Command::Proof { owner, node } => {
            let hash = proxy::proof_hash(system, &owner.on(network)?, &node.0)?;
            return Ok(Report::new().text("to_sign", hash));
        }
        Command::Register { pay, .. }
        | Command::Update { pay, .. }
        | Command::Unbond { pay }
        | Command::Withdraw { pay } => pay,
    };
    let wallet = pay.open(system)?;
    let owner = wallet.address();
    let plan = match command {
        Command::Register { endpoint, bond, key, .. } => {
            let (key, signature) = key.sign(|key| Ok(proxy::proof_hash(system, owner, key)?))?;
            proxy::register(system, owner, &key, endpoint, bond.0, &signature).await?
        }
        Command::Update { endpoint, add_bond, .. } => proxy::update(system, owner, endpoint, add_bond.0).await?,
        Command::Unbond { .. } => proxy::unbond(system, owner).await?,
        _ => proxy::withdraw(system, owner).await?,
    };
    Box::pin(carry(session, pay, system, &wallet, &plan, Report::new().text("owner", owner))).await
}
