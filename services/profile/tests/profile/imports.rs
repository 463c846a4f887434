//! Bulk work: imports that hold wholly or not at all, and exports as of one instant.

use std::sync::Arc;

use roamline_domain::directory::{Key, Kind, Line as KeptLine, LineCapacity as Capacity, Resource as Kept};
use roamline_profile::Profile;
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::directory_service_client::DirectoryServiceClient;
use roamline_proto::profile::import_service_client::ImportServiceClient;
use roamline_proto::profile::{
    AgentSettings, CommitImportRequest, CommitImportResponse, ContactCentrePolicy, DeviceSettings,
    DiscardImportRequest, ExportResourcesRequest, Import, ImportAction, ImportProblem, ImportRow, Line,
    LineCapacity, LineControl, Phone, Resource, ServiceParameters, StageImportRequest, StageImportResponse,
    StartImportRequest, User, UserDeviceProfile, resource,
};
use roamline_serve::Clock;
use roamline_store::memory::MemoryStore;
use roamline_store::{Change, DirectoryStore, Expect, ImportStore};
use roamline_token::Bearer;
use tonic::{Response, Status};

use crate::site::{
    Authed, IntoResource, Site, fact, fields, line, logout_profile, mask, phone, profile, refused, user,
    with_lines,
};

impl Site {
    pub(crate) fn imports(&self) -> ImportServiceClient<Authed> {
        let bearer = Bearer::token(self.token(&["directory.write", "directory.backup"]));
        ImportServiceClient::with_interceptor(self.channel(), bearer)
    }

    pub(crate) async fn start(&self, token: &str) -> Import {
        let request = StartImportRequest { token: token.into() };
        self.imports().start_import(request).await.unwrap().into_inner().import.unwrap()
    }

    pub(crate) async fn stage(&self, id: &str, rows: Vec<ImportRow>) -> Result<StageImportResponse, Status> {
        let from_row = rows[0].row;
        let next_row = rows[rows.len() - 1].row + 1;
        let request =
            StageImportRequest { import_id: id.into(), from_row, rows, next_row, ..Default::default() };
        self.imports().stage_import(request).await.map(Response::into_inner)
    }

    /// Begins an import of these rows, which are sound.
    pub(crate) async fn staged(&self, rows: Vec<ImportRow>) -> String {
        let id = self.start("staged").await.import_id;
        let answer = self.stage(&id, rows).await.unwrap();
        assert_eq!(answer.problems, []);
        id
    }

    pub(crate) async fn commit(&self, id: &str) -> CommitImportResponse {
        self.commit_as(CommitImportRequest { import_id: id.into(), ..Default::default() }).await
    }

    pub(crate) async fn commit_as(&self, request: CommitImportRequest) -> CommitImportResponse {
        self.imports().commit_import(request).await.unwrap().into_inner()
    }

    pub(crate) async fn export(&self, kinds: &[&str]) -> Result<Vec<Resource>, Status> {
        let bearer = Bearer::token(self.token(&["directory.backup"]));
        let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let mut client = DirectoryServiceClient::with_interceptor(self.channel(), bearer);
        let mut stream = client.export_resources(ExportResourcesRequest { kinds }).await?.into_inner();
        let mut all = Vec::new();
        while let Some(message) = stream.message().await? {
            assert!((1..=500).contains(&message.resources.len()));
            all.extend(message.resources);
        }
        Ok(all)
    }

    pub(crate) async fn version(&self, kind: Kind, name: &str) -> Option<u64> {
        let found = self.store.find(&[Key::new(kind, name)]).await.unwrap().remove(0);
        found.map(|stored| stored.version)
    }
}

pub(crate) fn row(row: u64, action: ImportAction, resource: impl IntoResource) -> ImportRow {
    ImportRow { row, action: action.into(), resource: Some(resource.into_resource()), update_mask: None }
}

pub(crate) fn add(number: u64, resource: impl IntoResource) -> ImportRow {
    row(number, ImportAction::Add, resource)
}

pub(crate) fn put(number: u64, resource: impl IntoResource) -> ImportRow {
    row(number, ImportAction::Put, resource)
}

pub(crate) fn delete(number: u64, resource: impl IntoResource) -> ImportRow {
    row(number, ImportAction::Delete, resource)
}

pub(crate) fn update(number: u64, resource: impl IntoResource, paths: &[&str]) -> ImportRow {
    ImportRow { update_mask: mask(paths), ..row(number, ImportAction::Update, resource) }
}

/// Rows from 1 that put these.
pub(crate) fn rows(resources: Vec<Resource>) -> Vec<ImportRow> {
    let put = |(number, resource)| ImportRow {
        row: number,
        action: ImportAction::Put.into(),
        resource: Some(resource),
        update_mask: None,
    };
    (1..).zip(resources).map(put).collect()
}

