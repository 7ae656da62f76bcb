//! A module's tensors as a table and as a tree, with totals.

use std::collections::BTreeMap;
use std::fmt;

use burn::module::Module;
use burn::tensor::{DType, TensorData};

use super::access::floats;
use super::info::{Kind, ParamInfo};
use super::modules::{self, ModuleInfo};
use super::nested::Tree;
use super::walk;

/// One tensor of a [`Summary`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SummaryRow {
    /// What is known of it.
    pub info: ParamInfo,
    /// How many of its values are exactly zero (floats only).
    pub zeros: usize,
    /// The path whose parameter this is too.
    pub tied_to: Option<String>,
    /// How it is computed: `weight_norm(dim 0), mask 30.0 %`, `= 0.weight`; empty if it is not.
    pub how: String,
}

/// What the tensors of a module amount to, those with several names counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Totals {
    /// Elements of all parameters.
    pub parameters: usize,
    /// Elements of the parameters that are trained.
    pub trained: usize,
    /// Elements of the parameters that are frozen.
    pub frozen: usize,
    /// Elements of the parameters on devices without autodiff.
    pub untracked: usize,
    /// Elements of all buffers.
    pub buffers: usize,
    /// Bytes of parameters and buffers.
    pub bytes: usize,
    /// Zeros in the parameters.
    pub zeros: usize,
}

impl Totals {
    /// The share of zeros in the parameters, from 0 to 1.
    pub fn sparsity(&self) -> f64 {
        share(self.zeros, self.parameters)
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The tensors of a module: displayed as a table with totals, or as a [tree](Self::tree).
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::ParameterTree;
/// use espalier::nn::Sequential;
///
/// let device = Device::default();
/// let net = Sequential::new().with(LinearConfig::new(4, 3).init(&device));
/// let summary = net.summary();
/// assert_eq!(summary.totals().parameters, 15);
/// let tree = "\
/// Sequential (15)
///   0: Linear (15)
///     weight [4, 3] f32
///     bias [3] f32
/// ";
/// assert_eq!(summary.tree(), tree);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    pub(crate) rows: Vec<SummaryRow>,
    pub(crate) modules: Vec<ModuleInfo>,
    /// Elements of the originals that the parameters are computed from.
    pub(crate) originals: Option<usize>,
}

/// How many values are exactly zero, in one pass.
pub(crate) fn count_zeros(data: &TensorData) -> usize {
    fn zeros<T: PartialEq + Default>(values: &[T]) -> usize {
        let zero = T::default();
        values.iter().filter(|value| **value == zero).count()
    }
    match data.dtype() {
        DType::F32 => data.as_slice::<f32>().map_or(0, zeros),
        DType::F64 => data.as_slice::<f64>().map_or(0, zeros),
        dtype if dtype.is_float() => data.iter::<f32>().filter(|value| *value == 0.0).count(),
        _ => 0,
    }
}

pub(super) fn summary<M: Module>(module: &M) -> Summary {
    let mut values: BTreeMap<String, _> = floats(module).into_iter().collect();
    let mut first: BTreeMap<u64, (String, usize)> = BTreeMap::new();
    let row = |info: ParamInfo| {
        let id = info.id.val();
        if let Some((path, zeros)) = first.get(&id) {
            let how = format!("= {path}");
            return SummaryRow { zeros: *zeros, tied_to: Some(path.clone()), how, info };
        }
        let value = values.remove(&info.path);
        let zeros = value.map_or(0, |value| count_zeros(&value.to_data()));
        first.insert(id, (info.path.clone(), zeros));
        SummaryRow { info, zeros, tied_to: None, how: String::new() }
    };
    let rows = walk::tensors(module).into_iter().map(row).collect();
    Summary { rows, modules: modules::modules(module), originals: None }
}

impl Summary {
    /// The tensors in visit order.
    pub fn rows(&self) -> &[SummaryRow] {
        &self.rows
    }

    /// The modules in visit order, the one summarized first.
    pub fn modules(&self) -> &[ModuleInfo] {
        &self.modules
    }

