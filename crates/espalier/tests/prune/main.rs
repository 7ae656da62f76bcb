//! Pruning on networks: composition with what else is on a tensor, training, undoing.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use burn::module::Module;
use burn::nn::conv::Conv2dConfig;
use burn::nn::{LinearConfig, Relu};
use burn::optim::SgdConfig;
use burn::optim::momentum::MomentumConfig;
use burn::tensor::{Device, Distribution, Tensor};
use espalier::average::{Average, AveragedModel};
use espalier::nn::Sequential;
use espalier::optim::{AdamW, Groups};
use espalier::parametrize::{Lora, WeightNorm};
use espalier::prune::{
    Amount, BasePruningMethod, Importance, L1Unstructured, LnStructured, NOfM, PruneError,
    PruningContainer, PruningSchedule, PruningType, RandomUnstructured, Target,
};
use espalier::{Error, ParameterTree, Parametrized, Selector};
use proptest::prelude::*;

mod stored;

fn device() -> Device {
    Device::default().autodiff()
}

fn net() -> Parametrized<Sequential> {
    let net = Sequential::new()
        .with(LinearConfig::new(6, 10).init(&device()))
        .with(Relu::new())
        .with(LinearConfig::new(10, 6).init(&device()));
    Parametrized::new(net)
}

fn bits<const D: usize>(tensor: Tensor<D>) -> Vec<u32> {
    tensor.into_data().iter::<f32>().map(f32::to_bits).collect()
}

fn loss(net: &Sequential, x: &Tensor<2>) -> Tensor<1> {
    let y: Tensor<2> = net.forward(x.clone()).unwrap();
    (y - x.clone()).square().mean()
}

/// Positions that are pruned hold exactly plus zero.
#[track_caller]
fn assert_holds(net: &Parametrized<Sequential>, path: &str, pruned: usize) {
    let kept = net.mask::<2>(path).unwrap().into_data();
    let weight = bits(net.get::<2>(path).unwrap());
    let of_pruned: Vec<u32> =
        kept.iter::<bool>().zip(&weight).filter(|(kept, _)| !kept).map(|(_, bits)| *bits).collect();
    assert_eq!(of_pruned.len(), pruned, "{path}");
    assert!(of_pruned.iter().all(|bits| *bits == 0), "{path}: a pruned weight moved");
}

#[test]
fn restoring_gives_every_bit_back() {
    let mut net = net();
    let before = [net.get::<2>("0.weight").unwrap(), net.get::<2>("2.weight").unwrap()].map(bits);
    net.prune_global("*.weight", L1Unstructured::new(0.7)).unwrap();
    net.prune("0.weight", LnStructured::new(2, f64::INFINITY, 1)).unwrap();
    assert_eq!(net.pruned_paths(), ["0.weight", "2.weight"]);
    net.restore("*.weight").unwrap();
    let after = [net.get::<2>("0.weight").unwrap(), net.get::<2>("2.weight").unwrap()].map(bits);
    assert_eq!(after, before);
    let error = net.restore("0.weight").unwrap_err();
    assert_eq!(error.to_string(), "`0.weight` is not pruned");
}

#[test]
fn no_optimizer_average_or_copy_moves_what_is_pruned() {
    let x = Tensor::<2>::random([16, 6], Distribution::Normal(0.0, 1.0), &device());
    let mut start = net();
    // Moments from before pruning are what moves weights in PyTorch after `remove`.
    let mut sgd = SgdConfig::new()
        .with_momentum(Some(MomentumConfig { momentum: 0.9, dampening: 0.0, nesterov: true }))
        .with_weight_decay(Some(burn::optim::decay::WeightDecayConfig::new(0.1)))
        .init();
    for _ in 0..3 {
        let grads = start.grads(loss(&start.effective(), &x).backward()).unwrap();
        start = sgd.step(0.1, start, grads);
    }
    start.prune("*.weight", L1Unstructured::new(0.5)).unwrap();

    let mut net = start.clone();
    for _ in 0..5 {
        let grads = net.grads(loss(&net.effective(), &x).backward()).unwrap();
        net = sgd.step(0.1, net, grads);
        assert_holds(&net, "0.weight", 30);
    }
    let mut net = start.clone();
    let mut groups = Groups::new(AdamW::new().with_decay(0.1)).build(&net).unwrap();
    let mut average = AveragedModel::new(&net, Average::ema(0.9).unwrap());
    for _ in 0..5 {
        let grads = net.grads(loss(&net.effective(), &x).backward()).unwrap();
        net = groups.step(net, grads);
        average.update(&net).unwrap();
        assert_holds(&net, "2.weight", 30);
    }
    assert_holds(average.model(), "2.weight", 30);
    assert_holds(&net.valid(), "0.weight", 30);
    let weight: Tensor<2> = net.fold().get_parameter("0.weight").unwrap();
    assert_eq!(bits(weight).iter().filter(|bits| **bits == 0).count(), 30);
}

