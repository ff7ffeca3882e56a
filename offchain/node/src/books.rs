//! Books of channels, kept durable by group commit.
//!
//! The state machines of `cocoon-payments` know nothing of time or disks. Here each channel's books sit behind a lock, and
//! one writer makes the changes of all channels durable together: while one commit is on its way to the disk, everything
//! that arrives waits for the next, so that many vouchers share one fsync. What nobody waits for (an exact voucher that replaces a
//! higher one, a bill that the payee can prove to us) lingers until somebody else's change comes, or [`LINGER`].

use std::collections::HashMap;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use cocoon_payments::{
    AcceptError, AdmitError, AuthoriseError, BillError, ConsumeError, Insufficient, PayeeBooks, PayerBooks,
    ReconcileError, RequestId, Store, StoreError,
};
use cocoon_protocol::frame::{Books, ChannelTerms, Frame, ToPayee};
use cocoon_protocol::{CellError, Nano, NodeKey, SignedReceipt, SignedVoucher, StdAddr, UnixSeconds};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use crate::wire::Wire;

/// How long a change that nobody waits for may be kept back. After a crash within that time a payer that forgot a bill is shown its own
/// voucher for it (P2.3), and a payee that forgot an exact voucher has the higher one until the next (P3.7).
const LINGER: Duration = Duration::from_millis(50);

