//! The local OpenAI-compatible endpoint: `/v1/models` and `/v1/chat/completions`; `/v1/receipts/ID` proves an answer to others.
//!
//! It listens on the loopback interface for programs of this machine. A web page of another origin gets nothing from it
//! (attack 87): requests with a foreign `Origin`, or with a `Host` that is not this machine (DNS rebinding), are refused, and
//! no CORS header is ever sent.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use cocoon_protocol::frame::MAX_BODY;
use cocoon_protocol::openai::chunk::{Chunk, Head};
use cocoon_protocol::openai::fold::Fold;
use cocoon_protocol::openai::request::Envelope;
use cocoon_protocol::{Fault, FaultCode, UnixSeconds};
use futures::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Client;
use crate::answer::{Answer, AnswerEvent};

/// Header of an answer: where its receipt is once it has ended.
pub const RECEIPT: &str = "cocoon-receipt";

/// Serves until `stop` is cancelled; open answers may end first.
pub async fn serve(client: Arc<Client>, listener: TcpListener, stop: CancellationToken) -> std::io::Result<()> {
    axum::serve(listener, router(client)).with_graceful_shutdown(async move { stop.cancelled().await }).await
}

/// The endpoint's routes.
pub fn router(client: Arc<Client>) -> Router {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/models/{id}", get(model))
        .route("/v1/chat/completions", post(chat))
        .route("/v1/receipts/{id}", get(receipt))
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(middleware::from_fn(same_machine_only))
        .with_state(client)
}

/// An error in the API's form.
struct ApiError(Fault);

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

/// Status and error type of a fault (docs/protocol.md P6).
fn status(code: FaultCode) -> (StatusCode, &'static str) {
    match code {
        FaultCode::BadRequest | FaultCode::ContextLengthExceeded => (StatusCode::BAD_REQUEST, "invalid_request_error"),
        FaultCode::ModelNotFound => (StatusCode::NOT_FOUND, "invalid_request_error"),
        FaultCode::InsufficientFunds | FaultCode::PaymentRejected => {
            (StatusCode::PAYMENT_REQUIRED, "insufficient_quota")
        }
        FaultCode::PaymentTimeout => (StatusCode::REQUEST_TIMEOUT, "server_error"),
        FaultCode::Overloaded | FaultCode::OffersChanged => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error"),
        FaultCode::WorkerFailed | FaultCode::ProxyFailed | FaultCode::AttestationFailed | FaultCode::ReceiptInvalid => {
            (StatusCode::BAD_GATEWAY, "server_error")
        }
        FaultCode::Protocol | FaultCode::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
    }
}

fn error_object(fault: &Fault) -> Value {
    let (_, kind) = status(fault.code);
    json!({ "error": {
        "message": fault.message, "type": kind, "param": fault.param, "code": fault.code.as_str(),
    } })
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, _) = status(self.0.code);
        error_response(status, &self.0)
    }
}

fn error_response(status: StatusCode, fault: &Fault) -> Response {
    let mut response = (status, Json(error_object(fault))).into_response();
    if let Some(ms) = fault.retry_after_ms {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
    }
    response
}

async fn unknown_path(uri: Uri) -> Response {
    let message =
        format!("there is no {}; this endpoint serves /v1/models, /v1/chat/completions and /v1/receipts", uri.path());
    error_response(StatusCode::NOT_FOUND, &Fault::new(FaultCode::BadRequest, message))
}

async fn unknown_method() -> Response {
    let message = "this path does not take that method: models are read with GET, chat completions are POSTed";
    error_response(StatusCode::METHOD_NOT_ALLOWED, &Fault::new(FaultCode::BadRequest, message))
}

async fn same_machine_only(request: Request, next: Next) -> Response {
    if let Some(name) = foreign(request.headers()) {
        let message = format!("the {name} header is not of this machine; this endpoint serves local programs only");
        return error_response(StatusCode::FORBIDDEN, &Fault::new(FaultCode::BadRequest, message));
    }
    next.run(request).await
}

