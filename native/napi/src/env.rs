//! Which stores a JavaScript environment may touch, and what happens to them when it ends.
//!
//! A store is named by a number that is never used twice in a process. Each environment (the main thread, every worker)
//! has its own table: a number of another environment, or of a store that is closed, finds nothing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moraine_core::error::{Code, Error};
use moraine_host::shared::{Fetched, Shared};
use napi::bindgen_prelude::Env;

use crate::failure::Failure;
use crate::held::{self, One};

/// How long an environment that ends waits for its stores to close. After that they are left as after a crash.
const CLEAN_UP_LIMIT: Duration = Duration::from_secs(5);

/// What was read for a store and not taken yet, by the number that it was asked for under. Events only say that it is here:
/// those that are under way when an environment ends are not given back.
#[derive(Default)]
pub struct Answers(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    ended: bool,
    answers: HashMap<u32, Answer>,
}

/// What was read for a fetch.
pub struct Answer {
    pub fetched: Fetched,
    _held: One,
}

impl Answer {
    pub fn new(fetched: Fetched) -> Self {
        Self { fetched, _held: held::ANSWERS.one() }
    }
}

impl Answers {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Every critical section leaves them whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Dropped where nobody will take it.
    pub fn keep(&self, number: u32, answer: Answer) {
        let mut kept = self.kept();
        if !kept.ended {
            kept.answers.insert(number, answer);
        }
    }

    pub fn take(&self, number: u32) -> Option<Answer> {
        self.kept().answers.remove(&number)
    }

    /// Nobody takes any more.
    fn end(&self) {
        let left = {
            let mut kept = self.kept();
            kept.ended = true;
            std::mem::take(&mut kept.answers)
        };
        drop(left);
    }
}

/// A store in the table of its environment.
pub struct OpenStore {
    pub shared: Arc<Shared>,
    /// Under which others are attached to it.
    pub number: u32,
    pub answers: Arc<Answers>,
    /// Its time, if JavaScript drives it.
    pub clock: Option<Arc<AtomicI64>>,
    /// Why the last put stored fewer messages than asked, until somebody takes it.
    pub put_failure: RefCell<Option<Failure>>,
    _held: One,
}

impl OpenStore {
    pub fn new(shared: Arc<Shared>, number: u32, answers: Arc<Answers>, clock: Option<Arc<AtomicI64>>) -> Self {
        Self { shared, number, answers, clock, put_failure: RefCell::new(None), _held: held::STORES.one() }
    }
}

impl Drop for OpenStore {
    fn drop(&mut self) {
        self.answers.end();
    }
}

thread_local! {
    /// Ordered by handle.
    static STORES: RefCell<Vec<(u32, OpenStore)>> = const { RefCell::new(Vec::new()) };
    static ENVIRONMENT: RefCell<Option<Arc<Environment>>> = const { RefCell::new(None) };
}

/// A handle that no store of this process has had. 0 is never one.
pub fn new_handle() -> Result<u32, Error> {
    static LAST: AtomicU32 = AtomicU32::new(0);
    LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| last.checked_add(1))
        .map(|last| last + 1)
        .map_err(|_| Error::new(Code::Busy, "this process has opened 4,294,967,295 stores, no handle is left; start a new one"))
}

/// Puts a store that this environment has taken charge of into its table.
pub fn adopt(handle: u32) {
    let admitted = ENVIRONMENT.with_borrow(|environment| environment.as_ref().and_then(|environment| environment.admitted(handle)));
    let Some(store) = admitted else { return }; // closed by now
    STORES.with_borrow_mut(|stores| {
        let at = stores.partition_point(|(other, _)| *other < handle);
        stores.insert(at, (handle, store));
    });
}

/// Takes a store out of the table. It is dropped after the table is free again.
pub fn forget(handle: u32) {
    drop(STORES.with_borrow_mut(|stores| find(stores, handle).map(|at| stores.remove(at))));
}

/// Calls `call` with a store of this environment. `call` runs no JavaScript.
pub fn with<R>(handle: u32, call: impl FnOnce(&OpenStore) -> Result<R, Failure>) -> Result<R, Failure> {
    STORES.with_borrow(|stores| match find(stores, handle) {
        Some(at) => call(&stores[at].1),
        None => Err(no_such_store(handle)),
    })
}

fn find(stores: &[(u32, OpenStore)], handle: u32) -> Option<usize> {
    stores.binary_search_by_key(&handle, |(other, _)| *other).ok()
}

#[cold]
fn no_such_store(handle: u32) -> Failure {
    Error::new(Code::Closed, format!("handle {handle} is of no open store in this thread: it was closed, or opened in another one")).into()
}

/// The stores of one environment as its end sees them, also those that are not in the table yet.
pub struct Environment {
    stores: Mutex<Stores>,
    closed: Condvar,
    _held: One,
}

#[derive(Default)]
struct Stores {
    ended: bool,
    open: Vec<(u32, Arc<Shared>)>,
    /// Those that are not in the table yet.
    admitted: HashMap<u32, OpenStore>,
}

/// Called when the addon is loaded into an environment.
pub fn enter(env: &Env) -> napi::Result<()> {
    let environment = Arc::new(Environment { stores: Mutex::default(), closed: Condvar::new(), _held: held::ENVIRONMENTS.one() });
    ENVIRONMENT.set(Some(Arc::clone(&environment)));
    // A panic must not cross into Node. What is left undone then is what a crash would leave.
    env.add_env_cleanup_hook(environment, |environment| drop(catch_unwind(AssertUnwindSafe(|| environment.end()))))?;
    Ok(())
}

/// The environment of the calling thread.
pub fn current() -> Result<Arc<Environment>, Error> {
    ENVIRONMENT.with_borrow(Option::clone).ok_or_else(|| Error::new(Code::Closed, "the environment has ended"))
}

impl Environment {
    fn stores(&self) -> MutexGuard<'_, Stores> {
        // Every critical section leaves the list whole.
        self.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes charge of a store that was opened just now. False if the environment has ended meanwhile: then the
    /// caller closes the store, nobody else knows of it.
    pub fn admit(&self, handle: u32, store: OpenStore) -> bool {
        let mut stores = self.stores();
        if stores.ended {
            drop(stores);
            drop(store);
            return false;
        }
        stores.open.push((handle, Arc::clone(&store.shared)));
        stores.admitted.insert(handle, store);
        true
    }

    fn admitted(&self, handle: u32) -> Option<OpenStore> {
        self.stores().admitted.remove(&handle)
    }

    /// The store has closed, whatever the outcome.
    pub fn release(&self, handle: u32) {
        let mut stores = self.stores();
        let at = stores.open.iter().position(|(other, _)| *other == handle);
        let released = at.map(|at| stores.open.swap_remove(at));
        drop(stores);
        self.closed.notify_all();
        drop(released);
    }

    /// Closes what JavaScript left open, on the environment's own thread, and waits for it as long as the limit allows.
    ///
    /// Every store goes through its ordinary close. One that does not get to the end in time keeps its `abort` file,
    /// and the next open recovers it.
    fn end(&self) {
        let (left, admitted) = {
            let mut stores = self.stores();
            stores.ended = true;
            (stores.open.clone(), std::mem::take(&mut stores.admitted))
        };
        for (handle, shared) in &left {
            shared.close();
            forget(*handle);
        }
        drop((left, admitted));
        drop(self.closed.wait_timeout_while(self.stores(), CLEAN_UP_LIMIT, |stores| !stores.open.is_empty()));
    }
}
