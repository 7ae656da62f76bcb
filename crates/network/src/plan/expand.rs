//! Walks a network's layers, unfolds what holds others, and checks each where it stands.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::error::{Fault, PlanError};
use super::fit::{Blame, DEEPEST, excess, given, too_large};
use super::scope::{Nothing, Place, Scope, Unresolved, Value};
use super::{Limits, Parameter, Plan, PlannedLayer, Source};
use crate::input::{Input, Kind};
use crate::layer::{Layer, LayerSpec, Shape};
use crate::reference::Reference;
use crate::text::{Span, Spanned};

/// More faults are not looked for: a file from a stranger may have one a byte.
const MOST_FAULTS: usize = 200;
/// Inputs of all layers together, for each layer that there may be.
const INPUTS_A_LAYER: usize = 10;

pub(super) fn plan(
    layers: &[Spanned<LayerSpec>],
    outputs: &[Spanned<Reference>],
    input: &Input,
    limits: &Limits,
) -> Result<Plan, PlanError> {
    let mut expander = Expander::new(limits);
    let given = expander.input(input);
    if layers.is_empty() {
        expander.fault(0..0, "layer", "found no layer", Some("at least one".to_owned()), None);
    }
    expander.written(layers);
    let mut root = Scope::root(layers, given);
    // What stopped it is among the faults.
    let _ = expander.run(&mut root);
    let outputs = if root.places.len() == layers.len() {
        expander.outputs(&root, outputs)
    } else {
        Vec::new()
    };
    if expander.faults.is_empty() {
        return Ok(Plan { input: input.clone(), layers: expander.planned, outputs });
    }
    let mut faults = expander.faults;
    faults.sort_by_key(|fault| fault.span.start);
    Err(PlanError { faults })
}

/// Nothing more can be found.
struct Stop;

struct Expander<'l> {
    limits: &'l Limits,
    planned: Vec<PlannedLayer>,
    /// Layers met, those that do not fit included.
    met: usize,
    /// Inputs that they name.
    taken: usize,
    parameters: u128,
    faults: Vec<Fault>,
    /// The keys of the faults: what is wrong in every iteration is said once.
    blamed: BTreeSet<String>,
    /// While layers are used again: the next of those whose weights they use.
    lender: Option<usize>,
    /// While layers are used again: what to blame.
    blame: Option<Blame>,
}

impl<'l> Expander<'l> {
    fn new(limits: &'l Limits) -> Self {
        Self {
            limits,
            planned: Vec::new(),
            met: 0,
            taken: 0,
            parameters: 0,
            faults: Vec::new(),
            blamed: BTreeSet::new(),
            lender: None,
            blame: None,
        }
    }

    fn fault(
        &mut self,
        span: Span,
        key: &str,
        message: impl Into<String>,
        expected: Option<String>,
        help: Option<String>,
    ) {
        if self.blamed.insert(key.to_owned()) {
            let (key, message) = (key.to_owned(), message.into());
            self.faults.push(Fault { span, key, message, expected, help });
        }
    }

    /// The network's input, if it is one.
    fn input(&mut self, input: &Input) -> Option<Value> {
        let shape = Shape { dims: input.dims.clone(), kind: input.kind };
        let empty = matches!(input.kind, Kind::Tokens { vocabulary: 0 });
        if input.dims.is_empty() || input.dims.contains(&0) || empty {
            let expected = "sizes of at least 1".to_owned();
            self.fault(0..0, "input", format!("found {:?}", input.dims), Some(expected), None);
            return None;
        }
        if let Some((message, expected)) = too_large(&input.dims, self.limits) {
            let message = format!("found {message}");
            self.fault(0..0, "input", message, Some(expected), None);
            return None;
        }
        Some(Value { source: Source::Input, shape, by: "the input".into() })
    }

    /// Says which layer is the first too many of the text.
    fn written(&mut self, layers: &[Spanned<LayerSpec>]) {
        let most = self.limits.layers;
        if let Some(blame) = excess(layers, "", 0, &mut 0, most) {
            let message = format!("{} is one layer too many", blame.called);
            let expected = Some(format!("at most {most} layers"));
            self.fault(blame.span, &blame.key, message, expected, None);
        }
    }

