//! Proto JSON: the canonical mapping, with default values left in so that a script finds every field.

use prost::{Message, Name};
use prost_reflect::{DeserializeOptions, DynamicMessage, SerializeOptions};

use crate::contract::POOL;

/// A text that is no proto JSON of the message it was read as.
#[derive(Debug, thiserror::Error)]
#[error("not the JSON of a {message}")]
pub struct JsonError {
    message: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// The message as proto JSON. Fields with default values are written out; absent messages are left out.
///
/// # Errors
/// When the message is not part of the contract.
pub fn to_value<M: Message + Name>(message: &M) -> Result<serde_json::Value, JsonError> {
    let failed =
        |source: Box<dyn std::error::Error + Send + Sync>| JsonError { message: M::full_name(), source };
    let dynamic = dynamic(message).map_err(failed)?;
    let options = SerializeOptions::new().skip_default_fields(false).stringify_64_bit_integers(true);
    dynamic.serialize_with_options(serde_json::value::Serializer, &options).map_err(|e| failed(e.into()))
}

/// Reads a message from proto JSON; an unknown field is an error.
///
/// # Errors
/// When the text is not the JSON of that message.
pub fn from_str<M: Message + Name + Default>(text: &str) -> Result<M, JsonError> {
    let failed =
        |source: Box<dyn std::error::Error + Send + Sync>| JsonError { message: M::full_name(), source };
    let descriptor =
        POOL.get_message_by_name(&M::full_name()).ok_or_else(|| failed("not part of the contract".into()))?;
    let mut input = serde_json::Deserializer::from_str(text);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let dynamic = DynamicMessage::deserialize_with_options(descriptor, &mut input, &options)
        .map_err(|e| failed(e.into()))?;
    input.end().map_err(|e| failed(e.into()))?;
    dynamic.transcode_to().map_err(|e| failed(e.into()))
}

pub(crate) fn dynamic<M: Message + Name>(
    message: &M,
) -> Result<DynamicMessage, Box<dyn std::error::Error + Send + Sync>> {
    let descriptor = POOL.get_message_by_name(&M::full_name()).ok_or("not part of the contract")?;
    let mut dynamic = DynamicMessage::new(descriptor);
    dynamic.transcode_from(message)?;
    Ok(dynamic)
}
