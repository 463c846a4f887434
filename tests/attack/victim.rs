//! The server that is attacked, and the honest agent who must not notice.

use std::time::{Duration, Instant};

use roamline_proto::auth::SignInRequest;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use tokio::time::{interval, timeout};
use tonic::{Code, Status};

use crate::clients::{administrator, furnish, link, login, logout, phone_name, pin, sessions, user};
use crate::process::{Server, Site};
use crate::wire;

/// How long the honest agent may have to try.
const SERVED_WITHIN: Duration = Duration::from_secs(30);
/// How long he waits before he tries again.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
/// How much an attack may make the server grow at most. Two PINs that are hashed at once take 38 MiB of it.
const MEMORY: u64 = 256 << 20;

/// A server with some agents; the first of them, and his phone, belong to the honest one.
pub(crate) struct Victim {
    pub(crate) server: Server,
    pub(crate) admin: String,
    _site: Site,
    peak: u64,
}

impl Victim {
    /// One with that many agents, who has served the honest one already.
    pub(crate) async fn new(agents: u32) -> Self {
        Self::at(Site::new(), agents).await
    }

    /// As [`Victim::new`], with settings of its own.
    pub(crate) async fn at(site: Site, agents: u32) -> Self {
        let server = site.start();
        Self::with(site, server, agents).await
    }

    /// As [`Victim::at`], of a server that runs already.
    pub(crate) async fn with(site: Site, server: Server, agents: u32) -> Self {
        let admin = administrator(&site, &server).await;
        furnish(&server, &admin, agents.max(1)).await;
        let mut victim = Self { server, admin, _site: site, peak: 0 };
        victim.serves().await;
        victim.peak = victim.server.peak_memory();
        victim
    }

    /// `127.0.0.1:PORT` of the API.
    pub(crate) fn api(&self) -> &str {
        self.server.api.trim_start_matches("http://")
    }

    /// That the honest agent signs in, logs in and logs out, in time. What he is told to try again, he does.
    pub(crate) async fn serves(&self) {
        let mut ticks = interval(AGAIN_AFTER);
        let served = async {
            loop {
                ticks.tick().await;
                match self.honest_day().await {
                    Ok(()) => break,
                    Err(status) if matches!(status.code(), Code::ResourceExhausted | Code::Unavailable) => {}
                    Err(status) => panic!("the honest agent is refused: {status:?}"),
                }
            }
        };
        timeout(SERVED_WITHIN, served).await.expect("the honest agent is served in time");
    }

    async fn honest_day(&self) -> Result<(), Status> {
        let request = SignInRequest { name: user(0), credential: pin("10000") };
        let signed_in = AuthServiceClient::new(link(&self.server, "")).sign_in(request).await?;
        let mut own = sessions(&self.server, &signed_in.into_inner().access_token);
        own.login(login(&user(0), &phone_name(0))).await?;
        own.logout(logout(&phone_name(0))).await?;
        Ok(())
    }

    /// That it is ready and serves, and that its memory has stayed bounded.
    pub(crate) async fn survives(&self, what: &str) {
        self.survives_within(what, MEMORY).await;
    }

    /// As [`Victim::survives`], where the attack may cost so much.
    pub(crate) async fn survives_within(&self, what: &str, memory: u64) {
        let began = Instant::now();
        self.serves().await;
        let served_after = began.elapsed();
        let admin = self.server.admin.trim_start_matches("http://");
        let ready = wire::say(admin, b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(ready.text().starts_with("HTTP/1.1 200"), "{what}: {}", ready.text());
        let (before, after) = (self.peak, self.server.peak_memory());
        eprintln!(
            "{what}: served after {} ms, peak memory {} MiB, before {} MiB",
            served_after.as_millis(),
            after >> 20,
            before >> 20
        );
        assert!(after < before + memory, "{what}: it has grown from {before} to {after} bytes");
    }
}
