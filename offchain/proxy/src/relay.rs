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
use cocoon_protocol::{Fault, FaultCode, Hash256, Price, SignedReceipt, Tokens, Usage};

use crate::Proxy;
use crate::clients::ClientSession;
use crate::workers::{Place, WorkerSession};

/// How many workers are tried before the client is told to come back later.
const ATTEMPTS: usize = 3;

type ClientWire = Wire<ToPayer, ToPayee>;
type WorkerWire = Wire<ToPayee, ToPayer>;

/// Relays the question on this stream. Everything that goes wrong is told to the client, and nothing is billed then.
pub(crate) async fn serve(proxy: Arc<Proxy>, client: Arc<ClientSession>, mut wire: ClientWire) {
    let fault = match begin(&proxy, &client, &mut wire).await {
        Ok(mut relay) => relay.run(&mut wire).await.err(),
        Err(fault) => Some(fault),
    };
    if let Some(fault) = fault {
        tracing::info!(code = fault.code.as_str(), "a request ended without an answer");
        if wire.send(&ToPayer::Fault(fault)).await.is_ok() {
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
    let hash = request_hash(&request.body);
    let price = request.price;
    let body = Bytes::from(request.body);
    let mut tried = vec![];
    let mut last = None;
    while tried.len() < ATTEMPTS {
        let Some(place) = proxy.workers().choose(request.model, &price, proxy.fee_bps(), &tried)? else { break };
        let worker = place.worker().clone();
        tried.push(worker.key());
        match attempt(proxy, client, wire, place, &worker, body.clone(), hash, price).await {
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
    request: Hash256,
    price: Price,
) -> Result<Relay, Fault> {
    let mut wire: WorkerWire = worker.open().map_err(worker_gone)?;
    let (model, channel) = (worker.offer().model, worker.channel().address().clone());
    let asked = Request { model, price: worker.offer().price, channel, body: body.into() };
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
    let (prompt, max_completion, evidence) = match accepted {
        ToPayer::Accepted { prompt, max_completion, evidence } => (prompt, max_completion, evidence),
        ToPayer::Fault(fault) => return Err(fault),
        _ => {
            place.failed();
            return Err(worker_gone("it sent an answer before accepting"));
        }
    };
    let worst = Usage { prompt, completion: max_completion };
    let earning = client.channel().admit(price.cost(worst)).map_err(money)?;
    // From here on the worker holds a reservation; a stream dropped before any payment costs nothing.
    let payment = worker.channel().reserve(worker.offer().price.cost(worst)).map_err(|error| {
        tracing::warn!(%error, channel = %worker.channel().address(), "the channel to a worker is used up; top it up");
        Fault::new(FaultCode::Overloaded, "the proxy has no funds left for this worker; try again")
            .retry_after_ms(5_000)
    })?;
    up.send(&ToPayer::Accepted { prompt, max_completion, evidence }).await.map_err(client_gone)?;
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
    })
}

enum Step {
    Client(Result<ToPayee, WireError>),
    Worker(Result<ToPayer, WireError>),
    Covered,
    Impatient,
}

impl Relay {
    async fn run(&mut self, client: &mut ClientWire) -> Result<(), Fault> {
        let patience = self.proxy.patience();
        let mut changes = self.client.channel().changes();
        let mut response = ResponseHasher::default();
        let mut waiting: VecDeque<(Tokens, Vec<u8>)> = VecDeque::new();
        let mut completion = Tokens(0);
        let mut finished: Option<(Usage, SignedReceipt)> = None;
        // A client that goes away, stops paying or breaks the rules pays for what was passed on to it (P3.9): the worker
        // is told to stop and the rest is settled without the client.
        let mut client_here = true;
        loop {
            self.pass_money_on().await?;
            while let Some((tokens, data)) = waiting.pop_front() {
                if !client_here {
                    continue;
                }
                if !self.consume(tokens) {
                    waiting.push_front((tokens, data));
                    break;
                }
                if client.send(&ToPayer::Chunk { completion: tokens, data }).await.is_err() {
                    client_here = false;
                    self.stop_worker(finished.is_some()).await?;
                }
            }
            if waiting.is_empty()
                && let Some((usage, receipt)) =
                    finished.take_if(|(usage, _)| !client_here || self.consume(usage.completion))
            {
                return self.finish(client, usage, receipt, response).await;
            }
            let blocked = finished.is_some() || !waiting.is_empty();
            let step = tokio::select! {
                frame = client.recv(), if client_here => Step::Client(frame),
                frame = self.wire.recv(), if !blocked => Step::Worker(frame),
                _ = changes.changed() => Step::Covered,
                () = tokio::time::sleep(patience) => Step::Impatient,
            };
            match step {
                Step::Covered => {}
                Step::Client(Ok(ToPayee::Pay { authorised, voucher })) => {
                    let Some(earning) = &self.earning else { continue };
                    if let Err(error) = earning.pay(authorised, &voucher, self.proxy.now()).await {
                        tracing::warn!(%error, "a client's voucher is refused; its answer ends here");
                        client_here = false;
                        self.stop_worker(finished.is_some()).await?;
                    }
                }
                Step::Client(Ok(ToPayee::Stop)) => self.stop_worker(finished.is_some()).await?,
                Step::Client(Ok(ToPayee::Request(_)) | Err(_)) => {
                    client_here = false;
                    self.stop_worker(finished.is_some()).await?;
                }
                Step::Worker(Ok(ToPayer::Chunk { completion: tokens, data })) => {
                    if tokens < completion || tokens > self.max_completion {
                        return Err(
                            self.worker_broke_the_rules("token counts go backwards or beyond the announced limit")
                        );
                    }
                    if completion.0 == 0 {
                        self.place.answered();
                    }
                    completion = tokens;
                    response.chunk(&data);
                    waiting.push_back((tokens, data));
                }
                Step::Worker(Ok(ToPayer::Finished { usage, receipt })) => finished = Some((usage, *receipt)),
                Step::Worker(Ok(ToPayer::Fault(fault))) => {
                    self.place.failed();
                    return Err(fault);
                }
                Step::Worker(Ok(ToPayer::Accepted { .. })) => {
                    return Err(self.worker_broke_the_rules("it accepted twice"));
                }
                Step::Worker(Err(error)) => {
                    self.place.failed();
                    return Err(worker_gone(error));
                }
                Step::Impatient if blocked => {
                    client_here = false;
                    self.stop_worker(finished.is_some()).await?;
                }
                Step::Impatient => {
                    return Err(self.worker_broke_the_rules(&format!("silent for {} s", patience.as_secs())));
                }
            }
        }
    }

    /// Ends the worker's link: its books and ours may differ by now, and the next session compares them (P2.3).
    fn worker_broke_the_rules(&self, what: &str) -> Fault {
        self.place.failed();
        tracing::warn!(worker = %self.worker.key(), %what, "a worker broke the rules; its link is closed");
        self.worker.close(what);
        worker_gone(what)
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
        self.wire.send(&ToPayee::Pay { authorised, voucher }).await.map_err(worker_gone)
    }

    async fn stop_worker(&mut self, finished: bool) -> Result<(), Fault> {
        if finished { Ok(()) } else { self.wire.send(&ToPayee::Stop).await.map_err(worker_gone) }
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
            image: peer.image,
            prompt: self.prompt,
            completion: usage.completion,
        };
        receipt.verify(&peer.node_key, &expected).map_err(|error| {
            let fault = Fault::new(FaultCode::ReceiptInvalid, format!("{error}; nothing is billed"));
            let _ = self.worker_broke_the_rules(&fault.message);
            fault
        })?;
        let (Some(earning), Some(payment)) = (self.earning.take(), self.payment.take()) else {
            return Err(Fault::new(FaultCode::Internal, "the request was billed already"));
        };
        let exact = payment.bill(receipt.receipt.cost).await.map_err(money)?;
        if self.wire.send(&ToPayee::Pay { authorised: receipt.receipt.cost, voucher: exact }).await.is_ok() {
            let _ = self.wire.finish();
        }
        // A client that went away may have paid for less than the worker had released by then.
        let cost = self.price.cost(usage).min(earning.covered());
        metrics::counter!("cocoon_proxy_answers_total").increment(1);
        metrics::counter!("cocoon_proxy_completion_tokens_total").increment(usage.completion.0);
        metrics::counter!("cocoon_proxy_billed_nano_total").increment(cost.get());
        earning.finish(cost, |_| Ok::<_, BooksError>(None)).await.map_err(money)?;
        let told = client.send(&ToPayer::Finished { usage, receipt: Box::new(receipt) }).await;
        if told.is_ok() {
            self.client.channel().collect_exact(client, || self.proxy.now(), self.proxy.patience()).await;
        }
        Ok(())
    }
}
