//! The cells of blocks and states: what a liteserver serves and a light client checks.
//!
//! Every [`Block`] becomes two: one of the basechain's only shard, and a masterchain block that commits to it. Both have the
//! same number. [`Chains::seal`] makes them and changes nothing; [`Chains::adopt`] makes them the newest.
//!
//! ```text
//!   basechain  n-1 ──▶ n                    n+1     imports what masterchain block n-1 let out
//!                  ╲    ╲ shard hash       ╱
//!   masterchain n-1 ─────▶ n ─────────────▶         imports what basechain block n let out, in the same tick
//! ```

mod contents;
pub(crate) mod queue;
mod stats;
mod update;
pub mod validator;

use cocoon_chain::Head;
use cocoon_protocol::UnixSeconds;
use tycho_types::boc::Boc;
use tycho_types::cell::{Cell, CellBuilder, Lazy, LazyExotic};
use tycho_types::dict::AugDict;
use tycho_types::error::Error;
use tycho_types::models::{
    Block as BlockCell, BlockExtra, BlockId, BlockInfo, BlockRef, BlockchainConfig, CurrencyCollection, KeyBlockRef,
    KeyMaxLt, McBlockExtra, McStateExtra, ShardAccounts, ShardDescription, ShardFeeCreated, ShardFees, ShardHashes,
    ShardIdent, ShardIdentFull, ShardStateUnsplit, ValueFlow,
};

use self::contents::{Before, Contents, describe};
use self::queue::{QueueInfo, Routed};
use self::stats::Stats;
use self::update::{Census, Staged};
use self::validator::Validators;
use crate::block::{Block, Part, Workchain};
use crate::libraries::Libraries;

/// A block of one chain, or its zerostate.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Its name.
    pub id: BlockId,
    /// Its root; of a zerostate, the state's.
    pub root: Cell,
    /// Its bytes.
    pub boc: Vec<u8>,
    /// The state after it.
    pub state: Cell,
    /// Logical time at which it ends.
    pub end_lt: u64,
    /// True for a key block. A zerostate counts as one.
    pub is_key: bool,
}

impl Sealed {
    /// The state from which a chain begins.
    pub fn zerostate(shard: ShardIdent, state: Cell) -> Self {
        let boc = Boc::encode(&state);
        let id = BlockId { shard, seqno: 0, root_hash: *state.repr_hash(), file_hash: Boc::file_hash(&boc) };
        Self { id, root: state.clone(), boc, state, end_lt: 0, is_key: true }
    }

    fn as_ref(&self) -> BlockRef {
        block_ref(&self.id, self.end_lt)
    }
}

fn block_ref(id: &BlockId, end_lt: u64) -> BlockRef {
    BlockRef { end_lt, seqno: id.seqno, root_hash: id.root_hash, file_hash: id.file_hash }
}

/// The blocks of both chains that belong together.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The basechain's.
    pub base: Sealed,
    /// The masterchain's.
    pub master: Sealed,
}

impl Pair {
    /// The one of a chain.
    pub const fn of(&self, chain: Workchain) -> &Sealed {
        match chain {
            Workchain::Base => &self.base,
            Workchain::Master => &self.master,
        }
    }
}

/// A sealed block, and what the chains are once they have it.
pub struct Next {
    /// The blocks.
    pub pair: Pair,
    base: Side,
    master: Side,
    extra: Extra,
    staged: [Staged; 2],
    taken: Vec<Routed>,
    /// Those of the session that begins after the block.
    validators: Option<Validators>,
    utime: UnixSeconds,
}

/// A chain at its newest block.
#[derive(Clone, Debug)]
struct Side {
    tip: BlockRef,
    state: Cell,
    accounts: ShardAccounts,
    queue: QueueInfo,
    /// What validators have earned so far.
    fees: CurrencyCollection,
}

/// What only the masterchain's state has.
#[derive(Clone, Debug)]
struct Extra {
    config: BlockchainConfig,
    prev_blocks: AugDict<u32, KeyMaxLt, KeyBlockRef>,
    last_key: Option<BlockRef>,
    tip_is_key: bool,
    global_balance: CurrencyCollection,
    stats: Stats,
    libraries: Libraries,
}

