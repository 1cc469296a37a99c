//! Kernels.
pub(crate) fn activate(_op: &crate::op::Activate, _cx: &super::Context<'_>) {}
pub(crate) fn modulation(_op: &crate::op::Modulation, _cx: &super::Context<'_>) {}
pub(crate) fn timestep(_op: &crate::op::Timestep, _cx: &super::Context<'_>) {}
pub(crate) fn patchify(_op: &crate::op::Patchify, _cx: &super::Context<'_>) {}
pub(crate) fn unpatchify(_op: &crate::op::Unpatchify, _cx: &super::Context<'_>) {}
pub(crate) fn noise(_op: &crate::op::Noise, _cx: &super::Context<'_>) {}
pub(crate) fn denoise(_op: &crate::op::Denoise, _cx: &super::Context<'_>) {}
pub(crate) fn to_pixels(_op: &crate::op::ToPixels, _cx: &super::Context<'_>) {}
pub(crate) fn from_pixels(_op: &crate::op::FromPixels, _cx: &super::Context<'_>) {}
pub(crate) fn copy(_op: &crate::op::Copy, _cx: &super::Context<'_>) {}
pub(crate) fn embed(_op: &crate::op::Embed, _cx: &super::Context<'_>) {}
