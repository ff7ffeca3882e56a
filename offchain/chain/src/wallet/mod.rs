//! Wallets: contracts that send what their owner signs.

mod key;
mod layout;

use std::fmt;
use std::sync::Arc;

use cocoon_protocol::{GlobalId, Hash256, NodeKey, NodePublicKey, StdAddr, UnixSeconds};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tycho_types::cell::{Cell, CellBuilder};
use tycho_types::error::Error;
use tycho_types::models::{ExtInMsgInfo, MsgInfo, OwnedMessage, StateInit};

use crate::account::{AccountSnapshot, AccountStatus};
use crate::chain::{Chain, ChainError, Refusal};
use crate::getter::{GetterError, run_getter_on};
use crate::message::OutMessage;
use crate::trace::{Patience, Trace, TraceError, find_by_message, next_head};
use crate::transaction::TransactionRecord;

pub use key::{Mnemonic, MnemonicError};
pub use layout::WalletVersion;

/// For how long a signed message is good, in seconds of block time.
pub const VALIDITY: u32 = 60;

/// A wallet cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// The chain could not be asked, or it refused the message.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// What the message caused could not be followed. The message itself is on the chain: do not send it again.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The wallet's seqno cannot be read.
    #[error(transparent)]
    Getter(#[from] GetterError),
    /// The wallet is for another network.
    #[error("wallet {wallet} signs for network {own}, and this is network {other}")]
    WrongNetwork {
        /// Address of the wallet.
        wallet: StdAddr,
        /// The network it signs for.
        own: GlobalId,
        /// The network it was to send on.
        other: GlobalId,
    },
    /// More messages than the wallet can send at once.
    #[error("a {version} wallet sends at most {max} messages at once, not {count}")]
    TooMany {
        /// Kind of the wallet.
        version: WalletVersion,
        /// How many it can send.
        max: usize,
        /// How many it was to send.
        count: usize,
    },
    /// No block took the message before it expired; it never will.
    #[error("message {message} of wallet {wallet} expired at {valid_until} without being taken; send it again")]
    Expired {
        /// Address of the wallet.
        wallet: StdAddr,
        /// Hash of the message.
        message: Hash256,
        /// When it expired.
        valid_until: UnixSeconds,
    },
    /// It is not known whether a block took the message, because the network cannot be reached.
    #[error(
        "message {message} of wallet {wallet} was sent, and the network cannot be asked what became of it ({why}); \
         look at the wallet after {valid_until} before sending again"
    )]
    Unconfirmed {
        /// Address of the wallet.
        wallet: StdAddr,
        /// Hash of the message.
        message: Hash256,
        /// When it expires.
        valid_until: UnixSeconds,
        /// What the network said last.
        why: String,
    },
    /// A message does not fit its cells.
    #[error("a message of wallet {wallet} cannot be built: {why}")]
    Build {
        /// Address of the wallet.
        wallet: StdAddr,
        /// What is wrong.
        why: String,
    },
    /// The wallet's code or data could not be made.
    #[error("a {version} wallet cannot be made: {why}")]
    Layout {
        /// Kind of the wallet.
        version: WalletVersion,
        /// What is wrong.
        why: String,
    },
}

impl WalletError {
    /// Why the contract or the network did not accept the message, if that is what happened.
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Chain(ChainError::Refused(refusal)) => Some(refusal),
            _ => None,
        }
    }
}

/// A wallet and the key that it obeys. Clones are the same wallet: their sends follow each other.
#[derive(Clone)]
pub struct Wallet {
    inner: Arc<Inner>,
    patience: Patience,
}

struct Inner {
    key: NodeKey,
    version: WalletVersion,
    network: GlobalId,
    wallet_id: i32,
    address: StdAddr,
    state_init: StateInit,
    /// Held from reading the seqno until a block has the message that uses it.
    turn: Mutex<()>,
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wallet({} {})", self.inner.version, self.inner.address)
    }
}

impl Wallet {
    /// The wallet of a key in the basechain, with the number that wallet applications use: for V5R1 it contains the
    /// network id, so that nothing signed is valid on another network (attack 4); a V4R2 wallet has no such
    /// protection.
    pub fn new(key: NodeKey, version: WalletVersion, network: GlobalId) -> Result<Self, WalletError> {
        Self::with_wallet_id(key, version, network, version.default_wallet_id(network))
    }

    /// A wallet with any number; several wallets of one key differ in it.
    pub fn with_wallet_id(
        key: NodeKey,
        version: WalletVersion,
        network: GlobalId,
        wallet_id: i32,
    ) -> Result<Self, WalletError> {
        let layout = |why: String| WalletError::Layout { version, why };
        let state_init = layout::state_init(version, &key.public(), wallet_id).map_err(layout)?;
        let cell = CellBuilder::build_from(&state_init).map_err(|e| layout(e.to_string()))?;
        let address = StdAddr::new(0, *cell.repr_hash());
        let turn = Mutex::new(());
        let inner = Arc::new(Inner { key, version, network, wallet_id, address, state_init, turn });
        Ok(Self { inner, patience: Patience::default() })
    }

