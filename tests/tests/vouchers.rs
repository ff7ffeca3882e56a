//! How many vouchers a service takes: signed, checked, and on the disk before they count. `scripts/bench vouchers`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::print_stdout)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use cocoon_node::books::{Earning, Ledger, Payment};
use cocoon_payments::{PayeeBooks, PayeeTerms, PayerBooks, Store};
use cocoon_protocol::frame::ChannelTerms;
use cocoon_protocol::{GlobalId, Nano, NodeKey, StdAddr, UnixSeconds};
use tycho_types::cell::HashBytes;

/// Vouchers of each channel.
const EACH: u64 = 100;
const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

/// CPU time of all threads of this process: the signer, the checker, and the writer.
fn cpu() -> Duration {
    cocoon_e2e::cpu::by_thread().values().sum()
}

/// One channel's two ends, with a request that is paid for.
fn channel(ledgers: &(Ledger, Ledger), n: u64) -> (Payment, Earning) {
    let address = |kind: u8| {
        let mut bytes = [kind; 32];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        StdAddr::new(0, HashBytes(bytes))
    };
    let payer_key = NodeKey::from_seed(&[1; 32]);
    let terms = ChannelTerms {
        payer: address(1),
        payee: address(2),
        protocol_fee_bps: 0,
        payer_key: payer_key.public(),
        payee_key: NodeKey::from_seed(&[2; 32]).public(),
        salt: n,
        challenge: 3600,
    };
    let deposit = Nano::from_ton(1);
    let fixed = PayeeTerms {
        global_id: GlobalId::DEVNET,
        channel: address(3),
        terms: terms.clone(),
        expiry_margin: 600,
        registry: address(4),
    };
    let payer = ledgers.0.payer(PayerBooks::new(GlobalId::DEVNET, address(3), terms, deposit), payer_key);
    let payee = ledgers.1.payee(PayeeBooks::new(fixed, deposit));
    (payer.reserve(deposit).unwrap(), payee.admit(deposit).unwrap())
}

async fn pay(channels: &Arc<Vec<(Payment, Earning)>>, which: usize, from: u64) {
    let (payer, payee) = &channels[which];
    for n in from..from + EACH {
        let (authorised, voucher) = payer.authorise(Nano::new(n * 1_000)).unwrap();
        payee.pay(authorised, &voucher, NOW).await.unwrap();
        assert_eq!(payee.covered(), authorised, "what is durable covers what was paid");
    }
}

#[tokio::test]
#[ignore = "a benchmark: scripts/bench vouchers"]
async fn vouchers() {
    let dir = tempfile::tempdir().unwrap();
    println!("channels  vouchers/s of CPU  vouchers/s of wall time");
    for count in [1, 16, 256, 1024] {
        let ledger =
            |name: &str| Ledger::start(Arc::new(Store::open(dir.path().join(format!("{name}{count}"))).unwrap()));
        let ledgers = (ledger("payer"), ledger("payee"));
        let channels: Arc<Vec<_>> = Arc::new((0..count as u64).map(|n| channel(&ledgers, n)).collect());
        let (started, before) = (Instant::now(), cpu());
        let mut tasks = tokio::task::JoinSet::new();
        for which in 0..count {
            let channels = channels.clone();
            tasks.spawn(async move { pay(&channels, which, 1).await });
        }
        tasks.join_all().await;
        let vouchers = (count as u64 * EACH) as f64;
        let (cpu, wall) = (cpu() - before, started.elapsed());
        println!("{count:>8}  {:>17.0}  {:>23.0}", vouchers / cpu.as_secs_f64(), vouchers / wall.as_secs_f64());
    }
}
