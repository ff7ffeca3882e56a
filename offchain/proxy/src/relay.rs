//! One question on its way to a worker and the answer on its way back (docs/protocol.md P3): the payee's side towards the
//! client, the payer's side towards the worker. The body and the chunks are passed on byte for byte and never read.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use cocoon_node::books::{BooksError, Earning, Payment};
use cocoon_node::wire::{Wire, WireError};
use cocoon_protocol::frame::{Request, ToPayee, ToPayer};
use cocoon_protocol::hash::{ResponseHasher, request_hash};
use cocoon_protocol::receipt::Expected;
use cocoon_protocol::{Fault, FaultCode, Hash256, Price, SealedKey, SignedReceipt, Tokens, Usage};
use tokio::time::{Instant, sleep_until};

use crate::Proxy;
use crate::clients::ClientSession;
use crate::workers::{Place, WorkerSession};

/// How many workers are tried before the client is told to come back later.
const ATTEMPTS: usize = 3;

type ClientWire = Wire<ToPayer, ToPayee>;
type WorkerWire = Wire<ToPayee, ToPayer>;

/// Relays the question on this stream. Everything that goes wrong is told to the client, and nothing is billed then.
pub(crate) async fn serve(proxy: Arc<Proxy>, client: Arc<ClientSession>, mut wire: ClientWire) {
    // Until a worker has accepted nobody pays, so nothing is lost when a client that is gone is dropped there and then.
    let begun = client.ended().run_until_cancelled(begin(&proxy, &client, &mut wire)).await;
    let fault = match begun {
        None => return,
        Some(Ok(mut relay)) => relay.run(&mut wire).await.err(),
        Some(Err(fault)) => Some(fault),
    };
    if let Some(fault) = fault {
        tracing::info!(code = fault.code.as_str(), "a request ended without an answer");
        let told = client.ended().run_until_cancelled(wire.send(&ToPayer::Fault(fault))).await;
        if matches!(told, Some(Ok(()))) {
            let _ = wire.finish();
        }
    }
}

struct Relay {
    proxy: Arc<Proxy>,
    client: Arc<ClientSession>,
    worker: Arc<WorkerSession>,
    place: Place,
    wire: WorkerWire,
    earning: Option<Earning>,
    payment: Option<Payment>,
    request: Hash256,
    /// What the client pays.
    price: Price,
    prompt: Tokens,
    max_completion: Tokens,
    /// The worker was told to end the answer.
    stopped: bool,
    /// Until when whoever must move next has to.
    deadline: Instant,
}

fn client_gone(error: WireError) -> Fault {
    Fault::new(FaultCode::Protocol, format!("the client went away: {error}"))
}

fn worker_gone(error: impl std::fmt::Display) -> Fault {
    Fault::new(FaultCode::WorkerFailed, format!("the worker went away ({error}); nothing is billed; ask again"))
}

fn money(error: BooksError) -> Fault {
    let code = match error {
        BooksError::Admit(_) => FaultCode::InsufficientFunds,
        _ => FaultCode::Internal,
    };
    Fault::new(code, error.to_string())
}

/// Reads the question and finds a worker that accepts it.
async fn begin(proxy: &Arc<Proxy>, client: &Arc<ClientSession>, wire: &mut ClientWire) -> Result<Relay, Fault> {
    let request = match tokio::time::timeout(proxy.patience(), wire.recv()).await {
        Ok(Ok(ToPayee::Request(request))) => request,
        Ok(Ok(_)) => return Err(Fault::new(FaultCode::Protocol, "the first frame must be a request")),
        Ok(Err(error)) => return Err(client_gone(error)),
        Err(_) => return Err(Fault::new(FaultCode::Protocol, "the client said nothing")),
    };
    if request.channel != *client.channel().address() {
        let message =
            format!("this session is paid from channel {}, not {}", client.channel().address(), request.channel);
        return Err(Fault::new(FaultCode::PaymentRejected, message));
    }
    if !proxy.approves(&request.model) {
        let message =
            format!("the registry does not approve model {}; list the models for what is served", request.model);
        return Err(Fault::new(FaultCode::ModelNotFound, message).param("model"));
    }
    let hash = request_hash(&request.body);
    let price = request.price;
    let (body, keys) = (Bytes::from(request.body), request.keys);
    let mut tried = vec![];
    let mut last = None;
    while tried.len() < ATTEMPTS {
        let Some(place) = proxy.workers().choose(request.model, &price, proxy.fee_bps(), &keys, &tried)? else { break };
        let worker = place.worker().clone();
        tried.push(worker.key());
        let key: Vec<_> = keys.iter().filter(|key| key.worker == worker.key()).cloned().collect();
        match attempt(proxy, client, wire, place, &worker, body.clone(), key, hash, price).await {
            Ok(relay) => return Ok(relay),
            // Another worker may do better; the client has seen nothing yet.
            Err(fault) if matches!(fault.code, FaultCode::Overloaded | FaultCode::WorkerFailed) => last = Some(fault),
            Err(fault) => return Err(fault),
        }
    }
    Err(last.unwrap_or_else(|| {
        Fault::new(FaultCode::Overloaded, "no worker is free for this model; try again").retry_after_ms(1_000)
    }))
}

