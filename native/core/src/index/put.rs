//! Entering keys: the run of index files, and the roll from a full one to the next.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::active::ActiveFile;
use super::files::SealedFile;
use crate::format::index_file::{Geometry, Header, file_name, parse_file_name};
use crate::format::watermark::IndexMark;
use crate::storage::Clock;
use crate::writes::Writes;

/// All index files: sealed ones, full ones that still have to be written, and the one that takes entries.
#[derive(Debug)]
pub struct Index {
    geometry: Geometry,
    pub sealed: Vec<SealedFile>,
    /// Full, oldest first; entries, slots and header go to disk, then they are sealed.
    pub full: VecDeque<ActiveFile>,
    pub active: Option<ActiveFile>,
    /// What the run at hand brings, entered together by [`Index::enter`].
    run: Vec<Step>,
}

/// A step of a run.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A message begins: where the file is full, with the next one.
    Message,
    /// A key that is to be entered.
    Key { hash: u32, physical: u64, store_timestamp: i64 },
}

/// What a plan wrote of the index.
#[derive(Debug)]
pub enum IndexProgress {
    /// Entries of the file at this place, counted from the oldest that is not sealed, below this number.
    Entries(usize, u32),
    /// Entries of the oldest full file, and slots of its pages below this one.
    Slots(usize),
    /// The last slots, and the header, of the oldest full file: it is to be synced and sealed.
    Sealed,
}

impl Index {
    /// An index over `sealed` files; the newest one with room may be given as `active`. New files get `geometry`.
    pub fn new(geometry: Geometry, sealed: Vec<SealedFile>, active: Option<ActiveFile>) -> Self {
        Self { geometry, sealed, full: VecDeque::new(), active, run: Vec::new() }
    }

    /// Header of the newest file.
    pub fn newest(&self) -> Option<&Header> {
        let active = self.active.as_ref().map(|file| &file.header);
        active.or_else(|| self.full.back().map(|file| &file.header)).or_else(|| self.sealed.last().map(|file| &file.header))
    }

    /// Geometry of the newest file.
    pub fn newest_geometry(&self) -> Option<Geometry> {
        let active = self.active.as_ref().map(|file| file.geometry);
        active.or_else(|| self.full.back().map(|file| file.geometry)).or_else(|| self.sealed.last().map(|file| file.geometry))
    }

    /// Names of all files.
    pub fn names(&self) -> BTreeSet<String> {
        let written = self.full.iter().chain(&self.active).map(|file| &file.name);
        self.sealed.iter().map(|file| &file.name).chain(written).cloned().collect()
    }

    /// Whether one has this name.
    pub fn has(&self, name: &str) -> bool {
        self.active.iter().chain(&self.full).any(|file| file.name == name) || self.sealed.iter().any(|file| file.name == name)
    }

    /// Whether a message is known by its newer ones: everything below the newest file's end was entered (§4.3).
    pub fn knows(&self, physical: u64) -> bool {
        self.newest().is_some_and(|header| (physical as i64) < header.end_physical)
    }

    /// A message comes: makes the first file, and the next one where the last is full, even for one without keys (§4.3).
    pub fn begin(&mut self, clock: &impl Clock) {
        match &self.active {
            None => self.roll(clock),
            Some(active) if active.header.count as usize + self.run.len() >= active.geometry.entries as usize => {
                // The run may fill the file before its turn comes.
                self.run.push(Step::Message);
            }
            Some(_) => {}
        }
    }

    /// Adds one key of a message to the run; [`Index::enter`] follows.
    pub fn put(&mut self, hash: u32, physical: u64, store_timestamp: i64) {
        self.run.push(Step::Key { hash, physical, store_timestamp });
    }

    /// Enters the keys of the run. Together, because each touches another cache line of the slots: the processor waits
    /// for many of them at once in a loop as tight as this.
    pub fn enter(&mut self, clock: &impl Clock) {
        let mut run = core::mem::take(&mut self.run);
        for step in run.drain(..) {
            if self.active.as_ref().is_none_or(ActiveFile::is_full) {
                self.roll(clock);
            }
            if let (Step::Key { hash, physical, store_timestamp }, Some(active)) = (step, self.active.as_mut()) {
                active.put(hash, physical, store_timestamp);
            }
        }
        self.run = run;
    }

