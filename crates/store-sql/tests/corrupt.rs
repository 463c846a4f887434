//! Rows of random bytes are errors of their own, and nothing panics.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what a test is given must be there")]

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use roamline_domain::audit::{AuditKind, AuditRecord, EventMark, Hash};
use roamline_domain::credential::{PrincipalKind, SecretKind};
use roamline_domain::directory::{Kind, Resource};
use roamline_store::conformance::fixture::{
    agent, at, device, line, log_in, log_out, person, phone, profile, reply, request_id, user,
};
use roamline_store::{
    AuditPlace, AuditQuery, AuditStep, AuditStore, Change, CredentialStore, DirectoryError, DirectoryStore,
    EventsError, Expect, ImportError, ImportStore, KeyRecord, ListQuery, Principal, Revocation, Revoked,
    SecretRecord, SessionStore, SignIn, StageError, StoreError, TokenStore,
};
use roamline_store_sql::{SqlStore, SqliteOptions, Synchronous};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

const PHONE: &str = "SEP000000000009";

async fn filled(store: &Arc<SqlStore>) {
    log_in(store, 1, &agent(1).on_line(1).lasting(Duration::from_secs(60))).await;
    log_in(store, 2, &agent(1)).await;
    log_out(store, 2).await;
    let mut commit = agent(3).login(store.load(&agent(3).about(3)).await.unwrap());
    commit.reply = Some(reply("r", 100));
    SessionStore::commit(&**store, commit).await.unwrap();
    let resources = [line("1"), profile("p", &["1"]), device(PHONE, &["1"]), person("a", &["p"], Some("7"))];
    let puts = resources.map(put);
    DirectoryStore::commit(&**store, puts.to_vec(), at(0)).await.unwrap();
    store.open_import("file", "id", at(0)).await.unwrap();
    let keep = Change::Keep { key: line("1").key(), version: Some(1) };
    let delete = Change::Delete { key: profile("p", &[]).key(), version: 1 };
    let staged = vec![(1, put(profile("q", &["2"]))), (1, put(line("2"))), (1, keep), (2, delete)];
    store.stage("id", 1, staged, 3, at(0)).await.unwrap();
    let secret = SecretRecord::new("x".into(), false, at(0));
    let principal = Principal {
        pin: Some(secret.clone()),
        password: Some(secret),
        ..Principal::new("a".parse().unwrap(), PrincipalKind::User)
    };
    assert!(store.set_principals(vec![principal]).await.unwrap());
    tokens(store).await;
    store.append(audit_step(store).await).await.unwrap();
}

async fn tokens(store: &Arc<SqlStore>) {
    let key = KeyRecord {
        kid: "k".into(),
        pkcs8: vec![1],
        created_at: at(0),
        signs_from: Some(at(0)),
        retired_at: Some(at(1)),
    };
    assert!(store.swap_keys(&[], vec![key]).await.unwrap());
    let sign_in = SignIn {
        id: "s".into(),
        principal: "a".parse().unwrap(),
        secret_kind: SecretKind::Pin,
        secret_set_at: at(0),
        seed: vec![1],
        counter: 0,
        current: vec![1],
        previous: Some(vec![1]),
        refreshed_at: at(0),
        begun_at: at(0),
        ends_at: at(1),
        expires_at: at(1),
    };
    store.begin_sign_in(sign_in, 1, at(0)).await.unwrap();
    let of = Revoked::Principal("b".parse().unwrap());
    store.revoke(vec![Revocation { of, signed_until: at(0), expires_at: at(1) }]).await.unwrap();
}

async fn audit_step(store: &Arc<SqlStore>) -> AuditStep {
    let place = AuditPlace { sequence: 1, fingerprint: vec![1], number: 1, hash: Hash::default().then("{}") };
    let record = AuditRecord {
        number: 1,
        at: at(0),
        kind: AuditKind::Login,
        phone: phone(1).to_string(),
        user: "a".into(),
        body: "{}".into(),
        event: Some(EventMark { sequence: 1, fingerprint: vec![1] }),
        hash: place.hash,
    };
    let session = store.phone(&phone(1)).await.unwrap().unwrap().session.unwrap();
    let (records, live) = (vec![record], vec![session]);
    AuditStep { from: AuditPlace::default(), to: place, records, live, ended: Vec::new() }
}

#[derive(Debug, Default)]
struct Seen {
    corrupt: Vec<String>,
    other: Vec<String>,
}

impl Seen {
    fn note(&mut self, error: Option<StoreError>) {
        match error {
            Some(StoreError::Corrupt { what, .. }) => self.corrupt.push(what),
            Some(other) => self.other.push(format!("{other:?}")),
            None => {}
        }
    }
}

