//! Times a piece of work against a peer, in turns.
//!
//! Machines are noisy: what is reported is the median ratio of turns that were taken one after the other in one
//! process tree.

mod contest;
mod net;
mod peer;
mod table;
mod turns;

pub use contest::{Contest, wanted};
pub use net::{Case, Net, framed, plain, replace, timed};
pub use peer::Peer;
pub use table::{Row, Table};
pub use turns::{Timed, Times, rounds, turns};
