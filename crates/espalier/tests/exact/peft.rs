//! Adapters of the PEFT library.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::tensor::activation::tanh;
use burn::tensor::{Device, Int, Tensor};
use espalier::parametrize::{Lora, WeightNorm};
use espalier::state::{Adapter, PeftFault, StateDict, Strict};
use espalier::{Error, Parametrized};
use espalier_checkpoint::Checkpoint;

#[derive(Module, Debug)]
struct Block {
    fc: Linear,
}

#[derive(Module, Debug)]
struct Net {
    emb: Embedding,
    conv: Conv2d,
    block: Block,
    head: Linear,
}

impl Net {
    /// As PEFT's script has it.
    fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<2> {
        let x = self.emb.forward(tokens);
        let image = self.conv.forward(x.clone().unsqueeze_dim(1));
        let [batch, ..] = image.dims();
        let mean = image.reshape([batch as i32, -1]).mean_dim(1).unsqueeze_dim(2);
        let x = tanh(self.block.fc.forward(x + mean)).mean_dim(1).squeeze_dim(1);
        self.head.forward(x)
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/peft")
}

fn base() -> Parametrized<Net> {
    let device = Device::default();
    let net = Net {
        emb: EmbeddingConfig::new(7, 6).init(&device),
        conv: Conv2dConfig::new([1, 3], [3, 2]).init(&device),
        block: Block { fc: LinearConfig::new(6, 5).init(&device) },
        head: LinearConfig::new(5, 4).init(&device),
    };
    let file = StateDict::open(golden().join("base.safetensors")).unwrap();
    Parametrized::new(file.load_into(net, Strict::Yes).unwrap())
}

#[track_caller]
fn assert_computes(net: &Parametrized<Net>, name: &str) {
    let case = Checkpoint::read(golden().join("case.safetensors")).unwrap();
    let tokens: Vec<i64> =
        case.get("tokens").unwrap().to_f64_vec().unwrap().iter().map(|t| *t as i64).collect();
    let tokens = Tensor::<1, Int>::from_ints(tokens.as_slice(), &Device::default());
    let found = net.effective().forward(tokens.reshape([3, 8])).into_data();
    let expected = case.get(name).unwrap().to_f64_vec().unwrap();
    for (found, expected) in found.iter::<f64>().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{name}: {found} {expected}");
    }
}

#[test]
fn pefts_adapters_go_on_a_network_and_back() {
    assert_computes(&base(), "base");
    for name in ["plain", "patterns", "rslora"] {
        let adapter = Adapter::open(golden().join(name)).unwrap();
        let mut net = base();
        adapter.attach(&mut net).unwrap();
        assert_computes(&net, name);
        // Back: the script has PEFT read these.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peft").join(name);
        Adapter::of(&net).unwrap().save(&folder).unwrap();
        let written = Adapter::open(&folder).unwrap();
        for tensor in written.checkpoint().iter() {
            assert_eq!(adapter.checkpoint().get(tensor.name()), Some(tensor), "{name}");
        }
        let biases = adapter.checkpoint().names().filter(|name| name.ends_with("bias")).count();
        assert_eq!(written.checkpoint().len() + biases, adapter.checkpoint().len(), "{name}");
        // And onto a network with adapters of the same ranks and other values.
        let mut other = base();
        written.attach(&mut other).unwrap();
        let other = adapter.load_into(other).unwrap();
        assert_computes(&other, name);
    }
}

#[test]
fn a_whole_peft_model_loads() {
    let config = std::fs::read_to_string(golden().join("plain/adapter_config.json")).unwrap();
    let whole = Checkpoint::open(golden().join("whole.safetensors")).unwrap();
    let adapter = Adapter::new(whole, &config).unwrap();
    let blank = base().map(&mut Zeros);
    let mut net = blank;
    adapter.attach(&mut net).unwrap();
    assert_computes(&net, "plain");
}

struct Zeros;

impl burn::module::ModuleMapper for Zeros {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<Tensor<D>>,
    ) -> burn::module::Param<Tensor<D>> {
        param.map(|tensor| tensor.zeros_like())
    }
}

fn report(error: Error) -> espalier::state::LoadReport {
    let Error::Load(report) = error else { panic!("{error}") };
    *report
}

