//! Turns and medians.

use std::time::Duration;

/// A contestant: runs its work `iterations` times and says how long one took, in seconds.
pub type Timed<'a> = &'a mut dyn FnMut(usize) -> f64;

/// How long a turn should last. Long enough to outlast the switch between contestants.
const TURN: f64 = 0.25;

/// The median seconds of one iteration for each contestant.
///
/// Every contestant is warmed up, then all take `rounds` turns in a fixed order. Between turns the
/// machine rests: the threads of the one before may still spin.
pub fn turns(contestants: &mut [Timed<'_>], rounds: usize) -> Vec<f64> {
    let mut iterations = Vec::new();
    for contestant in contestants.iter_mut() {
        let first = contestant(1).max(contestant(1)).max(1e-9);
        let guess = (TURN / 4.0 / first).ceil().max(1.0) as usize;
        let warm = contestant(guess).max(1e-9);
        iterations.push((TURN / warm).ceil().max(2.0) as usize);
    }
    let mut seconds = vec![Vec::new(); contestants.len()];
    for _ in 0..rounds {
        for (index, contestant) in contestants.iter_mut().enumerate() {
            std::thread::sleep(Duration::from_millis(20));
            contestant(iterations[index] / 10);
            seconds[index].push(contestant(iterations[index]));
        }
    }
    seconds.into_iter().map(median).collect()
}

/// The middle value, of an even number of values the mean of the two.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}
