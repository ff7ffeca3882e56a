//! One question, answered and paid for (docs/protocol.md P3, the payee's side).

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cocoon_engine::{Answer, Event, logprobs_json};
use cocoon_node::books::{BooksError, Earning, PayeeChannel};
use cocoon_node::wire::{Wire, WireError};
use cocoon_protocol::frame::{Request, ToPayee, ToPayer};
use cocoon_protocol::hash::{ResponseHasher, request_hash};
use cocoon_protocol::openai::chunk::{ChunkChoice, Delta, Head, IndexedToolCall};
use cocoon_protocol::openai::request::ChatCompletionRequest;
use cocoon_protocol::receipt::Outcome;
use cocoon_protocol::{Acceptance, Fault, FaultCode, Hash256, Nano, Price, Receipt, Tokens, Usage};
use cocoon_seal::{ChunkSealer, SealError};
use futures::StreamExt;
use rand::RngCore;
use tokio::time::{Instant, sleep_until};

use crate::{Worker, WorkerSession};

/// Answers the question on this stream. Everything that goes wrong is told to the payer, and nothing is billed then.
pub(crate) async fn serve(worker: Arc<Worker>, session: Arc<WorkerSession>, mut wire: Wire<ToPayer, ToPayee>) {
    let fault = match begin(&worker, &session, &mut wire).await {
        Ok(exchange) => exchange.run(&mut wire).await.err(),
        Err(fault) => Some(fault),
    };
    if let Some(fault) = fault {
        tracing::info!(code = fault.code.as_str(), "a request ended without an answer");
        if wire.send(&ToPayer::Fault(fault)).await.is_ok() {
            let _ = wire.finish();
        }
    }
}

struct Exchange {
    worker: Arc<Worker>,
    channel: Arc<PayeeChannel>,
    earning: Earning,
    answer: Answer,
    sealer: ChunkSealer,
    request: Hash256,
    head: Head,
    price: Price,
    prompt: Tokens,
    /// Choices whose first chunk has been made; that one names the speaker.
    begun: BTreeSet<u32>,
}

fn gone(error: WireError) -> Fault {
    Fault::new(FaultCode::ProxyFailed, format!("the payer went away: {error}"))
}

fn money(error: BooksError) -> Fault {
    let code = match error {
        BooksError::Admit(_) => FaultCode::InsufficientFunds,
        BooksError::Accept(_) => FaultCode::PaymentRejected,
        _ => FaultCode::Internal,
    };
    Fault::new(code, error.to_string())
}

/// Reads the question, counts it and says what it will cost at most (P3.3).
async fn begin(
    worker: &Arc<Worker>,
    session: &Arc<WorkerSession>,
    wire: &mut Wire<ToPayer, ToPayee>,
) -> Result<Exchange, Fault> {
    let channel = &session.channel;
    let request = match receive(wire, worker.patience()).await? {
        ToPayee::Request(request) => request,
        _ => return Err(Fault::new(FaultCode::Protocol, "the first frame must be a request")),
    };
    check(worker, channel, &request)?;
    let sealed = request.keys.iter().find(|key| key.worker == worker.node_key().public());
    let unsealed = |_| Fault::new(FaultCode::OffersChanged, SealError::Question.to_string());
    let sealed = sealed.ok_or(()).map_err(unsealed)?;
    let (body, keys) = cocoon_seal::open(&request.body, sealed, worker.network(), &worker.model(), &session.sealing)
        .map_err(|_| unsealed(()))?;
    let body = ChatCompletionRequest::parse(&body)?;
    let answer = worker.engine().chat(body).await.map_err(Fault::from)?;
    let accepted = answer.accepted();
    let price = worker.price();
    let worst = price.cost(Usage { prompt: accepted.prompt, completion: accepted.max_completion });
    let earning = channel.admit(worst).map_err(money)?;
    let evidence = worker.evidence();
    let (prompt, max_completion) = (accepted.prompt, accepted.max_completion);
    let hash = request_hash(&request.body);
    let acceptance = Acceptance {
        global_id: worker.network(),
        channel: channel.address().clone(),
        time: worker.now(),
        request: hash,
        model: worker.model(),
    };
    let acceptance = Box::new(acceptance.sign(worker.node_key()).map_err(|e| money(e.into()))?);
    let mut salt = [0; 32];
    rand::rngs::OsRng.fill_bytes(&mut salt);
    let sealer = keys.sealer(&salt).map_err(internal)?;
    wire.send(&ToPayer::Accepted { prompt, max_completion, evidence, acceptance, salt }).await.map_err(gone)?;
    let mut id = [0; 12];
    rand::thread_rng().fill_bytes(&mut id);
    let head = Head {
        id: format!("chatcmpl-{}", hex::encode(id)),
        created: worker.now(),
        model: worker.model_name().to_owned(),
    };
    Ok(Exchange {
        worker: worker.clone(),
        channel: channel.clone(),
        earning,
        answer,
        sealer,
        request: hash,
        head,
        price,
        prompt,
        begun: BTreeSet::new(),
    })
}

