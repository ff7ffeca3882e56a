//! What a guest image measures to on Intel TDX.
//!
//! Two ways lead to the same registers. [`measure`] predicts them from the files of an image, before it ever runs;
//! [`log`] and [`replay`] compute them from the event log of a machine that did run, and name the first event that differs. Which figures
//! are proven against published ones, and which only follow the documents, is written in docs/image.md.

mod bytes;
pub mod digest;
pub mod log;
pub mod measure;
pub mod replay;

pub use digest::{Digest384, Register};
pub use log::{EventLog, LogError};
pub use replay::{Misfit, first_misfit, replay};
