//! Messages on streams.

use bytes::{Bytes, BytesMut};
use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::endpoint::transcript;
use crate::frame::Frame;
use crate::hello::Side;
use crate::link::Proven;

fn message(seed: u64, size: usize) -> Bytes {
    let mut bytes = vec![0; size];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes.into()
}

/// Sends everything back on every stream.
async fn echo(link: Link) {
    while let Ok(mut stream) = link.accept().await {
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.recv().await {
                stream.send(message).await.unwrap();
            }
            let _ = stream.finish();
        });
    }
}

#[tokio::test]
async fn a_thousand_interleaved_streams_deliver_their_bytes_in_both_directions() {
    let world = World::new();
    let (worker, proxy) = world.linked().await;
    tokio::spawn(echo(proxy.clone()));
    tokio::spawn(echo(worker.clone()));
    let run = |link: Link, side: u64| async move {
        join_all((0..500).map(|i| {
            let mut stream = link.open().unwrap();
            async move {
                let mut rng = StdRng::seed_from_u64(1000 * side + i);
                let messages: Vec<_> = (0..4).map(|m| message(m, rng.gen_range(0..20_000))).collect();
                for m in &messages {
                    stream.send(m.clone()).await.unwrap();
                    tokio::task::yield_now().await;
                }
                stream.finish().unwrap();
                for m in &messages {
                    assert!(stream.recv().await.unwrap().unwrap() == *m);
                }
                assert!(stream.recv().await.is_none());
            }
        }))
        .await;
    };
    tokio::join!(run(worker.clone(), 1), run(proxy.clone(), 2));
    assert_eq!((worker.error(), proxy.error()), (None, None));
}

#[tokio::test]
async fn messages_keep_their_boundaries_up_to_the_limit() {
    let world = World::new();
    let (worker, proxy) = world.linked().await;
    tokio::spawn(echo(proxy.clone()));
    let mut stream = worker.open().unwrap();
    for size in [0, 1, 32 * 1024, 32 * 1024 + 1, 300_000, MAX_MESSAGE] {
        let sent = message(size as u64, size);
        stream.send(sent.clone()).await.unwrap();
        assert!(stream.recv().await.unwrap().unwrap() == sent, "{size}");
    }
    let size = MAX_MESSAGE + 1;
    let error = stream.send(message(0, size)).await.unwrap_err();
    assert_eq!(error, StreamError::TooLarge { size, limit: MAX_MESSAGE });
    stream.send(Bytes::from_static(b"still fine")).await.unwrap();
}

#[tokio::test]
async fn attack_82_a_slow_reader_stops_only_its_own_stream() {
    let world = World::new();
    let (worker, proxy) = world.linked().await;
    let mut slow = worker.open().unwrap();
    let mut slow_reader = proxy.accept().await.unwrap();
    let mut sent = 0;
    let piece = message(1, 10_000);
    // Sends until nothing more goes, which is soon.
    loop {
        let step = tokio::select! {
            biased;
            done = slow.send(piece.clone()) => done,
            () = async { for _ in 0..1000 { tokio::task::yield_now().await } } => break,
        };
        step.unwrap();
        sent += 1;
        assert!(sent < 100, "nobody reads");
    }
    // Meanwhile another stream carries far more than any buffer holds.
    let mut quick = worker.open().unwrap();
    let mut quick_reader = proxy.accept().await.unwrap();
    let reading = async {
        let mut total = 0;
        while let Some(m) = quick_reader.recv().await {
            total += m.unwrap().len();
        }
        total
    };
    let writing = async {
        for i in 0..64 {
            quick.send(message(i, 100_000)).await.unwrap();
        }
        quick.finish().unwrap();
    };
    let ((), total) = tokio::join!(writing, reading);
    assert_eq!(total, 6_400_000);
    // The slow one loses nothing that was sent whole.
    for _ in 0..sent {
        assert!(slow_reader.recv().await.unwrap().unwrap() == piece);
    }
    // The message whose future was dropped leaves the stream unusable, and says so.
    assert_eq!(slow.send(Bytes::new()).await, Err(StreamError::Interrupted));
    assert!(matches!(slow_reader.recv().await, Some(Err(StreamError::Reset { .. }))));
}

