//! `peer trust`: whose certificates are believed, and when they end.

use roamline_proto::emcc::trust_service_client::TrustServiceClient;
use roamline_proto::emcc::{
    CertificateFacts, GetTrustRequest, GetTrustResponse, PeerTrust, RefreshTrustRequest,
};

use crate::client::Client;
use crate::directory::ask;
use crate::exit::{Exit, Failure};
use crate::output::{Out, table};
use crate::words::instant;

const COLUMNS: [&str; 5] = ["CLUSTER", "AUTHORITIES", "UNTIL", "HEARD", "REMARK"];

/// A certificate on one line.
pub(super) fn fingerprint(what: &str, facts: &CertificateFacts) -> String {
    let until = instant(facts.expire_time.as_ref());
    format!("{what} {} ({}, until {until})", facts.fingerprint, facts.subject)
}

/// Each of them on a line.
pub(super) fn authorities(what: &str, all: &[CertificateFacts]) -> Vec<String> {
    all.iter().map(|facts| fingerprint(what, facts)).collect()
}

/// All, or one.
pub(super) async fn show(
    id: Option<String>,
    refresh: bool,
    client: &Client,
    out: &mut Out,
) -> Result<(), Failure> {
    if let (Some(id), true) = (&id, refresh) {
        let request = RefreshTrustRequest { cluster_id: id.clone() };
        let answer = ask!(client, TrustServiceClient::refresh_trust, request)?;
        let changed = if answer.changed { "it has another bundle now" } else { "its bundle is the same" };
        return out.message(&answer, |answer| {
            format!("{changed}\n{}", answer.peer.as_ref().map(one).unwrap_or_default())
        });
    }
    let mut answer = ask!(client, TrustServiceClient::get_trust, GetTrustRequest {})?;
    let Some(id) = id else { return out.message(&answer, all) };
    if answer.own.as_ref().is_some_and(|own| own.cluster_id == id) {
        answer.peers.clear();
        return out.message(&answer, own);
    }
    let found = answer.peers.iter().find(|peer| peer.cluster_id == id);
    let peer =
        found.ok_or_else(|| Failure::new(Exit::NotFound, format!("there is no remote cluster {id:?}")))?;
    out.message(peer, one)
}

fn own(answer: &GetTrustResponse) -> String {
    let Some(own) = &answer.own else { return format!("we are nobody to others: {}", answer.warning) };
    let mut lines = vec![format!("we are cluster {} at {}, {}", own.cluster_id, own.address, own.spiffe_id)];
    lines.extend(answer.certificate.as_ref().map(|facts| fingerprint("our certificate", facts)));
    lines.extend(authorities("our authority", &answer.authorities));
    lines.extend((!answer.warning.is_empty()).then(|| format!("warning: {}", answer.warning)));
    lines.join("\n")
}

fn all(answer: &GetTrustResponse) -> String {
    if answer.peers.is_empty() {
        return own(answer);
    }
    format!("{}\n\n{}", own(answer), table(&COLUMNS, answer.peers.iter().map(row)))
}

fn row(peer: &PeerTrust) -> Vec<String> {
    let last = peer.authorities.iter().filter_map(|facts| facts.expire_time.as_ref());
    let last = last.max_by_key(|at| (at.seconds, at.nanos));
    let heard = peer.refresh_time.as_ref().map(|at| instant(Some(at))).unwrap_or_default();
    let remark = [&peer.warning, &peer.problem].into_iter().find(|text| !text.is_empty());
    vec![
        peer.cluster_id.clone(),
        peer.authorities.len().to_string(),
        last.map(|at| instant(Some(at))).unwrap_or_default(),
        heard,
        remark.cloned().unwrap_or_default(),
    ]
}

fn one(peer: &PeerTrust) -> String {
    let mut lines = vec![format!("cluster {} is believed as {}", peer.cluster_id, peer.spiffe_id)];
    match peer.authorities.is_empty() {
        true => lines.push("by the authorities of the server's configuration".into()),
        false => lines.extend(authorities("its authority", &peer.authorities)),
    }
    lines.extend(peer.refresh_time.as_ref().map(|at| format!("heard of at {}", instant(Some(at)))));
    lines.extend((!peer.problem.is_empty()).then(|| format!("problem: {}", peer.problem)));
    lines.extend((!peer.warning.is_empty()).then(|| format!("warning: {}", peer.warning)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xc_10_what_expires_is_shown() {
        let peer = PeerTrust {
            cluster_id: "hamburg".into(),
            authorities: vec![CertificateFacts {
                fingerprint: "AB:CD".into(),
                ..CertificateFacts::default()
            }],
            warning: "the last of its authorities expires soon".into(),
            ..PeerTrust::default()
        };
        assert!(one(&peer).contains("AB:CD") && one(&peer).contains("warning: the last"));
        let answer =
            GetTrustResponse { peers: vec![peer], warning: "x".into(), ..GetTrustResponse::default() };
        let text = all(&answer);
        assert!(text.contains("nobody to others: x") && text.contains("hamburg"), "{text}");
    }
}
