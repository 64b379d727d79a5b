//! Names of files, ids of messages, topics.

use moraine_core::format::names::{
    check_topic, file_name, offset_message_id, parse_file_name, parse_uniq_key, push_digits, push_file_name,
};
use moraine_core::format::record::{Address, Host};
use proptest::prelude::*;

use crate::messages::host;
use crate::vectors::{number, text, vector, vectors};

#[test]
fn message_ids_are_rocketmqs() {
    for vector in vectors("offsetMsgId.") {
        let address = text(&vector.inputs["host"]);
        let port = number(&vector.inputs["port"]);
        let host = host(&if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") });
        let physical = number(&vector.inputs["commitLogOffset"]).cast_unsigned();
        assert_eq!(offset_message_id(&host, physical), text(&vector.expected["msgId"]), "{}", vector.name);
    }
}

#[test]
fn unique_keys_come_apart_as_rocketmq_takes_them() {
    let vector = vector("uniqKey.decode");
    let expected = vector.expected;
    let key = parse_uniq_key(text(&vector.inputs["uniqKey"])).expect("a unique key");
    assert_eq!(Host { address: key.address, port: 0 }, host(&format!("{}:0", text(&expected["ip"]))));
    assert_eq!(i64::from(key.pid), number(&expected["pid"]));
    assert_eq!(format!("{:08X}", key.class_loader_hash), text(&expected["classLoaderHashHex"]));
    assert_eq!(i64::from(key.since_month_start_ms), number(&expected["msSinceMonthStart"]));
    assert_eq!(i64::from(key.counter), number(&expected["counter"]));
}

#[test]
fn a_unique_key_has_32_or_56_hex_digits() {
    let v6 = parse_uniq_key("20010db8000000000000000000000001123414DAD5DC075BCD150001").expect("a unique key");
    assert_eq!(v6.address, Address::V6([0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
    assert_eq!((v6.pid, v6.counter), (0x1234, 1));
    for wrong in ["", "0A", "0A000001123414DAD5DC075BCD15000", "0A000001123414DAD5DC075BCD15000G", "0A000001123414DAD5DC075BCD1500010"] {
        assert_eq!(parse_uniq_key(wrong), None, "{wrong:?}");
    }
    assert_eq!(parse_uniq_key(&"0".repeat(58)), None);
    assert_eq!(parse_uniq_key(&"é".repeat(16)), None);
}

#[test]
fn a_file_is_named_by_its_offset() {
    let vector = vector("fileName");
    let offset = number(&vector.inputs["offset"]).cast_unsigned();
    let name = text(&vector.expected["name"]);
    assert_eq!(file_name(offset), name);
    assert_eq!(parse_file_name(name), Some(offset));
    for wrong in
        ["", "0", "0000000000107374182", "000000000001073741824", "0000000000107374182x", "+0000000001073741824", "99999999999999999999"]
    {
        assert_eq!(parse_file_name(wrong), None, "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn what_is_appended_is_what_formatting_gives(number: u64, shift in 0..64_u32, least in 0..21_usize) {
        for number in [number >> shift, 0, u64::MAX] {
            let mut text = String::from("queue/");
            push_digits(number, least, &mut text);
            prop_assert_eq!(&text, &format!("queue/{number:0least$}"));
            text.clear();
            push_file_name(number, &mut text);
            prop_assert_eq!(text, file_name(number));
        }
    }
}

#[test]
fn topics_have_rocketmqs_letters_and_lengths() {
    let longest = "a".repeat(127);
    let longest_retry = format!("%RETRY%{}", "g".repeat(248));
    let longest_dead = format!("%DLQ%{}", "g".repeat(250));
    for good in ["T", "TopicTest", "a-b_c%d|e", "%LMQ%x", &longest, &longest_retry, &longest_dead] {
        assert_eq!(check_topic(good.as_bytes()), Ok(()));
    }
    for (wrong, reason) in [
        ("", "topic is empty, at least 1 character is needed"),
        ("a/b", "topic \"a/b\" has a character at byte 1 that is none of A-Z a-z 0-9 % | _ -"),
        ("..", "topic \"..\" has a character at byte 0 that is none of A-Z a-z 0-9 % | _ -"),
        ("a\0", "topic \"a\\0\" has a character at byte 1 that is none of A-Z a-z 0-9 % | _ -"),
        ("Tü", "topic \"Tü\" has a character at byte 1 that is none of A-Z a-z 0-9 % | _ -"),
    ] {
        assert_eq!(check_topic(wrong.as_bytes()), Err(reason.into()));
    }
    let reason = check_topic(format!("{longest}b").as_bytes()).expect_err("128 bytes");
    assert!(reason.ends_with("has 128 bytes, at most 127 are allowed (255 after %RETRY% and %DLQ%)"), "{reason}");
    assert!(check_topic(format!("{longest_retry}g").as_bytes()).is_err());
    assert!(check_topic(b"T\xFF").is_err());
}

proptest! {
    #[test]
    fn offsets_and_names_go_both_ways(offset in 0..=i64::MAX as u64) {
        prop_assert_eq!(parse_file_name(&file_name(offset)), Some(offset));
    }

    #[test]
    fn any_text_may_be_asked_about(text in "\\PC{0,60}") {
        let _ = (parse_file_name(&text), parse_uniq_key(&text), check_topic(text.as_bytes()));
    }

    #[test]
    fn a_topic_that_passes_is_safe_as_a_directory(topic in proptest::collection::vec(any::<u8>(), 0..300)) {
        if check_topic(&topic).is_ok() {
            prop_assert!(!topic.is_empty() && topic.len() <= 255);
            prop_assert!(topic.iter().all(|&byte| byte.is_ascii_graphic() && !b"./\\:*?\"<>".contains(&byte)));
        }
    }
}
