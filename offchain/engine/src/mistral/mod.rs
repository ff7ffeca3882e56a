//! mistral.rs as an [`Engine`].
//!
//! The library is fast and serves many models, and it was made for one user. Every rule of this adapter answers a failure
//! that was seen with version 0.8.1; the tests show each.
//!
//! | rule | without it |
//! |---|---|
//! | concurrency only as far as a self-check has proved isolation; one sequence per engine on CPU | one tenant's text in another's answer |
//! | the prompt is tokenized once, and the tokens are submitted | what was counted is not what is run |
//! | the text of control tokens in messages is broken up | a user ends the turn and speaks as the system |
//! | completion limited to the context | one request over it fails the whole batch |
//! | tokens are chosen and counted by our sampler inside the sequence | no seed, wrong log probabilities, counts that miss what a cancelled request took |
//! | the channel holds a whole answer | one slow reader stops everybody |
//! | always streaming; counting prompts in a task of its own | a caller that leaves makes the engine panic |
//! | several choices are several sequences | wrong usage |
//! | stop strings and function calls are found here | text after the stop is sent; a call can panic the engine |
//! | a place is freed by the engine, not by the caller | more sequences than were proved isolated |
//! | the prefix cache is off | timing tells one tenant what another asked |
//! | JSON files are checked before the library reads them | panics |
//! | only a directory that exists is given to the library | it asks a model hub on the network for the path |

mod isolation;
mod plan;
mod pool;
mod sequence;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use cocoon_protocol::openai::request::{ChatCompletionRequest, ToolCall};
use cocoon_protocol::{Tokens, Usage};
use either::Either;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use indexmap::IndexMap;
use mistralrs::core::TokenizationRequest;
use mistralrs::{Constraint, MessageContent, Model, ModelDType, Request, TextModelBuilder, TokenSource, Tool};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use self::isolation::Verdict;
use self::plan::Plan;
use self::pool::{Admission, Pool};
use self::sequence::{Job, Sequence, send};
use crate::api::{
    Accepted, Answer, Engine, EngineError, EngineInfo, Event, FinishReason, Meter, TokenChance, TokenLogprob,
};
use crate::identity::SealedModel;
use crate::sampling::{Pick, Sampling};
use crate::text::StopFilter;
use crate::tools::{Piece, ToolFilter};
use crate::vocabulary::{Decoder, Vocabulary, VocabularyError};

/// After this many tokens without text an event tells the count, so that payment keeps up with the work.
const PROGRESS: u64 = 8;

/// How to run a model.
#[derive(Clone, Debug)]
pub struct MistralConfig {
    /// How many copies of the model to load, each with its own memory. On CPU each serves one sequence at a time.
    pub engines: usize,
    /// How many sequences one engine may batch, if the self-check proves them isolated. On CPU always one.
    pub batch: usize,
    /// How many requests may wait for a place; more are told to come back.
    pub queue: usize,
    /// Use the CPU even where a GPU could be used.
    pub cpu: bool,
}

impl Default for MistralConfig {
    fn default() -> Self {
        let gpu = cfg!(feature = "cuda");
        Self { engines: 1, batch: if gpu { 8 } else { 1 }, queue: 64, cpu: !gpu }
    }
}

/// A model cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The model's files do not fit together.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// There are no weights.
    #[error("the model has no `.safetensors` file")]
    NoWeights,
    /// The library refused the model.
    #[error("mistral.rs cannot load the model: {why}")]
    Library {
        /// What it said.
        why: String,
    },
    /// The model does not answer.
    #[error("the model was loaded but does not answer: {0}")]
    NoAnswer(#[source] EngineError),
    /// The same prompt alone gives different answers.
    #[error(
        "the same prompt does not get the same answer twice at temperature 0, so isolation of tenants cannot be shown"
    )]
    Unstable,
}

/// mistral.rs, made safe for several tenants.
pub struct MistralEngine {
    info: EngineInfo,
    core: Arc<Core>,
    pool: Arc<Pool>,
}

