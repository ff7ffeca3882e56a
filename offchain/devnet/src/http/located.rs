//! Transactions by the message between two of them.

use cocoon_protocol::StdAddr;
use serde_json::Value;
use tycho_types::models::{IntAddr, IntMsgInfo, Message, MsgInfo, Transaction};

use super::error::ApiError;
use super::params::Params;
use super::transactions::shown;
use crate::lite::answer::Responder;

/// A receiver's transaction is looked for among so many after the message was made.
const MAX_SEARCHED: usize = 4096;

/// Transactions are read in portions of so many.
const PORTION: usize = 64;

/// An internal message as clients name it.
struct Named {
    source: StdAddr,
    destination: StdAddr,
    created_lt: u64,
}

impl Named {
    fn new(params: &Params) -> Result<Self, ApiError> {
        let (source, destination) = (params.address("source")?, params.address("destination")?);
        Ok(Self { source, destination, created_lt: params.number("created_lt")? })
    }

    fn is(&self, info: &IntMsgInfo) -> bool {
        let same = |found: &IntAddr, wanted: &StdAddr| matches!(found, IntAddr::Std(found) if found == wanted);
        info.created_lt == self.created_lt && same(&info.src, &self.source) && same(&info.dst, &self.destination)
    }

    fn not_found(&self) -> ApiError {
        let (from, to) = (&self.source, &self.destination);
        ApiError::Broken(format!("no transaction with the message {} from {from} to {to}", self.created_lt))
    }
}

impl Responder<'_> {
    /// `tryLocateTx` and `tryLocateResultTx`: the transaction that the message caused.
    pub(super) fn http_locate_result(&self, params: &Params) -> Result<Value, ApiError> {
        let named = Named::new(params)?;
        let (mut after, mut searched) = (named.created_lt, 0);
        while searched < MAX_SEARCHED {
            let cells = self.view.store.transactions(&named.destination, after, PORTION)?;
            if cells.is_empty() {
                break;
            }
            searched += cells.len();
            for cell in &cells {
                let transaction = cell.parse::<Transaction>()?;
                after = transaction.lt;
                if let Some(message) = &transaction.in_msg
                    && let MsgInfo::Int(info) = message.parse::<Message<'_>>()?.info
                    && named.is(&info)
                {
                    return shown(&named.destination, cell);
                }
            }
        }
        Err(named.not_found())
    }

    /// `tryLocateSourceTx`: the transaction that sent the message.
    pub(super) fn http_locate_source(&self, params: &Params) -> Result<Value, ApiError> {
        let named = Named::new(params)?;
        let block = self.view.first(|record| record.seqno > 0 && record.end_lt >= named.created_lt)?;
        let Some(record) = block.map(|seqno| self.view.record(seqno)).transpose()?.flatten() else {
            return Err(named.not_found());
        };
        // A message's logical time follows that of its transaction.
        let before = record.transactions.iter().rev();
        let before = before.filter(|(account, lt)| *account == named.source && *lt < named.created_lt);
        for (account, lt) in before {
            let Some((_, cell)) = self.view.store.transaction(account, *lt)? else { continue };
            for message in cell.parse::<Transaction>()?.out_msgs.values() {
                if let MsgInfo::Int(info) = message?.parse::<Message<'_>>()?.info
                    && named.is(&info)
                {
                    return shown(account, &cell);
                }
            }
        }
        Err(named.not_found())
    }
}
