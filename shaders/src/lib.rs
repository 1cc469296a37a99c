//! The WGSL kernels of the Causeway runtime, one constant a permutation, composed and validated when this crate is built.
//!
//! Every kernel keeps to the portable tier: no optional features, at most 8 storage buffers, 16 KiB of workgroup memory and
//! 256 invocations a workgroup. Bind group 0 holds the per-run parameters (`shared/params.wgsl`) as one uniform; bind group 1
//! holds the node's constants (the struct `Node`, a uniform at binding 0) and its buffers. Workgroup memory is not assumed
//! to be zeroed.
#![no_std]
extern crate alloc;

use alloc::borrow::Cow;

/// How a kernel uses a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A uniform buffer.
    Uniform,
    /// A read-only storage buffer.
    Read,
    /// A storage buffer that the kernel writes.
    ReadWrite,
}

/// A buffer binding of group 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Variable name.
    pub name: &'static str,
    /// Binding number.
    pub slot: u32,
    /// Use.
    pub access: Access,
    /// Least size of the bound range in bytes.
    pub min_bytes: u32,
}

/// A 32-bit member of the struct `Node`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constant {
    /// Member name.
    pub name: &'static str,
    /// Offset in bytes.
    pub offset: u32,
}

/// A kernel permutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Name, unique in the table.
    pub name: &'static str,
    /// WGSL text.
    pub source: &'static str,
    /// Entry point.
    pub entry: &'static str,
    /// Invocations of a workgroup.
    pub workgroup_size: [u32; 3],
    /// Workgroup memory in bytes.
    pub workgroup_bytes: u32,
    /// Size of `Node` in bytes.
    pub node_bytes: u32,
    /// Buffers of group 1, apart from `node`.
    pub bindings: &'static [Binding],
    /// Members of `Node`.
    pub constants: &'static [Constant],
}

impl Kernel {
    /// The text for a device, which has the builtin `unpack2x16float` or has it not: then f16 numbers are taken apart by hand
    /// (`shared/half.wgsl`).
    pub fn text(&self, unpack: bool) -> Cow<'static, str> {
        const BY_HAND: &str = "return emulated_halves(word);";
        if unpack && self.source.contains(BY_HAND) {
            return self.source.replace(BY_HAND, "return unpack2x16float(word);").into();
        }
        self.source.into()
    }
}

include!(concat!(env!("OUT_DIR"), "/table.rs"));