    fn roll(&mut self, clock: &impl Clock) {
        let now = clock.now_ms();
        let local = now.saturating_add(clock.zone_offset_ms(now));
        let newest_name = match (&self.active, self.full.back(), self.sealed.last()) {
            (Some(file), _, _) => Some(&file.name),
            (None, Some(file), _) => Some(&file.name),
            (None, None, Some(file)) => Some(&file.name),
            (None, None, None) => None,
        };
        let after = newest_name.and_then(|name| parse_file_name(name)).map_or(i64::MIN, |last| last.saturating_add(1));
        let next = ActiveFile::new(file_name(local.max(after)), self.geometry, self.newest());
        self.full.extend(self.active.replace(next));
    }

    /// Forgets the files whose entries all lead below `minimum`, the newest file apart; returns their names.
    pub fn drop_below(&mut self, minimum: u64) -> Vec<String> {
        let others = usize::from(self.full.is_empty() && self.active.is_none());
        let is_below = |file: &&SealedFile| u64::try_from(file.header.end_physical).is_ok_and(|end| end < minimum);
        let below = self.sealed.iter().take(self.sealed.len().saturating_sub(others)).take_while(is_below).count();
        self.sealed.drain(..below).map(|file| file.name).collect()
    }

    /// The file that takes entries, as it is now.
    pub fn mark(&self) -> Option<IndexMark> {
        let active = self.active.as_ref()?;
        let before = self.full.back().map(|file| &file.name).or_else(|| self.sealed.last().map(|file| &file.name));
        let before = before.map_or(Some(0), |name| parse_file_name(name))?;
        Some(IndexMark { name: parse_file_name(&active.name)?, before, header: active.header })
    }

    /// Whether all that the index held when `mark` was taken is in its files, and full ones are sealed.
    pub fn holds(&self, mark: &IndexMark) -> bool {
        let name = |file: &ActiveFile| parse_file_name(&file.name).unwrap_or(i64::MAX);
        self.full.iter().chain(&self.active).all(|file| match name(file).cmp(&mark.name) {
            Ordering::Less => false,
            Ordering::Equal => file.written_entries() >= mark.header.count,
            Ordering::Greater => true,
        })
    }

    /// Entries in no file yet.
    pub fn waiting_entries(&self) -> usize {
        self.full.iter().chain(&self.active).map(ActiveFile::waiting).sum()
    }

    /// Plans the next writes: entries, oldest first, and of a full file everything else with its last entries, once all
    /// that it leads to lies below `durable`: a sealed file counts after a crash, and says what is indexed.
    pub fn plan(&self, limit: usize, durable: u64, writes: &mut Writes) -> Option<IndexProgress> {
        let is_durable = |file: &&ActiveFile| u64::try_from(file.header.end_physical).is_ok_and(|end| end < durable);
        let before = self.sealed.last().map(|file| &file.header);
        let mut unsealed = self.full.iter().chain(&self.active).enumerate();
        if let Some(file) = self.full.front().filter(is_durable) {
            file.plan_beginning(before, writes);
            let upto = file.plan_entries(limit, writes);
            if upto < file.header.count {
                return Some(IndexProgress::Entries(0, upto));
            }
            let upto = file.plan_slots(writes);
            if upto < file.pages() {
                return Some(IndexProgress::Slots(upto));
            }
            // Only behind the header that they tell of: a kill in between has what it counts entered again, not left out.
            let later = unsealed.skip(1).filter(|(_, later)| later.is_on_disk());
            later.for_each(|(_, later)| later.plan_beginning(Some(&file.header), writes));
            return Some(IndexProgress::Sealed);
        }
        let (place, file) = unsealed.find(|(_, file)| file.waiting() > 0)?;
        file.plan_beginning(before, writes);
        Some(IndexProgress::Entries(place, file.plan_entries(limit, writes)))
    }

    /// Takes note that a plan was carried out; returns the header of a file that is sealed now.
    pub fn wrote(&mut self, progress: &IndexProgress) -> Option<Header> {
        let before = self.sealed.last().map(|file| file.header);
        match progress {
            IndexProgress::Entries(place, upto) => {
                // A roll in between moves the active file to where its place was counted.
                if let Some(file) = self.full.iter_mut().chain(&mut self.active).nth(*place) {
                    file.wrote_beginning(before.as_ref());
                    file.wrote_entries(*upto);
                }
                None
            }
            IndexProgress::Slots(upto) => {
                if let Some(file) = self.full.front_mut() {
                    file.wrote_beginning(before.as_ref());
                    file.wrote_slots(*upto);
                }
                None
            }
            IndexProgress::Sealed => {
                let file = self.full.pop_front()?;
                let header = file.header;
                self.sealed.push(SealedFile { name: file.name, geometry: file.geometry, header });
                let later = self.full.iter_mut().chain(&mut self.active).filter(|later| later.is_on_disk());
                later.for_each(|later| later.wrote_beginning(Some(&header)));
                Some(header)
            }
        }
    }
}