#[expect(clippy::too_many_arguments, reason = "one caller; a struct would only rename the arguments")]
async fn attempt(
    proxy: &Arc<Proxy>,
    client: &Arc<ClientSession>,
    up: &mut ClientWire,
    place: Place,
    worker: &Arc<WorkerSession>,
    body: Bytes,
    keys: Vec<SealedKey>,
    request: Hash256,
    price: Price,
) -> Result<Relay, Fault> {
    let mut wire: WorkerWire = worker.open().map_err(worker_gone)?;
    let (model, channel) = (worker.offer().model, worker.channel().address().clone());
    let asked = Request { model, price: worker.offer().price, channel, body: body.into(), keys };
    wire.send(&ToPayee::Request(asked)).await.map_err(worker_gone)?;
    let accepted = match tokio::time::timeout(proxy.patience(), wire.recv()).await {
        Ok(Ok(frame)) => frame,
        Ok(Err(error)) => {
            place.failed();
            return Err(worker_gone(error));
        }
        Err(_) => {
            place.failed();
            return Err(worker_gone("it said nothing"));
        }
    };
    let (prompt, max_completion, evidence, acceptance, salt) = match accepted {
        ToPayer::Accepted { prompt, max_completion, evidence, acceptance, salt } => {
            (prompt, max_completion, evidence, acceptance, salt)
        }
        ToPayer::Fault(fault) => return Err(refusal(proxy, fault, &place)),
        _ => {
            place.failed();
            return Err(worker_gone("it sent an answer before accepting"));
        }
    };
    let promised = acceptance.verify(&worker.key(), proxy.network(), &request, &model);
    if promised.is_err() || acceptance.acceptance.channel != *worker.channel().address() {
        place.failed();
        return Err(worker_gone("its acceptance is about something else"));
    }
    let worst = Usage { prompt, completion: max_completion };
    let earning = client.channel().admit(price.cost(worst)).map_err(money)?;
    // From here on the worker holds a reservation; a stream dropped before any payment costs nothing.
    let needed = worker.offer().price.cost(worst);
    let payment = worker.channel().reserve(needed).map_err(|error| {
        tracing::info!(%error, channel = %worker.channel().address(), "the channel to a worker is used up");
        proxy.fell_short(worker.channel().address(), needed);
        topping_up()
    })?;
    up.send(&ToPayer::Accepted { prompt, max_completion, evidence, acceptance, salt }).await.map_err(client_gone)?;
    Ok(Relay {
        proxy: proxy.clone(),
        client: client.clone(),
        worker: worker.clone(),
        place,
        wire,
        earning: Some(earning),
        payment: Some(payment),
        request,
        price,
        prompt,
        max_completion,
        stopped: false,
        deadline: Instant::now() + proxy.patience(),
    })
}

fn topping_up() -> Fault {
    Fault::new(FaultCode::Overloaded, "the proxy is topping up its channel to the worker; try again")
        .retry_after_ms(2_000)
}

/// What the client is told when a worker does not accept: what is wrong with the request is the client's affair, what is
/// wrong with our own channel or price is not. A worker that fails fast must not attract more (see `route`).
fn refusal(proxy: &Proxy, fault: Fault, place: &Place) -> Fault {
    match fault.code {
        FaultCode::InsufficientFunds => {
            // It does not say how much it needs; a whole context is the most that one choice can cost.
            let (channel, offer) = (place.worker().channel(), place.worker().offer());
            let context = offer.context_length;
            proxy.fell_short(channel.address(), offer.price.cost(Usage { prompt: context, completion: context }));
            topping_up()
        }
        FaultCode::BadRequest
        | FaultCode::ContextLengthExceeded
        | FaultCode::ModelNotFound
        | FaultCode::OffersChanged => fault,
        FaultCode::Overloaded => {
            place.busy();
            fault
        }
        _ => {
            place.failed();
            tracing::warn!(worker = %place.worker().key(), %fault, "a worker does not accept");
            worker_gone(format!("it refused with {}", fault.code.as_str()))
        }
    }
}

enum Step {
    Client(Result<ToPayee, WireError>),
    ClientLeft,
    Worker(Result<ToPayer, WireError>),
    Covered,
    Impatient,
}

