//! The streams of one link, without any I/O: frames go in and come out, nothing here waits.
//!
//! Bounds, all of which hold against a hostile peer: streams by `max_streams` for each side that opens; unread data by
//! [`WINDOW`] per stream; data waiting to be written by [`QUEUE`]; control frames by a count that only a peer that does not
//! read can reach, which ends the link.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use crate::error::{LinkError, ResetCode, StreamError};
use crate::frame::{Frame, MAX_PAYLOAD};
use crate::hello::Side;

/// Credit of a stream in each direction: so much may be sent that the other side's owner has not taken yet.
pub const WINDOW: u32 = 128 * 1024;
/// What a frame costs beside its payload, so that empty messages are not free.
pub const FRAME_COST: u32 = 64;
/// Data of all streams that may wait for the socket.
pub const QUEUE: usize = 256 * 1024;
/// Bytes that the writer takes at a time.
const BATCH: usize = 64 * 1024;

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a frame with so many bytes of payload costs.
pub fn cost(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX).saturating_add(FRAME_COST)
}

/// One stream, shared by its two halves and the link.
pub struct Slot {
    pub id: u32,
    pub state: Mutex<SlotState>,
    /// There is something to receive.
    pub readable: Notify,
    /// There is credit.
    pub writable: Notify,
}

pub struct SlotState {
    /// Pieces of messages with whether more follow.
    pub inbox: VecDeque<(Bytes, bool)>,
    /// What the peer may still send.
    window: u32,
    /// What the owner has taken since the peer was last told.
    taken: u32,
    /// What we may still send.
    pub credit: u32,
    /// The peer sends no more.
    pub remote_finished: bool,
    /// We send no more.
    pub local_finished: bool,
    /// The stream was cut off.
    pub cut: Option<StreamError>,
}

impl Slot {
    fn new(id: u32) -> Self {
        let state = SlotState {
            inbox: VecDeque::new(),
            window: WINDOW,
            taken: 0,
            credit: WINDOW,
            remote_finished: false,
            local_finished: false,
            cut: None,
        };
        Self { id, state: Mutex::new(state), readable: Notify::new(), writable: Notify::new() }
    }

    /// Ends both directions; the first reason stands. What the peer sent before it finished can still be read.
    fn cut(&self, reason: StreamError, keep_inbox: bool) {
        let mut state = lock(&self.state);
        if !keep_inbox && !state.remote_finished {
            state.inbox.clear();
        }
        state.cut.get_or_insert(reason);
        drop(state);
        self.readable.notify_one();
        self.writable.notify_one();
    }
}

struct Queued {
    frame: Frame,
    // Freed when the frame is taken by the writer.
    _space: Option<OwnedSemaphorePermit>,
}

struct State {
    streams: HashMap<u32, Arc<Slot>>,
    local_open: usize,
    remote_open: usize,
    next_local: u32,
    last_remote: u32,
    /// Opened by the peer, not yet accepted here.
    backlog: VecDeque<Arc<Slot>>,
    /// Frames in the order of their streams.
    queue: VecDeque<Queued>,
    /// Frames that overtake the others.
    control: VecDeque<Frame>,
    draining: Option<LinkError>,
    closed: Option<LinkError>,
}

/// The streams of one link.
pub struct Mux {
    side: Side,
    max_streams: usize,
    state: Mutex<State>,
    /// Something waits to be written.
    pub work: Notify,
    /// Something waits to be accepted.
    pub arrivals: Notify,
    space: Arc<Semaphore>,
    closed: watch::Sender<Option<LinkError>>,
    heard: AtomicBool,
}

impl Mux {
    pub fn new(side: Side, max_streams: usize) -> Self {
        let state = State {
            streams: HashMap::new(),
            local_open: 0,
            remote_open: 0,
            next_local: if side == Side::Dialer { 1 } else { 2 },
            last_remote: 0,
            backlog: VecDeque::new(),
            queue: VecDeque::new(),
            control: VecDeque::new(),
            draining: None,
            closed: None,
        };
        Self {
            side,
            max_streams,
            state: Mutex::new(state),
            work: Notify::new(),
            arrivals: Notify::new(),
            space: Arc::new(Semaphore::new(QUEUE)),
            closed: watch::Sender::new(None),
            heard: AtomicBool::new(false),
        }
    }

