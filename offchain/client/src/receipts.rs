//! Receipts of the latest answers, for applications that ask for them afterwards.

use std::collections::VecDeque;
use std::sync::Arc;

use cocoon_receipt::{Bundle, CollectError};
use tokio::sync::{Mutex, OnceCell};

use crate::{Client, Finished};

/// Answers that are remembered.
const KEPT: usize = 256;

/// An answer, and its bundle once somebody has asked for it: what is proven must be as it was soon after the answer.
struct Kept {
    id: String,
    finished: Box<Finished>,
    bundle: OnceCell<Bundle>,
}

/// The latest answers by the id of their completion; a bounded number.
#[derive(Default)]
pub struct Receipts(Mutex<VecDeque<Arc<Kept>>>);

impl Receipts {
    /// Remembers an answer and forgets the oldest one.
    pub async fn keep(&self, id: String, finished: Box<Finished>) {
        let mut kept = self.0.lock().await;
        kept.retain(|other| other.id != id);
        kept.push_back(Arc::new(Kept { id, finished, bundle: OnceCell::new() }));
        while kept.len() > KEPT {
            kept.pop_front();
        }
    }

    /// The bundle of an answer; `None` if it is not remembered.
    pub async fn bundle(&self, client: &Client, id: &str) -> Option<Result<Bundle, CollectError>> {
        let found = self.0.lock().await.iter().find(|kept| kept.id == id).cloned()?;
        Some(found.bundle.get_or_try_init(|| client.bundle(&found.finished)).await.cloned())
    }
}
