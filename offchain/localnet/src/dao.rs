//! The DAO of a local network: deployed, staked, and voting. Every step is a signed message from a wallet, and every step
//! looks first whether it was taken before, so that an interrupted start goes on where it stopped.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cocoon_chain::{AccountStatus, Cell, Chain, OutMessage, StateInit, Trace, Wallet, call_getter, cell_hash};
use cocoon_devnet::Devnet;
use cocoon_protocol::{GlobalId, Hash256, ImageId, ModelHash, Nano, NodeKey, NodePublicKey, Role, StdAddr};
use cocoon_wrappers::generated::governor::{self, Action, GovernorParams, GovernorState, SetRegistry, SetUpGovernor};
use cocoon_wrappers::generated::proposal::{self, Execute, ProposalState};
use cocoon_wrappers::generated::registry::{
    self, Code, CodeHashes, Council, ProxyAuth, Rebuild, RegisterProxy, RegistryCounts, RegistryParams, RegistryState,
    ScheduleImage, ScheduleModel, SetUpRegistry, Signature, SuspendEntry, Suspension, TcbPolicy, UpdateProxy,
};
use cocoon_wrappers::generated::reputation::{self, ReputationState};
use cocoon_wrappers::generated::stake_account::{self, Deposit, Propose, RegisterNode, StakeState, Vote};
use cocoon_wrappers::generated::{fault_report, pay_channel};
use num_bigint::BigInt;
use tycho_types::cell::{CellBuilder, HashBytes};
use tycho_types::num::Tokens;

const DAY: u32 = 86_400;
/// Seconds per epoch of stake.
const EPOCH: u32 = DAY;
/// What each member stakes.
pub const MEMBER_STAKE: Nano = Nano::from_ton(300);
/// What stands for a worker's key.
pub const WORKER_BOND: Nano = Nano::from_ton(100);
/// What a proxy leaves as a bond.
pub const PROXY_BOND: Nano = Nano::from_ton(50);
/// First word of a proxy's proof that it holds its node key: ASCII `PRX1`.
const PROXY_AUTH_TAG: u32 = 0x5052_5831;
/// The status of a proposal whose actions were done.
const EXECUTED: u8 = 7;
/// The status of a proposal whose vote is on.
const ACTIVE: u8 = 2;
/// The status of a proposal that may be executed.
const READY: u8 = 5;

/// The rules with which the DAO begins. It may change them by vote.
fn rules() -> GovernorParams {
    GovernorParams {
        proposal_threshold: Nano::from_ton(100).into(),
        proposal_bond: Nano::from_ton(10).into(),
        voting_delay: DAY,
        voting_period: 3 * DAY,
        late_extension: DAY,
        timelock: 2 * DAY,
        execution_window: 14 * DAY,
        unbonding_delay: 14 * DAY,
        quorum_bps: 2_000,
    }
}

/// First word of what a rebuilder signs: ASCII `RBL1`.
const REBUILD_TAG: u32 = 0x5242_4c31;
/// First word of what the council signs: ASCII `SSP1`.
const SUSPENSION_TAG: u32 = 0x5353_5031;
/// How many of the rebuilders must have signed an image, and of the council a suspension.
const OF_THREE: u8 = 2;

/// What stands in the registry from its first block on.
#[derive(Clone, Debug)]
pub struct Genesis {
    /// The attestation root.
    pub root: Hash256,
    /// Who may suspend entries in an emergency.
    pub council: Vec<NodePublicKey>,
    /// Whose rebuilds of images count.
    pub rebuilders: Vec<NodePublicKey>,
}

/// What an approved entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum EntryKind {
    /// A virtual machine image.
    Image = 1,
    /// A model.
    Model = 2,
}

/// Addresses of the root contracts, with what creates them.
pub struct Dao<'a> {
    chain: &'a Devnet,
    governor: (StateInit, StdAddr),
    registry: (StateInit, StdAddr),
    /// What was sent so far.
    pub traces: Vec<Trace>,
}

/// What the DAO is asked to approve.
pub struct Approvals {
    /// Images with their roles.
    pub images: Vec<(Role, ImageId)>,
    /// The model and its name.
    pub model: (ModelHash, String),
    /// The commit that the images are built from; zero when it is not known.
    pub source_commit: Hash256,
    /// Who has rebuilt the images.
    pub rebuilders: Vec<NodeKey>,
}

