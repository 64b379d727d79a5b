//! The messages of one put, from their check to their place in the log. Kept between puts, so that they do not allocate.

use alloc::vec::Vec;
use core::ops::Range;

use crate::batch::BatchMessage;
use crate::format::light_queues::{self, LIGHT_QUEUE_ID, is_light_queue};
use crate::format::properties::{
    self, Dispatched, DispatchedPlaces, END, INNER_BASE_NAME, MULTI_QUEUE_OFFSET_NAME, RECORD_CRC_NAME, SEPARATOR,
};
use crate::queue::batch::{BatchIndex, BatchTable};
use crate::queue::table::{QueueIndex, QueueTable};

/// Room that is kept for the next put, where a put with many light queues has made more.
const KEPT_TEXT_BYTES: usize = 1 << 20;
const KEPT_QUEUES: usize = 1 << 16;
const KEPT_MESSAGES: usize = 1 << 16;

/// The messages of a put.
#[derive(Debug, Default)]
pub struct Run {
    /// All of them, in order.
    pub checked: Vec<Checked>,
    /// Those that go into the log together: the run that is being written.
    pub planned: Vec<Planned>,
    /// Property strings that had to be changed.
    texts: Vec<u8>,
    /// Queues that the messages of the run go to beside their own.
    beside: Vec<QueueIndex>,
    /// What one message names, in its order.
    named: Vec<Named>,
    /// Room for the messages of the next put; empty.
    messages: Vec<BatchMessage<'static>>,
}

/// A message that can be stored.
#[derive(Debug)]
pub struct Checked {
    pub text: Option<Text>,
    /// What dispatch needs of the property string.
    pub places: DispatchedPlaces,
    /// Bytes of the record; for one with light queues without the list of its offsets.
    pub size: u64,
    pub takes_entry: bool,
    /// Goes to light queues: its text ends where the list of its offsets there begins.
    pub is_light: bool,
    /// Messages of an inner batch, whose text lacks INNER_BASE; 0 for any other.
    pub inner_messages: u32,
}

/// A message with its place in the log.
#[derive(Debug)]
pub struct Planned {
    pub text: Option<Text>,
    pub size: u64,
    pub physical: u64,
    pub place: Place,
    pub queue_offset: u64,
    beside: Range<usize>,
}

/// The queue of a message.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    Simple(QueueIndex),
    /// A batch queue, and how many of its offsets the record takes.
    Batch(BatchIndex, u32),
}

/// A property string in [`Run::texts`].
#[derive(Clone, Copy, Debug)]
pub struct Text {
    at: usize,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
enum Named {
    Light(QueueIndex),
    /// No light queue: it gets no offset.
    Other,
}

impl Run {
    pub fn begin(&mut self) {
        self.checked.clear();
        self.clear_planned();
        self.texts.clear();
        self.texts.shrink_to(KEPT_TEXT_BYTES);
        self.beside.shrink_to(KEPT_QUEUES);
        self.named.shrink_to(KEPT_QUEUES);
    }

    /// An empty list for the messages of a put.
    pub fn take_messages<'a>(&mut self) -> Vec<BatchMessage<'a>> {
        core::mem::take(&mut self.messages)
    }

    /// Keeps the room of a list for the next put.
    pub fn keep_messages(&mut self, mut messages: Vec<BatchMessage<'_>>) {
        messages.clear();
        messages.shrink_to(KEPT_MESSAGES);
        // Nothing is left in it that could be of a shorter life; a list that is collected in place keeps its memory.
        #[allow(clippy::unnecessary_filter_map)] // what would stay is of another type
        let kept = messages.into_iter().filter_map(|_| None).collect();
        self.messages = kept;
    }

    pub fn clear_planned(&mut self) {
        self.planned.clear();
        self.beside.clear();
    }

    /// The property string, without properties of these names.
    pub fn text_without(&mut self, string: &[u8], names: &[&[u8]]) -> Text {
        let at = self.texts.len();
        properties::copy_without(string, names, &mut self.texts);
        Text { at, len: self.texts.len() - at }
    }

    /// The property string up to where the list of light queue offsets goes; another such list in it is left out, and of
    /// an inner batch the base.
    pub fn text_before_offsets(&mut self, string: &[u8], is_inner: bool) -> Text {
        let left_out = [RECORD_CRC_NAME, MULTI_QUEUE_OFFSET_NAME, INNER_BASE_NAME];
        let Text { at, .. } = self.text_without(string, &left_out[..if is_inner { 3 } else { 2 }]);
        if self.texts[at..].last().is_some_and(|&last| last != END) {
            self.texts.push(END);
        }
        self.texts.extend_from_slice(MULTI_QUEUE_OFFSET_NAME);
        self.texts.push(SEPARATOR);
        Text { at, len: self.texts.len() - at }
    }

    pub fn properties<'a>(&'a self, text: Option<Text>, message: &BatchMessage<'a>) -> &'a [u8] {
        text.map_or(message.properties, |Text { at, len }| &self.texts[at..at + len])
    }

