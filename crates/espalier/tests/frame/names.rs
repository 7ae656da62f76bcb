//! What visitors, mappers and selectors see.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Bool, Int, Tensor};
use espalier::nn::Sequential;
use espalier::parametrize::{Orthogonal, Symmetric, WeightNorm};
use espalier::prune::L1Unstructured;
use espalier::state::StateDict;
use espalier::{ParameterTree, Parametrized, Selector};

use crate::common::{device, wrapped};

fn slotted() -> Parametrized<Sequential> {
    let mut net = wrapped(0);
    net.register("3.weight", Orthogonal::cayley()).unwrap();
    net.register("5.weight", WeightNorm::dim(0)).unwrap();
    net.prune("5.weight", L1Unstructured::new(0.25)).unwrap();
    net.prune("0.weight", L1Unstructured::new(7)).unwrap();
    net.tie("3.bias", "0.bias").unwrap();
    net
}

/// Names entered and kinds met, for a visit or a map.
#[derive(Default, PartialEq, Debug)]
struct Trace(Vec<String>);

macro_rules! trace {
    () => {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.push(format!("> {name} ({container})"));
        }
        fn exit_module(&mut self, name: &str, container: &str) {
            self.0.push(format!("< {name} ({container})"));
        }
    };
}

impl ModuleVisitor for Trace {
    trace!();
    fn visit_float<const D: usize>(&mut self, p: &Param<Tensor<D>>) {
        self.0.push(format!("float {:?}", p.dims()));
    }
    fn visit_int<const D: usize>(&mut self, p: &Param<Tensor<D, Int>>) {
        self.0.push(format!("int {:?}", p.dims()));
    }
    fn visit_bool<const D: usize>(&mut self, p: &Param<Tensor<D, Bool>>) {
        self.0.push(format!("bool {:?}", p.dims()));
    }
}

impl ModuleMapper for Trace {
    trace!();
    fn map_float<const D: usize>(&mut self, p: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.0.push(format!("float {:?}", p.dims()));
        p
    }
    fn map_int<const D: usize>(&mut self, p: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        self.0.push(format!("int {:?}", p.dims()));
        p
    }
    fn map_bool<const D: usize>(&mut self, p: Param<Tensor<D, Bool>>) -> Param<Tensor<D, Bool>> {
        self.0.push(format!("bool {:?}", p.dims()));
        p
    }
}

#[test]
fn visit_and_map_enter_the_same_names() {
    let net = slotted();
    let (mut visited, mut mapped) = (Trace::default(), Trace::default());
    net.visit(&mut visited);
    let _ = net.map(&mut mapped);
    assert_eq!(visited, mapped);
    assert!(visited.0.contains(&"> original0 (Struct:Linear)".to_owned()));
    assert!(visited.0.contains(&"> weight_mask (Struct:Linear)".to_owned()));
}

#[test]
fn a_slotted_path_is_visited_as_its_originals_under_pytorch_names() {
    let names: Vec<String> = slotted().named_parameters().into_iter().map(|p| p.path).collect();
    assert_eq!(
        names,
        [
            "0.weight_orig",
            "0.bias",
            "1.gamma",
            "1.beta",
            "3.parametrizations.weight.original",
            "5.parametrizations.weight.original0",
            "5.parametrizations.weight.original1",
            "5.bias",
        ]
    );
    let buffers: Vec<String> = slotted().named_buffers().into_iter().map(|p| p.path).collect();
    assert_eq!(
        buffers,
        [
            "0.weight_mask",
            "1.running_mean",
            "1.running_var",
            "3.parametrizations.weight.0.base",
            "5.weight_mask",
        ]
    );
}

#[test]
fn a_state_dict_has_pytorch_names_and_shapes() {
    let state = StateDict::of(&slotted());
    let shapes: Vec<(&str, Vec<usize>)> =
        state.shapes().into_iter().map(|(name, shape)| (name, shape.to_vec())).collect();
    let expected: Vec<(&str, Vec<usize>)> = vec![
        ("0.weight_orig", vec![8, 6]),
        ("0.weight_mask", vec![8, 6]),
        ("0.bias", vec![8]),
        ("1.weight", vec![8]),
        ("1.bias", vec![8]),
        ("1.running_mean", vec![8]),
        ("1.running_var", vec![8]),
        ("3.parametrizations.weight.original", vec![8, 8]),
        ("3.parametrizations.weight.0.base", vec![8, 8]),
        ("5.parametrizations.weight.original0", vec![3, 1]),
        ("5.parametrizations.weight.original1", vec![3, 8]),
        ("5.weight_mask", vec![3, 8]),
        ("5.bias", vec![3]),
    ];
    assert_eq!(shapes, expected);
    assert!(state.description().unwrap().contains("weight_norm"));
}

#[test]
fn selectors_speak_effective_names_and_layer_types() {
    let net = slotted();
    let paths = |selector: Selector| -> Vec<String> {
        net.entries().iter().filter(|p| selector.matches(p)).map(|p| p.path.clone()).collect()
    };
    assert_eq!(
        paths(Selector::layer_parameter("Linear", "weight")),
        ["0.weight", "3.weight", "5.weight"]
    );
    assert_eq!(
        paths(Selector::layer("BatchNorm")),
        ["1.gamma", "1.beta", "1.running_mean", "1.running_var"]
    );
    assert_eq!(paths(Selector::glob("*.weight").unwrap()), ["0.weight", "3.weight", "5.weight"]);
    assert_eq!(paths(Selector::glob("*").unwrap()), Vec::<String>::new());
    assert_eq!(paths(Selector::glob("**").unwrap()).len(), 10);
    assert_eq!(paths(Selector::regex("^[35]").unwrap()).len(), 4);
}

#[derive(Module, Debug)]
struct Outer {
    body: Parametrized<Sequential>,
    head: Linear,
}

#[test]
fn it_survives_derive_module_around_it() {
    let head = LinearConfig::new(3, 2).init(&device());
    let outer = Outer { body: slotted(), head };
    let names: Vec<String> = outer.named_parameters().into_iter().map(|p| p.path).collect();
    assert!(names.contains(&"body.3.parametrizations.weight.original".to_owned()));
    assert!(names.contains(&"head.weight".to_owned()));
    let text = outer.to_string();
    assert!(text.contains("orthogonal of [[8, 8]]"), "{text}");
    assert!(text.contains("weight_norm, then mask of [[1, 3], [8, 3]]"), "{text}");
    assert!(text.contains("tied to 0.bias"), "{text}");

    // A record of the outer module restores the inner wrapper's originals.
    let other = Outer { body: slotted(), head: LinearConfig::new(3, 2).init(&device()) };
    let restored = other.load_record(outer.clone().into_record());
    assert_eq!(StateDict::of(&restored), StateDict::of(&outer));
}

#[test]
fn the_template_holds_no_second_copy_of_a_slotted_weight() {
    let mut net = wrapped(1);
    net.register("3.weight", Symmetric::new()).unwrap();
    let linear = net.template()[3].get::<Linear>().unwrap();
    let placeholder: Vec<f32> = linear.weight.val().into_data().try_to_vec().unwrap();
    assert_eq!(placeholder, [0.0; 64]);
}