/// Row, field and rule of each.
pub(crate) fn places(problems: &[ImportProblem]) -> Vec<(u64, &str, &str)> {
    problems.iter().map(|problem| (problem.row, problem.field.as_str(), problem.rule.as_str())).collect()
}

pub(crate) fn counts(answer: &CommitImportResponse) -> (bool, u64, u64, u64) {
    (answer.committed, answer.created_count, answer.updated_count, answer.deleted_count)
}

fn forget(kind: Kind, name: &str, version: u64) -> Change {
    Change::Delete { key: Key::new(kind, name), version }
}

/// The line, changed by somebody else.
fn line_of(name: &str, capacity: Capacity, version: u64) -> Change {
    let mut line = KeptLine::new(name.parse().unwrap());
    line.capacity = capacity;
    Change::Put { resource: Kept::Line(line), expect: Expect::Version(version) }
}

fn site_rows() -> Vec<ImportRow> {
    vec![
        add(1, line("3001")),
        add(2, profile("agent7", with_lines(&["3001", "2001"]))),
        add(3, user("agent7", &["agent7"])),
        put(4, user("me", &["me", "agent7"])),
        delete(5, line("2190")),
    ]
}

#[tokio::test]
async fn dp_19_nothing_is_seen_of_an_import_until_all_of_it_holds() {
    let site = Site::example().await;
    site.apply(vec![line("2190").into_resource()]).await.unwrap();
    let id = site.staged(site_rows()).await;
    assert_eq!(site.version(Kind::User, "agent7").await, None);
    assert_eq!(site.version(Kind::Line, "2190").await, Some(1));
    assert_eq!(counts(&site.commit(&id).await), (true, 3, 1, 1));
    assert_eq!(site.version(Kind::User, "agent7").await, Some(1));
    assert_eq!(site.version(Kind::User, "me").await, Some(2));
    assert_eq!(site.version(Kind::Line, "2190").await, None);
    let again = CommitImportRequest { import_id: id, ..Default::default() };
    refused(site.imports().commit_import(again).await, ErrorReason::ImportNotFound);
}

#[tokio::test]
async fn dp_19_one_row_that_cannot_hold_keeps_all_from_holding() {
    let site = Site::example().await;
    site.apply(vec![line("2190").into_resource()]).await.unwrap();
    let id = site.staged(site_rows()).await;
    site.store.meanwhile(vec![line_of("2190", Capacity::Octo, 1)]);
    let answer = site.commit(&id).await;
    assert_eq!(counts(&answer), (false, 0, 0, 0));
    assert_eq!(places(&answer.problems), [(5, "", "DP-20")]);
    assert_eq!(answer.problems[0].message, "line 2190 was changed by others after the row was checked");
    assert_eq!(site.version(Kind::User, "agent7").await, None);
    assert_eq!(site.start("staged").await.staged_count, 5);
    let skip = CommitImportRequest { import_id: id, skip_refused: true, ..Default::default() };
    let answer = site.commit_as(skip).await;
    assert_eq!(counts(&answer), (true, 3, 1, 0));
    assert_eq!(places(&answer.problems), [(5, "", "DP-20")]);
}

#[tokio::test]
async fn dp_19_what_others_have_brought_about_meanwhile_stands_in_nobodys_way() {
    let site = Site::example().await;
    site.apply(vec![line("2190").into_resource()]).await.unwrap();
    let id = site.staged(vec![delete(1, line("2190")), add(2, line("2191")), add(3, line("2192"))]).await;
    site.store.meanwhile(vec![forget(Kind::Line, "2190", 1)]);
    site.apply(vec![line("2191").into_resource()]).await.unwrap();
    assert_eq!(counts(&site.commit(&id).await), (true, 1, 0, 0));
    refused(site.stage(&id, vec![add(4, line("2193"))]).await, ErrorReason::ImportNotFound);
}

#[tokio::test]
async fn dp_19_a_dry_run_lists_every_violation_of_every_row_and_changes_nothing() {
    let site = Site::example().await;
    let id = site.start("dry").await.import_id;
    let bad_profile =
        UserDeviceProfile { model: "toaster".into(), ..profile("p", with_lines(&["9", "2001", "2001"])) };
    let chunk = vec![
        add(1, line("3001")),
        add(2, user("me", &[])),
        update(3, user("ghost", &[]), &["display_name"]),
        delete(4, line("nobody")),
        add(5, bad_profile),
        row(6, ImportAction::Unspecified, line("3002")),
        ImportRow { row: 7, action: ImportAction::Put.into(), resource: None, update_mask: None },
        put(8, phone("door", "toaster")),
        update(9, user("me", &[]), &["colour"]),
        add(10, user("agent8", &["ghost", "me"])),
        delete(11, ServiceParameters::default()),
    ];
    let answer = site.stage(&id, chunk).await.unwrap();
    let found = places(&answer.problems);
    let of = |row: u64| found.iter().filter(|place| place.0 == row).map(|place| place.1).collect::<Vec<_>>();
    assert_eq!(of(1), Vec::<&str>::new());
    assert_eq!(of(2), ["user_id"]);
    assert_eq!(of(3), ["user_id"]);
    assert_eq!(of(4), ["name"]);
    assert!(of(5).contains(&"model") && of(5).contains(&"settings.lines[0].lines[0]"), "{found:?}");
    assert_eq!(of(6), [""]);
    assert_eq!(of(7), [""]);
    assert_eq!(of(8), ["name"]);
    assert_eq!(of(9), ["colour"]);
    assert_eq!(of(10), ["profiles[0]"]);
    assert_eq!(of(11), [""]);
    let dry = CommitImportRequest { import_id: id.clone(), validate_only: true, ..Default::default() };
    assert_eq!(counts(&site.commit_as(dry).await), (false, 1, 0, 0));
    assert_eq!(site.version(Kind::Line, "3001").await, None);
    let import = site.start("dry").await;
    assert_eq!((import.import_id, import.next_row, import.staged_count), (id, 12, 1));
}