    /// All layers of a list; the output of its last.
    fn run(&mut self, scope: &mut Scope<'_>) -> Result<Option<Value>, Stop> {
        for index in 0..scope.layers.len().min(self.limits.layers) {
            if self.faults.len() >= MOST_FAULTS {
                return Err(Stop);
            }
            self.own_name(scope, index);
            let place = self.one(scope, index)?;
            scope.places.push(place);
        }
        Ok(scope.places.last().and_then(|place| place.output.clone()))
    }

    /// Says if an earlier layer of the list has the same name.
    fn own_name(&mut self, scope: &Scope<'_>, index: usize) {
        let spec = &scope.layers[index];
        let Some(name) = &spec.value.name else { return };
        let is = |earlier: &Spanned<LayerSpec>| earlier.value.name.as_ref() == Some(name);
        if scope.layers[..index].iter().any(is) {
            let key = format!("{}.name", scope.key(index));
            let message = format!("{name:?} is an earlier layer's name");
            let expected = Some("a name of its own".to_owned());
            self.fault(spec.span.clone(), &key, message, expected, None);
        }
    }

    fn one(&mut self, scope: &Scope<'_>, index: usize) -> Result<Place, Stop> {
        let spec = &scope.layers[index];
        let key = scope.key(index);
        let blame = match &self.blame {
            Some(reuse) => reuse.within(&spec.value, &key),
            None => {
                let mut called = spec.value.called();
                if scope.again {
                    called += &format!(" as {}", scope.path(index));
                }
                Blame { span: spec.span.clone(), key, called }
            }
        };
        if scope.depth > DEEPEST {
            let message = format!("{} is nested too deep", blame.called);
            let expected = Some(format!("at most {DEEPEST} blocks in one another"));
            self.fault(blame.span, &blame.key, message, expected, None);
            return Err(Stop);
        }
        let begin = self.planned.len();
        let faults = self.faults.len();
        let met = self.met;
        let Layer::Reuse { of } = &spec.value.layer else {
            let output = self.layer(scope, index, (scope, index), &blame)?;
            return Ok(self.place(output, begin, met, faults));
        };
        let Ok((named, place)) = scope.find(index, &of.value) else {
            self.unresolved(scope, index, of, &format!("{}.of", blame.key));
            self.count(&blame)?;
            return Ok(Place::unknown());
        };
        let (Some(leaves), Ok(target)) = (&named.places[place].leaves, named.original(place))
        else {
            // Why has been said there.
            self.count(&blame)?;
            return Ok(Place::unknown());
        };
        // Within what is used again, the whole of it already says whose weights are next.
        let outer = (self.lender, self.blame.take());
        self.lender = self.lender.or(Some(leaves.start));
        self.blame = Some(outer.1.clone().unwrap_or_else(|| blame.clone()));
        let output = self.layer(scope, index, target, &blame);
        if outer.0.is_none() {
            self.lender = None;
        }
        self.blame = outer.1;
        Ok(self.place(output?, begin, met, faults))
    }

    fn place(&self, output: Option<Value>, begin: usize, met: usize, faults: usize) -> Place {
        let whole = faults == self.faults.len()
            && self.planned.len() - begin == self.met - met
            && output.is_some();
        Place { output, leaves: whole.then_some(begin..self.planned.len()) }
    }

