//! Threads that make batches ahead of the one who takes them.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use crate::error::DataError;
use crate::loader::{Job, Maker};
use crate::record::Batch;

/// What came of a batch: it, why there is none, or with what its making panicked.
type Made = Result<Result<Batch, DataError>, Box<dyn Any + Send>>;

/// Threads, what they have to do, and what they have done.
pub(crate) struct Pool {
    ahead: usize,
    /// None while it is dropped.
    jobs: Option<Sender<Job>>,
    made: Receiver<(usize, Made)>,
    /// Batches that were faster than those before them.
    early: BTreeMap<usize, Made>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts threads; none if the system gives none, and the caller does the work then.
    pub(crate) fn new(maker: &Arc<Maker>, threads: usize, ahead: usize) -> Option<Self> {
        let (jobs, to_do) = channel::<Job>();
        let (done, made) = channel();
        let to_do = Arc::new(Mutex::new(to_do));
        let stop = Arc::new(AtomicBool::new(false));
        let start = |_| {
            let (maker, stop) = (Arc::clone(maker), Arc::clone(&stop));
            let (to_do, done) = (Arc::clone(&to_do), done.clone());
            let work = move || work(&maker, &to_do, &done, &stop);
            Builder::new().name("batches".to_owned()).spawn(work).ok()
        };
        let threads: Vec<JoinHandle<()>> = (0..threads).map_while(start).collect();
        if threads.is_empty() {
            return None;
        }
        Some(Self { ahead, jobs: Some(jobs), made, early: BTreeMap::new(), stop, threads })
    }

    /// How many batches may be under way at once.
    pub(crate) fn ahead(&self) -> usize {
        self.ahead
    }

    pub(crate) fn send(&mut self, job: Job) {
        // The threads keep their end open for as long as this one is.
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }

    /// Waits for batch `number`, which was sent.
    pub(crate) fn receive(&mut self, number: usize) -> Made {
        loop {
            if let Some(made) = self.early.remove(&number) {
                return made;
            }
            match self.made.recv() {
                Ok((number, made)) => {
                    self.early.insert(number, made);
                }
                Err(_) => unreachable!("threads answer every job that they take"),
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // Panics within were sent on.
            let _ = thread.join();
        }
    }
}

fn work(
    maker: &Maker,
    to_do: &Mutex<Receiver<Job>>,
    done: &Sender<(usize, Made)>,
    stop: &AtomicBool,
) {
    let mut room = maker.room();
    loop {
        let job = to_do.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let number = job.number;
        let made = catch_unwind(AssertUnwindSafe(|| maker.make(job, &mut room)));
        if made.is_err() {
            // It may have been left half written.
            room = maker.room();
        }
        if done.send((number, made)).is_err() {
            return;
        }
    }
}
