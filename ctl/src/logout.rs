//! `logout`: ends a session, named by its phone or its id.

use clap::Args;
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_proto::session::{LogoutRequest, logout_request::Target};

use crate::client::Client;
use crate::exit::Failure;
use crate::output::Out;
use crate::tables;

/// Arguments of `logout`.
#[derive(Debug, Args)]
#[group(id = "target", required = true, multiple = false, args = ["phone", "session"])]
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
}

pub(crate) async fn run(args: Logout, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let target = args.phone.map(Target::Phone).or(args.session.map(Target::SessionId));
    let request = LogoutRequest { target, request_id: args.request_id, ..LogoutRequest::default() };
    let answer = client
        .call(|service| {
            let request = request.clone();
            async move { SessionServiceClient::new(service).logout(request).await }
        })
        .await?;
    out.message(&answer, |answer| {
        answer.ended_session.as_ref().map(tables::ended_session).unwrap_or_default()
    })
}
