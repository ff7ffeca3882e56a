//! What people do with channels.

use tycho_types::cell::{Cell, CellBuilder, CellFamily, HashBytes};
use tycho_types::models::StdAddr;

use crate::cells::{MAX_COINS, Reader, Writer, ton};
use crate::chain::{Chain, Message};
use crate::rng::Rng;

use super::model::{CENT, EVIDENCE_VALUE, MIN_VALUE, RESERVE, distorted, op};
use super::{ChannelWorld, Signed};

/// One step.
pub enum Action {
    /// A message is sent, and arrives at once or later.
    Send {
        /// The operation.
        name: &'static str,
        /// The message.
        message: Message,
        /// Whether it stays on its way for now.
        later: bool,
    },
    /// A message that was on its way arrives.
    Arrive(usize),
    /// Time passes, in seconds.
    Wait(u32),
}

#[derive(Clone, Copy)]
enum Kind {
    TopUp,
    Claim,
    RequestClose,
    Settle,
    CoopClose,
    Nonsense,
    Arrive,
    Wait,
}

/// Chooses what happens next.
pub fn choose(world: &mut ChannelWorld, rng: &mut Rng) -> Action {
    let kind = rng.weighted(&[
        (18, Kind::TopUp),
        (30, Kind::Claim),
        (8, Kind::RequestClose),
        (10, Kind::Settle),
        (10, Kind::CoopClose),
        (3, Kind::Nonsense),
        (7, Kind::Arrive),
        (14, Kind::Wait),
    ]);
    let place = rng.index(world.channels.len());
    let (name, message) = match kind {
        Kind::TopUp => ("TopUp", top_up(world, place, rng)),
        Kind::Claim => ("Claim", any_claim(world, place, rng)),
        Kind::RequestClose => {
            let payer = world.channels[place].payer;
            let who = if rng.chance(80) { payer } else { rng.index(world.people.len()) };
            ("RequestClose", varied(request_close(world, place, who), world, place, rng))
        }
        Kind::Settle => {
            let who = rng.index(world.people.len());
            ("Settle", varied(settle(world, place, who), world, place, rng))
        }
        Kind::CoopClose => ("CoopClose", any_coop_close(world, place, rng)),
        Kind::Nonsense => ("Nonsense", nonsense(world, place, rng)),
        Kind::Arrive if world.queue.is_empty() => return Action::Wait(1),
        Kind::Arrive => return Action::Arrive(rng.index(world.queue.len())),
        Kind::Wait => return Action::Wait(pause(world, place, rng)),
    };
    Action::Send { name, message, later: rng.chance(10) }
}

/// What a message says, for the story.
pub fn details(world: &ChannelWorld, message: &Message) -> String {
    let mut body = Reader::new(&message.body);
    let read = (|| {
        let op = body.u32().ok()?;
        let _query = body.uint(64).ok()?;
        let signed =
            |list: &[Signed], cell: &Cell| list.iter().rev().find(|s| s.cell == *cell).map(|s| s.label.clone());
        match op {
            op::TOP_UP => Some(format!("of {}", ton(body.coins().ok()?))),
            op::CLAIM => body.signature().and_then(|_| body.cell()).ok().and_then(|c| signed(&world.vouchers, &c)),
            op::COOP_CLOSE => body.signature().and_then(|_| body.cell()).ok().and_then(|c| signed(&world.auths, &c)),
            _ => None,
        }
    })();
    read.unwrap_or_default()
}

fn message(world: &ChannelWorld, place: usize, who: usize, value: u128, body: Cell) -> Message {
    Message {
        src: world.people[who].address.clone(),
        dst: world.channels[place].model.address.clone(),
        value,
        bounce: true,
        bounced: false,
        init: None,
        body,
    }
}

/// The same message with less or more money, with the channel's code, or without asking for the money back.
fn varied(mut message: Message, world: &ChannelWorld, place: usize, rng: &mut Rng) -> Message {
    message.value = match rng.below(12) {
        0 => MIN_VALUE - 1,
        1 => MIN_VALUE,
        2 => rng.magnitude(25),
        3 => rng.magnitude(60),
        4 => 0,
        _ => message.value,
    };
    if rng.chance(6) || (!world.channels[place].model.deployed && rng.chance(50)) {
        message.init = Some(world.channels[place].model.init.clone());
    }
    message.bounce = !rng.chance(5);
    message
}