struct Core {
    models: Vec<Model>,
    vocabulary: Arc<Vocabulary>,
    context: usize,
    /// Which engine counts the next prompt.
    next: AtomicUsize,
    /// The library may read files as long as it runs.
    _files: SealedModel,
}

impl MistralEngine {
    /// Loads the model, asks it the probes, and settles how many sequences it may serve at a time.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn load(model: SealedModel, config: MistralConfig) -> Result<Self, LoadError> {
        // What one sequence at a time means on CPU is not a matter of configuration.
        let batch = if config.cpu { 1 } else { config.batch.max(1) };
        Self::load_with_batch(model, &config, batch).await
    }

    async fn load_with_batch(model: SealedModel, config: &MistralConfig, batch: usize) -> Result<Self, LoadError> {
        let root = model.root();
        let engines = config.engines.max(1);
        let core = Arc::new(Core::load(model, engines, batch, config.cpu).await?);
        let places = core.proven_places(engines, batch).await?;
        let pool = Pool::new(places, config.queue);
        let info = EngineInfo {
            model: root,
            context: Tokens(core.context as u64),
            concurrency: pool.places(),
            queue: pool.queue(),
        };
        tracing::info!(model = %root, context = core.context, concurrency = info.concurrency, "engine ready");
        Ok(Self { info, core, pool })
    }
}

#[async_trait]
impl Engine for MistralEngine {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    async fn chat(&self, request: ChatCompletionRequest) -> Result<Answer, EngineError> {
        let admission = self.pool.admit()?;
        let vocabulary = self.core.vocabulary.clone();
        // Reading a long prompt takes longer than an async task may block.
        let plan = tokio::task::spawn_blocking(move || Plan::of(request, &vocabulary)).await;
        let mut plan = plan.map_err(|_| EngineError::failed("reading the request panicked"))??;
        let messages = std::mem::take(&mut plan.messages);
        let prompt = self.core.tokenize(messages, std::mem::take(&mut plan.tools)).await?;

        let count = Tokens(prompt.len() as u64);
        let room = self.core.context.saturating_sub(prompt.len()) as u64;
        if room == 0 {
            return Err(EngineError::TooLong { prompt: count, context: self.info.context });
        }
        let max = plan.limit.unwrap_or(room).min(room);
        let accepted = Accepted { prompt: count, max_completion: Tokens(max.saturating_mul(u64::from(plan.choices))) };
        let meter = Meter::default();
        let run = Run {
            core: self.core.clone(),
            pool: self.pool.clone(),
            prompt,
            max,
            plan,
            meter: meter.clone(),
            admission,
        };
        // Nothing runs before the first event is asked for.
        let events = stream::once(async move { run.start() }).flatten().boxed();
        Ok(Answer::new(accepted, meter, events))
    }
}

impl Core {
    async fn load(model: SealedModel, engines: usize, batch: usize, cpu: bool) -> Result<Self, LoadError> {
        let (model, vocabulary) = tokio::task::spawn_blocking(move || {
            let vocabulary = Vocabulary::load(&model);
            (model, vocabulary)
        })
        .await
        .map_err(|_| LoadError::Library { why: "reading the model's files panicked".to_owned() })?;
        let vocabulary = vocabulary?;
        if !model.manifest().entries().iter().any(|e| e.path.ends_with(".safetensors")) {
            return Err(LoadError::NoWeights);
        }
        let mut models = Vec::with_capacity(engines);
        for _ in 0..engines {
            models.push(load_one(&model, batch, cpu).await?);
        }
        let limit = models.first().and_then(|m| m.max_sequence_length().ok().flatten());
        let context = limit.map_or(vocabulary.context, |l| l.min(vocabulary.context));
        Ok(Self { models, vocabulary: Arc::new(vocabulary), context, next: AtomicUsize::new(0), _files: model })
    }

