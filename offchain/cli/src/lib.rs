//! The `cocoon` command. Data goes to standard output, everything else to standard error.
//!
//! One folder for each noun. A command reads its arguments ([`args`]), gets the network from the [`session`], plans with
//! `cocoon-actions`, and hands the plan to [`pay`], which tries it, asks, and sends it. It answers with one [`report::Report`], which
//! is printed as a table or as one JSON object. The exit codes are in [`exit`].

pub mod args;
pub mod attest;
pub mod channel;
mod console;
pub mod dao;
mod demo;
pub mod devnet;
pub mod exit;
pub mod fault;
pub mod image;
mod input;
pub mod key;
pub mod log;
pub mod model;
pub mod network;
pub mod pay;
pub mod receipt;
pub mod registry;
pub mod report;
pub mod secrets;
pub mod service;
pub mod session;
pub mod stake;
mod up;
pub mod wallet;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::report::Report;
use crate::session::{Common, Session};

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
    /// Serve an OpenAI-compatible endpoint on this machine, paid from a channel.
    Client(service::Args),
    /// Serve an approved model, and be paid for it.
    Worker(service::Args),
    /// Route requests to workers, meter them, and hold vouchers.
    Proxy(service::Args),
    /// Index the chain, serve what it says, and defend channels of payees that are not there.
    Watcher(service::Args),
    /// Make wallets, look at them and pay from them.
    Wallet(wallet::Args),
    /// Make and show Ed25519 keys: of nodes, of council members, of those who rebuild images.
    Key(key::Args),
    /// Open, fund, claim and close payment channels.
    Channel(channel::Args),
    /// Stake Toncoin, unbond it, and let it answer for nodes.
    Stake(stake::Args),
    /// Propose, vote, execute, and read what proposals will do.
    Dao(dao::Args),
    /// Read what the network accepts; register proxies; suspend entries; sign rebuilds.
    Registry(registry::Args),
    /// Prove that a node or a proxy broke the rules, and earn half of its bond.
    Fault(fault::Args),
    /// Look at the evidence of nodes, quotes and GPUs, and verify it rule by rule.
    Attest(attest::Args),
    /// Check the receipt of an answer, offline.
    Receipt(receipt::Args),
    /// Read the transparency log, and check that it only grows.
    Log(log::Args),
    /// Predict what a guest image measures to, and replay the log of its boot.
    Image(image::Args),
    /// Compute the hash under which a model is approved.
    Model(model::Args),
    /// Run a chain by itself; steer a development network: its time, its faucet, copies, faults.
    Devnet(devnet::Args),
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

impl Command {
    fn common(&self) -> Option<&Common> {
        Some(match self {
            Self::Demo(_) | Self::Up(_) => return None,
            Self::Client(_) | Self::Worker(_) | Self::Proxy(_) | Self::Watcher(_) => return None,
            Self::Wallet(args) => &args.common,
            Self::Key(args) => &args.common,
            Self::Channel(args) => &args.common,
            Self::Stake(args) => &args.common,
            Self::Dao(args) => &args.common,
            Self::Registry(args) => &args.common,
            Self::Fault(args) => &args.common,
            Self::Attest(args) => &args.common,
            Self::Receipt(args) => &args.common,
            Self::Log(args) => &args.common,
            Self::Image(args) => &args.common,
            Self::Model(args) => &args.common,
            Self::Devnet(args) => &args.common,
        })
    }

    /// Services tell what they do; commands speak by their answer.
    const fn log_level(&self) -> &'static str {
        match self {
            Self::Client(_) | Self::Worker(_) | Self::Proxy(_) | Self::Watcher(_) => "warn,cocoon=info",
            _ => "error",
        }
    }

    async fn run(&self, session: &mut Session) -> Result<Report> {
        match self {
            Self::Demo(demo) => Box::pin(demo.run()).await.map(|()| Report::silent()),
            Self::Up(up) => Box::pin(up.run()).await.map(|()| Report::silent()),
            Self::Client(args) => Box::pin(service::client::run(args)).await.map(|()| Report::silent()),
            Self::Worker(args) => Box::pin(service::worker::run(args)).await.map(|()| Report::silent()),
            Self::Proxy(args) => Box::pin(service::proxy::run(args)).await.map(|()| Report::silent()),
            Self::Watcher(args) => Box::pin(service::watcher::run(args)).await.map(|()| Report::silent()),
            Self::Wallet(args) => Box::pin(wallet::run(args, session)).await,
            Self::Key(args) => key::run(args),
            Self::Channel(args) => Box::pin(channel::run(args, session)).await,
            Self::Stake(args) => Box::pin(stake::run(args, session)).await,
            Self::Dao(args) => Box::pin(dao::run(args, session)).await,
            Self::Registry(args) => Box::pin(registry::run(args, session)).await,
            Self::Fault(args) => Box::pin(fault::run(args, session)).await,
            Self::Attest(args) => Box::pin(attest::run(args, session)).await,
            Self::Receipt(args) => Box::pin(receipt::run(args, session)).await,
            Self::Log(args) => Box::pin(log::run(args, session)).await,
            Self::Image(args) => image::run(args),
            Self::Model(args) => model::run(args),
            Self::Devnet(args) => Box::pin(devnet::run(args, session)).await,
        }
    }
}

/// What a command has printed and how it has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// For standard output.
    pub stdout: String,
    /// For standard error.
    pub stderr: String,
    /// See [`exit`].
    pub code: u8,
}

/// Runs one command line in a session. This is all of the program but the process around it.
pub async fn run(args: impl IntoIterator<Item = impl Into<OsString> + Clone>, session: &mut Session) -> Ended {
    match Cli::try_parse_from(args) {
        Ok(cli) => execute(&cli.command, session).await,
        Err(error) => usage(&error),
    }
}

fn usage(error: &clap::Error) -> Ended {
    let (text, code) = (error.render().to_string(), u8::try_from(error.exit_code()).unwrap_or(exit::USAGE));
    if error.use_stderr() {
        Ended { stdout: String::new(), stderr: text, code }
    } else {
        Ended { stdout: text, stderr: String::new(), code }
    }
}

async fn execute(command: &Command, session: &mut Session) -> Ended {
    let json = command.common().is_some_and(|common| common.json);
    if let Some(common) = command.common() {
        session.use_network(common.network.clone());
    }
    match command.run(session).await {
        Ok(report) => {
            let stdout = if json { report.to_json_line() } else { report.to_text() };
            Ended { stdout, stderr: String::new(), code: report.exit() }
        }
        Err(error) => {
            let code = exit::code(&error);
            let stdout = if json { exit::error_json(&error) } else { String::new() };
            Ended { stdout, stderr: format!("error: {}\n", exit::words(&error)), code }
        }
    }
}

/// The process: arguments, logging, a runtime, and the exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(cli.command.log_level()));
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
    let mut session = Session::terminal();
    let ended = runtime.block_on(execute(&cli.command, &mut session));
    // What still runs in the background has nothing left to lose: stores are written before they are acknowledged.
    runtime.shutdown_background();
    print!("{}", ended.stdout);
    eprint!("{}", ended.stderr);
    ExitCode::from(ended.code)
}
