//! The adapter against the shipped model.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod answers;
mod control_tokens;
mod faults;
mod tenants;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::identity::Manifest;

fn model_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/cocoon-tiny")
}

fn model() -> SealedModel {
    let root = Manifest::of(&model_dir()).unwrap().root();
    SealedModel::open(&model_dir(), &[root]).unwrap()
}

async fn engine_with(config: MistralConfig) -> MistralEngine {
    // A broken adapter would wait for ever; a test should fail instead.
    let loading = tokio::time::timeout(Duration::from_secs(60), MistralEngine::load(model(), config));
    loading.await.expect("the model answers the probes within a minute").unwrap()
}

async fn engine() -> MistralEngine {
    engine_with(MistralConfig { cpu: true, ..MistralConfig::default() }).await
}

/// A request about one question, with more fields.
fn ask(question: &str, more: Value) -> ChatCompletionRequest {
    with_messages(json!([{ "role": "user", "content": question }]), more)
}

fn with_messages(messages: Value, more: Value) -> ChatCompletionRequest {
    let mut body = json!({ "model": "m", "messages": messages });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ChatCompletionRequest::parse(body.to_string().as_bytes()).unwrap()
}

/// A whole answer.
#[derive(Debug, Default, PartialEq)]
struct Told {
    texts: BTreeMap<u32, String>,
    calls: Vec<(String, String)>,
    reasons: BTreeMap<u32, FinishReason>,
    logprobs: Vec<TokenLogprob>,
    usage: Usage,
}

impl Told {
    fn text(&self) -> &str {
        self.texts.get(&0).map_or("", String::as_str)
    }
}

/// Reads an answer to its end and checks what holds for all.
async fn read(mut answer: Answer) -> Result<Told, EngineError> {
    let accepted = answer.accepted();
    let mut told = Told::default();
    let (mut counted, mut finished) = (0, false);
    while let Some(event) = answer.next().await {
        assert!(!finished, "an event after the last");
        let mut count = |completion: Tokens| {
            assert!(completion.0 >= counted, "the count goes down");
            assert!(completion <= accepted.max_completion, "more than the promised maximum");
            counted = completion.0;
        };
        match event? {
            Event::Text { choice, text, logprobs, completion } => {
                count(completion);
                told.texts.entry(choice).or_default().push_str(&text);
                told.logprobs.extend(logprobs);
            }
            Event::ToolCall { index, call, completion, .. } => {
                count(completion);
                assert_eq!(index as usize, told.calls.len());
                told.calls.push((call.function.name, call.function.arguments));
            }
            Event::ChoiceFinished { choice, reason, completion } => {
                count(completion);
                assert!(told.reasons.insert(choice, reason).is_none(), "a choice ended twice");
            }
            Event::Finished { usage } => {
                assert_eq!(usage, Usage { prompt: accepted.prompt, completion: Tokens(counted) });
                told.usage = usage;
                finished = true;
            }
        }
    }
    assert!(finished, "no last event");
    Ok(told)
}

async fn tell(engine: &MistralEngine, request: ChatCompletionRequest) -> Result<Told, EngineError> {
    read(engine.chat(request).await?).await
}

async fn say(engine: &MistralEngine, question: &str) -> String {
    tell(engine, ask(question, json!({}))).await.unwrap().text().to_owned()
}

/// Waits for something that another thread brings about.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what}: not after five seconds");
}
