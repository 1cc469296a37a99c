// Sum over a workgroup by a tree, in a fixed order.

const LANES = 64u;

var<workgroup> partial: array<f32, LANES>;

/// Every lane gets the sum of all lanes' values.
fn sum(lane: u32, value: f32) -> f32 {
    partial[lane] = value;
    workgroupBarrier();
    for (var width = LANES / 2u; width > 0u; width >>= 1u) {
        if lane < width {
            partial[lane] += partial[lane + width];
        }
        workgroupBarrier();
    }
    let total = partial[0];
    workgroupBarrier(); // the next sum overwrites partial
    return total;
}
