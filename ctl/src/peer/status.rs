//! `peer status`: how this cluster takes part, or all about one other.

use std::collections::BTreeMap;

use roamline_proto::emcc::{Half, ListRoamingSessionsResponse, PeerHealth, PeerState, RemoteCluster};
use serde_json::{Value, json};

use super::{listed, one, roaming, state, taking_part};
use crate::client::Client;
use crate::exit::Failure;
use crate::output::{Out, json as proto_json, table};
use crate::tables;

/// Our users there, and theirs here.
type Halves = (usize, usize);

/// The live halves with each cluster.
fn halves(roaming: &ListRoamingSessionsResponse) -> BTreeMap<&str, Halves> {
    let mut count: BTreeMap<&str, Halves> = BTreeMap::new();
    for session in roaming.roaming_sessions.iter().filter(|session| session.end_time.is_none()) {
        let (home, visiting) = count.entry(&session.peer).or_default();
        match session.half() {
            Half::Home => *home += 1,
            Half::Visiting => *visiting += 1,
            Half::Unspecified => {}
        }
    }
    count
}

/// Of this cluster.
pub(super) async fn own(client: &Client, out: &mut Out) -> Result<(), Failure> {
    let clusters = listed(client).await?;
    let parameters = taking_part(client).await?.federation_parameters.unwrap_or_default();
    let roaming = roaming("", client).await?;
    let halves = halves(&roaming);
    let of = |cluster: &RemoteCluster| halves.get(cluster.cluster_id.as_str()).copied().unwrap_or_default();
    let health = |cluster: &RemoteCluster| cluster.health.clone().unwrap_or_default();
    if out.is_json() {
        let peers = clusters.remote_clusters.iter().map(|cluster| {
            let (there, here) = of(cluster);
            let health = health(cluster);
            json!({"clusterId": cluster.cluster_id, "state": health.state().as_str_name(),
                   "problem": health.problem, "ourUsersThere": there, "theirUsersHere": here})
        });
        return out.value(&json!({
            "clusterId": clusters.cluster_id,
            "activated": parameters.activated,
            "baseDevices": parameters.base_devices,
            "baseDevicesUsed": roaming.base_devices_used,
            "peers": peers.collect::<Vec<Value>>(),
        }));
    }
    let up =
        clusters.remote_clusters.iter().filter(|cluster| health(cluster).state() == PeerState::Up).count();
    let facts = table(
        &["CLUSTER", "LOGINS ACROSS", "PEERS UP", "BASE DEVICES IN USE"],
        [vec![
            clusters.cluster_id.clone(),
            if parameters.activated { "on" } else { "off" }.to_owned(),
            format!("{up} of {}", clusters.remote_clusters.len()),
            format!("{} of {}", roaming.base_devices_used, parameters.base_devices),
        ]],
    );
    let rows = clusters.remote_clusters.iter().map(|cluster| {
        let (there, here) = of(cluster);
        let health = health(cluster);
        vec![cluster.cluster_id.clone(), state(&health), there.to_string(), here.to_string(), health.problem]
    });
    let peers = table(&["PEER", "STATE", "OUR USERS THERE", "THEIR USERS HERE", "PROBLEM"], rows);
    out.text(&format!("{facts}\n\n{peers}"))
}

/// Of another cluster.
pub(super) async fn of(id: &str, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let cluster = one(id, client).await?;
    let roaming = roaming(id, client).await?;
    let (there, here) = halves(&roaming).get(id).copied().unwrap_or_default();
    let mut fields = proto_json(&cluster)?;
    if let Value::Object(fields) = &mut fields {
        fields.insert("ourUsersThere".to_owned(), there.into());
        fields.insert("theirUsersHere".to_owned(), here.into());
    }
    if out.is_json() {
        return out.value(&fields);
    }
    if let Value::Object(fields) = &mut fields {
        let authorities = cluster.trust_bundle.matches("-----BEGIN CERTIFICATE-----").count();
        fields.insert("trustBundle".to_owned(), authorities_of(authorities).into());
        let health = cluster.health.unwrap_or_else(PeerHealth::default);
        if let Some(Value::Object(shown)) = fields.get_mut("health") {
            shown.insert("roundTrip".to_owned(), super::round_trip(&health).into());
            shown.insert("state".to_owned(), state(&health).into());
        }
    }
    out.text(&tables::details(&fields))
}

fn authorities_of(number: usize) -> String {
    match number {
        0 => "those of the configuration".to_owned(),
        1 => "1 authority of its own".to_owned(),
        number => format!("{number} authorities of its own"),
    }
}
