//! A test per RPC and role: the layer lets a caller in exactly where `rights.txt` says so, and the contract with the
//! table of roles reaches exactly as far. An RPC without a decision there fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail so")]

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{Request, Response};
use jiff::Timestamp;
use roamline_proto::auth::{JsonWebKey, PrincipalKind, Role};
use roamline_proto::contract::{PUBLIC, RPCS, Rpc};
use roamline_proto::error::ErrorReason;
use roamline_proto::options::Reach;
use roamline_proto::refusal::Refusal;
use roamline_token::role::{ROLES, name, reach, scopes};
use roamline_token::{Caller, CallerLayer, FetchError, KeySource, Signer, Verifier, generate_key};
use tonic::Status;
use tower::{Layer, ServiceExt, service_fn};

const CLUSTER: &str = "roamline:test";
const DECISIONS: &str = include_str!("rights.txt");

/// What was decided: how far each role reaches, by `Service.Method`.
fn decisions() -> BTreeMap<&'static str, Vec<(Role, Option<Reach>)>> {
    let mut lines = DECISIONS.lines().filter(|line| !line.starts_with('#'));
    let heads: Vec<_> = lines.next().unwrap().split_whitespace().skip(1).collect();
    assert_eq!(heads, ROLES.map(name), "a column for each role, in order");
    let mut decided = BTreeMap::new();
    for line in lines {
        let mut cells = line.split_whitespace();
        let rpc = cells.next().unwrap();
        let reached: Vec<_> = ROLES.into_iter().zip(cells.map(decided_reach)).collect();
        assert_eq!(reached.len(), ROLES.len(), "{rpc} has a decision for each role");
        assert!(decided.insert(rpc, reached).is_none(), "{rpc} is decided twice");
    }
    decided
}

fn decided_reach(word: &str) -> Option<Reach> {
    match word {
        "no" => None,
        "own" => Some(Reach::Own),
        "team" => Some(Reach::Team),
        "users" => Some(Reach::Users),
        "associated" => Some(Reach::Associated),
        "yes" => Some(Reach::Everything),
        other => panic!("{other:?} is no decision"),
    }
}

/// `/roamline.auth.v1.AuthService/SignIn` as `AuthService.SignIn`.
fn short(path: &str) -> String {
    path.rsplit('.').next().unwrap().replace('/', ".")
}

struct Published(JsonWebKey);

#[async_trait]
impl KeySource for Published {
    async fn fetch(&self) -> Result<Vec<JsonWebKey>, FetchError> {
        Ok(vec![self.0.clone()])
    }
}

/// A layer, and a token for each role.
struct Door {
    layer: CallerLayer,
    tokens: Vec<(Role, String)>,
}

impl Door {
    fn new() -> Self {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let signer = Signer::new(CLUSTER, CLUSTER, "a", &generate_key().unwrap()).unwrap();
        let source = Arc::new(Published(signer.public_key().clone()));
        let layer =
            CallerLayer::new(Arc::new(Verifier::new(CLUSTER, CLUSTER, source)), Arc::new(move || now));
        let hour = Duration::from_secs(3600);
        let tokens = ROLES.into_iter().map(|role| {
            let signed = signer.sign(name(role), kind_of(role), scopes(role), now, hour).unwrap();
            (role, signed.token)
        });
        Self { layer, tokens: tokens.collect() }
    }

    /// Whether a call is let in, or why not.
    async fn knock(&self, rpc: &Rpc, token: Option<&str>) -> Result<Caller, Refusal> {
        let behind = service_fn(|request: Request<()>| async move {
            let caller = request.extensions().get::<Caller>().cloned();
            let mut response = Response::new(());
            response.extensions_mut().insert(caller.expect("the layer leaves a caller"));
            Ok::<_, Infallible>(response)
        });
        let mut request = Request::post(rpc.path.as_str());
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = self.layer.layer(behind).oneshot(request.body(()).unwrap()).await.unwrap();
        match response.extensions().get::<Caller>() {
            Some(caller) => Ok(caller.clone()),
            None => {
                let status = Status::from_header_map(response.headers()).expect("a status");
                Err(Refusal::from_status(&status).expect("a refusal of ours"))
            }
        }
    }
}

fn kind_of(role: Role) -> PrincipalKind {
    match role {
        Role::Administrator => PrincipalKind::Administrator,
        Role::Application | Role::Cti => PrincipalKind::Application,
        Role::PhoneLink => PrincipalKind::PhoneLink,
        Role::Service | Role::Peer | Role::Unspecified => PrincipalKind::Unspecified,
        Role::Agent | Role::Supervisor | Role::Helpdesk | Role::Auditor => PrincipalKind::User,
    }
}

#[test]
fn every_rpc_has_a_decision_for_every_role_and_no_decision_is_of_an_rpc_that_is_gone() {
    let decided: BTreeSet<_> = decisions().into_keys().map(str::to_owned).collect();
    let declared: BTreeSet<_> = RPCS.keys().map(|path| short(path)).collect();
    let undecided: Vec<_> = declared.difference(&decided).collect();
    assert!(undecided.is_empty(), "no decision in rights.txt: {undecided:?}");
    let gone: Vec<_> = decided.difference(&declared).collect();
    assert!(gone.is_empty(), "decided in rights.txt, but not there: {gone:?}");
}

#[test]
fn each_role_reaches_as_far_in_each_rpc_as_was_decided() {
    let decided = decisions();
    for rpc in RPCS.values() {
        for (role, wanted) in &decided[short(&rpc.path).as_str()] {
            assert_eq!(reach(*role, rpc), *wanted, "{} as {}", rpc.path, name(*role));
        }
    }
}

#[tokio::test]
async fn each_role_is_let_in_where_it_was_decided_and_told_the_scope_that_it_lacks_elsewhere() {
    let door = Door::new();
    let decided = decisions();
    for rpc in RPCS.values() {
        let row = &decided[short(&rpc.path).as_str()];
        for ((role, wanted), (of, token)) in row.iter().zip(&door.tokens) {
            assert_eq!(role, of);
            let place = format!("{} as {}", rpc.path, name(*role));
            match (wanted, door.knock(rpc, Some(token)).await) {
                (Some(_), Ok(caller)) => assert_eq!(caller.name, name(*role), "{place}"),
                (None, Err(refused)) => {
                    assert_eq!(refused.reason, ErrorReason::ScopeMissing, "{place}");
                    assert_eq!(refused.metadata["scope"], rpc.required_scope, "{place}");
                }
                (_, answer) => panic!("{place}: {answer:?}"),
            }
        }
    }
}

#[tokio::test]
async fn without_a_token_public_calls_are_let_in_and_no_others() {
    let door = Door::new();
    for rpc in RPCS.values() {
        match door.knock(rpc, None).await {
            Ok(caller) => assert!(rpc.required_scope == PUBLIC && caller.is_anonymous(), "{}", rpc.path),
            Err(refused) => {
                assert_eq!(refused.reason, ErrorReason::TokenMissing, "{}", rpc.path);
                assert_ne!(rpc.required_scope, PUBLIC, "{}", rpc.path);
            }
        }
    }
}
