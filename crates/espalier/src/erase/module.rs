//! A Burn module of any type.

use std::any::Any;
use std::fmt::Debug;

use burn::module::{
    Content, Devices, DisplaySettings, Flag, Module, ModuleDisplay, ModuleDisplayDefault,
    ModuleMapper, ModuleVisitor, Param,
};
use burn::tensor::{Bool, Device, Int, Tensor};

use super::with_rank;

/// A `ModuleVisitor` without generics: parameters come as `Any` with their rank.
trait DynVisitor {
    fn float(&mut self, rank: usize, param: &dyn Any);
    fn int(&mut self, rank: usize, param: &dyn Any);
    fn boolean(&mut self, rank: usize, param: &dyn Any);
    fn flag(&mut self, flag: &Param<Flag>);
    fn enter(&mut self, name: &str, container: &str);
    fn exit(&mut self, name: &str, container: &str);
}

/// A `ModuleMapper` without generics.
trait DynMapper {
    fn float(&mut self, rank: usize, param: Box<dyn Any>) -> Box<dyn Any>;
    fn int(&mut self, rank: usize, param: Box<dyn Any>) -> Box<dyn Any>;
    fn boolean(&mut self, rank: usize, param: Box<dyn Any>) -> Box<dyn Any>;
    fn flag(&mut self, flag: Param<Flag>) -> Param<Flag>;
    fn enter(&mut self, name: &str, container: &str);
    fn exit(&mut self, name: &str, container: &str);
}

/// From Burn's generic visitor or mapper to the erased one.
struct ToDyn<'a, V>(&'a mut V);
/// From the erased visitor or mapper back to Burn's.
struct FromDyn<'a, V: ?Sized>(&'a mut V);

macro_rules! erase_visit {
    ($($name:ident $visit:ident $kind:ty),*) => {
        impl<V: ModuleVisitor> DynVisitor for ToDyn<'_, V> {
            $(fn $name(&mut self, rank: usize, param: &dyn Any) {
                with_rank!(rank, D => {
                    if let Some(param) = param.downcast_ref::<Param<Tensor<D, $kind>>>() {
                        self.0.$visit(param);
                    }
                }, else {});
            })*
            fn flag(&mut self, flag: &Param<Flag>) {
                self.0.visit_flag(flag);
            }
            fn enter(&mut self, name: &str, container: &str) {
                self.0.enter_module(name, container);
            }
            fn exit(&mut self, name: &str, container: &str) {
                self.0.exit_module(name, container);
            }
        }
        impl ModuleVisitor for FromDyn<'_, dyn DynVisitor + '_> {
            $(fn $visit<const D: usize>(&mut self, param: &Param<Tensor<D, $kind>>) {
                self.0.$name(D, param);
            })*
            fn visit_flag(&mut self, flag: &Param<Flag>) {
                self.0.flag(flag);
            }
            fn enter_module(&mut self, name: &str, container: &str) {
                self.0.enter(name, container);
            }
            fn exit_module(&mut self, name: &str, container: &str) {
                self.0.exit(name, container);
            }
        }
    };
}
erase_visit!(float visit_float burn::tensor::Float, int visit_int Int, boolean visit_bool Bool);

