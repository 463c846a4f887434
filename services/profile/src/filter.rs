//! The filter of a list (AIP-160): comparisons of fields, joined by AND, OR, NOT and parentheses. It is read against
//! the message that the list holds, so that every field works by its path, and evaluated on that message.
//!
//! AND and OR side by side need parentheses: which of them binds tighter is told differently everywhere.

mod fields;
mod tokens;

use prost_reflect::{DynamicMessage, MessageDescriptor};

use fields::{Comparison, Fields};
use tokens::{Token, Tokens};

/// Characters of a filter.
const LONGEST: usize = 1000;
/// How deep parentheses and NOT may be nested.
const DEEPEST: usize = 32;

/// Why a filter cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The character, from 1.
    pub(crate) at: usize,
    /// What is wrong there.
    pub(crate) message: String,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    AtMost,
    More,
    AtLeast,
    Has,
}

/// A filter.
#[derive(Debug)]
pub(crate) struct Filter {
    root: Expression,
}

#[derive(Debug)]
enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Compare(Comparison),
    /// The record is that user's (DP-5).
    OwnedBy(String),
}

impl Filter {
    /// Reads a filter of records of that message. With `by_owner`, `owner = "..."` asks for what is a user's.
    ///
    /// # Errors
    /// The first thing that is wrong with it, and where.
    pub(crate) fn read(text: &str, message: MessageDescriptor, by_owner: bool) -> Result<Self, Problem> {
        let length = text.chars().count();
        if length > LONGEST {
            let message = format!("has {length} characters, more than {LONGEST}");
            return Err(Problem { at: LONGEST + 1, message });
        }
        let mut reader =
            Reader { tokens: Tokens::read(text)?, fields: Fields { message, by_owner }, depth: 0 };
        let root = reader.expression()?;
        match reader.tokens.next() {
            None => Ok(Self { root }),
            Some((at, token)) => Err(Problem { at, message: unexpected_after(&token) }),
        }
    }

    /// Whether it lets a record through; `owned_by` says whose that is.
    pub(crate) fn allows(&self, record: &DynamicMessage, owned_by: &dyn Fn(&str) -> bool) -> bool {
        self.root.holds(record, owned_by)
    }

    /// The users whose records it asks for.
    pub(crate) fn owners(&self) -> Vec<&str> {
        let mut found = Vec::new();
        self.root.owners(&mut found);
        found
    }
}

impl Expression {
    fn holds(&self, record: &DynamicMessage, owned_by: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Expression::All(of) => of.iter().all(|one| one.holds(record, owned_by)),
            Expression::Any(of) => of.iter().any(|one| one.holds(record, owned_by)),
            Expression::Not(one) => !one.holds(record, owned_by),
            Expression::Compare(comparison) => comparison.holds(record),
            Expression::OwnedBy(user) => owned_by(user),
        }
    }

    fn owners<'a>(&'a self, found: &mut Vec<&'a str>) {
        match self {
            Expression::All(of) | Expression::Any(of) => of.iter().for_each(|one| one.owners(found)),
            Expression::Not(one) => one.owners(found),
            Expression::Compare(_) => {}
            Expression::OwnedBy(user) => found.push(user),
        }
    }
}

fn unexpected_after(token: &Token) -> String {
    match token {
        Token::Word(word) if ["and", "or"].contains(&word.to_ascii_lowercase().as_str()) => {
            format!("write {}", word.to_ascii_uppercase())
        }
        _ => "AND, OR or the end must come here".to_owned(),
    }
}

struct Reader {
    tokens: Tokens,
    fields: Fields,
    depth: usize,
}

impl Reader {
    /// Terms joined by AND, or terms joined by OR.
    fn expression(&mut self) -> Result<Expression, Problem> {
        let first = self.term()?;
        let Some((_, joint)) = self.joint() else { return Ok(first) };
        let mut terms = vec![first];
        while let Some((at, next)) = self.joint() {
            if next != joint {
                return Err(Problem { at, message: "AND and OR side by side need parentheses".to_owned() });
            }
            self.tokens.next();
            terms.push(self.term()?);
        }
        Ok(if joint == Token::And { Expression::All(terms) } else { Expression::Any(terms) })
    }

    /// The AND or OR that comes next.
    fn joint(&self) -> Option<(usize, Token)> {
        self.tokens.peek().filter(|(_, token)| matches!(token, Token::And | Token::Or)).cloned()
    }

    fn term(&mut self) -> Result<Expression, Problem> {
        self.depth += 1;
        let at = self.tokens.place();
        if self.depth > DEEPEST {
            return Err(Problem { at, message: format!("is nested more than {DEEPEST} deep") });
        }
        let term = match self.tokens.next() {
            Some((_, Token::Not)) => Expression::Not(Box::new(self.term()?)),
            Some((_, Token::Open)) => {
                let inner = self.expression()?;
                let at = self.tokens.place();
                match self.tokens.next() {
                    Some((_, Token::Close)) => inner,
                    _ => return Err(Problem { at, message: "`)` is missing".to_owned() }),
                }
            }
            Some((at, Token::Word(path))) => self.comparison(at, &path)?,
            _ => return Err(Problem { at, message: "a field must come here".to_owned() }),
        };
        self.depth -= 1;
        Ok(term)
    }

