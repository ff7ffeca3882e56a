//! A whole network in one process: what `demo`, `up` and the end-to-end tests run.
//!
//! [`LocalNet::open`] starts the embedded chain and the DAO; [`LocalNet::start_proxy`], [`LocalNet::start_worker`] and
//! [`LocalNet::start_client`] start the services, each on a runtime of its own, so that one can be killed like a process
//! and started again ([`LocalNet::kill`]). [`LocalNet::settle`] ends the channels on chain.
//!
//! Nothing here is faked for the services: they see a chain behind `cocoon_chain::Chain`, links over TCP on 127.0.0.1, quotes
//! of the simulated platform under its own root, and files on disk.

pub mod control;
mod dao;
mod host;
mod secrets;
mod settlement;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cocoon_attest::sim::Simulator;
use cocoon_attest::{Measurements, Quoter, image_id, is_attested};
use cocoon_chain::light::{GlobalConfig, LightClient, LightSettings};
use cocoon_chain::{Chain, Wallet, WalletVersion};
use cocoon_client::{Client, ClientConfig};
use cocoon_devnet::{Devnet, Fault, LiteServer};
use cocoon_engine::identity::Manifest;
use cocoon_engine::{Engine, MistralConfig, MistralEngine, SealedModel};
use cocoon_link::LinkConfig;
use cocoon_node::{Node, NodeConfig, ProxyEntry};
use cocoon_protocol::frame::Offer;
use cocoon_protocol::{Hash256, ImageId, ModelHash, Nano, NodeKey, Price, Role, StdAddr};
use cocoon_proxy::{Proxy, ProxyConfig};
use cocoon_watcher::ClaimPolicy;
use cocoon_worker::{Worker, WorkerConfig};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use dao::{Approvals, Dao, Decision, EntryKind, Genesis, MEMBER_STAKE, PROXY_BOND, WORKER_BOND};
pub use host::Host;
pub use secrets::Secrets;
pub use settlement::Settlement;

/// How long a service may take to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// What every actor gets from the faucet.
const FUNDS: Nano = Nano::from_ton(1_000);

/// What a local network is made of.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// Where everything is kept; `None`: in a temporary folder that is removed in the end.
    pub data: Option<PathBuf>,
    /// The model's files.
    pub model: PathBuf,
    /// Its name for applications.
    pub model_name: String,
    /// Copies of the model that the worker loads.
    pub engines: usize,
    /// What the worker asks.
    pub price: Price,
    /// How the proxy behaves.
    pub proxy: ProxyConfig,
    /// How the client behaves.
    pub client: ClientConfig,
    /// How long the worker waits for a silent payer.
    pub worker_patience: Duration,
    /// Whether the worker logs its evidence.
    pub log_evidence: bool,
    /// When earnings are claimed in the background.
    pub claims: ClaimPolicy,
    /// From how much unclaimed money on the proxy reports how workers serve.
    pub report_from: Nano,
    /// Where the liteserver listens; port 0 is any free one.
    pub lite: SocketAddr,
    /// More liteservers, each with a fault, named before the honest one in the network's file.
    pub liars: Vec<Fault>,
}

impl NetConfig {
    /// A network that serves the model in this directory, whose name is the model's.
    pub fn new(model: &Path) -> Self {
        let name = model.canonicalize().ok().and_then(|p| Some(p.file_name()?.to_str()?.to_owned()));
        Self {
            data: None,
            model: model.to_owned(),
            model_name: name.unwrap_or_else(|| "model".to_owned()),
            engines: 1,
            price: Price { prompt: Nano::from_ton(20), completion: Nano::from_ton(100) },
            proxy: ProxyConfig::default(),
            client: ClientConfig { demand_logged: true, ..ClientConfig::default() },
            worker_patience: Duration::from_secs(30),
            log_evidence: true,
            claims: cocoon_watcher::DEFAULT_POLICY,
            report_from: Nano::new(200_000_000),
            lite: SocketAddr::from(([127, 0, 0, 1], 0)),
            liars: vec![],
        }
    }

