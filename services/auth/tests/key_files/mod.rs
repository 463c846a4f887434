//! Signing keys in files that the operator names, and keys that are published no more.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::KeyPair;
use roamline_auth::{Auth, AuthConfig};
use roamline_proto::auth::RotateSigningKeysRequest;
use roamline_proto::error::ErrorReason;
use roamline_serve::{Clock, Ids};
use roamline_store::memory::MemoryStore;
use roamline_token::TokenError;

use crate::site::{Site, cheap, pin, refusal, user};
use crate::tokens::{before_long, published};

fn write_key(file: &Path) {
    std::fs::write(file, KeyPair::generate().unwrap().serialize_pem()).unwrap();
}

fn two_keys(folder: &Path) -> Vec<PathBuf> {
    let files = ["one.pem", "two.pem"].map(|name| folder.join(name));
    files.iter().for_each(|file| write_key(file));
    files.into()
}

fn with(key_files: Vec<PathBuf>) -> AuthConfig {
    let mut config = cheap();
    config.tokens.key_files = key_files;
    config
}

async fn kids(site: &Site) -> Vec<String> {
    published(site).await.into_iter().map(|key| key.kid).collect()
}

#[tokio::test]
async fn keys_in_files_are_used_as_they_change() {
    let folder = tempfile::tempdir().unwrap();
    let files = two_keys(folder.path());
    let site = Site::start(with(files.clone())).await;
    site.set(vec![user("agent7", "12345")]).await.unwrap();
    let verifier = site.auth.verifier();
    let token = site.sign_in("agent7", pin("12345")).await.unwrap().access_token;
    verifier.verify(&token, site.clock.now()).await.unwrap();
    let before = kids(&site).await;
    assert_eq!(before, [site.auth.signer().public_key().kid, before[1].clone()]);

    files.iter().for_each(|file| write_key(file));
    before_long("the new keys are taken", || async {
        kids(&site).await.iter().all(|kid| !before.contains(kid))
    })
    .await;
    assert_eq!(site.auth.signer().public_key().kid, kids(&site).await[0]);
    before_long("its key is published no more", || async {
        verifier.verify(&token, site.clock.now()).await.is_err_and(|error| error == TokenError::Untrusted)
    })
    .await;
    site.stop().await;
}

#[tokio::test]
async fn a_key_file_that_is_compromised_gives_way_to_the_next_and_stays_away() {
    let folder = tempfile::tempdir().unwrap();
    let config = with(two_keys(folder.path()));
    let site = Site::start(config.clone()).await;
    let before = kids(&site).await;
    let rotate = |compromised| RotateSigningKeysRequest { compromised };
    refusal(site.administrator().rotate_signing_keys(rotate(false)).await, ErrorReason::InvalidRequest);
    let rotated = site.administrator().rotate_signing_keys(rotate(true)).await.unwrap().into_inner();
    assert_eq!((&rotated.current_kid, rotated.next_kid.as_str()), (&before[1], ""));
    refusal(site.administrator().rotate_signing_keys(rotate(true)).await, ErrorReason::InvalidRequest);
    let site = site.restart(config).await;
    assert_eq!(kids(&site).await, before[1..], "it is refused for good");
    site.stop().await;
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_when_the_service_begins() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.pem");
    let build = async |config: AuthConfig| {
        let (clock, _) = Clock::manual("2026-11-01T08:00:00Z".parse().unwrap());
        let store = Arc::new(MemoryStore::new());
        let cluster = "test".parse().unwrap();
        Auth::build(&config, store, &cluster, clock, Ids::new()).await.map(|_| ()).unwrap_err().to_string()
    };
    let told = build(with(vec![absent.clone()])).await;
    assert!(told.starts_with("auth.tokens.key_files: ") && told.contains("absent.pem"), "{told}");
    let mut both = with(vec![absent.clone()]);
    both.tokens.key_encryption_file = absent;
    let told = build(both).await;
    assert!(told.contains("tokens.key_encryption_file") && told.contains("tokens.key_files"), "{told}");
}
