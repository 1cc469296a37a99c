//! What kernels share, under the names of `shaders/wgsl/shared/` where there is a twin.

pub(super) mod epilogue;
pub(super) mod flash;
pub(super) mod gemm;
pub(super) mod int8;
pub(super) mod math;
pub(super) mod rotation;
pub(super) mod single;
pub(super) mod source;
pub(super) mod span;
