//! Parameters of a method, from a query string or a JSON object: numbers may be written as strings, as the public service
//! allows.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use cocoon_chain::cells::read_cell;
use cocoon_protocol::StdAddr;
use serde_json::{Map, Value};
use tycho_types::cell::{Cell, HashBytes};

use super::addresses;
use super::error::ApiError;

/// The parameters by name.
#[derive(Debug, Default)]
pub(super) struct Params(Map<String, Value>);

impl Params {
    /// Those of a JSON object.
    pub const fn from_object(object: Map<String, Value>) -> Self {
        Self(object)
    }

    /// Those of a query string; one that comes several times is a list.
    pub fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        let mut params = Map::new();
        for (name, text) in pairs {
            let value = Value::String(text);
            match params.get_mut(&name) {
                None => drop(params.insert(name, value)),
                Some(Value::Array(list)) => list.push(value),
                Some(first) => *first = Value::Array(vec![first.take(), value]),
            }
        }
        Self(params)
    }

    /// A parameter; `null` counts as absent.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn required(&self, name: &'static str) -> Result<&Value, ApiError> {
        self.value(name).ok_or(ApiError::Missing(name))
    }

    /// A text that may be absent.
    pub fn optional_text(&self, name: &'static str) -> Result<Option<&str>, ApiError> {
        let text = |value: &'_ Value| value.is_string();
        match self.value(name) {
            None => Ok(None),
            Some(value) if text(value) => Ok(value.as_str()),
            Some(_) => Err(ApiError::invalid(name, "must be a string")),
        }
    }

    /// A text.
    pub fn text(&self, name: &'static str) -> Result<&str, ApiError> {
        self.optional_text(name)?.ok_or(ApiError::Missing(name))
    }

    /// A whole number that may be absent.
    pub fn optional_number<N: TryFrom<i128>>(&self, name: &'static str) -> Result<Option<N>, ApiError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let number = match value {
            Value::Number(number) => number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from)),
            Value::String(text) => text.parse::<i128>().ok(),
            _ => None,
        };
        let wrong = || ApiError::invalid(name, "must be a whole number within its range");
        number.and_then(|n| N::try_from(n).ok()).map(Some).ok_or_else(wrong)
    }

    /// A whole number.
    pub fn number<N: TryFrom<i128>>(&self, name: &'static str) -> Result<N, ApiError> {
        self.required(name)?;
        self.optional_number(name)?.ok_or(ApiError::Missing(name))
    }

    /// How many of something; between 1 and a limit.
    pub fn count(&self, name: &'static str, default: u32, limit: u32) -> Result<usize, ApiError> {
        let count = self.optional_number::<u32>(name)?.unwrap_or(default);
        if count == 0 || count > limit {
            return Err(ApiError::invalid(name, format!("must be between 1 and {limit}")));
        }
        Ok(count as usize)
    }

    /// True or false.
    pub fn flag(&self, name: &'static str, default: bool) -> Result<bool, ApiError> {
        match self.value(name) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if matches!(text.as_str(), "true" | "1") => Ok(true),
            Some(Value::String(text)) if matches!(text.as_str(), "false" | "0") => Ok(false),
            Some(_) => Err(ApiError::invalid(name, "must be true or false")),
        }
    }

    /// An address in any of its forms.
    pub fn address(&self, name: &'static str) -> Result<StdAddr, ApiError> {
        Ok(addresses::parse(self.text(name)?)?.address)
    }

    /// A hash, in hex or base64, that may be absent.
    pub fn optional_hash(&self, name: &'static str) -> Result<Option<HashBytes>, ApiError> {
        self.optional_text(name)?.filter(|text| !text.is_empty()).map(|text| hash(name, text)).transpose()
    }

    /// A cell from a base64 bag of cells; absent if the text is empty.
    pub fn optional_cell(&self, name: &'static str) -> Result<Option<Cell>, ApiError> {
        self.optional_text(name)?.filter(|text| !text.is_empty()).map(|text| cell(name, text)).transpose()
    }

    /// A cell from a base64 bag of cells.
    pub fn cell(&self, name: &'static str) -> Result<Cell, ApiError> {
        self.optional_cell(name)?.ok_or(ApiError::Missing(name))
    }
}

/// A hash in hex or in either kind of base64.
pub(super) fn hash(name: &'static str, text: &str) -> Result<HashBytes, ApiError> {
    let bytes = if text.len() == 64 { hex::decode(text).ok() } else { base64(text) };
    let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes.map(HashBytes).ok_or_else(|| ApiError::invalid(name, "must be a hash of 32 bytes in hex or base64"))
}

/// A cell from a bag of cells in either kind of base64.
pub(super) fn cell(name: &'static str, text: &str) -> Result<Cell, ApiError> {
    let bytes = base64(text).ok_or_else(|| ApiError::invalid(name, "must be base64"))?;
    read_cell(&bytes).map_err(|e| ApiError::invalid(name, format!("must be a bag of cells: {e}")))
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}
