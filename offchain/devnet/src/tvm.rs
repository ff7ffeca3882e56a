//! One message, one account, one transaction: the TVM with TON's rules around it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cocoon_chain::NetworkConfig;
use cocoon_protocol::{StdAddr, UnixSeconds};
use tycho_executor::{Executor, ExecutorInspector, ExecutorParams, ParsedConfig, UncommittedTransaction};
use tycho_types::cell::{Cell, HashBytes, Lazy};
use tycho_types::error::Error;
use tycho_types::models::{BlockchainConfig, ConfigParam0, OwnedMessage, ShardAccount, Transaction};
use tycho_types::num::Tokens;
use tycho_vm::BehaviourModifiers;

use crate::libraries::Libraries;
use crate::normalise::normalise;
pub use crate::ordinary::EntryFees;
use crate::ordinary::{self, Outcome};

/// The rules of a network, ready for execution.
#[derive(Debug)]
pub struct Rules {
    parsed: ParsedConfig,
    any_signature: bool,
}

/// When and where in the chain a transaction happens.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Time of the block.
    pub utime: UnixSeconds,
    /// Logical time at which the block begins.
    pub block_lt: u64,
    /// The transaction's logical time is at least this.
    pub min_lt: u64,
    /// The block's random seed.
    pub seed: HashBytes,
}

/// What a message did.
#[derive(Clone, Debug)]
pub struct Executed {
    /// The transaction.
    pub transaction: Lazy<Transaction>,
    /// The account after it.
    pub state: ShardAccount,
    /// Whether the account exists after it.
    pub exists: bool,
    /// The messages it sent, in order; external ones too.
    pub out_messages: Vec<Lazy<OwnedMessage>>,
    /// What it paid to the network.
    pub total_fees: Tokens,
    /// What it destroyed by sending it to the black hole.
    pub burned: Tokens,
    /// The next transaction on the account has at least this logical time.
    pub next_lt: u64,
}

/// A message was not executed; nothing changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotExecuted {
    /// An external message that the account did not accept; the exit code is absent if no code ran.
    #[error("not accepted, exit code {exit_code:?}")]
    NotAccepted {
        /// Exit code of the TVM.
        exit_code: Option<i32>,
        /// What its way to the account would have cost.
        fees: EntryFees,
    },
    /// An external message that cannot be received at all.
    #[error("not received: {0}")]
    NotReceived(String),
    /// The machine failed.
    #[error("{0}")]
    Failed(String),
}

impl Rules {
    /// Reads a configuration, with the prices that hold at this time.
    pub fn new(config: &NetworkConfig, now: UnixSeconds) -> Result<Self, Error> {
        let params = config.params().clone();
        let address = params.get::<ConfigParam0>()?.unwrap_or_default();
        Ok(Self { parsed: ParsedConfig::parse(BlockchainConfig { address, params }, now.0)?, any_signature: false })
    }

    /// Makes the storage prices those of another time.
    pub(crate) fn move_to(&mut self, before: UnixSeconds, now: UnixSeconds) -> Result<(), Error> {
        // Prices carry the time from which they hold.
        if self.parsed.storage_prices.iter().any(|p| p.utime_since > before.0 && p.utime_since <= now.0) {
            self.parsed.update_storage_prices(now.0)?;
        }
        Ok(())
    }

    /// True if accounts can live there.
    pub(crate) fn has_workchain(&self, workchain: i8) -> bool {
        workchain == -1 || self.parsed.workchains.contains_key(&i32::from(workchain))
    }

    /// Takes every signature for a right one, to see what a message would cost. No block is made of it.
    pub(crate) const fn accept_any_signature(&mut self, any: bool) {
        self.any_signature = any;
    }

    /// Limits on messages.
    pub(crate) const fn limits(&self) -> &tycho_types::models::SizeLimitsConfig {
        &self.parsed.size_limits
    }

    /// Delivers a message to an account, where there are no public libraries.
    pub fn execute(
        &self,
        moment: &Moment,
        account: &StdAddr,
        message: &Cell,
        is_external: bool,
        state: &ShardAccount,
    ) -> Result<Executed, NotExecuted> {
        self.execute_with(&Libraries::new(), moment, account, message, is_external, state)
    }

    /// Delivers a message to an account. Nothing outside changes: the caller keeps what comes out, or does not.
    pub fn execute_with(
        &self,
        libraries: &Libraries,
        moment: &Moment,
        account: &StdAddr,
        message: &Cell,
        is_external: bool,
        state: &ShardAccount,
    ) -> Result<Executed, NotExecuted> {
        let params = ExecutorParams {
            block_unixtime: moment.utime.0,
            block_lt: moment.block_lt,
            rand_seed: moment.seed,
            libraries: libraries.clone(),
            // Messages that were made before the action that failed are not sent, and C++ takes no fees for them.
            charge_action_fees_on_fail: false,
            // As mainnet has them.
            strict_extra_currency: true,
            disable_delete_frozen_accounts: true,
            vm_modifiers: BehaviourModifiers { chksig_always_succeed: self.any_signature, ..Default::default() },
            ..Default::default()
        };
        let run = || {
            let failed = |e: anyhow::Error| NotExecuted::Failed(format!("{e:#}"));
            let broken = |e: Error| NotExecuted::Failed(e.to_string());
            let mut inspector = ExecutorInspector::default();
            let mut exec = Executor::new(&params, &self.parsed)
                .with_min_lt(moment.min_lt)
                .begin(account, state.load_account().map_err(broken)?)
                .map_err(failed)?;
            let info = match ordinary::run(&mut exec, is_external, message.clone(), &mut inspector).map_err(failed)? {
                Outcome::Done(info) => *info,
                Outcome::NotAccepted(fees) => {
                    return Err(NotExecuted::NotAccepted { exit_code: inspector.exit_code, fees });
                }
                Outcome::NotReceived(why) => return Err(NotExecuted::NotReceived(why)),
            };
            let output = UncommittedTransaction::with_info(exec, state, Some(message.clone()), info)
                .and_then(UncommittedTransaction::commit)
                .map_err(failed)?;
            let (transaction, state) = normalise(&self.parsed, state, &output).map_err(broken)?;
            Ok(Executed {
                transaction,
                state,
                exists: output.new_state_meta.exists,
                out_messages: output.transaction_meta.out_msgs,
                total_fees: output.transaction_meta.total_fees,
                burned: output.burned,
                next_lt: output.transaction_meta.next_lt,
            })
        };
        // No message may end the network. The state is only read here, so that nothing is left half changed.
        catch_unwind(AssertUnwindSafe(run))
            .unwrap_or_else(|_| Err(NotExecuted::Failed("the virtual machine panicked".to_owned())))
    }
}
