//! Files of Cisco's Bulk Administration Tool: their headers are recognised by their text, and their cells become those
//! of our own columns. What has no meaning here is left out, and said to be. `docs/bulk.md` names the sources.

use std::collections::BTreeMap;

use super::columns::{Column, Kind, MOST_ENTRIES};
use super::{cells, locale};
use crate::wrong_words::quoted;

/// How a cell becomes one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Take {
    /// As it stands.
    Text,
    /// In lower case: ids of users, protocols.
    Lower,
    /// Words that are joined by a space: parts of a name, in their order.
    Word,
    /// One more item of a list.
    Item,
    /// A directory number; its partition comes from another column.
    Number,
    /// The partition of the directory number.
    Partition,
    /// `1001 in Agents`.
    Extension,
    /// `English United States`.
    Locale,
    /// `7914 14-Button Line Expansion Module`, one more item of a list.
    Module,
    /// `Ringer Off`; a setting that is left to others is empty.
    Option,
    /// A presence group; the standard one is ours without a name.
    Group,
    /// The number of a busy lamp.
    Lamp,
    /// Not imported, and said so where there are any.
    Secret,
}

/// A header of BAT, upper case, `#` for a number; the kind by its word, empty for phones and profiles alike; our column.
type Row = (&'static str, &'static str, &'static str, Take);

const PHONE: &str = "phone";
const PROFILE: &str = "user-device-profile";
const USER: &str = "user";

const KNOWN: [Row; 67] = [
    ("MAC ADDRESS", PHONE, "name", Take::Text),
    ("DEVICE NAME", PHONE, "name", Take::Text),
    ("DEVICE POOL", PHONE, "device_pool", Take::Text),
    ("OWNER USER ID", PHONE, "owner_user_id", Take::Lower),
    ("EXTENSION MOBILITY", PHONE, "extension_mobility_enabled", Take::Text),
    ("LOGOUT PROFILE", PHONE, "user_device_profile", Take::Option),
    ("DEVICE PROFILE NAME", PROFILE, "name", Take::Text),
    ("DESCRIPTION", "", "description", Take::Text),
    ("DEVICE TYPE", "", "model", Take::Text),
    ("DEVICE PROTOCOL", "", "protocol", Take::Lower),
    ("PHONE BUTTON TEMPLATE", "", "settings.phone_button_template", Take::Text),
    ("PHONE TEMPLATE", "", "settings.phone_button_template", Take::Text),
    ("SOFTKEY TEMPLATE", "", "settings.softkey_template", Take::Text),
    ("USER LOCALE", "", "settings.user_locale", Take::Locale),
    ("DEVICE USER LOCALE", "", "settings.user_locale", Take::Locale),
    ("USER HOLD MOH AUDIO SOURCE", "", "settings.user_hold_audio_source", Take::Text),
    ("USER HOLD AUDIO SOURCE", "", "settings.user_hold_audio_source", Take::Text),
    ("PRIVACY", "", "settings.privacy", Take::Option),
    ("IGNORE PRESENTATION INDICATORS", "", "settings.ignore_presentation_indicators", Take::Text),
    ("MODULE #", "", "settings.expansion_modules", Take::Module),
    ("MLPP DOMAIN", "", "settings.mlpp.domain", Take::Text),
    ("MLPP INDICATION", "", "settings.mlpp.indication", Take::Option),
    ("MLPP PREEMPTION", "", "settings.mlpp.preemption", Take::Option),
    ("DND OPTION", "", "settings.do_not_disturb.option", Take::Option),
    ("DO NOT DISTURB", "", "settings.do_not_disturb.on", Take::Text),
    ("DEVICE PRESENCE GROUP", "", "settings.presence_group", Take::Group),
    ("LOGIN USER ID", PROFILE, "login_user_id", Take::Lower),
    ("DIRECTORY NUMBER #", "", "line#", Take::Number),
    ("ROUTE PARTITION #", "", "line#", Take::Partition),
    ("PARTITION #", "", "line#", Take::Partition),
    ("LINE TEXT LABEL #", "", "line#.label", Take::Text),
    ("MAXIMUM NUMBER OF CALLS #", "", "line#.max_calls", Take::Text),
    ("BUSY TRIGGER #", "", "line#.busy_trigger", Take::Text),
    ("SPEED DIAL NUMBER #", "", "speed_dial#.number", Take::Text),
    ("SPEED DIAL LABEL #", "", "speed_dial#.label", Take::Text),
    ("BUSY LAMP FIELD DESTINATION #", "", "speed_dial#.number", Take::Lamp),
    ("BUSY LAMP FIELD DIRECTORY NUMBER #", "", "speed_dial#.number", Take::Lamp),
    ("BUSY LAMP FIELD LABEL #", "", "speed_dial#.label", Take::Lamp),
    ("SERVICE NAME #", "", "service#.definition", Take::Text),
    ("SUBSCRIBED SERVICE NAME #", "", "service#.name", Take::Text),
    ("SECURE SHELL PASSWORD", "", "", Take::Secret),
    ("USER ID", USER, "user_id", Take::Lower),
    ("FIRST NAME", USER, "display_name", Take::Word),
    ("MIDDLE NAME", USER, "display_name", Take::Word),
    ("LAST NAME", USER, "display_name", Take::Word),
    ("CONTROLLED PROFILE #", USER, "profiles", Take::Item),
    ("CONTROLLED DEVICE PROFILE #", USER, "profiles", Take::Item),
    ("USER DEVICE PROFILE", USER, "profiles", Take::Item),
    ("DEFAULT PROFILE", USER, "default_profile", Take::Text),
    ("USER LOCALE", USER, "user_locale", Take::Locale),
    ("ENABLE EMCC", USER, "cross_cluster_enabled", Take::Text),
    ("ENABLE EXTENSION MOBILITY CROSS CLUSTER", USER, "cross_cluster_enabled", Take::Text),
    ("PRIMARY EXTENSION", USER, "primary_extension", Take::Extension),
    ("SELF-SERVICE USER ID", USER, "self_service_id", Take::Text),
    ("SELF SERVICE USER ID", USER, "self_service_id", Take::Text),
    ("PASSWORD", USER, "", Take::Secret),
    ("PASSWORD #", USER, "", Take::Secret),
    ("PIN", USER, "", Take::Secret),
    ("PIN #", USER, "", Take::Secret),
    ("DIGEST CREDENTIALS", USER, "", Take::Secret),
    ("DIGEST CREDENTIAL", USER, "", Take::Secret),
    ("MLPP PASSWORD", USER, "", Take::Secret),
    ("APPLICATION PASSWORD", USER, "", Take::Secret),
    ("USER PASSWORD", USER, "", Take::Secret),
    ("USER PIN", USER, "", Take::Secret),
    ("DEFAULT PASSWORD", USER, "", Take::Secret),
    ("DEFAULT PIN", USER, "", Take::Secret),
];

/// A header that was recognised.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) columns: Vec<Column>,
    /// Headers that mean nothing here.
    pub(super) ignored: Vec<String>,
    /// What becomes of each column of the file.
    sources: Vec<Option<Source>>,
    for_users: bool,
}