    fn is_local(&self, stream: u32) -> bool {
        (stream % 2 == 1) == (self.side == Side::Dialer)
    }

    /// Why the link ended, if it has.
    pub fn closed(&self) -> Option<LinkError> {
        self.closed.borrow().clone()
    }

    /// Hears of the end.
    pub fn watch_closed(&self) -> watch::Receiver<Option<LinkError>> {
        self.closed.subscribe()
    }

    /// Whether any frame arrived since the last call.
    pub fn was_heard(&self) -> bool {
        self.heard.swap(false, Ordering::Relaxed)
    }

    /// Ends the link; the first reason stands. With `flush`, what is queued is still written.
    pub fn close(&self, reason: LinkError, flush: bool) {
        let mut state = lock(&self.state);
        if state.closed.is_some() {
            return;
        }
        state.closed = Some(reason.clone());
        if !flush {
            state.queue.clear();
        }
        state.control.clear();
        state.backlog.clear();
        let streams = std::mem::take(&mut state.streams);
        (state.local_open, state.remote_open) = (0, 0);
        drop(state);
        self.space.close();
        // What was received whole before the end may still be read.
        streams.values().for_each(|slot| slot.cut(StreamError::Link(reason.clone()), true));
        self.closed.send_replace(Some(reason));
        self.work.notify_one();
        self.arrivals.notify_one();
    }

    /// Takes no more streams; tells the peer, and ends the link when the last stream has ended.
    pub fn drain(&self, reason: LinkError) {
        let mut state = lock(&self.state);
        if state.closed.is_some() || state.draining.is_some() {
            return;
        }
        let told = Frame::GoAway { closing: false, reason: reason.goodbye() };
        state.draining = Some(reason);
        state.control.push_back(told);
        drop(state);
        self.work.notify_one();
        self.close_if_drained();
    }

    fn close_if_drained(&self) {
        let state = lock(&self.state);
        let reason = match &state.draining {
            Some(reason) if state.streams.is_empty() => reason.clone(),
            _ => return,
        };
        drop(state);
        self.close(reason, true);
    }

    /// A new stream of ours.
    pub fn open(&self) -> Result<Arc<Slot>, LinkError> {
        let mut state = lock(&self.state);
        if let Some(reason) = &state.closed {
            return Err(reason.clone());
        }
        if let Some(reason) = &state.draining {
            return Err(LinkError::Draining { reason: reason.goodbye() });
        }
        if state.local_open >= self.max_streams {
            return Err(LinkError::TooManyStreams { limit: self.max_streams });
        }
        let id = state.next_local;
        // Two thousand million streams on one link: connect anew.
        let Some(next) = id.checked_add(2) else {
            return Err(LinkError::Draining { reason: "its stream numbers are used up".into() });
        };
        state.next_local = next;
        state.local_open += 1;
        let slot = Arc::new(Slot::new(id));
        state.streams.insert(id, slot.clone());
        state.queue.push_back(Queued { frame: Frame::Open { stream: id }, _space: None });
        drop(state);
        self.work.notify_one();
        Ok(slot)
    }

    /// The next stream of the peer, if one waits.
    pub fn accept(&self) -> Option<Result<Arc<Slot>, LinkError>> {
        let mut state = lock(&self.state);
        if let Some(reason) = &state.closed {
            let reason = reason.clone();
            drop(state);
            // Whoever else waits must hear it too.
            self.arrivals.notify_one();
            return Some(Err(reason));
        }
        let slot = state.backlog.pop_front()?;
        if !state.backlog.is_empty() {
            self.arrivals.notify_one();
        }
        Some(Ok(slot))
    }

    /// Room in the queue for a frame with so many bytes of payload.
    pub async fn space(&self, bytes: usize) -> Result<OwnedSemaphorePermit, LinkError> {
        match self.space.clone().acquire_many_owned(cost(bytes)).await {
            Ok(space) => Ok(space),
            Err(_) => Err(self.closed().unwrap_or(LinkError::PeerGone)),
        }
    }