#[tokio::test]
async fn dp_19_rows_refer_to_rows_before_them_in_this_chunk_and_in_earlier_ones_and_not_to_refused_ones() {
    let site = Site::empty().await;
    let id = site.start("t").await.import_id;
    let first = vec![add(1, line("1")), add(2, line("x")), add(3, profile("p", with_lines(&["1"])))];
    assert_eq!(places(&site.stage(&id, first).await.unwrap().problems), [(2, "name", "")]);
    let second = vec![
        add(4, profile("q", with_lines(&["1", "2"]))),
        add(5, line("2")),
        add(6, profile("r", with_lines(&["1", "2"]))),
        add(7, user("u", &["p", "r"])),
        add(8, user("v", &["q"])),
    ];
    let answer = site.stage(&id, second).await.unwrap();
    assert_eq!(
        places(&answer.problems),
        [(4, "settings.lines[1].lines[0]", "LL-8"), (8, "profiles[0]", "DP-5")]
    );
    assert_eq!(counts(&site.commit(&id).await), (true, 5, 0, 0));
}

#[tokio::test]
async fn dp_19_an_interrupted_client_finds_its_import_by_the_token_and_goes_on() {
    let site = Site::empty().await;
    let id = site.staged(vec![add(1, line("1")), add(2, line("2"))]).await;
    let found = site.start("staged").await;
    assert_eq!((&found.import_id, found.next_row, found.staged_count), (&id, 3, 2));
    assert_eq!(found.token, "staged");
    assert!(site.start("another").await.import_id != id);
    let rest = StageImportRequest {
        import_id: id.clone(),
        from_row: 3,
        rows: vec![add(9, line("3"))],
        next_row: 20,
        ..Default::default()
    };
    let answer = site.imports().stage_import(rest).await.unwrap().into_inner();
    assert_eq!(answer.import.unwrap().next_row, 20);
    assert_eq!(counts(&site.commit(&id).await), (true, 3, 0, 0));
    assert_eq!(site.start("staged").await.next_row, 1);
}

#[tokio::test]
async fn dp_19_of_two_clients_that_stage_one_chunk_one_does() {
    let site = Site::empty().await;
    let id = site.start("both").await.import_id;
    let chunk = || vec![add(1, line("1")), add(2, line("2"))];
    let (one, other) = tokio::join!(site.stage(&id, chunk()), site.stage(&id, chunk()));
    let late = if one.is_ok() { other } else { one };
    let refusal = refused(late, ErrorReason::ImportRowUnexpected);
    assert_eq!(fact(&refusal, "nextRow"), "3");
    assert_eq!(site.start("both").await.staged_count, 2);
    refused(site.stage(&id, vec![add(4, line("4"))]).await, ErrorReason::ImportRowUnexpected);
}

#[tokio::test]
async fn dp_19_a_resource_that_comes_twice_is_refused_with_the_row_of_the_first() {
    let site = Site::empty().await;
    let id = site.start("twice").await.import_id;
    let chunk = vec![
        put(1, line("1")),
        put(2, logout_profile(1, &["1"])),
        add(2, phone("00:1b:54:ca:fe:01", "7960")),
        put(4, user("u", &[])),
        put(5, user("u", &[])),
    ];
    let answer = site.stage(&id, chunk).await.unwrap();
    assert_eq!(places(&answer.problems), [(5, "user_id", "")]);
    assert_eq!(answer.problems[0].message, "user u is changed by row 4 already");
    let later = vec![delete(6, phone("SEP001B54CAFE01", "7960")), put(7, line("1"))];
    let answer = site.stage(&id, later).await.unwrap();
    assert_eq!(places(&answer.problems), [(6, "name", ""), (7, "name", "")]);
    assert_eq!(answer.problems[0].message, "phone SEP001B54CAFE01 is changed by row 2 already");
}

