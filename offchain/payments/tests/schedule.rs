//! Payer and payee under an adversarial scheduler: lost, repeated and reordered messages, restarts of either side.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;

use cocoon_payments::{PayeeBooks, PayeeRecord, PayerBooks, RequestId};
use cocoon_protocol::{GlobalId, Nano, SignedVoucher};
use common::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    /// A new request with this worst case.
    Ask(u64),
    /// The payer authorises up to this for one of the requests.
    Pay(usize, u64),
    /// One of the vouchers on the wire arrives, and may reach the disk; it may arrive again later.
    Deliver(usize, bool),
    /// The payee's disk catches up.
    Sync,
    /// Everything on the wire arrives, the newest first, and some of it again.
    DeliverAll,
    /// The payee tries to release output up to this cost.
    Release(usize, u64),
    /// The payee finishes a request at what it has released; the payer hears of it. A voucher may arrive before that is on the disk.
    Finish(usize, Option<usize>),
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
        6 => any::<(usize, bool)>().prop_map(|(i, sync)| Op::Deliver(i, sync)),
        1 => Just(Op::Sync),
        2 => Just(Op::DeliverAll),
        6 => (any::<usize>(), 1..400u64).prop_map(|(i, n)| Op::Release(i, n)),
        3 => any::<(usize, Option<usize>)>().prop_map(|(i, meanwhile)| Op::Finish(i, meanwhile)),
        1 => any::<usize>().prop_map(Op::FinishUnheard),
        1 => any::<usize>().prop_map(Op::Fail),
        1 => any::<bool>().prop_map(Op::RestartPayer),
        1 => Just(Op::RestartPayee),
    ]
}

/// Many small requests that each pay, say and bill all they may: little but the order is left to chance.
fn busy() -> impl Strategy<Value = Op> {
    const ALL: u64 = 10;
    prop_oneof![
        3 => Just(Op::Ask(ALL)),
        3 => any::<usize>().prop_map(|i| Op::Pay(i, ALL)),
        3 => any::<usize>().prop_map(|i| Op::Deliver(i, false)),
        1 => Just(Op::Sync),
        3 => any::<usize>().prop_map(|i| Op::Release(i, ALL)),
        3 => any::<(usize, Option<usize>)>().prop_map(|(i, meanwhile)| Op::Finish(i, meanwhile)),
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
    /// What the payee finds when it starts again.
    disk: PayeeRecord,
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
            Op::Deliver(i, sync) => {
                if !self.wire.is_empty() {
                    self.deliver(i % self.wire.len());
                }
                if sync {
                    self.sync();
                }
            }
            Op::Sync => self.sync(),
            Op::DeliverAll => {
                (0..self.wire.len()).rev().for_each(|i| self.deliver(i));
                self.sync();
                if self.unheard.is_zero() {
                    for request in self.requests.values() {
                        let covered = self.payee.covered(request.payee);
                        assert_eq!(
                            covered, request.authorised,
                            "whatever an honest payer has paid for may be released"
                        );
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
            Op::Finish(i, meanwhile) => {
                let Some(key) = self.pick(i) else { return };
                let request = self.requests.remove(&key).unwrap();
                self.payee.finish(request.payee, request.released, None).unwrap();
                if let Some(i) = meanwhile.filter(|_| !self.wire.is_empty()) {
                    self.deliver(i % self.wire.len());
                }
                self.sync(); // before the payer is told
                let exact = self.payer.bill(request.payer, request.released).unwrap();
                self.agreed = self.agreed.checked_add(request.released).unwrap();
                self.wire.push((None, Nano::ZERO, exact.sign(&payer_key()).unwrap()));
            }
            Op::FinishUnheard(i) => {
                let Some(key) = self.pick(i) else { return };
                let request = self.requests.remove(&key).unwrap();
                self.payee.finish(request.payee, request.released, None).unwrap();
                self.sync(); // before the payer is told
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
                self.payee = PayeeBooks::restore(payee_terms(), self.disk.clone(), DEPOSIT);
                for (_, request) in std::mem::take(&mut self.requests) {
                    self.payer.fail(request.payer);
                }
                self.compare_books();
            }
        }
        self.check();
    }

    fn deliver(&mut self, i: usize) {
        let (key, authorised, voucher) = self.wire[i].clone();
        let accepted = match key {
            Some(key) => match self.requests.get(&key) {
                Some(request) => self.payee.pay(request.payee, authorised, &voucher, NOW),
                None => return, // the stream that carried it is gone
            },
            None => self.payee.accept_exact(&voucher, NOW),
        };
        match accepted {
            Ok(version) => assert!(version <= self.payee.record().0, "the next write makes it durable"),
            Err(error) => assert!(key.is_none() || !self.unheard.is_zero(), "an honest payer is refused: {error}"),
        }
    }

    /// What must be on disk is written.
    fn sync(&mut self) {
        let (version, record) = self.payee.record();
        self.disk = record;
        self.payee.durable(version);
    }

    fn drop_links(&mut self) {
        for (_, request) in std::mem::take(&mut self.requests) {
            self.payee.fail(request.payee);
        }
    }

    fn check(&self) {
        assert_eq!(self.payee.billed(), self.agreed.checked_add(self.unheard).unwrap());
        assert!(self.payee.billed() <= DEPOSIT);
        let released: Nano = self.requests.values().map(|r| r.released).sum();
        let on_disk = self.disk.vouchers.last().map_or(Nano::ZERO, |v| v.voucher.cumulative);
        let given = self.payee.billed().saturating_add(released);
        assert!(given <= on_disk, "{given} is given away, and the vouchers on disk pay for {on_disk} (P3.5)");
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

fn both_sides_agree(ops: Vec<Op>) -> Result<(), TestCaseError> {
    let mut world = World {
        payer: payer(),
        payee: payee(),
        disk: payee().record().1,
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
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn both_sides_agree_whatever_the_network_does(ops in prop::collection::vec(op(), 1..80)) {
        both_sides_agree(ops)?;
    }

    #[test]
    fn whoever_pays_is_heard_however_many_pay_at_once(ops in prop::collection::vec(busy(), 1..120)) {
        both_sides_agree(ops)?;
    }
}
