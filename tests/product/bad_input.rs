//! Bad input and bad surroundings: a clear error with its reason, no panic, nothing lost (LI-2, LI-10).

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{NewCredential, PrincipalKind, SetCredentialsRequest};
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::directory_service_client::DirectoryServiceClient;
use roamline_proto::profile::{
    AgentSettings, ApplyResourcesRequest, ContactCentrePolicy, DeviceSettings, LineControl, Phone,
    ProfileLine, Resource, ServiceParameters, User, UserDeviceProfile, resource,
};
use roamline_proto::refusal::Refusal;
use roamline_proto::session::LoginRequest;
use tonic::Code;

use crate::clients::{
    administrator, as_administrator, furnish, link, live, login, password, phone_name, pin, reason, sessions,
    user,
};
use crate::process::{Site, errors, start, text};

async fn apply(server: &crate::process::Server, admin: &str, kinds: Vec<resource::Kind>) {
    let resources = kinds.into_iter().map(|kind| Resource { kind: Some(kind) }).collect();
    DirectoryServiceClient::new(link(server, admin))
        .apply_resources(ApplyResourcesRequest { resources, validate_only: false })
        .await
        .expect("the site is accepted");
}

fn profile(name: &str, model: &str, lines: Vec<ProfileLine>) -> UserDeviceProfile {
    UserDeviceProfile {
        name: name.into(),
        model: model.into(),
        settings: Some(DeviceSettings { lines, ..Default::default() }),
        ..Default::default()
    }
}

fn lines(names: &[&str]) -> Vec<ProfileLine> {
    names.iter().map(|name| ProfileLine { lines: vec![(*name).into()], ..Default::default() }).collect()
}

/// A phone, user or profile for each thing that can be wrong.
async fn furnish_trouble(server: &crate::process::Server, admin: &str) {
    furnish(server, admin, 4).await;
    let phone =
        |name: &str, model: &str| Phone { name: name.into(), model: model.into(), ..Default::default() };
    let member = |name: &str, profiles: &[&str]| User {
        user_id: name.into(),
        profiles: profiles.iter().map(|p| (*p).to_owned()).collect(),
        ..Default::default()
    };
    let agent =
        |acd: &str| Some(AgentSettings { line_control: LineControl::MultiLine.into(), acd_line: acd.into() });
    apply(
        server,
        admin,
        vec![
            resource::Kind::Phone(phone("SEP02EE00000001", "8851")),
            resource::Kind::Phone(Phone {
                addressing_mode: roamline_proto::profile::AddressingMode::Ipv6Only.into(),
                ..phone("SEP02EE00000002", "8851")
            }),
            resource::Kind::Phone(phone("SEP02EE00000003", "ata-186")),
            resource::Kind::User(member("nobody", &[])),
            resource::Kind::UserDeviceProfile(profile("p7960", "7960", lines(&["2000"]))),
            resource::Kind::User(member("other", &["p7960"])),
            resource::Kind::User(member("many", &["agent0", "agent1"])),
            resource::Kind::UserDeviceProfile(UserDeviceProfile {
                agent: agent("2003"),
                ..profile("acd a", "", lines(&["2003"]))
            }),
            resource::Kind::User(member("acda", &["acd a"])),
        ],
    )
    .await;
    // What the policy would refuse is stored while it only warns.
    let policy = |policy: ContactCentrePolicy| {
        resource::Kind::ServiceParameters(ServiceParameters {
            contact_centre_policy: policy.into(),
            ..Default::default()
        })
    };
    let broken =
        lines(&["2002"]).into_iter().map(|line| ProfileLine { max_calls: 4, busy_trigger: 2, ..line });
    apply(server, admin, vec![policy(ContactCentrePolicy::Warn)]).await;
    apply(
        server,
        admin,
        vec![
            resource::Kind::UserDeviceProfile(UserDeviceProfile {
                agent: agent("2002"),
                ..profile("acd b", "", broken.collect())
            }),
            resource::Kind::User(member("acdb", &["acd b"])),
        ],
    )
    .await;
    apply(server, admin, vec![policy(ContactCentrePolicy::Reject)]).await;
    let credential = |must_change| NewCredential {
        name: "changer".into(),
        principal_kind: PrincipalKind::User.into(),
        credential: pin("4711"),
        must_change,
        ..Default::default()
    };
    AuthServiceClient::new(link(server, admin))
        .set_credentials(SetCredentialsRequest { credentials: vec![credential(true)], validate_only: false })
        .await
        .expect("the credential is accepted");
}