    /// Queues a piece of a message. The caller has seen that there is credit.
    pub fn send(&self, slot: &Slot, bytes: Bytes, more: bool, space: OwnedSemaphorePermit) -> Result<(), StreamError> {
        {
            let mut stream = lock(&slot.state);
            if let Some(reason) = &stream.cut {
                return Err(reason.clone());
            }
            stream.credit = stream.credit.saturating_sub(cost(bytes.len()));
        }
        self.enqueue(Frame::Data { stream: slot.id, bytes, more }, Some(space));
        Ok(())
    }

    fn enqueue(&self, frame: Frame, space: Option<OwnedSemaphorePermit>) {
        let mut state = lock(&self.state);
        if state.closed.is_none() {
            state.queue.push_back(Queued { frame, _space: space });
            drop(state);
            self.work.notify_one();
        }
    }

    /// We send no more on a stream.
    pub fn finish(&self, slot: &Slot) {
        let done = {
            let mut stream = lock(&slot.state);
            if stream.cut.is_some() || stream.local_finished {
                return;
            }
            stream.local_finished = true;
            stream.remote_finished
        };
        self.enqueue(Frame::Fin { stream: slot.id }, None);
        if done {
            self.retire(slot.id);
        }
    }

    /// The owner took a piece from the inbox; tells the peer now and then.
    pub fn took(&self, slot: &Slot, bytes: usize) {
        let credit = {
            let mut stream = lock(&slot.state);
            stream.taken = stream.taken.saturating_add(cost(bytes));
            if stream.taken < WINDOW / 2 || stream.remote_finished || stream.cut.is_some() {
                return;
            }
            let credit = std::mem::take(&mut stream.taken);
            stream.window = stream.window.saturating_add(credit);
            credit
        };
        let mut state = lock(&self.state);
        if state.closed.is_none() {
            state.control.push_back(Frame::Window { stream: slot.id, credit });
            drop(state);
            self.work.notify_one();
        }
    }

    /// Cuts a stream off, unless it has ended already.
    pub fn reset(&self, slot: &Slot, code: ResetCode, reason: &str) {
        let finished = lock(&slot.state).local_finished;
        let mut state = lock(&self.state);
        if state.streams.contains_key(&slot.id) {
            self.remove(&mut state, slot.id);
            // What waits for a stream that is cut off need not be written; if the peer has not heard of the stream at all,
            // it need not hear of its end either. But what was sent and finished arrives: whoever answers, finishes and
            // drops the stream must not take the answer back.
            let mut unheard = false;
            if !finished {
                unheard = state.queue.iter().any(|q| matches!(q.frame, Frame::Open { stream } if stream == slot.id));
                state.queue.retain(|q| stream_of(&q.frame) != Some(slot.id));
            }
            if !unheard {
                let frame = Frame::Reset { stream: slot.id, code, reason: reason.to_owned() };
                state.queue.push_back(Queued { frame, _space: None });
            }
            drop(state);
            self.work.notify_one();
            self.close_if_drained();
        } else {
            drop(state);
        }
        slot.cut(StreamError::ResetHere { reason: reason.to_owned() }, false);
    }

    fn remove(&self, state: &mut State, id: u32) -> Option<Arc<Slot>> {
        let slot = state.streams.remove(&id)?;
        let open = if self.is_local(id) { &mut state.local_open } else { &mut state.remote_open };
        *open = open.saturating_sub(1);
        Some(slot)
    }

    fn retire(&self, id: u32) {
        self.remove(&mut lock(&self.state), id);
        self.close_if_drained();
    }

    /// Keeps the peer talking.
    pub fn ping(&self) {
        self.control(Frame::Ping);
    }

    /// Queues a frame that overtakes the streams'.
    pub fn control(&self, frame: Frame) {
        let mut state = lock(&self.state);
        if state.closed.is_none() {
            state.control.push_back(frame);
            drop(state);
            self.work.notify_one();
        }
    }

