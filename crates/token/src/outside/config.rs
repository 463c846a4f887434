//! What can be set about issuers outside of the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use jsonwebtoken::Algorithm;
use roamline_proto::auth::Role;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

/// The longest that a positive answer to an introspection may be remembered.
const CACHE_AT_MOST: Duration = Duration::from_secs(60);
/// The longest that an issuer may take for an answer.
const TIMEOUT_AT_MOST: Duration = Duration::from_secs(30);
/// Keys are fetched at most this often before anybody needs them.
const REFRESH_AT_LEAST: Duration = Duration::from_secs(10);

/// What is wrong with the settings of an issuer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct SsoError {
    place: String,
    problem: String,
}

impl SsoError {
    pub(super) fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into() }
    }

    /// The same, with its place in the section around it.
    pub(super) fn within(self, section: &str) -> Self {
        Self { place: format!("{section}.{}", self.place), ..self }
    }
}

/// The section `sso`: OpenID Connect issuers whose access tokens are believed, beside those of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SsoConfig {
    /// The issuers, each a table `[[sso.issuers]]`.
    pub issuers: Vec<IssuerConfig>,
}

/// One issuer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IssuerConfig {
    /// The issuer's URL, exactly as its tokens have it in `iss`.
    pub issuer: String,
    /// What its tokens name as their audience when they are for this cluster; one of these must be in `aud`.
    pub audiences: BTreeSet<String>,
    /// With which algorithms it may sign: `RS256`, `ES256`, `EdDSA`.
    pub algorithms: BTreeSet<SignatureAlgorithm>,
    /// Where its keys are published; empty is what `ISSUER/.well-known/openid-configuration` says.
    pub jwks_uri: String,
    /// How often the keys are fetched before anybody needs one.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub jwks_refresh_every: Duration,
    /// How long keys are used that cannot be fetched anew.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub jwks_keep_for: Duration,
    /// The claim that names the user: `sub`, `preferred_username`, `email`, or another one.
    pub user_claim: String,
    /// What stands after the user id in that claim, such as `@example.org`; a token without it is refused.
    pub strip_suffix: String,
    /// The claim with roles or groups: its name, or a path with dots to it such as `realm_access.roles`. Empty is none.
    pub roles_claim: String,
    /// Which role each value of that claim gives; other values give none.
    pub roles: BTreeMap<String, MappedRole>,
    /// The roles of a user to whom no value gives one. Only `agent`, `supervisor`, `helpdesk` and `auditor` can stand here.
    pub default_roles: BTreeSet<MappedRole>,
    /// A scope that a token must have; empty is none.
    pub required_scope: String,
    /// How long after it was issued a token is good at most, whatever it says itself; 0 is without limit.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub max_age: Duration,
    /// Whether signed tokens must be of the type `at+jwt` (RFC 9068).
    pub require_at_jwt: bool,
    /// Certificates of the authorities to believe when the issuer is asked (PEM), read again when it changes; none is those
    /// of the system.
    pub ca_file: PathBuf,
    /// Whether it may be asked without TLS beyond this machine.
    pub allow_http: bool,
    /// How long it may take for an answer.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// How opaque tokens are judged.
    pub introspection: IntrospectionConfig,
}

impl Default for IssuerConfig {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audiences: BTreeSet::new(),
            algorithms: SignatureAlgorithm::ALL.into(),
            jwks_uri: String::new(),
            jwks_refresh_every: Duration::from_mins(5),
            jwks_keep_for: Duration::from_hours(24),
            user_claim: "sub".into(),
            strip_suffix: String::new(),
            roles_claim: String::new(),
            roles: BTreeMap::new(),
            default_roles: [MappedRole::Agent].into(),
            required_scope: String::new(),
            max_age: Duration::ZERO,
            require_at_jwt: false,
            ca_file: PathBuf::new(),
            allow_http: false,
            timeout: Duration::from_secs(3),
            introspection: IntrospectionConfig::default(),
        }
    }
}

