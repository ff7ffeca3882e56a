//! A client's session with the proxy.

use std::sync::Arc;

use cocoon_node::books::PayeeChannel;

/// A client that has dialled in and the channel that it pays from.
pub(crate) struct ClientSession {
    channel: Arc<PayeeChannel>,
}

impl ClientSession {
    pub fn new(channel: Arc<PayeeChannel>) -> Self {
        Self { channel }
    }

    pub fn channel(&self) -> &Arc<PayeeChannel> {
        &self.channel
    }
}
