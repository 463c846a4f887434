//! Tokens that the right key has signed and that say what no token of ours does, and whatever else is sent as one. What
//! can be done without the key is tested on a running server, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail so")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::Index;
use roamline_proto::auth::{JsonWebKey, PrincipalKind};
use roamline_token::{FetchError, KeySource, Signer, TokenError, Verifier, generate_key};

const CLUSTER: &str = "roamline:test";
const NOW: i64 = 1_800_000_000;
const HEADER: &str = r#"{"typ":"JWT","alg":"ES256","kid":"a"}"#;

struct Published(Vec<JsonWebKey>);

#[async_trait]
impl KeySource for Published {
    async fn fetch(&self) -> Result<Vec<JsonWebKey>, FetchError> {
        Ok(self.0.clone())
    }
}

/// The key, and who believes it.
struct Cluster {
    key: EcdsaKeyPair,
    verifier: Verifier,
    good: String,
}

impl Cluster {
    fn new() -> Self {
        let key = generate_key().unwrap();
        let signer = Signer::new(CLUSTER, CLUSTER, "a", &key).unwrap();
        let source = Arc::new(Published(vec![signer.public_key().clone()]));
        let now = Timestamp::from_second(NOW).unwrap();
        let hour = Duration::from_secs(3600);
        let good = signer.sign("agent7", PrincipalKind::User, &["session.own"], now, hour).unwrap().token;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key).unwrap();
        Self { key, verifier: Verifier::new(CLUSTER, CLUSTER, source), good }
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64.encode(signature.as_ref()))
    }

    async fn judge(&self, token: &str) -> Result<(), TokenError> {
        let now = Timestamp::from_second(NOW).unwrap();
        self.verifier.caller(token, now, None).await.map(|_| ())
    }
}

