//! Lists, page by page.

use roamline_proto::error::ErrorReason;
use roamline_proto::profile::{
    DeviceSettings, ListDefaultDeviceProfilesRequest, ListLinesRequest, ListLogoutProfilesRequest,
    ListPhonesRequest, ListUserDeviceProfilesRequest, ListUsersRequest,
};

use crate::site::{IntoResource, Site, default_profile, line, logout_profile, profile, refused, user};

async fn many() -> Site {
    let site = Site::empty().await;
    let lines = (0..250).map(|index| line(&format!("3{index:03}")).into_resource());
    let tags = (1..=12).map(|tag| logout_profile(tag, &["3000"]).into_resource());
    site.apply(lines.chain(tags).collect()).await.unwrap();
    site
}

/// The names of each page.
async fn pages(site: &Site, page_size: u32) -> Vec<Vec<String>> {
    let (mut pages, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListLinesRequest { page_size, page_token, ..Default::default() };
        let page = site.lines().list_lines(request).await.unwrap().into_inner();
        pages.push(page.lines.into_iter().map(|line| line.name).collect());
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return pages;
        }
    }
}

#[tokio::test]
async fn two_hundred_and_fifty_records_come_in_pages_each_once_and_in_order() {
    let site = many().await;
    let all: Vec<String> = (0..250).map(|index| format!("3{index:03}")).collect();
    for (size, lengths) in
        [(0, vec![100, 100, 50]), (125, vec![125, 125]), (249, vec![249, 1]), (5000, vec![250])]
    {
        let found = pages(&site, size).await;
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), lengths);
        assert_eq!(found.concat(), all);
    }
}

#[tokio::test]
async fn tags_are_listed_as_numbers() {
    let site = many().await;
    let request = ListLogoutProfilesRequest::default();
    let found = site.logout_profiles().list_logout_profiles(request).await.unwrap().into_inner();
    let tags: Vec<_> = found.logout_profiles.iter().map(|profile| profile.tag).collect();
    assert_eq!(tags, (1..=12).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_token_of_another_list_or_of_nobody_is_refused() {
    let site = many().await;
    let more = ["a", "b"].map(|id| user(id, &[]).into_resource());
    let profiles = ["p", "q"].map(|name| profile(name, DeviceSettings::default()).into_resource());
    let defaults = ["7960", "7970"].map(|model| default_profile(model).into_resource());
    site.apply([more, profiles, defaults].concat()).await.unwrap();
    let request = ListLinesRequest { page_size: 1, ..Default::default() };
    let of_lines = site.lines().list_lines(request).await.unwrap().into_inner().next_page_token;
    for page_token in [of_lines.clone(), "nobodys".into(), "00".into()] {
        let page_size = 1;
        let request = ListUsersRequest { page_size, page_token: page_token.clone(), ..Default::default() };
        refused(site.users().list_users(request).await, ErrorReason::PageTokenInvalid);
        let request = ListPhonesRequest { page_size, page_token: page_token.clone(), ..Default::default() };
        refused(site.phones().list_phones(request).await, ErrorReason::PageTokenInvalid);
        let request =
            ListUserDeviceProfilesRequest { page_size, page_token: page_token.clone(), ..Default::default() };
        refused(site.profiles().list_user_device_profiles(request).await, ErrorReason::PageTokenInvalid);
        let request = ListDefaultDeviceProfilesRequest {
            page_size,
            page_token: page_token.clone(),
            ..Default::default()
        };
        refused(site.defaults().list_default_device_profiles(request).await, ErrorReason::PageTokenInvalid);
        let request = ListLogoutProfilesRequest { page_size, page_token, ..Default::default() };
        refused(site.logout_profiles().list_logout_profiles(request).await, ErrorReason::PageTokenInvalid);
    }
    let request = ListUsersRequest { page_size: 1, ..Default::default() };
    let page_token = site.users().list_users(request).await.unwrap().into_inner().next_page_token;
    let request = ListLinesRequest { page_size: 1, page_token, ..Default::default() };
    refused(site.lines().list_lines(request).await, ErrorReason::PageTokenInvalid);
}

#[tokio::test]
async fn an_empty_list_is_one_empty_page() {
    let site = Site::empty().await;
    let page = site.phones().list_phones(ListPhonesRequest::default()).await.unwrap().into_inner();
    assert!(page.phones.is_empty() && page.next_page_token.is_empty());
}
