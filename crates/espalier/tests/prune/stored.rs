//! Masks whose originals hold the zeros: the same as the others, but for what is under the mask.

use burn::module::Module;
use burn::nn::LinearConfig;
use burn::optim::{AdamConfig, AdamWConfig, ModuleOptimizer, SgdConfig};
use burn::tensor::{DType, Device, Distribution, Tensor};
use espalier::average::{Average, AveragedModel};
use espalier::clip::{NonFinite, NormKind, clip_grad_norm};
use espalier::constrain::{Constraints, MaxNorm};
use espalier::nn::Sequential;
use espalier::optim::{Adam, AdamW, GroupOptimizer, Groups, Sgd};
use espalier::parametrize::{Rules, WeightNorm};
use espalier::prune::{L1Unstructured, MaskMode, RandomUnstructured};
use espalier::state::{StateDict, Strict};
use espalier::{Error, Parametrized};

use super::{assert_holds, bits, device, loss, net};

type Net = Parametrized<Sequential>;

fn stored(net: &Net) -> Net {
    let mut net = net.clone();
    net.set_mask_mode("*.weight", MaskMode::Stored).unwrap();
    net
}

fn batch() -> Tensor<2> {
    Tensor::random([16, 6], Distribution::Normal(0.0, 1.0), &device())
}

fn weights(net: &Net) -> [Vec<u32>; 2] {
    ["0.weight", "2.weight"].map(|path| bits(net.get::<2>(path).unwrap()))
}

/// Trains in turns with more pruning, with an optimizer that knows masks or one that does not.
fn trained<O>(mut net: Net, x: &Tensor<2>, mode: MaskMode, mut step: O) -> Net
where
    O: FnMut(Net, burn::optim::GradientsParams) -> Net,
{
    for round in 0..3 {
        for _ in 0..3 {
            let mut grads = net.grads(loss(&net.effective(), x).backward()).unwrap();
            // A norm that saw what is pruned would scale everything else differently.
            let _ = clip_grad_norm(&net, &mut grads, 0.1, NormKind::L2, NonFinite::Error).unwrap();
            net = step(net, grads);
        }
        net.prune("*.weight", L1Unstructured::new(0.3)).unwrap();
        if round == 0 {
            net.set_mask_mode("*.weight", mode).unwrap();
        }
        assert_eq!(net.mask_mode("2.weight").unwrap(), mode, "further pruning keeps it");
    }
    net
}

#[test]
fn training_gives_the_same_bits_in_both_modes() {
    fn with<O: GroupOptimizer + Clone>(optimizer: O, start: &Net, x: &Tensor<2>) {
        let [exact, stored] = [MaskMode::Exact, MaskMode::Stored].map(|mode| {
            let mut groups = Groups::new(optimizer.clone()).build(start).unwrap();
            trained(start.clone(), x, mode, |net, grads| groups.step(net, grads))
        });
        assert_eq!(weights(&stored), weights(&exact), "{}", optimizer.name());
        assert_holds(&stored, "0.weight", 40);
    }
    let (start, x) = (net(), batch());
    with(AdamW::new().with_decay(0.1), &start, &x);
    with(Adam::new().with_decay(0.1).with_amsgrad(true), &start, &x);
    with(Sgd::new().with_rate(0.1).with_momentum(0.9).with_decay(0.01), &start, &x);
    with(Sgd::new().with_rate(0.1), &start, &x);

    macro_rules! foreign {
        ($($config:expr),*) => {$(
            let [exact, stored] = [MaskMode::Exact, MaskMode::Stored].map(|mode| {
                let mut optimizer = $config.init();
                trained(start.clone(), &x, mode, |net, grads| optimizer.step(0.05, net, grads))
            });
            assert_eq!(weights(&stored), weights(&exact));
            assert_holds(&stored, "2.weight", 40);
        )*};
    }
    foreign!(AdamWConfig::new(), AdamConfig::new(), SgdConfig::new());
}

