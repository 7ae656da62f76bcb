//! A state dict's tensors, into a map of the module.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bool, DType, Int, Tensor, TensorData};
use espalier_checkpoint::{Checkpoint, Dtype, NamedTensor};

use super::alias::{Aliases, renamed};
use super::layer::{in_layer, scoped_descriptions};
use super::legacy::legacy_name;
use super::packs::{Packs, Unpacked};
use super::report::{LoadReport, Mismatch, ValueFault};
use super::walk::{Entered, TorchWalk};
use super::{StateDict, Strict, burn_dtype};
use crate::erase::AnyTensor;
use crate::error::Error;
use crate::frame::{Purpose, is_same_description};
use crate::tree::{contiguous, follow_walk};

/// What a tensor of the module takes.
#[derive(Clone, Copy)]
enum Target {
    Float,
    Int(DType),
    Bool,
}

struct Want {
    /// In PyTorch's layout.
    shape: Vec<usize>,
    target: Target,
}

impl Want {
    /// The shape, or that of the transpose if it is `swapped`.
    fn shape_if(&self, swapped: bool) -> Vec<usize> {
        let mut shape = self.shape.clone();
        if let (true, [.., rows, columns]) = (swapped, shape.as_mut_slice()) {
            std::mem::swap(rows, columns);
        }
        shape
    }
}

/// What the module asks for.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) walk: TorchWalk,
    found: BTreeMap<String, Want>,
    tensors: Vec<(Entered, usize)>,
}

impl Wanted {
    pub(super) fn by<M: Module>(module: &M) -> Self {
        let mut wanted = Self::default();
        Purpose::File.during(|| module.visit(&mut wanted));
        wanted
    }

    pub(super) fn aliases(&self) -> Aliases {
        Aliases::of(&self.walk, &self.tensors)
    }

    /// PyTorch's and Burn's names, in visit order.
    pub(super) fn paths(&self) -> Vec<(String, String)> {
        self.tensors.iter().map(|(at, _)| (at.torch.clone(), at.burn.clone())).collect()
    }

    pub(super) fn names(&self) -> BTreeSet<&str> {
        self.found.keys().map(String::as_str).collect()
    }

    fn push(&mut self, shape: &[usize], target: Target) {
        let torch = self.walk.layout(shape.len()).torch_shape(shape);
        let want = Want { shape: self.walk.saved_shape(&torch), target };
        if self.found.insert(self.walk.name(), want).is_none() {
            self.tensors.push((self.walk.here(), shape.len()));
        }
    }
}

impl ModuleVisitor for Wanted {
    follow_walk!();
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.push(&param.lazy_shape().to_vec(), Target::Float);
    }
    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        if !self.walk.note_wrapper(param) {
            self.push(&param.lazy_shape().to_vec(), Target::Int(param.val().dtype()));
        }
    }
    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.push(&param.lazy_shape().to_vec(), Target::Bool);
    }
}

/// The tensor of a state dict for each of the module's, in the layout that PyTorch would save it in
/// under the module's name.
type Sources<'a> = BTreeMap<&'a str, Cow<'a, NamedTensor>>;

