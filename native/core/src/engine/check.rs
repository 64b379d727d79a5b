//! What a message must be to be stored: checked for a whole batch before the first is written.

use alloc::format;
use alloc::string::String;

use super::batch::{Learning, MAX_INNER_BASE_BYTES, check_inner_batch};
use super::put::record;
use super::run::{Checked, Run, Text};
use super::{Engine, Writer};
use crate::batch::BatchMessage;
use crate::dispatch::{delay_level, names_a_directory, takes_queue_entry};
use crate::error::{Code, Error};
use crate::format::light_queues::{self, LIGHT_QUEUE_ID, is_light_queue};
use crate::format::names::check_topic;
use crate::format::properties::{self, DispatchedPlaces, INNER_BASE_NAME, MULTI_QUEUE_OFFSET_NAME, RECORD_CRC_NAME};
use crate::format::record::{Transaction, transaction};
use crate::limits::{MAX_PROPERTIES_BYTES, RECORD_OVERHEAD_BYTES};
use crate::options::{Compat, Options};
use crate::storage::{Clock, Storage};

/// How the messages of a batch belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Together {
    /// Each its own record, anywhere.
    Apart,
    /// RocketMQ's plain batch: one queue, one file, no transactions, no delays, no light queues (store-format §2.9).
    Group,
}

impl<S: Storage, C: Clock> Writer<'_, S, C> {
    /// Whether every one of the messages can be stored.
    pub(super) fn check_batch(&mut self, messages: &[BatchMessage<'_>], together: Together) -> Result<(), Error> {
        let Engine { storage, options, queues, batches, topics, findings, log, run, .. } = &mut *self.0;
        run.begin();
        let learning = Learning { storage: storage.as_ref(), topics, findings, simple: queues, batches, is_fresh: false };
        let mut checks = Checks { options, learning, run, together, largest_record: log.largest_record() };
        let mut checked: Option<&BatchMessage<'_>> = None;
        for (index, message) in messages.iter().enumerate() {
            let at = |error: Error| error.number("message", index as i64);
            if checked.is_none_or(|last| last.topic != message.topic) {
                check_topic_name(options, message.topic).map_err(at)?;
                checks.learning.topic(message.topic).map_err(at)?;
            }
            if together == Together::Group {
                checked.map_or(Ok(()), |first| check_same_queue(first, message)).map_err(at)?;
            }
            checks.check(message, index).map_err(at)?;
            checked = Some(message);
        }
        Ok(())
    }
}

fn check_topic_name(options: &Options, topic: &[u8]) -> Result<(), Error> {
    check_topic(topic).map_err(|reason| Error::argument("topic", reason))?;
    if options.compat == Compat::V4_9 && topic.len() > crate::limits::MAX_TOPIC_BYTES {
        let message = format!("a topic of {} bytes cannot be read by RocketMQ 4.9; with compat \"4.9\" it has at most 127", topic.len());
        return Err(Error::argument("topic", message));
    }
    Ok(())
}

fn check_same_queue(first: &BatchMessage<'_>, message: &BatchMessage<'_>) -> Result<(), Error> {
    if first.topic != message.topic {
        return Err(Error::argument("topic", "the messages of a group have one topic"));
    }
    if first.queue_id != message.queue_id {
        let message = format!("queue id {} is not that of the messages before, {}", message.queue_id, first.queue_id);
        return Err(Error::argument("queueId", message));
    }
    Ok(())
}

struct Checks<'a, S: Storage> {
    options: &'a Options,
    learning: Learning<'a, S>,
    run: &'a mut Run,
    together: Together,
    /// Bytes that fit an empty segment.
    largest_record: u64,
}

