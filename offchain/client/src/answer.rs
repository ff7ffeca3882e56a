//! One question and its answer, from the client's side (docs/protocol.md P3).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cocoon_attest::PeerIdentity;
use cocoon_node::books::{BooksError, Payment};
use cocoon_node::wire::Wire;
use cocoon_protocol::acceptance::SignedAcceptance;
use cocoon_protocol::frame::{Offer, Request, ToPayee, ToPayer};
use cocoon_protocol::hash::{ResponseHasher, request_hash};
use cocoon_protocol::receipt::{Expected, Outcome};
use cocoon_protocol::{Fault, FaultCode, Hash256, LogProof, Nano, SignedReceipt, Tokens, Usage};
use cocoon_receipt::{Bytes as Bytes64, Content, Statement};
use cocoon_seal::{ChunkOpener, ClientKeys};
use tokio::sync::mpsc;

use crate::session::Session;

/// More prompt tokens than bytes of the body plus this much (for the chat template) cannot be.
const TEMPLATE_ALLOWANCE: u64 = 4096;
/// Chunks that wait for a slow caller; beyond it the worker is slowed down.
const QUEUE: usize = 32;

/// A window that is paid ahead must be larger than what a worker may sample without a word.
const LEAST_WINDOW: u64 = 16;
/// More bytes per token, log probabilities included, are not an answer but an attack on this client's memory.
const MAX_TOKEN_BYTES: u64 = 16 * 1024;
/// Tokens' worth of bytes besides, for what carries no token: roles, reasons to finish.
const ALLOWED_TOKENS: u64 = 256;

/// What an answer consists of, in this order: one `Accepted`, chunks, one `Finished`.
#[derive(Debug)]
pub enum AnswerEvent {
    /// A worker has understood the question.
    Accepted {
        /// Tokens of the prompt.
        prompt: Tokens,
        /// Most tokens of the answer.
        max_completion: Tokens,
    },
    /// A `chat.completion.chunk` object, byte for byte as the worker sent it.
    Chunk(Bytes),
    /// The end.
    Finished(Box<Finished>),
}

/// How an answer ended: billed, with a receipt that was verified.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Tokens metered.
    pub usage: Usage,
    /// What this client pays, the proxy's fee included.
    pub cost: Nano,
    /// The worker's statement.
    pub receipt: SignedReceipt,
    /// Who signed it.
    pub worker: PeerIdentity,
    /// The worker's promise before the answer.
    pub acceptance: SignedAcceptance,
    /// The worker's certificate, DER.
    pub evidence: Vec<u8>,
    /// Where the certificate is in the transparency log, if the client demanded it.
    pub logged: Option<LogProof>,
    /// Question and answer as they travelled, if the client keeps them.
    pub content: Option<Content>,
}

impl Finished {
    /// What a receipt bundle begins with.
    pub fn statement(&self) -> Statement {
        Statement {
            receipt: self.receipt.clone(),
            acceptance: self.acceptance.clone(),
            certificate: self.evidence.clone(),
            logged: self.logged.clone(),
            content: self.content.clone(),
        }
    }
}

/// An answer under way. Dropping it stops the worker; what was said up to there is billed (P3.9).
#[derive(Debug)]
pub struct Answer {
    events: mpsc::Receiver<Result<AnswerEvent, Fault>>,
}

impl Answer {
    /// The next event. After `Finished` or an error there is none, and asking for one is an error again.
    pub async fn next(&mut self) -> Result<AnswerEvent, Fault> {
        self.events.recv().await.unwrap_or_else(|| Err(Fault::new(FaultCode::Internal, "the answer has ended")))
    }

    /// Waits for the first chunk.
    pub async fn first_chunk(&mut self) -> Result<Bytes, Fault> {
        loop {
            match self.next().await? {
                AnswerEvent::Accepted { .. } => {}
                AnswerEvent::Chunk(data) => return Ok(data),
                AnswerEvent::Finished(_) => {
                    return Err(Fault::new(FaultCode::Protocol, "the worker ended the answer without a chunk"));
                }
            }
        }
    }
}

