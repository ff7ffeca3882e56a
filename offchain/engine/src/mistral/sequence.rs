//! One sequence inside mistral.rs: how it is handed over, how its tokens come back, how it ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mistralrs::{
    Constraint, CustomLogitsProcessor, Model, NormalRequest, Request, RequestMessage, Response, SamplingParams, Tensor,
};
use tokio::sync::mpsc;

use super::pool::Place;
use crate::api::{EngineError, Meter};
use crate::sampling::{Pick, Sampling};

/// An engine that died is started again by the library when it is next asked for; how often that is tried.
const SEND_TRIES: u64 = 40;

/// What to generate.
pub(crate) struct Job {
    pub prompt: Vec<u32>,
    pub max: u64,
    pub sampling: Sampling,
    pub constraint: Constraint,
    pub meter: Meter,
}

/// A sequence that is being generated. Dropping it ends the generation: the engine notices at the next token.
pub(crate) struct Sequence {
    picks: mpsc::UnboundedReceiver<Pick>,
    responses: mpsc::Receiver<Response>,
    constrained: bool,
}

/// Lives inside the engine's sequence, chooses its tokens and counts them.
///
/// * Tokens are counted where they are sampled, so the number is exact however the sequence ends.
/// * The place is free only when the engine has really dropped the sequence, and with it this.
struct Sampler {
    sampling: Sampling,
    prompt: usize,
    max: u64,
    /// With a grammar the engine may ask twice for the same position: again when the first choice is not allowed. The
    /// choice is then final only when the next position is asked for, or the sequence ends.
    constrained: bool,
    state: Mutex<State>,
    picks: mpsc::UnboundedSender<Pick>,
    meter: Meter,
    _place: Place,
}

#[derive(Default)]
struct State {
    /// Positions asked for so far.
    positions: usize,
    /// Chosen but not final.
    pending: Option<Pick>,
}

impl CustomLogitsProcessor for Sampler {
    fn apply(&self, logits: &Tensor, context: &[u32]) -> mistralrs::Result<Tensor> {
        let values: Vec<f32> = logits.to_vec1()?;
        let generated = context.get(self.prompt..).unwrap_or_default();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if generated.len() as u64 >= self.max {
            return fail("a token after the last one");
        }
        if generated.len() >= state.positions {
            state.positions = generated.len() + 1;
            self.meter.add(1);
            self.flush(&mut state);
        }
        let pick = match self.sampling.pick(&values, generated) {
            Ok(pick) => pick,
            Err(error) => return fail(error),
        };
        let mut certain = vec![0f32; values.len()];
        if let Some(chosen) = certain.get_mut(pick.token as usize) {
            *chosen = 1.0;
        }
        state.pending = Some(pick);
        if !self.constrained {
            self.flush(&mut state);
        }
        Tensor::from_vec(certain, logits.shape(), logits.device())
    }
}

impl Sampler {
    fn flush(&self, state: &mut State) {
        if let Some(pick) = state.pending.take() {
            // The reader may have gone; then nobody wants it.
            let _ = self.picks.send(pick);
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        let mut state = std::mem::take(self.state.get_mut().unwrap_or_else(PoisonError::into_inner));
        self.flush(&mut state);
    }
}

fn fail<T>(why: impl std::fmt::Display) -> mistralrs::Result<T> {
    Err(std::io::Error::other(why.to_string()).into())
}

impl Sequence {
    /// Hands the job to the engine.
    pub async fn start(model: &Model, place: Place, job: Job) -> Result<Self, EngineError> {
        let max = usize::try_from(job.max).unwrap_or(usize::MAX);
        // Room for everything: with a full channel one slow reader stops the engine for all.
        let (response, responses) = mpsc::channel(max.saturating_add(8));
        let (sender, picks) = mpsc::unbounded_channel();
        let constrained = !matches!(job.constraint, Constraint::None);
        let sampler: Arc<dyn CustomLogitsProcessor> = Arc::new(Sampler {
            sampling: job.sampling,
            prompt: job.prompt.len(),
            max: job.max,
            constrained,
            state: Mutex::default(),
            picks: sender,
            meter: job.meter,
            _place: place,
        });
        // The engine only has to take the token that our sampler makes certain; see `Sampler`.
        let sampling_params =
            SamplingParams { temperature: Some(0.0), max_len: Some(max), ..SamplingParams::neutral() };
        let request = || {
            Request::Normal(Box::new(NormalRequest {
                // Tokens, not text: exactly what was counted, and nothing in it can turn into a control token.
                messages: RequestMessage::CompletionTokens(job.prompt.clone()),
                sampling_params: sampling_params.clone(),
                response: response.clone(),
                return_logprobs: false,
                // The engine panics when the receiver of a request that does not stream goes away.
                is_streaming: true,
                id: 0,
                constraint: job.constraint.clone(),
                suffix: None,
                // The engine's own parser of calls can panic and can fail a whole batch.
                tools: None,
                tool_choice: None,
                logits_processors: Some(vec![sampler.clone()]),
                return_raw_logits: false,
                // Would search the web for the prompt.
                web_search_options: None,
                model_id: None,
                truncate_sequence: false,
            }))
        };
        send(model, request).await?;
        Ok(Self { picks, responses, constrained })
    }

    /// The next token; `None` when the engine has ended the sequence.
    pub async fn next(&mut self) -> Option<Result<Pick, EngineError>> {
        if let Some(pick) = self.picks.recv().await {
            return Some(Ok(pick));
        }
        // The sequence is gone. Its last words say whether that was a fault; its text we have made ourselves.
        while let Ok(response) = self.responses.try_recv() {
            let error = match response {
                // The only thing about a job that the engine can find wrong.
                Response::ValidationError(_) if self.constrained => {
                    EngineError::bad("response_format", "or `tools` has a JSON Schema that cannot be enforced")
                }
                Response::InternalError(e) | Response::ValidationError(e) => failed(&e.to_string()),
                Response::ModelError(e, _) | Response::CompletionModelError(e, _) => failed(&e),
                _ => continue,
            };
            return Some(Err(error));
        }
        None
    }
}

/// What the engine said, without what it may quote: the library puts tokens in quotes, and a backtrace after them.
fn failed(why: &str) -> EngineError {
    let end = why.find(['"', '\'', '`', '\n']).unwrap_or(why.len());
    EngineError::failed(why.get(..end).unwrap_or_default().trim_end().to_owned())
}

/// Sends a request to the engine, which is started again if it has died.
pub(crate) async fn send(model: &Model, make: impl Fn() -> Request) -> Result<(), EngineError> {
    for attempt in 0..SEND_TRIES {
        if let Ok(sender) = model.inner().get_sender(None)
            && sender.send(make()).await.is_ok()
        {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(2 * attempt)).await;
    }
    Err(EngineError::failed("it does not accept requests"))
}
