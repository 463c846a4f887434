//! TLS to a server: whom we believe, who we say we are, and what is said when one does not believe the other.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::{AlertDescription as Alert, CertificateError};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};

use crate::exit::{Exit, Failure};

/// No file of certificates is longer.
const LONGEST: u64 = 1 << 20;

/// How a server at an `https://` address is met.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TlsOptions {
    /// File (PEM) with the authorities that an https:// server is believed by [default: those of the system]
    #[arg(long, global = true, env = "ROAMLINE_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// File (PEM) with our own certificate, for an https:// server that asks for one
    #[arg(long, global = true, env = "ROAMLINE_CERTIFICATE", value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// File (PEM) with the key of that certificate
    #[arg(long, global = true, env = "ROAMLINE_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
}

impl TlsOptions {
    /// Puts TLS below a connection to an `https://` address.
    pub(crate) fn secure(&self, endpoint: Endpoint) -> Result<Endpoint, Failure> {
        let config = match &self.ca {
            None => ClientTlsConfig::new().with_native_roots(),
            Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificates(path)?)),
        };
        let config = match (&self.certificate, &self.key) {
            (None, None) => config,
            (Some(certificate), Some(key)) => {
                config.identity(Identity::from_pem(certificates(certificate)?, private_key(key)?))
            }
            (Some(_), None) => return Err(Failure::usage("--certificate needs --key")),
            (None, Some(_)) => return Err(Failure::usage("--key needs --certificate")),
        };
        endpoint.tls_config(config).map_err(|error| {
            let failure = Failure::usage("TLS cannot be set up").detail(innermost(&error).to_string());
            if self.ca.is_none() {
                failure.hint("name the authorities to believe with --ca FILE")
            } else {
                failure
            }
        })
    }
}

fn certificates(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = read(path)?;
    match CertificateDer::from_pem_slice(&bytes) {
        Ok(_) => Ok(bytes),
        Err(_) => Err(Failure::usage(format!("{} holds no certificate in PEM", path.display()))),
    }
}

fn private_key(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = read(path)?;
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(_) => Ok(bytes),
        Err(_) => Err(Failure::usage(format!("{} holds no private key in PEM", path.display()))),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes));
    read.map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    Ok(bytes)
}

/// What is to be said of a status that TLS, or the want of it, is the cause of.
pub(crate) fn explain(status: &Status, server: &str) -> Option<Failure> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(status);
    let mut broken = false;
    while let Some(error) = cause {
        if let Some(error) = as_tls(error) {
            return Some(of_tls(error, server));
        }
        // What TLS answers to plain HTTP/2 looks like a frame of any size, if it is read at all before the end.
        let frame = error.downcast_ref::<h2::Error>().and_then(h2::Error::reason);
        broken |= frame == Some(h2::Reason::FRAME_SIZE_ERROR);
        let cut = matches!(status.code(), Code::Cancelled | Code::Unknown | Code::Internal);
        broken |= cut && error.is::<tonic::transport::Error>();
        cause = error.source();
    }
    let hint = if server.starts_with("http://") {
        "if it speaks TLS, write its address with https://"
    } else {
        "it may want a certificate of its client that it believes: --certificate FILE --key FILE"
    };
    // With TLS 1.3, a server that does not take our certificate says so after the handshake, when nobody listens.
    broken.then(|| Failure::new(Exit::Unavailable, format!("the connection to {server} broke")).hint(hint))
}

/// An I/O error hides the error that it was made of from [`Error::source`].
fn as_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let hidden = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.downcast_ref().or_else(|| hidden.and_then(|inner| inner.downcast_ref()))
}

fn of_tls(error: &rustls::Error, server: &str) -> Failure {
    let denied = |text: &str| Failure::new(Exit::Denied, format!("{server} {text}"));
    match error {
        rustls::Error::InvalidCertificate(problem) => of_certificate(problem, server),
        rustls::Error::InvalidMessage(_) => {
            Failure::new(Exit::Unavailable, format!("{server} does not speak TLS"))
                .hint("if it speaks plain text, write its address with http://")
        }
        rustls::Error::AlertReceived(Alert::CertificateRequired) => {
            denied("wants a certificate of its client").hint("name one with --certificate FILE --key FILE")
        }
        rustls::Error::AlertReceived(
            alert @ (Alert::UnknownCA
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::AccessDenied),
        ) => denied("does not believe our certificate").detail(format!("it says {alert:?}")),
        other => Failure::new(Exit::Unavailable, format!("cannot speak TLS with {server}"))
            .detail(other.to_string()),
    }
}

fn of_certificate(problem: &CertificateError, server: &str) -> Failure {
    let denied = |text: &str| Failure::new(Exit::Denied, format!("the certificate of {server} {text}"));
    match problem {
        CertificateError::UnknownIssuer => {
            denied("is from an unknown authority").hint("name the authority with --ca FILE")
        }
        CertificateError::NotValidForName => denied("is for another name"),
        CertificateError::NotValidForNameContext { presented, .. } => denied("is for another name")
            .detail(format!("it is for {}", presented.join(", ")))
            .hint("write the address of the server with a name that it is for"),
        CertificateError::Expired => denied("has expired"),
        CertificateError::ExpiredContext { not_after, .. } => {
            denied("has expired").detail(format!("it was good until {}", at(*not_after)))
        }
        CertificateError::NotValidYet => denied("is not valid yet"),
        CertificateError::NotValidYetContext { not_before, .. } => {
            denied("is not valid yet").detail(format!("it will be from {}", at(*not_before)))
        }
        CertificateError::Revoked => denied("was revoked"),
        other => denied("cannot be believed").detail(other.to_string()),
    }
}

fn at(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "a time beyond all calendars".into(), |time| time.to_string())
}

fn innermost(error: &dyn Error) -> &dyn Error {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause
}