#[derive(Debug)]
struct Source {
    take: Take,
    column: String,
}

/// The kind whose BAT file begins with such a header.
pub(super) fn recognise(header: &[String]) -> Option<&'static str> {
    let given: Vec<String> = header.iter().map(|name| plain(name)).collect();
    let has = |name: &str| given.iter().any(|given| given == name);
    if has("DEVICE PROFILE NAME") {
        Some(PROFILE)
    } else if has("MAC ADDRESS") || has("DEVICE NAME") {
        Some(PHONE)
    } else {
        has("USER ID").then_some(USER)
    }
}

/// The header of a BAT file of that kind.
///
/// # Errors
/// Headers that stand there twice.
pub(super) fn layout(kind: &Kind, header: &[String]) -> Result<Layout, Vec<String>> {
    let word = kind.word();
    let found: Vec<_> = header.iter().map(|name| find(&word, &plain(name))).collect();
    let dials =
        found.iter().flatten().filter(|(row, _)| row.2.starts_with("speed_dial") && row.3 != Take::Lamp);
    let dials = dials.filter_map(|(_, number)| *number).max().unwrap_or_default();
    let mut layout =
        Layout { columns: Vec::new(), ignored: Vec::new(), sources: Vec::new(), for_users: word == USER };
    let mut problems = Vec::new();
    let mut seen = BTreeMap::new();
    for (place, (name, found)) in header.iter().zip(found).enumerate() {
        let Some((row, number)) = found else {
            layout.ignored.extend((!name.trim().is_empty()).then(|| name.trim().to_owned()));
            layout.sources.push(None);
            continue;
        };
        if let Some(first) = seen.insert(plain(name), place + 1) {
            problems.push(format!(
                "column {}, {}, stands in column {first} already",
                place + 1,
                quoted(name)
            ));
        }
        // Lamps come after the speed dials.
        let number =
            number.map(|number| if row.3 == Take::Lamp { number.saturating_add(dials) } else { number });
        let column = row.2.replace('#', &number.map(|number| number.to_string()).unwrap_or_default());
        layout.add(kind, &column);
        if row.3 == Take::Lamp {
            layout.add(kind, &format!("speed_dial{}.busy_lamp", number.unwrap_or_default()));
        }
        if column == "default_profile" {
            layout.add(kind, "profiles");
        }
        layout.sources.push(Some(Source { take: row.3, column }));
    }
    if problems.is_empty() { Ok(layout) } else { Err(problems) }
}