    /// The model that the project ships.
    pub fn shipped_model() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/cocoon-tiny")
    }
}

/// The services that can be killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    /// The client with its endpoint.
    Client,
    /// The proxy.
    Proxy,
    /// The worker.
    Worker,
}

/// A running worker.
pub struct WorkerService {
    host: Host,
    /// Its place in the network.
    pub node: Arc<Node>,
    serving: Option<JoinHandle<()>>,
}

/// A running proxy.
pub struct ProxyService {
    host: Host,
    /// Its place in the network.
    pub node: Arc<Node>,
    /// The proxy.
    pub proxy: Arc<Proxy>,
    /// Where it listens.
    pub addr: SocketAddr,
    serving: Option<JoinHandle<()>>,
}

/// A running client.
pub struct ClientService {
    host: Host,
    /// Its place in the network.
    pub node: Arc<Node>,
    /// The client.
    pub client: Arc<Client>,
}

/// A network in one process.
pub struct LocalNet {
    /// How it was made.
    pub config: NetConfig,
    /// The chain.
    pub chain: Arc<Devnet>,
    /// The root contract.
    pub registry: StdAddr,
    /// How the DAO decided on the first images and the model.
    pub decision: Decision,
    /// The model that was approved.
    pub model: ModelHash,
    /// The network's file, as TON's tools expect it.
    pub global_config: serde_json::Value,
    lite: Arc<LiteServer>,
    _liars: Vec<LiteServer>,
    secrets: Secrets,
    vendor: Arc<Simulator>,
    dir: PathBuf,
    _temporary: Option<tempfile::TempDir>,
    worker: Option<WorkerService>,
    proxy: Option<ProxyService>,
    client: Option<ClientService>,
}

/// What the simulated vendor's seed is derived for.
const VENDOR: &str = "simulated platform";

/// Name of the network's file in its folder.
pub const GLOBAL_CONFIG: &str = "global.config.json";

/// What is told while a network starts.
pub type Say<'a> = &'a mut (dyn FnMut(&str) + Send);

/// The measurements of an image that the simulated platform runs.
pub fn measurements(role: Role) -> Measurements {
    Measurements::simulated(format!("cocoon {role} {}", env!("CARGO_PKG_VERSION")).as_bytes())
}

