//! Turns, medians and ratios.

use std::time::Duration;

/// A contestant: runs its work `iterations` times and says how long one took, in seconds.
pub type Timed<'a> = &'a mut dyn FnMut(usize) -> f64;

/// How long a turn should last. Long enough to outlast the switch between contestants, short enough that the
/// machine is the same for those who come after one another.
const TURN: f64 = 0.12;

/// How long all turns should last.
const ALL: f64 = 30.0;

/// The fewest and the most rounds.
const ROUNDS: (usize, usize) = (9, 41);

/// Seconds of one iteration, turn by turn.
#[derive(Debug, Clone, Default)]
pub struct Times(Vec<f64>);

impl Times {
    /// The median.
    pub fn median(&self) -> f64 {
        median(self.0.clone())
    }

    /// Each of them times a factor.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        Self(self.0.iter().map(|time| time * factor).collect())
    }

    /// The median of the ratios to what `other` took in the same round.
    ///
    /// A machine that slows down for a second or two, as shared ones do, slows both of a round down: this
    /// wanders far less than the ratio of the medians.
    pub fn ratio(&self, other: &Self) -> f64 {
        median(self.0.iter().zip(&other.0).map(|(ours, theirs)| ours / theirs).collect())
    }
}

/// The times of each contestant in so many rounds of one iteration each, after one to warm up: for work that takes
/// a second or more.
pub fn rounds(count: usize, contestants: &mut [Timed<'_>]) -> Vec<Times> {
    for contestant in contestants.iter_mut() {
        contestant(1);
    }
    let mut times = vec![Times::default(); contestants.len()];
    for _ in 0..count {
        for (times, contestant) in times.iter_mut().zip(contestants.iter_mut()) {
            std::thread::sleep(Duration::from_millis(20));
            times.0.push(contestant(1));
        }
    }
    times
}

/// The times of each contestant.
///
/// Every contestant is warmed up, then all take turns in a fixed order. Between turns the
/// machine rests: the threads of the one before may still spin.
pub fn turns(contestants: &mut [Timed<'_>]) -> Vec<Times> {
    let (mut iterations, mut round) = (Vec::new(), 0.0);
    for contestant in contestants.iter_mut() {
        let first = contestant(1).max(contestant(1)).max(1e-9);
        let guess = (TURN / 4.0 / first).ceil().max(1.0) as usize;
        let warm = contestant(guess).max(1e-9);
        let count = (TURN / warm).ceil().max(2.0);
        iterations.push(count as usize);
        round += count * warm;
    }
    let rounds = ((ALL / round) as usize).clamp(ROUNDS.0, ROUNDS.1);
    let mut times = vec![Times::default(); contestants.len()];
    for _ in 0..rounds {
        for (index, contestant) in contestants.iter_mut().enumerate() {
            std::thread::sleep(Duration::from_millis(20));
            contestant(iterations[index] / 10);
            times[index].0.push(contestant(iterations[index]));
        }
    }
    times
}

/// The middle value, of an even number of values the mean of the two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}
