//! Looking into a store. Under the lock only what is in memory is looked at; what has to come from the disk is brought
//! without it, and the look taken again. So nobody who puts waits for a disk that somebody else reads.

use moraine_core::engine::lookup::{Lookup, Wanted};
use moraine_core::engine::{Appended, GetRequest, Reader, Resolved, ScanItem, Scanner};
use moraine_core::error::{Code, Error, IoError, IoKind};
use moraine_core::index::lookup::Search;
use moraine_core::limits::INDEX_ENTRY_BYTES;
use moraine_core::log::view::LogView;
use moraine_core::storage::{ReadMode, Storage};

use crate::clock::HostClock;
use crate::files::HostStorage;
use crate::segment::HostSegment;
use crate::shared::{Core, Shared, closed};

/// What [`Shared::get`] says beside the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GetHead {
    /// [`moraine_core::engine::GetStatus`] by number.
    pub status: u8,
    pub next: u64,
    pub min: u64,
    pub max: u64,
    pub bytes_behind: u64,
    pub messages: usize,
    pub bytes: usize,
    /// Bytes that the first message needs where the buffer has less: then nothing was copied.
    pub needed: usize,
}

/// What is read of a file at once where a part of it is needed: an index page, or the entries of a thousand messages.
const BROUGHT_BYTES: u64 = 64 * 1024;

/// Entries that are left to be read without the lock have no more bytes.
const LEFT_BYTES: usize = 1024;

/// Looks that find other bytes missing each time, before one is taken that waits for the disk under the lock: memory is so
/// short then that what was brought is gone at once.
const MOST_LOOKS: usize = 10_000;

type Look<'a> = Reader<'a, HostStorage, HostClock>;

