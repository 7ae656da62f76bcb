//! The layers of a file.

use std::path::Path;
use std::sync::Arc;

use toml_edit::{Array, ArrayOfTables, Document, DocumentMut, Value};

use crate::darknet::{self, Darknet};
use crate::input::{self, Input};
use crate::layer::{LayerSpec, layers, to_table};
use crate::plan::{Fault, Limits, Plan, PlanError};
use crate::reference::{self, Reference};
use crate::text::{Cursor, Log, ReadError, RecipeError, Spanned, read_text};

/// A network as its text describes it.
///
/// ```
/// use espalier_network::{Architecture, Layer};
///
/// let text = "[[layer]]\ntype = 'flatten'\n[[layer]]\ntype = 'linear'\nfeatures = 10";
/// let architecture = Architecture::parse(text, "net.toml")?;
/// assert_eq!(architecture.layers[0].value.layer, Layer::Flatten);
/// # Ok::<(), espalier_network::RecipeError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Architecture {
    /// What the network is given, if the text says so.
    pub input: Option<Spanned<Input>>,
    /// The layers in order.
    pub layers: Vec<Spanned<LayerSpec>>,
    /// Whose outputs are the network's; the last layer's if there are none.
    pub outputs: Vec<Spanned<Reference>>,
    /// What else a darknet `.cfg` says.
    pub darknet: Option<Darknet>,
    file: String,
    text: Arc<str>,
}