#[tokio::test]
async fn dp_1_names_taken_in_the_chunk_in_the_import_and_in_the_directory_are_told() {
    let site = Site::example().await;
    let id = site.start("names").await.import_id;
    let with_id = |user_id: &str, id: &str| User { self_service_id: id.into(), ..user(user_id, &[]) };
    let chunk = vec![
        add(1, profile("SEP000DEDAB3566", DeviceSettings::default())),
        add(2, phone("SEP001B54CAFE01", "7960")),
        add(3, profile("sep001b54cafe01", DeviceSettings::default())),
        add(4, profile("Agent", DeviceSettings::default())),
        add(5, with_id("a", "7")),
        add(6, with_id("b", "7")),
    ];
    let answer = site.stage(&id, chunk).await.unwrap();
    assert_eq!(
        places(&answer.problems),
        [(1, "name", "DP-1"), (3, "name", "DP-1"), (6, "self_service_id", "")]
    );
    assert!(answer.problems[0].message.ends_with("is taken by phone SEP000DEDAB3566"));
    assert!(answer.problems[1].message.ends_with("is taken by row 2"));
    let later = vec![
        add(7, profile("AGENT", DeviceSettings::default())),
        add(8, with_id("c", "7")),
        add(9, line("1")),
    ];
    let answer = site.stage(&id, later).await.unwrap();
    assert_eq!(places(&answer.problems), [(7, "name", "DP-1"), (8, "self_service_id", "")]);
    assert!(answer.problems[0].message.ends_with("is taken by row 4"), "{answer:?}");
    assert_eq!(site.start("names").await.staged_count, 4);
}

#[tokio::test]
async fn dp_1_a_name_that_is_given_up_earlier_in_the_import_is_free() {
    let site = Site::example().await;
    let id = site
        .staged(vec![
            delete(1, phone("SEP000DEDAB3566", "")),
            add(2, profile("sep000dedab3566", DeviceSettings::default())),
        ])
        .await;
    assert_eq!(counts(&site.commit(&id).await), (true, 1, 0, 1));
}

#[tokio::test]
async fn dp_1_a_name_that_is_taken_meanwhile_is_told_and_the_other_rows_hold_if_asked() {
    let site = Site::example().await;
    let id = site
        .staged(vec![
            add(1, profile("p", DeviceSettings::default())),
            add(2, user("u", &["p"])),
            add(3, line("3001")),
        ])
        .await;
    site.apply(vec![profile("P", DeviceSettings::default()).into_resource()]).await.unwrap();
    let answer = site.commit(&id).await;
    assert!(!answer.committed);
    assert_eq!(places(&answer.problems), [(1, "name", "DP-1")]);
    let skip = CommitImportRequest { import_id: id, skip_refused: true, ..Default::default() };
    let answer = site.commit_as(skip).await;
    assert_eq!(counts(&answer), (true, 1, 0, 0));
    assert_eq!(places(&answer.problems), [(1, "name", "DP-1"), (2, "profiles[0]", "DP-5")]);
    assert_eq!(site.version(Kind::Line, "3001").await, Some(1));
    assert_eq!(site.version(Kind::User, "u").await, None);
}

#[tokio::test]
async fn dp_19_what_a_row_asks_for_and_is_there_is_counted_and_not_written() {
    let site = Site::example().await;
    let id = site.start("same").await.import_id;
    let chunk = vec![
        put(1, line("2001")),
        update(2, user("me", &[]), &["user_id", "display_name"]),
        put(3, line("3001")),
    ];
    let answer = site.stage(&id, chunk).await.unwrap();
    assert_eq!((answer.unchanged_count, answer.import.unwrap().staged_count), (2, 3));
    assert_eq!(counts(&site.commit(&id).await), (true, 1, 0, 0));
    assert_eq!(site.version(Kind::Line, "2001").await, Some(1));
}

#[tokio::test]
async fn dp_19_an_update_changes_the_fields_of_its_mask_and_keeps_the_pin() {
    let site = Site::example().await;
    let settings = DeviceSettings { call_blocking_pin: "1234".into(), ..with_lines(&["2001"]) };
    let stored = UserDeviceProfile { description: "old".into(), ..profile("p", settings) };
    site.apply(vec![stored.into_resource()]).await.unwrap();
    let wanted = UserDeviceProfile {
        description: "new".into(),
        ..profile("p", DeviceSettings { user_locale: "de-DE".into(), ..Default::default() })
    };
    let id = site.staged(vec![update(1, wanted, &["description", "settings.user_locale"])]).await;
    assert_eq!(counts(&site.commit(&id).await), (true, 0, 1, 0));
    let exported = site.export(&["user-device-profile"]).await.unwrap();
    let found = exported.into_iter().find_map(|resource| match resource.kind {
        Some(resource::Kind::UserDeviceProfile(profile)) if profile.name == "p" => Some(profile),
        _ => None,
    });
    let found = found.unwrap();
    let settings = found.settings.unwrap();
    assert_eq!((found.description.as_str(), settings.user_locale.as_str()), ("new", "de-DE"));
    assert_eq!((settings.lines.len(), settings.call_blocking_pin.as_str()), (1, "1234"));
}

