//! A few threads of a store that read what is not in memory, for callers that must not wait for a disk.
//!
//! They come when there is something to read and go when there has been nothing for a while. What they have read for a member
//! and it has not taken yet is bounded: its requests wait then, so that one who is slow fills no memory, nor stops the others.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use moraine_core::engine::{GetRequest, Resolved};
use moraine_core::error::{Code, Error};
use moraine_core::storage::ReadMode;

use crate::errno::io_error;
use crate::members::Member;
use crate::reading::{GetHead, copy};
use crate::segment::HostSegment;
use crate::shared::{Core, closed};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard, thread};

/// Threads that read at a time: so many requests keep a disk busy, more would only take memory.
const MOST_THREADS: usize = 4;
/// A thread that has had nothing to do for so long ends.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes read for a member and not taken yet at which its other requests wait. What is being read then may exceed it.
const MOST_BYTES_WAITING: usize = 64 << 20;
/// Of the log, behind what is asked for: whoever reads on finds it in memory.
const READ_AHEAD_BYTES: u64 = 1 << 20;
/// Of the log, told to the system at once: messages of one queue may lie far apart.
const MOST_AHEAD_BYTES: u64 = 8 << 20;

/// What is to be read.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// As [`GetRequest`].
    Messages { topic: Vec<u8>, queue_id: i32, offset: u64, max: usize, max_bytes: usize, filter: Vec<u8> },
    /// The record at a physical offset.
    At(u64),
}

/// What was read.
pub struct Fetched {
    /// Of a record by its physical offset: 1 message, or none where none starts there.
    pub head: GetHead,
    /// Of each message.
    pub queue_offsets: Vec<f64>,
    /// The records, back to back.
    pub bytes: Vec<u8>,
    room: Option<Room>,
}

impl Fetched {
    fn new(head: GetHead, queue_offsets: Vec<f64>, bytes: Vec<u8>) -> Self {
        Self { head, queue_offsets, bytes, room: None }
    }
}

/// A request of a member.
struct Request {
    number: u32,
    wanted: Wanted,
    member: Arc<Member>,
}

/// The threads of a store, and what they have to do.
#[derive(Default)]
pub(crate) struct Readers {
    line: Mutex<Line>,
    /// There is something to do, or nothing will be any more.
    work: Condvar,
}

#[derive(Default)]
struct Line {
    requests: VecDeque<Request>,
    threads: usize,
    idle: usize,
    ended: bool,
}

/// A share of the bytes that a member has not taken, until the answer is dropped.
struct Room {
    bytes: usize,
    untaken: Arc<AtomicUsize>,
    readers: Arc<Readers>,
}

impl Drop for Room {
    fn drop(&mut self) {
        {
            // So that no thread has looked at it, and does not wait yet.
            let _line = self.readers.line();
            self.untaken.fetch_sub(self.bytes, Ordering::Relaxed);
        }
        self.readers.work.notify_all();
    }
}

impl Readers {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a request into the line; its answer is `Events::fetched`.
    pub(crate) fn ask(&self, core: &Arc<Core>, member: &Arc<Member>, number: u32, wanted: Wanted) -> Result<(), Error> {
        let mut line = self.line();
        if line.ended {
            return Err(closed());
        }
        line.requests.push_back(Request { number, wanted, member: Arc::clone(member) });
        if line.idle >= line.requests.len() || line.threads == MOST_THREADS {
            drop(line);
            self.work.notify_one();
            return Ok(());
        }
        let core = Arc::clone(core);
        let started = thread::Builder::new().name("moraine-read".into()).spawn(move || core.readers.live(&core));
        match started {
            Ok(_) => line.threads += 1,
            Err(_) if line.threads > 0 => self.work.notify_one(), // those that are there do it
            Err(error) => {
                line.requests.pop_back();
                return Err(io_error(&error, "clone", "moraine-read").into());
            }
        }
        Ok(())
    }

    /// Takes a member's request out of the line; one that is being read is read to its end.
    pub(crate) fn forget(&self, member: &Arc<Member>, number: u32) {
        self.line().requests.retain(|request| request.number != number || !Arc::ptr_eq(&request.member, member));
    }

