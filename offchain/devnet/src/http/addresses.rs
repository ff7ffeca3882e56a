//! Addresses in all their forms.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use cocoon_protocol::StdAddr;
use serde_json::{Value, json};
use tycho_types::cell::HashBytes;
use tycho_types::models::{Base64StdAddrFlags, DisplayBase64StdAddr, StdAddrFormat};

use super::error::ApiError;

/// The forms with a flag for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Raw,
    Bounceable,
    NonBounceable,
}

/// An address, and how it was written.
pub(super) struct Parsed {
    pub address: StdAddr,
    form: Form,
    test_only: bool,
}

/// Reads an address: raw, friendly in either base64, or the bare hex of one in the masterchain.
pub(super) fn parse(text: &str) -> Result<Parsed, ApiError> {
    let wrong = |why: &dyn std::fmt::Display| ApiError::Address(format!("{why}; give it as 0:HEX or EQ…"));
    if text.len() == 64
        && let Ok(bytes) = hex::decode(text)
        && let Ok(bytes) = <[u8; 32]>::try_from(bytes)
    {
        return Ok(Parsed { address: StdAddr::new(-1, bytes.into()), form: Form::Raw, test_only: false });
    }
    let (address, flags) = StdAddr::from_str_ext(text, StdAddrFormat::any()).map_err(|e| wrong(&e))?;
    let form = match (text.contains(':'), flags.bounceable) {
        (true, _) => Form::Raw,
        (false, true) => Form::Bounceable,
        (false, false) => Form::NonBounceable,
    };
    Ok(Parsed { address, form, test_only: flags.testnet })
}

impl Parsed {
    /// What `packAddress` gives: friendly, in plain base64.
    pub fn packed(&self) -> String {
        friendly(&self.address, self.form != Form::NonBounceable, self.test_only, false)
    }

    /// What `detectAddress` gives.
    pub fn detected(&self) -> Value {
        let forms = |bounceable| {
            json!({
                "@type": "ext.utils.detectedAddressVariant",
                "b64": friendly(&self.address, bounceable, self.test_only, false),
                "b64url": friendly(&self.address, bounceable, self.test_only, true),
            })
        };
        json!({
            "@type": "ext.utils.detectedAddress",
            "raw_form": self.address.to_string(),
            "bounceable": forms(true),
            "non_bounceable": forms(false),
            "given_type": match self.form {
                Form::Raw => "raw_form",
                Form::Bounceable => "friendly_bounceable",
                Form::NonBounceable => "friendly_non_bounceable",
            },
            "test_only": self.test_only,
        })
    }
}

/// What `detectHash` gives.
pub(super) fn detected_hash(hash: &HashBytes) -> Value {
    json!({
        "@type": "ext.utils.detectedHash",
        "b64": STANDARD.encode(hash.0),
        "b64url": URL_SAFE.encode(hash.0),
        "hex": hash.to_string(),
    })
}

/// An address as it stands in answers.
pub(super) fn shown(address: &StdAddr) -> String {
    friendly(address, true, false, true)
}

fn friendly(addr: &StdAddr, bounceable: bool, testnet: bool, base64_url: bool) -> String {
    DisplayBase64StdAddr { addr, flags: Base64StdAddrFlags { testnet, base64_url, bounceable } }.to_string()
}
