//! What the network costs on top of an engine: `scripts/bench path`. One engine that costs nothing, behind a bare HTTP server and behind
//! client, proxy and worker, with quotes, sealed bodies, vouchers and receipts; the same questions, by turns, in one run.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use cocoon_e2e::cpu;
use cocoon_e2e::null::NullEngine;
use cocoon_engine::{Engine, Event};
use cocoon_localnet::{LocalNet, NetConfig};
use cocoon_protocol::openai::chunk::{ChunkChoice, Delta, Head};
use cocoon_protocol::openai::fold::Fold;
use cocoon_protocol::openai::request::{ChatCompletionRequest, Envelope};
use cocoon_protocol::{Nano, Price, UnixSeconds, Usage};
use futures::StreamExt;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

/// How many are asked at once, and how many questions each of them asks in one turn.
const LOADS: [(usize, usize); 3] = [(1, 300), (8, 100), (32, 40)];
const TURNS: usize = 5;
/// Tokens of an answer, each in a chunk of its own: the second is for the cost of a chunk.
const SHORT: u64 = 1;
const LONG: u64 = 65;

fn runtime(name: &str) -> Runtime {
    Builder::new_multi_thread().worker_threads(2).thread_name(name).enable_all().build().unwrap()
}

/// The engine behind a bare HTTP server, with the same objects in its answers.
async fn direct(State(engine): State<Arc<NullEngine>>, body: Bytes) -> Response {
    let stream = Envelope::parse(&body).unwrap().stream.unwrap_or_default();
    let mut answer = engine.chat(ChatCompletionRequest::parse(&body).unwrap()).await.unwrap();
    let usage = Usage { prompt: answer.accepted().prompt, completion: answer.accepted().max_completion };
    let head = Head { id: "chatcmpl-1".to_owned(), created: UnixSeconds(1), model: "m".to_owned() };
    let chunk = move |event| {
        let choice = match event {
            Event::Text { text, .. } => {
                ChunkChoice { delta: Delta { content: Some(text), ..Delta::default() }, ..ChunkChoice::default() }
            }
            Event::ChoiceFinished { reason, .. } => {
                ChunkChoice { finish_reason: Some(reason.as_str().to_owned()), ..ChunkChoice::default() }
            }
            _ => return None,
        };
        Some(serde_json::to_vec(&head.chunk(choice)).unwrap())
    };
    if stream {
        let events = answer.filter_map(move |event| {
            let data = chunk(event.unwrap());
            let framed = data.map(|data| Ok::<_, std::convert::Infallible>([b"data: ", &data[..], b"\n\n"].concat()));
            std::future::ready(framed)
        });
        let done = futures::stream::once(async { Ok(b"data: [DONE]\n\n".to_vec()) });
        return Body::from_stream(events.chain(done)).into_response();
    }
    let mut fold = Fold::default();
    while let Some(event) = answer.next().await {
        if let Some(data) = chunk(event.unwrap()) {
            fold.push(&data).unwrap();
        }
    }
    Json(fold.finish(usage)).into_response()
}

#[derive(Default)]
struct Measured {
    latencies: Vec<Duration>,
    cpu: BTreeMap<String, Duration>,
}

impl Measured {
    fn median(&self) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort();
        sorted[sorted.len() / 2].as_secs_f64() * 1e3
    }

    /// Microseconds per request of the threads with this name.
    fn cpu_of(&self, name: &str) -> f64 {
        self.cpu.get(name).copied().unwrap_or_default().as_secs_f64() * 1e6 / self.latencies.len() as f64
    }

    fn path(&self) -> f64 {
        ["cocoon-client", "cocoon-proxy", "cocoon-worker"].map(|name| self.cpu_of(name)).iter().sum()
    }
}

/// Asks `each` questions one after the other, as `at_once` people.
fn load(asking: &Runtime, to: SocketAddr, (at_once, each): (usize, usize), tokens: u64, measured: &mut Measured) {
    let body = json!({
        "model": "cocoon-tiny", "messages": [{ "role": "user", "content": "What is Cocoon?" }],
        "stream": tokens > SHORT, "max_completion_tokens": tokens,
    });
    let (body, url) = (body.to_string(), format!("http://{to}/v1/chat/completions"));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let before = cpu::by_thread();
    let latencies = asking.block_on(async {
        let person = || {
            let (http, url, body) = (http.clone(), url.clone(), body.clone());
            async move {
                let mut latencies = vec![];
                for _ in 0..each {
                    let begun = Instant::now();
                    let response = http.post(&url).body(body.clone()).send().await.unwrap();
                    let status = response.status();
                    let text = response.text().await.unwrap();
                    assert!(status.is_success(), "{text}");
                    assert_eq!(text.matches(" word").count() as u64, tokens, "{text}");
                    latencies.push(begun.elapsed());
                }
                latencies
            }
        };
        let people: Vec<_> = (0..at_once).map(|_| tokio::spawn(person())).collect();
        futures::future::join_all(people).await.into_iter().flat_map(Result::unwrap).collect::<Vec<_>>()
    });
    for (name, time) in cpu::by_thread() {
        let spent = time.saturating_sub(before.get(&name).copied().unwrap_or_default());
        *measured.cpu.entry(name).or_default() += spent;
    }
    measured.latencies.extend(latencies);
}

#[test]
#[ignore = "a benchmark: scripts/bench path"]
fn path() {
    let (chain, asking, serving) = (runtime("chain"), runtime("asking"), runtime("direct"));
    let mut config = NetConfig::new(&NetConfig::shipped_model());
    config.price = Price { prompt: Nano::from_ton(1), completion: Nano::from_ton(1) };
    let (net, engine, there) = chain.block_on(async {
        let mut net = LocalNet::open(config, &mut |_| {}).await.unwrap();
        let engine = NullEngine::new(net.model);
        net.start_proxy().await.unwrap();
        net.start_worker_on(engine.clone()).await.unwrap();
        net.start_client().await.unwrap();
        let there = net.serve_http(([127, 0, 0, 1], 0).into(), CancellationToken::new()).await.unwrap();
        (net, engine, there)
    });
    let listener = serving.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let here = listener.local_addr().unwrap();
    let router = Router::new().route("/v1/chat/completions", post(direct)).with_state(engine);
    serving.spawn(async move { axum::serve(listener, router).await.unwrap() });

    for to in [here, there] {
        load(&asking, to, (32, 10), SHORT, &mut Measured::default());
    }
    println!("at once  direct p50  path p50  added p50  CPU: client  proxy  worker  together  a chunk");
    for people in LOADS {
        let (mut bare, mut path, mut long) = (Measured::default(), Measured::default(), Measured::default());
        for _ in 0..TURNS {
            load(&asking, here, people, SHORT, &mut bare);
            load(&asking, there, people, SHORT, &mut path);
            load(&asking, there, (people.0, people.1.div_ceil(10)), LONG, &mut long);
        }
        println!(
            "{:>7}  {:>7.2} ms  {:>5.2} ms  {:>6.2} ms  {:>8.0} µs {:>3.0} µs {:>4.0} µs {:>6.0} µs {:>5.1} µs",
            people.0,
            bare.median(),
            path.median(),
            path.median() - bare.median(),
            path.cpu_of("cocoon-client"),
            path.cpu_of("cocoon-proxy"),
            path.cpu_of("cocoon-worker"),
            path.path(),
            (long.path() - path.path()) / (LONG - SHORT) as f64,
        );
    }
    chain.block_on(async { { net }.stop().await });
}
