//! When a payee claims on chain.
#![allow(clippy::unwrap_used)]

mod common;

use cocoon_payments::{ClaimPolicy, ClaimReason, OnChain, PayeeBooks, claim};
use cocoon_protocol::{Evidence, Nano, SignedVoucher, UnixSeconds, Voucher};
use common::*;
use proptest::prelude::*;

const POLICY: ClaimPolicy = ClaimPolicy { fee: Nano::new(10), evidence_fee: Nano::new(30), worth: 5, margin: 3_600 };

fn chain(claimed: u64) -> OnChain {
    OnChain { deposit: DEPOSIT, claimed: Nano::new(claimed), close_at: None }
}

fn billed(cost: u64, vouchers: &[SignedVoucher]) -> PayeeBooks {
    let mut books = payee();
    vouchers.iter().for_each(|v| accept(&mut books, v));
    let id = books.admit(Nano::new(cost)).unwrap();
    books.authorise(id, Nano::new(cost));
    books.finish(id, Nano::new(cost), None).unwrap();
    books
}

fn until(cumulative: u64, end: u32) -> SignedVoucher {
    Voucher { valid_until: UnixSeconds(end), ..voucher(cumulative) }.sign(&payer_key()).unwrap()
}

#[test]
fn a_claim_must_be_worth_its_fee() {
    let at = |cost, claimed| claim(&billed(cost, &[signed(cost)]), &chain(claimed), &POLICY, NOW, false);
    assert_eq!(at(49, 0), None);
    assert_eq!(at(50, 0).unwrap().reason, ClaimReason::Worth);
    assert_eq!(at(149, 100), None);
    assert_eq!(at(150, 100).unwrap().amount, Nano::new(50));
    assert_eq!(at(50, 60), None, "more is claimed than billed: the next answers make up for it");
}

#[test]
fn attack_31_a_closing_channel_is_claimed_at_once() {
    let closing = OnChain { close_at: Some(NOW.plus(60)), ..chain(0) };
    let books = billed(11, &[signed(11)]);
    assert_eq!(claim(&books, &closing, &POLICY, NOW, false).unwrap().reason, ClaimReason::Closing);
    // After the challenge period too: until somebody settles, claims are legal.
    assert!(claim(&books, &closing, &POLICY, NOW.plus(1_000), false).is_some());
    assert_eq!(claim(&billed(10, &[signed(10)]), &closing, &POLICY, NOW, true), None, "never at a loss");
}

#[test]
fn attack_8_a_voucher_is_claimed_before_it_expires_and_never_after() {
    let books = billed(20, &[until(20, NOW.0 + 5_000)]);
    assert_eq!(claim(&books, &chain(0), &POLICY, NOW, false), None);
    let soon = claim(&books, &chain(0), &POLICY, NOW.plus(1_400), false).unwrap();
    assert_eq!(soon.reason, ClaimReason::Expiring);
    assert_eq!(claim(&books, &chain(0), &POLICY, NOW.plus(5_000), true), None);
}

#[test]
fn attack_9_a_claim_is_held_at_the_deposit() {
    let mut books = billed(900, &[signed(900)]);
    books.set_deposit(Nano::new(500));
    let half = OnChain { deposit: Nano::new(500), ..chain(0) };
    assert_eq!(claim(&books, &half, &POLICY, NOW, false).unwrap().amount, Nano::new(500));
    let spent = OnChain { claimed: Nano::new(500), ..half };
    assert_eq!(claim(&books, &spent, &POLICY, NOW, true), None);
    let topped_up = OnChain { deposit: Nano::new(1_000), ..spent };
    assert_eq!(claim(&books, &topped_up, &POLICY, NOW, false).unwrap().amount, Nano::new(400));
}

proptest! {
    #[test]
    fn a_claim_never_loses_money_and_never_takes_a_needlessly_high_voucher(
        cost in 1..1_000u64,
        more in prop::collection::btree_set(1..1_000u64, 0..6),
        claimed in 0..1_000u64,
        closing: bool,
        last: bool,
    ) {
        let mut vouchers = vec![signed(1_000)];
        vouchers.extend(more.iter().map(|n| signed(*n)));
        let books = billed(cost, &vouchers);
        let chain = OnChain { close_at: closing.then_some(NOW), ..chain(claimed) };
        let smallest = more.iter().copied().find(|n| *n >= cost).unwrap_or(1_000);
        match claim(&books, &chain, &POLICY, NOW, last) {
            Some(due) => {
                prop_assert_eq!(due.voucher.voucher.cumulative, Nano::new(smallest));
                prop_assert_eq!(due.amount.get(), smallest - claimed);
                prop_assert!(due.amount > POLICY.fee);
            }
            None => {
                let not_worth_it = if closing || last { 10 } else { 49 };
                prop_assert!(smallest <= claimed + not_worth_it);
            }
        }
    }
}

#[test]
fn evidence_makes_a_claim_dearer_and_so_later() {
    let evidence = Evidence { registry: address(7), ok: 1, failed: 0, latency_ms: 1 };
    let due = |amount: u64, evidence: Option<Evidence>| {
        let mut books = payee();
        accept(&mut books, &Voucher { evidence, ..voucher(amount) }.sign(&payer_key()).unwrap());
        let id = books.admit(Nano::new(amount)).unwrap();
        books.authorise(id, Nano::new(amount));
        books.finish(id, Nano::new(amount), None).unwrap();
        claim(&books, &OnChain { deposit: DEPOSIT, claimed: Nano::ZERO, close_at: None }, &POLICY, NOW, false).is_some()
    };
    assert!(due(50, None) && !due(199, Some(evidence.clone())) && due(200, Some(evidence)));
}
