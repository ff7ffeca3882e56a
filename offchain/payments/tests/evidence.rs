//! Evidence about a node inside the vouchers that pay it.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use cocoon_payments::{AcceptError, PayeeBooks, PayerBooks, Report};
use cocoon_protocol::frame::Books;
use cocoon_protocol::{Evidence, GlobalId, Nano, Voucher};
use common::{DEPOSIT, NOW, accept, address, payee, payee_terms, payer, payer_key, signed, voucher};
use proptest::prelude::*;

fn report() -> Report {
    Report { registry: address(7), from: Nano::ZERO }
}

fn reporting() -> PayerBooks {
    payer().reporting(report())
}

/// One answer from reservation to bill.
fn answer(books: &mut PayerBooks, cost: u64) -> Voucher {
    let id = books.reserve(Nano::new(cost)).unwrap();
    books.authorise(id, Nano::new(cost)).unwrap();
    books.bill(id, Nano::new(cost)).unwrap()
}

fn evidence(ok: u64, failed: u64, latency_ms: u64) -> Option<Evidence> {
    Some(Evidence { registry: address(7), ok, failed, latency_ms })
}

#[test]
fn an_exact_voucher_says_how_the_node_has_served() {
    let mut books = reporting();
    books.served(120);
    books.served(80);
    books.let_down();
    assert_eq!(answer(&mut books, 10).evidence, evidence(2, 1, 200));
    let id = books.reserve(Nano::new(10)).unwrap();
    let (_, ahead) = books.authorise(id, Nano::new(10)).unwrap();
    assert_eq!(ahead.evidence, None, "what is paid ahead may be signed before the counters are on disk");
}

#[test]
fn whoever_is_no_proxy_reports_nothing() {
    let mut books = payer();
    books.served(120);
    assert_eq!(answer(&mut books, 10).evidence, None);
}

#[test]
fn evidence_waits_until_a_claim_is_worth_its_price() {
    let mut books = payer().reporting(Report { registry: address(7), from: Nano::new(50) });
    books.served(1);
    assert_eq!(answer(&mut books, 49).evidence, None);
    assert_eq!(answer(&mut books, 1).evidence, evidence(1, 0, 1));
    books.set_claimed(Nano::new(50));
    assert_eq!(answer(&mut books, 20).evidence, None);
    assert!(answer(&mut books, 30).evidence.is_some());
}

#[test]
fn counters_and_the_reported_amount_survive_a_restart() {
    let mut books = reporting();
    books.served(50);
    let first = answer(&mut books, 10);
    let mut books = PayerBooks::restore(GlobalId::DEVNET, books.record(), DEPOSIT).reporting(report());
    assert_eq!(answer(&mut books, 0).evidence, None, "nothing was paid beyond {first:?}");
    books.served(50);
    assert_eq!(answer(&mut books, 10).evidence, evidence(2, 0, 100));
}

#[test]
fn attack_28_books_that_may_be_an_old_copy_report_nothing_any_more() {
    let mut books = reporting();
    let old = books.record();
    books.served(50);
    let proof = answer(&mut books, 10).sign(&payer_key()).unwrap();
    let mut restored = PayerBooks::restore(GlobalId::DEVNET, old, DEPOSIT).reporting(report());
    let theirs = Books { billed: Nano::new(10), voucher: Some(proof), receipt: None };
    assert_eq!(restored.reconcile(&theirs).unwrap(), Nano::new(10));
    restored.let_down();
    assert_eq!(answer(&mut restored, 10).evidence, None);
    let again = PayerBooks::restore(GlobalId::DEVNET, restored.record(), DEPOSIT).reporting(report());
    assert_eq!(answer(&mut again.clone(), 10).evidence, None, "not after a restart either");
}

#[test]
fn a_voucher_whose_claim_would_pay_a_foreign_registry_is_refused() {
    let mut books = payee();
    let foreign = Evidence { registry: address(8), ok: 1, failed: 0, latency_ms: 0 };
    let signed = Voucher { evidence: Some(foreign), ..voucher(10) }.sign(&payer_key()).unwrap();
    assert!(matches!(books.accept(&signed, NOW), Err(AcceptError::Registry { .. })));
    assert!(books.claimable().is_none());
}

#[test]
fn of_two_equal_vouchers_the_payee_keeps_the_one_that_counts() {
    let with = Voucher { evidence: evidence(1, 0, 5), ..voucher(10) }.sign(&payer_key()).unwrap();
    for order in [[&signed(10), &with], [&with, &signed(10)]] {
        let mut books = payee();
        order.into_iter().for_each(|voucher| accept(&mut books, voucher));
        let id = books.admit(Nano::new(10)).unwrap();
        books.authorise(id, Nano::new(10));
        books.finish(id, Nano::new(10), None).unwrap();
        assert_eq!(books.claimable(), Some(&with));
        let restored = PayeeBooks::restore(payee_terms(), books.record().1, DEPOSIT);
        assert_eq!(restored.claimable(), Some(&with), "on disk, too");
    }
}

proptest! {
    /// What would cost a proxy its bond: two vouchers of one channel that contradict each other.
    #[test]
    fn no_two_vouchers_equivocate(steps in proptest::collection::vec((0u8..6, 0u64..40), 1..60)) {
        let mut books = reporting();
        let mut open = vec![];
        let mut signed: Vec<Voucher> = vec![];
        for (step, n) in steps {
            match step {
                0 => open.extend(books.reserve(Nano::new(n))),
                1 => books.served(n),
                2 => books.let_down(),
                3 => books = PayerBooks::restore(GlobalId::DEVNET, books.record(), DEPOSIT).reporting(report()),
                _ => {
                    let Some(id) = (!open.is_empty()).then(|| open.remove(n as usize % open.len())) else { continue };
                    let Ok((amount, ahead)) = books.authorise(id, Nano::new(n)) else { continue };
                    signed.push(ahead);
                    if step == 4 {
                        open.push(id);
                    } else {
                        signed.push(books.bill(id, amount).unwrap());
                    }
                }
            }
        }
        let told: Vec<(u64, &Evidence)> = signed.iter().filter_map(|v| Some((v.cumulative.get(), v.evidence.as_ref()?))).collect();
        for pair in told.windows(2) {
            let [(a, before), (b, after)] = pair else { unreachable!() };
            prop_assert!(a < b, "amounts with evidence grow: {a}, {b}");
            prop_assert!(before.ok <= after.ok && before.failed <= after.failed && before.latency_ms <= after.latency_ms);
        }
    }
}