#[tokio::test]
async fn dp_9_a_deletion_holds_if_what_refers_to_it_goes_or_changes_in_the_same_import() {
    let site = Site::example().await;
    let id = site.staged(vec![delete(1, profile("me", DeviceSettings::default()))]).await;
    let answer = site.commit(&id).await;
    assert_eq!(places(&answer.problems), [(1, "", "DP-9")]);
    assert_eq!(answer.problems[0].message, "user-device-profile me is used by user me");
    let more = site.stage(&id, vec![update(2, user("me", &[]), &["profiles"])]).await.unwrap();
    assert_eq!(more.problems, []);
    assert_eq!(counts(&site.commit(&id).await), (true, 0, 1, 1));
}

/// A profile that may be only while its line is an octo-line.
pub(crate) fn private(name: &str, lines: &[&str]) -> UserDeviceProfile {
    profile(name, DeviceSettings { privacy_button: true, ..with_lines(lines) })
}

pub(crate) fn octo(name: &str) -> Line {
    Line { capacity: LineCapacity::Octo.into(), ..line(name) }
}

#[tokio::test]
async fn dp_15_rows_are_judged_again_when_a_line_has_changed_that_they_were_judged_by() {
    let site = Site::empty().await;
    site.apply(vec![octo("1").into_resource(), octo("2").into_resource()]).await.unwrap();
    let id = site
        .staged(vec![
            add(1, private("p", &["1"])),
            add(2, private("q", &["2"])),
            add(3, profile("r", with_lines(&["1"]))),
            add(4, user("u", &["p"])),
            add(5, user("v", &["q"])),
        ])
        .await;
    site.store.meanwhile(vec![line_of("1", Capacity::Single, 1)]);
    let answer = site.commit(&id).await;
    assert!(!answer.committed);
    assert_eq!(places(&answer.problems), [(1, "settings.privacy_button", "DP-15")]);
    let skip = CommitImportRequest { import_id: id, skip_refused: true, ..Default::default() };
    let dry = CommitImportRequest { validate_only: true, ..skip.clone() };
    let expected = [(1, "settings.privacy_button", "DP-15"), (4, "profiles[0]", "DP-5")];
    let answer = site.commit_as(dry).await;
    assert_eq!((counts(&answer), places(&answer.problems)), ((false, 3, 0, 0), expected.to_vec()));
    let answer = site.commit_as(skip).await;
    assert_eq!((counts(&answer), places(&answer.problems)), ((true, 3, 0, 0), expected.to_vec()));
}

#[tokio::test]
async fn dp_15_rows_are_judged_by_a_line_as_a_later_row_leaves_it() {
    let site = Site::empty().await;
    site.apply(vec![octo("1").into_resource(), octo("2").into_resource()]).await.unwrap();
    let renamed = Line { description: "front desk".into(), ..octo("2") };
    let id = site
        .staged(vec![
            add(1, private("p", &["1"])),
            add(2, private("q", &["2"])),
            put(3, line("1")),
            put(4, renamed),
        ])
        .await;
    let answer = site.commit(&id).await;
    assert_eq!(places(&answer.problems), [(1, "settings.privacy_button", "DP-15")]);
    let skip = CommitImportRequest { import_id: id, skip_refused: true, ..Default::default() };
    assert_eq!(counts(&site.commit_as(skip).await), (true, 1, 2, 0));
}

#[tokio::test]
async fn dp_15_a_line_is_not_changed_under_what_is_stored_unless_that_changes_too() {
    let site = Site::empty().await;
    site.apply(vec![octo("1").into_resource(), private("p", &["1"]).into_resource()]).await.unwrap();
    let id = site.staged(vec![put(1, line("1"))]).await;
    let answer = site.commit(&id).await;
    assert_eq!(places(&answer.problems), [(1, "", "")]);
    assert!(answer.problems[0].message.contains("user-device-profile p"), "{answer:?}");
    let public = update(2, profile("p", DeviceSettings::default()), &["settings.privacy_button"]);
    assert_eq!(site.stage(&id, vec![public]).await.unwrap().problems, []);
    assert_eq!(counts(&site.commit(&id).await), (true, 0, 2, 0));
}

pub(crate) fn agent() -> UserDeviceProfile {
    let mut settings = with_lines(&["2001"]);
    (settings.lines[0].max_calls, settings.lines[0].busy_trigger) = (4, 2);
    let agent = AgentSettings { line_control: LineControl::MultiLine.into(), acd_line: "2001".into() };
    UserDeviceProfile { agent: Some(agent), ..profile("agent", settings) }
}

pub(crate) fn policy(policy: ContactCentrePolicy) -> ServiceParameters {
    ServiceParameters { contact_centre_policy: policy.into(), ..Default::default() }
}

