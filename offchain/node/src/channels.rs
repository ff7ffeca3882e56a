//! Payment channels on chain: read, open, claim, close.

use cocoon_chain::{AccountSnapshot, AccountStatus, Chain, NetworkConfig, OutMessage, StateInit, Trace, Wallet};
use cocoon_chain::{Cell, run_getter};
use cocoon_protocol::frame::ChannelTerms;
use cocoon_protocol::{Nano, Signature, SignedVoucher, StdAddr, UnixSeconds};
use cocoon_wrappers::generated::pay_channel::{self, Claim, CoopClose, Data, RequestClose, Settle, TopUp};
use tycho_types::cell::HashBytes;
use tycho_types::num::Tokens;

use crate::{ChannelError, nano};

/// Attached to every message for gas and forwarding; what is not used comes back.
pub const MESSAGE_VALUE: Nano = Nano::new(50_000_000);
/// Attached to a claim whose voucher carries evidence besides, for the registry and the node's record.
pub const EVIDENCE_VALUE: Nano = Nano::new(110_000_000);
/// Attached to the first top-up besides, for the storage reserve that the channel keeps.
pub const OPEN_VALUE: Nano = Nano::new(50_000_000);

/// A channel's state on chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChannelState {
    /// Everything that was ever deposited and not refunded.
    pub deposit: Nano,
    /// Everything that was ever paid out.
    pub claimed: Nano,
    /// When the challenge period ends, if the channel is closing.
    pub close_at: Option<UnixSeconds>,
    /// Number of settlements.
    pub epoch: u32,
}

/// State init and address that follow from a channel's terms and the bundled contract code (attack 25).
pub fn identify(terms: &ChannelTerms) -> Result<(StateInit, StdAddr), ChannelError> {
    let data = Data {
        terms: pay_channel::ChannelTerms {
            payer: terms.payer.clone(),
            payee: terms.payee.clone(),
            payer_key: HashBytes(*terms.payer_key.as_bytes()),
            payee_key: HashBytes(*terms.payee_key.as_bytes()),
            challenge: terms.challenge,
            salt: terms.salt,
            protocol_fee_bps: terms.protocol_fee_bps,
        }
        .to_cell()?,
        deposit: Tokens::ZERO,
        claimed: Tokens::ZERO,
        close_at: 0,
        epoch: 0,
    };
    Ok((pay_channel::state_init(&data)?, pay_channel::address(0, &data)?))
}

/// Reads a channel's state; `None` when it is not deployed.
pub async fn read(chain: &dyn Chain, address: &StdAddr) -> Result<Option<ChannelState>, ChannelError> {
    let (account, config) = (chain.account(address).await?, chain.config().await?);
    read_account(&account, &config)
}

/// The same on a state that is at hand.
pub fn read_account(account: &AccountSnapshot, config: &NetworkConfig) -> Result<Option<ChannelState>, ChannelError> {
    if account.status != AccountStatus::Active {
        return Ok(None);
    }
    let stack = run_getter(account, config, &pay_channel::get_state())?.stack;
    let state = pay_channel::decode_state(stack)?;
    Ok(Some(ChannelState {
        deposit: nano(state.deposit)?,
        claimed: nano(state.claimed)?,
        close_at: (state.close_at != 0).then_some(UnixSeconds(state.close_at)),
        epoch: state.epoch,
    }))
}

async fn send(wallet: &Wallet, chain: &dyn Chain, message: OutMessage) -> Result<Trace, ChannelError> {
    let trace = wallet.send_and_confirm(chain, &[message]).await?;
    trace.ok().map_err(Box::new)?;
    Ok(trace)
}

/// Adds to the deposit; the first time, with the state init, it creates the channel.
pub async fn top_up(
    wallet: &Wallet,
    chain: &dyn Chain,
    terms: &ChannelTerms,
    amount: Nano,
    first: bool,
) -> Result<Trace, ChannelError> {
    let (init, address) = identify(terms)?;
    let body = TopUp { query_id: 0, amount: amount.into() }.to_cell()?;
    let fees = if first { MESSAGE_VALUE.saturating_add(OPEN_VALUE) } else { MESSAGE_VALUE };
    let mut message = OutMessage::new(address, amount.saturating_add(fees)).body(body);
    if first {
        message = message.state_init(init);
    }
    send(wallet, chain, message).await
}

/// Claims what the voucher promises. Anybody may; only the payee is paid.
pub async fn claim(wallet: &Wallet, chain: &dyn Chain, voucher: &SignedVoucher) -> Result<Trace, ChannelError> {
    let cell = voucher.voucher.to_cell()?;
    let body = Claim { query_id: 0, signature: voucher.signature.0, voucher: cell }.to_cell()?;
    let evidence = if voucher.voucher.evidence.is_some() { EVIDENCE_VALUE } else { Nano::ZERO };
    let value = MESSAGE_VALUE.saturating_add(evidence);
    send(wallet, chain, OutMessage::new(voucher.voucher.channel.clone(), value).body(body)).await
}

/// The payer starts the challenge period.
pub async fn request_close(wallet: &Wallet, chain: &dyn Chain, channel: &StdAddr) -> Result<Trace, ChannelError> {
    let body = RequestClose { query_id: 0 }.to_cell()?;
    send(wallet, chain, OutMessage::new(channel.clone(), MESSAGE_VALUE).body(body)).await
}

/// After the challenge period: the rest of the deposit goes to the payer, whoever asks.
pub async fn settle(wallet: &Wallet, chain: &dyn Chain, channel: &StdAddr) -> Result<Trace, ChannelError> {
    let body = Settle { query_id: 0 }.to_cell()?;
    send(wallet, chain, OutMessage::new(channel.clone(), MESSAGE_VALUE).body(body)).await
}

/// Settles at once with the payee's consent.
pub async fn close_with_consent(
    wallet: &Wallet,
    chain: &dyn Chain,
    channel: &StdAddr,
    consent: Cell,
    signature: Signature,
) -> Result<Trace, ChannelError> {
    let body = CoopClose { query_id: 0, signature: signature.0, auth: consent }.to_cell()?;
    send(wallet, chain, OutMessage::new(channel.clone(), MESSAGE_VALUE).body(body)).await
}
