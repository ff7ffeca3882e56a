//! The books of payer and payee, rule by rule.
#![allow(clippy::unwrap_used)]

mod common;

use cocoon_payments::{
    AcceptError, AdmitError, AuthoriseError, BillError, ConsumeError, PayeeBooks, PayerBooks, ReconcileError,
};
use cocoon_protocol::frame::Books;
use cocoon_protocol::{GlobalId, Nano, UnixSeconds, Voucher};
use common::*;

fn nano(n: u64) -> Nano {
    Nano::new(n)
}

#[test]
fn attack_1_a_voucher_below_what_is_billed_is_refused() {
    let mut books = payee();
    accept(&mut books, &signed(100));
    let id = books.admit(nano(100)).unwrap();
    books.authorise(id, nano(100));
    books.finish(id, nano(80), None).unwrap();
    assert!(matches!(books.accept(&signed(79), NOW), Err(AcceptError::BelowBilled { .. })));
    // The same sum again changes nothing.
    books.accept(&signed(80), NOW).unwrap();
    books.accept(&signed(80), NOW).unwrap();
    assert_eq!(books.claimable().unwrap().voucher.cumulative, nano(80));
}

#[test]
fn attacks_3_4_6_a_voucher_of_another_channel_network_or_key_is_refused() {
    let mut books = payee();
    let other_channel = Voucher { channel: address(8), ..voucher(1) }.sign(&payer_key()).unwrap();
    assert!(matches!(books.accept(&other_channel, NOW), Err(AcceptError::Channel { .. })));
    let other_network = Voucher { global_id: GlobalId::MAINNET, ..voucher(1) }.sign(&payer_key()).unwrap();
    assert!(matches!(books.accept(&other_network, NOW), Err(AcceptError::Network { .. })));
    let own_key = voucher(1).sign(&payee_key()).unwrap();
    assert!(matches!(books.accept(&own_key, NOW), Err(AcceptError::Signature(_))));
}

#[test]
fn attack_8_a_voucher_that_may_expire_before_it_can_be_claimed_is_refused() {
    let mut books = payee();
    let until = |t| Voucher { valid_until: UnixSeconds(t), ..voucher(1) }.sign(&payer_key()).unwrap();
    assert!(matches!(books.accept(&until(NOW.0 + 600), NOW), Err(AcceptError::Expiring { .. })));
    books.accept(&until(NOW.0 + 601), NOW).unwrap();
}

#[test]
fn attack_9_a_voucher_above_the_deposit_is_refused_off_chain() {
    let mut books = payee();
    assert!(matches!(books.accept(&signed(1_001), NOW), Err(AcceptError::AboveDeposit { .. })));
    books.set_deposit(nano(2_000));
    books.accept(&signed(1_001), NOW).unwrap();
}

#[test]
fn attack_22_channels_of_one_payee_have_books_of_their_own() {
    let mut a = payee();
    let mut b = PayeeBooks::new(cocoon_payments::PayeeTerms { channel: address(8), ..payee_terms() }, DEPOSIT);
    accept(&mut a, &signed(500));
    let id = b.admit(nano(10)).unwrap();
    b.authorise(id, nano(10));
    assert!(b.consume(id, nano(1)).is_err(), "a voucher of channel A pays nothing in channel B");
}

#[test]
fn attack_24_nobody_but_the_payer_can_raise_an_amount() {
    let mut books = payee();
    let mut raised = signed(10);
    raised.voucher.cumulative = nano(11);
    assert!(matches!(books.accept(&raised, NOW), Err(AcceptError::Signature(_))));
}

#[test]
fn attack_28_a_payer_with_old_books_adopts_what_its_own_signature_proves() {
    let mut books = payer();
    let theirs = Books { billed: nano(70), voucher: Some(signed(90)), receipt: None };
    assert_eq!(books.reconcile(&theirs).unwrap(), nano(70));
    assert_eq!((books.billed(), books.signed()), (nano(70), nano(90)));
    let id = books.reserve(nano(10)).unwrap();
    let (_, next) = books.authorise(id, nano(5)).unwrap();
    assert_eq!(next.cumulative, nano(75), "it never signs less than what is billed");

    let mut fresh = payer();
    let unproven = Books { billed: nano(91), voucher: Some(signed(90)), receipt: None };
    assert!(matches!(fresh.reconcile(&unproven), Err(ReconcileError::Unproven { .. })));
    let forged = Books { billed: nano(1), voucher: Some(voucher(90).sign(&payee_key()).unwrap()), receipt: None };
    assert!(matches!(fresh.reconcile(&forged), Err(ReconcileError::Forged(_))));
    let foreign = Voucher { channel: address(8), ..voucher(90) }.sign(&payer_key()).unwrap();
    let foreign = Books { billed: nano(1), voucher: Some(foreign), receipt: None };
    assert!(matches!(fresh.reconcile(&foreign), Err(ReconcileError::Foreign)));
    assert_eq!(fresh.billed(), Nano::ZERO, "a refused comparison changes nothing");
    let lower = Books::default();
    assert_eq!(books.reconcile(&lower).unwrap(), Nano::ZERO, "a payee that forgot costs itself only");
}

