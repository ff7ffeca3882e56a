//! Transactions per second of a devnet, with blocks, states, message descriptors, updates and signatures, and answers with
//! proofs per second of its liteserver.
//!
//! `taskset -c 0 cargo run -p cocoon-devnet --example throughput [SENDERS] [PAYMENTS] [FOLDER]`: so many wallets each send a
//! message from outside that pays so many others, which is one transaction per message and one per payment. Then it reads the
//! account of each sender with its proof, over one connection. The network is kept in memory unless there is a folder.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::bail;
use cocoon_chain::{Chain, OutMessage, Wallet, WalletVersion};
use cocoon_devnet::{Devnet, ManualClock, Settings};
use cocoon_lite::frame::Asked;
use cocoon_lite::queries::{GetAccountState, GetMasterchainInfo};
use cocoon_lite::{AccountId, Answer, Connection, Frame, Query, wrap_query};
use cocoon_protocol::{Nano, NodeKey, UnixSeconds};
use tycho_types::cell::HashBytes;

/// What all threads of this process have used, where the system says so.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in parentheses, may hold anything; user and system time are the 12th and 13th field after it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let senders: u64 = args.next().map_or(Ok(200), |arg| arg.parse())?;
    let payments: u64 = args.next().map_or(Ok(100), |arg| arg.parse())?;
    let folder = args.next().map(PathBuf::from);
    let clock = Box::new(ManualClock::new(UnixSeconds(1_760_000_000)));
    let devnet = Devnet::start(Settings { folder, clock, tick: None, ..Settings::default() }).await?;
    let wallet = |number: u64| {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&number.to_be_bytes());
        Wallet::new(NodeKey::from_seed(&seed), WalletVersion::V5R1, devnet.network())
    };
    let mut wallets = vec![];
    for number in 0..senders {
        let wallet = wallet(number)?;
        devnet.faucet(wallet.address(), Nano::from_ton(1_000)).await?;
        wallets.push(wallet);
    }
    let until = devnet.head().await?.utime.plus(600);
    let mut messages = vec![];
    for (number, wallet) in wallets.iter().enumerate() {
        let others = wallets.iter().cycle().skip(number + 1).zip(0..payments);
        let payments: Vec<_> = others
            .map(|(to, payment)| OutMessage::new(to.address().clone(), Nano::new(1_000_000 + payment)).no_bounce())
            .collect();
        messages.push(wallet.sign(&payments, 0, until, true)?);
    }

    let before = (devnet.supply().await?.totals.transactions, devnet.head().await?.seqno);
    let (start, cpu) = (Instant::now(), cpu_seconds());
    for message in messages {
        devnet.send(message).await?;
    }
    let elapsed = start.elapsed();
    let busy = cpu_seconds().zip(cpu).map_or(elapsed.as_secs_f64(), |(after, before)| after - before);
    let after = (devnet.supply().await?.totals.transactions, devnet.head().await?.seqno);
    let (transactions, blocks) = (after.0 - before.0, after.1 - before.1);
    println!(
        "{transactions} transactions in {blocks} blocks in {elapsed:.2?}: {:.0} transactions/s; {busy:.2} s of CPU: {:.0} \
         transactions/s on a core that has nothing else to do",
        transactions as f64 / elapsed.as_secs_f64(),
        transactions as f64 / busy.max(0.01),
    );

    let server = devnet.serve_lite(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let mut connection = Connection::connect(server.address(), server.public_key()).await?;
    let mut ask = async |query: Query| -> anyhow::Result<Answer> {
        let query = Asked { query_id: HashBytes::ZERO, query: wrap_query(&query, None) };
        connection.sender.send(&Frame::Asked(query)).await?;
        match connection.receiver.receive().await? {
            Frame::Answered(answered) => Ok(Answer::from_bytes(&answered.answer)?),
            other => bail!("no answer: {other:?}"),
        }
    };
    let Answer::MasterchainInfo(info) = ask(Query::GetMasterchainInfo(GetMasterchainInfo {})).await? else {
        bail!("no newest block")
    };
    let start = Instant::now();
    let mut bytes = 0;
    for wallet in &wallets {
        let account = AccountId { workchain: 0, id: wallet.address().address };
        let query = GetAccountState { id: info.last.clone(), account };
        match ask(query.into()).await? {
            Answer::AccountState(state) if !state.state.is_empty() => {
                bytes += state.proof.len() + state.shard_proof.len()
            }
            other => bail!("no account: {other:?}"),
        }
    }
    let elapsed = start.elapsed();
    println!(
        "{senders} accounts with proofs in {elapsed:.2?}: {:.0} accounts/s, {} bytes of proof each",
        senders as f64 / elapsed.as_secs_f64(),
        bytes as u64 / senders.max(1),
    );
    devnet.stop().await;
    Ok(())
}
