//! Sessions and records as text.

use roamline_proto::session::{EndedSession, Session};
use serde_json::Value;

use crate::output::table;
use crate::words::{duration, instant, of_enum};

/// The columns of a list of sessions.
pub(crate) const SESSION_COLUMNS: [&str; 7] =
    ["PHONE", "USER", "PROFILE", "STATE", "SINCE", "UNTIL", "SESSION"];

/// One row of a list of sessions.
pub(crate) fn session_row(session: &Session) -> Vec<String> {
    vec![
        session.phone.clone(),
        session.user_id.clone(),
        session.profile.clone(),
        of_enum(session.state().as_str_name(), "SESSION_STATE_"),
        instant(session.login_time.as_ref()),
        instant(session.expire_time.as_ref()),
        session.session_id.clone(),
    ]
}

/// One session.
pub(crate) fn session(session: &Session) -> String {
    table(&SESSION_COLUMNS, [session_row(session)]) + "\n"
}

/// A session that has ended, on one line.
pub(crate) fn ended_session(ended: &EndedSession) -> String {
    let who = ended.session.as_ref().map(|s| format!("{} at {}", s.user_id, s.phone)).unwrap_or_default();
    let why = of_enum(ended.reason().as_str_name(), "LOGOUT_REASON_");
    format!("{who} logged out {}, reason: {why}", instant(ended.logout_time.as_ref()))
}

/// A record as two columns, field and value; what is empty is left out.
pub(crate) fn details(record: &Value) -> String {
    let mut rows = Vec::new();
    flatten("", record, &mut rows);
    table(&["FIELD", "VALUE"], rows)
}

fn flatten(path: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    let row = |text: String| vec![path.to_owned(), text];
    match value {
        Value::Null | Value::Bool(false) => {}
        Value::String(text) if text.is_empty() || text.ends_with("_UNSPECIFIED") => {}
        Value::String(text) => rows.push(row(length_of_time(path, text).unwrap_or_else(|| text.clone()))),
        Value::Bool(_) | Value::Number(_) => rows.push(row(value.to_string())),
        Value::Array(items) if items.iter().all(|item| !item.is_object()) => {
            let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            if !items.is_empty() {
                rows.push(row(items.join(", ")));
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&format!("{path}[{index}]"), item, rows);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, rows);
            }
        }
    }
}

/// `28800s` of a field that holds a length of time, as people read it.
fn length_of_time(path: &str, text: &str) -> Option<String> {
    let seconds = text.strip_suffix('s')?.parse().ok()?;
    (path.ends_with("Time") || path.ends_with("Limit")).then(|| duration(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_shows_what_it_has_and_nothing_else() {
        let record = serde_json::json!({"name": "x", "empty": "", "off": false, "list": ["1", "2"], "items": [{"a": 1}],
            "maximumLoginTime": "5400s"});
        let shown = details(&record);
        let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            lines,
            [
                vec!["FIELD", "VALUE"],
                vec!["items[0].a", "1"],
                vec!["list", "1,", "2"],
                vec!["maximumLoginTime", "1h", "30m"],
                vec!["name", "x"]
            ]
        );
    }
}