    /// The engine of each place that the self-check allows (attack 89).
    async fn proven_places(self: &Arc<Self>, engines: usize, batch: usize) -> Result<Vec<usize>, LoadError> {
        let mut probes = Vec::with_capacity(isolation::PROBES.len());
        for text in isolation::PROBES {
            let message = [("role", "user"), ("content", text)];
            let fields = message.map(|(k, v)| (k.to_owned(), Either::Left(v.to_owned())));
            let tokens = self.tokenize(vec![IndexMap::from(fields)], vec![]).await;
            probes.push(tokens.map_err(LoadError::NoAnswer)?);
        }
        for (engines, batch) in [(engines, batch), (engines, 1), (1, 1)] {
            let places: Vec<usize> = (0..batch).flat_map(|_| 0..engines).collect();
            let pool = Pool::new(places.clone(), 0);
            let answer = |i: usize| self.probe(&pool, probes.get(i).cloned().unwrap_or_default());
            match isolation::check(places.len(), answer).await.map_err(LoadError::NoAnswer)? {
                Verdict::Isolated => return Ok(places),
                Verdict::Unstable => return Err(LoadError::Unstable),
                Verdict::Mixed { different, compared } => {
                    tracing::warn!(
                        engines,
                        batch,
                        "answers given together differ from answers given alone ({different} of {compared}): \
                         less concurrency"
                    );
                }
            }
        }
        Err(LoadError::Unstable)
    }

    async fn probe(self: &Arc<Self>, pool: &Arc<Pool>, prompt: Vec<u32>) -> Result<Vec<u32>, EngineError> {
        let max = isolation::PROBE_TOKENS.min(self.context.saturating_sub(prompt.len()) as u64);
        let sampling = Sampling::greedy();
        let job = Job { prompt, max, sampling, constraint: Constraint::None, meter: Meter::default() };
        let mut sequence = self.begin(pool, job).await?;
        let mut tokens = Vec::new();
        while let Some(pick) = sequence.next().await {
            tokens.push(pick?.token);
        }
        Ok(tokens)
    }

    async fn begin(&self, pool: &Arc<Pool>, job: Job) -> Result<Sequence, EngineError> {
        let place = pool.place().await?;
        let model = self.models.get(place.engine()).ok_or_else(|| EngineError::failed("a place without an engine"))?;
        Sequence::start(model, place, job).await
    }

    /// The prompt with the model's chat template, as tokens.
    async fn tokenize(
        self: &Arc<Self>,
        messages: Vec<IndexMap<String, MessageContent>>,
        tools: Vec<Tool>,
    ) -> Result<Vec<u32>, EngineError> {
        let (core, (done, wait)) = (self.clone(), oneshot::channel());
        // On its own, because the engine panics when whoever asks goes away before the answer.
        tokio::spawn(async move {
            // Nobody may be waiting any more.
            let _ = done.send(core.tokenize_attached(messages, tools).await);
        });
        wait.await.unwrap_or_else(|_| Err(EngineError::failed("counting the prompt panicked")))
    }

    async fn tokenize_attached(
        &self,
        messages: Vec<IndexMap<String, MessageContent>>,
        tools: Vec<Tool>,
    ) -> Result<Vec<u32>, EngineError> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.models.len().max(1);
        let model = self.models.get(turn).ok_or_else(|| EngineError::failed("there is no engine"))?;
        let (response, mut answer) = mpsc::channel(1);
        let request = || {
            Request::Tokenize(TokenizationRequest {
                text: Either::Left(messages.clone()),
                tools: Some(tools.clone()),
                add_generation_prompt: true,
                add_special_tokens: true,
                enable_thinking: None,
                reasoning_effort: None,
                response: response.clone(),
            })
        };
        send(model, request).await?;
        drop(response);
        match answer.recv().await {
            Some(Ok(tokens)) if tokens.is_empty() => Err(EngineError::bad("messages", "give an empty prompt")),
            Some(Ok(tokens)) => Ok(tokens),
            // The template's error may quote the conversation.
            Some(Err(_)) => Err(EngineError::bad(
                "messages",
                "do not fit the model's chat template; check the order of roles and whether the model knows tools",
            )),
            None => Err(EngineError::failed("it was started again while it counted the prompt")),
        }
    }
}

