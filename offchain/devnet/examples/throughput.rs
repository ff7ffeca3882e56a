//! Transactions per second of a devnet, with blocks, states, message descriptors, updates and signatures, in one thread.
//!
//! `cargo run -p cocoon-devnet --example throughput [SENDERS] [PAYMENTS]`: so many wallets each send a message from outside
//! that pays so many others, which is one transaction per message and one per payment. Then it reads the account of each
//! sender with its proof.

use std::time::Instant;

use cocoon_chain::{Chain, OutMessage, Wallet, WalletVersion};
use cocoon_devnet::{Devnet, ManualClock, Settings};
use cocoon_protocol::{Nano, NodeKey, UnixSeconds};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let senders: u64 = args.next().map_or(Ok(200), |arg| arg.parse())?;
    let payments: u64 = args.next().map_or(Ok(100), |arg| arg.parse())?;
    let clock = Box::new(ManualClock::new(UnixSeconds(1_760_000_000)));
    let devnet = Devnet::start(Settings { folder: None, clock, tick: None }).await?;
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
        let payments: Vec<_> = (0..payments)
            .map(|payment| {
                let to = &wallets[(number + 1 + payment as usize) % wallets.len()];
                OutMessage::new(to.address().clone(), Nano::new(1_000_000 + payment)).no_bounce()
            })
            .collect();
        messages.push(wallet.sign(&payments, 0, until, true)?);
    }

    let before = (devnet.supply().await?.totals.transactions, devnet.head().await?.seqno);
    let start = Instant::now();
    for message in messages {
        devnet.send(message).await?;
    }
    let elapsed = start.elapsed();
    let after = (devnet.supply().await?.totals.transactions, devnet.head().await?.seqno);
    let (transactions, blocks) = (after.0 - before.0, after.1 - before.1);
    println!(
        "{transactions} transactions in {blocks} blocks in {elapsed:.2?}: {:.0} transactions/s, {:.2} ms a block",
        transactions as f64 / elapsed.as_secs_f64(),
        elapsed.as_secs_f64() * 1e3 / f64::from(blocks),
    );
    devnet.stop().await;
    Ok(())
}