/// Something about a channel's books could not be done.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// A voucher is refused.
    #[error(transparent)]
    Accept(#[from] AcceptError),
    /// The worst case does not fit, as the payee sees it.
    #[error(transparent)]
    Admit(#[from] AdmitError),
    /// The worst case does not fit, as the payer sees it.
    #[error(transparent)]
    Insufficient(#[from] Insufficient),
    /// Output is not covered.
    #[error(transparent)]
    Consume(#[from] ConsumeError),
    /// A voucher cannot be made.
    #[error(transparent)]
    Authorise(#[from] AuthoriseError),
    /// A cost is refused.
    #[error(transparent)]
    Bill(#[from] BillError),
    /// The payee's books are refused.
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
    /// A voucher does not fit a cell.
    #[error(transparent)]
    Cell(#[from] CellError),
    /// The store failed; nothing was acknowledged.
    #[error("{0}")]
    Store(Arc<StoreError>),
    /// The writer is gone because the service is stopping.
    #[error("the service is stopping")]
    Stopping,
}

/// The writer of a service's store.
#[derive(Clone)]
pub struct Ledger {
    queue: mpsc::Sender<Write>,
}

struct Write {
    /// Whose record; none to wait for what has come before.
    side: Option<Side>,
    /// Who waits, if anybody does.
    done: Option<oneshot::Sender<Result<(), Arc<StoreError>>>>,
}

#[derive(Clone)]
enum Side {
    Payer(Arc<PayerChannel>),
    Payee(Arc<PayeeChannel>),
}

impl Ledger {
    /// Starts the writer on a blocking thread of the current runtime. It ends when the last channel is dropped.
    pub fn start(store: Arc<Store>) -> Self {
        let (queue, writes) = mpsc::channel::<Write>();
        tokio::task::spawn_blocking(move || {
            while let Ok(first) = writes.recv() {
                write_batch(&store, batch(first, &writes));
            }
        });
        Self { queue }
    }

    /// A channel in which this service pays.
    pub fn payer(&self, books: PayerBooks, key: NodeKey) -> Arc<PayerChannel> {
        let (terms, address) = (books.terms().clone(), books.channel().clone());
        Arc::new(PayerChannel { books: Mutex::new(books), key, terms, address, ledger: self.clone() })
    }

    /// A channel in which this service is paid.
    pub fn payee(&self, books: PayeeBooks) -> Arc<PayeeChannel> {
        let (terms, address) = (books.fixed().terms.clone(), books.fixed().channel.clone());
        let (changed, _) = watch::channel(0);
        Arc::new(PayeeChannel { books: Mutex::new(books), changed, terms, address, ledger: self.clone() })
    }

    /// Waits until everything that the books have said so far is on the disk.
    pub async fn flush(&self) -> Result<(), BooksError> {
        self.written(None).await
    }

    async fn write(&self, side: Side) -> Result<(), BooksError> {
        self.written(Some(side)).await
    }

    async fn written(&self, side: Option<Side>) -> Result<(), BooksError> {
        let (done, result) = oneshot::channel();
        self.queue.send(Write { side, done: Some(done) }).map_err(|_| BooksError::Stopping)?;
        result.await.map_err(|_| BooksError::Stopping)?.map_err(BooksError::Store)
    }

    /// The same for a change that nobody waits for.
    fn write_soon(&self, side: Side) {
        // A writer that is gone has told those who wait.
        let _ = self.queue.send(Write { side: Some(side), done: None });
    }
}

/// Everything that has arrived, as soon as somebody waits for it.
fn batch(first: Write, writes: &mpsc::Receiver<Write>) -> Vec<Write> {
    let lingering = Instant::now() + LINGER;
    let mut urgent = first.done.is_some();
    let mut batch = vec![first];
    loop {
        let next = match urgent {
            true => writes.try_recv().ok(),
            false => writes.recv_timeout(lingering.saturating_duration_since(Instant::now())).ok(),
        };
        let Some(next) = next else { return batch };
        urgent |= next.done.is_some();
        batch.push(next);
    }
}

/// One commit for everything that waits. Records are taken here, at the last moment, so each has all changes so far.
fn write_batch(store: &Store, batch: Vec<Write>) {
    let mut payers = HashMap::new();
    let mut payees = HashMap::new();
    for write in &batch {
        match &write.side {
            None => {}
            Some(Side::Payer(channel)) => {
                payers.entry(channel.address.clone()).or_insert_with(|| channel.books.lock().record());
            }
            Some(Side::Payee(channel)) => {
                payees
                    .entry(channel.address.clone())
                    .or_insert_with(|| (channel.clone(), channel.books.lock().record()));
            }
        }
    }
    let payers: Vec<_> = payers.into_values().collect();
    let records: Vec<_> = payees.values().map(|(_, (_, record))| record.clone()).collect();
    let result = store.commit(&payers, &records).map_err(Arc::new);
    match &result {
        Ok(()) => {
            for (channel, (version, _)) in payees.values() {
                channel.books.lock().durable(*version);
                channel.changed.send_modify(|n| *n += 1);
            }
        }
        Err(error) => tracing::error!(%error, "books could not be written"),
    }
    for done in batch.into_iter().filter_map(|write| write.done) {
        // A caller that has gone away does not want to know.
        let _ = done.send(result.clone());
    }
}

/// A channel in which this service pays.
pub struct PayerChannel {
    books: Mutex<PayerBooks>,
    key: NodeKey,
    terms: ChannelTerms,
    address: StdAddr,
    ledger: Ledger,
}

impl PayerChannel {
    /// The channel contract.
    pub fn address(&self) -> &StdAddr {
        &self.address
    }

    /// What fixes the channel's address.
    pub fn terms(&self) -> &ChannelTerms {
        &self.terms
    }

    /// Looks at the books.
    pub fn with<T>(&self, look: impl FnOnce(&PayerBooks) -> T) -> T {
        look(&self.books.lock())
    }

    /// An answer of the payee's node ended well; durable, and in the next exact voucher, with the next bill.
    pub fn served(&self, latency: Duration) {
        self.books.lock().served(u64::try_from(latency.as_millis()).unwrap_or(u64::MAX));
    }

    /// An answer failed by the fault of the payee's node.
    pub fn let_down(&self) {
        self.books.lock().let_down();
    }

    /// The channel's state on chain changed.
    pub fn set_state(&self, deposit: Nano, claimed: Nano) {
        let mut books = self.books.lock();
        books.set_deposit(deposit);
        books.set_claimed(claimed);
    }

    /// Sets the worst case of a request aside; the guard gives it back unless the request is billed.
    pub fn reserve(self: &Arc<Self>, worst_case: Nano) -> Result<Payment, BooksError> {
        let id = self.books.lock().reserve(worst_case)?;
        Ok(Payment { channel: self.clone(), id })
    }

    /// Compares with the payee's books at the start of a session and makes the result durable.
    pub async fn reconcile(self: &Arc<Self>, theirs: &Books) -> Result<Nano, BooksError> {
        let adopted = self.books.lock().reconcile(theirs)?;
        if !adopted.is_zero() {
            tracing::warn!(channel = %self.address, %adopted, "the payee proved that more is billed than our books said");
        }
        self.ledger.write(Side::Payer(self.clone())).await?;
        Ok(adopted)
    }
}

/// A request that this service pays for. Dropped without [`Payment::bill`], nothing is billed (P3.8).
pub struct Payment {
    channel: Arc<PayerChannel>,
    id: RequestId,
}

impl Payment {
    /// Allows the request to cost `amount` in sum; returns what it may cost now, and the voucher.
    pub fn authorise(&self, amount: Nano) -> Result<(Nano, SignedVoucher), BooksError> {
        let (authorised, voucher) = self.channel.books.lock().authorise(self.id, amount)?;
        Ok((authorised, voucher.sign(&self.channel.key)?))
    }

    /// What the request may cost at the moment.
    pub fn authorised(&self) -> Nano {
        self.channel.books.lock().authorised(self.id).unwrap_or_default()
    }

    /// Agrees to the cost and returns the exact voucher (P3.6, P3.7). Evidence in it is durable before it is signed: after a crash
    /// lower counters would contradict it. A sum alone need not be, because the payee can prove it to us.
    pub async fn bill(self, cost: Nano) -> Result<SignedVoucher, BooksError> {
        let voucher = self.channel.books.lock().bill(self.id, cost)?;
        let side = Side::Payer(self.channel.clone());
        match voucher.evidence {
            Some(_) => self.channel.ledger.write(side).await?,
            None => self.channel.ledger.write_soon(side),
        }
        Ok(voucher.sign(&self.channel.key)?)
    }
}

impl Drop for Payment {
    fn drop(&mut self) {
        self.channel.books.lock().fail(self.id);
    }
}

/// A channel in which this service is paid.
pub struct PayeeChannel {
    books: Mutex<PayeeBooks>,
    changed: watch::Sender<u64>,
    terms: ChannelTerms,
    address: StdAddr,
    ledger: Ledger,
}

impl PayeeChannel {
    /// The channel contract.
    pub fn address(&self) -> &StdAddr {
        &self.address
    }

    /// What fixes the channel's address.
    pub fn terms(&self) -> &ChannelTerms {
        &self.terms
    }

    /// Looks at the books.
    pub fn with<T>(&self, look: impl FnOnce(&PayeeBooks) -> T) -> T {
        look(&self.books.lock())
    }

    /// The channel's state on chain changed.
    pub fn set_state(&self, deposit: Nano, closing: bool) {
        let mut books = self.books.lock();
        books.set_deposit(deposit);
        books.set_closing(closing);
        drop(books);
        self.changed.send_modify(|n| *n += 1);
    }

    /// Ticks whenever something may be covered that was not before.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Takes a request in; the guard lets it go again unless it is finished.
    pub fn admit(self: &Arc<Self>, worst_case: Nano) -> Result<Earning, BooksError> {
        let id = self.books.lock().admit(worst_case)?;
        Ok(Earning { channel: self.clone(), id: Some(id) })
    }

    /// Takes the exact voucher after an answer in (P3.7). It only lowers what may be claimed, so nobody waits until it is durable.
    fn accept_exact(self: &Arc<Self>, voucher: &SignedVoucher, now: UnixSeconds) -> Result<(), BooksError> {
        let mut books = self.books.lock();
        let version = books.accept_exact(voucher, now)?;
        if !books.is_durable(version) {
            self.ledger.write_soon(Side::Payee(self.clone()));
        }
        Ok(())
    }

    /// After an answer: waits for the payer's exact voucher until it ends the stream or patience does. Whatever is wrong
    /// with it leaves us with the one that covers the bill already.
    pub async fn collect_exact<Out: Frame>(
        self: &Arc<Self>,
        wire: &mut Wire<Out, ToPayee>,
        now: impl Fn() -> UnixSeconds,
        patience: Duration,
    ) {
        let exact = async {
            while let Ok(frame) = wire.recv().await {
                if let ToPayee::Pay { voucher, .. } = frame
                    && let Err(error) = self.accept_exact(&voucher, now())
                {
                    tracing::debug!(%error, "an exact voucher is refused");
                }
            }
        };
        if tokio::time::timeout(patience, exact).await.is_err() {
            tracing::debug!(channel = %self.address, "no exact voucher came");
        }
        // Both directions are done; a peer that is gone needs no goodbye.
        let _ = wire.finish();
    }

    async fn until_durable(self: &Arc<Self>, version: u64) -> Result<(), BooksError> {
        if self.books.lock().is_durable(version) {
            return Ok(());
        }
        self.ledger.write(Side::Payee(self.clone())).await
    }
}

/// A request that this service is paid for. Dropped without [`Earning::finish`], nothing is billed (P3.8).
pub struct Earning {
    channel: Arc<PayeeChannel>,
    id: Option<RequestId>,
}

impl Earning {
    /// The payer allows the request to cost this much in sum, and shows a voucher; durable when this returns (P3.5).
    pub async fn pay(&self, authorised: Nano, voucher: &SignedVoucher, now: UnixSeconds) -> Result<(), BooksError> {
        let id = self.id.ok_or(ConsumeError::Unknown)?;
        let version = self.channel.books.lock().pay(id, authorised, voucher, now)?;
        self.channel.until_durable(version).await
    }

    /// How much is covered by durable vouchers.
    pub fn covered(&self) -> Nano {
        self.id.map_or(Nano::ZERO, |id| self.channel.books.lock().covered(id))
    }

    /// Output up to this cost is about to be released: an error when it is not covered (P3.4).
    pub fn consume(&self, cost: Nano) -> Result<(), BooksError> {
        let id = self.id.ok_or(ConsumeError::Unknown)?;
        Ok(self.channel.books.lock().consume(id, cost)?)
    }

    /// Bills the request; durable when this returns.
    ///
    /// `receipt` is called under the channel's lock with the channel's latest receipt, so that receipts are numbered
    /// without gaps (P5.2).
    pub async fn finish<E: From<BooksError>>(
        mut self,
        cost: Nano,
        receipt: impl FnOnce(Option<&SignedReceipt>) -> Result<Option<SignedReceipt>, E>,
    ) -> Result<Option<SignedReceipt>, E> {
        let id = self.id.take().ok_or_else(|| E::from(ConsumeError::Unknown.into()))?;
        let (version, receipt) = {
            let mut books = self.channel.books.lock();
            let finished = receipt(books.receipt()).and_then(|receipt| {
                let version = books.finish(id, cost, receipt.clone()).map_err(BooksError::from)?;
                Ok((version, receipt))
            });
            finished.inspect_err(|_| books.fail(id))?
        };
        self.channel.until_durable(version).await?;
        self.channel.changed.send_modify(|n| *n += 1);
        Ok(receipt)
    }
}

impl Drop for Earning {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.channel.books.lock().fail(id);
            self.channel.changed.send_modify(|n| *n += 1);
        }
    }
}
