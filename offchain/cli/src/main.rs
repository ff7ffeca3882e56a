//! The `cocoon` command. Data goes to standard output, everything else to standard error.

mod console;
mod demo;
mod up;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// A decentralised network for confidential AI inference on TON.
#[derive(Parser)]
#[command(name = "cocoon", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a whole network once: a DAO vote, a staked worker, a private answer, paid and settled on chain.
    Demo(demo::Demo),
    /// Run a whole network until Ctrl-C, with an OpenAI endpoint on 127.0.0.1.
    Up(up::Up),
}

/// Which model a local network serves.
#[derive(clap::Args)]
struct ModelArgs {
    /// Directory of the model to serve: config.json, tokenizer.json, *.safetensors. The shipped one if absent.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
}

impl ModelArgs {
    fn config(&self) -> cocoon_localnet::NetConfig {
        let model = self.model.clone().unwrap_or_else(cocoon_localnet::NetConfig::shipped_model);
        cocoon_localnet::NetConfig::new(&model)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Demo(demo) => demo.run().await,
            Command::Up(up) => up.run().await,
        }
    });
    // What still runs in the background has nothing left to lose: stores are written before they are acknowledged.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
