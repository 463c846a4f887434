//! `login`: logs a user in at a phone and shows what the phone is told to wear.

use clap::Args;
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_proto::session::{LoginRequest, LoginResponse};

use crate::cli::SecretSource;
use crate::client::Client;
use crate::exit::Failure;
use crate::output::Out;
use crate::{drawing, secret, tables, words};

/// Arguments of `login`.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The user
    user: String,
    /// The phone, in any spelling of its MAC
    #[arg(long, value_name = "NAME")]
    phone: String,
    /// The profile, where he has several
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Log out by itself after this long: 90s, 4h, 1h30m
    #[arg(long = "for", value_name = "TIME", value_parser = words::read_duration)]
    duration: Option<prost_types::Duration>,
    /// Log out whoever is logged in to the phone
    #[arg(long)]
    take_over: bool,
    #[command(flatten)]
    secret: SecretSource,
    /// No secret of the user: the caller's own token proves it
    #[arg(long, conflicts_with_all = ["pin", "secret_file"])]
    with_token: bool,
    /// The same id within 10 minutes gets the same answer, and the login happens once
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,
}

pub(crate) async fn run(args: Login, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let credential = match args.with_token {
        true => None,
        false => Some(secret::read(&args.secret, &args.user)?),
    };
    let request = LoginRequest {
        phone: args.phone,
        user_id: args.user,
        credential,
        profile: args.profile.unwrap_or_default(),
        duration: args.duration,
        request_id: args.request_id,
        take_over: args.take_over,
    };
    let answer = if args.with_token {
        let login = |service| {
            let request = request.clone();
            async move { SessionServiceClient::new(service).login(request).await }
        };
        client.call(login).await?
    } else {
        client
            .call_as_nobody(|service| async move { SessionServiceClient::new(service).login(request).await })
            .await?
    };
    out.message(&answer, text)
}

fn text(answer: &LoginResponse) -> String {
    let mut text = String::new();
    if let Some(session) = &answer.session {
        text.push_str(&tables::session(session));
    }
    for ended in &answer.ended_sessions {
        text.push_str(&format!("ended: {}\n", tables::ended_session(ended)));
    }
    if let Some(configuration) = &answer.configuration {
        text.push('\n');
        text.push_str(&drawing::configuration(configuration));
    }
    text + &drawing::findings(&answer.findings)
}
