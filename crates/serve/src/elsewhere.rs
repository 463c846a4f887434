//! Services in other processes: where they are, how they are believed, and a channel that spreads calls over all of their
//! replicas that serve.

mod members;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::tasks::Tasks;
use members::Members;

/// No file of certificates is longer.
const LONGEST: u64 = 1 << 20;
/// How often a connection is asked whether it is alive, and how long it may take to answer.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(2);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// No call takes longer, whatever deadline it has.
const LONGEST_CALL: Duration = Duration::from_secs(30);
/// Changes of the replicas that wait for the next call, which takes them up.
const CHANGES: usize = 256;

/// TLS to other services. The files are read again when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CallTls {
    /// Certificates of the authorities to believe (PEM); none is those of the system.
    pub ca_file: PathBuf,
    /// Our certificate (PEM), where a service asks for one.
    pub certificate_file: PathBuf,
    /// Its key (PEM).
    pub key_file: PathBuf,
}

/// Addresses or files by which nothing can be called.
#[derive(Debug, thiserror::Error)]
pub enum ElsewhereError {
    /// What is no address.
    #[error("{0:?} is not an address such as http://host:7400 or https://host:7400")]
    Address(String),
    /// Addresses with and without TLS.
    #[error("some addresses begin with http:// and some with https://")]
    Mixed,
    /// TLS is configured, and not spoken.
    #[error("tls is set, and the address is without TLS; begin it with https://")]
    Plain,
    /// A certificate without its key, or a key without its certificate.
    #[error("tls.certificate_file and tls.key_file belong together, and one is missing")]
    Half,
    /// A file that cannot be read.
    #[error("tls.{key}: {} cannot be read", path.display())]
    Unreadable {
        /// The setting that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of authorities without any.
    #[error("tls.ca_file: {} holds no certificate in PEM", .0.display())]
    NoAuthority(PathBuf),
    /// Files that TLS cannot be set up with.
    #[error("tls: the files cannot be used")]
    Files(#[source] tonic::transport::Error),
}

/// A service of another process, at one address or several. Each is a host and a port; a host that stands for several
/// addresses is all of them.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    hosts: Vec<Host>,
    tls: CallTls,
    connect_timeout: Duration,
}

/// One host as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Host {
    origin: Uri,
    name: String,
    port: u16,
}

/// What the files of TLS hold.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Pem {
    ca: Option<Vec<u8>>,
    ours: Option<(Vec<u8>, Vec<u8>)>,
}

impl Elsewhere {
    /// By its addresses, with commas between them: `https://auth.example.org:7400`. A connection takes `connect_timeout` at
    /// most.
    ///
    /// # Errors
    /// When nothing can be called by them.
    pub fn new(addresses: &str, tls: &CallTls, connect_timeout: Duration) -> Result<Self, ElsewhereError> {
        // What stands before it may be a password.
        if let Some((_, host)) = addresses.rsplit_once('@') {
            return Err(ElsewhereError::Address(format!("..@{host}")));
        }
        let hosts: Vec<_> =
            addresses.split(',').map(|address| Host::parse(address.trim())).collect::<Result<_, _>>()?;
        let secure = hosts.iter().filter(|host| host.is_secure()).count();
        if secure != 0 && secure != hosts.len() {
            return Err(ElsewhereError::Mixed);
        }
        if secure == 0 && *tls != CallTls::default() {
            return Err(ElsewhereError::Plain);
        }
        let elsewhere = Self { hosts, tls: tls.clone(), connect_timeout };
        let pem = Pem::read(tls)?;
        for host in &elsewhere.hosts {
            elsewhere.endpoint(host, None, &pem)?;
        }
        Ok(elsewhere)
    }

    /// Whether what is said to it can be read by others on its way.
    pub fn is_readable(&self) -> bool {
        let local = |host: &Host| {
            host.name == "localhost" || host.name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        };
        self.hosts.iter().any(|host| !host.is_secure() && !local(host))
    }

    /// A channel over all replicas that say they serve, or over all there are where none says so. Those are looked for, and
    /// followed, by a task of that name. Connections are made when they are needed.
    ///
    /// # Errors
    /// When the files of TLS have become unusable.
    pub fn channel(&self, task: &'static str, tasks: &Tasks) -> Result<Channel, ElsewhereError> {
        let (channel, changes) = Channel::balance_channel(CHANGES);
        let members = Members::begin(self.clone(), Pem::read(&self.tls)?, changes)?;
        tasks.spawn(task, members.follow(tasks.stopping()));
        Ok(channel)
    }

    /// How a host is reached at one of its addresses, or by its name.
    fn endpoint(&self, host: &Host, at: Option<SocketAddr>, pem: &Pem) -> Result<Endpoint, ElsewhereError> {
        let scheme = if host.is_secure() { "https" } else { "http" };
        let place = at.map_or_else(|| host.origin.to_string(), |at| format!("{scheme}://{at}"));
        let endpoint = Endpoint::from_shared(place.clone()).map_err(|_| ElsewhereError::Address(place))?;
        let endpoint = endpoint
            .origin(host.origin.clone())
            .connect_timeout(self.connect_timeout)
            .timeout(LONGEST_CALL)
            .http2_keep_alive_interval(KEEPALIVE_EVERY)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        if !host.is_secure() {
            return Ok(endpoint);
        }
        endpoint.tls_config(pem.client().domain_name(host.name.clone())).map_err(ElsewhereError::Files)
    }
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, host) in self.hosts.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(f, "{comma}{}:{}", host.name, host.port)?;
        }
        Ok(())
    }
}