#[tokio::test]
async fn cc_5_rows_are_judged_by_the_policy_of_the_import_and_corrections_are_told() {
    let site = Site::example().await;
    let id = site.start("policy").await.import_id;
    let answer = site.stage(&id, vec![add(1, agent())]).await.unwrap();
    assert!(!answer.problems.is_empty());
    assert!(places(&answer.problems).iter().all(|place| place.2.starts_with("CC-")), "{answer:?}");
    let chunk = vec![put(2, policy(ContactCentrePolicy::Correct)), add(3, agent())];
    let answer = site.stage(&id, chunk).await.unwrap();
    assert_eq!(answer.problems, []);
    assert!(answer.warnings.iter().all(|warning| warning.row == 3) && !answer.warnings.is_empty());
    assert!(site.commit(&id).await.committed);
}

#[tokio::test]
async fn cc_5_rows_are_judged_again_when_the_policy_has_changed() {
    let site = Site::example().await;
    site.apply(vec![policy(ContactCentrePolicy::Warn).into_resource()]).await.unwrap();
    let id = site.staged(vec![add(1, agent()), add(2, line("3001"))]).await;
    site.apply(vec![policy(ContactCentrePolicy::Reject).into_resource()]).await.unwrap();
    let answer = site.commit(&id).await;
    assert!(!answer.committed);
    assert!(answer.problems[0].row == 1 && answer.problems[0].rule.starts_with("CC-"), "{answer:?}");
    site.apply(vec![policy(ContactCentrePolicy::Correct).into_resource()]).await.unwrap();
    assert_eq!(counts(&site.commit(&id).await), (true, 2, 0, 0));
}

#[tokio::test]
async fn dp_19_all_or_none_stages_nothing_of_a_chunk_with_a_bad_row() {
    let site = Site::empty().await;
    let id = site.start("whole").await.import_id;
    let chunk = |bad: &str| StageImportRequest {
        import_id: id.clone(),
        from_row: 1,
        rows: vec![add(1, line("1")), add(2, line(bad))],
        next_row: 3,
        all_or_none: true,
        restore: false,
    };
    let answer = site.imports().stage_import(chunk("x")).await.unwrap().into_inner();
    assert_eq!(places(&answer.problems), [(2, "name", "")]);
    let import = answer.import.unwrap();
    assert_eq!((import.next_row, import.staged_count), (1, 0));
    let answer = site.imports().stage_import(chunk("2")).await.unwrap().into_inner();
    let import = answer.import.unwrap();
    assert_eq!((import.next_row, import.staged_count), (3, 2));
}

#[tokio::test]
async fn dp_19_resources_may_refer_to_each_other_both_ways_and_what_never_comes_is_told() {
    let site = Site::empty().await;
    let intercom = Line { intercom_default_phone: "SEP001B54CAFE01".into(), ..line("7") };
    let owned = Phone { owner_user_id: "u".into(), logout_profile: None, ..phone("SEP001B54CAFE01", "7960") };
    let id = site.start("both ways").await.import_id;
    for rows in [vec![add(1, intercom)], vec![add(2, owned)]] {
        assert_eq!(site.stage(&id, rows).await.unwrap().problems, []);
    }
    let answer = site.commit(&id).await;
    assert_eq!(places(&answer.problems), [(2, "", "LI-13")]);
    assert_eq!(site.stage(&id, vec![add(3, user("u", &[]))]).await.unwrap().problems, []);
    assert_eq!(counts(&site.commit(&id).await), (true, 3, 0, 0));
}

#[tokio::test]
async fn dp_19_rows_of_one_number_are_staged_together_or_not_at_all() {
    let site = Site::empty().await;
    let id = site.start("together").await.import_id;
    let chunk = vec![
        add(1, line("1")),
        add(1, profile("p", with_lines(&["1", "9"]))),
        add(2, line("2")),
        add(2, profile("q", with_lines(&["2"]))),
        add(3, profile("r", with_lines(&["1"]))),
    ];
    let answer = site.stage(&id, chunk).await.unwrap();
    let lines = "settings.lines[1].lines[0]";
    assert_eq!(places(&answer.problems), [(1, lines, "LL-8"), (3, "settings.lines[0].lines[0]", "LL-8")]);
    assert_eq!(answer.import.unwrap().staged_count, 2);
}

