//! What callers ask of the flusher's thread beside flushing: to expire files, to delete a topic. One after the other, and
//! never while it writes behind; the lock is taken for pieces of them only.

use std::sync::Arc;
use std::time::Duration;

use moraine_core::engine::delete_topic::delete_topic;
use moraine_core::engine::expire::{Access, Expired, expire};
use moraine_core::engine::retention::Wish;
use moraine_core::error::{Code, Error};

use crate::clock::HostClock;
use crate::files::HostStorage;
use crate::members::Member;
use crate::shared::{Core, HostEngine};
use crate::sync::Instant;

/// Between two looks at what may be removed, in a store that removes by itself: as in RocketMQ.
pub const RETENTION_INTERVAL: Duration = Duration::from_secs(10);

/// An errand of a member.
pub(crate) enum Errand {
    /// With the number that its answer is told under.
    Task { member: Arc<Member>, number: u32, task: Task },
    /// It leaves, once everything is flushed.
    Leave(Arc<Member>),
}

pub(crate) enum Task {
    Expire { before: Option<i64>, max_bytes: Option<u64> },
    DeleteTopic(String),
}

/// What came of an errand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Expired(Expired),
    /// Whether there was such a topic.
    Deleted(bool),
}

impl Access<HostStorage, HostClock> for Core {
    fn engine<R>(&self, act: impl FnOnce(&mut HostEngine) -> Result<R, Error>) -> Result<R, Error> {
        Core::engine(self, act)
    }
}

impl Task {
    pub(crate) fn run(self, core: &Core, storage: &HostStorage) -> Result<Done, Error> {
        match self {
            Self::Expire { before, max_bytes } => expire(core, storage, Wish::Asked { before, max_bytes }).map(Done::Expired),
            Self::DeleteTopic(topic) => delete_topic(core, storage, topic.as_bytes()).map(Done::Deleted),
        }
    }
}

/// When a store looks at what it may remove by itself.
pub(crate) struct Looks {
    /// `None` in a store that has no rule for it, or that is not written.
    pub(crate) next: Option<Instant>,
    last: Instant,
}

impl Looks {
    pub(crate) fn new(enabled: bool) -> Self {
        let now = Instant::now();
        Self { next: enabled.then_some(now), last: now }
    }

    /// Looks; true if something was removed. A failure is a finding, and tried again, unless writing has ended.
    pub(crate) fn look(&mut self, core: &Core, storage: &HostStorage) -> bool {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(self.last);
        self.last = now;
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let outcome = expire(core, storage, Wish::Due { elapsed_ms });
        let removed = outcome.as_ref().is_ok_and(|expired| expired.files > 0);
        self.next = match outcome {
            Err(error) if matches!(error.code, Code::Poisoned | Code::Closed | Code::ReadOnly) => None,
            Err(error) => {
                // The engine remembers the last one only: a disk that stays full must not fill the memory.
                let _told = Core::engine(core, |engine| {
                    engine.report_retention(&error);
                    Ok(())
                });
                now.checked_add(RETENTION_INTERVAL)
            }
            Ok(_) => now.checked_add(RETENTION_INTERVAL),
        };
        removed
    }
}