/// Sends the question; the answer is carried on by a task of its own.
pub(crate) async fn ask(session: Arc<Session>, offer: Offer, body: Bytes) -> Result<Answer, Fault> {
    let (offer, asked) = send(&session, &offer, &body).await?;
    let (sender, events) = mpsc::channel(QUEUE);
    let exchange = Exchange { session, asked, offer, body, events: sender };
    tokio::spawn(exchange.run());
    Ok(Answer { events })
}

/// A question on its way.
struct Asked {
    wire: Wire<ToPayee, ToPayer>,
    /// Hash of the sealed body.
    request: Hash256,
    keys: ClientKeys,
    /// What has travelled so far, if it is to be kept.
    content: Option<Content>,
}

/// Seals the question to the workers that this client has verified itself, and sends it.
async fn send(session: &Session, offer: &Offer, body: &Bytes) -> Result<(Offer, Asked), Fault> {
    let (offer, candidates) = session.verified(offer).await?;
    let sealed = cocoon_seal::seal(body, session.network(), &offer.model, &candidates, &mut rand::rngs::OsRng);
    let (question, keys) = sealed.map_err(|e| Fault::new(FaultCode::Internal, e.to_string()))?;
    let request = request_hash(&question.body);
    let content = session.keeps_content().then(|| Content { request: Bytes64(question.body.clone()), chunks: vec![] });
    let asking = Request {
        model: offer.model,
        price: offer.price,
        channel: session.channel().address().clone(),
        body: question.body,
        keys: question.keys,
    };
    let mut wire = session.open().await?;
    wire.send(&ToPayee::Request(asking)).await.map_err(gone)?;
    Ok((offer, Asked { wire, request, keys, content }))
}

/// Before anything was paid.
fn gone(error: impl std::fmt::Display) -> Fault {
    Fault::new(FaultCode::ProxyFailed, format!("the link to the proxy broke ({error}); nothing is billed; ask again"))
}

/// After something was paid: the proxy may bill what it had passed on.
fn broke(error: impl std::fmt::Display) -> Fault {
    let message =
        format!("the link to the proxy broke ({error}) in mid-answer; at most what has arrived is billed; ask again");
    Fault::new(FaultCode::ProxyFailed, message)
}

pub(crate) fn money(error: BooksError) -> Fault {
    let code = match error {
        BooksError::Insufficient(_) => FaultCode::InsufficientFunds,
        _ => FaultCode::Internal,
    };
    Fault::new(code, error.to_string())
}

struct Exchange {
    session: Arc<Session>,
    asked: Asked,
    offer: Offer,
    body: Bytes,
    events: mpsc::Sender<Result<AnswerEvent, Fault>>,
}

/// Who gave an answer up.
enum Ended {
    /// The proxy said so: it bills nothing.
    ByProxy(Fault),
    /// This client did.
    ByUs(Fault),
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        Self::ByUs(fault)
    }
}

/// What is known once a worker has accepted.
struct Accepted {
    prompt: Tokens,
    max_completion: Tokens,
    worker: PeerIdentity,
    acceptance: SignedAcceptance,
    evidence: Vec<u8>,
    opener: ChunkOpener,
    payment: Payment,
}

impl Exchange {
    async fn run(mut self) {
        let result = self.carry().await;
        let event = match result {
            Ok(finished) => Ok(AnswerEvent::Finished(Box::new(finished))),
            Err(Ended::ByProxy(fault)) => Err(fault),
            Err(Ended::ByUs(fault)) => {
                // The proxy may bill what it had passed on: the next session compares the books (P2.3).
                self.session.close();
                Err(fault)
            }
        };
        // The caller may have gone away; then nobody wants to know.
        let _ = self.events.send(event).await;
    }

