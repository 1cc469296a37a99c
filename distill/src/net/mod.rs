//! The networks: their weights, the denoiser and the codec, by the tensor library and by hand-written passes.

pub mod codec;
pub mod codec_tape;
pub mod dit;
pub mod fast;
pub mod mask;
pub mod precision;
pub mod rollout;
pub mod rope;
pub mod tape;
pub mod weights;
