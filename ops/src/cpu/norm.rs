//! Kernels.
pub(crate) fn layer_norm(_op: &crate::op::LayerNorm, _cx: &super::Context<'_>) {}
pub(crate) fn rms_norm_rope(_op: &crate::op::RmsNormRope, _cx: &super::Context<'_>) {}
