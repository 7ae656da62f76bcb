//! Layers wired as they like: sums, concatenations, shared layers, several outputs.

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::tensor::{Device, Tensor};

use super::layer::{AnyLayer, Layer, LayerError, WidthError};
use crate::erase::AnyTensor;
use crate::error::Error;

/// What flows in a [`Graph`]: its input, or what one of its layers gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value(Option<usize>);

impl Value {
    /// Its place among all values of a graph, the input first.
    fn place(self) -> usize {
        self.0.map_or(0, |node| node + 1)
    }
}

/// Why a layer cannot stand in a [`Graph`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The path is another layer's, lies inside one, or is empty in a part.
    #[error(
        "the path {path:?} cannot be a layer's; expected names with dots between them that are no \
         other layer's, found {found}"
    )]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        found: String,
    },
    /// A value of another graph.
    #[error(
        "expected values of this graph, which has {layers} layers, found that of layer {found}"
    )]
    Value {
        /// The layers there are.
        layers: usize,
        /// The place that was asked for.
        found: usize,
    },
}

#[derive(Clone, Debug)]
struct Node {
    /// Names of the containers and, last, of the layer; empty if the layer is another's.
    path: Vec<String>,
    /// The place of the layer among the layers.
    layer: usize,
    inputs: Vec<Value>,
}

/// Layers of any types and the values that flow between them: [`Sequential`](super::Sequential) for
/// networks that are no chain.
///
/// Layers are evaluated in the order they were added. Parameters are named by the path that a layer
/// was added with: `3.weight`, `stage.0.weight`.
///
/// ```
/// use burn::nn::{LinearConfig, Relu};
/// use burn::tensor::{Device, Tensor};
/// use espalier::ParameterTree;
/// use espalier::nn::{Add, Graph};
///
/// let device = Device::default();
/// let mut net = Graph::new();
/// let x = net.input();
/// let hidden = net.add("0", LinearConfig::new(4, 4).init(&device), &[x])?;
/// let active = net.add("1", Relu::new(), &[hidden])?;
/// let again = net.reuse(hidden, &[active])?; // the same weights a second time
/// net.add("2", Add::new(), &[x, again])?; // a residual connection
///
/// let y: Tensor<2> = net.forward(Tensor::<2>::ones([3, 4], &device))?;
/// assert_eq!(y.dims(), [3, 4]);
/// let names: Vec<String> = net.named_parameters().into_iter().map(|info| info.path).collect();
/// assert_eq!(names, ["0.weight", "0.bias"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Graph {
    layers: Vec<AnyLayer>,
    nodes: Vec<Node>,
    outputs: Vec<Value>,
}

impl Graph {
    /// A graph without layers: the identity.
    pub fn new() -> Self {
        Self::default()
    }

    /// The graph's input.
    pub fn input(&self) -> Value {
        Value(None)
    }

    /// Adds `layer` on `inputs` under `path`, and gives its output, which is the graph's until another
    /// layer is added.
    ///
    /// # Errors
    ///
    /// [`GraphError`] for a path that cannot be one, or a value of another graph.
    pub fn add<L: Layer>(
        &mut self,
        path: &str,
        layer: L,
        inputs: &[Value],
    ) -> Result<Value, GraphError> {
        self.check_path(path)?;
        self.check_values(inputs)?;
        self.layers.push(AnyLayer::new(layer));
        let path = path.split('.').map(str::to_owned).collect();
        Ok(self.push(path, self.layers.len() - 1, inputs))
    }

    /// Applies the layer that gave `value` again, with the same weights, to other inputs.
    ///
    /// # Errors
    ///
    /// [`GraphError::Value`] for the input, which no layer gave, or a value of another graph.
    pub fn reuse(&mut self, value: Value, inputs: &[Value]) -> Result<Value, GraphError> {
        self.check_values(inputs)?;
        self.check_values(&[value])?;
        match value.0.and_then(|node| self.nodes.get(node)).map(|node| node.layer) {
            Some(layer) => Ok(self.push(Vec::new(), layer, inputs)),
            None => Err(GraphError::Value { layers: self.nodes.len(), found: usize::MAX }),
        }
    }

    /// Makes these values the graph's outputs, in this order; without it, the last layer's is the one.
    ///
    /// # Errors
    ///
    /// [`GraphError::Value`] for a value of another graph.
    pub fn set_outputs(&mut self, outputs: &[Value]) -> Result<(), GraphError> {
        self.check_values(outputs)?;
        self.outputs = outputs.to_vec();
        Ok(())
    }

