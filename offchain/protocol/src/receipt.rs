//! Receipts: the worker's signed statement of what it answered and what it cost.
//!
//! ```text
//! receipt#52435031 global_id:int32 channel:MsgAddressInt seqno:uint64 time:uint32
//!     content:^[ request:bits256 response:bits256 model:bits256 ]
//!     terms:^[ image:bits256 previous:bits256 prompt_tokens:uint64 completion_tokens:uint64
//!              prompt_price:Coins completion_price:Coins cost:Coins outcome:uint8 ] = Receipt;
//! ```
//!
//! A receipt is a TON cell, so that a contract can read it when somebody proves a fault with it. It is signed with the
//! worker's attested node key over the cell's representation hash. The channel is the one that pays the worker; sequence
//! numbers grow by one per channel, and each receipt names its predecessor.

use serde::{Deserialize, Serialize};
use tycho_types::cell::{Cell, CellBuilder, CellFamily, HashBytes, Load, Store};
use tycho_types::error::Error;
use tycho_types::models::StdAddr;
use tycho_types::num::Tokens as Coins;

use crate::CellError;
use crate::hash::{Hash256, ImageId, ModelHash};
use crate::keys::{NodeKey, NodePublicKey, Signature};
use crate::price::{Price, Usage};
use crate::units::{GlobalId, Nano, Tokens, UnixSeconds};
use crate::voucher::{VerifyError, expect_end, expect_same, expect_tag, store_address};

/// Constructor tag of a receipt: ASCII `RCP1`.
pub const RECEIPT_TAG: u32 = 0x5243_5031;

/// How an answer ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Outcome {
    /// The model said all that it had to say, or reached the limit that the client had set.
    Complete = 0,
    /// The client stopped it; the tokens up to there are billed.
    Stopped = 1,
}

/// What a worker did for one request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// The network.
    pub global_id: GlobalId,
    /// The channel that pays the worker.
    pub channel: StdAddr,
    /// Number of this receipt in the channel, from 1.
    pub seqno: u64,
    /// Block time when the answer ended.
    pub time: UnixSeconds,
    /// [`crate::hash::request_hash`] of the body that the client sent.
    pub request: Hash256,
    /// [`crate::hash::ResponseHasher`] over the chunks of the answer.
    pub response: Hash256,
    /// The model that answered.
    pub model: ModelHash,
    /// The image that the worker runs.
    pub image: ImageId,
    /// Hash of the previous receipt of this channel; zero for the first.
    pub previous: Hash256,
    /// Tokens metered.
    pub usage: Usage,
    /// The worker's price.
    pub price: Price,
    /// What the worker bills: `price.cost(usage)`.
    pub cost: Nano,
    /// How the answer ended.
    pub outcome: Outcome,
}

impl Receipt {
    /// The cell that is signed.
    pub fn to_cell(&self) -> Result<Cell, CellError> {
        let build = || {
            let context = Cell::empty_context();
            let mut content = CellBuilder::new();
            for hash in [&self.request.0, &self.response.0, &self.model.0] {
                content.store_u256(&HashBytes(*hash))?;
            }
            let mut terms = CellBuilder::new();
            terms.store_u256(&HashBytes(self.image.0))?;
            terms.store_u256(&HashBytes(self.previous.0))?;
            terms.store_u64(self.usage.prompt.0)?;
            terms.store_u64(self.usage.completion.0)?;
            for coins in [self.price.prompt, self.price.completion, self.cost] {
                Coins::from(coins).store_into(&mut terms, context)?;
            }
            terms.store_u8(self.outcome as u8)?;
            let mut b = CellBuilder::new();
            b.store_u32(RECEIPT_TAG)?;
            b.store_u32(self.global_id.0 as u32)?;
            store_address(&self.channel, &mut b)?;
            b.store_u64(self.seqno)?;
            b.store_u32(self.time.0)?;
            b.store_reference(content.build()?)?;
            b.store_reference(terms.build()?)?;
            b.build()
        };
        build().map_err(CellError::of("receipt"))
    }

