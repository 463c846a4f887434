//! The real server with its stores, and clients of it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{Credential, SignInRequest, SignInResponse, credential};
use roamline_token::Bearer;
use tempfile::TempDir;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use crate::agents::Link;
use crate::redis::Redis;

/// A call that takes longer has failed.
const CALL_WITHIN: Duration = Duration::from_secs(60);

/// Where live sessions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sessions {
    /// In SQL, with the directory.
    Sql,
    /// In Redis, acknowledged when the master has them.
    Fast,
    /// In Redis, acknowledged when a replica has them, too.
    Durable,
}

/// Where everything is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Directory {
    /// In the data directory.
    Sqlite,
    /// In a PostgreSQL that does not wait for its disk.
    Postgres,
}

/// What is started.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// What it logs; as it does by itself where that is not said.
    pub(crate) log: Option<String>,
}

/// A running server; everything of it ends when the value is dropped.
pub(crate) struct Product {
    child: Child,
    pub(crate) api: String,
    pub(crate) token: String,
    pub(crate) refresh_token: String,
    pub(crate) redis: Option<Redis>,
    _database: Option<crate::postgres_server::Server>,
    _home: TempDir,
}

impl Product {
    /// Starts it, ready, with an empty directory.
    pub(crate) async fn start(program: &Program, sessions: Sessions, directory: Directory) -> Self {
        let home = TempDir::new().expect("a folder");
        let mut up = Command::new(&program.path);
        for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("ROAMLINE_"))
        {
            up.env_remove(key);
        }
        let data = home.path().join("data");
        up.args(["up", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"]).arg(&data);
        let log = File::create(home.path().join("log")).expect("a file");
        up.current_dir(&home).env("HOME", home.path()).stderr(log);
        // The most that wait, each on a connection of its own, and a few.
        up.env("ROAMLINE_SERVER__MAX_CONNECTIONS", "1000000");
        if let Some(filter) = &program.log {
            up.env("ROAMLINE_LOG__FILTER", filter);
        }
        let redis = match sessions {
            Sessions::Sql => None,
            Sessions::Fast => Some(Redis::start(0)),
            Sessions::Durable => Some(Redis::start(1)),
        };
        if let Some(redis) = &redis {
            up.env("ROAMLINE_REDIS__URL", redis.url());
        }
        if sessions == Sessions::Durable {
            up.env("ROAMLINE_REDIS__DURABILITY__REPLICAS", "1");
        }
        let database = (directory == Directory::Postgres).then(crate::postgres_server::Server::start);
        if let Some(database) = &database {
            up.env("ROAMLINE_STORE__URL", database.url("postgres")).env("ROAMLINE_STORE__MIGRATE", "auto");
        }
        let (child, api) = start(up).unwrap_or_else(|| {
            let log = std::fs::read_to_string(home.path().join("log"));
            panic!("the server does not start: {}", log.unwrap_or_default())
        });
        let SignInResponse { access_token: token, refresh_token, .. } = administrator(&data, &api).await;
        Self { child, api, token, refresh_token, redis, _database: database, _home: home }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// A client with a connection of its own.
    pub(crate) fn link(&self) -> Link {
        link(&self.api, Bearer::token(self.token.clone()))
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client on a connection of its own, which is made with its first call.
pub(crate) fn link(api: &str, bearer: Bearer) -> Link {
    InterceptedService::new(channel(api), bearer)
}

/// A connection, which is made with its first call.
pub(crate) fn channel(api: &str) -> Channel {
    let endpoint = Endpoint::from_shared(api.to_owned()).expect("an address");
    endpoint.timeout(CALL_WITHIN).connect_lazy()
}

/// Starts a server and waits until it says what it says when it is ready; `None` if it ends instead.
fn start(mut up: Command) -> Option<(Child, String)> {
    let mut child = up.stdout(Stdio::piped()).spawn().expect("roamline starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let mut api = None;
    for line in lines.by_ref() {
        if let Some(address) = line.trim_start().strip_prefix("API") {
            api = address.split_whitespace().next().map(str::to_owned);
        }
        // The report ends with what to try next.
        if line.starts_with("  cargo run") {
            break;
        }
    }
    // The pipe must not fill up.
    std::thread::spawn(move || lines.for_each(drop));
    Some((child, api?))
}

async fn administrator(data: &Path, api: &str) -> SignInResponse {
    let file = std::fs::read_to_string(data.join("admin.toml")).expect("the administrator's file");
    let password = file.lines().find_map(|line| line.strip_prefix("password = ")).expect("his password");
    let kind = credential::Kind::Password(password.trim_matches('"').to_owned());
    let request = SignInRequest { name: "admin".into(), credential: Some(Credential { kind: Some(kind) }) };
    let mut auth = AuthServiceClient::new(channel(api));
    auth.sign_in(request).await.expect("he signs in").into_inner()
}

/// The server's program, built from the present sources as this program was.
pub(crate) fn build() -> PathBuf {
    let exe = std::env::current_exe().expect("it has a path");
    let folder = exe.parent().and_then(Path::parent).expect("target/PROFILE/deps/load");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "roamline"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    build.env("CARGO_TARGET_DIR", folder.parent().expect("target/PROFILE"));
    assert!(build.status().expect("cargo runs").success(), "the server does not build");
    folder.join("roamline")
}
