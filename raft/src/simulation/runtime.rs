//! openraft's simulation runtime, with processes in it.
//!
//! **Invariant:** what is spawned under a [`Life`] is polled only while that life goes on, and all
//! that it spawns belongs to it too.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use openraft::{AsyncRuntime, Instant as _, OptionalSend};
use openraft_rt_sim::SimRuntime;

type BoxedFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

thread_local! {
    static CURRENT: RefCell<Option<Life>> = const { RefCell::new(None) };
}

/// The runtime of one simulation.
#[derive(Debug)]
pub struct Runtime(SimRuntime);

impl Runtime {
    /// A runtime whose random numbers, as openraft draws them, follow from `seed`.
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        Self(SimRuntime::with_seed(seed))
    }

    /// Runs `future` to its end, and whatever is spawned meanwhile.
    pub fn run_to_end<T>(&mut self, future: impl Future<Output = T>) -> T {
        self.0.block_on(future)
    }

    /// Virtual time, from some moment on.
    #[must_use]
    pub fn now() -> Duration {
        // The clock begins one day after what it calls zero; that day is kept.
        let zero = <SimRuntime as AsyncRuntime>::Instant::now();
        EPOCH.with(|epoch| {
            let mut epoch = epoch.borrow_mut();
            let began = *epoch.get_or_insert(zero);
            zero.saturating_duration_since(began)
        })
    }

    /// Makes [`Runtime::now`] begin at zero; at the beginning of each simulation.
    pub fn start_clock() {
        EPOCH.with(|epoch| *epoch.borrow_mut() = None);
    }

    /// Waits.
    pub async fn pause(time: Duration) {
        <SimRuntime as AsyncRuntime>::sleep(time).await;
    }

    /// Waits for `future`, at most so long.
    pub async fn within<T>(time: Duration, future: impl Future<Output = T> + Send) -> Option<T> {
        <SimRuntime as AsyncRuntime>::timeout(time, future)
            .await
            .ok()
    }

    /// Spawns a task in the life of whoever calls.
    pub fn go(future: impl Future<Output = ()> + Send + 'static) {
        drop(Self::spawn(future));
    }
}

thread_local! {
    static EPOCH: RefCell<Option<<SimRuntime as AsyncRuntime>::Instant>> =
        const { RefCell::new(None) };
}

/// All that one process runs; clones are of the same.
#[derive(Clone)]
pub struct Life(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    mode: Mode,
    next: u64,
    tasks: BTreeMap<u64, Weak<dyn Task>>,
    /// Tasks that wanted to be polled during a pause.
    held: BTreeMap<u64, Waker>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Running,
    Paused,
    Over,
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Life").field(&self.0.lock().mode).finish()
    }
}

impl Default for Life {
    fn default() -> Self {
        Self::new()
    }
}

impl Life {
    /// A life that has just begun.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// Spawns a task in this life.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let around = CURRENT.with(|current| current.borrow_mut().replace(self.clone()));
        drop(Runtime::spawn(future));
        CURRENT.with(|current| *current.borrow_mut() = around);
    }

    /// Nothing is polled until [`Life::resume`]; time goes on.
    pub fn pause(&self) {
        let mut state = self.0.lock();
        if state.mode == Mode::Running {
            state.mode = Mode::Paused;
        }
    }

    /// Goes on after a pause.
    pub fn resume(&self) {
        let mut state = self.0.lock();
        if state.mode == Mode::Paused {
            state.mode = Mode::Running;
        }
        let held = std::mem::take(&mut state.held);
        drop(state);
        for waker in held.into_values() {
            waker.wake();
        }
    }

    /// Drops all tasks, at once and for good.
    pub fn end(&self) {
        let mut state = self.0.lock();
        state.mode = Mode::Over;
        state.held.clear();
        let tasks = std::mem::take(&mut state.tasks);
        drop(state);
        for task in tasks.into_values().filter_map(|task| task.upgrade()) {
            task.abandon();
        }
    }

    /// Whether it is neither paused nor over.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.0.lock().mode == Mode::Running
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that can be dropped from outside.
trait Task: Send + Sync {
    fn abandon(&self);
}

/// The future of a task, until it is done or abandoned.
struct Slot<T>(Mutex<Option<BoxedFuture<T>>>);

impl<T> Slot<T> {
    fn take(&self) -> Option<BoxedFuture<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, future: BoxedFuture<T>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(future);
    }
}

impl<T> Task for Slot<T> {
    fn abandon(&self) {
        drop(self.take());
    }
}

/// A task of a life.
struct Gated<T> {
    life: Life,
    id: u64,
    slot: Arc<Slot<T>>,
}

impl<T: Send + 'static> Gated<T> {
    fn new(life: Life, future: BoxedFuture<T>) -> Self {
        let slot = Arc::new(Slot(Mutex::new(Some(future))));
        let mut state = life.0.lock();
        let id = state.next;
        state.next += 1;
        if state.mode == Mode::Over {
            drop(state);
            slot.abandon();
        } else {
            let task: Arc<dyn Task> = slot.clone();
            state.tasks.insert(id, Arc::downgrade(&task));
            drop(state);
        }
        Self { life, id, slot }
    }
}

impl<T> Future for Gated<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let this = self.get_mut();
        {
            let mut state = this.life.0.lock();
            match state.mode {
                Mode::Running => {}
                Mode::Paused => {
                    state.held.insert(this.id, context.waker().clone());
                    return Poll::Pending;
                }
                Mode::Over => return Poll::Pending,
            }
        }
        let Some(mut future) = this.slot.take() else {
            return Poll::Pending;
        };
        let around = CURRENT.with(|current| current.borrow_mut().replace(this.life.clone()));
        // Out again however the poll ends.
        let _out = Out(around);
        match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(value),
            Poll::Pending => {
                // It may have ended its own life.
                if this.life.0.lock().mode != Mode::Over {
                    this.slot.put(future);
                }
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Gated<T> {
    fn drop(&mut self) {
        self.life.0.lock().tasks.remove(&self.id);
    }
}

struct Out(Option<Life>);

impl Drop for Out {
    fn drop(&mut self) {
        let around = self.0.take();
        CURRENT.with(|current| *current.borrow_mut() = around);
    }
}

impl AsyncRuntime for Runtime {
    type JoinError = <SimRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <SimRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <SimRuntime as AsyncRuntime>::Sleep;
    type Instant = <SimRuntime as AsyncRuntime>::Instant;
    type TimeoutError = <SimRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> =
        <SimRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = <SimRuntime as AsyncRuntime>::ThreadLocalRng;
    type Mpsc = <SimRuntime as AsyncRuntime>::Mpsc;
    type Watch = <SimRuntime as AsyncRuntime>::Watch;
    type Oneshot = <SimRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <SimRuntime as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        let life = CURRENT.with(|current| current.borrow().clone());
        match life {
            Some(life) => SimRuntime::spawn(Gated::new(life, Box::pin(future))),
            None => SimRuntime::spawn(future),
        }
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        SimRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        SimRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        SimRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        SimRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        SimRuntime::is_panic(join_error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        SimRuntime::thread_rng()
    }

    fn new(threads: usize) -> Self {
        Self(SimRuntime::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }

    /// Runs it at once: a thread would end at a time that differs between runs.
    fn spawn_blocking<F, T>(work: F) -> impl Future<Output = Result<T, io::Error>> + Send
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        std::future::ready(Ok(work()))
    }
}
