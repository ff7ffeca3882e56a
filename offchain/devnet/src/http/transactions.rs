//! Transactions and messages, by account and by block.

use cocoon_protocol::StdAddr;
use serde_json::{Value, json};
use tycho_types::cell::{Cell, CellBuilder, CellSlice, HashBytes};
use tycho_types::error::Error;
use tycho_types::models::{Block, ExtAddr, IntAddr, Message, MsgInfo, Transaction, TxInfo};

use super::addresses;
use super::error::ApiError;
use super::json::{account_address, bag, block_id, bytes, extra_currencies, transaction_id};
use super::params::Params;
use crate::lite::answer::Responder;

/// An answer has at most so many transactions. The public service stops at 100, and clients ask it for 101.
const MAX_TRANSACTIONS: u32 = 256;

/// An answer has so many, if the question does not say.
const USUAL_HISTORY: u32 = 10;
const USUAL_LISTED: u32 = 40;

/// A list has accounts, logical times and hashes, and begins after a transaction.
const LIST_MODE: u32 = 7 + 128;

/// First words of bodies with a text, and with an encrypted one.
const TEXT: u32 = 0;
const ENCRYPTED_TEXT: u32 = 0x2167_da4b;

/// A text goes through at most so many cells.
const MAX_TEXT_CELLS: usize = 128;

/// A place in a block: account and logical time.
type Place = (HashBytes, u64);

impl Responder<'_> {
    /// `getTransactions`: the newest first.
    pub(super) fn http_transactions(&self, params: &Params) -> Result<Value, ApiError> {
        let found = self.http_history(params)?;
        let list = found.iter().map(|(address, cell)| shown(address, cell));
        Ok(Value::Array(list.collect::<Result<_, _>>()?))
    }

    fn http_history(&self, params: &Params) -> Result<Vec<(StdAddr, Cell)>, ApiError> {
        let address = params.address("address")?;
        let limit = params.count("limit", USUAL_HISTORY, MAX_TRANSACTIONS)?;
        let to_lt = params.optional_number::<u64>("to_lt")?.unwrap_or(0);
        // There is no other history than the full one.
        params.flag("archival", false)?;
        let (mut lt, mut hash) = match (params.optional_number::<u64>("lt")?, params.optional_hash("hash")?) {
            (Some(lt), Some(hash)) => (lt, hash),
            // The public service does not look at one of them alone.
            _ => {
                let account = self.http_account(params)?.account;
                (account.last_trans_lt, HashBytes(account.last_trans_hash.0))
            }
        };
        let mut found = vec![];
        while lt > to_lt && found.len() < limit {
            let cell = self.view.store.transaction(&address, lt)?.filter(|(_, cell)| *cell.repr_hash() == hash);
            let Some((_, cell)) = cell else {
                let why = "cannot locate transaction in block with specified logical time";
                return Err(ApiError::Broken(format!("{why} {lt}")));
            };
            let transaction = cell.parse::<Transaction>()?;
            (lt, hash) = (transaction.prev_trans_lt, transaction.prev_trans_hash);
            found.push((address.clone(), cell));
        }
        Ok(found)
    }

    /// `getTransactionsStd`: the same as tonlib has it, with the name of the next one further back.
    pub(super) fn http_transactions_std(&self, params: &Params) -> Result<Value, ApiError> {
        let found = self.http_history(params)?;
        let before = found.last().map_or_else(
            || Ok::<_, ApiError>((0, HashBytes::ZERO)),
            |(_, cell)| {
                let oldest = cell.parse::<Transaction>()?;
                Ok((oldest.prev_trans_lt, oldest.prev_trans_hash))
            },
        )?;
        let list = found.iter().map(|(address, cell)| shown_as(Form::Std, address, cell));
        Ok(json!({
            "@type": "raw.transactions",
            "transactions": list.collect::<Result<Vec<_>, _>>()?,
            "previous_transaction_id": transaction_id(before.0, &before.1),
        }))
    }

    /// `getBlockTransactions`.
    pub(super) fn http_block_transactions(&self, params: &Params) -> Result<Value, ApiError> {
        let listed = self.http_listed(params)?;
        let workchain = listed.workchain;
        let short = |((account, lt), cell): &(Place, Cell)| {
            json!({
                "@type": "blocks.shortTxId",
                "mode": LIST_MODE,
                "account": format!("{workchain}:{account}"),
                "lt": lt.to_string(),
                "hash": bytes(cell.repr_hash().0),
            })
        };
        let list = listed.entries.iter().map(short).collect();
        Ok(listed.answer("blocks.transactions", list))
    }

    /// `getBlockTransactionsExt`.
    pub(super) fn http_block_transactions_ext(&self, params: &Params) -> Result<Value, ApiError> {
        let listed = self.http_listed(params)?;
        let mut list = vec![];
        for ((account, _), cell) in &listed.entries {
            let address = StdAddr::new(listed.workchain, *account);
            list.push(shown_as(Form::Listed, &address, cell)?);
        }
        Ok(listed.answer("blocks.transactionsExt", list))
    }

    fn http_listed(&self, params: &Params) -> Result<Listed, ApiError> {
        let known = self.http_block(params)?;
        let count = params.count("count", USUAL_LISTED, MAX_TRANSACTIONS)?;
        let after_lt = params.optional_number::<u64>("after_lt")?;
        let after = match (after_lt, params.optional_hash("after_hash")?) {
            (Some(lt), Some(account)) => Some((account, lt)),
            (None, None) => None,
            _ => return Err(ApiError::Request("after_lt and after_hash come together".to_owned())),
        };
        let workchain = if known.id.is_masterchain() { -1 } else { 0 };
        let (mut entries, mut incomplete) = (vec![], false);
        let blocks = known.root.parse::<Block>()?.load_extra()?.account_blocks.load()?;
        'all: for entry in blocks.iter() {
            let (account, _, list) = entry?;
            for entry in list.transactions.iter() {
                let (lt, _, lazy) = entry?;
                if after.is_some_and(|after| (account, lt) <= after) {
                    continue;
                }
                if entries.len() == count {
                    incomplete = true;
                    break 'all;
                }
                entries.push(((account, lt), lazy.into_inner()));
            }
        }
        Ok(Listed { id: block_id(&known.id), workchain, count, incomplete, entries })
    }
}

