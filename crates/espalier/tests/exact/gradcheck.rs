//! The conformance table: every rule, alone, in a chain and under a mask, on every shape, must
//! keep the promises that every rule makes. Gradients are compared with central differences.

use burn::module::Module;
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::tensor::{DType, Tensor};
use espalier::init::Rng;
use espalier::parametrize::{Link, Orthogonal, RuleError, Rules};
use espalier::prune::{Amount, L1Unstructured};
use espalier::state::{StateDict, Strict};
use espalier::{AnyTensor, Error, Leave, ParameterTree, Parametrized};

use crate::common::{
    Holder, Host, Tolerance, assert_close, assert_same, gradient_values, put, put_values,
    stored_values, tensor, values,
};
use crate::rows::{
    CAYLEY, CAYLEY_PLAIN, DEFINITE, EXP, EXP_PLAIN, FIXED_RANK, HOUSE, HOUSE_PLAIN, LOW_RANK,
    NORM_DIM0, NORM_DIM1, NORM_WHOLE, Row, SEMIDEFINITE, SKEW, SOFTPLUS, SQUARE, SYMMETRIC, TABLE,
};

/// A weight under the rules of one row, and under a mask or not.
struct Conformance<'a, const D: usize, H: Host<D>> {
    row: &'a Row,
    label: String,
    rng: Rng,
    /// Without the mask.
    plain: Parametrized<H>,
    net: Parametrized<H>,
}

