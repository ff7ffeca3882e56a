//! Collateral over HTTP, from a service that answers as a PCCS does.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Once};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use cocoon_attest::pccs::{Keeper, Pccs, PccsError, PckCa};
use cocoon_attest::sim::{Publication, SIM_FMSPC, Simulator};
use cocoon_attest::*;
use cocoon_protocol::{GlobalId, NodeKey, Role, UnixSeconds};
use serde_json::Value;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const DAY: u32 = 86_400;

/// What is wrong with the service.
const FINE: u32 = 0;
const DOWN: u32 = 1;
const NO_HEADERS: u32 = 2;
const NO_JSON: u32 = 3;
const ENDLESS: u32 = 4;
const ONE_FOR_ALL: u32 = 5;

#[derive(Clone)]
struct Service {
    vendor: Arc<Simulator>,
    now: Arc<AtomicU32>,
    fault: Arc<AtomicU32>,
    asked: Arc<AtomicUsize>,
}

impl Service {
    /// The parts of today's collateral.
    fn parts(&self) -> Value {
        let now = UnixSeconds(self.now.load(Ordering::Relaxed));
        let publication = Publication { lifetime: 30 * DAY, ..Publication::on_day_of(now) };
        serde_json::from_slice(&self.vendor.publish(&publication).unwrap().to_json().unwrap()).unwrap()
    }

