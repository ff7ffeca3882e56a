//! `cocoon registry`: what the network accepts.

mod proxy;
mod show;
mod sign;

use anyhow::Result;
use cocoon_protocol::{ImageId, ModelHash};

use crate::report::Report;
use crate::session::{Common, Session};

/// Arguments of `cocoon registry`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one for each command line")]
enum Command {
    /// Show everything that the network enforces.
    Show,
    /// Show one approved image.
    Image {
        /// Hash of its measurements.
        id: ImageId,
    },
    /// Show one approved model.
    Model {
        /// Hash of its files.
        id: ModelHash,
    },
    /// As a rebuilder: sign that a source gives an image.
    SignRebuild(sign::Rebuild),
    /// As a member of the council: sign that an entry is to be suspended.
    SignSuspension(sign::Suspension),
    /// Suspend an entry at once, with the signatures of enough members of the council.
    Suspend(sign::Suspend),
    /// Bonded proxies: register one, change it, let it leave.
    #[command(subcommand)]
    Proxy(proxy::Command),
}

pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Report> {
    let system = session.system().await?;
    let now = system.chain().head().await?.utime.0;
    match &args.command {
        Command::Show => Ok(show::whole(system.registry(), &system.registry_state().await?, now)),
        Command::Image { id } => show::one_image(&system.registry_state().await?, id, now),
        Command::Model { id } => show::one_model(&system.registry_state().await?, id, now),
        Command::SignRebuild(args) => args.run(&system),
        Command::SignSuspension(args) => args.run(&system, now).await,
        Command::Suspend(args) => args.run(session, &system, now).await,
        Command::Proxy(command) => proxy::run(command, session, &system).await,
    }
}
