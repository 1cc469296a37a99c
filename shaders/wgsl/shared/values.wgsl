// Rows read as vec4s, or with SCALAR number by number, where their length is no multiple of 4. SIZE numbers are one Value.

//!if SCALAR
alias Value = f32;
const SIZE = 1u;

fn total(x: f32) -> f32 {
    return x;
}
//!else
alias Value = vec4<f32>;
const SIZE = 4u;

fn total(x: vec4<f32>) -> f32 {
    return (x.x + x.y) + (x.z + x.w);
}
//!end
