//! What the API tells: that each service answers, the keys that verify tokens, its clock, the other clusters.

use std::collections::BTreeSet;

use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{GetJsonWebKeySetRequest, GetJsonWebKeySetResponse};
use roamline_proto::emcc::trust_service_client::TrustServiceClient;
use roamline_proto::emcc::{
    GetTrustRequest, GetTrustResponse, ListRemoteClustersResponse, PeerState, RemoteCluster,
};
use roamline_proto::profile::GetServiceParametersRequest;
use roamline_proto::profile::service_parameters_service_client::ServiceParametersServiceClient;
use roamline_proto::session::ListSessionsRequest;
use roamline_proto::session::session_service_client::SessionServiceClient;
use tonic::Response;

use super::{Check, clocks, ending};
use crate::client::Client;
use crate::clock;
use crate::directory::ask;
use crate::exit::{Exit, Failure};
use crate::peer;
use crate::words::timestamp;

/// A header that says the time says whole seconds, and an answer is on its way for a moment.
const HEADER: SignedDuration = SignedDuration::from_secs(1);
/// Keys that there must be, so that the next one is known before it signs.
const KEYS: usize = 2;

/// All of it.
pub(super) async fn checks(client: &Client) -> Vec<Check> {
    let mut checks = auth(client).await;
    let profile =
        ask!(client, ServiceParametersServiceClient::get_service_parameters, GetServiceParametersRequest {});
    checks.push(service("profile", profile.map(drop)));
    let request = ListSessionsRequest { page_size: 1, ..ListSessionsRequest::default() };
    let session = ask!(client, SessionServiceClient::list_sessions, request);
    checks.push(service("session", session.map(drop)));
    checks.extend(federation(client).await);
    checks
}

/// Whether a service answers, by a question that it must go to its store for.
fn service(name: &str, answer: Result<(), Failure>) -> Check {
    let Err(failure) = answer else { return Check::ok("service", name, "answers") };
    let todo = match failure.exit {
        Exit::Denied => "sign in as an administrator: roamctl sign-in NAME",
        Exit::Unavailable => "ask its process: --admin URL, or curl URL/readyz; its log says more",
        _ => "look into its log",
    };
    Check::failed("service", name, failure.said(), todo)
}

async fn auth(client: &Client) -> Vec<Check> {
    let answer = client
        .call_as_nobody(|service| async move {
            let answer =
                AuthServiceClient::new(service).get_json_web_key_set(GetJsonWebKeySetRequest {}).await?;
            let date = answer.metadata().get("date").and_then(|date| date.to_str().ok()).and_then(instant);
            Ok(Response::new((date, answer.into_inner())))
        })
        .await;
    let (date, keys) = match answer {
        Ok(answer) => answer,
        Err(failure) => return vec![service("auth", Err(failure))],
    };
    let mut checks = vec![service("auth", Ok(())), signing(&keys)];
    checks.push(match date {
        Some(date) => clocks(client.server(), date, clock::now(), HEADER),
        None => {
            Check::not_checked("clock", client.server(), "its answers have no date", "--admin URL tells it")
        }
    });
    checks.push(match client.server().starts_with("https://") {
        true => Check::ok("tls", client.server(), "its certificate is believed, and for that name"),
        false => Check::not_checked(
            "tls",
            client.server(),
            "it was asked in plain text",
            "use its https:// address, if it has one",
        ),
    });
    checks
}

/// `Sun, 22 Nov 2026 16:22:52 GMT`.
fn instant(date: &str) -> Option<Timestamp> {
    rfc2822::parse(date).ok().map(|zoned| zoned.timestamp())
}

fn signing(keys: &GetJsonWebKeySetResponse) -> Check {
    let kids: BTreeSet<&str> = keys.keys.iter().map(|key| key.kid.as_str()).collect();
    let found =
        format!("{} keys, {} signs", kids.len(), keys.keys.first().map_or("none", |key| key.kid.as_str()));
    if keys.keys.iter().any(|key| key.alg != "ES256") || kids.len() != keys.keys.len() {
        return Check::failed(
            "keys",
            "auth",
            found,
            "a key is not one of ours: see who else answers at this address",
        );
    }
    if kids.len() < KEYS {
        let todo = "the next key is not there yet, so the next rotation is not known in time: look into the log of auth";
        return Check::failed("keys", "auth", found, todo);
    }
    Check::ok("keys", "auth", found)
}