#[tokio::test]
async fn cancelling_reaches_the_other_side_with_its_reason() {
    let world = World::new();
    let (worker, proxy) = world.linked().await;
    let stream = worker.open().unwrap();
    let mut other = proxy.accept().await.unwrap();
    stream.reset("the client went away");
    let reset = StreamError::Reset { code: ResetCode::Application, reason: "the client went away".into() };
    assert_eq!(other.recv().await, Some(Err(reset.clone())));
    assert_eq!(other.send(Bytes::new()).await, Err(reset));

    let stream = worker.open().unwrap();
    let (mut send, _recv) = proxy.accept().await.unwrap().split();
    drop(stream);
    let dropped = StreamError::Reset { code: ResetCode::Cancelled, reason: String::new() };
    assert_eq!(send.cut_off().await, dropped);
    assert_eq!((worker.error(), proxy.error()), (None, None));
}

#[tokio::test]
async fn an_answer_that_was_finished_arrives_although_its_sender_reads_no_more() {
    let world = World::new();
    let (worker, proxy) = world.linked().await;
    for size in [10, 100_000] {
        let mut asking = worker.open().unwrap();
        asking.send(Bytes::from_static(b"question")).await.unwrap();
        let mut answering = proxy.accept().await.unwrap();
        answering.recv().await.unwrap().unwrap();
        answering.send(message(1, size)).await.unwrap();
        answering.finish().unwrap();
        drop(answering);
        assert!(asking.recv().await.unwrap().unwrap() == message(1, size));
        assert!(asking.recv().await.is_none());
        // Nobody reads what else might be asked.
        assert!(matches!(asking.split().0.cut_off().await, StreamError::Reset { .. }));
    }
}

#[tokio::test]
async fn streams_beyond_the_limit_are_errors_and_their_end_makes_room() {
    let world = World::with_config(LinkConfig { max_streams: 2, ..LinkConfig::default() });
    let (worker, _proxy) = world.linked().await;
    let first = worker.open().unwrap();
    let _second = worker.open().unwrap();
    assert_eq!(worker.open().err(), Some(LinkError::TooManyStreams { limit: 2 }));
    drop(first);
    worker.open().unwrap();
}

#[tokio::test]
async fn closing_delivers_what_was_sent_and_names_the_reason() {
    let world = World::new();
    let (worker, proxy) = world.linked().await;
    let mut stream = worker.open().unwrap();
    stream.send(message(1, 50_000)).await.unwrap();
    stream.finish().unwrap();
    let mut other = proxy.accept().await.unwrap();
    worker.close("maintenance");
    let reason = LinkError::ClosedByPeer { reason: "maintenance".into() };
    assert_eq!(soon(proxy.closed()).await, reason);
    assert!(other.recv().await.unwrap().unwrap() == message(1, 50_000));
    assert_eq!(other.recv().await, None);
    assert_eq!(other.send(Bytes::new()).await, Err(StreamError::Link(reason.clone())));
    assert_eq!(proxy.accept().await.err(), Some(reason.clone()));
    assert_eq!(proxy.open().err(), Some(reason));
    assert_eq!(soon(worker.closed()).await, LinkError::Closed { reason: "maintenance".into() });
}

pub(super) type Raw = Proven<tokio_rustls::client::TlsStream<tokio::io::DuplexStream>>;

/// A worker that has proven itself to the proxy and then says what it likes.
pub(super) async fn raw(world: &World) -> (Raw, Link) {
    raw_to(world, &world.proxy).await
}

/// The same with another one at the link's end.
pub(super) async fn raw_to(world: &World, proxy: &Endpoint) -> (Raw, Link) {
    let (a, b) = pipe();
    let dial = async {
        let tls = world.worker.tls_identity().unwrap();
        let rule = world.worker.rule(&[Role::Proxy], None);
        let connector = tokio_rustls::TlsConnector::from(tls.client(rule.clone()).unwrap());
        let stream = connector.connect("cocoon.invalid".try_into().unwrap(), a).await.unwrap();
        let transcript = transcript(stream.get_ref().1, &tls).unwrap();
        world.worker.greet(stream, Side::Dialer, &tls, &rule, transcript).await.unwrap()
    };
    let (raw, link) = tokio::join!(dial, proxy.accept_over(b, None, &[Role::Worker]));
    (raw, link.unwrap())
}

#[tokio::test]
async fn attack_71_random_bytes_after_the_handshake_end_the_link_with_an_error() {
    let world = World::new();
    let mut rng = StdRng::seed_from_u64(3);
    for _ in 0..50 {
        let (mut raw, link) = raw(&world).await;
        let mut stream = link.open().unwrap();
        let mut bytes = vec![0; 5000];
        rng.fill_bytes(&mut bytes);
        bytes[0] = rng.gen_range(0..12);
        // The link may end before it has read everything.
        let _ = raw.stream.write_all(&bytes).await;
        let _ = raw.stream.shutdown().await;
        let ended = soon(link.closed()).await;
        assert!(
            matches!(ended, LinkError::Protocol { .. } | LinkError::PeerGone | LinkError::ClosedByPeer { .. }),
            "{ended}"
        );
        assert_eq!(stream.recv().await, Some(Err(StreamError::Link(ended))));
    }
}

