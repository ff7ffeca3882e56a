//! The invariants can fail: each is seen to, in a world whose books were altered.

use cocoon_wrappers::generated::shared::{CastVote, ExecuteProposal, GovernorParams, SetGovernorParams};
use tycho_types::cell::{Cell, HashBytes};
use tycho_types::num::Tokens;

use crate::code::Codes;
use crate::coverage::Coverage;
use crate::run::{Story, World, steps_of};

use super::governor::Governor;
use super::net::Model;
use super::proposal::Proposal;
use super::stake::Stake;
use super::{DaoWorld, TON, actions, cell};

/// A world in which stake weighs, a proposal is open and a node is registered.
fn lively() -> DaoWorld {
    let codes = Codes::committed().unwrap();
    for seed in 0..500 {
        let mut world = DaoWorld::begin(&codes, seed, Story::default()).unwrap();
        for step in steps_of(seed, 60) {
            world.step(step, &mut Coverage::default()).unwrap();
            let epoch = world.governor().epoch(world.net.chain.now);
            let weighs = world.account(0).weight(epoch) > 0;
            let nodes = world.account(0).state.nodes.values().any(|node| node.bond > Tokens::ZERO);
            let open = (0..world.proposals.len()).any(|place| world.proposal(place).terms.is_some());
            if weighs && nodes && open && !world.net.has_queue() {
                world.check().unwrap();
                return world;
            }
        }
    }
    panic!("no world comes to life");
}

fn governor(world: &mut DaoWorld) -> &mut Governor {
    match world.net.models.get_mut(&world.governor) {
        Some(Model::Governor(governor)) => governor,
        _ => panic!("no governor"),
    }
}

fn stake(world: &mut DaoWorld) -> &mut Stake {
    match world.net.models.get_mut(&world.accounts[0]) {
        Some(Model::Stake(stake)) => stake,
        _ => panic!("no account"),
    }
}

fn proposal(world: &mut DaoWorld) -> &mut Proposal {
    match world.net.models.get_mut(&world.proposals[0]) {
        Some(Model::Proposal(proposal)) => proposal,
        _ => panic!("no proposal"),
    }
}

fn breaks(world: &DaoWorld, what: &str) {
    let said = world.check().unwrap_err().to_string();
    assert!(said.contains(what), "{said}");
}

#[test]
fn g1_a_total_below_what_the_lots_weigh_is_noticed() {
    let mut world = lively();
    let state = &mut governor(&mut world).state;
    (state.total, state.joining, state.leaving) = (Tokens::ZERO, Tokens::ZERO, Tokens::ZERO);
    breaks(&world, "G1 is broken: lots weigh");
}

#[test]
fn g1_a_total_above_what_the_lots_weigh_is_noticed() {
    let mut world = lively();
    governor(&mut world).state.total += Tokens::new(1);
    breaks(&world, "G1 is broken: lots weigh");
}

#[test]
fn g1_more_votes_than_stake_are_noticed() {
    let mut world = lively();
    proposal(&mut world).state.abstain = u64::MAX;
    breaks(&world, "G1 is broken: more votes than stake");
}

#[test]
fn g2_a_second_vote_is_noticed() {
    let mut world = lively();
    let owner = world.people[0].address.clone();
    let body = CastVote { query_id: 1, support: 1, snapshot: 1, receipt_until: 1, weight: Tokens::new(1), owner };
    let mut vote = actions::set_up(&world, 0, TON);
    (vote.src, vote.dst) = (world.accounts[0].clone(), world.people[5].address.clone());
    vote.body = cell(body.to_cell());
    world.note(&vote, None).unwrap();
    assert!(world.note(&vote, None).unwrap_err().to_string().contains("G2 is broken"));
}

#[test]
fn g5_rules_that_nobody_voted_for_are_noticed() {
    let mut world = lively();
    let before = world.net.models.get(&world.governor).cloned();
    let params = GovernorParams { quorum_bps: 77, ..world.governor().state.params.clone() };
    governor(&mut world).state.params = params.clone();
    let mut message = actions::set_up(&world, 0, TON);
    message.body = cell(SetGovernorParams { query_id: 1, params }.to_cell());
    assert!(world.note(&message, before.as_ref()).unwrap_err().to_string().contains("G5 is broken"));
    message.src = world.governor.clone();
    world.note(&message, before.as_ref()).unwrap();
}

#[test]
fn g6_a_second_execution_is_noticed() {
    let mut world = lively();
    let body = ExecuteProposal { query_id: 1, metadata_hash: HashBytes::ZERO, actions: Cell::default() };
    let mut message = actions::set_up(&world, 0, TON);
    (message.src, message.body) = (world.proposals[0].clone(), cell(body.to_cell()));
    world.note(&message, None).unwrap();
    assert!(
        world.note(&message, None).unwrap_err().to_string().contains("G6 is broken: a proposal was executed twice")
    );
}

#[test]
fn g6_an_execution_that_was_not_won_is_noticed() {
    let mut world = lively();
    world.ledger.executed.insert(world.proposals[0].clone(), 1);
    proposal(&mut world).state.stage = 1;
    breaks(&world, "G6 is broken: executed, and yet");
}

#[test]
fn a_slashed_key_that_comes_back_is_noticed() {
    let mut world = lively();
    let mut before = world.account(0).clone();
    before.state.nodes.values_mut().for_each(|node| node.bond = Tokens::ZERO);
    let mut message = actions::set_up(&world, 0, TON);
    message.dst = world.accounts[0].clone();
    let said = world.note(&message, Some(&Model::Stake(before))).unwrap_err().to_string();
    assert!(said.contains("slashed lives on"), "{said}");
}

#[test]
fn missing_stake_is_noticed() {
    let mut world = lively();
    let address = world.accounts[0].clone();
    let storage = world.net.storage.get(&address).copied().unwrap_or_default();
    let spare = world.net.chain.account(&address).0 + storage - world.account(0).state.held.into_inner();
    world.net.chain.erode(&address, spare - super::stake::RESERVE + 1);
    breaks(&world, "stake is missing");
}

#[test]
fn uneven_books_are_noticed() {
    for spoil in [
        |stake: &mut Stake| stake.state.held += Tokens::new(1),
        |stake: &mut Stake| stake.state.bonded = stake.state.staying + Tokens::new(1),
        |stake: &mut Stake| {
            stake.state.nodes.values_mut().for_each(|node| (node.bond, node.free_at) = (Tokens::new(1 << 60), 0));
        },
    ] {
        let mut world = lively();
        spoil(stake(&mut world));
        breaks(&world, "the books of an account are uneven");
    }
}
