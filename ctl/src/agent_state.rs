//! `agent-state`: says what an agent does, as his desktop would (CC-9).

use clap::{Args, ValueEnum};
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_proto::session::{AgentState, ReportAgentStateRequest};

use crate::client::Client;
use crate::exit::Failure;
use crate::output::{Out, table};
use crate::words;

/// Arguments of `agent-state`.
#[derive(Debug, Args)]
pub(crate) struct SetAgentState {
    /// What he does
    state: Doing,
    /// The agent, if it is not who is asking
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    user: String,
}

/// What an agent does.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Doing {
    /// Signed in to no skill group, or signed out
    LoggedOut,
    /// Takes no calls
    NotReady,
    /// Waits for a call
    Ready,
    /// A call is on its way to him
    Reserved,
    /// On a call
    Talking,
    /// Works on the call that has ended
    WrapUp,
}

impl From<Doing> for AgentState {
    fn from(doing: Doing) -> Self {
        match doing {
            Doing::LoggedOut => Self::LoggedOut,
            Doing::NotReady => Self::NotReady,
            Doing::Ready => Self::Ready,
            Doing::Reserved => Self::Reserved,
            Doing::Talking => Self::Talking,
            Doing::WrapUp => Self::WrapUp,
        }
    }
}

pub(crate) async fn run(args: SetAgentState, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let agent_state = AgentState::from(args.state).into();
    let request = ReportAgentStateRequest { user_id: args.user, agent_state };
    let answer = client
        .call(|service| {
            let request = request.clone();
            async move { SessionServiceClient::new(service).report_agent_state(request).await }
        })
        .await?;
    out.message(&answer, |answer| {
        let rows = answer.sessions.iter().map(|session| {
            let state = words::of_enum(session.agent_state().as_str_name(), "AGENT_STATE_");
            vec![session.phone.clone(), session.user_id.clone(), state]
        });
        table(&["PHONE", "USER", "AGENT STATE"], rows)
    })
}
