//! What our services are held against: a server that answers logins and logouts and does nothing, and one that verifies
//! the token as our services do and runs one Lua script of a login's size. They run in a process of their own.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use jiff::Timestamp;
use redis::aio::MultiplexedConnection;
use roamline_proto::auth::{JsonWebKey, PrincipalKind};
use roamline_proto::session::{LoginRequest, LoginResponse, LogoutRequest, LogoutResponse, Session};
use roamline_token::{CallerLayer, FetchError, KeySource, Signer, Verifier, generate_key, scopes_of};
use tonic::codegen::http;
use tonic::codegen::{BoxFuture, Service, StdError};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// A login's size: an epoch is compared, a record of a live session is kept with its indexes by user, by id and by
/// deadline, and an event is appended. A logout takes all that back.
const SCRIPT: &str = r"
local phone, user, id, deadlines, events = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local epoch = redis.call('HGET', phone, 'epoch')
local next_epoch = (tonumber(epoch) or 0) + 1
if ARGV[1] == 'login' then
  redis.call('HSET', phone, 'epoch', next_epoch, 'session', ARGV[2])
  redis.call('SADD', user, ARGV[3])
  redis.call('SET', id, ARGV[3])
  redis.call('ZADD', deadlines, ARGV[4], ARGV[3])
else
  redis.call('HSET', phone, 'epoch', next_epoch, 'session', '')
  redis.call('SREM', user, ARGV[3])
  redis.call('DEL', id)
  redis.call('ZREM', deadlines, ARGV[3])
end
redis.call('XADD', events, 'MAXLEN', '~', '100000', '*', 'event', ARGV[2])
return next_epoch
";

/// Bytes of a packed session.
const RECORD: usize = 400;

const CLUSTER: &str = "echo";

/// The process; it is ended when the value is dropped.
pub(crate) struct Echo {
    child: Child,
    pub(crate) api: String,
    pub(crate) token: String,
}

impl Echo {
    /// Starts it: bare, or with the Redis at that address.
    pub(crate) fn start(redis: Option<String>) -> Self {
        let program = std::env::current_exe().expect("it has a path");
        let mut child = Command::new(program)
            .args(["--echo", &redis.unwrap_or_default()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut said = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut said).expect("it says where it is");
        let (api, token) = said.trim().split_once(' ').expect("an address and a token");
        Self { child, api: api.to_owned(), token: token.to_owned() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Keys(JsonWebKey);

#[async_trait::async_trait]
impl KeySource for Keys {
    async fn fetch(&self) -> Result<Vec<JsonWebKey>, FetchError> {
        Ok(vec![self.0.clone()])
    }
}

/// Serves until its standard input ends.
pub(crate) async fn serve(redis_url: &str) {
    let key = generate_key().expect("a key");
    let signer = Signer::new(CLUSTER, CLUSTER, "1", &key).expect("a signer");
    let kind = PrincipalKind::Administrator;
    let token = signer
        .sign("admin", kind, scopes_of(kind), now(), Duration::from_secs(24 * 3600))
        .expect("a token")
        .token;
    let redis = match redis_url {
        "" => None,
        url => {
            let client = redis::Client::open(url).expect("an address");
            Some(client.get_multiplexed_async_connection().await.expect("Redis answers"))
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("http://{} {token}", listener.local_addr().expect("an address"));
    // As our server listens: without it, small answers wait for each other.
    let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    let verified = redis.is_some();
    let answers = Answers { redis, script: Arc::new(redis::Script::new(SCRIPT)) };
    let verifier = Arc::new(Verifier::new(CLUSTER, CLUSTER, Arc::new(Keys(signer.public_key().clone()))));
    let layer = verified.then(|| CallerLayer::new(verifier, Arc::new(now)));
    let serving = tonic::transport::Server::builder()
        .layer(tower::util::option_layer(layer))
        .add_service(answers)
        .serve_with_incoming(incoming);
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
    tokio::select! {
        served = serving => served.expect("it serves"),
        _ = ended => {}
    }
}

fn now() -> Timestamp {
    Timestamp::now()
}

#[derive(Clone)]
struct Answers {
    redis: Option<MultiplexedConnection>,
    script: Arc<redis::Script>,
}

impl Answers {
    async fn run(&self, what: &str, phone: &str) -> Result<u64, Status> {
        let Some(mut redis) = self.redis.clone() else { return Ok(0) };
        let mut call = self.script.prepare_invoke();
        for key in ["phone:", "user:", "id:"] {
            call.key(format!("{{{CLUSTER}}}:{key}{phone}"));
        }
        for key in ["deadlines", "events"] {
            call.key(format!("{{{CLUSTER}}}:{key}"));
        }
        call.arg(what).arg([b'r'; RECORD].as_slice()).arg(phone);
        call.arg(now().as_microsecond().to_string());
        call.invoke_async(&mut redis).await.map_err(|error| Status::unavailable(error.to_string()))
    }

    async fn login(&self, request: LoginRequest) -> Result<Response<LoginResponse>, Status> {
        let epoch = self.run("login", &request.phone).await?;
        let time = prost_types::Timestamp { seconds: now().as_second(), nanos: 0 };
        let session = Session {
            session_id: "01JD0000000000000000000000".into(),
            profile: request.user_id.clone(),
            user_id: request.user_id,
            phone: request.phone,
            login_time: Some(time),
            lines: vec!["88000000".into()],
            phone_epoch: epoch,
            ..Default::default()
        };
        Ok(Response::new(LoginResponse { session: Some(session), ..Default::default() }))
    }

    async fn logout(&self, request: LogoutRequest) -> Result<Response<LogoutResponse>, Status> {
        use roamline_proto::session::logout_request::Target;
        let Some(Target::Phone(phone)) = request.target else {
            return Err(Status::invalid_argument("no phone"));
        };
        self.run("logout", &phone).await?;
        Ok(Response::new(LogoutResponse::default()))
    }
}

impl UnaryService<LoginRequest> for Answers {
    type Response = LoginResponse;
    type Future = BoxFuture<Response<LoginResponse>, Status>;

    fn call(&mut self, request: Request<LoginRequest>) -> Self::Future {
        let answers = self.clone();
        Box::pin(async move { answers.login(request.into_inner()).await })
    }
}

impl UnaryService<LogoutRequest> for Answers {
    type Response = LogoutResponse;
    type Future = BoxFuture<Response<LogoutResponse>, Status>;

    fn call(&mut self, request: Request<LogoutRequest>) -> Self::Future {
        let answers = self.clone();
        Box::pin(async move { answers.logout(request.into_inner()).await })
    }
}

impl NamedService for Answers {
    const NAME: &'static str = "roamline.session.v1.SessionService";
}

impl<B> Service<http::Request<B>> for Answers
where
    B: tonic::codegen::Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let answers = self.clone();
        Box::pin(async move {
            Ok(if request.uri().path().ends_with("/Login") {
                let codec = ProstCodec::<LoginResponse, LoginRequest>::default();
                Grpc::new(codec).unary(answers, request).await
            } else {
                let codec = ProstCodec::<LogoutResponse, LogoutRequest>::default();
                Grpc::new(codec).unary(answers, request).await
            })
        })
    }
}
