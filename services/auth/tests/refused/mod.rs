//! Who has not proven who he is, in the audit trail (EV-1).

use std::sync::Arc;

use roamline_auth::{AuthConfig, Limit, ThrottleConfig};
use roamline_domain::audit::AuditKind;
use roamline_proto::auth::{ChangeCredentialRequest, IssueServiceTokenRequest, NewCredential};
use roamline_proto::error::ErrorReason;
use roamline_store::{AuditQuery, AuditStore};
use serde_json::Value;

use crate::site::{Site, cheap, pin, refusal, user};

#[tokio::test]
async fn ev_1_who_fails_to_sign_in_is_in_the_audit_trail_whether_he_exists_or_not() {
    let throttle =
        ThrottleConfig { by_user: Limit { failures: 2, a_minute: 1 }, ..ThrottleConfig::default() };
    let site = Site::start(AuthConfig { throttle, ..cheap() }).await;
    let initial = NewCredential { must_change: true, ..user("new", "24680135") };
    site.set(vec![user("agent7", "12345"), user("agent8", "12345"), initial]).await.unwrap();

    site.sign_in("agent7", pin("12345")).await.unwrap();
    for name in ["agent7", "nobody"] {
        for _ in 0..2 {
            refusal(site.sign_in(name, pin("99887766")).await, ErrorReason::CredentialRefused);
        }
        for _ in 0..3 {
            refusal(site.sign_in(name, pin("99887766")).await, ErrorReason::TooManyRequests);
        }
    }
    refusal(site.sign_in("new", pin("24680135")).await, ErrorReason::CredentialMustChange);
    let change = ChangeCredentialRequest {
        name: "agent8".into(),
        current: pin("99887766"),
        replacement: pin("31415926"),
    };
    refusal(site.client().change_credential(change).await, ErrorReason::CredentialRefused);
    let service = IssueServiceTokenRequest { service: "session".into(), secret: "99887766".repeat(4) };
    refusal(site.client().issue_service_token(service).await, ErrorReason::CredentialRefused);
    // The session service has this in its own records, with the phone.
    refusal(site.verify_from("192.0.2.1", "agent8", "99887766").await, ErrorReason::CredentialRefused);

    let store = Arc::clone(&site.store);
    site.stop().await;
    let records = store.records(&AuditQuery::default(), 0, 100).await.unwrap();
    assert!(records.iter().all(|record| record.kind == AuditKind::SignInRefused), "{records:?}");
    let told: Vec<_> = records
        .iter()
        .map(|record| {
            assert!(!record.body.contains("99887766") && !record.body.contains("24680135"));
            let body: Value = serde_json::from_str(&record.body).unwrap();
            assert_eq!(
                (&body["user"], &body["kind"]),
                (&record.user.as_str().into(), &"sign-in-refused".into())
            );
            assert_eq!(body["actor"]["source"], "127.0.0.1");
            let text = |key: &str| body[key].as_str().unwrap().to_owned();
            (record.user.clone(), text("reason"), text("request"), body["more"].as_u64().unwrap_or_default())
        })
        .collect();
    // One may be told before the others of its kind come, so that two records say what one could.
    let sum = |name: &str, reason: &str, request: &str| -> u64 {
        let of = told
            .iter()
            .filter(|(a, b, c, _)| (a.as_str(), b.as_str(), c.as_str()) == (name, reason, request));
        of.map(|(.., more)| more + 1).sum()
    };
    for (name, reason, request, number) in [
        ("agent7", "CREDENTIAL_REFUSED", "SignIn", 2),
        ("agent7", "TOO_MANY_REQUESTS", "SignIn", 3),
        ("nobody", "CREDENTIAL_REFUSED", "SignIn", 2),
        ("nobody", "TOO_MANY_REQUESTS", "SignIn", 3),
        ("new", "CREDENTIAL_MUST_CHANGE", "SignIn", 1),
        ("agent8", "CREDENTIAL_REFUSED", "ChangeCredential", 1),
        ("session", "CREDENTIAL_REFUSED", "IssueServiceToken", 1),
    ] {
        assert_eq!(sum(name, reason, request), number, "{name} {reason} {request}: {told:?}");
    }
    assert_eq!(told.iter().map(|(.., more)| more + 1).sum::<u64>(), 13, "{told:?}");
}