#[test]
fn what_was_pruned_comes_back_to_the_bit_whatever_trained_since() {
    let mut net = net();
    let before = weights(&net);
    net.prune("*.weight", L1Unstructured::new(0.5)).unwrap();
    let mut net = stored(&net);
    let kept = net.kept("0.weight").unwrap();
    let mut optimizer = ModuleOptimizer::from(AdamW::new());
    for _ in 0..4 {
        let grads = net.grads(loss(&net.effective(), &batch()).backward()).unwrap();
        net = optimizer.step(0.01, net, grads);
    }
    net.restore("*.weight").unwrap();
    assert!(!net.is_pruned("0.weight"));
    // `kept` is in PyTorch's layout, the weight in Burn's.
    let after = bits(net.get::<2>("0.weight").unwrap().transpose());
    let before = Tensor::<1>::from_floats(
        before[0].iter().map(|b| f32::from_bits(*b)).collect::<Vec<_>>().as_slice(),
        &device(),
    );
    let before = bits(before.reshape([6, 10]).transpose());
    for (i, kept) in kept.into_iter().enumerate() {
        assert_eq!(after[i] == before[i], !kept, "{i}: what was kept has moved, the rest has not");
    }
}

#[test]
fn an_effective_network_uses_the_original_itself_and_no_gradient_reaches_the_zeros() {
    let mut net = net();
    net.prune("0.weight", L1Unstructured::new(0.5)).unwrap();
    net.set_mask_mode("0.weight", MaskMode::Stored).unwrap();
    let grads = net.grads(loss(&net.effective(), &batch()).backward()).unwrap();
    let grad = net.gradient::<2>("0.weight", &grads).unwrap().unwrap();
    let kept = net.mask::<2>("0.weight").unwrap().into_data();
    let grad = bits(grad);
    let outside = kept.iter::<bool>().zip(&grad).filter(|(kept, _)| !kept);
    assert_eq!(outside.filter(|(_, grad)| **grad == 0).count(), 30);
    let snapshot = net.valid();
    assert_eq!(weights(&snapshot), weights(&net));
    assert_eq!(snapshot.mask_mode("0.weight").unwrap(), MaskMode::Stored);
}

#[test]
fn everything_that_writes_a_value_leaves_the_zeros() {
    let mut net = net();
    net.prune("*.weight", L1Unstructured::new(0.5)).unwrap();
    let mut net = stored(&net);
    let ones = Tensor::<2>::ones([6, 10], &device());
    net.set("0.weight", ones.clone()).unwrap();
    assert_holds(&net, "0.weight", 30);
    let net2 =
        Constraints::new().with("*.weight", MaxNorm::new(0.5)).unwrap().apply(net.clone()).unwrap();
    assert_holds(&net2, "0.weight", 30);
    let mut average = AveragedModel::new(&net, Average::ema(0.5).unwrap());
    net.prune("0.weight", L1Unstructured::new(0.5)).unwrap();
    average.update(&net).unwrap();
    assert_holds(average.model(), "0.weight", 45);
    assert_holds(&net, "0.weight", 45);
    // What was set is remembered under the mask.
    net.restore("0.weight").unwrap();
    assert_eq!(bits(net.get::<2>("0.weight").unwrap()), bits(ones));
    assert_holds(&net.train().valid().deep_copy(), "2.weight", 30);
}

