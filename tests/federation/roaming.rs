//! An agent of one cluster at a phone of another.

use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{
    Credential, NewCredential, PrincipalKind, SetCredentialsRequest, SignInRequest, credential,
};
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::{
    AgentSettings, DeviceSettings, LineControl, MultipleLoginBehavior, OffHookPolicy, OwnerPolicy, Phone,
    ProfileLine, ServiceParameters, UserDeviceProfile, phone, resource,
};
use roamline_proto::session::phone_link_service_client::PhoneLinkServiceClient;
use roamline_proto::session::{HookState, ReportPhoneRequest, WatchPhoneRequest};

use crate::world::{World, pin, reason, until};

fn minutes(number: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds: number * 60, nanos: 0 })
}

#[tokio::test(flavor = "multi_thread")]
async fn xc_3_an_agent_has_his_own_lines_at_another_clusters_phone_until_either_side_ends_it() {
    let world = World::of(&["berlin", "paris", "rome"]).await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    let made = paris.login(&berlin.user(0), &paris.phone(0)).await.unwrap();
    let (session, worn) = (made.session.unwrap(), made.configuration.unwrap());
    assert_eq!((session.user_id.as_str(), session.lines.as_slice()), ("berlin.0", &["2000".to_owned()][..]));
    assert_eq!(session.phone, paris.phone(0));
    let roaming = worn.cross_cluster.clone().unwrap();
    assert_eq!((roaming.home_cluster.as_str(), roaming.visiting_cluster.as_str()), ("berlin", "paris"));
    assert_eq!(roaming.configuration_server, "tftp.test.example");
    // XC-7: the visiting side's numbers and gateways; adjunct before EMCC search space.
    assert_eq!(worn.emergency_numbers.first().map(String::as_str), Some("115"));
    assert_eq!(roaming.local_route_group, "paris-gateways");
    assert_eq!(roaming.search_spaces.last().map(String::as_str), Some("roaming"));
    // SP-3 of 10:00 on both sides, under one id.
    let ids = |sessions: Vec<roamline_proto::session::Session>| -> Vec<String> {
        sessions.into_iter().map(|session| session.session_id).collect()
    };
    let at_home = berlin.live().await;
    assert_eq!(at_home[0].phone, roaming.base_device);
    for half in [&at_home[0], &session] {
        let length = half.expire_time.unwrap().seconds - half.login_time.unwrap().seconds;
        assert!((35_999..=36_000).contains(&length), "{length}");
    }
    assert_eq!(ids(at_home), std::slice::from_ref(&session.session_id));
    assert_eq!(berlin.halves().await.1, 1);

    // The visiting side ends it: the home follows.
    paris.logout(&session.session_id).await.unwrap();
    berlin.is_empty().await;
    // The home ends it: the phone is free again.
    let again = paris.login(&berlin.user(0), &paris.phone(0)).await.unwrap().session.unwrap();
    assert_ne!(again.session_id, session.session_id);
    berlin.logout(&again.session_id).await.unwrap();
    paris.is_empty().await;
    berlin.is_empty().await;
    assert!(world["rome"].live().await.is_empty());
    // A user of nobody, as one with a wrong PIN: nothing is left.
    let nobody = paris.login("nobody.7", &paris.phone(0)).await.unwrap_err();
    assert_eq!(reason(&nobody), (ErrorReason::CredentialRefused, Some(2)));
    assert!(paris.halves().await.0.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn xc_2_the_home_alone_proves_an_agent_and_the_visiting_cluster_keeps_nothing_to_do_so() {
    let world = World::of(&["berlin", "paris"]).await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    let agent = berlin.user(0);
    let session = paris.login(&agent, &paris.phone(0)).await.unwrap().session.unwrap();
    paris.logout(&session.session_id).await.unwrap();
    berlin.is_empty().await;
    let sign_in = SignInRequest { name: agent.clone(), credential: pin() };
    let abroad = AuthServiceClient::new(paris.channel()).sign_in(sign_in.clone()).await.unwrap_err();
    assert_eq!(reason(&abroad).0, ErrorReason::CredentialRefused);
    AuthServiceClient::new(berlin.channel()).sign_in(sign_in).await.unwrap();

    // What is changed at home holds at once at the phone abroad.
    let changed = Some(Credential { kind: Some(credential::Kind::Pin("50284".into())) });
    let own = NewCredential {
        name: agent.clone(),
        principal_kind: PrincipalKind::User.into(),
        credential: changed.clone(),
        ..NewCredential::default()
    };
    let request = SetCredentialsRequest { credentials: vec![own], validate_only: false };
    AuthServiceClient::new(berlin.link()).set_credentials(request).await.unwrap();
    let old = paris.login(&agent, &paris.phone(0)).await.unwrap_err();
    assert_eq!(reason(&old), (ErrorReason::CredentialRefused, Some(2)));
    assert!(paris.halves().await.0.is_empty());
    paris.login_with(&agent, &paris.phone(0), changed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn xc_5_multiple_login_behaviour_holds_across_clusters() {
    let world = World::of(&["berlin", "paris", "rome"]).await;
    let (berlin, paris, rome) = (&world["berlin"], &world["paris"], &world["rome"]);
    let first = paris.login(&berlin.user(0), &paris.phone(0)).await.unwrap().session.unwrap();
    let refused = rome.login(&berlin.user(0), &rome.phone(0)).await.unwrap_err();
    assert_eq!(reason(&refused), (ErrorReason::LoggedInElsewhere, Some(25)));
    assert!(refused.message().contains(&paris.phone(0)), "{}", refused.message());
    let at_home = berlin.login(&berlin.user(0), &berlin.phone(0)).await.unwrap_err();
    assert_eq!(reason(&at_home).0, ErrorReason::LoggedInElsewhere);

    let auto = ServiceParameters {
        multiple_login_behavior: MultipleLoginBehavior::AutoLogout.into(),
        ..ServiceParameters::default()
    };
    berlin.apply(vec![resource::Kind::ServiceParameters(auto)]).await;
    let second = rome.login(&berlin.user(0), &rome.phone(0)).await.unwrap();
    assert_ne!(second.session.unwrap().session_id, first.session_id);
    paris.is_empty().await;
    berlin.login(&berlin.user(0), &berlin.phone(0)).await.unwrap();
    rome.is_empty().await;
    until("only the session at home is left", async || {
        let (halves, held) = berlin.halves().await;
        halves.is_empty() && held == 0 && berlin.live().await.len() == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn li_10_a_phone_that_refuses_an_agent_leaves_his_session_elsewhere_alone() {
    let world = World::of(&["berlin", "paris", "rome"]).await;
    let (berlin, paris, rome) = (&world["berlin"], &world["paris"], &world["rome"]);
    let auto = ServiceParameters {
        multiple_login_behavior: MultipleLoginBehavior::AutoLogout.into(),
        ..ServiceParameters::default()
    };
    berlin.apply(vec![resource::Kind::ServiceParameters(auto)]).await;
    let kept = |n, phone: Phone| Phone {
        name: paris.phone(n),
        model: "8851".into(),
        extension_mobility_enabled: true,
        logout_profile: Some(phone::LogoutProfile::SharedLogoutProfile(1)),
        ..phone
    };
    let reserved = Phone {
        owner_user_id: paris.user(1),
        owner_policy: OwnerPolicy::OwnerOnly.into(),
        ..Phone::default()
    };
    let quiet = Phone { off_hook_policy: OffHookPolicy::Refuse.into(), ..Phone::default() };
    paris
        .apply([(1, reserved), (3, quiet)].map(|(n, phone)| resource::Kind::Phone(kept(n, phone))).into())
        .await;
    let lifted = ReportPhoneRequest {
        phone: paris.phone(3),
        hook_state: HookState::OffHook.into(),
        ..Default::default()
    };
    let mut phones = PhoneLinkServiceClient::new(paris.link());
    let linked = phones.watch_phone(WatchPhoneRequest { phone: paris.phone(3) }).await.unwrap();
    linked.into_inner().message().await.unwrap().expect("the phone is linked");
    phones.report_phone(lifted).await.unwrap();
    paris.login(&paris.user(0), &paris.phone(0)).await.unwrap();

    let session = rome.login(&berlin.user(0), &rome.phone(0)).await.unwrap().session.unwrap();
    let wrong = Some(Credential { kind: Some(credential::Kind::Pin("99999".into())) });
    for (phone, expected) in
        [(0, ErrorReason::PhoneOccupied), (1, ErrorReason::PhoneReserved), (3, ErrorReason::PhoneOffHook)]
    {
        // His home comes first (LI-2).
        let guess = paris.login_with(&berlin.user(0), &paris.phone(phone), wrong.clone()).await.unwrap_err();
        assert_eq!(reason(&guess).0, ErrorReason::CredentialRefused);
        let refused = paris.login(&berlin.user(0), &paris.phone(phone)).await.unwrap_err();
        assert_eq!(reason(&refused).0, expected);
    }
    assert!(paris.halves().await.0.is_empty());
    let (halves, held) = berlin.halves().await;
    assert_eq!((halves.len(), held), (1, 1));
    assert_eq!(rome.live().await[0].session_id, session.session_id);
    assert_eq!(berlin.live().await[0].session_id, session.session_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn cc_7_an_acd_line_is_judged_by_its_own_cluster_alone() {
    let world = World::of(&["berlin", "paris"]).await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    // Line 2000 of the one cluster is not line 2000 of the other.
    for cluster in [berlin, paris] {
        let lines = vec![ProfileLine { lines: vec!["2000".into()], ..Default::default() }];
        let agent = |n| {
            let agent =
                AgentSettings { line_control: LineControl::MultiLine.into(), acd_line: "2000".into() };
            resource::Kind::UserDeviceProfile(UserDeviceProfile {
                name: cluster.user(n),
                settings: Some(DeviceSettings { lines: lines.clone(), ..Default::default() }),
                agent: Some(agent),
                ..Default::default()
            })
        };
        cluster.apply(vec![agent(0)]).await;
    }
    let own = paris.login(&paris.user(0), &paris.phone(0)).await.unwrap().session.unwrap();
    let roaming = paris.login(&berlin.user(0), &paris.phone(1)).await.unwrap().session.unwrap();
    assert_eq!((own.lines, roaming.lines), (vec!["2000".to_owned()], vec!["2000".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn xc_8_a_user_asks_for_less_time_and_never_for_more_than_sp_3() {
    let world = World::of(&["berlin", "paris"]).await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    let short =
        ServiceParameters { inter_cluster_maximum_login_time: minutes(30), ..ServiceParameters::default() };
    paris.apply(vec![resource::Kind::ServiceParameters(short)]).await;
    // The visiting side's SP-3 is shorter, and holds there by itself.
    until("the parameter is in force", async || {
        let made = paris.login(&berlin.user(0), &paris.phone(0)).await.unwrap().session.unwrap();
        let length = made.expire_time.unwrap().seconds - made.login_time.unwrap().seconds;
        paris.logout(&made.session_id).await.unwrap();
        berlin.is_empty().await;
        length == 1800
    })
    .await;
}
