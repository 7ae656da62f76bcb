//! Datasets: what is known of one without its elements, and its elements when they are asked for.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::attribute::{Attribute, Value};
use super::chunk_index::{self, Chunk, Grid};
use super::datatype::{self, Class};
use super::failure::Failure;
use super::fault::Hdf5Fault;
use super::file::File;
use super::filters;
use super::header::{DATASPACE, DATATYPE, EXTERNAL, FILL, FILTERS, Header, LAYOUT, OLD_FILL};
use super::space::{self, Chunked, Filter, Layout, Space};
use crate::codec::MAX_RANK;
use crate::data::{FileRange, Provider, hand};
use crate::dtype::{Dtype, checked_numel};
use crate::error::Error;
use crate::source::zeroed;

/// The largest chunk, in bytes: its length has four bytes in most indexes.
const MAX_CHUNK: u64 = u32::MAX as u64;

/// Bytes that a dataset may take beyond twice the file before its chunks are decoded twice, first to see
/// whether they can be.
const SPARE: u64 = 16 << 20;

/// What a dataset turns out to be.
#[derive(Debug)]
pub(super) enum Found {
    Tensor(Arc<Dataset>),
    /// No numbers, and what they are instead.
    Skipped(&'static str),
}

/// A dataset of numbers. Its elements are read when they are asked for.
#[derive(Debug)]
pub(super) struct Dataset {
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) byte_len: usize,
    name: String,
    file: Arc<File>,
    big_endian: bool,
    storage: Storage,
    /// The bytes of an element that is not stored; none are zeros.
    fill: Vec<u8>,
}

#[derive(Debug)]
enum Storage {
    Memory(Vec<u8>),
    Range(Range<u64>),
    /// There is nothing yet: all elements are the fill value.
    Nowhere,
    Chunks {
        chunked: Chunked,
        grid: Grid,
        bytes: usize,
        filters: Vec<Filter>,
    },
}

/// Reads what is known of a dataset.
pub(super) fn open(
    file: &Arc<File>,
    name: &str,
    header: &Header,
    attributes: &[Attribute],
) -> Result<Found, Failure> {
    let missing =
        |expected| Hdf5Fault::Damaged { structure: "dataset", address: header.address, expected };
    let kind = header.body(file, DATATYPE)?.ok_or_else(|| missing("a type"))?;
    let kind = datatype::parse(&mut kind.cursor(file, "datatype"))?;
    let extent = header.body(file, DATASPACE)?.ok_or_else(|| missing("a dataspace"))?;
    let extent = space::space(&mut extent.cursor(file, "dataspace"))?;
    if extent.null {
        return Ok(Found::Skipped("nothing, not even a scalar"));
    }
    let element = kind.size;
    let mut sizes = extent.sizes.clone();
    let mut kind = kind;
    while let Class::Array { sizes: inner, base } = kind.class {
        sizes.extend(inner);
        kind = *base;
    }
    // So does Keras mark the type, which h5py has not.
    let bfloat16 = attributes.iter().any(|attribute| {
        attribute.name == "dtype" && attribute.value == Value::Text("bfloat16".to_owned())
    });
    let (dtype, big_endian) = match kind.class {
        Class::Number { dtype, big_endian } => (dtype, big_endian),
        Class::Opaque if kind.size == 2 && bfloat16 => (Dtype::BF16, false),
        Class::UnknownNumber(found) => return Err(Hdf5Fault::UnsupportedType { found }.into()),
        Class::Text | Class::HeapText => return Ok(Found::Skipped("texts")),
        Class::Opaque => return Ok(Found::Skipped("opaque bytes")),
        Class::Other(what) => return Ok(Found::Skipped(what)),
        // Taken apart above.
        Class::Array { .. } => return Ok(Found::Skipped("arrays")),
    };
    if kind.size != dtype.size_bits() as u64 / 8 {
        return Err(Hdf5Fault::ElementSize { found: kind.size }.into());
    }
    if sizes.len() > MAX_RANK {
        return Err(Hdf5Fault::RankOverLimit { limit: MAX_RANK }.into());
    }
    let shape: Option<Vec<usize>> = sizes.iter().map(|&size| usize::try_from(size).ok()).collect();
    let counted = shape.and_then(|shape| {
        let byte_len = dtype.byte_len(checked_numel(&shape)?).ok()?;
        Some((shape, byte_len))
    });
    let Some((shape, byte_len)) = counted else {
        return Err(Hdf5Fault::ShapeOverflow { dtype, shape: sizes }.into());
    };
    let storage = storage(file, header, &extent, element, byte_len as u64)?;
    let fill = fill(file, header)?;
    let (file, name) = (Arc::clone(file), name.to_owned());
    let dataset = Dataset { dtype, shape, byte_len, name, file, big_endian, storage, fill };
    if !dataset.fill.is_empty() && dataset.fill.len() as u64 != element {
        return Err(missing("a fill value of the size of an element").into());
    }
    Ok(Found::Tensor(Arc::new(dataset)))
}