#[tokio::test]
async fn li_2_every_refusal_has_its_own_reason_and_leaves_nothing_behind() {
    let site = Site::new();
    let server = site.start();
    let admin = administrator(&site, &server).await;
    furnish_trouble(&server, &admin).await;
    let mut client = sessions(&server, &admin);
    client.login(login(&user(3), &phone_name(3))).await.expect("a login that stands in others' way");
    let before = live(&mut client).await;

    let free = phone_name(0);
    let with = |request: LoginRequest, secret| LoginRequest { credential: secret, ..request };
    let cases = [
        (login("agent0", "SEP00"), ErrorReason::InvalidRequest, Code::InvalidArgument),
        (login("agent0", "SEP020000009999"), ErrorReason::PhoneNotFound, Code::NotFound),
        (login("agent0", "SEP02EE00000001"), ErrorReason::PhoneNotEnabled, Code::FailedPrecondition),
        (login("Agent0", &free), ErrorReason::UserIdMalformed, Code::InvalidArgument),
        (with(login("agent0", &free), pin("9999")), ErrorReason::CredentialRefused, Code::Unauthenticated),
        (with(login("ghost", &free), pin("9999")), ErrorReason::CredentialRefused, Code::Unauthenticated),
        (
            with(login("agent0", &free), password("10000")),
            ErrorReason::CredentialRefused,
            Code::Unauthenticated,
        ),
        (
            with(login("changer", &free), pin("4711")),
            ErrorReason::CredentialMustChange,
            Code::FailedPrecondition,
        ),
        (login("ghost", &free), ErrorReason::UserNotFound, Code::NotFound),
        (login("nobody", &free), ErrorReason::ProfileMissing, Code::FailedPrecondition),
        (login("other", &free), ErrorReason::DefaultDeviceProfileMissing, Code::FailedPrecondition),
        (
            LoginRequest { profile: "agent1".into(), ..login("agent0", &free) },
            ErrorReason::ProfileNotOwned,
            Code::PermissionDenied,
        ),
        (login("many", &free), ErrorReason::ProfileChoiceNeeded, Code::FailedPrecondition),
        (login("agent0", &phone_name(3)), ErrorReason::PhoneOccupied, Code::FailedPrecondition),
        (login(&user(3), &free), ErrorReason::LoggedInElsewhere, Code::FailedPrecondition),
        (login("acdb", &free), ErrorReason::ContactCentrePolicy, Code::FailedPrecondition),
    ];
    for (request, expected, code) in cases {
        let status = client.login(request.clone()).await.expect_err(&format!("{expected:?}"));
        assert_eq!((reason(&status), status.code()), (expected, code), "{request:?}: {}", status.message());
        assert_eq!(live(&mut client).await, before, "{expected:?} leaves nothing behind");
    }
}

#[tokio::test]
async fn cc_6_and_dp_17_phones_that_cannot_take_part_cannot_be_enabled() {
    let site = Site::new();
    let server = site.start();
    let admin = administrator(&site, &server).await;
    furnish_trouble(&server, &admin).await;
    let mut phones =
        roamline_proto::profile::phone_service_client::PhoneServiceClient::new(link(&server, &admin));
    for (name, rule) in [("SEP02EE00000002", "CC-6"), ("SEP02EE00000003", "DP-17")] {
        let get = roamline_proto::profile::GetPhoneRequest { name: name.into() };
        let mut phone = phones.get_phone(get).await.unwrap().into_inner().phone.unwrap();
        phone.extension_mobility_enabled = true;
        let request =
            roamline_proto::profile::UpdatePhoneRequest { phone: Some(phone), ..Default::default() };
        let status = phones.update_phone(request).await.unwrap_err();
        let refusal = Refusal::from_status(&status).unwrap();
        assert!(refusal.violations.iter().any(|(_, text)| text.contains(rule)), "{rule}: {refusal:?}");
    }
}

#[tokio::test]
async fn cc_7_two_agents_with_one_acd_line_are_not_on_two_phones() {
    let site = Site::new();
    let server = site.start();
    let admin = administrator(&site, &server).await;
    furnish_trouble(&server, &admin).await;
    apply(
        &server,
        &admin,
        vec![resource::Kind::User(User {
            user_id: "twin".into(),
            profiles: vec!["acd a".into()],
            ..Default::default()
        })],
    )
    .await;
    let mut client = sessions(&server, &admin);
    client.login(login("acda", &phone_name(0))).await.unwrap();
    let status = client.login(login("twin", &phone_name(1))).await.unwrap_err();
    let refusal = Refusal::from_status(&status).unwrap();
    assert_eq!(refusal.reason, ErrorReason::LineInUse);
    assert_eq!((refusal.metadata["userId"].as_str(), refusal.metadata["line"].as_str()), ("acda", "2003"));
    assert_eq!(refusal.metadata["phone"], phone_name(0));
}

