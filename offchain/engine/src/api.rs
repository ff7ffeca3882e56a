//! What a worker asks of an engine, and what it gets.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use cocoon_protocol::openai::request::{ChatCompletionRequest, ToolCall};
use cocoon_protocol::{Fault, FaultCode, ModelHash, Tokens, Usage};
use futures::Stream;
use futures::stream::BoxStream;
use serde_json::{Value, json};

/// An engine that answers chat requests with one model.
///
/// An implementation guarantees that one tenant's text, tokens and tool calls never reach another, at any concurrency up
/// to [`EngineInfo::concurrency`] (attack 89), and that a fault ends one request, not the others.
#[async_trait]
pub trait Engine: Send + Sync {
    /// What is being served.
    fn info(&self) -> &EngineInfo;

    /// Checks a request, counts its prompt and gives it a place in the queue. Nothing is generated before the answer's
    /// first event is asked for, so that the caller can wait for payment in between.
    ///
    /// The request's `model` is not looked at: an engine has one model, and names are the caller's business.
    ///
    /// # Errors
    /// [`EngineError::BadRequest`], [`EngineError::TooLong`], [`EngineError::Overloaded`] or [`EngineError::Failed`].
    async fn chat(&self, request: ChatCompletionRequest) -> Result<Answer, EngineError>;
}

/// What is being served.
#[derive(Clone, Debug)]
pub struct EngineInfo {
    /// The root hash of the model's files.
    pub model: ModelHash,
    /// Most tokens of prompt and completion together.
    pub context: Tokens,
    /// How many choices are generated at the same time: what the start's self-check has shown to be isolated.
    pub concurrency: usize,
    /// How many more requests may wait.
    pub queue: usize,
}

/// Known before anything is generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Tokens of the prompt with the chat template applied.
    pub prompt: Tokens,
    /// The most that will be sampled, over all choices. Never exceeded.
    pub max_completion: Tokens,
}

/// An answer: what it will cost at most, and its events.
///
/// Generation starts when the first event is asked for and runs ahead of the reader: the stream holds the whole answer,
/// so a slow reader delays nobody. Whoever releases text only against payment holds events back and **drops the answer**
/// when payment stops; that ends generation and frees the place within one token. A pause inside the engine would instead
/// let an idle client occupy a place.
pub struct Answer {
    accepted: Accepted,
    meter: Meter,
    events: BoxStream<'static, Result<Event, EngineError>>,
}

impl Answer {
    /// An answer with these events. `meter` counts what has been sampled, also of events that nobody read.
    pub fn new(accepted: Accepted, meter: Meter, events: BoxStream<'static, Result<Event, EngineError>>) -> Self {
        Self { accepted, meter, events }
    }

    /// The prompt's length and the most that will be sampled.
    pub fn accepted(&self) -> Accepted {
        self.accepted
    }

    /// Counts tokens where they are sampled; keep a copy to know the exact number after the answer was dropped.
    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }
}

impl Stream for Answer {
    type Item = Result<Event, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("accepted", &self.accepted).finish_non_exhaustive()
    }
}

/// A running count of sampled tokens, over all choices.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    /// Tokens sampled so far.
    pub fn sampled(&self) -> Tokens {
        Tokens(self.0.load(Ordering::Relaxed))
    }

    /// Adds `count` sampled tokens; for engines.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}

/// Something new in an answer. `completion` is the number of tokens sampled, over all choices, to get this far.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// New text. Empty when the tokens gave none yet, as inside a function call: then it tells the count, so that payment
    /// keeps up, and log probabilities if asked for.
    Text {
        /// Which choice, from 0.
        choice: u32,
        /// What comes next; never split inside a character.
        text: String,
        /// One per token since the last event, when the request asked for them.
        logprobs: Vec<TokenLogprob>,
        /// Tokens sampled so far.
        completion: Tokens,
    },
    /// A whole function call.
    ToolCall {
        /// Which choice, from 0.
        choice: u32,
        /// Place in the choice's list of calls, from 0.
        index: u32,
        /// The call.
        call: ToolCall,
        /// Tokens sampled so far.
        completion: Tokens,
    },
    /// A choice is complete.
    ChoiceFinished {
        /// Which choice, from 0.
        choice: u32,
        /// Why it ended.
        reason: FinishReason,
        /// Tokens sampled so far.
        completion: Tokens,
    },
    /// The last event.
    Finished {
        /// What the answer took.
        usage: Usage,
    },
}