impl Host {
    fn parse(address: &str) -> Result<Self, ElsewhereError> {
        let wrong = || ElsewhereError::Address(address.to_owned());
        let origin: Uri = address.parse().map_err(|_| wrong())?;
        let parts = (origin.scheme_str(), origin.host(), origin.port_u16(), origin.path(), origin.query());
        let (Some("http" | "https"), Some(name), Some(port), "" | "/", None) = parts else {
            return Err(wrong());
        };
        if name.is_empty() {
            return Err(wrong());
        }
        let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { origin, name, port })
    }

    fn is_secure(&self) -> bool {
        self.origin.scheme_str() == Some("https")
    }
}

impl Pem {
    /// Reads them.
    ///
    /// # Errors
    /// When one cannot be read, one of a pair is missing, or there is no authority in the file of them.
    pub(crate) fn read(tls: &CallTls) -> Result<Self, ElsewhereError> {
        let file = |key, path: &Path| match path.as_os_str().is_empty() {
            true => Ok(None),
            false => read(path).map(Some).map_err(|source| ElsewhereError::Unreadable {
                key,
                path: path.to_owned(),
                source,
            }),
        };
        let ours = match (file("certificate_file", &tls.certificate_file)?, file("key_file", &tls.key_file)?)
        {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(ElsewhereError::Half),
        };
        let ca = file("ca_file", &tls.ca_file)?;
        if ca.as_ref().is_some_and(|ca| !has_certificates(ca)) {
            return Err(ElsewhereError::NoAuthority(tls.ca_file.clone()));
        }
        Ok(Self { ca, ours })
    }

    /// Whom a client believes by them, and what it shows.
    pub(crate) fn client(&self) -> ClientTlsConfig {
        let config = match &self.ca {
            None => ClientTlsConfig::new().with_native_roots(),
            Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)),
        };
        match &self.ours {
            None => config,
            Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
        }
    }
}

fn has_certificates(pem: &[u8]) -> bool {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.is_ok_and(|found| !found.is_empty())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(std::fs::File::open(path)?, LONGEST), &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elsewhere(addresses: &str, tls: &CallTls) -> Result<String, String> {
        let made = Elsewhere::new(addresses, tls, Duration::from_secs(1));
        made.map(|made| made.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn addresses_are_hosts_and_ports() {
        let plain = CallTls::default();
        assert_eq!(elsewhere("http://auth:7400", &plain), Ok("auth:7400".into()));
        assert_eq!(elsewhere("http://[::1]:1, http://b:2/", &plain), Ok("::1:1, b:2".into()));
        for wrong in
            ["", "auth:7400", "http://auth", "ftp://a:1", "http://a:1/x", "http://u:p@a:1", "http://a:1,"]
        {
            let refused = elsewhere(wrong, &plain).unwrap_err();
            assert!(refused.contains("is not an address"), "{wrong}: {refused}");
        }
        let refused = elsewhere("http://user:s3,c@ret@auth:7400", &plain).unwrap_err();
        assert!(refused.starts_with("\"..@auth:7400\" is not an address"), "{refused}");
        assert!(elsewhere("http://a:1,https://b:1", &plain).unwrap_err().contains("some with https"));
    }

    #[test]
    fn files_of_tls_are_looked_at_before_anything_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let noise = folder.path().join("noise");
        std::fs::write(&noise, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").unwrap();
        let missing = CallTls { ca_file: "/nonexistent/ca".into(), ..CallTls::default() };
        assert!(elsewhere("http://a:1", &missing).unwrap_err().contains("begin it with https://"));
        assert!(elsewhere("https://a:1", &missing).unwrap_err().contains("tls.ca_file: /nonexistent/ca"));
        let half = CallTls { key_file: noise.clone(), ..CallTls::default() };
        assert!(elsewhere("https://a:1", &half).unwrap_err().contains("belong together"));
        let nobody = CallTls { ca_file: noise.clone(), ..CallTls::default() };
        assert!(elsewhere("https://a:1", &nobody).unwrap_err().contains("noise holds no certificate"));
        let both = CallTls { certificate_file: noise.clone(), key_file: noise, ..CallTls::default() };
        assert!(elsewhere("https://a:1", &both).unwrap_err().contains("cannot be used"));
    }

    #[test]
    fn what_leaves_this_machine_without_tls_can_be_read() {
        let readable = |address: &str| {
            Elsewhere::new(address, &CallTls::default(), Duration::from_secs(1)).unwrap().is_readable()
        };
        assert!(readable("http://auth:1") && readable("http://127.0.0.1:1,http://10.0.0.1:1"));
        assert!(!readable("http://[::1]:1,http://localhost:1") && !readable("https://auth:1"));
    }
}
