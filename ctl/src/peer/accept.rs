//! `peer accept`: accepts the invitation of another cluster.

use std::path::PathBuf;

use clap::Args;
use roamline_proto::emcc::trust_service_client::TrustServiceClient;
use roamline_proto::emcc::{AcceptInvitationRequest, AcceptInvitationResponse};

use super::change::Shared;
use super::trust::{authorities, fingerprint};
use crate::client::Client;
use crate::directory::ask;
use crate::exit::Failure;
use crate::output::Out;
use crate::secret;

/// Arguments of `peer accept`.
#[derive(Debug, Args)]
pub(crate) struct Accept {
    /// Read the token from a file, `-` for standard input; else it is asked for
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    shared: Shared,
}

pub(super) async fn run(args: Accept, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let token = match &args.token_file {
        Some(file) => secret::from_file(file)?,
        None => secret::prompt("token of the invitation: ", "--token-file FILE")?,
    };
    let request = AcceptInvitationRequest { token: token.text(), services: args.shared.chosen() };
    let answer = ask!(client, TrustServiceClient::accept_invitation, request)?;
    out.message(&answer, accepted)
}

fn accepted(answer: &AcceptInvitationResponse) -> String {
    let (peer, own) = (answer.peer.clone().unwrap_or_default(), answer.own.clone().unwrap_or_default());
    let mut lines =
        vec![format!("cluster {} at {} is known now, and knows us", peer.cluster_id, peer.address)];
    lines.extend(answer.certificate.as_ref().map(|facts| fingerprint("its certificate", facts)));
    lines.extend(authorities("its authority", &answer.authorities));
    lines.extend(authorities("our authority", &answer.own_authorities));
    lines.push(format!(
        "compare: `roamctl peer invite` has shown the same there, `roamctl peer trust {}` shows ours; if they differ: roamctl peer delete {}",
        own.cluster_id, peer.cluster_id
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use roamline_proto::emcc::{CertificateFacts, TrustBundle};

    use super::*;

    #[test]
    fn xc_10_both_sides_are_shown_by_their_fingerprints() {
        let facts = |fingerprint: &str| CertificateFacts {
            fingerprint: fingerprint.into(),
            ..CertificateFacts::default()
        };
        let text = accepted(&AcceptInvitationResponse {
            peer: Some(TrustBundle { cluster_id: "berlin".into(), ..TrustBundle::default() }),
            certificate: Some(facts("AB:CD")),
            authorities: vec![facts("EF:01")],
            own: Some(TrustBundle { cluster_id: "hamburg".into(), ..TrustBundle::default() }),
            own_authorities: vec![facts("23:45")],
        });
        for shown in ["AB:CD", "EF:01", "23:45", "peer trust hamburg", "peer delete berlin"] {
            assert!(text.contains(shown), "{text}");
        }
    }
}