    async fn carry(&mut self) -> Result<Finished, Ended> {
        // Nothing is paid before a worker is accepted, so whatever goes wrong until then leaves the books equal.
        let (caller, accepting) = (self.events.clone(), self.accept());
        let accepted = tokio::select! {
            accepted = accepting => accepted.map_err(Ended::ByProxy)?,
            () = caller.closed() => return Err(Ended::ByProxy(gone("the caller went away"))),
        };
        let mut accepted = accepted;
        let (prompt, max_completion) = (accepted.prompt, accepted.max_completion);
        let _ = self.events.send(Ok(AnswerEvent::Accepted { prompt, max_completion })).await;

        let mut response = ResponseHasher::default();
        let (mut completion, mut bytes) = (Tokens(0), 0u64);
        let limit = max_completion.0.saturating_add(ALLOWED_TOKENS).saturating_mul(MAX_TOKEN_BYTES);
        let mut stopped = false;
        self.pay(&accepted, completion).await?;
        loop {
            let frame = tokio::select! {
                frame = receive(&mut self.asked.wire, self.session.patience()) => frame.map_err(broke)?,
                () = self.events.closed(), if !stopped => {
                    stopped = true;
                    self.tell(&ToPayee::Stop).await;
                    continue;
                }
            };
            match frame {
                ToPayer::Chunk { completion: so_far, data } => {
                    if so_far < completion || so_far > max_completion {
                        return Err(protocol("token counts that go backwards or beyond the announced limit").into());
                    }
                    response.chunk(&data);
                    if let Some(content) = &mut self.asked.content {
                        content.chunks.push(Bytes64(data.clone()));
                    }
                    let data = accepted
                        .opener
                        .open(&data, so_far)
                        .map_err(|e| Fault::new(FaultCode::Protocol, format!("{e}; the session is closed")))?;
                    bytes = bytes.saturating_add(data.len() as u64);
                    if bytes > limit || !is_one_line_object(&data) {
                        return Err(
                            protocol("a chunk that is no JSON object on one line, or far too many bytes").into()
                        );
                    }
                    completion = so_far;
                    if !stopped {
                        stopped = self.events.send(Ok(AnswerEvent::Chunk(data.into()))).await.is_err();
                        if stopped {
                            self.tell(&ToPayee::Stop).await;
                        }
                    }
                    self.pay(&accepted, completion).await?;
                }
                ToPayer::Finished { usage, receipt } => {
                    // Tokens that no chunk could carry (an end marker, text held back) arrive with the end.
                    if usage.prompt != prompt || usage.completion < completion || usage.completion > max_completion {
                        return Err(protocol("a final usage that does not fit the chunks").into());
                    }
                    let outcome = receipt.receipt.outcome;
                    let finished = self.finish(accepted, usage, response, *receipt).await?;
                    if outcome == Outcome::Stopped && !stopped {
                        let got = usage.completion;
                        let message =
                            format!("the answer was cut short after {got}, which are billed: payments came too late");
                        return Err(Ended::ByProxy(Fault::new(FaultCode::PaymentTimeout, message)));
                    }
                    return Ok(finished);
                }
                ToPayer::Fault(fault) => return Err(Ended::ByProxy(fault)),
                ToPayer::Accepted { .. } => return Err(protocol("a second acceptance").into()),
            }
        }
    }

    /// Waits for a worker to accept, checks its evidence and sets the worst case aside (P3.3).
    async fn accept(&mut self) -> Result<Accepted, Fault> {
        let mut frame = receive(&mut self.asked.wire, self.session.patience()).await.map_err(gone)?;
        if matches!(&frame, ToPayer::Fault(fault) if fault.code == FaultCode::OffersChanged) {
            // The workers came and went since the offer was read: once more, for those that are here now.
            let offer = self.session.offer(&self.offer.name).await?;
            (self.offer, self.asked) = send(&self.session, &offer, &self.body).await?;
            frame = receive(&mut self.asked.wire, self.session.patience()).await.map_err(gone)?;
        }
        let (prompt, max_completion, evidence, acceptance, salt) = match frame {
            ToPayer::Accepted { prompt, max_completion, evidence, acceptance, salt } => {
                (prompt, max_completion, evidence, acceptance, salt)
            }
            ToPayer::Fault(fault) => return Err(fault),
            _ => return Err(protocol("an answer before an acceptance")),
        };
        if prompt.0 > (self.body.len() as u64).saturating_add(TEMPLATE_ALLOWANCE) {
            return Err(protocol("more prompt tokens than the request has bytes"));
        }
        let worker = self.session.verify_answering(&evidence).await?;
        acceptance
            .verify(&worker.node_key, self.session.network(), &self.asked.request, &self.offer.model)
            .map_err(|e| Fault::new(FaultCode::WorkerFailed, format!("{e}; nothing is billed; ask again")))?;
        let opener = self.asked.keys.opener(&worker.node_key, &salt);
        let opener = opener.ok_or_else(|| protocol("the acceptance of a worker that was not asked"))?;
        let worst = self.offer.price.cost(Usage { prompt, completion: max_completion });
        let payment = self.session.channel().reserve(worst).map_err(money)?;
        Ok(Accepted { prompt, max_completion, worker, acceptance: *acceptance, evidence, opener, payment })
    }