    /// The layer of `target` at place `index` of `scope`, which says what it takes.
    fn layer(
        &mut self,
        scope: &Scope<'_>,
        index: usize,
        target: (&Scope<'_>, usize),
        blame: &Blame,
    ) -> Result<Option<Value>, Stop> {
        let spec = &scope.layers[index].value;
        let layer = &target.0.layers[target.1].value.layer;
        let inputs = self.inputs(scope, index, layer, blame)?;
        let path = scope.path(index);
        let (times, layers) = match layer {
            Layer::Block { layers } => (None, layers),
            Layer::Repeat { times, layers } => (Some(*times), layers),
            _ => return self.leaf(spec, layer, inputs, path, blame),
        };
        if layers.is_empty() || times == Some(0) {
            let message = format!("{} holds no layer", blame.called);
            let expected = Some("at least one".to_owned());
            self.fault(blame.span.clone(), &blame.key, message, expected, None);
            self.count(blame)?;
            return Ok(None);
        }
        let mut value = inputs.and_then(|inputs| inputs.into_iter().next().flatten());
        let key = target.0.key(target.1);
        for iteration in 0..times.unwrap_or(1) {
            let path = match times {
                Some(_) => format!("{path}.{iteration}"),
                None => path.clone(),
            };
            let mut inner = Scope {
                layers,
                places: Vec::new(),
                parent: Some(target),
                input: value,
                path: format!("{path}."),
                key: format!("{key}."),
                depth: scope.depth + 1,
                again: scope.again || iteration > 0,
            };
            value = self.run(&mut inner)?;
        }
        Ok(value)
    }

    /// What a layer takes, unknown where the layer there has no known output; nothing if it is the
    /// wrong number.
    fn inputs(
        &mut self,
        scope: &Scope<'_>,
        index: usize,
        layer: &Layer,
        blame: &Blame,
    ) -> Result<Option<Vec<Option<Value>>>, Stop> {
        let from = &scope.layers[index].value.from;
        self.taken += from.len();
        let most = self.limits.expanded.saturating_mul(INPUTS_A_LAYER);
        if self.taken > most {
            let message = format!("{} brings the network to {} inputs", blame.called, self.taken);
            let expected = Some(format!("at most {most} of all layers together"));
            self.fault(blame.span.clone(), &blame.key, message, expected, None);
            return Err(Stop);
        }
        let mut inputs = Vec::with_capacity(from.len() + 1);
        if from.is_empty() || (from.len() == 1 && layer.adds_to_the_one_before()) {
            inputs.push(scope.before(index));
        }
        for (place, reference) in from.iter().enumerate() {
            inputs.push(match scope.value(index, &reference.value) {
                Ok(value) => value,
                Err(Nothing) => {
                    let of = if from.len() == 1 { String::new() } else { format!("[{place}]") };
                    let key = format!("{}.from{of}", blame.key);
                    self.unresolved(scope, index, reference, &key);
                    if self.faults.len() >= MOST_FAULTS {
                        return Err(Stop);
                    }
                    None
                }
            });
        }
        let (least, most) = layer.inputs();
        if inputs.len() < least {
            let message = format!("{} is given one input", blame.called);
            let expected = Some("`from`, what joins the layer before".to_owned());
            self.fault(blame.span.clone(), &blame.key, message, expected, None);
            return Ok(None);
        }
        if inputs.len() > most {
            let span = from.get(most).map_or_else(|| blame.span.clone(), |from| from.span.clone());
            let message = format!("{} is given {} inputs", blame.called, inputs.len());
            let expected = match most {
                1 => "one; `route` and `shortcut` join several".to_owned(),
                most => format!("at most {most}"),
            };
            self.fault(span, &format!("{}.from", blame.key), message, Some(expected), None);
            return Ok(None);
        }
        Ok(Some(inputs))
    }

    /// Says why a reference means nothing, if that has not been said.
    fn unresolved(
        &mut self,
        scope: &Scope<'_>,
        index: usize,
        reference: &Spanned<Reference>,
        key: &str,
    ) {
        // The nearest names cost a comparison with each.
        if !self.blamed.contains(key) {
            let Unresolved { message, expected, help } = scope.explain(index, &reference.value);
            self.fault(reference.span.clone(), key, message, Some(expected), help);
        }
    }

    /// Counts one layer more.
    fn count(&mut self, blame: &Blame) -> Result<(), Stop> {
        if self.met == self.limits.expanded {
            let message = format!("{} is one layer too many", blame.called);
            let expected = format!("at most {} layers after repeats", self.limits.expanded);
            self.fault(blame.span.clone(), &blame.key, message, Some(expected), None);
            return Err(Stop);
        }
        self.met += 1;
        Ok(())
    }

    /// A layer that computes.
    fn leaf(
        &mut self,
        spec: &LayerSpec,
        layer: &Layer,
        inputs: Option<Vec<Option<Value>>>,
        path: String,
        blame: &Blame,
    ) -> Result<Option<Value>, Stop> {
        self.count(blame)?;
        let lender = self.lender;
        self.lender = lender.map(|next| next + 1);
        let Some(inputs) = inputs.and_then(|all| all.into_iter().collect::<Option<Vec<_>>>())
        else {
            return Ok(None);
        };
        let shapes: Vec<&Shape> = inputs.iter().map(|input| &input.shape).collect();
        let source = Source::Layer(self.planned.len());
        let by: Arc<str> = blame.key.as_str().into();
        let kind = layer.kind(&shapes);
        let value = |dims| Value { source, shape: Shape { dims, kind }, by: Arc::clone(&by) };
        let effect = match layer.effect(&shapes) {
            Ok(effect) => effect,
            Err(misfit) => {
                let mut message = format!("{} {}", blame.called, given(&inputs));
                if let Some(found) = misfit.found {
                    message += &format!(", found {found}");
                }
                let expected = Some(misfit.expected);
                self.fault(blame.span.clone(), &blame.key, message, expected, None);
                let output = misfit.output.filter(|dims| too_large(dims, self.limits).is_none());
                return Ok(output.map(value));
            }
        };
        let weights = lender.and_then(|lender| self.planned.get(lender)).map(|own| own.weights);
        let Some(own) = self.weights(&inputs, weights, &effect.parameters, blame) else {
            return Ok(Some(value(effect.output)));
        };
        if let Some((message, expected)) = too_large(&effect.output, self.limits) {
            let message = format!("{} gives {message}", blame.called);
            self.fault(blame.span.clone(), &blame.key, message, Some(expected), None);
            return Ok(None);
        }
        let output = value(effect.output.clone());
        self.planned.push(PlannedLayer {
            path,
            name: spec.name.clone(),
            layer: layer.clone(),
            input_dims: inputs.iter().map(|input| input.shape.dims.clone()).collect(),
            inputs: inputs.iter().map(|input| input.source).collect(),
            weights: weights.unwrap_or(self.planned.len()),
            output: effect.output,
            parameters: if own { effect.parameters } else { Vec::new() },
            buffers: if own { effect.buffers } else { Vec::new() },
            macs: u64::try_from(effect.macs).unwrap_or(u64::MAX),
            span: blame.span.clone(),
            key: blame.key.clone(),
        });
        Ok(Some(output))
    }

    /// Whether the layer has weights of its own; nothing if it cannot use those it is lent.
    fn weights(
        &mut self,
        inputs: &[Value],
        lender: Option<usize>,
        needed: &[Parameter],
        blame: &Blame,
    ) -> Option<bool> {
        let lender = lender.and_then(|lender| self.planned.get(lender));
        if let Some(lender) = lender {
            if lender.parameters == needed {
                return Some(false);
            }
            let shapes = |parameters: &[Parameter]| -> String {
                let shown = parameters.iter().map(|p| format!("{} {:?}", p.name, p.shape));
                shown.collect::<Vec<_>>().join(", ")
            };
            let message =
                format!("{} {}, which takes {}", blame.called, given(inputs), shapes(needed));
            let expected = format!("{}, as {} has", shapes(&lender.parameters), lender.key);
            self.fault(blame.span.clone(), &blame.key, message, Some(expected), None);
            return None;
        }
        let before = self.parameters;
        let most = u128::from(self.limits.parameters);
        for parameter in needed {
            let sizes = parameter.shape.iter();
            let numel = sizes.fold(1u128, |product, size| product.saturating_mul(*size as u128));
            self.parameters = self.parameters.saturating_add(numel);
        }
        // Only the first layer that is too much is of interest.
        if before <= most && self.parameters > most {
            let (called, total) = (&blame.called, self.parameters);
            let message = format!("{called} brings the network to {total} parameters");
            let expected = Some(format!("at most {most}"));
            self.fault(blame.span.clone(), &blame.key, message, expected, None);
        }
        Some(true)
    }

    /// The places of the network's outputs.
    fn outputs(&mut self, root: &Scope<'_>, outputs: &[Spanned<Reference>]) -> Vec<usize> {
        let end = root.layers.len();
        if outputs.is_empty() {
            let last = root.before(end).map(|value| value.source);
            return last.and_then(Source::layer).into_iter().collect();
        }
        let mut found = Vec::with_capacity(outputs.len());
        for (index, reference) in outputs.iter().enumerate() {
            if self.faults.len() >= MOST_FAULTS {
                break;
            }
            let key = format!("outputs[{index}]");
            match root.value(end, &reference.value) {
                Ok(Some(Value { source: Source::Layer(layer), .. })) => found.push(layer),
                Ok(Some(_)) => {
                    let message = "is what the network is given";
                    let expected = Some("a layer".to_owned());
                    self.fault(reference.span.clone(), &key, message, expected, None);
                }
                Ok(None) => {}
                Err(Nothing) => self.unresolved(root, end, reference, &key),
            }
        }
        found
    }
}

impl Source {
    fn layer(self) -> Option<usize> {
        match self {
            Self::Layer(index) => Some(index),
            Self::Input => None,
        }
    }
}
