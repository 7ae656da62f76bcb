//! Selections of parameters.

use burn::module::{Module, ParamGroup};
use espalier::{Error, Kind, ParameterTree, Selector};

use crate::common::{nested, sequential, wrapped};

#[test]
fn a_selection_says_shape_layout_dtype_and_state() {
    let net = sequential().freeze_group(ParamGroup::from_regex(r"^0\.").unwrap());
    let selection = net.collect_params("[01].*").unwrap();
    assert_eq!(
        selection.to_string(),
        "0.weight [4, 3] (PyTorch [3, 4]) f32, frozen\n\
         0.bias [3] f32, frozen\n\
         1.gamma [3] f32, trained\n\
         1.beta [3] f32, trained\n\
         1.running_mean [3] f32, buffer\n\
         1.running_var [3] f32, buffer\n"
    );
    let frozen = net.collect_params(Selector::trainable(false)).unwrap();
    assert_eq!(frozen.paths(), ["0.weight", "0.bias"]);
}

#[test]
fn selectors_are_joined_and_print_themselves() {
    let net = nested();
    let weights = Selector::glob("**.weight").unwrap();
    let selector = weights.clone().except(Selector::path("head.weight"));
    assert_eq!(selector.to_string(), "`**.weight` except `head.weight`");
    assert_eq!(
        net.collect_params(&selector).unwrap().paths(),
        ["stage.blocks.0.linear.weight", "stage.blocks.1.linear.weight", "stage.skip.weight"]
    );
    let norms = Selector::layer("BatchNorm").and(Selector::kind(Kind::Buffer));
    assert_eq!(norms.to_string(), "layer type `BatchNorm` and every buffer");
    assert_eq!(net.collect_params(norms).unwrap().len(), 4);
}

#[test]
fn a_part_that_names_nothing_is_an_error_but_a_state_may_be_of_none() {
    let net = nested();
    let all = Selector::glob("**").unwrap();
    let error = net.collect_params(all.clone().except(Selector::path("haed.weight"))).unwrap_err();
    assert!(error.to_string().contains("nearest: `head.weight`"), "{error}");
    assert!(net.collect_params(all.clone().except(Selector::trainable(false))).is_ok());
    let error = net.collect_params(all.and(Selector::trainable(false))).unwrap_err();
    assert!(matches!(error, Error::NoMatch { .. }));
    assert_eq!(error.to_string(), "`**` and every untrained parameter matches no parameter");
}

#[test]
fn a_wrapper_collects_by_effective_names_and_the_trait_by_saved_ones() {
    let net = wrapped();
    assert_eq!(
        net.collect_params("*.weight").unwrap().paths(),
        ["0.weight", "3.weight", "4.weight"]
    );
    assert_eq!(ParameterTree::collect_params(&net, "*.*_orig").unwrap().paths(), ["3.weight_orig"]);
}
