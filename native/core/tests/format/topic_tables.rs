//! The topic table, as RocketMQ writes it and as others may.

use moraine_core::format::json::{JsonReader, NotJson};
use moraine_core::topics::{TopicKinds, parse};
use proptest::prelude::*;

fn kinds(batch: &[&str], compaction: &[&str]) -> TopicKinds {
    let set = |names: &[&str]| names.iter().map(|&name| name.to_string()).collect();
    TopicKinds { batch: set(batch), compaction: set(compaction) }
}

#[test]
fn topics_are_told_apart_by_their_attributes() {
    let text = r#"{
        "dataVersion":{"counter":2,"stateVersion":0,"timestamp":1795245590541},
        "topicConfigTable":{
            "A":{"attributes":{"queue.type":"BatchCQ"},"order":false,"perm":6,"topicName":"A"},
            "B":{"attributes":{"queue.type" : "SimpleCQ", "cleanup.policy":"COMPACTION"},"readQueueNums":8},
            "C":{"attributes":{}},
            "D":{"order":true}
        }
    }"#;
    assert_eq!(parse(text.as_bytes()), Ok(kinds(&["A"], &["B"])));
}

#[test]
fn keys_may_have_no_quotes_and_texts_escapes() {
    let text =
        r#"{topicConfigTable:{'A\u0062\ud83d\ude80"':{attributes:{"queue.type":"BatchCQ",other:[1,{2:3}]}},B:{}},offsets:{0:5,1:7}}"#;
    assert_eq!(parse(text.as_bytes()), Ok(kinds(&["Ab🚀\""], &[])));
}

#[test]
fn what_fastjson_reads_over_is_read_over() {
    let whole = r#"{"topicConfigTable":{"A":{"attributes":{"queue.type":"BatchCQ"}}}}"#;
    let spread = r#"// by hand
        {,,"topicConfigTable": /* all */ {"A":{"attributes":{"queue.type":"BatchCQ",},"order":[,1,,2,],},,},} // end"#;
    for text in [spread, &format!("\u{feff}{whole}"), &format!("{whole}\0\0"), &format!("\u{8}\u{b}{whole}")] {
        assert_eq!(parse(text.as_bytes()), Ok(kinds(&["A"], &[])), "{text}");
    }
    for wrong in ["/", "/*", "//", "x", "\0x"] {
        assert_eq!(parse(format!("{whole}{wrong}").as_bytes()).is_ok(), wrong == "//", "{wrong}");
    }
}

#[test]
fn an_attribute_elsewhere_says_nothing() {
    let text = r#"{"queue.type":"BatchCQ","topicConfigTable":{"A":{"queue.type":"BatchCQ","attributes":{"note":"queue.type BatchCQ"}}}}"#;
    assert_eq!(parse(text.as_bytes()), Ok(kinds(&[], &[])));
    assert_eq!(parse(br#"{"topicConfigTable":[{"attributes":{"queue.type":"BatchCQ"}}]}"#), Ok(kinds(&[], &[])));
}

#[test]
fn what_is_no_json_is_refused() {
    let whole = r#"{"topicConfigTable":{"A":{"attributes":{"queue.type":"BatchCQ"}}}}"#;
    for cut in 0..whole.len() {
        assert_eq!(parse(&whole.as_bytes()[..cut]), Err(NotJson), "cut at {cut}");
    }
    for wrong in ["{} {}", "{\"a\"}", "{\"a\":}", "{\"a\":1 \"b\":2}", "{\"a\":\"\\q\"}", "{\"a\":\"\\u12\"}", "\0"] {
        assert_eq!(parse(wrong.as_bytes()), Err(NotJson), "{wrong}");
    }
    assert_eq!(parse("[".repeat(100_000).as_bytes()), Err(NotJson), "too deep");
}

#[test]
fn json_is_read_as_the_list_of_cases_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../test/fixtures/json-cases.json");
    let list: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = list["cases"].as_array().unwrap();
    assert!(cases.len() > 100);
    for case in cases {
        let text = case["text"].as_str().unwrap();
        let mut reader = JsonReader::new(text.as_bytes());
        let mut strings = serde_json::Map::new();
        let read = reader.object(|reader, name| {
            match reader.string()? {
                Some(value) => strings.insert(name.into(), value.into()),
                None => strings.remove(name),
            };
            Ok(())
        });
        let found = if read.is_ok() && reader.is_at_end() { serde_json::Value::Object(strings) } else { serde_json::Value::Null };
        assert_eq!(found, case["strings"], "{text:?}");
        assert_eq!(found.is_null(), case["refused"] == true, "{text:?}");
    }
}

#[test]
fn of_what_is_there_twice_the_last_counts() {
    let (batch, simple) = (r#"{"attributes":{"queue.type":"BatchCQ"}}"#, r#"{"attributes":{"queue.type":"SimpleCQ"}}"#);
    let table = |topics: &str| parse(format!(r#"{{"topicConfigTable":{{{topics}}}}}"#).as_bytes());
    assert_eq!(table(&format!(r#""A":{batch},"A":{simple},"B":{simple},"B":{batch}"#)), Ok(kinds(&["B"], &[])));
    assert_eq!(table(r#""A":{"attributes":{"queue.type":"BatchCQ","queue.type":"SimpleCQ"}}"#), Ok(kinds(&[], &[])));
    assert_eq!(table(r#""A":{"attributes":{"cleanup.policy":"COMPACTION"},"attributes":{}}"#), Ok(kinds(&[], &[])));
    let twice = format!(r#"{{"topicConfigTable":{{"A":{batch}}},"topicConfigTable":{{"B":{batch}}}}}"#);
    assert_eq!(parse(twice.as_bytes()), Ok(kinds(&["B"], &[])));
}

#[test]
fn a_table_is_an_object() {
    for text in ["[]", "null", "1", "\"x\"", ""] {
        assert_eq!(parse(text.as_bytes()), Err(NotJson), "{text}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn anything_like_json_is_read_or_refused(text in "[{}\\[\\]:,\"'\\\\a1 u]{0,80}") {
        let _ = parse(text.as_bytes());
    }
}
