//! `SessionService`.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use prost::Message;
use roamline_proto::session::session_service_server::SessionService;
use roamline_proto::session::{
    GetSessionRequest, GetSessionResponse, ListSessionsRequest, ListSessionsResponse, LoginRequest,
    LoginResponse, LogoutRequest, LogoutResponse, WatchSessionsRequest, WatchSessionsResponse,
};
use roamline_token::Caller;
use tonic::{Request, Response, Status};

use crate::{Core, convert, login, logout, read, watch};

pub(crate) struct Handler(pub Arc<Core>);

#[tonic::async_trait]
impl SessionService for Handler {
    async fn login(&self, request: Request<LoginRequest>) -> Result<Response<LoginResponse>, Status> {
        let caller = Caller::of(&request);
        let proxied = convert::is_proxied(request.metadata());
        let asked = convert::login_request(request.into_inner(), &caller, proxied)?;
        let encode = |made: &login::LoggedIn| convert::login_response(made).encode_to_vec();
        let response = match self.0.login(asked, &caller, encode).await? {
            login::Answer::Made(made) => convert::login_response(&made),
            login::Answer::Remembered(answer) => {
                LoginResponse { replayed: true, ..convert::remembered(&answer)? }
            }
        };
        Ok(Response::new(response))
    }

    async fn logout(&self, request: Request<LogoutRequest>) -> Result<Response<LogoutResponse>, Status> {
        let caller = Caller::of(&request);
        let asked = convert::logout_request(request.get_ref(), &caller)?;
        let encode = |ended: &_| convert::logout_response(ended).encode_to_vec();
        let response = match self.0.logout(asked, &caller, encode).await? {
            logout::Answer::Made(ended) => convert::logout_response(&ended),
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
        let user = read::visible_user(user, &caller)?;
        let after = convert::page_token(&request.page_token)?;
        let size = if request.page_size == 0 { 100 } else { request.page_size.min(1000) };
        let mut page = self.0.list(user.as_ref(), profile.as_ref(), after, size + 1).await?;
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
        let user = read::visible_user(convert::user_filter(&request.user_id)?, &caller)?;
        let resume = convert::resume_token(&request.resume_token)?;
        let stream = watch::sessions(Arc::clone(&self.0), user, resume).await?;
        let stream = stream.map(|told| told.map(convert::watched).map_err(Status::from));
        Ok(Response::new(Box::pin(stream)))
    }
}