/// Why a choice ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended it, or a stop string appeared.
    Stop,
    /// The limit of completion tokens.
    Length,
    /// The model calls a function.
    ToolCalls,
}

impl FinishReason {
    /// The API's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
        }
    }
}

/// The log probability of a sampled token, before temperature and penalties, with the likeliest alternatives.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    /// The sampled token.
    pub token: TokenChance,
    /// As many as the request asked for, likeliest first.
    pub top: Vec<TokenChance>,
}

/// A token and its natural-log probability.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenChance {
    /// The token as text; the replacement character where it is a part of a character.
    pub text: String,
    /// Natural logarithm of its probability; at least [`TokenChance::FLOOR`], since JSON has no −∞.
    pub logprob: f32,
}

impl TokenChance {
    /// Stands for "practically never", as in the OpenAI API.
    pub const FLOOR: f32 = -9999.0;

    fn to_json(&self) -> Value {
        json!({ "token": self.text, "logprob": self.logprob, "bytes": self.text.as_bytes() })
    }
}

/// The `logprobs` field of a chunk; `None` when there is nothing to say.
pub fn logprobs_json(logprobs: &[TokenLogprob]) -> Option<Value> {
    let entry = |l: &TokenLogprob| {
        let mut entry = l.token.to_json();
        if let Some(fields) = entry.as_object_mut() {
            fields.insert("top_logprobs".to_owned(), l.top.iter().map(TokenChance::to_json).collect());
        }
        entry
    };
    (!logprobs.is_empty()).then(|| json!({ "content": logprobs.iter().map(entry).collect::<Vec<_>>() }))
}

/// Why there is no answer, or no more of it. No message quotes a prompt or an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The prompt leaves no room in the model's context.
    #[error(
        "the prompt has at least {prompt} and leaves no room for an answer: the model's context is {context}; shorten it"
    )]
    TooLong {
        /// The prompt's length, or as much of it as was counted.
        prompt: Tokens,
        /// The model's context.
        context: Tokens,
    },
    /// A field of the request has a value that cannot be served.
    #[error("`{param}` {why}")]
    BadRequest {
        /// The field, as in `messages[2].content`.
        param: String,
        /// What is wrong with it and what would be right.
        why: String,
    },
    /// All places are taken and the queue is full.
    #[error("all places are taken and the queue is full; try again in {} ms", retry_after.as_millis())]
    Overloaded {
        /// When a place in the queue is likely to be free.
        retry_after: Duration,
    },
    /// The engine failed in this request; others are not affected.
    #[error("the engine failed: {why}")]
    Failed {
        /// What the engine said.
        why: String,
    },
}

impl EngineError {
    pub(crate) fn bad(param: impl Into<String>, why: impl Into<String>) -> Self {
        Self::BadRequest { param: param.into(), why: why.into() }
    }

    pub(crate) fn failed(why: impl Into<String>) -> Self {
        Self::Failed { why: why.into() }
    }
}

impl From<EngineError> for Fault {
    fn from(error: EngineError) -> Self {
        let text = error.to_string();
        match error {
            EngineError::TooLong { .. } => Self::new(FaultCode::ContextLengthExceeded, text).param("messages"),
            EngineError::BadRequest { param, .. } => Self::new(FaultCode::BadRequest, text).param(param),
            EngineError::Overloaded { retry_after } => {
                let ms = u32::try_from(retry_after.as_millis()).unwrap_or(u32::MAX);
                Self::new(FaultCode::Overloaded, text).retry_after_ms(ms)
            }
            // What the engine said is for the operator's log; a peer learns only that it failed.
            EngineError::Failed { .. } => Self::new(FaultCode::WorkerFailed, "the engine failed in this request"),
        }
    }
}