#[test]
fn the_worst_case_is_reserved_before_anything_is_signed() {
    let mut books = payer();
    let first = books.reserve(nano(600)).unwrap();
    let refused = books.reserve(nano(401)).unwrap_err();
    assert_eq!((refused.needed, refused.available), (nano(401), nano(400)));
    books.fail(first);
    books.reserve(nano(1_000)).unwrap();
    assert!(books.reserve(nano(1)).is_err());
}

#[test]
fn nothing_beyond_the_reservation_is_ever_authorised() {
    let mut books = payer();
    let id = books.reserve(nano(50)).unwrap();
    let (authorised, voucher) = books.authorise(id, nano(10_000)).unwrap();
    assert_eq!((authorised, voucher.cumulative), (nano(50), nano(50)));
    assert_eq!(books.bill(id, nano(51)), Err(BillError::TooMuch { cost: nano(51), authorised: nano(50) }));
    let exact = books.bill(id, nano(30)).unwrap();
    assert_eq!(exact.cumulative, nano(30));
    assert_eq!(books.authorise(id, nano(1)), Err(AuthoriseError::Unknown));
    assert_eq!(books.bill(id, nano(1)), Err(BillError::Unknown), "a request is billed once");
}

#[test]
fn a_voucher_counts_only_once_it_is_durable() {
    let mut books = payee();
    let id = books.admit(nano(100)).unwrap();
    books.authorise(id, nano(100));
    let version = books.accept(&signed(100), NOW).unwrap();
    assert!(matches!(books.consume(id, nano(1)), Err(ConsumeError::NotCovered { .. })));
    books.durable(version);
    books.consume(id, nano(100)).unwrap();
    assert!(books.consume(id, nano(101)).is_err());
}

#[test]
fn one_voucher_is_not_granted_to_two_requests() {
    let mut books = payee();
    accept(&mut books, &signed(10));
    let (a, b) = (books.admit(nano(10)).unwrap(), books.admit(nano(10)).unwrap());
    books.authorise(a, nano(10));
    books.authorise(b, nano(10));
    assert_eq!((books.covered(a), books.covered(b)), (nano(10), Nano::ZERO));
    books.fail(a);
    assert_eq!(books.covered(b), nano(10), "what a failed request was granted is free again");
}

#[test]
fn after_the_exact_voucher_the_higher_ones_are_forgotten() {
    let mut books = payee();
    accept(&mut books, &signed(64));
    let id = books.admit(nano(100)).unwrap();
    books.authorise(id, nano(64));
    books.finish(id, nano(40), None).unwrap();
    assert_eq!(books.claimable().unwrap().voucher.cumulative, nano(64), "the only cover so far");
    books.accept_exact(&signed(40), NOW).unwrap();
    assert_eq!(books.claimable().unwrap().voucher.cumulative, nano(40));
    assert_eq!(books.record().1.vouchers.len(), 1);
}

#[test]
fn an_exact_voucher_does_not_take_the_cover_of_requests_in_flight() {
    let mut books = payee();
    accept(&mut books, &signed(100));
    let (done, running) = (books.admit(nano(100)).unwrap(), books.admit(nano(100)).unwrap());
    books.authorise(done, nano(50));
    books.authorise(running, nano(50));
    assert_eq!((books.covered(done), books.covered(running)), (nano(50), nano(50)));
    books.finish(done, nano(30), None).unwrap();
    // A payer that signs for the finished request only would take the running one's cover away.
    books.accept_exact(&signed(30), NOW).unwrap();
    books.consume(running, nano(50)).unwrap();
    books.finish(running, nano(50), None).unwrap();
    assert_eq!(books.billed(), nano(80));
    assert!(books.claimable().unwrap().voucher.cumulative >= nano(80));
}

#[test]
fn of_many_vouchers_the_best_and_the_smallest_sufficient_one_survive() {
    let mut books = payee();
    for n in 1..=500 {
        accept(&mut books, &signed(n));
    }
    assert!(books.record().1.vouchers.len() <= 64);
    let id = books.admit(nano(500)).unwrap();
    books.authorise(id, nano(500));
    books.consume(id, nano(500)).unwrap();
    books.finish(id, nano(500), None).unwrap();
    assert_eq!(books.claimable().unwrap().voucher.cumulative, nano(500));
}

