//! Counter-based noise: Philox 4x32-10 (Salmon et al., 2011) and Box-Muller.
//!
//! Noise is a pure function of (seed, frame, step, element), so a snapshot needs no generator state, and the CPU and the
//! GPU draw the same stream (`shaders/wgsl/shared/philox.wgsl` is this file's twin).

const M0: u32 = 0xD251_1F53;
const M1: u32 = 0xCD9E_8D57;
const W0: u32 = 0x9E37_79B9;
const W1: u32 = 0xBB67_AE85;

/// Ten rounds of Philox 4x32.
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let p0 = u64::from(M0) * u64::from(counter[0]);
        let p1 = u64::from(M1) * u64::from(counter[2]);
        counter =
            [(p1 >> 32) as u32 ^ counter[1] ^ key[0], p1 as u32, (p0 >> 32) as u32 ^ counter[3] ^ key[1], p0 as u32];
        key = [key[0].wrapping_add(W0), key[1].wrapping_add(W1)];
    }
    counter
}

/// Four standard normal numbers for the elements `4*quad .. 4*quad+4` of a latent frame.
pub fn normal4(seed: [u32; 2], frame: u32, step: u32, quad: u32) -> [f32; 4] {
    let bits = philox([quad, frame, step, 0], seed);
    let (a, b) = box_muller(bits[0], bits[1]);
    let (c, d) = box_muller(bits[2], bits[3]);
    [a, b, c, d]
}

/// Two normal numbers from two words: radius from the first (24 bits, never 0), angle from the second.
fn box_muller(x: u32, y: u32) -> (f32, f32) {
    const SCALE: f32 = 1.0 / 16_777_216.0;
    let u = ((x >> 8) as f32 + 0.5) * SCALE;
    let turn = (y >> 8) as f32 * SCALE;
    let radius = libm::sqrtf(-2.0 * libm::logf(u));
    let (sin, cos) = libm::sincosf(turn * core::f32::consts::TAU);
    (radius * cos, radius * sin)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the Random123 distribution (`kat_vectors`, philox4x32 10).
    #[test]
    fn known_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    }

    #[test]
    fn moments_of_the_normal_distribution() {
        let n = 40_000;
        let (mut sum, mut square, mut fourth) = (0.0f64, 0.0f64, 0.0f64);
        for quad in 0..n / 4 {
            for x in normal4([7, 9], 3, 1, quad) {
                let x = f64::from(x);
                sum += x;
                square += x * x;
                fourth += x * x * x * x;
            }
        }
        let n = f64::from(n);
        assert!((sum / n).abs() < 0.02);
        assert!((square / n - 1.0).abs() < 0.03);
        assert!((fourth / n - 3.0).abs() < 0.2);
    }
}
