// The functions of `op::Activation`, numbered in its order.

const NONE = 0u;
const RELU = 1u;
const SILU = 2u;
const GELU = 3u;
const SOFT_CLAMP = 4u;

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
        default: {
            return x;
        }
    }
}
