//! Every rule of the library on every kind of layer: registering, training, saving, loading and
//! removing work there, and gradients reach the originals.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod layers;
mod table;