fn internal(error: SealError) -> Fault {
    Fault::new(FaultCode::WorkerFailed, error.to_string())
}

fn check(worker: &Worker, channel: &PayeeChannel, request: &Request) -> Result<(), Fault> {
    let served = worker.model();
    if request.model != served {
        let message = format!("this worker serves model {served}, not {}", request.model);
        return Err(Fault::new(FaultCode::ModelNotFound, message).param("model"));
    }
    if !worker.approved() {
        let message = format!("the registry does not approve model {served} any more");
        return Err(Fault::new(FaultCode::ModelNotFound, message).param("model"));
    }
    if !worker.price().within(&request.price) {
        let message = "the price has risen above what the request allows; read the offers again";
        return Err(Fault::new(FaultCode::PaymentRejected, message));
    }
    if request.channel != *channel.address() {
        let message = format!("this session is paid from channel {}, not {}", channel.address(), request.channel);
        return Err(Fault::new(FaultCode::PaymentRejected, message));
    }
    Ok(())
}

/// What the payer did.
enum Payer {
    Paid,
    /// The answer ends here, for this reason.
    Stopped(Fault),
}

impl Exchange {
    async fn run(mut self, wire: &mut Wire<ToPayer, ToPayee>) -> Result<(), Fault> {
        let patience = self.worker.patience();
        let mut changes = self.channel.changes();
        let mut response = ResponseHasher::default();
        let mut waiting: VecDeque<(Tokens, Bytes)> = VecDeque::new();
        let mut released = Tokens(0);
        let mut usage = None;
        let (mut begun, mut generating) = (false, false);
        // When something last came forward. What a payer says without paying for anything does not count, nor do payments for
        // other answers: otherwise it could keep a place in the engine for ever.
        let mut moved = Instant::now();

        // Generation starts with the first event that is asked for: not before the prompt is paid for (P3.4).
        loop {
            // Release what is paid for.
            while let Some((completion, data)) = waiting.front().cloned() {
                if self.earning.consume(self.cost(completion)).is_err() {
                    break;
                }
                waiting.pop_front();
                let data = self.sealer.seal(&data, completion).map_err(internal)?;
                response.chunk(&data);
                released = completion;
                if let Err(error) = wire.send(&ToPayer::Chunk { completion, data }).await {
                    return self.cut_short(wire, released, response, gone(error)).await;
                }
                moved = Instant::now();
            }
            if let Some(usage) = usage
                && waiting.is_empty()
                && self.earning.consume(self.price.cost(usage)).is_ok()
            {
                return self.finish(wire, usage, response, Outcome::Complete).await;
            }
            let may_generate =
                usage.is_none() && waiting.is_empty() && self.earning.consume(self.cost(released)).is_ok();
            if may_generate && !generating {
                moved = Instant::now();
            }
            generating = may_generate;
            // The payer hears of a slow engine before it gives us up for silence, and with us all other answers.
            let limit = if may_generate { patience / 5 * 4 } else { patience };
            let step = tokio::select! {
                biased;
                // First, so that a flood of frames cannot put it off.
                () = sleep_until(moved + limit) => Step::Impatient,
                frame = wire.recv() => Step::Payer(match frame {
                    Ok(frame) => payer(&self.worker, &self.earning, frame).await,
                    // A payer that goes away is billed for what was released (P3.9).
                    Err(error) => Payer::Stopped(gone(error)),
                }),
                event = self.answer.next(), if may_generate => Step::Event(event),
                _ = changes.changed(), if !may_generate => Step::Payer(Payer::Paid),
            };
            if matches!(step, Step::Event(_)) {
                begun = true;
                moved = Instant::now();
            }
            match step {
                Step::Payer(Payer::Paid) => {}
                Step::Payer(Payer::Stopped(why)) => return self.cut_short(wire, released, response, why).await,
                Step::Event(Some(Ok(Event::Finished { usage: final_usage }))) => usage = Some(final_usage),
                Step::Event(Some(Ok(event))) => waiting.push_back(self.chunk(event)?),
                Step::Event(Some(Err(error))) => {
                    tracing::warn!(%error, "the engine failed in a request");
                    return Err(error.into());
                }
                Step::Event(None) => {
                    return Err(Fault::new(FaultCode::WorkerFailed, "the engine ended the answer early"));
                }
                Step::Impatient if may_generate && begun => {
                    tracing::warn!("the engine is silent in mid-answer");
                    return Err(Fault::new(FaultCode::WorkerFailed, "the engine does not go on; nothing is billed"));
                }
                Step::Impatient if may_generate => {
                    let message = "no place in the engine became free in time; nothing is billed, try again";
                    return Err(Fault::new(FaultCode::Overloaded, message).retry_after_ms(5_000));
                }
                // A payer that stops paying is billed for what was released, like one that goes away.
                Step::Impatient => {
                    let message = format!("no voucher came for {} s; nothing is billed", patience.as_secs());
                    let why = Fault::new(FaultCode::PaymentTimeout, message);
                    return self.cut_short(wire, released, response, why).await;
                }
            }
        }
    }