/// Everything that can be read, and what went wrong.
async fn read_all(store: &Arc<SqlStore>) -> Seen {
    let mut seen = Seen::default();
    seen.note(store.load(&agent(1).on_line(1).about(1)).await.err());
    seen.note(store.phone(&phone(1)).await.err());
    seen.note(store.session(&"00000000000100000000000001".parse().unwrap()).await.err());
    seen.note(SessionStore::list(&**store, Some(&user(1)), None, 10).await.err());
    seen.note(SessionStore::snapshot(&**store, None).await.err());
    seen.note(store.due(Timestamp::MAX, 10).await.err());
    seen.note(store.next_deadline().await.err());
    seen.note(store.events(0, 10).await.err().and_then(|error| match error {
        EventsError::Store(error) => Some(error),
        _ => None,
    }));
    seen.note(store.reply(&request_id("r"), at(0)).await.err());
    seen.note(store.find(&[line("1").key(), profile("p", &[]).key()]).await.err());
    for kind in Kind::ALL {
        seen.note(DirectoryStore::list(&**store, kind, &ListQuery::names_after(None, 10)).await.err());
    }
    let mut pages = DirectoryStore::snapshot(&**store);
    while let Some(page) = pages.next().await {
        seen.note(page.err());
    }
    seen.note(store.owners(&profile(PHONE, &[]).claims()).await.err());
    seen.note(store.used_by(&line("1").key(), None, 10).await.err());
    seen.note(store.first_users(&[line("1").key()], Kind::Phone).await.err());
    read_import(store, &mut seen).await;
    seen.note(store.principal(&"a".parse().unwrap()).await.err());
    seen.note(store.keys().await.err());
    seen.note(store.sign_in("s").await.err());
    seen.note(store.revocations(0, at(0), 10).await.err());
    seen.note(AuditStore::place(&**store).await.err());
    seen.note(store.records(&AuditQuery::default(), 0, 10).await.err());
    seen.note(store.recorded(0, 10).await.err());
    seen.note(store.live(None, 10).await.err());
    let delete = Change::Delete { key: line("1").key(), version: 1 };
    for change in [delete, put(profile(PHONE, &["1"]))] {
        let made = DirectoryStore::commit(&**store, vec![change], at(0)).await;
        if let Err(DirectoryError::Store(error)) = made {
            seen.note(Some(error));
        }
    }
    seen
}

async fn read_import(store: &Arc<SqlStore>, seen: &mut Seen) {
    seen.note(store.open_import("file", "another id", at(0)).await.err());
    seen.note(store.find_import("id").await.err());
    seen.note(store.find_staged("id", &[line("2").key(), profile("q", &[]).key()]).await.err());
    seen.note(store.staged("id", 0, 10).await.err());
    match store.stage("id", 3, vec![(3, put(line("3")))], 4, at(0)).await {
        Err(StageError::Store(error)) => seen.note(Some(error)),
        staged => drop(staged),
    }
    match store.commit_import("id", at(0), true).await {
        Err(ImportError::Store(error)) => seen.note(Some(error)),
        checked => drop(checked),
    }
}

fn put(resource: Resource) -> Change {
    Change::Put { resource, expect: Expect::Absent }
}

async fn texts(db: &DatabaseConnection, sql: &str) -> Vec<String> {
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap();
    rows.into_iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_stands_in_a_row_reading_it_is_an_answer_or_corrupt() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roamline.db");
    let options = SqliteOptions { synchronous: Synchronous::Normal };
    let store = Arc::new(SqlStore::open_sqlite(&path, "main".parse().unwrap(), options).await.unwrap());
    filled(&store).await;
    assert!(read_all(&store).await.corrupt.is_empty());
    let mut options = sea_orm::ConnectOptions::new(format!("sqlite://{}", path.display()));
    let raw = Database::connect(options.max_connections(1).clone()).await.unwrap();

    raw.execute_unprepared("PRAGMA synchronous = 0").await.unwrap();
    let mut corrupt = std::collections::BTreeSet::new();
    let tables =
        texts(&raw, "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'seaql_migrations'")
            .await;
    for table in tables {
        raw.execute_unprepared(&format!("CREATE TEMP TABLE saved AS SELECT * FROM {table}")).await.unwrap();
        for column in texts(&raw, &format!("SELECT name FROM pragma_table_info('{table}')")).await {
            for junk in ["x'ff00fe'", "cast(x'c328ff' AS TEXT)", "'{\"a\":'", "-1", "1e300", "NULL"] {
                let spoilt =
                    raw.execute_unprepared(&format!("UPDATE OR IGNORE {table} SET {column} = {junk}")).await;
                let seen = read_all(&store).await;
                assert!(seen.other.is_empty(), "{table}.{column} = {junk}: {seen:?}");
                if spoilt.is_ok() && !seen.corrupt.is_empty() {
                    corrupt.insert(format!("{table}.{column}"));
                }
                let restore = format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM saved");
                raw.execute_unprepared(&restore).await.unwrap();
            }
        }
        raw.execute_unprepared("DROP TABLE saved").await.unwrap();
    }
    for column in ["phone_state.epoch", "phone_state.session", "phone_state.hook", "session_event.body"] {
        assert!(corrupt.contains(column), "{column} of {corrupt:?}");
    }
    for column in ["audit_record.kind", "audit_record.hash", "audit_place.number", "audit_live.session"] {
        assert!(corrupt.contains(column), "{column} of {corrupt:?}");
    }
    for column in ["resource.body", "principal.attempts", "signing_key.created_at", "guard.version"] {
        assert!(corrupt.contains(column), "{column} of {corrupt:?}");
    }
}
