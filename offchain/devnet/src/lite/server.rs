//! Keeps the connections of a liteserver.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use cocoon_chain::cells::read_cell;
use cocoon_lite::frame::{Answered, AuthentificationNonce, Pong};
use cocoon_lite::queries::WaitMasterchainSeqno;
use cocoon_lite::{Answer, Connection, ConnectionError, Frame, Query, ServerKey, answers, unwrap_query};
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::answer::Failure;
use super::fault::Fault;
use crate::devnet::Devnet;

/// Connections that may be open at once; more wait to be let in.
const CONNECTIONS: usize = 256;

/// Questions of one connection that may be open at once; the next are not read before one is answered.
const QUESTIONS: usize = 64;

/// A client has this long to say who it is.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Nobody may wait longer for a block.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Nobody may wait for a block further ahead than this.
const FURTHEST_WAIT: u32 = 100;

/// A running liteserver. It ends when this is dropped.
pub struct LiteServer {
    address: SocketAddr,
    public_key: [u8; 32],
    fault: watch::Sender<Option<Fault>>,
    task: AbortHandle,
}

impl LiteServer {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What clients know it by: an Ed25519 key.
    pub const fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// Makes it lie, lag or stall from now on, or behave again.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.fault.send_replace(fault);
    }

    /// The address as a global.config.json writes it: the four bytes as one signed number.
    pub fn config_ip(&self) -> Option<i32> {
        match self.address.ip() {
            IpAddr::V4(ip) => Some(i32::from_be_bytes(ip.octets())),
            IpAddr::V6(_) => None,
        }
    }

    pub(crate) async fn start(devnet: Devnet, address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        // One key for each port, and no secret.
        let seed = Sha256::new().chain_update(b"cocoon devnet liteserver").chain_update(address.port().to_be_bytes());
        let key = Arc::new(ServerKey::from_seed(seed.finalize().into()));
        let public_key = key.public();
        let (fault, faults) = watch::channel(None);
        let task = tokio::spawn(accept(listener, Shared { devnet, key, faults })).abort_handle();
        Ok(Self { address, public_key, fault, task })
    }
}

impl Drop for LiteServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Shared {
    devnet: Devnet,
    key: Arc<ServerKey>,
    faults: watch::Receiver<Option<Fault>>,
}

async fn accept(listener: TcpListener, shared: Shared) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut sessions = JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "no connection");
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        while sessions.try_join_next().is_some() {}
        let shared = shared.clone();
        sessions.spawn(async move {
            let _place = place;
            match session(stream, shared).await {
                Ok(()) | Err(ConnectionError::Closed) => {}
                Err(error) => tracing::debug!(%peer, %error, "a client's connection ended"),
            }
        });
    }
}

async fn session(stream: TcpStream, shared: Shared) -> Result<(), ConnectionError> {
    // Small answers are not held back for more.
    stream.set_nodelay(true).map_err(|e| ConnectionError::Adnl(e.to_string()))?;
    let connection = tokio::time::timeout(HANDSHAKE, Connection::accept(stream, &shared.key)).await;
    let Connection { mut sender, mut receiver } = connection.map_err(|_| ConnectionError::Closed)??;
    let (answers, mut answered) = mpsc::channel::<Frame>(QUESTIONS);
    let open = Arc::new(Semaphore::new(QUESTIONS));
    let mut tasks = JoinSet::new();
    loop {
        let frame = tokio::select! {
            Some(frame) = answered.recv() => {
                sender.send(&frame).await?;
                continue;
            }
            frame = receiver.receive(), if open.available_permits() > 0 => frame,
        };
        let reply = match frame {
            Ok(Frame::Ping(ping)) => Frame::Pong(Pong { random_id: ping.random_id }),
            Ok(Frame::Authentificate(request)) => {
                // Everybody may ask; the nonce only has to be there.
                let nonce = Sha256::digest(&request.nonce).to_vec();
                Frame::AuthentificationNonce(AuthentificationNonce { nonce })
            }
            Ok(Frame::Asked(asked)) => {
                while tasks.try_join_next().is_some() {}
                let Ok(place) = open.clone().try_acquire_owned() else { continue };
                let (shared, answers) = (shared.clone(), answers.clone());
                tasks.spawn(async move {
                    if let Some(answer) = respond(&shared, &asked.query).await {
                        let frame = Frame::Answered(Answered { query_id: asked.query_id, answer: answer.to_bytes() });
                        drop(answers.send(frame).await);
                    }
                    drop(place);
                });
                continue;
            }
            Ok(
                Frame::Pong(_)
                | Frame::AuthentificationNonce(_)
                | Frame::AuthentificationComplete(_)
                | Frame::Answered(_),
            ) => {
                continue;
            }
            Err(ConnectionError::Frame(error)) => {
                tracing::debug!(%error, "not understood");
                continue;
            }
            Err(error) => return Err(error),
        };
        sender.send(&reply).await?;
    }
}

/// The answer to a question; none if the server stalls.
async fn respond(shared: &Shared, bytes: &[u8]) -> Option<Answer> {
    let fault = *shared.faults.borrow();
    if fault == Some(Fault::Stall) {
        return None;
    }
    Some(match try_respond(shared, fault, bytes).await {
        Ok(answer) => answer,
        Err(failure) => failure.answer(),
    })
}

async fn try_respond(shared: &Shared, fault: Option<Fault>, bytes: &[u8]) -> Result<Answer, Failure> {
    let request = unwrap_query(bytes).map_err(|e| Failure::Protocol(e.to_string()))?;
    if let Some(wait) = &request.wait {
        wait_for(&shared.devnet, fault, wait).await?;
    }
    let query = request.query.map_err(|e| Failure::Protocol(format!("unknown question: {e}")))?;
    if let Query::SendMessage(query) = &query {
        let message = read_cell(&query.body).map_err(|e| Failure::Protocol(format!("no bag of cells: {e}")))?;
        shared.devnet.take(message).await?;
        return Ok(answers::SendMsgStatus { status: 1 }.into());
    }
    Ok(shared.devnet.ask(query, fault).await?)
}

async fn wait_for(devnet: &Devnet, fault: Option<Fault>, wait: &WaitMasterchainSeqno) -> Result<(), Failure> {
    let lag = if let Some(Fault::Lag(blocks)) = fault { blocks } else { 0 };
    let there = |seqno: u32| seqno.saturating_sub(lag) >= wait.seqno;
    let mut heads = devnet.heads();
    let head = heads.borrow().seqno;
    if wait.seqno > head.saturating_add(FURTHEST_WAIT) {
        return Err(Failure::NotReady(format!("block {} is too far ahead of {head}", wait.seqno)));
    }
    let patience = Duration::from_millis(wait.timeout_ms.into()).min(LONGEST_WAIT);
    match tokio::time::timeout(patience, heads.wait_for(|head| there(head.seqno))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(Failure::Broken("the network is stopped".to_owned())),
        Err(_) => Err(Failure::Timeout(wait.seqno)),
    }
}
