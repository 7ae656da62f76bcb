//! Tensors that are made from others while they are written.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use espalier_checkpoint::{Error, NamedTensor, Provider};
use rayon::prelude::*;

use crate::pieces::{Buffer, Cuts, Whole, read, swap, taken};

/// Bytes that are made together and written at once.
const BLOCK: usize = 4 << 20;

/// Blocks that are made ahead of the one that is written.
const AHEAD: usize = 2;

/// What becomes of a piece of a tensor.
pub(crate) trait PieceMap: fmt::Debug + Send + Sync {
    /// Bytes that an element becomes.
    fn width(&self) -> usize;

    /// Fills `out` from the elements of a piece, the first of which is the tensor's `start`-th. `bytes` may be
    /// used up.
    fn map(&self, piece: usize, start: usize, bytes: &mut [u8], out: &mut [u8]);
}

/// A tensor made from another one, block by block, while the blocks before are written.
#[derive(Debug)]
pub(crate) struct Mapped<M> {
    pub(crate) tensor: NamedTensor,
    pub(crate) cuts: Cuts,
    pub(crate) map: M,
}

impl<M: PieceMap> Mapped<M> {
    /// Pieces that are made together.
    fn blocks(&self) -> Vec<Range<usize>> {
        let mut blocks = Vec::new();
        let (mut first, mut bytes) = (0, 0);
        for piece in 0..self.cuts.len() {
            let here = self.cuts.get(piece).len() * self.map.width();
            if bytes > 0 && bytes + here > BLOCK {
                blocks.push(first..piece);
                (first, bytes) = (piece, 0);
            }
            bytes += here;
        }
        if bytes > 0 {
            blocks.push(first..self.cuts.len());
        }
        blocks
    }

    fn whole(&self) -> Whole<'_> {
        Whole { tensor: &self.tensor, cuts: self.cuts }
    }

    /// Makes a block of a tensor that can be read anywhere.
    fn make(&self, block: Range<usize>, out: &mut Buffer) -> Result<usize, Error> {
        let width = self.map.width();
        let (from, to) = (self.cuts.get(block.start).start, self.cuts.get(block.end - 1).end);
        let mut rest = out.bytes((to - from) * width);
        let mut tasks = Vec::with_capacity(block.len());
        for piece in block {
            let (here, others) = rest.split_at_mut(self.cuts.get(piece).len() * width);
            tasks.push((piece, here));
            rest = others;
        }
        tasks.into_par_iter().try_for_each_init(Buffer::default, |buffer, (piece, out)| {
            read(&self.whole(), piece..piece + 1, buffer, &mut |piece, start, bytes| {
                self.map.map(piece, start, bytes, out);
                swap(out, width);
                Ok(())
            })
        })?;
        Ok((to - from) * width)
    }

    /// Makes all blocks, in buffers that come back, until nobody takes them.
    fn produce(&self, give: &SyncSender<Made>, spare: &Receiver<Buffer>) {
        if self.tensor.is_seekable() {
            for block in self.blocks() {
                let mut out = spare.try_recv().unwrap_or_default();
                let made = self.make(block, &mut out).map(|length| (out, length));
                let failed = made.is_err();
                if give.send(made).is_err() || failed {
                    return;
                }
            }
            return;
        }
        // One piece after the other, as they come.
        let width = self.map.width();
        let (mut blocks, mut place) = (self.blocks().into_iter(), 0);
        let mut block = blocks.next().unwrap_or_default();
        let mut out = Buffer::default();
        let all = 0..self.cuts.len();
        let streamed =
            read(&self.whole(), all, &mut Buffer::default(), &mut |piece, start, bytes| {
                let (from, to) =
                    (self.cuts.get(block.start).start, self.cuts.get(block.end - 1).end);
                let length = self.cuts.get(piece).len() * width;
                let made = &mut out.bytes((to - from) * width)[place..place + length];
                self.map.map(piece, start, bytes, made);
                swap(made, width);
                place += length;
                if piece + 1 == block.end {
                    let full = std::mem::replace(&mut out, spare.try_recv().unwrap_or_default());
                    give.send(Ok((full, place)))
                        .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
                    (block, place) = (blocks.next().unwrap_or_default(), 0);
                }
                Ok(())
            });
        if let Err(error) = streamed {
            // If it is that nobody takes them, nobody takes this.
            let _ = give.send(Err(error));
        }
    }
}

/// A block and its length.
type Made = Result<(Buffer, usize), Error>;

impl<M: PieceMap> Provider for Mapped<M> {
    fn read(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(self.tensor.numel() * self.map.width());
        self.stream(&mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(bytes)
    }

    fn stream(&self, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Error> {
        let blocks = self.blocks();
        if blocks.is_empty() {
            return Ok(());
        }
        if let ([block], true) = (&blocks[..], self.tensor.is_seekable()) {
            let mut out = Buffer::default();
            let length = self.make(block.clone(), &mut out)?;
            return take(out.bytes(length)).map_err(taken);
        }
        let (give, made) = sync_channel(AHEAD);
        let (back, spare) = channel();
        thread::scope(|scope| {
            // The channels end with those who hold them, so either side learns that the other has stopped.
            scope.spawn(move || self.produce(&give, &spare));
            for made in made {
                let (mut block, length) = made?;
                take(block.bytes(length)).map_err(taken)?;
                // Without a maker there is none to be made.
                let _ = back.send(block);
            }
            Ok(())
        })
    }
}
