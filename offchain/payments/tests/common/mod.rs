//! What the tests of this crate share.
#![allow(dead_code, missing_docs, clippy::unwrap_used, reason = "each test file uses a part of this")]

use cocoon_payments::{PayeeBooks, PayeeTerms, PayerBooks};
use cocoon_protocol::frame::ChannelTerms;
use cocoon_protocol::{GlobalId, Nano, NodeKey, SignedVoucher, StdAddr, UnixSeconds, Voucher};
use tycho_types::cell::HashBytes;

pub const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
pub const DEPOSIT: Nano = Nano::new(1_000);

pub fn payer_key() -> NodeKey {
    NodeKey::from_seed(&[1; 32])
}

pub fn payee_key() -> NodeKey {
    NodeKey::from_seed(&[2; 32])
}

pub fn address(n: u8) -> StdAddr {
    StdAddr::new(0, HashBytes([n; 32]))
}

pub fn terms() -> ChannelTerms {
    ChannelTerms {
        payer: address(1),
        payee: address(2),
        payer_key: payer_key().public(),
        payee_key: payee_key().public(),
        salt: 0,
        challenge: 3600,
        protocol_fee_bps: 100,
    }
}

pub fn payer() -> PayerBooks {
    PayerBooks::new(GlobalId::DEVNET, address(9), terms(), DEPOSIT)
}

pub fn payee_terms() -> PayeeTerms {
    PayeeTerms {
        global_id: GlobalId::DEVNET,
        channel: address(9),
        terms: terms(),
        expiry_margin: 600,
        registry: address(7),
    }
}

pub fn payee() -> PayeeBooks {
    PayeeBooks::new(payee_terms(), DEPOSIT)
}

pub fn voucher(cumulative: u64) -> Voucher {
    Voucher {
        global_id: GlobalId::DEVNET,
        channel: address(9),
        cumulative: Nano::new(cumulative),
        valid_until: UnixSeconds(0),
        evidence: None,
    }
}

pub fn signed(cumulative: u64) -> SignedVoucher {
    voucher(cumulative).sign(&payer_key()).unwrap()
}

/// Takes a voucher in and makes it durable.
pub fn accept(books: &mut PayeeBooks, signed: &SignedVoucher) {
    let version = books.accept(signed, NOW).unwrap();
    books.durable(version);
}