/// How a vote went.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Address of the proposal.
    pub proposal: StdAddr,
    /// Its state, in words.
    pub state: &'static str,
    /// Votes in favour, in stake.
    pub yes: Nano,
    /// Stake at the snapshot.
    pub total: Nano,
}

impl<'a> Dao<'a> {
    /// The DAO with this beginning.
    pub fn new(chain: &'a Devnet, genesis: &Genesis) -> Result<Self> {
        let data = governor::Data {
            salt: 0,
            epoch_length: EPOCH,
            params: rules(),
            ready: false,
            epoch: 0,
            total: Tokens::ZERO,
            joining: Tokens::ZERO,
            leaving: Tokens::ZERO,
            proposals: 0,
            registry: None,
        };
        let governor = (governor::state_init(&data)?, governor::address(0, &data)?);
        let data = registry::Data {
            governor: governor.1.clone(),
            ready: false,
            revision: 0,
            bonded: Tokens::ZERO,
            params: RegistryParams {
                min_worker_stake: WORKER_BOND.into(),
                min_proxy_bond: PROXY_BOND.into(),
                activation_delay: DAY,
                proxy_unbonding: 7 * DAY,
                min_challenge: 3_600,
                protocol_fee_bps: 100,
                suspension_period: 7 * DAY,
            },
            counts: RegistryCounts { images: 0, models: 0, proxies: 0, roots: 0, banned: 0 },
            codes: CodeHashes {
                pay_channel: code(&pay_channel::code()),
                stake_account: code(&stake_account::code()),
                proposal: code(&proposal::code()),
                fault_report: code(&fault_report::code()),
            },
            tcb: TcbPolicy {
                min_evaluation: 1,
                roots: BTreeMap::from([(HashBytes(genesis.root.0), 0)]),
                banned: BTreeMap::new(),
            },
            images: BTreeMap::new(),
            models: BTreeMap::new(),
            proxies: BTreeMap::new(),
            council: Council {
                threshold: OF_THREE,
                members: genesis.council.iter().map(|key| (HashBytes(*key.as_bytes()), true)).collect(),
            },
            rebuilders: genesis.rebuilders.iter().map(|key| (HashBytes(*key.as_bytes()), 0)).collect(),
            rebuild_threshold: OF_THREE,
            former_channels: BTreeMap::new(),
            successor: None,
            successor_from: 0,
        };
        let registry = (registry::state_init(&data)?, registry::address(0, &data)?);
        Ok(Self { chain, governor, registry, traces: vec![] })
    }

    /// Address of the registry.
    pub fn registry(&self) -> &StdAddr {
        &self.registry.1
    }

    /// Address of the governor.
    pub fn governor(&self) -> &StdAddr {
        &self.governor.1
    }

    async fn send(&mut self, wallet: &Wallet, message: OutMessage) -> Result<()> {
        let trace = wallet.send_and_confirm(self.chain, &[message]).await?;
        trace.ok()?;
        self.traces.push(trace);
        Ok(())
    }

    async fn active(&self, address: &StdAddr) -> Result<bool> {
        Ok(self.chain.account(address).await?.status == AccountStatus::Active)
    }

    /// Deploys governor and registry.
    pub async fn deploy(&mut self, wallet: &Wallet) -> Result<()> {
        if !self.active(self.governor()).await? {
            let (init, address) = self.governor.clone();
            let body = SetUpGovernor { query_id: 0 }.to_cell()?;
            let message = OutMessage::new(address, Nano::from_ton(1)).state_init(init).body(body);
            self.send(wallet, message).await.context("deploying the governor")?;
        }
        if !self.active(self.registry()).await? {
            let (init, address) = self.registry.clone();
            let body = SetUpRegistry { query_id: 0 }.to_cell()?;
            let message = OutMessage::new(address, Nano::from_ton(2)).state_init(init).body(body);
            self.send(wallet, message).await.context("deploying the registry")?;
        }
        Ok(())
    }

    /// State init and address of an owner's stake account.
    pub fn stake_account(&self, owner: &StdAddr) -> Result<(StateInit, StdAddr)> {
        Ok(cocoon_node::stake::identify(self.governor(), owner)?)
    }

