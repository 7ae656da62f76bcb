//! A module's tensors, out of a visit.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, DType, Int, Tensor, TensorData};
use espalier_checkpoint::{Checkpoint, Dtype, NamedTensor};

use super::alias::{Aliases, renamed};
use super::walk::{Entered, TorchWalk};
use crate::frame::Purpose;
use crate::tree::follow_walk;

/// The metadata key of the description of slots, before the path of the wrapper if it is nested.
pub(super) const EXTRA: &str = "espalier.extra_state";

/// The metadata key for the description of a wrapper at `path`.
pub(super) fn extra_key(path: &str) -> String {
    if path.is_empty() { EXTRA.to_owned() } else { format!("{EXTRA}.{path}") }
}

pub(super) struct Save {
    pub(super) walk: TorchWalk,
    pub(super) out: Checkpoint,
    /// What was saved, with its rank.
    tensors: Vec<(Entered, usize)>,
    /// Of the float visited last, which is the one that a mask belongs to.
    dtype: Dtype,
}

impl Save {
    /// The tensors of `module`, each under one name; no descriptions yet.
    pub(super) fn of<M: Module>(module: &M) -> Self {
        let mut save = Self {
            walk: TorchWalk::default(),
            out: Checkpoint::new(),
            tensors: Vec::new(),
            dtype: Dtype::F32,
        };
        save.out.metadata.insert("format".to_owned(), "pt".to_owned());
        // Burn's running statistics are up to date only after `valid`.
        let module = module.valid();
        Purpose::File.during(|| module.visit(&mut save));
        save
    }

    /// What else the tensors are called.
    pub(super) fn aliases(&self) -> Aliases {
        Aliases::of(&self.walk, &self.tensors)
    }

    /// The tensors under all their names, tied ones where they stand in the module.
    pub(super) fn with_aliases(mut self) -> Self {
        let aliases = self.aliases();
        let place = |name: &str| {
            self.walk.entered.iter().position(|entered| entered.torch == name).unwrap_or(usize::MAX)
        };
        let mut tensors: Vec<(usize, NamedTensor)> =
            self.out.iter().map(|tensor| (place(tensor.name()), tensor.clone())).collect();
        for alias in &aliases.found {
            let copy = self.out.get(&alias.of);
            if let Some(copy) = copy.and_then(|of| renamed(of, &alias.name, alias.swapped)) {
                tensors.push((place(&alias.path), copy));
            }
        }
        tensors.sort_by_key(|(place, _)| *place);
        let mut out = Checkpoint::new();
        out.metadata = std::mem::take(&mut self.out.metadata);
        for (_, tensor) in tensors {
            // A name that is there twice is one tensor that a container lists twice.
            let _ = out.push(tensor);
        }
        self.out = out;
        self
    }

    fn push(&mut self, tensor: Result<NamedTensor, espalier_checkpoint::Error>, rank: usize) {
        // Data has the size of its shape, and a tensor listed twice is kept once.
        if let Ok(tensor) = tensor
            && self.out.push(tensor).is_ok()
        {
            self.tensors.push((self.walk.here(), rank));
        }
    }

    fn push_data(&mut self, data: TensorData) {
        let Some(dtype) = dtype_of(data.dtype()) else {
            return;
        };
        let shape = data.shape().to_vec();
        let saved = self.walk.saved_shape(&shape);
        let tensor = NamedTensor::new(self.walk.name(), dtype, saved, data.as_bytes().to_vec());
        self.push(tensor, shape.len());
    }
}

impl ModuleVisitor for Save {
    follow_walk!();
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = self.walk.layout(D).turn(param.val()).into_data();
        self.dtype = dtype_of(data.dtype()).unwrap_or(Dtype::F32);
        self.push_data(data);
    }
    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        if !self.walk.note_wrapper(param) {
            self.push_data(param.val().into_data());
        }
    }
    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        let data = self.walk.layout(D).turn(param.val()).into_data();
        if self.walk.name().ends_with("_mask") {
            // PyTorch multiplies by its masks: they have the dtype of the weight.
            let float = match self.dtype {
                Dtype::F64 => DType::F64,
                Dtype::F16 => DType::F16,
                Dtype::BF16 => DType::BF16,
                _ => DType::F32,
            };
            let values: Vec<f32> =
                data.iter::<bool>().map(|kept| if kept { 1.0 } else { 0.0 }).collect();
            let shape = data.shape().clone();
            return self.push_data(TensorData::new(values, shape).convert_dtype(float));
        }
        let values: Vec<u8> = data.iter::<bool>().map(u8::from).collect();
        let shape = data.shape().to_vec();
        self.push(NamedTensor::new(self.walk.name(), Dtype::Bool, shape, values), D);
    }
}

/// Burn's name for a type of numbers in files.
pub(crate) fn burn_dtype(dtype: Dtype) -> Option<DType> {
    use DType::{BF16, F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};
    let known = [F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8];
    known.into_iter().find(|known| dtype_of(*known) == Some(dtype))
}

pub(crate) fn dtype_of(dtype: DType) -> Option<Dtype> {
    Some(match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        _ => return None,
    })
}
