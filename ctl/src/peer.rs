//! `peer`: the other clusters, how they are, who is at home where, and how this cluster takes part.

mod accept;
mod change;
mod invite;
mod status;
mod trust;

use clap::{Args, Subcommand};
use prost::Name;
use roamline_proto::contract::POOL;
use roamline_proto::emcc::federation_administration_service_client::FederationAdministrationServiceClient;
use roamline_proto::emcc::{
    DeleteRemoteClusterRequest, FederationParameters, FindHomeClusterRequest, GetFederationParametersRequest,
    GetFederationParametersResponse, ListRemoteClustersRequest, ListRemoteClustersResponse,
    ListRoamingSessionsRequest, ListRoamingSessionsResponse, PeerHealth, PeerState, RemoteCluster,
    RemoteServices, RoamingSession, TestRemoteClusterRequest, UpdateFederationParametersRequest,
};
use roamline_proto::mask;

use crate::client::Client;
use crate::directory::{ask, deleted};
use crate::exit::{Exit, Failure};
use crate::output::{Out, table};
use crate::parameters;
use crate::words::{instant, of_enum};
use crate::wrong_words::or_nearest;

/// Sessions that one answer of the server carries.
const PAGE: u32 = 1000;

/// Commands about other clusters.
#[derive(Debug, Subcommand)]
pub(crate) enum Peer {
    /// All of them, and how they are
    List,
    /// How this cluster takes part, or all about one other
    Status {
        /// Its id
        id: Option<String>,
    },
    /// Ask one who it is, now; ends with 6 where it does not answer
    Test {
        /// Its id
        id: String,
    },
    /// Where a user is at home, by asking as a login does; ends with 3 where nowhere
    Find {
        /// The user
        user: String,
    },
    /// Sessions of our users there, and of theirs here
    Sessions(Sessions),
    /// Invite one: make a token with which it comes to know this one, and this one it; once
    Invite(invite::Invite),
    /// Accept the invitation of one
    Accept(accept::Accept),
    /// Invitations, and what became of them
    Invitations,
    /// Take an invitation back
    Uninvite {
        /// Its id
        id: String,
    },
    /// Whose certificates are believed, by their fingerprints, and when they end
    Trust {
        /// The id of a cluster, or of this one
        id: Option<String>,
        /// Ask it for its authorities now
        #[arg(long, requires = "id")]
        refresh: bool,
    },
    /// Add one by hand
    Create(change::Create),
    /// Change one: what is not said stays
    Update(change::Update),
    /// Remove one; the sessions with it end
    Delete {
        /// Its id
        id: String,
    },
    /// How this cluster takes part in cross-cluster logins
    #[command(subcommand)]
    Parameters(Parameters),
}

/// Arguments of `peer sessions`.
#[derive(Debug, Args)]
pub(crate) struct Sessions {
    /// Only those with this cluster
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    peer: String,
}

/// Commands about the parameters of federation.
#[derive(Debug, Subcommand)]
pub(crate) enum Parameters {
    /// All of them
    Get,
    /// Change some: activated=true configuration_server=tftp.example.org base_devices=200 reconcile_interval=30s
    Set {
        /// Parameter and value; an empty value puts the default back
        #[arg(required = true, value_name = "KEY=VALUE")]
        changes: Vec<String>,
    },
}

pub(crate) async fn run(command: Peer, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        Peer::List => out.message(&listed(client).await?, |all| clusters(&all.remote_clusters)),
        Peer::Status { id: None } => status::own(client, out).await,
        Peer::Status { id: Some(id) } => status::of(&id, client, out).await,
        Peer::Test { id } => test(id, client, out).await,
        Peer::Find { user } => find(user, client, out).await,
        Peer::Sessions(Sessions { peer }) => {
            let all = roaming(&peer, client).await?;
            out.message(&all, |all| table(&SESSION_COLUMNS, all.roaming_sessions.iter().map(session_row)))
        }
        Peer::Invite(args) => invite::create(args, client, out).await,
        Peer::Accept(args) => accept::run(args, client, out).await,
        Peer::Invitations => invite::list(client, out).await,
        Peer::Uninvite { id } => invite::take_back(id, client, out).await,
        Peer::Trust { id, refresh } => trust::show(id, refresh, client, out).await,
        Peer::Create(args) => change::create(args, client, out).await,
        Peer::Update(args) => change::update(args, client, out).await,
        Peer::Delete { id } => {
            let request = DeleteRemoteClusterRequest { cluster_id: id.clone(), etag: String::new() };
            ask!(client, FederationAdministrationServiceClient::delete_remote_cluster, request)?;
            deleted(out, "remote cluster", &id)
        }
        Peer::Parameters(Parameters::Get) => {
            let answer = taking_part(client).await?;
            out.message(&answer, |answer| parameters::shown(answer.federation_parameters.as_ref()))
        }
        Peer::Parameters(Parameters::Set { changes }) => set_parameters(&changes, client, out).await,
    }
}