#[test]
fn masks_share_a_tensor_with_everything_else() {
    let x = Tensor::<2>::random([16, 6], Distribution::Normal(0.0, 1.0), &device());
    let mut net = net();
    net.register("0.weight", WeightNorm::dim(0)).unwrap();
    net.tie_transposed("2.weight", "0.weight").unwrap();
    net.prune("0.weight", L1Unstructured::new(0.4)).unwrap();
    net.register("0.weight", Lora::new(2)).unwrap();
    assert_eq!(net.zeros("2.weight").unwrap(), 24, "through the tie");
    let mut sgd = SgdConfig::new().init();
    for _ in 0..3 {
        let grads = net.grads(loss(&net.effective(), &x).backward()).unwrap();
        net = sgd.step(0.1, net, grads);
        assert_holds(&net, "0.weight", 24);
    }
    assert_eq!(net.zeros("2.weight").unwrap(), 24);
    let [mask, tied] = ["0.weight", "2.weight"].map(|path| net.mask::<2>(path).unwrap());
    assert_eq!(tied.into_data(), mask.transpose().into_data());
    net.restore("0.weight").unwrap();
    assert!(net.is_parametrized("0.weight") && !net.is_pruned("0.weight"));
}

#[test]
fn schedules_reach_their_target_exactly() {
    let mut net = net();
    let schedule = PruningSchedule::cubic(2, 10, 2).target_sparsity(0.85).unwrap();
    let mut before = 0;
    for step in 0..20 {
        if let Some(amount) = schedule.at(step) {
            net.prune_global("*.weight", L1Unstructured::new(amount)).unwrap();
        }
        let zeros = net.zeros("0.weight").unwrap() + net.zeros("2.weight").unwrap();
        assert!(zeros >= before);
        before = zeros;
    }
    assert_eq!(before, 102, "0.85 of 120");
}

#[test]
fn a_ticket_starts_again_under_its_mask() {
    let x = Tensor::<2>::random([16, 6], Distribution::Normal(0.0, 1.0), &device());
    let mut net = net();
    let start = net.clone();
    let mut sgd = SgdConfig::new().init();
    for _ in 0..3 {
        let grads = net.grads(loss(&net.effective(), &x).backward()).unwrap();
        net = sgd.step(0.1, net, grads);
    }
    net.prune("*.weight", L1Unstructured::new(0.5)).unwrap();
    let mask = net.mask::<2>("0.weight").unwrap();
    net.rewind("**", &start).unwrap();
    let expected = start.get::<2>("0.weight").unwrap().mask_fill(mask.bool_not(), 0.0);
    assert_eq!(bits(net.get::<2>("0.weight").unwrap()), bits(expected));
    assert_eq!(bits(net.get::<1>("0.bias").unwrap()), bits(start.get::<1>("0.bias").unwrap()));
}

