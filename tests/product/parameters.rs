//! A change of a service parameter takes effect for the next request, within two seconds and without a restart (SP-21);
//! and what a phone itself says about logins holds (LI-8, LI-13).

use std::fmt::Debug;
use std::time::{Duration, Instant};

use roamline_proto::auth::ChangeCredentialRequest;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::directory_service_client::DirectoryServiceClient;
use roamline_proto::profile::{
    ApplyResourcesRequest, OffHookPolicy, OwnerPolicy, Phone, Resource, phone, resource,
};
use roamline_proto::session::phone_link_service_client::PhoneLinkServiceClient;
use roamline_proto::session::watch_phone_response::Message;
use roamline_proto::session::{HookState, LoginRequest, ReportPhoneRequest, WatchPhoneRequest};
use tonic::Request;

use crate::clients::{
    Sessions, administrator, furnish, link, login, logout, phone_name, pin, reason, sessions, user,
};
use crate::process::{Server, Site, errors};

/// Ten times what SP-21 allows: a busy machine delays who looks, too. What it took is told.
const WITHIN: Duration = Duration::from_secs(20);

struct Running {
    site: Site,
    server: Server,
    admin: String,
}

impl Running {
    async fn start() -> Self {
        let site = Site::new();
        let server = site.start();
        let admin = administrator(&site, &server).await;
        furnish(&server, &admin, 3).await;
        Self { site, server, admin }
    }

    fn client(&self) -> Sessions {
        sessions(&self.server, &self.admin)
    }

    /// Changes parameters as an administrator does, and looks until that has the effect.
    async fn changed<T: PartialEq + Debug>(
        &self,
        changes: &[&str],
        expected: T,
        mut look: impl AsyncFnMut() -> T,
    ) {
        self.site.json(&[&["parameters", "set"], changes].concat());
        let begun = Instant::now();
        loop {
            let looked = begun.elapsed();
            let seen = look().await;
            if seen == expected {
                return eprintln!("{changes:?} in force after {} ms", looked.as_millis());
            }
            assert!(looked < WITHIN, "{changes:?} after {looked:?}: {seen:?} instead of {expected:?}");
        }
    }
}

/// What came of a login.
async fn outcome(client: &mut Sessions, request: Request<LoginRequest>) -> Result<(), ErrorReason> {
    client.login(request).await.map(|_| ()).map_err(|status| reason(&status))
}

async fn here(client: &mut Sessions) -> Result<(), ErrorReason> {
    outcome(client, Request::new(login(&user(0), &phone_name(0)))).await
}

#[tokio::test]
async fn sp_21_sp_9_and_sp_12_say_where_the_next_login_may_come_from() {
    let running = Running::start().await;
    let mut client = running.client();
    let refused = Err(ErrorReason::SourceNotTrusted);
    assert_eq!(here(&mut client).await, Ok(()));
    let validate = ["validate_ip_address=true", "trusted_sources=192.0.2.1,198.51.100.0/24"];
    running.changed(&validate, refused, async || here(&mut client).await).await;
    running.changed(&["trusted_sources=127.0.0.0/8,::1"], Ok(()), async || here(&mut client).await).await;

    let mut through = async || {
        let mut request = Request::new(login(&user(0), &phone_name(0)));
        request.metadata_mut().insert("x-forwarded-for", "203.0.113.9".parse().unwrap());
        outcome(&mut client, request).await
    };
    assert_eq!(through().await, Err(ErrorReason::ProxyNotAllowed));
    running.changed(&["allow_proxy=true"], Ok(()), through).await;

    running
        .changed(&["validate_ip_address=", "trusted_sources="], Ok(()), async || here(&mut client).await)
        .await;
    let elsewhere = ["same_subnet_only=true", "local_subnets=10.0.0.0/8"];
    running.changed(&elsewhere, refused, async || here(&mut client).await).await;
    running.changed(&["local_subnets=127.0.0.0/8,::1"], Ok(()), async || here(&mut client).await).await;
    let nowhere = running.site.roamctl(&["parameters", "set", "local_subnets="]);
    assert!(errors(&nowhere).contains("SP-12"), "{}", errors(&nowhere));
}

#[tokio::test]
async fn sp_21_sp_4_says_how_many_logins_may_be_in_work() {
    let running = Running::start().await;
    // Each takes as long as a refused credential does.
    let somebody_is_refused = async || {
        let many = (0..4).map(|n| {
            let mut client = sessions(&running.server, "");
            let request =
                LoginRequest { credential: pin("987654"), ..login(&format!("ghost{n}"), &phone_name(0)) };
            async move { outcome(&mut client, Request::new(request)).await }
        });
        futures::future::join_all(many).await.contains(&Err(ErrorReason::TooManyRequests))
    };
    assert!(!somebody_is_refused().await);
    running.changed(&["maximum_concurrent_requests=1"], true, somebody_is_refused).await;
    running.changed(&["maximum_concurrent_requests="], false, somebody_is_refused).await;
}

