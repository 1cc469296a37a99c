//! Rotations of the pairs of a head by a table of (cos, sin).

/// Gives the values of a row whose leading pairs are turned by these.
pub(in crate::cpu) fn turned(row: &[f32], turns: &[f32], mut give: impl FnMut(usize, f32)) {
    for (at, ([a, b], [cos, sin])) in row.as_chunks::<2>().0.iter().zip(turns.as_chunks::<2>().0).enumerate() {
        give(2 * at, a * cos - b * sin);
        give(2 * at + 1, a * sin + b * cos);
    }
    row.iter().enumerate().skip(turns.len()).for_each(|(at, &value)| give(at, value));
}

/// Gives the `len` values of a row as they were before its last pairs were turned by these.
pub(in crate::cpu) fn unturned(
    row: impl Fn(usize) -> f32,
    len: usize,
    turns: &[f32],
    mut give: impl FnMut(usize, f32),
) {
    let first = len - turns.len();
    (0..first).for_each(|at| give(at, row(at)));
    for (at, [cos, sin]) in (first..).step_by(2).zip(turns.as_chunks::<2>().0) {
        let (a, b) = (row(at), row(at + 1));
        give(at, a * cos + b * sin);
        give(at + 1, b * cos - a * sin);
    }
}

/// What spatial rotations (`numbers` of each token) say of a token.
pub(in crate::cpu) fn of_token(table: &[f32], token: usize, numbers: usize) -> &[f32] {
    &table[token * numbers..][..numbers]
}