    /// Takes all requests of a member out of the line.
    pub(crate) fn forget_all(&self, member: &Arc<Member>) {
        self.line().requests.retain(|request| !Arc::ptr_eq(&request.member, member));
    }

    /// Nothing is read any more: whoever waits is told.
    pub(crate) fn end(&self) {
        let left = {
            let mut line = self.line();
            line.ended = true;
            std::mem::take(&mut line.requests)
        };
        self.work.notify_all();
        for Request { member, number, .. } in left {
            member.tell(|events| events.fetched(number, Err(closed())));
        }
    }

    fn live(self: &Arc<Self>, core: &Core) {
        while let Some(request) = self.next() {
            // A panic here is a defect; whoever waits is told all the same.
            let read = catch_unwind(AssertUnwindSafe(|| core.fetch(&request.wanted)));
            let outcome = read.unwrap_or_else(|_| {
                Err(Error::new(Code::Io, "reading failed in a way that is a defect of moraine; what was asked for is not known"))
            });
            let Request { member, number, .. } = request;
            let outcome = outcome.map(|fetched| self.keep_for(&member, fetched));
            member.tell(|events| events.fetched(number, outcome));
        }
    }

    /// The next request; `None` where the thread ends.
    fn next(&self) -> Option<Request> {
        let mut line = self.line();
        loop {
            let has_room = |request: &Request| request.member.untaken.load(Ordering::Relaxed) < MOST_BYTES_WAITING;
            if let Some(request) = line.requests.iter().position(has_room).and_then(|at| line.requests.remove(at)) {
                return Some(request);
            }
            if line.ended {
                line.threads -= 1;
                return None;
            }
            line.idle += 1;
            let (back, waited) = self.work.wait_timeout(line, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            line = back;
            line.idle -= 1;
            if waited.timed_out() && line.requests.is_empty() {
                line.threads -= 1;
                return None;
            }
        }
    }

    /// What was read counts until it is taken.
    fn keep_for(self: &Arc<Self>, member: &Member, mut fetched: Fetched) -> Fetched {
        let bytes = fetched.bytes.len();
        member.untaken.fetch_add(bytes, Ordering::Relaxed);
        fetched.room = Some(Room { bytes, untaken: Arc::clone(&member.untaken), readers: Arc::clone(self) });
        fetched
    }
}

impl Core {
    fn fetch(&self, wanted: &Wanted) -> Result<Fetched, Error> {
        match wanted {
            Wanted::Messages { topic, queue_id, offset, max, max_bytes, filter } => self.with_resolved(|resolved| {
                let (queue_id, offset, max, max_bytes) = (*queue_id, *offset, *max, *max_bytes);
                let request = GetRequest { topic, queue_id, offset, max, max_bytes, filter };
                self.read(|reader| reader.resolve(&request, resolved))?;
                fetch_resolved(resolved, max_bytes)
            }),
            Wanted::At(physical) => {
                let log = self.read(|reader| Ok(reader.log()))?;
                let mut bytes = Vec::new();
                let found = log.by(ReadMode::Bulk).record_at(*physical, &mut bytes)?;
                let messages = usize::from(found.is_some());
                bytes.truncate(found.unwrap_or(0));
                Ok(Fetched::new(GetHead { messages, bytes: bytes.len(), ..GetHead::default() }, Vec::new(), bytes))
            }
        }
    }
}

fn fetch_resolved(resolved: &mut Resolved<HostSegment>, max_bytes: usize) -> Result<Fetched, Error> {
    resolved.read_by(ReadMode::Bulk);
    resolved.will_need(READ_AHEAD_BYTES, MOST_AHEAD_BYTES);
    let mut queue_offsets = vec![0.0; resolved.messages()];
    // An entry may say anything of its message's size: the room that one needs is asked for once it was looked at.
    let mut bytes = vec![0; resolved.bytes().min(max_bytes)];
    let behind = resolved.bytes_behind;
    let mut head = copy(resolved, &mut bytes, &mut queue_offsets)?;
    if head.needed > bytes.len() {
        bytes.resize(head.needed, 0);
        resolved.bytes_behind = behind;
        head = copy(resolved, &mut bytes, &mut queue_offsets)?;
    }
    queue_offsets.truncate(head.messages);
    bytes.truncate(head.bytes);
    Ok(Fetched::new(head, queue_offsets, bytes))
}