#[tokio::test]
async fn broken_tokens_and_missing_scopes_are_refused() {
    let site = Site::new();
    let server = site.start();
    let admin = administrator(&site, &server).await;
    furnish(&server, &admin, 1).await;
    let request = || roamline_proto::session::ListSessionsRequest::default();
    let tampered = {
        let (head, signature) = admin.rsplit_once('.').unwrap();
        format!("{head}.{}", signature.chars().rev().collect::<String>())
    };
    let long = "x".repeat(10_000);
    for token in ["nonsense", "a.b.c", tampered.as_str(), long.as_str()] {
        let status = sessions(&server, token).list_sessions(request()).await.unwrap_err();
        assert_eq!((reason(&status), status.code()), (ErrorReason::TokenInvalid, Code::Unauthenticated));
    }
    let status = sessions(&server, "").list_sessions(request()).await.unwrap_err();
    assert_eq!(reason(&status), ErrorReason::TokenMissing);
    let sign_in = roamline_proto::auth::SignInRequest { name: "agent0".into(), credential: pin("10000") };
    let agent = AuthServiceClient::new(link(&server, "")).sign_in(sign_in).await.unwrap().into_inner();
    let mut directory = DirectoryServiceClient::new(link(&server, &agent.access_token));
    let status = directory.apply_resources(ApplyResourcesRequest::default()).await.unwrap_err();
    assert_eq!((reason(&status), status.code()), (ErrorReason::ScopeMissing, Code::PermissionDenied));
}

#[tokio::test]
async fn an_oversized_message_is_refused_and_the_server_goes_on() {
    let site = Site::new();
    let server = site.start();
    let mut client = as_administrator(&site, &server).await;
    let request = LoginRequest { user_id: "x".repeat(3 << 20), ..login("", &phone_name(0)) };
    let status = client.login(request).await.unwrap_err();
    assert!(matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted), "{status:?}");
    assert!(live(&mut client).await.is_empty());
}

#[test]
fn a_configuration_of_random_bytes_or_with_an_unknown_key_is_refused_with_its_place() {
    let site = Site::new();
    let file = site.home().join("roamline.toml");
    let cases: [(&[u8], &[&str]); 4] = [
        (b"\xff\xfe\x00\x9f\x11\x80", &["roamline.toml"]),
        (b"[session]\nsweep_evry = \"1s\"\n", &["roamline.toml", "sweep_evry", "sweep_every"]),
        (b"[session]\nsweep_every = \"often\"\n", &["roamline.toml", "sweep_every"]),
        (b"[sesion]\n", &["sesion", "session"]),
    ];
    for (bytes, words) in cases {
        fs::write(&file, bytes).unwrap();
        let mut command = site.up();
        command.arg("--config").arg(&file);
        let refused = start(command).err().expect("a configuration that is refused");
        for word in words {
            assert!(refused.contains(word), "{word} is missing in {refused}");
        }
        assert!(!refused.contains("panicked"), "{refused}");
    }
    assert!(!site.data().exists(), "nothing was made");
}

