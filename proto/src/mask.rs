//! Field masks (AIP-161): which fields of a resource an update changes.

use prost::{Message, Name};
use prost_reflect::ReflectMessage;

use crate::json::dynamic;

/// A path of a mask that names no field.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is not a field of {message}")]
pub struct UnknownPath {
    /// The path as it was sent.
    pub path: String,
    /// The message it was meant for.
    pub message: String,
}

/// `current` with the fields that `mask` names taken from `wanted`. No mask, an empty one and `*` name all fields.
/// A path may go into messages (`settings.user_locale`), not into lists or maps.
///
/// # Errors
/// The first path that names no field; nothing is merged then.
pub fn merge<M: Message + Name + Default + Clone>(
    current: &M,
    wanted: &M,
    mask: Option<&prost_types::FieldMask>,
) -> Result<M, UnknownPath> {
    let paths = mask.map(|m| m.paths.as_slice()).unwrap_or_default();
    if paths.is_empty() || paths.iter().any(|p| p == "*") {
        return Ok(wanted.clone());
    }
    let unknown = |path: &str| UnknownPath { path: path.to_owned(), message: M::full_name() };
    let (Ok(mut target), Ok(source)) = (dynamic(current), dynamic(wanted)) else {
        return Err(unknown("*"));
    };
    for path in paths {
        set(&mut target, &source, path).ok_or_else(|| unknown(path))?;
    }
    target.transcode_to().map_err(|_| unknown("*"))
}

fn set(
    target: &mut prost_reflect::DynamicMessage,
    source: &prost_reflect::DynamicMessage,
    path: &str,
) -> Option<()> {
    let (head, tail) = path.split_once('.').map_or((path, None), |(head, tail)| (head, Some(tail)));
    let field = source.descriptor().get_field_by_name(head)?;
    match tail {
        None if source.has_field(&field) => target.set_field(&field, source.get_field(&field).into_owned()),
        None => target.clear_field(&field),
        Some(tail) => {
            let from = source.get_field(&field);
            let from = from.as_message()?;
            set(target.get_field_mut(&field).as_message_mut()?, from, tail)?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{DeviceSettings, Phone};

    fn phone(description: &str, locale: &str) -> Phone {
        Phone {
            description: description.into(),
            settings: Some(DeviceSettings { user_locale: locale.into(), ..Default::default() }),
            ..Default::default()
        }
    }

    fn mask(paths: &[&str]) -> prost_types::FieldMask {
        prost_types::FieldMask { paths: paths.iter().map(|p| (*p).to_owned()).collect() }
    }

    #[test]
    fn only_named_fields_change() {
        let merged =
            merge(&phone("a", "de"), &phone("b", "fr"), Some(&mask(&["settings.user_locale"]))).unwrap();
        assert_eq!(merged, phone("a", "fr"));
    }

    #[test]
    fn a_star_changes_everything() {
        let merged = merge(&phone("a", "de"), &phone("b", "fr"), Some(&mask(&["*"]))).unwrap();
        assert_eq!(merged, phone("b", "fr"));
    }

    #[test]
    fn an_unknown_path_is_named() {
        let refused = merge(&phone("a", "de"), &phone("b", "fr"), Some(&mask(&["settings.colour"])));
        assert_eq!(refused.unwrap_err().path, "settings.colour");
    }
}
