//! TDX quotes, collateral, policy, measurements and the simulated platform.
