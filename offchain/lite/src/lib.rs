//! What liteservers and their clients say to each other: the `lite_api` TL schema, and ADNL over TCP.
//!
//! [`Query`] and [`Answer`] are all questions and answers; each can be written and read, so that the same types serve both
//! sides. [`Frame`] is what travels inside of an ADNL connection: pings, and questions and answers with an identifier.
//! [`Connection`] is the connection itself, made by either side.
//!
//! Bytes from a peer give an error when they are wrong, never a panic, and never an allocation many times larger than themselves.
//!
//! ```
//! use cocoon_lite::{Answer, Query, answers, queries};
//!
//! let bytes = Query::GetTime(queries::GetTime {}).to_bytes();
//! assert_eq!(Query::from_bytes(&bytes)?, Query::GetTime(queries::GetTime {}));
//! let answer = Answer::CurrentTime(answers::CurrentTime { now: 1_760_000_000 }).to_bytes();
//! assert!(matches!(Answer::from_bytes(&answer)?, Answer::CurrentTime(time) if time.now == 1_760_000_000));
//! # Ok::<(), cocoon_lite::TlError>(())
//! ```

mod adnl;
pub mod answers;
pub mod codec;
pub mod frame;
mod macros;
pub mod queries;
pub mod types;

pub use self::adnl::{Connection, ConnectionError, MAX_FRAME, ServerKey};
pub use self::answers::Answer;
pub use self::codec::{Reader, Tl, TlError};
pub use self::frame::{Frame, Request, unwrap_query, wrap_query};
pub use self::queries::Query;
pub use self::types::{AccountId, BlockId, BlockIdExt, ZeroStateIdExt};