/// A seed of the label's own, so that no row depends on those before it.
fn seed(label: &str) -> u64 {
    label.bytes().fold(7, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

fn normal<const D: usize>(rng: &mut Rng, dims: [usize; D], dtype: DType) -> Tensor<D> {
    let numbers: Vec<f64> = (0..dims.iter().product()).map(|_| rng.normal()).collect();
    tensor(&numbers, &dims, dtype)
}

impl<'a, const D: usize, H: Host<D>> Conformance<'a, D, H> {
    fn new(row: &'a Row, masked: bool, shape: [usize; D], dtype: DType) -> Option<Self> {
        let mask = if masked { ", masked" } else { "" };
        let host = std::any::type_name::<H>().rsplit("::").next().unwrap_or_default();
        let label = format!("{:?}{mask} on {host} {shape:?} {dtype:?}", row.rules);
        let mut rng = Rng::seeded(seed(&label));
        let mut plain = registered(row, H::holding(normal(&mut rng, shape, dtype)))?;
        // Away from where registering starts: for the Cayley map that is a special place.
        for info in plain.named_parameters() {
            let mut numbers = stored_values(&plain, &info.path);
            numbers.iter_mut().for_each(|number| *number += 0.5 * rng.normal());
            plain = put_values(plain, &info.path, &numbers);
        }
        let mut net = plain.clone();
        if masked {
            net.prune("weight", L1Unstructured::new(0.4)).unwrap();
        }
        Some(Self { row, label, rng, plain, net })
    }

    fn conforms(mut self, dtype: DType) {
        self.mask_zeroes();
        self.set_is_checked();
        if self.row.inverts {
            self.assigning_gives_the_value();
        }
        self.copies_are_equal();
        self.files_keep_every_bit();
        if dtype == DType::F64 {
            self.gradients_are_those_of_differences();
        }
        self.removing_keeps_the_value();
    }

    /// The value is that without the mask, but for zeros under it.
    fn mask_zeroes(&self) {
        let mut expected = weight(&self.plain);
        if self.net.is_pruned("weight") {
            let kept: Vec<f64> =
                self.net.kept("weight").unwrap().into_iter().map(f64::from).collect();
            let shape = H::turn(self.plain.get::<D>("weight").unwrap()).dims();
            let kept = values(H::turn(tensor::<D>(&kept, &shape, DType::F64)));
            for (value, kept) in expected.iter_mut().zip(kept) {
                *value = if kept == 1.0 { *value } else { 0.0 };
            }
        }
        assert_same(&self.label, &weight(&self.net), &expected);
    }

    /// The links as they are registered.
    fn links(&self) -> Vec<Link> {
        self.plain.parametrizations("weight").map_or_else(|_| Vec::new(), |p| p.links().to_vec())
    }

    /// `check` accepts the value, and refuses one that is not in the set.
    fn set_is_checked(&mut self) {
        let (Some(rule), Some(link)) = (self.row.rules.last(), self.links().pop()) else {
            return;
        };
        let value = self.plain.get::<D>("weight").unwrap();
        if let Err(error) = link.check(&value.clone().into()) {
            panic!("{}: {error}", self.label);
        }
        let dims = value.dims();
        let noise = normal(&mut self.rng, dims, value.dtype()) * 0.1;
        let outside = link.check(&(value + noise).into());
        let refused = matches!(outside, Err(RuleError::NotInSet { .. }));
        if let Some(proper) = rule.is_proper(&dims) {
            assert_eq!(refused, proper, "{}: {outside:?}", self.label);
        }
    }

    /// `forward(right_inverse(x))` is `x` for an `x` of the set, of the links and of the frame.
    fn assigning_gives_the_value(&mut self) {
        let value = self.plain.get::<D>("weight").unwrap().detach();
        let expected = values(value.clone());
        let tolerance = Tolerance::elementwise(value.dtype());

        let mut links = self.links();
        let mut through: Vec<AnyTensor> = vec![value.clone().into()];
        for link in links.iter_mut().rev() {
            through = link.right_inverse(through.swap_remove(0)).unwrap();
        }
        for link in &links {
            through = vec![link.forward(&through).unwrap()];
        }
        assert_close(&self.label, &values_of(&through[0]), &expected, tolerance);

        // Away from the value first, so that the assignment has something to do.
        let mut plain = self.plain.clone();
        for info in plain.named_parameters() {
            let numbers: Vec<f64> =
                (0..info.shape.iter().product()).map(|_| self.rng.normal()).collect();
            plain = put_values(plain, &info.path, &numbers);
        }
        plain.set("weight", value.clone()).unwrap();
        assert_close(&self.label, &weight(&plain), &expected, tolerance);
        let mut net = self.net.clone();
        net.set("weight", value).unwrap();
        assert_close(&self.label, &weight(&net), &weight(&self.net), tolerance);
    }

    /// Clones, snapshots and folded modules have the value to the bit.
    fn copies_are_equal(&self) {
        let (net, expected) = (&self.net, weight(&self.net));
        let same = |what: &str, found: Vec<f64>| {
            assert_same(&format!("{}: {what}", self.label), &found, &expected);
        };
        if !self.row.rules.iter().any(|rule| rule.moves()) {
            same("effective", values(net.effective().weight()));
        }
        same("clone", weight(&net.clone()));
        same("deep copy", weight(&net.deep_copy()));
        same("valid", weight(&net.valid()));
        same("effective of valid", values(net.valid().effective().weight()));
        same("fold", values(net.clone().fold().weight()));
    }

    /// What a file of either kind gives a fresh wrapper is the value to the bit.
    fn files_keep_every_bit(&mut self) {
        let dims = H::turn(self.net.get::<D>("weight").unwrap()).dims();
        let dtype = self.net.entries()[0].dtype;
        let mut fresh = || Parametrized::new(H::holding(normal(&mut self.rng, dims, dtype)));
        let expected = weight(&self.net);
        let dir = tempfile::tempdir().unwrap();

        let path = dir.path().join("net.bpk");
        self.net.clone().save_file(&path).unwrap();
        let loaded = fresh().try_load_file(&path).unwrap();
        assert_same(&format!("{}: burnpack", self.label), &weight(&loaded), &expected);
        assert_eq!(loaded.description(), self.net.description());

        let path = dir.path().join("net.safetensors");
        StateDict::of(&self.net).save(&path).unwrap();
        let state = StateDict::open(&path).unwrap();
        let mut other = fresh();
        if let Some(description) = state.description() {
            other.apply_description(description, &Rules::builtin()).unwrap();
        }
        let loaded = state.load_into(other, Strict::Yes).unwrap();
        assert_same(&format!("{}: safetensors", self.label), &weight(&loaded), &expected);
    }

    fn removing_keeps_the_value(mut self) {
        let expected = weight(&self.net);
        self.net.remove("weight", Leave::Parametrized).unwrap();
        assert!(self.net.parametrizations("weight").is_err());
        assert_same(&format!("{}: removed", self.label), &weight(&self.net), &expected);
        let names: Vec<_> = self.net.named_parameters().into_iter().map(|p| p.path).collect();
        assert_eq!(names, ["weight"]);
    }

    fn gradients_are_those_of_differences(&mut self) {
        let largest = gradcheck::<D, H>(&self.label, &self.net, 1.0, &mut self.rng);
        // A comparison of zeros with zeros would say nothing.
        let elements: usize = self.net.entries()[0].shape.iter().product();
        let vanishes = weight(&self.net).iter().all(|value| value.abs() < 1e-3);
        assert!(elements < 4 || vanishes || largest > 0.01, "{}: gradients vanish", self.label);
    }
}

/// The module under the rules of a row; none if one does not fit its shape.
fn registered<M: Module>(row: &Row, module: M) -> Option<Parametrized<M>> {
    let mut net = Parametrized::new(module);
    for rule in row.rules {
        match net.register("weight", rule.rule()) {
            Ok(_) => {}
            Err(Error::Rule {
                source: RuleError::NotSquare { .. } | RuleError::Option { .. },
                ..
            }) => return None,
            Err(error) => panic!("{rule:?}: {error}"),
        }
    }
    Some(net)
}

fn weight<M: Module>(net: &Parametrized<M>) -> Vec<f64> {
    values_of(&net.value("weight").unwrap())
}

fn values_of(tensor: &AnyTensor) -> Vec<f64> {
    tensor.to_data().iter::<f64>().collect()
}

/// Compares the gradient of `scale * sum(C * weight)`, for random numbers `C`, with central
/// differences, original by original and element by element. Gives the largest of them.
fn gradcheck<const D: usize, H: Host<D>>(
    label: &str,
    net: &Parametrized<H>,
    scale: f64,
    rng: &mut Rng,
) -> f64 {
    const EPS: f64 = 1e-6;
    let given = normal(rng, net.get::<D>("weight").unwrap().dims(), DType::F64) * scale;
    let loss = |weight: Tensor<D>| (weight * given.clone()).sum();
    let grads = net.grads(loss(net.effective().weight()).backward()).unwrap();
    let mut largest = 0f64;
    for info in net.named_parameters() {
        let original = stored_values(net, &info.path);
        let moved = |index: usize, by: f64| {
            let mut original = original.clone();
            original[index] += by;
            let net = put_values(net.clone(), &info.path, &original);
            loss(net.get::<D>("weight").unwrap()).into_scalar::<f64>()
        };
        let differences: Vec<f64> = (0..original.len())
            .map(|index| (moved(index, EPS) - moved(index, -EPS)) / (2.0 * EPS))
            .collect();
        let found = gradient_values(&grads, &info);
        let what = format!("{label}: gradient of {}", info.path);
        assert_close(&what, &found, &differences, Tolerance::new(1e-3, 1e-5));
        largest = differences.iter().fold(largest, |largest, g| largest.max(g.abs()));
    }
    largest
}

/// Every row that fits, with and without a mask, in both element types.
fn table<const D: usize, H: Host<D>>(shape: [usize; D]) {
    for row in TABLE {
        for masked in [false, true] {
            if row.rules.is_empty() && !masked {
                continue;
            }
            for dtype in [DType::F32, DType::F64] {
                if let Some(case) = Conformance::<D, H>::new(row, masked, shape, dtype) {
                    case.conforms(dtype);
                }
            }
        }
    }
}

#[test]
fn every_rule_conforms_on_square_weights() {
    [[1, 1], [2, 2], [5, 5]].into_iter().for_each(table::<2, Linear>);
}

#[test]
fn every_rule_conforms_on_tall_weights() {
    table::<2, Linear>([6, 3]);
}

#[test]
fn every_rule_conforms_on_wide_weights() {
    table::<2, Linear>([3, 6]);
}

#[test]
fn every_rule_conforms_on_a_weight_of_no_known_layer() {
    table::<2, Holder<2>>([4, 3]);
}

#[test]
fn every_rule_conforms_on_stacks_of_matrices() {
    [[2, 4, 4], [2, 5, 3], [2, 3, 5]].into_iter().for_each(table::<3, Holder<3>>);
}

#[test]
fn every_rule_conforms_on_convolutions() {
    [[4, 3, 2, 2], [2, 2, 3, 2], [2, 2, 2, 3]].into_iter().for_each(table::<4, Conv2d>);
}

fn holding<H: Host<2>>(values: &[f64], shape: [usize; 2]) -> Parametrized<H> {
    Parametrized::new(H::holding(tensor(values, &shape, DType::F64)))
}

/// Rows of length 1e-4: the gradient of a direction is ten thousand times that of the weight.
#[test]
fn gradients_hold_for_weight_norm_of_tiny_rows() {
    let mut rng = Rng::seeded(1);
    let numbers: Vec<f64> = (0..12).map(|i| rng.normal() * [1e-4, 1.0][i / 4 % 2]).collect();
    for rule in [NORM_DIM0, NORM_DIM1, NORM_WHOLE] {
        let mut net = holding::<Linear>(&numbers, [3, 4]);
        rule.register(&mut net);
        let label = format!("{rule:?} of tiny rows");
        let largest = gradcheck::<2, Linear>(&label, &net, 1.0, &mut rng);
        assert!(largest > 0.1);
    }
}

/// Large originals bring the rotation near half a turn, where `I + Q` is singular, and the
/// gradient near zero, which the scale makes up for.
#[test]
fn gradients_hold_for_the_cayley_map_near_half_turns() {
    let mut rng = Rng::seeded(2);
    for (rule, shape) in [(CAYLEY, [4, 4]), (CAYLEY_PLAIN, [4, 4]), (CAYLEY, [5, 3])] {
        let numbers: Vec<f64> = (0..shape[0] * shape[1]).map(|_| rng.normal()).collect();
        let mut net = holding::<Linear>(&numbers, shape);
        rule.register(&mut net);
        let path = "parametrizations.weight.original";
        let far = normal(&mut rng, [shape[1], shape[0]], DType::F64) * 30.0;
        let net = put(net, path, far);
        let label = format!("{rule:?} of large originals");
        let largest = gradcheck::<2, Linear>(&label, &net, 1e3, &mut rng);
        assert!(largest > 1.0, "{largest}");
        assert_orthonormal(&label, net.get("weight").unwrap(), 1e-12);
    }
}

/// The Gram matrix of the smaller side of a `Linear` weight is the identity.
#[track_caller]
fn assert_orthonormal(label: &str, weight: Tensor<2>, atol: f64) {
    let [inputs, outputs] = weight.dims();
    let turned = weight.clone().transpose();
    let gram = if inputs >= outputs { turned.matmul(weight) } else { weight.matmul(turned) };
    let side = inputs.min(outputs);
    let identity: Vec<f64> = (0..side * side).map(|i| f64::from(i % (side + 1) == 0)).collect();
    assert_close(label, &values(gram), &identity, Tolerance::new(0.0, atol));
}

/// A weight of dependent columns has no unique orthogonal factor, but has one.
#[test]
fn registering_and_assigning_near_singular_weights_gives_orthogonal_ones() {
    let zeros = vec![0.0; 12];
    let ones = vec![1.0; 12];
    let near: Vec<f64> = (0..12).map(|i| 1.0 + 1e-9 * f64::from(i * i)).collect();
    let tiny: Vec<f64> = (0..12).map(|i| 1e-160 * f64::from(i * i - 7)).collect();
    let huge: Vec<f64> = (0..12).map(|i| 1e150 * f64::from(i * i - 7)).collect();
    for (label, numbers) in
        [("zeros", zeros), ("ones", ones), ("near", near), ("tiny", tiny), ("huge", huge)]
    {
        for shape in [[4, 3], [3, 4], [3, 3]] {
            let numbers = &numbers[..shape[0] * shape[1]];
            let mut net = holding::<Linear>(numbers, shape);
            net.register("weight", Orthogonal::cayley()).unwrap();
            assert_orthonormal(label, net.get("weight").unwrap(), 1e-12);
            let value = tensor::<2>(numbers, &shape, DType::F64).transpose();
            net.set("weight", value).unwrap();
            assert_orthonormal(label, net.get("weight").unwrap(), 1e-12);
        }
    }
}

/// What the rules of a spectrum make of weights without a clear one is finite and in the set.
#[test]
fn degenerate_weights_are_brought_into_the_set() {
    let zeros = vec![0.0; 9];
    let ones = vec![1.0; 9];
    let minus: Vec<f64> = (0..9).map(|i| -f64::from(i % 4 == 0)).collect();
    let tiny: Vec<f64> = (0..9).map(|i| 1e-160 * f64::from(i * i - 7)).collect();
    let huge: Vec<f64> = (0..9).map(|i| 1e150 * f64::from(i * i - 7)).collect();
    for numbers in [zeros, ones, minus, tiny, huge] {
        for rule in [DEFINITE, SEMIDEFINITE, LOW_RANK, FIXED_RANK, SOFTPLUS, SQUARE, SKEW] {
            let mut net = holding::<Linear>(&numbers, [3, 3]);
            rule.register(&mut net);
            let value = net.value("weight").unwrap();
            assert!(values_of(&value).iter().all(|x| x.is_finite()), "{rule:?} of {numbers:?}");
            let list = net.parametrizations("weight").unwrap();
            if let Err(error) = list.links()[0].check(&value) {
                panic!("{rule:?} of {numbers:?}: {error}");
            }
            let again = list.links()[0].clone().right_inverse(value.clone()).unwrap();
            assert!(values_of(&again[0]).iter().all(|x| x.is_finite()), "{rule:?} of {numbers:?}");
        }
    }
}

/// The exponential of rotations of many turns.
#[test]
fn gradients_hold_for_the_exponential_of_large_originals() {
    let mut rng = Rng::seeded(4);
    for rule in [EXP, EXP_PLAIN, HOUSE, HOUSE_PLAIN] {
        let numbers: Vec<f64> = (0..20).map(|_| rng.normal()).collect();
        let mut net = holding::<Linear>(&numbers, [5, 4]);
        rule.register(&mut net);
        let far = normal(&mut rng, [4, 5], DType::F64) * 6.0;
        let net = put(net, "parametrizations.weight.original", far);
        let label = format!("{rule:?} of large originals");
        gradcheck::<2, Linear>(&label, &net, 1.0, &mut rng);
        assert_orthonormal(&label, net.get("weight").unwrap(), 1e-12);
    }
}

/// All masked: the value and the gradient are exactly zero. None masked: nothing changes.
#[test]
fn masks_of_all_and_of_nothing_hold() {
    let mut rng = Rng::seeded(3);
    for rule in [NORM_DIM0, CAYLEY, CAYLEY_PLAIN, SYMMETRIC] {
        for (fraction, expected) in [(1.0, 0), (0.0, 16)] {
            let numbers: Vec<f64> = (0..16).map(|_| rng.normal()).collect();
            let mut net = holding::<Linear>(&numbers, [4, 4]);
            rule.register(&mut net);
            net.prune("weight", L1Unstructured::new(Amount::fraction(fraction))).unwrap();
            let label = format!("{rule:?}, masked {fraction}");
            assert_eq!(net.kept("weight").unwrap().iter().filter(|kept| **kept).count(), expected);
            let largest = gradcheck::<2, Linear>(&label, &net, 1.0, &mut rng);
            assert_eq!(largest > 0.0, expected > 0, "{label}");
        }
    }
}
