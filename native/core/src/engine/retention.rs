//! Which files of the log may go: by age, by bytes, by room on the disk, and never what somebody holds.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use super::{Engine, Writer};
use crate::error::{Error, Finding};
use crate::format::record::{Head, head};
use crate::limits::MAX_SAFE_INTEGER;
use crate::log;
use crate::log::segments::{Placed, path};
use crate::log::view::LogView;
use crate::storage::{Clock, Segment, Storage};

/// Files of the log that one run removes at most, as many as RocketMQ: a clock that is wrong does not empty a store at once.
pub const MAX_FILES_PER_RUN: usize = 10;

/// A clock that is so far ahead of the time that has passed since the last run has jumped.
const MAX_CLOCK_STEP_MS: i64 = 600_000;
/// After a jump was reported nothing goes by age for this long, so that somebody can read it.
const PAUSE_MS: u64 = 3_600_000;
const HOUR_MS: i64 = 3_600_000;

/// Why files are to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A look at the store's own rules, so many ms after the last one by a clock that nobody sets.
    Due { elapsed_ms: u64 },
    /// Somebody asked: for messages stored before a time (ms), for the newest so many bytes to be left. Neither: by the store's
    /// own rules, whatever the hour.
    Asked { before: Option<i64>, max_bytes: Option<u64> },
}

/// What retention remembers while the store is open.
#[derive(Debug, Default)]
pub(super) struct Retention {
    /// Offsets from which on the log is held, by the number of the hold.
    holds: BTreeMap<u32, u64>,
    last_hold: u32,
    /// When the last look was, by the store's clock.
    looked: Option<i64>,
    /// Age does not count for so long.
    pause_ms: u64,
}

/// What a run may take, decided on without the lock: see [`Rules::choose`].
pub(super) struct Rules<G> {
    view: LogView<G>,
    /// Physical offset from which on everything stays.
    bound: u64,
    /// Files whose newest message, and whose last change, are older than this go.
    before: Option<i64>,
    max_bytes: Option<u64>,
    disk_ratio: Option<f64>,
    /// What is to be told if age takes something.
    suspicion: Option<String>,
}

/// What a run takes: everything below `minimum`.
pub(super) struct Choice {
    pub(super) minimum: u64,
    pub(super) files: usize,
    /// The rules name more files than one run may take.
    pub(super) more: bool,
    /// What is to be told of the clock.
    pub(super) suspicion: Option<String>,
}

impl Retention {
    /// Lowest offset that is held.
    pub(super) fn held_from(&self) -> u64 {
        self.holds.values().copied().min().unwrap_or(u64::MAX)
    }

    /// How far the clock has jumped ahead since the last look, if it has.
    fn jump(&mut self, now: i64, elapsed_ms: u64) -> Option<i64> {
        self.pause_ms = self.pause_ms.saturating_sub(elapsed_ms);
        let passed = i64::try_from(elapsed_ms).unwrap_or(i64::MAX);
        let ahead = self.looked.replace(now).map(|last| now.saturating_sub(last).saturating_sub(passed));
        ahead.filter(|&ahead| ahead > MAX_CLOCK_STEP_MS)
    }
}

impl<S: Storage, C: Clock> Writer<'_, S, C> {
    /// Holds the log from a physical offset on: nothing at or above it is removed before [`Writer::release`]. What lies below
    /// the log's minimum is gone already, and is not held.
    pub fn retain(&mut self, from: u64) -> u32 {
        let retention = &mut self.0.retention;
        retention.last_hold = retention.last_hold.wrapping_add(1);
        retention.holds.insert(retention.last_hold, from.min(MAX_SAFE_INTEGER));
        retention.last_hold
    }

    pub(super) fn rules(&mut self, wish: Wish) -> Result<Rules<S::Segment>, Error> {
        let engine = &mut *self.0;
        let now = engine.clock.now_ms();
        let policy = engine.options.retention.unwrap_or_default();
        let (mut before, mut max_bytes, mut disk_ratio) = (None, policy.max_bytes, policy.disk_ratio);
        let mut suspicion = None;
        // The oldest moment that is young enough still.
        let aged = policy.max_age_ms.map(|age| now.saturating_sub(i64::try_from(age).unwrap_or(i64::MAX)).saturating_add(1));
        match wish {
            Wish::Due { elapsed_ms } => {
                let jump = engine.retention.jump(now, elapsed_ms);
                let local = now.saturating_add(engine.clock.zone_offset_ms(now));
                let hour = local.div_euclid(HOUR_MS).rem_euclid(24);
                if policy.delete_hour.is_none_or(|wanted| i64::from(wanted) == hour) && engine.retention.pause_ms == 0 {
                    before = aged;
                }
                suspicion = match jump {
                    Some(ahead) => Some(format!("the clock has jumped ahead by {ahead} ms")),
                    None => before.filter(|&before| engine.last_store_timestamp < before).map(|_| {
                        let behind = now.saturating_sub(engine.last_store_timestamp);
                        format!("the clock is {behind} ms ahead of the newest message: by age the whole log would go")
                    }),
                };
            }
            Wish::Asked { before: None, max_bytes: None } if engine.options.retention.is_none() => {
                let reason = "nothing says what may go: give before or maxBytes, or open the store with the option retention";
                return Err(Error::argument("options", reason));
            }
            Wish::Asked { before: None, max_bytes: None } => before = aged,
            Wish::Asked { before: asked, max_bytes: most } => (before, max_bytes, disk_ratio) = (asked, most, None),
        }
        let bound = engine.retention.held_from().min(engine.visible());
        Ok(Rules { view: engine.log.view(engine.log.end()), bound, before, max_bytes, disk_ratio, suspicion })
    }
}

