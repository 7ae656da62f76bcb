//! The state of every parameter's optimizer under the parameter's name.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::OptimizerRecord;
use burn::tensor::{Bytes, Tensor};
use burn_pack::{Reader, Scalar, Writer};
use espalier_checkpoint::{Checkpoint, NamedTensor};
use serde::{Deserialize, Serialize};

use super::grouped::{GroupState, GroupedOptimizer};
use crate::error::Error;
use crate::frame::{self, Parametrized};
use crate::schedule::Exact;
use crate::state::{StateDict, burn_dtype, dtype_of};
use crate::tree::{Walk, follow_walk};

/// The metadata that says which tensor is what.
const KEY: &str = "espalier.optimizer";

/// The version of this description.
const VERSION: u32 = 1;

/// What Burn's records call the rank of a parameter.
const RANK: &str = "__rank";

/// What is wrong with a saved state of an optimizer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A file of something else, or of a later version.
    #[error("this is no state that `state_by_name` made: {reason}")]
    Foreign {
        /// What is not as it should be.
        reason: String,
    },
    /// The state of a parameter that the network has not.
    #[error(
        "the saved state has `{path}`, which the network has not; register, prune and tie as before"
    )]
    Unexpected {
        /// The parameter, or the tensor that belongs to none.
        path: String,
    },
    /// A tensor that the description tells of and the file has not.
    #[error("the saved state lacks the tensor `{path}`")]
    Missing {
        /// The tensor.
        path: String,
    },
    /// The state of a parameter of another shape.
    #[error("`{path}`: the parameter has shape {expected:?}, the saved state is of {found:?}")]
    Shape {
        /// The parameter.
        path: String,
        /// Its shape.
        expected: Vec<usize>,
        /// That of the parameter that the state was saved of.
        found: Vec<usize>,
    },
    /// The state of another kind of optimizer.
    #[error("`{path}`: the saved state is of another optimizer than the one of its group")]
    Optimizer {
        /// The parameter.
        path: String,
    },
    /// Numbers of a type that files do not have.
    #[error("`{path}`: numbers of this type cannot be saved")]
    Dtype {
        /// The tensor.
        path: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    version: u32,
    groups: GroupState,
    parameters: Vec<SavedParameter>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedParameter {
    path: String,
    shape: Vec<usize>,
    /// What the optimizer calls its tensors of this parameter.
    tensors: Vec<String>,
    scalars: BTreeMap<String, SavedScalar>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SavedScalar {
    Int(i64),
    Uint(u64),
    Float(Exact),
    Bool(bool),
}

impl From<Scalar> for SavedScalar {
    fn from(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Int(value) => Self::Int(value),
            Scalar::UInt(value) => Self::Uint(value),
            Scalar::Float(value) => Self::Float(Exact(value)),
            Scalar::Bool(value) => Self::Bool(value),
        }
    }
}

impl From<SavedScalar> for Scalar {
    fn from(saved: SavedScalar) -> Self {
        match saved {
            SavedScalar::Int(value) => Self::Int(value),
            SavedScalar::Uint(value) => Self::UInt(value),
            SavedScalar::Float(value) => Self::Float(value.0),
            SavedScalar::Bool(value) => Self::Bool(value),
        }
    }
}

fn foreign(reason: impl ToString) -> Error {
    StateError::Foreign { reason: reason.to_string() }.into()
}

fn record(error: burn_pack::Error) -> Error {
    Error::Record(error.into())
}

/// The parameters of a network as an optimizer meets them: id, path, shape.
#[derive(Default)]
struct Parameters {
    walk: Walk,
    seen: BTreeSet<u64>,
    found: Vec<(u64, String, Vec<usize>)>,
}

impl Parameters {
    fn of<M: Module>(net: &Parametrized<M>) -> Vec<(u64, String, Vec<usize>)> {
        let mut parameters = Self::default();
        frame::visit_parameters(net, &mut parameters);
        parameters.found
    }
}

impl ModuleVisitor for Parameters {
    follow_walk!();
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let id = param.id.val();
        if self.seen.insert(id) {
            self.found.push((id, self.walk.path(), param.shape().to_vec()));
        }
    }
}