async fn load_one(model: &SealedModel, batch: usize, cpu: bool) -> Result<Model, LoadError> {
    let dir = model.dir().to_owned();
    // A path that does not exist would be asked for on a model hub.
    if !dir.join("config.json").exists() {
        return Err(LoadError::Library { why: format!("{} is gone", dir.display()) });
    }
    let mut builder = TextModelBuilder::new(dir.display())
        .with_token_source(TokenSource::None)
        .with_max_num_seqs(batch)
        .with_prefix_cache_n(None);
    if cpu {
        // F32 computes BF16 files exactly and fast; "auto" would pick F16, which is slow on CPU.
        builder = builder.with_force_cpu().with_dtype(ModelDType::F32);
    }
    let runtime = tokio::runtime::Handle::current();
    match tokio::task::spawn_blocking(move || runtime.block_on(builder.build())).await {
        Ok(Ok(model)) => Ok(model),
        Ok(Err(error)) => Err(LoadError::Library { why: format!("{error:#}") }),
        Err(_) => Err(LoadError::Library { why: "it panics on the model's files".to_owned() }),
    }
}

/// An accepted request.
struct Run {
    core: Arc<Core>,
    pool: Arc<Pool>,
    prompt: Vec<u32>,
    /// Most tokens per choice.
    max: u64,
    plan: Plan,
    meter: Meter,
    admission: Admission,
}

impl Run {
    /// Starts all choices. Dropping the stream stops them.
    fn start(self) -> BoxStream<'static, Result<Event, EngineError>> {
        // Unbounded, but it never holds more than `max` tokens per choice.
        let (reports, incoming) = mpsc::unbounded_channel();
        let prompt = Tokens(self.prompt.len() as u64);
        let mut choices = JoinSet::new();
        for index in 0..self.plan.choices {
            let job = Job {
                prompt: self.prompt.clone(),
                max: self.max,
                sampling: self.plan.sampling.for_choice(index),
                constraint: self.plan.constraint.clone(),
                meter: self.meter.clone(),
            };
            let choice = Choice {
                index,
                core: self.core.clone(),
                pool: self.pool.clone(),
                stops: StopFilter::new(self.plan.stops.clone()),
                tools: ToolFilter::new(self.plan.tool_names.clone()),
                reports: reports.clone(),
                tokens: 0,
                logprobs: Vec::new(),
            };
            choices.spawn(choice.run(job));
        }
        let merge = Merge {
            prompt,
            open: self.plan.choices,
            ended: false,
            completion: 0,
            incoming,
            choices,
            _admission: self.admission,
        };
        stream::unfold(merge, Merge::next).boxed()
    }
}

/// What a choice reports, with the number of tokens that it took since its last report.
struct Report {
    choice: u32,
    tokens: u64,
    news: Result<News, EngineError>,
}

enum News {
    Text(String, Vec<TokenLogprob>),
    Call(u32, ToolCall),
    Finished(FinishReason),
}

/// Puts the choices' reports in one order and adds their tokens up.
struct Merge {
    prompt: Tokens,
    /// Choices that have not ended.
    open: u32,
    /// Nothing more comes.
    ended: bool,
    completion: u64,
    incoming: mpsc::UnboundedReceiver<Report>,
    /// Stops the choices when the stream is dropped.
    choices: JoinSet<()>,
    /// The request's place in the queue.
    _admission: Admission,
}

impl Merge {
    async fn next(mut self) -> Option<(Result<Event, EngineError>, Self)> {
        if self.ended {
            return None;
        }
        if self.open == 0 {
            self.ended = true;
            let usage = Usage { prompt: self.prompt, completion: Tokens(self.completion) };
            return Some((Ok(Event::Finished { usage }), self));
        }
        let Some(report) = self.incoming.recv().await else {
            self.ended = true;
            return Some((Err(EngineError::failed("a choice ended without a word")), self));
        };
        self.completion = self.completion.saturating_add(report.tokens);
        let (choice, completion) = (report.choice, Tokens(self.completion));
        let event = report.news.map(|news| match news {
            News::Text(text, logprobs) => Event::Text { choice, text, logprobs, completion },
            News::Call(index, call) => Event::ToolCall { choice, index, call, completion },
            News::Finished(reason) => {
                self.open = self.open.saturating_sub(1);
                Event::ChoiceFinished { choice, reason, completion }
            }
        });
        if event.is_err() {
            self.ended = true;
            self.choices.abort_all();
        }
        Some((event, self))
    }
}