/// Transactions of a block.
struct Listed {
    id: Value,
    workchain: i8,
    count: usize,
    incomplete: bool,
    entries: Vec<(Place, Cell)>,
}

impl Listed {
    fn answer(&self, kind: &str, transactions: Vec<Value>) -> Value {
        json!({
            "@type": kind,
            "id": self.id,
            "req_count": self.count,
            "incomplete": self.incomplete,
            "transactions": transactions,
        })
    }
}

/// In which of its forms a transaction is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The service's own: with what messages say to people.
    Own,
    /// As tonlib has it: addresses of messages are objects.
    Std,
    /// As tonlib has it, with the account's plain address.
    Listed,
}

/// A transaction, as the service shows it.
pub(super) fn shown(address: &StdAddr, cell: &Cell) -> Result<Value, ApiError> {
    shown_as(Form::Own, address, cell)
}

fn shown_as(form: Form, address: &StdAddr, cell: &Cell) -> Result<Value, ApiError> {
    let transaction = cell.parse::<Transaction>()?;
    let storage = match transaction.load_info()? {
        TxInfo::Ordinary(info) => info.storage_phase.map_or(0, |phase| phase.storage_fees_collected.into_inner()),
        TxInfo::TickTock(info) => info.storage_phase.storage_fees_collected.into_inner(),
    };
    // What the account paid: to the network, and for the way of its messages.
    let mut fee = transaction.total_fees.tokens.into_inner();
    let mut out = vec![];
    for entry in transaction.out_msgs.values() {
        let cell = entry?;
        if let MsgInfo::Int(info) = cell.parse::<Message<'_>>()?.info {
            fee = fee.saturating_add(info.fwd_fee.into_inner());
        }
        out.push(message(form, &cell)?);
    }
    let mut shown = json!({
        "@type": match form {
            Form::Own => "ext.transaction",
            Form::Std => "raw.transaction",
            Form::Listed => "raw.transactionExt",
        },
        "address": account_address(address),
        "utime": transaction.now,
        "data": bag(cell),
        "transaction_id": transaction_id(transaction.lt, cell.repr_hash()),
        "fee": fee.to_string(),
        "storage_fee": storage.to_string(),
        "other_fee": fee.saturating_sub(storage).to_string(),
    });
    if let Some(fields) = shown.as_object_mut() {
        if form != Form::Std {
            fields.insert("account".to_owned(), json!(address.to_string()));
        }
        if let Some(cell) = &transaction.in_msg {
            fields.insert("in_msg".to_owned(), message(form, cell)?);
        }
        fields.insert("out_msgs".to_owned(), Value::Array(out));
    }
    Ok(shown)
}

