//! Scratch memory of kernels, allocated once for the plan's largest need.

use alloc::vec::Vec;
use core::{
    cell::UnsafeCell,
    ops::{Deref, DerefMut},
    sync::atomic::{AtomicBool, Ordering},
};

use super::block::Block;
use crate::{backend::BackendError, memory};

/// Words of scratch an operator needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Need {
    /// Shared by all pieces of work of a node.
    pub(crate) shared: usize,
    /// For each piece that runs at a time.
    pub(crate) piece: usize,
    /// Kept from one part of the node to the next; lies behind the arena, so that snapshots have it.
    pub(crate) kept: usize,
}

impl Need {
    /// Enough for either.
    pub(crate) fn max(self, other: Need) -> Need {
        Need {
            shared: self.shared.max(other.shared),
            piece: self.piece.max(other.piece),
            kept: self.kept.max(other.kept),
        }
    }

    /// Bytes that [`Scratch::new`] allocates.
    pub(crate) fn bytes(self, threads: usize) -> usize {
        Block::bytes_for(self.shared) + threads.max(1) * (Block::bytes_for(self.piece) + size_of::<Slot>())
    }
}

/// One piece's memory.
struct Slot {
    busy: AtomicBool,
    block: UnsafeCell<Block>,
}

/// Scratch memory of a backend.
pub(crate) struct Scratch {
    shared: UnsafeCell<Block>,
    slots: Vec<Slot>,
}

// SAFETY: a slot's block is reached only through a `Loan`, which holds its `busy` flag; the shared block only by the contract of
// `shared`.
unsafe impl Sync for Scratch {}

impl Scratch {
    /// Memory for `threads` pieces at a time.
    pub(crate) fn new(need: Need, threads: usize) -> Result<Self, BackendError> {
        // Exactly as many as were promised: collecting results would round up.
        let mut slots = memory::reserved(threads.max(1))?;
        for _ in 0..threads.max(1) {
            let block = Block::zeroed(need.piece)?;
            slots.push(Slot { busy: AtomicBool::new(false), block: UnsafeCell::new(block) });
        }
        Ok(Self { shared: UnsafeCell::new(Block::zeroed(need.shared)?), slots })
    }

    /// The memory shared by a node's pieces; contents are whatever an earlier node left.
    ///
    /// # Safety
    /// At most one view lives at a time.
    #[allow(clippy::mut_from_ref, reason = "the contract allows one view")]
    pub(crate) unsafe fn shared<T: bytemuck::Pod>(&self) -> &mut [T] {
        // SAFETY: the only view, by the contract.
        unsafe { (*self.shared.get()).as_mut_slice() }
    }

    /// Lends memory to one piece of work; contents are whatever an earlier piece left. A host's job system that runs more pieces
    /// at once than it has threads makes the surplus wait.
    pub(crate) fn lend(&self) -> Loan<'_> {
        loop {
            for slot in &self.slots {
                if !slot.busy.swap(true, Ordering::Acquire) {
                    return Loan { slot };
                }
            }
            core::hint::spin_loop();
        }
    }
}

/// A piece's scratch memory, given back when dropped.
pub(crate) struct Loan<'a> {
    slot: &'a Slot,
}

impl Deref for Loan<'_> {
    type Target = Block;

    fn deref(&self) -> &Block {
        // SAFETY: this loan holds the slot's flag.
        unsafe { &*self.slot.block.get() }
    }
}

impl DerefMut for Loan<'_> {
    fn deref_mut(&mut self) -> &mut Block {
        // SAFETY: this loan holds the slot's flag.
        unsafe { &mut *self.slot.block.get() }
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        self.slot.busy.store(false, Ordering::Release);
    }
}
