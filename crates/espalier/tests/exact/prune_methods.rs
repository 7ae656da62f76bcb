//! Every pruning method, pool, chain and refusal against `torch.nn.utils.prune`.

use burn::nn::conv::Conv2d;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Bool, Tensor};
use espalier::prune::{
    self, Amount, BasePruningMethod, CustomFromMask, Identity, Importance, L1Unstructured,
    LnStructured, PruningContainer, RandomStructured, RandomUnstructured,
};
use espalier::state::StateDict;
use espalier::{Error, Leave, Parametrized, Selector};
use serde_json::Value;

use crate::common::{Case, Golden, Holder, Host, assert_same, put, values};

/// Enough for one call after another to differ.
const SEED: u64 = 5;

fn amount(call: &Value) -> Amount {
    match call["amount_kind"].as_str().unwrap() {
        "int" => Amount::count(call["amount"].as_u64().unwrap() as usize),
        _ => Amount::fraction(call["amount"].as_f64().unwrap()),
    }
}

fn weight_shape(case: &Case<'_>) -> Vec<usize> {
    let shape = case.note["weight_shape"].as_array().unwrap();
    shape.iter().map(|size| size.as_u64().unwrap() as usize).collect()
}

fn norm(text: &str) -> Option<f64> {
    match text {
        "fro" => Some(2.0),
        "nuc" => None,
        // What is no number is refused there, and cannot be said here.
        number => number.parse().ok(),
    }
}

/// The method of a call; none if it is one that there is not.
fn method<const D: usize, H: Host<D>>(
    case: &Case<'_>,
    call: &Value,
) -> Option<Box<dyn BasePruningMethod + Send + Sync>> {
    let dim = || call["dim"].as_i64().unwrap() as isize;
    Some(match call["method"].as_str().unwrap() {
        "identity" => Box::new(Identity),
        "l1_unstructured" => Box::new(L1Unstructured::new(amount(call))),
        "random_unstructured" => Box::new(RandomUnstructured::new(amount(call), SEED)),
        "random_structured" => Box::new(RandomStructured::new(amount(call), dim(), SEED)),
        "ln_structured" => {
            Box::new(LnStructured::new(amount(call), norm(call["n"].as_str().unwrap())?, dim()))
        }
        "custom_from_mask" => {
            let mask = H::turn(case.tensor(call["mask"].as_str().unwrap()));
            Box::new(CustomFromMask::new(mask.equal_elem(1.0)))
        }
        other => panic!("no method `{other}`"),
    })
}

fn importance<const D: usize, H: Host<D>>(case: &Case<'_>, call: &Value) -> Importance {
    match call["importance_scores"].as_str() {
        Some(name) => Importance::new().with::<D>("weight", H::turn(case.tensor(name))),
        None => Importance::new(),
    }
}

/// Makes the call; false if it is one that there is not.
fn apply<const D: usize, H: Host<D>>(
    net: &mut Parametrized<H>,
    case: &Case<'_>,
    call: &Value,
) -> bool {
    let Some(method) = method::<D, H>(case, call) else { return false };
    net.prune_by("weight", &*method, &importance::<D, H>(case, call)).unwrap();
    true
}

/// Mask `index` of those stacked in the file.
fn stacked(case: &Case<'_>, index: usize) -> Vec<bool> {
    let all = case.values("weight_masks");
    let size = all.len() / case.shape("weight_masks")[0];
    all[index * size..][..size].iter().map(|kept| *kept == 1.0).collect()
}

/// PyTorch multiplies by the mask: a zero may have a sign there.
#[track_caller]
fn assert_value<const D: usize, H: Host<D>>(net: &Parametrized<H>, case: &Case<'_>, what: &str) {
    let found = values(H::turn(net.get::<D>("weight").unwrap()));
    let expected: Vec<f64> = case.values(what).iter().map(|x| x + 0.0).collect();
    assert_same(&case.label(what), &found, &expected);
}

/// Each call on a weight that is not pruned.
fn calls<const D: usize, H: Host<D>>(case: &Case<'_>) -> usize {
    let calls = case.note["calls"].as_array().unwrap();
    let mut made = 0;
    for (index, call) in calls.iter().enumerate() {
        let mut net = Parametrized::new(H::holding(case.tensor("weight")));
        if !apply::<D, H>(&mut net, case, call) {
            continue;
        }
        made += 1;
        let label = format!("{} {call}", case.label("weight_masks"));
        assert_eq!(net.kept("weight").unwrap(), stacked(case, index), "{label}");
        if index + 1 == calls.len() {
            assert_value::<D, H>(&net, case, "value");
        }
    }
    made
}