#[test]
fn nothing_is_claimed_when_nothing_is_billed() {
    let mut books = payee();
    accept(&mut books, &signed(64));
    let id = books.admit(nano(64)).unwrap();
    books.authorise(id, nano(64));
    books.consume(id, nano(64)).unwrap();
    books.fail(id);
    assert_eq!((books.billed(), books.claimable()), (Nano::ZERO, None), "failed work costs nothing");
}

#[test]
fn books_survive_their_record() {
    let mut books = payee();
    accept(&mut books, &signed(64));
    let id = books.admit(nano(64)).unwrap();
    books.authorise(id, nano(64));
    books.finish(id, nano(40), None).unwrap();
    let running = books.admit(nano(10)).unwrap();
    books.authorise(running, nano(10));
    let restored = PayeeBooks::restore(payee_terms(), books.record().1, DEPOSIT);
    assert_eq!((restored.billed(), restored.in_flight()), (nano(40), 0));
    assert_eq!(restored.claimable(), books.claimable());

    let mut books = payer();
    let id = books.reserve(nano(64)).unwrap();
    books.authorise(id, nano(64)).unwrap();
    books.bill(id, nano(40)).unwrap();
    let restored = PayerBooks::restore(GlobalId::DEVNET, books.record(), DEPOSIT);
    assert_eq!((restored.billed(), restored.signed(), restored.available()), (nano(40), nano(64), nano(960)));
}

fn until(cumulative: u64, end: u32) -> cocoon_protocol::SignedVoucher {
    Voucher { valid_until: UnixSeconds(end), ..voucher(cumulative) }.sign(&payer_key()).unwrap()
}

/// A request that is billed at `cost` under the vouchers taken in so far.
fn bill(books: &mut PayeeBooks, cost: u64) {
    let id = books.admit(nano(cost)).unwrap();
    books.authorise(id, nano(cost));
    books.finish(id, nano(cost), None).unwrap();
}

#[test]
fn attack_8_a_voucher_is_not_replaced_by_one_that_ends_sooner() {
    let mut books = payee();
    accept(&mut books, &signed(100));
    bill(&mut books, 100);
    accept(&mut books, &until(100, NOW.0 + 601));
    assert_eq!(books.claimable_at(UnixSeconds(NOW.0 + 10_000)), Some(&signed(100)));

    // The other way round it gains life, durable or not.
    let mut books = payee();
    accept(&mut books, &until(100, NOW.0 + 601));
    let id = books.admit(nano(100)).unwrap();
    books.authorise(id, nano(100));
    assert_eq!(books.covered(id), nano(100));
    let version = books.accept(&signed(100), NOW).unwrap();
    assert_eq!(
        books.covered(id),
        nano(100),
        "what was granted stays granted while the better one is on its way to the disk"
    );
    books.durable(version);
    books.finish(id, nano(100), None).unwrap();
    assert_eq!(books.claimable_at(UnixSeconds(NOW.0 + 10_000)), Some(&signed(100)));
}

#[test]
fn attack_8_an_exact_voucher_that_ends_soon_does_not_make_a_lasting_one_forgotten() {
    let mut books = payee();
    accept(&mut books, &signed(64));
    bill(&mut books, 40);
    books.accept_exact(&until(40, NOW.0 + 601), NOW).unwrap();
    assert_eq!(books.claimable_at(NOW).unwrap().voucher.cumulative, nano(40));
    assert_eq!(
        books.claimable_at(UnixSeconds(NOW.0 + 601)).unwrap().voucher.cumulative,
        nano(64),
        "the exact one is dead"
    );
}

#[test]
fn an_exact_voucher_that_overtakes_a_payment_does_not_take_its_cover() {
    let mut books = payee();
    let (a, b) = (books.admit(nano(100)).unwrap(), books.admit(nano(100)).unwrap());
    // The payer signs 50 for a, then 100 for both; a is billed at 30, so the exact voucher is 80; then 90 for b at 60.
    for (id, voucher) in [(a, signed(50)), (b, signed(100))] {
        let version = books.pay(id, nano(50), &voucher, NOW).unwrap();
        books.durable(version);
    }
    books.finish(a, nano(30), None).unwrap();
    let version = books.accept(&signed(90), NOW).unwrap();
    books.durable(version);
    // The exact voucher travels on another stream and arrives before the payment's amount is looked at.
    books.accept_exact(&signed(80), NOW).unwrap();
    books.authorise(b, nano(60));
    assert_eq!(books.covered(b), nano(60));
}