    fn comparison(&mut self, at: usize, path: &str) -> Result<Expression, Problem> {
        let Some((_, Token::Operator(operator))) = self.tokens.peek().cloned() else {
            return self
                .fields
                .flag(path)
                .map(Expression::Compare)
                .map_err(|message| Problem { at, message });
        };
        self.tokens.next();
        let value_at = self.tokens.place();
        let value = match self.tokens.next() {
            Some((_, Token::Word(text) | Token::Text(text))) => text,
            _ => return Err(Problem { at: value_at, message: "a value must come here".to_owned() }),
        };
        let equal = if operator == Operator::NotEqual { Operator::Equal } else { operator };
        let compared = if self.fields.by_owner && path == "owner" {
            match equal {
                Operator::Equal => Expression::OwnedBy(value),
                _ => {
                    return Err(Problem { at, message: "`owner` can be compared with = and != only".into() });
                }
            }
        } else {
            let target = self.fields.find(path).map_err(|message| Problem { at, message })?;
            let test = target.test(equal, &value).map_err(|message| Problem { at: value_at, message })?;
            Expression::Compare(Comparison { target, test })
        };
        Ok(if operator == Operator::NotEqual { Expression::Not(Box::new(compared)) } else { compared })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost_reflect::ReflectMessage;
    use roamline_proto::contract::POOL;
    use roamline_proto::profile as wire;

    use super::*;

    fn dynamic<M: prost::Message + prost::Name>(message: &M) -> DynamicMessage {
        let mut dynamic = DynamicMessage::new(POOL.get_message_by_name(&M::full_name()).unwrap());
        dynamic.transcode_from(message).unwrap();
        dynamic
    }

    fn profile() -> DynamicMessage {
        dynamic(&wire::UserDeviceProfile {
            name: "agent 7".into(),
            model: "8851".into(),
            protocol: wire::PhoneProtocol::Sip.into(),
            settings: Some(wire::DeviceSettings {
                user_locale: "de-DE".into(),
                lines: ["2001", "2002"]
                    .map(|name| wire::ProfileLine {
                        lines: vec![name.into()],
                        max_calls: 4,
                        ..Default::default()
                    })
                    .into(),
                idle_limit: Some(prost_types::Duration { seconds: 600, nanos: 0 }),
                privacy_button: true,
                services: vec![wire::ServiceSubscription {
                    name: "w".into(),
                    parameters: [("city".to_owned(), "Oslo".to_owned())].into(),
                    ..Default::default()
                }],
                ..Default::default()
            }),
            owner_user_id: "agent7".into(),
            ..Default::default()
        })
    }

    fn holds(text: &str) -> bool {
        let record = profile();
        let filter = Filter::read(text, record.descriptor(), false);
        filter.unwrap_or_else(|problem| panic!("{text}: {problem:?}")).allows(&record, &|_| false)
    }

    fn problem(text: &str) -> Problem {
        Filter::read(text, profile().descriptor(), false).expect_err(text)
    }

    #[test]
    fn every_kind_of_field_is_compared_by_its_path() {
        for text in [
            "name = \"agent 7\"",
            "model=8851 AND protocol = sip",
            "protocol = PHONE_PROTOCOL_SIP",
            "protocol != sccp",
            "settings.user_locale : \"de\"",
            "settings.user_locale > 'de'",
            "settings.lines.lines = 2002",
            "settings.lines.lines : 2001",
            "settings.lines.max_calls >= 4",
            "settings.idle_limit > 5m AND settings.idle_limit <= 600s",
            "settings.idle_limit = 10m",
            "settings.privacy_button",
            "settings.privacy_button = true",
            "settings.services.parameters.city = Oslo",
            "settings.services:* AND settings.idle_limit:*",
            "owner = agent7",
            "owner_user_id = agent7",
            "NOT agent:*",
            "NOT (name = x OR name = y)",
            "(model = x OR model = 8851) AND NOT description:x",
        ] {
            assert!(holds(text), "{text}");
        }
        for text in [
            "name = agent",
            "settings.lines.lines : 200",
            "settings.lines.lines != 2001",
            "NOT settings.privacy_button",
            "settings.mlpp:*",
            "settings.idle_limit < 1m",
            "model = 8851 AND model = x",
        ] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_the_nearest_name() {
        let told = |text: &str, at: usize, part: &str| {
            let problem = problem(text);
            assert!(problem.at == at && problem.message.contains(part), "{text}: {problem:?}");
        };
        told("modle = 1", 1, "`model`");
        told("model = 1 AND settings.user_local = x", 15, "`user_locale`");
        told("protocol = spi", 12, "`sip`");
        told("protocol < sip", 12, "=");
        told("settings.lines.max_calls = many", 28, "number");
        told("settings.idle_limit = soon", 23, "length of time");
        told("settings.privacy_button = maybe", 27, "true or false");
        told("model", 1, "true or false");
        told("model = ", 9, "value");
        told("model = 1 and name = x", 11, "AND");
        told("model = 1 AND name = x OR name = y", 24, "parentheses");
        told("(model = 1", 11, "`)`");
        told("model = \"1", 9, "quote");
        told("", 1, "field");
        told("settings = x", 12, ":*");
        told("name.x = 1", 1, "no fields");
        told(&"NOT ".repeat(40), 129, "deep");
        told(&"x".repeat(1001), 1001, "1000");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}|[a-z_.=!<>:()\"'\\\\ NOTANDR*0-9]{0,60}") {
            let _ = Filter::read(&text, profile().descriptor(), true);
        }

        #[test]
        fn what_can_be_read_can_be_asked(
            terms in proptest::collection::vec("(NOT )?(name|model|settings\\.lines\\.lines)(=|!=|:|<|>=)[a-z0-9]{1,5}", 1..5),
            joint in " (AND|OR) ",
        ) {
            let text = terms.join(&joint);
            let record = profile();
            Filter::read(&text, record.descriptor(), false).unwrap().allows(&record, &|_| true);
        }
    }
}
