//! Service parameters at a login: what is refused by them, and how soon every replica obeys a change (SP-21).

use std::sync::Arc;

use roamline_domain::parameters::{
    ClearCallLogs, MultipleLogin, OccupiedPhone, ServiceParameters, address_range,
};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_proto::session as wire;
use tokio::sync::Semaphore;
use tokio::time::{Duration, Instant, timeout};
use tonic::{Request, Status};

use crate::harness::*;

/// Logins are taken from these ranges only (SP-9).
fn trusting(ranges: &[&str]) -> ServiceParameters {
    ServiceParameters {
        validate_ip_address: true,
        trusted_sources: ranges.iter().map(|range| address_range(range).unwrap()).collect(),
        ..Default::default()
    }
}

/// Logins are taken from this subnet only (SP-12).
fn local(range: &str) -> ServiceParameters {
    ServiceParameters {
        same_subnet_only: true,
        local_subnets: vec![address_range(range).unwrap()],
        ..Default::default()
    }
}

async fn outcome(cluster: &Cluster) -> Result<(), ErrorReason> {
    let answer = cluster.administrator().login(by_token("agent7", PHONE)).await;
    answer.map(|_| ()).map_err(|status| Refusal::from_status(&status).unwrap().reason)
}

#[tokio::test]
async fn sp_9_a_login_from_an_address_that_is_not_trusted_is_refused_before_the_directory_is_asked() {
    let cluster = cluster().await;
    cluster.say(|script| {
        script.policy = trusting(&["192.0.2.0/24"]);
        script.before = Some(Refusal::new(ErrorReason::PhoneNotFound, "scripted"));
    });
    cluster.heard().await;
    let told = cluster.administrator().login(by_token("agent7", PHONE)).await;
    let refusal = Refusal::from_status(&told.unwrap_err()).unwrap();
    assert_eq!(refusal.reason, ErrorReason::SourceNotTrusted);
    assert_eq!(refusal.metadata["sourceAddress"], "127.0.0.1");
    assert_eq!(refusal.metadata["emApiCode"], "28");
    let malformed = cluster.administrator().login(by_token("agent7", "no phone")).await;
    assert_eq!(reason(malformed), ErrorReason::InvalidRequest, "malformed comes first (LI-2)");

    cluster.say(|script| {
        script.policy = trusting(&["192.0.2.0/24", "127.0.0.1"]);
        script.before = None;
    });
    cluster.heard().await;
    assert_eq!(outcome(&cluster).await, Ok(()));
}

#[tokio::test]
async fn sp_9_a_login_by_way_of_a_proxy_needs_a_trusted_proxy_and_that_proxies_are_allowed() {
    let cluster = cluster().await;
    let through = async |header: &'static str| {
        let mut request = Request::new(by_token("agent7", PHONE));
        request.metadata_mut().insert(header, "203.0.113.9".parse().unwrap());
        cluster.administrator().login(request).await.map(|_| ())
    };
    through("via").await.expect("nothing is asked where sources are not validated");
    cluster.say(|script| script.policy = trusting(&["127.0.0.0/8"]));
    cluster.heard().await;
    for header in ["via", "forwarded", "x-forwarded-for"] {
        assert_eq!(reason(through(header).await), ErrorReason::ProxyNotAllowed, "{header}");
    }
    assert_eq!(outcome(&cluster).await, Ok(()), "without a proxy");
    cluster.say(|script| script.policy.allow_proxy = true);
    cluster.heard().await;
    through("x-forwarded-for").await.expect("the proxy is trusted, whatever it says of others");
    cluster.say(|script| script.policy.trusted_sources = vec![address_range("203.0.113.9").unwrap()]);
    cluster.heard().await;
    assert_eq!(reason(through("x-forwarded-for").await), ErrorReason::SourceNotTrusted, "the peer counts");
}

#[tokio::test]
async fn sp_12_a_login_from_elsewhere_is_refused_where_logins_are_for_the_site() {
    let cluster = cluster().await;
    cluster.say(|script| script.policy = local("10.1.0.0/16"));
    cluster.heard().await;
    assert_eq!(outcome(&cluster).await, Err(ErrorReason::SourceNotTrusted));
    cluster.say(|script| script.policy = local("127.0.0.0/8"));
    cluster.heard().await;
    assert_eq!(outcome(&cluster).await, Ok(()));
}