    /// Keeps the vouchers at least half a window ahead of the tokens that have arrived (P3.4).
    async fn pay(&mut self, accepted: &Accepted, completion: Tokens) -> Result<(), Fault> {
        let window = self.session.window().0.max(LEAST_WINDOW);
        let ahead =
            |tokens: u64| Usage { prompt: accepted.prompt, completion: Tokens(completion.0.saturating_add(tokens)) };
        let cap = self.offer.price.cost(Usage { prompt: accepted.prompt, completion: accepted.max_completion });
        let wanted = self.offer.price.cost(ahead(window)).min(cap);
        let needed = self.offer.price.cost(ahead(window / 2)).min(cap);
        let authorised = accepted.payment.authorised();
        if authorised >= needed && !(completion.0 == 0 && authorised < wanted) {
            return Ok(());
        }
        let (authorised, voucher) = accepted.payment.authorise(wanted).map_err(money)?;
        self.tell(&ToPayee::Pay { authorised, voucher }).await;
        Ok(())
    }

    /// A proxy that takes nothing more may have finished and billed while the caller was slow: its own frames tell.
    async fn tell(&mut self, frame: &ToPayee) {
        if let Err(error) = self.asked.wire.send(frame).await {
            tracing::debug!(%error, "the proxy takes no frames");
        }
    }

    /// Checks the receipt against everything that was seen, then pays exactly (P3.6).
    async fn finish(
        &mut self,
        accepted: Accepted,
        usage: Usage,
        response: ResponseHasher,
        receipt: SignedReceipt,
    ) -> Result<Finished, Fault> {
        let expected = Expected {
            global_id: self.session.network(),
            request: self.asked.request,
            response: response.finish(),
            model: self.offer.model,
            image: accepted.worker.attested()?.image,
            prompt: usage.prompt,
            completion: usage.completion,
        };
        receipt
            .verify(&accepted.worker.node_key, &expected)
            .map_err(|e| Fault::new(FaultCode::ReceiptInvalid, format!("{e}; do not rely on this answer")))?;
        let cost = self.offer.price.cost(usage);
        let voucher = accepted.payment.bill(cost).await.map_err(money)?;
        // The answer is complete and billed; a proxy that is gone by now gets the voucher at the next session.
        if self.asked.wire.send(&ToPayee::Pay { authorised: cost, voucher }).await.is_ok() {
            let _ = self.asked.wire.finish();
        }
        let Accepted { worker, acceptance, evidence, .. } = accepted;
        let logged = self.session.log_proof(&evidence);
        Ok(Finished { usage, cost, receipt, worker, acceptance, evidence, logged, content: self.asked.content.take() })
    }
}

fn protocol(what: &str) -> Fault {
    Fault::new(FaultCode::Protocol, format!("the proxy sent {what}; the session is closed"))
}

/// Whether a chunk can be passed on as one server-sent event that is not the `[DONE]` of a stream: a line break in it, or that
/// word, would let a proxy end the answer in the application's eyes before its receipt is checked (attack 76).
fn is_one_line_object(data: &[u8]) -> bool {
    data.starts_with(b"{") && !data.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
}

async fn receive(wire: &mut Wire<ToPayee, ToPayer>, patience: Duration) -> Result<ToPayer, String> {
    match tokio::time::timeout(patience, wire.recv()).await {
        Ok(frame) => frame.map_err(|error| error.to_string()),
        Err(_) => Err(format!("silent for {} s", patience.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_76_no_chunk_can_end_the_event_stream() {
        assert!(is_one_line_object(br#"{"choices":[{"delta":{"content":"a\nb"}}]}"#));
        for forged in [&b"[DONE]"[..], b"{}\n\ndata: [DONE]", b"{}\r\rdata: [DONE]", b"", b" {}"] {
            assert!(!is_one_line_object(forged), "{forged:?}");
        }
    }
}
