//! An OpenID provider on loopback that says what a test tells it to, and counts who asks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::Ed25519KeyPair;
use axum::Router;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use roamline_token::{IntrospectionConfig, IssuerConfig, generate_key};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::{AUDIENCE, NOW};

pub(crate) struct Provider {
    pub(crate) url: String,
    said: Arc<Said>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct Said {
    url: Mutex<String>,
    keys: Mutex<Vec<Value>>,
    tokens: Mutex<HashMap<String, Value>>,
    fetched: AtomicUsize,
    asked: AtomicUsize,
    authorization: Mutex<String>,
    down: AtomicBool,
}

type Answer = (StatusCode, String);

impl Said {
    fn answer(&self, value: &Value) -> Answer {
        match self.down.load(Ordering::SeqCst) {
            true => (StatusCode::BAD_GATEWAY, String::new()),
            false => (StatusCode::OK, value.to_string()),
        }
    }
}

async fn discovery(State(said): State<Arc<Said>>) -> Answer {
    let url = said.url.lock().unwrap().clone();
    said.answer(&json!({"issuer": url, "jwks_uri": format!("{url}/keys")}))
}

async fn keys(State(said): State<Arc<Said>>) -> Answer {
    said.fetched.fetch_add(1, Ordering::SeqCst);
    let keys = said.keys.lock().unwrap().clone();
    said.answer(&json!({ "keys": keys }))
}

async fn introspect(State(said): State<Arc<Said>>, headers: HeaderMap, form: String) -> Answer {
    said.asked.fetch_add(1, Ordering::SeqCst);
    *said.authorization.lock().unwrap() = headers[AUTHORIZATION].to_str().unwrap().to_owned();
    let token = form.strip_prefix("token=").unwrap().split('&').next().unwrap();
    let known = said.tokens.lock().unwrap().get(token).cloned();
    said.answer(&known.unwrap_or_else(|| json!({"active": false})))
}

impl Provider {
    pub(crate) async fn start(keys_of: &[&Key]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let said = Arc::new(Said { url: Mutex::new(url.clone()), ..Said::default() });
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/introspect", post(introspect))
            .with_state(Arc::clone(&said));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let provider = Self { url, said, _serving: serving };
        provider.publish(keys_of);
        provider
    }

    pub(crate) fn publish(&self, keys: &[&Key]) {
        *self.said.keys.lock().unwrap() = keys.iter().map(|key| key.public.clone()).collect();
    }

    pub(crate) fn publish_raw(&self, keys: Vec<Value>) {
        *self.said.keys.lock().unwrap() = keys;
    }

    /// Says of itself that it is another one.
    pub(crate) fn call_itself(&self, url: &str) {
        url.clone_into(&mut self.said.url.lock().unwrap());
    }

    pub(crate) fn knows(&self, token: &str, answer: Value) {
        self.said.tokens.lock().unwrap().insert(token.into(), answer);
    }

    pub(crate) fn go_away(&self, away: bool) {
        self.said.down.store(away, Ordering::SeqCst);
    }

    /// How often its keys were fetched.
    pub(crate) fn fetched(&self) -> usize {
        self.said.fetched.load(Ordering::SeqCst)
    }

    /// How often it was asked about a token.
    pub(crate) fn asked(&self) -> usize {
        self.said.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn authorization(&self) -> String {
        self.said.authorization.lock().unwrap().clone()
    }

    pub(crate) fn config(&self) -> IssuerConfig {
        IssuerConfig {
            issuer: self.url.clone(),
            audiences: [AUDIENCE.to_owned()].into(),
            ..Default::default()
        }
    }

    pub(crate) fn introspecting(&self) -> IssuerConfig {
        let introspection: IntrospectionConfig = toml::from_str(&format!(
            "endpoint = '{}/introspect'\nclient_id = 'roamline'\nclient_secret = 'a secret: 5 %'",
            self.url
        ))
        .unwrap();
        IssuerConfig { introspection, ..self.config() }
    }

    /// The claims of a good token of an agent, with some of them in another way; null is to leave one out.
    pub(crate) fn claims(&self, other: &Value) -> Value {
        let mut claims = json!({
            "iss": self.url, "aud": AUDIENCE, "sub": "Agent7", "client_id": "desktop", "jti": "1",
            "iat": NOW, "exp": NOW + 300,
        });
        for (name, value) in other.as_object().unwrap() {
            match value {
                Value::Null => claims.as_object_mut().unwrap().remove(name),
                value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
            };
        }
        claims
    }
}

/// A key of a provider, and what it publishes of it.
pub(crate) struct Key {
    pub(crate) kid: String,
    algorithm: Algorithm,
    private: EncodingKey,
    pub(crate) public: Value,
}

impl Key {
    pub(crate) fn new(kid: &str, algorithm: Algorithm) -> Self {
        let private = match algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_der(&generate_key().unwrap()),
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::generate().unwrap();
                EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref())
            }
            _ => {
                let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
                EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap()
            }
        };
        let mut public = serde_json::to_value(Jwk::from_encoding_key(&private, algorithm).unwrap()).unwrap();
        public["kid"] = json!(kid);
        public["use"] = json!("sig");
        Self { kid: kid.into(), algorithm, private, public }
    }

    pub(crate) fn es256(kid: &str) -> Self {
        Self::new(kid, Algorithm::ES256)
    }

    pub(crate) fn header(&self) -> Header {
        Header { typ: Some("at+jwt".into()), kid: Some(self.kid.clone()), ..Header::new(self.algorithm) }
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_with(&self.header(), claims)
    }

    pub(crate) fn sign_with(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &self.private).unwrap()
    }
}
