//! One tensor with a name.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::convert::{self, Values};
use crate::data::{Data, Provider};
use crate::dtype::{ByteLenFault, Dtype, checked_numel};
use crate::error::Error;

/// A tensor with a name: type, shape, and its elements in C order as little-endian bytes, which are in
/// memory or read when they are asked for.
///
/// The number of bytes always is what type and shape say. Two tensors are equal when name, type,
/// shape and every bit are; one that cannot be read is equal to none. Clones share their bytes, also under
/// another name: that is how a checkpoint holds tied tensors.
///
/// ```
/// use espalier_checkpoint::{Dtype, NamedTensor};
/// let weight = NamedTensor::f32("fc.weight", vec![1, 2], &[0.5, -0.5])?;
/// assert_eq!((weight.name(), weight.dtype(), weight.shape()), ("fc.weight", Dtype::F32, &[1, 2][..]));
/// assert_eq!((weight.numel(), weight.byte_len()), (2, 8));
/// # Ok::<(), espalier_checkpoint::Error>(())
/// ```
#[derive(Clone)]
pub struct NamedTensor {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    numel: usize,
    byte_len: usize,
    data: Data,
}

/// What is wrong with a tensor.
///
/// ```
/// use espalier_checkpoint::{Dtype, Error, NamedTensor, TensorFault};
/// let error = NamedTensor::new("w", Dtype::F32, vec![2], vec![0; 7]).unwrap_err();
/// assert!(matches!(error, Error::Tensor { cause: TensorFault::ByteCount { needed: 8, found: 7, .. }, .. }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorFault {
    /// Type and shape ask for another number of bytes.
    #[error("{dtype} {shape:?} takes {needed} bytes, found {found}")]
    ByteCount {
        /// The type.
        dtype: Dtype,
        /// The shape.
        shape: Vec<usize>,
        /// The bytes that type and shape take.
        needed: usize,
        /// The bytes given.
        found: usize,
    },
    /// The shape asks for another number of elements.
    #[error("shape {shape:?} holds {needed} elements, found {found}")]
    ElementCount {
        /// The shape.
        shape: Vec<usize>,
        /// The elements that the shape takes.
        needed: usize,
        /// The elements given.
        found: usize,
    },
    /// The shape has more bytes than can be counted.
    #[error("the size of {dtype} {shape:?} overflows: no memory holds it")]
    Overflow {
        /// The type.
        dtype: Dtype,
        /// The shape.
        shape: Vec<usize>,
    },
    /// Elements smaller than a byte end within a byte.
    #[error("{dtype} {shape:?} does not end at a whole byte: pad the shape")]
    PartialByte {
        /// The type.
        dtype: Dtype,
        /// The shape.
        shape: Vec<usize>,
    },
    /// The type has no conversion to real numbers.
    #[error(
        "{dtype} has no conversion to floating point here: convert it to F16, BF16, F32 or F64 before"
    )]
    NoConversion {
        /// The type.
        dtype: Dtype,
    },
}