    /// What is to be written next; empty when there is nothing. Frees the queue for more.
    pub fn take_batch(&self, out: &mut BytesMut) {
        let mut state = lock(&self.state);
        while let Some(frame) = state.control.pop_front() {
            frame.encode(out);
        }
        while out.len() < BATCH {
            let Some(queued) = state.queue.pop_front() else { break };
            queued.frame.encode(out);
        }
    }

    /// A frame from the peer. An error ends the link.
    pub fn receive(&self, frame: Frame) -> Result<(), LinkError> {
        self.heard.store(true, Ordering::Relaxed);
        match frame {
            Frame::Open { stream } => self.opened(stream)?,
            Frame::Data { stream, bytes, more } => self.arrived(stream, bytes, more)?,
            Frame::Fin { stream } => {
                if let Some(slot) = self.find(stream)? {
                    let done = {
                        let mut state = lock(&slot.state);
                        if std::mem::replace(&mut state.remote_finished, true) {
                            return Err(violation(format!("stream {stream} was finished twice")));
                        }
                        state.local_finished
                    };
                    slot.readable.notify_one();
                    if done {
                        self.retire(stream);
                    }
                }
            }
            Frame::Reset { stream, code, reason } => {
                if self.find(stream)?.is_some() {
                    let slot = {
                        let mut state = lock(&self.state);
                        state.backlog.retain(|s| s.id != stream);
                        // Nobody reads it any more.
                        state.queue.retain(|q| stream_of(&q.frame) != Some(stream));
                        self.remove(&mut state, stream)
                    };
                    if let Some(slot) = slot {
                        slot.cut(StreamError::Reset { code, reason }, false);
                    }
                    self.close_if_drained();
                }
            }
            Frame::Window { stream, credit } => {
                if let Some(slot) = self.find(stream)? {
                    let mut state = lock(&slot.state);
                    state.credit = state
                        .credit
                        .checked_add(credit)
                        .filter(|c| *c <= WINDOW)
                        .ok_or_else(|| violation(format!("stream {stream} got more credit than there is")))?;
                    drop(state);
                    slot.writable.notify_one();
                }
            }
            Frame::Ping => self.control(Frame::Pong),
            Frame::Pong => {}
            Frame::GoAway { closing: true, reason } => return Err(LinkError::ClosedByPeer { reason }),
            Frame::GoAway { closing: false, reason } => {
                lock(&self.state).draining.get_or_insert(LinkError::ClosedByPeer { reason });
                self.close_if_drained();
            }
            Frame::Hello(_) => return Err(violation("a second greeting".into())),
            Frame::Challenge(_) | Frame::Proof(_) => return Err(violation("a proof out of turn".into())),
            Frame::Ask(_) | Frame::Collateral(_) => return Err(violation("collateral out of turn".into())),
        }
        self.check_stalled()
    }

    /// A peer that makes us answer without reading the answers would fill memory.
    fn check_stalled(&self) -> Result<(), LinkError> {
        let state = lock(&self.state);
        let limit = self.max_streams.saturating_mul(8).max(1024).saturating_add(QUEUE / FRAME_COST as usize);
        let waiting = state.control.len().saturating_add(state.queue.len());
        if waiting > limit {
            return Err(LinkError::PeerStalled { why: format!("{waiting} frames wait for it") });
        }
        Ok(())
    }

    /// The stream of a number, if it is still open. A number that was never given out breaks the protocol.
    fn find(&self, stream: u32) -> Result<Option<Arc<Slot>>, LinkError> {
        let state = lock(&self.state);
        if let Some(slot) = state.streams.get(&stream) {
            return Ok(Some(slot.clone()));
        }
        let given_out = if self.is_local(stream) { stream < state.next_local } else { stream <= state.last_remote };
        if stream != 0 && given_out {
            // Frames that were on their way when the stream ended.
            return Ok(None);
        }
        Err(violation(format!("stream {stream} was never opened")))
    }