/// Which header, if any, says that the request comes from a page of another machine.
fn foreign(headers: &HeaderMap) -> Option<&'static str> {
    let local = |authority: &str| {
        let host = authority.parse::<SocketAddr>().map_or_else(
            |_| authority.rsplit_once(':').map_or(authority, |(host, _)| host).to_owned(),
            |address| address.ip().to_string(),
        );
        matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1" | "[::1]")
    };
    let origin = headers.get(header::ORIGIN).map(|v| v.to_str().unwrap_or_default());
    if origin.is_some_and(|o| !o.split_once("://").is_some_and(|(_, authority)| local(authority))) {
        return Some("Origin");
    }
    let host = headers.get(header::HOST).map(|v| v.to_str().unwrap_or_default());
    host.is_some_and(|h| !local(h)).then_some("Host")
}

fn model_object(name: &str) -> Value {
    json!({ "id": name, "object": "model", "created": 0, "owned_by": "cocoon" })
}

async fn models(State(client): State<Arc<Client>>) -> Result<Json<Value>, ApiError> {
    let offers = client.offers().await?;
    let data: Vec<Value> = offers.iter().map(|o| model_object(&o.name)).collect();
    Ok(Json(json!({ "object": "list", "data": data })))
}

async fn model(
    State(client): State<Arc<Client>>,
    axum::extract::Path(id): axum::extract::Path<String>,
) -> Result<Json<Value>, ApiError> {
    let known = client.offers().await?.iter().any(|o| o.name == id);
    if known { Ok(Json(model_object(&id))) } else { Err(crate::model_not_found(&id).into()) }
}

/// The receipt of an answer by the id of its completion, with everything that proves it.
async fn receipt(
    State(client): State<Arc<Client>>,
    axum::extract::Path(id): axum::extract::Path<String>,
) -> Result<Response, ApiError> {
    let Some(bundle) = client.receipts().bundle(&client, &id).await else {
        let id: String = id.chars().take(80).collect();
        let message = format!(
            "there is no receipt of completion {id:?} here: it is there once the answer has ended, for the latest answers of this process"
        );
        return Ok(error_response(StatusCode::NOT_FOUND, &Fault::new(FaultCode::BadRequest, message).param("id")));
    };
    let json = bundle.map_err(|e| e.to_string()).and_then(|bundle| bundle.to_json().map_err(|e| e.to_string()));
    let json = json.map_err(|why| Fault::new(FaultCode::ProxyFailed, why))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

async fn chat(State(client): State<Arc<Client>>, body: Body) -> Response {
    match answer(client, body).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn answer(client: Arc<Client>, body: Body) -> Result<Response, ApiError> {
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        let message = format!("the request body is over {MAX_BODY} bytes, or its transfer broke off");
        return Ok(error_response(StatusCode::PAYLOAD_TOO_LARGE, &Fault::new(FaultCode::BadRequest, message)));
    };
    let envelope = Envelope::parse(&body)?;
    let mut answer = client.ask(&envelope.model, body).await?;
    // The status line waits for the first chunk, so that everything that goes wrong before it has its own status.
    let first = answer.first_chunk().await?;
    let head = serde_json::from_slice::<Chunk>(&first).ok();
    let id = head.as_ref().map(|head| head.id.clone());
    let receipt = id.as_deref().and_then(receipt_path);
    let mut response = if envelope.stream.unwrap_or(false) {
        let include_usage = envelope.stream_options.and_then(|o| o.include_usage).unwrap_or(false);
        event_stream(client, first, head, answer, include_usage)
    } else {
        whole(client, first, id, answer).await?
    };
    if let Some(path) = receipt {
        response.headers_mut().insert(RECEIPT, path);
    }
    Ok(response)
}

/// Where the receipt of a completion will be; none if its id does not fit a path.
fn receipt_path(id: &str) -> Option<HeaderValue> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let fits = !id.is_empty() && id.len() <= 80 && id.chars().all(plain);
    HeaderValue::from_str(&format!("/v1/receipts/{id}")).ok().filter(|_| fits)
}

