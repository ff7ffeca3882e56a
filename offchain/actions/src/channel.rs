//! Payment channels: opened and closed by the payer, claimed by the payee, found again in a wallet's history.

use std::collections::BTreeSet;

use cocoon_chain::{
    AccountStatus, Cell, Chain, MessageKind, MessageRecord, OutMessage, StateInit, cell_hash, run_getter,
};
use cocoon_protocol::{CloseAuth, Hash256, Nano, NodeKey, NodePublicKey, Signature, StdAddr};
use cocoon_wrappers::generated::pay_channel::{
    self, ChannelLimits, ChannelState, ChannelTerms, Claim, ClosingStarted, CoopClose, Data, Paid, Refunded,
    RequestClose, Settle, TopUp, Voucher,
};
use tycho_types::cell::HashBytes;
use tycho_types::num::Tokens;

use crate::plan::Purpose;
use crate::system::nano;
use crate::{ActionError, Plan, System};

/// Attached to every message for gas.
const GAS: Nano = Nano::new(50_000_000);
/// Attached besides when a voucher carries evidence, for the registry and the node's record.
const EVIDENCE_GAS: Nano = Nano::new(150_000_000);
/// First word of a voucher: ASCII `VCH1`.
const VOUCHER_TAG: u32 = 0x5643_4831;
/// What a new channel keeps for its storage.
const RESERVE: Nano = Nano::new(50_000_000);
/// Most transactions of a wallet that are searched for channels.
const SEARCH: usize = 10_000;
/// Transactions asked for at once.
const PAGE: usize = 100;

/// What the parties of a channel agree on for its whole life.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Gets the refund; alone may close.
    pub payer: StdAddr,
    /// Gets the claims.
    pub payee: StdAddr,
    /// Signs vouchers.
    pub payer_key: NodePublicKey,
    /// Signs consents to close.
    pub payee_key: NodePublicKey,
    /// Seconds from the request to close until settlement.
    pub challenge: u32,
    /// Tells channels of one pair apart.
    pub salt: u64,
    /// Part of every claim that burns, in hundredths of a percent, for the channel's whole life.
    pub protocol_fee_bps: u16,
}

impl Terms {
    /// State init and address that follow from the terms and the bundled contract code (attack 25).
    pub fn identify(&self) -> Result<(StateInit, StdAddr), ActionError> {
        let data = Data {
            terms: ChannelTerms {
                payer: self.payer.clone(),
                payee: self.payee.clone(),
                payer_key: HashBytes(*self.payer_key.as_bytes()),
                payee_key: HashBytes(*self.payee_key.as_bytes()),
                challenge: self.challenge,
                salt: self.salt,
                protocol_fee_bps: self.protocol_fee_bps,
            }
            .to_cell()?,
            deposit: Tokens::ZERO,
            claimed: Tokens::ZERO,
            close_at: 0,
            epoch: 0,
        };
        Ok((pay_channel::state_init(&data)?, pay_channel::address(0, &data)?))
    }
}

/// The bounds that the contract sets itself, asked of its own code.
async fn limits(chain: &dyn Chain, terms: &Terms) -> Result<ChannelLimits, ActionError> {
    let (init, address) = terms.identify()?;
    let (config, head) = (chain.config().await?, chain.head().await?);
    let account = cocoon_chain::AccountSnapshot::hypothetical(address, init, Nano::ZERO, head);
    Ok(pay_channel::decode_limits(run_getter(&account, &config, &pay_channel::get_limits())?.stack)?)
}

/// Creates a channel with its first deposit.
pub async fn open(system: &System, terms: &Terms, deposit: Nano) -> Result<Plan, ActionError> {
    if deposit.is_zero() {
        return Err(ActionError::invalid("deposit", "a channel begins with a deposit"));
    }
    if terms.payer == terms.payee {
        return Err(ActionError::invalid("payee", "payer and payee are the same account"));
    }
    let limits = limits(system.chain().as_ref(), terms).await?;
    if !(limits.min_challenge..=limits.max_challenge).contains(&terms.challenge) {
        let (least, most) = (limits.min_challenge, limits.max_challenge);
        let why = format!("{} s is not between {least} s and {most} s", terms.challenge);
        return Err(ActionError::invalid("challenge period", why));
    }
    if terms.protocol_fee_bps > limits.max_fee_bps {
        let why = format!(
            "{} hundredths of a percent are more than the contract's {}",
            terms.protocol_fee_bps, limits.max_fee_bps
        );
        return Err(ActionError::invalid("protocol fee", why));
    }
    let (init, address) = terms.identify()?;
    if system.chain().account(&address).await?.status == AccountStatus::Active {
        let why = format!("{address} exists already with these terms; top it up, or take another --salt");
        return Err(ActionError::invalid("channel", why));
    }
    let body = TopUp { query_id: 0, amount: deposit.into() }.to_cell()?;
    let message = OutMessage::new(address.clone(), Nano::ZERO).body(body).state_init(init);
    let parts = [(Purpose::Deposit, deposit), (Purpose::Storage, RESERVE), (Purpose::Gas, GAS)];
    Ok(Plan::single(format!("open channel {address} to {} with {deposit}", terms.payee), message, &parts))
}