/// `42.momentum.moment_1` taken apart.
fn id_and_name(name: &str) -> Option<(u64, &str)> {
    let (id, rest) = name.split_once('.')?;
    Some((id.parse().ok()?, rest))
}

impl GroupedOptimizer {
    /// What the optimizer remembers of each parameter (moments, steps), under the parameter's name,
    /// and [`state`](Self::state) with it: all that a safetensors file of the weights lacks.
    ///
    /// A tensor is called like its parameter and what the optimizer calls it:
    /// `0.weight.momentum.moment_1`. Parameters that have not been stepped have none, and what is
    /// remembered of parameters that `net` has no longer is left out.
    ///
    /// [`to_record`](Self::to_record) has the same under identities, which only a burnpack file
    /// keeps.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::optim::{AdamW, Groups};
    /// use espalier::state::{StateDict, Strict};
    /// use espalier::Parametrized;
    ///
    /// let device = Device::default().autodiff();
    /// let fresh = || LinearConfig::new(4, 2).with_bias(false).init(&device);
    /// let net = Parametrized::new(fresh());
    /// let mut optim = Groups::new(AdamW::new()).build(&net)?;
    /// let loss = net.effective().forward(Tensor::<2>::ones([1, 4], &device)).sum();
    /// let grads = net.grads(loss.backward())?;
    /// let net = optim.step(net, grads);
    /// let (weights, saved) = (StateDict::of(&net), optim.state_by_name(&net)?);
    /// let names: Vec<_> = saved.checkpoint().names().collect();
    /// assert_eq!(names, ["weight.momentum.moment_1", "weight.momentum.moment_2"]);
    ///
    /// // Another process, another identity.
    /// let again = Parametrized::new(weights.load_into(fresh(), Strict::Yes)?);
    /// let mut resumed = Groups::new(AdamW::new()).build(&again)?;
    /// resumed.load_state_by_name(&again, &saved)?;
    /// assert_eq!(resumed.state_by_name(&again)?, saved);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::OptimizerState`] for numbers of a type that safetensors files do not have.
    pub fn state_by_name<M: Module>(&self, net: &Parametrized<M>) -> Result<StateDict, Error> {
        let reader = Reader::from_bytes(self.to_record().into_bytes()?).map_err(record)?;
        let mut scalars: BTreeMap<u64, BTreeMap<String, SavedScalar>> = BTreeMap::new();
        for (name, scalar) in reader.scalars() {
            if let Some((id, rest)) = id_and_name(name) {
                scalars.entry(id).or_default().insert(rest.to_owned(), (*scalar).into());
            }
        }
        let mut tensors: BTreeMap<u64, BTreeMap<String, burn_pack::Tensor>> = BTreeMap::new();
        for tensor in reader.into_tensors().map_err(record)? {
            if let Some((id, rest)) = id_and_name(&tensor.name) {
                let rest = rest.to_owned();
                tensors.entry(id).or_default().insert(rest, tensor);
            }
        }
        let mut out = Checkpoint::new();
        let mut parameters = Vec::new();
        for (id, path, shape) in Parameters::of(net) {
            let Some(scalars) = scalars.remove(&id) else { continue };
            let mut names = Vec::new();
            for (rest, tensor) in tensors.remove(&id).unwrap_or_default() {
                let name = format!("{path}.{rest}");
                let (_, dtype, shape, _, bytes) = tensor.into_parts().map_err(record)?;
                let Some(dtype) = dtype_of(dtype) else {
                    return Err(StateError::Dtype { path: name }.into());
                };
                out.push(NamedTensor::new(name, dtype, shape.to_vec(), bytes.to_vec())?)?;
                names.push(rest);
            }
            parameters.push(SavedParameter { path, shape, tensors: names, scalars });
        }
        let saved = Saved { version: VERSION, groups: self.state(), parameters };
        out.metadata.insert(KEY.to_owned(), serde_json::to_string(&saved).map_err(foreign)?);
        Ok(StateDict::over(out))
    }