macro_rules! erase_map {
    ($($name:ident $map:ident $kind:ty),*) => {
        impl<V: ModuleMapper> DynMapper for ToDyn<'_, V> {
            $(fn $name(&mut self, rank: usize, param: Box<dyn Any>) -> Box<dyn Any> {
                with_rank!(rank, D => match param.downcast::<Param<Tensor<D, $kind>>>() {
                    Ok(param) => Box::new(self.0.$map(*param)),
                    Err(param) => param,
                }, else param)
            })*
            fn flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
                self.0.map_flag(flag)
            }
            fn enter(&mut self, name: &str, container: &str) {
                self.0.enter_module(name, container);
            }
            fn exit(&mut self, name: &str, container: &str) {
                self.0.exit_module(name, container);
            }
        }
        impl ModuleMapper for FromDyn<'_, dyn DynMapper + '_> {
            $(fn $map<const D: usize>(
                &mut self,
                param: Param<Tensor<D, $kind>>,
            ) -> Param<Tensor<D, $kind>> {
                match self.0.$name(D, Box::new(param)).downcast() {
                    Ok(param) => *param,
                    // Not kept as a clone to fall back on: that would cost optimizers the
                    // unique ownership they update in place with.
                    Err(_) => unreachable!("both ends of the erasure stand in this file"),
                }
            })*
            fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
                self.0.flag(flag)
            }
            fn enter_module(&mut self, name: &str, container: &str) {
                self.0.enter(name, container);
            }
            fn exit_module(&mut self, name: &str, container: &str) {
                self.0.exit(name, container);
            }
        }
    };
}
erase_map!(float map_float burn::tensor::Float, int map_int Int, boolean map_bool Bool);

trait ErasedModule: ModuleDisplay + Debug + Any + Send + Sync {
    fn boxed(&self) -> Box<dyn ErasedModule>;
    fn visit_dyn(&self, visitor: &mut dyn DynVisitor);
    fn map_dyn(self: Box<Self>, mapper: &mut dyn DynMapper) -> Box<dyn ErasedModule>;
    fn to_device_dyn(self: Box<Self>, device: &Device) -> Box<dyn ErasedModule>;
    fn fork_dyn(self: Box<Self>, device: &Device) -> Box<dyn ErasedModule>;
    fn collect_devices_dyn(&self, devices: Devices) -> Devices;
    fn valid_dyn(&self) -> Box<dyn ErasedModule>;
    fn train_dyn(self: Box<Self>) -> Box<dyn ErasedModule>;
    fn materialize_dyn(self: Box<Self>) -> Box<dyn ErasedModule>;
    fn type_name(&self) -> &'static str;
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

impl<M: Module + ModuleDisplay + Sync + 'static> ErasedModule for M {
    fn boxed(&self) -> Box<dyn ErasedModule> {
        Box::new(self.clone())
    }
    fn visit_dyn(&self, visitor: &mut dyn DynVisitor) {
        self.visit(&mut FromDyn(visitor));
    }
    fn map_dyn(self: Box<Self>, mapper: &mut dyn DynMapper) -> Box<dyn ErasedModule> {
        Box::new((*self).map(&mut FromDyn(mapper)))
    }
    fn to_device_dyn(self: Box<Self>, device: &Device) -> Box<dyn ErasedModule> {
        Box::new((*self).to_device(device))
    }
    fn fork_dyn(self: Box<Self>, device: &Device) -> Box<dyn ErasedModule> {
        Box::new((*self).fork(device))
    }
    fn collect_devices_dyn(&self, devices: Devices) -> Devices {
        self.collect_devices(devices)
    }
    fn valid_dyn(&self) -> Box<dyn ErasedModule> {
        Box::new(self.valid())
    }
    fn train_dyn(self: Box<Self>) -> Box<dyn ErasedModule> {
        Box::new((*self).train())
    }
    fn materialize_dyn(self: Box<Self>) -> Box<dyn ErasedModule> {
        Box::new((*self).materialize())
    }
    fn type_name(&self) -> &'static str {
        burn::module::extract_type_name::<M>()
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// A Burn module whose type is forgotten, still a full [`Module`].
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::Device;
/// use espalier::AnyModule;
///
/// let any = AnyModule::new(LinearConfig::new(3, 2).init(&Device::default()));
/// assert_eq!(any.type_name(), "Linear");
/// assert_eq!(any.num_params(), 8);
/// assert_eq!(any.get::<Linear>().map(|l| l.weight.dims()), Some([3, 2]));
/// ```
#[derive(Debug)]
pub struct AnyModule(Box<dyn ErasedModule>);

impl AnyModule {
    /// Forgets the type of `module`. An `AnyModule` is returned as it is, not wrapped twice.
    pub fn new<M: Module + ModuleDisplay + Sync + 'static>(module: M) -> Self {
        let boxed: Box<dyn ErasedModule> = Box::new(module);
        match boxed.as_any().downcast_ref::<Self>() {
            Some(already) => already.clone(),
            None => Self(boxed),
        }
    }

