//! What a disk may hold after a crash.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::directory::{Directory, Entries, NodeId, find};
use super::faults::CallKind;
use super::file::{File, PAGE_BYTES, Page, SECTOR_BYTES, Settled, Slot, parts};
use super::random::SimRandom;
use super::state::{Node, ROOT, SimState};

/// The disk in front of a call that changes it.
#[derive(Clone, Debug)]
pub struct CrashPoint {
    pub state: SimState,
    /// The call.
    pub kind: CallKind,
    /// What it was to write: file, position, bytes.
    pub(super) written: Option<(NodeId, u64, usize)>,
}

/// What a page held at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Old,
    Between,
    New,
}

/// Where the bytes of a page come from: the sectors with a bit from one version, the others from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageChoice {
    pub base: Version,
    pub over: Version,
    pub sectors: u8,
}

/// Decides what a power cut leaves undecided.
pub trait Chooser {
    /// A page; whether it has a version in between.
    fn page(&mut self, has_between: bool) -> PageChoice;

    /// A length, from 0 to the greater of the two.
    fn length(&mut self, old: u64, new: u64) -> u64;

    /// Whether a directory has the new entry.
    fn entry(&mut self) -> bool;
}

impl SimState {
    /// The disk after a power cut: nothing about it is undecided any more.
    pub fn power_cut(&self, chooser: &mut impl Chooser) -> Self {
        let mut after = self.clone();
        after.boots += 1;
        after.settle(ROOT, chooser);
        after
    }

    /// Only what can be reached is decided: everything else is gone either way.
    fn settle(&mut self, node: NodeId, chooser: &mut impl Chooser) {
        match &*self.nodes[node] {
            Node::File(file) if !file.is_settled() => {
                let settled = settle_file(file, chooser, &self.zero);
                self.nodes[node] = Rc::new(Node::File(settled));
            }
            Node::File(_) => {}
            Node::Directory(directory) => {
                if directory.settled != Settled::Yes {
                    let settled = settle_directory(directory, chooser);
                    self.nodes[node] = Rc::new(Node::Directory(settled));
                }
                let Some(entries) = self.directory(node).map(|directory| Rc::clone(&directory.current)) else { return };
                entries.iter().for_each(|&(_, child)| self.settle(child, chooser));
            }
        }
    }
}

fn settle_directory(directory: &Directory, chooser: &mut impl Chooser) -> Directory {
    let undecided = directory.undecided();
    let mut is_new: Vec<bool> = undecided.iter().map(|_| chooser.entry()).collect();
    let place = |name: &Rc<str>| undecided.iter().position(|(known, _, _)| known == name);
    for (from, to) in &directory.renames {
        if let (Some(from), Some(to)) = (place(from), place(to))
            && !is_new[to]
        {
            is_new[from] = false;
        }
    }
    let mut entries: Entries =
        directory.current.iter().filter(|(name, node)| find(&directory.platter, name) == Some(*node)).cloned().collect();
    for ((name, old, new), &is_new) in undecided.iter().zip(&is_new) {
        entries.extend((if is_new { *new } else { *old }).map(|node| (Rc::clone(name), node)));
    }
    entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let changed = if is_new.contains(&true) { directory.changed } else { directory.platter_changed };
    Directory::settled(entries, changed)
}

fn settle_file(file: &File, chooser: &mut impl Chooser, zero: &Page) -> File {
    let len = match file.len_settled {
        Settled::Yes => file.len,
        _ => chooser.length(file.platter_len, file.len).min(file.len),
    };
    let mut pages = Vec::with_capacity((len as usize).div_ceil(PAGE_BYTES));
    for slot in file.slots.iter().take((len as usize).div_ceil(PAGE_BYTES)) {
        pages.push(match slot.settled {
            Settled::Yes => Rc::clone(&slot.current),
            _ if Rc::ptr_eq(&slot.current, &slot.platter) => Rc::clone(&slot.current),
            _ => settle_page(slot, chooser.page(slot.between.is_some())),
        });
    }
    if let (Some(last), cut @ 1..) = (pages.last_mut(), len as usize % PAGE_BYTES)
        && len < file.len
        && !Rc::ptr_eq(last, zero)
    {
        Rc::make_mut(last)[cut..].fill(0);
    }
    File::settled(pages, len, file.modified)
}

fn settle_page(slot: &Slot, choice: PageChoice) -> Page {
    let version = |version| match version {
        Version::Old => &slot.platter,
        Version::Between => slot.between.as_ref().unwrap_or(&slot.platter),
        Version::New => &slot.current,
    };
    let (base, over) = (version(choice.base), version(choice.over));
    match choice.sectors {
        0 => Rc::clone(base),
        u8::MAX => Rc::clone(over),
        sectors => {
            let mut page = **base;
            for sector in (0..PAGE_BYTES / SECTOR_BYTES).filter(|sector| sectors & (1 << sector) != 0) {
                let range = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
                page[range.clone()].copy_from_slice(&over[range]);
            }
            Rc::new(page)
        }
    }
}

impl CrashPoint {
    /// Bytes that the call was to write.
    pub fn written_bytes(&self) -> usize {
        self.written.map_or(0, |(_, _, len)| len)
    }