    /// The layers in the order they were added, each once.
    pub fn iter(&self) -> std::slice::Iter<'_, AnyLayer> {
        self.layers.iter()
    }

    /// The number of layers.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there are no layers.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    fn push(&mut self, path: Vec<String>, layer: usize, inputs: &[Value]) -> Value {
        self.nodes.push(Node { path, layer, inputs: inputs.to_vec() });
        Value(Some(self.nodes.len() - 1))
    }

    fn check_values(&self, values: &[Value]) -> Result<(), GraphError> {
        let layers = self.nodes.len();
        match values.iter().filter_map(|value| value.0).find(|node| *node >= layers) {
            Some(found) => Err(GraphError::Value { layers, found }),
            None => Ok(()),
        }
    }

    fn check_path(&self, path: &str) -> Result<(), GraphError> {
        let wrong = |found: String| Err(GraphError::Path { path: path.to_owned(), found });
        let parts: Vec<&str> = path.split('.').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return wrong("an empty name".to_owned());
        }
        let inside =
            |a: &[String], b: &[&str]| a.len() <= b.len() && a.iter().zip(b).all(|(a, b)| a == b);
        let around =
            |a: &[String], b: &[&str]| a.len() >= b.len() && a.iter().zip(b).all(|(a, b)| a == b);
        let mut paths = self.nodes.iter().map(|node| &node.path).filter(|path| !path.is_empty());
        match paths.find(|other| inside(other, &parts) || around(other, &parts)) {
            Some(other) => wrong(format!("the layer {:?}", other.join("."))),
            None => Ok(()),
        }
    }

    fn output_values(&self) -> Vec<Value> {
        if self.outputs.is_empty() {
            vec![Value(self.nodes.len().checked_sub(1))]
        } else {
            self.outputs.clone()
        }
    }

    /// The shapes of the outputs for an input of shape `input`, batch first, without computing
    /// anything.
    ///
    /// # Errors
    ///
    /// [`LayerError`] with the first layer that does not fit what it is given.
    pub fn check(&self, input: &[usize]) -> Result<Vec<Vec<usize>>, LayerError> {
        let mut shapes: Vec<Vec<usize>> = vec![input.to_vec()];
        for node in &self.nodes {
            let inputs: Vec<&[usize]> =
                node.inputs.iter().map(|value| shapes[value.place()].as_slice()).collect();
            let output = self.layers[node.layer]
                .output_dims_many(&inputs)
                .map_err(|source| self.located(node, source))?;
            shapes.push(output);
        }
        Ok(self.output_values().into_iter().map(|value| shapes[value.place()].clone()).collect())
    }

    /// The first output for `input`.
    ///
    /// # Errors
    ///
    /// [`Error::Layer`] with the first layer that does not fit what comes before it,
    /// [`Error::Rank`] if the output has another rank than `O`.
    pub fn forward<const I: usize, const O: usize>(
        &self,
        input: Tensor<I>,
    ) -> Result<Tensor<O>, Error> {
        self.forward_any(input.into())?.into_rank()
    }

    /// All outputs for `input`.
    ///
    /// # Errors
    ///
    /// [`Error::Layer`] with the first layer that does not fit what it is given.
    pub fn forward_all(&self, input: AnyTensor) -> Result<Vec<AnyTensor>, Error> {
        let outputs = self.output_values();
        // How often each value will still be taken: the last time it is given away, not copied.
        let mut uses = vec![0; self.nodes.len() + 1];
        for value in self.nodes.iter().flat_map(|node| &node.inputs).chain(&outputs) {
            uses[value.place()] += 1;
        }
        let mut values: Vec<Option<AnyTensor>> = Vec::with_capacity(uses.len());
        values.push(Some(input));
        let mut take = |values: &mut Vec<Option<AnyTensor>>, value: Value| {
            let place = value.place();
            uses[place] -= 1;
            let held = if uses[place] == 0 { values[place].take() } else { values[place].clone() };
            held.ok_or(Error::Rank { expected: 1, found: Vec::new() })
        };
        for node in &self.nodes {
            let inputs: Result<Vec<AnyTensor>, Error> =
                node.inputs.iter().map(|value| take(&mut values, *value)).collect();
            values.push(Some(self.apply(node, inputs?)?));
        }
        outputs.into_iter().map(|value| take(&mut values, value)).collect()
    }

    fn apply(&self, node: &Node, mut inputs: Vec<AnyTensor>) -> Result<AnyTensor, Error> {
        let layer = &self.layers[node.layer];
        let inside = |error: Error| error.inside(&self.name(node));
        if inputs.len() == 1
            && let Some(input) = inputs.pop()
        {
            layer.check_input(&input.dims()).map_err(|source| self.located(node, source))?;
            return layer.forward_any(input).map_err(inside);
        }
        let dims: Vec<Vec<usize>> = inputs.iter().map(AnyTensor::dims).collect();
        let dims: Vec<&[usize]> = dims.iter().map(Vec::as_slice).collect();
        layer.output_dims_many(&dims).map_err(|source| self.located(node, source))?;
        layer.forward_many(inputs).map_err(inside)
    }

    /// The path of a node's layer.
    fn name(&self, node: &Node) -> String {
        let owner = self.nodes.iter().find(|other| other.layer == node.layer);
        owner.unwrap_or(node).path.join(".")
    }

    fn located(&self, node: &Node, mut source: WidthError) -> LayerError {
        let own = self.name(node);
        let (name, kind) = match source.inside.take().map(|inside| *inside) {
            Some((inner, kind)) => (format!("{own}.{inner}"), kind),
            None => (own, self.layers[node.layer].type_name()),
        };
        LayerError { name, kind, source }
    }

    /// The nodes that own a layer, in order: the first of each.
    fn owners(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| !node.path.is_empty())
    }

    fn with_layers(self, change: impl FnMut(AnyLayer) -> AnyLayer) -> Self {
        Self { layers: self.layers.into_iter().map(change).collect(), ..self }
    }
}

