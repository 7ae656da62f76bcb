//! Values drawn from the sets of rules: `Parametrized::sample`.

use burn::module::Module;
use burn::tensor::Tensor;
use espalier::init::Rng;
use espalier::parametrize::{Own, Parametrization, RuleError, WeightNorm};
use espalier::{Error, ParameterTree, Parametrized, Selector};

use crate::common::{everything, pair, square, values};

/// Columns that are constant: the original's first row.
#[derive(Module, Debug)]
struct Rows {}

impl Parametrization<2> for Rows {
    fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
        let [rows, columns] = originals[0].dims();
        originals[0].clone().narrow(0, 0, 1).expand([rows, columns])
    }
    fn right_inverse(&mut self, value: Tensor<2>) -> Result<Vec<Tensor<2>>, RuleError> {
        Ok(vec![value])
    }
    fn sample(&self, like: &Tensor<2>, rng: &mut Rng) -> Result<Tensor<2>, RuleError> {
        let [rows, columns] = like.dims();
        let row: Vec<f32> = (0..columns).map(|_| rng.normal() as f32).collect();
        let row = Tensor::<1>::from_floats(row.as_slice(), &like.device()).cast(like.dtype());
        Ok(row.unsqueeze::<2>().expand([rows, columns]))
    }
}

/// Nothing can be drawn, but it can be inverted.
#[derive(Module, Debug)]
struct Doubled {}

impl Parametrization<2> for Doubled {
    fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
        originals[0].clone() * 2.0
    }
    fn right_inverse(&mut self, value: Tensor<2>) -> Result<Vec<Tensor<2>>, RuleError> {
        Ok(vec![value / 2.0])
    }
}

fn rows() -> Own<2, Rows> {
    Own::new("rows", Rows {})
}

fn drawn(net: &Parametrized<espalier::nn::Sequential>) -> [Vec<f64>; 2] {
    ["0.weight", "2.weight"].map(|path| values(net, path, &[4, 4]))
}

#[test]
fn a_value_of_the_set_by_seed_and_path() {
    let make = || {
        let mut net = pair(1);
        net.register("*.weight", rows()).unwrap();
        net
    };
    let mut net = make();
    let ids: Vec<_> = net.named_parameters().into_iter().map(|info| (info.path, info.id)).collect();
    assert_eq!(net.sample("*.weight", 3).unwrap(), ["0.weight", "2.weight"]);
    let together = drawn(&net);
    for values in &together {
        // In PyTorch's layout the rows of Burn's are columns.
        assert!(values.chunks(4).all(|row| row.iter().all(|x| *x == row[0])));
    }
    assert_ne!(together[0], together[1], "each has its own stream");
    let after: Vec<_> =
        net.named_parameters().into_iter().map(|info| (info.path, info.id)).collect();
    assert_eq!(after, ids);

    let mut other = make();
    other.sample("2.weight", 3).unwrap();
    other.sample("0.weight", 3).unwrap();
    assert_eq!(drawn(&other), together, "whatever the order");
    other.sample("**.weight", 4).unwrap();
    assert_ne!(drawn(&other), together, "another seed");
}

#[test]
fn a_chain_is_given_a_value_of_its_last_rule() {
    let mut net = square(2);
    net.register("weight", Own::new("doubled", Doubled {})).unwrap();
    net.register("weight", rows()).unwrap();
    net.sample("weight", 1).unwrap();
    let mut alone = square(2);
    alone.register("weight", rows()).unwrap();
    alone.sample("weight", 1).unwrap();
    assert_eq!(values(&net, "weight", &[4, 4]), values(&alone, "weight", &[4, 4]));
}

#[test]
fn originals_ties_and_snapshots() {
    let mut net = square(3);
    net.register("weight", WeightNorm::whole()).unwrap();
    let original = "parametrizations.weight.original1";
    net.register(original, rows()).unwrap();
    assert_eq!(net.sample(original, 1).unwrap(), [original]);

    let mut net = pair(4);
    net.register("0.weight", rows()).unwrap();
    net.tie("2.weight", "0.weight").unwrap();
    let before = drawn(&net);
    assert_eq!(net.sample("2.weight", 1).unwrap(), ["0.weight"]);
    assert_eq!(drawn(&net)[0], drawn(&net)[1]);
    assert_ne!(drawn(&net), before);

    let mut net = net.valid();
    net.sample("0.weight", 2).unwrap();
    let plain: Tensor<2> = net.effective().get_parameter("0.weight").unwrap();
    plain.into_data().assert_eq(&net.get::<2>("0.weight").unwrap().into_data(), true);
}

#[test]
fn refusals_change_nothing() {
    let mut net = pair(5);
    net.register("0.weight", rows()).unwrap();
    net.register("2.weight", Own::new("doubled", Doubled {})).unwrap();
    let before = everything(&net);
    let error = net.sample("*.weight", 1).unwrap_err();
    assert!(
        matches!(&error, Error::Rule { path, rule, source: RuleError::NoSample }
            if path == "2.weight" && rule == "doubled"),
        "{error}"
    );
    let biases = Selector::path("0.weight");
    let error = net.sample(Selector::any([biases, Selector::path("0.bias")]), 1).unwrap_err();
    assert!(matches!(&error, Error::NotParametrized { path } if path == "0.bias"), "{error}");
    assert!(matches!(net.sample("1.weight", 1).unwrap_err(), Error::NoMatch { .. }));
    assert_eq!(everything(&net), before);
}
