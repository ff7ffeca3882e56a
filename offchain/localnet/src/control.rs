//! A development network's controls, for `cocoon devnet`: its clock, its faucet, copies of it, and what its liteserver does wrong.
//!
//! It listens on 127.0.0.1, but so near is every web page in the user's browser, too (attack 87). So a request must be a POST with
//! a JSON body, must name this very host, must not come from a page (`Origin`), and must carry a token that only the user's files hold.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use cocoon_chain::Chain;
use cocoon_devnet::{Devnet, DevnetError, Fault, LiteServer};
use cocoon_protocol::{Nano, StdAddr};
use rand::RngCore;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// A request is a line of JSON.
const MAX_BODY: usize = 4_096;
/// Longer journeys in time are made in several steps: governance knows no period above 90 days.
const MAX_STEP: Duration = Duration::from_secs(366 * 86_400);
/// What the faucet gives at most at once.
const MAX_GIFT: Nano = Nano::from_ton(10_000_000);

/// A control endpoint that is being served.
pub struct Control {
    addr: SocketAddr,
    token_file: PathBuf,
}

/// What the handlers know.
struct Controlled {
    chain: Arc<Devnet>,
    lite: Arc<LiteServer>,
    /// The hosts that a request may name.
    hosts: [String; 2],
    token_hash: [u8; 32],
}

/// An answer that says what is wrong.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl Control {
    /// Serves the controls of a network on 127.0.0.1 until `stop` is cancelled. The token is made anew and written to the file,
    /// which only its owner can read. Port 0 takes a free one.
    pub async fn serve(
        chain: Arc<Devnet>,
        lite: Arc<LiteServer>,
        port: u16,
        token_file: &Path,
        stop: CancellationToken,
    ) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .with_context(|| format!("listening on 127.0.0.1:{port} for the network's controls"))?;
        let addr = listener.local_addr()?;
        let token = new_token(token_file)?;
        let hosts = [format!("127.0.0.1:{}", addr.port()), format!("localhost:{}", addr.port())];
        let state = Arc::new(Controlled { chain, lite, hosts, token_hash: digest(token.as_bytes()) });
        let app = app(state);
        tokio::spawn(async move {
            let serving = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned());
            if let Err(error) = serving.await {
                tracing::error!(%error, "the controls of the network are gone");
            }
        });
        Ok(Self { addr, token_file: token_file.to_owned() })
    }

    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The same as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The file with the token.
    pub fn token_file(&self) -> &Path {
        &self.token_file
    }
}

/// Writes a fresh token where only the owner can read it; an older one is replaced.
fn new_token(path: &Path) -> Result<Zeroizing<String>> {
    use std::io::Write;
    let mut bytes = Zeroizing::new([0; 32]);
    rand::rngs::OsRng.fill_bytes(&mut *bytes);
    let token = Zeroizing::new(hex::encode(*bytes));
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Made with mode 0600.
    let mut file =
        tempfile::NamedTempFile::new_in(folder).with_context(|| format!("writing in {}", folder.display()))?;
    file.write_all(token.as_bytes())?;
    file.persist(path).with_context(|| format!("writing {}", path.display()))?;
    Ok(token)
}

/// Hashes are compared instead of tokens, so that the time it takes tells nothing about the token.
fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn app(state: Arc<Controlled>) -> Router {
    Router::new()
        .route("/status", post(status))
        .route("/advance", post(advance))
        .route("/elect", post(elect))
        .route("/faucet", post(faucet))
        .route("/snapshot", post(snapshot))
        .route("/fault", post(fault))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(state.clone(), guard))
        .with_state(state)
}