    /// What the tensors amount to.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for row in self.rows.iter().filter(|row| row.tied_to.is_none()) {
            let numel = row.info.numel();
            totals.bytes += row.info.bytes();
            match row.info.state() {
                "trained" => totals.trained += numel,
                "frozen" => totals.frozen += numel,
                "untracked" => totals.untracked += numel,
                _ => {
                    totals.buffers += numel;
                    continue;
                }
            }
            totals.parameters += numel;
            totals.zeros += row.zeros;
        }
        totals
    }

    /// Modules and tensors as an indented tree; parameters are counted in brackets.
    pub fn tree(&self) -> String {
        let mut labels: Tree<String> = Tree::new();
        for module in &self.modules {
            let layer = if module.layer.is_empty() { "?" } else { &module.layer };
            let count = match module.total {
                0 => String::new(),
                total => format!(" ({total})"),
            };
            let colon = if module.path.is_empty() { "" } else { ": " };
            labels.insert(&module.path, format!("{colon}{layer}{count}"));
        }
        for row in &self.rows {
            let info = &row.info;
            let mut label = format!(" {:?} {}", info.shape, info.dtype.name());
            if matches!(info.state(), "frozen" | "buffer") {
                label += &format!(", {}", info.state());
            }
            if !row.how.is_empty() {
                label += &format!(", {}", row.how);
            }
            if row.zeros > 0 && info.kind == Kind::Parameter {
                label += &format!(", {:.1} % zeros", 100.0 * share(row.zeros, info.numel()));
            }
            labels.insert(&info.path, label);
        }
        let mut text = String::new();
        if let Some(label) = labels.value() {
            text += &format!("{}\n", label.trim_start());
        }
        write_tree(&labels, 1, &mut text);
        text
    }

    fn cells(&self) -> Vec<Vec<String>> {
        let mut header = vec!["path", "layer", "shape", "in PyTorch", "dtype", "count", "state"];
        header.push("zeros");
        let several = self.rows.iter().any(|row| row.info.device != self.rows[0].info.device);
        if several {
            header.push("device");
        }
        header.push("");
        let mut cells = vec![header.into_iter().map(str::to_owned).collect::<Vec<_>>()];
        for SummaryRow { info, zeros, how, .. } in &self.rows {
            let mut row = vec![
                info.path.clone(),
                info.layer.clone(),
                format!("{:?}", info.shape),
                format!("{:?}", info.torch_shape()),
                info.dtype.name().to_owned(),
                info.numel().to_string(),
                info.state().to_owned(),
                if info.dtype.is_float() { zeros.to_string() } else { String::new() },
            ];
            if several {
                row.push(format!("{:?}", info.device));
            }
            row.push(how.clone());
            cells.push(row);
        }
        cells
    }
}

fn write_tree(labels: &Tree<String>, depth: usize, text: &mut String) {
    for (name, branch) in labels.branches() {
        let label = branch.value().map_or("", String::as_str);
        *text += &format!("{:indent$}{name}{label}\n", "", indent = 2 * depth);
        write_tree(branch, depth + 1, text);
    }
}

/// The columns with numbers, aligned right.
const NUMBERS: [usize; 2] = [5, 7];

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = self.cells();
        let width = |column: usize| {
            cells.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..cells[0].len()).map(width).collect();
        for row in &cells {
            let mut line = String::new();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                line += &if NUMBERS.contains(&column) {
                    format!("{cell:>width$}  ")
                } else {
                    format!("{cell:<width$}  ")
                };
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        let totals = self.totals();
        let Totals { parameters, trained, frozen, untracked, buffers, bytes, zeros } = totals;
        write!(f, "parameters: {parameters} ({trained} trained, {frozen} frozen")?;
        if untracked > 0 {
            write!(f, ", {untracked} without autodiff")?;
        }
        writeln!(f, ")")?;
        if let Some(originals) = self.originals {
            writeln!(f, "computed from: {originals} in originals")?;
        }
        writeln!(f, "buffers: {buffers}")?;
        writeln!(f, "bytes: {bytes}")?;
        writeln!(f, "zeros: {zeros} (sparsity {:.1} %)", 100.0 * totals.sparsity())
    }
}
