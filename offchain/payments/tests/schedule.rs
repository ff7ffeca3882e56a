//! Payer and payee under an adversarial scheduler: lost, repeated and reordered messages, restarts of either side.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;

use cocoon_payments::{PayeeBooks, PayerBooks, RequestId};
use cocoon_protocol::{GlobalId, Nano, SignedVoucher};
use common::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    /// A new request with this worst case.
    Ask(u64),
    /// The payer authorises up to this for one of the requests.
    Pay(usize, u64),
    /// One of the vouchers on the wire arrives; it may arrive again later.
    Deliver(usize),
    /// The payee tries to release output up to this cost.
    Release(usize, u64),
    /// The payee finishes a request at what it has released; the payer hears of it.
    Finish(usize),
    /// The payee finishes, but the payer does not hear of it.
    FinishUnheard(usize),
    /// A request fails on both sides.
    Fail(usize),
    /// The payer's process dies and starts again, on books that may be old; then they are compared.
    RestartPayer(bool),
    /// The payee's process dies and starts again with what was durable.
    RestartPayee,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (1..400u64).prop_map(Op::Ask),
        6 => (any::<usize>(), 1..400u64).prop_map(|(i, n)| Op::Pay(i, n)),
        6 => any::<usize>().prop_map(Op::Deliver),
        6 => (any::<usize>(), 1..400u64).prop_map(|(i, n)| Op::Release(i, n)),
        3 => any::<usize>().prop_map(Op::Finish),
        1 => any::<usize>().prop_map(Op::FinishUnheard),
        1 => any::<usize>().prop_map(Op::Fail),
        1 => any::<bool>().prop_map(Op::RestartPayer),
        1 => Just(Op::RestartPayee),
    ]
}

struct Request {
    payer: RequestId,
    payee: RequestId,
    reserved: Nano,
    released: Nano,
    /// Highest that the payer has authorised, as travelling beside the vouchers.
    authorised: Nano,
}

struct World {
    payer: PayerBooks,
    payee: PayeeBooks,
    old_payer: PayerBooks,
    requests: BTreeMap<usize, Request>,
    wire: Vec<(Option<usize>, Nano, SignedVoucher)>,
    next: usize,
    /// Costs that both sides heard of, and those that only the payee knows.
    agreed: Nano,
    unheard: Nano,
}

impl World {
    fn pick(&self, i: usize) -> Option<usize> {
        let keys: Vec<_> = self.requests.keys().copied().collect();
        (!keys.is_empty()).then(|| keys[i % keys.len()])
    }

