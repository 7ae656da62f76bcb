//! The names and the order that Keras gave the weights in its older files.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::failure::Failure;
use super::fault::Hdf5Fault;
use super::list::{Listing, join};
use crate::checkpoint::Checkpoint;
use crate::tensor::NamedTensor;

/// Under which the metadata tells of datasets that are no numbers.
const SKIPPED: &str = "hdf5.skipped";

/// Where an older file of a whole model has its weights.
const MODEL: &str = "model_weights";

/// The checkpoint of a file: by paths, or as Keras 2 listed its weights.
pub(super) fn checkpoint(listing: Listing) -> Result<Checkpoint, Failure> {
    let Listing { tensors, texts, lists, skipped } = listing;
    let mut checkpoint = Checkpoint::new();
    checkpoint.metadata = texts;
    if !skipped.is_empty() {
        let pairs = skipped.iter().map(|(path, what)| (path.clone(), (*what).into()));
        let json = serde_json::Value::Object(pairs.collect());
        checkpoint.metadata.insert(SKIPPED.to_owned(), json.to_string());
    }
    let lists = Lists(lists);
    let order = order(&lists, &tensors, |path| skipped.contains_key(path))?;
    let mut taken = vec![false; tensors.len()];
    let paths: HashSet<&str> = tensors.iter().map(NamedTensor::name).collect();
    for (place, name) in order {
        if std::mem::replace(&mut taken[place], true) {
            continue;
        }
        let tensor = &tensors[place];
        // Layers may use a name twice, and then the path tells them apart.
        let free = checkpoint.get(&name).is_none() && !paths.contains(name.as_str());
        let tensor = tensor.clone();
        checkpoint.push(if free { tensor.with_name(name) } else { tensor })?;
    }
    let rest = tensors.iter().zip(&taken).filter(|(_, taken)| !**taken);
    for (tensor, _) in rest {
        checkpoint.push(tensor.clone())?;
    }
    Ok(checkpoint)
}

/// The tensors that the lists of an older file name, in order, with their names.
fn order(
    lists: &Lists,
    tensors: &[NamedTensor],
    is_skipped: impl Fn(&str) -> bool,
) -> Result<Vec<(usize, String)>, Failure> {
    const LAYERS: &str = "layer_names";
    const WEIGHTS: &str = "weight_names";
    let found = ["", MODEL].into_iter().find_map(|root| Some((root, lists.get(root, LAYERS)?)));
    let Some((root, layers)) = found else { return Ok(Vec::new()) };
    let places: HashMap<&str, usize> =
        tensors.iter().enumerate().map(|(place, tensor)| (tensor.name(), place)).collect();
    let mut order = Vec::new();
    let mut add = |group: &str, keep_path: bool| {
        let Some(weights) = lists.get(group, WEIGHTS) else { return Ok(false) };
        for weight in weights {
            let path = join(group, &weight);
            match places.get(path.as_str()) {
                Some(&place) => order.push((place, if keep_path { path } else { weight })),
                None if is_skipped(&path) => {}
                None => {
                    let fault =
                        Hdf5Fault::MissingWeight { attribute: WEIGHTS.into(), name: weight };
                    return Err(Failure::from(fault).within(group));
                }
            }
        }
        Ok(true)
    };
    for layer in layers {
        if !add(&join(root, &layer), false)? {
            let fault = Hdf5Fault::MissingWeight { attribute: LAYERS.into(), name: layer };
            return Err(Failure::from(fault).within(root));
        }
    }
    add(&join(root, "top_level_model_weights"), false)?;
    add("optimizer_weights", true)?;
    Ok(order)
}

/// Lists of texts by group and name.
struct Lists(BTreeMap<(String, String), Vec<String>>);

impl Lists {
    /// A list, which Keras cuts into `name0`, `name1` and so on where it is long.
    fn get(&self, group: &str, name: &str) -> Option<Vec<String>> {
        let part = |name: String| self.0.get(&(group.to_owned(), name));
        if let Some(list) = part(name.to_owned()) {
            return Some(list.clone());
        }
        let parts = (0..).map_while(|number| part(format!("{name}{number}")));
        let parts: Vec<&Vec<String>> = parts.collect();
        (!parts.is_empty()).then(|| parts.into_iter().flatten().cloned().collect())
    }
}