impl Relay {
    async fn run(&mut self, client: &mut ClientWire) -> Result<(), Fault> {
        let ended = self.client.ended().clone();
        let mut changes = self.client.channel().changes();
        let mut response = ResponseHasher::default();
        let mut waiting: VecDeque<(Tokens, Vec<u8>)> = VecDeque::new();
        let mut completion = Tokens(0);
        let mut finished: Option<(Usage, SignedReceipt)> = None;
        // A client that goes away, stops paying or breaks the rules pays for what was passed on to it (P3.9): the worker
        // is told to stop and the rest is settled without the client.
        let mut client_here = true;
        loop {
            if finished.is_none() {
                self.pass_money_on().await?;
            }
            while let Some((tokens, data)) = waiting.pop_front() {
                if !client_here {
                    continue;
                }
                if !self.consume(tokens) {
                    waiting.push_front((tokens, data));
                    break;
                }
                let chunk = ToPayer::Chunk { completion: tokens, data };
                client_here = matches!(ended.run_until_cancelled(client.send(&chunk)).await, Some(Ok(())));
                self.moved();
            }
            if !client_here {
                self.stop_worker().await;
            }
            if waiting.is_empty()
                && let Some((usage, receipt)) =
                    finished.take_if(|(usage, _)| !client_here || self.consume(usage.completion))
            {
                return self.finish(client, usage, receipt, response).await;
            }
            // With something of the worker's in hand it is the client's turn to pay.
            let blocked = finished.is_some() || !waiting.is_empty();
            let step = tokio::select! {
                frame = client.recv(), if client_here => Step::Client(frame),
                () = ended.cancelled(), if client_here => Step::ClientLeft,
                frame = self.wire.recv(), if !blocked => Step::Worker(frame),
                _ = changes.changed() => Step::Covered,
                () = sleep_until(self.deadline) => Step::Impatient,
            };
            match step {
                Step::Covered => {}
                Step::Client(Ok(ToPayee::Pay { authorised, voucher })) => {
                    let Some(earning) = &self.earning else { continue };
                    if let Err(error) = earning.pay(authorised, &voucher, self.proxy.now()).await {
                        tracing::warn!(%error, "a client's voucher is refused; its answer ends here");
                        client_here = false;
                    }
                }
                Step::Client(Ok(ToPayee::Stop)) => self.stop_worker().await,
                Step::Client(Ok(ToPayee::Request(_)) | Err(_)) | Step::ClientLeft => client_here = false,
                Step::Worker(Ok(ToPayer::Chunk { completion: tokens, data })) => {
                    if tokens < completion || tokens > self.max_completion {
                        return Err(self.worker_failed("token counts go backwards or beyond the announced limit"));
                    }
                    if completion.0 == 0 {
                        self.place.answered();
                    }
                    completion = tokens;
                    response.chunk(&data);
                    waiting.push_back((tokens, data));
                    self.moved();
                }
                Step::Worker(Ok(ToPayer::Finished { usage, receipt })) => {
                    let fits = completion <= usage.completion && usage.completion <= self.max_completion;
                    if usage.prompt != self.prompt || !fits {
                        return Err(self.worker_failed("a final usage that does not fit the chunks (attack 77)"));
                    }
                    finished = Some((usage, *receipt));
                    self.moved();
                }
                Step::Worker(Ok(ToPayer::Fault(fault))) => return Err(self.worker_gave_up(fault)),
                Step::Worker(Ok(ToPayer::Accepted { .. })) => return Err(self.worker_failed("it accepted twice")),
                Step::Worker(Err(error)) => return Err(self.worker_failed(&error.to_string())),
                Step::Impatient if blocked => {
                    client_here = false;
                    self.hurry();
                }
                // Silence may be the client's fault: a worker waits for its money, too. Only one that does not even obey is
                // at fault itself.
                Step::Impatient if !self.stopped => self.stop_worker().await,
                Step::Impatient => return Err(self.worker_failed("it does not end the answer when told to")),
            }
        }
    }

    /// Something has come forward, so whoever is next has its time. An answer that is to end gets no more of it.
    fn moved(&mut self) {
        if !self.stopped {
            self.deadline = Instant::now() + self.proxy.patience();
        }
    }

    /// A part of the patience that the client has with us, so that it hears from us before it gives us up.
    fn hurry(&mut self) {
        self.deadline = Instant::now() + self.proxy.patience() / 3;
    }

    /// Ends the worker's link: its books and ours may differ by now, and the next session compares them (P2.3). On a link that
    /// goes on, every later voucher would be short of what the worker has billed.
    fn worker_failed(&self, what: &str) -> Fault {
        self.place.failed();
        tracing::warn!(worker = %self.worker.key(), %what, "a worker failed in mid-answer; its link is closed");
        self.worker.close(what);
        worker_gone(what)
    }

