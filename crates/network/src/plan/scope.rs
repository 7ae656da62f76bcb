//! A list of layers while it is walked, and what references in it mean.

use std::ops::Range;
use std::sync::Arc;

use super::Source;
use crate::layer::{Layer, LayerSpec, Shape};
use crate::reference::Reference;
use crate::text::{Spanned, did_you_mean};

/// An input, or the output of a planned layer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value {
    /// Meaningless if the layer itself does not fit.
    pub(super) source: Source,
    pub(super) shape: Shape,
    /// The key of the layer that gives it.
    pub(super) by: Arc<str>,
}

/// What became of a layer of the list.
#[derive(Debug)]
pub(super) struct Place {
    /// Its output, if that is known.
    pub(super) output: Option<Value>,
    /// What it was unfolded into, if all of that fits.
    pub(super) leaves: Option<Range<usize>>,
}

impl Place {
    pub(super) fn unknown() -> Self {
        Self { output: None, leaves: None }
    }
}

/// A list of layers, and what of it has been walked.
pub(super) struct Scope<'a> {
    pub(super) layers: &'a [Spanned<LayerSpec>],
    /// One for each layer walked.
    pub(super) places: Vec<Place>,
    /// The list that holds the layer that holds this one, and where.
    pub(super) parent: Option<(&'a Scope<'a>, usize)>,
    /// What the list is given, if that is known.
    pub(super) input: Option<Value>,
    /// What comes before the layers' numbers in paths.
    pub(super) path: String,
    /// What comes before the layers in keys.
    pub(super) key: String,
    pub(super) depth: usize,
    /// Whether the list, or one around it, has been walked before, with other parameters.
    pub(super) again: bool,
}

/// A reference that means nothing; [`Scope::explain`] says why.
pub(super) struct Nothing;

/// Why a reference means nothing.
pub(super) struct Unresolved {
    pub(super) message: String,
    pub(super) expected: String,
    pub(super) help: Option<String>,
}

impl<'a> Scope<'a> {
    pub(super) fn root(layers: &'a [Spanned<LayerSpec>], input: Option<Value>) -> Self {
        let (path, key) = (String::new(), String::new());
        Self { layers, places: Vec::new(), parent: None, input, path, key, depth: 0, again: false }
    }

    pub(super) fn path(&self, index: usize) -> String {
        format!("{}{index}", self.path)
    }

    pub(super) fn key(&self, index: usize) -> String {
        format!("{}layer[{index}]", self.key)
    }

    fn output(&self, index: usize) -> Option<Value> {
        self.places.get(index).and_then(|place| place.output.clone())
    }

    /// What comes before layer `index`.
    pub(super) fn before(&self, index: usize) -> Option<Value> {
        match index.checked_sub(1) {
            Some(before) => self.output(before),
            None => self.input.clone(),
        }
    }

    /// The list in which all others stand.
    fn outermost(&self) -> &Scope<'a> {
        let mut scope = self;
        while let Some((parent, _)) = scope.parent {
            scope = parent;
        }
        scope
    }

    /// What `reference` means to layer `index`; unknown where the layer there has no known output.
    pub(super) fn value(
        &self,
        index: usize,
        reference: &Reference,
    ) -> Result<Option<Value>, Nothing> {
        match reference {
            Reference::Input => Ok(self.outermost().input.clone()),
            Reference::Back(back) if *back == index + 1 => Ok(self.input.clone()),
            _ => self.find(index, reference).map(|(scope, place)| scope.output(place)),
        }
    }

    /// The earlier layer that `reference` means to layer `index`.
    pub(super) fn find(
        &self,
        index: usize,
        reference: &Reference,
    ) -> Result<(&Scope<'a>, usize), Nothing> {
        let place = match reference {
            Reference::Back(back) => index.checked_sub(*back),
            Reference::Index(place) => Some(*place),
            Reference::Name(name) => return self.named(index, name).ok_or(Nothing),
            Reference::Input => None,
        };
        place.filter(|place| *place < index).map(|place| (self, place)).ok_or(Nothing)
    }

    fn named(&self, index: usize, name: &str) -> Option<(&Scope<'a>, usize)> {
        let (mut scope, mut end) = (self, index);
        loop {
            let is = |spec: &Spanned<LayerSpec>| spec.value.name.as_deref() == Some(name);
            let walked = scope.layers.get(..end).unwrap_or(scope.layers);
            if let Some(place) = walked.iter().position(is) {
                return Some((scope, place));
            }
            (scope, end) = scope.parent?;
        }
    }

    /// The layer at `place`, or the one that it uses again if it is a `reuse`.
    pub(super) fn original(&self, place: usize) -> Result<(&Scope<'a>, usize), Nothing> {
        let (mut scope, mut place) = (self, place);
        while let Some(Layer::Reuse { of }) = scope.layers.get(place).map(|spec| &spec.value.layer)
        {
            (scope, place) = scope.find(place, &of.value)?;
        }
        Ok((scope, place))
    }

    /// Why `reference` means nothing to layer `index`.
    pub(super) fn explain(&self, index: usize, reference: &Reference) -> Unresolved {
        match reference {
            Reference::Name(name) => self.no_name(index, name),
            _ => self.no_number(index, reference),
        }
    }

    fn no_number(&self, index: usize, reference: &Reference) -> Unresolved {
        let message = match reference {
            Reference::Index(place) if *place == index && index < self.layers.len() => {
                format!("{place} is the layer itself")
            }
            Reference::Index(place) if *place < self.layers.len() => {
                format!("{place} is a later layer")
            }
            Reference::Back(0) => "-0 is the layer itself".to_owned(),
            Reference::Back(back) => format!("-{back} is before the first layer"),
            Reference::Input => "the input is no layer".to_owned(),
            Reference::Index(_) | Reference::Name(_) => format!("{reference} is no layer"),
        };
        let expected = match index {
            0 => "an earlier layer, of which there is none".to_owned(),
            1 => "an earlier layer, 0 or -1".to_owned(),
            _ => format!("an earlier layer, 0 to {} or -1 to -{index}", index - 1),
        };
        Unresolved { message, expected, help: None }
    }

    fn no_name(&self, index: usize, name: &str) -> Unresolved {
        let mut names = vec!["input"];
        let mut later = false;
        let (mut scope, mut end) = (self, index);
        loop {
            for (place, spec) in scope.layers.iter().enumerate() {
                let Some(known) = spec.value.name.as_deref() else { continue };
                if place < end {
                    names.push(known);
                } else {
                    later |= known == name;
                }
            }
            match scope.parent {
                Some(parent) => (scope, end) = parent,
                None => break,
            }
        }
        let message = if later {
            format!("{name:?} is not the name of an earlier layer, but of a later one")
        } else {
            format!("{name:?} is no earlier layer's name")
        };
        let help = did_you_mean(name, &names).or_else(|| match names.as_slice() {
            [_] => None,
            [_, named @ ..] => {
                let shown: Vec<String> = named.iter().take(8).map(|n| format!("{n:?}")).collect();
                let more = if named.len() > 8 { ", ..." } else { "" };
                Some(format!("earlier names: {}{more}", shown.join(", ")))
            }
            [] => None,
        });
        Unresolved { message, expected: "an earlier layer".to_owned(), help }
    }
}
