//! What the index knows, over HTTP: JSON lists, and events as they happen. Nothing is changed by asking; the watchtower, where there
//! is one, takes vouchers.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use cocoon_chain::Head;
use futures::Stream;
use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, params_from_iter};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use crate::deliver::VoucherFile;
use crate::follow::Follower;
use crate::index::{Event, Index, IndexError};
use crate::tower::{Tower, TowerError};

/// Most rows of one answer.
const MAX_ROWS: u32 = 1000;
const DEFAULT_ROWS: u32 = 100;
/// Columns that hold nanotons: decimal strings in JSON, because a JavaScript number would lose some.
const AMOUNTS: [&str; 17] = [
    "deposit",
    "claimed",
    "amount",
    "fee",
    "held",
    "staying",
    "bonded",
    "bond",
    "value",
    "fees",
    "balance",
    "total_stake",
    "quorum",
    "yes",
    "no",
    "abstain",
    "lt",
];

/// The routes, to be served on 127.0.0.1 or behind whatever an operator puts before it.
pub fn routes(follower: Arc<Follower>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/channels", get(channels))
        .route("/v1/channels/{address}", get(channel))
        .route("/v1/claims", get(claims))
        .route("/v1/stakes", get(stakes))
        .route("/v1/stakes/{address}", get(stake))
        .route("/v1/proposals", get(proposals))
        .route("/v1/entries", get(entries))
        .route("/v1/proxies", get(proxies))
        .route("/v1/reputation", get(reputation))
        .route("/v1/transactions", get(transactions))
        .route("/v1/events", get(events))
        .route("/v1/events/stream", get(stream))
        .with_state(follower)
}

/// Largest voucher that is read; a signed one has some 500 bytes.
const MAX_VOUCHER: usize = 4 << 10;

/// The watchtower's routes: `POST /v1/vouchers` with a voucher's file, and `GET /v1/vouchers/CHANNEL` for what is kept. Anybody may hand one in, because a voucher pays only
/// its channel's payee; one is kept for each channel.
pub fn tower(tower: Arc<Tower>, head: watch::Receiver<Head>) -> Router {
    Router::new()
        .route("/v1/vouchers", post(keep))
        .route("/v1/vouchers/{channel}", get(kept))
        .layer(DefaultBodyLimit::max(MAX_VOUCHER))
        .with_state((tower, head))
}

async fn kept(State((tower, _)): State<(Arc<Tower>, watch::Receiver<Head>)>, Path(channel): Path<String>) -> Answer {
    let kept = tower.kept(&channel).map_err(|error| {
        tracing::error!(%error, "the tower cannot be read");
        ApiError(StatusCode::INTERNAL_SERVER_ERROR, "the tower cannot be read now; try again".to_owned())
    })?;
    let amount = kept.ok_or_else(|| not_found("voucher for a channel of that address (raw form, 0:…)"))?;
    Ok(Json(json!({ "channel": channel, "kept": amount.get().to_string() })))
}

async fn keep(
    State((tower, head)): State<(Arc<Tower>, watch::Receiver<Head>)>,
    Json(file): Json<VoucherFile>,
) -> Result<Json<Value>, ApiError> {
    let signed = file.read().map_err(|e| ApiError(StatusCode::BAD_REQUEST, e.to_string()))?;
    let now = head.borrow().utime;
    let (channel, cumulative) = (signed.voucher.channel.clone(), signed.voucher.cumulative);
    tokio::task::spawn_blocking(move || tower.keep(&signed, now))
        .await
        .map_err(|_| ApiError(StatusCode::INTERNAL_SERVER_ERROR, "the voucher was not kept; try again".to_owned()))?
        .map_err(|error| {
            let status = match &error {
                TowerError::Index(_) | TowerError::Store { .. } | TowerError::Damaged { .. } | TowerError::Claim(_) => {
                    tracing::error!(%error, "a voucher cannot be kept");
                    let message = "the voucher was not kept; try again, or ask another tower";
                    return ApiError(StatusCode::INTERNAL_SERVER_ERROR, message.to_owned());
                }
                TowerError::Unknown(..) => StatusCode::NOT_FOUND,
                TowerError::NotBetter(_) => StatusCode::CONFLICT,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            };
            ApiError(status, error.to_string())
        })?;
    Ok(Json(json!({ "channel": channel.to_string(), "kept": cumulative.get().to_string() })))
}