fn top_up(world: &ChannelWorld, place: usize, rng: &mut Rng) -> Message {
    let channel = &world.channels[place];
    let amount = match rng.below(14) {
        0 => 0,
        1 => 1,
        2 => rng.magnitude(118),
        3 => MAX_COINS,
        _ => rng.magnitude(36),
    };
    let (balance, _) = world.chain.account(&channel.model.address);
    let lacking = (channel.model.left() + RESERVE).saturating_sub(balance);
    let needed = (amount + MIN_VALUE + lacking).min(1 << 117);
    let value = match rng.below(12) {
        0 => needed - 1,
        1 => needed,
        2 => amount.min(1 << 117),
        3 => rng.magnitude(40),
        _ => needed + rng.magnitude(32),
    };
    let who = if rng.chance(70) { channel.payer } else { rng.index(world.people.len()) };
    let body = Writer::op(op::TOP_UP).uint(rng.below(9).into(), 64).coins(amount).end();
    let mut message = message(world, place, who, value, body);
    if rng.chance(if channel.model.deployed { 10 } else { 90 }) {
        message.init = Some(channel.model.init.clone());
    }
    message.bounce = !rng.chance(5);
    message
}

/// A voucher as it should be.
pub fn voucher_for(
    world: &mut ChannelWorld,
    place: usize,
    cumulative: u128,
    valid_until: u32,
    evidence: Option<Cell>,
) -> Signed {
    let channel = &mut world.channels[place];
    channel.signed = channel.signed.max(cumulative);
    let cell = Writer::op(op::VOUCHER)
        .int32(Chain::NETWORK)
        .address(&channel.model.address)
        .coins(cumulative)
        .uint(valid_until.into(), 32)
        .maybe(evidence)
        .end();
    let label = format!("up to {} on channel {place}, until {valid_until}", ton(cumulative));
    let signed = Signed { signature: world.people[channel.payer].sign(&cell), cell, valid_until, label };
    world.vouchers.push(signed.clone());
    signed
}

fn any_voucher(world: &mut ChannelWorld, place: usize, rng: &mut Rng) -> Signed {
    if !world.vouchers.is_empty() && rng.chance(25) {
        return rng.pick(&world.vouchers).clone();
    }
    let model = &world.channels[place].model;
    let (balance, _) = world.chain.account(&model.address);
    let cumulative = match rng.below(12) {
        0 => model.claimed,
        1 => model.claimed.saturating_sub(1),
        2 => model.deposit,
        3 => model.deposit + 1,
        4 => rng.magnitude(120),
        5 => MAX_COINS,
        // All that is really there, when storage has eaten into it.
        6 => model.claimed + balance,
        7 => model.claimed + 1,
        _ => model.claimed + rng.magnitude(34),
    }
    .min(MAX_COINS);
    let now = world.chain.now;
    let valid_until = match rng.below(10) {
        0 => now,
        1 => now + 1,
        2 => now - 1,
        3 | 4 => now + u32::try_from(rng.magnitude(24)).unwrap(),
        _ => 0,
    };
    if !rng.chance(30) {
        let evidence = if rng.chance(40) { Some(evidence(rng)) } else { None };
        return voucher_for(world, place, cumulative, valid_until, evidence);
    }
    forged_voucher(world, place, cumulative, valid_until, rng)
}

/// What is wrong with a forged cell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flaw {
    Tag,
    Network,
    Channel,
    Shape,
    Signer,
    Bit,
    Order,
    Evidence,
}

const FLAWS: &[(u64, Flaw)] = &[
    (2, Flaw::Tag),
    (2, Flaw::Network),
    (2, Flaw::Channel),
    (3, Flaw::Shape),
    (3, Flaw::Signer),
    (2, Flaw::Bit),
    (1, Flaw::Order),
    (2, Flaw::Evidence),
];

fn forged_voucher(world: &mut ChannelWorld, place: usize, cumulative: u128, valid_until: u32, rng: &mut Rng) -> Signed {
    let flaw = rng.weighted(FLAWS);
    let other = rng.index(world.channels.len());
    let channel = &world.channels[place];
    let named = if flaw == Flaw::Channel { &world.channels[other].model.address } else { &channel.model.address };
    let evidence = if flaw == Flaw::Evidence { Some(not_quite_evidence(rng)) } else { None };
    let mut cell = Writer::op(if flaw == Flaw::Tag { *rng.pick(&[op::CLOSE, 0, op::CLAIM]) } else { op::VOUCHER })
        .int32(if flaw == Flaw::Network { *rng.pick(&[-239, -3, 0]) } else { Chain::NETWORK })
        .address(named)
        .coins(cumulative)
        .uint(valid_until.into(), 32)
        .maybe(evidence)
        .end();
    if flaw == Flaw::Shape {
        cell = distorted(&cell, rng.number());
    }
    let signer = if flaw == Flaw::Signer { rng.index(world.people.len()) } else { channel.payer };
    let signature = spoiled(world.people[signer].sign(&cell), flaw, rng);
    // By chance it may be right all the same: somebody else's key is another key, but a channel may be its own other one.
    if signer == channel.payer && (flaw == Flaw::Evidence || (flaw == Flaw::Channel && other == place)) {
        let channel = &mut world.channels[place];
        channel.signed = channel.signed.max(cumulative);
    }
    if flaw == Flaw::Signer && world.people[signer].public() == world.channels[place].model.terms.payer_key {
        let channel = &mut world.channels[place];
        channel.signed = channel.signed.max(cumulative);
    }
    if flaw == Flaw::Channel {
        // The same key may pay through the other channel, too.
        let other = &mut world.channels[other];
        if world.people[signer].public() == other.model.terms.payer_key {
            other.signed = other.signed.max(cumulative);
        }
    }
    let label = format!("up to {} on channel {place}, forged", ton(cumulative));
    let signed = Signed { cell, signature, valid_until, label };
    world.vouchers.push(signed.clone());
    signed
}