/// Both chains at their newest blocks.
pub struct Chains {
    base: Side,
    master: Side,
    extra: Extra,
    census: [Census; 2],
    /// Messages of the basechain's queue that the masterchain has taken, and the basechain does not know yet.
    taken: Vec<Routed>,
    validators: Validators,
    /// When the newest block was made.
    utime: UnixSeconds,
}

/// What both chains begin with.
pub struct Genesis {
    /// The network.
    pub global_id: i32,
    /// When it begins.
    pub utime: UnixSeconds,
    /// The basechain's accounts.
    pub accounts: ShardAccounts,
}

impl Genesis {
    /// The basechain's zerostate. The configuration names it, so that it cannot depend on the configuration.
    pub fn base(&self) -> Result<Sealed, Error> {
        let state = ShardStateUnsplit {
            global_id: self.global_id,
            shard_ident: ShardIdent::BASECHAIN,
            gen_utime: self.utime.0,
            min_ref_mc_seqno: u32::MAX,
            out_msg_queue_info: QueueInfo::default().to_cell()?,
            accounts: Lazy::new(&self.accounts)?,
            total_balance: self.accounts.root_extra().balance.clone(),
            ..Default::default()
        };
        Ok(Sealed::zerostate(ShardIdent::BASECHAIN, CellBuilder::build_from(&state)?))
    }

    /// The masterchain's zerostate.
    pub fn master(&self, base: &Sealed, config: BlockchainConfig, validators: &Validators) -> Result<Sealed, Error> {
        let shard = ShardDescription { gen_utime: self.utime.0, ..shard_description(&base.id) };
        let extra = McStateExtra {
            shards: ShardHashes::from_shards([(&ShardIdent::BASECHAIN, &shard)])?,
            config,
            validator_info: validators.info(false),
            prev_blocks: AugDict::new(),
            after_key_block: true,
            last_key_block: None,
            block_create_stats: None,
            global_balance: self.accounts.root_extra().balance.clone(),
        };
        let state = ShardStateUnsplit {
            global_id: self.global_id,
            shard_ident: ShardIdent::MASTERCHAIN,
            gen_utime: self.utime.0,
            min_ref_mc_seqno: u32::MAX,
            out_msg_queue_info: QueueInfo::default().to_cell()?,
            custom: Some(Lazy::new(&extra)?),
            ..Default::default()
        };
        Ok(Sealed::zerostate(ShardIdent::MASTERCHAIN, CellBuilder::build_from(&state)?))
    }
}

impl Side {
    fn read(sealed: &Sealed) -> Result<(Self, ShardStateUnsplit), Error> {
        let state = sealed.state.parse::<ShardStateUnsplit>()?;
        let side = Self {
            tip: sealed.as_ref(),
            state: sealed.state.clone(),
            accounts: state.load_accounts()?,
            queue: state.out_msg_queue_info.parse::<QueueInfo>()?,
            fees: state.total_validator_fees.clone(),
        };
        Ok((side, state))
    }
}

impl Chains {
    /// The chains at these blocks. `is_waiting` says of a message in the basechain's queue whether it is still to be
    /// delivered.
    pub(crate) fn read(tip: &Pair, is_waiting: impl Fn(&Routed) -> bool) -> Result<Self, Error> {
        let (base, _) = Side::read(&tip.base)?;
        let (master, state) = Side::read(&tip.master)?;
        let custom = state.load_custom()?.ok_or(Error::InvalidData)?;
        let mut taken = vec![];
        for entry in base.queue.queue.values() {
            let (_, entry) = entry?;
            let message = entry.out_msg_envelope.load()?.message.into_inner();
            let routed = Routed::new(&message)?.ok_or(Error::InvalidTag)?;
            if !is_waiting(&routed) {
                taken.push(routed);
            }
        }
        let validators = Validators::new(&custom.config.params, custom.validator_info.catchain_seqno)?;
        Ok(Self {
            census: [Census::new(&base.state), Census::new(&master.state)],
            base,
            master,
            extra: Extra {
                config: custom.config,
                prev_blocks: custom.prev_blocks,
                last_key: custom.last_key_block,
                tip_is_key: tip.master.is_key,
                global_balance: custom.global_balance,
                stats: custom.block_create_stats.unwrap_or_default(),
                libraries: state.libraries,
            },
            taken,
            validators,
            utime: UnixSeconds(state.gen_utime),
        })
    }

