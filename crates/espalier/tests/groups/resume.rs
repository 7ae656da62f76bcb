//! A fresh process goes on where another stopped, to the bit.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{LinearConfig, Tanh};
use burn::optim::{GradientsParams, OptimizerRecord};
use burn::tensor::{DType, Device, Tensor};
use espalier::clip::{NonFinite, NormKind, clip_grad_norm};
use espalier::nn::Sequential;
use espalier::optim::{
    Adam, AdamW, GroupState, GroupedOptimizer, Groups, Options, Sgd, StateError,
};
use espalier::parametrize::{Orthogonal, WeightNorm};
use espalier::prune::L1Unstructured;
use espalier::schedule::{OneCycle, Schedule};
use espalier::state::{StateDict, Strict};
use espalier::{Error, Parametrized};

type Net = Parametrized<Sequential>;

struct To(DType);
impl ModuleMapper for To {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| {
            let value = value.cast(self.0).detach();
            if value.is_autodiff() { value.require_grad() } else { value }
        })
    }
}

/// Of new identities each time.
fn plain(dtype: DType) -> Net {
    let device = Device::default().autodiff();
    let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device);
    let net = Sequential::new()
        .with(linear(4, 4))
        .with(Tanh::new())
        .with(linear(4, 4))
        .with(Tanh::new())
        .with(linear(4, 4))
        .with(linear(4, 2));
    Parametrized::new(net.map(&mut To(dtype)))
}

/// With everything that a wrapper can do.
fn dressed(dtype: DType) -> Net {
    let mut net = plain(dtype);
    net.register("0.weight", WeightNorm::dim(0)).unwrap();
    net.register("4.weight", Orthogonal::cayley()).unwrap();
    net.prune("5.weight", L1Unstructured::new(0.5)).unwrap();
    net.tie("4.bias", "2.bias").unwrap();
    net
}

fn step(net: Net, optim: &mut GroupedOptimizer, index: usize, dtype: DType) -> Net {
    let device = Device::default().autodiff();
    let x = Tensor::<1>::from_data(
        [0.3, -1.0, 0.7, 2.0, 0.1, 0.5, -0.4, index as f64 * 0.1],
        (&device, dtype),
    );
    let y: Tensor<2> = net.effective().forward(x.reshape([2, 4])).unwrap();
    let mut grads = net.grads((y - 0.3).square().sum().backward()).unwrap();
    let _ = clip_grad_norm(&net, &mut grads, 0.5, NormKind::L2, NonFinite::Error).unwrap();
    let net = optim.step(net, grads);
    optim.end_step().unwrap();
    net
}

fn groups<O: espalier::optim::GroupOptimizer>(base: O) -> Groups {
    Groups::new(base)
        .group("head", "5.*", Options::new().rate(0.03))
        .unwrap()
        .no_decay_on_bias_and_norm()
        .schedule(Schedule::one_cycle(OneCycle::new(0.05, 20)).unwrap())
}

fn each(test: impl Fn(&dyn Fn() -> Groups, DType)) {
    for dtype in [DType::F32, DType::F64] {
        test(&|| groups(AdamW::new()), dtype);
        test(&|| groups(Adam::new().with_amsgrad(true)), dtype);
        test(&|| groups(Sgd::new().with_momentum(0.9).with_nesterov(true)), dtype);
    }
}