/// Which of a file's tensors go where, and all that keeps them from it.
///
/// Only what lies in `layer` counts; the names are those of the whole module.
fn match_up<'a>(
    file: &'a Checkpoint,
    wanted: &'a Wanted,
    aliases: &'a Aliases,
    layer: &str,
    strict: Strict,
) -> (Sources<'a>, LoadReport) {
    let (mut sources, mut report) = (Sources::new(), LoadReport::default());
    let mut known = BTreeSet::new();
    for (name, want) in &wanted.found {
        let mut names = aliases.names_of(name);
        names.retain(|(name, _)| in_layer(name, layer));
        if !names.iter().any(|(name, _)| file.get(name).is_some())
            && let Some(legacy) = legacy_name(name, file)
        {
            names.push((legacy, false));
        }
        let Some(&(first, _)) = names.first() else { continue };
        known.extend(names.iter().map(|(name, _)| *name));
        let mut present = false;
        let mut source: Option<(&str, Cow<'a, NamedTensor>)> = None;
        for (called, swapped) in names {
            let Some(tensor) = file.get(called) else { continue };
            present = true;
            let expected = want.shape_if(swapped);
            if tensor.shape() != expected {
                let (name, found) = (called.to_owned(), tensor.shape().to_vec());
                report.mismatched.push(Mismatch { name, expected, found });
                continue;
            }
            let turned = match swapped.then(|| renamed(tensor, called, true)).flatten() {
                Some(turned) => Cow::Owned(turned),
                None => Cow::Borrowed(tensor),
            };
            match &source {
                None => source = Some((called, turned)),
                Some((to, source)) if strict == Strict::Yes && !same(source, &turned) => {
                    let (name, to) = (called.to_owned(), (*to).to_owned());
                    report.values.push(ValueFault::Untied { name, to });
                }
                Some(_) => {}
            }
        }
        if let Some((called, source)) = source {
            if let Target::Int(dtype) = want.target
                && let Some(value) = unfit(&source, dtype)
            {
                let (name, dtype) = (called.to_owned(), format!("{dtype:?}"));
                report.values.push(ValueFault::OutOfRange { name, dtype, value });
            }
            sources.insert(name, source);
        } else if !present && strict == Strict::Yes {
            report.missing.push(first.to_owned());
        }
    }
    if strict == Strict::Yes {
        report.unexpected = file
            .names()
            .filter(|name| !known.contains(name) && !name.ends_with("num_batches_tracked"))
            .map(str::to_owned)
            .collect();
    }
    for (key, expected) in scoped_descriptions(&wanted.walk.wrappers, layer) {
        match file.metadata.get(&key) {
            Some(found) if !is_same_description(found, &expected) => {
                report.rules.push((expected, found.clone()))
            }
            _ => {}
        }
    }
    (sources, report)
}

impl StateDict {
    /// The tensors with what PyTorch packs taken apart.
    fn unpacked<'a>(
        &'a self,
        wanted: &Wanted,
        aliases: &Aliases,
    ) -> (Cow<'a, Checkpoint>, Unpacked) {
        Packs::of(&wanted.walk).unpack(&self.0, |name| {
            if let Some(want) = wanted.found.get(name) {
                return Some(want.shape.clone());
            }
            let alias = aliases.found.iter().find(|alias| alias.name == name)?;
            Some(wanted.found.get(&alias.of)?.shape_if(alias.swapped))
        })
    }

    pub(super) fn fits_layer(
        &self,
        wanted: &Wanted,
        layer: &str,
        strict: Strict,
    ) -> Result<(), LoadReport> {
        let aliases = wanted.aliases();
        let (file, unpacked) = self.unpacked(wanted, &aliases);
        let (_, mut report) = match_up(&file, wanted, &aliases, layer, strict);
        unpacked.report(&mut report);
        if report.is_empty() { Ok(()) } else { Err(report) }
    }

    /// `module` with what lies in `layer` (everything if empty) replaced by these tensors.
    pub(super) fn load_layer<M: Module>(
        &self,
        module: M,
        wanted: &Wanted,
        layer: &str,
        strict: Strict,
    ) -> Result<M, Error> {
        let aliases = wanted.aliases();
        let (file, unpacked) = self.unpacked(wanted, &aliases);
        let (sources, mut report) = match_up(&file, wanted, &aliases, layer, strict);
        unpacked.report(&mut report);
        if !report.is_empty() {
            return Err(report.into());
        }
        // Everything is read before anything is changed.
        let mut values = BTreeMap::new();
        for (name, source) in sources {
            let data = match wanted.found[name].target {
                Target::Int(_) => integers(&source)?,
                _ => Some(numbers(&source)?),
            };
            values.extend(data.map(|data| (name.to_owned(), data)));
        }
        // Burn's running statistics hold their last update back until `valid`; it would come over
        // what is loaded.
        let _ = module.valid();
        let given = BTreeMap::new();
        let mut load = Load { walk: TorchWalk::default(), values, given };
        Ok(Purpose::File.during(|| module.map(&mut load)))
    }
}