    /// The configuration as the newest state has it.
    pub const fn config(&self) -> &BlockchainConfig {
        &self.extra.config
    }

    /// Public libraries as the newest state has them.
    pub const fn libraries(&self) -> &Libraries {
        &self.extra.libraries
    }

    /// The cells of a block. A new configuration makes it a key block.
    pub fn seal(&self, block: &Block, config: Option<BlockchainConfig>) -> Result<Next, Error> {
        let [base_part, master_part] = block.parts.as_slice() else { return Err(Error::InvalidData) };
        let Head { seqno, utime, .. } = block.head;
        let chain_accounts = |chain| block.accounts.iter().filter(move |(address, _)| Workchain::of(address) == chain);

        let before = Before {
            accounts: &self.base.accounts,
            queue: &self.base.queue,
            taken: &self.taken,
            taken_lt: self.master.tip.end_lt,
            mc_seqno: self.master.tip.seqno,
        };
        let contents = describe(&before, base_part, chain_accounts(Workchain::Base))?;
        let imported = contents.delivered.clone();
        let flow = value_flow(&self.base, &contents, base_part, CurrencyCollection::ZERO)?;
        let base_fees = flow.fees_collected.clone();
        let (base, base_sealed, base_staged) =
            self.assemble(Workchain::Base, base_part, block, contents, flow, None)?;

        let is_key = seqno == 1 || config.is_some();
        let config = config.unwrap_or_else(|| self.extra.config.clone());
        // A session ends with a key block, and when its time is over.
        let lifetime = config.params.get_catchain_config()?.mc_catchain_lifetime.max(1);
        let is_over = is_key || utime.0 / lifetime > self.utime.0 / lifetime;
        let validators = match self.validators.catchain_seqno().checked_add(1) {
            Some(number) if is_over => Some(Validators::new(&config.params, number)?),
            _ => None,
        };
        let following = validators.as_ref().unwrap_or(&self.validators);
        let shard = ShardDescription {
            reg_mc_seqno: seqno,
            start_lt: base_part.start_lt,
            end_lt: base_part.end_lt,
            gen_utime: utime.0,
            min_ref_mc_seqno: self.master.tip.seqno,
            fees_collected: base_fees.clone(),
            nx_cc_updated: is_over,
            next_catchain_seqno: following.catchain_seqno(),
            ..shard_description(&base_sealed.id)
        };
        let shards = ShardHashes::from_shards([(&ShardIdent::BASECHAIN, &shard)])?;
        let mut fees = ShardFees::new();
        let imported_fees = ShardFeeCreated { fees: base_fees.clone(), create: CurrencyCollection::ZERO };
        fees.set(ShardIdentFull::from(ShardIdent::BASECHAIN), imported_fees.clone(), imported_fees)?;

        let before = Before {
            accounts: &self.master.accounts,
            queue: &self.master.queue,
            taken: &imported,
            taken_lt: base_part.end_lt,
            mc_seqno: seqno,
        };
        let contents = describe(&before, master_part, chain_accounts(Workchain::Master))?;
        let taken = contents.delivered.clone();
        let flow = value_flow(&self.master, &contents, master_part, base_fees)?;
        let mut extra = self.extra.clone();
        let prev = self.master.tip.clone();
        extra.prev_blocks.set(
            prev.seqno,
            KeyMaxLt { has_key_block: extra.tip_is_key, max_end_lt: prev.end_lt },
            KeyBlockRef { is_key_block: extra.tip_is_key, block_ref: prev.clone() },
        )?;
        if extra.tip_is_key {
            extra.last_key = Some(prev);
        }
        extra.tip_is_key = is_key;
        for part in &block.parts {
            let burned = CurrencyCollection::new(u128::from(part.burned.get()));
            extra.global_balance = extra.global_balance.checked_sub(&burned)?;
        }
        extra.config = config;
        extra.libraries = block.libraries.clone();
        let [of_master, of_base] = [true, false].map(|master| self.validators.creator(master, seqno));
        extra.stats = stats::count(&extra.stats, of_master, of_base, utime)?;
        let custom = McStateExtra {
            shards: shards.clone(),
            config: extra.config.clone(),
            validator_info: following.info(is_over),
            prev_blocks: extra.prev_blocks.clone(),
            after_key_block: is_key,
            last_key_block: extra.last_key.clone(),
            block_create_stats: Some(extra.stats.clone()),
            global_balance: extra.global_balance.clone(),
        };
        let in_block =
            McBlockExtra { shards, fees, config: is_key.then(|| extra.config.clone()), ..Default::default() };
        let (master, master_sealed, master_staged) =
            self.assemble(Workchain::Master, master_part, block, contents, flow, Some((custom, in_block)))?;
        Ok(Next {
            pair: Pair { base: base_sealed, master: master_sealed },
            base,
            master,
            extra,
            staged: [base_staged, master_staged],
            taken,
            validators,
            utime,
        })
    }

