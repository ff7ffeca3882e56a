//! `cocoon registry`: what the network accepts.

mod proxy;
mod show;

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
        Command::Proxy(command) => proxy::run(command, session, &system).await,
    }
}
