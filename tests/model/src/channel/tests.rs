//! The invariants can fail: each is seen to, on a channel whose books were altered.

use crate::code::Codes;
use crate::coverage::Coverage;
use crate::run::{Story, World, steps_of};

use super::model::{Channel, RESERVE};
use super::{ChannelWorld, Tracked};

/// A channel that something was claimed from and something is left in.
fn used() -> (ChannelWorld, usize) {
    let codes = Codes::committed().unwrap();
    for seed in 0..100 {
        let mut world = ChannelWorld::begin(&codes, seed, Story::default()).unwrap();
        for step in steps_of(seed, 100) {
            world.step(step, &mut Coverage::default()).unwrap();
            let used = |c: &Tracked| c.model.claimed > 0 && c.model.left() > 0 && !c.frozen;
            if let Some(place) = world.channels.iter().position(used) {
                return (world, place);
            }
        }
    }
    panic!("no channel was used");
}

fn breaks(what: &str, spoil: impl Fn(&mut Tracked)) {
    let (world, place) = used();
    let mut tracked = world.channels[place].clone();
    let before = tracked.model.clone();
    tracked.invariants(&before).unwrap();
    spoil(&mut tracked);
    let said = tracked.invariants(&before).unwrap_err().to_string();
    assert!(said.starts_with(&format!("{what} is broken")), "{said}");
}

#[test]
fn i1_a_claim_above_the_deposit_is_noticed() {
    breaks("I1", |tracked| tracked.model.claimed = tracked.model.deposit + 1);
}

#[test]
fn i1_a_claim_that_shrinks_is_noticed() {
    breaks("I1", |tracked| tracked.model.claimed -= 1);
}

#[test]
fn i2_missing_money_is_noticed() {
    let (world, place) = used();
    let tracked = &world.channels[place];
    let (balance, _) = world.chain.account(&tracked.model.address);
    tracked.funded(balance).unwrap();
    let said = tracked.funded((tracked.model.left() + RESERVE).saturating_sub(tracked.storage + 1)).unwrap_err();
    assert!(said.to_string().starts_with("I2 is broken"), "{said}");
}

#[test]
fn i3_money_from_nowhere_is_noticed() {
    breaks("I3", |tracked| tracked.model.books.refunded += 1);
}

#[test]
fn i4_a_claim_that_nobody_signed_is_noticed() {
    breaks("I4", |tracked| tracked.signed = tracked.model.claimed - 1);
}

#[test]
fn i5_i8_whoever_cannot_leave_is_noticed() {
    let (mut world, place) = used();
    let payer = world.channels[place].payer;
    // A settlement that nobody asked for is no exit.
    let message = super::actions::settle(&world, place, payer);
    world.channels[place].model.close_at = 0;
    let refused = world.exit(message, "Settle", &mut Coverage::default());
    let holds = world.must(place, |c: &Channel| c.left() == 0, "I5");
    assert!(refused.is_err() && holds.unwrap_err().to_string().starts_with("I5"));
}