pub(crate) async fn listed(client: &Client) -> Result<ListRemoteClustersResponse, Failure> {
    let request = ListRemoteClustersRequest {};
    ask!(client, FederationAdministrationServiceClient::list_remote_clusters, request)
}

/// One of them.
async fn one(id: &str, client: &Client) -> Result<RemoteCluster, Failure> {
    let all = listed(client).await?.remote_clusters;
    if all.is_empty() {
        return Err(Failure::new(Exit::NotFound, "there is no remote cluster yet"));
    }
    let ids: Vec<String> = all.iter().map(|cluster| cluster.cluster_id.clone()).collect();
    all.into_iter().find(|cluster| cluster.cluster_id == id).ok_or_else(|| {
        let told = or_nearest(id, ids.iter().map(String::as_str));
        Failure::new(Exit::NotFound, format!("there is no remote cluster {told}"))
    })
}

pub(crate) async fn taking_part(client: &Client) -> Result<GetFederationParametersResponse, Failure> {
    let request = GetFederationParametersRequest {};
    ask!(client, FederationAdministrationServiceClient::get_federation_parameters, request)
}

/// This cluster's halves of all sessions with a cluster, or with any.
async fn roaming(peer: &str, client: &Client) -> Result<ListRoamingSessionsResponse, Failure> {
    let mut all = ListRoamingSessionsResponse::default();
    loop {
        let last = all.roaming_sessions.last().map(|session| session.session_id.clone());
        let request = ListRoamingSessionsRequest {
            page_size: PAGE,
            after_session_id: last.unwrap_or_default(),
            peer: peer.to_owned(),
        };
        let page = ask!(client, FederationAdministrationServiceClient::list_roaming_sessions, request)?;
        all.base_devices_used = page.base_devices_used;
        if page.roaming_sessions.is_empty() {
            return Ok(all);
        }
        all.roaming_sessions.extend(page.roaming_sessions);
    }
}

async fn test(id: String, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let request = TestRemoteClusterRequest { cluster_id: id.clone() };
    let answer = ask!(client, FederationAdministrationServiceClient::test_remote_cluster, request)?;
    let health = answer.health.clone().unwrap_or_default();
    let up = health.state() == PeerState::Up;
    if up || out.is_json() {
        out.message(&answer, |_| answered(&id, &health))?;
    }
    if up {
        return Ok(());
    }
    Err(Failure::new(Exit::Unavailable, format!("cluster {id} does not answer")).detail(health.problem))
}

/// What a cluster that answers has said, in a sentence.
fn answered(id: &str, health: &PeerHealth) -> String {
    let release = if health.release.is_empty() { "unknown" } else { &health.release };
    format!(
        "cluster {id} answers in {}: release {release}, version {}, {}; its certificate is good until {}",
        round_trip(health),
        health.version,
        capabilities(health),
        instant(health.certificate_expire_time.as_ref())
    )
}

async fn find(user: String, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let request = FindHomeClusterRequest { user_id: user.clone() };
    let answer = ask!(client, FederationAdministrationServiceClient::find_home_cluster, request)?;
    let asked = match answer.asked {
        1 => "1 cluster was asked".to_owned(),
        asked => format!("{asked} clusters were asked"),
    };
    let found = !answer.cluster_id.is_empty();
    if found || out.is_json() {
        out.message(&answer, |answer| {
            format!("{user} is at home in cluster {} ({asked})", answer.cluster_id)
        })?;
    }
    if found {
        return Ok(());
    }
    Err(Failure::new(Exit::NotFound, format!("no cluster that answers is home to {user} ({asked})")))
}

