//! The WGSL kernels of the Causeway runtime, one constant a permutation, composed and validated when this crate is built, and composed again
//! for the device at hand when one is compiled.
//!
//! Every kernel keeps to what its [`Needs`] say. Bind group 0 holds the per-run parameters (`shared/params.wgsl`) as one uniform; bind group 1
//! holds the node's constants (the struct `Node`, a uniform at binding 0) and its buffers. Workgroup memory is not assumed
//! to be zeroed.
#![no_std]
extern crate alloc;

mod compose;

use alloc::{format, string::String, vec::Vec};

/// What a kernel asks of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// WebGPU's least: no optional features, at most 8 storage buffers, 16 KiB of workgroup memory and 256 invocations a workgroup.
    Nothing,
    /// Half precision, subgroups of at least 8 lanes, 32 KiB of workgroup memory.
    Half,
    /// Half precision, cooperative matrices of it with sums in f32, subgroups of a known size, 32 KiB of workgroup memory.
    Matrices,
}

/// The device that a text is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// It has the builtin `unpack2x16float`; else f16 numbers are taken apart by hand (`shared/half.wgsl`).
    pub unpack: bool,
    /// Matrices are loaded from arrays of numbers, not of vectors: naga's Metal code needs that.
    pub scalars: bool,
    /// Rows and columns of a cooperative matrix.
    pub edge: u32,
    /// Lanes of a subgroup that has one.
    pub lanes: u32,
}

impl Target {
    /// What has nothing but what WebGPU guarantees.
    pub const PORTABLE: Target = Target { unpack: false, scalars: false, edge: 8, lanes: 32 };
}

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
    /// Its numbers may lie in half precision, where a device has the builtins for that ([`Target::unpack`]).
    pub halves: bool,
}

/// Bindings of a kernel whose numbers lie in half precision, a bit for each by its position in [`Kernel::bindings`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Halves(pub u32);

impl Halves {
    /// Whether the binding at this position is one of them.
    pub fn has(self, at: usize) -> bool {
        self.0 >> at & 1 == 1
    }
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
    /// Its file, to be composed.
    pub file: &'static str,
    /// Flags that are set for it.
    pub flags: &'static [&'static str],
    /// What it asks of a device.
    pub needs: Needs,
    /// Entry point.
    pub entry: &'static str,
    /// Invocations of a workgroup, for [`Target::PORTABLE`].
    pub workgroup_size: [u32; 3],
    /// Workgroup memory in bytes, for [`Target::PORTABLE`].
    pub workgroup_bytes: u32,
    /// Size of `Node` in bytes.
    pub node_bytes: u32,
    /// Buffers of group 1, apart from `node`.
    pub bindings: &'static [Binding],
    /// Members of `Node`.
    pub constants: &'static [Constant],
}

impl Kernel {
    /// The WGSL text for a device.
    pub fn text(&self, target: &Target) -> String {
        self.text_with(target, Halves::default())
    }

    /// All bindings that may hold numbers in half precision.
    pub fn halves(&self) -> Halves {
        let each = self.bindings.iter().enumerate().filter(|(_, binding)| binding.halves);
        Halves(each.map(|(at, _)| 1 << at).sum())
    }

    /// The same, with numbers of these bindings in half precision.
    pub fn text_with(&self, target: &Target, halves: Halves) -> String {
        let more = [("UNPACK", target.unpack), ("LONE", target.scalars)];
        let more = more.into_iter().filter(|flag| flag.1).map(|flag| flag.0);
        let stored = self.bindings.iter().enumerate().filter(|(at, _)| halves.has(*at));
        let stored: Vec<String> = stored.map(|(_, binding)| format!("HALVES_{}", binding.name)).collect();
        let flags: Vec<&str> =
            self.flags.iter().copied().chain(more).chain(stored.iter().map(String::as_str)).collect();
        let values = [("EDGE", target.edge), ("LANES", target.lanes)];
        let load = |path: &str| FILES.iter().find(|file| file.0 == path).map(|file| file.1);
        // The build has composed it for every kind of target.
        compose::compose(self.file, &flags, &values, &load).unwrap_or_default()
    }
}

include!(concat!(env!("OUT_DIR"), "/table.rs"));