    fn answer(&self, header: &'static str, chain: &Value, body: Vec<u8>) -> Response {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut headers = HeaderMap::new();
        match self.fault.load(Ordering::Relaxed) {
            DOWN => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            NO_JSON => return "moved".into_response(),
            ENDLESS => return vec![b' '; 3 << 20].into_response(),
            NO_HEADERS => {}
            _ => {
                let chain = chain.as_str().unwrap().replace('\n', "%0A").replace(' ', "%20").replace('+', "%2B");
                headers.insert(header, HeaderValue::from_str(&chain).unwrap());
            }
        }
        (headers, body).into_response()
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

async fn serve(service: Service) -> SocketAddr {
    let crl = |State(s): State<Service>, Query(q): Query<std::collections::HashMap<String, String>>| async move {
        assert_eq!((q["ca"].as_str(), q["encoding"].as_str()), ("platform", "der"));
        let parts = s.parts();
        s.answer("SGX-PCK-CRL-Issuer-Chain", &parts["pck_crl_issuer_chain"], bytes(&parts["pck_crl"]))
    };
    let tcb = |State(s): State<Service>, Query(q): Query<std::collections::HashMap<String, String>>| async move {
        if q["fmspc"] != SIM_FMSPC.to_string() && s.fault.load(Ordering::Relaxed) != ONE_FOR_ALL {
            return StatusCode::NOT_FOUND.into_response();
        }
        let parts = s.parts();
        let (info, signature) = (parts["tcb_info"].as_str().unwrap(), hex::encode(bytes(&parts["tcb_info_signature"])));
        let body = format!("{{\"tcbInfo\":{info},\"signature\":\"{signature}\"}}");
        s.answer("TCB-Info-Issuer-Chain", &parts["tcb_info_issuer_chain"], body.into())
    };
    let qe = |State(s): State<Service>| async move {
        let parts = s.parts();
        let (id, signature) =
            (parts["qe_identity"].as_str().unwrap(), hex::encode(bytes(&parts["qe_identity_signature"])));
        let body = format!("{{\"enclaveIdentity\":{id},\"signature\":\"{signature}\"}}");
        s.answer("SGX-Enclave-Identity-Issuer-Chain", &parts["qe_identity_issuer_chain"], body.into())
    };
    let root = |State(s): State<Service>| async move { hex::encode(bytes(&s.parts()["root_ca_crl"])) };
    let routes = Router::new()
        .route("/sgx/certification/v4/pckcrl", get(crl))
        .route("/tdx/certification/v4/tcb", get(tcb))
        .route("/tdx/certification/v4/qe/identity", get(qe))
        .route("/sgx/certification/v4/rootcacrl", get(root))
        .with_state(service);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    addr
}

struct World {
    service: Service,
    keeper: Keeper,
    verifier: Verifier,
    quoter: sim::SimQuoter,
    certificate: Vec<u8>,
}

fn request(now: UnixSeconds) -> IdentityRequest {
    IdentityRequest::new(Role::Worker, GlobalId::DEVNET, now)
}

async fn world() -> World {
    Log::install();
    let vendor = Arc::new(Simulator::from_seed(&[1; 32]).unwrap());
    let now = Arc::new(AtomicU32::new(NOW.0));
    let service = Service { vendor: vendor.clone(), now: now.clone(), fault: Arc::default(), asked: Arc::default() };
    let addr = serve(service.clone()).await;
    let store = Arc::new(CollateralStore::default());
    let keeper = Keeper::new(Pccs::new(&format!("http://{addr}/"), reqwest::Client::new()), store.clone());
    let image = Measurements::simulated(b"worker");
    let mut policy = Policy::new(GlobalId::DEVNET);
    policy.allow_root(vendor.root());
    policy.allow_image(Role::Worker, image_id(&image), ImageWindow::ALWAYS);
    let clock = Arc::new(move || UnixSeconds(now.load(Ordering::Relaxed)));
    let verifier = Verifier::new(PolicyHandle::new(policy), store, clock);
    let quoter = vendor.platform(0).unwrap().quoter(image);
    let identity = issue_identity(&quoter, &NodeKey::from_seed(&[2; 32]), &request(NOW)).unwrap();
    World { service, keeper, verifier, quoter, certificate: identity.certificate().to_vec() }
}

#[tokio::test]
async fn what_a_pccs_says_verifies_quotes() {
    let w = world().await;
    let verify = || w.verifier.verify(&w.certificate, &[Role::Worker]);
    assert_eq!(verify(), Err(AttestError::NoCollateral { fmspc: SIM_FMSPC }), "attack 64");
    assert_eq!(w.keeper.watch_platform_of(&w.certificate), Ok(SIM_FMSPC));
    assert!(w.keeper.refresh(NOW).await.is_empty());
    verify().unwrap();
}

#[tokio::test]
async fn attack_64_collateral_is_fetched_again_before_it_expires() {
    let w = world().await;
    w.keeper.watch(SIM_FMSPC, PckCa::Platform);
    let at = async |days: u32| {
        let now = NOW.plus(days * DAY);
        w.service.now.store(now.0, Ordering::Relaxed);
        let before = w.service.asked.load(Ordering::Relaxed);
        let failed = w.keeper.refresh(now).await.len();
        (w.service.asked.load(Ordering::Relaxed) > before, failed)
    };
    assert_eq!(at(0).await, (true, 0));
    assert_eq!(at(1).await, (false, 0), "what is fresh is left alone");
    assert_eq!(at(19).await, (false, 0));
    w.service.fault.store(DOWN, Ordering::Relaxed);
    assert_eq!(at(20).await, (true, 1), "a third of its time is left");
    let collateral = w.keeper.store().collateral(SIM_FMSPC, NOW.plus(20 * DAY)).unwrap();
    assert_eq!(collateral.validity().unwrap().1.0, NOW.0 - NOW.0 % DAY + 30 * DAY - 1, "what still speaks is kept");
    w.service.fault.store(FINE, Ordering::Relaxed);
    assert_eq!(at(21).await, (true, 0));
    assert_eq!(at(22).await, (false, 0));
}

thread_local! {
    /// Warnings and errors of the test on this thread.
    static SAID: RefCell<Vec<String>> = const { RefCell::new(vec![]) };
}

/// Collects them. One for all tests, because whether anybody listens is remembered for the whole process.
struct Log;

impl Log {
    fn install() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| tracing::subscriber::set_global_default(Self).unwrap());
    }

