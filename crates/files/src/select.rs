//! Tensors chosen by globs.

use espalier_checkpoint::Checkpoint;
use globset::{GlobBuilder, GlobMatcher};

use crate::error::FilesError;
use crate::nearest::nearest;

/// Which tensors are meant: those that an include matches, all if there is none, less those that an exclude matches.
///
/// In a glob `*` matches any characters, dots too, `?` one, `[ab]` one of several and `{a,b}` one of two.
///
/// ```
/// # use espalier_checkpoint::{Checkpoint, NamedTensor};
/// # use espalier_files::Selection;
/// let mut checkpoint = Checkpoint::new();
/// for name in ["fc.weight", "fc.bias", "head.weight"] {
///     checkpoint.push(NamedTensor::f32(name, vec![0], &[])?)?;
/// }
/// let selection = Selection::new(&["*.weight"], &["head.*"])?;
/// assert_eq!(selection.of(&checkpoint)?, [true, false, false]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Selection {
    include: Vec<GlobMatcher>,
    exclude: Vec<GlobMatcher>,
}

impl Selection {
    /// From globs.
    ///
    /// # Errors
    ///
    /// [`FilesError::Glob`] for a pattern that is none.
    ///
    /// ```
    /// assert!(espalier_files::Selection::new(&["[a"], &[]).is_err());
    /// ```
    pub fn new<S: AsRef<str>>(include: &[S], exclude: &[S]) -> Result<Self, FilesError> {
        let matchers = |globs: &[S]| -> Result<Vec<GlobMatcher>, FilesError> {
            globs.iter().map(|glob| matcher(glob.as_ref())).collect()
        };
        Ok(Self { include: matchers(include)?, exclude: matchers(exclude)? })
    }

    /// Whether there is an include.
    pub(crate) fn has_include(&self) -> bool {
        !self.include.is_empty()
    }

    /// For each tensor in order whether it is meant.
    ///
    /// # Errors
    ///
    /// [`FilesError::NoMatch`] for a glob that matches none.
    ///
    /// ```
    /// # use espalier_checkpoint::{Checkpoint, NamedTensor};
    /// # use espalier_files::Selection;
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(NamedTensor::f32("fc.weight", vec![0], &[])?)?;
    /// let error = Selection::new(&["fc.wieght"], &[])?.of(&checkpoint).unwrap_err();
    /// assert!(error.to_string().contains("fc.weight"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(&self, checkpoint: &Checkpoint) -> Result<Vec<bool>, FilesError> {
        self.check(|| checkpoint.names())?;
        Ok(self.meant(checkpoint))
    }

    /// That each glob matches a name.
    fn check<'a, N: Iterator<Item = &'a str>>(
        &self,
        names: impl Fn() -> N,
    ) -> Result<(), FilesError> {
        for matcher in self.include.iter().chain(&self.exclude) {
            if !names().any(|name| matcher.is_match(name)) {
                let glob = matcher.glob().glob().to_owned();
                let nearest = nearest(&glob, names());
                return Err(FilesError::NoMatch { glob, nearest });
            }
        }
        Ok(())
    }

    fn meant(&self, checkpoint: &Checkpoint) -> Vec<bool> {
        let any = |matchers: &[GlobMatcher], name| matchers.iter().any(|m| m.is_match(name));
        let meant = |name| {
            (self.include.is_empty() || any(&self.include, name)) && !any(&self.exclude, name)
        };
        checkpoint.names().map(meant).collect()
    }

    /// The tensors that are meant, in order, with metadata and origin; ties among them stay.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of).
    ///
    /// ```
    /// # use espalier_checkpoint::{Checkpoint, NamedTensor};
    /// # use espalier_files::Selection;
    /// let mut checkpoint = Checkpoint::new();
    /// for name in ["fc.weight", "fc.bias"] {
    ///     checkpoint.push(NamedTensor::f32(name, vec![0], &[])?)?;
    /// }
    /// let picked = Selection::new(&["*.bias"], &[])?.pick(&checkpoint)?;
    /// assert_eq!(picked.names().collect::<Vec<_>>(), ["fc.bias"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pick(&self, checkpoint: &Checkpoint) -> Result<Checkpoint, FilesError> {
        self.check(|| checkpoint.names())?;
        self.picked(checkpoint)
    }

    /// As [`pick`](Self::pick) from two checkpoints: a glob that matches in one of them is enough.
    ///
    /// # Errors
    ///
    /// [`FilesError::NoMatch`] for a glob that matches in none.
    ///
    /// ```
    /// # use espalier_checkpoint::{Checkpoint, NamedTensor};
    /// # use espalier_files::Selection;
    /// let mut a = Checkpoint::new();
    /// a.push(NamedTensor::f32("fc.weight", vec![0], &[])?)?;
    /// let [a, b] = Selection::new(&["fc.*"], &[])?.pick_both([&a, &Checkpoint::new()])?;
    /// assert_eq!((a.len(), b.len()), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pick_both(&self, both: [&Checkpoint; 2]) -> Result<[Checkpoint; 2], FilesError> {
        self.check(|| both[0].names().chain(both[1].names()))?;
        Ok([self.picked(both[0])?, self.picked(both[1])?])
    }

    fn picked(&self, checkpoint: &Checkpoint) -> Result<Checkpoint, FilesError> {
        let mut out = Checkpoint::new();
        out.metadata.clone_from(&checkpoint.metadata);
        out.origin.clone_from(&checkpoint.origin);
        for (tensor, meant) in checkpoint.iter().zip(self.meant(checkpoint)) {
            if meant {
                out.push(tensor.clone())?;
            }
        }
        Ok(out)
    }
}

/// One glob on names.
pub(crate) fn matcher(glob: &str) -> Result<GlobMatcher, FilesError> {
    let built = GlobBuilder::new(glob).literal_separator(false).build();
    let matcher = built.map(|glob| glob.compile_matcher());
    matcher.map_err(|error| FilesError::Glob {
        glob: glob.to_owned(),
        cause: error.kind().to_string(),
    })
}
