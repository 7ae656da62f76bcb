//! PyTorch's packed tensors: the gates of recurrent layers, the projections of attention.

use burn::module::Module;
use burn::nn::attention::{MhaInput, MultiHeadAttentionConfig};
use burn::nn::{BiGruConfig, BiLstmConfig, BiRnnConfig, GruConfig, Lstm, LstmConfig, RnnConfig};
use burn::tensor::Tensor;
use espalier::parametrize::WeightNorm;
use espalier::state::{StateDict, Strict};
use espalier::{Error, Parametrized};
use espalier_checkpoint::NamedTensor;

use crate::common::{Case, Golden, Tolerance, assert_close, device, tensor, values};

/// The case in f32, in which Burn makes its states.
fn case<'a>(golden: &'a Golden, name: &str) -> Case<'a> {
    let [single, _] = golden.case(name);
    single
}

fn holds<M: Module>(name: &str, module: M, forward: impl Fn(&M, Tensor<3>) -> Tensor<3>) {
    let golden = Golden::open("packed");
    let case = case(&golden, name);
    let file = case.state_dict("state.");
    let module = file.load_into(module, Strict::Yes).unwrap();
    let input = tensor(&case.values("input"), &case.shape("input"), case.dtype);
    let output = values(forward(&module, input));
    let tolerance = Tolerance::elementwise(case.dtype);
    assert_close(&case.label("output"), &output, &case.values("output"), tolerance);
    // And back: what PyTorch would load, to the bit.
    let saved = StateDict::for_torch(&module);
    assert_eq!(saved.shapes().len(), file.shapes().len(), "{name}");
    for tensor in file.checkpoint().iter() {
        assert_eq!(saved.checkpoint().get(tensor.name()), Some(tensor), "{name}");
    }
    // The parts under Burn's names load as well.
    let apart = StateDict::of(&module);
    assert_ne!(apart.shapes(), file.shapes());
    assert_eq!(StateDict::of(&apart.load_into(module, Strict::Yes).unwrap()), apart);
}

#[test]
fn recurrent_layers_are_pytorchs() {
    let d = device();
    let lstm = |bias| LstmConfig::new(4, 3, bias).init(&d);
    holds("lstm", lstm(true), |lstm, x| lstm.forward(x, None).0);
    holds("lstm_no_bias", lstm(false), |lstm, x| lstm.forward(x, None).0);
    holds("gru", GruConfig::new(4, 3, true).init(&d), |gru, x| gru.forward(x, None));
    holds("rnn", RnnConfig::new(4, 3, true).init(&d), |rnn, x| rnn.forward(x, None).0);
}

#[test]
fn both_ways_are_pytorchs() {
    let d = device();
    let lstm = BiLstmConfig::new(4, 3, true).init(&d);
    holds("lstm_both_ways", lstm, |lstm, x| lstm.forward(x, None).0);
    let gru = BiGruConfig::new(4, 3, true).init(&d);
    holds("gru_both_ways", gru, |gru, x| gru.forward(x, None).0);
    let rnn = BiRnnConfig::new(4, 3, true).init(&d);
    holds("rnn_both_ways", rnn, |rnn, x| rnn.forward(x, None).0);
}

#[test]
fn attention_is_pytorchs() {
    for (name, bias) in [("attention", true), ("attention_no_bias", false)] {
        let config = MultiHeadAttentionConfig::new(6, 2)
            .with_dropout(0.0)
            .with_query_bias(bias)
            .with_key_bias(bias)
            .with_value_bias(bias)
            .with_output_bias(bias);
        let attention = config.init(&device());
        holds(name, attention, |attention, x| attention.forward(MhaInput::self_attn(x)).context);
    }
    Golden::open("packed").assert_all_tested([
        "lstm",
        "lstm_both_ways",
        "lstm_no_bias",
        "gru",
        "gru_both_ways",
        "rnn",
        "rnn_both_ways",
        "attention",
        "attention_no_bias",
    ]);
}

#[derive(Module, Debug)]
struct Tagger {
    encoder: Lstm,
}

#[test]
fn layers_in_a_network_have_their_paths() {
    let file = case(&Golden::open("packed"), "lstm").state_dict("state.");
    let moved = file.checkpoint().clone().renamed(|name| format!("encoder.{name}")).unwrap();
    let net = Parametrized::new(Tagger { encoder: LstmConfig::new(4, 3, true).init(&device()) });
    let net = StateDict::from_checkpoint(moved.clone()).unwrap().load_into(net, Strict::Yes);
    let saved = StateDict::for_torch(&net.unwrap());
    for tensor in moved.iter() {
        assert_eq!(saved.checkpoint().get(tensor.name()), Some(tensor));
    }
}

#[test]
fn parts_that_are_parametrized_stay_apart() {
    let file = case(&Golden::open("packed"), "lstm").state_dict("state.");
    let mut net = Parametrized::new(LstmConfig::new(4, 3, true).init(&device()));
    net.register("cell_gate.input_transform.weight", WeightNorm::dim(0)).unwrap();
    let saved = StateDict::for_torch(&net);
    let names: Vec<&str> = saved.checkpoint().names().collect();
    assert!(names.contains(&"weight_hh_l0") && !names.contains(&"weight_ih_l0"), "{names:?}");
    assert!(names.contains(&"input_gate.input_transform.weight"), "{names:?}");
    let net = saved.load_into(net, Strict::Yes).unwrap();
    // A packed weight cannot be told apart into originals.
    let error = file.load_into(net, Strict::Yes).unwrap_err();
    let Error::Load(report) = error else { panic!("{error}") };
    assert_eq!(report.unexpected, ["weight_ih_l0"]);
}

#[test]
fn a_packed_tensor_of_another_shape_is_one_mismatch() {
    let file = case(&Golden::open("packed"), "lstm").state_dict("state.");
    let lstm = LstmConfig::new(5, 3, true).init(&device());
    let before = StateDict::of(&lstm);
    let error = file.clone().load_into(lstm.clone(), Strict::Yes).unwrap_err();
    let Error::Load(report) = error else { panic!("{error}") };
    let [wrong] = report.mismatched.as_slice() else { panic!("{report}") };
    assert_eq!((wrong.name.as_str(), &wrong.expected), ("weight_ih_l0", &vec![12, 5]));
    assert_eq!(wrong.found, [12, 4]);
    assert!(report.missing.is_empty() && report.unexpected.is_empty(), "{report}");
    assert_eq!(StateDict::of(&lstm), before);
    // A file that has a part besides is not guessed at.
    let mut both = file.checkpoint().clone();
    let part = "input_gate.input_transform.weight";
    both.push(NamedTensor::f32(part, vec![3, 4], &[0.0; 12]).unwrap()).unwrap();
    let lstm = LstmConfig::new(4, 3, true).init(&device());
    let both = StateDict::from_checkpoint(both).unwrap();
    let Error::Load(report) = both.load_into(lstm, Strict::Yes).unwrap_err() else { panic!() };
    assert_eq!(report.unexpected, ["weight_ih_l0"]);
    assert_eq!(report.missing.len(), 3);
}
