//! `getTokenData`: what a jetton's or an NFT's getters say, with the content in the forms of TEP-64.

use cocoon_protocol::StdAddr;
use cocoon_wrappers::StackValue;
use num_bigint::Sign;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tycho_types::cell::{Cell, CellBuilder, CellSlice, HashBytes, Load};
use tycho_types::dict::Dict;
use tycho_types::models::{AnyAddr, IntAddr};
use tycho_vm::VmGetterMethodId;

use super::accounts::At;
use super::addresses;
use super::error::ApiError;
use super::json::bag;
use super::params::Params;
use crate::lite::answer::Responder;

/// The names of values that are kept in the chain; others are shown by the hash of their name.
const NAMES: [&str; 9] =
    ["uri", "name", "description", "image", "image_data", "symbol", "decimals", "amount_style", "render_type"];

/// A text goes through at most so many cells, and content has at most so many values.
const MAX_CELLS: usize = 1024;
const MAX_VALUES: usize = 256;

/// Values on a getter's stack, none if they are not what a token has there.
struct Values<'a>(&'a [StackValue]);

impl Values<'_> {
    fn number(&self, index: usize) -> Option<String> {
        match self.0.get(index)? {
            StackValue::Int(int) => Some(int.to_string()),
            _ => None,
        }
    }

    fn flag(&self, index: usize) -> Option<bool> {
        match self.0.get(index)? {
            StackValue::Int(int) => Some(int.sign() != Sign::NoSign),
            _ => None,
        }
    }

    fn cell(&self, index: usize) -> Option<&Cell> {
        match self.0.get(index)? {
            StackValue::Cell(cell) => Some(cell),
            _ => None,
        }
    }

    /// An address; the inner one is absent for nobody.
    fn address(&self, index: usize) -> Option<Option<StdAddr>> {
        let (StackValue::Slice(cell) | StackValue::Cell(cell)) = self.0.get(index)? else { return None };
        match AnyAddr::load_from(&mut cell.as_slice().ok()?).ok()? {
            AnyAddr::Std(address) => Some(Some(address)),
            AnyAddr::None => Some(None),
            AnyAddr::Ext(_) | AnyAddr::Var(_) => None,
        }
    }
}

fn friendly(address: Option<&StdAddr>) -> Value {
    address.map_or(Value::Null, |address| json!(addresses::shown(address)))
}