impl<S: Storage> Checks<'_, S> {
    /// `index` is the message's place in the batch.
    fn check(&mut self, message: &BatchMessage<'_>, index: usize) -> Result<(), Error> {
        if message.queue_id < 0 {
            return Err(Error::argument("queueId", format!("queue id {} is negative; ids start at 0", message.queue_id)));
        }
        for (name, host) in [("bornHost", &message.born_host), ("storeHost", &message.store_host)] {
            if !(0..=65_535).contains(&host.port) {
                return Err(Error::argument(name, format!("port {} is not between 0 and 65535", host.port)));
            }
        }
        let mut text = None;
        let mut places = properties::dispatched_places(message.properties);
        if places.has_record_crc() {
            text = Some(self.run.text_without(message.properties, &[RECORD_CRC_NAME]));
            places = properties::dispatched_places(self.run.properties(text, message));
        }
        let mut is_light = false;
        let mut offset_bytes = 0;
        let inner_messages =
            check_inner_batch(message, places.of(self.run.properties(text, message)).inner_num, self.learning.batches, self.together)?;
        if inner_messages > 0 {
            text = Some(self.run.text_without(message.properties, &[RECORD_CRC_NAME, INNER_BASE_NAME]));
            places = properties::dispatched_places(self.run.properties(text, message));
            offset_bytes = MAX_INNER_BASE_BYTES;
        }
        if self.together == Together::Group {
            check_group_member(message, self.run.properties(text, message), places)?;
        }
        if places.has_multi_dispatch() && light_queues::may_multi_dispatch(message.topic) && takes_queue_entry(message.sys_flag) {
            let properties = self.run.properties(text, message);
            let found = places.of(properties);
            let names = found.multi_dispatch.unwrap_or_default();
            if self.together == Together::Group {
                // A group goes to no light queues: no offsets may say that it did.
                if found.multi_queue_offset.is_some() {
                    text = Some(self.run.text_without(message.properties, &[RECORD_CRC_NAME, MULTI_QUEUE_OFFSET_NAME]));
                }
            } else if !light_queues::is_blank(names) {
                // The list's end counts where no CRC follows, in front of which a record's size has the end that the text lacks.
                let record_end = usize::from(!self.options.record_crc);
                offset_bytes += record_end + check_light_queues(&mut self.learning, message, names, index)?;
                is_light = true;
                text = Some(self.run.text_before_offsets(message.properties, inner_messages > 0));
            }
            places = properties::dispatched_places(self.run.properties(text, message));
        }
        self.check_property_bytes(message, text, offset_bytes)?;
        let properties = self.run.properties(text, message);
        if !self.options.record_crc && properties::ends_like_record_crc(properties) {
            let message = "the last property looks like a damaged __CRC32#; give it another name or length, or use recordCrc: true";
            return Err(Error::argument("properties", message));
        }
        let size = record(message, properties, 0, 0, 0).size(self.options.record_crc);
        self.check_size(message, size + offset_bytes as u64, is_light)?;
        self.run.checked.push(Checked { text, places, size, takes_entry: takes_queue_entry(message.sys_flag), is_light, inner_messages });
        Ok(())
    }

    /// The property string with what is added to it: `more`, and the CRC of the record.
    fn check_property_bytes(&self, message: &BatchMessage<'_>, text: Option<Text>, more: usize) -> Result<(), Error> {
        let properties = self.run.properties(text, message);
        let added = more + record(message, properties, 0, 0, 0).added_property_bytes(self.options.record_crc);
        if properties.len() + added <= MAX_PROPERTIES_BYTES {
            return Ok(());
        }
        let most = MAX_PROPERTIES_BYTES.saturating_sub(added);
        let message = format!("the property string has {} bytes, at most {most} fit", properties.len());
        Err(Error::new(Code::MessageTooLarge, message).text("argument", "properties"))
    }

    fn check_size(&self, message: &BatchMessage<'_>, size: u64, is_light: bool) -> Result<(), Error> {
        let (body, max_message) = (message.body.len() as u64, u64::from(self.options.max_message_bytes));
        if body > max_message {
            let message = format!("the body has {body} bytes, maxMessageBytes is {max_message}");
            return Err(Error::new(Code::MessageTooLarge, message).text("argument", "body"));
        }
        if is_light && size > max_message {
            let message = format!(
                "the record has {size} bytes; one that goes to light queues has at most maxMessageBytes, {max_message}, as a whole"
            );
            return Err(Error::new(Code::MessageTooLarge, message).text("argument", "body"));
        }
        let most = (max_message + u64::from(RECORD_OVERHEAD_BYTES)).min(self.largest_record);
        if size > most {
            let message = format!("the record has {size} bytes, the log's files take at most {most}");
            return Err(Error::new(Code::MessageTooLarge, message).text("argument", "body"));
        }
        Ok(())
    }
}

/// Bytes that the list of the light queues' offsets takes at most, without its end.
fn check_light_queues<S: Storage>(
    learning: &mut Learning<'_, S>,
    message: &BatchMessage<'_>,
    names: &[u8],
    index: usize,
) -> Result<usize, Error> {
    // Each message in front takes one offset of a queue, and one more if its own queue is the same.
    let before = if is_light_queue(message.topic) { 2 * index as u64 + 1 } else { index as u64 };
    let (mut bytes, mut light, mut other) = (0, None, None);
    for (n, name) in light_queues::items(names).enumerate() {
        bytes += usize::from(n > 0);
        if !is_light_queue(name) {
            other = other.or(Some(name));
            continue;
        }
        light = light.or(Some(name));
        if !names_a_directory(name) {
            // RocketMQ gives an offset in a queue with a slash in its name, and never an entry.
            let message = format!(
                "INNER_MULTI_DISPATCH names {:?}, which cannot be a light queue: its name is that of a directory, at most 255 \
                 bytes of UTF-8 without a slash or control characters",
                shown(name)
            );
            return Err(Error::argument("properties", message));
        }
        let place = learning.simple.find(name, LIGHT_QUEUE_ID);
        if place.is_none() || !learning.batches.is_empty() {
            learning.light_queue(name)?;
        }
        let next = place.map_or(0, |place| learning.simple.queue(place).next());
        bytes += light_queues::digits(next + before);
    }
    match (light, other) {
        // RocketMQ never gets past such a record, or leaves it out of the light queues that it names.
        (Some(light), Some(other)) => {
            let message = format!(
                "INNER_MULTI_DISPATCH names {:?} beside {:?}; it has light queues (%LMQ%…) only, or none",
                shown(other),
                shown(light)
            );
            Err(Error::argument("properties", message))
        }
        _ => Ok(bytes),
    }
}

/// What RocketMQ refuses in a plain batch: transactions and delays.
fn check_group_member(message: &BatchMessage<'_>, properties: &[u8], places: DispatchedPlaces) -> Result<(), Error> {
    if transaction(message.sys_flag) != Transaction::None {
        let message = format!("sysFlag is {:#x}; the messages of a group are of no transaction (bits 2 and 3 are 0)", message.sys_flag);
        return Err(Error::argument("sysFlag", message));
    }
    if message.prepared_transaction_offset != 0 {
        return Err(Error::argument("preparedTransactionOffset", "the messages of a group commit nothing: it is 0"));
    }
    if let Some(level) = places.of(properties).delay.and_then(delay_level) {
        let message = format!("property DELAY is {level}; the messages of a group cannot be delayed");
        return Err(Error::argument("properties", message));
    }
    Ok(())
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(&name[..name.len().min(255)]).into_owned()
}
