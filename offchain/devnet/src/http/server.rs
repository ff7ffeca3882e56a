//! Takes requests, as REST and as JSON-RPC.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cocoon_chain::Chain as _;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};

use super::error::ApiError;
use super::methods;
use super::params::Params;
use crate::devnet::Devnet;

/// A request has at most so many bytes. A message from outside has 64 KiB, which base64 makes a third longer.
const MAX_BODY: usize = 256 * 1024;

/// Requests that may be open at once; more are told to come again.
const REQUESTS: usize = 256;

/// A running HTTP face. It ends when this is dropped.
pub struct HttpFace {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl HttpFace {
    /// Where it listens. Methods are at `/api/v2/METHOD`, JSON-RPC is at `/api/v2/jsonRPC`.
    pub const fn addr(&self) -> SocketAddr {
        self.address
    }

    /// What clients take as their endpoint.
    pub fn endpoint(&self) -> String {
        format!("http://{}/api/v2/jsonRPC", self.address)
    }

    pub(crate) async fn start(devnet: Devnet, address: SocketAddr) -> std::io::Result<Self> {
        if !address.ip().is_loopback() {
            let why = "the HTTP face is for programs on this machine only; choose an address like 127.0.0.1";
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, why));
        }
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = axum::serve(listener, app(devnet)).with_graceful_shutdown(async {
            // The sender never sends: it is dropped.
            drop(stopped.await);
        });
        tokio::spawn(async move {
            if let Err(error) = serve.await {
                tracing::error!(%error, "the HTTP face ended");
            }
        });
        Ok(Self { address, _stop: stop })
    }
}

#[derive(Clone)]
struct Shared {
    devnet: Devnet,
    places: Arc<Semaphore>,
    /// Numbers the answers.
    counter: Arc<AtomicU64>,
}

fn app(devnet: Devnet) -> Router {
    let shared = Shared { devnet, places: Arc::new(Semaphore::new(REQUESTS)), counter: Arc::default() };
    let methods = Router::new()
        .route("/jsonRPC", post(json_rpc))
        .route("/{method}", get(by_query).post(by_body))
        .fallback(nowhere)
        .method_not_allowed_fallback(nowhere);
    Router::new().nest("/api/v2", methods).fallback(nowhere).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(shared)
}

async fn nowhere() -> Response {
    let why = ApiError::UnknownMethod("here: GET or POST /api/v2/METHOD, or POST /api/v2/jsonRPC".to_owned());
    respond(Err(why), Map::new())
}

async fn by_query(
    State(shared): State<Shared>,
    Path(method): Path<String>,
    pairs: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Response {
    let params = match pairs {
        Ok(Query(pairs)) => Params::from_pairs(pairs),
        Err(e) => return respond(Err(ApiError::Request(e.to_string())), Map::new()),
    };
    let allowed = methods::allow_get(&method);
    let answer = match allowed {
        Ok(()) => shared.answer(&method, params).await,
        Err(e) => Err(e),
    };
    respond(answer, Map::new())
}

async fn by_body(
    State(shared): State<Shared>,
    Path(method): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let answer = match object(body) {
        Ok(object) => shared.answer(&method, Params::from_object(object)).await,
        Err(e) => Err(e),
    };
    respond(answer, Map::new())
}

async fn json_rpc(State(shared): State<Shared>, body: Result<Bytes, BytesRejection>) -> Response {
    let mut request = match object(body) {
        Ok(request) => request,
        Err(e) => return respond(Err(e), Map::new()),
    };
    let mut envelope = Map::new();
    // The id comes back as it came, whatever it is.
    if let Some(id) = request.remove("id") {
        envelope.insert("id".to_owned(), id);
    }
    envelope.insert("jsonrpc".to_owned(), json!("2.0"));
    let params = match request.remove("params") {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(params)) => Ok(params),
        Some(_) => Err(ApiError::invalid("params", "must be an object")),
    };
    let answer = match (request.get("method"), params) {
        (_, Err(e)) => Err(e),
        (Some(Value::String(method)), Ok(params)) => shared.answer(method, Params::from_object(params)).await,
        (Some(_), Ok(_)) => Err(ApiError::invalid("method", "must be a string")),
        (None, Ok(_)) => Err(ApiError::Missing("method")),
    };
    respond(answer, envelope)
}

/// The JSON object that a request has as its body; an empty body is an empty one.
fn object(body: Result<Bytes, BytesRejection>) -> Result<Map<String, Value>, ApiError> {
    let body = body.map_err(|e| ApiError::Request(format!("the body: {e}; the limit is {MAX_BODY} bytes")))?;
    if body.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(&body).map_err(|e| ApiError::Request(format!("the body must be a JSON object: {e}")))
}

impl Shared {
    async fn answer(&self, method: &str, params: Params) -> Result<Answered, ApiError> {
        let _place = self.places.try_acquire().map_err(|_| ApiError::Busy)?;
        let mut result = methods::answer(&self.devnet, method, params).await?;
        // A mark of the request: time, worker, number. Older servers put it into what they have from their node.
        let now = self.devnet.head().await?.utime;
        let extra = json!(format!("{}:0:{}", now.0, self.counter.fetch_add(1, Ordering::Relaxed)));
        if let Some(fields) = result.as_object_mut()
            && fields.contains_key("@type")
        {
            fields.insert("@extra".to_owned(), extra.clone());
        }
        Ok(Answered { result, extra })
    }
}

/// The answer to a question, and the mark of the request.
struct Answered {
    result: Value,
    extra: Value,
}

fn respond(answer: Result<Answered, ApiError>, envelope: Map<String, Value>) -> Response {
    let (status, mut body) = match answer {
        Ok(Answered { result, extra }) => (StatusCode::OK, json!({ "ok": true, "result": result, "@extra": extra })),
        Err(error) => {
            let status = StatusCode::from_u16(error.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, json!({ "ok": false, "error": error.to_string(), "code": error.code() }))
        }
    };
    if let Some(fields) = body.as_object_mut() {
        fields.extend(envelope);
    }
    (status, Json(body)).into_response()
}
