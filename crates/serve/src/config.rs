//! Layered configuration: defaults, then a TOML file, then environment variables. A key that nobody knows is an error
//! that names its place and the key that may have been meant.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use figment::Figment;
use figment::error::{Actual, Kind};
use figment::providers::Serialized;
use figment::value::{Dict, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Keys at least this similar are suggested.
const SIMILAR: f64 = 0.75;

/// What is wrong with a configuration; one line for each thing.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    fn one(text: String) -> Self {
        Self(vec![text])
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for ConfigError {}

/// Reads a configuration: `T::default()`, over it `file`, over that the environment.
///
/// A variable is a key when it begins with `prefix` and goes on with a section and a key in it, or deeper, divided by
/// two underscores: with the prefix `ROAMLINE_`, `ROAMLINE_SESSION__STORE__PATH` is `session.store.path`. Others
/// (`ROAMLINE_DATA`) belong to command lines and are left alone. `T` must write every field it knows when it is
/// serialised, because that is how unknown keys are told from known ones.
///
/// # Errors
/// When the file cannot be read or is no TOML, a key is unknown, or a value is not what its key takes.
pub fn load<T: DeserializeOwned + Default + Serialize>(
    file: Option<&Path>,
    prefix: &str,
) -> Result<T, ConfigError> {
    let environment =
        std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    load_with(file, prefix, environment)
}

fn load_with<T: DeserializeOwned + Default + Serialize>(
    file: Option<&Path>,
    prefix: &str,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<T, ConfigError> {
    let defaults = Value::serialize(T::default())
        .map_err(|error| ConfigError::one(format!("the defaults cannot be written out: {error}")))?;
    let mut figment = Figment::from(Serialized::defaults(&defaults));
    let mut origins = Origins { file: file.map(|f| f.display().to_string()), variables: BTreeMap::new() };
    let mut given = Vec::new();

    if let Some(path) = file {
        let table = read(path)?;
        given.extend(keys_of(&table, ""));
        figment = figment.merge(Serialized::defaults(&Value::from(table)));
    }
    for (name, text) in environment {
        let Some(key) = name.strip_prefix(prefix).filter(|rest| rest.contains("__")) else { continue };
        let key = key.to_ascii_lowercase().replace("__", ".");
        let value = match find(&defaults, &key) {
            Some(Value::String(..)) => Value::from(text),
            _ => text.parse().unwrap_or_else(|_| Value::from(text.clone())),
        };
        figment = figment.merge(Serialized::default(&key, value));
        given.push(key.clone());
        origins.variables.insert(key, name);
    }

    let unknown: Vec<_> = given.iter().filter_map(|key| unknown(&defaults, key, &origins)).collect();
    if !unknown.is_empty() {
        return Err(ConfigError(unknown));
    }
    figment.extract().map_err(|errors| {
        ConfigError(errors.into_iter().map(|e| origins.say(&e.path.join("."), &problem(&e.kind))).collect())
    })
}

/// What is wrong with a value. One that is of another type than its key takes may be a secret in the wrong place, and is
/// not quoted.
fn problem(kind: &Kind) -> String {
    let Kind::InvalidType(found, expected) = kind else { return kind.to_string() };
    let found = match found {
        Actual::Str(_) | Actual::Char(_) => "a text".to_owned(),
        Actual::Bytes(_) => "bytes".to_owned(),
        Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) => "a number".to_owned(),
        other => other.to_string(),
    };
    format!("invalid type: found {found}, expected {expected}")
}

fn read(path: &Path) -> Result<Dict, ConfigError> {
    let place = path.display();
    let bytes =
        std::fs::read(path).map_err(|error| ConfigError::one(format!("{place} cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        ConfigError::one(format!("{place} is not UTF-8 text: byte {}", error.utf8_error().valid_up_to()))
    })?;
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let line =
            error.span().map(|span| 1 + text.get(..span.start).unwrap_or_default().matches('\n').count());
        let at = line.map(|line| format!(" at line {line}")).unwrap_or_default();
        ConfigError::one(format!("{place} is not TOML{at}: {}", error.message().replace('\n', " ")))
    })
}

/// Where each key came from.
struct Origins {
    file: Option<String>,
    variables: BTreeMap<String, String>,
}

impl Origins {
    fn say(&self, key: &str, problem: &str) -> String {
        match (self.variables.get(key), &self.file) {
            (Some(variable), _) => format!("{variable}: {problem}"),
            (None, Some(file)) => format!("{file}: `{key}`: {problem}"),
            (None, None) => format!("`{key}`: {problem}"),
        }
    }
}

/// The paths of all values, those of empty tables too.
fn keys_of(table: &Dict, above: &str) -> Vec<String> {
    table
        .iter()
        .flat_map(|(name, value)| {
            let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            match value {
                Value::Dict(_, inner) if !inner.is_empty() => keys_of(inner, &key),
                _ => vec![key],
            }
        })
        .collect()
}

fn find<'a>(tree: &'a Value, key: &str) -> Option<&'a Value> {
    key.split('.').try_fold(tree, |value, name| value.as_dict()?.get(name))
}