    /// Reads a cell; refuses anything that [`Receipt::to_cell`] would not write.
    pub fn from_cell(cell: &Cell) -> Result<Self, CellError> {
        let read = || {
            let mut s = cell.as_slice()?;
            expect_tag(&mut s, RECEIPT_TAG)?;
            let global_id = GlobalId(s.load_u32()? as i32);
            let channel = StdAddr::load_from(&mut s)?;
            let (seqno, time) = (s.load_u64()?, UnixSeconds(s.load_u32()?));
            let (mut content, mut terms) = (s.load_reference_as_slice()?, s.load_reference_as_slice()?);
            expect_end(&s)?;
            let (request, response, model) = (content.load_u256()?.0, content.load_u256()?.0, content.load_u256()?.0);
            expect_end(&content)?;
            let (image, previous) = (terms.load_u256()?.0, terms.load_u256()?.0);
            let usage = Usage { prompt: Tokens(terms.load_u64()?), completion: Tokens(terms.load_u64()?) };
            let mut coins = || -> Result<Nano, Error> { Coins::load_from(&mut terms)?.try_into() };
            let price = Price { prompt: coins()?, completion: coins()? };
            let cost = coins()?;
            let outcome = match terms.load_u8()? {
                0 => Outcome::Complete,
                1 => Outcome::Stopped,
                _ => return Err(Error::InvalidTag),
            };
            expect_end(&terms)?;
            Ok(Self {
                global_id,
                channel,
                seqno,
                time,
                request: Hash256(request),
                response: Hash256(response),
                model: ModelHash(model),
                image: ImageId(image),
                previous: Hash256(previous),
                usage,
                price,
                cost,
                outcome,
            })
        };
        let receipt: Self = read().map_err(CellError::of("receipt"))?;
        expect_same("receipt", cell, &receipt.to_cell()?)?;
        Ok(receipt)
    }

    /// The hash that is signed and that the next receipt names.
    pub fn hash(&self) -> Result<Hash256, CellError> {
        Ok(Hash256(self.to_cell()?.repr_hash().0))
    }

    /// Signs with the worker's node key.
    pub fn sign(self, worker: &NodeKey) -> Result<SignedReceipt, CellError> {
        let signature = worker.sign(&self.hash()?);
        Ok(SignedReceipt { receipt: self, signature })
    }
}

/// A receipt with the worker's signature, not yet verified.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SignedReceipt {
    /// What is stated.
    pub receipt: Receipt,
    /// Ed25519 over the receipt cell's hash.
    pub signature: Signature,
}

/// What the reader of a receipt knows by itself; a receipt must agree with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expected {
    /// The network that the reader is on.
    pub global_id: GlobalId,
    /// The hash of the request that was sent.
    pub request: Hash256,
    /// The hash of the chunks that arrived.
    pub response: Hash256,
    /// The model that was asked for.
    pub model: ModelHash,
    /// The image that the worker's evidence attests.
    pub image: ImageId,
    /// The prompt tokens that the worker announced before it began.
    pub prompt: Tokens,
    /// The completion tokens that arrived with the chunks.
    pub completion: Tokens,
}

/// A receipt is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// The signature or the form is wrong.
    #[error("the receipt is not signed by the attested worker: {0}")]
    Signature(#[from] VerifyError),
    /// A field differs from what the reader saw.
    #[error("the receipt's {field} is {found}, but {expected} was seen here")]
    Field {
        /// Which field.
        field: &'static str,
        /// What the receipt says.
        found: String,
        /// What the reader knows.
        expected: String,
    },
}

impl SignedReceipt {
    /// Checks the signature of the worker's attested key only.
    pub fn verify_signature(&self, worker: &NodePublicKey) -> Result<(), VerifyError> {
        Ok(worker.verify(&self.receipt.hash()?, &self.signature)?)
    }

