//! Values computed once for as long as nothing can change.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use burn::module::Module;
use burn::tensor::Tensor;

use super::nested::list_path;
use super::slot::{Original, Pass, Slot};
use super::{Parametrized, access};
use crate::erase::AnyTensor;
use crate::error::Error;

/// A view of a network in which each computed value is computed once, at its first use: PyTorch's
/// `parametrize.cached()`. Made by [`Parametrized::cached`].
///
/// It borrows the network, so that the compiler refuses a step, an assignment, a load or a
/// registration while it lives: what it holds cannot go stale. What is read through it shares one
/// graph, so that gradients add up; [`Parametrized::grads`] collects them while it lives. Drop it
/// before the step.
#[derive(Debug)]
pub struct Cached<'a, M: Module> {
    net: &'a Parametrized<M>,
    values: Rc<Values<M>>,
}

#[derive(Debug)]
struct Values<M> {
    values: RefCell<BTreeMap<String, AnyTensor>>,
    module: OnceCell<M>,
}

impl<M: Module> Parametrized<M> {
    /// A scope in which each value is computed once, however often it is read: for weights that are
    /// read by name, and for a cell that is called once a time step.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::parametrize::WeightNorm;
    /// use espalier::Parametrized;
    ///
    /// let device = Device::default().autodiff();
    /// let mut net = Parametrized::new(LinearConfig::new(3, 3).with_bias(false).init(&device));
    /// net.register("weight", WeightNorm::dim(0))?;
    /// let grads = {
    ///     let scope = net.cached();
    ///     let mut x = Tensor::<2>::ones([2, 3], &device);
    ///     for _ in 0..4 {
    ///         x = scope.effective().forward(x); // the norm is computed once, not four times
    ///     }
    ///     let weight: Tensor<2> = scope.get("weight")?; // the same tensor again
    ///     net.grads((x.sum() + weight.square().sum()).backward())?
    /// };
    /// assert_eq!(grads.len(), 2);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// The network cannot change while it lives:
    ///
    /// ```compile_fail
    /// # use burn::{nn::LinearConfig, tensor::{Device, Tensor}};
    /// # use espalier::Parametrized;
    /// # let mut net = Parametrized::new(LinearConfig::new(3, 3).init(&Device::default()));
    /// let scope = net.cached();
    /// net.set("weight", Tensor::<2>::zeros([3, 3], &Device::default())).unwrap();
    /// scope.effective();
    /// ```
    pub fn cached(&self) -> Cached<'_, M> {
        let values = Values { values: RefCell::default(), module: OnceCell::new() };
        Cached { net: self, values: Rc::new(values) }
    }
}

impl<M: Module> Cached<'_, M> {
    /// The module with every slotted parameter computed; see [`Parametrized::effective`].
    pub fn effective(&self) -> M {
        let module = || {
            if self.net.folded {
                return self.net.template.clone();
            }
            let value = |path: &String| Some((path.clone(), self.value(path).ok()?));
            access::replace(
                self.net.template.clone(),
                self.net.slots.keys().filter_map(value).collect(),
            )
        };
        self.values.module.get_or_init(module).clone()
    }

    /// The present value of a parameter; see [`Parametrized::get`].
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] for an unknown path, [`Error::Rank`] if it has another rank.
    pub fn get<const D: usize>(&self, path: &str) -> Result<Tensor<D>, Error> {
        self.value(path)?.into_rank()
    }

    /// As [`get`](Self::get), for any rank.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] for an unknown path.
    pub fn value(&self, path: &str) -> Result<AnyTensor, Error> {
        if let Some(Slot::Tied(tied)) = self.net.slots.get(path) {
            let value = self.value(&tied.to)?;
            return Ok(if tied.transposed { value.transpose() } else { value });
        }
        let Some(slot) = self.net.computed(path) else {
            return self.net.value(path);
        };
        if let Some(value) = self.values.values.borrow().get(path) {
            return Ok(value.clone());
        }
        let mut originals = Vec::new();
        for (index, original) in slot.originals.iter().enumerate() {
            originals.push(match original {
                Original::Leaf(_) => original.value(),
                Original::Nested(_) => {
                    self.value(&format!("{}.{}", list_path(path), slot.original_name(index)))?
                }
            });
        }
        let value = slot.value_of(originals, Pass::Effective);
        self.values.values.borrow_mut().insert(path.to_owned(), value.clone());
        Ok(value)
    }

    /// A scope inside this one: it shares what is computed, which is dropped with the outermost.
    pub fn cached(&self) -> Self {
        Self { net: self.net, values: Rc::clone(&self.values) }
    }
}