    /// Ends the answer before its time: bills what was released (P3.9), or nothing, for this reason, when not even the prompt is
    /// paid for.
    async fn cut_short(
        self,
        wire: &mut Wire<ToPayer, ToPayee>,
        released: Tokens,
        response: ResponseHasher,
        why: Fault,
    ) -> Result<(), Fault> {
        if self.earning.consume(self.cost(released)).is_err() {
            return Err(why);
        }
        let usage = Usage { prompt: self.prompt, completion: released };
        self.finish(wire, usage, response, Outcome::Stopped).await
    }

    fn cost(&self, completion: Tokens) -> Nano {
        self.price.cost(Usage { prompt: self.prompt, completion })
    }

    /// An event in the API's form, with the tokens that it took to get there.
    fn chunk(&mut self, event: Event) -> Result<(Tokens, Bytes), Fault> {
        let (mut choice, completion) = match event {
            Event::Text { choice, text, logprobs, completion } => {
                // Tokens inside a tool call give no text yet; the chunk carries their count only.
                let content = (!text.is_empty()).then_some(text);
                let delta = Delta { content, ..Delta::default() };
                let logprobs = logprobs_json(&logprobs);
                (ChunkChoice { index: choice, delta, logprobs, finish_reason: None }, completion)
            }
            Event::ToolCall { choice, index, call, completion } => {
                let delta = Delta { tool_calls: Some(vec![IndexedToolCall { index, call }]), ..Delta::default() };
                (ChunkChoice { index: choice, delta, ..ChunkChoice::default() }, completion)
            }
            Event::ChoiceFinished { choice, reason, completion } => {
                let finish_reason = Some(reason.as_str().to_owned());
                (ChunkChoice { index: choice, finish_reason, ..ChunkChoice::default() }, completion)
            }
            Event::Finished { .. } => {
                return Err(Fault::new(FaultCode::WorkerFailed, "the engine ended the answer twice"));
            }
        };
        if self.begun.insert(choice.index) {
            choice.delta.role = Some("assistant".to_owned());
        }
        let data = serde_json::to_vec(&self.head.chunk(choice))
            .map_err(|_| Fault::new(FaultCode::WorkerFailed, "the answer cannot be put into JSON"))?;
        Ok((completion, data.into()))
    }

