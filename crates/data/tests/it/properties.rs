use std::sync::Arc;

use espalier_data::{
    Augment, Batch, CsvOptions, CsvTarget, Dataset, Input, Loader, LoaderOptions, Memory,
    Normalization, Order, Schema, Sequences, Split, Target, Targets, Text, read_csv_bytes,
    read_idx_bytes,
};
use proptest::prelude::*;

use crate::idx::{file, gzip};

fn images(dims: [usize; 3], classes: &[usize]) -> Memory {
    let count = 3;
    let schema = Schema {
        dims: dims.to_vec(),
        input: Input::Values { largest: Some(255.0) },
        target: Target::Class { names: (0..count).map(|class| class.to_string()).collect() },
    };
    let size: usize = dims.iter().product();
    let bytes: Vec<u8> = (0..size * classes.len()).map(|at| (at * 7 % 256) as u8).collect();
    let classes = classes.iter().map(|class| *class as i64).collect();
    Memory::new(schema, bytes, Targets::Classes(classes)).unwrap()
}

fn augmentations(sides: [usize; 2]) -> impl Strategy<Value = Vec<Augment>> {
    let side = |axis: usize| 1..=sides[axis] + 2;
    let one = prop_oneof![
        (0..sides[0].max(sides[1])).prop_map(|by| Augment::Shift { by }),
        (0.0..=1.0, 0.0..=1.0)
            .prop_map(|(horizontal, vertical)| Augment::Flip { horizontal, vertical }),
        (0.0..=180.0).prop_map(|degrees| Augment::Rotate { degrees }),
    ];
    let crop = (side(0), side(1))
        .prop_map(|(height, width)| Augment::Crop { padding: 1, size: [height, width] });
    (prop::collection::vec(one, 0..4), prop::option::of(crop)).prop_map(|(mut all, crop)| {
        all.extend(crop);
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_split_is_a_partition(
        classes in prop::collection::vec(0usize..3, 1..200),
        validation in 0.0..0.6f64,
        test in 0.0..0.4f64,
        seed: u64,
    ) {
        let data = images([1, 1, 1], &classes);
        if let Ok(split) = Split::of(&data, validation, test, seed) {
            let Split { train, validation: held, test: last } = &split;
            let mut all = [&train[..], &held[..], &last[..]].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..classes.len()).collect::<Vec<_>>());
            prop_assert!(train.is_sorted() && held.is_sorted() && last.is_sorted());
            for class in 0..3 {
                let count = |part: &[usize]| part.iter().filter(|at| classes[**at] == class).count();
                let total = count(train) + count(held) + count(last);
                prop_assert!(total == 0 || count(train) > 0);
                let wanted = validation * total as f64;
                prop_assert!((count(held) as f64 - wanted).abs() <= 1.0);
            }
            prop_assert_eq!(&split, &Split::of(&data, validation, test, seed).unwrap());
        }
    }

    #[test]
    fn parts_of_a_text_share_no_target(
        length in 1usize..8,
        stride in 1usize..8,
        bytes in 60usize..200,
        validation in 0.05..0.4f64,
        test in 0.05..0.4f64,
    ) {
        let text = Text::from_bytes(vec![0; bytes], "t", length, stride).unwrap();
        let Order::Consecutive { .. } = text.order() else { panic!() };
        if let Ok(split) = Split::of(&text, validation, test, 0) {
            let targets = |part: &[usize]| {
                let starts = part.iter().map(|window| window * stride);
                starts.flat_map(|start| start + 1..=start + length).collect::<Vec<_>>()
            };
            let [train, held, last] =
                [&split.train, &split.validation, &split.test].map(|part| targets(part));
            prop_assert!(train.iter().max() < held.iter().min());
            prop_assert!(held.iter().max() < last.iter().min());
            prop_assert_eq!(last.iter().max(), Some(&((text.len() - 1) * stride + length)));
        }
    }

    #[test]
    fn an_epoch_gives_every_example_once_with_any_threads(
        count in 1usize..60,
        batch_size in 1usize..20,
        drop_last: bool,
        seed: u64,
        epoch in 0usize..1000,
        start in 0usize..6,
        ahead in 0usize..4,
        augment in augmentations([4, 5]),
    ) {
        let data = Arc::new(images([2, 4, 5], &vec![1; count]));
        let examples: Vec<usize> = (0..count).rev().collect();
        let loader = |threads| {
            let options = LoaderOptions {
                batch_size,
                shuffle: true,
                drop_last,
                seed,
                threads,
                ahead,
                augment: augment.clone(),
                normalization: Normalization::Standard { mean: vec![1.0, 2.0], std: vec![3.0, 5.0] },
            };
            Loader::new(data.clone(), examples.clone(), options).unwrap()
        };
        let all = |threads, start| {
            let loader = loader(threads);
            loader.epoch_from(epoch, start).map(Result::unwrap).collect::<Vec<Batch>>()
        };
        let alone = all(0, 0);
        let mut seen: Vec<usize> = alone.iter().flat_map(|batch| batch.indices.clone()).collect();
        seen.sort_unstable();
        if drop_last {
            prop_assert_eq!(seen.len(), count / batch_size * batch_size);
            seen.dedup();
            prop_assert_eq!(seen.len(), count / batch_size * batch_size);
        } else {
            prop_assert_eq!(seen, (0..count).collect::<Vec<_>>());
        }
        let dims = Augment::dims(&augment, data.schema()).unwrap();
        for batch in &alone {
            prop_assert_eq!(&batch.dims[1..], &dims[..]);
            prop_assert_eq!(batch.inputs.len(), batch.dims.iter().product::<usize>());
            prop_assert!(batch.inputs.values().unwrap().iter().all(|value| value.is_finite()));
            prop_assert_eq!(batch.target_dims(), [batch.len()]);
        }
        for threads in 1..=4 {
            prop_assert_eq!(&all(threads, 0), &alone);
        }
        let start = start.min(alone.len());
        prop_assert_eq!(&all(0, start)[..], &alone[start..]);
        prop_assert_eq!(&all(2, start)[..], &alone[start..]);
    }

    #[test]
    fn mutated_idx_files_never_panic(
        at in prop::collection::vec((0usize..28, any::<u8>()), 0..4),
        cut in 0usize..40,
        packed: bool,
    ) {
        let mut images = file(8, &[2, 2, 3], &[9; 12]);
        for (place, byte) in &at {
            images[*place] = *byte;
        }
        images.truncate(cut.max(4).min(images.len()));
        let images = if packed { gzip(&images) } else { images };
        let labels = file(8, &[2], &[1, 0]);
        if let Ok(data) = read_idx_bytes((&images, "x"), (&labels, "y"), None) {
            prop_assert_eq!(data.len(), 2);
        }
        let _ = read_idx_bytes((&labels, "x"), (&images, "y"), None);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_idx_bytes((&bytes, "x"), (&bytes, "y"), None);
        let _ = read_csv_bytes(&bytes, "t", &CsvOptions::default());
        let _ = Sequences::from_bytes(&bytes, "t");
    }

    #[test]
    fn mutated_tables_never_panic(
        at in prop::collection::vec((0usize..60, any::<u8>()), 0..6),
        header: bool,
        by_name: bool,
    ) {
        let mut bytes = b"one,two,\"th,ree\"\n1.5,2,x\n-3e2,\"4\",\"y\"\"\"\r\n\n5,6,x\n7,8,\"z\nz\"\n".to_vec();
        if !header {
            bytes.drain(..17);
        }
        let size = bytes.len();
        for (place, byte) in at {
            bytes[place % size] = byte;
        }
        let column = if by_name { "th,ree".into() } else { 2.into() };
        let target = CsvTarget::Class { column, classes: None };
        let options = CsvOptions { target, ..CsvOptions::default() };
        match read_csv_bytes(&bytes, "t", &options) {
            Ok(data) => prop_assert!(!data.is_empty()),
            Err(error) => prop_assert!(error.to_string().contains('t')),
        }
    }
}
