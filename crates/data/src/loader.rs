//! Epochs of batches.

use std::fmt;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::Arc;

use espalier_kernels::Rng;

use crate::augment::{Augment, Change};
use crate::dataset::{Dataset, check_index, read_checked};
use crate::error::DataError;
use crate::normalize::Normalization;
use crate::pool::Pool;
use crate::record::{Batch, Inputs, Record};
use crate::schema::Schema;

/// Where the streams of epochs start; a network's initial values use those from 0.
const EPOCHS: u64 = 1 << 32;
/// The largest batch; more is a slip of the keyboard.
const LARGEST_BATCH: usize = 1 << 24;
/// The most threads.
const MOST_THREADS: usize = 256;

/// How batches are made.
///
/// The default gives shuffled batches of 32 examples as they are, in the caller's thread.
#[derive(Debug, Clone, PartialEq)]
pub struct LoaderOptions {
    /// Examples of a batch.
    pub batch_size: usize,
    /// Whether each epoch has an order of its own.
    pub shuffle: bool,
    /// Whether the last batch is left out if it has not all examples.
    pub drop_last: bool,
    /// What the orders and all changes are drawn from, with the epoch's number.
    pub seed: u64,
    /// The threads that read ahead; with 0, batches are made by the caller when they are asked for. What is in
    /// the batches does not depend on it. Threads pay where examples are decoded from files; of small ones in
    /// memory, handing a batch over takes longer than making it.
    pub threads: usize,
    /// How many batches may be ready or in the making at once, if there are threads: memory for speed where
    /// examples take times of different lengths. As it is, with 0, two for each thread.
    pub ahead: usize,
    /// Changes of images.
    pub augment: Vec<Augment>,
    /// The scale of the inputs.
    pub normalization: Normalization,
}

impl Default for LoaderOptions {
    fn default() -> Self {
        Self {
            batch_size: 32,
            shuffle: true,
            drop_last: false,
            seed: 0,
            threads: 0,
            ahead: 0,
            augment: Vec::new(),
            normalization: Normalization::None,
        }
    }
}

/// Some examples of a data set, epoch after epoch, in batches.
///
/// All that is in an epoch comes from the seed and its number: the same on every run, with any number of
/// threads, and from any batch on.
///
/// ```
/// use std::sync::Arc;
/// use espalier_data::{Loader, LoaderOptions, Split, digits};
///
/// let data = Arc::new(digits()?);
/// let train = Split::of(&data, 0.2, 0.0, 0)?.train;
/// let options = LoaderOptions { batch_size: 64, threads: 2, ..LoaderOptions::default() };
/// let loader = Loader::new(data, train, options)?;
///
/// let all: Vec<_> = loader.epoch(3).collect::<Result<_, _>>()?;
/// let rest: Vec<_> = loader.epoch_from(3, 20).collect::<Result<_, _>>()?;
/// assert_eq!((all.len(), loader.batches()), (23, 23));
/// assert_eq!(rest, all[20..]);
/// # Ok::<(), espalier_data::DataError>(())
/// ```
#[derive(Clone)]
pub struct Loader {
    maker: Arc<Maker>,
    examples: Vec<usize>,
    options: LoaderOptions,
}

impl Loader {
    /// Batches of `examples` of `data`.
    ///
    /// # Errors
    ///
    /// [`DataError::Index`] for an example that there is not, [`DataError::Option`] for options that are out of
    /// range or do not fit the data.
    pub fn new(
        data: Arc<dyn Dataset>,
        examples: Vec<usize>,
        options: LoaderOptions,
    ) -> Result<Self, DataError> {
        let bounds = [
            ("batch size", options.batch_size, 1..=LARGEST_BATCH),
            ("threads", options.threads, 0..=MOST_THREADS),
            ("ahead", options.ahead, 0..=LARGEST_BATCH),
        ];
        for (option, value, range) in bounds {
            if !range.contains(&value) {
                let expected = format!("a whole number from {} to {}", range.start(), range.end());
                return Err(DataError::Option { option, found: value.to_string(), expected });
            }
        }
        examples.iter().try_for_each(|index| check_index(*index, data.len()))?;
        options.normalization.check(data.schema())?;
        let dims = Augment::dims(&options.augment, data.schema())?;
        let normalization = options.normalization.clone();
        let still = Augment::without_chance(&options.augment);
        let maker = Arc::new(Maker { data, dims, still, normalization });
        Ok(Self { maker, examples, options })
    }

