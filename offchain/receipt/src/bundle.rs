//! The file: JSON, one encoding for each content.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cocoon_chain::StdAddr;
use cocoon_chain::light::StateProof;
use cocoon_protocol::acceptance::SignedAcceptance;
use cocoon_protocol::{LogProof, SignedReceipt};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Version of the format.
pub const VERSION: u32 = 1;
/// Largest file that is read, in bytes. One of a young network has some 200 KB; each election of validators since the block in
/// the network's file adds to it.
pub const MAX_BUNDLE: usize = 64 << 20;

/// A file is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It is larger than any bundle.
    #[error("the file has {size} bytes, and a receipt bundle has at most {MAX_BUNDLE}")]
    TooLarge {
        /// Its size.
        size: usize,
    },
    /// It is no JSON.
    #[error("the file is no JSON: {0}")]
    Json(serde_json::Error),
    /// A field has a wrong form.
    #[error("the bundle's field \"{field}\" is malformed: {why}")]
    Field {
        /// Where, as a path.
        field: String,
        /// What is wrong.
        why: String,
    },
    /// It is of another version.
    #[error("the bundle has version {found}, and this program reads version {VERSION}: use a version that fits")]
    Version {
        /// The file's.
        found: u32,
    },
    /// It says something besides, or the same in another way.
    #[error(
        "the bundle is not written as this format writes it: an unknown field, or a value in another form, near \"{0}\""
    )]
    Form(String),
}

/// Bytes, in JSON as base64.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(&text).map(Self).map_err(|e| serde::de::Error::custom(format!("it is not base64: {e}")))
    }
}

/// Everything that proves one answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// [`VERSION`].
    pub version: u32,
    /// What the worker states.
    pub receipt: SignedReceipt,
    /// The worker's word before the answer which model it will use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acceptance: Option<SignedAcceptance>,
    /// Who the worker is.
    pub evidence: Evidence,
    /// What the network allowed.
    pub chain: ChainProof,
    /// Where the worker's certificate is in the transparency log; the log is among the accounts then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logged: Option<LogProof>,
    /// What was asked and answered, as it travelled: sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
}

/// The worker's evidence with what is needed to check it offline.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The worker's certificate, DER: a quote, and claims that name the node key.
    pub certificate: Bytes,
    /// What the vendor said about the platform at that time, as PCCS clients write it.
    pub collateral: Value,
}

/// The network's state at one block, in liteservers' own words (TL).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainProof {
    /// `liteServer.partialBlockProof` each: from the block that the reader trusts.
    pub blocks: Vec<Bytes>,
    /// `liteServer.configInfo`.
    pub config: Bytes,
    /// The registry; the channel and the stake account of the worker, if they are there; the transparency log, if its proof is here.
    pub accounts: Vec<ProvenAccount>,
}

/// One account.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvenAccount {
    /// Which.
    pub address: StdAddr,
    /// `liteServer.accountState`.
    pub state: Bytes,
}

/// Question and answer, sealed as they travelled.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// The request's body.
    pub request: Bytes,
    /// The chunks of the answer, in order.
    pub chunks: Vec<Bytes>,
}

impl From<StateProof> for ChainProof {
    fn from(proof: StateProof) -> Self {
        Self {
            blocks: proof.blocks.into_iter().map(Bytes).collect(),
            config: Bytes(proof.config),
            accounts: proof
                .accounts
                .into_iter()
                .map(|(address, state)| ProvenAccount { address, state: Bytes(state) })
                .collect(),
        }
    }
}

impl From<&ChainProof> for StateProof {
    fn from(proof: &ChainProof) -> Self {
        Self {
            blocks: proof.blocks.iter().map(|bytes| bytes.0.clone()).collect(),
            config: proof.config.0.clone(),
            accounts: proof.accounts.iter().map(|a| (a.address.clone(), a.state.0.clone())).collect(),
        }
    }
}

impl Bundle {
    /// Reads a file.
    ///
    /// # Errors
    /// Names the field that is malformed. A field that does not belong there is refused, so that nothing rides along unnoticed.
    pub fn from_json(json: &[u8]) -> Result<Self, BundleError> {
        if json.len() > MAX_BUNDLE {
            return Err(BundleError::TooLarge { size: json.len() });
        }
        let value: Value = serde_json::from_slice(json).map_err(BundleError::Json)?;
        if let Some(found) = value.get("version").and_then(Value::as_u64)
            && found != u64::from(VERSION)
        {
            return Err(BundleError::Version { found: u32::try_from(found).unwrap_or(u32::MAX) });
        }
        let bundle: Self = serde_path_to_error::deserialize(&value)
            .map_err(|e| BundleError::Field { field: e.path().to_string(), why: e.inner().to_string() })?;
        let again = serde_json::to_value(&bundle).map_err(BundleError::Json)?;
        match difference(&value, &again, String::new()) {
            None => Ok(bundle),
            Some(path) => Err(BundleError::Form(path)),
        }
    }

    /// The file's content.
    pub fn to_json(&self) -> Result<Vec<u8>, BundleError> {
        serde_json::to_vec_pretty(self).map_err(BundleError::Json)
    }
}

/// Where two values differ, as a path.
fn difference(a: &Value, b: &Value, path: String) -> Option<String> {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            keys.into_iter().find_map(|key| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => difference(a, b, path),
                    _ => Some(path),
                }
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(i, (a, b))| difference(a, b, format!("{path}[{i}]")))
        }
        _ => (a != b).then_some(path),
    }
}
