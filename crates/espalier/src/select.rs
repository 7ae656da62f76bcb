//! Which parameters: by path, glob, regular expression or layer type.

use std::fmt;

use burn::module::Module;
use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;

use crate::error::Error;
use crate::tree::{self, Kind, Layout, ParamInfo};

/// Names parameters of a module by what they have in common.
///
/// Text converts ([`IntoSelector`]): `"fc1.weight"` is that path; with `*`, `?` or `[` it is a glob, in which `*` stays
/// within one component and `**` crosses them (`"encoder.*.weight"`, `"**.bias"`).
///
/// ```
/// use burn::nn::{LinearConfig, Relu};
/// use burn::tensor::Device;
/// use espalier::nn::Sequential;
/// use espalier::Selector;
///
/// let device = Device::default();
/// let net = Sequential::new()
///     .with(LinearConfig::new(4, 8).init(&device))
///     .with(Relu::new())
///     .with(LinearConfig::new(8, 2).init(&device));
/// let weights = Selector::glob("**.weight")?.select(&net)?;
/// assert_eq!(weights.paths(), ["0.weight", "2.weight"]);
/// assert!(weights.to_string().starts_with("0.weight [4, 8] (PyTorch [8, 4]) f32, "));
///
/// let error = Selector::path("2.wieght").select(&net).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`2.wieght` matches no parameter; nearest: `2.weight`, `0.weight`, `2.bias`"
/// );
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Selector(Node);

#[derive(Debug, Clone)]
enum Node {
    Path(String),
    Glob(String, GlobMatcher),
    Regex(Regex),
    Layer { layer: String, parameter: Option<String> },
    Kind(Kind),
    Trainable(bool),
    Any(Vec<Selector>),
    And(Box<[Selector; 2]>),
    Except(Box<[Selector; 2]>),
}

impl Selector {
    /// Exactly this path, whatever characters it holds.
    pub fn path(path: impl Into<String>) -> Self {
        Self(Node::Path(path.into()))
    }

    /// A glob: `*` within a component of the path, `**` across components.
    ///
    /// # Errors
    ///
    /// [`Error::Selector`] if the glob does not parse.
    pub fn glob(pattern: &str) -> Result<Self, Error> {
        // Components become directories, for which globs have just these rules.
        let matcher = GlobBuilder::new(&pattern.replace('.', "/"))
            .literal_separator(true)
            .build()
            .map_err(|error| Error::Selector {
                selector: pattern.to_owned(),
                reason: error.kind().to_string(),
            })?
            .compile_matcher();
        Ok(Self(Node::Glob(pattern.to_owned(), matcher)))
    }

    /// A regular expression, matched anywhere in the path unless anchored.
    ///
    /// # Errors
    ///
    /// [`Error::Selector`] if the expression does not parse.
    pub fn regex(pattern: &str) -> Result<Self, Error> {
        let regex = Regex::new(pattern).map_err(|error| Error::Selector {
            selector: pattern.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self(Node::Regex(regex)))
    }

    /// All parameters directly owned by layers of this type: `Linear`, `BatchNorm`.
    pub fn layer(layer: impl Into<String>) -> Self {
        Self(Node::Layer { layer: layer.into(), parameter: None })
    }

    /// The parameter of this name in layers of this type.
    pub fn layer_parameter(layer: impl Into<String>, parameter: impl Into<String>) -> Self {
        Self(Node::Layer { layer: layer.into(), parameter: Some(parameter.into()) })
    }

    /// What any of these selectors matches. Each must match something.
    pub fn any(selectors: impl IntoIterator<Item = Selector>) -> Self {
        Self(Node::Any(selectors.into_iter().collect()))
    }

    /// All parameters, or all buffers.
    pub fn kind(kind: Kind) -> Self {
        Self(Node::Kind(kind))
    }

    /// All parameters that are trained, or all that are not: frozen, or on a device without
    /// autodiff.
    pub fn trainable(trainable: bool) -> Self {
        Self(Node::Trainable(trainable))
    }

    /// What both selectors match.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::nn::Sequential;
    /// use espalier::Selector;
    ///
    /// let device = Device::default();
    /// let layer = || LinearConfig::new(2, 2).init(&device);
    /// let net = Sequential::new().with(layer()).with(layer());
    /// let linear = Selector::layer("Linear");
    /// let biases = linear.clone().and(Selector::glob("**.bias")?).select(&net)?;
    /// assert_eq!(biases.paths(), ["0.bias", "1.bias"]);
    /// let rest = linear.except(Selector::path("1.bias")).select(&net)?;
    /// assert_eq!(rest.paths(), ["0.weight", "0.bias", "1.weight"]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(Node::And(Box::new([self, other])))
    }

    /// What this selector matches and `other` does not.
    ///
    /// A name in `other` that matches nothing is an error: what it was to leave out would be taken.
    #[must_use]
    pub fn except(self, other: Self) -> Self {
        Self(Node::Except(Box::new([self, other])))
    }

    /// Whether this parameter is meant.
    pub fn matches(&self, info: &ParamInfo) -> bool {
        match &self.0 {
            Node::Path(path) => info.path == *path,
            Node::Glob(_, glob) => glob.is_match(info.path.replace('.', "/")),
            Node::Regex(regex) => regex.is_match(&info.path),
            Node::Layer { layer, parameter } => {
                info.layer == *layer && parameter.as_ref().is_none_or(|p| info.name() == p)
            }
            Node::Kind(kind) => info.kind == *kind,
            Node::Trainable(trainable) => {
                info.kind == Kind::Parameter && info.trainable == *trainable
            }
            Node::Any(selectors) => selectors.iter().any(|selector| selector.matches(info)),
            Node::And(both) => both.iter().all(|selector| selector.matches(info)),
            Node::Except(pair) => pair[0].matches(info) && !pair[1].matches(info),
        }
    }

