//! Logins and logouts, as work for the generator: each round logs an agent in at his phone and out again.

use std::time::Instant;

use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_token::Bearer;
use tokio::sync::Mutex;

use crate::agents::{self, Link};
use crate::generate::{Recorder, Work};
use crate::product::link;

/// How a login is proven.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// By the caller's token.
    Token,
    /// By the agent's PIN.
    Pin,
}

/// Agents, and the connections they share.
pub(crate) struct Logins {
    with_token: Vec<SessionServiceClient<Link>>,
    as_nobody: Vec<SessionServiceClient<Link>>,
    /// A phone takes one login at a time: the next one on it waits, and its waiting counts.
    phones: Vec<Mutex<()>>,
    first: usize,
    proof: Proof,
}

impl Logins {
    /// So many agents from number `first` on, at a server.
    pub(crate) fn new(
        api: &str,
        token: &str,
        connections: usize,
        agents: std::ops::Range<usize>,
        proof: Proof,
    ) -> Self {
        let clients = |bearer: &dyn Fn() -> Bearer| {
            (0..connections.max(1)).map(|_| SessionServiceClient::new(link(api, bearer()))).collect()
        };
        Self {
            with_token: clients(&|| Bearer::token(token)),
            as_nobody: clients(&Bearer::none),
            first: agents.start,
            phones: agents.map(|_| Mutex::new(())).collect(),
            proof,
        }
    }

    /// Which of them it is in that round, so that those at once do not meet and everybody has his turn.
    fn agent(&self, who: usize, round: usize) -> usize {
        // A prime steps through everybody before it comes back.
        (who + round * 7919) % self.phones.len()
    }
}

impl Work for Logins {
    async fn once(&self, who: usize, round: usize, at: Instant, recorder: &Recorder) {
        let agent = self.agent(who, round);
        let _alone = self.phones[agent].lock().await;
        let connection = who % self.with_token.len();
        let clients = if self.proof == Proof::Pin { &self.as_nobody } else { &self.with_token };
        let number = self.first + agent;
        let login = agents::login(number, self.proof == Proof::Pin);
        let answer = clients[connection].clone().login(login).await;
        let logged_in = answer.is_ok();
        recorder.note("login", at.elapsed(), answer.map(drop));
        if logged_in {
            let begun = Instant::now();
            let answer = self.with_token[connection].clone().logout(agents::logout(number)).await;
            recorder.note("logout", begun.elapsed(), answer.map(drop));
        }
    }
}