impl LocalNet {
    /// Starts the chain and brings the DAO to life: contracts, stakes, a vote that admits the images and the model.
    pub async fn open(config: NetConfig, say: Say<'_>) -> Result<Self> {
        let (dir, temporary) = match &config.data {
            Some(dir) => {
                std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
                (dir.clone(), None)
            }
            None => {
                let temporary =
                    tempfile::Builder::new().prefix("cocoon-").tempdir().context("making a temporary folder")?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let secrets = Secrets::open(&dir)?;
        say("starting an embedded TON network");
        let chain = Arc::new(Devnet::open(&dir.join("chain")).await.context("starting the chain")?);
        let lite = Arc::new(chain.serve_lite(config.lite).await.context("starting the liteserver")?);
        let mut global_config = chain.global_config(&lite).await?;
        let mut liars = vec![];
        for fault in &config.liars {
            let liar = chain
                .serve_lite(SocketAddr::from(([127, 0, 0, 1], 0)))
                .await
                .context("starting a faulty liteserver")?;
            let named = chain.global_config(&liar).await?;
            if let (Some(servers), Some(server)) = (
                global_config.get_mut("liteservers").and_then(|servers| servers.as_array_mut()),
                named.pointer("/liteservers/0"),
            ) {
                servers.insert(0, server.clone());
            }
            liar.set_fault(Some(*fault));
            liars.push(liar);
        }
        let file = dir.join(GLOBAL_CONFIG);
        let text = serde_json::to_string_pretty(&global_config)?;
        std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
        let vendor = Arc::new(Simulator::from_seed(&secrets.derive(VENDOR))?);
        let model = Manifest::of(&config.model)
            .with_context(|| format!("reading the model in {}", config.model.display()))?
            .root();

        let genesis = genesis(&secrets, &vendor);
        let mut dao = Dao::new(&chain, &genesis)?;
        let registry = dao.registry().clone();
        let wallets: Vec<Wallet> =
            (1..=3).map(|i| wallet(&secrets, &chain, &format!("member {i}"))).collect::<Result<_>>()?;
        let members: Vec<&Wallet> = wallets.iter().collect();
        let others = ["gpu owner", "proxy operator", "developer"];
        let others: Vec<Wallet> = others.iter().map(|name| wallet(&secrets, &chain, name)).collect::<Result<_>>()?;
        for wallet in wallets.iter().chain(&others) {
            fund(&chain, wallet).await?;
        }
        let first = members.first().context("a DAO needs members")?;
        say("deploying governor and registry");
        dao.deploy(first).await?;
        say("staking: three members and the GPU owner");
        let before = dao.traces.len();
        for member in &members {
            dao.stake(member, MEMBER_STAKE).await?;
        }
        if let Some(owner) = others.first() {
            dao.stake(owner, WORKER_BOND).await.context("the GPU owner's stake")?;
        }
        if dao.traces.len() > before {
            dao.pass_epoch().await?;
        }
        let images = [Role::Proxy, Role::Worker].map(|role| (role, image_id(&measurements(role))));
        let approvals = Approvals {
            images: images.to_vec(),
            model: (model, config.model_name.clone()),
            source_commit: Hash256::default(),
            rebuilders: rebuilders(&secrets),
        };
        let decision = dao.approve(&members, &approvals, |step| say(&format!("DAO: {step}"))).await?;
        Ok(Self {
            config,
            chain,
            registry,
            decision,
            model,
            global_config,
            lite,
            _liars: liars,
            secrets,
            vendor,
            dir,
            _temporary: temporary,
            worker: None,
            proxy: None,
            client: None,
        })
    }

    /// The folder with everything.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its DAO.
    pub fn dao(&self) -> Result<Dao<'_>> {
        Dao::new(&self.chain, &genesis(&self.secrets, &self.vendor))
    }

    /// The keys of the emergency council.
    pub fn council(&self) -> Vec<NodeKey> {
        council(&self.secrets)
    }

    /// The keys of those who rebuild images from their source.
    pub fn rebuilders(&self) -> Vec<NodeKey> {
        rebuilders(&self.secrets)
    }

    /// The simulated hardware vendor.
    pub fn vendor(&self) -> &Arc<Simulator> {
        &self.vendor
    }

    /// The seed of the simulated hardware vendor, in the form of a key.
    pub fn vendor_seed(&self) -> NodeKey {
        self.secrets.key(VENDOR)
    }

    /// A wallet of one of the actors.
    pub fn wallet(&self, name: &str) -> Result<Wallet> {
        wallet(&self.secrets, &self.chain, name)
    }

    /// A node key of one of the services.
    pub fn node_key(&self, role: Role) -> NodeKey {
        self.secrets.key(&format!("{role} node"))
    }

    /// The proxy.
    pub fn proxy(&self) -> Result<&ProxyService> {
        self.proxy.as_ref().context("the proxy is not running")
    }

    /// The worker.
    pub fn worker(&self) -> Result<&WorkerService> {
        self.worker.as_ref().context("the worker is not running")
    }

    /// The client.
    pub fn client(&self) -> Result<&ClientService> {
        self.client.as_ref().context("the client is not running")
    }

    /// Where the liteserver listens.
    pub fn lite_addr(&self) -> SocketAddr {
        self.lite.address()
    }

    /// The liteserver, to make it lie or stall.
    pub fn lite(&self) -> &Arc<LiteServer> {
        &self.lite
    }

    /// How a service reaches the chain: through the liteserver, trusting nothing that it says.
    pub fn light_settings(&self, role: Role) -> Result<LightSettings> {
        let network = GlobalConfig::from_json(&self.global_config.to_string())?;
        let state_file = Some(self.dir.join(format!("{role}.chain.json")));
        Ok(LightSettings { state_file, ..LightSettings::new(network) })
    }

    /// What a service's node is made of, on a machine of the simulated platform that runs the approved image; a client shows a key and no
    /// machine. Its chain is a light
    /// client on the runtime of whoever calls.
    pub async fn node_config(&self, role: Role) -> Result<NodeConfig> {
        self.node_config_with(role, &measurements(role)).await
    }

    /// The same with other measurements, approved or not.
    pub async fn node_config_with(&self, role: Role, measurements: &Measurements) -> Result<NodeConfig> {
        let chain = LightClient::connect(self.light_settings(role)?).await.context("reaching the chain")?;
        self.node_config_on(Arc::new(chain), role, measurements)
    }

    fn node_config_on(&self, chain: Arc<dyn Chain>, role: Role, measurements: &Measurements) -> Result<NodeConfig> {
        let owner = match role {
            Role::Client => "developer",
            Role::Proxy => "proxy operator",
            Role::Worker => "gpu owner",
        };
        let quoter: Option<Arc<dyn Quoter>> = match is_attested(role) {
            true => Some(Arc::new(self.vendor.platform(u32::from(role.code()))?.quoter(measurements.clone()))),
            false => None,
        };
        Ok(NodeConfig {
            chain,
            registry: self.registry.clone(),
            role,
            key: self.node_key(role),
            wallet: Arc::new(self.wallet(owner)?),
            quoter,
            collateral: self.vendor.clone(),
            link: LinkConfig::default(),
            store: self.dir.join(format!("{role}.redb")),
            report_from: (role == Role::Proxy).then_some(self.config.report_from),
        })
    }

    /// The image of a role as the DAO approved it.
    pub fn image(&self, role: Role) -> ImageId {
        image_id(&measurements(role))
    }

    async fn node(&self, host: &Host, role: Role) -> Result<Arc<Node>> {
        let settings = self.light_settings(role)?;
        let chain = host.run(async move { Ok(LightClient::connect(settings).await?) });
        let chain = chain.await.with_context(|| format!("the {role} cannot reach the chain"))?;
        let config = self.node_config_on(Arc::new(chain), role, &measurements(role))?;
        host.run(async move {
            // A service that was killed a moment ago may still be letting go of its store.
            for _ in 0..50 {
                if cocoon_payments::Store::open(&config.store).is_ok() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Node::start(config).await.with_context(|| format!("starting the {role}"))
        })
        .await
    }

    /// Starts the proxy and registers it with a bond.
    pub async fn start_proxy(&mut self) -> Result<()> {
        let host = Host::new("cocoon-proxy")?;
        let node = self.node(&host, Role::Proxy).await?;
        let operator = self.wallet("proxy operator")?;
        let key = self.node_key(Role::Proxy);
        let mut dao = self.dao()?;
        // A proxy that comes back listens where the registry says, if it can.
        let registered = dao.registry_state().await?.proxies.get(operator.address()).map(|p| p.endpoint.clone());
        let before: Option<SocketAddr> = registered.and_then(|e| e.parse().ok());
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = {
            let node = node.clone();
            host.run(async move {
                let roles = [Role::Client, Role::Worker];
                if let Some(before) = before
                    && let Ok(listener) = node.endpoint().listen(before, &roles).await
                {
                    return Ok(listener);
                }
                Ok(node.endpoint().listen(anywhere, &roles).await?)
            })
            .await?
        };
        let addr = listener.addr();
        dao.register_proxy(&operator, &key, &addr.to_string()).await.context("registering the proxy")?;
        let proxy = Proxy::new(node.clone(), self.config.proxy.clone());
        let serving = host.spawn(proxy.clone().serve(listener));
        host.spawn(cocoon_watcher::run(node.clone(), self.config.claims));
        self.proxy = Some(ProxyService { host, node, proxy, addr, serving });
        Ok(())
    }

    /// Registers the worker's key with the GPU owner's stake, loads the model and dials the proxy.
    pub async fn start_worker(&mut self) -> Result<()> {
        let (model, engines) = (self.config.model.clone(), self.config.engines);
        self.worker_with(move |approved: Vec<ModelHash>| async move {
            let sealed = SealedModel::open(&model, &approved)?;
            let engine = MistralEngine::load(sealed, MistralConfig { engines, ..MistralConfig::default() }).await?;
            Ok(Arc::new(engine) as Arc<dyn Engine>)
        })
        .await
    }

    /// The same with an engine that is there already, such as one that measures or fails.
    pub async fn start_worker_on(&mut self, engine: Arc<dyn Engine>) -> Result<()> {
        self.worker_with(move |_| async move { Ok(engine) }).await
    }

    async fn worker_with<L, F>(&mut self, load: L) -> Result<()>
    where
        L: FnOnce(Vec<ModelHash>) -> F + Send + 'static,
        F: Future<Output = Result<Arc<dyn Engine>>> + Send,
    {
        let host = Host::new("cocoon-worker")?;
        let proxy_key = self.proxy()?.node.key().public();
        let owner = self.wallet("gpu owner")?;
        let mut dao = self.dao()?;
        dao.register_worker(&owner, &self.node_key(Role::Worker)).await.context("registering the worker's key")?;
        let node = self.node(&host, Role::Worker).await?;
        let config = WorkerConfig {
            owner: owner.address().clone(),
            price: self.config.price,
            patience: self.config.worker_patience,
            log_evidence: self.config.log_evidence,
        };
        let serving = node.clone();
        let worker = host
            .run(async move {
                let approved: Vec<ModelHash> = serving.registry().models.keys().copied().collect();
                let engine = load(approved).await?;
                Ok(Worker::new(serving, engine, config)?)
            })
            .await
            .context("starting the worker")?;
        let serving = host.spawn(worker.serve(proxy_key));
        host.spawn(cocoon_watcher::run(node.clone(), self.config.claims));
        self.worker = Some(WorkerService { host, node, serving });
        self.wait_for_offers().await
    }

    /// Waits until the proxy offers the model, from a worker that is logged if it is to be.
    pub async fn wait_for_offers(&self) -> Result<()> {
        let proxy = self.proxy()?.proxy.clone();
        let mut changes = proxy.changes();
        let offered = async {
            let ready = |offers: Vec<Offer>| {
                let mut workers = offers.iter().flat_map(|offer| &offer.candidates);
                workers.any(|worker| worker.logged.is_some() || !self.config.log_evidence)
            };
            while !ready(proxy.offers()) {
                if changes.changed().await.is_err() {
                    bail!("the proxy has gone");
                }
            }
            Ok(())
        };
        tokio::time::timeout(Duration::from_secs(30), offered)
            .await
            .context("the worker did not reach the proxy in 30 s: run with RUST_LOG=info to see why")?
    }

    /// Opens the client's channel and connects it to the proxy.
    pub async fn start_client(&mut self) -> Result<()> {
        let host = Host::new("cocoon-client")?;
        let node = self.node(&host, Role::Client).await?;
        let entry = self.proxy_entry(&node).await?;
        let (config, connecting) = (self.config.client.clone(), node.clone());
        let client = host.run(async move { Ok(Client::new(connecting, config, entry).await?) }).await?;
        self.client = Some(ClientService { host, node, client });
        Ok(())
    }

    /// The proxy as the registry names it, once the client's view of the chain has it.
    async fn proxy_entry(&self, node: &Node) -> Result<ProxyEntry> {
        let key = self.node_key(Role::Proxy).public();
        let mut changes = node.registry_changes();
        let named = changes.wait_for(|registry| registry.proxies.iter().any(|p| p.node_key == key));
        let registry = tokio::time::timeout(Duration::from_secs(30), named)
            .await
            .context("the registry does not name the proxy")??
            .clone();
        registry.proxies.iter().find(|p| p.node_key == key).cloned().context("the registry does not name the proxy")
    }

    /// Serves the OpenAI endpoint of the client until `stop` is cancelled.
    pub async fn serve_http(&self, addr: SocketAddr, stop: CancellationToken) -> Result<SocketAddr> {
        let service = self.client()?;
        let client = service.client.clone();
        let listener = service
            .host
            .run(async move {
                tokio::net::TcpListener::bind(addr)
                    .await
                    .with_context(|| format!("listening on {addr}; is another one running? choose a port with --port"))
            })
            .await?;
        let bound = listener.local_addr()?;
        service.host.spawn(async move {
            if let Err(error) = cocoon_client::http::serve(client, listener, stop).await {
                tracing::error!(%error, "the endpoint has ended");
            }
        });
        Ok(bound)
    }

    /// Asks on the client's runtime.
    pub async fn ask(&self, body: serde_json::Value) -> Result<cocoon_client::Answer> {
        let service = self.client()?;
        let (client, model) = (service.client.clone(), self.config.model_name.clone());
        let body = serde_json::to_vec(&body)?;
        service.host.run(async move { Ok(client.ask(&model, body).await?) }).await
    }

    /// Ends a service where it stands, as if its process had been killed.
    pub fn kill(&mut self, service: Service) {
        let host = match service {
            Service::Client => self.client.take().map(|s| s.host),
            Service::Proxy => self.proxy.take().map(|s| s.host),
            Service::Worker => self.worker.take().map(|s| s.host),
        };
        drop(host);
    }

    /// Stops the services from the payer's end: client, proxy, worker. Each settles what is under way first; what was
    /// promised stays in the stores.
    pub async fn stop(&mut self) {
        if let Some(client) = self.client.take() {
            client.client.disconnect().await;
            client.node.stop().await;
        }
        if let Some(proxy) = self.proxy.take() {
            proxy.node.stop().await;
            until_over(proxy.serving).await;
        }
        if let Some(worker) = self.worker.take() {
            worker.node.stop().await;
            until_over(worker.serving).await;
        }
    }
}

/// Waits for a service to settle what is under way, within reason.
async fn until_over(serving: Option<JoinHandle<()>>) {
    if let Some(serving) = serving
        && tokio::time::timeout(STOP_PATIENCE, serving).await.is_err()
    {
        tracing::warn!("a service did not end in time; what it had acknowledged is on disk");
    }
}

fn council(secrets: &Secrets) -> Vec<NodeKey> {
    (1..=3).map(|i| secrets.key(&format!("council {i}"))).collect()
}

fn rebuilders(secrets: &Secrets) -> Vec<NodeKey> {
    (1..=3).map(|i| secrets.key(&format!("rebuilder {i}"))).collect()
}

fn genesis(secrets: &Secrets, vendor: &Simulator) -> Genesis {
    let public = |keys: Vec<NodeKey>| keys.iter().map(NodeKey::public).collect();
    Genesis { root: vendor.root().0, council: public(council(secrets)), rebuilders: public(rebuilders(secrets)) }
}

fn wallet(secrets: &Secrets, chain: &Devnet, name: &str) -> Result<Wallet> {
    Ok(Wallet::new(secrets.key(&format!("{name} wallet")), WalletVersion::V5R1, chain.network())?)
}

/// Gives an actor its funds, once.
async fn fund(chain: &Devnet, wallet: &Wallet) -> Result<()> {
    if chain.account(wallet.address()).await?.last_trans_lt == 0 {
        chain.faucet(wallet.address(), FUNDS).await.with_context(|| format!("funding {}", wallet.address()))?;
    }
    Ok(())
}
