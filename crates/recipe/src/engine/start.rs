//! `train.start`: weights of an earlier training.

use std::path::Path;

use espalier::nn::Graph;
use espalier::state::{StateDict, Strict};
use espalier_checkpoint::Checkpoint;

use super::directory::MODEL;
use super::error::TrainError;

/// `network` with the tensors of a model, or of a run's model, that it has under the same name in the
/// same shape.
///
/// # Errors
///
/// [`TrainError::Start`] if the file cannot be read or nothing of it fits.
pub(crate) fn start(
    network: Graph,
    from: &Path,
    log: &mut Vec<String>,
) -> Result<Graph, TrainError> {
    let path = if from.is_dir() { from.join(MODEL) } else { from.to_owned() };
    let failed = |reason: String| TrainError::Start { path: path.clone(), reason };
    let state = StateDict::open(&path).map_err(|error| failed(error.to_string()))?;
    let own = StateDict::of(&network);
    let (mut fitting, mut others) = (Checkpoint::new(), Vec::new());
    for tensor in state.checkpoint() {
        let fits =
            own.checkpoint().get(tensor.name()).is_some_and(|own| own.shape() == tensor.shape());
        if fits {
            fitting.push(tensor.clone())?;
        } else {
            others.push(tensor.name().to_owned());
        }
    }
    let (count, all) = (fitting.len(), own.checkpoint().len());
    if count == 0 {
        let first = others.first().cloned().unwrap_or_default();
        return Err(failed(format!(
            "none of its {} tensors has the name and shape of one of the network's {all}; its first is \
             {first:?}",
            others.len()
        )));
    }
    let network = StateDict::from_checkpoint(fitting)?.load_into(network, Strict::No)?;
    log.push(format!("start: {count} of {all} tensors from {}", path.display()));
    Ok(network)
}
