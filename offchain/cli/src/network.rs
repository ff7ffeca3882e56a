//! Which network: a small file that `cocoon up` writes, and that anybody can write for a real one.
//!
//! ```json
//! {
//!   "global_config": "global.config.json",
//!   "registry": "0:…",
//!   "control": "http://127.0.0.1:4999",
//!   "control_token_file": "control.token"
//! }
//! ```
//!
//! `global_config` is TON's usual file, or its contents; `control` is there only on a development network. `"trusted_state"` may name a
//! file in which the newest proven block is kept, so that the next command need not begin at the file's. Paths begin at the folder
//! of the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use cocoon_chain::light::Now;
use cocoon_chain::{GlobalConfig, LightClient, LightSettings, StdAddr};
use cocoon_protocol::UnixSeconds;
use serde_json::{Map, Value, json};

use crate::args::Address;
use crate::exit::Usage;
use crate::{input, secrets};

/// Most bytes of a network file or a global configuration: mainnet's has some 30 KB.
const MAX_BYTES: u64 = 4 << 20;

/// The contents of a network file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkFile {
    /// TON's global configuration.
    pub global_config: Value,
    /// The root contract of the network; a fresh chain has none yet.
    pub registry: Option<StdAddr>,
    /// Where the newest proven block is kept between commands.
    pub trusted_state: Option<PathBuf>,
    /// How to steer it, if it is a development network.
    pub control: Option<Control>,
}

/// A development network's control endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Control {
    /// Such as `http://127.0.0.1:4999`.
    pub url: String,
    /// File with the token, readable by its owner only.
    pub token_file: PathBuf,
}

impl NetworkFile {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self> {
        let value = read_json(path)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Self::parse(&value, folder).with_context(|| format!("in {}", path.display()))
    }

    fn parse(value: &Value, folder: &Path) -> Result<Self> {
        const FIELDS: [&str; 5] = ["global_config", "registry", "trusted_state", "control", "control_token_file"];
        let object = value.as_object().context("it is no JSON object")?;
        if let Some(other) = object.keys().find(|key| !FIELDS.contains(&key.as_str())) {
            bail!("there is no field \"{other}\"; a network file has {}", FIELDS.join(", "));
        }
        let text = |name: &str| -> Result<Option<&str>> {
            match object.get(name) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::String(text)) => Ok(Some(text)),
                Some(_) => bail!("\"{name}\" must be a text"),
            }
        };
        let global_config = match object.get("global_config") {
            Some(Value::String(path)) => read_json(&folder.join(path))?,
            Some(inline @ Value::Object(_)) => inline.clone(),
            _ => bail!("\"global_config\" must be a path or an object: the network's global.config.json"),
        };
        let registry = text("registry")?.map(|registry| {
            let registry: Address = registry.parse().map_err(|e| anyhow::anyhow!("\"registry\": {e}"))?;
            // No network is known yet that the address could be wrong for; the contract there is checked before it is used.
            registry.on(cocoon_protocol::GlobalId::DEVNET)
        });
        let registry = registry.transpose()?;
        let control = match (text("control")?, text("control_token_file")?) {
            (None, None) => None,
            (Some(url), Some(file)) => Some(Control { url: url.to_owned(), token_file: folder.join(file) }),
            _ => bail!("\"control\" and \"control_token_file\" belong together"),
        };
        let trusted_state = text("trusted_state")?.map(|path| folder.join(path));
        Ok(Self { global_config, registry, trusted_state, control })
    }

    /// The registry, without which only wallets can be used.
    pub fn registry(&self) -> Result<&StdAddr> {
        let missing = "this network has no registry yet: its file names none, so only wallets can be used on it";
        self.registry.as_ref().ok_or_else(|| Usage(missing.to_owned()).into())
    }

    /// Writes a file, so that other processes can reach the network. It holds no secret.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut object = Map::new();
        object.insert("global_config".to_owned(), self.global_config.clone());
        if let Some(registry) = &self.registry {
            object.insert("registry".to_owned(), json!(registry.to_string()));
        }
        if let Some(path) = &self.trusted_state {
            object.insert("trusted_state".to_owned(), json!(path));
        }
        if let Some(control) = &self.control {
            object.insert("control".to_owned(), json!(control.url));
            object.insert("control_token_file".to_owned(), json!(control.token_file));
        }
        let text = serde_json::to_string_pretty(&Value::Object(object))?;
        secrets::replace(path, format!("{text}\n").as_bytes(), 0o644)
    }
}

fn read_json(path: &Path) -> Result<Value> {
    serde_json::from_str(&input::text(path, MAX_BYTES)?).with_context(|| format!("{} is no JSON", path.display()))
}

/// For how long a network is tried before its absence is reported.
const PATIENCE: Duration = Duration::from_secs(20);

/// Connects to a network through its liteservers, none of which is trusted. This is the only place that knows how a network is
/// reached.
pub async fn connect(file: &NetworkFile) -> Result<Arc<LightClient>> {
    let network =
        GlobalConfig::from_json(&file.global_config.to_string()).context("reading the global configuration")?;
    let mut settings = LightSettings::new(network);
    settings.state_file.clone_from(&file.trusted_state);
    settings.patience = PATIENCE;
    // The time of a network that can be steered is not that of the clock on the wall.
    settings.clock = file.control.is_none().then(|| -> Now { Arc::new(wall_clock) });
    Ok(Arc::new(LightClient::connect(settings).await?))
}

/// The time of the clock on the wall.
pub(crate) fn wall_clock() -> UnixSeconds {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixSeconds(u32::try_from(since.as_secs()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;

    fn registry() -> StdAddr {
        StdAddr::new(0, [7; 32].into())
    }

    #[test]
    fn what_is_written_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("network.json");
        let control = Control { url: "http://127.0.0.1:1".to_owned(), token_file: dir.path().join("token") };
        for control in [None, Some(control)] {
            let file = NetworkFile {
                global_config: json!({ "liteservers": [] }),
                registry: Some(registry()),
                trusted_state: None,
                control,
            };
            file.write(&path).unwrap();
            assert_eq!(NetworkFile::read(&path).unwrap(), file);
        }
    }

    #[test]
    fn paths_begin_at_the_folder_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("g.json"), r#"{"liteservers":[]}"#).unwrap();
        let path = dir.path().join("network.json");
        let text = json!({ "global_config": "g.json", "registry": registry().to_string(), "control": "http://127.0.0.1:1",
            "control_token_file": "t" });
        std::fs::write(&path, text.to_string()).unwrap();
        let file = NetworkFile::read(&path).unwrap();
        assert_eq!(file.global_config, json!({ "liteservers": [] }));
        assert_eq!(file.control.unwrap().token_file, dir.path().join("t"));
    }

    #[test]
    fn mistakes_are_named() {
        let error = |value: Value| format!("{:#}", NetworkFile::parse(&value, Path::new("/nowhere")).unwrap_err());
        let r = registry().to_string();
        for (value, word) in [
            (json!([]), "object"),
            (json!({ "registry": r }), "global_config"),
            (json!({ "global_config": {}, "registry": "0:12" }), "64 hexadecimal"),
            (json!({ "global_config": {}, "registry": r, "control": "x" }), "belong together"),
            (json!({ "global_config": {}, "registry": r, "controll": "x" }), "controll"),
            (json!({ "global_config": "missing.json", "registry": r }), "missing.json"),
            (json!({ "global_config": {}, "registry": 5 }), "must be a text"),
        ] {
            let said = error(value.clone());
            assert!(said.contains(word), "{value}: {said}");
        }
    }
}
