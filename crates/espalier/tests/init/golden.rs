//! Against PyTorch: what has no randomness, and the scale of what has.

use std::collections::BTreeSet;
use std::path::Path;

use espalier::init::{Fan, Init, Nonlinearity, Rng, calculate_gain, fans};
use espalier_checkpoint::Checkpoint;
use serde_json::Value;

fn golden() -> (Checkpoint, Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/init.safetensors");
    let checkpoint = espalier_checkpoint::read_safetensors(&path).unwrap();
    let notes = serde_json::from_str(&checkpoint.metadata["cases"]).unwrap();
    (checkpoint, notes)
}

fn shape(note: &Value) -> Vec<usize> {
    note["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
}

fn names(prefixes: &[&str]) -> BTreeSet<String> {
    let notes = golden().1;
    let names = notes.as_object().unwrap().keys();
    names.filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix))).cloned().collect()
}

/// The case's method, filled into a tensor of its shape.
fn init(note: &Value) -> Init {
    match note["method"].as_str().unwrap() {
        "constant_" => Init::Constant(note["options"]["val"].as_f64().unwrap()),
        "ones_" => Init::Ones,
        "zeros_" => Init::Zeros,
        "eye_" => Init::Eye,
        "dirac_" => Init::Dirac { groups: note["options"]["groups"].as_u64().unwrap() as usize },
        other => panic!("no test for {other}"),
    }
}

#[test]
fn every_case_is_tested() {
    let tested = names(&["constant", "ones", "zeros", "eye_", "dirac_", "scale_", "gains"]);
    assert_eq!(tested, names(&[""]));
    assert_eq!(tested.len(), 16);
}

#[test]
fn constants_identities_and_diracs_are_the_same_numbers() {
    let (checkpoint, notes) = golden();
    for name in names(&["constant", "ones", "zeros", "eye_", "dirac_"]) {
        let found = init(&notes[&name]).values(&shape(&notes[&name]), &mut Rng::seeded(0)).unwrap();
        let double = checkpoint.get(&format!("{name}.f64.weight")).unwrap();
        assert_eq!(found, double.to_f64_vec().unwrap(), "{name}");
        let single: Vec<f32> = found.iter().map(|value| *value as f32).collect();
        let expected = checkpoint.get(&format!("{name}.f32.weight")).unwrap();
        assert_eq!(single, expected.to_f32_vec().unwrap(), "{name}");
    }
}

#[test]
fn gains_are_the_same_numbers() {
    let notes = golden().1;
    let gains = notes["gains"]["gains"].as_array().unwrap();
    assert_eq!(gains.len(), 14);
    for gain in gains {
        let (name, slope) = (gain[0].as_str().unwrap(), gain[1].as_f64());
        let found = calculate_gain(name, slope).unwrap();
        let expected = gain[2].as_f64().unwrap();
        assert!((found - expected).abs() <= 1e-15 * expected, "{name} {slope:?}: {found}");
    }
}

#[test]
fn bounds_and_deviations_have_the_same_scale() {
    let (checkpoint, notes) = golden();
    let unit = |init: Init, shape: &[usize]| init.values(shape, &mut Rng::seeded(5)).unwrap();
    let mut compared = 0;
    for name in names(&["scale_"]) {
        let (note, shape) = (&notes[&name], shape(&notes[&name]));
        let expected = ["fan_in", "fan_out"].map(|fan| note[fan].as_u64().unwrap() as usize);
        assert_eq!(fans(&shape).unwrap(), (expected[0], expected[1]));
        let slope = note["slope"].as_f64().unwrap();
        let gain = note["xavier_gain"].as_f64().unwrap();
        let mut cases = vec![
            ("xavier_uniform".to_owned(), Init::XavierUniform(gain)),
            ("xavier_normal".to_owned(), Init::XavierNormal(gain)),
        ];
        for (fan, side) in [("fan_in", Fan::In), ("fan_out", Fan::Out)] {
            for (activation, nonlinearity) in [
                ("relu", Nonlinearity::Relu),
                ("leaky_relu", Nonlinearity::LeakyRelu(slope)),
                ("tanh", Nonlinearity::Tanh),
            ] {
                let uniform = Init::KaimingUniform(nonlinearity, side);
                cases.push((format!("kaiming_uniform_{fan}_{activation}"), uniform));
                let normal = Init::KaimingNormal(nonlinearity, side);
                cases.push((format!("kaiming_normal_{fan}_{activation}"), normal));
            }
        }
        for (what, init) in cases {
            let plain = match init {
                Init::XavierUniform(_) | Init::KaimingUniform(..) => Init::Uniform(-1.0, 1.0),
                _ => Init::Normal(0.0, 1.0),
            };
            let expected = checkpoint.get(&format!("{name}.f64.{what}")).unwrap();
            let expected = expected.to_f64_vec().unwrap()[0];
            for (value, plain) in unit(init, &shape).iter().zip(unit(plain, &shape)) {
                let off = (value - plain * expected).abs();
                assert!(off <= 1e-12 * expected, "{name} {what}: {value} {plain} {expected}");
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 42);
}
