//! Files that describe services: TOML, each key known, amounts with units, paths from the file's folder on.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result};
use cocoon_protocol::{Nano, Price};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};

use crate::args::Ton;
use crate::input;
use crate::pay::Version;

/// Most bytes of a file.
const MAX_BYTES: u64 = 64 << 10;

/// Reads a service's file.
///
/// # Errors
/// Names the file, the line and what is wrong there.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    toml::from_str(&input::text(path, MAX_BYTES)?).with_context(|| format!("in {}", path.display()))
}

/// The folder at which a file's paths begin.
pub fn folder(path: &Path) -> PathBuf {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// What a person writes as text: read as on the command line.
#[derive(Clone, Debug)]
pub struct Text<T>(pub T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|e| D::Error::custom(format_args!("{text:?}: {e}")))
    }
}

/// `[node]`: what every service has.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeTable {
    /// The network's file, as `cocoon up` writes one.
    pub network: PathBuf,
    /// Where keys, vouchers and the newest proven block are kept; made if absent.
    pub data: PathBuf,
    /// The wallet's 24 words; `wallet` in `data` if absent, made there the first time.
    pub wallet: Option<PathBuf>,
    /// Which contract the wallet is; `v5r1` if absent.
    #[serde(default)]
    pub wallet_version: Version,
}

/// `[platform]`: where quotes and collateral come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum PlatformTable {
    /// A TDX guest: quotes come from the kernel.
    Tdx {
        /// A provisioning certificate caching service, such as `https://api.trustedservices.intel.com`, for the collateral of this
        /// machine, which peers then need not fetch. Without one, what peers hand over has to do.
        pccs: Option<String>,
    },
    /// A machine of a development network's simulated vendor. Networks with real money refuse its quotes, by code.
    Simulated {
        /// The vendor's seed: `keys/simulated-vendor.key` in the folder of `cocoon up`.
        vendor: PathBuf,
        /// Which of the vendor's machines this is.
        machine: u32,
    },
}

/// A price in Toncoin per million tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceTable {
    prompt: Text<Ton>,
    completion: Text<Ton>,
}

impl PriceTable {
    /// The price.
    pub const fn price(&self) -> Price {
        Price { prompt: self.prompt.0.0, completion: self.completion.0.0 }
    }
}

/// An amount, or another one if none is written.
pub fn amount_or(given: Option<&Text<Ton>>, otherwise: Nano) -> Nano {
    given.map_or(otherwise, |text| text.0.0)
}
