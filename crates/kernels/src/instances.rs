//! The large generic functions, compiled in this crate once for each float type.
//!
//! A generic function is compiled anew in every crate that calls it, and decompositions and maps
//! would be most of what such a crate is built from.

use crate::orthogonal::{self, Frame, OrthogonalMap, OrthogonalTape, congruence};
use crate::product::{self, Product};
use crate::{DenseError, Departure, dense, gram, singular};

macro_rules! instances {
    (@for $float:ident $(fn $name:ident($($argument:ident: $type:ty),*) -> $output:ty = $generic:path;)*) => {
        impl Instances for $float {
            $(fn $name($($argument: $type),*) -> $output {
                $generic($($argument),*)
            })*
        }
    };
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $output:ty = $generic:path;)*) => {
        /// The compiled functions; each is documented where it is public.
        pub trait Instances: Sized {
            $(
                #[doc = concat!("See `", stringify!($name), "` of the crate.")]
                fn $name($($argument: $type),*) -> $output;
            )*
        }
        instances!(@for f32 $(fn $name($($argument: $type),*) -> $output = $generic;)*);
        instances!(@for f64 $(fn $name($($argument: $type),*) -> $output = $generic;)*);
    };
}

/// What [`orthogonal::value`] gives.
type Orthogonal<T> = Result<(Vec<T>, Option<OrthogonalTape<T>>), DenseError>;

instances! {
    fn inverse(n: usize, values: &[Self]) -> Result<Vec<Self>, DenseError> = dense::inverse_of;
    fn orthonormal_columns(rows: usize, columns: usize, values: &[Self]) -> Result<Vec<Self>, DenseError> = dense::orthonormal_columns_of;
    fn householder_reflectors(rows: usize, columns: usize, values: &[Self]) -> Result<Vec<Self>, DenseError> = dense::householder_reflectors_of;
    fn svd(rows: usize, columns: usize, values: &[Self]) -> Result<[Vec<Self>; 3], DenseError> = dense::svd_of;
    fn singular_values(rows: usize, columns: usize, values: &[Self]) -> Result<Vec<Self>, DenseError> = singular::singular_values_of;
    fn eigh(n: usize, values: &[Self]) -> Result<[Vec<Self>; 2], DenseError> = dense::eigh_of;
    fn orthogonality(rows: usize, columns: usize, values: &[Self]) -> Result<Option<Departure>, DenseError> = gram::orthogonality_of;
    fn orthogonal(map: OrthogonalMap, frame: &Frame, x: &[Self], base: Option<&[Self]>, keep: bool) -> Orthogonal<Self> = orthogonal::value;
    fn add_product(sizes: &Product, alpha: f64, a: &[Self], b: &[Self], out: &mut [Self]) -> Result<(), DenseError> = product::add;
    fn congruence(frame: &Frame, q: &[Self], l: &[Self]) -> Vec<Self> = congruence::value;
    fn congruence_backward(frame: &Frame, q: &[Self], l: &[Self], grad: &[Self]) -> (Vec<Self>, Vec<Self>) = congruence::gradient;
    fn orthogonal_backward(tape: &OrthogonalTape<Self>, x: &[Self], base: Option<&[Self]>, grad: &[Self]) -> Vec<Self> = orthogonal::gradient;
}
