//! `cocoon demo`: the paid answer, from an empty chain to a settled channel.

use anyhow::{Context, Result, ensure};
use cocoon_chain::{GlobalConfig, StdAddr};
use cocoon_client::{AnswerEvent, Finished};
use cocoon_localnet::{LocalNet, Settlement};
use cocoon_protocol::Nano;
use cocoon_protocol::openai::fold::Fold;
use cocoon_receipt::{Trust, Verdict, verify};
use serde_json::{Value, json};

use crate::ModelArgs;
use crate::console::Console;

/// Arguments of `cocoon demo`.
#[derive(clap::Args)]
pub struct Demo {
    #[command(flatten)]
    model: ModelArgs,
    /// What to ask.
    #[arg(long, value_name = "TEXT", default_value = "What is Cocoon?")]
    prompt: String,
    /// Print one JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// An answer that has arrived.
struct Answered {
    text: String,
    chunks: usize,
    finished: Finished,
}

impl Demo {
    pub async fn run(&self) -> Result<()> {
        let console = Console::new();
        let result = self.play(&console).await;
        console.finish();
        let report = result?;
        if self.json {
            println!("{report}");
        } else {
            table(&report);
        }
        Ok(())
    }

    async fn play(&self, console: &Console) -> Result<Value> {
        let config = self.model.config();
        let mut say = |what: &str| console.say(what);
        let mut net = console
            .step(
                "an embedded TON network and a DAO vote that admits images and model",
                LocalNet::open(config, &mut say),
            )
            .await?;
        console.step("a bonded proxy", net.start_proxy()).await?;
        console.step("a staked worker with mistral.rs and the approved model", net.start_worker()).await?;
        console.step("a client with a prepaid channel", net.start_client()).await?;
        let answered = console
            .step("a private answer from a worker whose quote the client has checked", self.ask(&net, console))
            .await?;
        let verdict = console.step("the receipt, checked as a stranger would", check(&net, &answered.finished)).await?;
        let settlement = console.step("claims, closing and settlement on chain", net.settle()).await?;
        let report = console.step("the books", report(&net, &answered, &verdict, &settlement)).await?;
        net.stop().await;
        Ok(report)
    }

