//! Saved here, loaded there.

use std::path::Path;
use std::process::Command;

use burn::module::Module;
use burn::nn::{LinearConfig, LinearLayout};
use burn::optim::AdamWConfig;
use espalier::Parametrized;
use espalier::nn::Sequential;
use espalier::parametrize::{Orthogonal, Rules, Symmetric, WeightNorm};
use espalier::prune::L1Unstructured;
use espalier::state::{StateDict, Strict};

use crate::common::{device, output, train, values, wrapped};

const CHILD: &str = "ESPALIER_TEST_RECORD";

fn net() -> Parametrized<Sequential> {
    let mut net = wrapped(20);
    net.register("0.weight", WeightNorm::whole()).unwrap();
    net.register("3.weight", Symmetric::new()).unwrap();
    net.register("3.weight", Orthogonal::cayley()).unwrap();
    net.prune("5.weight", L1Unstructured::new(0.5)).unwrap();
    net.prune("0.weight", L1Unstructured::new(0.3)).unwrap();
    net.tie("3.bias", "0.bias").unwrap();
    train(net, &mut AdamWConfig::new().init(), 4)
}

fn bits(net: &Parametrized<Sequential>) -> String {
    let output = output(&net.valid(), 1);
    output.iter().map(|v| format!("{:08x}", v.to_bits())).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_record_rebuilds_the_slots_in_a_fresh_process() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("net.bpk");
    let net = net();
    net.clone().save_file(&file).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "records::in_a_fresh_process", "--nocapture"])
        .env(CHILD, &file)
        .output()
        .unwrap();
    let printed = String::from_utf8(child.stdout).unwrap();
    assert!(child.status.success(), "{printed}{}", String::from_utf8_lossy(&child.stderr));
    let expected = format!("loaded {}", bits(&net));
    assert!(printed.lines().any(|line| line.contains(&expected)), "{printed}\n{expected}");
}

/// The other side of the test above, which runs it in a process of its own.
#[test]
fn in_a_fresh_process() {
    let Ok(file) = std::env::var(CHILD) else {
        // Without a file to load there is still something to check: an untouched wrapper differs.
        assert_ne!(bits(&wrapped(21)), bits(&net()));
        return;
    };
    let net = wrapped(99).load_file(Path::new(&file));
    assert!(net.is_parametrized("3.weight") && net.is_pruned("0.weight"));
    assert_eq!(net.ties(), [("3.bias".to_owned(), "0.bias".to_owned())]);
    println!("loaded {}", bits(&net));
}

#[test]
fn a_record_loads_into_a_wrapper_with_the_same_slots() {
    let net = net();
    let mut other = wrapped(22);
    other.apply_description(&net.description(), &Rules::builtin()).unwrap();
    let other = other.load_record(net.clone().into_record());
    assert_eq!(bits(&other), bits(&net));
    assert_eq!(StateDict::of(&other), StateDict::of(&net));
    // Optimizer state is kept under ids, which a record restores.
    let ids = |net: &Parametrized<Sequential>| -> Vec<_> {
        net.entries().into_iter().map(|p| p.id).collect()
    };
    assert_eq!(ids(&other)[1], ids(&net)[1]);
}

#[test]
fn a_state_dict_file_rebuilds_it_too() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("net.safetensors");
    let net = net();
    StateDict::of(&net).save(&file).unwrap();
    let state = StateDict::open(&file).unwrap();
    let mut other = wrapped(23);
    other.apply_description(state.description().unwrap(), &Rules::builtin()).unwrap();
    let other = state.load_into(other, Strict::Yes).unwrap();
    assert_eq!(bits(&other), bits(&net));
    assert!(other.entries().iter().any(|p| p.trainable));
}

#[test]
fn a_plain_record_does_not_load_into_slots_and_says_so() {
    let error = net().try_load_record(wrapped(1).into_record()).unwrap_err().to_string();
    assert!(error.contains("parametrizations.weight.original"), "{error}");
}

#[test]
fn originals_keep_the_load_and_save_mappers_of_a_column_layout() {
    // Square, since Burn checks an initialized column weight against its shape in memory.
    let config = || LinearConfig::new(6, 6).with_layout(LinearLayout::Col);
    let linear = || Parametrized::new(config().init(&device()));
    let mut net = linear();
    net.prune("weight", L1Unstructured::new(0.5)).unwrap();
    net.register("weight", Symmetric::new()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("col.bpk");
    net.clone().save_file(&file).unwrap();
    let value = |net: &Parametrized<burn::nn::Linear>| net.get::<2>("weight").unwrap().into_data();
    let other = linear().load_file(&file);
    value(&other).assert_eq(&value(&net), true);

    // Folded, it is saved and loaded as any column layer.
    let file = directory.path().join("plain.bpk");
    net.clone().fold().save_file(&file).unwrap();
    let plain = config().init(&device()).load_file(&file);
    plain.weight.val().into_data().assert_eq(&value(&net), true);
}

#[test]
fn damaged_descriptions_are_errors_and_change_nothing() {
    let good = net().description();
    let damaged = [
        ("", "EOF"),
        ("{}", "missing field"),
        (&good.replace("symmetric", "symetric"), "unknown rule"),
        (&good.replace("\"version\":1,\"slots\"", "\"version\":9,\"slots\""), "version 9 is newer"),
        (&good.replace("3.weight", "4.weight"), "matches no parameter"),
        (&good.replace("\"dim\":null", "\"dim\":7"), "dimension 7"),
        (&good.replace("\"dim\":null", "\"dims\":0"), "unknown field"),
    ];
    for (text, expected) in damaged {
        let mut net = wrapped(24);
        let before = values::<2>(&net, "0.weight");
        let error = net.apply_description(text, &Rules::builtin()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}\nexpected {expected}");
        assert_eq!(net.description(), wrapped(24).description());
        assert_eq!(values::<2>(&net, "0.weight"), before);
    }
}