#[tokio::test]
async fn a_frame_over_the_limit_ends_the_link_and_the_peer_is_told() {
    let world = World::new();
    let (mut raw, link) = raw(&world).await;
    raw.stream.write_all(&[2, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]).await.unwrap();
    assert!(matches!(soon(link.closed()).await, LinkError::Protocol { .. }));
    let (mut told, mut buffer) = (vec![], BytesMut::new());
    raw.stream.read_to_end(&mut told).await.unwrap();
    buffer.extend_from_slice(&told);
    let last = std::iter::from_fn(|| Frame::decode(&mut buffer).unwrap()).last();
    assert!(matches!(&last, Some(Frame::GoAway { closing: true, reason }) if reason.contains("limit")), "{last:?}");
}

#[tokio::test]
async fn attack_79_a_peer_that_dies_in_mid_frame_gives_every_stream_an_error() {
    let world = World::new();
    let (mut raw, link) = raw(&world).await;
    let mut streams: Vec<_> = (0..20).map(|_| link.open().unwrap()).collect();
    let mut bytes = BytesMut::new();
    Frame::Data { stream: 2, bytes: Bytes::from_static(b"whole"), more: false }.encode(&mut bytes);
    Frame::Data { stream: 2, bytes: Bytes::from_static(b"cut off"), more: false }.encode(&mut bytes);
    // The openings must be on their way before an answer to them is.
    raw.stream.read_u8().await.unwrap();
    raw.stream.write_all(&bytes[..bytes.len() - 3]).await.unwrap();
    raw.stream.flush().await.unwrap();
    assert_eq!(streams[0].recv().await.unwrap().unwrap(), "whole");
    // No TLS goodbye: the machine is gone.
    drop(raw);
    for stream in &mut streams {
        assert_eq!(stream.recv().await, Some(Err(StreamError::Link(LinkError::PeerGone))));
        assert_eq!(stream.send(Bytes::new()).await, Err(StreamError::Link(LinkError::PeerGone)));
    }
    assert_eq!(link.accept().await.err(), Some(LinkError::PeerGone));
}

#[tokio::test]
async fn a_message_pieced_together_over_the_limit_is_refused() {
    let world = World::new();
    let (mut raw, link) = raw(&world).await;
    let mut bytes = BytesMut::new();
    Frame::Open { stream: 1 }.encode(&mut bytes);
    raw.stream.write_all(&bytes).await.unwrap();
    let mut stream = link.accept().await.unwrap();
    let mut buffer = BytesMut::new();
    let piece = Frame::Data { stream: 1, bytes: Bytes::from(vec![0; 32 * 1024]), more: true };
    let sending = async {
        let mut credit = i64::from(crate::mux::WINDOW);
        loop {
            while credit < 40_000 {
                match Frame::decode(&mut buffer).unwrap() {
                    Some(Frame::Window { credit: more, .. }) => credit += i64::from(more),
                    Some(Frame::Reset { code, .. }) => return code,
                    Some(_) => {}
                    None => {
                        raw.stream.read_buf(&mut buffer).await.unwrap();
                    }
                }
            }
            let mut bytes = BytesMut::new();
            piece.encode(&mut bytes);
            raw.stream.write_all(&bytes).await.unwrap();
            raw.stream.flush().await.unwrap();
            credit -= 32 * 1024 + 64;
        }
    };
    let (code, error) = soon(async { tokio::join!(sending, stream.recv()) }).await;
    assert!(matches!(error, Some(Err(StreamError::TooLarge { .. }))));
    assert_eq!(code, ResetCode::TooLarge);
    assert_eq!(link.error(), None, "only the stream is cut off");
}

#[tokio::test]
async fn a_stream_that_ends_in_the_middle_of_a_message_is_an_error() {
    let world = World::new();
    let (mut raw, link) = raw(&world).await;
    let mut bytes = BytesMut::new();
    Frame::Open { stream: 1 }.encode(&mut bytes);
    Frame::Data { stream: 1, bytes: Bytes::from_static(b"half"), more: true }.encode(&mut bytes);
    Frame::Fin { stream: 1 }.encode(&mut bytes);
    raw.stream.write_all(&bytes).await.unwrap();
    let mut stream = link.accept().await.unwrap();
    assert_eq!(stream.recv().await, Some(Err(StreamError::Truncated)));
}