#[tokio::test]
async fn sp_21_sp_5_sp_6_and_sp_13_decide_the_next_login() {
    let running = Running::start().await;
    let mut client = running.client();
    here(&mut client).await.unwrap();
    let mut elsewhere = async || outcome(&mut client, Request::new(login(&user(0), &phone_name(1)))).await;
    assert_eq!(elsewhere().await, Err(ErrorReason::LoggedInElsewhere));
    running.changed(&["multiple_login_behavior=allowed"], Ok(()), elsewhere).await;

    let mut another = async || outcome(&mut client, Request::new(login(&user(1), &phone_name(0)))).await;
    assert_eq!(another().await, Err(ErrorReason::PhoneOccupied));
    running.changed(&["occupied_phone_behavior=always"], Ok(()), another).await;

    let malformed = Err(ErrorReason::UserIdMalformed);
    running.changed(&["alphanumeric_user_id=false"], malformed, async || here(&mut client).await).await;
    running.changed(&["alphanumeric_user_id="], Ok(()), async || here(&mut client).await).await;
}

#[tokio::test]
async fn sp_21_sp_7_says_whether_the_next_logout_leaves_a_name_behind() {
    let running = Running::start().await;
    let mut client = running.client();
    let mut phones = PhoneLinkServiceClient::new(link(&running.server, &running.admin));
    let mut name_left = async || {
        here(&mut client).await.unwrap();
        client.logout(logout(&phone_name(0))).await.unwrap();
        let watched = phones.watch_phone(WatchPhoneRequest { phone: phone_name(0) }).await.unwrap();
        match watched.into_inner().message().await.unwrap().unwrap().message {
            Some(Message::Update(update)) => update.last_user_id,
            other => panic!("no update: {other:?}"),
        }
    };
    assert_eq!(name_left().await, "");
    running.changed(&["remember_last_user=true"], user(0), &mut name_left).await;
    running.changed(&["remember_last_user=false"], String::new(), &mut name_left).await;
}

#[tokio::test]
async fn sp_21_sp_14_says_what_the_next_credential_must_be() {
    let running = Running::start().await;
    let mut auth = AuthServiceClient::new(link(&running.server, ""));
    let mut change = async || {
        let change =
            ChangeCredentialRequest { name: user(2), current: pin("10002"), replacement: pin("2718") };
        auth.change_credential(change).await.map(|_| ()).map_err(|status| reason(&status))
    };
    assert_eq!(change().await, Err(ErrorReason::CredentialTooWeak));
    running.changed(&["credential_policy.minimum_length=4"], Ok(()), change).await;
    let shown = running.site.json(&["parameters", "get"]);
    assert_eq!(shown["serviceParameters"]["credentialPolicy"]["minimumLength"], 4);
    let wrong = running.site.roamctl(&["parameters", "set", "credential_policy.minimum_length=65"]);
    assert!(errors(&wrong).contains("SP-14"), "{}", errors(&wrong));
}

#[tokio::test]
async fn li_8_and_li_13_a_phone_is_kept_to_its_owner_and_takes_no_login_while_its_handset_is_up() {
    let running = Running::start().await;
    let own = Phone {
        name: phone_name(2),
        model: "8851".into(),
        extension_mobility_enabled: true,
        logout_profile: Some(phone::LogoutProfile::SharedLogoutProfile(1)),
        owner_user_id: user(2),
        owner_policy: OwnerPolicy::OwnerOnly.into(),
        off_hook_policy: OffHookPolicy::Refuse.into(),
        ..Default::default()
    };
    let resources = vec![Resource { kind: Some(resource::Kind::Phone(own)) }];
    DirectoryServiceClient::new(link(&running.server, &running.admin))
        .apply_resources(ApplyResourcesRequest { resources, validate_only: false })
        .await
        .unwrap();
    let mut client = running.client();
    let mut there = async |n| outcome(&mut client, Request::new(login(&user(n), &phone_name(2)))).await;
    assert_eq!(there(0).await, Err(ErrorReason::PhoneReserved));
    assert_eq!(there(2).await, Ok(()));

    let mut phones = PhoneLinkServiceClient::new(link(&running.server, &running.admin));
    for (hook, expected) in
        [(HookState::OffHook, Err(ErrorReason::PhoneOffHook)), (HookState::OnHook, Ok(()))]
    {
        let report =
            ReportPhoneRequest { phone: phone_name(2), hook_state: hook.into(), ..Default::default() };
        phones.report_phone(report).await.unwrap();
        assert_eq!(there(2).await, expected);
    }
}
