use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use espalier_data::{
    Augment, Batch, DataError, Dataset, Input, Loader, LoaderOptions, Memory, Normalization,
    Record, Schema, Split, Target, Targets, Text, digits,
};
use espalier_kernels::Rng;

use crate::message;

/// The epochs of the digits before this crate, to which stored runs are bound: pixels divided by 16,
/// shifted, in batches.
fn former(
    train: &[usize],
    shift: usize,
    seed: u64,
    epoch: u64,
    size: usize,
) -> Vec<(Vec<f32>, Vec<i64>)> {
    let data = digits().unwrap();
    let mut rng = Rng::stream(seed, (1 << 32) + epoch);
    let mut order = train.to_vec();
    rng.shuffle(&mut order);
    let mut record = Record::new(data.schema());
    let mut batches = Vec::new();
    for images in order.chunks(size) {
        let (mut values, mut labels) = (Vec::new(), Vec::new());
        for image in images {
            let [down, right] = if shift > 0 {
                [(); 2].map(|()| rng.below(2 * shift + 1) as isize - shift as isize)
            } else {
                [0, 0]
            };
            data.read(*image, &mut record).unwrap();
            let pixels = record.inputs.values().unwrap();
            for place in 0..64 {
                let (y, x) = (place / 8 - down, place % 8 - right);
                let inside = (0..8).contains(&y) && (0..8).contains(&x);
                values.push(if inside { pixels[(y * 8 + x) as usize] } else { 0.0 } / 16.0);
            }
            labels.push(data.class(*image).unwrap().unwrap() as i64);
        }
        batches.push((values, labels));
    }
    batches
}

#[test]
fn the_digits_come_as_they_did() {
    let data = Arc::new(digits().unwrap());
    let train = Split::of(&data, 0.2, 0.0, 0).unwrap().train;
    for (shift, seed, epoch, threads) in [(0, 0, 0, 0), (1, 0, 3, 0), (1, 5, 0, 2), (7, 1, 1, 1)] {
        let options = LoaderOptions {
            batch_size: 100,
            seed,
            threads,
            augment: vec![Augment::Shift { by: shift }],
            normalization: Normalization::Divide { by: 16.0 },
            ..LoaderOptions::default()
        };
        let loader = Loader::new(data.clone(), train.clone(), options).unwrap();
        let expected = former(&train, shift, seed, epoch, 100);
        let found: Vec<Batch> = loader.epoch(epoch as usize).map(Result::unwrap).collect();
        assert_eq!(found.len(), expected.len());
        for (batch, (values, labels)) in found.iter().zip(&expected) {
            let bits = |values: &[f32]| values.iter().map(|at| at.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(batch.inputs.values().unwrap()), bits(values));
            assert_eq!(batch.targets, Targets::Classes(labels.clone()));
        }
    }
}

/// Numbers, of which some take long, and some go wrong.
struct Slow {
    schema: Schema,
    /// What is wrong with an example: nothing, an error, a panic, a length.
    wrong: fn(usize) -> u8,
    reads: AtomicUsize,
}

impl Slow {
    fn new(wrong: fn(usize) -> u8) -> Arc<Self> {
        let input = Input::Values { largest: None };
        let schema = Schema { dims: vec![1], input, target: Target::Values { features: 1 } };
        Arc::new(Self { schema, wrong, reads: AtomicUsize::new(0) })
    }
}

