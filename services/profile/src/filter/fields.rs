//! The fields that a filter may name, and how their values are compared. A repeated field fits when any of its values
//! does.

use std::cmp::Ordering;
use std::time::Duration;

use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value};

use super::Operator;

/// The fields of a message.
pub(super) struct Fields {
    pub(super) message: MessageDescriptor,
    /// Whether `owner` asks for what is a user's.
    pub(super) by_owner: bool,
}

/// A field that is compared.
#[derive(Debug)]
pub(super) struct Target {
    steps: Vec<Step>,
    /// What its values are.
    values: Values,
    repeated: bool,
}

#[derive(Debug)]
enum Step {
    Field(FieldDescriptor),
    /// The value under a key.
    Entry(String),
}

#[derive(Clone, Debug)]
enum Values {
    Text,
    Flag,
    Number,
    Length,
    Word(EnumDescriptor),
    Message,
}

/// What a value must be.
#[derive(Debug)]
pub(super) enum Test {
    /// Not empty.
    Present,
    Text(Operator, String),
    Part(String),
    Flag(bool),
    Number(Operator, u64),
    Length(Operator, Duration),
    Word(i32),
}

/// A field, and what one of its values must be.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) target: Target,
    pub(super) test: Test,
}

impl Fields {
    /// The field of that path.
    pub(super) fn find(&self, path: &str) -> Result<Target, String> {
        let path = match path {
            "owner" if self.message.get_field_by_name("owner_user_id").is_some() => "owner_user_id",
            path => path,
        };
        let mut inside = Some(self.message.clone());
        let mut steps = Vec::new();
        let (mut values, mut repeated) = (Values::Message, false);
        let mut names = path.split('.');
        while let Some(name) = names.next() {
            let Some(message) = inside.take() else {
                return Err(format!("`{}` has no fields", shown(path.split('.').next().unwrap_or(path))));
            };
            let field = message.get_field_by_name(name).ok_or_else(|| unknown(name, &message))?;
            repeated |= field.is_list();
            steps.push(Step::Field(field.clone()));
            if field.is_map() {
                let Some(key) = names.next() else {
                    values = Values::Message;
                    continue;
                };
                steps.push(Step::Entry(key.to_owned()));
                values = Values::Text;
                continue;
            }
            values = match field.kind() {
                Kind::Bool => Values::Flag,
                Kind::Enum(words) => Values::Word(words),
                Kind::String | Kind::Bytes => Values::Text,
                Kind::Message(message) if message.full_name() == "google.protobuf.Duration" => Values::Length,
                Kind::Message(message) => {
                    inside = Some(message);
                    Values::Message
                }
                _ => Values::Number,
            };
        }
        Ok(Target { steps, values, repeated })
    }

    /// The field of that path, which stands alone.
    pub(super) fn flag(&self, path: &str) -> Result<Comparison, String> {
        let target = self.find(path)?;
        match target.values {
            Values::Flag => Ok(Comparison { target, test: Test::Flag(true) }),
            _ => Err(format!("`{}` is not true or false: compare it, or ask `{0}:*`", shown(path))),
        }
    }
}

impl Target {
    /// What its value must be.
    pub(super) fn test(&self, operator: Operator, value: &str) -> Result<Test, String> {
        if operator == Operator::Has && value == "*" {
            return Ok(Test::Present);
        }
        let equal = matches!(operator, Operator::Equal | Operator::Has);
        match &self.values {
            Values::Text if operator == Operator::Has && !self.repeated => Ok(Test::Part(value.to_owned())),
            Values::Text => Ok(Test::Text(operator, value.to_owned())),
            Values::Flag if equal => match value {
                "true" => Ok(Test::Flag(true)),
                "false" => Ok(Test::Flag(false)),
                _ => Err("must be true or false".to_owned()),
            },
            Values::Word(words) if equal => word(words, value).map(Test::Word),
            Values::Number => match value.parse() {
                Ok(number) => Ok(Test::Number(operator, number)),
                Err(_) => Err("must be a whole number".to_owned()),
            },
            Values::Length => match length(value) {
                Some(length) => Ok(Test::Length(operator, length)),
                None => Err("must be a length of time, as 90s, 5m or 8h".to_owned()),
            },
            Values::Message => Err("it has fields: name one, or ask `:*` for whether it is there".to_owned()),
            Values::Flag | Values::Word(_) => Err("can be compared with =, != and : only".to_owned()),
        }
    }
}

impl Comparison {
    /// Whether a value of the record fits.
    pub(super) fn holds(&self, record: &DynamicMessage) -> bool {
        self.in_message(record, &self.target.steps)
    }