    /// The name of the module's type, without its path: `Linear`.
    pub fn type_name(&self) -> &'static str {
        self.0.type_name()
    }

    /// The module, if it is an `M`.
    pub fn get<M: 'static>(&self) -> Option<&M> {
        self.0.as_any().downcast_ref()
    }

    /// The module for editing in place, if it is an `M`.
    pub fn get_mut<M: 'static>(&mut self) -> Option<&mut M> {
        self.0.as_any_mut().downcast_mut()
    }

    pub(crate) fn as_any(&self) -> &dyn Any {
        self.0.as_any()
    }

    pub(crate) fn as_any_mut(&mut self) -> &mut dyn Any {
        self.0.as_any_mut()
    }
}

impl Clone for AnyModule {
    fn clone(&self) -> Self {
        Self(self.0.boxed())
    }
}

impl Module for AnyModule {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.0.collect_devices_dyn(devices)
    }
    fn fork(self, device: &Device) -> Self {
        Self(self.0.fork_dyn(device))
    }
    fn to_device(self, device: &Device) -> Self {
        Self(self.0.to_device_dyn(device))
    }
    fn train(self) -> Self {
        Self(self.0.train_dyn())
    }
    fn valid(&self) -> Self {
        Self(self.0.valid_dyn())
    }
    fn materialize(self) -> Self {
        Self(self.0.materialize_dyn())
    }
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.0.visit_dyn(&mut ToDyn(visitor));
    }
    fn map<V: ModuleMapper>(self, mapper: &mut V) -> Self {
        Self(self.0.map_dyn(&mut ToDyn(mapper)))
    }
}

impl ModuleDisplayDefault for AnyModule {
    fn content(&self, content: Content) -> Option<Content> {
        self.0.content(content)
    }
    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl ModuleDisplay for AnyModule {
    fn format(&self, settings: DisplaySettings) -> String {
        self.0.format(settings)
    }
}

impl std::fmt::Display for AnyModule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.format(DisplaySettings::default()))
    }
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, ModuleDisplay};
    use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
    use burn::tensor::Device;

    use super::*;

    #[derive(Default)]
    struct Trace(Vec<String>);
    impl ModuleVisitor for Trace {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(format!("float {D} {:?} {}", param.dims(), param.id));
        }
        fn visit_flag(&mut self, flag: &Param<Flag>) {
            self.0.push(format!("flag {}", flag.is_enabled()));
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.push(format!("> {name} {container}"));
        }
        fn exit_module(&mut self, name: &str, container: &str) {
            self.0.push(format!("< {name} {container}"));
        }
    }

    #[test]
    fn an_erased_module_is_visited_and_printed_as_itself() {
        let device = Device::default();
        let plain = BatchNormConfig::new(4).init(&device);
        let erased = AnyModule::new(plain.clone());
        let (mut a, mut b) = (Trace::default(), Trace::default());
        plain.visit(&mut a);
        erased.visit(&mut b);
        assert!(a.0.len() > 8);
        assert_eq!(a.0, b.0);
        assert_eq!(plain.format(Default::default()), erased.to_string());
        assert!(erased.get::<BatchNorm>().is_some() && erased.get::<Linear>().is_none());
    }

    #[test]
    fn a_map_reaches_through_two_erasures() {
        struct Double;
        impl ModuleMapper for Double {
            fn map_float<const D: usize>(&mut self, p: Param<Tensor<D>>) -> Param<Tensor<D>> {
                p.map(|t| t * 2.0)
            }
        }
        let device = Device::default();
        let linear = LinearConfig::new(3, 2).init(&device);
        let weight = linear.weight.val();
        let any = AnyModule::new(AnyModule::new(linear)).map(&mut Double);
        let doubled = any.get::<Linear>().unwrap().weight.val();
        doubled.into_data().assert_eq(&(weight * 2.0).into_data(), true);
    }
}