impl Layer for Graph {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        let located = |LayerError { name, kind, source }| WidthError {
            inside: Some(Box::new((name, kind))),
            ..source
        };
        self.check(input).map(|mut outputs| outputs.swap_remove(0)).map_err(located)
    }

    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        self.forward_all(input).map(|mut outputs| outputs.swap_remove(0))
    }

    /// Nothing: each layer checks what comes before it.
    fn check_input(&self, _: &[usize]) -> Result<(), WidthError> {
        Ok(())
    }
}

/// The container that names in a graph are told to stand in.
const CONTAINER: &str = "Struct:Graph";

/// Enters and leaves the containers between one layer and the next.
struct Open<'a>(Vec<&'a str>);

impl<'a> Open<'a> {
    /// Leaves what `path` is not in, enters what it is in; the names to leave and to enter.
    fn go_to(&mut self, path: &'a [String]) -> (Vec<&'a str>, Vec<&'a str>) {
        let shared = self.0.iter().zip(path).take_while(|(a, b)| *a == b).count();
        let left = self.0.split_off(shared);
        let entered: Vec<&str> = path[shared..].iter().map(String::as_str).collect();
        self.0.extend(&entered);
        (left, entered)
    }
}

/// Walks the layers of a graph with the right names entered around each.
macro_rules! walk {
    ($graph:expr, $visitor:expr, $node:ident => $body:expr) => {{
        let mut open = Open(Vec::new());
        for $node in $graph {
            let (left, entered) = open.go_to(&$node.0);
            for name in left.into_iter().rev() {
                $visitor.exit_module(name, CONTAINER);
            }
            for name in entered {
                $visitor.enter_module(name, CONTAINER);
            }
            $visitor.enter_module(crate::tree::TYPE_MARK, $node.1);
            $visitor.exit_module(crate::tree::TYPE_MARK, $node.1);
            $body;
        }
        for name in open.0.into_iter().rev() {
            $visitor.exit_module(name, CONTAINER);
        }
    }};
}

impl Module for Graph {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.layers.collect_devices(devices)
    }
    fn fork(self, device: &Device) -> Self {
        self.with_layers(|layer| layer.fork(device))
    }
    fn to_device(self, device: &Device) -> Self {
        self.with_layers(|layer| layer.to_device(device))
    }
    fn train(self) -> Self {
        self.with_layers(Module::train)
    }
    fn valid(&self) -> Self {
        Self { layers: self.layers.valid(), ..self.clone() }
    }
    fn materialize(self) -> Self {
        self.with_layers(Module::materialize)
    }
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        let owners: Vec<(&[String], &str, usize)> = self
            .owners()
            .map(|node| (node.path.as_slice(), self.layers[node.layer].type_name(), node.layer))
            .collect();
        walk!(owners.iter(), visitor, node => self.layers[node.2].visit(visitor));
    }
    fn map<V: ModuleMapper>(mut self, mapper: &mut V) -> Self {
        let mut mapped = Vec::with_capacity(self.layers.len());
        let layers = std::mem::take(&mut self.layers);
        let owners: Vec<(&[String], &str)> = self
            .owners()
            .map(|node| (node.path.as_slice(), layers[node.layer].type_name()))
            .collect();
        // Layers are in the order of their owners.
        let mut layers = layers.into_iter();
        walk!(owners.iter(), mapper, node => {
            mapped.extend(layers.next().map(|layer| Module::map(layer, mapper)));
        });
        self.layers = mapped;
        self
    }
}