impl Responder<'_> {
    pub(super) fn http_token_data(&self, params: &Params) -> Result<Value, ApiError> {
        let at = self.http_account(params)?;
        let kinds = [Self::jetton_master, Self::jetton_wallet, Self::nft_collection, Self::nft_item];
        for kind in kinds {
            if let Some(mut found) = kind(self, &at)? {
                if let Some(fields) = found.as_object_mut() {
                    fields.insert("address".to_owned(), friendly(Some(&at.account.address)));
                }
                return Ok(found);
            }
        }
        Err(ApiError::NoToken(at.account.address.to_string()))
    }

    /// What a getter returned, if it ended well.
    fn getter(&self, at: &At, name: &str, arguments: &[StackValue]) -> Result<Option<Vec<StackValue>>, ApiError> {
        match self.http_run(at, name.as_getter_method_id(), arguments) {
            Ok(run) => Ok((run.exit_code == 0).then_some(run.stack)),
            // A stranger's getter may return what no token does.
            Err(ApiError::Request(_)) => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn jetton_master(&self, at: &At) -> Result<Option<Value>, ApiError> {
        let Some(stack) = self.getter(at, "get_jetton_data", &[])? else { return Ok(None) };
        let values = Values(&stack);
        Ok((|| {
            Some(json!({
                "@type": "ext.tokens.jettonMasterData",
                "contract_type": "jetton_master",
                "total_supply": values.number(0)?,
                "mintable": values.flag(1)?,
                "admin_address": friendly(values.address(2)?.as_ref()),
                "jetton_content": content(values.cell(3)?)?,
                "jetton_wallet_code": bag(values.cell(4)?),
            }))
        })())
    }

    fn jetton_wallet(&self, at: &At) -> Result<Option<Value>, ApiError> {
        let Some(stack) = self.getter(at, "get_wallet_data", &[])? else { return Ok(None) };
        let values = Values(&stack);
        let (Some(balance), Some(Some(owner)), Some(Some(jetton)), Some(code)) =
            (values.number(0), values.address(1), values.address(2), values.cell(3))
        else {
            return Ok(None);
        };
        // Anybody can claim to hold a jetton: the master says whose wallet is where.
        let master = self.http_account_at(jetton.clone(), Some(at.block.id.seqno))?;
        let owner_cell = StackValue::Slice(CellBuilder::build_from(IntAddr::Std(owner.clone()))?);
        let named = self.getter(&master, "get_wallet_address", &[owner_cell])?.unwrap_or_default();
        if Values(&named).address(0).flatten().as_ref() != Some(&at.account.address) {
            return Ok(None);
        }
        let mut shown = json!({
            "@type": "ext.tokens.jettonWalletData",
            "contract_type": "jetton_wallet",
            "balance": balance,
            "owner": friendly(Some(&owner)),
            "jetton": friendly(Some(&jetton)),
            "jetton_wallet_code": bag(code),
        });
        let claimed = self.getter(at, "is_claimed", &[])?.and_then(|stack| Values(&stack).flag(0));
        if let (Some(claimed), Some(fields)) = (claimed, shown.as_object_mut()) {
            fields.insert("mintless_is_claimed".to_owned(), json!(claimed));
        }
        Ok(Some(shown))
    }

    fn nft_collection(&self, at: &At) -> Result<Option<Value>, ApiError> {
        let Some(stack) = self.getter(at, "get_collection_data", &[])? else { return Ok(None) };
        let values = Values(&stack);
        Ok((|| {
            Some(json!({
                "@type": "ext.tokens.nftCollectionData",
                "contract_type": "nft_collection",
                "next_item_index": values.number(0)?,
                "owner_address": friendly(values.address(2)?.as_ref()),
                "collection_content": content(values.cell(1)?)?,
            }))
        })())
    }

    fn nft_item(&self, at: &At) -> Result<Option<Value>, ApiError> {
        let Some(stack) = self.getter(at, "get_nft_data", &[])? else { return Ok(None) };
        let values = Values(&stack);
        let (Some(init), Some(StackValue::Int(index)), Some(collection), Some(owner), Some(individual)) =
            (values.flag(0), stack.get(1), values.address(2), values.address(3), values.cell(4))
        else {
            return Ok(None);
        };
        let content = match &collection {
            None => content(individual),
            Some(collection) => {
                let collection = self.http_account_at(collection.clone(), Some(at.block.id.seqno))?;
                let index = StackValue::Int(index.clone());
                let named = self.getter(&collection, "get_nft_address_by_index", std::slice::from_ref(&index))?;
                if Values(&named.unwrap_or_default()).address(0).flatten().as_ref() != Some(&at.account.address) {
                    return Ok(None);
                }
                let arguments = [index, StackValue::Cell(individual.clone())];
                let full = self.getter(&collection, "get_nft_content", &arguments)?.unwrap_or_default();
                Values(&full).cell(0).and_then(content)
            }
        };
        Ok(content.map(|content| {
            json!({
                "@type": "ext.tokens.nftItemData",
                "contract_type": "nft_item",
                "init": init,
                "index": index.to_string(),
                "collection_address": friendly(collection.as_ref()),
                "owner_address": friendly(owner.as_ref()),
                "content": content,
            })
        }))
    }
}

/// A token's content: in the chain (0, and values by the hash of their name), or at an address outside (1, and the address).
fn content(cell: &Cell) -> Option<Value> {
    let mut slice = cell.as_slice().ok()?;
    match slice.load_u8().ok()? {
        0 => {
            let values = Dict::<HashBytes, Cell>::load_from(&mut slice).ok()?;
            let mut shown = Map::new();
            for entry in values.iter().take(MAX_VALUES) {
                let (key, value) = entry.ok()?;
                let known = NAMES.into_iter().find(|name| <[u8; 32]>::from(Sha256::digest(name.as_bytes())) == key.0);
                let name = known.map_or_else(|| key.to_string(), str::to_owned);
                shown.insert(name, json!(String::from_utf8_lossy(&text(&value)?)));
            }
            Some(json!({ "type": "onchain", "data": shown }))
        }
        1 => Some(json!({ "type": "offchain", "data": String::from_utf8_lossy(&snake(slice)?) })),
        _ => None,
    }
}

/// A value in the chain: bytes that go on in the first reference (0), or in numbered pieces (1). Some tokens put it one cell
/// deeper.
fn text(cell: &Cell) -> Option<Vec<u8>> {
    let mut slice = cell.as_slice().ok()?;
    if slice.size_bits() == 0 {
        slice = slice.load_reference_as_slice().ok()?;
    }
    match slice.load_u8().ok()? {
        0 => snake(slice),
        1 => {
            let mut text = vec![];
            for entry in Dict::<u32, Cell>::load_from(&mut slice).ok()?.iter().take(MAX_CELLS) {
                text.extend(snake(entry.ok()?.1.as_slice().ok()?)?);
            }
            Some(text)
        }
        _ => None,
    }
}

fn snake(mut slice: CellSlice<'_>) -> Option<Vec<u8>> {
    let mut text = vec![];
    for _ in 0..MAX_CELLS {
        let bits = slice.size_bits();
        if !bits.is_multiple_of(8) {
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