/// Adds to a channel's deposit.
pub async fn top_up(system: &System, channel: &StdAddr, amount: Nano) -> Result<Plan, ActionError> {
    let state = system.channel(channel).await?;
    if amount.is_zero() {
        return Err(ActionError::invalid("amount", "a top-up of nothing"));
    }
    if state.close_at != 0 {
        return Err(ActionError::invalid("channel", "it is closing, and takes no deposits until it is settled"));
    }
    let body = TopUp { query_id: 0, amount: amount.into() }.to_cell()?;
    let message = OutMessage::new(channel.clone(), Nano::ZERO).body(body);
    Ok(Plan::single(
        format!("add {amount} to channel {channel}"),
        message,
        &[(Purpose::Deposit, amount), (Purpose::Gas, GAS)],
    ))
}

/// A voucher as the payer has signed it: the very cell, whatever evidence is in it, and the signature over its hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedVoucher {
    /// The cell.
    pub cell: Cell,
    /// What it says.
    pub voucher: Voucher,
    /// The payer's signature.
    pub signature: Signature,
}

impl SignedVoucher {
    /// Reads a voucher.
    pub fn new(cell: Cell, signature: Signature) -> Result<Self, ActionError> {
        let voucher = Voucher::from_cell(&cell)?;
        if voucher.tag != VOUCHER_TAG {
            return Err(ActionError::invalid("voucher", "this is another kind of signed cell"));
        }
        Ok(Self { cell, voucher, signature })
    }

    /// A voucher without evidence, as a payer makes it by hand.
    pub fn sign(
        system: &System,
        channel: &StdAddr,
        cumulative: Nano,
        valid_until: u32,
        key: &NodeKey,
    ) -> Result<Self, ActionError> {
        let voucher = Voucher {
            tag: VOUCHER_TAG,
            global_id: system.chain().network().0,
            channel: channel.clone(),
            cumulative: cumulative.into(),
            valid_until,
            evidence: None,
        };
        let cell = voucher.to_cell()?;
        let signature = key.sign(&cell_hash(&cell));
        Ok(Self { cell, voucher, signature })
    }
}

/// Pays the payee what a voucher promises. Anybody may send it. Evidence in it goes on to the registry.
pub async fn claim(system: &System, signed: &SignedVoucher) -> Result<Plan, ActionError> {
    let (voucher, network) = (&signed.voucher, system.chain().network());
    let channel = &voucher.channel;
    let state = system.channel(channel).await?;
    if voucher.global_id != network.0 {
        let why = format!("it is for network {}, and this is {network}", voucher.global_id);
        return Err(ActionError::invalid("voucher", why));
    }
    let payer = key("payer key", state.payer_key)?;
    payer.verify(&cell_hash(&signed.cell), &signed.signature).map_err(|e| ActionError::invalid("voucher", e))?;
    let now = system.chain().head().await?.utime.0;
    if voucher.valid_until != 0 && voucher.valid_until <= now {
        return Err(ActionError::invalid("voucher", format!("it expired at {}", voucher.valid_until)));
    }
    let pays = claimable(&state, voucher);
    if pays.is_zero() {
        let why = format!(
            "it promises {} in all, of which {} is claimed already, and {} is deposited",
            nano(voucher.cumulative),
            nano(state.claimed),
            nano(state.deposit)
        );
        return Err(ActionError::invalid("voucher", why));
    }
    let body = Claim { query_id: 0, signature: signed.signature.0, voucher: signed.cell.clone() }.to_cell()?;
    let message = OutMessage::new(channel.clone(), Nano::ZERO).body(body);
    let fee = fee(&state, pays);
    let what = match fee.is_zero() {
        true => format!("claim {pays} from channel {channel} for {}", state.payee),
        false => {
            format!("claim {pays} from channel {channel} for {}, of which {fee} burns as the agreed fee", state.payee)
        }
    };
    let gas = if voucher.evidence.is_some() { GAS.saturating_add(EVIDENCE_GAS) } else { GAS };
    Ok(Plan::single(what, message, &[(Purpose::Gas, gas)]))
}

/// What a voucher is worth now, before the fee.
pub fn claimable(state: &ChannelState, voucher: &Voucher) -> Nano {
    nano(voucher.cumulative).min(nano(state.deposit)).saturating_sub(nano(state.claimed))
}

/// What burns of a claim, by the channel's terms.
pub fn fee(state: &ChannelState, amount: Nano) -> Nano {
    let part = u128::from(amount.get()) * u128::from(state.protocol_fee_bps) / 10_000;
    // At most a fifth of the amount.
    u64::try_from(part).map_or(amount, Nano::new)
}

