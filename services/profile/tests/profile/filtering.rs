//! Lists through filters and in orders.

use std::time::Duration;

use roamline_proto::error::ErrorReason;
use roamline_proto::profile::{
    ApplyResourcesRequest, GetUserDeviceProfileRequest, ListLinesRequest, ListPhonesRequest,
    ListUserDeviceProfilesRequest, Resource, UpdateUserRequest,
};

use crate::site::{IntoResource, Site, fact, fields, line, mask, phone, profile, refused, user, with_lines};

fn lines(filter: &str, order_by: &str) -> ListLinesRequest {
    ListLinesRequest { filter: filter.into(), order_by: order_by.into(), ..Default::default() }
}

async fn names(site: &Site, request: ListLinesRequest) -> Vec<String> {
    let page = site.lines().list_lines(request).await.unwrap().into_inner();
    page.lines.into_iter().map(|line| line.name).collect()
}

#[tokio::test]
async fn a_filter_lets_through_what_it_says() {
    let site = Site::example().await;
    let list = async |filter: &str| {
        let request = ListPhonesRequest { filter: filter.into(), ..Default::default() };
        let page = site.phones().list_phones(request).await.unwrap().into_inner();
        page.phones.into_iter().map(|phone| phone.name).collect::<Vec<_>>()
    };
    assert_eq!(list("model = \"7970\" AND protocol = sip").await, ["SEP0123456789AB"]);
    assert_eq!(list("NOT extension_mobility_enabled").await, Vec::<String>::new());
    assert_eq!(list("shared_logout_profile = 1 AND NOT (model = 7970)").await, ["SEP000DEDAB3566"]);
    let request =
        ListUserDeviceProfilesRequest { filter: "settings.lines.lines = 2005".into(), ..Default::default() };
    let page = site.profiles().list_user_device_profiles(request).await.unwrap().into_inner();
    assert_eq!(page.user_device_profiles.len(), 1);
}

#[tokio::test]
async fn a_filter_or_an_order_that_cannot_be_read_is_refused_with_its_place() {
    let site = Site::example().await;
    let request =
        ListPhonesRequest { filter: "description = x AND modle = 7970".into(), ..Default::default() };
    let refusal = refused(site.phones().list_phones(request).await, ErrorReason::ListQueryInvalid);
    assert_eq!((fields(&refusal), fact(&refusal, "character")), (vec!["filter"], "21"));
    assert!(refusal.violations[0].1.contains("`model`"));
    let request = ListPhonesRequest { order_by: "model".into(), ..Default::default() };
    let refusal = refused(site.phones().list_phones(request).await, ErrorReason::ListQueryInvalid);
    assert_eq!(fields(&refusal), ["order_by"]);
}

#[tokio::test]
async fn lists_go_backwards_and_by_the_time_of_changes() {
    let site = Site::example().await;
    let forwards = names(&site, lines("", "")).await;
    let mut backwards = names(&site, lines("", "name desc")).await;
    backwards.reverse();
    assert_eq!(forwards, backwards);
    let mut by_time = names(&site, lines("", "update_time")).await;
    assert_eq!(by_time.len(), 9);
    by_time.reverse();
    assert_eq!(by_time, names(&site, lines("", "update_time desc")).await);
}

#[tokio::test]
async fn a_token_holds_for_its_own_filter_and_order_alone() {
    let site = Site::example().await;
    let first = ListLinesRequest { page_size: 2, ..lines("name > 2001", "name desc") };
    let page = site.lines().list_lines(first.clone()).await.unwrap().into_inner();
    assert_eq!(page.lines.iter().map(|line| line.name.as_str()).collect::<Vec<_>>(), ["2100", "2008"]);
    let next = ListLinesRequest { page_token: page.next_page_token, ..first };
    assert_eq!(names(&site, next.clone()).await, ["2007", "2006"]);
    for other in [
        ListLinesRequest { filter: "name > 2002".into(), ..next.clone() },
        ListLinesRequest { order_by: "name".into(), ..next.clone() },
        ListLinesRequest { filter: String::new(), ..next },
    ] {
        refused(site.lines().list_lines(other).await, ErrorReason::PageTokenInvalid);
    }
}

#[tokio::test]
async fn a_page_looks_at_so_many_records_and_says_that_there_are_more() {
    let site = Site::empty().await;
    let all: Vec<Resource> = (0..6000).map(|index| line(&format!("3{index:04}")).into_resource()).collect();
    let request = ApplyResourcesRequest { resources: all, validate_only: false };
    site.directory().apply_resources(request).await.unwrap();
    let request = lines("name = 35999", "");
    let page = site.lines().list_lines(request.clone()).await.unwrap().into_inner();
    assert!(page.lines.is_empty() && !page.next_page_token.is_empty());
    let request = ListLinesRequest { page_token: page.next_page_token, ..request };
    let page = site.lines().list_lines(request).await.unwrap().into_inner();
    assert_eq!((page.lines.len(), page.next_page_token.as_str()), (1, ""));
}

#[tokio::test]
async fn dp_5_the_first_user_of_a_profile_is_its_owner_and_his_lines_are_found() {
    let site = Site::example().await;
    let more = vec![
        line("2999").into_resource(),
        profile("shared", with_lines(&["2999"])).into_resource(),
        user("zoe", &["shared"]).into_resource(),
    ];
    site.apply(more).await.unwrap();
    site.time.advance(Duration::from_secs(60));
    site.apply(vec![user("abe", &["shared", "me"]).into_resource()]).await.unwrap();
    let get = |name: &str| GetUserDeviceProfileRequest { name: name.into() };
    let owner = async |name: &str| {
        let found = site.profiles().get_user_device_profile(get(name)).await.unwrap().into_inner();
        found.user_device_profile.unwrap().owner_user_id
    };
    assert_eq!((owner("shared").await.as_str(), owner("me").await.as_str()), ("zoe", "me"));
    let request = ListUserDeviceProfilesRequest { filter: "owner = zoe".into(), ..Default::default() };
    let page = site.profiles().list_user_device_profiles(request).await.unwrap().into_inner();
    let found: Vec<_> = page.user_device_profiles.iter().map(|profile| profile.name.as_str()).collect();
    assert_eq!(found, ["shared"]);
    assert_eq!(names(&site, lines("owner = \"zoe\"", "")).await, ["2999"]);
    assert_eq!(names(&site, lines("owner = abe OR owner = nobody", "")).await, Vec::<String>::new());

    let without = UpdateUserRequest {
        user: Some(user("zoe", &[])),
        update_mask: mask(&["profiles"]),
        validate_only: false,
    };
    site.users().update_user(without).await.unwrap();
    assert_eq!(owner("shared").await, "abe");
}

#[tokio::test]
async fn li_13_a_phone_is_found_by_its_owner() {
    let site = Site::example().await;
    let owned =
        roamline_proto::profile::Phone { owner_user_id: "me".into(), ..phone("SEP001B54CAFE01", "7960") };
    site.apply(vec![owned.into_resource()]).await.unwrap();
    let request = ListPhonesRequest { filter: "owner = me".into(), ..Default::default() };
    let page = site.phones().list_phones(request).await.unwrap().into_inner();
    assert_eq!(page.phones.len(), 1);
}