#[test]
fn files_are_the_same_in_both_modes_and_load_into_either() {
    let mut exact = net();
    exact.prune("*.weight", L1Unstructured::new(0.5)).unwrap();
    let held = stored(&exact);
    let (a, b) = (StateDict::of(&exact), StateDict::of(&held));
    assert_eq!(a.shapes(), b.shapes());
    for tensor in a.checkpoint() {
        assert_eq!(Some(tensor), b.checkpoint().get(tensor.name()), "{}", tensor.name());
    }
    // Other weights under another mask.
    let mut other = net();
    other.prune("*.weight", RandomUnstructured::new(0.2, 3)).unwrap();
    for target in [other.clone(), stored(&other)] {
        for file in [&a, &b] {
            let mode = target.mask_mode("0.weight").unwrap();
            let mut loaded = file.load_into(target.clone(), Strict::Yes).unwrap();
            assert_eq!(loaded.mask_mode("0.weight").unwrap(), mode);
            assert_eq!(weights(&loaded), weights(&exact));
            assert_holds(&loaded, "0.weight", 30);
            loaded.restore("*.weight").unwrap();
            let mut before = exact.clone();
            before.restore("*.weight").unwrap();
            assert_eq!(weights(&loaded), weights(&before));
        }
    }
    // A fresh process has the description only.
    let mut fresh = net();
    fresh.apply_description(b.description().unwrap(), &Rules::builtin()).unwrap();
    assert_eq!(fresh.mask_mode("2.weight").unwrap(), MaskMode::Stored);
}

#[test]
fn burnpack_records_come_back_in_either_mode() {
    let dir = tempfile::tempdir().unwrap();
    let mut exact = net();
    exact.prune("*.weight", L1Unstructured::new(0.5)).unwrap();
    let mut other = net();
    other.prune("*.weight", L1Unstructured::new(0.1)).unwrap();
    for (index, source) in [exact.clone(), stored(&exact)].into_iter().enumerate() {
        let file = dir.path().join(format!("{index}"));
        source.clone().save_file(&file).unwrap();
        for target in [net(), other.clone(), stored(&other)] {
            let mode = target.mask_mode("0.weight").ok();
            let mut loaded = target.load_file(&file);
            assert_eq!(weights(&loaded), weights(&exact));
            let expected = mode.unwrap_or(source.mask_mode("0.weight").unwrap());
            assert_eq!(loaded.mask_mode("0.weight").unwrap(), expected);
            loaded.restore("*.weight").unwrap();
            let mut before = exact.clone();
            before.restore("*.weight").unwrap();
            assert_eq!(weights(&loaded), weights(&before));
        }
    }
}

#[test]
fn a_record_whose_mask_and_values_do_not_belong_together_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("net.bpk");
    let mut source = net();
    source.prune("*.weight", L1Unstructured::new(0.5)).unwrap();
    stored(&source).save_file(&file).unwrap();
    let read = || burn_pack::Reader::from_file(&file).unwrap();
    let metadata = read().metadata().clone();
    let (mut tensors, mut turned) = (Vec::new(), 0);
    for tensor in read().into_tensors().unwrap() {
        let (name, dtype, shape, id, bytes) = tensor.into_parts().unwrap();
        let mut bytes = bytes.to_vec();
        if name == "0.weight_mask" {
            // Nothing is pruned; the thirty values are still there.
            bytes
                .iter_mut()
                .for_each(|kept| turned += usize::from(std::mem::replace(kept, 1) == 0));
        }
        let bytes = burn::tensor::Bytes::from_bytes_vec(bytes);
        tensors.push(burn_pack::Tensor::new(name, dtype, shape, id, bytes));
    }
    assert_eq!(turned, 30);
    let mut writer = burn_pack::Writer::new(tensors);
    for (key, text) in &metadata {
        writer = writer.with_metadata(key, text);
    }
    std::fs::write(&file, &writer.into_bytes().unwrap()[..]).unwrap();

    let mut loaded = net().load_file(&file);
    assert_holds(&loaded, "0.weight", 0);
    assert_holds(&loaded, "2.weight", 30);
    let before = weights(&loaded);
    loaded.restore("0.weight").unwrap();
    assert_eq!(weights(&loaded), before);
}

