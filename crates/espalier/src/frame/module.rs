//! [`Parametrized`] as a Burn module.

use std::collections::BTreeMap;
use std::fmt;

use burn::module::{
    Content, Devices, Flag, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper,
    ModuleVisitor, Param,
};
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::{Bool, Device, Int, Tensor};

use super::purpose::Purpose;
use super::slot::Slot;
use super::{Parametrized, extra};
use crate::nn::lazy::{Shaping, shapes_of_file};
use crate::parametrize::Rules;
use crate::tree::Walk;

/// Passes a visit or map of the template on, with slots in the place of slotted parameters.
struct Through<'a, V, S> {
    inner: &'a mut V,
    slots: S,
    walk: Walk,
}

impl<V, S: std::ops::Deref<Target = BTreeMap<String, Slot>>> Through<'_, V, S> {
    /// Whether the name is replaced by those of originals. That of a tied path is passed on with
    /// nothing in it, so that a visitor can tell where it stands and whose it is.
    fn is_replaced(&self, name: &str) -> bool {
        matches!(self.slots.get(&self.walk.path_with(name)), Some(Slot::Computed(_)))
    }
}

macro_rules! pass_names {
    () => {
        fn enter_module(&mut self, name: &str, container: &str) {
            if !self.is_replaced(name) {
                self.inner.enter_module(name, container);
            }
            self.walk.enter(name, container);
        }
        fn exit_module(&mut self, name: &str, container: &str) {
            self.walk.exit();
            if !self.is_replaced(name) {
                self.inner.exit_module(name, container);
            }
        }
    };
}

fn leaf(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

impl<V: ModuleVisitor> ModuleVisitor for Through<'_, V, &BTreeMap<String, Slot>> {
    pass_names!();
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.walk.path();
        match self.slots.get(&path) {
            None => self.inner.visit_float(param),
            Some(Slot::Computed(computed)) => computed.visit(leaf(&path), self.inner),
            Some(Slot::Tied(_)) => {}
        }
    }
    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.inner.visit_int(param);
    }
    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.inner.visit_bool(param);
    }
    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.inner.visit_flag(flag);
    }
}

impl<V: ModuleMapper> ModuleMapper for Through<'_, V, &mut BTreeMap<String, Slot>> {
    pass_names!();
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.walk.path();
        match self.slots.get_mut(&path) {
            None => self.inner.map_float(param),
            Some(Slot::Computed(computed)) => {
                computed.map(leaf(&path), self.inner);
                param
            }
            Some(Slot::Tied(_)) => param,
        }
    }
    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        self.inner.map_int(param)
    }
    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        self.inner.map_bool(param)
    }
    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.inner.map_flag(flag)
    }
}

/// A visit that reads no buffers of wrappers in `module`.
pub(crate) fn visit_parameters<M: Module, V: ModuleVisitor>(module: &M, visitor: &mut V) {
    Purpose::Parameters.during(|| module.visit(visitor));
}

impl<M: Module> Parametrized<M> {
    /// Visits the parameters and buffers of template and slots.
    pub(super) fn visit_parameters<V: ModuleVisitor>(&self, visitor: &mut V) {
        let net = self.settled();
        let mut through = Through { inner: visitor, slots: &net.slots, walk: Walk::default() };
        net.template.visit(&mut through);
    }

    /// Takes the last update into Burn's running statistics.
    ///
    /// They hold it back until `valid` is called: a visit before would save the statistics of the
    /// step before, and a load would be overwritten by it.
    pub(super) fn sync_statistics(&self) {
        if self.has_statistics {
            let _ = self.template.valid();
        }
    }

    fn change_slots(
        slots: BTreeMap<String, Slot>,
        mut change: impl FnMut(crate::AnyModule) -> crate::AnyModule,
    ) -> BTreeMap<String, Slot> {
        slots.into_iter().map(|(path, slot)| (path, slot.change(&mut change))).collect()
    }
}

