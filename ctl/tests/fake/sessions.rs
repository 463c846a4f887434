//! Sessions: two that are live, of which one agent is at work.

use roamline_proto::session::session_service_server::SessionService;

use super::*;

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn session(user: &str, phone: &str) -> Session {
    Session {
        user_id: user.into(),
        phone: phone.into(),
        session_id: format!("of {user}"),
        ..Default::default()
    }
}

#[tonic::async_trait]
impl SessionService for Fake {
    async fn login(&self, _: Request<LoginRequest>) -> Answer<LoginResponse> {
        Err(Status::unimplemented(""))
    }

    async fn logout(&self, request: Request<LogoutRequest>) -> Answer<LogoutResponse> {
        self.authorize(&request)?;
        let request = request.into_inner();
        self.call(format!("logout force={} note={:?}", request.force, request.note));
        if !request.force {
            let busy =
                Refusal::new(ErrorReason::AgentBusy, "agent7 is at work").with("agentState", "TALKING");
            return Err(busy.into());
        }
        let session = Some(session("agent7", "SEP000DEDAB3566"));
        let ended = EndedSession { session, note: request.note, ..Default::default() };
        let finding = Finding { rule: "CC-9".into(), message: "he was at work".into(), ..Default::default() };
        let findings = vec![finding];
        Ok(Response::new(LogoutResponse { ended_session: Some(ended), findings, replayed: false }))
    }

    type LogoutAllStream = Messages<LogoutAllResponse>;

    async fn logout_all(&self, request: Request<LogoutAllRequest>) -> Answer<Self::LogoutAllStream> {
        self.authorize(&request)?;
        let request = request.into_inner();
        self.call(format!("logout-all {} a second", request.sessions_per_second));
        let first = LogoutAllResponse { total: 2, ..Default::default() };
        let one = LogoutAllResponse {
            ended: 1,
            session: Some(session("agent8", "SEP0012DA8AC43D")),
            ..first.clone()
        };
        let two =
            LogoutAllResponse { busy: 1, session: Some(session("agent7", "SEP000DEDAB3566")), ..one.clone() };
        let last = LogoutAllResponse { done: true, session: None, ..two.clone() };
        let mut messages = vec![Ok(first), Ok(one)];
        match request.profile.as_str() {
            "broken" => {
                messages.push(Err(Refusal::new(ErrorReason::ServiceUnavailable, "the server stops").into()));
            }
            "cut" => {}
            _ => messages.extend([Ok(two), Ok(last)]),
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(messages))))
    }

    async fn refresh_session(
        &self,
        request: Request<RefreshSessionRequest>,
    ) -> Answer<RefreshSessionResponse> {
        self.authorize(&request)?;
        let session = Some(session("agent7", "SEP000DEDAB3566"));
        let changed = matches!(
            request.into_inner().target,
            Some(refresh_session_request::Target::Phone(phone)) if phone == "changed"
        );
        let configuration = Some(EffectiveConfiguration { worn_name: "agent7".into(), ..Default::default() });
        Ok(Response::new(RefreshSessionResponse { session, configuration, changed }))
    }

    async fn report_agent_state(
        &self,
        request: Request<ReportAgentStateRequest>,
    ) -> Answer<ReportAgentStateResponse> {
        self.authorize(&request)?;
        let agent_state = request.get_ref().agent_state;
        let sessions =
            vec![Session { agent_state, ..session(&request.get_ref().user_id, "SEP000DEDAB3566") }];
        Ok(Response::new(ReportAgentStateResponse { sessions }))
    }

    async fn locate_number(&self, _: Request<LocateNumberRequest>) -> Answer<LocateNumberResponse> {
        Err(Status::unimplemented(""))
    }

    async fn get_session(&self, _: Request<GetSessionRequest>) -> Answer<GetSessionResponse> {
        Err(Status::unimplemented(""))
    }

    async fn list_sessions(&self, _: Request<ListSessionsRequest>) -> Answer<ListSessionsResponse> {
        Err(Status::unimplemented(""))
    }

    type WatchSessionsStream = Messages<WatchSessionsResponse>;

    async fn watch_sessions(&self, _: Request<WatchSessionsRequest>) -> Answer<Self::WatchSessionsStream> {
        Err(Status::unimplemented(""))
    }
}