    /// The parameters and buffers of `module` that are meant, in visit order.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if there are none, with the nearest paths, and if a part of a selector
    /// made of several (paths, globs, expressions or layer types) matches none.
    pub fn select<M: Module>(&self, module: &M) -> Result<Selection, Error> {
        self.select_from(&tree::tensors(module))
    }

    pub(crate) fn select_from(&self, all: &[ParamInfo]) -> Result<Selection, Error> {
        self.check_names(all)?;
        let found: Vec<ParamInfo> = all.iter().filter(|info| self.matches(info)).cloned().collect();
        if found.is_empty() {
            return Err(Error::NoMatch { selector: self.to_string(), nearest: self.nearest(all) });
        }
        Ok(Selection(found))
    }

    /// That every part that names something matches something. What parameters happen to be (of a
    /// kind, trained) may be true of none.
    fn check_names(&self, all: &[ParamInfo]) -> Result<(), Error> {
        let parts: &[Self] = match &self.0 {
            Node::Any(selectors) => selectors,
            Node::And(pair) | Node::Except(pair) => pair.as_slice(),
            _ => return Ok(()),
        };
        for part in parts {
            match &part.0 {
                Node::Kind(_) | Node::Trainable(_) => {}
                _ => {
                    part.select_from(all)?;
                }
            }
        }
        Ok(())
    }

    /// The three paths most like the selector, and layer types for a layer selector.
    fn nearest(&self, all: &[ParamInfo]) -> Vec<String> {
        let (text, names): (&str, Vec<&str>) = match &self.0 {
            Node::Path(text) | Node::Glob(text, _) => (text, paths(all)),
            Node::Regex(regex) => (regex.as_str(), paths(all)),
            Node::Layer { layer, parameter } => {
                let mut layers: Vec<&str> = all.iter().map(|info| info.layer.as_str()).collect();
                layers.sort_unstable();
                layers.dedup();
                match parameter {
                    Some(parameter) if layers.contains(&layer.as_str()) => (parameter, paths(all)),
                    _ => (layer, layers),
                }
            }
            // Nothing is misspelt: the parts have matched.
            _ => return Vec::new(),
        };
        nearest(text, names.into_iter())
    }
}

fn paths(all: &[ParamInfo]) -> Vec<&str> {
    all.iter().map(|info| info.path.as_str()).collect()
}

/// The three names most like `text`, best first; equals keep their order.
pub(crate) fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut scored: Vec<(f64, &str)> =
        names.map(|name| (strsim::normalized_damerau_levenshtein(text, name), name)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

/// What can be given where parameters are selected: a [`Selector`], or text for one.
pub trait IntoSelector {
    /// The selector.
    ///
    /// # Errors
    ///
    /// [`Error::Selector`] if the text is a glob that does not parse.
    fn into_selector(self) -> Result<Selector, Error>;
}

impl IntoSelector for &str {
    fn into_selector(self) -> Result<Selector, Error> {
        if self.contains(['*', '?', '[']) { Selector::glob(self) } else { Ok(Selector::path(self)) }
    }
}

impl IntoSelector for &String {
    fn into_selector(self) -> Result<Selector, Error> {
        self.as_str().into_selector()
    }
}

impl IntoSelector for Selector {
    fn into_selector(self) -> Result<Selector, Error> {
        Ok(self)
    }
}

impl IntoSelector for &Selector {
    fn into_selector(self) -> Result<Selector, Error> {
        Ok(self.clone())
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Node::Path(path) | Node::Glob(path, _) => write!(f, "`{path}`"),
            Node::Regex(regex) => write!(f, "regex `{regex}`"),
            Node::Layer { layer, parameter: None } => write!(f, "layer type `{layer}`"),
            Node::Layer { layer, parameter: Some(parameter) } => {
                write!(f, "`{parameter}` of layer type `{layer}`")
            }
            Node::Kind(kind) => write!(f, "every {kind}"),
            Node::Trainable(true) => f.write_str("every trained parameter"),
            Node::Trainable(false) => f.write_str("every untrained parameter"),
            Node::And(pair) => write!(f, "{} and {}", pair[0], pair[1]),
            Node::Except(pair) => write!(f, "{} except {}", pair[0], pair[1]),
            Node::Any(selectors) => {
                for (index, selector) in selectors.iter().enumerate() {
                    write!(f, "{}{selector}", if index == 0 { "" } else { " or " })?;
                }
                Ok(())
            }
        }
    }
}

/// What a selector matched: at least one parameter, in visit order.
///
/// Displayed as one `path [shape] dtype, state` a line, the shape in Burn's layout and, where that
/// is another, in PyTorch's.
#[derive(Debug, Clone)]
pub struct Selection(Vec<ParamInfo>);

impl Selection {
    /// The matched parameters.
    pub fn iter(&self) -> std::slice::Iter<'_, ParamInfo> {
        self.0.iter()
    }

    /// The matched paths.
    pub fn paths(&self) -> Vec<String> {
        self.0.iter().map(|info| info.path.clone()).collect()
    }

    /// How many parameters matched.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Always false: a selection is never empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for info in &self.0 {
            write!(f, "{} {:?}", info.path, info.shape)?;
            if info.layout() == Layout::Transposed {
                write!(f, " (PyTorch {:?})", info.torch_shape())?;
            }
            writeln!(f, " {}, {}", info.dtype.name(), info.state())?;
        }
        Ok(())
    }
}