/// Lets only those pass who could have read the token, and no web page.
async fn guard(State(state): State<Arc<Controlled>>, request: Request, next: Next) -> Response {
    match check(&state, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn check(state: &Controlled, headers: &HeaderMap) -> Result<(), Refusal> {
    let refuse = |status, why: &str| Err(Refusal(status, why.to_owned()));
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if !text(header::HOST).is_some_and(|host| state.hosts.iter().any(|h| h == host)) {
        return refuse(StatusCode::FORBIDDEN, "the request names another host");
    }
    if headers.contains_key(header::ORIGIN) {
        return refuse(StatusCode::FORBIDDEN, "web pages may not steer the network");
    }
    if text(header::CONTENT_TYPE).is_none_or(|kind| kind != "application/json") {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json");
    }
    let token = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    if token.is_none_or(|token| digest(token.as_bytes()) != state.token_hash) {
        return refuse(StatusCode::UNAUTHORIZED, "the token of the network's token file is missing or wrong");
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Elect {
    validators: NonZeroU16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Faucet {
    address: StdAddr,
    nano: Nano,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Snapshot {
    folder: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    /// None lets the liteserver behave.
    fault: Option<String>,
}

fn read<T: for<'de> Deserialize<'de>>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|e| Refusal(StatusCode::BAD_REQUEST, e.to_string()))
}

fn failed(error: &impl std::fmt::Display) -> Refusal {
    Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

async fn status(State(state): State<Arc<Controlled>>) -> Result<Json<Value>, Refusal> {
    let head = state.chain.head().await.map_err(|e| failed(&e))?;
    let supply = state.chain.supply().await.map_err(|e| failed(&e))?;
    Ok(Json(json!({
        "network": state.chain.network().0,
        "seqno": head.seqno,
        "utime": head.utime.0,
        "transactions": supply.totals.transactions,
    })))
}

async fn advance(State(state): State<Arc<Controlled>>, body: Bytes) -> Result<Json<Value>, Refusal> {
    let by = Duration::from_secs(read::<Advance>(&body)?.seconds);
    if by > MAX_STEP {
        return Err(Refusal(StatusCode::BAD_REQUEST, format!("at most {} days at once", MAX_STEP.as_secs() / 86_400)));
    }
    let head = state.chain.advance(by).await.map_err(|e| failed(&e))?;
    Ok(Json(json!({ "seqno": head.seqno, "utime": head.utime.0 })))
}

async fn elect(State(state): State<Arc<Controlled>>, body: Bytes) -> Result<Json<Value>, Refusal> {
    let refuse = |e: DevnetError| match e {
        DevnetError::Validators(_) => Refusal(StatusCode::BAD_REQUEST, e.to_string()),
        other => failed(&other),
    };
    let head = state.chain.elect(read::<Elect>(&body)?.validators).await.map_err(refuse)?;
    Ok(Json(json!({ "seqno": head.seqno, "utime": head.utime.0 })))
}

async fn faucet(State(state): State<Arc<Controlled>>, body: Bytes) -> Result<Json<Value>, Refusal> {
    let Faucet { address, nano } = read(&body)?;
    if nano.is_zero() || nano > MAX_GIFT {
        return Err(Refusal(StatusCode::BAD_REQUEST, format!("the faucet gives up to {MAX_GIFT}, not {nano}")));
    }
    state.chain.faucet(&address, nano).await.map_err(|e| failed(&e))?;
    let balance = state.chain.account(&address).await.map_err(|e| failed(&e))?.balance;
    Ok(Json(json!({ "address": address.to_string(), "balance": balance })))
}

/// Copies the chain. The folder is on the machine of whoever has the token, which is this one; nothing in it is replaced.
async fn snapshot(State(state): State<Arc<Controlled>>, body: Bytes) -> Result<Json<Value>, Refusal> {
    let Snapshot { folder } = read(&body)?;
    if !folder.is_absolute() {
        return Err(Refusal(StatusCode::BAD_REQUEST, format!("{} does not begin at the root", folder.display())));
    }
    let refuse = |e: &dyn std::fmt::Display| Refusal(StatusCode::BAD_REQUEST, e.to_string());
    tokio::fs::create_dir_all(&folder).await.map_err(|e| refuse(&format!("making {}: {e}", folder.display())))?;
    state.chain.snapshot(&folder).await.map_err(|e| refuse(&e))?;
    let head = state.chain.head().await.map_err(|e| failed(&e))?;
    Ok(Json(json!({ "seqno": head.seqno, "utime": head.utime.0 })))
}

async fn fault(State(state): State<Arc<Controlled>>, body: Bytes) -> Result<Json<Value>, Refusal> {
    let name = read::<Switch>(&body)?.fault;
    let fault: Option<Fault> =
        name.as_deref().map(str::parse).transpose().map_err(|e| Refusal(StatusCode::BAD_REQUEST, format!("{e}")))?;
    state.lite.set_fault(fault);
    Ok(Json(json!({ "fault": fault.map(|fault| fault.to_string()) })))
}

/// Asks a control endpoint. `url` is that of [`Control::url`]; any other host than this one is refused, so that a token never
/// leaves the machine.
pub async fn call(url: &str, token_file: &Path, what: &str, body: &Value) -> Result<Value> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let addr: SocketAddr = url
        .strip_prefix("http://")
        .and_then(|rest| rest.trim_end_matches('/').parse().ok())
        .with_context(|| format!("{url} is no control endpoint: http://127.0.0.1:PORT"))?;
    ensure!(addr.ip().is_loopback(), "{url} is on another machine; the token stays on this one");
    let token = Zeroizing::new(
        std::fs::read_to_string(token_file).with_context(|| format!("reading {}", token_file.display()))?,
    );
    let body = body.to_string();
    let request = Zeroizing::new(format!(
        "POST /{what} HTTP/1.1\r\nHost: {addr}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        token.trim(),
        body.len()
    ));
    let exchange = async {
        let mut stream = tokio::net::TcpStream::connect(addr).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = vec![];
        stream.take(64 * 1_024).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(60), exchange)
        .await
        .with_context(|| format!("{url} does not answer"))?
        .with_context(|| format!("asking {url}; is the network running?"))?;
    let answer = String::from_utf8(answer).context("the answer is no text")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is no HTTP")?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    let value: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    let why = value.get("error").and_then(Value::as_str).unwrap_or("it gives no reason");
    ensure!(status == "200", "{url} refuses with status {status}: {why}");
    Ok(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use std::os::unix::fs::PermissionsExt;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    struct Served {
        chain: Arc<Devnet>,
        lite: Arc<LiteServer>,
        control: Control,
        _dir: tempfile::TempDir,
    }

    async fn served() -> Served {
        let dir = tempfile::tempdir().unwrap();
        let chain = Arc::new(Devnet::ephemeral().await.unwrap());
        let token = dir.path().join("token");
        let lite = Arc::new(chain.serve_lite(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap());
        let control = Control::serve(chain.clone(), lite.clone(), 0, &token, CancellationToken::new()).await.unwrap();
        Served { chain, lite, control, _dir: dir }
    }

    impl Served {
        async fn raw(&self, request: &str) -> String {
            let mut stream = tokio::net::TcpStream::connect(self.control.addr()).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer.split_whitespace().nth(1).unwrap().to_owned()
        }

        /// A request that is right in every respect but those that `change` makes wrong.
        async fn post(&self, change: impl Fn(String) -> String) -> String {
            let token = std::fs::read_to_string(self.control.token_file()).unwrap();
            let body = r#"{"seconds":60}"#;
            let good = format!(
                "POST /advance HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                self.control.addr(),
                body.len()
            );
            self.raw(&change(good)).await
        }
    }

    #[tokio::test]
    async fn time_travels_and_money_comes_on_request() {
        let net = served().await;
        let ask = async |what: &str, body: Value| call(&net.control.url(), net.control.token_file(), what, &body).await;
        let before = net.chain.head().await.unwrap().utime.0;
        let after = ask("advance", json!({ "seconds": 86_400 })).await.unwrap();
        assert!(after["utime"].as_u64().unwrap() >= u64::from(before) + 86_400);
        let elected = ask("elect", json!({ "validators": 3 })).await.unwrap();
        assert!(elected["seqno"].as_u64().unwrap() > after["seqno"].as_u64().unwrap());
        let to = StdAddr::new(0, [9; 32].into());
        let gift = ask("faucet", json!({ "address": to.to_string(), "nano": "5000000000" })).await.unwrap();
        assert_eq!(gift["balance"], "5000000000");
        let status = ask("status", json!({})).await.unwrap();
        assert_eq!(status["network"], net.chain.network().0);
        for (what, body) in [
            ("advance", json!({ "seconds": u64::MAX })),
            ("advance", json!({ "seconds": -1 })),
            ("advance", json!({ "seconds": 1, "more": 1 })),
            ("elect", json!({ "validators": 0 })),
            ("elect", json!({ "validators": 101 })),
            ("faucet", json!({ "address": "0:12", "nano": "1" })),
            ("faucet", json!({ "address": to.to_string(), "nano": "0" })),
            ("faucet", json!({ "address": to.to_string(), "nano": 5 })),
        ] {
            let error = ask(what, body.clone()).await.unwrap_err().to_string();
            assert!(error.contains("400"), "{body}: {error}");
        }
        let copies = tempfile::tempdir().unwrap();
        let folder = copies.path().join("copy");
        let copied = ask("snapshot", json!({ "folder": folder })).await.unwrap();
        assert!(copied["seqno"].as_u64().unwrap() > 0);
        for (folder, word) in [(folder.to_str().unwrap(), "already"), ("relative", "root")] {
            let error = ask("snapshot", json!({ "folder": folder })).await.unwrap_err().to_string();
            assert!(error.contains(word), "{folder}: {error}");
        }
        assert_eq!(ask("fault", json!({ "fault": "lag=3" })).await.unwrap()["fault"], "lag=3");
        assert_eq!(ask("fault", json!({ "fault": null })).await.unwrap()["fault"], Value::Null);
        assert!(ask("fault", json!({ "fault": "lie" })).await.unwrap_err().to_string().contains("forge-state"));
        assert!(ask("elsewhere", json!({})).await.unwrap_err().to_string().contains("404"));
    }

    #[tokio::test]
    async fn attack_87_a_web_page_cannot_steer_the_network() {
        let net = served().await;
        let before = net.chain.head().await.unwrap().utime;
        let host = format!("Host: {}", net.control.addr());
        let port = net.control.addr().port();
        assert_eq!(net.post(|r| r.replace("POST", "GET")).await, "405");
        for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
            assert_eq!(net.post(|r| r.replace("Host:", &format!("Origin: {origin}\r\nHost:"))).await, "403");
        }
        // A name of the attacker's that resolves to 127.0.0.1 (DNS rebinding).
        assert_eq!(net.post(|r| r.replace(&host, &format!("Host: evil.example:{port}"))).await, "403");
        // What a form can send without the browser asking first.
        assert_eq!(net.post(|r| r.replace("application/json", "text/plain")).await, "415");
        assert_eq!(net.post(|r| r.replace("Bearer ", "Bearer 0")).await, "401");
        assert_eq!(net.post(|r| r.replace("Authorization", "X-Nothing")).await, "401");
        assert_eq!(net.chain.head().await.unwrap().utime, before, "nothing of that moved the clock");
        assert_eq!(net.post(|r| r).await, "200", "the same request, unchanged");
    }

    #[tokio::test]
    async fn attack_88_the_token_is_for_its_owner_only_and_new_each_time() {
        let net = served().await;
        let read = |control: &Control| std::fs::read_to_string(control.token_file()).unwrap();
        let mode = std::fs::metadata(net.control.token_file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let first = read(&net.control);
        let stop = CancellationToken::new();
        let again =
            Control::serve(net.chain.clone(), net.lite.clone(), 0, net.control.token_file(), stop).await.unwrap();
        assert_ne!(read(&again), first);
        assert!(net.control.addr().ip().is_loopback());
    }

    #[tokio::test]
    async fn the_token_is_sent_to_this_machine_only() {
        let net = served().await;
        for url in ["http://192.0.2.1:80", "http://example.org", "https://127.0.0.1:1", "nonsense"] {
            assert!(call(url, net.control.token_file(), "status", &json!({})).await.is_err(), "{url}");
        }
    }
}