impl ModuleDisplayDefault for Graph {
    fn content(&self, content: Content) -> Option<Content> {
        self.owners()
            .fold(content, |content, node| {
                content.add(&node.path.join("."), &self.layers[node.layer])
            })
            .set_top_level_type(burn::module::extract_type_name::<Self>())
            .optional()
    }
    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl ModuleDisplay for Graph {}

impl std::fmt::Display for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.format(Default::default()))
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::conv::Conv2dConfig;
    use burn::nn::{BatchNormConfig, LinearConfig, Relu};

    use super::*;
    use crate::nn::{Concat, Flatten, Sequential};
    use crate::{ParameterTree, Parametrized};

    #[test]
    fn a_chain_is_a_sequential() {
        let device = Device::default();
        let chain = Sequential::new()
            .with(Conv2dConfig::new([1, 2], [3, 3]).init(&device))
            .with(BatchNormConfig::new(2).init(&device))
            .with(Relu::new())
            .with(Flatten::new())
            .with(LinearConfig::new(8, 3).init(&device));
        let mut graph = Graph::new();
        let mut value = graph.input();
        for (index, layer) in chain.iter().enumerate() {
            value = graph.add(&index.to_string(), layer.clone(), &[value]).unwrap();
        }
        let x = Tensor::<4>::ones([2, 1, 4, 4], &device);
        let (a, b): (Tensor<2>, Tensor<2>) =
            (chain.forward(x.clone()).unwrap(), graph.forward(x).unwrap());
        assert_eq!(a.into_data(), b.into_data());
        let describe = |infos: Vec<crate::ParamInfo>| -> Vec<String> {
            infos.into_iter().map(|info| format!("{} {}", info.path, info.layer)).collect()
        };
        assert_eq!(describe(graph.named_parameters()), describe(chain.named_parameters()));
        assert_eq!(describe(graph.named_buffers()), describe(chain.named_buffers()));
        assert_eq!(graph.check(&[2, 1, 4, 4]).unwrap(), [[2, 3]]);
        let (a, b) = (graph.forward::<4, 2>(Tensor::ones([2, 3, 4, 4], &device)), chain);
        let b = b.forward::<4, 2>(Tensor::ones([2, 3, 4, 4], &device));
        assert_eq!(a.unwrap_err().to_string(), b.unwrap_err().to_string());
    }

    #[test]
    fn shared_weights_are_one_parameter_and_gradients_add_up() {
        let device = Device::default().autodiff();
        let mut graph = Graph::new();
        let x = graph.input();
        let linear = LinearConfig::new(2, 2).with_bias(false).init(&device);
        let once = graph.add("block.0", linear, &[x]).unwrap();
        let twice = graph.reuse(once, &[once]).unwrap();
        graph.add("block.1", Concat::new(1), &[once, twice]).unwrap();
        assert_eq!(graph.named_parameters().len(), 1);
        let net = Parametrized::new(graph);
        let loss = net.effective().forward::<2, 2>(Tensor::ones([1, 2], &device)).unwrap().sum();
        let grads = net.grads(loss.backward()).unwrap();
        assert_eq!(grads.len(), 1);
        let names: Vec<String> = net.named_parameters().into_iter().map(|info| info.path).collect();
        assert_eq!(names, ["block.0.weight"]);
    }

    #[test]
    fn several_outputs_and_values_kept_for_them() {
        let device = Device::default();
        let mut graph = Graph::new();
        let x = graph.input();
        let a = graph.add("a", Relu::new(), &[x]).unwrap();
        let b = graph.add("b", Concat::new(1), &[a, x, a]).unwrap();
        graph.set_outputs(&[b, a, x]).unwrap();
        let x = Tensor::<2>::from_data([[-1.0, 2.0]], &device);
        let outputs = graph.forward_all(x.into()).unwrap();
        let values: Vec<Vec<f32>> =
            outputs.iter().map(|y| y.to_data().try_to_vec().unwrap()).collect();
        assert_eq!(values[0], [0.0, 2.0, -1.0, 2.0, 0.0, 2.0]);
        assert_eq!([&values[1], &values[2]], [&vec![0.0, 2.0], &vec![-1.0, 2.0]]);
    }

    #[test]
    fn wrong_paths_and_values_are_errors() {
        let mut graph = Graph::new();
        let x = graph.input();
        let a = graph.add("0.1", Relu::new(), &[x]).unwrap();
        for path in ["0.1", "0", "0.1.2", "", "a..b"] {
            assert!(
                matches!(graph.add(path, Relu::new(), &[a]), Err(GraphError::Path { .. })),
                "{path}"
            );
        }
        assert!(graph.reuse(x, &[a]).is_err());
        let stranger = graph.add("1", Relu::new(), &[a]).unwrap();
        assert!(Graph::new().add("0", Relu::new(), &[stranger]).is_err());
    }
}