impl Dataset for Slow {
    fn len(&self) -> usize {
        100
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn read(&self, index: usize, record: &mut Record) -> Result<(), DataError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        // The first of each batch of ten takes the longest.
        std::thread::sleep(Duration::from_micros(if index.is_multiple_of(20) { 3000 } else { 10 }));
        record.set_values([index as f32]);
        record.set_target_values([0.0]);
        match (self.wrong)(index) {
            1 => Err(DataError::Index { index, len: 0 }),
            2 => panic!("example {index}"),
            3 => {
                record.set_values([0.0, 1.0]);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn loader(data: Arc<Slow>, threads: usize, ahead: usize) -> Loader {
    let options = LoaderOptions {
        batch_size: 10,
        shuffle: false,
        threads,
        ahead,
        ..LoaderOptions::default()
    };
    Loader::new(data, (0..100).collect(), options).unwrap()
}

#[test]
fn batches_keep_their_order_whichever_is_ready_first() {
    let loader = loader(Slow::new(|_| 0), 4, 0);
    let found: Vec<usize> = loader.epoch(0).flat_map(|batch| batch.unwrap().indices).collect();
    assert_eq!(found, (0..100).collect::<Vec<_>>());
}

#[test]
fn an_error_comes_in_its_place_and_ends_the_epoch() {
    for threads in [0, 1, 3] {
        let loader = loader(Slow::new(|index| u8::from(index == 57)), threads, 0);
        let found: Vec<_> = loader.epoch(0).collect();
        assert_eq!(found.len(), 6, "{threads} threads");
        assert!(found[..5].iter().all(Result::is_ok));
        assert!(matches!(found[5], Err(DataError::Index { index: 57, .. })));
    }
}

#[test]
fn examples_that_are_not_of_the_schema_are_errors() {
    let loader = loader(Slow::new(|index| if index == 3 { 3 } else { 0 }), 1, 0);
    assert_eq!(
        message(loader.epoch(0).next().unwrap()),
        "example 3: the inputs are 2 values; expected 1 values, as the schema says"
    );
}

#[test]
#[should_panic(expected = "example 23")]
fn a_panic_comes_through() {
    loader(Slow::new(|index| if index == 23 { 2 } else { 0 }), 2, 0).epoch(0).for_each(drop);
}

#[test]
fn no_more_is_read_ahead_than_allowed() {
    let data = Slow::new(|_| 0);
    let mut epoch = loader(data.clone(), 2, 3).epoch(0);
    epoch.next().unwrap().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    // One was taken, three are ready or in the making.
    assert!(data.reads.load(Ordering::Relaxed) <= 40);
    drop(epoch);
    let reads = data.reads.load(Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(data.reads.load(Ordering::Relaxed), reads);
    // The threads are gone, and what they held with them.
    assert_eq!(Arc::strong_count(&data), 1);
}

#[test]
fn recycled_batches_hold_nothing_of_before() {
    for threads in [0, 2] {
        let loader = loader(Slow::new(|_| 0), threads, 0);
        let all: Vec<Batch> = loader.epoch(0).map(Result::unwrap).collect();
        let mut epoch = loader.epoch(0);
        let mut again = Vec::new();
        while let Some(batch) = epoch.next() {
            let batch = batch.unwrap();
            again.push(batch.clone());
            epoch.recycle(batch);
        }
        assert_eq!(again, all);
    }
}

#[test]
fn options_have_bounds() {
    let data = || Arc::new(digits().unwrap());
    let of = |options| message(Loader::new(data(), vec![0], options));
    let default = LoaderOptions::default;
    assert_eq!(
        of(LoaderOptions { batch_size: 0, ..default() }),
        "batch size is 0; expected a whole number from 1 to 16777216"
    );
    assert!(of(LoaderOptions { threads: 1000, ..default() }).starts_with("threads is 1000;"));
    assert_eq!(
        message(Loader::new(data(), vec![1797], default())),
        "example 1797 was asked for; expected one from 0 to 1796"
    );
    let augment = |change| of(LoaderOptions { augment: vec![change], ..default() });
    assert_eq!(
        augment(Augment::Shift { by: 8 }),
        "shift is 8; expected less than the image's larger side, 8"
    );
    assert_eq!(
        augment(Augment::Flip { horizontal: 0.5, vertical: f64::NAN }),
        "flip is NaN; expected a probability from 0 to 1"
    );
    assert_eq!(
        augment(Augment::Rotate { degrees: -1.0 }),
        "rotate is -1; expected degrees from 0 to 180"
    );
    let text = Arc::new(Text::from_bytes(b"to be".to_vec(), "t", 2, 2).unwrap());
    let options = LoaderOptions { augment: vec![Augment::Shift { by: 1 }], ..default() };
    assert_eq!(
        message(Loader::new(text, vec![0], options)),
        "augmentation is for inputs of [2]; expected images, of values [channels, height, width]"
    );
}

#[test]
fn a_crop_is_drawn_to_train_with_and_in_the_middle_to_validate_with() {
    let schema = Schema {
        dims: vec![1, 4, 4],
        input: Input::Values { largest: None },
        target: Target::Class { names: vec!["only".into()] },
    };
    let values: Vec<f32> = (0..16).map(|at| at as f32).collect();
    let data = Arc::new(Memory::new(schema, values, Targets::Classes(vec![0])).unwrap());
    let train = vec![Augment::Crop { padding: 0, size: [2, 2] }];
    let still = Augment::without_chance(&train);
    let loader = |augment| {
        let options = LoaderOptions { augment, ..LoaderOptions::default() };
        Loader::new(data.clone(), vec![0], options).unwrap()
    };
    let middle = [5.0, 6.0, 9.0, 10.0];
    let of = |loader: &Loader, epoch| {
        let batch = loader.epoch(epoch).next().unwrap().unwrap();
        assert_eq!(batch.dims, [1, 1, 2, 2]);
        batch.inputs.values().unwrap().to_vec()
    };
    let validation = loader(still);
    assert!((0..5).all(|epoch| of(&validation, epoch) == middle));
    let train = loader(train);
    assert_eq!(train.dims(), [1, 2, 2]);
    let mut seen: Vec<_> = (0..100).map(|epoch| of(&train, epoch)[0] as usize).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [0, 1, 2, 4, 5, 6, 8, 9, 10]);
    assert_eq!(train.batch(&[0]).unwrap().inputs.values(), Some(&middle[..]));
}