impl NamedTensor {
    /// A tensor of little-endian bytes in C order.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if the shape overflows, or type and shape take another number of bytes.
    ///
    /// ```
    /// use espalier_checkpoint::{Dtype, NamedTensor};
    /// let tensor = NamedTensor::new("ids", Dtype::I16, vec![2], vec![1, 0, 2, 0])?;
    /// assert_eq!(tensor.to_f32_vec()?, [1.0, 2.0]);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn new(
        name: impl Into<String>,
        dtype: Dtype,
        shape: Vec<usize>,
        bytes: Vec<u8>,
    ) -> Result<Self, Error> {
        let name = name.into();
        let (numel, needed) = counted(&name, dtype, &shape)?;
        let found = bytes.len();
        if found != needed {
            let cause = TensorFault::ByteCount { dtype, shape, needed, found };
            return Err(Error::Tensor { name, cause });
        }
        let data = Data::Memory(Arc::new(bytes));
        Ok(Self { name, dtype, shape, numel, byte_len: needed, data })
    }

    /// A tensor whose bytes `provider` has. Nothing is read now.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if the shape overflows. That the bytes are as many as type and shape take shows
    /// when they are read.
    ///
    /// See [`Provider`] for an example.
    pub fn lazy(
        name: impl Into<String>,
        dtype: Dtype,
        shape: Vec<usize>,
        provider: Arc<dyn Provider>,
    ) -> Result<Self, Error> {
        let name = name.into();
        let (numel, byte_len) = counted(&name, dtype, &shape)?;
        Ok(Self { name, dtype, shape, numel, byte_len, data: Data::Lazy(provider) })
    }

    /// A tensor of single-precision numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if the shape holds another number of elements.
    ///
    /// ```
    /// use espalier_checkpoint::NamedTensor;
    /// assert!(NamedTensor::f32("scale", vec![], &[2.0]).is_ok());
    /// assert!(NamedTensor::f32("scale", vec![2], &[2.0]).is_err());
    /// ```
    pub fn f32(name: impl Into<String>, shape: Vec<usize>, values: &[f32]) -> Result<Self, Error> {
        Self::of(name.into(), Dtype::F32, shape, values, |v| v.to_le_bytes())
    }

    /// A tensor of double-precision numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if the shape holds another number of elements.
    ///
    /// ```
    /// use espalier_checkpoint::NamedTensor;
    /// assert_eq!(NamedTensor::f64("x", vec![1], &[0.1])?.to_f64_vec()?, [0.1]);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn f64(name: impl Into<String>, shape: Vec<usize>, values: &[f64]) -> Result<Self, Error> {
        Self::of(name.into(), Dtype::F64, shape, values, |v| v.to_le_bytes())
    }

    /// A tensor of truth values, such as a pruning mask.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if the shape holds another number of elements.
    ///
    /// ```
    /// use espalier_checkpoint::NamedTensor;
    /// assert_eq!(NamedTensor::boolean("mask", vec![2], &[true, false])?.bytes()?[..], [1, 0]);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn boolean(
        name: impl Into<String>,
        shape: Vec<usize>,
        values: &[bool],
    ) -> Result<Self, Error> {
        Self::of(name.into(), Dtype::Bool, shape, values, |v| [u8::from(v)])
    }

    fn of<T: Copy, const N: usize>(
        name: String,
        dtype: Dtype,
        shape: Vec<usize>,
        values: &[T],
        encode: impl Fn(T) -> [u8; N],
    ) -> Result<Self, Error> {
        let Some(needed) = checked_numel(&shape) else {
            return Err(Error::Tensor { name, cause: TensorFault::Overflow { dtype, shape } });
        };
        if needed != values.len() {
            let cause = TensorFault::ElementCount { shape, needed, found: values.len() };
            return Err(Error::Tensor { name, cause });
        }
        let bytes = values.iter().flat_map(|&value| encode(value)).collect();
        Self::new(name, dtype, shape, bytes)
    }

    /// The name.
    ///
    /// ```
    /// # use espalier_checkpoint::NamedTensor;
    /// assert_eq!(NamedTensor::f32("b", vec![0], &[])?.name(), "b");
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same tensor under another name.
    ///
    /// ```
    /// # use espalier_checkpoint::NamedTensor;
    /// assert_eq!(NamedTensor::f32("b", vec![0], &[])?.with_name("c").name(), "c");
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The type of the elements.
    ///
    /// ```
    /// # use espalier_checkpoint::{Dtype, NamedTensor};
    /// assert_eq!(NamedTensor::f32("b", vec![0], &[])?.dtype(), Dtype::F32);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The size of each dimension, outermost first; empty for a scalar.
    ///
    /// ```
    /// # use espalier_checkpoint::NamedTensor;
    /// assert_eq!(NamedTensor::f32("b", vec![3, 0], &[])?.shape(), [3, 0]);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of elements.
    ///
    /// ```
    /// # use espalier_checkpoint::NamedTensor;
    /// assert_eq!(NamedTensor::f32("b", vec![], &[1.0])?.numel(), 1);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn numel(&self) -> usize {
        self.numel
    }

    /// The number of bytes that the elements take.
    ///
    /// ```
    /// # use espalier_checkpoint::NamedTensor;
    /// assert_eq!(NamedTensor::f64("b", vec![3], &[0.0; 3])?.byte_len(), 24);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn byte_len(&self) -> usize {
        self.byte_len
    }

    /// Whether the bytes are in memory.
    ///
    /// ```
    /// # use espalier_checkpoint::NamedTensor;
    /// assert!(NamedTensor::f32("b", vec![0], &[])?.is_loaded());
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn is_loaded(&self) -> bool {
        matches!(self.data, Data::Memory(_))
    }

    /// The elements as [`bytes`](Self::bytes), if they are in memory.
    ///
    /// ```
    /// # use espalier_checkpoint::NamedTensor;
    /// assert_eq!(NamedTensor::boolean("m", vec![1], &[true])?.loaded(), Some(&[1][..]));
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn loaded(&self) -> Option<&[u8]> {
        match &self.data {
            Data::Memory(bytes) => Some(bytes),
            Data::Lazy(_) => None,
        }
    }

    /// Whether both are one tensor: clones, of the same type and shape, whatever their names.
    ///
    /// ```
    /// # use espalier_checkpoint::NamedTensor;
    /// let a = NamedTensor::f32("a", vec![1], &[1.0])?;
    /// assert!(a.is_tied_to(&a.clone().with_name("b")));
    /// assert!(!a.is_tied_to(&NamedTensor::f32("b", vec![1], &[1.0])?));
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn is_tied_to(&self, other: &Self) -> bool {
        self.dtype == other.dtype && self.shape == other.shape && self.data.is(&other.data)
    }

    /// Equal for tensors that share their bytes, while they live.
    pub(crate) fn address(&self) -> usize {
        self.data.address()
    }

    /// The elements as little-endian bytes in C order: those in memory, or read now.
    ///
    /// # Errors
    ///
    /// What keeps them from being read; none for a tensor in memory.
    ///
    /// ```
    /// # use espalier_checkpoint::NamedTensor;
    /// assert_eq!(NamedTensor::f32("b", vec![1], &[1.0])?.bytes()?[..], [0, 0, 0x80, 0x3f]);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn bytes(&self) -> Result<Cow<'_, [u8]>, Error> {
        let bytes = self.data.bytes()?;
        self.check_length(bytes.len())?;
        Ok(bytes)
    }

    /// Gives the bytes away, without a copy where they are in memory and no clone has them too.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes).
    ///
    /// ```
    /// # use espalier_checkpoint::NamedTensor;
    /// assert_eq!(NamedTensor::boolean("m", vec![1], &[true])?.into_bytes()?, [1]);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn into_bytes(self) -> Result<Vec<u8>, Error> {
        let Self { data, name, dtype, shape, byte_len, .. } = self;
        let bytes = data.into_bytes()?;
        check_length(&name, dtype, &shape, byte_len, bytes.len())?;
        Ok(bytes)
    }

    /// The same tensor with its bytes in memory. Those who share them are not changed.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes).
    ///
    /// ```
    /// # use espalier_checkpoint::NamedTensor;
    /// assert!(NamedTensor::f32("b", vec![0], &[])?.load()?.is_loaded());
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn load(mut self) -> Result<Self, Error> {
        if let Data::Lazy(_) = &self.data {
            self.data = Data::Memory(Arc::new(self.bytes()?.into_owned()));
        }
        Ok(self)
    }

    /// Hands the bytes on from first to last, in pieces of any size, so that a tensor that is not in
    /// memory need not be.
    ///
    /// # Errors
    ///
    /// What keeps them from being read, or what `take` answers.
    ///
    /// ```
    /// # use espalier_checkpoint::NamedTensor;
    /// let mut copy = Vec::new();
    /// NamedTensor::f32("b", vec![1], &[1.0])?.stream(|piece| {
    ///     copy.extend_from_slice(piece);
    ///     Ok(())
    /// })?;
    /// assert_eq!(copy, [0, 0, 0x80, 0x3f]);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn stream(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), Error> {
        let mut found = 0;
        self.data.stream(&mut |piece| {
            found += piece.len();
            self.check_length(found.max(self.byte_len)).map_err(io::Error::other)?;
            take(piece)
        })?;
        self.check_length(found)
    }

    /// Whether a part can be read without the rest: then [`read_at`](Self::read_at) serves several threads.
    ///
    /// ```
    /// # use espalier_checkpoint::NamedTensor;
    /// assert!(NamedTensor::f32("b", vec![0], &[])?.is_seekable());
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn is_seekable(&self) -> bool {
        self.data.is_seekable()
    }

    /// Fills `out` with the bytes from `start` on.
    ///
    /// # Errors
    ///
    /// What keeps them from being read, or that there are not as many.
    ///
    /// ```
    /// # use espalier_checkpoint::NamedTensor;
    /// let tensor = NamedTensor::boolean("m", vec![3], &[true, false, true])?;
    /// let mut part = [9; 2];
    /// tensor.read_at(1, &mut part)?;
    /// assert_eq!(part, [0, 1]);
    /// assert!(tensor.read_at(2, &mut part).is_err());
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn read_at(&self, start: u64, out: &mut [u8]) -> Result<(), Error> {
        self.data.read_at(start, out)
    }

    /// Writes the bytes, in a form that can be called where only errors of `std::io` are known: an
    /// [`Error`] of the crate comes out of [`write_atomically`](crate::write_atomically) as it is.
    ///
    /// # Errors
    ///
    /// As [`stream`](Self::stream).
    ///
    /// ```
    /// # use espalier_checkpoint::NamedTensor;
    /// let mut out = Vec::new();
    /// NamedTensor::boolean("m", vec![2], &[true, false])?.write_to(&mut out)?;
    /// assert_eq!(out, [1, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_to(&self, out: &mut (impl io::Write + ?Sized)) -> io::Result<()> {
        self.stream(|piece| out.write_all(piece)).map_err(|error| match error {
            Error::Io { cause, action: crate::Action::Write, .. } => cause,
            error => io::Error::other(error),
        })
    }

    fn check_length(&self, found: usize) -> Result<(), Error> {
        check_length(&self.name, self.dtype, &self.shape, self.byte_len, found)
    }

    /// The elements as `f64`, decoded one by one, without a copy of a tensor that is in memory.
    ///
    /// # Errors
    ///
    /// [`TensorFault::NoConversion`] for 8-bit and smaller floats and for complex numbers, and as
    /// [`bytes`](Self::bytes).
    ///
    /// ```
    /// # use espalier_checkpoint::NamedTensor;
    /// let tensor = NamedTensor::f32("b", vec![3], &[0.0, 2.0, 0.0])?;
    /// assert_eq!(tensor.values()?.filter(|value| *value == 0.0).count(), 2);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn values(&self) -> Result<Values<'_>, Error> {
        convert::values(self.dtype, self.bytes()?).ok_or_else(|| self.no_conversion())
    }

    /// The elements as `f32`, rounded to the nearest. Single-precision elements keep every bit; a
    /// truth value is 0 or 1.
    ///
    /// # Errors
    ///
    /// As [`values`](Self::values).
    ///
    /// ```
    /// # use espalier_checkpoint::{Dtype, NamedTensor};
    /// let half = NamedTensor::new("h", Dtype::BF16, vec![1], vec![0x80, 0x3f])?;
    /// assert_eq!(half.to_f32_vec()?, [1.0]);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn to_f32_vec(&self) -> Result<Vec<f32>, Error> {
        convert::to_f32(self.dtype, &self.bytes()?).ok_or_else(|| self.no_conversion())
    }

    /// The elements as `f64`. Integers beyond 2^53 are rounded to the nearest.
    ///
    /// # Errors
    ///
    /// As [`values`](Self::values).
    ///
    /// ```
    /// # use espalier_checkpoint::NamedTensor;
    /// assert_eq!(NamedTensor::f32("b", vec![1], &[0.5])?.to_f64_vec()?, [0.5]);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn to_f64_vec(&self) -> Result<Vec<f64>, Error> {
        Ok(self.values()?.collect())
    }

    fn no_conversion(&self) -> Error {
        Error::Tensor {
            name: self.name.clone(),
            cause: TensorFault::NoConversion { dtype: self.dtype },
        }
    }
}