impl Layout {
    fn add(&mut self, kind: &Kind, name: &str) {
        if !self.columns.iter().any(|column| column.name == name) {
            self.columns.extend(kind.column(name).ok());
        }
    }

    /// Whether the row has a PIN or a password.
    pub(super) fn has_secret(&self, row: &[String]) -> bool {
        let mut cells = row.iter().zip(&self.sources);
        cells.any(|(cell, source)| {
            !cell.trim().is_empty() && matches!(source, Some(source) if source.take == Take::Secret)
        })
    }

    /// The cells of our columns, by their names.
    ///
    /// # Errors
    /// Cells that cannot be understood, with their headers.
    pub(super) fn translate(
        &self,
        row: &[String],
    ) -> Result<BTreeMap<String, String>, Vec<(String, String)>> {
        let mut made: BTreeMap<String, String> = BTreeMap::new();
        let mut partitions = Vec::new();
        let mut problems = Vec::new();
        for (cell, source) in row.iter().zip(&self.sources) {
            let (cell, Some(source)) = (cell.trim(), source) else { continue };
            if cell.is_empty() || source.take == Take::Secret {
                continue;
            }
            if source.take == Take::Partition {
                partitions.push((source.column.clone(), cell));
                continue;
            }
            match value(source.take, cell) {
                Ok(value) => put(&mut made, source, &value),
                Err(problem) => problems.push((source.column.clone(), problem)),
            }
        }
        for (column, partition) in partitions {
            if let Some(number) = made.get_mut(&column) {
                number.push_str(&format!("@{partition}"));
            }
        }
        complete(&mut made, self.for_users);
        if problems.is_empty() { Ok(made) } else { Err(problems) }
    }
}

fn put(made: &mut BTreeMap<String, String>, source: &Source, value: &str) {
    if value.is_empty() {
        return;
    }
    let cell = made.entry(source.column.clone()).or_default();
    match source.take {
        Take::Word if !cell.is_empty() => cell.push_str(&format!(" {value}")),
        Take::Item | Take::Module if !cell.is_empty() => {
            if !cells::split(cell).iter().any(|item| item == value) || source.take == Take::Module {
                cell.push_str(&format!(";{}", cells::escaped(value)));
            }
        }
        Take::Item | Take::Module => *cell = cells::escaped(value),
        // The destination of a busy lamp, or its directory number: the first that is given.
        Take::Lamp if !cell.is_empty() => {}
        _ => value.clone_into(cell),
    }
    if source.take == Take::Lamp && source.column.ends_with(".number") {
        made.insert(source.column.replace(".number", ".busy_lamp"), "true".to_owned());
    }
}

