//! The connection to a server, and who is asking it. A token that the server does not take any more is dropped and
//! asked for once again.

use std::path::PathBuf;
use std::time::Duration;

use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{
    Credential, RefreshTokenRequest, SignInRequest, SignInResponse, SignOutRequest, credential::Kind,
};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use tokio::sync::Mutex;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use crate::cli::Global;
use crate::clock;
use crate::credentials::{CredentialFile, StoredToken, TokenFiles, default_data_directory};
use crate::exit::Failure;
use crate::tls::{self, TlsOptions};
use crate::words;

/// Where a local server listens when nobody says otherwise.
const DEFAULT_SERVER: &str = "http://127.0.0.1:7400";

/// What a generated client is built on.
pub(crate) type Service = InterceptedService<Channel, Bearer>;

/// Puts the token on every request.
#[derive(Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.0 {
            request.metadata_mut().insert("authorization", header.clone());
        }
        // Whoever runs this in a trace of his finds there what it did.
        if let Ok(trace) = std::env::var("TRACEPARENT")
            && let Ok(trace) = trace.parse()
        {
            request.metadata_mut().insert("traceparent", trace);
        }
        Ok(request)
    }
}

/// Who is asking.
enum Identity {
    /// Nobody: only what is public can be asked.
    Nobody,
    /// Whoever signed in.
    SignedIn(StoredToken),
    /// Whom a credential file names.
    File(CredentialFile),
}

/// A server and who asks it.
pub(crate) struct Client {
    server: String,
    endpoint: Endpoint,
    channel: Channel,
    identity: Identity,
    files: TokenFiles,
    token: Mutex<Option<String>>,
}

impl Client {
    /// Finds out which server and who is asking; connects with the first request.
    pub(crate) fn open(global: &Global) -> Result<Self, Failure> {
        let explicit = global.credentials.as_deref().map(CredentialFile::read).transpose()?;
        let local = match local_file(global) {
            Some(path) if explicit.is_none() => CredentialFile::find(&path)?,
            _ => None,
        };
        let named = global.server.clone().or_else(|| explicit.as_ref().and_then(|file| file.server.clone()));
        let server = named
            .or_else(|| local.as_ref().and_then(|file| file.server.clone()))
            .unwrap_or_else(|| DEFAULT_SERVER.to_owned());
        let server = server.trim_end_matches('/').to_owned();
        let endpoint = endpoint(&server, &global.tls)?;
        let files = TokenFiles::of_user();
        let identity = match explicit {
            Some(file) => Identity::File(file),
            None => match files.signed_in(&server, clock::now())? {
                Some(token) => Identity::SignedIn(token),
                None => local.filter(|file| is_for(file, &server)).map_or(Identity::Nobody, Identity::File),
            },
        };
        let channel = endpoint.connect_lazy();
        Ok(Self { server, endpoint, channel, identity, files, token: Mutex::new(None) })
    }

    /// The address of the server.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Whom the credential file names.
    pub(crate) fn file(&self) -> Option<&CredentialFile> {
        match &self.identity {
            Identity::File(file) => Some(file),
            _ => None,
        }
    }

    /// Asks as whoever is asking.
    pub(crate) async fn call<T, F, R>(&self, request: F) -> Result<T, Failure>
    where
        F: Fn(Service) -> R,
        R: Future<Output = Result<Response<T>, Status>>,
    {
        self.try_call(request).await?.map_err(|status| self.failure(&status))
    }

    /// As [`Client::call`], for callers who look at the status themselves.
    pub(crate) async fn try_call<T, F, R>(&self, request: F) -> Result<Result<T, Status>, Failure>
    where
        F: Fn(Service) -> R,
        R: Future<Output = Result<Response<T>, Status>>,
    {
        self.try_call_on(&self.channel, request).await
    }

    /// A connection of its own for calls that may take that long.
    pub(crate) fn patient(&self, longest: Duration) -> Channel {
        self.endpoint.clone().timeout(longest).connect_lazy()
    }

    /// As [`Client::try_call`], on a connection of the caller's.
    pub(crate) async fn try_call_on<T, F, R>(
        &self,
        channel: &Channel,
        request: F,
    ) -> Result<Result<T, Status>, Failure>
    where
        F: Fn(Service) -> R,
        R: Future<Output = Result<Response<T>, Status>>,
    {
        let service = self.authorized(channel).await?;
        match request(service).await {
            Err(status) if self.may_sign_in_again(&status).await => {
                let service = self.authorized(channel).await?;
                Ok(request(service).await.map(Response::into_inner))
            }
            answer => Ok(answer.map(Response::into_inner)),
        }
    }

