//! An embedded TON network: real TVM, internal messages, fees, block clock, faucet and time travel.