fn fill(file: &File, header: &Header) -> Result<Vec<u8>, Failure> {
    for (kind, old) in [(FILL, false), (OLD_FILL, true)] {
        if let Some(body) = header.body(file, kind)? {
            return Ok(space::fill(&mut body.cursor(file, "fill value"), old)?);
        }
    }
    Ok(Vec::new())
}

/// Where the elements are, as far as the header tells.
fn storage(
    file: &File,
    header: &Header,
    extent: &Space,
    element: u64,
    needed: u64,
) -> Result<Storage, Failure> {
    if header.has(EXTERNAL) {
        return Err(Hdf5Fault::ExternalData.into());
    }
    let body = header.body(file, LAYOUT)?;
    let missing = || Hdf5Fault::Damaged {
        structure: "dataset",
        address: header.address,
        expected: "a layout",
    };
    let layout = space::layout(&mut body.ok_or_else(missing)?.cursor(file, "layout"))?;
    match layout {
        Layout::Virtual => Err(Hdf5Fault::Virtual.into()),
        Layout::Compact(bytes) => {
            let found = bytes.len() as u64;
            if found != needed {
                return Err(Hdf5Fault::DataLength { needed, found }.into());
            }
            Ok(Storage::Memory(bytes))
        }
        Layout::Contiguous { address: None, .. } => Ok(Storage::Nowhere),
        Layout::Contiguous { address: Some(address), length } => {
            let found = length.unwrap_or(needed);
            if found != needed {
                return Err(Hdf5Fault::DataLength { needed, found }.into());
            }
            file.check_range("elements", address, needed)?;
            Ok(Storage::Range(file.in_source(address, needed)))
        }
        Layout::Chunked(chunked) => {
            let filters = header.body(file, FILTERS)?;
            let filters = filters.map(|body| space::filters(&mut body.cursor(file, "filters")));
            let filters = filters.transpose()?.unwrap_or_default();
            let whole = chunked.sizes.iter().try_fold(element, |bytes, &size| {
                bytes.checked_mul(size).filter(|&bytes| 0 < bytes && bytes <= MAX_CHUNK)
            });
            let rank = extent.sizes.len();
            let fits = rank > 0 && chunked.sizes.len() == rank && chunked.element == element;
            let Some(bytes) = whole.filter(|_| fits) else {
                let (chunk, shape) = (chunked.sizes, extent.sizes.clone());
                return Err(Hdf5Fault::ChunkShape { chunk, shape }.into());
            };
            let grid = Grid::new(extent, &chunked.sizes);
            Ok(Storage::Chunks { chunked, grid, bytes: bytes as usize, filters })
        }
    }
}

impl Dataset {
    fn error(&self, failure: impl Into<Failure>) -> Error {
        failure.into().within(&self.name).of(self.file.source().path())
    }