/// The payer starts the challenge period.
pub async fn request_close(system: &System, channel: &StdAddr, sender: &StdAddr) -> Result<Plan, ActionError> {
    let state = system.channel(channel).await?;
    if state.payer != *sender {
        return Err(ActionError::invalid("wallet", format!("only the payer {} may close the channel", state.payer)));
    }
    if state.close_at != 0 {
        let why = format!("it is closing already, and can be settled from {} on", state.close_at);
        return Err(ActionError::invalid("channel", why));
    }
    let message = OutMessage::new(channel.clone(), Nano::ZERO).body(RequestClose { query_id: 0 }.to_cell()?);
    let what = format!("close channel {channel}: after {} s it can be settled", state.challenge);
    Ok(Plan::single(what, message, &[(Purpose::Gas, GAS)]))
}

/// After the challenge period the rest of the deposit goes to the payer, whoever asks.
pub async fn settle(system: &System, channel: &StdAddr) -> Result<Plan, ActionError> {
    let state = system.channel(channel).await?;
    let now = system.chain().head().await?.utime.0;
    if state.close_at == 0 {
        return Err(ActionError::invalid("channel", "it is not closing; the payer has to request that first"));
    }
    if now < state.close_at {
        let why = format!("the challenge period goes on for another {} s", state.close_at - now);
        return Err(ActionError::invalid("channel", why));
    }
    let message = OutMessage::new(channel.clone(), Nano::ZERO).body(Settle { query_id: 0 }.to_cell()?);
    let what = format!("settle channel {channel}: {} returns to {}", unspent(&state), state.payer);
    Ok(Plan::single(what, message, &[(Purpose::Gas, GAS)]))
}

/// What the payee would sign to let the channel be settled at once.
pub fn consent(system: &System, channel: &StdAddr, state: &ChannelState) -> CloseAuth {
    let (global_id, channel) = (system.chain().network(), channel.clone());
    CloseAuth { global_id, channel, claimed: nano(state.claimed), epoch: state.epoch }
}

/// Settles at once with the payee's consent.
pub async fn coop_close(system: &System, consent: &CloseAuth, signature: &Signature) -> Result<Plan, ActionError> {
    let channel = &consent.channel;
    let state = system.channel(channel).await?;
    if *consent != self::consent(system, channel, &state) {
        let why = "something was claimed since it was signed, or the channel was settled, or it is for another network; \
                   ask the payee for a new one";
        return Err(ActionError::invalid("consent", why));
    }
    let payee = key("payee key", state.payee_key)?;
    consent.verify(&payee, signature).map_err(|e| ActionError::invalid("consent", e))?;
    let auth = consent.to_cell().map_err(|e| ActionError::invalid("consent", e))?;
    let body = CoopClose { query_id: 0, signature: signature.0, auth }.to_cell()?;
    let message = OutMessage::new(channel.clone(), Nano::ZERO).body(body);
    let what = format!("settle channel {channel} at once: {} returns to {}", unspent(&state), state.payer);
    Ok(Plan::single(what, message, &[(Purpose::Gas, GAS)]))
}

/// What is deposited and not claimed.
pub fn unspent(state: &ChannelState) -> Nano {
    nano(state.deposit).saturating_sub(nano(state.claimed))
}

fn key(what: &'static str, bytes: HashBytes) -> Result<NodePublicKey, ActionError> {
    NodePublicKey::from_bytes(&bytes.0).map_err(|e| ActionError::invalid(what, e))
}

/// Channels that a wallet has to do with, found in its own history: those it paid into, and those that paid it or told it that
/// they close. Only accounts with the channel's code are returned.
pub async fn list(system: &System, wallet: &StdAddr) -> Result<Vec<(StdAddr, ChannelState)>, ActionError> {
    let mut found = BTreeSet::new();
    let (mut after, mut seen) = (0, 0);
    loop {
        let page = system.chain().transactions(wallet, after, PAGE).await?;
        for transaction in &page {
            found.extend(transaction.out_messages.iter().filter(|m| is_to_channel(m)).filter_map(|m| m.dst.clone()));
            found.extend(transaction.in_message.iter().filter(|m| is_from_channel(m)).filter_map(|m| m.src.clone()));
        }
        seen += page.len();
        match page.last() {
            Some(last) if page.len() == PAGE && seen < SEARCH => after = last.lt,
            _ => break,
        }
    }
    let mut channels = vec![];
    let config = system.chain().config().await?;
    for address in found {
        let account = system.chain().account(&address).await?;
        if account.status == AccountStatus::Active && account.has_code(&Hash256(pay_channel::CODE_HASH.0)) {
            let stack = run_getter(&account, &config, &pay_channel::get_state())?.stack;
            channels.push((address, pay_channel::decode_state(stack)?));
        }
    }
    Ok(channels)
}

fn is_to_channel(message: &MessageRecord) -> bool {
    const OPS: [u32; 5] = [TopUp::OP, Claim::OP, RequestClose::OP, Settle::OP, CoopClose::OP];
    message.kind == MessageKind::Internal && message.op().is_some_and(|op| OPS.contains(&op))
}

fn is_from_channel(message: &MessageRecord) -> bool {
    const OPS: [u32; 3] = [Paid::OP, Refunded::OP, ClosingStarted::OP];
    message.kind == MessageKind::Internal && message.op().is_some_and(|op| OPS.contains(&op))
}