#[tokio::test]
async fn sp_9_what_the_directory_says_of_a_login_counts_though_it_was_not_heard_before() {
    let cluster = cluster().await;
    cluster.say(|script| {
        script.silent = true;
        script.policy = trusting(&[]);
    });
    assert_eq!(outcome(&cluster).await, Err(ErrorReason::SourceNotTrusted));
}

#[tokio::test]
async fn sp_21_the_last_parameters_known_hold_while_the_directory_is_silent() {
    let cluster = cluster().await;
    cluster.say(|script| script.policy = trusting(&[]));
    cluster.heard().await;
    cluster.say(|script| {
        script.silent = true;
        script.policy = ServiceParameters::default();
    });
    cluster.heard().await;
    assert_eq!(outcome(&cluster).await, Err(ErrorReason::SourceNotTrusted));
    cluster.say(|script| script.silent = false);
    cluster.heard().await;
    assert_eq!(outcome(&cluster).await, Ok(()));
}

#[tokio::test]
async fn sp_4_a_login_beyond_the_limit_is_told_when_to_come_back_and_the_limit_follows_the_parameter() {
    let cluster = cluster().await;
    let gate = Arc::new(Semaphore::new(0));
    cluster.say(|script| {
        script.policy.maximum_concurrent_requests = 2;
        script.gate = Some(Arc::clone(&gate));
    });
    cluster.heard().await;
    let (mut one, mut two) = (cluster.stranger(), cluster.stranger());
    let (first, second, ()) =
        tokio::join!(one.login(login("agent1", PHONE)), two.login(login("agent2", OTHER)), async {
            cluster.verifying(2).await;
            let third = cluster.stranger().login(login("agent3", "SEP020000000003")).await.unwrap_err();
            let refusal = Refusal::from_status(&third).unwrap();
            assert_eq!(refusal.reason, ErrorReason::TooManyRequests);
            assert!(refusal.retry_after.is_some());
            cluster.say(|script| script.policy.validate_ip_address = true);
            cluster.heard().await;
            let untrusted = cluster.stranger().login(login("agent3", "SEP020000000003")).await;
            assert_eq!(reason(untrusted), ErrorReason::SourceNotTrusted, "which comes before it (LI-2)");
            cluster.say(|script| script.policy.validate_ip_address = false);
            cluster.say(|script| script.policy.maximum_concurrent_requests = 3);
            cluster.heard().await;
            gate.add_permits(3);
            cluster.stranger().login(login("agent3", "SEP020000000003")).await.unwrap();
        });
    first.unwrap();
    second.unwrap();
}

/// Logs in at a replica again and again until that comes to what is expected.
async fn comes_to(cluster: &Cluster, expected: Result<(), ErrorReason>) -> Duration {
    let begun = Instant::now();
    let obeyed = async {
        while outcome(cluster).await != expected {
            tokio::task::yield_now().await;
        }
    };
    timeout(WITHIN, obeyed).await.unwrap_or_else(|_| panic!("{expected:?} does not come (SP-21)"));
    begun.elapsed()
}

#[tokio::test]
async fn sp_21_every_replica_obeys_a_change() {
    let one = cluster().await;
    let two = replica(one.store.clone(), one.script.clone(), one.clock.clone(), one.hand.clone()).await;
    let refused = Err(ErrorReason::SourceNotTrusted);
    for (policy, expected) in [
        (trusting(&["192.0.2.1"]), refused),
        (trusting(&["127.0.0.1"]), Ok(())),
        (local("192.0.2.0/24"), refused),
        (local("127.0.0.0/8"), Ok(())),
        (ServiceParameters { multiple_login: MultipleLogin::Allowed, ..Default::default() }, Ok(())),
    ] {
        one.say(|script| script.policy = policy);
        let (a, b) = tokio::join!(comes_to(&one, expected), comes_to(&two, expected));
        eprintln!("in force after {a:?} and {b:?}; SP-21 allows 2 s");
    }
}

