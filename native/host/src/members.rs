//! Who has a store open: the thread that opened it, and those that were attached to it. Each is told of what concerns it,
//! has watches and holds of its own, and leaves when it likes; the last one closes the store.

use std::sync::{Arc, PoisonError};

use moraine_core::engine::WatcherId;
use moraine_core::error::Error;

use crate::errands::Done;
use crate::reader::Fetched;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// Told by threads of the store and by others that put, which hold no lock meanwhile. Nothing is told after `closed`, nor
/// after a member among others was dropped without a close.
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
    events: Box<dyn Events>,
    telling: Mutex<Telling>,
    /// It wants to know whenever the log has grown.
    pub(crate) follows: AtomicBool,
    /// It is to be told of arrivals.
    due: AtomicBool,
    /// It was told of them, and has not looked since.
    told: AtomicBool,
    /// What it holds of the log.
    pub(crate) holds: Mutex<Vec<u32>>,
    /// Bytes that were read for it and that it has not taken yet.
    pub(crate) untaken: Arc<AtomicUsize>,
}

/// Who is telling a member of something, so that its close comes last.
#[derive(Default)]
struct Telling {
    now: usize,
    /// It is told of nothing more.
    is_gone: bool,
    /// To be told by the last one who is telling it of something else.
    closed: Option<Result<(), Error>>,
}

impl Member {
    pub(crate) fn new(id: WatcherId, events: Box<dyn Events>) -> Arc<Self> {
        Arc::new(Self {
            id,
            events,
            telling: Mutex::default(),
            follows: AtomicBool::new(false),
            due: AtomicBool::new(false),
            told: AtomicBool::new(false),
            holds: Mutex::default(),
            untaken: Arc::default(),
        })
    }

    /// Tells it of something, unless it has been told of its close.
    pub(crate) fn tell(&self, tell: impl FnOnce(&dyn Events)) {
        {
            let mut telling = self.telling();
            if telling.is_gone {
                return;
            }
            telling.now += 1;
        }
        tell(self.events.as_ref());
        let closed = {
            let mut telling = self.telling();
            telling.now -= 1;
            if telling.now == 0 { telling.closed.take() } else { None }
        };
        if let Some(outcome) = closed {
            self.events.closed(outcome);
        }
    }

    /// Tells it of its close, behind everything else.
    pub(crate) fn tell_closed(&self, outcome: Result<(), Error>) {
        {
            let mut telling = self.telling();
            if telling.is_gone {
                return;
            }
            telling.is_gone = true;
            if telling.now > 0 {
                telling.closed = Some(outcome);
                return;
            }
        }
        self.events.closed(outcome);
    }

    /// It is told of nothing more.
    pub(crate) fn hush(&self) {
        self.telling().is_gone = true;
    }

    fn telling(&self) -> MutexGuard<'_, Telling> {
        self.telling.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// Who left when the last one had begun to close: the end of the store is theirs too.
    late: Vec<Arc<Member>>,
    /// What came of the close.
    closed: Option<Result<(), Error>>,
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
        let is_to_be_told = |member: &&Arc<Member>| member.due.swap(false, Ordering::AcqRel) && !member.told.swap(true, Ordering::AcqRel);
        loop {
            let next = self.present().members.iter().find(is_to_be_told).cloned();
            let Some(member) = next else { return };
            member.tell(|events| events.arrived());
        }
    }

    /// As they are now: whoever is told of something may leave.
    fn list(&self) -> Vec<Arc<Member>> {
        self.present().members.clone()
    }

    pub(crate) fn settled(&self, durable: u64, error: Option<&Error>) {
        self.list().iter().for_each(|member| member.tell(|events| events.settled(durable, error)));
    }

    /// A member has left a store that is about to end: it is told when that has come.
    pub(crate) fn leave_with_the_last(&self, member: &Arc<Member>) {
        let mut present = self.present();
        match present.closed.clone() {
            Some(outcome) => {
                drop(present);
                member.tell_closed(outcome);
            }
            None => present.late.push(Arc::clone(member)),
        }
    }

    /// The store is closed: nobody has it open any more.
    pub(crate) fn closed(&self, outcome: &Result<(), Error>) {
        let members = self.end(outcome, |present| std::mem::take(&mut present.members));
        members.iter().for_each(|member| member.tell_closed(outcome.clone()));
    }

    /// The last one has let go of the store without a close; whoever has left before is told of that.
    pub(crate) fn abandoned(&self, outcome: &Result<(), Error>) {
        self.end(outcome, |_| Vec::new()).iter().for_each(|member| member.tell_closed(outcome.clone()));
    }

    /// Returns who is to be told: those that left late too.
    fn end(&self, outcome: &Result<(), Error>, who: impl FnOnce(&mut Present) -> Vec<Arc<Member>>) -> Vec<Arc<Member>> {
        let mut present = self.present();
        present.ending = true;
        present.closed = Some(outcome.clone());
        let mut members = who(&mut present);
        members.append(&mut present.late);
        members
    }
}
