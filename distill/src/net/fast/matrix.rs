//! Products of strided matrices.

use gemm::Parallelism;

/// A strided view of a matrix: values, distance between rows, distance between columns.
#[derive(Clone, Copy)]
pub struct View<'a>(pub &'a [f32], pub usize, pub usize);

impl View<'_> {
    /// The transposed matrix.
    pub fn t(self) -> Self {
        Self(self.0, self.2, self.1)
    }
}

/// dst (+)= a b for an m x k and a k x n matrix; `dst` has unit column distance and `dst_row` between rows.
pub fn product(add: bool, [m, k, n]: [usize; 3], a: View<'_>, b: View<'_>, dst: &mut [f32], dst_row: usize) {
    if m * n * k == 0 {
        return;
    }
    let last = |rows: usize, columns: usize, v: View<'_>| (rows - 1) * v.1 + (columns - 1) * v.2;
    assert!(last(m, k, a) < a.0.len() && last(k, n, b) < b.0.len() && (m - 1) * dst_row + n - 1 < dst.len());
    // SAFETY: the assertion bounds every element the strides can reach; `dst` is borrowed mutably, so it is disjoint.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst.as_mut_ptr(),
            1,
            dst_row as isize,
            add,
            a.0.as_ptr(),
            a.2 as isize,
            a.1 as isize,
            b.0.as_ptr(),
            b.2 as isize,
            b.1 as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
