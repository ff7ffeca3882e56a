//! Faults: proofs that anybody can check, committed to first and revealed later, so that nobody can copy one in time (attack 52).

use cocoon_chain::{AccountStatus, Cell, OutMessage, StateInit, cell_hash};
use cocoon_protocol::{Hash256, Nano, StdAddr};
use cocoon_wrappers::generated::fault_report::{self, CommitFault, Commitment, Data, FaultState, RevealFault};
use tycho_types::cell::HashBytes;

use crate::plan::Purpose;
use crate::{ActionError, Plan, System};

/// First word of a commitment: ASCII `FCM1`.
const TAG: u32 = 0x4643_4d31;
const COMMIT_GAS: Nano = Nano::new(50_000_000);
/// What a report keeps for its storage.
const RESERVE: Nano = Nano::new(20_000_000);
/// The longest way that a proof takes: over registry and governor to the stake account.
const REVEAL_GAS: Nano = Nano::new(600_000_000);

/// Kinds of proofs, by their first word.
const KINDS: [(u32, &str, bool); 5] = [
    (0x4650_3031, "two receipts with one number", false),
    (0x4650_3032, "a receipt for another model than the accepted one", false),
    (0x4650_3033, "one node key under two images", false),
    (0x4650_3034, "use of something revoked", true),
    (0x4650_3035, "two vouchers that contradict each other", true),
];

/// What a proof is about, and whether the registry judges it; otherwise the accused node's stake account does. `None` if it is no proof.
pub fn kind(proof: &Cell) -> Option<(&'static str, bool)> {
    let tag = proof.as_slice().ok()?.load_u32().ok()?;
    KINDS.iter().find(|k| k.0 == tag).map(|k| (k.1, k.2))
}

/// A report that hides a proof until it is revealed.
#[derive(Clone, Debug)]
pub struct Report {
    /// Who judges.
    pub target: StdAddr,
    /// Who is rewarded.
    pub reporter: StdAddr,
    /// Makes the commitment unguessable; keep it until the proof is revealed.
    pub salt: Hash256,
    /// The proof.
    pub proof: Cell,
}

impl Report {
    fn identify(&self) -> Result<(StateInit, StdAddr), ActionError> {
        let commitment = Commitment {
            tag: TAG,
            reporter: self.reporter.clone(),
            salt: HashBytes(self.salt.0),
            proof_hash: HashBytes(cell_hash(&self.proof).0),
        };
        let data = Data {
            target: self.target.clone(),
            reporter: self.reporter.clone(),
            commitment: HashBytes(cell_hash(&commitment.to_cell()?).0),
            committed_at: 0,
        };
        Ok((fault_report::state_init(&data)?, fault_report::address(0, &data)?))
    }

    /// Where the report is, or will be.
    pub fn address(&self) -> Result<StdAddr, ActionError> {
        Ok(self.identify()?.1)
    }

    /// What the report says; `None` before the commitment.
    pub async fn state(&self, system: &System) -> Result<Option<FaultState>, ActionError> {
        let account = system.chain().account(&self.address()?).await?;
        if account.status != AccountStatus::Active {
            return Ok(None);
        }
        system.ask(&account, &fault_report::get_state(), fault_report::decode_state).await.map(Some)
    }

    /// Binds the reporter to the proof without showing it.
    pub async fn commit(&self, system: &System) -> Result<Plan, ActionError> {
        let Some((about, by_registry)) = kind(&self.proof) else {
            return Err(ActionError::invalid("proof", "its first word is none of a proof's"));
        };
        if by_registry && self.target != *system.registry() {
            return Err(ActionError::invalid(
                "target",
                format!("{about} is judged by the registry {}", system.registry()),
            ));
        }
        if self.state(system).await?.is_some() {
            return Err(ActionError::invalid("report", "it is committed already; reveal it"));
        }
        let (init, address) = self.identify()?;
        let message =
            OutMessage::new(address, Nano::ZERO).body(CommitFault { query_id: 0 }.to_cell()?).state_init(init);
        let parts = [(Purpose::Storage, RESERVE), (Purpose::Gas, COMMIT_GAS)];
        Ok(Plan::single(format!("commit to a proof of {about}, to be judged by {}", self.target), message, &parts))
    }

    /// Shows the proof to whoever judges it.
    pub async fn reveal(&self, system: &System) -> Result<Plan, ActionError> {
        let address = self.address()?;
        let state = self.state(system).await?.ok_or_else(|| ActionError::Missing {
            what: "fault report",
            address: Box::new(address.clone()),
            advice: "commit to the proof first, from the same wallet and with the same salt".to_owned(),
        })?;
        let now = system.chain().head().await?.utime.0;
        if now < state.reveal_from {
            let why = format!("it can be revealed in {} s", state.reveal_from - now);
            return Err(ActionError::invalid("report", why));
        }
        if now > state.reveal_until {
            return Err(ActionError::invalid("report", "it is too old; commit again with another salt"));
        }
        let body = RevealFault { query_id: 0, salt: HashBytes(self.salt.0), proof: self.proof.clone() };
        let message = OutMessage::new(address, Nano::ZERO).body(body.to_cell()?);
        let about = kind(&self.proof).map_or("a fault", |k| k.0);
        let mut plan =
            Plan::single(format!("prove {about} to {}", self.target), message, &[(Purpose::Gas, REVEAL_GAS)]);
        plan.watch.push(self.target.clone());
        Ok(plan)
    }
}