    /// Goes on from where the optimizer of [`state_by_name`](Self::state_by_name) stood, parameter
    /// by name and group by name.
    ///
    /// `net` is the network that the groups were built for, with everything registered, pruned and
    /// tied as when the state was saved. Parameters that the state has nothing of begin anew.
    ///
    /// # Errors
    ///
    /// [`Error::OptimizerState`] if `saved` is of something else, or of another network or
    /// optimizer; as [`load_state`](Self::load_state) for the groups. Nothing has changed then.
    pub fn load_state_by_name<M: Module>(
        &mut self,
        net: &Parametrized<M>,
        saved: &StateDict,
    ) -> Result<(), Error> {
        let file = saved.checkpoint();
        let Some(text) = file.metadata.get(KEY) else {
            return Err(foreign(format!("it has no `{KEY}` in its metadata")));
        };
        let Saved { version, groups, parameters } = serde_json::from_str(text).map_err(foreign)?;
        if version != VERSION {
            return Err(foreign(format!("version {version}, this library reads {VERSION}")));
        }
        let ours: BTreeMap<String, (u64, Vec<usize>)> =
            Parameters::of(net).into_iter().map(|(id, path, shape)| (path, (id, shape))).collect();
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        // Everything under its identity here, and whose it is.
        let mut whose: BTreeMap<String, &str> = BTreeMap::new();
        let mut tensors = Vec::new();
        let mut scalars = Vec::new();
        let mut paths = Vec::new();
        for SavedParameter { path, shape, tensors: names, scalars: values } in &parameters {
            let Some((id, expected)) = ours.get(path) else {
                return Err(StateError::Unexpected { path: path.clone() }.into());
            };
            if expected != shape {
                let (expected, found) = (expected.clone(), shape.clone());
                return Err(StateError::Shape { path: path.clone(), expected, found }.into());
            }
            let rank = values.get(RANK).map(|rank| usize::try_from(Scalar::from(*rank)));
            if rank != Some(Ok(shape.len())) {
                return Err(foreign(format!("`{path}` is told to have another rank than it has")));
            }
            for rest in names {
                let name = format!("{path}.{rest}");
                let Some(tensor) = file.get(&name) else {
                    return Err(StateError::Missing { path: name }.into());
                };
                let Some(dtype) = burn_dtype(tensor.dtype()) else {
                    return Err(StateError::Dtype { path: name }.into());
                };
                wanted.insert(name);
                whose.insert(format!("{id}.{rest}"), path);
                tensors.push(burn_pack::Tensor::new(
                    format!("{id}.{rest}"),
                    dtype,
                    tensor.shape().to_vec(),
                    Some(*id),
                    Bytes::from_bytes_vec(tensor.bytes()?.into_owned()),
                ));
            }
            for (rest, value) in values {
                whose.insert(format!("{id}.{rest}"), path);
                scalars.push((format!("{id}.{rest}"), Scalar::from(*value)));
            }
            paths.push((id.to_string(), path));
        }
        if let Some(other) = file.names().find(|name| !wanted.contains(*name)) {
            return Err(StateError::Unexpected { path: other.to_owned() }.into());
        }
        let mut writer = Writer::new(tensors);
        for (name, value) in scalars {
            writer = writer.with_scalar(&name, value);
        }
        for (id, path) in paths {
            writer = writer.with_metadata(&id, path);
        }
        let loaded = OptimizerRecord::from_bytes(writer.into_bytes().map_err(record)?)?;
        let optimizer = self.optimizer.clone().load_record(loaded);
        // Burn passes over what an optimizer cannot read.
        let back = Reader::from_bytes(optimizer.to_record().into_bytes()?).map_err(record)?;
        let back: BTreeSet<&str> = back
            .tensor_names()
            .into_iter()
            .chain(back.scalars().keys().map(String::as_str))
            .collect();
        if let Some((_, path)) = whose.iter().find(|(name, _)| !back.contains(name.as_str())) {
            return Err(StateError::Optimizer { path: (*path).to_owned() }.into());
        }
        self.load_state(&groups)?;
        self.optimizer = optimizer;
        Ok(())
    }
}
