//! Which modules are inside a module.

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig, Relu};
use burn::tensor::Tensor;
use espalier::ParameterTree;
use espalier::nn::{ModuleList, ParameterList, Sequential};
use espalier::state::StateDict;

use crate::common::{device, linear, lines, nested, saved_names, sequential, wrapped};

#[test]
fn a_sequential_lists_its_layers_with_their_types_also_those_without_parameters() {
    let net = sequential();
    let expected =
        ["Sequential (29)", "0: Linear (15)", "1: BatchNorm (6)", "2: Relu", "3: Linear (8)"];
    assert_eq!(lines(&net.named_modules()), expected);
    assert_eq!(lines(&net.named_children()), expected[1..]);
    assert_eq!(net.modules(), net.named_modules());
    assert_eq!(net.children(), net.named_children());
    assert!(net.named_modules()[1].parameters == 15 && net.named_modules()[0].parameters == 0);
}

#[test]
fn nested_modules_come_depth_first_with_full_paths() {
    let expected = [
        "Net (25)",
        "stage: Stage (22)",
        "stage.blocks: Vec (16)",
        "stage.blocks.0: Block (8)",
        "stage.blocks.0.linear: Linear (4)",
        "stage.blocks.0.norm: BatchNorm (4)",
        "stage.blocks.0.dropout: Dropout",
        "stage.blocks.0.relu: ?",
        "stage.blocks.1: Block (8)",
        "stage.blocks.1.linear: Linear (4)",
        "stage.blocks.1.norm: BatchNorm (4)",
        "stage.blocks.1.dropout: Dropout",
        "stage.blocks.1.relu: ?",
        "stage.skip: Linear (6)",
        "head: Linear (3)",
    ];
    assert_eq!(lines(&nested().named_modules()), expected);
    assert_eq!(lines(&nested().named_children()), ["stage: Stage (22)", "head: Linear (3)"]);
}

#[test]
fn a_leaf_has_itself_only() {
    assert_eq!(lines(&linear(2, 1).named_modules()), ["Linear (3)"]);
    assert!(linear(2, 1).named_children().is_empty());
    let no_bias = LinearConfig::new(2, 1).with_bias(false).init(&device());
    assert_eq!(lines(&no_bias.named_modules()), ["Linear (2)"], "an absent bias is no module");
    assert_eq!(lines(&Relu::new().named_modules()), ["Relu"]);
}

#[test]
fn a_clone_placed_twice_is_listed_once_with_all_that_is_inside() {
    let block = Sequential::new().with(linear(2, 2)).with(Relu::new());
    let net = Sequential::new().with(block.clone()).with(linear(2, 2)).with(block);
    let expected =
        ["Sequential (12)", "0: Sequential (6)", "0.0: Linear (6)", "0.1: Relu", "1: Linear (6)"];
    assert_eq!(lines(&net.named_modules()), expected);
    assert_eq!(net.named_children().len(), 2);
    let names: Vec<String> = net.named_parameters().into_iter().map(|info| info.path).collect();
    assert_eq!(names, ["0.0.weight", "0.0.bias", "1.weight", "1.bias"]);
}

#[derive(Module, Debug)]
struct Lists {
    modules: ModuleList,
    scales: ParameterList,
}

#[test]
fn lists_are_modules_and_parameters_are_not() {
    let mut lists = Lists { modules: ModuleList::new(), scales: ParameterList::new() };
    lists.modules.push(linear(2, 1));
    lists.modules.push(Relu::new());
    lists.scales.push(Tensor::<1>::ones([3], &device()));
    let expected = [
        "Lists (6)",
        "modules: ModuleList (3)",
        "modules.0: Linear (3)",
        "modules.1: Relu",
        "scales: ParameterList (3)",
    ];
    assert_eq!(lines(&lists.named_modules()), expected);
    assert_eq!(lists.named_modules()[4].parameters, 3);
}

#[derive(Module, Debug)]
enum Either {
    Dense(Linear),
    Plain(Relu),
}

#[test]
fn a_variant_of_an_enum_is_a_level_as_it_is_in_the_names() {
    let net = vec![Either::Dense(linear(2, 1)), Either::Plain(Relu::new())];
    let expected = ["Vec (3)", "0: Either (3)", "0.Dense: Linear (3)", "1: Either", "1.Plain: ?"];
    assert_eq!(lines(&net.named_modules()), expected);
    assert_eq!(net.named_parameters()[0].path, "0.Dense.weight");
}

#[test]
fn a_wrapper_lists_its_parametrizations_as_pytorch_does() {
    let modules = wrapped().named_modules();
    let lines = lines(&modules);
    assert_eq!(lines[0], "Parametrized (56)");
    for expected in [
        "0: Linear (20)",
        "0.parametrizations: ModuleDict (16)",
        "0.parametrizations.weight: ParametrizationList (16)",
        "2: Relu",
        "4.parametrizations.weight: ParametrizationList (10)",
    ] {
        assert!(lines.contains(&expected.to_owned()), "{expected} in {lines:#?}");
    }
}

/// What a foreign visitor collects.
#[derive(Default)]
struct Paths(Vec<String>, Vec<String>);

impl ModuleVisitor for Paths {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.0.push(name.to_owned());
    }
    fn exit_module(&mut self, name: &str, _: &str) {
        assert_eq!(self.0.pop().as_deref(), Some(name));
    }
    fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
        self.1.push(self.0.join("."));
    }
}

#[test]
fn telling_types_changes_no_name_for_visitors_of_others() {
    let net = sequential();
    let names = ["0.weight", "0.bias", "1.gamma", "1.beta", "1.running_mean", "1.running_var"];
    let mut paths = Paths::default();
    net.visit(&mut paths);
    assert_eq!(paths.1[..6], names);
    assert_eq!(paths.1[6..], ["3.weight", "3.bias"]);

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("net.bpk");
    net.clone().save_file(&file).unwrap();
    let mut saved = saved_names(&file);
    let mut expected = paths.1;
    saved.sort();
    expected.sort();
    assert_eq!(saved, expected);

    // A struct with the same names written by derive reads the same file.
    let other = sequential().load_file(&file);
    assert_eq!(StateDict::of(&other), StateDict::of(&net));
    let weight: &Linear = other[0].get().unwrap();
    weight
        .weight
        .val()
        .into_data()
        .assert_eq(&net[0].get::<Linear>().unwrap().weight.val().into_data(), true);
}