    /// The disk when the process is killed within the call: a part of the bytes is in the page cache, of each run of 8 bytes
    /// all or nothing. `after` is the disk behind the call; where that is not known the one before it, whose bytes stay.
    pub fn killed_within(&self, after: &SimState, mut is_written: impl FnMut(usize) -> bool) -> SimState {
        let mut killed = self.state.clone();
        let Some((node, at, len)) = self.written else { return killed };
        let (Some(_), Some(new)) = (killed.nodes.get(node), after.nodes.get(node).and_then(|_| after.file(node))) else {
            return killed;
        };
        killed.change_file(node, |file, zero| {
            file.set_len(new.len.min(at + len as u64), zero);
            for (page, within, part) in parts(at, len) {
                let Some(slot) = new.slots.get(page) else { break };
                let bytes = &slot.current[within..within + part.len()];
                for (run, start) in bytes.chunks(8).zip(part.step_by(8)) {
                    if is_written(start) {
                        file.write(at + start as u64, run, false);
                    }
                }
            }
        });
        killed
    }
}

/// Choices at random: of each disk most things are old, or new, or torn.
#[derive(Debug)]
pub struct RandomChoices {
    random: SimRandom,
    /// Of 8 things so many are new.
    new: u64,
    /// Of 8 pages so many are torn.
    torn: u64,
    /// Of 8 lengths so many are neither the old nor the new one.
    short: u64,
    /// Tells choices apart.
    signature: u64,
    undecided: u32,
}

impl RandomChoices {
    pub fn new(seed: u64) -> Self {
        let mut random = SimRandom::new(seed);
        let (new, torn) = (*random.pick(&[0, 1, 4, 4, 7, 8]), *random.pick(&[0, 0, 2, 8]));
        Self { random, new, torn, short: 0, signature: 0xCBF2_9CE4_8422_2325, undecided: 0 }
    }

    /// Lets files end anywhere between their old and their new length.
    pub fn with_short_files(self) -> Self {
        Self { short: 3, ..self }
    }

    /// The same for the same choices.
    pub fn signature(&self) -> u64 {
        self.signature
    }

    /// Things that were undecided.
    pub fn undecided(&self) -> u32 {
        self.undecided
    }

    fn note(&mut self, choice: u64) {
        self.undecided += 1;
        self.signature = (self.signature ^ (choice + 1)).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(17);
    }
}

impl Chooser for RandomChoices {
    fn page(&mut self, has_between: bool) -> PageChoice {
        let is_new = self.random.below(8) < self.new;
        let sectors = match self.random.below(8) < self.torn {
            true => self.random.next_u64() as u8,
            false if is_new => u8::MAX,
            false => 0,
        };
        let (base, over) = match self.random.below(4) {
            0 if has_between => (Version::Old, Version::Between),
            1 if has_between => (Version::Between, Version::New),
            _ => (Version::Old, Version::New),
        };
        self.note(u64::from(sectors) << 4 | (base as u64) << 2 | over as u64);
        PageChoice { base, over, sectors }
    }

    fn length(&mut self, old: u64, new: u64) -> u64 {
        let between = old.min(new) + self.random.below(old.abs_diff(new) + 1);
        let len = match self.random.below(8) < self.short {
            true if self.random.one_in(2) => between,
            true => (between - between % SECTOR_BYTES as u64).max(old.min(new)),
            false if self.random.below(8) < self.new => new,
            false => old,
        };
        self.note(len);
        len
    }

    fn entry(&mut self) -> bool {
        let is_new = self.random.below(8) < self.new;
        self.note(u64::from(is_new));
        is_new
    }
}

/// Every combination of old and new, one after the other; where more is undecided than can be gone through, the rest is new.
#[derive(Debug)]
pub struct AllChoices {
    taken: Vec<bool>,
    at: usize,
    most: usize,
    exceeded: bool,
}

impl AllChoices {
    /// The first combination of at most `most` things.
    pub fn new(most: usize) -> Self {
        Self { taken: Vec::new(), at: 0, most, exceeded: false }
    }

    /// One combination, such as [`AllChoices::taken`] told of it.
    pub fn combination(taken: Vec<bool>, most: usize) -> Self {
        Self { taken, at: 0, most, exceeded: false }
    }

    /// Goes on to the next combination, after one was used; false: there is none.
    pub fn advance(&mut self) -> bool {
        self.taken.truncate(self.at);
        self.at = 0;
        while self.taken.pop_if(|taken| *taken).is_some() {}
        match self.taken.last_mut() {
            Some(last) => {
                *last = true;
                true
            }
            None => false,
        }
    }

    /// The present combination, for a report.
    pub fn taken(&self) -> &[bool] {
        &self.taken
    }

    /// Whether more was undecided than is gone through.
    pub fn exceeded(&self) -> bool {
        self.exceeded
    }

    fn next(&mut self) -> bool {
        if self.at == self.most {
            self.exceeded = true;
            return true;
        }
        if self.at == self.taken.len() {
            self.taken.push(false);
        }
        self.at += 1;
        self.taken[self.at - 1]
    }
}

impl Chooser for AllChoices {
    fn page(&mut self, _has_between: bool) -> PageChoice {
        let sectors = if self.next() { u8::MAX } else { 0 };
        PageChoice { base: Version::Old, over: Version::New, sectors }
    }

    fn length(&mut self, old: u64, new: u64) -> u64 {
        if self.next() { new } else { old }
    }

    fn entry(&mut self) -> bool {
        self.next()
    }
}
