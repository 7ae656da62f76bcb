//! A network in one file.

use espalier_checkpoint::{Checkpoint, NamedTensor, write_safetensors};
use espalier_recipe::{Network, PredictError};

const RECIPE: &str = "name = 'a'\ndata = { source = 'digits' }\n\
    optimizer = { type = 'adamw', lr = 1e-3 }\n\
    layer = [{ type = 'flatten' }, { type = 'linear', features = 10 }]\n\
    train = { epochs = 1, batch_size = 64 }";

fn error_of(recipe: Option<&str>, tensors: &[(&str, &[usize])]) -> PredictError {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.safetensors");
    let mut file = Checkpoint::new();
    for (name, shape) in tensors {
        let zeros = vec![0.0; shape.iter().product()];
        file.push(NamedTensor::f32(*name, shape.to_vec(), &zeros).unwrap()).unwrap();
    }
    let data = r#"{"dims":[1,8,8],"normalization":"none","output":[10]}"#;
    file.metadata.insert("espalier.data".to_owned(), data.to_owned());
    file.metadata.extend(recipe.map(|text| ("espalier.recipe".to_owned(), text.to_owned())));
    write_safetensors(&path, &file).unwrap();
    match Network::load(&path) {
        Ok(_) => panic!("it was loaded"),
        Err(error) => error,
    }
}

#[test]
fn a_file_that_does_not_fit_its_recipe_or_has_none_is_refused() {
    let whole: [(&str, &[usize]); 2] = [("1.weight", &[10, 64]), ("1.bias", &[10])];
    let error = error_of(None, &whole);
    assert!(matches!(error, PredictError::NoRecipe { .. }), "{error}");
    let error = error_of(Some("name = 1"), &whole);
    assert!(matches!(error, PredictError::Recipe(_)), "{error}");
    let error = error_of(Some(RECIPE), &whole[..1]);
    assert!(error.to_string().contains("missing: `1.bias`"), "{error}");
    let error = error_of(Some(RECIPE), &[("1.weight", &[10, 63]), ("1.bias", &[10])]);
    assert!(error.to_string().contains("[10, 64]"), "{error}");
}