/// How an issuer is asked about tokens that only it can read (RFC 7662).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IntrospectionConfig {
    /// Where to ask; empty is not to ask. Tokens without a signature go to the one issuer that has this.
    pub endpoint: String,
    /// As which client.
    pub client_id: String,
    /// The client's secret.
    #[schemars(with = "String")]
    pub client_secret: ClientSecret,
    /// A file with the secret, in place of `client_secret`, read again when it changes.
    pub client_secret_file: PathBuf,
    /// How long a token that was active is taken for active without asking again, at most 1m.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub cache_for: Duration,
}

impl Default for IntrospectionConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            client_id: String::new(),
            client_secret: ClientSecret::default(),
            client_secret_file: PathBuf::new(),
            cache_for: Duration::from_secs(10),
        }
    }
}

/// A secret that is neither printed nor written out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct ClientSecret(SecretString);

impl PartialEq for ClientSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Serialize for ClientSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("")
    }
}

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum SignatureAlgorithm {
    /// RSA with PKCS#1 v1.5 and SHA-256.
    RS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

impl SignatureAlgorithm {
    const ALL: [Self; 3] = [Self::RS256, Self::ES256, Self::EdDSA];

    pub(super) fn of_jwt(self) -> Algorithm {
        match self {
            Self::RS256 => Algorithm::RS256,
            Self::ES256 => Algorithm::ES256,
            Self::EdDSA => Algorithm::EdDSA,
        }
    }
}

/// A role that a token from outside can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MappedRole {
    /// An agent.
    Agent,
    /// A supervisor.
    Supervisor,
    /// Of the help desk.
    Helpdesk,
    /// An auditor.
    Auditor,
    /// An application that acts for users.
    Application,
    /// An administrator.
    Administrator,
}

impl MappedRole {
    pub(super) fn role(self) -> Role {
        match self {
            Self::Agent => Role::Agent,
            Self::Supervisor => Role::Supervisor,
            Self::Helpdesk => Role::Helpdesk,
            Self::Auditor => Role::Auditor,
            Self::Application => Role::Application,
            Self::Administrator => Role::Administrator,
        }
    }
}

impl SsoConfig {
    /// What can be told without asking an issuer.
    ///
    /// # Errors
    /// The first setting that cannot be.
    pub fn check(&self) -> Result<(), SsoError> {
        let mut names = BTreeSet::new();
        for (number, issuer) in self.issuers.iter().enumerate() {
            let within = |error: SsoError| error.within(&format!("issuers[{number}]"));
            issuer.check().map_err(within)?;
            if !names.insert(issuer.issuer.as_str()) {
                return Err(within(SsoError::new("issuer", "another one has the same URL")));
            }
        }
        let mut asked = self.issuers.iter().enumerate().filter(|(_, one)| one.introspects());
        if let (Some(_), Some((number, _))) = (asked.next(), asked.next()) {
            let place = format!("issuers[{number}].introspection.endpoint");
            let problem =
                "another issuer has one, and a token without a signature says nothing of its issuer";
            return Err(SsoError::new(place, problem));
        }
        Ok(())
    }
}

impl IssuerConfig {
    fn introspects(&self) -> bool {
        !self.introspection.endpoint.is_empty()
    }

