//! `cocoon wallet`: wallets in files, their balances, and payments.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use cocoon_actions::Plan;
use cocoon_chain::{AccountStatus, Wallet, WalletVersion};
use cocoon_protocol::{GlobalId, NodeKey};
use zeroize::Zeroizing;

use crate::args::{Address, Ton};
use crate::pay::{Pay, Version, carry};
use crate::report::Report;
use crate::secrets::{self, mnemonic};
use crate::session::{Common, Session};

/// Longest input that is read as words.
const MAX_WORDS: u64 = 4_096;

/// Arguments of `cocoon wallet`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Which network a wallet is shown for when none is at hand: a V5R1 wallet has another address on each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum On {
    Mainnet,
    Testnet,
    Devnet,
}

impl From<On> for GlobalId {
    fn from(on: On) -> Self {
        match on {
            On::Mainnet => Self::MAINNET,
            On::Testnet => Self::TESTNET,
            On::Devnet => Self::DEVNET,
        }
    }
}

#[derive(clap::Args)]
struct Shown {
    /// The file with the 24 words.
    file: PathBuf,
    /// Which contract the wallet is.
    #[arg(long, value_name = "VERSION", default_value = "v5r1")]
    wallet_version: Version,
    /// Ask no network; show the address that the wallet has there.
    #[arg(long, value_name = "NETWORK")]
    on: Option<On>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a wallet: 24 new words in a file that only its owner can read.
    New(Shown),
    /// Keep the 24 words of an existing wallet, read from standard input, in a file.
    Import(Shown),
    /// Show a wallet's addresses and what it holds.
    Show {
        #[command(flatten)]
        shown: Shown,
        /// Print the 24 words, too. Whoever sees them owns the wallet.
        #[arg(long)]
        words: bool,
    },
    /// Pay somebody.
    Send {
        /// To whom.
        to: Address,
        /// How much, with its unit: 5TON.
        amount: Ton,
        /// What the receiver reads.
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
        #[command(flatten)]
        pay: Pay,
    },
}

pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Report> {
    match &args.command {
        Command::New(shown) => show(session, shown, &mnemonic::new(&shown.file)?).await,
        Command::Import(shown) => show(session, shown, &mnemonic::import(&shown.file, &words_from_stdin()?)?).await,
        Command::Show { shown, words } => {
            let report = show(session, shown, &mnemonic::open(&shown.file)?).await?;
            Ok(if *words { report.text("words", secrets::read(&shown.file)?.trim()) } else { report })
        }
        Command::Send { to, amount, comment, pay } => {
            let system = session.chain().await?;
            let account = to.on(system.chain().network())?;
            // A wallet that was never used has no code that could take the money, and it is to stay there all the same.
            let exists = system.chain().account(&account).await?.status == AccountStatus::Active;
            let plan = Plan::transfer(account, amount.0, comment.as_deref(), to.bounceable() && exists)?;
            Box::pin(carry(session, pay, &system, &pay.open(&system)?, &plan, Report::new())).await
        }
    }
}

fn words_from_stdin() -> Result<Zeroizing<String>> {
    if std::io::stdin().is_terminal() {
        eprintln!("type the 24 words and end with Ctrl-D; better: cocoon wallet import FILE < words");
    }
    let mut words = Zeroizing::new(String::with_capacity(MAX_WORDS as usize));
    std::io::stdin().lock().take(MAX_WORDS).read_to_string(&mut words).context("reading the words")?;
    Ok(words)
}

async fn show(session: &mut Session, shown: &Shown, key: &NodeKey) -> Result<Report> {
    let version: WalletVersion = shown.wallet_version.into();
    let system = match shown.on {
        Some(_) => None,
        None if session.has_network() => Some(session.chain().await?),
        None => None,
    };
    let network = match (&system, shown.on) {
        (Some(system), _) => Some(system.chain().network()),
        (None, on) => on.map(GlobalId::from),
    };
    let report = Report::new().text("public_key", key.public()).text("file", shown.file.display());
    let Some(network) = network else {
        return Ok(report.text("address", "depends on the network: add --network FILE, or --on mainnet"));
    };
    let wallet = Wallet::new(key.clone(), version, network)?;
    let address = wallet.address();
    let report = report
        .text("version", version)
        .text("network", network)
        .text("address", address)
        .text("for_apps", address.display_base64_url(false))
        .text("for_contracts", address.display_base64_url(true));
    let Some(system) = system else { return Ok(report) };
    let account = system.chain().account(address).await?;
    let seqno = wallet.seqno(system.chain().as_ref()).await?;
    Ok(report.text("status", account.status).ton("balance", account.balance).number("messages_sent", seqno))
}
