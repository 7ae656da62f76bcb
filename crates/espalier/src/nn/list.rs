//! Lists of modules and of parameters.

use std::ops::Index;

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
    Param,
};
use burn::tensor::{Device, Tensor};

use crate::erase::AnyModule;
use crate::error::Error;

/// `Module` for a struct with one field, a list whose items are named `0`, `1`, `2` directly under
/// the struct (a derive would name them `field.0`).
macro_rules! impl_list_module {
    ($type:ty, $field:ident: $item:ty, $container:literal) => {
        impl Module for $type {
            fn collect_devices(&self, devices: Devices) -> Devices {
                self.$field.collect_devices(devices)
            }
            fn fork(self, device: &Device) -> Self {
                Self { $field: self.$field.fork(device) }
            }
            fn to_device(self, device: &Device) -> Self {
                Self { $field: self.$field.to_device(device) }
            }
            fn train(self) -> Self {
                Self { $field: self.$field.train() }
            }
            fn valid(&self) -> Self {
                Self { $field: self.$field.valid() }
            }
            fn materialize(self) -> Self {
                Self { $field: self.$field.materialize() }
            }
            fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
                for (index, item) in self.$field.iter().enumerate() {
                    let name = index.to_string();
                    visitor.enter_module(&name, $container);
                    // A layer without parameters says nothing of its type.
                    visitor.enter_module(crate::tree::TYPE_MARK, item.type_name());
                    visitor.exit_module(crate::tree::TYPE_MARK, item.type_name());
                    item.visit(visitor);
                    visitor.exit_module(&name, $container);
                }
            }
            fn map<V: ModuleMapper>(self, mapper: &mut V) -> Self {
                let map_item = |(index, item): (usize, $item)| {
                    let name = index.to_string();
                    mapper.enter_module(&name, $container);
                    mapper.enter_module(crate::tree::TYPE_MARK, item.type_name());
                    mapper.exit_module(crate::tree::TYPE_MARK, item.type_name());
                    let item = Module::map(item, mapper);
                    mapper.exit_module(&name, $container);
                    item
                };
                Self { $field: self.$field.into_iter().enumerate().map(map_item).collect() }
            }
        }

        impl ModuleDisplayDefault for $type {
            fn content(&self, content: Content) -> Option<Content> {
                self.$field
                    .iter()
                    .enumerate()
                    .fold(content, |content, (index, item)| content.add(&index.to_string(), item))
                    .set_top_level_type(burn::module::extract_type_name::<Self>())
                    .optional()
            }
            fn num_params(&self) -> usize {
                Module::num_params(self)
            }
        }

        impl ModuleDisplay for $type {}

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.format(Default::default()))
            }
        }
    };
}
pub(crate) use impl_list_module;

/// Modules of any types in a list, registered with their parent: `torch.nn.ModuleList`.
///
/// It has no forward pass of its own; the module that owns it decides how its items are used.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::Device;
/// use espalier::nn::ModuleList;
///
/// #[derive(Module, Debug)]
/// struct Heads {
///     heads: ModuleList,
/// }
///
/// let device = Device::default();
/// let mut heads = ModuleList::new();
/// heads.push(LinearConfig::new(4, 2).init(&device));
/// heads.push(LinearConfig::new(4, 3).init(&device));
/// let net = Heads { heads };
/// assert_eq!(net.num_params(), 25);
/// let second: &Linear = net.heads.get(1)?;
/// assert_eq!(second.weight.dims(), [4, 3]);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ModuleList {
    modules: Vec<AnyModule>,
}

impl ModuleList {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a module at the end.
    pub fn push<M: Module + ModuleDisplay + Sync + 'static>(&mut self, module: M) {
        self.modules.push(AnyModule::new(module));
    }

    /// The number of modules.
    pub fn len(&self) -> usize {
        self.modules.len()
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }

    /// The modules in order.
    pub fn iter(&self) -> std::slice::Iter<'_, AnyModule> {
        self.modules.iter()
    }

    /// The module at `index`, as its own type.
    ///
    /// # Errors
    ///
    /// [`Error::Index`] past the end, [`Error::Type`] if the module is of another type.
    pub fn get<M: 'static>(&self, index: usize) -> Result<&M, Error> {
        let any = item(&self.modules, index)?;
        any.get().ok_or_else(|| Error::Type {
            expected: burn::module::extract_type_name::<M>(),
            found: any.type_name(),
        })
    }
}

fn item(items: &[AnyModule], index: usize) -> Result<&AnyModule, Error> {
    items.get(index).ok_or(Error::Index { index, len: items.len() })
}

impl Index<usize> for ModuleList {
    type Output = AnyModule;
    fn index(&self, index: usize) -> &AnyModule {
        &self.modules[index]
    }
}

impl_list_module!(ModuleList, modules: AnyModule, "Struct:ModuleList");

/// Float parameters of any ranks in a list, registered with their parent:
/// `torch.nn.ParameterList`.
///
/// ```
/// use burn::module::Module;
/// use burn::tensor::{Device, Tensor};
/// use espalier::nn::ParameterList;
///
/// let device = Device::default();
/// let mut scales = ParameterList::new();
/// scales.push(Tensor::<1>::ones([3], &device));
/// scales.push(Tensor::<2>::zeros([2, 2], &device));
/// assert_eq!(scales.num_params(), 7);
/// let first: Tensor<1> = scales.get(0)?;
/// assert_eq!(first.dims(), [3]);
/// assert!(scales.get::<1>(1).is_err(), "the second has two dimensions");
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ParameterList {
    parameters: Vec<AnyModule>,
}

impl ParameterList {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a trainable parameter with the given value at the end.
    pub fn push<const D: usize>(&mut self, value: Tensor<D>) {
        self.parameters.push(AnyModule::new(Param::from_tensor(value.detach())));
    }

    /// The number of parameters in the list (not of their elements).
    pub fn len(&self) -> usize {
        self.parameters.len()
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// The value of the parameter at `index`, tracked if it is being trained.
    ///
    /// # Errors
    ///
    /// [`Error::Index`] past the end, [`Error::Rank`] if it has another rank.
    pub fn get<const D: usize>(&self, index: usize) -> Result<Tensor<D>, Error> {
        let any = item(&self.parameters, index)?;
        match any.get::<Param<Tensor<D>>>() {
            Some(param) => Ok(param.val()),
            None => Err(Error::Rank { expected: D, found: crate::tree::shape_of(any) }),
        }
    }
}

impl_list_module!(ParameterList, parameters: AnyModule, "Struct:ParameterList");
