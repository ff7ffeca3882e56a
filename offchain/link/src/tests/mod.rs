//! Links between real endpoints: over TCP where sockets matter, over memory where time does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod bench;
mod client;
mod handshake;
mod lifetime;
mod proof;
mod staple;
mod streams;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cocoon_attest::sim::{SimQuoter, Simulator};
use cocoon_attest::*;
use cocoon_protocol::{GlobalId, NodeKey, Role, UnixSeconds};
use tokio::io::DuplexStream;
use tokio::sync::oneshot;

use crate::*;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

/// One network with a proxy and a worker.
struct World {
    vendor: Arc<Simulator>,
    clock: Arc<AtomicU32>,
    policy: PolicyHandle,
    time: Arc<ManualTimer>,
    proxy: Endpoint,
    worker: Endpoint,
}

/// Time that passes when the test says so.
#[derive(Default)]
struct ManualTimer(Mutex<(Duration, Vec<(Duration, oneshot::Sender<()>)>)>);

impl fmt::Debug for ManualTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ManualTimer")
    }
}

impl Timer for ManualTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (wake, woken) = oneshot::channel();
        let (now, sleepers) = &mut *self.0.lock().unwrap();
        sleepers.push((*now + duration, wake));
        Box::pin(async move {
            woken.await.unwrap();
        })
    }
}

impl ManualTimer {
    /// Lets time pass in steps of a second, and everybody act after each.
    async fn pass(&self, seconds: u64) {
        for _ in 0..seconds {
            {
                let (now, sleepers) = &mut *self.0.lock().unwrap();
                *now += Duration::from_secs(1);
                let (due, later): (Vec<_>, Vec<_>) =
                    std::mem::take(sleepers).into_iter().partition(|(at, _)| at <= now);
                *sleepers = later;
                for (_, wake) in due {
                    // Nobody waits any more where the limited thing ended in time.
                    let _ = wake.send(());
                }
            }
            settle().await;
        }
    }
}

/// Lets everything run that can.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn localhost() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn image(role: Role) -> Measurements {
    Measurements::simulated(role.to_string().as_bytes())
}

impl World {
    fn new() -> Self {
        // Proofs are made on a thread of their own, which knows nothing of a test's time.
        Self::with_config(LinkConfig { proof_interval: Duration::MAX, ..LinkConfig::default() })
    }

    fn with_config(config: LinkConfig) -> Self {
        let time = Arc::new(ManualTimer::default());
        let config = LinkConfig { timer: time.clone(), ..config };
        let vendor = Arc::new(Simulator::from_seed(&[1; 32]).unwrap());
        let mut policy = Policy::new(GlobalId::DEVNET);
        policy.allow_root(vendor.root());
        for role in [Role::Proxy, Role::Worker] {
            policy.allow_image(role, image_id(&image(role)), ImageWindow::ALWAYS);
        }
        let policy = PolicyHandle::new(policy);
        let clock = Arc::new(AtomicU32::new(NOW.0));
        let endpoint = |role, seed| {
            let time = clock.clone();
            let time = Arc::new(move || UnixSeconds(time.load(Ordering::Relaxed)));
            let verifier = Arc::new(Verifier::new(policy.clone(), vendor.clone(), time));
            let quoter = quoter(&vendor, role);
            let identity = issue(&quoter, role, seed);
            Endpoint::new(IdentityHandle::new(identity), Arc::new(quoter), verifier, config.clone())
        };
        let (proxy, worker) = (endpoint(Role::Proxy, 2), endpoint(Role::Worker, 3));
        Self { vendor, clock, policy, time, proxy, worker }
    }

    fn change(&self, change: impl FnOnce(&mut Policy)) {
        let mut policy = (*self.policy.current()).clone();
        change(&mut policy);
        self.policy.update(policy);
    }

    /// Somebody with another identity, the worker's view of the chain, and a machine like that of the identity's role.
    fn stranger(&self, identity: Identity) -> Endpoint {
        if identity.claims().role == Role::Client {
            let verifier = self.worker.verifier().clone();
            return Endpoint::client(IdentityHandle::new(identity), verifier, LinkConfig::default());
        }
        let quoter = quoter(&self.vendor, identity.claims().role);
        self.stranger_on(quoter, identity)
    }

    /// The same on a machine of their choice.
    fn stranger_on(&self, quoter: impl Quoter + 'static, identity: Identity) -> Endpoint {
        let verifier = self.worker.verifier().clone();
        Endpoint::new(IdentityHandle::new(identity), Arc::new(quoter), verifier, LinkConfig::default())
    }

    /// A node of its own, with collateral from wherever.
    fn node(&self, role: Role, seed: u8, collateral: Arc<dyn CollateralProvider>) -> Endpoint {
        let time = self.clock.clone();
        let now = Arc::new(move || UnixSeconds(time.load(Ordering::Relaxed)));
        let verifier = Arc::new(Verifier::new(self.policy.clone(), collateral, now));
        let quoter = quoter(&self.vendor, role);
        let identity = IdentityHandle::new(self.issue(role, seed));
        let config = LinkConfig { timer: self.time.clone(), proof_interval: Duration::MAX, ..LinkConfig::default() };
        match role {
            Role::Client => Endpoint::client(identity, verifier, config),
            Role::Proxy | Role::Worker => Endpoint::new(identity, Arc::new(quoter), verifier, config),
        }
    }

    fn issue(&self, role: Role, seed: u8) -> Identity {
        match role {
            Role::Client => client(seed),
            Role::Proxy | Role::Worker => issue(&quoter(&self.vendor, role), role, seed),
        }
    }

    /// A worker's link and the proxy's end of it, in memory.
    async fn linked(&self) -> (Link, Link) {
        let (worker, proxy) = self.meet(&self.worker).await;
        (worker.unwrap(), proxy.unwrap())
    }

    /// What `dialer` and the proxy make of each other.
    async fn meet(&self, dialer: &Endpoint) -> (Result<Link, LinkError>, Result<Link, LinkError>) {
        meet(dialer, &Expect::role(Role::Proxy), &self.proxy, &[Role::Worker]).await
    }
}

fn quoter(vendor: &Simulator, role: Role) -> SimQuoter {
    vendor.platform(role.code().into()).unwrap().quoter(image(role))
}

fn issue(quoter: &SimQuoter, role: Role, seed: u8) -> Identity {
    let request = IdentityRequest::new(role, GlobalId::DEVNET, NOW);
    issue_identity(quoter, &NodeKey::from_seed(&[seed; 32]), &request).unwrap()
}

fn client(seed: u8) -> Identity {
    let request = IdentityRequest::new(Role::Client, GlobalId::DEVNET, NOW);
    issue_client_identity(&NodeKey::from_seed(&[seed; 32]), &request).unwrap()
}

fn pipe() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(64 * 1024)
}

async fn meet(
    dialer: &Endpoint,
    expect: &Expect,
    listener: &Endpoint,
    roles: &[Role],
) -> (Result<Link, LinkError>, Result<Link, LinkError>) {
    let (a, b) = pipe();
    tokio::join!(dialer.connect_over(a, None, expect), listener.accept_over(b, None, roles))
}

/// A result that must come without waiting; the limit is only there to fail instead of hanging.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("this should have ended long ago")
}

/// The error, for a link that must not have come about.
fn refused(result: Result<Link, LinkError>) -> LinkError {
    result.expect_err("the link must not come about")
}