/// Whether two tensors of one shape have the same values, in whatever types.
fn same(a: &NamedTensor, b: &NamedTensor) -> bool {
    if a.dtype() == b.dtype() && a.loaded().is_some() && a.loaded() == b.loaded() {
        return true;
    }
    let (Ok(a), Ok(b)) = (a.values(), b.values()) else { return false };
    a.zip(b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
}

/// The elements as whole numbers, exactly; floats are cut off towards zero.
///
/// None for one that is no number.
fn whole(tensor: &NamedTensor) -> Result<Vec<Option<i128>>, espalier_checkpoint::Error> {
    macro_rules! exact {
        ($int:ty) => {
            tensor
                .bytes()?
                .chunks_exact(size_of::<$int>())
                .map(|bytes| bytes.try_into().ok().map(<$int>::from_le_bytes).map(i128::from))
                .collect()
        };
    }
    Ok(match tensor.dtype() {
        Dtype::I64 => exact!(i64),
        Dtype::U64 => exact!(u64),
        // Every other type is exact in f64.
        _ => {
            let whole = |value: f64| value.is_finite().then_some(value as i128);
            tensor.values()?.map(whole).collect()
        }
    })
}

/// The first element that does not fit `dtype`, as text.
fn unfit(tensor: &NamedTensor, dtype: DType) -> Option<String> {
    let (low, high) = match dtype {
        DType::I8 => (i8::MIN.into(), i8::MAX.into()),
        DType::I16 => (i16::MIN.into(), i16::MAX.into()),
        DType::I32 => (i32::MIN.into(), i32::MAX.into()),
        DType::U8 => (0, u8::MAX.into()),
        DType::U16 => (0, u16::MAX.into()),
        DType::U32 => (0, u32::MAX.into()),
        DType::U64 => (0, u64::MAX.into()),
        _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
    };
    // A type without values is an error of its own when it is read.
    let values = whole(tensor).ok()?;
    let unfit = |value: &Option<i128>| value.is_none_or(|value| value < low || value > high);
    let text = |value: Option<i128>| value.map_or_else(|| "NaN".to_owned(), |v| v.to_string());
    values.into_iter().find(unfit).map(text)
}

/// The numbers of a tensor, in its own type where Burn has it as a float.
fn numbers(tensor: &NamedTensor) -> Result<TensorData, espalier_checkpoint::Error> {
    let shape = tensor.shape().to_vec();
    Ok(match burn_dtype(tensor.dtype()).filter(DType::is_float) {
        Some(dtype) => TensorData::from_bytes_vec(tensor.bytes()?.into_owned(), shape, dtype),
        None => TensorData::new(tensor.to_f64_vec()?, shape),
    })
}

/// Whole numbers that are known to fit the module's type, for it to take.
fn integers(tensor: &NamedTensor) -> Result<Option<TensorData>, espalier_checkpoint::Error> {
    let shape = tensor.shape().to_vec();
    let values = whole(tensor)?;
    let signed: Option<Vec<i64>> =
        values.iter().map(|value| value.and_then(|value| value.try_into().ok())).collect();
    if let Some(signed) = signed {
        return Ok(Some(TensorData::new(signed, shape)));
    }
    let unsigned: Option<Vec<u64>> =
        values.iter().map(|value| value.and_then(|value| value.try_into().ok())).collect();
    Ok(unsigned.map(|unsigned| TensorData::new(unsigned, shape)))
}

struct Load {
    walk: TorchWalk,
    values: BTreeMap<String, TensorData>,
    /// What was loaded, by id: clones without values of their own follow.
    given: BTreeMap<u64, AnyTensor>,
}

impl Load {
    /// The values for the tensor of `rank` being mapped, in PyTorch's layout.
    fn data(&mut self, rank: usize) -> Option<TensorData> {
        let mut data = self.values.remove(&self.walk.name())?;
        // What is saved as a scalar is kept with all dimensions 1.
        if data.shape().is_empty() {
            let (bytes, dtype) = (data.as_bytes().to_vec(), data.dtype());
            data = TensorData::from_bytes_vec(bytes, vec![1; rank], dtype);
        }
        Some(data)
    }
}

impl ModuleMapper for Load {
    follow_walk!();
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, require_grad) = (param.id.val(), param.is_require_grad());
        let Some(data) = self.data(D) else {
            let Some(Ok(same)) = self.given.get(&id).map(|same| same.detach().into_rank()) else {
                return param;
            };
            return param.map(|_| if require_grad { same.require_grad() } else { same });
        };
        let layout = self.walk.layout(D);
        let given = &mut self.given;
        param.map(|old| {
            let data = data.convert_dtype(old.dtype());
            let new = Tensor::<D>::from_data(data, (&old.device(), old.dtype()));
            let new = contiguous(layout.turn(new));
            given.insert(id, new.clone().into());
            if require_grad { new.require_grad() } else { new }
        })
    }
    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        let Some(data) = self.data(D) else {
            return param;
        };
        param.map(|old| {
            Tensor::from_data(data.convert_dtype(old.dtype()), (&old.device(), old.dtype()))
        })
    }
    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        let Some(data) = self.data(D) else {
            return param;
        };
        let layout = self.walk.layout(D);
        param.map(|old| {
            let kept: Vec<bool> = data.iter::<f64>().map(|value| value != 0.0).collect();
            let data = TensorData::new(kept, data.shape().clone());
            layout.turn(Tensor::from_data(data, &old.device()))
        })
    }
}