impl Shared {
    /// Looks at the engine under its lock, as often as something it needs has to come from the disk first.
    pub fn read<R>(&self, look: impl FnMut(Look<'_>) -> Result<R, Error>) -> Result<R, Error> {
        self.core.read(look)
    }

    /// Copies messages of a queue into `out`, back to back, and their queue offsets into `queue_offsets`.
    pub fn get(&self, request: GetRequest<'_>, out: &mut [u8], queue_offsets: &mut [f64], head: &mut GetHead) -> Result<(), Error> {
        self.core.with_resolved(|resolved| {
            self.core.read(|reader| reader.resolve_leaving(&request, resolved))?;
            if resolved.left().is_some() && !self.core.take_left(resolved)? {
                self.core.read(|reader| reader.resolve(&request, resolved))?;
            }
            resolved.read_by(ReadMode::Usual);
            *head = copy(resolved, out, queue_offsets)?;
            Ok(())
        })
    }

    /// As [`Shared::get`], where everything it needs is in memory; false, and nothing is to be looked at, where it is not.
    pub fn get_in_memory(
        &self,
        request: GetRequest<'_>,
        out: &mut [u8],
        queue_offsets: &mut [f64],
        head: &mut GetHead,
    ) -> Result<bool, Error> {
        let answer = self.core.with_resolved(|resolved| {
            self.core.look(|reader| reader.resolve(&request, resolved))?;
            *head = copy(resolved, out, queue_offsets)?;
            Ok(())
        });
        Ok(in_memory(answer)?.is_some())
    }

    /// The record at a physical offset into `into` (replaced); `None` where none starts.
    pub fn at(&self, physical: u64, into: &mut Vec<u8>) -> Result<Option<usize>, Error> {
        let log = self.read(|reader| Ok(reader.log()))?;
        log.by(ReadMode::Usual).record_at(physical, into)
    }

    /// As [`Shared::at`], where it is in memory; `None` outside, and nothing is to be looked at, where it is not.
    pub fn at_in_memory(&self, physical: u64, into: &mut Vec<u8>) -> Result<Option<Option<usize>>, Error> {
        let log = self.read(|reader| Ok(reader.log()))?;
        in_memory(log.by(ReadMode::InMemory).record_at(physical, into))
    }

    /// The messages with each of the keys asked for (`moraine_core::engine::lookup`) that were stored in `begin..=end` (ms),
    /// newest first, `max` of each at most: raw records back to back in `into` (replaced), and in `counts` how many each key
    /// has. Returns their number.
    pub fn lookup(&self, asked: &[u8], begin: i64, end: i64, max: usize, counts: &mut [f64], into: &mut Vec<u8>) -> Result<usize, Error> {
        into.clear();
        let mut lookup = self.core.lookups().pop().unwrap_or_default();
        let outcome = self.core.look_up(&mut lookup, asked, (begin, end), max, into);
        let found = lookup.counts();
        if outcome.is_ok() {
            counts.iter_mut().zip(found).for_each(|(count, &found)| *count = found);
        }
        let total = found.iter().sum::<f64>() as usize;
        lookup.let_go();
        self.core.lookups().push(lookup);
        outcome.map(|()| total)
    }

    /// What stands in the log from `from` on, below `to`: up to `max_items`, the messages' records back to back in
    /// `into`, both replaced. Ends after the message that reaches `max_bytes`. Returns where to go on; no items: the end.
    pub fn scan(
        &self,
        from: u64,
        to: u64,
        max_items: usize,
        max_bytes: usize,
        into: &mut Vec<u8>,
        items: &mut Vec<ScanItem>,
    ) -> Result<u64, Error> {
        into.clear();
        items.clear();
        let log = self.read(|reader| Ok(reader.log()))?;
        let mut scanner = Scanner::new(log.by(ReadMode::Usual), from, to);
        while items.len() < max_items.max(1) {
            let Some(item) = scanner.next_item()? else { break };
            if matches!(item, ScanItem::Message { .. }) {
                into.extend_from_slice(scanner.message());
            }
            items.push(item);
            if into.len() >= max_bytes {
                break;
            }
        }
        Ok(scanner.position())
    }

    /// The messages whose records start in `from..to`, as columns without bodies: see `Appended::read`. Returns where to go on.
    pub fn appended(&self, from: u64, to: u64, max: usize, into: &mut Appended) -> Result<u64, Error> {
        let (log, delay_levels) = self.read(|reader| Ok((reader.log(), reader.options().delay_levels.clone())))?;
        into.read(&log.by(ReadMode::Usual), &delay_levels, from, to, max)
    }
}

impl Core {
    /// One look at what is in memory.
    pub(crate) fn look<R>(&self, look: impl FnOnce(Look<'_>) -> Result<R, Error>) -> Result<R, Error> {
        let guard = self.lock()?;
        look(guard.as_ref().ok_or_else(closed)?.reader_in_memory())
    }

    /// As many looks as it takes.
    pub(crate) fn read<R>(&self, mut look: impl FnMut(Look<'_>) -> Result<R, Error>) -> Result<R, Error> {
        let mut no_file = None;
        for _ in 0..MOST_LOOKS {
            let outcome = self.look(&mut look);
            let Some((path, at, bytes)) = outcome.as_ref().err().and_then(Error::missed) else { return outcome };
            match self.bring(path, at, bytes) {
                // It was removed meanwhile, and the next look finds that nothing leads to it; or it is a hole, which only a
                // look at the directory shows.
                Err(gone) if gone.kind == IoKind::NotFound && no_file.as_deref() != Some(path) => no_file = Some(path.to_owned()),
                Err(gone) if gone.kind == IoKind::NotFound => break,
                brought => brought?,
            }
        }
        let guard = self.lock()?;
        look(guard.as_ref().ok_or_else(closed)?.reader())
    }

    /// Brings a part of a file into memory.
    fn bring(&self, path: &str, at: u64, bytes: usize) -> Result<(), IoError> {
        let from = at - at % BROUGHT_BYTES;
        let to = at.saturating_add(bytes as u64).next_multiple_of(BROUGHT_BYTES);
        let mut piece = vec![0; BROUGHT_BYTES as usize];
        let mut at = from;
        while at < to && self.storage.read_at(path, at, &mut piece)? == piece.len() {
            at += BROUGHT_BYTES;
        }
        Ok(())
    }

    /// Reads the entries that were left, without the lock: a file that is mapped costs no call. False where they do not make the
    /// answer.
    fn take_left(&self, resolved: &mut Resolved<HostSegment>) -> Result<bool, Error> {
        let mut raw = [0; LEFT_BYTES];
        let Some((path, at, bytes)) = resolved.left() else { return Ok(false) };
        let Some(raw) = raw.get_mut(..bytes) else { return Ok(false) };
        // What keeps it from being read, the look under the lock says, or it finds that it is not needed any more.
        let is_read = self.storage.read_few(path, at, raw).is_ok_and(|read| read == bytes);
        Ok(is_read && self.look(|reader| Ok(reader.leads_on(resolved)))? && resolved.take_left(raw))
    }

    fn look_up(
        &self,
        lookup: &mut Lookup<HostSegment>,
        asked: &[u8],
        (begin, end): (i64, i64),
        max: usize,
        into: &mut Vec<u8>,
    ) -> Result<(), Error> {
        drop(self.lock()?);
        lookup.begin(asked, begin, end, max)?;
        lookup.go_on(|wanted, search| self.search(wanted, search), into, usize::MAX)?;
        Ok(())
    }

    /// Searches the index; its entries in files are read without the lock, as [`Core::take_left`] reads those of queues.
    fn search(&self, wanted: &Wanted<'_>, search: &mut Search) -> Result<LogView<HostSegment>, Error> {
        let (mut cuts, mut may_leave) = (None, true);
        loop {
            let log = self.read(|reader| {
                if cuts.replace(reader.cuts()).is_some_and(|before| before != reader.cuts()) {
                    search.clear();
                }
                match may_leave {
                    true => reader.lookup_leaving(wanted.topic, wanted.key, search),
                    false => reader.lookup_on(wanted.topic, wanted.key, search),
                }
            })?;
            if search.left().is_none() {
                return Ok(log);
            }
            while may_leave && let Some((path, at)) = search.left() {
                let mut raw = [0; INDEX_ENTRY_BYTES as usize];
                match self.storage.read_few(path, at, &mut raw) {
                    Ok(read) if read == raw.len() => search.give(&raw),
                    // The rest is looked at under the lock.
                    _ => may_leave = false,
                }
            }
        }
    }

    /// Lends memory for an answer, which is kept for the next.
    pub(crate) fn with_resolved<R>(&self, answer: impl FnOnce(&mut Resolved<HostSegment>) -> R) -> R {
        let mut resolved = self.resolved().pop().unwrap_or_default();
        let answered = answer(&mut resolved);
        self.resolved().push(resolved);
        answered
    }
}

/// `None` where it would have taken a disk.
fn in_memory<R>(outcome: Result<R, Error>) -> Result<Option<R>, Error> {
    match outcome {
        Err(error) if error.code == Code::Cold => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// Copies what was resolved.
pub(crate) fn copy(resolved: &mut Resolved<HostSegment>, out: &mut [u8], queue_offsets: &mut [f64]) -> Result<GetHead, Error> {
    let copied = resolved.copy(out, queue_offsets)?;
    Ok(GetHead {
        status: resolved.status as u8,
        next: copied.next,
        min: resolved.min,
        max: resolved.max,
        bytes_behind: resolved.bytes_behind,
        messages: copied.messages,
        bytes: copied.bytes,
        needed: copied.needed,
    })
}