    /// Bills, signs the receipt and takes the exact voucher (P3.6, P3.7).
    async fn finish(
        self,
        wire: &mut Wire<ToPayer, ToPayee>,
        usage: Usage,
        response: ResponseHasher,
        outcome: Outcome,
    ) -> Result<(), Fault> {
        let Self { worker, channel, earning, answer, request, price, .. } = self;
        drop(answer); // frees the engine's place
        let cost = price.cost(usage);
        let response = response.finish();
        let receipt = earning
            .finish(cost, |last| {
                let (seqno, previous) = match last {
                    None => (1, Hash256::default()),
                    Some(last) => {
                        (last.receipt.seqno.saturating_add(1), last.receipt.hash().map_err(BooksError::from)?)
                    }
                };
                let receipt = Receipt {
                    global_id: worker.network(),
                    channel: channel.address().clone(),
                    seqno,
                    time: worker.now(),
                    request,
                    response,
                    model: worker.model(),
                    image: worker.image(),
                    previous,
                    usage,
                    price,
                    cost,
                    outcome,
                };
                Ok::<_, BooksError>(Some(receipt.sign(worker.node_key())?))
            })
            .await;
        let receipt = match receipt {
            // Billed, but not on disk. A fault would promise that it is not billed, so the stream just breaks off: the payer
            // begins another session, which compares the books (P2.3).
            Err(error @ (BooksError::Store(_) | BooksError::Stopping)) => {
                tracing::error!(%error, "an answer could not be booked");
                return Ok(());
            }
            other => other.map_err(money)?,
        };
        let Some(receipt) = receipt else { return Err(Fault::new(FaultCode::Internal, "no receipt was made")) };
        // From here on the answer is billed: a payer that is gone learns of it at the next session.
        let told = wire.send(&ToPayer::Finished { usage, receipt: Box::new(receipt) }).await;
        if told.is_ok() {
            channel.collect_exact(wire, || worker.now(), worker.patience()).await;
        }
        Ok(())
    }
}

/// Takes in what the payer says; a payer that breaks the rules is stopped, and billed for what was released.
///
/// (Not a method: an engine's answer cannot be shared between threads, and a method's `&self` would hold it while the
/// voucher goes to disk.)
async fn payer(worker: &Worker, earning: &Earning, frame: ToPayee) -> Payer {
    match frame {
        ToPayee::Pay { authorised, voucher } => match earning.pay(authorised, &voucher, worker.now()).await {
            Ok(()) => Payer::Paid,
            Err(error) => {
                tracing::warn!(%error, "a voucher is refused; the answer ends here");
                Payer::Stopped(Fault::new(FaultCode::PaymentRejected, format!("{error}; nothing is billed")))
            }
        },
        ToPayee::Stop => {
            let message = "stopped before anything was paid; nothing is billed";
            Payer::Stopped(Fault::new(FaultCode::PaymentRejected, message))
        }
        ToPayee::Request(_) => {
            tracing::warn!("a second request on one stream; the answer ends here");
            Payer::Stopped(Fault::new(FaultCode::Protocol, "a second request on one stream; nothing is billed"))
        }
    }
}

enum Step {
    Payer(Payer),
    Event(Option<Result<Event, cocoon_engine::EngineError>>),
    Impatient,
}

async fn receive(wire: &mut Wire<ToPayer, ToPayee>, patience: Duration) -> Result<ToPayee, Fault> {
    match tokio::time::timeout(patience, wire.recv()).await {
        Ok(frame) => frame.map_err(gone),
        Err(_) => Err(Fault::new(FaultCode::Protocol, "the payer said nothing")),
    }
}
