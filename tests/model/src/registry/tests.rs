//! The invariants can fail: each is seen to, between states that no registry may go through.

use cocoon_wrappers::generated::registry::{ImageEntry, Life, RevokeEntry};
use tycho_types::cell::{Cell, HashBytes};
use tycho_types::num::Tokens;

use crate::chain::{BEGINNING, Message};
use crate::code::Codes;
use crate::coverage::Coverage;
use crate::dao::cell;
use crate::run::{Story, World, steps_of};

use super::model::Registry;
use super::{RegistryWorld, actions, invariants};

const NOW: u32 = BEGINNING;

/// A registry that is set up and has a proxy, and a message of its governor's.
fn used() -> (Registry, Message) {
    let codes = Codes::committed().unwrap();
    for seed in 0..100 {
        let mut world = RegistryWorld::begin(&codes, seed, Story::default()).unwrap();
        for step in steps_of(seed, 60) {
            world.step(step, &mut Coverage::default()).unwrap();
            if world.model().state.ready && world.model().state.bonded > Tokens::ZERO {
                let mut message = actions::plain(&world, 0, 0, Cell::default());
                message.src = world.model().state.governor.clone();
                return (world.model().clone(), message);
            }
        }
    }
    panic!("no registry is used");
}

fn entry(active_from: u32) -> ImageEntry {
    ImageEntry {
        role: 1,
        source_commit: HashBytes::ZERO,
        recipe_hash: HashBytes::ZERO,
        rebuilds: std::collections::BTreeMap::new(),
        life: Life {
            status: 1,
            active_from,
            sunset: 0,
            changed_at: NOW,
            reason: "a test".to_owned(),
            scheduled_at: NOW,
            suspended_until: 0,
        },
    }
}

fn breaks(before: &Registry, after: &Registry, message: &Message, what: &str) {
    let said = invariants(before, after, message, NOW).unwrap_err().to_string();
    assert!(said.contains(what), "{said}");
}

#[test]
fn g3_an_entry_that_activates_too_soon_is_noticed() {
    let (before, message) = used();
    let mut after = before.clone();
    after.state.images.insert(HashBytes::ZERO, entry(NOW));
    breaks(&before, &after, &message, "G3 is broken: an entry became usable at once");
    after.state.images.insert(HashBytes::ZERO, entry(NOW + before.state.params.activation_delay - 1));
    breaks(&before, &after, &message, "G3 is broken: an entry activates before its delay");
    after.state.images.insert(HashBytes::ZERO, entry(NOW + before.state.params.activation_delay));
    invariants(&before, &after, &message, NOW).unwrap();
}

#[test]
fn g3_a_root_that_is_valid_too_soon_is_noticed() {
    let (before, message) = used();
    let mut after = before.clone();
    after.state.tcb.roots.insert(HashBytes([9; 32]), NOW + before.state.params.activation_delay - 1);
    breaks(&before, &after, &message, "G3 is broken: a root");
}

#[test]
fn g4_a_revocation_without_effect_is_noticed() {
    let (mut before, mut message) = used();
    before.state.images.insert(HashBytes::ZERO, entry(NOW - 1));
    let body = RevokeEntry { query_id: 1, kind: 1, id: HashBytes::ZERO, reason: "a test".to_owned() };
    message.body = cell(body.to_cell());
    breaks(&before, &before, &message, "G4 is broken");
}

#[test]
fn a_rule_that_somebody_else_made_is_noticed() {
    let (before, mut message) = used();
    let mut after = before.clone();
    after.state.params.protocol_fee_bps += 1;
    invariants(&before, &after, &message, NOW).unwrap();
    message.src = message.dst.clone();
    breaks(&before, &after, &message, "somebody else than the governor");
}

#[test]
fn a_second_suspension_of_one_approval_is_noticed() {
    let (mut before, message) = used();
    before.state.images.insert(HashBytes::ZERO, entry(NOW - 10));
    before.state.images.values_mut().for_each(|image| image.life.suspended_until = NOW - 5);
    let mut after = before.clone();
    after.state.images.values_mut().for_each(|image| image.life.suspended_until = NOW + 5);
    breaks(&before, &after, &message, "attack 41");
}

#[test]
fn bonds_that_do_not_add_up_are_noticed() {
    let (before, message) = used();
    let mut after = before.clone();
    after.state.bonded += Tokens::new(1);
    breaks(&before, &after, &message, "the sum of the bonds is wrong");
}