async fn federation(client: &Client) -> Vec<Check> {
    let peers = match peer::listed(client).await {
        Ok(peers) => peers,
        Err(failure) => {
            let none = "no emcc service answers: that is well where there is no federation";
            let todo = "see that its process runs, and that the address in front has its route";
            let found = format!("{none} ({})", failure.said());
            return vec![Check::not_checked("service", "emcc", found, todo)];
        }
    };
    let mut checks = vec![Check::ok("service", "emcc", "answers")];
    checks.extend(self::peers(&peers, clock::now()));
    if peers.remote_clusters.is_empty() {
        return checks;
    }
    match ask!(client, TrustServiceClient::get_trust, GetTrustRequest {}) {
        Ok(trust) => checks.extend(trusted(&trust, clock::now())),
        Err(failure) => checks.push(service("emcc", Err(failure))),
    }
    checks
}

fn peers(answer: &ListRemoteClustersResponse, now: Timestamp) -> Vec<Check> {
    let mut checks = Vec::new();
    for RemoteCluster { cluster_id, health, .. } in &answer.remote_clusters {
        let health = health.clone().unwrap_or_default();
        checks.push(match health.state() {
            PeerState::Up => Check::ok("peer", cluster_id, format!("answers, release {}", health.release)),
            PeerState::Unspecified => {
                Check::not_checked("peer", cluster_id, "not asked yet", "the same command may tell it in a moment")
            }
            _ => {
                let todo = format!("roamctl peer test {cluster_id}; see that it runs, and that its address is reached from here");
                Check::failed("peer", cluster_id, health.problem.clone(), &todo)
            }
        });
        if let Some(ends) = timestamp(health.certificate_expire_time.as_ref()) {
            let todo = "its operators renew it; logins to and from there fail afterwards";
            checks.push(ending("certificate", cluster_id, ends, now, todo));
        }
    }
    checks
}

fn trusted(answer: &GetTrustResponse, now: Timestamp) -> Vec<Check> {
    let mut checks = Vec::new();
    let own = answer.own.as_ref().map_or("this cluster", |own| own.cluster_id.as_str());
    if let Some(ends) = answer.certificate.as_ref().and_then(|facts| timestamp(facts.expire_time.as_ref())) {
        checks.push(ending("certificate", own, ends, now, "renew the certificate of emcc.trust"));
    }
    let mut remark = |place: &str, warning: &str| {
        if !warning.is_empty() {
            checks.push(Check::warning(
                "trust",
                place,
                warning,
                "docs/federation.md says how an authority is changed",
            ));
        }
    };
    remark(own, &answer.warning);
    for peer in &answer.peers {
        remark(&peer.cluster_id, &peer.warning);
        remark(&peer.cluster_id, &peer.problem);
    }
    checks
}

#[cfg(test)]
mod tests {
    use roamline_proto::auth::JsonWebKey;
    use roamline_proto::emcc::PeerHealth;

    use super::super::State;
    use super::*;

    fn key(kid: &str, alg: &str) -> JsonWebKey {
        JsonWebKey { kid: kid.into(), alg: alg.into(), ..JsonWebKey::default() }
    }

    #[test]
    fn two_keys_of_ours_are_enough_and_nothing_else_is() {
        let state = |keys: Vec<JsonWebKey>| signing(&GetJsonWebKeySetResponse { keys }).state;
        assert_eq!(state(vec![key("a", "ES256"), key("b", "ES256")]), State::Ok);
        assert_eq!(state(vec![key("a", "ES256")]), State::Failed);
        assert_eq!(state(vec![key("a", "ES256"), key("a", "ES256")]), State::Failed);
        assert_eq!(state(vec![key("a", "ES256"), key("b", "RS256")]), State::Failed);
    }

    #[test]
    fn xc_9_a_peer_that_does_not_answer_is_told_with_what_to_do() {
        let mut health = PeerHealth { problem: "connection refused".into(), ..PeerHealth::default() };
        health.set_state(PeerState::Down);
        let cluster =
            RemoteCluster { cluster_id: "paris".into(), health: Some(health), ..RemoteCluster::default() };
        let answer = ListRemoteClustersResponse { remote_clusters: vec![cluster], ..Default::default() };
        let checks = peers(&answer, "2026-03-02T08:00:00Z".parse().unwrap());
        assert_eq!((checks[0].state, checks[0].found.as_str()), (State::Failed, "connection refused"));
        assert!(checks[0].todo.contains("roamctl peer test paris"));
    }

    #[test]
    fn the_date_of_an_answer_is_read() {
        let read = instant("Sun, 22 Nov 2026 16:22:52 GMT");
        assert_eq!(read, Some("2026-11-22T16:22:52Z".parse().unwrap()));
        assert_eq!(instant("yesterday"), None);
    }
}