    /// The sizes of one input in a batch, which a crop may have changed.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use espalier_data::{Loader, LoaderOptions, digits};
    /// let loader = Loader::new(Arc::new(digits()?), vec![1], LoaderOptions::default())?;
    /// assert_eq!(loader.dims(), [1, 8, 8]);
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn dims(&self) -> &[usize] {
        &self.maker.dims
    }

    /// What the data set's examples look like.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use espalier_data::{Loader, LoaderOptions, digits};
    /// let loader = Loader::new(Arc::new(digits()?), vec![1], LoaderOptions::default())?;
    /// assert_eq!(loader.schema().target.classes(), Some(10));
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn schema(&self) -> &Schema {
        self.maker.data.schema()
    }

    /// The examples, in the order of the data set.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use espalier_data::{Loader, LoaderOptions, digits};
    /// let loader = Loader::new(Arc::new(digits()?), vec![1, 5], LoaderOptions::default())?;
    /// assert_eq!(loader.examples(), [1, 5]);
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn examples(&self) -> &[usize] {
        &self.examples
    }

    /// The batches of an epoch.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use espalier_data::{Loader, LoaderOptions, digits};
    /// let options = LoaderOptions { batch_size: 10, drop_last: true, ..LoaderOptions::default() };
    /// let loader = Loader::new(Arc::new(digits()?), (0..25).collect(), options)?;
    /// assert_eq!(loader.batches(), 2);
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn batches(&self) -> usize {
        let size = self.options.batch_size;
        if self.options.drop_last {
            self.examples.len() / size
        } else {
            self.examples.len().div_ceil(size)
        }
    }

    /// The batches of an epoch, counted from 0.
    pub fn epoch(&self, epoch: usize) -> Batches {
        self.epoch_from(epoch, 0)
    }

    /// As [`epoch`](Self::epoch), without its first `start` batches: the rest is the same.
    pub fn epoch_from(&self, epoch: usize, start: usize) -> Batches {
        let LoaderOptions { batch_size, shuffle, seed, threads, ahead, .. } = self.options;
        let mut rng = Rng::stream(seed, EPOCHS.wrapping_add(epoch as u64));
        let mut order = self.examples.clone();
        if shuffle {
            rng.shuffle(&mut order);
        }
        let end = self.batches();
        let start = start.min(end);
        let pool = (threads > 0 && start < end).then(|| {
            let ahead = if ahead == 0 { 2 * threads } else { ahead };
            Pool::new(&self.maker, threads.min(end - start), ahead)
        });
        let mut batches = Batches {
            maker: Arc::clone(&self.maker),
            augment: self.options.augment.clone(),
            batch_size,
            order,
            rng,
            issued: start,
            given: start,
            end,
            room: Room::new(self.maker.data.schema()),
            spare: Vec::new(),
            pool: pool.flatten(),
        };
        // What was drawn for the batches before is drawn, too.
        for example in 0..(start * batch_size).min(batches.order.len()) {
            batches.draw(example..example + 1);
        }
        batches.issue();
        batches
    }

    /// These examples of the data set as one batch: in this order, normalized, cropped in the middle if the
    /// loader crops, and else unchanged.
    ///
    /// # Errors
    ///
    /// [`DataError::Index`], and what keeps an example from being read.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use espalier_data::{Loader, LoaderOptions, Targets, digits};
    /// let loader = Loader::new(Arc::new(digits()?), vec![], LoaderOptions::default())?;
    /// assert_eq!(loader.batch(&[7, 3])?.targets, Targets::Classes(vec![7, 3]));
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn batch(&self, examples: &[usize]) -> Result<Batch, DataError> {
        let schema = self.maker.data.schema();
        let mut changes = Vec::new();
        for _ in examples {
            // Nothing is drawn in a change without chance.
            draw(&self.maker.still, &mut Rng::seeded(0), schema, &mut changes);
        }
        let batch = Batch::new(schema);
        let job = Job { number: 0, examples: examples.to_vec(), changes, batch };
        self.maker.make(job, &mut Room::new(schema))
    }
}

/// How many examples, and the options; not the data.
impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Loader");
        fields.field("examples", &self.examples.len()).field("options", &self.options);
        fields.finish_non_exhaustive()
    }
}

/// What makes batches, in whichever thread.
pub(crate) struct Maker {
    data: Arc<dyn Dataset>,
    dims: Vec<usize>,
    still: Vec<Augment>,
    normalization: Normalization,
}

/// A batch to be made.
pub(crate) struct Job {
    /// Its place in the epoch.
    pub(crate) number: usize,
    examples: Vec<usize>,
    /// As many for each example as there are augmentations.
    changes: Vec<Change>,
    /// One that is used again.
    batch: Batch,
}

