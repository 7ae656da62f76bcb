//! Files of `torch.nn.utils.weight_norm` and `spectral_norm`, whose keys are those from before
//! parametrizations.

use burn::nn::Linear;
use burn::tensor::Tensor;
use espalier::parametrize::{Rule, SpectralNorm, Symmetric, WeightNorm};
use espalier::state::Strict;
use espalier::{Error, Parametrized};

use crate::common::{Golden, Host, Tolerance, assert_close, tensor, values};

#[test]
fn legacy_files_load_into_parametrizations() {
    fn load(name: &str, shape: [usize; 2], rule: impl Rule + Clone + 'static) {
        for case in Golden::open("legacy_keys").case(name) {
            let ones: Tensor<2> = tensor(&vec![0.5; shape[0] * shape[1]], &shape, case.dtype);
            let mut net = Parametrized::new(Linear::holding(ones));
            net.register("weight", rule.clone()).unwrap();
            let file = case.state_dict("state.");
            let net = file.load_into(net, Strict::Yes).unwrap();
            let value = net.get::<2>("weight").unwrap().transpose();
            let tolerance = Tolerance::elementwise(case.dtype);
            assert_close(&case.label("value"), &values(value), &case.values("value"), tolerance);
        }
    }
    load("weight_norm_3x5", [3, 5], WeightNorm::dim(0));
    load("spectral_norm_4x6", [4, 6], SpectralNorm::new());
    Golden::open("legacy_keys").assert_all_tested(["weight_norm_3x5", "spectral_norm_4x6"]);
}

#[test]
fn a_legacy_file_of_another_rule_does_not_load() {
    for case in Golden::open("legacy_keys").case("weight_norm_3x5") {
        let ones: Tensor<2> = tensor(&[0.5; 9], &[3, 3], case.dtype);
        let mut net = Parametrized::new(Linear::holding(ones));
        net.register("weight", Symmetric::new()).unwrap();
        let error = case.state_dict("state.").load_into(net, Strict::Yes).unwrap_err();
        assert!(matches!(error, Error::Load(_)));
        assert!(error.to_string().contains("weight_g"), "{error}");
    }
}