    /// Asks without a token.
    pub(crate) async fn call_as_nobody<T, F, R>(&self, request: F) -> Result<T, Failure>
    where
        F: FnOnce(Service) -> R,
        R: Future<Output = Result<Response<T>, Status>>,
    {
        let service = InterceptedService::new(self.channel.clone(), Bearer(None));
        request(service).await.map(Response::into_inner).map_err(|status| self.failure(&status))
    }

    /// What a status means for the user of this program.
    pub(crate) fn failure(&self, status: &Status) -> Failure {
        tls::explain(status, &self.server).unwrap_or_else(|| Failure::from_status(status, &self.server))
    }

    /// Connections of their own, with the caller's token, and without one.
    pub(crate) async fn connections(&self, count: usize) -> Result<Vec<(Service, Service)>, Failure> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            let channel = self.endpoint.connect_lazy();
            let anonymous = InterceptedService::new(channel.clone(), Bearer(None));
            connections.push((self.authorized(&channel).await?, anonymous));
        }
        Ok(connections)
    }

    /// Trades a credential for a token.
    pub(crate) async fn sign_in(
        &self,
        name: &str,
        credential: Credential,
    ) -> Result<SignInResponse, Failure> {
        let request = SignInRequest { name: name.to_owned(), credential: Some(credential) };
        self.call_as_nobody(|service| async move { AuthServiceClient::new(service).sign_in(request).await })
            .await
    }

    /// Keeps a token for this server.
    pub(crate) fn keep(&self, name: &str, answer: &SignInResponse) -> Result<(), Failure> {
        self.files.sign_in(&self.stored(name, answer))
    }

    /// Ends what `sign-in` began, here and on the server. False where nobody had signed in.
    pub(crate) async fn sign_out(&self) -> Result<bool, Failure> {
        let Some(stored) = self.files.signed_in(&self.server, clock::now())? else {
            self.files.sign_out(&self.server)?;
            return Ok(false);
        };
        let request = SignOutRequest { refresh_token: stored.refresh_token };
        self.call_as_nobody(|service| async move { AuthServiceClient::new(service).sign_out(request).await })
            .await?;
        self.files.sign_out(&self.server)?;
        Ok(true)
    }

    async fn authorized(&self, channel: &Channel) -> Result<Service, Failure> {
        let header = match self.current_token().await? {
            Some(token) => {
                let header = format!("Bearer {token}").parse();
                Some(header.map_err(|_| Failure::other("the token has characters that no token has"))?)
            }
            None => None,
        };
        Ok(InterceptedService::new(channel.clone(), Bearer(header)))
    }

    async fn current_token(&self) -> Result<Option<String>, Failure> {
        let file = match &self.identity {
            Identity::Nobody => return Ok(None),
            Identity::SignedIn(token) => return self.refreshed(token).await.map(Some),
            Identity::File(file) => file,
        };
        let mut held = self.token.lock().await;
        if let Some(token) = &*held {
            return Ok(Some(token.clone()));
        }
        let token = match self.files.cached(&self.server, &file.name, clock::now())? {
            Some(token) => token.token,
            None => {
                let password = Credential { kind: Some(Kind::Password(file.password.clone())) };
                let answer = self.sign_in(&file.name, password).await?;
                self.files.cache(&self.stored(&file.name, &answer));
                answer.access_token
            }
        };
        *held = Some(token.clone());
        Ok(Some(token))
    }

    /// The token that `sign-in` stored, or the next one if its time is over. Another process may have refreshed it.
    async fn refreshed(&self, first: &StoredToken) -> Result<String, Failure> {
        let mut held = self.token.lock().await;
        if let Some(token) = &*held {
            return Ok(token.clone());
        }
        let now = clock::now();
        let stored = self.files.signed_in(&self.server, now)?.unwrap_or_else(|| first.clone());
        if stored.is_good(now) {
            return Ok(stored.token);
        }
        let request = RefreshTokenRequest { refresh_token: stored.refresh_token };
        let refresh = |service| async move { AuthServiceClient::new(service).refresh_token(request).await };
        let answer = self.call_as_nobody(refresh).await;
        let answer = answer.map_err(|failure| failure.hint("sign in again with `roamctl sign-in`"))?;
        let next = StoredToken {
            server: stored.server,
            name: stored.name,
            token: answer.access_token,
            expires_at: words::timestamp(answer.expire_time.as_ref()).unwrap_or_default(),
            refresh_token: answer.refresh_token,
            refresh_expires_at: words::timestamp(answer.refresh_expire_time.as_ref()).unwrap_or_default(),
        };
        self.files.sign_in(&next)?;
        // One that ends too soon to be kept is used once all the same.
        *held = next.is_good(now).then(|| next.token.clone());
        Ok(next.token)
    }

    /// Whether the server does not take a token that can be asked for again; drops it then.
    async fn may_sign_in_again(&self, status: &Status) -> bool {
        let Identity::File(file) = &self.identity else { return false };
        let invalid = Refusal::from_status(status).is_some_and(|r| r.reason == ErrorReason::TokenInvalid);
        if invalid {
            self.files.forget(&self.server, &file.name);
            *self.token.lock().await = None;
        }
        invalid
    }

    fn stored(&self, name: &str, answer: &SignInResponse) -> StoredToken {
        StoredToken {
            server: self.server.clone(),
            name: name.to_owned(),
            token: answer.access_token.clone(),
            expires_at: words::timestamp(answer.expire_time.as_ref()).unwrap_or_default(),
            refresh_token: answer.refresh_token.clone(),
            refresh_expires_at: words::timestamp(answer.refresh_expire_time.as_ref()).unwrap_or_default(),
        }
    }
}