impl<S: Storage, C: Clock> Engine<S, C> {
    /// Gives a hold up. Not an error for one that was given up already, nor in a store that is poisoned.
    pub fn release(&mut self, hold: u32) {
        self.retention.holds.remove(&hold);
    }

    /// A look at what may go has failed: the last failure stands among the findings.
    pub fn report_retention(&mut self, error: &Error) {
        const KIND: &str = "retention";
        self.findings.retain(|finding| finding.kind != KIND);
        let message = format!("files that may go could not be removed: {error}; it is tried again");
        self.findings.push(Finding { kind: KIND, file: String::from(log::DIRECTORY), offset: 0, length: 0, message });
    }

    /// Something went by age although the clock may be wrong: reported, and age has to wait.
    pub(super) fn report_clock(&mut self, reason: &str, files: usize) {
        self.retention.pause_ms = PAUSE_MS;
        self.findings.push(Finding {
            kind: "clock",
            file: String::from(log::DIRECTORY),
            offset: self.log.segments().min(),
            length: 0,
            message: format!(
                "{reason}; {files} files of the log were removed, and none goes by age in the next {} minutes: is the clock right?",
                PAUSE_MS / 60_000
            ),
        });
    }
}

impl<G: Segment> Rules<G> {
    /// Whole files from the oldest on, as long as a rule names them: never the last one, nor one that is held, and
    /// [`MAX_FILES_PER_RUN`] at most. Reads the heads of records in files that may be old.
    pub(super) fn choose<S: Storage<Segment = G>>(mut self, storage: &S) -> Result<Choice, Error> {
        let segments = self.view.segments();
        let mut choice = Choice { minimum: segments.min(), files: 0, more: false, suspicion: None };
        let for_room = self.files_for_room(storage)?;
        let mut by_age = false;
        let mut rest = segments.iter().peekable();
        while let Some(placed) = rest.next()
            && let Some(next) = rest.peek()
        {
            if placed.base + placed.segment.size() > self.bound {
                break;
            }
            let for_bytes = self.max_bytes.is_some_and(|most| self.view.end().saturating_sub(placed.base) > most);
            if !for_bytes && choice.files as u64 >= for_room {
                if !self.is_old(storage, placed, next)? {
                    break;
                }
                by_age = true;
            }
            if choice.files == MAX_FILES_PER_RUN {
                choice.more = true;
                break;
            }
            choice.files += 1;
            choice.minimum = next.base;
        }
        choice.suspicion = self.suspicion.take().filter(|_| by_age && choice.files > 0);
        Ok(choice)
    }

    /// Files to be removed until the disk is used no more than it should be.
    fn files_for_room<S: Storage<Segment = G>>(&self, storage: &S) -> Result<u64, Error> {
        let (Some(ratio), Some(space)) = (self.disk_ratio, storage.space(log::DIRECTORY)?) else { return Ok(0) };
        let allowed = (space.used as f64 + space.free as f64) * ratio;
        let excess = space.used as f64 - allowed;
        // Positive and finite, and a cast of a float stays within the bounds of its type.
        Ok(if excess > 0.0 { (excess as u64).div_ceil(self.view.segments().segment_bytes()).max(1) } else { 0 })
    }

    /// Whether the newest message of a file was stored, and the file last changed, before the time asked for.
    fn is_old<S: Storage<Segment = G>>(&self, storage: &S, placed: &Placed<G>, next: &Placed<G>) -> Result<bool, Error> {
        let Some(before) = self.before else { return Ok(false) };
        let modified = storage.stamp(&path(placed.base))?.map_or(0, |stamp| stamp.modified_ns / 1_000_000);
        if i64::try_from(modified).unwrap_or(i64::MAX) >= before {
            return Ok(false);
        }
        // Store times do not fall: the first message decides where it is too young, the one behind the file where it is not.
        let first = self.view.store_timestamp(placed.base)?;
        if first.is_some_and(|first| first >= before) {
            return Ok(false);
        }
        if self.view.store_timestamp(next.base)?.is_some_and(|behind| behind < before) {
            return Ok(true);
        }
        Ok(self.newest_in(placed)?.is_none_or(|newest| newest < before))
    }

    /// Store time of the last message of a file, found from head to head; where the file is damaged, of the last one in front.
    fn newest_in(&self, placed: &Placed<G>) -> Result<Option<i64>, Error> {
        let (mut at, end) = (placed.base, placed.base + placed.segment.size());
        let (mut newest, mut first) = (None, [0; 8]);
        while at < end && self.view.read(at, &mut first)? {
            let Head::Record { size } = head(&first) else { break };
            newest = self.view.store_timestamp(at)?.or(newest);
            at += u64::from(size.max(1));
        }
        Ok(newest)
    }
}
