//! The collector: the way to it, what it is shown, and both anew when the files that say so change. A change that cannot be
//! used leaves everything as it was, and is told in the log.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};
use tonic::service::Interceptor;
use tonic::transport::channel::Change;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::{ANSWER_WITHIN, CONNECT_WITHIN, TelemetryConfig, TelemetryError};
use crate::elsewhere::{CallTls, ElsewhereError, Pem};
use crate::tls::chain;

/// How often is looked whether the files have changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Changes that wait for what is sent next, which takes them up.
const CHANGES: usize = 16;

/// What exporters need of a collector.
pub(super) struct Collector {
    /// Connections to it, made when they are needed.
    pub(super) channel: Channel,
    /// What goes with all that is sent.
    pub(super) headers: Headers,
}

/// The headers of the present. Clones share them.
#[derive(Clone)]
pub(super) struct Headers(Arc<ArcSwap<Vec<Header>>>);

type Header = (AsciiMetadataKey, AsciiMetadataValue);

impl Collector {
    /// The one at an address, and what looks after its files.
    ///
    /// # Errors
    /// When nothing could be sent to it.
    pub(super) fn at(address: &str, config: &TelemetryConfig) -> Result<(Self, Follower), TelemetryError> {
        let address = endpoint(address)?;
        if !is_secure(&address) && config.tls != CallTls::default() {
            return Err(ElsewhereError::Plain.into());
        }
        let paths = Paths { headers: config.headers_file.clone(), tls: config.tls.clone() };
        let files = paths.read()?;
        let headers = Headers(Arc::new(ArcSwap::from_pointee(files.headers()?)));
        let (channel, changes) = Channel::balance_channel(CHANGES);
        // There is room for the first one.
        let _ = changes.try_send(Change::Insert((), files.endpoint(&address)?));
        let follower = Follower { address, paths, seen: Ok(files), changes, headers: headers.clone() };
        Ok((Self { channel, headers }, follower))
    }
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (name, value) in self.0.load().iter() {
            request.metadata_mut().insert(name.clone(), value.clone());
        }
        Ok(request)
    }
}

fn endpoint(address: &str) -> Result<Endpoint, TelemetryError> {
    let endpoint = Endpoint::from_shared(address.to_owned())
        .ok()
        .filter(|endpoint| matches!(endpoint.uri().scheme_str(), Some("http" | "https")))
        .filter(|endpoint| endpoint.uri().authority().is_some_and(|host| !host.as_str().contains('@')))
        .ok_or_else(|| TelemetryError::Endpoint(shown(address)))?;
    Ok(endpoint.connect_timeout(CONNECT_WITHIN).timeout(ANSWER_WITHIN))
}

/// An address without what stands before an `@`, which may be a password.
fn shown(address: &str) -> String {
    address.rsplit_once('@').map_or_else(|| address.to_owned(), |(_, host)| format!("..@{host}"))
}

fn is_secure(address: &Endpoint) -> bool {
    address.uri().scheme_str() == Some("https")
}

/// Where the files are.
#[derive(Clone)]
struct Paths {
    headers: PathBuf,
    tls: CallTls,
}

/// What they hold.
#[derive(Clone, PartialEq, Eq)]
struct Files {
    headers: Vec<u8>,
    pem: Pem,
}

impl Paths {
    fn read(&self) -> Result<Files, TelemetryError> {
        let headers = match self.headers.as_os_str().is_empty() {
            true => Vec::new(),
            false => std::fs::read(&self.headers)
                .map_err(|source| TelemetryError::Unreadable { path: self.headers.clone(), source })?,
        };
        Ok(Files { headers, pem: Pem::read(&self.tls)? })
    }
}

impl Files {
    fn headers(&self) -> Result<Vec<Header>, TelemetryError> {
        let text = String::from_utf8_lossy(&self.headers);
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let header = |(number, line): (usize, &str)| {
            let wrong = || TelemetryError::Header(number + 1);
            let (name, value) = line.split_once(':').ok_or_else(wrong)?;
            let name = name.trim().to_ascii_lowercase().parse().map_err(|_| wrong())?;
            let mut value: AsciiMetadataValue = value.trim().parse().map_err(|_| wrong())?;
            value.set_sensitive(true);
            Ok((name, value))
        };
        lines.map(header).collect()
    }

    fn endpoint(&self, address: &Endpoint) -> Result<Endpoint, ElsewhereError> {
        let address = address.clone();
        if !is_secure(&address) {
            return Ok(address);
        }
        address.tls_config(self.pem.client()).map_err(ElsewhereError::Files)
    }
}

/// Looks for changes of the files.
pub(super) struct Follower {
    address: Endpoint,
    paths: Paths,
    /// What was found when it was last looked, or why nothing was.
    seen: Result<Files, String>,
    changes: mpsc::Sender<Change<(), Endpoint>>,
    headers: Headers,
}

impl Follower {
    /// Looks without end.
    pub(super) async fn follow(mut self) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let paths = self.paths.clone();
            // The runtime is going away when the thread is lost.
            let Ok(read) = tokio::task::spawn_blocking(move || paths.read()).await else { return };
            self.take(read.map_err(|error| chain(&error))).await;
        }
    }

    /// Uses what was read, if it is new and good.
    async fn take(&mut self, read: Result<Files, String>) {
        if self.seen == read {
            return;
        }
        let made = read.as_ref().map_err(Clone::clone).and_then(|files| {
            let made = files.headers().and_then(|headers| Ok((headers, files.endpoint(&self.address)?)));
            made.map_err(|error| chain(&error))
        });
        self.seen = read;
        match made {
            Ok((headers, endpoint)) => {
                self.headers.0.store(Arc::new(headers));
                let _ = self.changes.send(Change::Insert((), endpoint)).await;
                tracing::info!("the files for the collector of telemetry have changed and are used");
            }
            Err(cause) => tracing::error!(
                cause,
                "the files for the collector of telemetry have changed and cannot be used: those from before stay in use"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn headers_are_shown_as_they_change_and_what_is_wrong_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("headers");
        std::fs::write(&file, "Authorization: Bearer 1\n").unwrap();
        let config = TelemetryConfig { headers_file: file.clone(), ..TelemetryConfig::default() };
        let (Collector { mut headers, .. }, mut follower) =
            Collector::at("http://127.0.0.1:1", &config).unwrap();
        let mut shown = || headers.call(Request::new(())).unwrap().metadata().get("authorization").cloned();
        assert_eq!(shown().unwrap(), "Bearer 1");
        for (content, holds) in [("authorization: Bearer 2", "Bearer 2"), ("no header", "Bearer 2")] {
            std::fs::write(&file, content).unwrap();
            follower.take(follower.paths.read().map_err(|error| chain(&error))).await;
            assert_eq!(shown().unwrap(), holds, "{content}");
        }
        assert!(!format!("{:?}", headers.call(Request::new(())).unwrap()).contains("Bearer"));
    }
}
