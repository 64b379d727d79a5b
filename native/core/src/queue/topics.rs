//! The topics of a table of queues: names to topics, ids to queues.

use alloc::string::String;
use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::format::hash::java_hash;

/// A topic, and the places of its queues in the table.
#[derive(Debug)]
pub struct Topic<P> {
    pub name: String,
    /// Java hash of `name#`: every index key of the topic starts with it.
    pub key_hash: i32,
    /// (queue id, place), by queue id.
    queues: Vec<(i32, P)>,
}

#[derive(Debug)]
pub(super) struct Topics<P> {
    topics: Vec<Topic<P>>,
    /// Places of the topics by the hash of their names, which stand in `topics` alone.
    by_name: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The last one that was put to: the next message often has it too, and a comparison is cheaper than a hash.
    last: usize,
}

impl<P> Default for Topics<P> {
    fn default() -> Self {
        Self { topics: Vec::new(), by_name: HashTable::new(), hasher: DefaultHashBuilder::default(), last: 0 }
    }
}

impl<P: Copy> Topics<P> {
    pub fn index(&self, name: &[u8]) -> Option<u32> {
        if self.topics.is_empty() {
            return None;
        }
        let same = |&index: &u32| self.topics[index as usize].name.as_bytes() == name;
        self.by_name.find(self.hasher.hash_one(name), same).copied()
    }

    /// The topic, made if there is none. `name` is valid UTF-8 (lossy otherwise).
    pub fn index_or_add(&mut self, name: &[u8]) -> u32 {
        if self.topics.get(self.last).is_some_and(|last| last.name.as_bytes() == name) {
            return self.last as u32;
        }
        if let Some(index) = self.index(name) {
            self.last = index as usize;
            return index;
        }
        let index = self.topics.len() as u32;
        let key_hash = java_hash(java_hash(0, name), b"#");
        let text = String::from_utf8_lossy(name).into_owned();
        self.topics.push(Topic { name: text, key_hash, queues: Vec::new() });
        let Self { topics, by_name, hasher, .. } = self;
        by_name.insert_unique(hasher.hash_one(name), index, |&other| hasher.hash_one(topics[other as usize].name.as_bytes()));
        index
    }

    pub fn get(&self, index: u32) -> &Topic<P> {
        &self.topics[index as usize]
    }

    pub fn named(&self, name: &[u8]) -> Option<&Topic<P>> {
        self.index(name).map(|index| self.get(index))
    }

    /// The queue of a topic; `new` is its place if there is none.
    pub fn queue_or_add(&mut self, index: u32, id: i32, new: P) -> Result<P, P> {
        let known = &mut self.topics[index as usize].queues;
        match known.binary_search_by_key(&id, |&(known, _)| known) {
            Ok(at) => Ok(known[at].1),
            Err(at) => {
                known.insert(at, (id, new));
                Err(new)
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Topic<P>> {
        self.topics.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }
}

impl<P: Copy> Topic<P> {
    pub fn place(&self, id: i32) -> Option<P> {
        let at = self.queues.binary_search_by_key(&id, |&(known, _)| known).ok()?;
        Some(self.queues[at].1)
    }

    /// Queue ids in ascending order.
    pub fn queue_ids(&self) -> impl Iterator<Item = i32> {
        self.queues.iter().map(|&(id, _)| id)
    }

    pub fn places(&self) -> impl Iterator<Item = P> {
        self.queues.iter().map(|&(_, place)| place)
    }
}
