//! `logout`: ends a session, named by its phone or its id.

use clap::Args;
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_proto::session::{LogoutRequest, logout_request::Target};

use crate::client::Client;
use crate::exit::Failure;
use crate::output::Out;
use crate::{drawing, tables};

/// Arguments of `logout`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("target").required(true).args(["phone", "session"]))]
pub(crate) struct Logout {
    /// The phone, in any spelling of its MAC
    #[arg(long, value_name = "NAME")]
    phone: Option<String>,
    /// The session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// The same id within 10 minutes gets the same answer, and the logout happens once
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,
    /// Even while the agent is at work; takes a --note
    #[arg(long, requires = "note")]
    force: bool,
    /// Why it is forced; kept in the audit trail
    #[arg(long, value_name = "TEXT", requires = "force")]
    note: Option<String>,
}

pub(crate) async fn run(args: Logout, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let target = args.phone.map(Target::Phone).or(args.session.map(Target::SessionId));
    let request = LogoutRequest {
        target,
        request_id: args.request_id,
        force: args.force,
        note: args.note.unwrap_or_default(),
        ..LogoutRequest::default()
    };
    let answer = client
        .call(|service| {
            let request = request.clone();
            async move { SessionServiceClient::new(service).logout(request).await }
        })
        .await?;
    out.message(&answer, |answer| {
        let ended = answer.ended_session.as_ref().map(tables::ended_session).unwrap_or_default();
        format!("{ended}\n{}", drawing::findings(&answer.findings))
    })
}