/// A case of any module.
fn any_calls(case: &Case<'_>) -> usize {
    let rank = case.note["weight_shape"].as_array().unwrap().len();
    match (case.note["module"].as_str().unwrap(), rank) {
        ("linear", _) => calls::<2, Linear>(case),
        ("conv2d", _) => calls::<4, Conv2d>(case),
        ("holder", 1) => calls::<1, Holder<1>>(case),
        ("holder", 3) => calls::<3, Holder<3>>(case),
        other => panic!("no module {other:?}"),
    }
}

#[test]
fn methods_agree() {
    let golden = Golden::open("prune_methods");
    for name in golden.names() {
        for case in golden.case(name) {
            if name.starts_with("random_unstructured") || name.starts_with("random_structured") {
                by_chance(&case);
            } else if name == "bias" {
                bias(&case);
            } else if name == "custom_fraction" {
                // A mask that is half there: PyTorch takes it for kept by one and gone by another.
            } else {
                assert!(any_calls(&case) > 0, "{name}");
            }
        }
    }
}

#[test]
fn norms_of_channels_agree() {
    let golden = Golden::open("prune_ln");
    let mut made = 0;
    for name in golden.names() {
        for case in golden.case(name) {
            made += any_calls(&case);
        }
    }
    assert!(made > 200, "{made}");
}

/// PyTorch's generator is another: the counts are the same.
fn by_chance(case: &Case<'_>) {
    fn run<const D: usize, H: Host<D>>(case: &Case<'_>) {
        let shape = weight_shape(case);
        let mut dims = [0; D];
        dims.copy_from_slice(&shape);
        let weight = Tensor::<D>::ones(dims, &crate::common::device());
        let mut net = Parametrized::new(H::holding(weight));
        for (index, call) in case.note["steps"].as_array().unwrap().iter().enumerate() {
            assert!(apply::<D, H>(&mut net, case, call));
            let kept = net.kept("weight").unwrap();
            let count = kept.iter().filter(|kept| **kept).count();
            assert_eq!(case.note["kept"][index], count, "{} {call}", case.label(""));
            let Some(channels) = case.note["kept_channels"][index].as_u64() else { continue };
            let dim = call["dim"].as_i64().unwrap();
            let axis = if dim < 0 { (dim + D as i64) as usize } else { dim as usize };
            let inner: usize = shape[axis + 1..].iter().product();
            let mut of_channel = vec![Vec::new(); shape[axis]];
            for (place, kept) in kept.iter().enumerate() {
                of_channel[place / inner % shape[axis]].push(*kept);
            }
            let whole = |channel: &&Vec<bool>| channel.iter().all(|kept| *kept);
            assert_eq!(of_channel.iter().filter(whole).count() as u64, channels);
            assert!(of_channel.iter().all(|channel| channel.iter().all(|k| *k == channel[0])));
        }
    }
    match case.note["module"].as_str().unwrap() {
        "linear" => run::<2, Linear>(case),
        _ => run::<4, Conv2d>(case),
    }
}

fn bias(case: &Case<'_>) {
    let layer = LinearConfig::new(6, 5).init(&crate::common::device());
    let layer: Linear = crate::common::cast(layer, case.dtype);
    let layer = put(layer, "bias", case.tensor::<1>("bias"));
    let mut net = Parametrized::new(layer);
    let call = &case.note["calls"][0];
    net.prune("bias", L1Unstructured::new(amount(call))).unwrap();
    let kept: Vec<f64> =
        net.kept("bias").unwrap().iter().map(|kept| f64::from(u8::from(*kept))).collect();
    assert_eq!(kept, case.values("bias_masks"));
    let state = StateDict::of(&net);
    let names: Vec<&str> = state.shapes().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, case.texts("state_dict"));
}

