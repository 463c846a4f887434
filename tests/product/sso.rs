//! Single sign-on against a real OpenID provider, run by node as a child process: an agent whose token it has made works as
//! with one of the cluster's own, also while the provider is away and after it has changed its keys.

use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Instant;

use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{RevokeTokensRequest, SignInRequest};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_proto::session::ListSessionsRequest;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::clients::{
    administrator, furnish, link, live, login, logout, phone_name, pin, reason, sessions, user,
};
use crate::process::{Server, Site, WITHIN, lines};

const SOURCE: &str = include_str!("../data/oidc/provider.mjs");
const AUDIENCE: &str = "https://roamline.example.org";

/// The provider. It is killed when the value is dropped.
struct Provider {
    child: Child,
    input: ChildStdin,
    said: Receiver<String>,
}

impl Provider {
    /// On that port, with a new key of that algorithm.
    fn start(port: u16, algorithm: &str) -> Self {
        let exe = std::env::current_exe().expect("the test knows its own path");
        let tools = exe.ancestors().nth(3).expect("target/PROFILE/deps/product").join("tools/oidc");
        let installed = tools.join("node_modules/oidc-provider");
        assert!(
            installed.is_dir(),
            "the OpenID provider is missing: `cargo xtask test` installs it with npm"
        );
        let mut child = Command::new("node")
            .args(["--input-type=module", "--eval", SOURCE, &port.to_string(), algorithm])
            .current_dir(&tools)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("node, which the OpenID provider needs, does not run: {error}"));
        let (input, out) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let provider = Self { child, input, said: lines(out) };
        assert_eq!(provider.next()["serving"], true);
        provider
    }

    fn next(&self) -> Value {
        let until = Instant::now() + WITHIN;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.said.recv_timeout(left).expect("the provider answers");
            if let Ok(said) = serde_json::from_str(&line) {
                return said;
            }
        }
    }

    fn token(&mut self, format: &str, account: &str, audience: &str) -> String {
        let wanted = json!({"format": format, "account": account, "audience": audience});
        writeln!(self.input, "{wanted}").expect("the provider reads");
        self.next()["token"].as_str().expect("a token").to_owned()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that believes the provider on that port, with three agents.
struct Running {
    _site: Site,
    server: Server,
    admin: String,
}

impl Running {
    async fn start(port: u16) -> Self {
        Self::with(port, "cache_for = '1s'\n").await
    }

    /// The same with more at the end of its configuration, which begins in the section of introspection.
    async fn with(port: u16, more: &str) -> Self {
        let site = Site::new();
        let (config, secret): (PathBuf, PathBuf) = (site.home().join("sso.toml"), site.home().join("secret"));
        std::fs::write(&secret, "the secret of Roamline\n").expect("a file");
        let text = format!(
            "[[sso.issuers]]\nissuer = 'http://127.0.0.1:{port}'\naudiences = ['{AUDIENCE}']\n\
             required_scope = 'roamline'\nrequire_at_jwt = true\n\
             [sso.issuers.introspection]\nendpoint = 'http://127.0.0.1:{port}/token/introspection'\n\
             client_id = 'roamline'\nclient_secret_file = '{}'\n{more}",
            secret.display()
        );
        std::fs::write(&config, text).expect("a file");
        let site = site.with(&["--config", config.to_str().expect("a path")]);
        let server = site.start();
        let admin = administrator(&site, &server).await;
        furnish(&server, &admin, 3).await;
        Self { _site: site, server, admin }
    }

    /// The agent logs himself in, sees himself and nobody else, and logs out.
    async fn works(&self, token: &str, n: u32) {
        let mut client = sessions(&self.server, token);
        client.login(login(&user(n), &phone_name(n))).await.expect("a login");
        let seen = live(&mut client).await;
        assert_eq!(seen.iter().map(|session| session.user_id.clone()).collect::<Vec<_>>(), [user(n)]);
        client.logout(logout(&phone_name(n))).await.expect("a logout");
    }

    async fn refused(&self, token: &str, name: &str) -> Status {
        let mut client = sessions(&self.server, token);
        client.login(login(name, &phone_name(2))).await.expect_err("a refusal")
    }

    /// That he may not, and what he is told.
    async fn invalid(&self, token: &str, says: &str) {
        let status = self.refused(token, &user(2)).await;
        assert_eq!((status.code(), reason(&status)), (Code::Unauthenticated, ErrorReason::TokenInvalid));
        assert!(status.message().contains(says), "{status:?}");
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

#[tokio::test]
async fn an_agent_works_with_the_tokens_of_an_openid_provider_and_as_himself_alone() {
    let port = free_port();
    let mut provider = Provider::start(port, "ES256");
    let running = Running::start(port).await;
    running.works(&provider.token("jwt", &user(0), AUDIENCE), 0).await;
    running.works(&provider.token("opaque", "AGENT1", AUDIENCE), 1).await;

    for format in ["jwt", "opaque"] {
        let elsewhere = provider.token(format, &user(2), "https://crm.example.org");
        running.invalid(&elsewhere, "another audience").await;
        let of_another = provider.token(format, &user(0), AUDIENCE);
        let status = running.refused(&of_another, &user(2)).await;
        assert_eq!(reason(&status), ErrorReason::ScopeMissing);
        // Whom the directory does not know is told what anybody is told whom it does not know.
        let stranger = provider.token(format, "stranger", AUDIENCE);
        let status = running.refused(&stranger, "stranger").await;
        assert!(matches!(status.code(), Code::Unauthenticated | Code::NotFound), "{status:?}");
    }
    running.invalid("no-token-of-the-provider", "not active").await;

    // What is revoked here is revoked for the provider's tokens, too.
    let token = provider.token("jwt", &user(0), AUDIENCE);
    running.works(&token, 0).await;
    let request = RevokeTokensRequest { names: vec![user(0)] };
    AuthServiceClient::new(link(&running.server, &running.admin))
        .revoke_tokens(request)
        .await
        .expect("revoked");
    let begun = Instant::now();
    while sessions(&running.server, &token).login(login(&user(0), &phone_name(0))).await.is_ok() {
        assert!(begun.elapsed() < WITHIN, "the token is still believed");
        sessions(&running.server, &running.admin).logout(logout(&phone_name(0))).await.expect("a logout");
    }
    running.invalid(&token, "revoked").await;
}

#[tokio::test]
async fn a_provider_may_go_away_and_come_back_with_other_keys() {
    let port = free_port();
    let mut provider = Provider::start(port, "ES256");
    let running = Running::start(port).await;
    let [first, second, third] = [(); 3].map(|()| provider.token("jwt", &user(0), AUDIENCE));
    let opaque = provider.token("opaque", &user(1), AUDIENCE);
    running.works(&first, 0).await;
    drop(provider);

    running.works(&first, 0).await;
    running.works(&second, 0).await;
    let status = running.refused(&opaque, &user(1)).await;
    let refusal = Refusal::from_status(&status).expect("one of ours");
    assert_eq!((status.code(), refusal.reason), (Code::Unavailable, ErrorReason::ServiceUnavailable));
    assert_eq!(refusal.metadata["service"], "token issuer");

    let mut provider = Provider::start(port, "RS256");
    running.works(&provider.token("jwt", &user(0), AUDIENCE), 0).await;
    running.invalid(&third, "not signed by its issuer").await;
    let opaque = provider.token("opaque", &user(1), AUDIENCE);
    let begun = Instant::now();
    while let Err(status) =
        sessions(&running.server, &opaque).list_sessions(ListSessionsRequest::default()).await.map(drop)
    {
        assert!(status.code() == Code::Unavailable && begun.elapsed() < WITHIN, "{status:?}");
    }
    running.works(&opaque, 1).await;
}

#[tokio::test]
async fn sp_14_who_makes_tokens_up_is_told_to_come_back_and_those_that_are_known_stay_good() {
    let port = free_port();
    let mut provider = Provider::start(port, "ES256");
    let strict =
        "cache_for = '1m'\n[auth.throttle]\nexempt = []\nby_source = { failures = 5, a_minute = 1 }\n";
    let running = Running::with(port, strict).await;
    let known = provider.token("opaque", &user(0), AUDIENCE);
    running.works(&known, 0).await;
    for number in 0..5 {
        running.invalid(&format!("made-up-{number}"), "not active").await;
    }
    let unknown = provider.token("opaque", &user(1), AUDIENCE);
    for token in ["made-up-5", &unknown] {
        let status = running.refused(token, &user(2)).await;
        let refusal = Refusal::from_status(&status).expect("one of ours");
        assert_eq!((status.code(), refusal.reason), (Code::ResourceExhausted, ErrorReason::TooManyRequests));
        let wait = refusal.retry_after.expect("a time to come back");
        assert!(wait.as_secs() > 0 && wait.as_secs() <= 61, "{wait:?}");
    }
    running.invalid("made-up-4", "not active").await;
    running.works(&known, 0).await;
    running.works(&provider.token("jwt", &user(1), AUDIENCE), 1).await;
    let mut auth = AuthServiceClient::new(link(&running.server, ""));
    let request = SignInRequest { name: user(1), credential: pin("10001") };
    auth.sign_in(request).await.expect("credentials are counted by themselves");
}
