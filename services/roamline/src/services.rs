//! The section `[services]`: where the other services are when each is a process of its own, and how a process comes by
//! the ways to them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use roamline_serve::{CallTls, Elsewhere, Tasks, Way};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::cli::Role;
use crate::config::Secret;

/// Where the services are that a process of `roamline serve` calls. Each is named by an address, `https://host:7400`, or
/// several with commas between them; a host that stands for several addresses is all of them. Calls are spread over all
/// that serve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ServicesConfig {
    /// The auth service.
    pub auth: String,
    /// The profile service.
    pub profile: String,
    /// The session service.
    pub session: String,
    /// The emcc service. Without it the session service looks for users in no other cluster.
    pub emcc: String,
    /// What proves to the auth service that a process is one of the services, where its certificate does not.
    #[schemars(with = "String")]
    pub secret: Secret,
    /// A file with that secret, in place of `secret`; it is read again for each token.
    pub secret_file: PathBuf,
    /// How long a connection to another service may take to be made.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// TLS to other services.
    pub tls: CallTls,
}

impl Default for ServicesConfig {
    fn default() -> Self {
        Self {
            auth: String::new(),
            profile: String::new(),
            session: String::new(),
            emcc: String::new(),
            secret: Secret::default(),
            secret_file: PathBuf::new(),
            connect_timeout: Duration::from_secs(1),
            tls: CallTls::default(),
        }
    }
}

impl ServicesConfig {
    /// The secret as it is now, if there is one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn secret(&self) -> anyhow::Result<Option<SecretString>> {
        self.secret.or_in("services.secret", &self.secret_file)
    }

    /// Where another service is; `why` that must be known.
    ///
    /// # Errors
    /// When it is not said, or cannot be called there.
    fn service(&self, role: Role, why: &str) -> anyhow::Result<Elsewhere> {
        let address = match role {
            Role::Auth => &self.auth,
            Role::Profile => &self.profile,
            Role::Session => &self.session,
            Role::Emcc => &self.emcc,
        };
        let name = role.name();
        ensure!(!address.is_empty(), "services.{name} is not set, and {why}");
        let found = Elsewhere::new(address, &self.tls, self.connect_timeout);
        found.with_context(|| format!("services.{name}"))
    }
}

/// The services that a role calls, by role.
pub(crate) enum Called {
    /// The auth service asks the profile service for the credential policy.
    Auth { profile: Elsewhere },
    /// The profile service asks the session service who wears what.
    Profile { auth: Elsewhere, session: Elsewhere },
    /// The session service asks both others about each login.
    Session { auth: Elsewhere, profile: Elsewhere, emcc: Option<Elsewhere> },
    /// The emcc service asks all others about each login from or to another cluster.
    Emcc { auth: Elsewhere, profile: Elsewhere, session: Elsewhere },
}

impl Called {
    /// Those of a role.
    ///
    /// # Errors
    /// When the configuration does not say where one of them is, or it cannot be called there.
    pub(crate) fn by(role: Role, config: &ServicesConfig) -> anyhow::Result<Self> {
        ensure!(!config.connect_timeout.is_zero(), "services.connect_timeout is 0");
        config.secret()?;
        let tokens = || {
            let why = format!(
                "the {} service has its tokens and the keys that verify them from there",
                role.name()
            );
            config.service(Role::Auth, &why)
        };
        Ok(match role {
            Role::Auth => {
                let why = "the auth service asks there for the credential policy";
                Self::Auth { profile: config.service(Role::Profile, why)? }
            }
            Role::Profile => {
                let why = "the profile service asks there who wears a profile before it is deleted";
                Self::Profile { auth: tokens()?, session: config.service(Role::Session, why)? }
            }
            Role::Session => {
                let why = "the session service asks there what a phone shall wear";
                let emcc = match config.emcc.is_empty() {
                    true => None,
                    false => Some(config.service(Role::Emcc, "")?),
                };
                Self::Session { auth: tokens()?, profile: config.service(Role::Profile, why)?, emcc }
            }
            Role::Emcc => {
                let why = "the emcc service asks there about logins from and to other clusters";
                let (profile, session) =
                    (config.service(Role::Profile, why)?, config.service(Role::Session, why)?);
                Self::Emcc { auth: tokens()?, profile, session }
            }
        })
    }
}

/// The way to a service, which finds its replicas by itself.
///
/// # Errors
/// When the files of TLS have become unusable.
pub(crate) fn way(role: Role, elsewhere: &Elsewhere, tasks: &Tasks) -> anyhow::Result<Way> {
    let task = match role {
        Role::Auth => "auth service",
        Role::Profile => "profile service",
        Role::Session => "session service",
        Role::Emcc => "emcc service",
    };
    if elsewhere.is_readable() {
        tracing::warn!("the {task} is called without TLS beyond this machine: PINs and tokens can be read");
    }
    elsewhere.channel(task, tasks).map(Way::from).with_context(|| format!("services.{}", role.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(role: Role, text: &str) -> Result<(), String> {
        let config: ServicesConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        Called::by(role, &config).map(|_| ()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_role_names_the_service_that_it_misses() {
        assert_eq!(by(Role::Auth, "profile = 'http://localhost:1'"), Ok(()));
        let both = "auth = 'http://localhost:1'\n";
        for (role, text, says) in [
            (Role::Auth, "", "services.profile is not set"),
            (Role::Profile, both, "services.session is not set"),
            (Role::Session, both, "services.profile is not set"),
            (Role::Session, "", "services.auth is not set"),
        ] {
            let refused = by(role, text).unwrap_err();
            assert!(refused.contains(says), "{refused}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused_with_its_place() {
        for (text, says) in [
            ("profile = 'localhost:1'", "services.profile: \"localhost:1\" is not an address"),
            ("profile = 'http://a:1'\n[tls]\nca_file = '/x'", "services.profile: tls is set"),
            ("profile = 'http://localhost:1'\nconnect_timeout = '0s'", "services.connect_timeout is 0"),
            (
                "secret = 's3cret'\nsecret_file = '/x'",
                "services.secret and services.secret_file are both set",
            ),
            ("secret_file = '/nonexistent/secret'", "/nonexistent/secret cannot be read"),
            ("gateway = 'http://a:1'", "unknown field `gateway`"),
        ] {
            let refused = by(Role::Auth, text).unwrap_err();
            assert!(refused.contains(says) && !refused.contains("s3cret"), "{text}: {refused}");
        }
    }
}