    /// Deposits a first lot for an owner that has none.
    pub async fn stake(&mut self, wallet: &Wallet, amount: Nano) -> Result<()> {
        let (init, address) = self.stake_account(wallet.address())?;
        if self.active(&address).await? {
            return Ok(());
        }
        let body = Deposit { query_id: 0, amount: amount.into() }.to_cell()?;
        let value = amount.saturating_add(Nano::from_ton(1));
        self.send(wallet, OutMessage::new(address, value).state_init(init).body(body)).await.context("staking")
    }

    /// Waits until the stake weighs.
    pub async fn pass_epoch(&self) -> Result<()> {
        self.chain.advance(Duration::from_secs(u64::from(EPOCH))).await?;
        Ok(())
    }

    /// The registry's own account of itself.
    pub async fn registry_state(&self) -> Result<RegistryState> {
        Ok(registry::decode_snapshot(call_getter(self.chain, self.registry(), &registry::get_snapshot()).await?)?)
    }

    /// What is counted of a node.
    pub async fn reputation(&self, node: &NodePublicKey) -> Result<ReputationState> {
        let node = BigInt::from_bytes_be(num_bigint::Sign::Plus, node.as_bytes());
        let call = registry::get_reputation_address(&node)?;
        let address = registry::decode_reputation_address(call_getter(self.chain, self.registry(), &call).await?)?;
        Ok(reputation::decode_state(call_getter(self.chain, &address, &reputation::get_state()).await?)?)
    }

    async fn governor_state(&self) -> Result<GovernorState> {
        Ok(governor::decode_state(call_getter(self.chain, self.governor(), &governor::get_state()).await?)?)
    }

    async fn proposal_state(&self, address: &StdAddr) -> Result<ProposalState> {
        Ok(proposal::decode_state(call_getter(self.chain, address, &proposal::get_state()).await?)?)
    }

    /// The bundle of actions that brings these approvals about: the cell that is voted on and executed.
    fn bundle(&self, approvals: &Approvals) -> Result<Cell> {
        let governor = self.governor().clone();
        // The governor learns whose word about nodes to take, by vote like everything else.
        let listen = SetRegistry { query_id: 0, registry: self.registry().clone() }.to_cell()?;
        let mut bodies = vec![(&governor, listen)];
        for (role, image) in &approvals.images {
            let rebuilds =
                approvals.rebuilders.iter().map(|key| self.rebuild(*role, *image, approvals.source_commit, key));
            bodies.push((
                self.registry(),
                ScheduleImage {
                    query_id: 0,
                    id: HashBytes(image.0),
                    role: role.code(),
                    active_from: 0,
                    source_commit: HashBytes(approvals.source_commit.0),
                    recipe_hash: HashBytes::ZERO,
                    reason: format!("first {role} image"),
                    rebuilds: rebuilds.collect::<Result<_>>()?,
                }
                .to_cell()?,
            ));
        }
        let (model, name) = &approvals.model;
        bodies.push((
            self.registry(),
            ScheduleModel {
                query_id: 0,
                id: HashBytes(model.0),
                active_from: 0,
                source_commit: HashBytes(approvals.source_commit.0),
                recipe_hash: HashBytes::ZERO,
                name: name.clone(),
                reason: "first model".to_owned(),
            }
            .to_cell()?,
        ));
        let mut next = None;
        for (to, body) in bodies.into_iter().rev() {
            let action = Action { to: to.clone(), value: Tokens::ZERO, gas: Nano::new(150_000_000).into(), body, next };
            next = Some(action.to_cell()?);
        }
        next.context("nothing to approve")
    }

    /// A rebuilder's word that the source gives the image.
    fn rebuild(&self, role: Role, image: ImageId, commit: Hash256, key: &NodeKey) -> Result<(HashBytes, Signature)> {
        let statement = Rebuild {
            tag: REBUILD_TAG,
            global_id: self.chain.network().0,
            registry: self.registry().clone(),
            role: role.code(),
            image: HashBytes(image.0),
            source_commit: HashBytes(commit.0),
            recipe_hash: HashBytes::ZERO,
        };
        let signature = key.sign(&cell_hash(&statement.to_cell()?));
        Ok((HashBytes(*key.public().as_bytes()), Signature { bytes: signature.0 }))
    }

