//! Actions in files, to be proposed together or to be written by other programs.

use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cocoon_actions::dao::{Intent, Roots};
use cocoon_actions::system::nano;
use cocoon_protocol::GlobalId;
use serde::{Deserialize, Serialize};
use tycho_types::boc::Boc;
use tycho_types::cell::Cell;

use crate::args::{Address, Ton};
use crate::{input, secrets};

const MAX_BYTES: u64 = 1 << 20;

/// One action. Amounts have units; the body is a bag of cells in Base64.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionFile {
    to: String,
    value: String,
    gas: String,
    body: String,
}

/// Reads a list of actions.
pub(crate) fn read(path: &Path, network: GlobalId) -> Result<Vec<Intent>> {
    let about = || format!("{} is no file with actions: [{{\"to\", \"value\", \"gas\", \"body\"}}, …]", path.display());
    let actions: Vec<ActionFile> = serde_json::from_str(&input::text(path, MAX_BYTES)?).with_context(about)?;
    actions.iter().map(|action| action.intent(network).with_context(about)).collect()
}

impl ActionFile {
    fn intent(&self, network: GlobalId) -> Result<Intent> {
        let ton =
            |what: &str, text: &str| text.parse::<Ton>().map(|t| t.0).map_err(|e| anyhow::anyhow!("\"{what}\": {e}"));
        let to: Address = self.to.parse().map_err(|e| anyhow::anyhow!("\"to\": {e}"))?;
        let body = STANDARD.decode(&self.body).context("\"body\" is no Base64")?;
        Ok(Intent::Raw {
            to: to.on(network)?,
            value: ton("value", &self.value)?,
            gas: ton("gas", &self.gas)?,
            body: Boc::decode(body).context("\"body\" is no bag of cells")?,
        })
    }
}

/// Reads one cell from a bag of cells.
pub(crate) fn read_cell(path: &Path) -> Result<Cell> {
    Boc::decode(input::bytes(path, MAX_BYTES)?).with_context(|| format!("{} is no bag of cells", path.display()))
}

/// Writes what intents would do as a list of actions.
pub(crate) fn write(intents: &[Intent], roots: &Roots, path: &Path) -> Result<()> {
    let mut actions = vec![];
    for intent in intents {
        let action = intent.to_action(roots)?;
        actions.push(ActionFile {
            to: action.to.to_string(),
            value: nano(action.value).to_string(),
            gas: nano(action.gas).to_string(),
            body: STANDARD.encode(Boc::encode(&action.body)),
        });
    }
    secrets::replace(path, format!("{}\n", serde_json::to_string_pretty(&actions)?).as_bytes(), 0o644)
}
