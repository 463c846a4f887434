//! What a client that means harm, or knows no better, can use up.

use std::time::Duration;

use h2::client::{SendRequest, handshake};
use http::Request;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{PrincipalKind, SignInRequest};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::{Readiness, ServeConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::running::{Running, SOURCE, WITHIN};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

async fn start(config: ServeConfig) -> Running {
    Running::start_with(Readiness::new(), config).await
}

async fn ask(channel: Channel) -> Result<(), Status> {
    let request = SignInRequest { name: SOURCE.into(), credential: None };
    AuthServiceClient::new(channel).sign_in(request).await.map(|_| ())
}

/// That an honest client is served.
async fn is_served(channel: Channel) {
    ask(channel).await.expect("an honest client is served");
}

/// A connection of HTTP/2 by hand, and the task that moves it.
async fn by_hand(
    running: &Running,
    tasks: &mut JoinSet<Option<h2::Reason>>,
) -> SendRequest<axum::body::Bytes> {
    let stream = TcpStream::connect(running.api).await.unwrap();
    let (sender, connection) = handshake(stream).await.unwrap();
    tasks.spawn(async move { connection.await.err().and_then(|error| error.reason()) });
    sender
}

fn call() -> Request<()> {
    Request::post("http://test/roamline.auth.v1.AuthService/SignIn").body(()).unwrap()
}

#[tokio::test]
async fn rapid_resets_end_the_connection_and_nothing_else() {
    let running = start(ServeConfig::default()).await;
    let honest = running.channel().await;
    let mut tasks = JoinSet::new();
    let mut sender = by_hand(&running, &mut tasks).await;
    let attack = async {
        while let Ok(ready) = sender.clone().ready().await {
            sender = ready;
            match sender.send_request(call(), false) {
                Ok((_, mut stream)) => stream.send_reset(h2::Reason::CANCEL),
                Err(_) => break,
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WITHIN, attack).await.expect("the server ends it");
    // Where the connection breaks before the last frame is read, there is no reason.
    let reason = tasks.join_next().await.unwrap().unwrap();
    assert!(matches!(reason, None | Some(h2::Reason::ENHANCE_YOUR_CALM)), "{reason:?}");
    is_served(honest).await;
    is_served(running.channel().await).await;
    running.stop().await;
}

#[tokio::test]
async fn headers_beyond_the_limit_are_refused() {
    let running = start(ServeConfig::default()).await;
    let mut tasks = JoinSet::new();
    let mut sender = by_hand(&running, &mut tasks).await.ready().await.unwrap();
    let mut request = call();
    request.headers_mut().insert("x-large", "x".repeat(20_000).parse().unwrap());
    let (answer, _) = sender.send_request(request, true).unwrap();
    let refused = match tokio::time::timeout(WITHIN, answer).await.expect("it is answered") {
        Ok(answer) => answer.status() == http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Err(_) => true,
    };
    assert!(refused);
    is_served(running.channel().await).await;
    running.stop().await;
}

#[tokio::test]
async fn a_client_is_told_how_many_calls_it_may_make_at_once() {
    let running =
        start(ServeConfig { max_concurrent_streams: 3.try_into().unwrap(), ..Default::default() }).await;
    let mut tasks = JoinSet::new();
    let mut sender = by_hand(&running, &mut tasks).await.ready().await.unwrap();
    let (answer, _) = sender.send_request(call(), true).unwrap();
    answer.await.unwrap();
    assert_eq!(sender.current_max_send_streams(), 3);
    running.stop().await;
}

/// A watch of health that has said its first word.
async fn watch(channel: Channel) -> Result<Streaming<HealthCheckResponse>, Status> {
    let mut watch = HealthClient::new(channel).watch(HealthCheckRequest::default()).await?.into_inner();
    tokio::time::timeout(WITHIN, watch.message()).await.expect("in time")?;
    Ok(watch)
}

#[tokio::test]
async fn the_idle_and_those_who_only_watch_give_way_when_there_are_too_many_connections() {
    let running = start(ServeConfig { max_connections: 50.try_into().unwrap(), ..Default::default() }).await;
    let mut tasks = JoinSet::new();
    let mut busy = by_hand(&running, &mut tasks).await.ready().await.unwrap();
    let mut call = call();
    let token = format!("Bearer {}", running.token(PrincipalKind::User));
    call.headers_mut().insert("authorization", token.parse().unwrap());
    let (answer, mut call) = busy.send_request(call, false).unwrap();
    let mut watches = Vec::new();
    for _ in 0..100 {
        watches.push(watch(running.channel().await).await.unwrap());
        is_served(running.channel().await).await;
    }
    let mut idle = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(running.api).await.unwrap();
        stream.write_all(PREFACE).await.unwrap();
        idle.push(stream);
    }
    is_served(running.channel().await).await;
    let mut heard = Vec::new();
    let closed = idle[0].read_to_end(&mut heard);
    let _ = tokio::time::timeout(WITHIN, closed).await.expect("the first gave way");
    let ended = async { while let Ok(Some(_)) = watches[0].message().await {} };
    tokio::time::timeout(WITHIN, ended).await.expect("the first watch gave way");
    call.send_data(Default::default(), true).unwrap();
    tokio::time::timeout(WITHIN, answer).await.expect("in time").expect("who has a call open is not closed");
    running.stop().await;
}

#[tokio::test]
async fn calls_without_a_token_that_do_not_end_keep_nobody_out() {
    let running = start(ServeConfig { max_connections: 20.try_into().unwrap(), ..Default::default() }).await;
    let (mut tasks, mut held) = (JoinSet::new(), Vec::new());
    for path in ["grpc.health.v1.Health/Check", "roamline.auth.v1.AuthService/GetJsonWebKeySet"].repeat(20) {
        let stream = TcpStream::connect(running.api).await.unwrap();
        let deaf = h2::client::Builder::new().initial_window_size(0).handshake(stream).await;
        let (sender, connection) = deaf.unwrap();
        tasks.spawn(async move { connection.await.err().and_then(|error| error.reason()) });
        let mut sender = sender.ready().await.unwrap();
        let request = Request::post(format!("http://test/{path}")).header("content-type", "application/grpc");
        let (answer, mut body) = sender.send_request(request.body(()).unwrap(), false).unwrap();
        body.send_data(axum::body::Bytes::from_static(&[0; 5]), true).unwrap();
        let answer = tokio::time::timeout(WITHIN, answer).await.expect("in time").unwrap();
        assert_eq!(answer.status(), http::StatusCode::OK);
        held.push((sender, answer));
    }
    is_served(running.channel().await).await;
    for _ in 0..40 {
        let mut slow = by_hand(&running, &mut tasks).await.ready().await.unwrap();
        let (answer, body) = slow.send_request(call(), false).unwrap();
        tasks.spawn(async move { answer.await.err().and_then(|error| error.reason()) });
        tasks.spawn(async move {
            std::future::pending::<()>().await;
            drop(body);
            None
        });
        is_served(running.channel().await).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn streams_of_health_and_reflection_are_bounded_on_a_connection_and_on_all() {
    let limits = ServeConfig {
        max_public_streams: 6.try_into().unwrap(),
        max_public_streams_on_one: 2.try_into().unwrap(),
        ..Default::default()
    };
    let running = start(limits).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let channel = running.channel().await;
        for _ in 0..2 {
            open.push(watch(channel.clone()).await.unwrap());
        }
        let refused = watch(channel.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        is_served(channel).await;
    }
    let newest = watch(running.channel().await).await.unwrap();
    let ended = tokio::time::timeout(WITHIN, open[0].message()).await.expect("the oldest is told");
    assert_eq!(ended.unwrap_err().code(), Code::ResourceExhausted);
    let second = tokio::time::timeout(Duration::from_millis(1), open[1].message()).await;
    second.expect_err("the others go on");
    drop((open, newest));
    let again = running.channel().await;
    drop((watch(again.clone()).await.unwrap(), watch(again.clone()).await.unwrap()));
    // Both are given back when the server has heard of it.
    let given_back = async { while watch(again.clone()).await.is_err() {} };
    tokio::time::timeout(WITHIN, given_back).await.expect("there is room again");
    running.stop().await;
}

#[tokio::test]
async fn a_connection_without_calls_is_closed_after_a_while_and_its_client_comes_again() {
    let idle = Duration::from_millis(1);
    let running = start(ServeConfig { max_connection_idle: idle, ..Default::default() }).await;
    let channel = running.channel().await;
    let mut quiet = TcpStream::connect(running.api).await.unwrap();
    quiet.write_all(PREFACE).await.unwrap();
    let mut heard = Vec::new();
    tokio::time::timeout(WITHIN, quiet.read_to_end(&mut heard)).await.expect("it is closed").unwrap();
    // A call that crosses the end of its connection fails; the next one finds out.
    let again = async { while ask(channel.clone()).await.is_err() {} };
    tokio::time::timeout(WITHIN, again).await.expect("the client comes again");
    running.stop().await;
}

#[tokio::test]
async fn an_old_connection_is_left_by_its_client_or_closed() {
    let limits = ServeConfig {
        max_connection_age: Duration::from_secs(1),
        max_connection_age_grace: Duration::from_secs(1),
        ..Default::default()
    };
    let running = start(limits).await;
    let mut watch = watch(running.channel().await).await.unwrap();
    let ended = async { while let Ok(Some(_)) = watch.message().await {} };
    tokio::time::timeout(WITHIN, ended).await.expect("the grace ends");
    is_served(running.channel().await).await;
    running.stop().await;
}

#[tokio::test]
async fn calls_over_all_connections_are_bounded_and_those_beyond_are_told_to_come_back() {
    let running = start(ServeConfig { max_open_calls: 3.try_into().unwrap(), ..Default::default() }).await;
    let (one, other) = (running.channel().await, running.channel().await);
    let mut open = Vec::new();
    for channel in [&one, &one, &other] {
        open.push(watch(channel.clone()).await.unwrap());
    }
    let refused = ask(other.clone()).await.unwrap_err();
    let refusal = Refusal::from_status(&refused).unwrap();
    assert_eq!((refused.code(), refusal.reason), (Code::ResourceExhausted, ErrorReason::TooManyRequests));
    assert!(refusal.retry_after.is_some());
    open.pop();
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    let served = async {
        while ask(one.clone()).await.is_err() {
            pace.tick().await;
        }
    };
    tokio::time::timeout(WITHIN, served).await.expect("one that has ended makes room");
    drop(open);
    running.stop().await;
}

#[tokio::test]
async fn what_is_no_message_is_the_clients_mistake() {
    let running = start(ServeConfig::default()).await;
    let mut tasks = JoinSet::new();
    let mut sender = by_hand(&running, &mut tasks).await.ready().await.unwrap();
    let mut request = call();
    request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    let (answer, mut body) = sender.send_request(request, false).unwrap();
    // A message of three bytes: a field of a wire type that there is not.
    body.send_data(axum::body::Bytes::from_static(&[0, 0, 0, 0, 3, 0x0f, 0xff, 0xff]), true).unwrap();
    let answer = tokio::time::timeout(WITHIN, answer).await.expect("it is answered").unwrap();
    let told = Status::from_header_map(answer.headers()).unwrap();
    assert_eq!(told.code(), Code::InvalidArgument, "{told:?}");
    assert_eq!(Refusal::from_status(&told).unwrap().reason, ErrorReason::InvalidRequest);
    running.stop().await;
}
