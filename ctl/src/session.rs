//! `session`: live sessions, as they are or as they come and go.

mod logout_all;
mod refresh;

use clap::Subcommand;
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_proto::session::watch_sessions_response::Message;
use roamline_proto::session::{
    GetSessionRequest, ListSessionsRequest, ListSessionsResponse, WatchSessionsRequest,
    WatchSessionsResponse, get_session_request::Target, refresh_session_request,
};

use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output::{Out, table};
use crate::{drawing, tables};

/// Commands about sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum Session {
    /// All live sessions
    List {
        /// Only this user's
        #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
        user: String,
        /// Only those that wear this profile
        #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
        profile: String,
    },
    /// One session, and what its phone wears
    #[command(group = clap::ArgGroup::new("target").required(true).args(["id", "phone"]))]
    Get {
        /// The session
        id: Option<String>,
        /// The phone it is on, in any spelling of its MAC
        #[arg(long, value_name = "NAME")]
        phone: Option<String>,
    },
    /// Bring a session up to date with its profile, which otherwise waits for the next login
    #[command(group = clap::ArgGroup::new("target").required(true).args(["id", "phone"]))]
    Refresh {
        /// The session
        id: Option<String>,
        /// The phone it is on, in any spelling of its MAC
        #[arg(long, value_name = "NAME")]
        phone: Option<String>,
    },
    /// End many sessions at a pace, so that phones do not restart all at once
    LogoutAll(logout_all::LogoutAll),
    /// Live sessions, then every login and logout, a line each, until interrupted
    Watch {
        /// Only this user's
        #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
        user: String,
        /// Only those on this phone, in any spelling of its MAC
        #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
        phone: String,
        /// Only those that wear this profile, wherever that is
        #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
        profile: String,
        /// Also the numbers on the phone, now and whenever they become others
        #[arg(long, requires = "phone")]
        lines: bool,
        /// Go on after the message that carried this resume token
        #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
        resume: String,
    },
}

pub(crate) async fn run(command: Session, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        Session::List { user, profile } => list(&user, &profile, client, out).await,
        Session::Get { id, phone } => {
            get(phone.map(Target::Phone).or(id.map(Target::SessionId)), client, out).await
        }
        Session::Refresh { id, phone } => {
            let by_id = id.map(refresh_session_request::Target::SessionId);
            refresh::run(phone.map(refresh_session_request::Target::Phone).or(by_id), client, out).await
        }
        Session::LogoutAll(args) => logout_all::run(args, client, out).await,
        Session::Watch { user: user_id, phone, profile, lines: with_phone_lines, resume: resume_token } => {
            let request = WatchSessionsRequest { resume_token, user_id, phone, profile, with_phone_lines };
            watch(request, client, out).await
        }
    }
}

async fn list(user: &str, profile: &str, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let mut all = ListSessionsResponse::default();
    loop {
        let request = ListSessionsRequest {
            page_size: 1000,
            page_token: all.next_page_token.clone(),
            user_id: user.to_owned(),
            profile: profile.to_owned(),
        };
        let page = client
            .call(|service| {
                let request = request.clone();
                async move { SessionServiceClient::new(service).list_sessions(request).await }
            })
            .await?;
        all.sessions.extend(page.sessions);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            break;
        }
    }
    out.message(&all, |all| table(&tables::SESSION_COLUMNS, all.sessions.iter().map(tables::session_row)))
}

async fn get(target: Option<Target>, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let request = GetSessionRequest { target };
    let answer = client
        .call(|service| {
            let request = request.clone();
            async move { SessionServiceClient::new(service).get_session(request).await }
        })
        .await?;
    out.message(&answer, |answer| {
        let session = answer.session.as_ref().map(tables::session).unwrap_or_default();
        let worn = answer.configuration.as_ref().map(drawing::configuration).unwrap_or_default();
        format!("{session}\n{worn}")
    })
}

async fn watch(request: WatchSessionsRequest, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let mut messages = client
        .call(|service| {
            let request = request.clone();
            async move { SessionServiceClient::new(service).watch_sessions(request).await }
        })
        .await?;
    loop {
        let message = tokio::select! {
            message = messages.message() => message,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        match message {
            Ok(Some(message)) => match &message.message {
                Some(Message::Heartbeat(_)) | None => {}
                Some(_) => out.stream_line(&message, line)?,
            },
            Ok(None) => {
                return Err(Failure::new(Exit::Unavailable, "the server ended the watch")
                    .hint("go on with --resume and the last resumeToken seen"));
            }
            Err(status) => return Err(client.failure(&status)),
        }
    }
}

fn line(message: &WatchSessionsResponse) -> String {
    let session = |word: &str, session| format!("{word:11} {}", tables::session_row(session).join("  "));
    match &message.message {
        Some(Message::Snapshot(live)) => session("live", live),
        Some(Message::SnapshotDone(_)) => "watching".into(),
        Some(Message::LoggedIn(login)) => session("logged in", login),
        Some(Message::Refreshed(live)) => session("refreshed", live),
        Some(Message::LogoutPending(live)) => session("pending", live),
        Some(Message::LoggedOut(ended)) => format!("logged out  {}", tables::ended_session(ended)),
        Some(Message::InReach(live)) => session("in reach", live),
        Some(Message::OutOfReach(gone)) => format!("out of reach  {}  {}", gone.phone, gone.session_id),
        Some(Message::PhoneLines(now)) => format!("lines       {}  {}", now.phone, now.lines.join(" ")),
        Some(Message::Heartbeat(_)) | None => String::new(),
    }
}