    fn opened(&self, stream: u32) -> Result<(), LinkError> {
        let mut state = lock(&self.state);
        if stream == 0 || self.is_local(stream) || stream <= state.last_remote {
            return Err(violation(format!("stream {stream} cannot be opened after {}", state.last_remote)));
        }
        state.last_remote = stream;
        let refusal = match &state.draining {
            Some(reason) => Some(reason.goodbye()),
            None if state.remote_open >= self.max_streams || state.backlog.len() >= self.max_streams => {
                Some(format!("{} streams are open", self.max_streams))
            }
            None => None,
        };
        if let Some(reason) = refusal {
            let frame = Frame::Reset { stream, code: ResetCode::Refused, reason };
            state.queue.push_back(Queued { frame, _space: None });
            drop(state);
            self.work.notify_one();
            return Ok(());
        }
        let slot = Arc::new(Slot::new(stream));
        state.streams.insert(stream, slot.clone());
        state.remote_open += 1;
        state.backlog.push_back(slot);
        drop(state);
        self.arrivals.notify_one();
        Ok(())
    }

    fn arrived(&self, stream: u32, bytes: Bytes, more: bool) -> Result<(), LinkError> {
        debug_assert!(bytes.len() <= MAX_PAYLOAD);
        let Some(slot) = self.find(stream)? else { return Ok(()) };
        let mut state = lock(&slot.state);
        if state.remote_finished {
            return Err(violation(format!("stream {stream} sends after its end")));
        }
        state.window = state
            .window
            .checked_sub(cost(bytes.len()))
            .ok_or_else(|| violation(format!("stream {stream} sends more than it has credit for")))?;
        state.inbox.push_back((bytes, more));
        drop(state);
        slot.readable.notify_one();
        Ok(())
    }
}

fn violation(why: String) -> LinkError {
    LinkError::Protocol { why }
}