    /// Makes a sealed block the newest. It must come from the latest [`Chains::seal`].
    pub fn adopt(&mut self, next: Next) {
        for (census, staged) in self.census.iter_mut().zip(next.staged) {
            census.adopt(staged);
        }
        (self.base, self.master, self.extra, self.taken) = (next.base, next.master, next.extra, next.taken);
        self.utime = next.utime;
        if let Some(validators) = next.validators {
            self.validators = validators;
        }
    }

    fn side(&self, chain: Workchain) -> (&Side, &Census) {
        let [base, master] = &self.census;
        match chain {
            Workchain::Base => (&self.base, base),
            Workchain::Master => (&self.master, master),
        }
    }

    fn assemble(
        &self,
        chain: Workchain,
        part: &Part,
        block: &Block,
        contents: Contents,
        flow: ValueFlow,
        custom: Option<(McStateExtra, McBlockExtra)>,
    ) -> Result<(Side, Sealed, Staged), Error> {
        let Head { seqno, utime, .. } = block.head;
        let (side, census) = self.side(chain);
        let global_id = self.extra.config.params.get_global_id()?;
        let mut fees = side.fees.clone();
        fees.try_add_assign(&flow.fees_collected)?;
        let (state_extra, block_extra) = custom.unzip();
        let is_key = block_extra.as_ref().is_some_and(|extra| extra.config.is_some());
        let mc_tip = &self.master.tip;
        // The oldest masterchain block that this one's queue and references are reckoned by.
        let oldest = contents.queue.processed.map_or(u32::MAX, |upto| upto.mc_seqno);
        let min_ref_mc_seqno = oldest.min(mc_tip.seqno);
        let is_base = chain == Workchain::Base;
        let state = CellBuilder::build_from(ShardStateUnsplit {
            global_id,
            shard_ident: chain.shard(),
            seqno,
            gen_utime: utime.0,
            gen_lt: part.end_lt,
            min_ref_mc_seqno,
            out_msg_queue_info: contents.queue.to_cell()?,
            accounts: Lazy::new(&contents.accounts)?,
            total_balance: contents.accounts.root_extra().balance.clone(),
            total_validator_fees: fees.clone(),
            master_ref: is_base.then(|| mc_tip.clone()),
            libraries: if is_base { Libraries::new() } else { block.libraries.clone() },
            custom: state_extra.map(|extra| Lazy::new(&extra)).transpose()?,
            ..Default::default()
        })?;
        let (update, staged) = census.update(&side.state, &state)?;

        let mut info = BlockInfo {
            key_block: is_key,
            seqno,
            shard: chain.shard(),
            gen_utime: utime.0,
            start_lt: part.start_lt,
            end_lt: part.end_lt,
            gen_validator_list_hash_short: self.validators.hash_short(!is_base),
            gen_catchain_seqno: self.validators.catchain_seqno(),
            min_ref_mc_seqno,
            prev_key_block_seqno: self.last_key_seqno(),
            master_ref: is_base.then(|| Lazy::new(mc_tip)).transpose()?,
            ..Default::default()
        };
        info.set_gen_software(Some(self.extra.config.params.get_global_version()?));
        info.set_prev_ref_single(&side.tip);
        let extra = BlockExtra {
            in_msg_description: Lazy::new(&contents.in_msgs)?,
            out_msg_description: Lazy::new(&contents.out_msgs)?,
            account_blocks: Lazy::new(&contents.account_blocks)?,
            rand_seed: part.seed,
            created_by: self.validators.creator(!is_base, seqno),
            custom: block_extra.map(|extra| Lazy::new(&extra)).transpose()?,
        };
        let root = CellBuilder::build_from(BlockCell {
            global_id,
            info: Lazy::new(&info)?,
            value_flow: Lazy::new(&flow)?,
            state_update: LazyExotic::new(&update)?,
            out_msg_queue_updates: None,
            extra: Lazy::new(&extra)?,
        })?;
        let boc = Boc::encode(&root);
        let file_hash = Boc::file_hash(&boc);
        let id = BlockId { shard: chain.shard(), seqno, root_hash: *root.repr_hash(), file_hash };
        let end_lt = part.end_lt;
        let sealed = Sealed { id, root, boc, state: state.clone(), end_lt, is_key };
        let (accounts, queue) = (contents.accounts, contents.queue);
        Ok((Side { tip: sealed.as_ref(), state, accounts, queue, fees }, sealed, staged))
    }