fn endpoint(server: &str, tls: &TlsOptions) -> Result<Endpoint, Failure> {
    let wrong = || {
        Failure::usage(format!("{server:?} is no address of a server"))
            .hint("write it as http://HOST:PORT, or with TLS as https://HOST:PORT")
    };
    let secure = server.starts_with("https://");
    if !secure && !server.starts_with("http://") {
        return Err(wrong());
    }
    let endpoint = Endpoint::from_shared(server.to_owned()).map_err(|_| wrong())?;
    let endpoint =
        endpoint.user_agent(concat!("roamctl/", env!("CARGO_PKG_VERSION"))).map_err(|_| wrong())?;
    let endpoint = if secure { tls.secure(endpoint)? } else { endpoint };
    Ok(endpoint
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(60))
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true))
}

/// What the local `roamline up` writes for us.
fn local_file(global: &Global) -> Option<PathBuf> {
    global.data.clone().or_else(default_data_directory).map(|directory| directory.join("admin.toml"))
}

/// A password goes to the server it was made for and to no other; one machine has several names for itself. What was made
/// for TLS is not sent without.
fn is_for(file: &CredentialFile, server: &str) -> bool {
    let Some(own) = &file.server else { return true };
    let plain = |url: &str| {
        let url = url.trim_end_matches('/').to_ascii_lowercase();
        let (scheme, place) = url.split_once("://").unwrap_or(("http", &url));
        let local =
            ["localhost:", "[::1]:", "0.0.0.0:", "[::]:"].iter().find_map(|name| place.strip_prefix(name));
        let place = local.map(|port| format!("127.0.0.1:{port}")).unwrap_or_else(|| place.to_owned());
        (scheme.to_owned(), place)
    };
    plain(own) == plain(server)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(server: &str) -> CredentialFile {
        CredentialFile { server: Some(server.into()), name: "admin".into(), password: "p".into() }
    }

    #[test]
    fn a_password_goes_to_its_own_server_only() {
        assert!(is_for(&file("http://127.0.0.1:7400"), "http://localhost:7400"));
        assert!(is_for(&file("http://127.0.0.1:7400"), "http://127.0.0.1:7400"));
        assert!(!is_for(&file("http://127.0.0.1:7400"), "http://127.0.0.1:7401"));
        assert!(!is_for(&file("http://127.0.0.1:7400"), "http://example.net:7400"));
        assert!(is_for(&file("https://127.0.0.1:7400"), "https://localhost:7400"));
        assert!(!is_for(&file("https://127.0.0.1:7400"), "http://127.0.0.1:7400"));
    }

    #[test]
    fn only_addresses_are_servers() {
        for bad in ["", "127.0.0.1:7400", "https://a b", "http://a b", "ftp://x"] {
            assert!(endpoint(bad, &TlsOptions::default()).is_err(), "{bad}");
        }
    }
}