fn stream_of(frame: &Frame) -> Option<u32> {
    match frame {
        Frame::Open { stream }
        | Frame::Data { stream, .. }
        | Frame::Fin { stream }
        | Frame::Reset { stream, .. }
        | Frame::Window { stream, .. } => Some(*stream),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn mux() -> Mux {
        Mux::new(Side::Listener, 4)
    }

    fn data(stream: u32, size: usize) -> Frame {
        Frame::Data { stream, bytes: Bytes::from(vec![0; size]), more: false }
    }

    /// Everything that waits to be written.
    fn written(mux: &Mux) -> Vec<Frame> {
        let (mut frames, mut bytes) = (vec![], BytesMut::new());
        loop {
            mux.take_batch(&mut bytes);
            if bytes.is_empty() {
                return frames;
            }
            while let Some(frame) = Frame::decode(&mut bytes).unwrap() {
                frames.push(frame);
            }
        }
    }

    #[test]
    fn attack_82_a_peer_cannot_send_beyond_its_credit() {
        let mux = mux();
        mux.receive(Frame::Open { stream: 1 }).unwrap();
        for _ in 0..WINDOW / cost(MAX_PAYLOAD) {
            mux.receive(data(1, MAX_PAYLOAD)).unwrap();
        }
        assert!(matches!(mux.receive(data(1, MAX_PAYLOAD)), Err(LinkError::Protocol { .. })));
    }

    #[test]
    fn attack_82_empty_messages_are_not_free() {
        let mux = mux();
        mux.receive(Frame::Open { stream: 1 }).unwrap();
        let sent = (0..10_000).take_while(|_| mux.receive(data(1, 0)).is_ok()).count();
        assert_eq!(sent, (WINDOW / FRAME_COST) as usize);
    }

    #[test]
    fn streams_are_bounded_and_those_above_are_refused() {
        let mux = mux();
        for i in 0..5 {
            mux.receive(Frame::Open { stream: 2 * i + 1 }).unwrap();
        }
        let frames = written(&mux);
        assert!(matches!(&frames[..], [Frame::Reset { stream: 9, code: ResetCode::Refused, .. }]), "{frames:?}");
        for _ in 0..4 {
            mux.open().unwrap();
        }
        assert_eq!(mux.open().err(), Some(LinkError::TooManyStreams { limit: 4 }));
    }

    #[test]
    fn attack_82_opening_and_cancelling_without_reading_ends_the_link() {
        let mux = mux();
        let mut failed = None;
        for i in 0..15_000 {
            let stream = 2 * i + 1;
            let step = mux.receive(Frame::Open { stream });
            if let Some(Ok(slot)) = mux.accept() {
                mux.reset(&slot, ResetCode::Cancelled, "");
            }
            if let Err(error) = step {
                failed = Some((i, error));
                break;
            }
        }
        let (after, error) = failed.unwrap();
        assert!(matches!(error, LinkError::PeerStalled { .. }) && after < 10_000, "{after} {error}");
        // The peer cancels itself: nothing stays.
        let mux = self::mux();
        for i in 0..100_000 {
            mux.receive(Frame::Open { stream: 2 * i + 1 }).unwrap();
            let reason = String::new();
            mux.receive(Frame::Reset { stream: 2 * i + 1, code: ResetCode::Cancelled, reason }).unwrap();
        }
        assert!(mux.accept().is_none() && written(&mux).is_empty());
    }

    #[test]
    fn a_stream_cancelled_before_it_was_written_is_never_heard_of() {
        let mux = mux();
        let slot = mux.open().unwrap();
        mux.reset(&slot, ResetCode::Cancelled, "");
        assert_eq!(written(&mux), []);
        // Its number is skipped, which the other side accepts.
        mux.open().unwrap();
        assert_eq!(written(&mux), [Frame::Open { stream: 4 }]);
    }

    #[test]
    fn rules_of_the_protocol() {
        let broken: [&[Frame]; 9] = [
            &[Frame::Open { stream: 0 }],
            &[Frame::Open { stream: 2 }],
            &[Frame::Open { stream: 3 }, Frame::Open { stream: 3 }],
            &[Frame::Open { stream: 3 }, Frame::Open { stream: 1 }],
            &[data(1, 1)],
            &[Frame::Fin { stream: 2 }],
            &[Frame::Open { stream: 1 }, Frame::Fin { stream: 1 }, Frame::Fin { stream: 1 }],
            &[Frame::Open { stream: 1 }, Frame::Fin { stream: 1 }, data(1, 1)],
            &[Frame::Open { stream: 1 }, Frame::Window { stream: 1, credit: 1 }],
        ];
        for frames in broken {
            let mux = mux();
            let last = frames.iter().map(|f| mux.receive(f.clone())).last().unwrap();
            assert!(matches!(last, Err(LinkError::Protocol { .. })), "{frames:?}");
        }
    }

    #[test]
    fn random_frames_never_panic_and_keep_the_counts() {
        let mut rng = StdRng::seed_from_u64(2);
        for _ in 0..300 {
            let mux = mux();
            let mut held = vec![];
            for _ in 0..200 {
                let stream = rng.gen_range(0..12);
                let step = match rng.gen_range(0..12) {
                    0..3 => mux.receive(Frame::Open { stream }),
                    3..5 => mux.receive(data(stream, rng.gen_range(0..2000))),
                    5 => mux.receive(Frame::Fin { stream }),
                    6 => mux.receive(Frame::Reset { stream, code: ResetCode::Cancelled, reason: String::new() }),
                    7 => mux.receive(Frame::Window { stream, credit: rng.gen_range(0..10) }),
                    8 => {
                        held.extend(mux.open());
                        Ok(())
                    }
                    9 => {
                        held.extend(mux.accept().and_then(Result::ok));
                        Ok(())
                    }
                    10 => {
                        if !held.is_empty() {
                            let slot = held.swap_remove(rng.gen_range(0..held.len()));
                            mux.reset(&slot, ResetCode::Cancelled, "");
                        }
                        Ok(())
                    }
                    _ => {
                        held.iter().for_each(|slot| mux.finish(slot));
                        Ok(())
                    }
                };
                if let Err(error) = step {
                    mux.close(error, false);
                }
                let state = lock(&mux.state);
                assert_eq!(state.local_open + state.remote_open, state.streams.len());
                assert!(state.local_open <= 4 && state.remote_open <= 4 && state.backlog.len() <= 4);
            }
        }
    }
}
