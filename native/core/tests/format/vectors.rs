//! `test/fixtures/golden.json`: inputs and what Apache RocketMQ makes of them.

use std::fs;
use std::sync::LazyLock;

use serde_json::Value;

static VECTORS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../test/fixtures/golden.json");
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let file: Value = serde_json::from_str(&text).expect("golden.json is JSON");
    file["vectors"].as_array().expect("golden.json has a list of vectors").clone()
});

/// One vector: what goes in and what has to come out.
#[derive(Clone, Copy)]
pub struct Vector {
    pub name: &'static str,
    pub inputs: &'static Value,
    pub expected: &'static Value,
}

/// All vectors whose names begin with `prefix`; there is at least one.
pub fn vectors(prefix: &str) -> Vec<Vector> {
    let found: Vec<_> = VECTORS
        .iter()
        .map(|vector| Vector { name: text(&vector["name"]), inputs: &vector["inputs"], expected: &vector["expected"] })
        .filter(|vector| vector.name.starts_with(prefix))
        .collect();
    assert!(!found.is_empty(), "golden.json has no vector {prefix}…");
    found
}

pub fn vector(name: &str) -> Vector {
    vectors(name).into_iter().find(|vector| vector.name == name).unwrap_or_else(|| panic!("golden.json has no vector {name}"))
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a string, not {value}"))
}

pub fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("an integer, not {value}"))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