/// The number of elements and of bytes.
fn counted(name: &str, dtype: Dtype, shape: &[usize]) -> Result<(usize, usize), Error> {
    let counted = checked_numel(shape)
        .ok_or(ByteLenFault::Overflow)
        .and_then(|numel| Ok((numel, dtype.byte_len(numel)?)));
    counted.map_err(|fault| {
        let shape = shape.to_vec();
        let cause = match fault {
            ByteLenFault::Overflow => TensorFault::Overflow { dtype, shape },
            ByteLenFault::PartialByte => TensorFault::PartialByte { dtype, shape },
        };
        Error::Tensor { name: name.to_owned(), cause }
    })
}

fn check_length(
    name: &str,
    dtype: Dtype,
    shape: &[usize],
    needed: usize,
    found: usize,
) -> Result<(), Error> {
    if found == needed {
        return Ok(());
    }
    let cause = TensorFault::ByteCount { dtype, shape: shape.to_vec(), needed, found };
    Err(Error::Tensor { name: name.to_owned(), cause })
}

impl PartialEq for NamedTensor {
    fn eq(&self, other: &Self) -> bool {
        let same =
            self.name == other.name && self.dtype == other.dtype && self.shape == other.shape;
        same && (self.data.is(&other.data)
            || matches!((self.bytes(), other.bytes()), (Ok(a), Ok(b)) if a == b))
    }
}

/// Name, type and shape; never the elements.
impl fmt::Debug for NamedTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamedTensor({:?}, {}, {:?})", self.name, self.dtype, self.shape)
    }
}
