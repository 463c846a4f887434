//! `SessionService`.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use prost::Message;
use roamline_proto::session::session_service_server::SessionService;
use roamline_proto::session::{
    GetSessionRequest, GetSessionResponse, ListSessionsRequest, ListSessionsResponse, LocateNumberRequest,
    LocateNumberResponse, LoginRequest, LoginResponse, LogoutAllRequest, LogoutAllResponse, LogoutRequest,
    LogoutResponse, RefreshSessionRequest, RefreshSessionResponse, ReportAgentStateRequest,
    ReportAgentStateResponse, WatchSessionsRequest, WatchSessionsResponse,
};
use roamline_token::{Caller, scope};
use tonic::{Request, Response, Status};

use crate::convert::control;
use crate::whereabouts::Filter;
use crate::{Core, convert, login, logout, logout_all, watch};

pub(crate) struct Handler(pub Arc<Core>);

#[tonic::async_trait]
impl SessionService for Handler {
    async fn login(&self, request: Request<LoginRequest>) -> Result<Response<LoginResponse>, Status> {
        let asker = control::asker(&request);
        let asked = convert::login_request(request.into_inner(), &asker.caller)?;
        let response = match self.0.login(&asked, &asker, convert::login_response).await? {
            login::Answer::Made(response) => *response,
            login::Answer::Remembered(answer) => {
                LoginResponse { replayed: true, ..convert::remembered(&answer)? }
            }
        };
        Ok(Response::new(response))
    }

    async fn logout(&self, request: Request<LogoutRequest>) -> Result<Response<LogoutResponse>, Status> {
        let asker = control::asker(&request);
        let asked = convert::logout_request(request.get_ref(), &asker.caller)?;
        let encode = |out: &_| convert::logout_response(out).encode_to_vec();
        let response = match self.0.logout(&asked, &asker, encode).await? {
            logout::Answer::Made(out) => convert::logout_response(&out),
            logout::Answer::Remembered(bytes) => {
                LogoutResponse { replayed: true, ..convert::remembered(&bytes)? }
            }
        };
        Ok(Response::new(response))
    }

    async fn get_session(
        &self,
        request: Request<GetSessionRequest>,
    ) -> Result<Response<GetSessionResponse>, Status> {
        let caller = Caller::of(&request);
        let target = convert::get_target(request.into_inner())?;
        let state = self.0.get(&target, &caller).await?;
        Ok(Response::new(GetSessionResponse {
            session: convert::session_of(&state),
            configuration: Some(convert::configuration(&state.wears)?),
        }))
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let (user, profile) = convert::list_filter(&request)?;
        let within = self.0.within(user, &caller, scope::SESSION_READ).await?;
        let after = convert::page_token(&request.page_token)?;
        let size = if request.page_size == 0 { 100 } else { request.page_size.min(1000) };
        let mut page = self.0.list(&within, profile.as_ref(), after, size + 1).await?;
        let more = page.len() > size as usize;
        page.truncate(size as usize);
        let next_page_token = match page.last() {
            Some(last) if more => convert::next_page_token(&last.phone),
            _ => String::new(),
        };
        let sessions = page.iter().filter_map(convert::session_of).collect();
        Ok(Response::new(ListSessionsResponse { sessions, next_page_token }))
    }

    type WatchSessionsStream = Pin<Box<dyn Stream<Item = Result<WatchSessionsResponse, Status>> + Send>>;

    async fn watch_sessions(
        &self,
        request: Request<WatchSessionsRequest>,
    ) -> Result<Response<Self::WatchSessionsStream>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let filter = convert::watch_filter(&request)?;
        let within = self.0.within(filter.user, &caller, scope::SESSION_READ).await?;
        let filter = Filter { user: within.user, ..filter };
        let resume = convert::resume_token(&request.resume_token)?;
        let lines_for = request.with_phone_lines.then_some(caller);
        let asked = watch::Asked { filter, bound: within.bound, lines_for };
        let stream = watch::sessions(Arc::clone(&self.0), asked, resume).await?;
        let stream = self.0.readers.guard(stream);
        let stream = stream.map(|told| told.map(convert::watched).map_err(Status::from));
        Ok(Response::new(Box::pin(stream)))
    }

    type LogoutAllStream = Pin<Box<dyn Stream<Item = Result<LogoutAllResponse, Status>> + Send>>;

    async fn logout_all(
        &self,
        request: Request<LogoutAllRequest>,
    ) -> Result<Response<Self::LogoutAllStream>, Status> {
        let asked = control::logout_all_request(request.get_ref())?;
        let stream = logout_all::run(&self.0, asked, control::asker(&request)).await?;
        let stream = self.0.readers.guard(stream);
        let stream = stream
            .map(|told| told.map(|progress| control::logout_all_response(&progress)).map_err(Status::from));
        Ok(Response::new(Box::pin(stream)))
    }

    async fn refresh_session(
        &self,
        request: Request<RefreshSessionRequest>,
    ) -> Result<Response<RefreshSessionResponse>, Status> {
        let target = control::refresh_target(request.get_ref())?;
        let (state, changed) = self.0.refresh(&target, &control::asker(&request)).await?;
        Ok(Response::new(control::refresh_response(&state, changed)?))
    }

    async fn report_agent_state(
        &self,
        request: Request<ReportAgentStateRequest>,
    ) -> Result<Response<ReportAgentStateResponse>, Status> {
        let (user, agent_state, application) =
            control::agent_state_request(request.get_ref(), &Caller::of(&request))?;
        let held = self.0.report_agent_state(&user, agent_state, application).await?;
        let sessions = held.iter().filter_map(convert::session_of).collect();
        Ok(Response::new(ReportAgentStateResponse { sessions }))
    }

    async fn locate_number(
        &self,
        request: Request<LocateNumberRequest>,
    ) -> Result<Response<LocateNumberResponse>, Status> {
        let line = convert::locate_line(request.get_ref())?;
        let sessions = self.0.locate(&line).await?;
        Ok(Response::new(convert::located(&sessions)))
    }
}