    /// The same wallet, waiting for the chain in another way.
    #[must_use]
    pub fn patient(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Where it is.
    pub fn address(&self) -> &StdAddr {
        &self.inner.address
    }

    /// What kind it is.
    pub fn version(&self) -> WalletVersion {
        self.inner.version
    }

    /// The number that distinguishes it from other wallets of the key.
    pub fn wallet_id(&self) -> i32 {
        self.inner.wallet_id
    }

    /// The network it signs for.
    pub fn network(&self) -> GlobalId {
        self.inner.network
    }

    /// The key it obeys.
    pub fn public_key(&self) -> NodePublicKey {
        self.inner.key.public()
    }

    /// Its code and initial data.
    pub fn state_init(&self) -> &StateInit {
        &self.inner.state_init
    }

    /// Number of the next message: 0 before the wallet is deployed.
    pub async fn seqno(&self, chain: &dyn Chain) -> Result<u32, WalletError> {
        self.seqno_of(chain, &chain.account(self.address()).await?).await
    }

    async fn seqno_of(&self, chain: &dyn Chain, account: &AccountSnapshot) -> Result<u32, WalletError> {
        if account.status != AccountStatus::Active {
            return Ok(0);
        }
        let call = cocoon_wrappers::GetterCall { name: "seqno", args: vec![] };
        let output = run_getter_on(chain, account, &call).await?;
        match output.stack.as_slice() {
            [cocoon_wrappers::StackValue::Int(seqno)] => u32::try_from(seqno)
                .map_err(|_| ChainError::malformed("wallet seqno", format!("{seqno} is not a 32-bit number")).into()),
            other => Err(ChainError::malformed("wallet seqno", format!("the getter returned {other:?}")).into()),
        }
    }

    /// Signs a message to the wallet that makes it send these, and returns it ready for [`Chain::send`]. `deploy` adds
    /// the wallet's code and data, which the first message needs.
    pub fn sign(
        &self,
        messages: &[OutMessage],
        seqno: u32,
        valid_until: UnixSeconds,
        deploy: bool,
    ) -> Result<Cell, WalletError> {
        let version = self.inner.version;
        let (max, count) = (version.max_messages(), messages.len());
        if count > max {
            return Err(WalletError::TooMany { version, max, count });
        }
        let build = |e: Error| WalletError::Build { wallet: self.address().clone(), why: e.to_string() };
        let unsigned =
            layout::unsigned_body(version, self.inner.wallet_id, seqno, valid_until, messages).map_err(build)?;
        let signature = self.inner.key.sign(&crate::cell_hash(&unsigned));
        let body = layout::signed_body(version, &unsigned, &signature).map_err(build)?;
        CellBuilder::build_from(OwnedMessage {
            info: MsgInfo::ExtIn(ExtInMsgInfo { dst: self.address().clone().into(), ..Default::default() }),
            init: deploy.then(|| self.inner.state_init.clone()),
            body: body.into(),
            layout: None,
        })
        .map_err(build)
    }

    /// Sends these messages and waits until the wallet's own transaction is in a block. What it caused may still be on
    /// its way.
    ///
    /// One message is signed, and only that one is sent, as often as it takes until it expires; so it happens at most
    /// once. Other sends of this wallet wait for their turn.
    pub async fn send(&self, chain: &dyn Chain, messages: &[OutMessage]) -> Result<TransactionRecord, WalletError> {
        if chain.network() != self.network() {
            let (wallet, own, other) = (self.address().clone(), self.network(), chain.network());
            return Err(WalletError::WrongNetwork { wallet, own, other });
        }
        let _turn = self.inner.turn.lock().await;
        let account = chain.account(self.address()).await?;
        let seqno = self.seqno_of(chain, &account).await?;
        let valid_until = chain.head().await?.utime.plus(VALIDITY);
        let signed = self.sign(messages, seqno, valid_until, account.status != AccountStatus::Active)?;
        let message = crate::cell_hash(&signed);
        let wallet = || self.address().clone();

        let mut heads = chain.subscribe();
        let start = Instant::now();
        let mut was_sent = false;
        loop {
            let sent = chain.send(signed.clone()).await;
            let expired = match chain.head().await {
                Ok(head) => head.utime > valid_until,
                Err(_) => false,
            };
            // Looked for after the time was read: what is not there now will never be, once it has expired.
            let found = find_by_message(chain, self.address(), account.last_trans_lt, &message).await;
            let why = match (found, sent) {
                (Ok(Some(transaction)), _) => return Ok(transaction),
                // Refused at the first attempt: nothing can be on its way.
                (Ok(None), Err(refused @ ChainError::Refused(_))) if !was_sent => return Err(refused.into()),
                (Ok(None), _) if expired => {
                    return Err(WalletError::Expired { wallet: wallet(), message, valid_until });
                }
                (Ok(None), Ok(_)) => {
                    was_sent = true;
                    "no block has it yet".to_owned()
                }
                (Ok(None), Err(e)) | (Err(e), _) => {
                    // A failed attempt may have reached the network all the same.
                    was_sent = true;
                    e.to_string()
                }
            };
            if start.elapsed() >= self.patience.give_up {
                return Err(WalletError::Unconfirmed { wallet: wallet(), message, valid_until, why });
            }
            next_head(&mut heads, self.patience).await;
        }
    }

    /// Sends these messages and follows everything that they cause to its end. Look at [`Trace::ok`]: a contract that
    /// refuses what it is sent is no error here.
    pub async fn send_and_confirm(&self, chain: &dyn Chain, messages: &[OutMessage]) -> Result<Trace, WalletError> {
        let transaction = self.send(chain, messages).await?;
        Ok(Trace::follow(chain, transaction, self.patience).await?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use cocoon_protocol::Nano;

    use super::*;
    use crate::message::MessageRecord;

    /// Words and addresses of the tests of the `tonlib-core` crate, made by wallet applications.
    const OF_V4R2: (&str, &str) = (
        "fancy carpet hello mandate penalty trial consider property top vicious exit rebuild tragic profit urban major \
         total month holiday sudden rib gather media vicious",
        "EQCDM_QGggZ3qMa_f3lRPk4_qLDnLTqdi6OkMAV2NB9r5TG3",
    );
    const OF_V5R1: (&str, &str) = (
        "section garden tomato dinner season dice renew length useful spin trade intact use universe what post spike \
         keen mandate behind concert egg doll rug",
        "UQDv2YSmlrlLH3hLNOVxC8FcQf4F9eGNs4vb2zKma4txo6i3",
    );

    #[test]
    fn addresses_are_those_of_wallet_applications() {
        for (version, (words, address)) in [(WalletVersion::V4R2, OF_V4R2), (WalletVersion::V5R1, OF_V5R1)] {
            let key = Mnemonic::new(words.to_owned()).key().unwrap();
            let wallet = Wallet::new(key, version, GlobalId::MAINNET).unwrap();
            let bounceable = address.starts_with('E');
            assert_eq!(wallet.address().display_base64_url(bounceable).to_string(), address);
        }
    }

    #[test]
    fn keys_are_those_of_wallet_applications() {
        // By `mnemonicToPrivateKey` of @ton/crypto 3.3.0.
        let keys = [
            (OF_V4R2.0, "15afb433b555fd7c1e9656a2293c40e15316307efef58fe6221d8bc6556897f7"),
            (OF_V5R1.0, "51ea5faa862652172a969254f03f457e305a120564b2b6fbb7b4215fb35e2002"),
        ];
        for (words, public) in keys {
            let key = |words: String| hex::encode(Mnemonic::new(words).key().unwrap().public().as_bytes());
            assert_eq!(key(words.to_owned()), public);
            assert_eq!(key(format!("\n {}\t", words.to_uppercase().replace(' ', " \n "))), public, "however written");
        }
    }

    /// Addresses and hashes of signed bodies by @ton/ton 16.3.0, of the key of 32 bytes 7: seqno 7, valid until
    /// 1 700 000 000, mode 3, the n-th message with value 1000 + n and the 32 bits n, bouncing if n is even.
    #[test]
    fn wallets_are_those_of_other_implementations() {
        use WalletVersion::{V4R2, V5R1};
        const KEY: [u8; 32] = [7; 32];
        const ON_MAINNET: &str = "949bc8af02b9eb02b449c4e11d594f4befd433c8c6b665967b60a9f9dbfff3d0";
        const ON_TESTNET: &str = "f4353ed65c960a639e4abc7f605cd8cebae5e841cbdc2fad2c3d0806eabf4c75";
        const ON_DEVNET: &str = "a395f4299525f3756aec1f80e86118687f7f25ebeda8295266659213415d799b";
        const OF_V4: &str = "2a6ee6b7ff41bfecafe383386325c7a895f4fe4ce346b18eb9c14a0152d6629c";
        let vectors = [
            (V4R2, GlobalId::MAINNET, OF_V4, 0, "5d48e8aec0843ae64a7f4c82f966d12977303a2a6b03eefc2af683c594d63854"),
            (V4R2, GlobalId::MAINNET, OF_V4, 1, "c4d93b5ecf3eb65c3bab17d99b443d99900b53ca7817f1f82a72401c5dfb5369"),
            (V4R2, GlobalId::DEVNET, OF_V4, 4, "a5df20f83e939c79b496fb776f50794c42ca20c75144bc90f7be70937fb6230a"),
            (
                V5R1,
                GlobalId::MAINNET,
                ON_MAINNET,
                1,
                "7ab6ac9998adbdbc14fdd3f97e79c714b56129a6010d0601e6090c9ef05377c9",
            ),
            (
                V5R1,
                GlobalId::MAINNET,
                ON_MAINNET,
                4,
                "354fb99ae92f5e7157042d5542fee6670c94ee010a2bf83a47915162d2c8b018",
            ),
            (
                V5R1,
                GlobalId::MAINNET,
                ON_MAINNET,
                255,
                "9de4e7bf18cf43dd5cf20dc4a541b2bd1ac8061cde668660226c37ed1ed7a5f0",
            ),
            (
                V5R1,
                GlobalId::TESTNET,
                ON_TESTNET,
                4,
                "69182ff6a72e2baaa39c661a0d384090ba11751dad70f72365f817ed9a5bc230",
            ),
            (V5R1, GlobalId::DEVNET, ON_DEVNET, 0, "0d0f55ca67e498b6b60ab38b7cb964a61946c3a6a7f498e7056a6f881d1def9e"),
            (V5R1, GlobalId::DEVNET, ON_DEVNET, 4, "fbe4b3c80636bf41c81032b099275f73841f1f2caeae07f4ae827a6b80b52780"),
        ];
        let message = |n: u32| {
            let mut body = CellBuilder::new();
            body.store_u32(n).unwrap();
            let message = OutMessage::new(StdAddr::new(0, [0x11; 32].into()), Nano::new(1000 + u64::from(n)));
            OutMessage { bounce: n.is_multiple_of(2), ..message.body(body.build().unwrap()) }
        };
        for (version, network, address, count, hash) in vectors {
            let wallet = Wallet::new(NodeKey::from_seed(&KEY), version, network).unwrap();
            assert_eq!(wallet.address().to_string(), format!("0:{address}"), "{version} on {network}");
            let messages: Vec<_> = (0..count).map(message).collect();
            let signed = wallet.sign(&messages, 7, UnixSeconds(1_700_000_000), false).unwrap();
            let body = MessageRecord::from_cell(&signed).unwrap().body;
            assert_eq!(crate::cell_hash(&body).to_string(), hash, "{count} messages of {version} on {network}");
        }
    }

    #[test]
    fn codes_are_the_published_ones() {
        let codes = [
            (WalletVersion::V4R2, "feb5ff6820e2ff0d9483e7e0d62c817d846789fb4ae580c878866d959dabd5c0"),
            (WalletVersion::V5R1, "20834b7b72b112147e1b2fb457b84e74d1a30f04f737d4f62a668e9552d2b72f"),
        ];
        for (version, hash) in codes {
            let wallet = Wallet::new(NodeKey::from_seed(&[7; 32]), version, GlobalId::MAINNET).unwrap();
            assert_eq!(crate::cell_hash(wallet.state_init().code.as_ref().unwrap()).to_string(), hash);
        }
    }

    #[test]
    fn attack_4_a_v5r1_wallet_is_another_one_on_every_network() {
        let ids =
            [(GlobalId::MAINNET, 0x7fff_ff11), (GlobalId::TESTNET, 0x7fff_fffd), (GlobalId::DEVNET, -0x3cb0_bcb2)];
        for (network, id) in ids {
            assert_eq!(WalletVersion::V5R1.default_wallet_id(network), id);
            assert_eq!(WalletVersion::V4R2.default_wallet_id(network), 698_983_191);
        }
    }

    #[test]
    fn attack_88_neither_words_nor_keys_are_printed() {
        let words = Mnemonic::new(OF_V5R1.0.to_owned());
        assert!(!format!("{words:?}").contains("garden"));
        let wallet = Wallet::new(NodeKey::from_seed(&[0xab; 32]), WalletVersion::V5R1, GlobalId::DEVNET).unwrap();
        assert!(!format!("{wallet:?}").contains("abab"));

        let with = |word| Mnemonic::new(OF_V5R1.0.replace("tomato", word)).key().unwrap_err();
        assert_eq!(with("s3cret"), MnemonicError::UnknownWord { position: 3 });
        assert!(!with("s3cret").to_string().contains("s3cret"));
        assert_eq!(with("garden"), MnemonicError::Checksum);
        assert_eq!(with(""), MnemonicError::WordCount { count: 23 });
    }
}
