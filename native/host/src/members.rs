//! Who has a store open: the thread that opened it, and those that were attached to it. Each is told of what concerns it,
//! has watches and holds of its own, and leaves when it likes; the last one closes the store.

use std::sync::{Arc, PoisonError};

use moraine_core::engine::WatcherId;
use moraine_core::error::Error;

use crate::errands::Done;
use crate::reader::Fetched;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// Told by threads of the store, which hold no lock meanwhile. Nothing is told after `closed`, nor after the member was
/// dropped without a close.
pub trait Events: Send + Sync {
    /// The durable position is `durable`: one call for each flush, whether it found something to sync or not.
    /// With an error the store is poisoned: what lies above will not become durable.
    fn settled(&self, durable: u64, error: Option<&Error>);
    /// An errand is done: see `Shared::expire` and `Shared::delete_topic`.
    fn done(&self, errand: u32, outcome: Result<Done, Error>);
    /// A read is done: see `Shared::fetch`.
    fn fetched(&self, fetch: u32, outcome: Result<Fetched, Error>);
    /// Somebody else has put: watches are ready, or the log has grown and the member follows it. Once until
    /// `Shared::take_arrivals` is called.
    fn arrived(&self);
    /// The member has left, or the store is closed and its lock free. An error: it was not closed cleanly, opening it again
    /// recovers.
    fn closed(&self, outcome: Result<(), Error>);
}

/// One who has the store open.
pub(crate) struct Member {
    pub(crate) id: WatcherId,
    pub(crate) events: Box<dyn Events>,
    /// It wants to know whenever the log has grown.
    pub(crate) follows: AtomicBool,
    /// It is to be told of arrivals.
    due: AtomicBool,
    /// It was told of them, and has not looked since.
    told: AtomicBool,
    /// What it holds of the log.
    pub(crate) holds: Mutex<Vec<u32>>,
}

impl Member {
    pub(crate) fn new(id: WatcherId, events: Box<dyn Events>) -> Arc<Self> {
        Arc::new(Self {
            id,
            events,
            follows: AtomicBool::new(false),
            due: AtomicBool::new(false),
            told: AtomicBool::new(false),
            holds: Mutex::default(),
        })
    }

    /// Before it looks, so that nothing that comes meanwhile is missed.
    pub(crate) fn looks(&self) {
        self.told.store(false, Ordering::Release);
    }

    pub(crate) fn holds(&self) -> MutexGuard<'_, Vec<u32>> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All members.
#[derive(Default)]
pub(crate) struct Members {
    present: Mutex<Present>,
    /// There is more than one: puts have somebody to tell.
    several: AtomicBool,
}

#[derive(Default)]
struct Present {
    members: Vec<Arc<Member>>,
    /// The last one has begun to close: nobody comes in any more.
    ending: bool,
}

/// What a member that wants to leave has to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// It was the last one: the store closes.
    Last,
    /// Others go on.
    OneOf,
    /// It has left already.
    Gone,
}

impl Members {
    fn present(&self) -> MutexGuard<'_, Present> {
        // Every critical section leaves the list whole.
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False where the store is about to close.
    pub(crate) fn enter(&self, member: Arc<Member>) -> bool {
        let mut present = self.present();
        if present.ending {
            return false;
        }
        present.members.push(member);
        self.several.store(present.members.len() > 1, Ordering::Release);
        true
    }

    /// A member wants to leave. The last one stays until the store is closed.
    pub(crate) fn leave(&self, member: &Arc<Member>) -> Leaving {
        let mut present = self.present();
        let Some(at) = present.members.iter().position(|other| Arc::ptr_eq(other, member)) else { return Leaving::Gone };
        if present.members.len() == 1 {
            present.ending = true;
            return Leaving::Last;
        }
        present.members.swap_remove(at);
        self.several.store(present.members.len() > 1, Ordering::Release);
        Leaving::OneOf
    }

    /// The last one is about to leave, or has.
    pub(crate) fn are_ending(&self) -> bool {
        self.present().ending
    }

    pub(crate) fn are_several(&self) -> bool {
        self.several.load(Ordering::Acquire)
    }

    /// Something was put: who of the others is concerned, as `is` says, will be told by [`Members::tell_others`].
    pub(crate) fn note_others(&self, who_puts: &Arc<Member>, is: impl Fn(&Member) -> bool) {
        for member in self.present().members.iter().filter(|member| !Arc::ptr_eq(member, who_puts)) {
            if member.follows.load(Ordering::Relaxed) || is(member) {
                member.due.store(true, Ordering::Release);
            }
        }
    }

    /// Tells those who were noted, each once until it looks.
    pub(crate) fn tell_others(&self) {
        for member in &self.present().members {
            if member.due.swap(false, Ordering::AcqRel) && !member.told.swap(true, Ordering::AcqRel) {
                member.events.arrived();
            }
        }
    }

    /// As they are now: whoever is told of something may leave.
    fn list(&self) -> Vec<Arc<Member>> {
        self.present().members.clone()
    }

    pub(crate) fn settled(&self, durable: u64, error: Option<&Error>) {
        self.list().iter().for_each(|member| member.events.settled(durable, error));
    }

    /// The store is closed: nobody has it open any more.
    pub(crate) fn closed(&self, outcome: &Result<(), Error>) {
        let mut present = self.present();
        present.ending = true;
        let members = std::mem::take(&mut present.members);
        drop(present);
        members.iter().for_each(|member| member.events.closed(outcome.clone()));
    }
}
