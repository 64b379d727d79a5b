//! A file: its pages and its length, as programs see them and as the platter has them.

use alloc::rc::Rc;
use alloc::vec::Vec;

/// What a disk cache writes back at once.
pub const PAGE_BYTES: usize = 4096;
/// What a disk writes whole or not at all.
pub const SECTOR_BYTES: usize = 512;

/// A page; copied when it is written while somebody else holds it.
pub type Page = Rc<[u8; PAGE_BYTES]>;

/// What a sync has to do with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// A sync that covers it has completed.
    Yes,
    /// Changed since.
    No,
    /// A sync that covered it has failed: no later one writes it, until it is changed again.
    Lost,
}

#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub current: Page,
    pub platter: Page,
    /// What it held for a while in between, and may have been written back then.
    pub between: Option<Page>,
    pub settled: Settled,
    /// Has room on the disk.
    pub allocated: bool,
}

/// Behind `len` every byte of a page is zero.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub slots: Vec<Slot>,
    pub len: u64,
    pub platter_len: u64,
    pub len_settled: Settled,
    /// When it last changed, in changes of the disk.
    pub modified: u64,
}

impl File {
    pub fn empty() -> Self {
        Self { slots: Vec::new(), len: 0, platter_len: 0, len_settled: Settled::Yes, modified: 0 }
    }

    /// A file that has been there for long.
    pub fn settled(pages: Vec<Page>, len: u64, modified: u64) -> Self {
        let slot = |page: Page| Slot { current: Rc::clone(&page), platter: page, between: None, settled: Settled::Yes, allocated: true };
        Self { slots: pages.into_iter().map(slot).collect(), len, platter_len: len, len_settled: Settled::Yes, modified }
    }

    /// Nothing about it is undecided.
    pub fn is_settled(&self) -> bool {
        self.len_settled == Settled::Yes && self.slots.iter().all(|slot| slot.settled == Settled::Yes)
    }

    pub fn set_len(&mut self, len: u64, zero: &Page) {
        if len > self.len {
            self.len = len;
            self.len_settled = Settled::No;
            let slot =
                || Slot { current: Rc::clone(zero), platter: Rc::clone(zero), between: None, settled: Settled::Yes, allocated: false };
            self.slots.resize_with((len as usize).div_ceil(PAGE_BYTES), slot);
        }
    }

    pub fn read(&self, at: u64, out: &mut [u8]) -> usize {
        let count = out.len().min(self.len.saturating_sub(at) as usize);
        for (page, within, part) in parts(at, count) {
            out[part.clone()].copy_from_slice(&self.slots[page].current[within..within + part.len()]);
        }
        count
    }

    /// Whether there are no bytes but zeros between two positions. `zero` is the page that untouched ones share.
    pub fn is_zero(&self, from: u64, to: u64, zero: &Page) -> bool {
        let len = to.min(self.len).saturating_sub(from) as usize;
        parts(from, len).all(|(page, within, part)| {
            let page = &self.slots[page].current;
            Rc::ptr_eq(page, zero) || page[within..within + part.len()] == zero[within..within + part.len()]
        })
    }

    /// Parts of pages between two positions that hold something else than zeros, or may hold it on the platter: position and length.
    pub fn not_surely_zero(&self, from: u64, to: u64, zero: &Page) -> Vec<(u64, usize)> {
        let len = to.min(self.len).saturating_sub(from) as usize;
        let is_doubtful = |(page, within, part): &(usize, usize, core::ops::Range<usize>)| {
            let slot = &self.slots[*page];
            slot.settled != Settled::Yes || slot.current[*within..*within + part.len()] != zero[*within..*within + part.len()]
        };
        parts(from, len).filter(is_doubtful).map(|(_, _, part)| (from + part.start as u64, part.len())).collect()
    }

    /// Writes bytes that lie within the file. `keeps_versions`: what stood there before may have been written back.
    pub fn write(&mut self, at: u64, bytes: &[u8], keeps_versions: bool) {
        for (page, within, part) in parts(at, bytes.len()) {
            self.page_for_writing(page, keeps_versions)[within..within + part.len()].copy_from_slice(&bytes[part]);
        }
    }

    /// A page that is about to be changed.
    pub fn page_for_writing(&mut self, page: usize, keeps_versions: bool) -> &mut [u8; PAGE_BYTES] {
        let slot = &mut self.slots[page];
        if slot.settled != Settled::Yes && keeps_versions {
            slot.between = Some(Rc::clone(&slot.current));
        }
        slot.settled = Settled::No;
        slot.allocated = true;
        Rc::make_mut(&mut slot.current)
    }

    /// The pages between two positions, and the length.
    pub fn sync(&mut self, from: u64, to: u64) {
        for slot in pages_between(&mut self.slots, from, to) {
            if slot.settled == Settled::No {
                slot.platter = Rc::clone(&slot.current);
                slot.between = None;
                slot.settled = Settled::Yes;
            }
        }
        if self.len_settled == Settled::No {
            (self.platter_len, self.len_settled) = (self.len, Settled::Yes);
        }
    }

    /// A sync that fails: the pages that it was to write count as clean from now on. The length does not: file systems
    /// journal it, and write it later or nothing any more.
    pub fn fail_sync(&mut self, from: u64, to: u64) {
        for slot in pages_between(&mut self.slots, from, to) {
            if slot.settled == Settled::No {
                slot.settled = Settled::Lost;
            }
        }
    }

    /// Whether bytes are the same whatever a power cut decides.
    pub fn is_durable(&self, from: u64, to: u64) -> bool {
        let same = |(page, within, part): (usize, usize, core::ops::Range<usize>)| {
            let slot = &self.slots[page];
            let range = within..within + part.len();
            slot.settled == Settled::Yes
                || (slot.current[range.clone()] == slot.platter[range.clone()]
                    && slot.between.as_ref().is_none_or(|between| between[range.clone()] == slot.current[range]))
        };
        to <= self.len.min(self.platter_len) && (from >= to || parts(from, (to - from) as usize).all(same))
    }
}

fn pages_between(slots: &mut [Slot], from: u64, to: u64) -> &mut [Slot] {
    let last = (to as usize).div_ceil(PAGE_BYTES).min(slots.len());
    let first = (from as usize / PAGE_BYTES).min(last);
    &mut slots[first..last]
}

/// Splits a range of a file at its pages: page, place in it, place in the range.
pub(super) fn parts(at: u64, len: usize) -> impl Iterator<Item = (usize, usize, core::ops::Range<usize>)> {
    let mut done = 0;
    core::iter::from_fn(move || {
        let position = at as usize + done;
        let count = (PAGE_BYTES - position % PAGE_BYTES).min(len - done);
        (count > 0).then(|| {
            done += count;
            (position / PAGE_BYTES, position % PAGE_BYTES, done - count..done)
        })
    })
}
