//! An engine that costs nothing, for measuring everything else.

use std::sync::Arc;

use async_trait::async_trait;
use cocoon_engine::{Accepted, Answer, Engine, EngineError, EngineInfo, Event, FinishReason, Meter};
use cocoon_protocol::openai::request::ChatCompletionRequest;
use cocoon_protocol::{ModelHash, Tokens, Usage};
use futures::stream;

/// Says the same word as often as the request allows, at once.
pub struct NullEngine(EngineInfo);

impl NullEngine {
    /// Passes for the engine of this model.
    pub fn new(model: ModelHash) -> Arc<Self> {
        Arc::new(Self(EngineInfo { model, context: Tokens(4_096), concurrency: 256, queue: 256 }))
    }
}

#[async_trait]
impl Engine for NullEngine {
    fn info(&self) -> &EngineInfo {
        &self.0
    }

    async fn chat(&self, request: ChatCompletionRequest) -> Result<Answer, EngineError> {
        let count = request.max_completion_tokens.unwrap_or(1);
        let (prompt, max_completion, meter) = (Tokens(16), Tokens(count), Meter::default());
        meter.add(count);
        let word = |n| Event::Text { choice: 0, text: " word".to_owned(), logprobs: vec![], completion: Tokens(n) };
        let end = [
            Event::ChoiceFinished { choice: 0, reason: FinishReason::Length, completion: max_completion },
            Event::Finished { usage: Usage { prompt, completion: max_completion } },
        ];
        let events = stream::iter((1..=count).map(word).chain(end).map(Ok));
        Ok(Answer::new(Accepted { prompt, max_completion }, meter, Box::pin(events)))
    }
}