/// Lines and speed dials without a number are none; a default profile is one of the user's.
fn complete(made: &mut BTreeMap<String, String>, for_users: bool) {
    let names: Vec<String> = made.keys().cloned().collect();
    for name in names {
        let Some((entry, _)) = name.split_once('.') else { continue };
        let numbered =
            [entry.to_owned(), format!("{entry}.number")].iter().any(|name| made.contains_key(name));
        if !numbered && (entry.starts_with("line") || entry.starts_with("speed_dial")) {
            made.remove(&name);
        }
        if entry.starts_with("service")
            && !made.contains_key(&format!("{entry}.name"))
            && let Some(definition) = made.get(&format!("{entry}.definition")).cloned()
        {
            made.insert(format!("{entry}.name"), definition);
        }
    }
    if for_users && let Some(default) = made.get("default_profile").cloned() {
        let profiles = made.entry("profiles".to_owned()).or_default();
        if !cells::split(profiles).contains(&default) {
            let more = if profiles.is_empty() { String::new() } else { format!(";{profiles}") };
            *profiles = cells::escaped(&default) + &more;
        }
    }
}

fn value(take: Take, cell: &str) -> Result<String, String> {
    Ok(match take {
        Take::Lower => cell.to_lowercase(),
        Take::Number => cell.replace('\\', ""),
        Take::Extension => match cell.split_once(" in ") {
            Some((number, partition)) => format!("{}@{}", number.trim().replace('\\', ""), partition.trim()),
            None => cell.replace('\\', ""),
        },
        Take::Locale => locale::tag(cell).ok_or_else(|| {
            format!("{} is no user locale that is known here; write it as a BCP 47 tag, en-US", quoted(cell))
        })?,
        Take::Module => {
            let words = cell.split([' ', '-']);
            words
                .into_iter()
                .find(|word| word.bytes().any(|byte| byte.is_ascii_digit()))
                .unwrap_or(cell)
                .to_owned()
        }
        Take::Option => option(cell),
        Take::Group => {
            if cell.eq_ignore_ascii_case("Standard Presence group") { "" } else { cell }.to_owned()
        }
        _ => cell.to_owned(),
    })
}

/// `Ringer Off` as `ringer-off`; what says that others decide is empty, and so is the absence of a profile.
fn option(cell: &str) -> String {
    let words = cell.to_lowercase().replace(' ', "-");
    match words.as_str() {
        "use-common-phone-profile-setting" | "no-logout-profile" | "--not-selected--" | "none" => {
            String::new()
        }
        "on" | "off" | "default" | "disabled" | "forceful" | "ringer-off" | "call-reject" => words,
        _ => cell.to_owned(),
    }
}

/// Upper case, with one space between words.
fn plain(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase()
}

