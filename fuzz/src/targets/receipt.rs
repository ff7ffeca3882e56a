//! Receipts, the other cells that are signed, and bundles of receipts.
#![allow(clippy::expect_used, reason = "the fixture is a file of this project")]

use std::sync::LazyLock;

use cocoon_chain::light::{ProofError, ProvenState, StateProof};
use cocoon_chain::{Cell, GlobalConfig};
use cocoon_protocol::acceptance::{Acceptance, SignedAcceptance};
use cocoon_protocol::{GlobalId, Nano, Receipt, SignedReceipt, StdAddr, UnixSeconds, Voucher};
use cocoon_receipt::{Bundle, Trust, verify};
use futures::FutureExt;
use serde_json::Value;
use tycho_types::boc::Boc;

use super::told;

/// An answer of a development network, and what its reader trusts.
pub struct Fixture {
    pub bundle: Bundle,
    pub trust: Trust,
    pub state: Result<ProvenState, ProofError>,
}

pub fn fixture() -> &'static Fixture {
    static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
        let bundle = include_bytes!("../../../offchain/receipt/tests/fixtures/bundle.json");
        let network = include_str!("../../../offchain/receipt/tests/fixtures/network.json");
        let bundle = Bundle::from_json(bundle).expect("a bundle");
        let file: Value = serde_json::from_str(network).expect("JSON");
        let registry: StdAddr = file.get("registry").and_then(Value::as_str).and_then(|s| s.parse().ok()).expect("one");
        let trust = Trust { network: GlobalConfig::from_json(network).expect("a network"), registry };
        let state = StateProof::from(&bundle.chain).check(&trust.network);
        Fixture { bundle, trust, state }
    });
    &FIXTURE
}

/// Receipts and acceptances as cells, as JSON and as CBOR. What is read is written back the same.
pub fn receipts(input: &[u8]) -> String {
    let Some((kind, bytes)) = input.split_first() else { return "nothing".to_owned() };
    match kind % 4 {
        0 => match Boc::decode(bytes) {
            Ok(cell) => format!("{}; {}; {}", receipt_cell(&cell), acceptance_cell(&cell), voucher_cell(&cell)),
            Err(error) => error.to_string(),
        },
        1 => told(serde_json::from_slice::<SignedReceipt>(bytes).inspect(written)),
        2 => told(ciborium::from_reader::<SignedReceipt, _>(bytes).inspect(written)),
        _ => told(ciborium::from_reader::<SignedAcceptance, _>(bytes).map(|signed| signed.acceptance.to_cell())),
    }
}

fn receipt_cell(cell: &Cell) -> String {
    let read = Receipt::from_cell(cell);
    if let Ok(receipt) = &read {
        assert_eq!(receipt.to_cell().ok().as_ref(), Some(cell), "a receipt has two cells");
    }
    told(read)
}

fn acceptance_cell(cell: &Cell) -> String {
    let read = Acceptance::from_cell(cell);
    if let Ok(acceptance) = &read {
        assert_eq!(acceptance.to_cell().ok().as_ref(), Some(cell), "an acceptance has two cells");
    }
    told(read)
}

fn voucher_cell(cell: &Cell) -> String {
    let read = Voucher::from_cell(cell);
    if let Ok(voucher) = &read {
        assert_eq!(voucher.to_cell().ok().as_ref(), Some(cell), "a voucher has two cells");
    }
    told(read)
}

fn written(signed: &SignedReceipt) {
    if let Ok(cell) = signed.receipt.to_cell() {
        assert_eq!(Receipt::from_cell(&cell).ok().as_ref(), Some(&signed.receipt), "a receipt changes as a cell");
    }
}

pub fn receipt_samples() -> Vec<Vec<u8>> {
    let bundle = &fixture().bundle;
    let acceptance = bundle.acceptance.as_ref().expect("an acceptance");
    let cbor = |value: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = vec![];
        value(&mut bytes);
        bytes
    };
    let voucher = Voucher {
        global_id: GlobalId::DEVNET,
        channel: bundle.receipt.receipt.channel.clone(),
        cumulative: Nano::new(5_000_000),
        valid_until: UnixSeconds(1_800_000_000),
        evidence: None,
    };
    let samples = [
        (0, Boc::encode(voucher.to_cell().expect("a cell"))),
        (0u8, Boc::encode(bundle.receipt.receipt.to_cell().expect("a cell"))),
        (0, Boc::encode(acceptance.acceptance.to_cell().expect("a cell"))),
        (1, serde_json::to_vec(&bundle.receipt).expect("JSON")),
        (2, cbor(&|out| ciborium::into_writer(&bundle.receipt, out).expect("to memory"))),
        (3, cbor(&|out| ciborium::into_writer(acceptance, out).expect("to memory"))),
    ];
    samples.into_iter().map(|(kind, bytes)| [&[kind], bytes.as_slice()].concat()).collect()
}

/// The small fields of a bundle, which are JSON; the large ones are as in the fixture, and have targets of their own. A bundle
/// that holds says about the answer what the fixture says.
pub fn bundles(input: &[u8]) -> String {
    let fixture = fixture();
    let Ok(Value::Object(mut fields)) = serde_json::from_slice::<Value>(input) else { return "no object".to_owned() };
    let whole = serde_json::to_value(&fixture.bundle).expect("JSON");
    for (name, value) in whole.as_object().into_iter().flatten() {
        if fields.get(name).and_then(Value::as_str) == Some(LARGE) {
            fields.insert(name.clone(), value.clone());
        }
    }
    let bundle = match Bundle::from_json(Value::Object(fields).to_string().as_bytes()) {
        Ok(bundle) => bundle,
        Err(error) => return error.to_string(),
    };
    let verdict = verify(&bundle, &fixture.trust).now_or_never().expect("it waits for nothing");
    if verdict.holds() {
        assert_eq!(bundle.receipt, fixture.bundle.receipt, "a forged receipt holds");
    }
    verdict.checks().iter().map(|check| format!("{} {}; ", check.subject, check.outcome)).collect()
}

/// Stands for a large field.
const LARGE: &str = "as in the fixture";

pub fn bundle_samples() -> Vec<Vec<u8>> {
    let mut small = serde_json::to_value(&fixture().bundle).expect("JSON");
    for name in ["evidence", "chain"] {
        if let Some(field) = small.get_mut(name) {
            *field = Value::from(LARGE);
        }
    }
    let with = small.to_string().into_bytes();
    if let Some(object) = small.as_object_mut() {
        object.remove("content");
    }
    vec![with, small.to_string().into_bytes()]
}
