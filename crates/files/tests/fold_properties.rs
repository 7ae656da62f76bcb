//! What holds of every fold.

use espalier_checkpoint::{Checkpoint, NamedTensor};
use espalier_files::{FoldOptions, MapOf, fold};
use proptest::prelude::*;

const SHAPES: [&[usize]; 9] =
    [&[], &[1], &[3], &[0], &[2, 3], &[3, 2], &[3, 3], &[3, 0], &[2, 3, 3]];

const PARTS: &[&str] = &[
    "m.w_g",
    "m.w_v",
    "m.w_u",
    "m.w_orig",
    "m.w_mask",
    "m.w",
    "m.parametrizations.w.original",
    "m.parametrizations.w.original0",
    "m.parametrizations.w.original1",
    "m.parametrizations.w.0.base",
    "m.parametrizations.w.0.u_base",
    "m.parametrizations.w.0.v_base",
    "m.parametrizations.w.0._u",
    "m.parametrizations.w.0._v",
    "m.parametrizations.w.1._u",
    "m.parametrizations.w.1._v",
    "m.parametrizations.w.0.lora_A",
    "m.parametrizations.w.0.lora_B",
    "m.parametrizations.w.0.scores",
    "m.base_layer.weight",
    "m.weight",
    "m.bias",
    "m.lora_A.weight",
    "m.lora_B.weight",
    "m.lora_B.bias",
    "m.lora_embedding_A",
    "m.lora_embedding_B",
    "m.lora_magnitude_vector",
];

const RULES: &[&str] = &[
    "",
    r#"{"rule":"orthogonal","options":{"map":"exp","trivialization":true}}"#,
    r#"{"rule":"orthogonal","options":{"map":null,"trivialization":false}}"#,
    r#"{"rule":"spectral_norm","options":{"eps":1e-12,"dim":1}}"#,
    r#"{"rule":"weight_norm","options":{"dim":0}}"#,
    r#"{"rule":"sphere","options":{"dim":0,"radius":1.0}}"#,
    r#"{"rule":"symmetric","options":{}}"#,
    r#"{"rule":"sigmoid_mask","options":{"temperature":1.0}}"#,
    r#"{"rule":"low_rank","options":{"rank":2,"map":"exp"}}"#,
    r#"{"rule":"positive_definite","options":{"map":"cayley"}}"#,
    r#"{"rule":"lora","options":{"rank":1,"alpha":null}}"#,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// A weight norm gives slices of the lengths asked for, whichever dimension is kept.
    #[test]
    fn slices_get_their_lengths(
        shape in prop::collection::vec(1usize..4, 1..4),
        dim in 0usize..3,
        seed in 1u32..1000,
    ) {
        let dim = dim % shape.len();
        let mut lengths = vec![1; shape.len()];
        lengths[dim] = shape[dim];
        let mut state = seed;
        let mut draw = |n: usize| -> Vec<f64> {
            (0..n).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f64::from(state >> 8) / f64::from(1 << 24) + 0.1
            }).collect()
        };
        let (g, v) = (draw(shape[dim]), draw(shape.iter().product()));
        let mut file = Checkpoint::new();
        file.push(NamedTensor::f64("w_g", lengths, &g)?)?;
        file.push(NamedTensor::f64("w_v", shape.clone(), &v)?)?;
        let folded = fold(&file, &FoldOptions::default())?;
        let weight = folded.checkpoint.get("w").map(NamedTensor::to_f64_vec).transpose()?.unwrap_or_default();
        let inner: usize = shape[dim + 1..].iter().product();
        let mut squares = vec![0.0; shape[dim]];
        for (at, x) in weight.iter().enumerate() {
            squares[at / inner % shape[dim]] += x * x;
        }
        for (square, g) in squares.iter().zip(&g) {
            prop_assert!((square.sqrt() - g).abs() < 1e-12 * g);
        }
    }

    /// Whatever is in a file, it folds, or an error says why not.
    #[test]
    fn no_file_makes_it_panic(
        parts in prop::collection::btree_map(prop::sample::select(PARTS), (0usize..9, 0u8..4), 1..7),
        rule in prop::sample::select(RULES),
        map in prop::sample::select(&["*=cayley", "*=matrix_exp", "*=householder"]),
    ) {
        let mut file = Checkpoint::new();
        for (name, (shape, value)) in &parts {
            let shape = SHAPES[*shape].to_vec();
            let values = (0..shape.iter().product::<usize>()).map(|i| (i % 3) as f32 - f32::from(*value));
            file.push(NamedTensor::f32(*name, shape, &values.collect::<Vec<_>>())?)?;
        }
        if !rule.is_empty() {
            let slots = format!(r#"{{"version":1,"slots":[{{"path":"m.w","links":[{rule}]}}]}}"#);
            file.metadata.insert("espalier.extra_state".to_owned(), slots);
        }
        let maps: Vec<MapOf> = map.parse().into_iter().collect();
        for maps in [Vec::new(), maps] {
            let options = FoldOptions { alpha: Some(2.0), maps, ..FoldOptions::default() };
            if let Ok(folded) = fold(&file, &options) {
                let shapes: Vec<Vec<usize>> = folded.checkpoint.iter().map(|t| t.shape().to_vec()).collect();
                let loaded = folded.checkpoint.load()?;
                prop_assert!(loaded.iter().map(|t| t.shape().to_vec()).eq(shapes));
            }
        }
    }

    /// Names that are no parts are left alone, in their order.
    #[test]
    fn plain_files_stay(names in prop::collection::btree_set("[a-c]{1,3}(\\.(weight|bias|running_mean|lora|_orig))?", 0..8)) {
        let mut file = Checkpoint::new();
        for (at, name) in names.iter().enumerate() {
            file.push(NamedTensor::f32(name.clone(), vec![1], &[at as f32])?)?;
        }
        let folded = fold(&file, &FoldOptions::default())?;
        prop_assert_eq!(&folded.checkpoint, &file);
        prop_assert!(folded.summary.folded.is_empty());
    }
}
