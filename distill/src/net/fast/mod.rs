//! The denoiser on the CPU with hand-written gradients: what `dit` computes, several times faster than through a
//! general-purpose tensor library, because norms, activations and softmax are single passes over memory and attention needs
//! no copies. A test holds the two together; `dit` remains the definition and serves all other devices.

mod activation;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod amx;
mod attend;
pub mod attention;
pub mod bf16;
pub mod causal;
pub mod history;
pub mod kernels;
mod lanes;
pub mod linalg;
mod matrix;
pub mod network;
mod panels;
mod router;
pub mod sequence;
pub mod vector;

/// No matrix unit: nothing is ever this.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub mod amx {
    use super::panels::{Panels, Start};

    /// Proof that there is one.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Amx {}

    #[allow(clippy::too_many_arguments)]
    impl Amx {
        pub fn detect() -> Option<Self> {
            None
        }

        pub(super) unsafe fn product(
            self,
            _: *const u8,
            _: usize,
            _: [usize; 2],
            _: &Panels,
            _: Start<'_>,
            _: &mut [f32],
            _: usize,
        ) -> usize {
            match self {}
        }

        pub(super) unsafe fn transposed_product(
            self,
            _: &Panels,
            _: usize,
            _: &Panels,
            _: Start<'_>,
            _: &mut [f32],
            _: usize,
        ) {
            match self {}
        }
    }
}
