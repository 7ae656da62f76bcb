//! The slots as a buffer, so that any file of the wrapper says how to rebuild it.

use std::collections::BTreeSet;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Parametrized;
use super::nested::list_path;
use super::slot::{self, Computed, Original, Slot};
use super::stored::{Away, MaskMode};
use crate::error::Error;
use crate::parametrize::{Link, Rules};
use crate::select::Selector;

/// The buffer's name: PyTorch's for what a module saves besides tensors.
pub(crate) const NAME: &str = "_extra_state";

/// The version of this description.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extra {
    version: u32,
    slots: Vec<SavedSlot>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedSlot {
    path: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    links: Vec<SavedLink>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not", rename = "unsafe")]
    is_unsafe: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    mask: bool,
    /// How many values the mask took out of the original, if it did: see [`MaskMode::Stored`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stored: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tie: Option<SavedTie>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedLink {
    rule: String,
    version: u32,
    options: Value,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedTie {
    to: String,
    transposed: bool,
}

impl SavedSlot {
    fn mode(&self) -> MaskMode {
        if self.stored.is_some() { MaskMode::Stored } else { MaskMode::Exact }
    }

    /// However its mask is held.
    fn exact(self) -> Self {
        Self { stored: None, ..self }
    }
}

fn invalid(reason: impl ToString) -> Error {
    Error::ExtraState { reason: reason.to_string() }
}

/// The description of the slots as bytes in an integer tensor.
pub(super) fn encode<M: Module>(net: &Parametrized<M>) -> Tensor<1, Int> {
    let bytes: Vec<i64> = describe(net).bytes().map(i64::from).collect();
    let length = bytes.len();
    let device = net.template.devices().into_iter().next().unwrap_or_default();
    Tensor::from_data(TensorData::new(bytes, [length]), &device)
}

/// The description of the slots as JSON, in path order.
pub(super) fn describe<M: Module>(net: &Parametrized<M>) -> String {
    let mut slots = Vec::new();
    for (path, slot) in &net.slots {
        match slot {
            Slot::Computed(slot) => describe_slot(path, slot, &mut slots),
            Slot::Tied(tied) => slots.push(SavedSlot {
                path: path.clone(),
                links: Vec::new(),
                is_unsafe: false,
                mask: false,
                stored: None,
                tie: Some(SavedTie { to: tied.to.clone(), transposed: tied.transposed }),
            }),
        }
    }
    let extra = Extra { version: VERSION, slots };
    serde_json::to_string(&extra).unwrap_or_default()
}

/// A description out of the tensor that holds it.
pub(crate) fn decode(data: &TensorData) -> String {
    let bytes: Vec<u8> = data.iter::<i64>().filter_map(|byte| u8::try_from(byte).ok()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A slot, then those of its originals that are parametrized or pruned.
fn describe_slot(path: &str, slot: &Computed, slots: &mut Vec<SavedSlot>) {
    let link = |link: &Link| SavedLink {
        rule: link.rule.clone(),
        version: link.version,
        options: link.options.clone(),
    };
    slots.push(SavedSlot {
        path: path.to_owned(),
        links: slot.links.iter().map(link).collect(),
        is_unsafe: slot.is_unsafe && !slot.links.is_empty(),
        mask: slot.mask.is_some(),
        stored: slot.away.as_ref().map(Away::len),
        tie: None,
    });
    for (index, original) in slot.originals.iter().enumerate() {
        if let Original::Nested(nested) = original {
            let path = format!("{}.{}", list_path(path), slot.original_name(index));
            describe_slot(&path, nested, slots);
        }
    }
}

/// Whether two descriptions say that the same is computed. How masks are held does not count.
pub(crate) fn is_same(a: &str, b: &str) -> bool {
    let computed = |text: &str| {
        let extra = serde_json::from_str::<Extra>(text).ok()?;
        let slots = extra.slots.into_iter().map(SavedSlot::exact);
        Some((extra.version, slots.collect::<Vec<_>>()))
    };
    a == b || computed(a).is_some_and(|a| computed(b) == Some(a))
}

/// A tie that a description tells of.
pub(crate) struct DescribedTie {
    /// The tied path, as the wrapper names it.
    pub(crate) path: String,
    /// The path it is tied to.
    pub(crate) to: String,
    /// Whether the last two dimensions are swapped in Burn's layout.
    pub(crate) transposed: bool,
}

/// The ties in a description, in path order; none if it is not one.
pub(crate) fn ties_in(description: &str) -> Vec<DescribedTie> {
    let slots = serde_json::from_str::<Extra>(description).map(|extra| extra.slots);
    let tie = |slot: SavedSlot| {
        let SavedTie { to, transposed } = slot.tie?;
        Some(DescribedTie { path: slot.path, to, transposed })
    };
    slots.unwrap_or_default().into_iter().filter_map(tie).collect()
}

/// A link of a chain that a description tells of.
pub(crate) struct DescribedLink {
    /// Its place in the chain.
    pub(crate) index: usize,
    /// The rule's name.
    pub(crate) rule: String,
    /// The rule's options.
    pub(crate) options: Value,
}

/// The links on `path`, as the wrapper names it; none if the description is not one.
pub(crate) fn links_in(description: &str, path: &str) -> Vec<DescribedLink> {
    let slots = serde_json::from_str::<Extra>(description).map(|extra| extra.slots);
    let slot = slots.unwrap_or_default().into_iter().find(|slot| slot.path == path);
    let links = slot.map(|slot| slot.links).unwrap_or_default().into_iter().enumerate();
    links
        .map(|(index, link)| DescribedLink { index, rule: link.rule, options: link.options })
        .collect()
}

/// The part of a description that is about `layer`, with paths as in the layer; none if nothing is.
///
/// What the layer shares with the rest of the module becomes its own.
pub(crate) fn restrict(description: &str, layer: &str) -> Option<String> {
    let Extra { version, slots } = serde_json::from_str(description).ok()?;
    let within = |path: &str| {
        path.strip_prefix(layer).and_then(|rest| rest.strip_prefix('.')).map(str::to_owned)
    };
    let mut own = Vec::new();
    for slot in &slots {
        let Some(path) = within(&slot.path) else { continue };
        let mut slot = slot.clone();
        let Some(tie) = &mut slot.tie else {
            own.push(SavedSlot { path, ..slot });
            continue;
        };
        if let Some(to) = within(&tie.to) {
            tie.to = to;
            own.push(SavedSlot { path, ..slot });
            continue;
        }
        let (from, to) = (list_path(&tie.to), list_path(&path));
        for source in &slots {
            let path = match source.path.strip_prefix(&from) {
                Some(rest) if rest.starts_with('.') => format!("{to}{rest}"),
                _ if source.path == tie.to => path.clone(),
                _ => continue,
            };
            own.push(SavedSlot { path, ..source.clone() });
        }
    }
    if own.is_empty() {
        return None;
    }
    serde_json::to_string(&Extra { version, slots: own }).ok()
}

/// The description in a burnpack file, empty if it has none.
pub(super) fn read(path: &Path) -> Result<Option<String>, Error> {
    let record = |error: burn_pack::Error| Error::Record(error.into());
    let tensors =
        burn_pack::Reader::from_file(path).and_then(|r| r.into_tensors()).map_err(record)?;
    for tensor in tensors {
        if tensor.name == NAME {
            let (_, dtype, shape, _, bytes) = tensor.into_parts().map_err(record)?;
            let data = TensorData::from_bytes(bytes, shape, dtype);
            let bytes = data
                .iter::<i64>()
                .map(|byte| u8::try_from(byte).map_err(invalid))
                .collect::<Result<Vec<u8>, _>>()?;
            return Ok(Some(String::from_utf8(bytes).map_err(invalid)?));
        }
    }
    Ok(None)
}

impl<M: Module> Parametrized<M> {
    /// Registers what a burnpack file of such a wrapper says was registered, masks and ties
    /// included, so that the file's tensors can be loaded.
    ///
    /// `file` may also be of a module that has no slots. Values are not loaded.
    ///
    /// # Errors
    ///
    /// [`Error::Record`] if the file cannot be read, [`Error::ExtraState`] if its description is
    /// not one, [`Error::Rule`] for an unknown rule, [`Error::NoMatch`] for a path that this module
    /// does not have.
    pub fn rebuild(self, file: &Path, rules: &Rules) -> Result<Self, Error> {
        let mut net = self;
        if let Some(description) = read(file)? {
            net.apply_description(&description, rules)?;
        }
        Ok(net)
    }

    /// The slots as JSON: rules with their versions and options, masks, ties.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::parametrize::{Rules, WeightNorm};
    /// use espalier::Parametrized;
    ///
    /// let linear = || LinearConfig::new(5, 3).init(&Device::default());
    /// let mut net = Parametrized::new(linear());
    /// net.register("weight", WeightNorm::dim(0))?;
    /// let mut other = Parametrized::new(linear());
    /// other.apply_description(&net.description(), &Rules::builtin())?;
    /// assert!(other.is_parametrized("weight"));
    /// # Ok::<(), espalier::Error>(())
    /// ```
    pub fn description(&self) -> String {
        describe(&self.settled())
    }

    /// Registers what [`description`](Self::description) says and is not registered yet.
    ///
    /// Values are found through the rules' right inverses, so a rule must take the present one.
    ///
    /// # Errors
    ///
    /// As [`rebuild`](Self::rebuild). Then nothing is registered.
    pub fn apply_description(&mut self, description: &str, rules: &Rules) -> Result<(), Error> {
        let extra: Extra = serde_json::from_str(description).map_err(invalid)?;
        if extra.version > VERSION {
            return Err(invalid(format!(
                "version {} is newer than {VERSION}, which this library reads",
                extra.version
            )));
        }
        let mut net = self.clone();
        net.settle();
        // Slots that are as described already stay; others would be registered twice.
        let present: Extra = serde_json::from_str(&describe(&net)).map_err(invalid)?;
        let mut seen = BTreeSet::new();
        let mut missing = Vec::new();
        for saved in &extra.slots {
            if !seen.insert(&saved.path) {
                return Err(invalid(format!("`{}` is described twice", saved.path)));
            }
            match present.slots.iter().find(|slot| slot.path == saved.path) {
                None => missing.push(saved),
                Some(slot) if slot.clone().exact() == (*saved).clone().exact() => {}
                Some(_) => {
                    return Err(invalid(format!(
                        "`{}` is parametrized, pruned or tied in another way already",
                        saved.path
                    )));
                }
            }
        }
        for saved in missing.iter().filter(|saved| saved.tie.is_none()) {
            net.rebuild_slot(saved, rules)?;
        }
        for saved in missing {
            if let Some(tie) = &saved.tie {
                net.rebuild_tie(&saved.path, tie)?;
            }
        }
        *self = net;
        Ok(())
    }

    /// Holds masks as a record does that says so, with room for what its masks have taken. Gives how they
    /// were held before.
    pub(super) fn hold_as(&mut self, described: &str) -> Result<Vec<(String, MaskMode)>, Error> {
        let extra: Extra = serde_json::from_str(described).map_err(invalid)?;
        let mut before = Vec::new();
        let mut slots = Vec::new();
        for saved in extra.slots.iter().filter(|saved| saved.mask) {
            let Some(slot) = self.computed(&saved.path) else { continue };
            before.push((saved.path.clone(), slot.mode));
            let mut slot = slot.held(saved.mode());
            slot.close();
            slot.hold(saved.stored.unwrap_or_default());
            slots.push((saved.path.clone(), slot));
        }
        self.insert(slots);
        Ok(before)
    }

    /// Holds masks as [`hold_as`](Self::hold_as) told that they were.
    pub(super) fn hold_again(&mut self, before: Vec<(String, MaskMode)>) {
        let slots = before
            .into_iter()
            .filter_map(|(path, mode)| {
                let slot = self.computed(&path)?.held(mode);
                Some((path, slot))
            })
            .collect();
        self.insert(slots);
    }

    fn rebuild_slot(&mut self, saved: &SavedSlot, rules: &Rules) -> Result<(), Error> {
        let selector = || Selector::path(&saved.path);
        for link in &saved.links {
            let failed =
                |source| Error::Rule { path: saved.path.clone(), rule: link.rule.clone(), source };
            let rule = rules.make(&link.rule, &link.options).map_err(failed)?;
            if link.version > rule.version() {
                return Err(invalid(format!(
                    "`{}`: {} of version {} is newer than {}, which this library has",
                    saved.path,
                    link.rule,
                    link.version,
                    rule.version()
                )));
            }
            self.register_rules(selector(), &[rule.as_ref()], saved.is_unsafe)?;
        }
        if saved.mask {
            let info = self.locate(selector())?.swap_remove(0);
            let mut slot = self.slot_or_identity(&info)?;
            let dense = slot.dense();
            let all = vec![true; dense.dims().iter().product()];
            slot.mask = Some(slot::make_mask(&all, &dense, slot.layout));
            slot.mode = saved.mode();
            self.insert(vec![(info.path, slot)]);
        }
        Ok(())
    }

    fn rebuild_tie(&mut self, path: &str, tie: &SavedTie) -> Result<(), Error> {
        self.tie(path, &tie.to).or_else(|_| self.tie_transposed(path, &tie.to))?;
        let dims = self.value(path)?.dims();
        if let Some(Slot::Tied(tied)) = self.slots.get_mut(path)
            && tied.transposed != tie.transposed
        {
            // A square parameter fits both ways; the file knows which.
            let [.., rows, columns] = dims.as_slice() else {
                return Err(invalid(format!("`{path}` has no two dimensions to transpose")));
            };
            if rows != columns {
                return Err(invalid(format!(
                    "the tie of `{path}` does not fit its shape {dims:?}"
                )));
            }
            tied.transposed = tie.transposed;
            self.refresh_in_place();
        }
        Ok(())
    }
}