impl Architecture {
    /// Reads the `[[layer]]` of a TOML text, and `input` and `outputs` if it has them; `file` is what
    /// errors call it.
    ///
    /// # Errors
    /// [`RecipeError`] with everything that is wrong, in the order of the text.
    pub fn parse(text: &str, file: &str) -> Result<Self, RecipeError> {
        let log = Log::new(text);
        let text: Arc<str> = text.into();
        let (file, mut input, mut specs, mut outputs) =
            (file.to_owned(), None, Vec::new(), Vec::new());
        match Document::parse(&*text) {
            Ok(document) => {
                let mut root = Cursor::new(&log, document.as_table(), String::new(), 0..0);
                input = root.get("input").and_then(|node| input::input(&node));
                if let Some(node) = root.get("outputs") {
                    let list = node.list(reference::EXPECTED, reference::reference);
                    outputs = list.unwrap_or_default();
                }
                specs = layers(&mut root);
                root.finish();
            }
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                log.add(span, "", format!("not valid TOML: {}", error.message()), None, None);
            }
        }
        let (problems, omitted) = log.into_problems();
        if problems.is_empty() {
            return Ok(Self { input, layers: specs, outputs, darknet: None, file, text });
        }
        Err(RecipeError::new(&file, text, problems, omitted))
    }

    /// Reads a darknet `.cfg`; `file` is what errors call it.
    ///
    /// Each section is one layer, so that numbers are darknet's: a convolution with its norm and its
    /// activation is a `block`. Sections that judge the output (`yolo`, `cost`) pass it on and are
    /// listed in [`Darknet::heads`]. Training options are kept or read over; other unknown ones, and
    /// sections that are no layer here (`reorg`, `rnn`), are errors.
    ///
    /// ```
    /// use espalier_network::{Architecture, Limits};
    ///
    /// let text = "[net]\nwidth=8\nheight=8\nchannels=3\n\
    ///             [convolutional]\nfilters=16\nsize=3\npad=1\nbatch_normalize=1\nactivation=leaky\n\
    ///             [maxpool]\nsize=2\nstride=2";
    /// let plan = Architecture::parse_darknet(text, "net.cfg")?.plan(None, &Limits::default())?;
    /// assert_eq!(plan.parameters(), 16 * 3 * 9 + 2 * 16);
    /// assert_eq!(plan.layers[3].output, [16, 4, 4]);
    /// # Ok::<(), espalier_network::RecipeError>(())
    /// ```
    ///
    /// # Errors
    /// [`RecipeError`] with everything that is wrong, in the order of the text.
    pub fn parse_darknet(text: &str, file: &str) -> Result<Self, RecipeError> {
        let log = Log::new(text);
        let network = darknet::read(text, &log);
        let (problems, omitted) = log.into_problems();
        let (file, text) = (file.to_owned(), Arc::from(text));
        if !problems.is_empty() {
            return Err(RecipeError::new(&file, text, problems, omitted));
        }
        let darknet::Network { input, layers, outputs, darknet } = network;
        Ok(Self { input, layers, outputs, darknet: Some(darknet), file, text })
    }

    /// Reads the network in a file: darknet's if its name ends in `.cfg`, or, if it ends in neither
    /// that nor `.toml`, if it begins with a section `[net]`.
    ///
    /// # Errors
    /// [`ReadError`]: the file cannot be read, is larger than 1 MiB or not UTF-8, or is not a valid
    /// network.
    ///
    /// ```
    /// use espalier_network::{Architecture, ReadError};
    ///
    /// let error = Architecture::read("no/such/network.cfg").unwrap_err();
    /// assert!(matches!(error, ReadError::Io { .. }));
    /// ```
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        let path = path.as_ref();
        let text = read_text(path)?;
        let file = path.display().to_string();
        let darknet = match path.extension().and_then(|extension| extension.to_str()) {
            Some("cfg") => true,
            Some("toml") => false,
            _ => darknet::looks_like(&text),
        };
        Ok(if darknet { Self::parse_darknet(&text, &file)? } else { Self::parse(&text, &file)? })
    }

    /// The network for examples of its own input, or of `input` if that is given.
    ///
    /// ```
    /// use espalier_network::{Architecture, Input, Limits};
    ///
    /// let text = "input = [16]\nlayer = [{ type = 'linear', features = 2 }]";
    /// let architecture = Architecture::parse(text, "net.toml")?;
    /// let plan = |input| architecture.plan(input, &Limits::default());
    /// assert_eq!(plan(None)?.parameters(), 16 * 2 + 2);
    /// assert_eq!(plan(Some(&Input::values([4])))?.parameters(), 4 * 2 + 2);
    /// # Ok::<(), espalier_network::RecipeError>(())
    /// ```
    ///
    /// # Errors
    /// [`RecipeError`] with everything that does not fit, in the order of the text.
    pub fn plan(&self, input: Option<&Input>, limits: &Limits) -> Result<Plan, RecipeError> {
        let own = self.input.as_ref().map(|own| &own.value);
        let Some(given) = input.or(own) else {
            let expected = "sizes like `[1, 28, 28]`, or `{ tokens = 256, length = 64 }`";
            let (message, expected) = ("missing key".to_owned(), Some(expected.to_owned()));
            return Err(self.located(Fault { expected, ..Fault::new(0..0, "input", message) }));
        };
        let plan = Plan::new(&self.layers, &self.outputs, given, limits);
        let plan = plan.map_err(|mut error| {
            // What is wrong with the input itself has its place here.
            if let (None, Some(own)) = (input, &self.input) {
                for fault in error.faults.iter_mut().filter(|fault| fault.key == "input") {
                    fault.span = own.span.clone();
                }
            }
            error.locate(&self.file, Arc::clone(&self.text))
        })?;
        let heads = self.darknet.iter().flat_map(|darknet| darknet.misfits(&plan));
        match heads.collect::<Vec<_>>() {
            faults if faults.is_empty() => Ok(plan),
            faults => Err(PlanError { faults }.locate(&self.file, Arc::clone(&self.text))),
        }
    }

    fn located(&self, fault: Fault) -> RecipeError {
        PlanError { faults: vec![fault] }.locate(&self.file, Arc::clone(&self.text))
    }

    /// A network without a text.
    ///
    /// ```
    /// use espalier_network::{Architecture, Layer, LayerSpec};
    ///
    /// let architecture = Architecture::new([LayerSpec::new(Layer::Flatten)]);
    /// assert_eq!(architecture.to_toml(), "[[layer]]\ntype = \"flatten\"\n");
    /// ```
    pub fn new(layers: impl IntoIterator<Item = LayerSpec>) -> Self {
        let layers = layers.into_iter().map(|layer| Spanned::new(layer, 0..0)).collect();
        let (file, text) = (String::new(), "".into());
        Self { input: None, layers, outputs: Vec::new(), darknet: None, file, text }
    }

    /// The network as a TOML text that [`Architecture::parse`] reads as the same network, without what
    /// is the default. What only darknet says is left out.
    ///
    /// ```
    /// use espalier_network::Architecture;
    ///
    /// let text = "layer = [{ type = 'relu' }, { type = 'shortcut', from = 'input' }]";
    /// let written = Architecture::parse(text, "net.toml")?.to_toml();
    /// let expected =
    ///     "[[layer]]\ntype = \"relu\"\n\n[[layer]]\ntype = \"shortcut\"\nfrom = \"input\"\n";
    /// assert_eq!(written, expected);
    /// # Ok::<(), espalier_network::RecipeError>(())
    /// ```
    pub fn to_toml(&self) -> String {
        let mut root = DocumentMut::new();
        if let Some(input) = &self.input {
            root.insert("input", input.value.to_toml().into());
        }
        if !self.outputs.is_empty() {
            let outputs: Array = self.outputs.iter().map(|output| output.value.to_toml()).collect();
            root.insert("outputs", Value::Array(outputs).into());
        }
        let layers: ArrayOfTables =
            self.layers.iter().map(|layer| to_table(&layer.value)).collect();
        root.insert("layer", layers.into());
        root.to_string()
    }

    /// The text as it was read.
    pub fn source(&self) -> &str {
        &self.text
    }

    /// The file name that it was given.
    pub fn file(&self) -> &str {
        &self.file
    }
}
