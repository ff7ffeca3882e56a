//! `runGetMethod` and `runGetMethodStd`.

use cocoon_chain::GetterError;
use cocoon_chain::getter::{GetterRun, run_method};
use cocoon_wrappers::StackValue;
use serde_json::{Value, json};
use tycho_vm::VmGetterMethodId;

use super::accounts::At;
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
        let (at, run) = self.http_getter(params, &stack::arguments(params.value("stack"))?)?;
        Ok(json!({
            "@type": "smc.runResult",
            "gas_used": run.gas_used,
            "stack": stack::results(&run.stack)?,
            "exit_code": run.exit_code,
            "block_id": block_id(&at.block.id),
            "last_transaction_id": at.last_transaction(),
        }))
    }

    /// The same with values in tonlib's forms.
    pub(super) fn http_run_getter_std(&self, params: &Params) -> Result<Value, ApiError> {
        let (_, run) = self.http_getter(params, &stack::std_arguments(params.value("stack"))?)?;
        Ok(json!({
            "@type": "smc.runResult",
            "gas_used": run.gas_used,
            "stack": stack::std_results(&run.stack)?,
            "exit_code": run.exit_code,
        }))
    }

    fn http_getter(&self, params: &Params, arguments: &[StackValue]) -> Result<(At, GetterRun), ApiError> {
        let at = self.http_account(params)?;
        let method = match params.value("method") {
            None => return Err(ApiError::Missing("method")),
            Some(Value::String(name)) => name.as_str().as_getter_method_id(),
            Some(_) => params.number("method")?,
        };
        let run = self.http_run(&at, method, arguments)?;
        Ok((at, run))
    }

    /// Runs a getter of an account.
    pub(super) fn http_run(&self, at: &At, method: u32, arguments: &[StackValue]) -> Result<GetterRun, ApiError> {
        let around = self.surroundings(at.block.id.seqno)?;
        match run_method(&at.account, &around.config, &around.libraries, "of a client", method, arguments) {
            Ok(run) => Ok(run),
            Err(GetterError::NoCode { .. }) => {
                Ok(GetterRun { exit_code: NO_CODE, stack: vec![], gas_used: 0, missing: Default::default() })
            }
            Err(e @ GetterError::Value { .. }) => Err(ApiError::Request(e.to_string())),
            Err(e) => Err(ApiError::Broken(e.to_string())),
        }
    }
}