/// The row of the table for a header, and the number in it.
fn find(kind: &str, header: &str) -> Option<(&'static Row, Option<u32>)> {
    let for_kind = |row: &&Row| row.1 == kind || (row.1.is_empty() && kind != USER);
    let named = |header: &str| KNOWN.iter().filter(for_kind).find(|row| row.0 == header);
    if let Some(row) = named(header) {
        return Some((row, None));
    }
    let (words, number) = header.rsplit_once(' ')?;
    let number = number.parse().ok().filter(|number| (1..=MOST_ENTRIES).contains(number))?;
    named(&format!("{words} #")).map(|row| (row, Some(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, header: &str, row: &str) -> (Layout, BTreeMap<String, String>) {
        let split = |text: &str| text.split(',').map(ToOwned::to_owned).collect::<Vec<_>>();
        let layout = layout(&kind.parse().unwrap(), &split(header)).unwrap();
        let made = layout.translate(&split(row)).unwrap();
        (layout, made)
    }

    fn made(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn dp_19_every_header_that_is_known_means_a_column() {
        for (header, kind, column, take) in KNOWN {
            let kind: Kind = if kind.is_empty() { PHONE } else { kind }.parse().unwrap();
            let known = kind.column(&column.replace('#', "1"));
            assert!(take == Take::Secret || known.is_ok(), "{header}: {known:?}");
        }
    }

    #[test]
    fn dp_19_lines_have_their_partitions_and_what_has_no_number_is_no_line() {
        let (layout, row) = read(
            PHONE,
            "MAC ADDRESS,description,Directory  Number  1,Route Partition 1,BUSY TRIGGER  1,Directory Number 2,\
             Maximum Number of Calls 2,Line CSS 1",
            "02005E005301,Desk,\\+1001,Agents,1,,4,css",
        );
        let expected = [
            ("name", "02005E005301"),
            ("description", "Desk"),
            ("line1", "+1001@Agents"),
            ("line1.busy_trigger", "1"),
        ];
        assert_eq!(row, made(&expected));
        assert_eq!(layout.ignored, ["Line CSS 1"]);
    }

    #[test]
    fn dp_19_lamps_come_after_the_speed_dials() {
        let (layout, row) = read(
            PROFILE,
            "Device Profile Name,Speed Dial Number 1,Speed Dial Label 1,Speed Dial Number 2,Busy Lamp Field Destination 1,\
             Busy Lamp Field Directory Number 1,Busy Lamp Field Label 1",
            "agent7,3001,Desk,,,3002,Lead",
        );
        let expected = [
            ("name", "agent7"),
            ("speed_dial1.number", "3001"),
            ("speed_dial1.label", "Desk"),
            ("speed_dial3.number", "3002"),
            ("speed_dial3.label", "Lead"),
            ("speed_dial3.busy_lamp", "true"),
        ];
        assert_eq!(row, made(&expected));
        assert!(layout.columns.iter().any(|column| column.name == "speed_dial3.busy_lamp"));
    }

    #[test]
    fn dp_19_a_user_has_his_names_together_and_his_default_profile_among_his_profiles() {
        let (layout, row) = read(
            USER,
            "FIRST NAME,MIDDLE NAME,LAST NAME,USER ID,PIN,DEFAULT PROFILE,CONTROLLED PROFILE 1,PRIMARY EXTENSION,\
             USER LOCALE,ENABLE EMCC,MANAGER USER ID",
            "Agent,,Seven,Agent7,4711,agent7-b,agent7-a,1007 in Agents,English United States,t,1001",
        );
        let expected = [
            ("user_id", "agent7"),
            ("display_name", "Agent Seven"),
            ("profiles", "agent7-b;agent7-a"),
            ("default_profile", "agent7-b"),
            ("primary_extension", "1007@Agents"),
            ("user_locale", "en-US"),
            ("cross_cluster_enabled", "t"),
        ];
        assert_eq!(row, made(&expected));
        assert_eq!(layout.ignored, ["MANAGER USER ID"]);
        assert!(layout.has_secret(&["", "", "", "", "4711"].map(ToOwned::to_owned)));
    }

    #[test]
    fn a_header_that_stands_there_twice_is_told() {
        let header = ["USER ID", "LAST NAME", "user id"].map(ToOwned::to_owned);
        let problems = layout(&USER.parse().unwrap(), &header).unwrap_err();
        assert_eq!(problems, ["column 3, `user id`, stands in column 1 already"]);
    }

    #[test]
    fn options_modules_and_groups_are_spelt_as_ours() {
        for (take, cell, ours) in [
            (Take::Option, "Ringer Off", "ringer-off"),
            (Take::Option, "Use Common Phone Profile Setting", ""),
            (Take::Module, "7914 14-Button Line Expansion Module", "7914"),
            (Take::Group, "Standard Presence group", ""),
            (Take::Group, "Sales", "Sales"),
        ] {
            assert_eq!(value(take, cell).unwrap(), ours);
        }
        assert!(value(Take::Locale, "Klingon").is_err());
        assert_eq!(recognise(&["device name".to_owned()]), Some(PHONE));
        assert_eq!(recognise(&["name".to_owned()]), None);
    }
}