/// The whole answer as one object.
async fn whole(
    client: Arc<Client>,
    first: Bytes,
    id: Option<String>,
    mut answer: Answer,
) -> Result<Response, ApiError> {
    let bad = |e: cocoon_protocol::openai::fold::BadChunk| Fault::new(FaultCode::Protocol, e.to_string());
    let mut fold = Fold::default();
    fold.push(&first).map_err(bad)?;
    loop {
        match answer.next().await? {
            AnswerEvent::Accepted { .. } => {}
            AnswerEvent::Chunk(data) => fold.push(&data).map_err(bad)?,
            AnswerEvent::Finished(finished) => {
                let object = fold.finish(finished.usage);
                client.receipts().keep(id.unwrap_or_default(), finished).await;
                return Ok(Json(object).into_response());
            }
        }
    }
}

/// Where a stream of events stands.
enum Stage {
    First(Bytes, Box<Answer>),
    More(Box<Answer>),
    Done,
    End,
}

/// The answer as server-sent events, each chunk as the worker sent it.
fn event_stream(
    client: Arc<Client>,
    first: Bytes,
    head: Option<Chunk>,
    answer: Answer,
    include_usage: bool,
) -> Response {
    let events = stream::unfold(Stage::First(first, Box::new(answer)), move |stage| {
        let (client, head) = (client.clone(), head.clone());
        async move {
            match stage {
                Stage::First(data, answer) => Some((event(&data), Stage::More(answer))),
                Stage::More(mut answer) => loop {
                    return match answer.next().await {
                        Ok(AnswerEvent::Accepted { .. }) => continue,
                        Ok(AnswerEvent::Chunk(data)) => Some((event(&data), Stage::More(answer))),
                        Ok(AnswerEvent::Finished(finished)) => {
                            let usage = finished.usage;
                            let id = head.as_ref().map(|head| head.id.clone()).unwrap_or_default();
                            client.receipts().keep(id, finished).await;
                            match head.filter(|_| include_usage) {
                                Some(h) => {
                                    let head = Head { id: h.id, created: UnixSeconds(h.created), model: h.model };
                                    usage_event(head.usage(usage))
                                }
                                None => Some((done(), Stage::End)),
                            }
                        }
                        // P6.2: the error is an event, and no [DONE] follows.
                        Err(fault) => Some((event(error_object(&fault).to_string().as_bytes()), Stage::End)),
                    };
                },
                Stage::Done => Some((done(), Stage::End)),
                Stage::End => None,
            }
        }
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (headers, Body::from_stream(events)).into_response()
}

type Event = Result<Bytes, std::convert::Infallible>;

fn event(data: &[u8]) -> Event {
    let mut bytes = Vec::with_capacity(data.len() + 8);
    bytes.extend_from_slice(b"data: ");
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\n\n");
    Ok(bytes.into())
}

fn done() -> Event {
    event(b"[DONE]")
}

fn usage_event(chunk: Chunk) -> Option<(Event, Stage)> {
    let data = serde_json::to_vec(&chunk).ok()?;
    Some((event(&data), Stage::Done))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_87_only_this_machine_is_served() {
        let headers = |pairs: &[(&'static str, &str)]| {
            pairs.iter().map(|(k, v)| (header::HeaderName::from_static(k), v.parse().unwrap())).collect::<HeaderMap>()
        };
        for fine in [
            &[][..],
            &[("host", "127.0.0.1:10000")],
            &[("host", "localhost")],
            &[("host", "[::1]:80")],
            &[("host", "localhost:1"), ("origin", "http://localhost:3000")],
        ] {
            assert_eq!(foreign(&headers(fine)), None, "{fine:?}");
        }
        for bad in [
            &[("host", "evil.example")][..],
            &[("host", "localhost.evil.example:10000")],
            &[("host", "127.0.0.1:10000"), ("origin", "https://evil.example")],
            &[("host", "127.0.0.1:10000"), ("origin", "null")],
            &[("host", "127.0.0.1:10000"), ("origin", "http://127.0.0.1.evil.example")],
            &[("host", "")],
        ] {
            assert!(foreign(&headers(bad)).is_some(), "{bad:?}");
        }
    }
}