    /// Checks the signature, then every field that the reader knows by itself (attacks 76, 77, 78), and that the cost
    /// follows from usage and price.
    pub fn verify(&self, worker: &NodePublicKey, expected: &Expected) -> Result<(), ReceiptError> {
        fn same<T: PartialEq + ToString>(field: &'static str, found: T, expected: T) -> Result<(), ReceiptError> {
            if found == expected {
                return Ok(());
            }
            Err(ReceiptError::Field { field, found: found.to_string(), expected: expected.to_string() })
        }
        self.verify_signature(worker)?;
        let r = &self.receipt;
        same("network", r.global_id, expected.global_id)?;
        same("request hash", r.request, expected.request)?;
        same("response hash", r.response, expected.response)?;
        same("model hash", r.model, expected.model)?;
        same("image", r.image, expected.image)?;
        same("number of prompt tokens", r.usage.prompt, expected.prompt)?;
        same("number of completion tokens", r.usage.completion, expected.completion)?;
        same("cost", r.cost, r.price.cost(r.usage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt() -> Receipt {
        let price = Price { prompt: Nano::new(1_000_000), completion: Nano::new(4_000_000) };
        let usage = Usage { prompt: Tokens(12), completion: Tokens(34) };
        Receipt {
            global_id: GlobalId::DEVNET,
            channel: StdAddr::new(0, HashBytes([5; 32])),
            seqno: 7,
            time: UnixSeconds(1_800_000_000),
            request: Hash256([1; 32]),
            response: Hash256([2; 32]),
            model: ModelHash([3; 32]),
            image: ImageId([4; 32]),
            previous: Hash256([6; 32]),
            usage,
            price,
            cost: price.cost(usage),
            outcome: Outcome::Complete,
        }
    }

    fn expected() -> Expected {
        let r = receipt();
        Expected {
            global_id: r.global_id,
            request: r.request,
            response: r.response,
            model: r.model,
            image: r.image,
            prompt: r.usage.prompt,
            completion: r.usage.completion,
        }
    }

    #[test]
    fn a_receipt_survives_its_cell_and_verifies() {
        let key = NodeKey::from_seed(&[8; 32]);
        let signed = receipt().sign(&key).unwrap();
        assert_eq!(Receipt::from_cell(&signed.receipt.to_cell().unwrap()).unwrap(), receipt());
        signed.verify(&key.public(), &expected()).unwrap();
    }

    #[test]
    fn attack_26_a_receipt_has_one_cell() {
        // Coins may be written with more bytes than they need; the hash of such a cell is not the one that is signed.
        let whole = receipt().to_cell().unwrap();
        let terms = whole.reference_cloned(1).unwrap();
        let mut terms = terms.as_slice().unwrap();
        let mut longer = CellBuilder::new();
        longer.store_slice(terms.load_prefix(2 * 256 + 2 * 64, 0).unwrap()).unwrap();
        let coins = Coins::load_from(&mut terms).unwrap().into_inner();
        longer.store_small_uint(8, 4).unwrap();
        longer.store_u64(u64::try_from(coins).unwrap()).unwrap();
        longer.store_slice(terms).unwrap();
        let mut b = CellBuilder::new();
        let mut root = whole.as_slice().unwrap();
        b.store_slice(root.load_prefix(root.size_bits(), 1).unwrap()).unwrap();
        b.store_reference(longer.build().unwrap()).unwrap();
        Receipt::from_cell(&whole).unwrap();
        assert!(Receipt::from_cell(&b.build().unwrap()).is_err());
    }

    #[test]
    fn attacks_76_77_78_a_receipt_that_disagrees_with_what_was_seen_names_the_field() {
        let key = NodeKey::from_seed(&[8; 32]);
        let cases: [(&str, fn(&mut Receipt)); 8] = [
            ("network", |r| r.global_id = GlobalId::MAINNET),
            ("request hash", |r| r.request = Hash256([9; 32])),
            ("response hash", |r| r.response = Hash256([9; 32])),
            ("model hash", |r| r.model = ModelHash([9; 32])),
            ("image", |r| r.image = ImageId([9; 32])),
            ("number of prompt tokens", |r| r.usage.prompt = Tokens(13)),
            ("number of completion tokens", |r| r.usage.completion = Tokens(35)),
            ("cost", |r| r.cost = Nano::new(r.cost.get() + 1)),
        ];
        for (name, alter) in cases {
            let mut r = receipt();
            alter(&mut r);
            match r.sign(&key).unwrap().verify(&key.public(), &expected()) {
                Err(ReceiptError::Field { field, .. }) => assert_eq!(field, name),
                other => panic!("{name}: {other:?}"),
            }
        }
        let mut altered = receipt().sign(&key).unwrap();
        altered.receipt.usage.completion = Tokens(1);
        assert!(matches!(altered.verify(&key.public(), &expected()), Err(ReceiptError::Signature(_))));
    }
}
