//! Tokens that nobody signed, or somebody else did. What a stranger has to begin with is what the server publishes, and
//! a token of his own. Tokens of the right key with wrong claims are tested where the key is, in `roamline-token`.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{GetJsonWebKeySetRequest, JsonWebKey, PrincipalKind, SignInRequest};
use roamline_proto::error::ErrorReason;
use roamline_proto::session::ListSessionsRequest;
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_token::{Signer, generate_key};
use serde_json::{Value, json};
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};

use crate::clients::{channel, link, pin, reason, sessions, user};
use crate::victim::Victim;
use crate::wire;

fn encoded(text: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

fn decoded(part: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()
}

/// What is known to whoever asks: the server's key, and one's own token.
struct Known {
    key: JsonWebKey,
    header: Value,
    claims: Value,
    signature: Vec<u8>,
    token: String,
}

impl Known {
    async fn of(victim: &Victim) -> Self {
        let mut auth = AuthServiceClient::new(link(&victim.server, ""));
        let keys = auth.get_json_web_key_set(GetJsonWebKeySetRequest {}).await.unwrap().into_inner().keys;
        let request = SignInRequest { name: user(1), credential: pin("10001") };
        let token = auth.sign_in(request).await.unwrap().into_inner().access_token;
        let parts: Vec<_> = token.split('.').map(decoded).collect();
        let header: Value = serde_json::from_slice(&parts[0]).unwrap();
        let kid = header["kid"].as_str().unwrap();
        let key = keys.into_iter().find(|key| key.kid == kid).expect("the key is published");
        let claims = serde_json::from_slice(&parts[1]).unwrap();
        Self { key, header, claims, signature: parts[2].clone(), token }
    }

    /// The claims of an administrator.
    fn wished(&self) -> Value {
        let mut claims = self.claims.clone();
        claims["sub"] = "admin".into();
        claims["kind"] = "administrator".into();
        claims["scope"] = "session.read session.manage directory.write credential.write".into();
        claims
    }

    fn unsigned(&self, header: &Value) -> String {
        format!("{}.{}", encoded(header.to_string()), encoded(self.wished().to_string()))
    }

    fn with(&self, fields: &Value) -> Value {
        let mut header = self.header.clone();
        for (name, value) in fields.as_object().unwrap() {
            header[name] = value.clone();
        }
        header
    }

    /// The public key in every form in which somebody may take it for a shared secret.
    fn shapes(&self) -> Vec<Vec<u8>> {
        let (x, y) = (decoded(&self.key.x), decoded(&self.key.y));
        let both = [x.clone(), y].concat();
        let point = [&[4], &both[..]].concat();
        let head = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
        let der = [&head[..], &point].concat();
        let text = BASE64_STANDARD.encode(&der);
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n",
            &text[..64],
            &text[64..]
        );
        let kid = self.key.kid.clone().into_bytes();
        vec![
            x,
            both,
            point,
            der,
            pem.trim_end().into(),
            pem.into_bytes(),
            self.key.x.clone().into_bytes(),
            kid,
            Vec::new(),
        ]
    }

    fn all(&self) -> Vec<(String, String)> {
        let mut forged = Vec::new();
        for none in ["none", "None", "NONE", "nOnE", ""] {
            let token = self.unsigned(&self.with(&json!({ "alg": none })));
            forged.push((format!("alg {none:?}"), format!("{token}.")));
            forged.push((
                format!("alg {none:?} with a signature"),
                format!("{token}.{}", encoded(&self.signature)),
            ));
            forged.push((format!("alg {none:?} in two parts"), token));
        }
        for (name, algorithm) in
            [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
        {
            for (n, secret) in self.shapes().iter().enumerate() {
                let token = self.unsigned(&self.with(&json!({ "alg": name })));
                let tag = hmac::sign(&hmac::Key::new(algorithm, secret), token.as_bytes());
                forged.push((
                    format!("{name} with the public key, {n}"),
                    format!("{token}.{}", encoded(tag.as_ref())),
                ));
            }
        }
        for (what, header) in self.headers() {
            let token = self.unsigned(&header);
            forged.push((what, format!("{token}.{}", encoded(&self.signature))));
        }
        forged.extend(self.signatures());
        forged
    }

    /// Headers that ask for a key of the forger's choice, or for none.
    fn headers(&self) -> Vec<(String, Value)> {
        let kids = [
            json!("../../../../dev/null"),
            json!("/proc/self/environ"),
            json!("' UNION SELECT 'x"),
            json!("https://127.0.0.1:1/keys"),
            json!("k\u{0}"),
            json!("k".repeat(3_000)),
            json!(""),
            json!(null),
            json!(0),
            json!(["k"]),
            json!({ "kid": "k" }),
        ];
        let mut headers: Vec<_> = kids
            .into_iter()
            .map(|kid| (format!("kid {:.40}", kid.to_string()), self.with(&json!({ "kid": kid }))))
            .collect();
        let own = json!({ "kty": "EC", "crv": "P-256", "x": self.key.y, "y": self.key.x });
        for (what, fields) in [
            ("jwk", json!({ "jwk": own })),
            ("jku", json!({ "jku": "http://127.0.0.1:1/jwks.json" })),
            ("x5u", json!({ "x5u": "http://127.0.0.1:1/x.pem" })),
            ("x5c", json!({ "x5c": ["MAA="] })),
            ("crit", json!({ "crit": ["exp"], "exp": 0 })),
            ("zip", json!({ "zip": "DEF" })),
            ("RS256", json!({ "alg": "RS256" })),
            ("ES384", json!({ "alg": "ES384" })),
            ("EdDSA", json!({ "alg": "EdDSA" })),
            ("alg that is no text", json!({ "alg": 1 })),
        ] {
            headers.push((what.to_owned(), self.with(&fields)));
        }
        headers.push(("no object".into(), json!("ES256")));
        headers
    }

    /// The right header, and signatures that are none.
    fn signatures(&self) -> Vec<(String, String)> {
        let wished = self.unsigned(&self.header);
        let own = &self.token;
        let (signed, signature) = own.rsplit_once('.').unwrap();
        let mut forged: Vec<_> = [
            ("none", String::new()),
            ("zeros", encoded([0; 64])),
            ("ones", encoded([0xff; 64])),
            ("the order of the curve", encoded([order(), order()].concat())),
            ("half", encoded(&self.signature[..32])),
            ("a byte more", encoded([&self.signature[..], &[0]].concat())),
            ("in DER", encoded([&[0x30, 6, 2, 1, 1, 2, 1, 1][..]].concat())),
            ("of other claims", signature.to_owned()),
            ("padded", format!("{signature}==")),
        ]
        .into_iter()
        .map(|(what, signature)| (format!("signature: {what}"), format!("{wished}.{signature}")))
        .collect();
        // His own token, not quite.
        for (what, token) in [
            ("padded", format!("{own}==")),
            ("with a part more", format!("{own}.{signature}")),
            ("with a space in it", format!("{} {}", &own[..10], &own[10..])),
            ("in capitals", own.to_uppercase()),
            ("cut", own[..own.len() - 40].to_owned()),
            ("spelt in another way", format!("{signed}.{}", respelt(signature))),
        ] {
            forged.push((format!("own token {what}"), token));
        }
        forged.push(("long".into(), format!("{wished}.{}", "A".repeat(8 << 10))));
        forged.push(("dots".into(), ".".repeat(1000)));
        forged
    }
}

/// The same bytes in base64 with other bits after their end.
fn respelt(signature: &str) -> String {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (start, last) = signature.split_at(signature.len() - 1);
    let place = LETTERS.find(last).unwrap();
    format!("{start}{}", &LETTERS[place + 1..place + 2])
}

/// The order of P-256: a signature of it is one of zeros to whoever reduces it first.
fn order() -> Vec<u8> {
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    (0..32).map(|n| u8::from_str_radix(&order[2 * n..2 * n + 2], 16).unwrap()).collect()
}

async fn list(victim: &Victim, authorizations: &[&str]) -> Result<(), Status> {
    let mut request = Request::new(ListSessionsRequest::default());
    for value in authorizations {
        request.metadata_mut().append("authorization", MetadataValue::try_from(*value).unwrap());
    }
    SessionServiceClient::new(channel(&victim.server)).list_sessions(request).await.map(|_| ())
}

fn is_invalid(what: &str, answer: Result<(), Status>) {
    let status = answer.expect_err(what);
    assert_eq!(
        (reason(&status), status.code()),
        (ErrorReason::TokenInvalid, Code::Unauthenticated),
        "{what}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_forged_token_is_believed() {
    let victim = Victim::new(2).await;
    let known = Known::of(&victim).await;
    let forged = known.all();
    for (what, forged) in &forged {
        is_invalid(what, list(&victim, &[&format!("Bearer {forged}")]).await);
    }
    let text = |name: &str| known.claims[name].as_str().unwrap().to_owned();
    let impostor = Signer::new(text("iss"), text("aud"), &known.key.kid, &generate_key().unwrap()).unwrap();
    let now = jiff::Timestamp::from_second(known.claims["iat"].as_i64().unwrap()).unwrap();
    let hour = std::time::Duration::from_secs(3600);
    let kind = PrincipalKind::Administrator;
    let signed = impostor.sign("admin", kind, &["session.read"], now, hour).unwrap().token;
    is_invalid("another key under its name", list(&victim, &[&format!("Bearer {signed}")]).await);

    let own = list(&victim, &[&format!("Bearer {}", known.token)]).await;
    let reach = own.err().map(|status| reason(&status));
    assert!(matches!(reach, None | Some(ErrorReason::ScopeMissing)), "his own token is good: {reach:?}");
    victim.survives(&format!("{} forged tokens", forged.len() + 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_authorization_is_one_bearer_token_in_its_header() {
    let victim = Victim::new(2).await;
    let good = format!("Bearer {}", victim.admin);
    list(&victim, &[&good]).await.expect("the administrator's token");
    list(&victim, &[&good.replace("Bearer", "bEARER")]).await.expect("the scheme in other letters");
    for (what, values) in [
        ("twice", vec![good.as_str(), good.as_str()]),
        ("good, then bad", vec![good.as_str(), "Bearer x"]),
        ("bad, then good", vec!["Bearer x", good.as_str()]),
        ("two in one", vec![&format!("{good}, {good}")]),
        ("no scheme", vec![victim.admin.as_str()]),
        ("another scheme", vec![&good.replace("Bearer", "Basic")]),
        ("nothing", vec![""]),
        ("a scheme alone", vec!["Bearer"]),
        ("no token", vec!["Bearer "]),
    ] {
        is_invalid(what, list(&victim, &values).await);
    }
    // In the address, in a cookie, and where proxies put what they have checked, it is no token.
    let path = "/roamline.session.v1.SessionService/ListSessions";
    let token = &victim.admin;
    for (path, header) in [
        (format!("{path}?access_token={token}"), String::new()),
        (path.to_owned(), format!("Cookie: authorization={token}\r\n")),
        (path.to_owned(), format!("X-Forwarded-Authorization: {good}\r\n")),
        (path.to_owned(), format!("Proxy-Authorization: {good}\r\n")),
        (path.to_owned(), format!("Grpc-Metadata-Authorization: {good}\r\n")),
    ] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/grpc-web+proto\r\n{header}Content-Length: 5\r\n\r\n"
        );
        let answer = wire::say(victim.api(), &[request.as_bytes(), &[0; 5]].concat()).await;
        assert_eq!(answer.statuses(), [16], "{header}: {}", answer.text());
    }
    let oversized = format!("Bearer {}", "x".repeat(64 << 10));
    list(&victim, &[&oversized]).await.expect_err("more than all headers may have");
    sessions(&victim.server, token).list_sessions(ListSessionsRequest::default()).await.expect("as before");
    victim.survives("authorizations that are none").await;
}