#[test]
fn a_parametrization_on_it_is_exact_until_it_is_gone() {
    let mut net = net();
    net.prune("0.weight", L1Unstructured::new(0.5)).unwrap();
    net.set_mask_mode("0.weight", MaskMode::Stored).unwrap();
    net.register("0.weight", WeightNorm::dim(0)).unwrap();
    assert_eq!(net.mask_mode("0.weight").unwrap(), MaskMode::Exact);
    assert_holds(&net, "0.weight", 30);
    net.remove_link("0.weight", 0).unwrap();
    assert_eq!(net.mask_mode("0.weight").unwrap(), MaskMode::Stored);
    assert_holds(&net, "0.weight", 30);

    // An original of a chain is a parameter that is pruned alone.
    net.register("2.weight", WeightNorm::dim(0)).unwrap();
    let direction = "2.parametrizations.weight.original1";
    net.prune(direction, L1Unstructured::new(0.5)).unwrap();
    net.set_mask_mode(direction, MaskMode::Stored).unwrap();
    assert_eq!(net.mask_mode(direction).unwrap(), MaskMode::Stored);
    let mut optimizer = ModuleOptimizer::from(AdamW::new());
    for _ in 0..3 {
        let grads = net.grads(loss(&net.effective(), &batch()).backward()).unwrap();
        net = optimizer.step(0.1, net, grads);
        assert_holds(&net, direction, 30);
        assert_holds(&net, "0.weight", 30);
    }
    let file = StateDict::of(&net);
    let mut fresh = super::net();
    fresh.apply_description(&net.description(), &Rules::builtin()).unwrap();
    let fresh = file.load_into(fresh, Strict::Yes).unwrap();
    assert_eq!(weights(&fresh), weights(&net));
    assert_eq!(fresh.mask_mode(direction).unwrap(), MaskMode::Stored);
}

#[test]
fn ties_buffers_and_half_floats() {
    let mut net = net();
    net.tie_transposed("2.weight", "0.weight").unwrap();
    net.prune("0.weight", L1Unstructured::new(0.4)).unwrap();
    let mut exact = net.clone();
    net.set_mask_mode("2.weight", MaskMode::Stored).unwrap();
    assert_eq!(net.mask_mode("0.weight").unwrap(), MaskMode::Stored);
    let x = batch();
    for net in [&mut net, &mut exact] {
        let mut optimizer = ModuleOptimizer::from(AdamW::new());
        for _ in 0..3 {
            let grads = net.grads(loss(&net.effective(), &x).backward()).unwrap();
            *net = optimizer.step(0.01, net.clone(), grads);
        }
    }
    assert_eq!(weights(&net), weights(&exact));
    assert_holds(&net, "2.weight", 24);

    let plain = Device::default();
    for dtype in [DType::F16, DType::BF16, DType::F64] {
        let linear = LinearConfig::new(5, 4).init(&plain);
        let mut net = Parametrized::new(linear);
        let value = Tensor::<2>::random([5, 4], Distribution::Default, &plain).cast(dtype);
        let param = |p: burn::module::Param<Tensor<2>>| p.map(|_| value.clone());
        let mut linear = net.fold();
        linear.weight = param(linear.weight);
        net = Parametrized::new(linear);
        net.prune("weight", L1Unstructured::new(0.5)).unwrap();
        net.set_mask_mode("weight", MaskMode::Stored).unwrap();
        assert_eq!(net.get::<2>("weight").unwrap().dtype(), dtype);
        assert_eq!(net.zeros("weight").unwrap(), 10);
        net.restore("weight").unwrap();
        assert_eq!(net.get::<2>("weight").unwrap().into_data(), value.clone().into_data());
    }
}

#[test]
fn only_what_is_pruned_has_a_mode() {
    let mut net = net();
    let error = net.set_mask_mode("0.weight", MaskMode::Stored).unwrap_err();
    assert!(matches!(error, Error::NotPruned { .. }));
    assert!(matches!(net.mask_mode("0.bias"), Err(Error::NotPruned { .. })));
    assert!(matches!(net.mask_mode("0.wait"), Err(Error::NoMatch { .. })));
}
