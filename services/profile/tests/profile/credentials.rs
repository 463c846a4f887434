//! The credentials of users who are deleted go before them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use roamline_profile::Credentials;
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::{CommitImportRequest, DeleteUserRequest, GetUserRequest};
use roamline_proto::refusal::Refusal;

use crate::imports::put;
use crate::site::{Site, line, refused};

/// An auth service that remembers whose credentials it has removed.
#[derive(Default)]
pub(crate) struct FakeCredentials {
    removed: Mutex<Vec<String>>,
    broken: AtomicBool,
}

#[async_trait]
impl Credentials for FakeCredentials {
    async fn remove(&self, users: &[String]) -> Result<(), Refusal> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(Refusal::new(ErrorReason::ServiceUnavailable, "the auth service does not answer"));
        }
        self.removed.lock().unwrap().extend_from_slice(users);
        Ok(())
    }
}

impl FakeCredentials {
    fn removed(&self) -> Vec<String> {
        self.removed.lock().unwrap().clone()
    }
}

fn delete(user: &str, etag: &str) -> DeleteUserRequest {
    DeleteUserRequest { user_id: user.into(), etag: etag.into() }
}

#[tokio::test]
async fn sp_14_a_user_is_deleted_once_his_credential_is_gone_and_not_without_that() {
    let site = Site::example().await;
    refused(site.users().delete_user(delete("me", "another")).await, ErrorReason::EtagMismatch);
    refused(site.users().delete_user(delete("nobody", "")).await, ErrorReason::ResourceNotFound);
    assert!(site.credentials.removed().is_empty(), "a deletion that is refused removes nothing");

    site.credentials.broken.store(true, Ordering::SeqCst);
    refused(site.users().delete_user(delete("me", "")).await, ErrorReason::ServiceUnavailable);
    site.users().get_user(GetUserRequest { user_id: "me".into() }).await.unwrap();

    site.credentials.broken.store(false, Ordering::SeqCst);
    site.users().delete_user(delete("me", "")).await.unwrap();
    assert_eq!(site.credentials.removed(), ["me"]);
}

#[tokio::test]
async fn sp_14_an_import_that_deletes_users_removes_their_credentials_when_it_is_committed() {
    let site = Site::example().await;
    let id = site.staged(vec![put(1, line("2001"))]).await;
    let request = CommitImportRequest { import_id: id, prune: true, ..Default::default() };
    let dry = CommitImportRequest { validate_only: true, ..request.clone() };
    assert!(!site.commit_as(dry).await.committed);
    assert!(site.credentials.removed().is_empty());
    site.credentials.broken.store(true, Ordering::SeqCst);
    refused(site.imports().commit_import(request.clone()).await, ErrorReason::ServiceUnavailable);
    site.users().get_user(GetUserRequest { user_id: "me".into() }).await.unwrap();
    site.credentials.broken.store(false, Ordering::SeqCst);
    assert!(site.commit_as(request).await.committed);
    assert_eq!(site.credentials.removed(), ["me"]);
}
