//! A worker that says of itself what a test wants, over a true link of an approved image, and answers nothing.

use std::sync::Arc;
use std::time::Duration;

use cocoon_link::Link;
use cocoon_localnet::LocalNet;
use cocoon_node::Node;
use cocoon_node::wire::Wire;
use cocoon_protocol::acceptance::Acceptance;
use cocoon_protocol::frame::{Offer, SessionOpen, SessionReady, ToPayee, ToPayer};
use cocoon_protocol::hash::request_hash;
use cocoon_protocol::{Candidate, Fault, LogProof, NodeKey, Role, SignedAnnouncement, StdAddr, Tokens};
use cocoon_seal::SealingKey;

use crate::{another_node, dial_proxy};

/// How long it waits for the proxy.
const PATIENCE: Duration = Duration::from_secs(10);

/// A session with the proxy, and what it takes to tell clients something through it.
pub struct Rogue {
    /// Its place in the network.
    pub node: Arc<Node>,
    announcement: SignedAnnouncement,
    wire: Wire<SessionOpen, SessionReady>,
    link: Link,
    /// The channel that pays it.
    channel: StdAddr,
}

impl Rogue {
    /// Dials the proxy with this key, for which the stake of this actor answers.
    pub async fn dial(net: &LocalNet, owner: &str, key: NodeKey) -> Self {
        let owner = net.wallet(owner).unwrap();
        net.dao().unwrap().register_worker(&owner, &key).await.unwrap();
        let node = another_node(net, Role::Worker, key).await;
        let link = dial_proxy(net, &node).await;
        let mut wire = Wire::new(link.open().unwrap(), PATIENCE);
        let sealing = SealingKey::generate(&mut rand::rngs::OsRng);
        let announcement = sealing.announce(node.network(), node.now().plus(86_400), node.key());
        let offer = Offer {
            model: net.model,
            name: net.config.model_name.clone(),
            context_length: Tokens(2_048),
            price: net.config.price,
            concurrency: 8,
            candidates: vec![],
        };
        let candidate = Candidate { evidence: node.evidence(), announcement: announcement.clone(), logged: None };
        let (owner, candidate) = (owner.address().clone(), Box::new(candidate));
        wire.send(&SessionOpen::Worker { owner, offers: vec![offer], books: vec![], candidate }).await.unwrap();
        let SessionReady::Worker { channel } = wire.recv().await.unwrap() else {
            panic!("the proxy refuses the rogue")
        };
        let (_, channel) = cocoon_node::channels::identify(&channel).unwrap();
        Self { node, announcement, wire, link, channel }
    }

    /// Shows its certificate to clients with this proof.
    pub async fn show(&mut self, logged: Option<LogProof>) {
        let (evidence, announcement) = (self.node.evidence(), self.announcement.clone());
        let candidate = Box::new(Candidate { evidence, announcement, logged });
        self.wire.send(&SessionOpen::Renewed { candidate }).await.unwrap();
    }

    /// Why the proxy has ended the session.
    pub async fn refusal(&mut self) -> Fault {
        match tokio::time::timeout(PATIENCE, self.wire.recv()).await.unwrap().unwrap() {
            SessionReady::Refused(fault) => fault,
            other => panic!("the proxy goes on: {other:?}"),
        }
    }

    /// Accepts the next question with this certificate, and says nothing more until the asker ends it.
    pub async fn accept_with(&self, evidence: Vec<u8>) {
        let mut wire: Wire<ToPayer, ToPayee> = Wire::new(self.link.accept().await.unwrap(), PATIENCE);
        let ToPayee::Request(request) = wire.recv().await.unwrap() else { panic!("a question comes first") };
        let acceptance = Acceptance {
            global_id: self.node.network(),
            channel: self.channel.clone(),
            time: self.node.now(),
            request: request_hash(&request.body),
            model: request.model,
        };
        let acceptance = Box::new(acceptance.sign(self.node.key()).unwrap());
        let (prompt, max_completion, salt) = (Tokens(5), Tokens(5), [1; 32]);
        wire.send(&ToPayer::Accepted { prompt, max_completion, evidence, acceptance, salt }).await.unwrap();
        let _ = wire.recv().await;
    }

    /// Leaves.
    pub async fn leave(self) {
        self.link.close("the rogue has had its say");
        self.node.stop().await;
    }
}