#[test]
fn a_data_directory_that_cannot_be_made_is_refused_with_its_path() {
    let site = Site::new();
    let file = site.home().join("a file");
    fs::write(&file, "not a directory").unwrap();
    for path in [file.join("data"), "/proc/roamline/data".into()] {
        let mut command = crate::process::roamline(site.home());
        command.args(["up", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"]).arg(&path);
        let refused = start(command).err().expect("a directory that is refused");
        assert!(refused.contains(path.to_str().unwrap()) && !refused.contains("panicked"), "{refused}");
    }
}

/// Root may write everywhere, so as root the server runs as `nobody` here, from a copy that `nobody` can read.
#[test]
fn a_read_only_data_directory_is_refused_and_nothing_is_lost() {
    let site = Site::new();
    let binary = site.home().join("roamline");
    fs::copy(crate::process::server_binary(), &binary).unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(site.home(), 0o777);
    mode(&binary, 0o755);
    let root = fs::metadata(site.home()).unwrap().uid() == 0;
    let up = || {
        let mut command = Command::new(if root { Path::new("setpriv") } else { &binary });
        if root {
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&binary);
        }
        command.args(site.up().get_args()).env("HOME", site.home()).current_dir(site.home());
        command
    };
    let files = || {
        let all = fs::read_dir(site.data()).unwrap().map(|entry| entry.unwrap().path());
        all.collect::<Vec<_>>()
    };
    drop(start(up()).expect("it starts where it can write"));
    let before = fs::read(site.data().join("admin.toml")).unwrap();
    files().iter().for_each(|file| mode(file, 0o444));
    mode(&site.data(), 0o555);
    let refused = start(up()).err().expect("a directory that is refused");
    assert!(refused.contains("cannot be written") && !refused.contains("panicked"), "{refused}");
    mode(&site.data(), 0o700);
    files().iter().for_each(|file| mode(file, 0o600));
    drop(start(up()).expect("it starts again"));
    let password = |text: &[u8]| {
        String::from_utf8_lossy(text).lines().find(|l| l.starts_with("password")).map(str::to_owned)
    };
    let after = fs::read(site.data().join("admin.toml")).unwrap();
    assert_eq!(password(&after), password(&before), "the administrator is who he was");
}

#[test]
fn a_database_that_is_none_is_refused_and_left_alone() {
    let site = Site::new();
    fs::create_dir(site.data()).unwrap();
    let file = site.data().join("roamline.db");
    fs::write(
        &file,
        b"this is no database, and it is longer than a header of one would be, by far. ".repeat(20),
    )
    .unwrap();
    let before = fs::read(&file).unwrap();
    let refused = site.try_start().err().expect("a database that is refused");
    assert!(refused.contains("roamline.db") && !refused.contains("panicked"), "{refused}");
    assert_eq!(fs::read(&file).unwrap(), before);
}

/// The limit on the size of files stands in for a full disk: every write beyond it fails, and needs no rights.
#[tokio::test]
async fn a_full_disk_loses_nothing_and_is_said_clearly() {
    let site = Site::new();
    let server = site.start();
    let admin = administrator(&site, &server).await;
    furnish(&server, &admin, 40).await;
    sessions(&server, &admin).login(login(&user(0), &phone_name(0))).await.unwrap();
    server.stop();

    let largest =
        fs::read_dir(site.data()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).max().unwrap();
    let blocks = largest / 512 + 64;
    let up = site.up();
    let mut limited = Command::new("sh");
    limited.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"")).arg("sh");
    limited.arg(up.get_program()).args(up.get_args()).env("HOME", site.home());
    let server = start(limited).expect("it starts while there is room");
    let mut client = sessions(&server, &admin);
    let mut acknowledged = vec![phone_name(0)];
    let mut full = None;
    'fill: for _ in 0..200 {
        for n in 1..40 {
            match client.login(login(&user(n), &phone_name(n))).await {
                Ok(_) => acknowledged.push(phone_name(n)),
                Err(status) => {
                    full = Some(status);
                    break 'fill;
                }
            }
        }
        for n in 1..40 {
            match client.logout(crate::clients::logout(&phone_name(n))).await {
                Ok(_) => acknowledged.retain(|phone| *phone != phone_name(n)),
                Err(status) => {
                    full = Some(status);
                    break 'fill;
                }
            }
        }
    }
    let status = full.expect("the disk fills up");
    assert_eq!(
        (reason(&status), status.code()),
        (ErrorReason::StoreUnavailable, Code::Unavailable),
        "{status:?}"
    );
    let there: Vec<_> = live(&mut client).await.into_iter().map(|session| session.phone).collect();
    acknowledged.sort();
    assert_eq!(there, acknowledged, "reads go on, and show what was acknowledged");
    server.kill();

    let server = site.start();
    let mut client = sessions(&server, &admin);
    let there: Vec<_> = live(&mut client).await.into_iter().map(|session| session.phone).collect();
    assert_eq!(there, acknowledged, "nothing is lost, and with room it goes on");
    client.logout(crate::clients::logout(&phone_name(0))).await.unwrap();
}

#[test]
fn an_import_of_random_bytes_is_refused() {
    let site = Site::new();
    let _server = site.start();
    let file = site.home().join("noise.cfg");
    let noise: Vec<u8> = (0u32..5000).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::File::create(&file).unwrap().write_all(&noise).unwrap();
    let output = site.roamctl(&["import", "cme", file.to_str().unwrap()]);
    assert!(!output.status.success() && !errors(&output).contains("panicked"), "{}", text(&output));
    let missing = site.roamctl(&["import", "cme", "no-such-file.cfg"]);
    assert!(!missing.status.success() && errors(&missing).contains("no-such-file.cfg"), "{}", text(&missing));
}

#[test]
fn an_address_in_use_is_refused_with_the_address() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let site = Site::new();
    let mut command = crate::process::roamline(site.home());
    command.args(["up", "--admin-listen", "127.0.0.1:0", "--listen", &address, "--data"]).arg(site.data());
    let output = command.stdout(Stdio::null()).output().unwrap();
    assert!(!output.status.success() && errors(&output).contains(&address), "{}", text(&output));
}