#[test]
fn a_payment_that_was_overtaken_by_a_bill_is_no_fault() {
    let mut books = payee();
    let (slow, quick) = (books.admit(nano(10)).unwrap(), books.admit(nano(100)).unwrap());
    // Signed in this order: 10 for the slow one, 110 for both. The first arrives last.
    let version = books.pay(quick, nano(100), &signed(110), NOW).unwrap();
    books.durable(version);
    books.finish(quick, nano(60), None).unwrap();
    books.pay(slow, nano(10), &signed(10), NOW).unwrap();
    books.consume(slow, nano(10)).unwrap();

    // But it must be signed, and something must cover the request.
    let forged = voucher(10).sign(&payee_key()).unwrap();
    assert!(matches!(books.pay(slow, nano(10), &forged, NOW), Err(AcceptError::Signature(_))));
    let third = books.admit(nano(500)).unwrap();
    assert!(matches!(books.pay(third, nano(500), &signed(10), NOW), Err(AcceptError::BelowBilled { .. })));
}

#[test]
fn a_payment_that_was_overtaken_is_covered_by_a_later_one_that_is_not_on_the_disk_yet() {
    let mut books = payee();
    let [slow, other, quick] = [(); 3].map(|()| books.admit(nano(100)).unwrap());
    // Signed in this order: 10 for the slow one, 20 for two, 40 for three. The first arrives last.
    let version = books.pay(other, nano(10), &signed(20), NOW).unwrap();
    books.durable(version);
    let last = books.pay(quick, nano(20), &signed(40), NOW).unwrap();
    // The quick one says what the voucher on the disk covers, and is billed.
    books.consume(quick, nano(15)).unwrap();
    books.finish(quick, nano(15), None).unwrap();
    assert_eq!(books.pay(slow, nano(10), &signed(10), NOW).unwrap(), last, "the slow one waits for the last voucher");
    assert!(books.consume(slow, nano(10)).is_err());
    books.durable(last);
    books.consume(slow, nano(10)).unwrap();
}

#[test]
fn attack_28_a_bill_read_after_the_books_were_compared_does_not_count_twice() {
    let mut books = payer();
    let id = books.reserve(nano(50)).unwrap();
    let (_, voucher) = books.authorise(id, nano(50)).unwrap();
    // The link breaks after the payee has billed 30 and before the payer has read so. On the new link:
    let proof = voucher.sign(&payer_key()).unwrap();
    books.reconcile(&Books { billed: nano(30), voucher: Some(proof), receipt: None }).unwrap();
    assert_eq!(books.bill(id, nano(30)), Err(BillError::Unknown));
    assert_eq!((books.billed(), books.in_flight(), books.available()), (nano(30), 0, nano(970)));
}

#[test]
fn refused_books_change_nothing() {
    let mut books = payer();
    let id = books.reserve(nano(50)).unwrap();
    books.authorise(id, nano(50)).unwrap();
    let before = (books.record(), books.in_flight());
    let unproven = Books { billed: nano(91), voucher: Some(signed(90)), receipt: None };
    assert!(matches!(books.reconcile(&unproven), Err(ReconcileError::Unproven { .. })));
    assert_eq!((books.record(), books.in_flight()), before);
}

#[test]
fn nothing_above_the_deposit_is_signed_even_when_it_falls() {
    let mut books = payer();
    let id = books.reserve(nano(1_000)).unwrap();
    books.set_deposit(nano(300));
    let (authorised, voucher) = books.authorise(id, nano(1_000)).unwrap();
    assert_eq!((authorised, voucher.cumulative), (nano(300), nano(300)));
    assert!(books.reserve(nano(1)).is_err());
}

#[test]
fn attack_2_a_voucher_from_before_a_settlement_covers_no_more_than_the_new_deposit() {
    let mut books = payee();
    accept(&mut books, &signed(900));
    let id = books.admit(nano(900)).unwrap();
    books.authorise(id, nano(900));
    books.set_deposit(nano(200)); // settled and opened again while the request was waiting
    assert_eq!(books.covered(id), nano(200));
}

#[test]
fn attack_31_nothing_new_is_taken_in_while_the_channel_closes() {
    let mut books = payee();
    accept(&mut books, &signed(100));
    let running = books.admit(nano(50)).unwrap();
    books.authorise(running, nano(50));
    books.set_closing(true);
    assert_eq!(books.admit(nano(1)), Err(AdmitError::Closing));
    books.finish(running, nano(50), None).unwrap();
    assert_eq!(books.billed(), nano(50), "what runs is still billed");
    books.set_closing(false);
    books.admit(nano(1)).unwrap();
}

#[test]
fn vouchers_are_thinned_out_evenly() {
    let mut books = payee();
    for n in 1..=640 {
        accept(&mut books, &signed(n));
    }
    // Wherever the bill ends, a voucher little above it is left.
    for cost in [1, 100, 333, 500, 639] {
        let mut books = books.clone();
        bill(&mut books, cost);
        let claim = books.claimable().unwrap().voucher.cumulative.get();
        assert!(claim >= cost && claim <= cost + 40, "{claim} for {cost}");
    }
}
