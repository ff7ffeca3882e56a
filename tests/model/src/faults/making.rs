//! Proofs, right and wrong.

use tycho_types::cell::Cell;
use tycho_types::models::StdAddr;

use crate::cells::Writer;
use crate::chain::Chain;
use crate::channel::model::distorted;
use crate::keys::Person;
use crate::rng::Rng;

use super::op;

fn signed(by: &Person, body: Cell, rng: &mut Rng) -> Cell {
    let mut signature = by.sign(&body);
    if rng.chance(2) {
        signature[rng.index(64)] ^= 1;
    }
    let cell = Writer::default().signature(&signature).cell(body).end();
    if rng.chance(2) { distorted(&cell, rng.number()) } else { cell }
}

fn network(rng: &mut Rng) -> i32 {
    if rng.chance(3) { -239 } else { Chain::NETWORK }
}

/// A receipt that a node signs.
fn receipt(node: &Person, number: u64, channel: &StdAddr, time: u32, image: &[u8; 32], rng: &mut Rng) -> Cell {
    let content =
        Writer::default().word(&[1; 32]).word(&[rng.below(4) as u8; 32]).word(&[rng.below(3) as u8; 32]).end();
    let terms = Writer::default().word(image).uint(0, 64).end();
    let body = Writer::op(if rng.chance(2) { op::VOUCHER } else { op::RECEIPT })
        .int32(network(rng))
        .address(channel)
        .uint(number.into(), 64)
        .uint(time.into(), 32)
        .cell(content)
        .cell(terms)
        .end();
    signed(node, body, rng)
}

fn acceptance(node: &Person, channel: &StdAddr, time: u32, rng: &mut Rng) -> Cell {
    let body = Writer::op(op::ACCEPTANCE)
        .int32(network(rng))
        .address(channel)
        .uint(time.into(), 32)
        .word(&[if rng.chance(90) { 1 } else { 2 }; 32])
        .word(&[rng.below(3) as u8; 32])
        .end();
    signed(node, body, rng)
}

/// Something that may or may not convict a node.
pub fn against_node(node: &Person, channel: &StdAddr, now: u32, rng: &mut Rng) -> Cell {
    let (image, other) = ([7; 32], if rng.chance(50) { [7; 32] } else { [8; 32] });
    let time = now - rng.below(4000) as u32;
    let number = rng.below(2);
    let key = if rng.chance(97) { node.public() } else { [9; 32] };
    let second = receipt(node, rng.below(2), channel, now, &other, rng);
    let (tag, first) = match rng.below(4) {
        0 => (op::TWO_RECEIPTS, receipt(node, number, channel, time, &image, rng)),
        1 => (op::WRONG_MODEL, acceptance(node, channel, time, rng)),
        2 => (op::TWO_IMAGES, receipt(node, number, channel, time, &image, rng)),
        _ => (*rng.pick(&[op::EQUIVOCATION, op::REVOKED_USE, 0]), receipt(node, number, channel, time, &image, rng)),
    };
    let proof = Writer::op(tag).word(&key).cell(first).cell(second).end();
    if rng.chance(2) { distorted(&proof, rng.number()) } else { proof }
}

/// A receipt that names something, for a registry that may have revoked it.
pub fn of_use(node: &Person, account: &StdAddr, kind: u8, id: &[u8; 32], time: u32, rng: &mut Rng) -> Cell {
    let content = Writer::default().word(&[1; 32]).word(&[2; 32]).word(id).end();
    let terms = Writer::default().word(id).uint(0, 64).end();
    let body = Writer::op(op::RECEIPT)
        .int32(network(rng))
        .address(account)
        .uint(1, 64)
        .uint(time.into(), 32)
        .cell(content)
        .cell(terms)
        .end();
    let receipt = signed(node, body, rng);
    Writer::op(op::REVOKED_USE).word(&node.public()).address(account).uint(kind.into(), 8).cell(receipt).end()
}

/// Two vouchers of a payer that may or may not contradict each other.
pub fn against_payer(payer: &Person, terms: &Cell, channel: &StdAddr, registry: &StdAddr, rng: &mut Rng) -> Cell {
    let voucher = |rng: &mut Rng| {
        let evidence = Writer::op(if rng.chance(3) { op::VOUCHER } else { op::EVIDENCE })
            .address(registry)
            .uint(rng.below(3).into(), 64)
            .uint(rng.below(3).into(), 64)
            .uint(rng.below(3).into(), 64)
            .end();
        let evidence = if rng.chance(95) { Some(evidence) } else { None };
        let body = Writer::op(op::VOUCHER)
            .int32(network(rng))
            .address(if rng.chance(95) { channel } else { registry })
            .coins(rng.below(3).into())
            .uint(rng.below(2).into(), 32)
            .maybe(evidence)
            .end();
        signed(payer, body, rng)
    };
    let (a, b) = (voucher(rng), voucher(rng));
    let b = if rng.chance(5) { a.clone() } else { b };
    let proof = Writer::op(op::EQUIVOCATION).cell(terms.clone()).cell(a).cell(b).end();
    if rng.chance(2) { distorted(&proof, rng.number()) } else { proof }
}