/// What to say of a key that the defaults do not have.
fn unknown(defaults: &Value, key: &str, origins: &Origins) -> Option<String> {
    let mut level = defaults;
    let mut above = Vec::new();
    for name in key.split('.') {
        // Below a value that is no table, the type says what is wrong.
        let known = level.as_dict()?;
        if let Some(next) = known.get(name) {
            level = next;
            above.push(name);
            continue;
        }
        // A table that is empty by default takes names that nobody can know.
        if known.is_empty() {
            return None;
        }
        let best = known
            .keys()
            .map(|candidate| (strsim::jaro_winkler(candidate, name), candidate))
            .filter(|(similarity, _)| *similarity >= SIMILAR)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let prefix: String = above.iter().map(|part| format!("{part}.")).collect();
        let hint =
            best.map(|(_, candidate)| format!("; did you mean `{prefix}{candidate}`?")).unwrap_or_default();
        let place = origins.variables.get(key).or(origins.file.as_ref()).cloned().unwrap_or_default();
        return Some(format!("{place}: unknown key `{prefix}{name}`{hint}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Config {
        session: Session,
        auth: Auth,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Session {
        store: Store,
        retries: u32,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Store {
        path: String,
        limit: Option<u64>,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Auth {
        name: String,
        ids: BTreeMap<String, Vec<String>>,
    }

    fn read(text: &[u8], environment: &[(&str, &str)]) -> Result<Config, String> {
        let mut file = tempfile::Builder::new().prefix("roamline").suffix(".toml").tempfile().unwrap();
        file.write_all(text).unwrap();
        let variables = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        load_with(Some(file.path()), "ROAMLINE_", variables).map_err(|error| error.to_string())
    }

    #[test]
    fn the_environment_goes_over_the_file_and_the_file_over_the_defaults() {
        let text = b"[session]\nretries = 3\n[session.store]\npath = 'a'\nlimit = 5\n";
        let environment = [
            ("ROAMLINE_SESSION__STORE__PATH", "007"),
            ("ROAMLINE_DATA", "/var/lib/roamline"),
            ("ROAMLINE_CREDENTIALS", "x"),
            ("PATH", "/bin"),
        ];
        let config = read(text, &environment).unwrap();
        assert_eq!(config.session.retries, 3);
        assert_eq!(config.session.store, Store { path: "007".into(), limit: Some(5) });
        assert_eq!(read(b"", &[("ROAMLINE_SESSION__RETRIES", "7")]).unwrap().session.retries, 7);
        assert_eq!(load_with(None, "ROAMLINE_", std::iter::empty()), Ok(Config::default()));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place_and_what_may_be_meant() {
        let error = read(b"[session.store]\npaht = 'a'\n[sesion]\nretries = 1\n", &[]).unwrap_err();
        assert!(
            error.contains(".toml: unknown key `session.store.paht`; did you mean `session.store.path`?"),
            "{error}"
        );
        assert!(error.contains("unknown key `sesion`; did you mean `session`?"), "{error}");
        let error = read(b"", &[("ROAMLINE_AUTH__NAMES", "x")]).unwrap_err();
        assert_eq!(error, "ROAMLINE_AUTH__NAMES: unknown key `auth.names`; did you mean `auth.name`?");
    }

    #[test]
    fn a_table_of_names_takes_any_name_and_no_wrong_value() {
        let ids = read(b"[auth.ids]\nprofile = ['a', 'b']\n", &[]).unwrap().auth.ids;
        assert_eq!(ids["profile"], ["a", "b"]);
        let ids = read(b"", &[("ROAMLINE_AUTH__IDS", "{profile=[\"a:/b\"]}")]).unwrap().auth.ids;
        assert_eq!(ids["profile"], ["a:/b"]);
        let error = read(b"[auth.ids]\nprofile = 3\n", &[]).unwrap_err();
        assert!(error.contains("`auth.ids.profile`: invalid type"), "{error}");
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_named_with_its_place() {
        let error = read(b"[session]\nretries = 'many'\n", &[]).unwrap_err();
        assert!(error.contains(".toml: `session.retries`: invalid type"), "{error}");
        let error = read(b"session = 3\n", &[]).unwrap_err();
        assert!(error.contains("`session`"), "{error}");
        let error = read(b"", &[("ROAMLINE_SESSION__RETRIES", "-1")]).unwrap_err();
        assert!(error.starts_with("ROAMLINE_SESSION__RETRIES: "), "{error}");
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_not_quoted() {
        for text in
            ["session = '27182818'", "[session.store]\npath = 27182818", "[session]\nretries = '27182818'"]
        {
            let error = read(text.as_bytes(), &[]).unwrap_err();
            assert!(error.contains("invalid type: found a ") && !error.contains("2718"), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_missing_or_no_text_or_no_toml_is_named() {
        let missing =
            load_with::<Config>(Some(Path::new("/nowhere/r.toml")), "ROAMLINE_", std::iter::empty());
        assert!(missing.unwrap_err().to_string().starts_with("/nowhere/r.toml cannot be read: "));
        assert!(read(b"a = 1\n\xff\xfe", &[]).unwrap_err().contains("is not UTF-8 text: byte 6"));
        assert!(read(b"a = 1\nb = = 2\n", &[]).unwrap_err().contains("is not TOML at line 2: "));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn random_bytes_are_an_error_of_one_line(bytes in prop::collection::vec(any::<u8>(), 1..200)) {
            if let Err(error) = read(&bytes, &[]) {
                prop_assert!(!error.contains('\n'), "{}", error);
            }
        }
    }
}