    async fn ask(&self, net: &LocalNet, console: &Console) -> Result<Answered> {
        let body = json!({
            "model": net.config.model_name,
            "messages": [{ "role": "user", "content": self.prompt }],
            "temperature": 0,
            "stream": true,
        });
        let mut answer = net.ask(body).await?;
        let (mut fold, mut chunks) = (Fold::default(), 0);
        loop {
            match answer.next().await? {
                AnswerEvent::Accepted { .. } => {}
                AnswerEvent::Chunk(data) => {
                    chunks += 1;
                    fold.push(&data)?;
                    console.say(&format!("… {}", fold.text(0)));
                }
                AnswerEvent::Finished(finished) => {
                    return Ok(Answered { text: fold.text(0).to_owned(), chunks, finished: *finished });
                }
            }
        }
    }
}

/// Proves the answer to somebody who knows the network's first block and its registry, and nobody in it.
async fn check(net: &LocalNet, finished: &Finished) -> Result<Verdict> {
    // The proof must be of a later second than the answer.
    net.chain.advance(std::time::Duration::from_secs(1)).await?;
    let bundle = net.client()?.client.bundle(finished).await?;
    let network = GlobalConfig::from_json(&net.global_config.to_string())?;
    let verdict = verify(&bundle, &Trust { network, registry: net.registry.clone() }).await;
    if let Some(failed) = verdict.failed().next() {
        anyhow::bail!("the receipt does not prove the answer: {}: {}", failed.subject, failed.detail);
    }
    ensure!(verdict.holds(), "the receipt does not prove the answer");
    Ok(verdict)
}

/// Compares what was agreed off chain with what the chain has, to the nano.
async fn report(net: &LocalNet, answered: &Answered, verdict: &Verdict, settlement: &Settlement) -> Result<Value> {
    let Finished { usage, cost, receipt, worker, .. } = &answered.finished;
    ensure!(settlement.claimed == *cost, "{} was claimed, but the answer cost {cost}", settlement.claimed);
    let earned = receipt.receipt.cost;
    ensure!(settlement.worker_claimed == earned, "the worker was paid {}, not {earned}", settlement.worker_claimed);
    let fee =
        settlement.claimed.checked_sub(settlement.worker_claimed).context("the proxy paid more than it earned")?;
    let returned = settlement.claimed.checked_add(settlement.refunded);
    ensure!(returned == Some(settlement.deposit), "claimed and refunded do not add up to the deposit");
    let supply = net.chain.supply().await?;
    ensure!(supply.sum() == cocoon_devnet::genesis::SUPPLY, "balances and fees do not add up to what was issued");
    let network_fees: Nano = settlement.traces.iter().map(cocoon_chain::Trace::total_fees).sum();
    // Part of each claim burns: it goes where nobody has a key. What arrives there is counted, not how the balance changes: that
    // account pays storage fees like any other.
    let burnt: Nano = settlement
        .traces
        .iter()
        .flat_map(cocoon_chain::Trace::transactions)
        .filter(|transaction| transaction.account == StdAddr::ZERO)
        .filter_map(|transaction| Some(transaction.in_message.as_ref()?.value))
        .sum();
    let checks: Vec<Value> = verdict
        .checks()
        .iter()
        .map(|c| json!({ "check": c.subject.to_string(), "outcome": c.outcome.to_string(), "detail": c.detail }))
        .collect();
    Ok(json!({
        "ok": true,
        "governance": {
            "proposal": net.decision.proposal.to_string(),
            "state": net.decision.state,
            "yes_nano": net.decision.yes,
            "total_stake_nano": net.decision.total,
        },
        "model": { "name": net.config.model_name, "hash": net.model },
        "question": { "image": worker.attested()?.image, "worker": worker.node_key },
        "answer": {
            "text": answered.text,
            "prompt_tokens": usage.prompt.0,
            "completion_tokens": usage.completion.0,
            "chunks": answered.chunks,
        },
        "receipt": { "verified": verdict.holds(), "checks": checks, "hash": receipt.receipt.hash()?, "seqno": receipt.receipt.seqno },
        "channel": {
            "deposit_nano": settlement.deposit,
            "claimed_nano": settlement.claimed,
            "refunded_nano": settlement.refunded,
        },
        "paid_nano": { "client": cost, "proxy": fee, "worker": earned },
        "burnt_nano": burnt,
        "fees_nano": { "settlement": network_fees, "network_total": supply.totals.fees },
        "transactions": supply.totals.transactions,
    }))
}

fn table(report: &Value) {
    let text = |path: &str| report.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let ton = |path: &str| Nano::new(text(path).parse().unwrap_or_default()).to_string();
    let number = |path: &str| report.pointer(path).map(Value::to_string).unwrap_or_default();
    println!("\n{}\n", text("/answer/text"));
    println!(
        "{} prompt tokens, {} completion tokens in {} chunks; receipt {} verified",
        number("/answer/prompt_tokens"),
        number("/answer/completion_tokens"),
        number("/answer/chunks"),
        text("/receipt/hash").get(..16).unwrap_or_default(),
    );
    println!("\nchecked without trusting anybody in the network, from its first block on:");
    for check in report.pointer("/receipt/checks").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| check.get(name).and_then(Value::as_str).unwrap_or_default();
        println!("  {:<12} {:<7} {}", text("check"), text("outcome"), text("detail"));
    }
    println!("\nproposal {} {}\n", text("/governance/proposal"), text("/governance/state"));
    let row = |who: &str, what: &str, amount: String| println!("  {who:<8} {what:<34} {amount:>20}");
    row("client", "deposited", ton("/channel/deposit_nano"));
    row("client", "paid for the answer", ton("/paid_nano/client"));
    row("client", "got back", ton("/channel/refunded_nano"));
    row("proxy", "earned as its fee", ton("/paid_nano/proxy"));
    row("worker", "earned", ton("/paid_nano/worker"));
    row("nobody", "burnt: the DAO's part of both claims", ton("/burnt_nano"));
    row("network", "fees for claiming and settling", ton("/fees_nano/settlement"));
    row("network", "fees in all", ton("/fees_nano/network_total"));
    println!("\n  {} transactions on chain, every nanoton accounted for", number("/transactions"));
}
