//! Which network, which servers, and how patient to be.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cocoon_lite::BlockIdExt;
use cocoon_protocol::UnixSeconds;
use serde::Deserialize;
use tycho_types::cell::HashBytes;

/// A file that describes a network cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GlobalConfigError {
    /// The file is no such JSON.
    #[error("this is no global.config.json: {0}")]
    Json(#[from] serde_json::Error),
    /// A hash or a key is wrong.
    #[error("{what} in global.config.json is not 32 bytes in base64 or hex: {found:?}")]
    Bytes {
        /// Which field.
        what: &'static str,
        /// What is there.
        found: String,
    },
    /// There is nobody to ask.
    #[error("global.config.json names no liteserver with an IPv4 address and an Ed25519 key")]
    NoServers,
}

/// A liteserver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerAddress {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its Ed25519 key.
    pub key: [u8; 32],
}

/// A network, as a standard `global.config.json` describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GlobalConfig {
    /// Servers.
    pub servers: Vec<ServerAddress>,
    /// The beginning: what makes this network this one.
    pub zero_state: BlockIdExt,
    /// A block to start from; whoever wrote the file vouches for it.
    pub init_block: Option<BlockIdExt>,
}

impl GlobalConfig {
    /// Reads the file's text.
    pub fn from_json(text: &str) -> Result<Self, GlobalConfigError> {
        let file: File = serde_json::from_str(text)?;
        let mut servers = vec![];
        for server in &file.liteservers {
            // A file may name servers of kinds that this program cannot use; the others are enough.
            let Some(ip) = &server.ip else { continue };
            let ip = match ip {
                Ip::Number(ip) => match i32::try_from(*ip).map(i32::cast_unsigned).or_else(|_| u32::try_from(*ip)) {
                    Ok(ip) => IpAddr::V4(Ipv4Addr::from_bits(ip)),
                    Err(_) => continue,
                },
                Ip::Text(text) => match text.parse() {
                    Ok(ip) => ip,
                    Err(_) => continue,
                },
            };
            if server.id.kind != "pub.ed25519" {
                continue;
            }
            let key = bytes("the key of a liteserver", &server.id.key)?;
            servers.push(ServerAddress { address: (ip, server.port).into(), key });
        }
        if servers.is_empty() {
            return Err(GlobalConfigError::NoServers);
        }
        Ok(Self {
            servers,
            zero_state: file.validator.zero_state.id()?,
            init_block: file.validator.init_block.map(|block| block.id()).transpose()?,
        })
    }
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    liteservers: Vec<FileServer>,
    validator: FileValidator,
}

#[derive(Deserialize)]
struct FileServer {
    ip: Option<Ip>,
    port: u16,
    id: FileKey,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ip {
    /// The four bytes as one number, signed or not.
    Number(i64),
    Text(String),
}

#[derive(Deserialize)]
struct FileKey {
    #[serde(rename = "@type")]
    kind: String,
    key: String,
}

#[derive(Deserialize)]
struct FileValidator {
    zero_state: FileBlock,
    init_block: Option<FileBlock>,
}

#[derive(Deserialize)]
struct FileBlock {
    seqno: u32,
    root_hash: String,
    file_hash: String,
}

impl FileBlock {
    fn id(&self) -> Result<BlockIdExt, GlobalConfigError> {
        Ok(BlockIdExt {
            workchain: -1,
            shard: 1 << 63,
            seqno: self.seqno,
            root_hash: HashBytes(bytes("the root hash of a block", &self.root_hash)?),
            file_hash: HashBytes(bytes("the file hash of a block", &self.file_hash)?),
        })
    }
}

fn bytes(what: &'static str, text: &str) -> Result<[u8; 32], GlobalConfigError> {
    let bytes = if text.len() == 64 { hex::decode(text).ok() } else { STANDARD.decode(text).ok() };
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| GlobalConfigError::Bytes { what, found: text.chars().take(80).collect() })
}

/// Tells what time it is.
pub type Now = Arc<dyn Fn() -> UnixSeconds + Send + Sync>;

/// How a light client behaves.
#[derive(Clone)]
pub struct LightSettings {
    /// The network.
    pub network: GlobalConfig,
    /// Where the newest proven block is kept over restarts; none: it starts from the network's file every time.
    pub state_file: Option<PathBuf>,
    /// A server that has not answered after this time is passed over, and the next one asked.
    pub timeout: Duration,
    /// For how long the first contact is tried, and for how long nothing may come from any server before
    /// [`Chain::head`](crate::Chain::head) says so.
    pub patience: Duration,
    /// How often to ask for a new block if a server does not announce it.
    pub poll: Duration,
    /// For how long a server whose proof was false is asked only if there is no other.
    pub distrust: Duration,
    /// A server is behind if its newest block is this much older than the newest that is proven. Also the greatest age of the
    /// newest block, if there is a clock.
    pub max_lag: Duration,
    /// A clock that the network's time is compared with; none: the network's own time is the only one there is.
    pub clock: Option<Now>,
}

impl LightSettings {
    /// What suits a public network.
    pub const fn new(network: GlobalConfig) -> Self {
        Self {
            network,
            state_file: None,
            timeout: Duration::from_secs(5),
            patience: Duration::from_secs(60),
            poll: Duration::from_secs(1),
            distrust: Duration::from_secs(600),
            max_lag: Duration::from_secs(60),
            clock: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(server: &str) -> String {
        let hash = STANDARD.encode([7; 32]);
        format!(
            r#"{{"@type": "config.global", "dht": {{}}, "liteservers": [{server}], "validator": {{
                "@type": "validator.config.global",
                "zero_state": {{"workchain": -1, "shard": -9223372036854775808, "seqno": 0,
                    "root_hash": "{hash}", "file_hash": "{hash}"}},
                "init_block": {{"workchain": -1, "shard": -9223372036854775808, "seqno": 34835953,
                    "root_hash": "{hash}", "file_hash": "{hash}"}},
                "hardforks": [] }} }}"#
        )
    }

    #[test]
    fn a_standard_file_is_read() {
        let key = STANDARD.encode([9; 32]);
        let server =
            format!(r#"{{"ip": -2018135749, "port": 53312, "id": {{"@type": "pub.ed25519", "key": "{key}"}}}}"#);
        let config = GlobalConfig::from_json(&file(&server)).unwrap();
        assert_eq!(config.servers[0].address.to_string(), "135.181.177.59:53312");
        assert_eq!(config.servers[0].key, [9; 32]);
        assert_eq!(config.init_block.unwrap().seqno, 34_835_953);
        assert_eq!(config.zero_state.shard, 1 << 63);
    }

    #[test]
    fn a_file_without_servers_and_one_with_a_wrong_key_say_so() {
        let refused = GlobalConfig::from_json(&file("")).unwrap_err();
        assert!(matches!(refused, GlobalConfigError::NoServers));
        let server = r#"{"ip": 1, "port": 1, "id": {"@type": "pub.ed25519", "key": "AAAA"}}"#;
        let refused = GlobalConfig::from_json(&file(server)).unwrap_err();
        assert!(matches!(refused, GlobalConfigError::Bytes { .. }), "{refused}");
    }
}
