//! The toncenter v2 HTTP face: the methods that wallets, explorers and `@ton/ton`'s `TonClient` ask over HTTP, with the
//! names and forms that the public service gives them.
//!
//! [`server`] takes requests, as REST and as JSON-RPC; [`methods`] knows which method is which; the other modules each
//! answer for one subject. Nothing is proven here: whoever does not trust the server asks the liteserver.

mod accounts;
mod addresses;
mod blocks;
mod config;
mod error;
mod getter;
mod json;
mod located;
mod methods;
mod params;
mod send;
mod server;
mod stack;
mod tokens;
mod transactions;

pub use self::server::HttpFace;
