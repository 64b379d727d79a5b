//! What a message must be to be stored: checked for a whole batch before the first is written.

use alloc::borrow::Cow;
use alloc::format;

use super::Writer;
use super::put::record;
use crate::batch::{BatchMessage, BatchReader};
use crate::error::{Code, Error};
use crate::format::names::check_topic;
use crate::format::properties;
use crate::format::record::SYS_FLAG_INNER_BATCH;
use crate::limits::{MAX_PROPERTIES_BYTES, RECORD_OVERHEAD_BYTES};
use crate::options::Compat;
use crate::storage::{Clock, Storage};

impl<S: Storage, C: Clock> Writer<'_, S, C> {
    /// Number of messages, if every one of them can be stored.
    pub(super) fn check_batch(&self, batch: &[u8]) -> Result<usize, Error> {
        let mut count = 0;
        let mut checked: Option<&[u8]> = None;
        for message in BatchReader::new(batch) {
            let message = message?;
            if checked != Some(message.topic) {
                self.check_topic(message.topic).map_err(|e| e.number("message", count as i64))?;
                checked = Some(message.topic);
            }
            self.check_message(&message).map_err(|e| e.number("message", count as i64))?;
            count += 1;
        }
        Ok(count)
    }

    fn check_topic(&self, topic: &[u8]) -> Result<(), Error> {
        check_topic(topic).map_err(|reason| Error::argument("topic", reason))?;
        if self.0.options.compat == Compat::V4_9 && topic.len() > crate::limits::MAX_TOPIC_BYTES {
            let message =
                format!("a topic of {} bytes cannot be read by RocketMQ 4.9; with compat \"4.9\" it has at most 127", topic.len());
            return Err(Error::argument("topic", message));
        }
        Ok(())
    }

    fn check_message(&self, message: &BatchMessage<'_>) -> Result<(), Error> {
        let options = &self.0.options;
        if message.queue_id < 0 {
            return Err(Error::argument("queueId", format!("queue id {} is negative; ids start at 0", message.queue_id)));
        }
        if message.sys_flag & SYS_FLAG_INNER_BATCH != 0 {
            return Err(Error::argument("sysFlag", "bit 7 marks an inner batch, which this version does not write"));
        }
        for (name, host) in [("bornHost", &message.born_host), ("storeHost", &message.store_host)] {
            if !(0..=65_535).contains(&host.port) {
                return Err(Error::argument(name, format!("port {} is not between 0 and 65535", host.port)));
            }
        }
        let property_bytes =
            |properties: &[u8]| properties.len() + record(message, properties, 0, 0, 0).added_property_bytes(options.record_crc);
        if property_bytes(message.properties) > MAX_PROPERTIES_BYTES && property_bytes(&kept(message)) > MAX_PROPERTIES_BYTES {
            let kept = kept(message);
            let most = MAX_PROPERTIES_BYTES - (property_bytes(&kept) - kept.len());
            let message = format!("the property string has {} bytes, at most {most} fit", kept.len());
            return Err(Error::new(Code::MessageTooLarge, message).text("argument", "properties"));
        }
        if !options.record_crc
            && properties::ends_like_record_crc(message.properties)
            && properties::without_record_crc(message.properties).is_none()
        {
            let message = "the last property looks like a damaged __CRC32#; give it another name or length, or use recordCrc: true";
            return Err(Error::argument("properties", message));
        }
        let (body, most) = (message.body.len() as u64, u64::from(options.max_message_bytes));
        if body > most {
            let message = format!("the body has {body} bytes, maxMessageBytes is {most}");
            return Err(Error::new(Code::MessageTooLarge, message).text("argument", "body"));
        }
        let size = |properties: &[u8]| record(message, properties, 0, 0, 0).size(options.record_crc);
        let most = (most + u64::from(RECORD_OVERHEAD_BYTES)).min(self.0.log.largest_record());
        if size(message.properties) > most && size(&kept(message)) > most {
            let size = size(&kept(message));
            let message = format!("the record has {size} bytes, the log's files take at most {most}");
            return Err(Error::new(Code::MessageTooLarge, message).text("argument", "body"));
        }
        Ok(())
    }
}

/// The property string as it would be stored: without the CRC of another record. Asked for only where a limit is near.
#[cold]
fn kept<'a>(message: &BatchMessage<'a>) -> Cow<'a, [u8]> {
    properties::without_record_crc(message.properties).map_or(Cow::Borrowed(message.properties), Cow::Owned)
}