#[tokio::test]
async fn dp_19_prune_deletes_what_the_import_does_not_name_and_nothing_else() {
    let site = Site::example().await;
    site.apply(vec![policy(ContactCentrePolicy::Warn).into_resource()]).await.unwrap();
    let rows = vec![
        put(1, line("2001")),
        put(2, profile("me", with_lines(&["2001"]))),
        add(3, user("new", &["me"])),
    ];
    let id = site.start("prune").await.import_id;
    assert_eq!(site.stage(&id, rows).await.unwrap().problems, []);
    let request = CommitImportRequest { import_id: id.clone(), prune: true, ..Default::default() };
    let dry = CommitImportRequest { validate_only: true, ..request.clone() };
    let answer = site.commit_as(dry).await;
    assert_eq!((counts(&answer), &answer.problems[..]), ((false, 1, 1, 13), &[][..]));
    assert_eq!(site.start("prune").await.staged_count, 3);
    let both = CommitImportRequest { skip_refused: true, ..request.clone() };
    let refusal = refused(site.imports().commit_import(both).await, ErrorReason::InvalidRequest);
    assert_eq!(fields(&refusal), ["prune"]);
    assert_eq!(counts(&site.commit_as(request).await), (true, 1, 1, 13));
    let left: Vec<String> = site.export(&[]).await.unwrap().iter().map(named).collect();
    assert_eq!(left, ["parameters", "line 2001", "profile me", "user new"]);
}