    /// Number of the newest key block, or of the zerostate.
    pub fn last_key_seqno(&self) -> u32 {
        if self.extra.tip_is_key {
            self.master.tip.seqno
        } else {
            self.extra.last_key.as_ref().map_or(0, |key| key.seqno)
        }
    }
}

/// Where the money of a block comes from and goes to. Fails if it is not the same.
fn value_flow(
    before: &Side,
    contents: &Contents,
    part: &Part,
    fees_imported: CurrencyCollection,
) -> Result<ValueFlow, Error> {
    let mut fees_collected = contents.fees()?;
    fees_collected.try_add_assign(&fees_imported)?;
    let flow = ValueFlow {
        from_prev_block: before.accounts.root_extra().balance.clone(),
        to_next_block: contents.accounts.root_extra().balance.clone(),
        imported: contents.in_msgs.root_extra().value_imported.clone(),
        exported: contents.out_msgs.root_extra().clone(),
        fees_collected,
        burned: CurrencyCollection::new(u128::from(part.burned.get())),
        fees_imported,
        recovered: CurrencyCollection::ZERO,
        created: CurrencyCollection::ZERO,
        minted: CurrencyCollection::ZERO,
    };
    if flow.validate()? { Ok(flow) } else { Err(Error::InvalidData) }
}

/// A shard in which nothing has happened since the last masterchain block.
fn shard_description(id: &BlockId) -> ShardDescription {
    ShardDescription {
        seqno: id.seqno,
        reg_mc_seqno: 0,
        start_lt: 0,
        end_lt: 0,
        root_hash: id.root_hash,
        file_hash: id.file_hash,
        before_split: false,
        before_merge: false,
        want_split: false,
        want_merge: false,
        nx_cc_updated: false,
        next_catchain_seqno: 0,
        next_validator_shard: ShardIdent::PREFIX_FULL,
        min_ref_mc_seqno: u32::MAX,
        gen_utime: 0,
        split_merge_at: None,
        fees_collected: CurrencyCollection::ZERO,
        funds_created: CurrencyCollection::ZERO,
    }
}