impl<M: Module> Module for Parametrized<M> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        let devices = self.template.collect_devices(devices);
        self.slots.values().fold(devices, |devices, slot| match slot {
            Slot::Computed(computed) => computed.collect_devices(devices),
            Slot::Tied(_) => devices,
        })
    }

    fn fork(self, device: &Device) -> Self {
        let slots = Self::change_slots(self.slots, |module| module.fork(device));
        Self { template: self.template.fork(device), slots, ..self }.refresh()
    }

    fn to_device(self, device: &Device) -> Self {
        let slots = Self::change_slots(self.slots, |module| module.to_device(device));
        Self { template: self.template.to_device(device), slots, ..self }.refresh()
    }

    fn train(self) -> Self {
        let slots = Self::change_slots(self.slots, Module::train);
        Self { template: self.template.train(), slots, folded: false, ..self }.refresh()
    }

    /// Computes every slot once: [`effective`](Self::effective) of the result recomputes nothing.
    fn valid(&self) -> Self {
        let slots = Self::change_slots(self.slots.clone(), |module| module.valid());
        let template = self.template.valid();
        Self { template, slots, folded: true, ..*self }.refresh()
    }

    /// Folds every slot into its value; the result has no slots.
    fn materialize(self) -> Self {
        let folded = self.folded;
        let plain = Self::new(self.fold().materialize());
        Self { folded, ..plain }
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        if Purpose::now() == Purpose::Parameters {
            return self.visit_parameters(visitor);
        }
        self.sync_statistics();
        let net = self.settled();
        net.visit_parameters(visitor);
        if !net.slots.is_empty() {
            let state = Param::initialized(net.extra_id, extra::encode(&net));
            visitor.enter_module(extra::NAME, "Struct:Parametrized");
            visitor.visit_int(&state);
            visitor.exit_module(extra::NAME, "Struct:Parametrized");
        }
    }

    fn map<V: ModuleMapper>(mut self, mapper: &mut V) -> Self {
        self.sync_statistics();
        self.settle();
        let mut slots = std::mem::take(&mut self.slots);
        let mut through = Through { inner: &mut *mapper, slots: &mut slots, walk: Walk::default() };
        self.template = self.template.map(&mut through);
        self.slots = slots;
        if !self.slots.is_empty() {
            let state = Param::initialized(self.extra_id, extra::encode(&self));
            mapper.enter_module(extra::NAME, "Struct:Parametrized");
            // The slots are what they are; a record only restores the buffer's identity.
            self.extra_id = mapper.map_int(state).id;
            mapper.exit_module(extra::NAME, "Struct:Parametrized");
        }
        if self.folded { self.refresh() } else { self }
    }

    /// Loads a burnpack file. Slots that the file has and this wrapper has not are rebuilt first,
    /// so that a fresh process needs only the module's own code. Lazy layers that have not seen an
    /// input get the shapes of the file.
    ///
    /// The rules are those of [`Rules::builtin`]; with own ones, call
    /// [`rebuild`](Parametrized::rebuild) before.
    fn try_load_file<P: AsRef<std::path::Path>>(self, path: P) -> Result<Self, RecordError> {
        let invalid = |error: crate::Error| RecordError::Validation(error.to_string());
        let record = ModuleRecord::load(path.as_ref())?;
        // Burn changes a module before it validates, running statistics in its clones included.
        let mut net = self.deep_copy();
        if net.has_lazy {
            net = net.map(&mut Shaping::of_record(shapes_of_file(path.as_ref())?));
        }
        let mut net = net.rebuild(path.as_ref(), &Rules::builtin()).map_err(invalid)?;
        let described = extra::read(path.as_ref()).map_err(invalid)?;
        let own = extra::describe(&net);
        if described.as_ref().is_some_and(|described| !extra::is_same(described, &own)) {
            return Err(RecordError::Validation(
                "the file's parametrizations are not those of the module".to_owned(),
            ));
        }
        let held = described.map(|described| net.hold_as(&described)).transpose();
        let held = held.map_err(invalid)?;
        let mut net = net.try_load_record(record)?;
        net.hold_again(held.unwrap_or_default());
        Ok(net)
    }
}

impl<M: Module + ModuleDisplay> ModuleDisplayDefault for Parametrized<M> {
    fn content(&self, content: Content) -> Option<Content> {
        let mut content = content.set_top_level_type("Parametrized").add("module", &self.template);
        for path in self.slots.keys() {
            let described = self.describe(path);
            content = content.add(path, described.as_str());
        }
        content.optional()
    }
    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl<M: Module + ModuleDisplay> ModuleDisplay for Parametrized<M> {}

impl<M: Module + ModuleDisplay> fmt::Display for Parametrized<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format(Default::default()))
    }
}
