//! The modules that the names of tensors make.

use espalier_files::{Summary, TensorRow};

use crate::format::{bytes, grouped, harmless, per_cent, shape};
use crate::style::Style;

/// A module with its parts and its own tensors, in the order of the summary.
struct Node<'a> {
    name: &'a str,
    children: Vec<Node<'a>>,
    tensor: Option<&'a TensorRow>,
    sums: Sums,
}

/// What lies in a module. A tied tensor counts where it is tied to.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    parameters: u64,
    bytes: u64,
    zeros: u64,
    /// Parameters whose zeros are known.
    decoded: u64,
}

impl Sums {
    fn add(&mut self, row: &TensorRow) {
        if row.tied_to.is_some() {
            return;
        }
        self.parameters = self.parameters.saturating_add(row.numel);
        self.bytes = self.bytes.saturating_add(row.bytes);
        if let Some(zeros) = row.zeros {
            self.zeros = self.zeros.saturating_add(zeros);
            self.decoded = self.decoded.saturating_add(row.numel);
        }
    }

    fn sparsity(&self) -> Option<f64> {
        (self.decoded > 0).then(|| self.zeros as f64 / self.decoded as f64)
    }
}

/// The tree of modules, cut at the dots and slashes of names: each with the parameters, bytes and share of zeros of all
/// that lies in it, tensors with type and shape too. A column that does not fit the terminal is left out, the share of
/// zeros first, then types and shapes.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, NamedTensor};
/// use espalier_files::headers;
/// use espalier_report::{Style, tree};
/// let mut checkpoint = Checkpoint::new();
/// for (name, size) in [("fc.weight", 6), ("fc.bias", 2)] {
///     checkpoint.push(NamedTensor::f32(name, vec![size], &vec![1.0; size])?)?;
/// }
/// assert_eq!(tree(&headers(&checkpoint), Style::ascii()), "\
/// total         8  32 B
/// `- fc         8  32 B
///    |- weight  6  24 B  F32 6
///    `- bias    2   8 B  F32 2
/// ");
/// # Ok::<(), espalier_checkpoint::Error>(())
/// ```
pub fn tree(summary: &Summary, style: Style) -> String {
    let mut root = node("total");
    for row in &summary.tensors {
        insert(&mut root, row);
    }
    let mut lines = Vec::new();
    draw(&root, "", "", style.utf8, &mut lines);
    set(&lines, style.width.map(usize::from))
}

fn node(name: &str) -> Node<'_> {
    Node { name, children: Vec::new(), tensor: None, sums: Sums::default() }
}

fn insert<'a>(root: &mut Node<'a>, row: &'a TensorRow) {
    let mut at = root;
    at.sums.add(row);
    for part in row.name.split(['.', '/']) {
        // The last one first: names of a module mostly follow one another.
        let known = at.children.iter().rposition(|child| child.name == part);
        let place = known.unwrap_or_else(|| {
            at.children.push(node(part));
            at.children.len() - 1
        });
        at = &mut at.children[place];
        at.sums.add(row);
    }
    at.tensor = Some(row);
}

/// A line in columns: branches and name, parameters, bytes, zeros, type and shape.
type Line = [String; 5];

fn draw(node: &Node<'_>, branch: &str, below: &str, utf8: bool, lines: &mut Vec<Line>) {
    let about = match node.tensor {
        None => String::new(),
        Some(row) => {
            let tied = row.tied_to.as_ref().map(|to| format!(" = {}", harmless(to)));
            format!("{} {}{}", row.dtype, shape(&row.shape), tied.unwrap_or_default())
        }
    };
    lines.push([
        format!("{branch}{}", harmless(node.name)),
        grouped(node.sums.parameters),
        bytes(node.sums.bytes),
        node.sums.sparsity().map_or_else(String::new, |share| per_cent(Some(share))),
        about,
    ]);
    let (tee, corner, bar) =
        if utf8 { ("├─ ", "└─ ", "│  ") } else { ("|- ", "`- ", "|  ") };
    for (place, child) in node.children.iter().enumerate() {
        let last = place + 1 == node.children.len();
        let branch = format!("{below}{}", if last { corner } else { tee });
        let below = format!("{below}{}", if last { "   " } else { bar });
        draw(child, &branch, &below, utf8, lines);
    }
}

/// Sets lines in columns two blanks apart.
fn set(lines: &[Line], width: Option<usize>) -> String {
    let count = |text: &str| text.chars().count();
    let widths: [usize; 5] = std::array::from_fn(|column| {
        lines.iter().map(|line| count(&line[column])).max().unwrap_or(0)
    });
    let mut shown = [0, 1, 2, 3, 4].map(|column| widths[column] > 0);
    for column in [3, 4] {
        let needed: usize = (0..5).filter(|at| shown[*at]).map(|at| widths[at] + 2).sum();
        shown[column] &= width.is_none_or(|width| needed - 2 <= width);
    }
    let mut text = String::new();
    for line in lines {
        let mut set = String::new();
        for column in (0..5).filter(|column| shown[*column]) {
            let blanks = " ".repeat(widths[column] - count(&line[column]));
            // Numbers are set right.
            let numbers = (1..=3).contains(&column);
            let (before, after) = if numbers { (&*blanks, "") } else { ("", &*blanks) };
            set.push_str(&format!("{before}{}{after}  ", line[column]));
        }
        text.push_str(set.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use espalier_checkpoint::{Checkpoint, NamedTensor};
    use espalier_files::{Silent, inspect};

    use super::*;

    fn summary() -> Summary {
        let mut checkpoint = Checkpoint::new();
        let mut push = |name: &str, values: &[f32]| {
            let tensor = NamedTensor::f32(name, vec![values.len()], values).unwrap();
            checkpoint.push(tensor).unwrap();
        };
        push("encoder.0.weight", &[0.0, 0.0, 1.0, 1.0]);
        push("encoder.1.weight", &[1.0; 300]);
        push("scale", &[1.0]);
        let tied = checkpoint.get("encoder.0.weight").unwrap().clone().with_name("head.weight");
        checkpoint.push(tied).unwrap();
        inspect(&checkpoint, &Arc::new(Silent)).unwrap()
    }

    #[test]
    fn modules_with_their_sums() {
        let expected = "\
total             305  1.2 KiB  0.66%
├─ encoder        304  1.2 KiB  0.66%
│  ├─ 0             4     16 B  50.00%
│  │  └─ weight     4     16 B  50.00%  F32 4
│  └─ 1           300  1.2 KiB  0.00%
│     └─ weight   300  1.2 KiB  0.00%  F32 300
├─ scale            1      4 B  0.00%  F32 1
└─ head             0      0 B
   └─ weight        0      0 B         F32 4 = encoder.0.weight
";
        let found = tree(&summary(), Style::utf8());
        let squeeze = |text: &str| {
            text.lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>()
        };
        assert_eq!(squeeze(&found), squeeze(expected), "{found}");
        let ends: Vec<usize> = found
            .lines()
            .filter_map(|line| Some(line.split_once('%')?.0.chars().count()))
            .collect();
        assert!(ends.iter().all(|end| *end == ends[0]), "set right: {found}");
    }

    #[test]
    fn columns_give_way() {
        let wide = tree(&summary(), Style::utf8().with_width(80));
        assert!(wide.contains('%') && wide.contains("F32"), "{wide}");
        let narrow = tree(&summary(), Style::utf8().with_width(60));
        assert!(!narrow.contains('%') && narrow.contains("F32"), "{narrow}");
        let least = tree(&summary(), Style::utf8().with_width(30));
        assert!(!least.contains("F32") && least.contains("KiB"), "{least}");
    }
}