fn message(form: Form, cell: &Cell) -> Result<Value, ApiError> {
    let own = form == Form::Own;
    let party = |address: String| {
        if own { json!(address) } else { json!({ "@type": "accountAddress", "account_address": address }) }
    };
    let message = cell.parse::<Message<'_>>()?;
    let (source, destination);
    let (mut value, mut fwd_fee, mut created_lt, mut currencies) = (0, 0, 0, json!([]));
    match &message.info {
        MsgInfo::Int(info) => {
            (source, destination) = (internal(&info.src), internal(&info.dst));
            (value, fwd_fee) = (info.value.tokens.into_inner(), info.fwd_fee.into_inner());
            created_lt = info.created_lt;
            currencies = extra_currencies(&info.value.other)?;
        }
        MsgInfo::ExtIn(info) => (source, destination) = (external(info.src.as_ref()), internal(&info.dst)),
        MsgInfo::ExtOut(info) => {
            (source, destination) = (internal(&info.src), external(info.dst.as_ref()));
            created_lt = info.created_lt;
        }
    }
    let body = CellBuilder::build_from(message.body)?;
    let (data, text) = content(&body, message.init.map(CellBuilder::build_from).transpose()?.as_ref())?;
    let mut shown = json!({
        "@type": if own { "ext.message" } else { "raw.message" },
        "hash": bytes(cell.repr_hash().0),
        "source": party(source),
        "destination": party(destination),
        "value": value.to_string(),
        "extra_currencies": currencies,
        "fwd_fee": fwd_fee.to_string(),
        // There is no instant hypercube routing.
        "ihr_fee": "0",
        "created_lt": created_lt.to_string(),
        "body_hash": bytes(body.repr_hash().0),
        "msg_data": data,
    });
    if let (true, Some(fields)) = (own, shown.as_object_mut()) {
        fields.insert("message".to_owned(), json!(text));
    }
    Ok(shown)
}

/// What a message says: `msg_data`, and `message` for people.
fn content(body: &Cell, init: Option<&Cell>) -> Result<(Value, String), ApiError> {
    let mut slice = body.as_slice_allow_exotic();
    let kind = if body.is_exotic() { None } else { slice.load_u32().ok() };
    if let Some(TEXT | ENCRYPTED_TEXT) = kind
        && let Some(text) = snake(slice)
    {
        return Ok(if kind == Some(TEXT) {
            let readable = String::from_utf8(text.clone()).unwrap_or_default();
            (json!({ "@type": "msg.dataText", "text": bytes(text) }), readable)
        } else {
            (json!({ "@type": "msg.dataEncryptedText", "text": bytes(text) }), String::new())
        });
    }
    let init_state = init.map(bag).unwrap_or_default();
    let data = json!({ "@type": "msg.dataRaw", "body": bag(body), "init_state": init_state });
    Ok((data, wrapped(body)?))
}

/// Bytes that go on in the first reference; none if it is not made like this.
fn snake(mut slice: CellSlice<'_>) -> Option<Vec<u8>> {
    let mut text = vec![];
    for _ in 0..MAX_TEXT_CELLS {
        let bits = slice.size_bits();
        if !bits.is_multiple_of(8) || slice.size_refs() > 1 {
            return None;
        }
        let mut part = [0; 128];
        text.extend_from_slice(slice.load_raw(&mut part, bits).ok()?);
        if slice.size_refs() == 0 {
            return Some(text);
        }
        slice = slice.load_reference_as_slice().ok()?;
    }
    None
}

/// The bits of a cell in base64 with a line break after every 76 characters, as the public service writes them.
fn wrapped(body: &Cell) -> Result<String, Error> {
    let mut slice = body.as_slice_allow_exotic();
    let mut buffer = [0; 128];
    let raw = bytes(slice.load_raw(&mut buffer, slice.size_bits())?);
    let mut text = String::new();
    for (i, c) in raw.chars().enumerate() {
        if i > 0 && i.is_multiple_of(76) {
            text.push('\n');
        }
        text.push(c);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    Ok(text)
}

fn internal(address: &IntAddr) -> String {
    match address {
        IntAddr::Std(address) => addresses::shown(address),
        IntAddr::Var(_) => String::new(),
    }
}

/// Addresses outside the network are not shown.
const fn external(_: Option<&ExtAddr>) -> String {
    String::new()
}
