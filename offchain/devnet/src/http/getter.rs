//! `runGetMethod`.

use cocoon_chain::GetterError;
use cocoon_chain::getter::run_method;
use serde_json::{Value, json};
use tycho_vm::VmGetterMethodId;

use super::error::ApiError;
use super::json::block_id;
use super::params::Params;
use super::stack;
use crate::lite::answer::Responder;

/// There is no code to run, as the public service says it.
const NO_CODE: i32 = -13;

impl Responder<'_> {
    /// Runs a getter, by name or number.
    pub(super) fn http_run_getter(&self, params: &Params) -> Result<Value, ApiError> {
        let at = self.http_account(params)?;
        let method = match params.value("method") {
            None => return Err(ApiError::Missing("method")),
            Some(Value::String(name)) => name.as_str().as_getter_method_id(),
            Some(_) => params.number("method")?,
        };
        let arguments = stack::arguments(params.value("stack"))?;
        let around = self.surroundings(at.block.id.seqno)?;
        let run = run_method(&at.account, &around.config, &around.libraries, "of a client", method, &arguments);
        let (gas_used, exit_code, results) = match run {
            Ok(run) => (run.gas_used, run.exit_code, stack::results(&run.stack)?),
            Err(GetterError::NoCode { .. }) => (0, NO_CODE, json!([])),
            Err(e @ GetterError::Value { .. }) => return Err(ApiError::Request(e.to_string())),
            Err(e) => return Err(ApiError::Broken(e.to_string())),
        };
        Ok(json!({
            "@type": "smc.runResult",
            "gas_used": gas_used,
            "stack": results,
            "exit_code": exit_code,
            "block_id": block_id(&at.block.id),
            "last_transaction_id": at.last_transaction(),
        }))
    }
}