    fn in_message(&self, message: &DynamicMessage, steps: &[Step]) -> bool {
        let Some((Step::Field(field), rest)) = steps.split_first() else { return false };
        let there = message.has_field(field);
        if rest.is_empty() && matches!(self.test, Test::Present) {
            return there;
        }
        // What is absent has the value of its default, but a length of time has none.
        if matches!(self.test, Test::Length(..)) && !there {
            return false;
        }
        self.in_value(&message.get_field(field), rest)
    }

    fn in_value(&self, value: &Value, steps: &[Step]) -> bool {
        match (value, steps) {
            (Value::List(items), _) => items.iter().any(|item| self.in_value(item, steps)),
            (Value::Map(entries), [Step::Entry(key), rest @ ..]) => {
                let found = entries.get(&prost_reflect::MapKey::String(key.clone()));
                found.is_some_and(|value| self.in_value(value, rest))
            }
            (Value::Message(message), [_, ..]) => self.in_message(message, steps),
            (value, []) => self.test.holds(value),
            _ => false,
        }
    }
}

impl Test {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Test::Present => true,
            Test::Text(operator, wanted) => {
                value.as_str().is_some_and(|text| operator.fits(text.cmp(wanted.as_str())))
            }
            Test::Part(part) => value.as_str().is_some_and(|text| text.contains(part.as_str())),
            Test::Flag(wanted) => value.as_bool() == Some(*wanted),
            Test::Number(operator, wanted) => number(value).is_some_and(|it| operator.fits(it.cmp(wanted))),
            Test::Length(operator, wanted) => value
                .as_message()
                .and_then(|message| message.transcode_to::<prost_types::Duration>().ok())
                .and_then(roamline_proto::length)
                .is_some_and(|length| operator.fits(length.cmp(wanted))),
            Test::Word(wanted) => value.as_enum_number() == Some(*wanted),
        }
    }
}

impl Operator {
    fn fits(self, ordering: Ordering) -> bool {
        match self {
            Operator::Equal | Operator::Has => ordering.is_eq(),
            Operator::NotEqual => ordering.is_ne(),
            Operator::Less => ordering.is_lt(),
            Operator::AtMost => ordering.is_le(),
            Operator::More => ordering.is_gt(),
            Operator::AtLeast => ordering.is_ge(),
        }
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::U32(number) => Some(u64::from(*number)),
        Value::U64(number) => Some(*number),
        Value::I32(number) => u64::try_from(*number).ok(),
        Value::I64(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// `90s`, `5m`, `8h`, `1h30m`.
fn length(text: &str) -> Option<Duration> {
    let mut seconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        let unit = rest.get(digits..)?.chars().next()?;
        let each = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(each)?)?;
        rest = rest.get(digits + 1..)?;
    }
    (!text.is_empty()).then_some(Duration::from_secs(seconds))
}

/// The number of an enum's word, with or without the prefix that all its words have.
fn word(words: &EnumDescriptor, given: &str) -> Result<i32, String> {
    let prefix = words.default_value().name().trim_end_matches("UNSPECIFIED").to_owned();
    let plain = given.to_ascii_uppercase().replace('-', "_");
    let fits = |name: &str| name == plain || name.strip_prefix(&prefix) == Some(&plain);
    if let Some(value) = words.values().find(|value| fits(value.name())) {
        return Ok(value.number());
    }
    let short: Vec<String> = words
        .values()
        .map(|value| value.name().trim_start_matches(&prefix).to_ascii_lowercase().replace('_', "-"))
        .filter(|word| word != "unspecified")
        .collect();
    Err(format!("there is no `{}`{}", shown(given), suggestion(given, &short)))
}

fn unknown(name: &str, message: &MessageDescriptor) -> String {
    let names: Vec<String> = message.fields().map(|field| field.name().to_owned()).collect();
    format!("{} has no field `{}`{}", message.name(), shown(name), suggestion(name, &names))
}

fn suggestion(wrong: &str, right: &[String]) -> String {
    let wrong = wrong.to_ascii_lowercase();
    let distance = |name: &&String| strsim::damerau_levenshtein(&wrong, name);
    let nearest = right.iter().min_by_key(distance).filter(|name| distance(name) <= 2.max(name.len() / 3));
    match nearest {
        Some(name) => format!("; did you mean `{name}`?"),
        None => format!("; there are {}", right.join(", ")),
    }
}

/// A word as it is repeated: not longer than names are.
fn shown(text: &str) -> String {
    text.chars().take(50).collect()
}