/// The claims of a good token, with one of them in another way: `,"sub":"agent7"` stands in place of `sub`.
fn claims(replaced: &str, by: &str) -> String {
    let times = format!(r#","iat":{NOW},"nbf":{NOW},"exp":{}"#, NOW + 3600);
    let all = [
        ("iss", format!(r#","iss":"{CLUSTER}""#)),
        ("aud", format!(r#","aud":"{CLUSTER}""#)),
        ("sub", r#","sub":"agent7""#.to_owned()),
        ("kind", r#","kind":"user""#.to_owned()),
        ("scope", r#","scope":"session.own""#.to_owned()),
        ("times", times),
        ("jti", r#","jti":"1""#.to_owned()),
    ];
    let text: String =
        all.iter().map(|(name, text)| if *name == replaced { by } else { text.as_str() }).collect();
    format!("{{{}}}", text.trim_start_matches(','))
}

fn times(nbf: i64, exp: i64) -> String {
    format!(r#","iat":{NOW},"nbf":{nbf},"exp":{exp}"#)
}

#[tokio::test]
async fn what_the_right_key_has_signed_is_believed_only_if_every_claim_is_right() {
    use TokenError::{Expired, Malformed, NotYetValid, Untrusted};
    let cluster = Cluster::new();
    assert_eq!(
        cluster.judge(&cluster.sign(HEADER, &claims("", ""))).await,
        Ok(()),
        "the way these are signed"
    );
    let wrong = [
        ("iss", r#","iss":"roamline:other""#.to_owned(), Untrusted),
        ("iss", String::new(), Malformed),
        ("iss", r#","iss":["roamline:test","x"]"#.to_owned(), Malformed),
        ("aud", r#","aud":"roamline:other""#.to_owned(), Untrusted),
        ("aud", String::new(), Malformed),
        ("sub", String::new(), Malformed),
        ("sub", r#","sub":"""#.to_owned(), Malformed),
        ("sub", r#","sub":"agent7","sub":"admin""#.to_owned(), Malformed),
        ("kind", r#","kind":"root""#.to_owned(), Malformed),
        ("kind", String::new(), Malformed),
        ("scope", r#","scope":"session.own","scope":"directory.write""#.to_owned(), Malformed),
        ("scope", r#","scope":["directory.write"]"#.to_owned(), Malformed),
        ("times", times(NOW - 7200, NOW - 3600), Expired),
        ("times", times(NOW - 7200, NOW - 30), Expired),
        ("times", times(NOW + 31, NOW + 3600), NotYetValid),
        ("times", times(NOW, i64::MIN), Malformed),
        ("times", times(i64::MAX, i64::MAX), NotYetValid),
        ("times", format!(r#","iat":{NOW},"nbf":{NOW}"#), Malformed),
        ("times", format!(r#","iat":{NOW},"exp":{}"#, NOW + 3600), Malformed),
        ("times", format!(r#","iat":{NOW},"nbf":{NOW},"exp":1e400"#), Malformed),
        ("times", format!(r#","iat":{NOW},"nbf":{NOW},"exp":"{}""#, NOW + 3600), Malformed),
        ("times", format!(r#","iat":{NOW},"nbf":{NOW},"exp":{},"exp":{}"#, NOW - 9, NOW + 3600), Malformed),
    ];
    for (name, by, why) in wrong {
        let claims = claims(name, &by);
        assert_eq!(cluster.judge(&cluster.sign(HEADER, &claims)).await, Err(why), "{claims}");
    }
    assert_eq!(cluster.judge(&cluster.sign(HEADER, "[]")).await, Err(Malformed));
    assert_eq!(cluster.judge(&cluster.sign(HEADER, &"[".repeat(5_000))).await, Err(Malformed), "deep");
    for header in [
        r#"{"alg":"ES256"}"#,
        r#"{"alg":"ES256","kid":"A"}"#,
        r#"{"alg":"ES256","kid":"a "}"#,
        r#"{"alg":"ES256","kid":"../a"}"#,
        r#"{"alg":"ES256","kid":null}"#,
        r#"{"alg":"ES384","kid":"a"}"#,
        r#"{"alg":"HS256","kid":"a"}"#,
        r#"{"alg":"none","kid":"a"}"#,
        r#"{"alg":"es256","kid":"a"}"#,
        r#"{"kid":"a"}"#,
        "{}",
    ] {
        let token = cluster.sign(header, &claims("", ""));
        assert!(cluster.judge(&token).await.is_err(), "{header}");
    }
}

#[tokio::test]
async fn a_token_in_another_spelling_is_another_token_and_not_believed() {
    let cluster = Cluster::new();
    assert_eq!(cluster.judge(&cluster.good).await, Ok(()));
    let (signed, signature) = cluster.good.rsplit_once('.').unwrap();
    let der = [&[0x30, 0x44, 2, 0x20][..], &BASE64.decode(signature).unwrap()].concat();
    for token in [
        format!("{}=", cluster.good),
        format!("{}==", cluster.good),
        format!("{}.", cluster.good),
        format!(".{}", cluster.good),
        format!(" {}", cluster.good),
        format!("{}\n", cluster.good),
        format!("{signed}."),
        signed.to_owned(),
        format!("{signed}.{}", BASE64.encode([0; 64])),
        format!("{signed}.{}", BASE64.encode(der)),
        cluster.good.replace('.', ".\u{200b}"),
    ] {
        assert!(cluster.judge(&token).await.is_err(), "{token}");
    }
}

/// What is done to a token.
fn harmed(good: &str, harms: &[(Index, Option<u8>, bool)]) -> Vec<u8> {
    let mut bytes = good.as_bytes().to_vec();
    for (at, byte, insert) in harms {
        let at = at.index(bytes.len().max(1));
        match byte {
            Some(byte) if *insert => bytes.insert(at, *byte),
            Some(byte) if at < bytes.len() => bytes[at] = *byte,
            _ => bytes.truncate(at),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let cluster = Cluster::new();
        prop_assert!(runtime.block_on(cluster.judge(&String::from_utf8_lossy(&bytes))).is_err());
    }

    #[test]
    fn any_parts_in_base64_are_refused(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..6)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let token: Vec<_> = parts.iter().map(|part| BASE64.encode(part)).collect();
        prop_assert!(runtime.block_on(Cluster::new().judge(&token.join("."))).is_err());
    }

    #[test]
    fn a_good_token_with_anything_done_to_it_is_refused(
        harms in proptest::collection::vec((any::<Index>(), any::<Option<u8>>(), any::<bool>()), 1..5)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let cluster = Cluster::new();
        let harmed = String::from_utf8_lossy(&harmed(&cluster.good, &harms)).into_owned();
        prop_assume!(harmed != cluster.good);
        prop_assert!(runtime.block_on(cluster.judge(&harmed)).is_err(), "{harmed}");
    }

    #[test]
    fn whatever_the_right_key_has_signed_is_judged(claims in "\\PC{0,200}", header in "\\PC{0,80}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let cluster = Cluster::new();
        prop_assert!(runtime.block_on(cluster.judge(&cluster.sign(HEADER, &claims))).is_err());
        prop_assert!(runtime.block_on(cluster.judge(&cluster.sign(&header, &claims))).is_err());
    }
}
