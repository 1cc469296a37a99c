// Functions whose accuracy WGSL leaves too open for a CPU twin: Vulkan grants sin and cos an absolute error of 2^-11 and log
// one of 2^-21 near 1. These stay within a few units in the last place. The polynomials are those of Cephes (sin, cos) and FreeBSD (log).

const PI_HALVES: f32 = 1.5707963267948966;

/// (sin, cos) of `quarters` quarter turns plus an angle of at most 1/8 turn either way.
fn sin_cos_reduced(quarters: i32, angle: f32) -> vec2<f32> {
    let z = angle * angle;
    let s = angle + angle * z * (-1.6666654611e-1 + z * (8.3321608736e-3 - z * 1.9515295891e-4));
    let c = 1.0 - 0.5 * z + z * z * (4.166664568298827e-2 + z * (-1.388731625493765e-3 + z * 2.443315711809948e-5));
    let swapped = select(vec2<f32>(s, c), vec2<f32>(c, s), (quarters & 1) == 1);
    let negative = vec2<bool>((quarters & 2) != 0, ((quarters + 1) & 2) != 0);
    return select(swapped, -swapped, negative);
}

/// (sin, cos) of an angle in turns; the reduction is exact.
fn sin_cos_turns(turns: f32) -> vec2<f32> {
    let quarters = turns * 4.0;
    let n = round(quarters);
    return sin_cos_reduced(i32(n), (quarters - n) * PI_HALVES);
}

/// Natural logarithm of a positive normal number: exponent and mantissa apart, the mantissa in [sqrt(1/2), sqrt(2)).
fn log_positive(x: f32) -> f32 {
    let bits = bitcast<u32>(x) - 0x3f3504f3u; // sqrt(1/2)
    let exponent = f32(bitcast<i32>(bits) >> 23u);
    let f = bitcast<f32>((bits & 0x7fffffu) + 0x3f3504f3u) - 1.0;
    // log(1 + f) = 2 atanh(s) with s = f / (2 + f).
    let s = f / (2.0 + f);
    let z = s * s;
    let tail = z * (0.6666666269302368 + z * (0.4000097215175629 + z * (0.2849878668785095 + z * 0.2427906841039658)));
    return exponent * 0.693359375 + (exponent * -2.12194440e-4 + (2.0 * s + s * tail));
}