    /// The council suspends an entry; anybody may send it.
    pub async fn suspend(&mut self, sender: &Wallet, council: &[NodeKey], kind: EntryKind, id: Hash256) -> Result<()> {
        let state = self.registry_state().await?;
        let id = HashBytes(id.0);
        let life = match kind {
            EntryKind::Image => state.images.get(&id).map(|image| &image.life),
            EntryKind::Model => state.models.get(&id).map(|model| &model.life),
        };
        let scheduled_at = life.context("the registry has no such entry")?.scheduled_at;
        let valid_until = self.chain.head().await?.utime.plus(DAY).0;
        let statement = Suspension {
            tag: SUSPENSION_TAG,
            global_id: self.chain.network().0,
            registry: self.registry().clone(),
            kind: kind as u8,
            id,
            scheduled_at,
            valid_until,
        };
        let hash = cell_hash(&statement.to_cell()?);
        let sign = |key: &NodeKey| (HashBytes(*key.public().as_bytes()), Signature { bytes: key.sign(&hash).0 });
        let body = SuspendEntry {
            query_id: 0,
            kind: kind as u8,
            id,
            valid_until,
            reason: "an emergency".to_owned(),
            signatures: council.iter().map(sign).collect(),
        };
        let message = OutMessage::new(self.registry().clone(), Nano::new(200_000_000)).body(body.to_cell()?);
        self.send(sender, message).await.context("suspending")
    }

    /// The whole way of a proposal: proposed by the first member, voted by all, executed after the timelock, in force after the
    /// activation delay. The days between pass by time travel.
    pub async fn approve(
        &mut self,
        members: &[&Wallet],
        approvals: &Approvals,
        mut say: impl FnMut(&str),
    ) -> Result<Decision> {
        let Some(proposer) = members.first() else { bail!("a DAO needs members") };
        let actions = self.bundle(approvals)?;
        let metadata = text_cell("Admit the first images and the first model of this network")?;
        let address = self.proposal_address(&actions, &metadata).await?;
        if !self.active(&address).await? {
            say("proposing");
            self.propose(proposer, actions, metadata).await.context("proposing")?;
        }
        let mut state = self.proposal_state(&address).await?;
        self.travel_to(state.starts_at).await?;
        state = self.proposal_state(&address).await?;
        if state.status == ACTIVE {
            say("voting");
            for member in members {
                self.vote(member, &address, &state).await.context("voting")?;
            }
            state = self.proposal_state(&address).await?;
        }
        if state.status != EXECUTED {
            say("waiting for the timelock");
            self.travel_to(state.executable_from).await?;
            state = self.proposal_state(&address).await?;
            ensure!(
                state.status == READY,
                "the proposal did not pass: {} nano for it, {} against it, {} needed",
                state.yes,
                state.no,
                state.quorum
            );
            say("executing");
            let body = Execute { query_id: 0 }.to_cell()?;
            let value = Nano::try_from(state.execute_value)?.saturating_add(Nano::new(100_000_000));
            self.send(proposer, OutMessage::new(address.clone(), value).body(body)).await.context("executing")?;
            state = self.proposal_state(&address).await?;
            ensure!(state.status == EXECUTED, "the proposal was not executed: its status is {}", state.status);
        }
        let registry = self.registry_state().await?;
        let models = registry.models.values().map(|m| m.life.active_from);
        let in_force = registry.images.values().map(|i| i.life.active_from).chain(models).max().unwrap_or_default();
        self.travel_to(in_force).await?;
        let (yes, total) = (Nano::try_from(state.yes)?, Nano::try_from(state.total_stake)?);
        Ok(Decision { proposal: address, state: "Executed", yes, total })
    }

    async fn proposal_address(&self, actions: &Cell, metadata: &Cell) -> Result<StdAddr> {
        let number = |cell: &Cell| BigInt::from_bytes_be(num_bigint::Sign::Plus, &cell_hash(cell).0);
        let call = governor::get_proposal_address(&number(actions), &number(metadata))?;
        Ok(governor::decode_proposal_address(call_getter(self.chain, self.governor(), &call).await?)?)
    }

