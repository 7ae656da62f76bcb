//! The life of one parametrized weight, against a golden case.

use burn::tensor::Tensor;
use espalier::Parametrized;
use espalier::state::StateDict;

use crate::common::{
    BASE, Case, Host, ORIGINAL, Tolerance, assert_close, gradient, put, stored, values,
};

/// A weight on its module, beside the case it must agree with.
pub(crate) struct Life<'a, const D: usize, H: Host<D>> {
    pub(crate) case: &'a Case<'a>,
    pub(crate) net: Parametrized<H>,
    tolerance: Tolerance,
}

/// The path of an original by PyTorch's name of it.
fn path(original: &str) -> String {
    original.replace("original", ORIGINAL)
}

/// The path of a buffer of the first rule.
pub(crate) fn buffer(name: &str) -> String {
    format!("parametrizations.weight.0.{name}")
}

/// Whether a name is that of a buffer that starts at random in PyTorch.
fn is_random(name: &str) -> bool {
    name.ends_with("base") || name == "_u" || name == "_v"
}

impl<'a, const D: usize, H: Host<D>> Life<'a, D, H> {
    /// The case's `weight`, with nothing registered.
    pub(crate) fn of(case: &'a Case<'a>, tolerance: Tolerance) -> Self {
        let net = Parametrized::new(H::holding(case.tensor("weight")));
        Self { case, net, tolerance }
    }

    /// The effective weight is the file's `what`.
    #[track_caller]
    pub(crate) fn value(&self, what: &str) {
        let expected = self.case.values(what);
        let weight = self.net.get::<D>("weight").unwrap();
        self.close(what, H::turn(weight), &expected);
        // What a layer computes with is the same.
        self.close(what, H::turn(self.net.effective().weight()), &expected);
    }

    #[track_caller]
    pub(crate) fn close(&self, what: &str, found: Tensor<D>, expected: &[f64]) {
        let label = self.case.label(what);
        assert_close(&label, &values(found), expected, self.tolerance);
    }

    /// What is stored as `original` is the file's `what`.
    #[track_caller]
    pub(crate) fn original(&self, original: &str, what: &str) {
        let found = H::turn(stored::<D, _>(&self.net, &path(original)));
        self.close(what, found, &self.case.values(what));
    }

    /// The buffer of the first rule under `name` is the file's `what`.
    #[track_caller]
    pub(crate) fn buffer<const B: usize>(&self, name: &str, what: &str) {
        let found = stored::<B, _>(&self.net, &buffer(name));
        let label = self.case.label(what);
        assert_close(&label, &values(found), &self.case.values(what), self.tolerance);
    }

    /// Stores the file's `what` as the buffer of the first rule under `name`.
    pub(crate) fn put_buffer<const B: usize>(&mut self, name: &str, what: &str) {
        let value = self.case.tensor::<B>(what);
        self.net = put(self.net.clone(), &buffer(name), value);
    }

    /// Whether the first rule has such a buffer.
    pub(crate) fn has_buffer(&self, name: &str) -> bool {
        self.state_names().contains(&buffer(name))
    }

    /// The names of what is saved, in order.
    pub(crate) fn state_names(&self) -> Vec<String> {
        let state = StateDict::of(&self.net);
        state.shapes().into_iter().map(|(name, _)| name.to_owned()).collect()
    }

    /// The base, which is kept in PyTorch's layout. The columns that complete a tall one are
    /// drawn at random; only those before them are compared.
    #[track_caller]
    pub(crate) fn base(&self, what: &str, weight_shape: &[usize]) {
        let [.., rows, columns] = weight_shape else {
            panic!("a matrix has two dimensions");
        };
        let first = *rows.min(columns);
        let found = stored::<D, _>(&self.net, BASE).narrow(D - 1, 0, first);
        let expected = self.case.tensor::<D>(what).narrow(D - 1, 0, first);
        self.close(what, found, &values(expected));
    }

    /// Stores the file's `what` as `original`.
    pub(crate) fn put(&mut self, original: &str, what: &str) {
        self.put_tensor(original, self.case.tensor::<D>(what));
    }

    /// Stores `value`, in PyTorch's layout, as `original`.
    pub(crate) fn put_tensor(&mut self, original: &str, value: Tensor<D>) {
        self.put_as_is(&path(original), H::turn(value));
    }

    /// Stores the file's `what` as the base.
    pub(crate) fn put_base(&mut self, what: &str) {
        let value = self.case.tensor::<D>(what);
        self.put_as_is(BASE, value);
    }

    fn put_as_is(&mut self, path: &str, value: Tensor<D>) {
        self.net = put(self.net.clone(), path, value);
    }

    /// The file's `grad_value` on the effective weight gives each original its `grad_...`.
    #[track_caller]
    pub(crate) fn gradients(&self, originals: &[&str]) {
        let given = H::turn(self.case.tensor::<D>("grad_value"));
        let loss = (self.net.effective().weight() * given).sum();
        let grads = self.net.grads(loss.backward()).unwrap();
        for original in originals {
            let what = format!("grad_{original}");
            let found = H::turn(gradient::<D, _>(&self.net, &grads, &path(original)));
            self.close(&what, found, &self.case.values(&what));
        }
        assert_eq!(grads.len(), originals.len());
    }

    /// Assigns the file's `what` to the weight.
    pub(crate) fn assign(&mut self, what: &str) {
        let value = H::turn(self.case.tensor::<D>(what));
        self.net.set("weight", value).unwrap();
    }

    /// The state dict has PyTorch's names in PyTorch's order, shapes and dtype.
    #[track_caller]
    pub(crate) fn state_dict(&self) {
        let state = StateDict::of(&self.net);
        assert_eq!(self.state_names(), self.case.state_names(), "{}", self.case.name);
        for tensor in state.checkpoint().iter() {
            let what = tensor.name().rsplit('.').next().unwrap();
            let label = self.case.label(what);
            assert_eq!(tensor.shape(), self.case.shape(what), "{label}");
            if !is_random(what) {
                let found = tensor.to_f64_vec().unwrap();
                assert_close(&label, &found, &self.case.values(what), self.tolerance);
            }
        }
    }
}