    fn take() -> String {
        SAID.take().join("; ")
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!("{}={value:?} ", field.name()));
            }
        }
        let mut text = Text(format!("{} ", event.metadata().level()));
        event.record(&mut text);
        SAID.with_borrow_mut(|said| said.push(text.0));
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn attack_64_when_the_service_is_gone_the_old_collateral_speaks_to_its_end_and_warnings_say_so() {
    let w = world().await;
    w.keeper.watch(SIM_FMSPC, PckCa::Platform);
    w.keeper.refresh(NOW).await;
    w.service.fault.store(DOWN, Ordering::Relaxed);
    let end = w.keeper.store().collateral(SIM_FMSPC, NOW).unwrap().validity().unwrap().1;
    let at = async |now: UnixSeconds| {
        w.service.now.store(now.0, Ordering::Relaxed);
        Log::take();
        assert_eq!(w.keeper.refresh(now).await.len(), 1);
        let certificate = issue_identity(&w.quoter, &NodeKey::from_seed(&[2; 32]), &request(now)).unwrap();
        let verdict = w.verifier.verify(certificate.certificate(), &[Role::Worker]);
        (verdict, Log::take())
    };
    let (verdict, said) = at(end).await;
    assert_eq!(verdict.unwrap().valid_until, end, "nobody is believed beyond it");
    assert!(said.contains("WARN") && said.contains(&format!("until={end}")) && said.contains("500"), "{said}");
    let (verdict, said) = at(end.plus(1)).await;
    assert!(matches!(verdict, Err(AttestError::CollateralOutOfDate { until, .. }) if until == end), "{verdict:?}");
    assert!(said.contains("ERROR") && said.contains("refused"), "{said}");
    w.service.fault.store(FINE, Ordering::Relaxed);
    assert!(w.keeper.refresh(end.plus(1)).await.is_empty());
}

#[tokio::test]
async fn attack_63_a_service_that_falls_behind_takes_nothing_back() {
    let w = world().await;
    w.keeper.watch(SIM_FMSPC, PckCa::Platform);
    w.keeper.refresh(NOW).await;
    // A third of the time is left, and the service shows what it had a day before the first fetch.
    w.service.now.store(NOW.0 - DAY, Ordering::Relaxed);
    let failed = w.keeper.refresh(NOW.plus(25 * DAY)).await;
    assert!(matches!(&failed[..], [(SIM_FMSPC, PccsError::Older { .. })]), "{failed:?}");
    let kept = w.keeper.store().collateral(SIM_FMSPC, NOW).unwrap().validity().unwrap();
    assert_eq!(kept.0.0, NOW.0 - NOW.0 % DAY);
}

#[tokio::test]
async fn a_service_that_answers_nonsense_is_named() {
    let w = world().await;
    let addr = serve(w.service.clone()).await;
    let pccs = Pccs::new(&format!("http://{addr}"), reqwest::Client::new());
    let fetch = async |fault: u32, fmspc| {
        w.service.fault.store(fault, Ordering::Relaxed);
        pccs.fetch(fmspc, PckCa::Platform).await.unwrap_err()
    };
    assert!(matches!(fetch(DOWN, SIM_FMSPC).await, PccsError::Status { status: 500, .. }));
    assert!(matches!(fetch(FINE, Fmspc([9; 6])).await, PccsError::Status { status: 404, .. }));
    assert!(fetch(NO_HEADERS, SIM_FMSPC).await.to_string().contains("Issuer-Chain is missing"));
    assert!(matches!(fetch(NO_JSON, SIM_FMSPC).await, PccsError::Answer { .. }));
    assert!(fetch(ENDLESS, SIM_FMSPC).await.to_string().contains("over 1048576 bytes"));
    w.service.fault.store(ONE_FOR_ALL, Ordering::Relaxed);
    w.keeper.watch(Fmspc([9; 6]), PckCa::Platform);
    let failed = w.keeper.refresh(NOW).await;
    assert!(matches!(&failed[..], [(_, PccsError::OtherModel { got: Some(SIM_FMSPC), .. })]), "{failed:?}");
    let nobody = Pccs::new("http://127.0.0.1:1", reqwest::Client::new());
    let error = nobody.fetch(SIM_FMSPC, PckCa::Platform).await.unwrap_err();
    assert!(matches!(&error, PccsError::Http { .. }), "{error}");
}