/// Buffers to work in.
pub(crate) struct Room {
    record: Record,
    spare: Vec<f32>,
}

impl Room {
    fn new(schema: &Schema) -> Self {
        Self { record: Record::new(schema), spare: Vec::new() }
    }
}

impl Maker {
    pub(crate) fn room(&self) -> Room {
        Room::new(self.data.schema())
    }

    pub(crate) fn make(&self, job: Job, room: &mut Room) -> Result<Batch, DataError> {
        let Job { examples, changes, mut batch, .. } = job;
        batch.clear();
        let each = changes.len() / examples.len().max(1);
        let schema = self.data.schema();
        for (place, index) in examples.iter().enumerate() {
            read_checked(&*self.data, *index, &mut room.record)?;
            if let Inputs::Values(values) = &mut room.record.inputs {
                if let [channels, height, width] = schema.dims[..] {
                    let mut dims = [channels, height, width];
                    for change in &changes[place * each..(place + 1) * each] {
                        change.apply(&mut dims, values, &mut room.spare);
                    }
                }
                self.normalization.apply(values);
            }
            if place == 0 {
                batch.reserve(examples.len(), &room.record);
            }
            batch.push(*index, &room.record);
        }
        batch.dims.push(examples.len());
        batch.dims.extend_from_slice(&self.dims);
        Ok(batch)
    }
}

/// Draws each change for one example.
fn draw(augment: &[Augment], rng: &mut Rng, schema: &Schema, changes: &mut Vec<Change>) {
    if let [_, height, width] = schema.dims[..] {
        let mut sides = [height, width];
        changes.extend(augment.iter().map(|change| change.draw(rng, &mut sides)));
    }
}

/// The batches of one epoch in their order. After an error there are no more.
///
/// Dropped before its end, it stops its threads and waits for them.
pub struct Batches {
    maker: Arc<Maker>,
    augment: Vec<Augment>,
    batch_size: usize,
    order: Vec<usize>,
    rng: Rng,
    /// The next batch to draw for.
    issued: usize,
    /// The next to give.
    given: usize,
    end: usize,
    room: Room,
    spare: Vec<Batch>,
    pool: Option<Pool>,
}

impl Batches {
    /// Takes a batch back that is no longer needed: its memory is used for a later one.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use espalier_data::{Loader, LoaderOptions, digits};
    /// # let loader = Loader::new(Arc::new(digits()?), (0..100).collect(), LoaderOptions::default())?;
    /// let mut epoch = loader.epoch(0);
    /// while let Some(batch) = epoch.next().transpose()? {
    ///     // ... a step of training ...
    ///     epoch.recycle(batch);
    /// }
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn recycle(&mut self, batch: Batch) {
        self.spare.push(batch);
    }

    /// The changes of the examples at these places of the order.
    fn draw(&mut self, places: Range<usize>) -> Vec<Change> {
        let mut changes = Vec::with_capacity(places.len() * self.augment.len());
        for _ in places {
            draw(&self.augment, &mut self.rng, self.maker.data.schema(), &mut changes);
        }
        changes
    }

    /// The next batch to be made, with all that chance has to do with it.
    fn job(&mut self) -> Job {
        let start = self.issued * self.batch_size;
        let places = start..self.order.len().min(start + self.batch_size);
        let changes = self.draw(places.clone());
        let batch = self.spare.pop().unwrap_or_else(|| Batch::new(self.maker.data.schema()));
        let number = self.issued;
        self.issued += 1;
        Job { number, examples: self.order[places].to_vec(), changes, batch }
    }

    /// Gives the threads as much to do as they may be ahead.
    fn issue(&mut self) {
        while let Some(ahead) = self.pool.as_ref().map(Pool::ahead)
            && self.issued < self.end
            && self.issued - self.given < ahead
        {
            let job = self.job();
            if let Some(pool) = &mut self.pool {
                pool.send(job);
            }
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.given >= self.end {
            return None;
        }
        let made = match &mut self.pool {
            Some(pool) => match pool.receive(self.given) {
                Ok(made) => made,
                // A data set of the caller's panicked: as it would have in this thread.
                Err(panic) => {
                    self.end = self.given;
                    self.pool = None;
                    resume_unwind(panic)
                }
            },
            None => {
                let job = self.job();
                self.maker.make(job, &mut self.room)
            }
        };
        self.given += 1;
        if made.is_err() {
            self.end = self.given;
            self.pool = None;
        }
        self.issue();
        Some(made)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end - self.given;
        // An error ends it.
        (left.min(1), Some(left))
    }
}
