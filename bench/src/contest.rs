//! Ours and the peer's forms of one case, in turns.

use std::cell::RefCell;
use std::path::PathBuf;

use crate::{Peer, Times, turns};

/// A benchmark against a peer that may be missing: `ESPALIER_PYTHON` names a Python that has it.
pub struct Contest(Option<RefCell<Peer>>);

impl Contest {
    /// Starts the peer and says whom we run against.
    pub fn start() -> Self {
        let python = std::env::var_os("ESPALIER_PYTHON").map(PathBuf::from);
        let peer = python.and_then(|python| match Peer::start(&python) {
            Ok(peer) => Some(RefCell::new(peer)),
            Err(error) => {
                eprintln!("no peer: {}: {error}", python.display());
                None
            }
        });
        match &peer {
            Some(peer) => println!("in turns with {}\n", peer.borrow().name()),
            None => println!("without PyTorch; ESPALIER_PYTHON names a Python that has it\n"),
        }
        Self(peer)
    }

    /// Whether the peer has a package of this name.
    pub fn has(&self, package: &str) -> bool {
        self.0.as_ref().is_some_and(|peer| peer.borrow().name().contains(package))
    }

    /// Seconds of one iteration of a case of the peer's; not a number without a peer.
    pub fn run(&self, case: &str, iterations: usize) -> f64 {
        self.0.as_ref().map_or(f64::NAN, |peer| peer.borrow_mut().run(case, iterations))
    }

    /// Times of ours, then of the peer's `cases`. Without a peer there are ours only.
    pub fn compete(
        &self,
        ours: &mut [&mut dyn FnMut(usize) -> f64],
        cases: &[String],
    ) -> Vec<Times> {
        let mut theirs: Vec<_> = match &self.0 {
            Some(peer) => cases.iter().map(|case| |n| peer.borrow_mut().run(case, n)).collect(),
            None => Vec::new(),
        };
        let mut all: Vec<&mut dyn FnMut(usize) -> f64> = Vec::new();
        all.extend(ours.iter_mut().map(|one| &mut **one as &mut dyn FnMut(usize) -> f64));
        all.extend(theirs.iter_mut().map(|one| one as &mut dyn FnMut(usize) -> f64));
        turns(&mut all)
    }
}

/// Whether a part is to be run: those named after `--`, or all.
pub fn wanted(part: &str) -> bool {
    let mut only = std::env::args().skip(1).filter(|a| !a.starts_with("--")).peekable();
    only.peek().is_none() || only.any(|only| only == part)
}