    async fn propose(&mut self, wallet: &Wallet, actions: Cell, metadata: Cell) -> Result<()> {
        let (_, account) = self.stake_account(wallet.address())?;
        let snapshot = self.governor_state().await?.epoch;
        let bond = Nano::try_from(rules().proposal_bond)?;
        let body = Propose { query_id: 0, snapshot, actions, metadata }.to_cell()?;
        let value = bond.saturating_add(Nano::from_ton(1));
        self.send(wallet, OutMessage::new(account, value).body(body)).await
    }

    async fn vote(&mut self, wallet: &Wallet, address: &StdAddr, state: &ProposalState) -> Result<()> {
        let (_, account) = self.stake_account(wallet.address())?;
        let stack = call_getter(self.chain, &account, &stake_account::get_state()).await?;
        let stake: StakeState = stake_account::decode_state(stack)?;
        if stake.receipts.contains_key(address) {
            return Ok(());
        }
        let body = Vote {
            query_id: 0,
            proposal: address.clone(),
            snapshot: state.snapshot,
            receipt_until: state.last_end,
            support: 1,
        }
        .to_cell()?;
        self.send(wallet, OutMessage::new(account, Nano::from_ton(1)).body(body)).await
    }

    async fn travel_to(&self, time: u32) -> Result<()> {
        let now = self.chain.head().await?.utime.0;
        if time > now {
            self.chain.advance(Duration::from_secs(u64::from(time - now))).await?;
        }
        Ok(())
    }

    /// The owner's stake answers for a worker's key from now on.
    pub async fn register_worker(&mut self, wallet: &Wallet, key: &NodeKey) -> Result<()> {
        let (_, account) = self.stake_account(wallet.address())?;
        let nodes = call_getter(self.chain, &account, &stake_account::get_nodes()).await?;
        let nodes = stake_account::decode_nodes(nodes)?;
        let number = HashBytes(*key.public().as_bytes());
        if nodes.contains_key(&number) {
            return Ok(());
        }
        let proof = cocoon_node::stake::node_proof(self.chain.network(), &account, &key.public())?;
        let signature = key.sign(&cell_hash(&proof)).0;
        let body = RegisterNode { query_id: 0, key: number, bond: WORKER_BOND.into(), signature }.to_cell()?;
        self.send(wallet, OutMessage::new(account, Nano::new(200_000_000)).body(body)).await
    }

    /// Registers the operator's proxy with a bond, or tells where it listens now.
    pub async fn register_proxy(&mut self, wallet: &Wallet, key: &NodeKey, endpoint: &str) -> Result<()> {
        let number = HashBytes(*key.public().as_bytes());
        let state = self.registry_state().await?;
        let known = state.proxies.get(wallet.address());
        if known.is_some_and(|p| p.endpoint == endpoint && p.node_key == number && p.unbonding_at == 0) {
            return Ok(());
        }
        let signature = key.sign(&cell_hash(&self.proxy_proof(self.chain.network(), wallet.address(), key)?)).0;
        let endpoint = endpoint.to_owned();
        let (body, value) = if known.is_some() {
            let body = UpdateProxy { query_id: 0, add_bond: Tokens::ZERO, endpoint };
            (body.to_cell()?, Nano::new(200_000_000))
        } else {
            let bond = PROXY_BOND.into();
            let body = RegisterProxy { query_id: 0, node_key: number, bond, signature, endpoint };
            (body.to_cell()?, PROXY_BOND.saturating_add(Nano::from_ton(1)))
        };
        self.send(wallet, OutMessage::new(self.registry().clone(), value).body(body)).await
    }

    fn proxy_proof(&self, network: GlobalId, owner: &StdAddr, key: &NodeKey) -> Result<Cell> {
        let auth = ProxyAuth {
            tag: PROXY_AUTH_TAG,
            global_id: network.0,
            registry: self.registry().clone(),
            owner: owner.clone(),
            key: HashBytes(*key.public().as_bytes()),
        };
        Ok(auth.to_cell()?)
    }
}

/// A code by what addresses are computed from.
fn code(cell: &Cell) -> Code {
    Code { hash: *cell.repr_hash(), depth: cell.repr_depth() }
}

/// A short text in one cell.
fn text_cell(text: &str) -> Result<Cell> {
    let bits = u16::try_from(text.len() * 8).context("the text is too long for a cell")?;
    let mut b = CellBuilder::new();
    b.store_raw(text.as_bytes(), bits)?;
    Ok(b.build()?)
}
