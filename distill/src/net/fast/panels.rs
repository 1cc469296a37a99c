//! Matrices rounded to bf16, packed as products read them.

/// Sixteen pairs; their alignment is a cache line's.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u32; LANES]);

impl Line {
    pub(super) const ZERO: Self = Self([0; LANES]);
}

/// Pairs of a vector.
pub(super) const LANES: usize = 16;
/// Columns of a panel.
pub(super) const WIDE: usize = 2 * LANES;
/// A matrix by rows, each a whole number of lines, filled up with zeros.
pub struct Rows {
    pub(super) lines: Vec<Line>,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// A matrix by panels of 32 columns, each pairs of rows from top to bottom, a whole multiple of 16 of them, filled up with zeros.
pub struct Panels {
    pub(super) lines: Vec<Line>,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// What a product adds to.
#[derive(Clone, Copy)]
pub enum Start<'a> {
    /// Nothing.
    Zero,
    /// The same row everywhere.
    Row(&'a [f32]),
    /// What is there.
    There,
}

impl Rows {
    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Lines of a row.
    pub(super) fn width(&self) -> usize {
        self.columns.div_ceil(WIDE)
    }
}

impl Panels {
    /// Pairs of rows.
    pub(super) fn pairs(&self) -> usize {
        self.rows.div_ceil(2)
    }

    /// Pairs from one panel to the next.
    pub(super) fn stride(&self) -> usize {
        stride(self.rows)
    }

    /// The panel of a column, two lines a pair.
    pub(super) fn panel(&self, column: usize) -> *const Line {
        self.lines[2 * (column / WIDE * self.stride())..].as_ptr()
    }
}

/// Pairs of a panel of so many rows, zeros included.
pub(super) fn stride(rows: usize) -> usize {
    rows.div_ceil(WIDE) * LANES
}

impl Start<'_> {
    /// The same for what begins at a column.
    pub(super) fn right_of(self, column: usize) -> Self {
        match self {
            Self::Row(row) => Self::Row(&row[column..]),
            other => other,
        }
    }
}

/// Room for `n` lines, which `write` fills.
pub(super) fn filled(n: usize, write: impl FnOnce(*mut Line)) -> Vec<Line> {
    let mut lines = Vec::with_capacity(n);
    write(lines.as_mut_ptr());
    // SAFETY: the capacity is there, and all callers write every line.
    unsafe { lines.set_len(n) };
    lines
}