async fn set_parameters(changes: &[String], client: &Client, out: &mut Out) -> Result<(), Failure> {
    let message = POOL
        .get_message_by_name(&FederationParameters::full_name())
        .ok_or_else(|| Failure::other("the contract has no parameters of federation"))?;
    let (wanted, paths) = parameters::read_fields(&message, changes).map_err(Failure::usage)?;
    let stored = taking_part(client).await?.federation_parameters.unwrap_or_default();
    let mask = prost_types::FieldMask { paths };
    let changed =
        mask::merge(&stored, &wanted, Some(&mask)).map_err(|error| Failure::other(error.to_string()))?;
    let request = UpdateFederationParametersRequest { federation_parameters: Some(changed) };
    let answer = ask!(client, FederationAdministrationServiceClient::update_federation_parameters, request)?;
    out.message(&answer, |answer| parameters::shown(answer.federation_parameters.as_ref()))
}

/// A list of clusters.
fn clusters(clusters: &[RemoteCluster]) -> String {
    let header = [
        "CLUSTER",
        "STATE",
        "SINCE",
        "ROUND TRIP",
        "USERS",
        "CERTIFICATE UNTIL",
        "SHARES",
        "ADDRESS",
        "PROBLEM",
    ];
    table(&header, clusters.iter().map(cluster_row))
}

fn cluster_row(cluster: &RemoteCluster) -> Vec<String> {
    let none = PeerHealth::default();
    let health = cluster.health.as_ref().unwrap_or(&none);
    vec![
        cluster.cluster_id.clone(),
        state(health),
        instant(health.since.as_ref()),
        round_trip(health),
        if health.filter_users == 0 { String::new() } else { health.filter_users.to_string() },
        instant(health.certificate_expire_time.as_ref()),
        services(cluster.services.as_ref()),
        cluster.address.clone(),
        if health.problem.is_empty() { health.warning.clone() } else { health.problem.clone() },
    ]
}

fn state(health: &PeerHealth) -> String {
    match health.state() {
        PeerState::Unspecified => "not asked yet".to_owned(),
        other => of_enum(other.as_str_name(), "PEER_STATE_"),
    }
}

/// What is shared, as `--service` takes it.
fn services(services: Option<&RemoteServices>) -> String {
    let Some(s) = services else { return String::new() };
    let all = [
        (s.emcc, "emcc"),
        (s.pstn_access, "pstn-access"),
        (s.rsvp_agent, "rsvp-agent"),
        (s.tftp, "tftp"),
        (s.lbm, "lbm"),
        (s.uds, "uds"),
    ];
    all.into_iter().filter_map(|(on, name)| on.then_some(name)).collect::<Vec<_>>().join(" ")
}

fn capabilities(health: &PeerHealth) -> String {
    let names: Vec<String> =
        health.capabilities().map(|can| of_enum(can.as_str_name(), "CAPABILITY_")).collect();
    if names.is_empty() { "no capabilities".to_owned() } else { names.join(" ") }
}

/// Milliseconds with one decimal; empty before the first answer.
fn round_trip(health: &PeerHealth) -> String {
    let Some(time) = &health.round_trip else { return String::new() };
    let tenths = i128::from(time.seconds) * 10_000 + i128::from(time.nanos) / 100_000;
    format!("{}.{} ms", tenths / 10, (tenths % 10).abs())
}

const SESSION_COLUMNS: [&str; 8] =
    ["SESSION", "HALF", "PEER", "USER", "PHONE", "BASE DEVICE", "SINCE", "ENDED"];

fn session_row(session: &RoamingSession) -> Vec<String> {
    vec![
        session.session_id.clone(),
        of_enum(session.half().as_str_name(), "HALF_"),
        session.peer.clone(),
        session.user_id.clone(),
        session.visiting_phone.clone(),
        session.base_device.clone(),
        instant(session.begin_time.as_ref()),
        instant(session.end_time.as_ref()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_is_milliseconds() {
        let health = |seconds, nanos| PeerHealth {
            round_trip: Some(prost_types::Duration { seconds, nanos }),
            ..PeerHealth::default()
        };
        assert_eq!(round_trip(&health(0, 12_345_678)), "12.3 ms");
        assert_eq!(round_trip(&health(2, 0)), "2000.0 ms");
        assert_eq!(round_trip(&health(i64::MAX, i32::MAX)).chars().last(), Some('s'));
        assert_eq!(round_trip(&PeerHealth::default()), "");
    }

    #[test]
    fn a_cluster_that_has_never_answered_has_a_row() {
        let row = cluster_row(&RemoteCluster { cluster_id: "north".into(), ..RemoteCluster::default() });
        assert_eq!(row.iter().map(String::as_str).collect::<String>(), "northnot asked yet");
        assert_eq!(row.len(), 9);
    }
}
