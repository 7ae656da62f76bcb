//! Fields that are no parameters.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use espalier::ParameterTree;
use espalier::state::StateDict;

use crate::common::{device, linear, lines, saved_names};

#[derive(Module, Debug)]
struct Cached {
    weight: Param<Tensor<2>>,
    cache: Tensor<2>,
}

fn cached(value: f64) -> Cached {
    Cached {
        weight: Param::from_tensor(Tensor::ones([2, 2], &device())),
        cache: Tensor::full([3, 3], value, &device()),
    }
}

#[test]
fn a_plain_tensor_is_neither_listed_nor_saved() {
    let module = cached(5.0);
    let names: Vec<String> = module.named_parameters().into_iter().map(|info| info.path).collect();
    assert_eq!(names, ["weight"]);
    assert!(module.named_buffers().is_empty());
    assert_eq!(lines(&module.named_modules()), ["Cached (4)"]);
    assert_eq!((module.num_params(), module.get_weights().len()), (4, 1));
    assert_eq!(StateDict::of(&module).shapes(), [("weight", &[2, 2][..])]);
    assert!(module.parameter("cache").is_err());

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cached.bpk");
    module.save_file(&file).unwrap();
    assert_eq!(saved_names(&file), ["weight"]);
    let loaded = cached(1.0).load_file(&file);
    assert_eq!(loaded.cache.clone().into_data(), cached(1.0).cache.into_data(), "its own still");
}

/// Modules in a struct that is no module, and in one that is.
struct NotAModule {
    layers: Vec<burn::nn::Linear>,
}

#[derive(Module, Debug)]
struct Registered {
    layers: Vec<burn::nn::Linear>,
}

#[test]
fn a_list_is_registered_by_a_module_around_it() {
    let outside = NotAModule { layers: vec![linear(2, 2), linear(2, 2)] };
    let inside = Registered { layers: outside.layers.clone() };
    assert_eq!(inside.named_parameters().len(), 4);
    assert_eq!(inside.named_parameters()[2].path, "layers.1.weight");
    // The list itself is a module to Burn; the struct around it is nothing.
    assert_eq!(outside.layers.named_parameters()[2].path, "1.weight");
}