    fn check(&self) -> Result<(), SsoError> {
        let wrong = |key: &str, problem: &str| Err(SsoError::new(key, problem));
        if self.issuer.is_empty() {
            return wrong("issuer", "is missing");
        }
        let (key, of_keys) = self.of_keys();
        address(&of_keys, self.allow_http).map_err(|problem| SsoError::new(key, problem))?;
        if self.audiences.is_empty() || self.audiences.contains("") {
            return wrong("audiences", "at least one is needed, and none can be empty");
        }
        if self.algorithms.is_empty() {
            return wrong("algorithms", "at least one is needed");
        }
        if self.user_claim.is_empty() {
            return wrong("user_claim", "is missing");
        }
        if self.roles_claim.is_empty() != self.roles.is_empty() {
            return wrong("roles", "roles and roles_claim belong together, and one is missing");
        }
        if self.default_roles.iter().any(|role| role.needs_to_be_mapped()) {
            return wrong(
                "default_roles",
                "administrators and applications are named by roles, and by nothing else",
            );
        }
        if self.jwks_refresh_every < REFRESH_AT_LEAST {
            return wrong("jwks_refresh_every", "must be at least 10s");
        }
        if self.jwks_keep_for < self.jwks_refresh_every {
            return wrong("jwks_keep_for", "must be at least jwks_refresh_every");
        }
        if self.timeout.is_zero() || self.timeout > TIMEOUT_AT_MOST {
            return wrong("timeout", "must be more than 0s and at most 30s");
        }
        self.introspection.check(self.allow_http).map_err(|error| error.within("introspection"))
    }

    /// The setting that says where the keys are, and where they are or where that is said.
    pub(super) fn of_keys(&self) -> (&'static str, String) {
        if self.jwks_uri.is_empty() {
            return (
                "issuer",
                format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/')),
            );
        }
        ("jwks_uri", self.jwks_uri.clone())
    }
}

impl MappedRole {
    /// Whether it is more than what a user is.
    fn needs_to_be_mapped(self) -> bool {
        matches!(self, Self::Application | Self::Administrator)
    }
}

impl IntrospectionConfig {
    fn check(&self, allow_http: bool) -> Result<(), SsoError> {
        let wrong = |key: &str, problem: &str| Err(SsoError::new(key, problem));
        if self.endpoint.is_empty() {
            return match *self == (Self { cache_for: self.cache_for, ..Self::default() }) {
                true => Ok(()),
                false => wrong("endpoint", "is missing"),
            };
        }
        address(&self.endpoint, allow_http).map_err(|problem| SsoError::new("endpoint", problem))?;
        if self.client_id.is_empty() {
            return wrong("client_id", "is missing");
        }
        if self.cache_for > CACHE_AT_MOST {
            return wrong("cache_for", "must be at most 1m");
        }
        self.secret().map(drop)
    }

    /// The client's secret, from wherever it is.
    pub(super) fn secret(&self) -> Result<SecretString, SsoError> {
        let file = &self.client_secret_file;
        match (self.client_secret.0.expose_secret(), file.as_os_str().is_empty()) {
            ("", true) => Err(SsoError::new("client_secret", "is missing")),
            (_, true) => Ok(self.client_secret.0.clone()),
            ("", false) => secret_in(file).map_err(|problem| SsoError::new("client_secret_file", problem)),
            (_, false) => Err(SsoError::new("client_secret", "client_secret_file is set, too")),
        }
    }
}

fn secret_in(file: &Path) -> Result<SecretString, String> {
    let content =
        std::fs::read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    secret_of(&content).map_err(|problem| format!("{} {problem}", file.display()))
}

/// The secret that is a file's content.
pub(super) fn secret_of(content: &[u8]) -> Result<SecretString, String> {
    match std::str::from_utf8(content).map(str::trim) {
        Ok("") => Err("is empty".to_owned()),
        Ok(text) => Ok(SecretString::from(text)),
        Err(_) => Err("is no text".to_owned()),
    }
}

/// An address that may be asked: with TLS, or on this machine, or where the operator allows it.
pub(super) fn address(text: &str, allow_http: bool) -> Result<Uri, String> {
    let wrong = || "is not an address such as https://login.example.org/keys".to_owned();
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(wrong());
    }
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if allow_http || is_local(host) => Ok(uri),
        Some("http") => {
            Err("is without TLS and leaves this machine; begin it with https://, or set allow_http".into())
        }
        _ => Err(wrong()),
    }
}

fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}