#[test]
fn what_does_not_fit_is_listed_and_nothing_is_loaded() {
    let adapter = Adapter::open(golden().join("plain")).unwrap();
    // Other ranks, another scale, one adapter too many and one too few.
    let mut net = base();
    net.register("head.weight", Lora::new(3).alpha(6.0)).unwrap();
    net.register("block.fc.weight", Lora::new(2).alpha(2.0)).unwrap();
    net.register("emb.weight", Lora::new(2).alpha(4.0)).unwrap();
    let before = StateDict::of(&net);
    let found = report(adapter.load_into(net.clone()).unwrap_err());
    let head = |side| format!("base_model.model.head.lora_{side}.weight");
    let names: Vec<_> = found.mismatched.iter().map(|wrong| wrong.name.clone()).collect();
    assert_eq!(names, [head("A"), head("B")]);
    assert_eq!(
        (&found.mismatched[0].expected, &found.mismatched[0].found),
        (&vec![3, 5], &vec![2, 5])
    );
    let scales = ("`block.fc` scaled by 1".to_owned(), "`block.fc` scaled by 2".to_owned());
    // The head's rank differs, and so what its alpha comes to.
    assert!(found.rules.contains(&scales), "{:?}", found.rules);
    assert_eq!(found.unexpected.len(), 2);
    assert!(found.unexpected[0].contains("conv.lora_A"), "{:?}", found.unexpected);
    assert!(found.missing.is_empty());
    assert!(report(adapter.attach(&mut net).unwrap_err()).unexpected.is_empty());
    assert_eq!(StateDict::of(&net), before);

    let mut net = base();
    adapter.attach(&mut net).unwrap();
    let rslora = Adapter::open(golden().join("rslora")).unwrap();
    let found = report(rslora.load_into(net).unwrap_err());
    assert_eq!(found.missing.len(), 6);
    assert_eq!(found.missing[0], "base_model.model.emb.lora_embedding_A");
}

#[test]
fn a_file_with_a_module_that_the_network_has_not() {
    let adapter = Adapter::open(golden().join("plain")).unwrap();
    let head = LinearConfig::new(5, 4).init(&Device::default());
    let mut net = Parametrized::new(Block { fc: head });
    let found = report(adapter.attach(&mut net).unwrap_err());
    assert_eq!(found.unexpected.len(), 8);
}

#[test]
fn what_peft_has_no_words_for_is_refused() {
    let fault = |net: &Parametrized<Net>| match Adapter::of(net).unwrap_err() {
        Error::Peft(fault) => fault,
        error => panic!("{error}"),
    };
    let mut net = base();
    assert_eq!(fault(&net), PeftFault::None);
    net.register("head.weight", Lora::new(1)).unwrap();
    net.register("head.weight", WeightNorm::dim(0)).unwrap_err();
    net.register("head.weight", Lora::new(2)).unwrap();
    assert_eq!(fault(&net), PeftFault::Twice { path: "head.weight".to_owned() });
    let alone = LinearConfig::new(5, 4).init(&Device::default());
    let mut alone = Parametrized::new(alone);
    alone.register("weight", Lora::new(2)).unwrap();
    let error = Adapter::of(&alone).unwrap_err();
    assert!(matches!(error, Error::Peft(PeftFault::Place { .. })), "{error}");
}

#[test]
fn variants_and_several_adapters_are_refused() {
    let config = std::fs::read_to_string(golden().join("plain/adapter_config.json")).unwrap();
    let plain = Adapter::open(golden().join("plain")).unwrap();
    let with = |from: &str, to: &str| {
        let renamed = plain.checkpoint().clone().renamed(|name| name.replace(from, to)).unwrap();
        let adapter = Adapter::new(renamed, &config).unwrap();
        adapter.attach(&mut base()).unwrap_err().to_string()
    };
    assert!(with("head.lora_B.weight", "head.lora_B.bias").contains("lora_bias"));
    assert!(with("head.lora_A.weight", "head.lora_magnitude_vector").contains("use_dora"));
    assert!(with("head.lora_A.weight", "head.lora_A.other.weight").contains("several"));
    assert!(with("base_model.model.head", "head").contains("unexpected: `head.lora_A.weight`"));
    let error = Adapter::open(golden().join("nowhere")).unwrap_err();
    assert!(error.to_string().contains("adapter_config.json"), "{error}");
}
