//! What is on the disk, and when.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use cocoon_node::books::{Ledger, PayeeChannel, PayerChannel};
use cocoon_payments::{PayeeBooks, PayeeTerms, PayerBooks, Report, Store};
use cocoon_protocol::frame::ChannelTerms;
use cocoon_protocol::{GlobalId, Nano, NodeKey, StdAddr, UnixSeconds};
use tycho_types::cell::HashBytes;

const DEPOSIT: Nano = Nano::new(1_000);
const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

fn address(n: u8) -> StdAddr {
    StdAddr::new(0, HashBytes([n; 32]))
}

fn terms() -> ChannelTerms {
    ChannelTerms {
        payer: address(1),
        payee: address(2),
        protocol_fee_bps: 0,
        payer_key: NodeKey::from_seed(&[1; 32]).public(),
        payee_key: NodeKey::from_seed(&[2; 32]).public(),
        salt: 0,
        challenge: 3_600,
    }
}

/// A store, and a proxy's two channels in it: one that pays, with evidence from this sum on, and one that is paid.
struct Books {
    store: Arc<Store>,
    ledger: Ledger,
    payer: Arc<PayerChannel>,
    payee: Arc<PayeeChannel>,
    _dir: tempfile::TempDir,
}

fn books(evidence_from: u64) -> Books {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(dir.path().join("books.redb")).unwrap());
    let ledger = Ledger::start(store.clone());
    let report = Report { registry: address(4), from: Nano::new(evidence_from) };
    let paying = PayerBooks::new(GlobalId::DEVNET, address(3), terms(), DEPOSIT).reporting(report);
    let fixed = PayeeTerms {
        global_id: GlobalId::DEVNET,
        channel: address(3),
        terms: terms(),
        expiry_margin: 600,
        registry: address(4),
    };
    let (payer, payee) =
        (ledger.payer(paying, NodeKey::from_seed(&[1; 32])), ledger.payee(PayeeBooks::new(fixed, DEPOSIT)));
    Books { store, ledger, payer, payee, _dir: dir }
}

impl Books {
    fn billed_on_disk(&self) -> Option<(Nano, Nano)> {
        self.store.payers().unwrap().first().map(|record| (record.billed, record.evidenced))
    }
}

#[tokio::test]
async fn evidence_is_on_the_disk_before_it_is_signed() {
    let books = books(0);
    let payment = books.payer.reserve(Nano::new(10)).unwrap();
    payment.authorise(Nano::new(10)).unwrap();
    let exact = payment.bill(Nano::new(7)).await.unwrap();
    assert!(exact.voucher.evidence.is_some());
    assert_eq!(books.billed_on_disk(), Some((Nano::new(7), Nano::new(7))));
}

#[tokio::test]
async fn a_bill_without_evidence_goes_to_the_disk_with_the_next_change_and_before_the_end() {
    let books = books(500);
    for (cost, urgent) in [(7, true), (9, false)] {
        let payment = books.payer.reserve(Nano::new(10)).unwrap();
        let (authorised, voucher) = payment.authorise(Nano::new(10)).unwrap();
        payment.bill(Nano::new(cost)).await.unwrap();
        if urgent {
            let earning = books.payee.admit(Nano::new(10)).unwrap();
            earning.pay(authorised, &voucher, NOW).await.unwrap();
        } else {
            books.ledger.flush().await.unwrap();
        }
        let billed = books.payer.with(PayerBooks::billed);
        assert_eq!(books.billed_on_disk(), Some((billed, Nano::ZERO)), "{cost} is booked");
    }
}

#[tokio::test]
async fn attack_80_a_voucher_that_was_taken_in_is_on_the_disk() {
    let books = books(500);
    let payment = books.payer.reserve(Nano::new(10)).unwrap();
    let (authorised, voucher) = payment.authorise(Nano::new(10)).unwrap();
    let earning = books.payee.admit(Nano::new(10)).unwrap();
    earning.pay(authorised, &voucher, NOW).await.unwrap();
    assert_eq!(earning.covered(), Nano::new(10));
    assert_eq!(books.store.payees().unwrap()[0].vouchers, [voucher]);
}
