//! Chunks of an answer: `chat.completion.chunk` objects.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::request::ToolCall;
use crate::price::Usage;
use crate::units::UnixSeconds;

/// One `chat.completion.chunk`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chunk {
    /// The same in all chunks of an answer.
    pub id: String,
    /// `chat.completion.chunk`.
    pub object: String,
    /// Seconds since 1970.
    pub created: u32,
    /// Name of the model.
    pub model: String,
    /// What is new, per choice; empty in the chunk that tells the usage.
    pub choices: Vec<ChunkChoice>,
    /// Only in the last chunk, for callers that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageObject>,
}

/// What is new in one choice.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct ChunkChoice {
    /// Which choice.
    pub index: u32,
    /// The new part.
    pub delta: Delta,
    /// Log probabilities of the new tokens.
    #[serde(default)]
    pub logprobs: Option<Value>,
    /// Why the choice ended, in its last chunk.
    #[serde(default)]
    pub finish_reason: Option<String>,
}

/// The new part of a message.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Delta {
    /// `assistant`, in the first chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// New text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// New calls; whole ones, since arguments are checked before they are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<IndexedToolCall>>,
}

/// A call with its place in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedToolCall {
    /// Place in the list of calls.
    pub index: u32,
    /// The call.
    #[serde(flatten)]
    pub call: ToolCall,
}

/// Token counts in the API's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageObject {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens sampled.
    pub completion_tokens: u64,
    /// Their sum.
    pub total_tokens: u64,
}

impl From<Usage> for UsageObject {
    fn from(usage: Usage) -> Self {
        let (prompt, completion) = (usage.prompt.0, usage.completion.0);
        Self { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt.saturating_add(completion) }
    }
}

/// What all chunks of one answer share.
#[derive(Clone, Debug)]
pub struct Head {
    /// `chatcmpl-…`.
    pub id: String,
    /// Block time when the answer began.
    pub created: UnixSeconds,
    /// Name of the model.
    pub model: String,
}

impl Head {
    /// A chunk with one changed choice.
    pub fn chunk(&self, choice: ChunkChoice) -> Chunk {
        self.with(vec![choice], None)
    }

    /// The chunk that tells the usage.
    pub fn usage(&self, usage: Usage) -> Chunk {
        self.with(vec![], Some(usage.into()))
    }

    fn with(&self, choices: Vec<ChunkChoice>, usage: Option<UsageObject>) -> Chunk {
        Chunk {
            id: self.id.clone(),
            object: "chat.completion.chunk".to_owned(),
            created: self.created.0,
            model: self.model.clone(),
            choices,
            usage,
        }
    }
}
