//! Imports of which rows are left out, or that delete what others are judged by.

use roamline_domain::directory::Kind;
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::{
    CommitImportRequest, DeviceSettings, DiscardImportRequest, ImportRow, Phone, ServiceParameters,
};
use roamline_store::{Change, DirectoryStore, Expect};

use crate::imports::{add, counts, delete, octo, places, private, put};
use crate::site::{IntoResource, Site, line, logout_profile, phone, profile, refused};

fn skipping(id: &str) -> CommitImportRequest {
    CommitImportRequest { import_id: id.into(), skip_refused: true, ..Default::default() }
}

fn at_most(maximum_phones: u32) -> ServiceParameters {
    ServiceParameters { maximum_phones: Some(maximum_phones), ..Default::default() }
}

#[tokio::test]
async fn dp_19_rows_beyond_a_thousand_that_are_refused_are_left_out_and_counted() {
    let site = Site::empty().await;
    let id = site.start("many").await.import_id;
    let orphan = |number: u64| {
        let name = format!("SEP{number:012X}");
        let owner_user_id = format!("u{number}");
        add(number, Phone { owner_user_id, logout_profile: None, ..phone(&name, "7960") })
    };
    for first in [1, 801, 1_601] {
        let rows: Vec<ImportRow> = (first..first + 800).map(orphan).collect();
        assert_eq!(site.stage(&id, rows).await.unwrap().problems, []);
    }
    assert_eq!(site.stage(&id, vec![add(2_401, line("1"))]).await.unwrap().problems, []);
    let dry = CommitImportRequest { validate_only: true, ..skipping(&id) };
    let answer = site.commit_as(dry).await;
    assert_eq!((counts(&answer), answer.refused_count), ((false, 1, 0, 0), 2_400));
    let answer = site.commit_as(skipping(&id)).await;
    assert_eq!((counts(&answer), answer.refused_count), ((true, 1, 0, 0), 2_400));
    assert_eq!(answer.problems.len(), 1_000);
    assert_eq!(site.version(Kind::Line, "1").await, Some(1));
}

#[tokio::test]
async fn dp_15_a_row_that_is_left_out_mends_nothing() {
    let site = Site::empty().await;
    site.apply(vec![octo("1").into_resource(), private("p", &["1"]).into_resource()]).await.unwrap();
    let public = profile("p", crate::site::with_lines(&["1"]));
    let id = site.staged(vec![put(1, line("1")), put(2, public)]).await;
    let others = site.store.find(&[key("p")]).await.unwrap().remove(0).unwrap();
    let put = Change::Put { resource: others.resource, expect: Expect::Version(1) };
    site.store.meanwhile(vec![put]);
    let answer = site.commit_as(skipping(&id)).await;
    assert_eq!(counts(&answer), (true, 0, 0, 0));
    assert_eq!(places(&answer.problems), [(1, "", ""), (2, "", "DP-20")]);
    assert_eq!(answer.refused_count, 2);
    assert_eq!(site.version(Kind::Line, "1").await, Some(1));
}

fn key(profile: &str) -> roamline_domain::directory::Key {
    roamline_domain::directory::Key::new(Kind::UserDeviceProfile, profile)
}

#[tokio::test]
async fn dp_15_a_row_that_asks_for_what_is_there_mends_nothing() {
    let site = Site::empty().await;
    site.apply(vec![octo("1").into_resource(), private("p", &["1"]).into_resource()]).await.unwrap();
    let id = site.staged(vec![put(1, private("p", &["1"])), put(2, line("1"))]).await;
    let answer = site.commit(&id).await;
    assert!(!answer.committed);
    assert_eq!(places(&answer.problems), [(2, "", "")]);
    assert!(answer.problems[0].message.contains("user-device-profile p"), "{answer:?}");
}

#[tokio::test]
async fn dp_8_what_the_import_deletes_does_not_stand_in_the_way_of_fewer_phones() {
    let site = Site::empty().await;
    site.apply(vec![line("1").into_resource(), logout_profile(20, &["1"]).into_resource()]).await.unwrap();
    let id = site.staged(vec![put(1, at_most(10))]).await;
    let answer = site.commit(&id).await;
    assert_eq!((answer.committed, places(&answer.problems)), (false, vec![(1, "", "")]));
    assert_eq!(site.stage(&id, vec![delete(2, logout_profile(20, &[]))]).await.unwrap().problems, []);
    assert_eq!(counts(&site.commit(&id).await), (true, 1, 0, 1));

    let site = Site::empty().await;
    site.apply(vec![line("1").into_resource(), logout_profile(20, &["1"]).into_resource()]).await.unwrap();
    let id = site.staged(vec![put(1, at_most(10))]).await;
    let prune = CommitImportRequest { import_id: id, prune: true, ..Default::default() };
    assert_eq!(counts(&site.commit_as(prune).await), (true, 1, 0, 2));
}

#[tokio::test]
async fn dp_8_the_first_parameters_are_weighed_against_what_is_stored() {
    let site = Site::empty().await;
    site.apply(vec![line("1").into_resource(), logout_profile(20, &["1"]).into_resource()]).await.unwrap();
    refused(site.apply(vec![at_most(10).into_resource()]).await, ErrorReason::ResourceInvalid);
    site.apply(vec![at_most(20).into_resource()]).await.unwrap();
}

#[tokio::test]
async fn lo_1_a_phone_at_which_somebody_is_logged_in_is_not_deleted_by_a_row() {
    let site = Site::example().await;
    site.sessions.log_in("me", "SEP000DEDAB3566", "me");
    let id = site.start("occupied").await.import_id;
    let rows = vec![delete(1, phone("SEP000DEDAB3566", "")), delete(2, phone("SEP0012DA8AC43D", ""))];
    let answer = site.stage(&id, rows).await.unwrap();
    assert_eq!(places(&answer.problems), [(1, "name", "LO-1")]);
    assert_eq!(counts(&site.commit(&id).await), (true, 0, 0, 1));
    assert_eq!(site.version(Kind::Phone, "SEP000DEDAB3566").await, Some(1));
    site.sessions.break_down();
    let id = site.start("unknown").await.import_id;
    let rows = vec![delete(1, phone("SEP000DEDAB3566", ""))];
    refused(site.stage(&id, rows).await, ErrorReason::ServiceUnavailable);
}

#[tokio::test]
async fn an_id_that_is_none_never_reaches_the_store() {
    let site = Site::empty().await;
    site.store.break_down();
    for id in ["\0".to_owned(), "x".repeat(129)] {
        let rows = vec![put(1, profile("p", DeviceSettings::default()))];
        refused(site.stage(&id, rows).await, ErrorReason::ImportNotFound);
        let commit = CommitImportRequest { import_id: id.clone(), ..Default::default() };
        refused(site.imports().commit_import(commit).await, ErrorReason::ImportNotFound);
        site.imports().discard_import(DiscardImportRequest { import_id: id }).await.unwrap();
    }
}
