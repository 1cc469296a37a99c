// The functions of `op::Activation`, numbered in its order.

const NONE = 0u;
const RELU = 1u;
const SILU = 2u;
const GELU = 3u;
const SOFT_CLAMP = 4u;
const GELU_ERF = 5u;

fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(-clamp(x, -80.0, 80.0))); // e^80 is finite
}

fn activate(kind: u32, x: f32) -> f32 {
    switch kind {
        case RELU: {
            return max(x, 0.0);
        }
        case SILU: {
            return x * sigmoid(x);
        }
        case GELU: {
            // 1/2 (1 + tanh(z)) = sigmoid(2 z).
            return x * sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x));
        }
        case SOFT_CLAMP: {
            // tanh(z) = 2 sigmoid(2 z) - 1.
            return 6.0 * sigmoid(2.0 / 3.0 * x) - 3.0;
        }
        case GELU_ERF: {
            // max(x, 0) - |x|/2 erfc(|x| / sqrt(2)), erfc by a polynomial (Abramowitz and Stegun 7.1.26).
            let t = 1.0 / (1.0 + 0.3275911 * 0.70710678 * abs(x));
            let p = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
            return max(x, 0.0) - 0.5 * abs(x) * p * exp(-0.5 * min(x * x, 170.0));
        }
        default: {
            return x;
        }
    }
}
