//! The copying task, which tells whether a network remembers.

use espalier_kernels::Rng;

use crate::dataset::{Dataset, check_index};
use crate::error::DataError;
use crate::record::Record;
use crate::schema::{Input, Schema, Target};

/// The longest sequence; training one step of it would take minutes.
const LONGEST: usize = 1 << 20;

/// The copying task: say after `delay` steps what was shown before.
///
/// An input is `copy` symbols drawn from `symbols`, `delay - 1` blanks, a delimiter, and `copy`
/// blanks; its labels are `delay + copy` blanks and the `copy` symbols again. Tokens and labels are the
/// symbols' numbers from 0, then the blank, `symbols`; the delimiter is the token `symbols + 1`. From
/// M. Arjovsky, A. Shah, Y. Bengio, "Unitary Evolution Recurrent Neural Networks", ICML 2016, section 5.1,
/// where `symbols` is 8 and `copy` 10.
///
/// Each example is made from the seed and its place, so there are as many as are asked for.
///
/// ```
/// use espalier_data::{Copying, Dataset, Record};
/// let data = Copying::new(8, 3, 4, 1000, 0)?;
/// assert_eq!(data.schema().dims, [10]);
/// let mut record = Record::new(data.schema());
/// data.read(0, &mut record)?;
/// let tokens = record.inputs.tokens().unwrap();
/// assert_eq!(tokens[3..], [8, 8, 8, 9, 8, 8, 8]);
/// let labels = record.targets.classes().unwrap();
/// assert_eq!((&labels[..7], &labels[7..]), (&[8; 7][..], &tokens[..3]));
/// # Ok::<(), espalier_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Copying {
    symbols: usize,
    copy: usize,
    delay: usize,
    len: usize,
    seed: u64,
    schema: Schema,
}

impl Copying {
    /// `len` examples of `copy` symbols of `symbols` kinds, asked for after `delay` steps.
    ///
    /// # Errors
    ///
    /// [`DataError::Option`] for zeros, and for sequences longer than 1,048,576.
    pub fn new(
        symbols: usize,
        copy: usize,
        delay: usize,
        len: usize,
        seed: u64,
    ) -> Result<Self, DataError> {
        let options = [("symbols", symbols), ("copy", copy), ("delay", delay), ("examples", len)];
        for (option, value) in options {
            let largest = if option == "examples" { usize::MAX } else { LONGEST };
            if !(1..=largest).contains(&value) {
                let expected = format!("a whole number from 1 to {largest}");
                return Err(DataError::Option { option, found: value.to_string(), expected });
            }
        }
        let length = delay + 2 * copy;
        if length > LONGEST {
            let expected = format!("at most {LONGEST}, delay + 2 * copy");
            let found = length.to_string();
            return Err(DataError::Option { option: "the sequences' length", found, expected });
        }
        let schema = Schema {
            dims: vec![length],
            input: Input::Tokens { vocabulary: symbols + 2 },
            target: Target::Labels { length, classes: symbols + 1 },
        };
        Ok(Self { symbols, copy, delay, len, seed, schema })
    }

    /// The cross-entropy, in nats a position, of a network without memory that says blanks while blanks
    /// are due, and then each symbol with the same probability: `copy ln(symbols) / (delay + 2 copy)`.
    ///
    /// ```
    /// use espalier_data::Copying;
    /// let baseline = Copying::new(8, 10, 100, 1, 0)?.baseline();
    /// assert!((baseline - 10.0 * 8f64.ln() / 120.0).abs() < 1e-15);
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn baseline(&self) -> f64 {
        let length = self.delay + 2 * self.copy;
        self.copy as f64 * (self.symbols as f64).ln() / length as f64
    }
}

impl Dataset for Copying {
    fn len(&self) -> usize {
        self.len
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn read(&self, index: usize, record: &mut Record) -> Result<(), DataError> {
        check_index(index, self.len)?;
        let mut rng = Rng::stream(self.seed, index as u64);
        let blank = self.symbols as i64;
        let shown: Vec<i64> = (0..self.copy).map(|_| rng.below(self.symbols) as i64).collect();
        let blanks = |count| std::iter::repeat_n(blank, count);
        let tokens = shown.iter().copied().chain(blanks(self.delay - 1));
        record.set_tokens(tokens.chain([blank + 1]).chain(blanks(self.copy)));
        record.set_labels(blanks(self.delay + self.copy).chain(shown.iter().copied()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_differ_and_stay() {
        let data = Copying::new(8, 10, 5, 50, 1).unwrap();
        let read = |data: &Copying, index| {
            let mut record = Record::new(data.schema());
            data.read(index, &mut record).unwrap();
            crate::dataset::read_checked(data, index, &mut record.clone()).unwrap();
            record
        };
        assert_eq!(read(&data, 3), read(&data, 3));
        assert_ne!(read(&data, 3), read(&data, 4));
        assert_ne!(read(&data, 3), read(&Copying::new(8, 10, 5, 50, 2).unwrap(), 3));
        let mut seen = [false; 8];
        for index in 0..50 {
            let record = read(&data, index);
            record.inputs.tokens().unwrap()[..10].iter().for_each(|at| seen[*at as usize] = true);
        }
        assert_eq!(seen, [true; 8]);
    }

    #[test]
    fn sizes_have_bounds() {
        let message = |symbols, copy, delay| {
            Copying::new(symbols, copy, delay, 1, 0).unwrap_err().to_string()
        };
        assert_eq!(message(8, 10, 0), "delay is 0; expected a whole number from 1 to 1048576");
        assert!(message(usize::MAX, 10, 1).starts_with("symbols is "));
        assert_eq!(
            message(8, 10, 1 << 20),
            "the sequences' length is 1048596; expected at most 1048576, delay + 2 * copy"
        );
    }
}
