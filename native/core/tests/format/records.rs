//! What is written is what RocketMQ writes, and reads back as it was.

use moraine_core::format::hash::tags_code;
use moraine_core::format::names::offset_message_id;
use moraine_core::format::properties::dispatched;
use moraine_core::format::record::{
    Flaw, Head, MAGIC_V1, MAGIC_V2, Record, STORE_TIMESTAMP_PREFIX_BYTES, SYS_FLAG_BORN_V6, SYS_FLAG_STORE_V6, Transaction, head,
    store_timestamp_of, transaction,
};
use proptest::prelude::*;

use crate::messages::{Message, any_message, host};
use crate::vectors::{Vector, hex, number, text, vector, vectors};

/// The message that a vector's inputs describe: those of `record.v1.noProps` with what they say otherwise.
fn message_of(vector: Vector) -> Message {
    let inputs = vector.inputs;
    let mut message = Message::plain();
    let given = |name: &str| inputs.get(name).filter(|value| !value.is_null());
    if let Some(topic) = given("topic") {
        message.topic = text(topic).as_bytes().to_vec();
    }
    if let Some(properties) = given("propertiesString") {
        message.properties = text(properties).as_bytes().to_vec();
    }
    for (name, field) in [("bornHost", &mut message.born_host), ("storeHost", &mut message.store_host)] {
        if let Some(address) = given(name) {
            *field = host(text(address));
        }
    }
    for (name, field) in [("flag", &mut message.flag), ("sysFlag", &mut message.sys_flag), ("reconsumeTimes", &mut message.reconsume_times)]
    {
        if let Some(value) = given(name) {
            *field = i32::try_from(number(value)).expect("an i32");
        }
    }
    if let Some(offset) = given("queueOffset").or(given("queueOffsetGiven")) {
        message.queue_offset = number(offset).cast_unsigned();
    }
    if let (Some(file), Some(position)) = (given("fileFromOffset"), given("posInFile")) {
        message.physical_offset = (number(file) + number(position)).cast_unsigned();
    }
    if let Some(offset) = given("preparedTransactionOffset") {
        message.prepared_transaction_offset = number(offset);
    }
    // Two vectors leave out what they share with the one before them.
    match vector.name {
        "record.v1.bornV4storeV6" => message.queue_offset = 1,
        "record.prepared.queueOffsetZeroed" => message.properties = b"TAGS\x01TagA\x02".to_vec(),
        _ => {}
    }
    message
}

#[test]
fn records_are_rocketmqs_byte_for_byte() {
    for vector in vectors("record.") {
        let record_crc = vector.name.starts_with("record.appendPropCRC");
        let message = message_of(vector);
        let written = message.written(record_crc);
        assert_eq!(hex(&written), text(&vector.expected["hex"]), "{}", vector.name);
        assert_eq!(written.len() as i64, number(&vector.expected["size"]), "{}", vector.name);

        let record = Record::parse(&written).expect(vector.name);
        assert_eq!(record.check(), Ok(()), "{}", vector.name);
        if let Some(sys_flag) = vector.expected.get("sysFlag") {
            assert_eq!(i64::from(record.sys_flag()), number(sys_flag), "{}", vector.name);
        }
        if let Some(id) = vector.expected.get("msgId") {
            let physical = record.physical_offset().cast_unsigned();
            assert_eq!(offset_message_id(&record.store_host(), physical), text(id), "{}", vector.name);
        }
    }
}

#[test]
fn a_record_gives_dispatch_what_rocketmq_takes_from_it() {
    let expected = vector("dispatch.v1.props").expected;
    let written = message_of(vector("record.v1.props")).written(false);
    let record = Record::parse(&written).expect("a record");
    let properties = dispatched(record.properties());

    assert_eq!(record.check().is_ok(), expected["success"]);
    assert_eq!(i64::from(record.size()), number(&expected["size"]));
    assert_eq!(record.physical_offset(), number(&expected["commitLogOffset"]));
    assert_eq!(record.queue_offset(), number(&expected["consumeQueueOffset"]));
    assert_eq!(properties.tags.map(tags_code), Some(number(&expected["tagsCode"])));
    assert_eq!(properties.keys, Some(text(&expected["keys"]).as_bytes()));
    assert_eq!(properties.uniq_key, Some(text(&expected["uniqKey"]).as_bytes()));
    assert_eq!(record.store_timestamp(), number(&expected["storeTimestamp"]));
}

