//! Who is let in, what every port answers, and that a process ends.

use std::sync::Arc;

use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::auth_service_server::AuthServiceServer;
use roamline_proto::auth::{GetJsonWebKeySetRequest, PrincipalKind, SignInRequest, SignInResponse};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::{
    Api, Clock, Listeners, MAX_REQUEST_BYTES, Outset, Readiness, ServeConfig, Tasks, Way, serve_later,
};
use roamline_token::{Bearer, Signer, Verifier, generate_key};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::running::{CLUSTER, Echo, Keys, Running, SOURCE, WITHIN, health, http, now};

#[tokio::test]
async fn a_private_call_needs_a_token_that_is_good_and_has_the_scope() {
    let running = Running::start().await;
    let refused = |refusal: Result<(), Refusal>| refusal.unwrap_err();

    assert_eq!(refused(running.set_credentials(Bearer::none()).await).reason, ErrorReason::TokenMissing);
    assert_eq!(
        refused(running.set_credentials(Bearer::token("x.y.z")).await).reason,
        ErrorReason::TokenInvalid
    );
    let user = Bearer::token(running.token(PrincipalKind::User));
    let missing = refused(running.set_credentials(user).await);
    assert_eq!(missing.reason, ErrorReason::ScopeMissing);
    assert_eq!(missing.metadata.get("scope").map(String::as_str), Some("credential.write"));
    let administrator = Bearer::token(running.token(PrincipalKind::Administrator));
    running.set_credentials(administrator).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_public_call_takes_nobody_and_somebody_but_no_bad_token() {
    let running = Running::start().await;
    let channel = running.channel().await;
    let who = |bearer| {
        let mut client = AuthServiceClient::with_interceptor(channel.clone(), bearer);
        async move { client.sign_in(SignInRequest::default()).await.map(|r| r.into_inner().access_token) }
    };
    assert_eq!(who(Bearer::none()).await.unwrap(), "");
    assert_eq!(who(Bearer::token(running.token(PrincipalKind::User))).await.unwrap(), "somebody");
    let refused = who(Bearer::token("broken")).await.unwrap_err();
    assert_eq!(Refusal::from_status(&refused).unwrap().reason, ErrorReason::TokenInvalid);
    running.stop().await;
}

#[tokio::test]
async fn what_the_contract_does_not_have_is_unimplemented() {
    let running = Running::start().await;
    let mut client = tonic::client::Grpc::new(running.channel().await);
    client.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/roamline.auth.v1.AuthService/Guess");
    let codec = tonic_prost::ProstCodec::<SignInRequest, SignInResponse>::default();
    let status = client.unary(Request::new(SignInRequest::default()), path, codec).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    running.stop().await;
}

#[tokio::test]
async fn an_oversized_message_is_refused() {
    let running = Running::start().await;
    let mut client = AuthServiceClient::new(running.channel().await);
    let request = SignInRequest { name: "x".repeat(MAX_REQUEST_BYTES), credential: None };
    assert_eq!(client.sign_in(request).await.unwrap_err().code(), Code::OutOfRange);
    running.stop().await;
}

#[tokio::test]
async fn a_browser_may_ask_first_and_then_call_with_grpc_web() {
    let running = Running::start().await;
    let path = "/roamline.auth.v1.AuthService/GetJsonWebKeySet HTTP/1.1";
    let ask = |origin: &str| {
        format!(
            "OPTIONS {path}\r\norigin: {origin}\r\naccess-control-request-method: POST\r\naccess-control-request-headers: x-grpc-web,content-type,authorization"
        )
    };
    let allowed = http(running.api, &ask("https://console.example.org"), &[]).await.to_lowercase();
    assert!(allowed.starts_with("http/1.1 200"), "{allowed}");
    assert!(allowed.contains("access-control-allow-origin: https://console.example.org"), "{allowed}");
    assert!(allowed.contains("authorization"), "{allowed}");
    let stranger = http(running.api, &ask("https://elsewhere.example.org"), &[]).await.to_lowercase();
    assert!(!stranger.contains("access-control-allow-origin"), "{stranger}");

    let call = |more: &str| {
        format!(
            "POST {path}\r\norigin: https://console.example.org\r\ncontent-type: application/grpc-web+proto\r\nx-grpc-web: 1{more}"
        )
    };
    let answer = http(running.api, &call(""), &[0; 5]).await.to_lowercase();
    assert!(answer.starts_with("http/1.1 200") && answer.contains("grpc-status:0"), "{answer}");
    assert!(answer.contains("access-control-expose-headers: grpc-status"), "{answer}");
    let refused = http(running.api, &call("\r\nauthorization: Bearer broken"), &[0; 5]).await.to_lowercase();
    assert!(refused.contains("grpc-status: 16") || refused.contains("grpc-status:16"), "{refused}");
    running.stop().await;
}

#[tokio::test]
async fn health_and_readiness_follow_the_holds() {
    let readiness = Readiness::new();
    let hold = readiness.hold("the store is opening");
    let running = Running::start_with(readiness, ServeConfig::default()).await;
    let channel = running.channel().await;
    let mut watch = HealthClient::new(channel.clone())
        .watch(HealthCheckRequest { service: "roamline.auth.v1.AuthService".into() })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    let answer = http(running.admin, "GET /readyz HTTP/1.1", &[]).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("the store is opening"), "{answer}");

    drop(hold);
    let flipped = tokio::time::timeout(WITHIN, watch.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(flipped.status(), ServingStatus::Serving);
    assert!(http(running.admin, "GET /readyz HTTP/1.1", &[]).await.starts_with("HTTP/1.1 200"));
    assert_eq!(health(channel, "roamline.auth.v1.AuthService").await, ServingStatus::Serving);

    running.shutdown.cancel();
    let last = tokio::time::timeout(WITHIN, watch.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(last.status(), ServingStatus::NotServing);
    assert!(running.readiness.reasons().iter().all(|reason| reason.contains("stopping")));
    drop(watch);
    running.stop().await;
}

#[tokio::test]
async fn until_the_services_come_the_process_is_alive_and_refuses_calls() {
    let any = "127.0.0.1:0".parse().unwrap();
    let listeners = Listeners::bind(any, any).await.unwrap();
    let (api_addr, admin_addr) = (listeners.api_addr(), listeners.admin_addr());
    let (clock, _) = Clock::manual(now());
    let outset = Outset { clock, readiness: Readiness::new(), tasks: Tasks::new() };
    let (begin, begun) = tokio::sync::oneshot::channel();
    let (shutdown, config) = (CancellationToken::new(), ServeConfig::default());
    let begun = async { begun.await.unwrap() };
    let serving = serve_later(listeners, begun, outset, &config, shutdown.cancelled());

    let calling = async {
        let channel = Channel::from_shared(format!("http://{api_addr}")).unwrap().connect().await.unwrap();
        let mut client = AuthServiceClient::new(channel.clone());
        let refused = client.sign_in(SignInRequest::default()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        let refusal = Refusal::from_status(&refused).unwrap();
        assert_eq!(refusal.reason, ErrorReason::ServiceUnavailable);
        assert_eq!(refusal.metadata["service"], "roamline.auth.v1.AuthService");
        assert_eq!(health(channel.clone(), "").await, ServingStatus::NotServing);
        assert!(http(admin_addr, "GET /livez HTTP/1.1", &[]).await.starts_with("HTTP/1.1 200"));
        assert!(http(admin_addr, "GET /readyz HTTP/1.1", &[]).await.starts_with("HTTP/1.1 503"));

        let signer = Signer::new(CLUSTER, CLUSTER, "a", &generate_key().unwrap()).unwrap();
        let verifier = Verifier::new(CLUSTER, CLUSTER, Arc::new(Keys(signer.public_key().clone())));
        let mut watch =
            HealthClient::new(channel).watch(HealthCheckRequest::default()).await.unwrap().into_inner();
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
        let mut api = Api::new();
        api.add(AuthServiceServer::new(Echo { here: any }));
        assert!(begin.send((api, Arc::new(verifier))).is_ok());
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
        client.sign_in(SignInRequest::default()).await.unwrap();
        assert!(http(admin_addr, "GET /readyz HTTP/1.1", &[]).await.starts_with("HTTP/1.1 200"));
        drop(watch);
        shutdown.cancel();
    };
    let both = async { tokio::join!(serving, calling) };
    Box::pin(tokio::time::timeout(WITHIN, both)).await.expect("it ends in time").0.unwrap();
}

#[tokio::test]
async fn reflection_lists_what_is_served_in_both_versions() {
    let running = Running::start().await;
    let channel = running.channel().await;

    macro_rules! listed {
        ($version:ident) => {{
            use tonic_reflection::pb::$version as pb;
            let ask = pb::ServerReflectionRequest {
                message_request: Some(pb::server_reflection_request::MessageRequest::ListServices(
                    String::new(),
                )),
                ..Default::default()
            };
            let mut client = pb::server_reflection_client::ServerReflectionClient::new(channel.clone());
            let asked = tokio_stream::once(ask);
            let answer = client
                .server_reflection_info(asked)
                .await
                .unwrap()
                .into_inner()
                .message()
                .await
                .unwrap()
                .unwrap();
            match answer.message_response {
                Some(pb::server_reflection_response::MessageResponse::ListServicesResponse(list)) => {
                    list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
                }
                other => panic!("no list but {other:?}"),
            }
        }};
    }
    for list in [listed!(v1), listed!(v1alpha)] {
        for name in ["roamline.auth.v1.AuthService", "grpc.health.v1.Health"] {
            assert!(list.iter().any(|listed| listed == name), "{list:?}");
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn the_admin_port_tells_of_panics_and_of_calls() {
    let running = Running::start().await;
    assert!(http(running.admin, "GET /livez HTTP/1.1", &[]).await.starts_with("HTTP/1.1 200"));
    let mut client = AuthServiceClient::new(running.channel().await);
    client.get_json_web_key_set(GetJsonWebKeySetRequest::default()).await.unwrap();
    running.set_credentials(Bearer::none()).await.unwrap_err();
    let metrics = http(running.admin, "GET /metrics HTTP/1.1", &[]).await;
    for (method, code) in [("GetJsonWebKeySet", "OK"), ("SetCredentials", "UNAUTHENTICATED")] {
        let found = metrics.lines().any(|line| {
            line.starts_with("rpc_server_call_duration_seconds_count")
                && line.contains(&format!("roamline.auth.v1.AuthService/{method}\""))
                && line.contains(&format!("\"{code}\""))
        });
        assert!(found, "{method} {code} is not in {metrics}");
    }

    running.tasks.spawn("broken", async { panic!("on purpose") });
    let unhealthy = async {
        while running.tasks.healthy() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WITHIN, unhealthy).await.unwrap();
    assert!(http(running.admin, "GET /livez HTTP/1.1", &[]).await.starts_with("HTTP/1.1 500"));
    running.stop().await;
}

#[tokio::test]
async fn an_open_stream_and_a_mute_client_do_not_hold_the_end() {
    let running = Running::start().await;
    let mut stream = HealthClient::new(running.channel().await)
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    stream.message().await.unwrap();
    let mut mute = TcpStream::connect(running.api).await.unwrap();
    let mut half = TcpStream::connect(running.api).await.unwrap();
    half.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    running.stop().await;

    let cut = async {
        while let Ok(Some(_)) = stream.message().await {}
        let mut buffer = Vec::new();
        let _ = mute.read_to_end(&mut buffer).await;
        let _ = half.read_to_end(&mut buffer).await;
    };
    tokio::time::timeout(WITHIN, cut).await.expect("every connection is closed");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let any = "127.0.0.1:0".parse().unwrap();
    let first = Listeners::bind(any, any).await.unwrap();
    let error = Listeners::bind(first.api_addr(), any).await.unwrap_err();
    assert!(error.to_string().contains(&first.api_addr().to_string()), "{error}");
}

#[tokio::test]
async fn a_call_has_an_address_and_one_of_the_process_itself_has_none() {
    let running = Running::start().await;
    let ask = |way: Way| async {
        let request = SignInRequest { name: SOURCE.into(), credential: None };
        AuthServiceClient::new(way).sign_in(request).await.unwrap().into_inner().access_token
    };
    assert_eq!(ask(running.channel().await.into()).await, "127.0.0.1");
    assert_eq!(ask(running.inside.clone().into()).await, "");
    running.stop().await;
}
