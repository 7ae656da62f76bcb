//! Values under the names of a module, nested as its modules are.

use std::fmt;

use super::report::TreeReport;

/// Values by dotted path, nested: Flax's pytree of a module.
///
/// Branches keep the order in which they were made. A node may have a value and branches.
/// Displayed as an indented tree.
///
/// ```
/// use espalier::Tree;
///
/// let shapes: Tree<Vec<usize>> =
///     [("0.weight", vec![4, 8]), ("0.bias", vec![8]), ("2.weight", vec![8, 2])]
///         .into_iter()
///         .collect();
/// assert_eq!(shapes.get("0.bias"), Some(&vec![8]));
/// let counts = shapes.map(|shape| shape.iter().product::<usize>());
/// assert_eq!(counts.leaves().iter().map(|(_, count)| **count).sum::<usize>(), 56);
/// assert_eq!(counts.to_string(), "0\n  weight: 32\n  bias: 8\n2\n  weight: 16\n");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree<T> {
    value: Option<T>,
    branches: Vec<(String, Tree<T>)>,
}

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Self { value: None, branches: Vec::new() }
    }
}

impl<T> Tree<T> {
    /// A tree without values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a value at `path` and returns what was there. The empty path is the tree's own.
    pub fn insert(&mut self, path: &str, value: T) -> Option<T> {
        let mut node = self;
        for name in components(path) {
            let index = node.branches.iter().position(|(branch, _)| branch == name);
            let index = index.unwrap_or_else(|| {
                node.branches.push((name.to_owned(), Self::new()));
                node.branches.len() - 1
            });
            node = &mut node.branches[index].1;
        }
        node.value.replace(value)
    }

    /// The value at `path`.
    pub fn get(&self, path: &str) -> Option<&T> {
        self.subtree(path)?.value.as_ref()
    }

    /// The value at `path`, to be changed.
    pub fn get_mut(&mut self, path: &str) -> Option<&mut T> {
        let mut node = self;
        for name in components(path) {
            node = node.branches.iter_mut().find(|(branch, _)| branch == name).map(|(_, b)| b)?;
        }
        node.value.as_mut()
    }

    /// The part of the tree under `path`.
    pub fn subtree(&self, path: &str) -> Option<&Self> {
        components(path).try_fold(self, |node, name| {
            node.branches.iter().find(|(branch, _)| branch == name).map(|(_, branch)| branch)
        })
    }

    /// The value of this node itself.
    pub fn value(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// The names directly below, in order, each with its part of the tree.
    pub fn branches(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.branches.iter().map(|(name, branch)| (name.as_str(), branch))
    }

    /// Every value with its path, in order.
    pub fn leaves(&self) -> Vec<(String, &T)> {
        let mut found = Vec::new();
        self.visit("", &mut |path, value| found.push((path.to_owned(), value)));
        found
    }

    /// The path of every value, in order.
    pub fn paths(&self) -> Vec<String> {
        self.leaves().into_iter().map(|(path, _)| path).collect()
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.leaves().len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same tree of what `f` makes of each value: `jax.tree.map`.
    pub fn map<U>(&self, mut f: impl FnMut(&T) -> U) -> Tree<U> {
        self.map_with_path(|_, value| f(value))
    }

    /// As [`map`](Self::map), with the path of each value.
    pub fn map_with_path<U>(&self, mut f: impl FnMut(&str, &T) -> U) -> Tree<U> {
        let mut mapped = Tree::new();
        self.visit("", &mut |path, value| {
            mapped.insert(path, f(path, value));
        });
        mapped
    }

    /// Each value beside the one at the same path of `other`.
    ///
    /// ```
    /// use espalier::Tree;
    ///
    /// let p: Tree<f64> = [("w", 1.0), ("b", 2.0)].into_iter().collect();
    /// let g: Tree<f64> = [("b", 0.5), ("w", 0.1)].into_iter().collect();
    /// let stepped = p.zip(&g)?.map(|(p, g)| **p - 0.1 * **g);
    /// assert_eq!(stepped.get("b"), Some(&1.95));
    /// # Ok::<(), espalier::TreeReport>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TreeReport`] with the paths that only one of the trees has.
    pub fn zip<'a, U>(&'a self, other: &'a Tree<U>) -> Result<Tree<(&'a T, &'a U)>, TreeReport> {
        let mut report = TreeReport::default();
        let mut zipped = Tree::new();
        for (path, value) in self.leaves() {
            match other.get(&path) {
                Some(beside) => {
                    zipped.insert(&path, (value, beside));
                }
                None => report.missing.push(path),
            }
        }
        report.unexpected =
            other.paths().into_iter().filter(|path| self.get(path).is_none()).collect();
        report.finish().map(|()| zipped)
    }

    fn visit<'a>(&'a self, path: &str, f: &mut dyn FnMut(&str, &'a T)) {
        if let Some(value) = &self.value {
            f(path, value);
        }
        for (name, branch) in &self.branches {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            branch.visit(&path, f);
        }
    }
}

fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('.').filter(|name| !name.is_empty())
}

impl<P: AsRef<str>, T> FromIterator<(P, T)> for Tree<T> {
    fn from_iter<I: IntoIterator<Item = (P, T)>>(values: I) -> Self {
        let mut tree = Self::new();
        for (path, value) in values {
            tree.insert(path.as_ref(), value);
        }
        tree
    }
}

impl<T: fmt::Debug> Tree<T> {
    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        for (name, branch) in &self.branches {
            let indent = 2 * depth;
            match &branch.value {
                Some(value) => writeln!(f, "{:indent$}{name}: {value:?}", "")?,
                None => writeln!(f, "{:indent$}{name}", "")?,
            }
            branch.write(f, depth + 1)?;
        }
        Ok(())
    }
}

impl<T: fmt::Debug> fmt::Display for Tree<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(value) = &self.value {
            writeln!(f, "{value:?}")?;
        }
        self.write(f, 0)
    }
}