    fn compare_books(&mut self) {
        let books = self.payee.books();
        if self.payer.reconcile(&books).is_ok() {
            self.agreed = self.agreed.saturating_add(self.unheard);
            self.unheard = Nano::ZERO;
        }
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Ask(worst) => {
                let worst = Nano::new(worst);
                let Ok(payee) = self.payee.admit(worst) else { return };
                let Ok(payer) = self.payer.reserve(worst) else { return self.payee.fail(payee) };
                let zero = Nano::ZERO;
                let request = Request { payer, payee, reserved: worst, released: zero, authorised: zero };
                self.requests.insert(self.next, request);
                self.next += 1;
            }
            Op::Pay(i, amount) => {
                let Some(key) = self.pick(i) else { return };
                let request = self.requests.get_mut(&key).unwrap();
                let (authorised, voucher) = self.payer.authorise(request.payer, Nano::new(amount)).unwrap();
                assert!(authorised <= request.reserved, "never beyond the reservation");
                assert!(voucher.cumulative <= DEPOSIT, "never beyond the deposit");
                assert!(voucher.cumulative >= self.payer.billed(), "never below what is billed");
                request.authorised = authorised;
                self.wire.push((Some(key), authorised, voucher.sign(&payer_key()).unwrap()));
            }
            Op::Deliver(i) => {
                if self.wire.is_empty() {
                    return;
                }
                let (key, authorised, voucher) = self.wire[i % self.wire.len()].clone();
                let accepted = match key {
                    Some(_) => self.payee.accept(&voucher, NOW),
                    None => self.payee.accept_exact(&voucher, NOW),
                };
                if let Ok(version) = accepted {
                    self.payee.durable(version);
                    if let Some(request) = key.and_then(|k| self.requests.get(&k)) {
                        self.payee.authorise(request.payee, authorised);
                    }
                }
            }
            Op::Release(i, cost) => {
                let Some(key) = self.pick(i) else { return };
                let request = self.requests.get_mut(&key).unwrap();
                let cost = Nano::new(cost);
                if self.payee.consume(request.payee, cost).is_ok() {
                    assert!(cost <= request.authorised, "nothing is released that the payer has not allowed");
                    request.released = request.released.max(cost);
                }
            }
            Op::Finish(i) => {
                let Some(key) = self.pick(i) else { return };
                let request = self.requests.remove(&key).unwrap();
                let version = self.payee.finish(request.payee, request.released, None).unwrap();
                self.payee.durable(version);
                let exact = self.payer.bill(request.payer, request.released).unwrap();
                self.agreed = self.agreed.checked_add(request.released).unwrap();
                self.wire.push((None, Nano::ZERO, exact.sign(&payer_key()).unwrap()));
            }
            Op::FinishUnheard(i) => {
                let Some(key) = self.pick(i) else { return };
                let request = self.requests.remove(&key).unwrap();
                let version = self.payee.finish(request.payee, request.released, None).unwrap();
                self.payee.durable(version);
                self.payer.fail(request.payer);
                self.unheard = self.unheard.checked_add(request.released).unwrap();
            }
            Op::Fail(i) => {
                let Some(key) = self.pick(i) else { return };
                let request = self.requests.remove(&key).unwrap();
                self.payee.fail(request.payee);
                self.payer.fail(request.payer);
            }
            Op::RestartPayer(old) => {
                let record = if old { self.old_payer.record() } else { self.payer.record() };
                self.old_payer = self.payer.clone();
                self.payer = PayerBooks::restore(GlobalId::DEVNET, record, DEPOSIT);
                self.drop_links();
                self.compare_books();
                let missing = self.payee.billed().saturating_sub(self.payer.billed());
                assert!(missing.is_zero(), "the comparison makes up for old books: {missing} is missing");
            }
            Op::RestartPayee => {
                self.payee = PayeeBooks::restore(payee_terms(), self.payee.record().1, DEPOSIT);
                for (_, request) in std::mem::take(&mut self.requests) {
                    self.payer.fail(request.payer);
                }
                self.compare_books();
            }
        }
        self.check();
    }

    fn drop_links(&mut self) {
        for (_, request) in std::mem::take(&mut self.requests) {
            self.payee.fail(request.payee);
        }
    }

    fn check(&self) {
        assert_eq!(self.payee.billed(), self.agreed.checked_add(self.unheard).unwrap());
        assert!(self.payee.billed() <= DEPOSIT);
        if let Some(claimable) = self.payee.claimable() {
            assert!(claimable.voucher.cumulative >= self.payee.billed());
            assert!(
                claimable.voucher.cumulative <= self.payer.signed().max(self.old_payer.signed()),
                "only what was signed (I4)"
            );
        } else {
            assert!(self.payee.billed().is_zero(), "whatever is billed can be claimed");
        }
    }

    /// Everything in flight ends, everything on the wire arrives, and both sides compare and pay exactly.
    fn settle(&mut self) {
        for (_, request) in std::mem::take(&mut self.requests) {
            self.payee.fail(request.payee);
            self.payer.fail(request.payer);
        }
        self.compare_books();
        let id = self.payer.reserve(Nano::ZERO).unwrap();
        let exact = self.payer.bill(id, Nano::ZERO).unwrap();
        if !exact.cumulative.is_zero() {
            let version = self.payee.accept_exact(&exact.sign(&payer_key()).unwrap(), NOW).unwrap();
            self.payee.durable(version);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn both_sides_agree_whatever_the_network_does(ops in prop::collection::vec(op(), 1..80)) {
        let mut world = World {
            payer: payer(),
            payee: payee(),
            old_payer: payer(),
            requests: BTreeMap::new(),
            wire: vec![],
            next: 0,
            agreed: Nano::ZERO,
            unheard: Nano::ZERO,
        };
        for op in ops {
            world.step(op);
        }
        world.settle();
        prop_assert_eq!(world.payer.billed(), world.payee.billed());
        let claimable = world.payee.claimable().map_or(Nano::ZERO, |v| v.voucher.cumulative);
        prop_assert_eq!(claimable, world.payee.billed(), "an honest payee claims exactly what was billed");
    }
}