    /// The worker says that there is no answer: nothing is billed on either hop.
    fn worker_gave_up(&self, fault: Fault) -> Fault {
        match fault.code {
            // Nobody paid and the worker noticed first, or the engine cannot do what was asked.
            FaultCode::PaymentTimeout | FaultCode::BadRequest => fault,
            FaultCode::PaymentRejected if self.stopped => fault,
            // Our vouchers, not the client's.
            FaultCode::PaymentRejected => self.worker_failed("it refuses this proxy's vouchers"),
            _ => {
                self.place.failed();
                fault
            }
        }
    }

    /// Whether output up to this many tokens is covered by the client's vouchers.
    fn consume(&self, completion: Tokens) -> bool {
        let cost = self.price.cost(Usage { prompt: self.prompt, completion });
        self.earning.as_ref().is_some_and(|earning| earning.consume(cost).is_ok())
    }

    /// The worker gets, at its own price, what the client has paid for (P3.4).
    async fn pass_money_on(&mut self) -> Result<(), Fault> {
        let (Some(earning), Some(payment)) = (&self.earning, &self.payment) else { return Ok(()) };
        let Some(tokens) = self.price.affordable(self.prompt, earning.covered()) else { return Ok(()) };
        let completion = tokens.min(self.max_completion);
        let amount = self.worker.offer().price.cost(Usage { prompt: self.prompt, completion });
        if amount <= payment.authorised() {
            return Ok(());
        }
        let (authorised, voucher) = payment.authorise(amount).map_err(money)?;
        self.moved();
        self.tell_worker(&ToPayee::Pay { authorised, voucher }).await;
        Ok(())
    }

    /// Tells the worker to end the answer, once.
    async fn stop_worker(&mut self) {
        if !std::mem::replace(&mut self.stopped, true) {
            self.hurry();
            self.tell_worker(&ToPayee::Stop).await;
        }
    }

    /// A worker that takes nothing more may have said why, or even finished and billed: its own frames tell.
    async fn tell_worker(&mut self, frame: &ToPayee) {
        if let Err(error) = self.wire.send(frame).await {
            tracing::debug!(%error, worker = %self.worker.key(), "a worker takes no frames");
        }
    }

    /// Checks the receipt, pays the worker exactly, bills the client and hands the receipt on.
    async fn finish(
        &mut self,
        client: &mut ClientWire,
        usage: Usage,
        receipt: SignedReceipt,
        response: ResponseHasher,
    ) -> Result<(), Fault> {
        let peer = self.worker.peer().clone();
        let expected = Expected {
            global_id: self.proxy.network(),
            request: self.request,
            response: response.finish(),
            model: self.worker.offer().model,
            image: peer.attested()?.image,
            prompt: self.prompt,
            completion: usage.completion,
        };
        let invalid = |why: String| {
            let fault = Fault::new(FaultCode::ReceiptInvalid, format!("{why}; nothing is billed"));
            let _ = self.worker_failed(&fault.message);
            fault
        };
        receipt.verify(&peer.node_key, &expected).map_err(|error| invalid(error.to_string()))?;
        let (offer, channel) = (self.worker.offer(), self.worker.channel().address());
        if receipt.receipt.price != offer.price || receipt.receipt.channel != *channel {
            return Err(invalid("the receipt's price or channel is not the one agreed on".to_owned()));
        }
        let (Some(earning), Some(payment)) = (self.earning.take(), self.payment.take()) else {
            return Err(Fault::new(FaultCode::Internal, "the request was billed already"));
        };
        self.place.served();
        // The worker has billed it; if we cannot, the books differ.
        let exact = payment.bill(receipt.receipt.cost).await.map_err(|error| self.worker_failed(&error.to_string()))?;
        if self.wire.send(&ToPayee::Pay { authorised: receipt.receipt.cost, voucher: exact }).await.is_ok() {
            let _ = self.wire.finish();
        }
        // A client that went away may have paid for less than the worker had released by then.
        let cost = self.price.cost(usage).min(earning.covered());
        if let Err(error) = earning.finish(cost, |_| Ok::<_, BooksError>(None)).await {
            // Billed, but not on disk. A fault would promise that it is not billed, so the stream just breaks off: the client
            // begins another session, which compares the books (P2.3).
            tracing::error!(%error, "an answer could not be booked");
            return Ok(());
        }
        metrics::counter!("cocoon_proxy_answers_total").increment(1);
        metrics::counter!("cocoon_proxy_completion_tokens_total").increment(usage.completion.0);
        metrics::counter!("cocoon_proxy_billed_nano_total").increment(cost.get());
        let goodbye = async {
            if client.send(&ToPayer::Finished { usage, receipt: Box::new(receipt) }).await.is_ok() {
                self.client.channel().collect_exact(client, || self.proxy.now(), self.proxy.patience()).await;
            }
        };
        let _ = self.client.ended().run_until_cancelled(goodbye).await;
        Ok(())
    }
}