    /// What dispatch needs of a planned message; `checked` is its place in the whole put.
    pub fn dispatched<'a>(&'a self, checked: usize, planned: &Planned, message: &BatchMessage<'a>) -> Dispatched<'a> {
        let properties = self.properties(planned.text, message);
        match self.checked[checked].inner_messages {
            0 => self.checked[checked].places.of(properties),
            _ => properties::dispatched(properties), // INNER_BASE stands in front of what was checked
        }
    }

    /// The queues that a planned message goes to beside its own.
    pub fn beside(&self, planned: &Planned) -> &[QueueIndex] {
        &self.beside[planned.beside.clone()]
    }

    /// Plans a message for the log at `physical`, with the next offset of its queue. `size_of` tells the size of its
    /// record with a property string.
    pub fn plan(
        &mut self,
        checked: usize,
        message: &BatchMessage<'_>,
        physical: u64,
        queues: &mut QueueTable,
        batches: &mut BatchTable,
        size_of: impl Fn(&[u8]) -> u64,
    ) -> Planned {
        let Checked { text, size, takes_entry, is_light, inner_messages, .. } = self.checked[checked];
        let (place, queue_offset) = if batches.holds(message.topic) {
            let (place, messages) = (batches.find_or_add(message.topic, message.queue_id), inner_messages.max(1));
            (Place::Batch(place, messages), if takes_entry { batches.assign(place, messages) } else { 0 })
        } else {
            let place = queues.find_or_add(message.topic, message.queue_id);
            (Place::Simple(place), if takes_entry { queues.assign(place) } else { 0 })
        };
        let mut planned = Planned { text, size, physical, place, queue_offset, beside: 0..0 };
        if is_light && let Some(text) = text {
            planned.beside = self.assign_light_queues(checked, text, queues);
            let text = self.text_with_offsets(text, queues);
            planned.text = Some(text);
            planned.size = size_of(&self.texts[text.at..text.at + text.len]);
        }
        if inner_messages > 0
            && let Some(text) = planned.text
        {
            let text = self.text_with_base(text, queue_offset);
            planned.text = Some(text);
            planned.size = size_of(&self.texts[text.at..text.at + text.len]);
        }
        planned
    }

    /// The property string with INNER_BASE in front, where RocketMQ has it.
    fn text_with_base(&mut self, text: Text, base: u64) -> Text {
        let at = self.texts.len();
        self.texts.extend_from_slice(INNER_BASE_NAME);
        self.texts.push(SEPARATOR);
        light_queues::write_offsets([Some(base)].into_iter(), &mut self.texts);
        self.texts.push(END);
        self.texts.extend_from_within(text.at..text.at + text.len);
        Text { at, len: self.texts.len() - at }
    }

    /// Gives the message the next offset of every light queue that it names: one, also of a queue that it names twice.
    fn assign_light_queues(&mut self, checked: usize, text: Text, queues: &mut QueueTable) -> Range<usize> {
        let string = &self.texts[text.at..text.at + text.len];
        let names = self.checked[checked].places.of(string).multi_dispatch.unwrap_or_default();
        self.named.clear();
        self.named.extend(light_queues::items(names).map(|name| match name {
            _ if !is_light_queue(name) => Named::Other,
            _ => Named::Light(queues.find_or_add(name, LIGHT_QUEUE_ID)),
        }));
        let from = self.beside.len();
        self.beside.extend(self.named.iter().filter_map(|named| match named {
            Named::Light(place) => Some(*place),
            Named::Other => None,
        }));
        self.beside[from..].sort_unstable();
        let mut kept = from;
        for at in from..self.beside.len() {
            if at == from || self.beside[at] != self.beside[kept - 1] {
                self.beside[kept] = self.beside[at];
                kept += 1;
            }
        }
        self.beside.truncate(kept);
        for &place in &self.beside[from..] {
            queues.assign(place);
        }
        from..kept
    }

    /// The property string with the offsets that were assigned just now.
    fn text_with_offsets(&mut self, text: Text, queues: &QueueTable) -> Text {
        let at = self.texts.len();
        self.texts.extend_from_within(text.at..text.at + text.len);
        let offsets = self.named.iter().map(|named| match named {
            Named::Light(place) => Some(queues.last_assigned(*place)),
            Named::Other => None,
        });
        light_queues::write_offsets(offsets, &mut self.texts);
        self.texts.push(END);
        Text { at, len: self.texts.len() - at }
    }

    /// Takes back what a planned message was given.
    pub fn unplan(&self, checked: usize, planned: &Planned, queues: &mut QueueTable, batches: &mut BatchTable) {
        if self.checked[checked].takes_entry {
            match planned.place {
                Place::Simple(place) => queues.unassign(place),
                Place::Batch(place, messages) => batches.unassign(place, messages),
            }
        }
        for &place in &self.beside[planned.beside.clone()] {
            queues.unassign(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_messages_keeps_its_memory() {
        let mut run = Run::default();
        run.keep_messages(Vec::with_capacity(100));
        let list = run.take_messages();
        assert!(list.capacity() >= 100);
        let memory = list.as_ptr();
        run.keep_messages(list);
        assert!(core::ptr::eq(memory.cast::<u8>(), run.take_messages().as_ptr().cast()));
        run.keep_messages(Vec::with_capacity(10 * KEPT_MESSAGES));
        assert!(run.take_messages().capacity() <= 2 * KEPT_MESSAGES);
    }
}