/// Evidence for some registry.
fn evidence(rng: &mut Rng) -> Cell {
    Writer::op(op::EVIDENCE)
        .address(&registry(rng))
        .uint(rng.magnitude(64), 64)
        .uint(rng.magnitude(64), 64)
        .uint(rng.magnitude(64), 64)
        .end()
}

fn registry(rng: &mut Rng) -> StdAddr {
    StdAddr::new(0, HashBytes([rng.below(3) as u8; 32]))
}

/// A cell that a careless or hostile payer puts where evidence belongs.
fn not_quite_evidence(rng: &mut Rng) -> Cell {
    match rng.below(6) {
        0 => distorted(&evidence(rng), rng.number()),
        1 => Writer::op(op::EVIDENCE).address(&StdAddr::new(-1, HashBytes::ZERO)).uint(0, 96).uint(0, 96).end(),
        2 => Writer::op(op::VOUCHER).address(&registry(rng)).uint(0, 96).uint(0, 96).end(),
        // A reference to a library, which nobody can read.
        3 => {
            let mut b = CellBuilder::new();
            b.set_exotic(true);
            b.store_u8(2).and_then(|()| b.store_u256(&HashBytes(rng.bytes32()))).expect("264 bits fit into a cell");
            b.build().expect("this is how a library cell looks")
        }
        4 => Cell::empty_cell(),
        // No address, in as many bits.
        _ => Writer::op(op::EVIDENCE).uint(0, 75).uint(rng.magnitude(64), 96).uint(0, 96).uint(0, 96).uint(0, 96).end(),
    }
}

/// The message as it comes back from a registry that did not take it.
pub fn returned(sent: &Message) -> Message {
    let mut said = sent.body.as_slice_allow_exotic();
    let mut first = [0; 32];
    said.load_raw(&mut first, 256).expect("what the channel sends is longer");
    let body = Writer::op(u32::MAX).word(&first).end();
    // Gas and the way back are gone; sometimes nearly everything.
    let query = u128::from(first[11]);
    let value = if query % 8 == 0 { sent.value / 100_000 } else { sent.value - sent.value / 10 };
    let (src, dst) = (sent.dst.clone(), sent.src.clone());
    Message { src, dst, value, bounce: false, bounced: true, init: None, body }
}

/// A signature with a flipped bit, or with the group's order added to its scalar (attack 7).
fn spoiled(mut signature: [u8; 64], flaw: Flaw, rng: &mut Rng) -> [u8; 64] {
    if flaw == Flaw::Bit {
        signature[rng.index(64)] ^= 1 << rng.below(8);
    }
    if flaw == Flaw::Order {
        const L: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut carry = 0;
        for (byte, add) in signature[32..].iter_mut().zip(L) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            *byte = (sum & 0xff) as u8;
            carry = sum >> 8;
        }
    }
    signature
}

/// The payee, or anybody, claims with enough money for everything.
pub fn claim(world: &ChannelWorld, place: usize, who: usize, voucher: &Signed) -> Message {
    let model = &world.channels[place].model;
    let body = Writer::op(op::CLAIM)
        .uint(u128::from(voucher.signature[0] % 64), 64)
        .signature(&voucher.signature)
        .cell(voucher.cell.clone())
        .end();
    // Should storage have eaten into the deposit, this makes good for it.
    message(world, place, who, 20 * CENT + model.left(), body)
}

