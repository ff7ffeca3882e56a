//! `cocoon channel`: payment channels from both ends.

mod signed;

use std::path::PathBuf;

use anyhow::Result;
use cocoon_actions::channel::{self, SignedVoucher, Terms, unspent};
use cocoon_actions::system::{hash, nano};
use cocoon_chain::StdAddr;
use cocoon_protocol::Nano;
use cocoon_wrappers::generated::pay_channel::ChannelState;
use rand::Rng;

use crate::args::{Address, Moment, PublicKey, Span, Ton};
use crate::exit::Usage;
use crate::pay::{Pay, carry};
use crate::report::Report;
use crate::secrets::seed;
use crate::session::{Common, Session};
use signed::{ConsentFile, read_voucher, write_voucher};

/// Arguments of `cocoon channel`.
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
    /// Open a channel to a payee, with a first deposit.
    Open {
        /// Who is paid.
        #[arg(long, value_name = "ADDRESS")]
        payee: Address,
        /// The payee's key, which signs consents to close; of a worker, its node key.
        #[arg(long, value_name = "KEY")]
        payee_key: PublicKey,
        /// The file with the key that signs vouchers (cocoon key new FILE).
        #[arg(long, value_name = "FILE")]
        voucher_key: PathBuf,
        /// What is deposited first.
        #[arg(long, value_name = "AMOUNT")]
        deposit: Ton,
        /// How long the payee can still claim after you have asked to close.
        #[arg(long, value_name = "TIME", default_value = "1d")]
        challenge: Span,
        /// Part of every claim that burns, in hundredths of a percent; what the registry asks for if absent.
        #[arg(long, value_name = "BPS")]
        protocol_fee_bps: Option<u16>,
        /// Tells channels of one pair apart; a random one if absent.
        #[arg(long, value_name = "NUMBER")]
        salt: Option<u64>,
        #[command(flatten)]
        pay: Pay,
    },
    /// Add to a channel's deposit.
    TopUp {
        /// The channel.
        channel: Address,
        /// How much, with its unit: 5TON.
        amount: Ton,
        #[command(flatten)]
        pay: Pay,
    },
    /// Sign a voucher: the payee may have received this much in all.
    SignVoucher {
        /// The channel.
        channel: Address,
        /// How much in all, since the channel began.
        cumulative: Ton,
        /// The file with the payer's voucher key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Until when it may be claimed; for ever if absent.
        #[arg(long, value_name = "TIME")]
        valid_until: Option<Moment>,
        /// Where to write it.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Claim what a voucher promises; the payee is paid, whoever claims.
    Claim {
        /// The voucher's file.
        voucher: PathBuf,
        #[command(flatten)]
        pay: Pay,
    },
    /// Ask to close: after the challenge period the channel can be settled.
    Close {
        /// The channel.
        channel: Address,
        #[command(flatten)]
        pay: Pay,
    },
    /// After the challenge period: send the rest of the deposit back to the payer.
    Settle {
        /// The channel.
        channel: Address,
        #[command(flatten)]
        pay: Pay,
    },
    /// As the payee: consent to an immediate end. Nothing more can be claimed after it.
    SignClose {
        /// The channel.
        channel: Address,
        /// The file with the payee's key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Where to write the consent.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Settle at once with the payee's consent.
    CoopClose {
        /// The consent's file.
        consent: PathBuf,
        #[command(flatten)]
        pay: Pay,
    },
    /// Show a channel.
    Show {
        /// The channel.
        channel: Address,
    },
    /// List the channels that an account has to do with, as its history tells.
    List {
        /// The payer's or the payee's wallet.
        owner: Address,
    },
}

pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Report> {
    let system = session.system().await?;
    let network = system.chain().network();
    let (plan, pay, head) = match &args.command {
        Command::Open { payee, payee_key, voucher_key, deposit, challenge, protocol_fee_bps, salt, pay } => {
            let asked = system.registry_state().await?.params.protocol_fee_bps;
            let terms = Terms {
                payer: pay.open(&system)?.address().clone(),
                payee: payee.on(network)?,
                payer_key: seed::open(voucher_key)?.public(),
                payee_key: payee_key.0,
                challenge: challenge.0,
                salt: salt.unwrap_or_else(|| rand::rngs::OsRng.gen_range(0..u64::MAX)),
                protocol_fee_bps: protocol_fee_bps.unwrap_or(asked),
            };
            let (_, address) = terms.identify()?;
            let head = Report::new().text("channel", address).text("salt", terms.salt);
            (channel::open(&system, &terms, deposit.0).await?, pay, head)
        }
        Command::TopUp { channel, amount, pay } => {
            (channel::top_up(&system, &channel.on(network)?, amount.0).await?, pay, Report::new())
        }
        Command::Claim { voucher, pay } => {
            let voucher = read_voucher(voucher)?;
            (channel::claim(&system, &voucher).await?, pay, Report::new())
        }
        Command::Close { channel, pay } => {
            let sender = pay.open(&system)?;
            let plan = channel::request_close(&system, &channel.on(network)?, sender.address()).await?;
            (plan, pay, Report::new())
        }
        Command::Settle { channel, pay } => {
            (channel::settle(&system, &channel.on(network)?).await?, pay, Report::new())
        }
        Command::CoopClose { consent, pay } => {
            let consent = ConsentFile::read(consent)?;
            (channel::coop_close(&system, &consent.consent, &consent.signature).await?, pay, Report::new())
        }
        Command::SignVoucher { channel, cumulative, key, valid_until, out } => {
            let address = channel.on(network)?;
            let state = system.channel(&address).await?;
            let key = seed::open(key)?;
            if *key.public().as_bytes() != state.payer_key.0 {
                let why = format!(
                    "the channel's vouchers are signed by {}, and this key is {}",
                    state.payer_key,
                    key.public()
                );
                return Err(Usage(why).into());
            }
            let now = system.chain().head().await?.utime.0;
            let valid_until = valid_until.map_or(0, |until| until.unix(now));
            let covered = cumulative.0 <= nano(state.deposit);
            let signed = SignedVoucher::sign(&system, &address, cumulative.0, valid_until, &key)?;
            write_voucher(&signed, out)?;
            return Ok(Report::new()
                .text("voucher", out.display())
                .ton("cumulative", cumulative.0)
                .ton("worth_now", channel::claimable(&state, &signed.voucher))
                .flag("covered_by_deposit", covered));
        }
        Command::SignClose { channel, key, out } => {
            let address = channel.on(network)?;
            let state = system.channel(&address).await?;
            let key = seed::open(key)?;
            if *key.public().as_bytes() != state.payee_key.0 {
                let why =
                    format!("the channel's payee signs with {}, and this key is {}", state.payee_key, key.public());
                return Err(Usage(why).into());
            }
            let consent = channel::consent(&system, &address, &state);
            let signature = consent.sign(&key)?;
            let claimed = consent.claimed;
            ConsentFile { consent, signature }.write(out)?;
            return Ok(Report::new().text("consent", out.display()).ton("claimed", claimed));
        }
        Command::Show { channel } => {
            let address = channel.on(network)?;
            let now = system.chain().head().await?.utime.0;
            return Ok(one(&address, &system.channel(&address).await?, now));
        }
        Command::List { owner } => {
            let owner = owner.on(network)?;
            let now = system.chain().head().await?.utime.0;
            let channels = channel::list(&system, &owner).await?;
            let total: Nano = channels.iter().filter(|(_, s)| s.payer == owner).map(|(_, s)| unspent(s)).sum();
            let channels = channels.iter().map(|(address, state)| {
                let role = if state.payer == owner { "payer" } else { "payee" };
                Report::new().text("role", role).and(one(address, state, now))
            });
            return Ok(Report::new().ton("unspent_as_payer", total).list("channels", channels.collect()));
        }
    };
    Box::pin(carry(session, pay, &system, &pay.open(&system)?, &plan, head)).await
}

fn one(address: &StdAddr, state: &ChannelState, now: u32) -> Report {
    let status = match state.close_at {
        0 if unspent(state).is_zero() => "empty",
        0 => "open",
        at if at <= now => "can be settled",
        _ => "closing",
    };
    Report::new()
        .text("channel", address)
        .text("status", status)
        .text("payer", &state.payer)
        .text("payee", &state.payee)
        .text("payer_key", hash(state.payer_key))
        .text("payee_key", hash(state.payee_key))
        .ton("deposit", nano(state.deposit))
        .ton("claimed", nano(state.claimed))
        .ton("unspent", unspent(state))
        .seconds("challenge", state.challenge)
        .number("protocol_fee_bps", state.protocol_fee_bps)
        .time("close_at", state.close_at)
        .number("epoch", state.epoch)
        .text("salt", state.salt)
}
