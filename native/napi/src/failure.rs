//! How an error crosses: one JSON text `{"code", "message", "details"}`.
//!
//! Thrown, it is the message of a JavaScript `Error`, behind [`PREFIX`]; in an event it stands alone.

use std::any::Any;
use std::fmt::Write;

use moraine_core::error::{Code, Detail, Error};
use napi_derive::napi;

/// In front of the JSON in the message of a thrown error.
#[napi]
pub const FAILURE_PREFIX: &str = "moraine:";

/// An error as JSON, ready to cross.
pub struct Failure {
    json: String,
}

impl Failure {
    /// A bug of ours, caught at the boundary: `STORE_IO` with `details.internal`.
    pub fn panicked(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let mut json = format!("{{\"code\":\"{}\",\"message\":", Code::Io.name());
        write_text(&mut json, &format!("internal error, please report it: {}", text.unwrap_or("a panic without a text")));
        json.push_str(",\"details\":{\"internal\":true}}");
        Self { json }
    }

    pub fn into_json(self) -> String {
        self.json
    }

    /// The message of the error to throw. It has no NUL: JSON escapes it.
    pub fn into_message(self) -> String {
        format!("{FAILURE_PREFIX}{}", self.json)
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let mut json = format!("{{\"code\":\"{}\",\"message\":", error.code.name());
        write_text(&mut json, &error.message);
        json.push_str(",\"details\":{");
        for (number, (name, detail)) in error.details.iter().enumerate() {
            if number > 0 {
                json.push(',');
            }
            write_text(&mut json, name);
            json.push(':');
            match detail {
                Detail::Text(text) => write_text(&mut json, text),
                Detail::Number(value) => json.push_str(&value.to_string()),
            }
        }
        json.push_str("}}");
        Self { json }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<Failure> for napi::Error {
    fn from(failure: Failure) -> Self {
        napi::Error::from_reason(failure.into_message())
    }
}

/// A JSON string (RFC 8259 §7).
pub fn write_text(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            // Writing to a String cannot fail.
            control if control < ' ' => drop(write!(json, "\\u{:04x}", u32::from(control))),
            plain => json.push(plain),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_crosses_with_its_code_its_words_and_its_facts() {
        let error = Error::new(Code::Io, "sync of \"a\\b\"\n failed").number("errno", 5).text("path", "\u{1}店");
        let json = r#"{"code":"STORE_IO","message":"sync of \"a\\b\"\u000a failed","details":{"errno":5,"path":"\u0001店"}}"#;
        assert_eq!(Failure::from(&error).into_json(), json);
        assert_eq!(Failure::from(error).into_message(), format!("moraine:{json}"));
    }

    #[test]
    fn an_error_without_facts_has_empty_details() {
        let json = r#"{"code":"STORE_CLOSED","message":"over","details":{}}"#;
        assert_eq!(Failure::from(Error::new(Code::Closed, "over")).into_json(), json);
    }
}