    /// The bytes of one part after the other, in C order and as the tensor has them.
    fn parts(&self, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Error> {
        if let Storage::Range(range) = &self.storage
            && !self.big_endian
        {
            let range = range.clone();
            return FileRange { source: self.file.source().clone(), range }.stream(take);
        }
        let Storage::Chunks { grid, .. } = &self.storage else {
            return hand(&self.read()?, take);
        };
        let bands = self.bands(grid)?;
        for band in &bands {
            let mut bytes = zeroed(band.bytes).map_err(|e| self.no_memory(e))?;
            self.fill_band(band, &mut bytes)?;
            hand(&bytes, take)?;
        }
        Ok(())
    }

    fn no_memory(&self, cause: io::Error) -> Error {
        Error::io(self.file.source().path(), crate::Action::Read, cause)
    }

    fn whole(&self) -> Result<Vec<u8>, Error> {
        match &self.storage {
            Storage::Memory(bytes) => Ok(self.in_order(bytes.clone())),
            Storage::Range(range) => Ok(self.in_order(self.file.source().read(range.clone())?)),
            Storage::Nowhere => {
                let mut bytes = zeroed(self.byte_len).map_err(|e| self.no_memory(e))?;
                self.set_fill(&mut bytes);
                Ok(self.in_order(bytes))
            }
            Storage::Chunks { grid, .. } => {
                // Everything that can be told without decoding comes before the memory.
                let bands = self.bands(grid)?;
                let mut bytes = zeroed(self.byte_len).map_err(|e| self.no_memory(e))?;
                let mut rest = &mut bytes[..];
                let mut parts = Vec::with_capacity(bands.len());
                for band in &bands {
                    let (part, after) = rest.split_at_mut(band.bytes);
                    parts.push((band, part));
                    rest = after;
                }
                parts.into_par_iter().try_for_each(|(band, part)| self.fill_band(band, part))?;
                Ok(bytes)
            }
        }
    }

    fn in_order(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        self.order(&mut bytes);
        bytes
    }

    fn order(&self, bytes: &mut [u8]) {
        if self.big_endian {
            bytes.chunks_exact_mut(self.dtype.part_bytes()).for_each(<[u8]>::reverse);
        }
    }

    fn set_fill(&self, bytes: &mut [u8]) {
        if self.fill.iter().any(|&byte| byte != 0) {
            bytes.chunks_exact_mut(self.fill.len()).for_each(|one| one.copy_from_slice(&self.fill));
        }
    }

    /// The parts along the first dimension that are as high as a chunk, with the chunks of each.
    fn bands(&self, grid: &Grid) -> Result<Vec<Band>, Error> {
        let Storage::Chunks { chunked, bytes, filters, .. } = &self.storage else {
            return Ok(Vec::new());
        };
        if self.byte_len == 0 {
            return Ok(Vec::new());
        }
        let (needed, filtered) = (*bytes as u64, !filters.is_empty());
        let file = self.file.fresh();
        let chunks = chunk_index::chunks(&file, chunked, grid, needed, filtered)
            .map_err(|failure| self.error(failure))?;
        for chunk in &chunks {
            let skipped = self.skipped(grid, chunk);
            if !filters::can_hold(filters, skipped, chunk.stored, needed) {
                let (at, stored) = (grid.start(chunk.place), chunk.stored);
                return Err(self.error(Hdf5Fault::ChunkLength { at, stored, needed }));
            }
        }
        if self.byte_len as u64 > file.length().saturating_mul(2).saturating_add(SPARE) {
            chunks.par_iter().try_for_each(|chunk| self.check(grid, chunk))?;
        }
        // There are elements, so that no size is zero.
        let across: u64 = grid.counts[1..].iter().product();
        let row = self.byte_len / grid.sizes[0] as usize;
        let mut rest = &chunks[..];
        let mut bands = Vec::new();
        for band in 0..grid.counts[0] {
            let end = rest.partition_point(|chunk| chunk.place < (band + 1) * across);
            let (own, after) = rest.split_at(end);
            rest = after;
            let first = band * grid.chunk[0];
            let rows = grid.chunk[0].min(grid.sizes[0] - first);
            let bytes = rows as usize * row;
            let whole = own.len() as u64 == across;
            bands.push(Band { first, bytes, chunks: own.to_vec(), whole });
        }
        Ok(bands)
    }

    /// Whether a chunk can be decoded: what is larger than the file is not given memory before.
    fn check(&self, grid: &Grid, chunk: &Chunk) -> Result<(), Error> {
        let Storage::Chunks { bytes, filters, .. } = &self.storage else { return Ok(()) };
        let stored = self.file.source().read(self.file.in_source(chunk.address, chunk.stored))?;
        let checked = filters::check(filters, self.skipped(grid, chunk), stored, *bytes);
        checked.map_err(|filter| {
            self.error(Hdf5Fault::ChunkContent { at: grid.start(chunk.place), filter })
        })
    }

    /// The filters that a chunk did not go through.
    fn skipped(&self, grid: &Grid, chunk: &Chunk) -> u32 {
        let Storage::Chunks { chunked, .. } = &self.storage else { return 0 };
        let start = grid.start(chunk.place);
        let mut axes = start.iter().zip(&grid.chunk).zip(&grid.sizes);
        let at_edge = axes.any(|((start, chunk), size)| start + chunk > *size);
        if chunked.plain_edges && at_edge { u32::MAX } else { chunk.skipped }
    }

    /// Brings the chunks of a band to their places.
    fn fill_band(&self, band: &Band, out: &mut [u8]) -> Result<(), Error> {
        let Storage::Chunks { grid, bytes, filters, .. } = &self.storage else { return Ok(()) };
        if !band.whole {
            self.set_fill(out);
        }
        let element = self.byte_len / grid.sizes.iter().product::<u64>() as usize;
        for chunk in &band.chunks {
            let range = self.file.in_source(chunk.address, chunk.stored);
            let stored = self.file.source().read(range)?;
            let skipped = self.skipped(grid, chunk);
            let decoded = filters::undo(filters, skipped, stored, *bytes);
            let decoded = decoded.map_err(|filter| {
                self.error(Hdf5Fault::ChunkContent { at: grid.start(chunk.place), filter })
            })?;
            let mut start = grid.start(chunk.place);
            start[0] -= band.first;
            copy(grid, &start, element, &decoded, out);
        }
        self.order(out);
        Ok(())
    }
}

/// A part of a dataset, and the chunks in it.
struct Band {
    /// The first row.
    first: u64,
    bytes: usize,
    chunks: Vec<Chunk>,
    /// Whether all chunks are there.
    whole: bool,
}

/// Copies a chunk into an array with the sizes of the dataset but for the first. What reaches beyond is left
/// out. The numbers are bounded by the length of `out`.
fn copy(grid: &Grid, start: &[u64], element: usize, chunk: &[u8], out: &mut [u8]) {
    let rank = start.len();
    let sizes: Vec<usize> = grid.sizes.iter().map(|&size| size as usize).collect();
    let chunk_sizes: Vec<usize> = grid.chunk.iter().map(|&size| size as usize).collect();
    let start: Vec<usize> = start.iter().map(|&start| start as usize).collect();
    // The bytes that a step along each dimension takes.
    let steps = |sizes: &[usize]| {
        let mut steps = vec![element; rank];
        for axis in (0..rank.saturating_sub(1)).rev() {
            steps[axis] = steps[axis + 1].saturating_mul(sizes[axis + 1]);
        }
        steps
    };
    let (from_steps, to_steps) = (steps(&chunk_sizes), steps(&sizes));
    let rows = out.len() / to_steps[0].max(1);
    let counts: Vec<usize> = (0..rank)
        .map(|axis| {
            let size = if axis == 0 { rows } else { sizes[axis] };
            chunk_sizes[axis].min(size.saturating_sub(start[axis]))
        })
        .collect();
    // Dimensions that a chunk spans as a whole are copied at once with the one before them.
    let mut last = rank - 1;
    while last > 0 && chunk_sizes[last] == sizes[last] {
        last -= 1;
    }
    let run = counts[last] * from_steps[last];
    let mut index = vec![0; last];
    loop {
        let along = |steps: &[usize], offset: &dyn Fn(usize) -> usize| -> usize {
            index.iter().enumerate().map(|(axis, at)| (at + offset(axis)) * steps[axis]).sum()
        };
        let from = along(&from_steps, &|_| 0);
        let to = along(&to_steps, &|axis| start[axis])
            + (last..rank).map(|axis| start[axis] * to_steps[axis]).sum::<usize>();
        out[to..to + run].copy_from_slice(&chunk[from..from + run]);
        // Count up, the last index fastest.
        let mut axis = last;
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            index[axis] += 1;
            if index[axis] < counts[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}

impl Provider for Dataset {
    fn read(&self) -> Result<Vec<u8>, Error> {
        self.file.verify()?;
        self.whole()
    }

    fn stream(&self, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Error> {
        self.file.verify()?;
        self.parts(take)
    }
}
