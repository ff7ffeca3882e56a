//! Every command against a network in this process, through the same layer that the program runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod adnl;
mod attest;
mod channel;
mod council;
mod dao;
mod devnet;
mod fault;
mod image;
mod input;
mod log;
mod money;
mod proxy;
mod receipt;
mod stake;
mod world;