/// What every list can be asked.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Page {
    /// Rows in one answer; 100 if absent, 1000 at most.
    limit: Option<u32>,
    /// Go on after this key: the last row's.
    after: Option<String>,
    payer: Option<String>,
    payee: Option<String>,
    channel: Option<String>,
    account: Option<String>,
}

struct ApiError(StatusCode, String);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": { "message": self.1 } }))).into_response()
    }
}

impl From<IndexError> for ApiError {
    fn from(error: IndexError) -> Self {
        tracing::error!(%error, "the index cannot be read");
        Self(StatusCode::INTERNAL_SERVER_ERROR, "the index cannot be read now; try again".to_owned())
    }
}

type Answer = Result<Json<Value>, ApiError>;

fn not_found(what: &str) -> ApiError {
    ApiError(StatusCode::NOT_FOUND, format!("there is no {what} here"))
}

/// Rows as objects.
fn rows(db: &Connection, sql: &str, arguments: &[Sql]) -> rusqlite::Result<Vec<Value>> {
    let mut statement = db.prepare_cached(sql)?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut found = statement.query(params_from_iter(arguments))?;
    let mut all = vec![];
    while let Some(row) = found.next()? {
        let mut object = Map::new();
        for (i, name) in names.iter().enumerate() {
            let value = match row.get_ref(i)? {
                ValueRef::Null | ValueRef::Blob(_) | ValueRef::Real(_) => Value::Null,
                ValueRef::Integer(n) if AMOUNTS.contains(&name.as_str()) => Value::String(n.to_string()),
                ValueRef::Integer(n) => n.into(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
            };
            object.insert(name.clone(), value);
        }
        all.push(Value::Object(object));
    }
    Ok(all)
}

/// A list: the rows of `table` that satisfy all given conditions, in the order of `key`.
fn list(index: &Index, select: &str, key: &str, conditions: &[(&str, Option<&str>)], page: &Page) -> Answer {
    let mut clauses = vec![];
    let mut arguments = vec![];
    let given = conditions.iter().copied().filter_map(|(clause, value)| Some((clause, value?)));
    for (clause, value) in given {
        arguments.push(Sql::Text(value.to_owned()));
        clauses.push(format!("{clause} ?{}", arguments.len()));
    }
    if let Some(after) = &page.after {
        // A number where the key is one: SQLite compares a text with an integer by type.
        arguments.push(after.parse().map_or_else(|_| Sql::Text(after.clone()), Sql::Integer));
        clauses.push(format!("{key} > ?{}", arguments.len()));
    }
    let condition = if clauses.is_empty() { String::new() } else { format!("WHERE {}", clauses.join(" AND ")) };
    let limit = page.limit.unwrap_or(DEFAULT_ROWS).min(MAX_ROWS);
    let sql = format!("{select} {condition} ORDER BY {key} LIMIT {limit}");
    Ok(Json(Value::Array(index.read(|db| rows(db, &sql, &arguments))?)))
}

async fn status(State(f): State<Arc<Follower>>) -> Answer {
    let sql = "SELECT network, registry, governor, seqno, utime FROM cursor";
    let found = f.index().read(|db| rows(db, sql, &[]))?;
    Ok(Json(found.into_iter().next().unwrap_or_else(|| json!({ "seqno": 0 }))))
}

async fn channels(State(f): State<Arc<Follower>>, Query(page): Query<Page>) -> Answer {
    let conditions = [("payer =", page.payer.as_deref()), ("payee =", page.payee.as_deref())];
    list(f.index(), "SELECT * FROM channels", "address", &conditions, &page)
}

async fn channel(State(f): State<Arc<Follower>>, Path(address): Path<String>) -> Answer {
    let sql = "SELECT * FROM channels WHERE address = ?1";
    let found = f.index().read(|db| rows(db, sql, &[Sql::Text(address)]))?;
    found.into_iter().next().map(Json).ok_or_else(|| not_found("channel of that address (raw form, 0:…)"))
}

async fn claims(State(f): State<Arc<Follower>>, Query(page): Query<Page>) -> Answer {
    list(f.index(), "SELECT * FROM claims", "lt", &[("channel =", page.channel.as_deref())], &page)
}

/// Of this system only: whoever deploys the same contracts under another governor or registry is in the index, too.
const OURS: &str = "JOIN contracts c USING (address) JOIN cursor k ON c.parent IN (k.governor, k.registry)";

async fn stakes(State(f): State<Arc<Follower>>, Query(page): Query<Page>) -> Answer {
    list(f.index(), &format!("SELECT t.* FROM stakes t {OURS}"), "address", &[], &page)
}

async fn stake(State(f): State<Arc<Follower>>, Path(address): Path<String>) -> Answer {
    let address = [Sql::Text(address)];
    let found = f.index().read(|db| {
        let mut stakes = rows(db, &format!("SELECT t.* FROM stakes t {OURS} WHERE address = ?1"), &address)?;
        if let Some(Value::Object(stake)) = stakes.first_mut() {
            for table in ["lots", "nodes"] {
                let all = rows(db, &format!("SELECT * FROM {table} WHERE stake = ?1"), &address)?;
                stake.insert(table.to_owned(), Value::Array(all));
            }
        }
        Ok(stakes)
    })?;
    found.into_iter().next().map(Json).ok_or_else(|| not_found("stake account of that address (raw form, 0:…)"))
}

async fn proposals(State(f): State<Arc<Follower>>, Query(page): Query<Page>) -> Answer {
    list(f.index(), &format!("SELECT t.* FROM proposals t {OURS}"), "address", &[], &page)
}

async fn entries(State(f): State<Arc<Follower>>, Query(page): Query<Page>) -> Answer {
    list(f.index(), "SELECT * FROM entries", "id", &[], &page)
}

async fn proxies(State(f): State<Arc<Follower>>, Query(page): Query<Page>) -> Answer {
    list(f.index(), "SELECT * FROM proxies", "owner", &[], &page)
}

async fn reputation(State(f): State<Arc<Follower>>, Query(page): Query<Page>) -> Answer {
    list(f.index(), &format!("SELECT t.* FROM reputation t {OURS}"), "address", &[], &page)
}

async fn transactions(State(f): State<Arc<Follower>>, Query(page): Query<Page>) -> Answer {
    if page.account.is_none() {
        return Err(ApiError(StatusCode::BAD_REQUEST, "say whose: ?account=0:…".to_owned()));
    }
    list(f.index(), "SELECT * FROM transactions", "lt", &[("account =", page.account.as_deref())], &page)
}

async fn events(State(f): State<Arc<Follower>>, Query(page): Query<Page>) -> Answer {
    let after = page.after.as_deref().unwrap_or("0");
    let after = after.parse().map_err(|_| ApiError(StatusCode::BAD_REQUEST, "?after= is an event's id".to_owned()))?;
    let limit = page.limit.unwrap_or(DEFAULT_ROWS).min(MAX_ROWS);
    Ok(Json(json!(f.index().events(after, limit)?)))
}

/// Events from the given one on, for ever; a client that was cut off says `Last-Event-ID` and misses nothing.
async fn stream(
    State(f): State<Arc<Follower>>,
    Query(page): Query<Page>,
    headers: axum::http::HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, ApiError> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let after = last.or(page.after.as_deref()).unwrap_or("0");
    let after = after.parse().map_err(|_| ApiError(StatusCode::BAD_REQUEST, "?after= is an event's id".to_owned()))?;
    // Heard before the index is read, so that nothing falls between.
    let live = f.subscribe();
    let state = Listening { follower: f, live, after, ready: vec![] };
    Ok(Sse::new(futures::stream::unfold(state, Listening::next)).keep_alive(KeepAlive::default()))
}

struct Listening {
    follower: Arc<Follower>,
    live: tokio::sync::broadcast::Receiver<Event>,
    after: i64,
    /// From the index, the next one last.
    ready: Vec<Event>,
}

impl Listening {
    async fn next(mut self) -> Option<(Result<sse::Event, Infallible>, Self)> {
        loop {
            if self.ready.is_empty() {
                match self.follower.index().events(self.after, MAX_ROWS) {
                    Ok(mut events) => {
                        events.reverse();
                        self.ready = events;
                    }
                    Err(error) => {
                        tracing::error!(%error, "an event stream ends");
                        return None;
                    }
                }
            }
            if let Some(event) = self.ready.pop() {
                self.after = event.id;
                let data = serde_json::to_string(&event).ok()?;
                let sent = sse::Event::default().id(event.id.to_string()).event("event").data(data);
                return Some((Ok(sent), self));
            }
            // What is heard only says that there is something to read.
            match self.live.recv().await {
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