#[test]
fn the_magic_numbers_are_rocketmqs() {
    let constants = vector("consts").expected;
    assert_eq!(format!("{MAGIC_V1:08x}"), text(&constants["MESSAGE_MAGIC_V1"]));
    assert_eq!(format!("{MAGIC_V2:08x}"), text(&constants["MESSAGE_MAGIC_V2"]));
}

#[test]
fn a_topic_of_more_than_127_bytes_makes_the_second_version() {
    for (length, magic) in [(127, MAGIC_V1), (128, MAGIC_V2)] {
        let message = Message { topic: vec![b'g'; length], ..Message::plain() };
        let written = message.written(false);
        assert_eq!(message.record().is_v2(), magic == MAGIC_V2);
        assert_eq!(Record::parse(&written).expect("a record").magic(), magic);
    }
}

#[test]
fn prepared_and_rolled_back_messages_have_no_queue_offset() {
    for (sys_flag, kind, stored) in
        [(0x0, Transaction::None, 9), (0x4, Transaction::Prepared, 0), (0x8, Transaction::Commit, 9), (0xC, Transaction::Rollback, 0)]
    {
        let written = Message { sys_flag, queue_offset: 9, ..Message::plain() }.written(true);
        let record = Record::parse(&written).expect("a record");
        assert_eq!(transaction(record.sys_flag()), kind);
        assert_eq!(record.queue_offset(), stored, "{kind:?}");
    }
}

#[test]
fn a_record_from_before_the_whole_record_crc_is_checked_by_its_body() {
    let mut written = Message::plain().written(false);
    written[16] ^= 1; // the user's flag: not covered
    assert_eq!(Record::parse(&written).expect("a record").check(), Ok(()));
    written[88] ^= 1;
    let flaw = Record::parse(&written).expect("a record").check().expect_err("a changed body");
    assert!(matches!(flaw, Flaw::BodyCrc { .. }), "{flaw}");
}

#[test]
fn the_size_never_overflows() {
    let body = vec![0; 1 << 20];
    let message = Message { body, ..Message::plain() };
    assert_eq!(message.record().size(false), 91 + (1 << 20) + 9);
    assert_eq!(message.record().size(true), 91 + (1 << 20) + 9 + 20);
}

proptest! {
    #[test]
    fn what_is_written_reads_back(message in any_message(), record_crc in any::<bool>()) {
        let written = message.written(record_crc);
        let first = written.first_chunk().expect("8 bytes");
        prop_assert_eq!(head(first), Head::Record { size: written.len() as u32 });

        let record = Record::parse(&written).expect("a record");
        prop_assert_eq!(record.check(), Ok(()));
        prop_assert_eq!(record.bytes(), &written[..]);
        prop_assert_eq!(record.size() as usize, written.len());
        prop_assert_eq!(record.magic(), if message.topic.len() > 127 { MAGIC_V2 } else { MAGIC_V1 });
        prop_assert_eq!(record.queue_id(), message.queue_id);
        prop_assert_eq!(record.flag(), message.flag);
        let none = matches!(transaction(message.sys_flag), Transaction::Prepared | Transaction::Rollback);
        prop_assert_eq!(record.queue_offset().cast_unsigned(), if none { 0 } else { message.queue_offset });
        prop_assert_eq!(record.physical_offset().cast_unsigned(), message.physical_offset);
        let host_bits = SYS_FLAG_BORN_V6 | SYS_FLAG_STORE_V6;
        prop_assert_eq!(record.sys_flag() & !host_bits, message.sys_flag & !host_bits);
        prop_assert_eq!(record.sys_flag() & SYS_FLAG_BORN_V6 != 0, message.born_host.address.is_v6());
        prop_assert_eq!(record.sys_flag() & SYS_FLAG_STORE_V6 != 0, message.store_host.address.is_v6());
        prop_assert_eq!(record.born_timestamp(), message.born_timestamp);
        prop_assert_eq!(record.born_host(), message.born_host);
        prop_assert_eq!(record.store_timestamp(), message.store_timestamp);
        prop_assert_eq!(record.store_host(), message.store_host);
        prop_assert_eq!(record.reconsume_times(), message.reconsume_times);
        prop_assert_eq!(record.prepared_transaction_offset(), message.prepared_transaction_offset);
        prop_assert_eq!(record.body(), &message.body[..]);
        prop_assert_eq!(record.topic(), &message.topic[..]);
        if record_crc {
            prop_assert!(record.properties().starts_with(&message.properties));
        } else {
            prop_assert_eq!(record.properties(), &message.properties[..]);
        }
        prop_assert_eq!(store_timestamp_of(&written[..STORE_TIMESTAMP_PREFIX_BYTES]), Some(message.store_timestamp));
    }
}
