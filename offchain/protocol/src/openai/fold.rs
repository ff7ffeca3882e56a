//! Folds chunks into one `chat.completion` object, for callers that do not stream.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::chunk::{Chunk, UsageObject};
use super::request::ToolCall;
use crate::price::Usage;

/// Most choices that are folded; a worker that names more is at fault.
const MAX_CHOICES: usize = 64;

/// Collects the chunks of one answer.
#[derive(Default)]
pub struct Fold {
    head: Option<(String, u32, String)>,
    choices: BTreeMap<u32, Choice>,
}

#[derive(Default)]
struct Choice {
    content: Option<String>,
    tool_calls: Vec<ToolCall>,
    logprobs: Option<Value>,
    finish_reason: Option<String>,
}

/// A chunk does not fit the API's form.
#[derive(Debug, thiserror::Error)]
#[error("a chunk of the answer is not a valid chat.completion.chunk: {0}")]
pub struct BadChunk(String);

impl Fold {
    /// Adds the next chunk.
    pub fn push(&mut self, data: &[u8]) -> Result<(), BadChunk> {
        let chunk: Chunk = serde_json::from_slice(data).map_err(|e| BadChunk(e.to_string()))?;
        self.head.get_or_insert((chunk.id, chunk.created, chunk.model));
        for part in chunk.choices {
            if self.choices.len() >= MAX_CHOICES && !self.choices.contains_key(&part.index) {
                return Err(BadChunk(format!("more than {MAX_CHOICES} choices")));
            }
            let choice = self.choices.entry(part.index).or_default();
            if let Some(text) = part.delta.content {
                choice.content.get_or_insert_default().push_str(&text);
            }
            choice.tool_calls.extend(part.delta.tool_calls.into_iter().flatten().map(|c| c.call));
            merge_logprobs(&mut choice.logprobs, part.logprobs);
            choice.finish_reason = part.finish_reason.or(choice.finish_reason.take());
        }
        Ok(())
    }

    /// The text of a choice so far.
    pub fn text(&self, choice: u32) -> &str {
        self.choices.get(&choice).and_then(|c| c.content.as_deref()).unwrap_or_default()
    }

    /// The `chat.completion` object.
    pub fn finish(self, usage: Usage) -> Value {
        let (id, created, model) = self.head.unwrap_or_default();
        let choices: Vec<Value> = self
            .choices
            .into_iter()
            .map(|(index, choice)| {
                let mut message = json!({ "role": "assistant", "content": choice.content, "refusal": null });
                if !choice.tool_calls.is_empty()
                    && let Some(fields) = message.as_object_mut()
                {
                    fields.insert("tool_calls".to_owned(), json!(choice.tool_calls));
                }
                json!({ "index": index, "message": message, "logprobs": choice.logprobs, "finish_reason": choice.finish_reason })
            })
            .collect();
        json!({
            "id": id,
            "object": "chat.completion",
            "created": created,
            "model": model,
            "choices": choices,
            "usage": UsageObject::from(usage),
        })
    }
}

/// Log probabilities are an object with lists per token; the lists are joined.
fn merge_logprobs(all: &mut Option<Value>, new: Option<Value>) {
    let Some(Value::Object(new)) = new else { return };
    let Some(Value::Object(all)) = all else {
        *all = Some(Value::Object(new));
        return;
    };
    for (key, value) in new {
        match (all.get_mut(&key), value) {
            (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
            (_, value) => {
                all.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai::chunk::{ChunkChoice, Delta, Head, IndexedToolCall};
    use crate::openai::request::FunctionCall;
    use crate::units::{Tokens, UnixSeconds};

    #[test]
    fn chunks_fold_into_the_object_that_a_caller_without_streaming_gets() {
        let head = Head { id: "chatcmpl-1".into(), created: UnixSeconds(7), model: "m".into() };
        let call = ToolCall {
            id: "call_1".into(),
            kind: "function".into(),
            function: FunctionCall { name: "f".into(), arguments: "{}".into() },
        };
        let parts = [
            ChunkChoice {
                delta: Delta { role: Some("assistant".into()), ..Delta::default() },
                ..ChunkChoice::default()
            },
            ChunkChoice {
                delta: Delta { content: Some("Hel".into()), ..Delta::default() },
                logprobs: Some(json!({"content": [1]})),
                ..ChunkChoice::default()
            },
            ChunkChoice {
                index: 1,
                delta: Delta { tool_calls: Some(vec![IndexedToolCall { index: 0, call }]), ..Delta::default() },
                finish_reason: Some("tool_calls".into()),
                ..ChunkChoice::default()
            },
            ChunkChoice {
                delta: Delta { content: Some("lo".into()), ..Delta::default() },
                logprobs: Some(json!({"content": [2]})),
                finish_reason: Some("stop".into()),
                ..ChunkChoice::default()
            },
        ];
        let mut fold = Fold::default();
        for part in parts {
            fold.push(&serde_json::to_vec(&head.chunk(part)).unwrap()).unwrap();
        }
        assert_eq!(fold.text(0), "Hello");
        let usage = Usage { prompt: Tokens(3), completion: Tokens(4) };
        assert_eq!(
            fold.finish(usage),
            json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "m",
                "choices": [
                    {"index": 0, "message": {"role": "assistant", "content": "Hello", "refusal": null},
                     "logprobs": {"content": [1, 2]}, "finish_reason": "stop"},
                    {"index": 1, "message": {"role": "assistant", "content": null, "refusal": null, "tool_calls": [
                        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
                     "logprobs": null, "finish_reason": "tool_calls"}
                ],
                "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
            })
        );
        assert!(Fold::default().push(b"{}").is_err());
    }
}
