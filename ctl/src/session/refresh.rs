//! `session refresh`: brings a live session up to date with its profile (DP-10).

use roamline_proto::session::refresh_session_request::Target;
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_proto::session::{RefreshSessionRequest, RefreshSessionResponse};

use crate::client::Client;
use crate::exit::Failure;
use crate::output::Out;
use crate::{drawing, tables};

pub(crate) async fn run(target: Option<Target>, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let request = RefreshSessionRequest { target };
    let answer = client
        .call(|service| {
            let request = request.clone();
            async move { SessionServiceClient::new(service).refresh_session(request).await }
        })
        .await?;
    out.message(&answer, text)
}

fn text(answer: &RefreshSessionResponse) -> String {
    let session = answer.session.as_ref().map(tables::session).unwrap_or_default();
    if !answer.changed {
        return format!("{session}\nthe phone wears the profile as it is");
    }
    let worn = answer.configuration.as_ref().map(drawing::configuration).unwrap_or_default();
    format!("{session}\n{worn}")
}
