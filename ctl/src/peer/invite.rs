//! `peer invite`: invitations of other clusters.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use roamline_proto::emcc::trust_service_client::TrustServiceClient;
use roamline_proto::emcc::{
    CreateInvitationRequest, CreateInvitationResponse, DeleteInvitationRequest, Invitation,
    ListInvitationsRequest,
};

use super::change::Shared;
use super::trust::{authorities, fingerprint};
use crate::client::Client;
use crate::directory::{ask, deleted};
use crate::exit::Failure;
use crate::output::{Out, remark, table};
use crate::whole::Place;
use crate::words::{instant, of_enum};

const COLUMNS: [&str; 6] = ["ID", "CLUSTER", "STATE", "UNTIL", "USED", "REFUSALS"];

/// Arguments of `peer invite`.
#[derive(Debug, Args)]
pub(crate) struct Invite {
    /// The id that the other cluster has for itself
    id: String,
    /// How long it can be used: 1 minute to 7 days
    #[arg(long, value_name = "TIME", default_value = "24h")]
    valid_for: SignedDuration,
    /// Write the token to a file that its owner alone can read, in place of standard output
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    shared: Shared,
}

pub(super) async fn create(args: Invite, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let wrong = || Failure::usage("--valid-for is 1 minute to 7 days");
    let valid_for = Duration::try_from(args.valid_for).map_err(|_| wrong())?;
    if !(Duration::from_secs(60)..=Duration::from_secs(7 * 86_400)).contains(&valid_for) {
        return Err(wrong());
    }
    // What cannot be written is told before there is a secret.
    let place = args.token_file.as_deref().map(Place::new).transpose()?;
    let request = CreateInvitationRequest {
        cluster_id: args.id,
        valid_for: Some(valid_for.try_into().map_err(|_| wrong())?),
        services: args.shared.chosen(),
    };
    let mut answer = ask!(client, TrustServiceClient::create_invitation, request)?;
    if !out.is_json() {
        remark(&told(&answer));
    }
    if let Some(place) = place {
        let file = place.begin()?;
        std::io::Write::write_all(&mut file.as_file(), format!("{}\n", answer.token).as_bytes())?;
        place.put(file)?;
        answer.token.clear();
        return if out.is_json() { out.message(&answer, |_| String::new()) } else { Ok(()) };
    }
    out.message(&answer, |answer| answer.token.clone())
}

/// What the other side should see, too.
fn told(answer: &CreateInvitationResponse) -> String {
    let invitation = answer.invitation.clone().unwrap_or_default();
    let own = answer.own.clone().unwrap_or_default();
    let mut lines = vec![
        format!(
            "cluster {} can accept this until {}, once: roamctl peer accept",
            invitation.cluster_id,
            instant(invitation.expire_time.as_ref())
        ),
        format!("it will find cluster {} at {}", own.cluster_id, own.address),
    ];
    lines.extend(answer.certificate.as_ref().map(|facts| fingerprint("with the certificate", facts)));
    lines.extend(authorities("signed by one of", &answer.authorities));
    lines.push("the token is a secret: whoever has it can take the place of that cluster".into());
    lines.join("\n")
}

pub(super) async fn list(client: &Client, out: &mut Out) -> Result<(), Failure> {
    let answer = ask!(client, TrustServiceClient::list_invitations, ListInvitationsRequest {})?;
    out.message(&answer, |answer| table(&COLUMNS, answer.invitations.iter().map(row)))
}

fn row(invitation: &Invitation) -> Vec<String> {
    let used = match &invitation.use_time {
        None => String::new(),
        Some(at) => format!("{} from {}", instant(Some(at)), invitation.used_from),
    };
    vec![
        invitation.id.clone(),
        invitation.cluster_id.clone(),
        of_enum(invitation.state().as_str_name(), "INVITATION_STATE_"),
        instant(invitation.expire_time.as_ref()),
        used,
        invitation.refusals.to_string(),
    ]
}

pub(super) async fn take_back(id: String, client: &Client, out: &mut Out) -> Result<(), Failure> {
    ask!(client, TrustServiceClient::delete_invitation, DeleteInvitationRequest { id: id.clone() })?;
    deleted(out, "invitation", &id)
}

#[cfg(test)]
mod tests {
    use roamline_proto::emcc::{CertificateFacts, TrustBundle};

    use super::*;

    #[test]
    fn xc_10_an_invitation_shows_fingerprints_and_no_token() {
        let facts = CertificateFacts { fingerprint: "AB:CD".into(), ..CertificateFacts::default() };
        let text = told(&CreateInvitationResponse {
            token: "271828".into(),
            invitation: Some(Invitation { cluster_id: "hamburg".into(), ..Invitation::default() }),
            certificate: Some(facts.clone()),
            own: Some(TrustBundle { cluster_id: "berlin".into(), ..TrustBundle::default() }),
            authorities: vec![CertificateFacts { fingerprint: "EF:01".into(), ..facts }],
        });
        assert!(text.contains("AB:CD") && text.contains("EF:01") && text.contains("hamburg"), "{text}");
        assert!(!text.contains("271828"));
    }
}