fn chain<const D: usize, H: Host<D>>(case: &Case<'_>) {
    let mut net = Parametrized::new(H::holding(case.tensor("weight")));
    let trained: Vec<u64> =
        case.note["trained_after"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
    for (index, call) in case.note["steps"].as_array().unwrap().iter().enumerate() {
        assert!(apply::<D, H>(&mut net, case, call));
        let label = format!("{} {call}", case.label("weight_masks"));
        assert_eq!(net.kept("weight").unwrap(), stacked(case, index), "{label}");
        if trained.contains(&(index as u64)) {
            let now: Tensor<D> = H::turn(case.tensor(&format!("trained_{index}")));
            net = put(net, "weight_orig", now.detach());
        }
    }
    assert_value::<D, H>(&net, case, "value");
    let names = |net: &Parametrized<H>| -> Vec<String> {
        StateDict::of(net).shapes().iter().map(|(name, _)| (*name).to_owned()).collect()
    };
    assert_eq!(names(&net), case.texts("state_dict"));
    prune::remove(&mut net, "weight").unwrap();
    assert_eq!(names(&net), case.texts("removed_state_dict"));
    assert_value::<D, H>(&net, case, "removed_weight");
}

#[test]
fn chains_agree() {
    let golden = Golden::open("prune_chains");
    for name in golden.names() {
        for case in golden.case(name) {
            match case.note["module"].as_str().unwrap() {
                // Fractions in a mask: see above.
                _ if name == "linear_fraction" => {}
                "linear" => chain::<2, Linear>(&case),
                _ => chain::<4, Conv2d>(&case),
            }
        }
    }
}

mod pool {
    use super::*;
    use burn::module::Module;

    #[derive(Module, Debug)]
    pub(super) struct Three {
        pub(super) first: Linear,
        pub(super) second: Conv2d,
        pub(super) third: Holder<1>,
    }

    pub(super) const PATHS: [&str; 3] = ["first.weight", "second.weight", "third.weight"];
}

#[test]
fn pools_agree() {
    let golden = Golden::open("prune_global");
    for name in golden.names() {
        for case in golden.case(name) {
            if name == "random" {
                continue;
            }
            let list = |key: &str| -> Vec<usize> {
                let list = case.note[key].as_array().unwrap();
                list.iter().map(|index| index.as_u64().unwrap() as usize).collect()
            };
            let mut net = Parametrized::new(pool::Three {
                first: Linear::holding(case.tensor("0.weight")),
                second: Conv2d::holding(case.tensor("1.weight")),
                third: Holder::holding(case.tensor("2.weight")),
            });
            for index in list("pruned_before") {
                net.prune(Selector::path(pool::PATHS[index]), L1Unstructured::new(0.5)).unwrap();
            }
            let mut scores = Importance::new();
            for index in list("scores_of") {
                let name = format!("{index}.importance_scores");
                scores = match index {
                    0 => scores.with(pool::PATHS[0], Linear::turn(case.tensor(&name))),
                    1 => scores.with(pool::PATHS[1], case.tensor::<4>(&name)),
                    _ => scores.with(pool::PATHS[2], case.tensor::<1>(&name)),
                };
            }
            for (step, call) in case.note["steps"].as_array().unwrap().iter().enumerate() {
                let method = L1Unstructured::new(amount(call));
                net.prune_global_by("**.weight", method, &scores).unwrap();
                for (index, path) in pool::PATHS.iter().enumerate() {
                    let mask = format!("{index}.weight_mask_{step}");
                    assert_eq!(net.kept(path).unwrap(), case.kept(&mask), "{}", case.label(&mask));
                }
            }
        }
    }
}

#[test]
fn bare_tensors_agree() {
    let golden = Golden::open("prune_tensor");
    for name in golden.names() {
        for case in golden.case(name) {
            let (tensor, scores) = (case.tensor::<2>("tensor"), |name| case.tensor::<2>(name));
            let mask = || -> Tensor<2, Bool> { scores("default_mask").equal_elem(1.0) };
            let same = |what: &str, found: Tensor<2>| {
                let expected: Vec<f64> = case.values(what).iter().map(|x| x + 0.0).collect();
                assert_same(&case.label(what), &values(found), &expected);
            };
            if name == "container" {
                // PyTorch's own applies its last method only; here each in turn.
                let mut container = PruningContainer::new();
                for call in case.note["inner"].as_array().unwrap() {
                    if call["method"] == "l1_unstructured" {
                        container.add_pruning_method(L1Unstructured::new(amount(call)));
                    }
                }
                let kept = container.mask(tensor, None, None).unwrap();
                assert_eq!(values(kept.float()).iter().sum::<f64>(), 15.0);
                continue;
            }
            let method = method::<2, Holder<2>>(&case, &case.note["call"]).unwrap();
            let method = &*method;
            let pruned = |mask: Option<Tensor<2, Bool>>, scores: Option<Tensor<2>>| {
                BasePruningMethod::prune(&method, tensor.clone(), mask, scores).unwrap()
            };
            same("pruned", pruned(None, None));
            same("pruned_masked", pruned(Some(mask()), None));
            same("pruned_scored", pruned(None, Some(scores("importance_scores"))));
            same("pruned_both", pruned(Some(mask()), Some(scores("importance_scores"))));
        }
    }
}

/// Where PyTorch raises, this refuses, and what was there stays; where it does not, the masks agree.
#[test]
fn refusals_agree() {
    let golden = Golden::open("prune_errors");
    let mut refused = 0;
    for name in golden.names() {
        let [case, _] = golden.case(name);
        let Some(options) = case.note["options"].as_object() else { continue };
        let kind = options.get("amount_kind").and_then(Value::as_str);
        // What no call here can say: another type, a missing argument.
        if !matches!(kind, Some("int" | "float")) || case.note["error"].is_null() {
            continue;
        }
        let of = |options: &serde_json::Map<String, Value>| -> Option<Box<dyn BasePruningMethod>> {
            let number = options.get("amount")?;
            let amount = match options.get("amount_kind")?.as_str()? {
                // A count below zero cannot be written.
                "int" => Amount::count(usize::try_from(number.as_i64()?).ok()?),
                _ => Amount::fraction(number.as_f64().unwrap_or(f64::NAN)),
            };
            let dim = options.get("dim").and_then(Value::as_i64).unwrap_or(0) as isize;
            Some(match options.get("method")?.as_str()? {
                "l1_unstructured" => Box::new(L1Unstructured::new(amount)),
                "random_unstructured" => Box::new(RandomUnstructured::new(amount, SEED)),
                "random_structured" => Box::new(RandomStructured::new(amount, dim, SEED)),
                "ln_structured" => {
                    Box::new(LnStructured::new(amount, norm(options.get("n")?.as_str()?)?, dim))
                }
                _ => return None,
            })
        };
        if options.contains_key("scores_shape") || options.get("module").is_some() {
            continue;
        }
        let Some(method) = of(options) else { continue };
        let earlier: Option<Vec<_>> = case.note["earlier"]
            .as_array()
            .unwrap()
            .iter()
            .map(|call| call.as_object().and_then(of))
            .collect();
        let Some(earlier) = earlier else { continue };
        let parameter = options.get("parameter").and_then(Value::as_str).unwrap_or("weight");
        let shape = weight_shape(&case);
        let [outputs, inputs] = shape[..] else { continue };
        let layer = LinearConfig::new(inputs, outputs).init(&crate::common::device());
        let mut net = Parametrized::new(layer);
        if earlier.iter().any(|earlier| net.prune("weight", &**earlier).is_err()) {
            continue;
        }
        let before = crate::common::everything(&net);
        let error = net.prune(Selector::path(parameter), &*method);
        assert!(
            matches!(error, Err(Error::Prune { .. } | Error::NoMatch { .. })),
            "{name}: {} raises {}, here {error:?}",
            case.note["call"],
            case.note["error"]
        );
        assert_eq!(crate::common::everything(&net), before, "{name}: nothing is changed");
        refused += 1;
    }
    assert!(refused >= 25, "{refused}");
}

/// What PyTorch breaks: after a pruning that failed all goes on as before.
#[test]
fn a_failed_second_pruning_changes_nothing() {
    let mut net = Parametrized::new(LinearConfig::new(6, 5).init(&crate::common::device()));
    net.prune("weight", L1Unstructured::new(20)).unwrap();
    let error = net.prune("weight", L1Unstructured::new(11)).unwrap_err();
    assert_eq!(error.to_string(), "`weight`: cannot prune 11 of 10 values");
    assert!(net.is_pruned("weight"));
    net.prune("weight", L1Unstructured::new(4)).unwrap();
    assert_eq!(net.kept("weight").unwrap().iter().filter(|kept| **kept).count(), 6);
    let copy = net.clone();
    net.remove("weight", Leave::Parametrized).unwrap();
    assert!(!net.is_pruned("weight") && copy.is_pruned("weight"), "a clone is its own");
}
