//! Columns and cells against the contract.

use proptest::prelude::*;
use prost_reflect::ReflectMessage;
use roamline_proto::profile::{Phone, phone::LogoutProfile, resource};

use super::*;

const TEXTS: [&str; 6] = ["a", "a;b", "c\\", " x \"y\"\n", "=1+2", "é,é"];

/// Picks from a list of numbers, round and round.
struct Picks(Vec<u32>, usize);

impl Picks {
    fn next(&mut self, below: u32) -> u32 {
        self.1 += 1;
        self.0[self.1 % self.0.len()].wrapping_add(self.1 as u32 / 7) % below
    }
}

fn value(field: &FieldDescriptor, picks: &mut Picks) -> Value {
    let mut text = || TEXTS[picks.next(6) as usize].to_owned();
    if field.is_map() {
        let pair = (prost_reflect::MapKey::String("k;".to_owned()), Value::String(text()));
        return Value::Map([pair].into());
    }
    match field.kind() {
        Type::Bool => Value::Bool(true),
        Type::Uint32 => Value::U32(1 + picks.next(35)),
        Type::Enum(list) => Value::EnumNumber(1 + (picks.next(list.values().count() as u32 - 1)) as i32),
        Type::Message(message) => {
            let mut made = DynamicMessage::new(message.clone());
            if message.name() == "Duration" {
                made.set_field_by_name("seconds", Value::I64(picks.next(9999).into()));
            } else {
                fill(&mut made, picks);
            }
            Value::Message(made)
        }
        _ => Value::String(text()),
    }
}

/// Fills about half of the fields that can be columns.
fn fill(message: &mut DynamicMessage, picks: &mut Picks) {
    let descriptor = message.descriptor();
    for field in descriptor.fields() {
        let name = format!("{}.{}", descriptor.name(), field.name());
        let hidden = field.name() == "etag" || field.name() == SECRET || OUTPUT_ONLY.contains(&name.as_str());
        let chosen = field
            .containing_oneof()
            .is_some_and(|choice| choice.fields().any(|other| message.has_field(&other)));
        if hidden || chosen || picks.next(2) == 0 {
            continue;
        }
        let made = if field.is_list() {
            let count = 1 + picks.next(3);
            Value::List((0..count).map(|number| item(&field, number, picks)).collect())
        } else {
            value(&field, picks)
        };
        // What says nothing is no different from what is not there.
        if made.as_message().is_none_or(|made| {
            made.fields().next().is_some()
                || field.kind().as_message().is_some_and(|m| m.name() == "Duration")
        }) {
            message.set_field(&field, made);
        }
    }
}

fn item(list: &FieldDescriptor, number: u32, picks: &mut Picks) -> Value {
    let mut made = value(list, picks);
    if let Some(entry) = made.as_message_mut() {
        for field in entry.descriptor().fields().filter(|field| field.name() == "tag") {
            entry.set_field(&field, Value::U32(number * 3 + 1));
        }
        let first = entry.descriptor().fields().find(|field| field.name() != "tag" && !field.is_list());
        if let Some(field) = first {
            let set = value(&field, picks);
            entry.set_field(&field, set);
        }
    }
    made
}

proptest! {
    #[test]
    fn dp_19_what_is_written_as_cells_is_read_as_the_same_resource(picks in proptest::collection::vec(any::<u32>(), 30)) {
        for kind in Kind::all() {
            let mut picks = Picks(picks.clone(), 0);
            let mut before = DynamicMessage::new(kind.message.clone());
            fill(&mut before, &mut picks);
            let mut columns = kind.flat();
            for list in kind.lists() {
                columns.extend(list.numbers(&before).into_iter().flat_map(|number| list.columns(number)));
            }
            let cells: Vec<String> = columns.iter().map(|column| column.cell(&before)).collect();
            let after = message(&kind, columns.iter().zip(cells.iter().map(String::as_str)));
            prop_assert_eq!(after.as_ref(), Ok(&before), "{}", kind);
            for column in &columns {
                prop_assert_eq!(&kind.column(&column.name).unwrap().name, &column.name);
            }
        }
    }
}

fn phone(cells: &[(&str, &str)]) -> Result<Resource, Vec<CellProblem>> {
    let kind: Kind = "phone".parse().unwrap();
    let columns: Vec<Column> = cells.iter().map(|(name, _)| kind.column(name).unwrap()).collect();
    let texts = cells.iter().map(|(_, text)| *text);
    message(&kind, columns.iter().zip(texts)).map(|message| kind.resource(message).unwrap())
}

#[test]
fn dp_19_columns_are_paths_of_fields_and_numbers_of_entries() {
    let resource = phone(&[
        ("name", "0200.5e00.5301"),
        ("shared_logout_profile", "2"),
        ("settings.do_not_disturb.on", "t"),
        ("settings.idle_limit", "10m"),
        ("line2", "1002;1003"),
        ("line2.kind", "overlay"),
        ("line1", "1001"),
        ("speed_dial7.number", "3001"),
        ("speed_dial2.number", ""),
    ]);
    let Some(resource::Kind::Phone(phone)) = resource.unwrap().kind else { panic!("a phone") };
    let Phone { logout_profile, settings: Some(settings), .. } = phone else { panic!("settings") };
    assert_eq!(logout_profile, Some(LogoutProfile::SharedLogoutProfile(2)));
    assert!(settings.do_not_disturb.unwrap().on);
    assert_eq!(settings.idle_limit.unwrap().seconds, 600);
    let lines: Vec<_> = settings.lines.iter().map(|line| (line.lines.join(" "), line.kind)).collect();
    assert_eq!(lines, [("1001".to_owned(), 0), ("1002 1003".to_owned(), 6)]);
    assert_eq!((settings.speed_dials.len(), settings.speed_dials[0].tag), (1, 7));
}

#[test]
fn every_cell_that_is_wrong_is_told() {
    let problems = phone(&[
        ("extension_mobility_enabled", "maybe"),
        ("line1.max_calls", "-1"),
        ("line1.kind", "overly"),
        ("settings.idle_limit", "soon"),
        ("shared_logout_profile", "1"),
        ("user_device_profile", "a"),
    ])
    .unwrap_err();
    let told: Vec<String> = problems.into_iter().map(|(column, text)| format!("{column} {text}")).collect();
    assert_eq!(told[0], "extension_mobility_enabled must be true or false, not `maybe`");
    assert_eq!(told[2], "line1.kind cannot be `overly`; did you mean `overlay`?");
    assert_eq!(told[4], "user_device_profile is given as well as shared_logout_profile, which excludes it");
    assert_eq!(told.len(), 5);
}

#[test]
fn what_only_the_server_writes_has_no_column() {
    for (kind, name) in [
        ("user-device-profile", "owner_user_id"),
        ("phone", "autogenerated_profile.outdated"),
        ("phone", "etag"),
        ("phone", "settings.call_blocking_pin_set"),
        ("phone", "line0"),
        ("phone", "line101"),
        ("phone", "speed_dial1.tag"),
    ] {
        assert!(kind.parse::<Kind>().unwrap().column(name).is_err(), "{name}");
    }
    assert!("phone".parse::<Kind>().unwrap().column("settings.call_blocking_pin").unwrap().is_secret());
    assert!("phon".parse::<Kind>().unwrap_err().contains("did you mean `phone`?"));
    assert_eq!("user_device_profiles".parse::<Kind>().unwrap().word(), "user-device-profile");
    assert_eq!(Kind::all().len(), 11);
}
