//! How an error crosses: one JSON text `{"code", "message", "details"}`.
//!
//! Thrown, it is the message of a JavaScript `Error`, behind [`PREFIX`]; in an event it stands alone.

use std::any::Any;

use moraine_core::crossing;
use moraine_core::error::Error;
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
        Self { json: crossing::panicked(text) }
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
        Self { json: crossing::failure(error) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use moraine_core::error::Code;

    #[test]
    fn a_thrown_error_is_its_json_behind_the_prefix() {
        let failure = || Failure::from(Error::new(Code::Closed, "over"));
        assert_eq!(failure().into_message(), format!("moraine:{}", failure().into_json()));
    }
}
