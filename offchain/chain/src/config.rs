//! The configuration of a network.

use cocoon_protocol::{GlobalId, Nano};
use tycho_types::boc::Boc;
use tycho_types::cell::Cell;
use tycho_types::error::Error;
use tycho_types::models::{BlockchainConfigParams, GasLimitsPrices, MsgForwardPrices, SizeLimitsConfig};

/// The newest TVM version whose rules this program knows.
pub const KNOWN_TVM_VERSION: u32 = 12;

/// The limits of a network that sets none.
const DEFAULT_LIMITS: SizeLimitsConfig = SizeLimitsConfig {
    max_msg_bits: 1 << 21,
    max_msg_cells: 1 << 13,
    max_library_cells: 1000,
    max_vm_data_depth: 512,
    max_ext_msg_size: 65535,
    max_ext_msg_depth: 512,
    max_acc_state_cells: 1 << 16,
    max_acc_state_bits: (1 << 16) * 1023,
    max_acc_public_libraries: 256,
    defer_out_queue_size_limit: 256,
};

/// A configuration cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConfigError {
    /// The bytes are no bag of cells.
    #[error("the network configuration is not a bag of cells: {0}")]
    Boc(String),
    /// A parameter is missing or malformed.
    #[error("parameter {param} of the network configuration cannot be read: {source}")]
    Param {
        /// Number of the parameter.
        param: u32,
        /// What is wrong.
        #[source]
        source: Error,
    },
}

/// Prices, limits and rules of a network, read once.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    params: BlockchainConfigParams,
    global_id: GlobalId,
    tvm_version: u32,
    gas: GasLimitsPrices,
    forward: MsgForwardPrices,
    limits: SizeLimitsConfig,
}

impl NetworkConfig {
    /// Reads the dictionary of parameters, as a bag of cells.
    pub fn from_boc(boc: &[u8]) -> Result<Self, ConfigError> {
        Self::from_cell(Boc::decode(boc).map_err(|e| ConfigError::Boc(e.to_string()))?)
    }

    /// Reads the dictionary of parameters; `root` is its root cell. The network id must be among them.
    pub fn from_cell(root: Cell) -> Result<Self, ConfigError> {
        Self::read(root, None)
    }

    /// Reads the dictionary of parameters of this network. Not every network's configuration says which it is: mainnet's does
    /// not, and one knows it from its blocks.
    pub fn of_network(network: GlobalId, root: Cell) -> Result<Self, ConfigError> {
        Self::read(root, Some(network))
    }

    fn read(root: Cell, network: Option<GlobalId>) -> Result<Self, ConfigError> {
        let params = BlockchainConfigParams::from_raw(root);
        let param = |param| move |source| ConfigError::Param { param, source };
        let global_id = match network {
            Some(network) if !params.contains_raw(19).map_err(param(19))? => network,
            _ => GlobalId(params.get_global_id().map_err(param(19))?),
        };
        Ok(Self {
            global_id,
            tvm_version: params.get_global_version().map_err(param(8))?.version,
            gas: params.get_gas_prices(false).map_err(param(21))?,
            forward: params.get_msg_forward_prices(false).map_err(param(25))?,
            limits: match params.get_raw_cell(43).map_err(param(43))? {
                Some(cell) => cell.parse().map_err(param(43))?,
                None => DEFAULT_LIMITS,
            },
            params,
        })
    }

    /// The network id (parameter 19, if it is there).
    pub const fn global_id(&self) -> GlobalId {
        self.global_id
    }

    /// Version of the TVM's rules (parameter 8).
    pub const fn tvm_version(&self) -> u32 {
        self.tvm_version
    }

    /// The version of the rules, if it is newer than what this program knows: getters may then give other results than
    /// the network does.
    pub fn unknown_tvm_version(&self) -> Option<u32> {
        (self.tvm_version > KNOWN_TVM_VERSION).then_some(self.tvm_version)
    }

    /// All parameters.
    pub const fn params(&self) -> &BlockchainConfigParams {
        &self.params
    }

    /// Limits on messages and states (parameter 43).
    pub const fn limits(&self) -> &SizeLimitsConfig {
        &self.limits
    }

    /// What this much gas costs in the basechain (parameter 21).
    pub fn gas_fee(&self, gas: u64) -> Nano {
        Nano::try_from(self.gas.compute_gas_fee(gas)).unwrap_or(Nano::MAX)
    }

    /// What it costs to forward an internal message whose body and state init have this many cells and bits, the root
    /// cell not counted (parameter 25).
    pub fn forward_fee(&self, cells: u64, bits: u64) -> Nano {
        let stats = tycho_types::cell::CellTreeStats { bit_count: bits, cell_count: cells };
        Nano::try_from(self.forward.compute_fwd_fee(stats)).unwrap_or(Nano::MAX)
    }
}