#[tokio::test]
async fn sp_21_what_a_login_is_decided_by_is_as_the_directory_says_it_at_that_login() {
    let cluster = cluster().await;
    let mut admin = cluster.administrator();
    admin.login(by_token("agent7", PHONE)).await.unwrap();
    let mut elsewhere = async |multiple_login| {
        cluster.say(|script| script.policy.multiple_login = multiple_login);
        admin.login(by_token("agent7", OTHER)).await.map(|answer| answer.into_inner().ended_sessions.len())
    };
    assert_eq!(reason(elsewhere(MultipleLogin::NotAllowed).await), ErrorReason::LoggedInElsewhere, "SP-5");
    assert_eq!(elsewhere(MultipleLogin::AutoLogout).await.unwrap(), 1, "SP-5");
    let occupied = async |occupied_phone| -> Result<(), Status> {
        cluster.say(|script| script.policy.occupied_phone = occupied_phone);
        cluster.administrator().login(by_token("agent8", OTHER)).await.map(|_| ())
    };
    assert_eq!(reason(occupied(OccupiedPhone::Refuse).await), ErrorReason::PhoneOccupied, "SP-13");
    occupied(OccupiedPhone::Always).await.expect("SP-13");
}

#[tokio::test]
async fn sp_7_and_sp_8_reach_the_phone() {
    let cluster = cluster().await;
    for (remember_last_user, clear_call_logs, told, cleared) in
        [(true, ClearCallLogs::Never, "agent7", false), (false, ClearCallLogs::EveryLogout, "", true)]
    {
        cluster.say(|script| {
            script.policy = ServiceParameters { remember_last_user, clear_call_logs, ..Default::default() };
        });
        cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
        cluster.administrator().logout(logout(PHONE)).await.unwrap();
        let request = wire::WatchPhoneRequest { phone: PHONE.into() };
        let mut link = cluster.phones().watch_phone(request).await.unwrap().into_inner();
        let Some(wire::watch_phone_response::Message::Update(update)) =
            next(&mut link).await.unwrap().unwrap().message
        else {
            panic!("no update")
        };
        assert_eq!(update.last_user_id, told, "SP-7");
        assert_eq!(update.actions.unwrap().clear_call_history, cleared, "SP-8");
    }
}

#[tokio::test]
async fn li_13_a_phone_that_its_owner_keeps_to_himself_is_refused_once_the_user_is_authenticated() {
    let cluster = cluster().await;
    cluster.say(|script| {
        script.owner = Some(Refusal::new(ErrorReason::PhoneReserved, "scripted").with("userId", "agent9"));
        script.verify = Some(Refusal::new(ErrorReason::CredentialRefused, "scripted"));
    });
    assert_eq!(
        reason(cluster.stranger().login(login("agent7", PHONE)).await),
        ErrorReason::CredentialRefused
    );
    cluster.say(|script| script.verify = None);
    let told = metadata(cluster.stranger().login(login("agent7", PHONE)).await);
    assert_eq!(told["userId"], "agent9");
    assert!(cluster.sessions().await.is_empty());
}

#[tokio::test]
async fn li_8_a_phone_whose_handset_is_up_waits_or_refuses_as_its_policy_says() {
    let cluster = cluster().await;
    let mut link = cluster.phones();
    link.watch_phone(wire::WatchPhoneRequest { phone: PHONE.into() }).await.unwrap();
    let hook = |state: wire::HookState| wire::ReportPhoneRequest {
        phone: PHONE.into(),
        hook_state: state.into(),
        ..Default::default()
    };
    link.report_phone(hook(wire::HookState::OffHook)).await.unwrap();
    cluster.say(|script| script.refuse_off_hook = true);
    let told = cluster.administrator().login(by_token("agent7", PHONE)).await;
    assert_eq!(metadata(told)["phone"], PHONE);
    assert_eq!(outcome(&cluster).await, Err(ErrorReason::PhoneOffHook));
    assert!(cluster.sessions().await.is_empty());
    link.report_phone(hook(wire::HookState::OnHook)).await.unwrap();
    assert_eq!(outcome(&cluster).await, Ok(()));
    link.report_phone(hook(wire::HookState::OffHook)).await.unwrap();
    cluster.say(|script| script.refuse_off_hook = false);
    assert_eq!(outcome(&cluster).await, Ok(()), "accepted, and pending until the handset is down");
}
