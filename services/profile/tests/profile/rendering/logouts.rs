//! What the session service is told before the logouts of many sessions.

use roamline_proto::error::ErrorReason;
use roamline_proto::profile::phone::LogoutProfile;
use roamline_proto::profile::{Phone, PrepareLogoutRequest, PrepareLogoutsRequest, PrepareLogoutsResponse};
use tonic::Status;

use super::{P7960, P7970, SIP, origin, pool};
use crate::site::{IntoResource, Site, fields, phone, refused, with_lines};

const POOLED: &str = "SEP001B54CAFE01";
const UNKNOWN: &str = "SEP000000000001";

async fn prepare(site: &Site, phones: &[&str]) -> Result<PrepareLogoutsResponse, Status> {
    let phones = phones.iter().map(|phone| (*phone).to_owned()).collect();
    Ok(site
        .rendering()
        .prepare_logouts(PrepareLogoutsRequest { phones, ..Default::default() })
        .await?
        .into_inner())
}

async fn site() -> Site {
    let site = Site::example().await;
    let own = Phone {
        device_pool: "lobby".into(),
        logout_profile: None,
        settings: Some(with_lines(&["2001"])),
        ..phone(POOLED, "7960")
    };
    let by_profile = Phone {
        logout_profile: Some(LogoutProfile::UserDeviceProfile("me".into())),
        ..phone("SEP001B54CAFE02", "7970")
    };
    site.apply(vec![pool("lobby"), own.into_resource(), by_profile.into_resource()]).await.unwrap();
    site
}

#[tokio::test]
async fn lo_5_many_phones_are_answered_in_order_as_each_alone_would_be() {
    let site = site().await;
    let phones = [P7960, POOLED, UNKNOWN, "SEP001B54CAFE02", SIP, P7970, POOLED];
    let answer = prepare(&site, &phones).await.unwrap();
    assert_eq!(answer.logouts.len(), phones.len());
    for (phone, logout) in phones.iter().zip(&answer.logouts) {
        assert_eq!(logout.phone, *phone);
        let alone = PrepareLogoutRequest { phone: (*phone).into(), ..Default::default() };
        match site.rendering().prepare_logout(alone).await {
            Ok(alone) => {
                let alone = alone.into_inner();
                assert_eq!(logout.configuration, alone.configuration, "{phone}");
                assert_eq!(answer.service_parameters, alone.service_parameters);
            }
            Err(_) => {
                let refusal = logout.refusal.as_ref().unwrap();
                assert_eq!((refusal.reason(), *phone), (ErrorReason::PhoneNotFound, UNKNOWN));
                assert_eq!((refusal.metadata["phone"].as_str(), &logout.configuration), (UNKNOWN, &None));
            }
        }
    }
    let [without, pooled] = [0, 1].map(|index| answer.logouts[index].configuration.as_ref().unwrap());
    assert_eq!(origin(pooled, "user_hold_audio_source").0, "Blues");
    assert_ne!(origin(without, "user_hold_audio_source").0, "Blues", "a pool is its own phones'");
}

#[tokio::test]
async fn lo_5_many_phones_take_no_more_reads_than_one() {
    let site = site().await;
    site.store.finds();
    prepare(&site, &[P7960]).await.unwrap();
    let for_one = site.store.finds();
    let all = [P7960, POOLED, UNKNOWN, "SEP001B54CAFE02", SIP, P7970].repeat(50);
    assert_eq!(prepare(&site, &all).await.unwrap().logouts.len(), 300);
    assert_eq!((site.store.finds(), for_one), (3, 3));
}

#[tokio::test]
async fn too_many_phones_and_all_malformed_ones_are_refused_at_once() {
    let site = Site::example().await;
    let refusal = refused(prepare(&site, &["door", P7960, "7"]).await, ErrorReason::InvalidRequest);
    assert_eq!(fields(&refusal), ["phones[0]", "phones[2]"]);
    let refusal = refused(prepare(&site, &[P7960; 501]).await, ErrorReason::InvalidRequest);
    assert_eq!(fields(&refusal), ["phones"]);
    assert!(prepare(&site, &[]).await.unwrap().logouts.is_empty());
    site.store.break_down();
    refused(prepare(&site, &[P7960]).await, ErrorReason::StoreUnavailable);
}