fn any_claim(world: &mut ChannelWorld, place: usize, rng: &mut Rng) -> Message {
    let voucher = any_voucher(world, place, rng);
    let channel = &world.channels[place];
    let who = if rng.chance(50) { channel.payee } else { rng.index(world.people.len()) };
    let mut message = varied(claim(world, place, who, &voucher), world, place, rng);
    let (balance, _) = world.chain.account(&message.dst);
    message.value = match rng.below(10) {
        // Around what an eroded channel lacks.
        0 => (channel.model.left() + MIN_VALUE).saturating_sub(balance).max(MIN_VALUE),
        1 => (channel.model.left() + MIN_VALUE).saturating_sub(balance + 1).max(MIN_VALUE),
        2 => MIN_VALUE + EVIDENCE_VALUE,
        3 => MIN_VALUE + EVIDENCE_VALUE - 1,
        4..=6 => 15 * CENT,
        _ => message.value,
    };
    message
}

/// The payer, or somebody who would like to be, asks to close.
pub fn request_close(world: &ChannelWorld, place: usize, who: usize) -> Message {
    message(world, place, who, 5 * CENT, Writer::op(op::REQUEST_CLOSE).uint(3, 64).end())
}

/// Anybody settles.
pub fn settle(world: &ChannelWorld, place: usize, who: usize) -> Message {
    message(world, place, who, 5 * CENT, Writer::op(op::SETTLE).uint(4, 64).end())
}

fn any_coop_close(world: &mut ChannelWorld, place: usize, rng: &mut Rng) -> Message {
    let signed = if !world.auths.is_empty() && rng.chance(25) {
        rng.pick(&world.auths).clone()
    } else if !world.vouchers.is_empty() && rng.chance(5) {
        // Attack 5.
        rng.pick(&world.vouchers).clone()
    } else {
        let flaw = if rng.chance(35) { Some(rng.weighted(FLAWS)) } else { None };
        let other = rng.index(world.channels.len());
        let channel = &world.channels[place];
        let named = if flaw == Some(Flaw::Channel) { other } else { place };
        let stale = flaw == Some(Flaw::Evidence);
        let mut cell = Writer::op(if flaw == Some(Flaw::Tag) { op::VOUCHER } else { op::CLOSE })
            .int32(if flaw == Some(Flaw::Network) { -239 } else { Chain::NETWORK })
            .address(&world.channels[named].model.address)
            .coins(channel.model.claimed + u128::from(stale && rng.chance(50)))
            .uint(u128::from(channel.model.epoch) + u128::from(stale), 32)
            .end();
        if flaw == Some(Flaw::Shape) {
            cell = distorted(&cell, rng.number());
        }
        let signer = if flaw == Some(Flaw::Signer) { rng.index(world.people.len()) } else { channel.payee };
        let signature = world.people[signer].sign(&cell);
        let signature = flaw.map_or(signature, |flaw| spoiled(signature, flaw, rng));
        let label = format!("after {}, epoch {}", ton(channel.model.claimed), channel.model.epoch);
        let signed = Signed { cell, signature, valid_until: 0, label };
        world.auths.push(signed.clone());
        signed
    };
    let body = Writer::op(op::COOP_CLOSE).uint(5, 64).signature(&signed.signature).cell(signed.cell).end();
    let who = rng.index(world.people.len());
    varied(message(world, place, who, 5 * CENT, body), world, place, rng)
}

fn nonsense(world: &ChannelWorld, place: usize, rng: &mut Rng) -> Message {
    let body = match rng.below(5) {
        0 => Cell::empty_cell(),
        1 => Writer::op(0).end(),
        2 => Writer::op(rng.number() as u32).word(&rng.bytes32()).end(),
        3 => Writer::default().uint(rng.number().into(), 1 + rng.below(31) as u16).end(),
        // A message that the contract sends, not one that it takes.
        _ => Writer::op(*rng.pick(&[op::PAID, op::REFUNDED, op::EXCESSES, op::CLOSING_STARTED])).uint(1, 64).end(),
    };
    let who = rng.index(world.people.len());
    varied(message(world, place, who, 5 * CENT, body), world, place, rng)
}

fn pause(world: &ChannelWorld, place: usize, rng: &mut Rng) -> u32 {
    let now = world.chain.now;
    let until = |time: u32, rng: &mut Rng| (time + rng.below(3) as u32).saturating_sub(now + 1);
    let close_at = world.channels[place].model.close_at;
    match rng.below(20) {
        0..=7 if close_at > 0 => until(close_at, rng),
        8 | 9 if !world.vouchers.is_empty() => until(rng.pick(&world.vouchers).valid_until, rng),
        10 => rng.magnitude(29) as u32,
        11 => 365 * 86_400 * (1 + rng.below(6) as u32),
        12 => 86_400 * rng.below(40) as u32,
        _ => rng.below(120) as u32,
    }
}
