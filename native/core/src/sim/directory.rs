//! A directory: its entries, as programs see them and as the platter has them.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::file::Settled;

/// Number of a file or directory.
pub(super) type NodeId = usize;

/// Names in order, and what they lead to.
pub(super) type Entries = Vec<(Rc<str>, NodeId)>;

#[derive(Clone, Debug)]
pub(super) struct Directory {
    pub current: Rc<Entries>,
    pub platter: Rc<Entries>,
    pub settled: Settled,
    /// When an entry last changed, in changes of the disk.
    pub changed: u64,
    pub platter_changed: u64,
    /// From and to which names entries were moved: the old one is not gone before the new one is there.
    pub renames: Vec<(Rc<str>, Rc<str>)>,
}

impl Directory {
    pub fn empty() -> Self {
        let none = Rc::new(Vec::new());
        Self { current: Rc::clone(&none), platter: none, settled: Settled::Yes, changed: 0, platter_changed: 0, renames: Vec::new() }
    }

    /// A directory that has been there for long.
    pub fn settled(entries: Entries, changed: u64) -> Self {
        let current = Rc::new(entries);
        Self { platter: Rc::clone(&current), current, changed, platter_changed: changed, ..Self::empty() }
    }

    pub fn get(&self, name: &str) -> Option<NodeId> {
        find(&self.current, name)
    }

    pub fn set(&mut self, name: &str, node: NodeId, changes: u64) {
        let entries = Rc::make_mut(&mut self.current);
        match entries.binary_search_by(|(known, _)| (**known).cmp(name)) {
            Ok(at) => entries[at].1 = node,
            Err(at) => entries.insert(at, (Rc::from(name), node)),
        }
        (self.settled, self.changed) = (Settled::No, changes);
    }

    pub fn remove(&mut self, name: &str, changes: u64) {
        Rc::make_mut(&mut self.current).retain(|(known, _)| **known != *name);
        (self.settled, self.changed) = (Settled::No, changes);
    }

    pub fn sync(&mut self) {
        if self.settled == Settled::No {
            self.platter = Rc::clone(&self.current);
            self.platter_changed = self.changed;
            self.renames.clear();
            self.settled = Settled::Yes;
        }
    }

    /// Whether an entry, or that there is none, is the same whatever a power cut decides.
    pub fn is_durable(&self, name: &str) -> bool {
        find(&self.current, name) == find(&self.platter, name)
    }

    /// Names whose entries differ, in order: name, old, new.
    pub fn undecided(&self) -> Vec<(Rc<str>, Option<NodeId>, Option<NodeId>)> {
        let (mut old, mut new) = (self.platter.iter().peekable(), self.current.iter().peekable());
        let mut found = Vec::new();
        loop {
            let name = match (old.peek(), new.peek()) {
                (None, None) => return found,
                (Some((a, _)), Some((b, _))) => Rc::clone(a.min(b)),
                (Some((a, _)), None) | (None, Some((a, _))) => Rc::clone(a),
            };
            let was = old.next_if(|(known, _)| *known == name).map(|&(_, node)| node);
            let is = new.next_if(|(known, _)| *known == name).map(|&(_, node)| node);
            if was != is {
                found.push((name, was, is));
            }
        }
    }
}

pub(super) fn find(entries: &Entries, name: &str) -> Option<NodeId> {
    // They are few, and most differ in length.
    entries.iter().find(|(known, _)| **known == *name).map(|&(_, node)| node)
}