#[test]
fn from_a_burnpack_file_and_a_record() {
    let folder = std::env::temp_dir().join(format!("espalier-resume-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    each(|groups, dtype| {
        let mut net = dressed(dtype);
        let mut optim = groups().build(&net).unwrap();
        for index in 0..3 {
            net = step(net, &mut optim, index, dtype);
        }
        let file = folder.join("net.bpk");
        net.clone().save_file(&file).unwrap();
        let record = optim.to_record().into_bytes().unwrap();
        let state = serde_json::to_string(&optim.state()).unwrap();

        let mut again = plain(dtype).load_file(&file);
        let mut resumed = groups()
            .build(&again)
            .unwrap()
            .load_record(OptimizerRecord::from_bytes(record).unwrap());
        resumed.load_state(&serde_json::from_str::<GroupState>(&state).unwrap()).unwrap();
        for index in 3..6 {
            net = step(net, &mut optim, index, dtype);
            again = step(again, &mut resumed, index, dtype);
        }
        assert_eq!(StateDict::of(&again), StateDict::of(&net), "{dtype:?}");
    });
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Weights and state as safetensors files, which keep no identities.
#[test]
fn from_safetensors_files_by_name() {
    let folder = std::env::temp_dir().join(format!("espalier-by-name-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    each(|groups, dtype| {
        let mut net = dressed(dtype);
        let mut optim = groups().build(&net).unwrap();
        for index in 0..3 {
            net = step(net, &mut optim, index, dtype);
        }
        let (weights, saved) = (folder.join("net"), folder.join("optim"));
        StateDict::of(&net).save(&weights).unwrap();
        let state = optim.state_by_name(&net).unwrap();
        state.save(&saved).unwrap();
        assert_eq!(StateDict::open(&saved).unwrap(), state);

        let (weights, saved) =
            (StateDict::open(&weights).unwrap(), StateDict::open(&saved).unwrap());
        let mut again = weights.load_into(dressed(dtype), Strict::Yes).unwrap();
        let mut resumed = groups().build(&again).unwrap();
        resumed.load_state_by_name(&again, &saved).unwrap();
        assert_eq!(resumed.rates(), optim.rates());
        assert_eq!(resumed.state_by_name(&again).unwrap(), state);
        for index in 3..6 {
            net = step(net, &mut optim, index, dtype);
            again = step(again, &mut resumed, index, dtype);
        }
        assert_eq!(StateDict::of(&again), StateDict::of(&net), "{dtype:?}");
        assert_eq!(resumed.state_by_name(&again).unwrap(), optim.state_by_name(&net).unwrap());
    });
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_state_by_name_of_something_else_changes_nothing() {
    let dtype = DType::F32;
    let mut net = dressed(dtype);
    let mut optim = groups(AdamW::new()).build(&net).unwrap();
    net = step(net, &mut optim, 0, dtype);
    let saved = optim.state_by_name(&net).unwrap();

    let refused = |net: &Net, optim: &mut GroupedOptimizer, saved: &StateDict| {
        let before = (optim.state_by_name(net).unwrap(), format!("{:?}", optim.values()));
        let error = optim.load_state_by_name(net, saved).unwrap_err();
        let after = (optim.state_by_name(net).unwrap(), format!("{:?}", optim.values()));
        assert_eq!(before, after);
        error
    };
    let error = refused(&net, &mut optim, &StateDict::of(&net));
    assert!(matches!(error, Error::OptimizerState(StateError::Foreign { .. })), "{error}");

    // Another network.
    let bare = plain(dtype);
    let mut of_bare = groups(AdamW::new()).build(&bare).unwrap();
    let error = refused(&bare, &mut of_bare, &saved).to_string();
    assert!(error.contains("`0.parametrizations.weight.original0`"), "{error}");

    // Another optimizer, before and after its own steps.
    let mut sgd = groups(Sgd::new().with_momentum(0.9)).build(&net).unwrap();
    let error = refused(&net, &mut sgd, &saved);
    assert!(matches!(error, Error::OptimizerState(StateError::Optimizer { .. })), "{error}");
    let net = step(net, &mut sgd, 1, dtype);
    let of_sgd = sgd.state_by_name(&net).unwrap();
    let error = refused(&net, &mut optim, &of_sgd);
    assert!(matches!(error, Error::OptimizerState(StateError::Optimizer { .. })), "{error}");

    // Other groups.
    let mut fewer = Groups::new(AdamW::new()).build(&net).unwrap();
    assert!(matches!(refused(&net, &mut fewer, &saved), Error::NoGroup { .. }));

    // Files with a tensor too many or too few.
    let folder = std::env::temp_dir().join(format!("espalier-other-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("state");
    let reread = |checkpoint: &espalier_checkpoint::Checkpoint| {
        espalier_checkpoint::write_safetensors(&file, checkpoint).unwrap();
        StateDict::open(&file).unwrap()
    };
    let mut checkpoint = saved.checkpoint().clone();
    let first = checkpoint.names().next().unwrap().to_owned();
    let taken = checkpoint.remove(&first).unwrap();
    let error = refused(&net, &mut optim, &reread(&checkpoint)).to_string();
    assert_eq!(error, format!("the saved state lacks the tensor `{first}`"));
    checkpoint.push(taken.clone().with_name("left over")).unwrap();
    checkpoint.push(taken).unwrap();
    let error = refused(&net, &mut optim, &reread(&checkpoint)).to_string();
    assert!(error.contains("`left over`"), "{error}");
    std::fs::remove_dir_all(&folder).unwrap();

    // Other shapes.
    let device = Device::default().autodiff();
    let one = |inputs| Parametrized::new(LinearConfig::new(inputs, 2).init(&device));
    let (small, wide) = (one(2), one(3));
    let mut of_small = Groups::new(Sgd::new().with_momentum(0.9)).build(&small).unwrap();
    let x = Tensor::<2>::ones([1, 2], &device);
    let grads = small.grads(small.effective().forward(x).sum().backward()).unwrap();
    let small = of_small.step(small, grads);
    let saved = of_small.state_by_name(&small).unwrap();
    let mut of_wide = Groups::new(Sgd::new().with_momentum(0.9)).build(&wide).unwrap();
    assert_eq!(
        of_wide.load_state_by_name(&wide, &saved).unwrap_err().to_string(),
        "`weight`: the parameter has shape [3, 2], the saved state is of [2, 2]"
    );
}

#[test]
fn frozen_ones_that_thaw_join_their_group() {
    let mut net = dressed(DType::F64);
    let mut optim = groups(Sgd::new().with_decay(0.1)).build(&net).unwrap();
    let before = StateDict::of(&net);
    net = net.freeze();
    net = optim.step(net, GradientsParams::new());
    assert_eq!(StateDict::of(&net), before);
    net = net.unfreeze();
    let moved = step(net.clone(), &mut optim, 0, DType::F64);
    let mut fresh = groups(Sgd::new().with_decay(0.1)).build(&net).unwrap();
    assert_eq!(StateDict::of(&moved), StateDict::of(&step(net, &mut fresh, 0, DType::F64)));
}

#[test]
fn a_record_of_another_precision_goes_on() {
    for groups in
        [|| groups(AdamW::new().with_amsgrad(true)), || groups(Sgd::new().with_momentum(0.9))]
    {
        let mut net = dressed(DType::F32);
        let mut optim = groups().build(&net).unwrap();
        net = step(net, &mut optim, 0, DType::F32);
        let record = optim.to_record();
        let net = Parametrized::map(net, &mut To(DType::F64));
        let mut wide = groups().build(&net).unwrap().load_record(record);
        let net = step(net, &mut wide, 1, DType::F64);
        let saved = wide.state_by_name(&net).unwrap();
        let all = saved.checkpoint();
        assert!(all.iter().all(|tensor| tensor.dtype() == espalier_checkpoint::Dtype::F64));
        assert!(all.iter().all(|t| t.to_f64_vec().unwrap().iter().all(|x| x.is_finite())));
    }
}

#[test]
fn a_network_of_nothing() {
    let empty = || Parametrized::new(Sequential::new());
    let mut optim = Groups::new(AdamW::new()).no_decay_on_bias_and_norm().build(&empty()).unwrap();
    assert_eq!(optim.to_string(), "");
    let mut grads = GradientsParams::new();
    let clipped =
        clip_grad_norm(&empty(), &mut grads, 1.0, NormKind::L2, NonFinite::Error).unwrap();
    assert_eq!((clipped.norm, clipped.coefficient), (0.0, 1.0));
    let _ = optim.step(empty(), grads);
    optim.end_epoch().unwrap();
    assert!(matches!(
        Groups::new(AdamW::new())
            .group("x", "*", Options::new())
            .and_then(|groups| groups.build(&empty())),
        Err(Error::NoMatch { .. })
    ));
}