/// One choice of a request.
struct Choice {
    index: u32,
    core: Arc<Core>,
    pool: Arc<Pool>,
    stops: StopFilter,
    tools: ToolFilter,
    reports: mpsc::UnboundedSender<Report>,
    /// Sampled since the last report.
    tokens: u64,
    /// Of the tokens since the last report.
    logprobs: Vec<TokenLogprob>,
}

impl Choice {
    async fn run(mut self, job: Job) {
        if let Err(error) = self.generate(job).await {
            tracing::warn!(%error, "a sequence failed");
            self.report(Err(error));
        }
    }

    async fn generate(&mut self, job: Job) -> Result<(), EngineError> {
        let (max, mut sampled) = (job.max, 0u64);
        let mut decoder = Decoder::new(self.core.vocabulary.clone());
        let mut sequence = self.core.begin(&self.pool, job).await?;
        let reason = loop {
            let Some(pick) = sequence.next().await else {
                return Err(EngineError::failed("it stopped in the middle of an answer"));
            };
            let pick = pick?;
            sampled += 1;
            self.tokens += 1;
            if self.core.vocabulary.is_end(pick.token) {
                break FinishReason::Stop;
            }
            self.logprobs.extend(self.core.logprob(&pick));
            let text = decoder.push(pick.token);
            if self.pass(&text) {
                // The stop string ended it; the engine learns by the sequence's end.
                self.end(FinishReason::Stop);
                return Ok(());
            }
            if sampled >= max {
                break FinishReason::Length;
            }
        };
        let rest = decoder.finish();
        if !self.pass(&rest) {
            let held = self.stops.finish();
            let pieces = self.tools.push(&held);
            self.tell(pieces);
        }
        self.end(reason);
        Ok(())
    }

    /// Passes text on; true when a stop string came.
    fn pass(&mut self, text: &str) -> bool {
        let passed = self.stops.push(text);
        let pieces = self.tools.push(&passed.text);
        self.tell(pieces);
        if self.tokens >= PROGRESS {
            let logprobs = std::mem::take(&mut self.logprobs);
            self.report(Ok(News::Text(String::new(), logprobs)));
        }
        passed.stopped
    }

    fn end(&mut self, reason: FinishReason) {
        let pieces = self.tools.finish();
        self.tell(pieces);
        let called = self.tools.calls() > 0 && reason == FinishReason::Stop;
        self.report(Ok(News::Finished(if called { FinishReason::ToolCalls } else { reason })));
    }

    fn tell(&mut self, pieces: Vec<Piece>) {
        for piece in pieces {
            let news = match piece {
                Piece::Text(text) => News::Text(text, std::mem::take(&mut self.logprobs)),
                Piece::Call(index, call) => News::Call(index, call),
            };
            self.report(Ok(news));
        }
    }

    fn report(&mut self, news: Result<News, EngineError>) {
        let tokens = std::mem::take(&mut self.tokens);
        // The reader may have gone; this task ends with the stream.
        let _ = self.reports.send(Report { choice: self.index, tokens, news });
    }
}

impl Core {
    fn logprob(&self, pick: &Pick) -> Option<TokenLogprob> {
        let chance =
            |(token, logprob): &(u32, f32)| TokenChance { text: self.vocabulary.text_of(*token), logprob: *logprob };
        let (own, top) = pick.logprobs.split_first()?;
        Some(TokenLogprob { token: chance(own), top: top.iter().map(chance).collect() })
    }
}
