//! The denoiser on the CPU with hand-written gradients: what `dit` computes, several times faster than through a
//! general-purpose tensor library, because norms, activations and softmax are single passes over memory and attention needs
//! no copies. A test holds the two together; `dit` remains the definition and serves all other devices.

pub mod attention;
pub mod bf16;
pub mod causal;
pub mod kernels;
pub mod linalg;
pub mod network;
pub mod sequence;
pub mod vector;
