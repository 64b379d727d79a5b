//! What goes to JavaScript as a JSON text (RFC 8259): failures, and the results of rare calls.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write;

use crate::engine::expire::Expired;
use crate::engine::remake::Rebuilt;
use crate::engine::salvage::Salvaged;
use crate::error::{Code, Detail, Error, Finding};
use crate::verify::{Remedy, Verified};

/// `{"code", "message", "details"}`.
pub fn failure(error: &Error) -> String {
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
    json
}

/// A bug of ours, caught at the boundary: `STORE_IO` with `details.internal`.
pub fn panicked(text: Option<&str>) -> String {
    let mut json = format!("{{\"code\":\"{}\",\"message\":", Code::Io.name());
    write_text(&mut json, &format!("internal error, please report it: {}", text.unwrap_or("a panic without a text")));
    json.push_str(",\"details\":{\"internal\":true}}");
    json
}

/// `{"files", "bytes", "minOffset", "more"}`.
pub fn expired(done: &Expired) -> String {
    let Expired { files, bytes, minimum, more } = done;
    format!("{{\"files\":{files},\"bytes\":{bytes},\"minOffset\":{minimum},\"more\":{more}}}")
}

/// `{"complete", "findings"}`, findings with a remedy.
pub fn verified(found: &Verified) -> String {
    let mut json = format!("{{\"complete\":{},", found.complete);
    write_findings(&mut json, found.faults.iter().map(|fault| (&fault.finding, Some(fault.remedy))));
    json.push('}');
    json
}

/// `{"messages", "findings"}`.
pub fn rebuilt(done: &Rebuilt) -> String {
    let mut json = format!("{{\"messages\":{},", done.messages);
    write_findings(&mut json, done.findings.iter().map(|finding| (finding, None)));
    json.push('}');
    json
}

/// `{"messages", "bytes", "lostRanges", "lostBytes", "findings"}`.
pub fn salvaged(saved: &Salvaged) -> String {
    let mut json = format!(
        "{{\"messages\":{},\"bytes\":{},\"lostRanges\":{},\"lostBytes\":{},",
        saved.messages, saved.bytes, saved.lost_ranges, saved.lost_bytes
    );
    write_findings(&mut json, saved.findings.iter().map(|finding| (finding, None)));
    json.push('}');
    json
}

/// `"findings":[…]`.
pub fn write_findings<'a>(json: &mut String, findings: impl Iterator<Item = (&'a Finding, Option<Remedy>)>) {
    json.push_str("\"findings\":[");
    for (number, (finding, remedy)) in findings.enumerate() {
        json.push_str(if number > 0 { ",{\"kind\":" } else { "{\"kind\":" });
        write_text(json, finding.kind);
        json.push_str(",\"file\":");
        write_text(json, &finding.file);
        json.push_str(&format!(",\"offset\":{},\"length\":{},\"message\":", finding.offset, finding.length));
        write_text(json, &finding.message);
        if let Some(remedy) = remedy {
            json.push_str(",\"remedy\":");
            write_text(json, remedy.text());
        }
        json.push('}');
    }
    json.push(']');
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
        assert_eq!(failure(&error), json);
    }

    #[test]
    fn an_error_without_facts_has_empty_details() {
        let json = r#"{"code":"STORE_CLOSED","message":"over","details":{}}"#;
        assert_eq!(failure(&Error::new(Code::Closed, "over")), json);
    }
}