#[test]
fn rows_are_pruned_alike() {
    let mut net = net();
    for method in [L1Unstructured::new(0.5).per_row(), L1Unstructured::new(1).per_row()] {
        net.prune("0.weight", method).unwrap();
        let kept = net.kept("0.weight").unwrap();
        let counts: Vec<usize> =
            kept.chunks(6).map(|row| row.iter().filter(|kept| **kept).count()).collect();
        assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
    }
    assert_eq!(net.zeros("0.weight").unwrap(), 40);
    let error = net.prune("0.bias", L1Unstructured::new(0.5).per_row()).unwrap_err();
    let expected =
        "`0.bias`: pruning by channels or rows needs two dimensions or more, found 1".to_owned();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn groups_of_convolutions_run_along_the_input_channels() {
    let conv = Conv2dConfig::new([6, 3], [2, 2]).init(&device());
    let mut net = Parametrized::new(conv);
    net.prune("weight", NOfM::new(1, 4)).unwrap();
    let kept = net.kept("weight").unwrap(); // 3 x 6 x 2 x 2
    let at = |o: usize, i: usize, p: usize| kept[(o * 6 + i) * 4 + p];
    for (output, place) in (0..3).flat_map(|o| (0..4).map(move |p| (o, p))) {
        assert_eq!((0..4).filter(|input| at(output, *input, place)).count(), 1);
        assert!(at(output, 4, place) && at(output, 5, place), "a shorter last group stays dense");
    }
    let error = net.prune("weight", NOfM::new(5, 4)).unwrap_err();
    assert!(matches!(error, Error::Prune { source: PruneError::Group { n: 5, m: 4 }, .. }));
}

#[test]
fn channels_go_by_the_scale_of_their_norm() {
    let net = Sequential::new()
        .with(Conv2dConfig::new([2, 4], [1, 1]).init(&device()))
        .with(burn::nn::BatchNormConfig::new(4).init(&device()));
    let mut net = Parametrized::new(net);
    let gamma = Tensor::<1>::from_floats([0.5, -0.1, 3.0, 0.2], &device());
    net.set("1.gamma", gamma).unwrap();
    let scores = Importance::batch_norm(&net, &[("0.weight", "1.gamma")]).unwrap();
    net.prune_by("0.weight", LnStructured::new(2, 1.0, 0), &scores).unwrap();
    assert_eq!(net.kept("0.weight").unwrap(), [true, true, false, false, true, true, false, false]);
    let error = Importance::batch_norm(&net, &[("0.weight", "0.bias")]);
    assert!(error.is_ok(), "as many numbers as filters");
    let error =
        Importance::new().wanda(&net, "0.weight", Tensor::<1>::ones([3], &device())).unwrap_err();
    assert_eq!(error.to_string(), "`0.weight`: scores: expected shape [2], found [3]");
}

/// Prunes the first value.
#[derive(Debug)]
struct First;

impl BasePruningMethod for First {
    fn pruning_type(&self) -> PruningType {
        PruningType::Unstructured
    }
    fn compute_mask(&self, target: &mut Target) -> Result<(), PruneError> {
        let first = (0..target.len()).find(|position| target.is_kept(*position));
        first.into_iter().for_each(|position| target.prune(position));
        Ok(())
    }
}

#[test]
fn own_methods_pool_as_one_vector() {
    let mut net = net();
    net.prune_global("*.weight", First).unwrap();
    assert_eq!(net.zeros("0.weight").unwrap() + net.zeros("2.weight").unwrap(), 1);
    assert!(!net.kept("0.weight").unwrap()[0]);
    let container = PruningContainer::new().with(First).with(L1Unstructured::new(10));
    net.prune_global("*.weight", &container).unwrap();
    assert_eq!(net.zeros("0.weight").unwrap() + net.zeros("2.weight").unwrap(), 12);
    let error = net.prune_global("*.weight", LnStructured::new(1, 2.0, 0)).unwrap_err();
    assert!(error.to_string().contains("only unstructured methods"), "{error}");
}

#[test]
fn half_precision_is_pruned_as_it_is() {
    use burn::tensor::DType;
    for dtype in [DType::F16, DType::BF16] {
        let values: Vec<f32> = (0..64).map(|i| (i as f32 * 37.0) % 64.0 - 20.5).collect();
        let tensor = Tensor::<1>::from_floats(values.as_slice(), &Device::flex()).cast(dtype);
        let pruned = L1Unstructured::new(40).prune(tensor, None, None).unwrap();
        assert_eq!(pruned.dtype(), dtype);
        let mut sizes: Vec<f32> = values.iter().map(|x| x.abs()).collect();
        sizes.sort_by(f32::total_cmp);
        let found: Vec<f32> = pruned.into_data().iter::<f32>().collect();
        assert_eq!(found.iter().filter(|x| **x == 0.0).count(), 40);
        assert!(found.iter().all(|x| *x == 0.0 || x.abs() >= sizes[39]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Counts are exact for any shapes and amounts, masks only shrink, and `until` is idempotent.
    #[test]
    fn counts_are_exact(
        sizes in prop::collection::vec((1usize..7, 1usize..7), 1..4),
        rounds in prop::collection::vec(0.0f64..=1.0, 1..4),
        global in any::<bool>(),
        random in any::<bool>(),
    ) {
        let mut layers = Sequential::new();
        for (inputs, outputs) in &sizes {
            layers = layers.with(LinearConfig::new(*inputs, *outputs).init(&Device::flex()));
        }
        let mut net = Parametrized::new(layers);
        let total: usize = sizes.iter().map(|(i, o)| i * o).sum();
        let mut left = total;
        let mut kept: Vec<Vec<bool>> = sizes.iter().map(|(i, o)| vec![true; i * o]).collect();
        for fraction in rounds {
            let amount = Amount::fraction(fraction);
            let mut prune = |amount| match (global, random) {
                (true, false) => net.prune_global("*.weight", L1Unstructured::new(amount)),
                (true, true) => net.prune_global("*.weight", RandomUnstructured::new(amount, 3)),
                (false, false) => net.prune("*.weight", L1Unstructured::new(amount)),
                (false, true) => net.prune("*.weight", RandomUnstructured::new(amount, 3)),
            };
            prune(amount).unwrap();
            let now: Vec<Vec<bool>> = (0..sizes.len())
                .map(|index| net.kept(&format!("{index}.weight")).unwrap())
                .collect();
            let count = |kept: &[bool]| kept.iter().filter(|kept| **kept).count();
            for (now, before) in now.iter().zip(&kept) {
                prop_assert!(now.iter().zip(before).all(|(now, before)| *before || !now));
                if !global {
                    let before = count(before);
                    prop_assert_eq!(count(now), before - amount.of(before).unwrap());
                }
            }
            if global {
                left -= amount.of(left).unwrap();
                prop_assert_eq!(now.iter().map(|kept| count(kept)).sum::<usize>(), left);
            }
            kept = now;
        }
        let until = |net: &mut Parametrized<Sequential>| {
            let method = L1Unstructured::new(Amount::until(0.5));
            net.prune_global("*.weight", method).unwrap();
            (0..sizes.len())
                .map(|index| net.kept(&format!("{index}.weight")).unwrap())
                .collect::<Vec<_>>()
        };
        let once = until(&mut net);
        prop_assert_eq!(until(&mut net), once);
    }
}

#[test]
fn an_unknown_path_is_an_error() {
    let mut net = net();
    let error = net.prune(Selector::path("0.wieght"), L1Unstructured::new(0.5)).unwrap_err();
    assert!(matches!(error, Error::NoMatch { .. }), "{error}");
}
