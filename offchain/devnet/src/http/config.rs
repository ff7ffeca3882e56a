//! The configuration, and public libraries.

use serde_json::{Value, json};
use tycho_types::models::ShardStateUnsplit;

use super::error::ApiError;
use super::json::{bag, bytes};
use super::params::{self, Params};
use crate::block::Workchain;
use crate::lite::answer::Responder;

/// A question may name so many libraries.
const MAX_LIBRARIES: usize = 16;

impl Responder<'_> {
    pub(super) fn http_config_param(&self, params: &Params) -> Result<Value, ApiError> {
        // `param` is the name of older clients.
        let number = match params.optional_number::<u32>("config_id")? {
            Some(number) => number,
            None => params.optional_number("param")?.ok_or(ApiError::Missing("config_id"))?,
        };
        let config = self.http_config_at(params)?;
        let cell = config.as_dict().get(number)?;
        let cell = cell.ok_or_else(|| ApiError::Broken(format!("the configuration has no parameter {number}")))?;
        Ok(info(bag(&cell)))
    }

    pub(super) fn http_config_all(&self, params: &Params) -> Result<Value, ApiError> {
        let config = self.http_config_at(params)?;
        let root = config.as_dict().root().as_ref();
        let root = root.ok_or_else(|| ApiError::Broken("the configuration is empty".to_owned()))?;
        Ok(info(bag(root)))
    }

    fn http_config_at(&self, params: &Params) -> Result<tycho_types::models::BlockchainConfigParams, ApiError> {
        let seqno = params.optional_number::<u32>("seqno")?.unwrap_or(self.view.head.seqno);
        let known = self.numbered(Workchain::Master, seqno)?;
        let state = self.state(&known)?.parse::<ShardStateUnsplit>()?;
        let extra = state.load_custom()?.ok_or(tycho_types::error::Error::InvalidData)?;
        Ok(extra.config.params)
    }

    pub(super) fn http_libraries(&self, params: &Params) -> Result<Value, ApiError> {
        let wanted = match params.value("libraries") {
            Some(Value::Array(list)) => list.as_slice(),
            Some(one @ Value::String(_)) => std::slice::from_ref(one),
            Some(_) => return Err(ApiError::invalid("libraries", "must be a list of hashes")),
            None => return Err(ApiError::Missing("libraries")),
        };
        if wanted.len() > MAX_LIBRARIES {
            return Err(ApiError::invalid("libraries", format!("must be at most {MAX_LIBRARIES} hashes")));
        }
        let libraries = self.state(&self.head()?)?.parse::<ShardStateUnsplit>()?.libraries;
        let mut found = vec![];
        for hash in wanted {
            let hash = hash.as_str().ok_or_else(|| ApiError::invalid("libraries", "must be a list of hashes"))?;
            let hash = params::hash("libraries", hash)?;
            if let Some(library) = libraries.get(hash)? {
                found.push(json!({ "@type": "smc.libraryEntry", "hash": bytes(hash.0), "data": bag(&library.lib) }));
            }
        }
        Ok(json!({ "@type": "smc.libraryResult", "result": found }))
    }
}

fn info(bytes: String) -> Value {
    json!({ "@type": "configInfo", "config": { "@type": "tvm.cell", "bytes": bytes } })
}