fn named(resource: &Resource) -> String {
    match resource.kind.as_ref().unwrap() {
        resource::Kind::ServiceParameters(_) => "parameters".into(),
        resource::Kind::Line(line) => format!("line {}", line.name),
        resource::Kind::UserDeviceProfile(profile) => format!("profile {}", profile.name),
        resource::Kind::LogoutProfile(profile) => format!("logout {}", profile.tag),
        resource::Kind::Phone(phone) => format!("phone {}", phone.name),
        resource::Kind::User(user) => format!("user {}", user.user_id),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn dp_19_two_clients_that_prune_with_one_import_prune_once() {
    let site = Site::example().await;
    let id = site.staged(vec![put(1, line("2001")), add(2, line("3001"))]).await;
    let commit = || async {
        let request = CommitImportRequest { import_id: id.clone(), prune: true, ..Default::default() };
        site.imports().commit_import(request).await.map(|answer| answer.into_inner().committed)
    };
    let (one, other) = tokio::join!(commit(), commit());
    for answer in [one, other] {
        assert!(answer.is_err() || answer.unwrap());
    }
    let left: Vec<String> = site.export(&["line"]).await.unwrap().iter().map(named).collect();
    assert!(left == ["line 2001", "line 3001"] || left.len() == 9, "{left:?}");
}

#[tokio::test]
async fn dp_19_prune_tells_what_keeps_a_deletion_from_holding() {
    let site = Site::example().await;
    let wanted = Phone { logout_profile: None, ..phone("SEP000DEDAB3566", "7960") };
    let id = site.staged(vec![update(1, wanted.clone(), &["model"])]).await;
    let request = CommitImportRequest { import_id: id.clone(), prune: true, ..Default::default() };
    let answer = site.commit_as(request.clone()).await;
    assert!(!answer.committed);
    assert_eq!(places(&answer.problems), [(0, "", "DP-9")]);
    assert_eq!(answer.problems[0].message, "logout-profile 1 is used by phone SEP000DEDAB3566");
    site.imports().discard_import(DiscardImportRequest { import_id: id }).await.unwrap();
    let id = site.staged(vec![put(1, wanted)]).await;
    let request = CommitImportRequest { import_id: id, ..request };
    site.store.meanwhile(vec![forget(Kind::User, "me", 1)]);
    assert!(site.commit_as(request).await.committed);
    assert_eq!(
        site.export(&[]).await.unwrap().iter().map(named).collect::<Vec<_>>(),
        ["phone SEP000DEDAB3566"]
    );
}

#[tokio::test]
async fn a_discarded_import_is_forgotten_and_discarding_it_again_changes_nothing() {
    let site = Site::empty().await;
    let id = site.staged(vec![add(1, line("1"))]).await;
    for _ in 0..2 {
        site.imports().discard_import(DiscardImportRequest { import_id: id.clone() }).await.unwrap();
    }
    refused(site.stage(&id, vec![add(2, line("2"))]).await, ErrorReason::ImportNotFound);
    assert_eq!(site.start("staged").await.staged_count, 0);
}

#[tokio::test]
async fn an_import_that_nobody_touches_for_a_day_is_discarded() {
    let begun = "2026-03-01T08:00:00Z".parse().unwrap();
    let (clock, hand) = Clock::manual(begun);
    let store = Arc::new(MemoryStore::new());
    let profile = Profile::new(store.clone(), clock);
    store.open_import("old", "1", begun).await.unwrap();
    hand.set("2026-03-02T08:00:00Z".parse().unwrap());
    assert_eq!(profile.discard_forgotten_imports().await.unwrap(), 0);
    hand.set("2026-03-02T08:00:01Z".parse().unwrap());
    assert_eq!(profile.discard_forgotten_imports().await.unwrap(), 1);
    assert_eq!(store.find_import("1").await.unwrap(), None);
}

#[tokio::test]
async fn malformed_requests_are_refused_by_field_and_stage_nothing() {
    let site = Site::empty().await;
    for (token, sound) in [(0, false), (1, true), (128, true), (129, false)] {
        let answer = site.imports().start_import(StartImportRequest { token: "ü".repeat(token) }).await;
        assert_eq!(answer.is_ok(), sound, "{token}");
    }
    let bell = site.imports().start_import(StartImportRequest { token: "a\u{7}".into() }).await;
    assert_eq!(fields(&refused(bell, ErrorReason::InvalidRequest)), ["token"]);

    let id = site.start("form").await.import_id;
    let many =
        |count: u64| (1..=count).map(|number| put(number, line(&number.to_string()))).collect::<Vec<_>>();
    let request = |from_row, rows, next_row| StageImportRequest {
        import_id: id.clone(),
        from_row,
        rows,
        next_row,
        ..Default::default()
    };
    for (request, field) in [
        (request(1, many(1_001), 1_002), "rows"),
        (request(0, vec![], 1), "from_row"),
        (request(1, vec![], 1), "next_row"),
        (request(1, vec![], u64::MAX), "next_row"),
        (request(1, many(2), 2), "rows[1].row"),
        (request(1, vec![put(3, line("3")), put(2, line("2"))], 9), "rows[1].row"),
    ] {
        let refusal = refused(site.imports().stage_import(request).await, ErrorReason::InvalidRequest);
        assert_eq!(fields(&refusal), [field]);
    }
    let answer = site.imports().stage_import(request(1, many(1_000), 1_001)).await.unwrap().into_inner();
    assert_eq!(answer.import.unwrap().staged_count, 1_000);
}

#[tokio::test]
async fn an_export_is_of_one_instant_while_others_write() {
    let site = Site::empty().await;
    let numbers = |value: &str| {
        let line = |number: u32| Line { description: value.into(), ..line(&format!("{number:04}")) };
        (0..1_500).map(|number| line(number).into_resource()).collect::<Vec<_>>()
    };
    site.apply(numbers("0")).await.unwrap();
    let writer = async {
        for value in 1..8 {
            site.apply(numbers(&value.to_string())).await.unwrap();
        }
    };
    let reader = async {
        for _ in 0..4 {
            let all = site.export(&[]).await.unwrap();
            let values = all.iter().map(|resource| match &resource.kind {
                Some(resource::Kind::Line(line)) => line.description.clone(),
                other => panic!("{other:?}"),
            });
            let values: std::collections::BTreeSet<String> = values.collect();
            assert_eq!((all.len(), values.len()), (1_500, 1));
        }
    };
    tokio::join!(writer, reader);
}

#[tokio::test]
async fn a_restored_export_gives_an_equal_directory_with_its_pins() {
    let site = Site::example().await;
    let settings = |pin: &str| DeviceSettings { call_blocking_pin: pin.into(), ..with_lines(&["2001"]) };
    site.apply(vec![
        policy(ContactCentrePolicy::Warn).into_resource(),
        agent().into_resource(),
        profile("pin", settings("1234")).into_resource(),
        Phone { settings: Some(settings("4321")), ..phone("SEP001B54CAFE01", "7960") }.into_resource(),
    ])
    .await
    .unwrap();
    let exported = site.export(&[]).await.unwrap();
    let copy = Site::empty().await;
    let id = copy.staged(rows(exported.clone())).await;
    let request = CommitImportRequest { import_id: id, prune: true, ..Default::default() };
    let answer = copy.commit_as(request).await;
    assert_eq!(counts(&answer), (true, exported.len() as u64, 0, 0));
    let kept =
        |resources: Vec<Resource>| resources.into_iter().map(|r| format!("{:?}", r.kind)).collect::<Vec<_>>();
    let restored = copy.export(&[]).await.unwrap();
    assert_eq!(restored, exported, "{:?}", kept(restored.clone()));
    let pins = restored.iter().filter(|resource| match &resource.kind {
        Some(resource::Kind::UserDeviceProfile(p)) => {
            p.settings.as_ref().unwrap().call_blocking_pin == "1234"
        }
        Some(resource::Kind::Phone(p)) => p.settings.as_ref().unwrap().call_blocking_pin == "4321",
        _ => false,
    });
    assert_eq!(pins.count(), 2);
}

#[tokio::test]
async fn an_export_takes_kinds_and_needs_a_scope_of_its_own() {
    let site = Site::example().await;
    let all = site.export(&["user", "phone"]).await.unwrap();
    assert_eq!(all.iter().map(named).filter(|name| name.starts_with("phone")).count(), 3);
    assert_eq!(all.len(), 4);
    let refusal = refused(site.export(&["user", "phones"]).await, ErrorReason::InvalidRequest);
    assert_eq!(fields(&refusal), ["kinds[1]"]);
    assert!(refusal.violations[0].1.contains("did you mean \"phone\"?"), "{refusal:?}");
    let mut reader = site.directory();
    refused(reader.export_resources(ExportResourcesRequest::default()).await, ErrorReason::ScopeMissing);
}
