//! Tables, sizes and sums as text.

use std::fmt::Write as _;

/// Rows of cells under a heading; columns are as wide as they must be, numbers are set to the right.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these headings.
    pub fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|&heading| heading.to_owned()).collect()] }
    }

    /// Adds a row.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// As Markdown has tables.
    #[cfg(feature = "gpu")]
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for (at, row) in self.rows.iter().enumerate() {
            text += &format!("| {} |\n", row.join(" | "));
            if at == 0 {
                text += &format!("|{}\n", "---|".repeat(row.len()));
            }
        }
        text
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |row: usize, column: usize| self.rows[row].get(column).map_or("", String::as_str);
        let width = |c: usize| (0..self.rows.len()).map(|r| cell(r, c).chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        // A column holds numbers if what stands under its heading begins like one.
        let numeric: Vec<bool> = (0..columns).map(|c| (1..self.rows.len()).all(|r| number(cell(r, c)))).collect();
        for row in 0..self.rows.len() {
            let mut line = String::new();
            for column in 0..columns {
                let (text, width) = (cell(row, column), widths[column]);
                let gap = if column == 0 { "" } else { "  " };
                if numeric[column] {
                    write!(line, "{gap}{text:>width$}")?;
                } else {
                    write!(line, "{gap}{text:<width$}")?;
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn number(cell: &str) -> bool {
    cell.is_empty() || cell == "-" || cell.starts_with(|c: char| c.is_ascii_digit())
}

/// Bytes with a unit: `12.3 MB` (powers of 1000, as drives and data sheets count).
pub fn bytes(count: usize) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.2} GB", count as f64 / 1e9),
    }
}

/// A byte count such as `1500000`, `64MB`, `64 MiB`; units are optional and their case does not matter.
///
/// # Errors
/// A sentence that says what would be accepted.
pub fn parse_bytes(text: &str) -> Result<usize, String> {
    let text = text.trim();
    let malformed = || "expected a number of bytes, such as 64MB".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().map_err(|_| malformed())?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        unit => return Err(format!("`{unit}` is not a unit of bytes; use kB, MB, GB, KiB, MiB or GiB")),
    };
    if number * unit < 1e18 { Ok((number * unit) as usize) } else { Err(malformed()) }
}

/// Median and 95th percentile of measurements; zeros if there are none.
pub fn median_p95(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted.get((share * (sorted.len().max(1) - 1) as f64).round() as usize).copied();
    (at(0.5).unwrap_or(0.0), at(0.95).unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["pass", "ms"]);
        table.row(["denoise", "10.5"]);
        table.row(["commit", "2.0"]);
        assert_eq!(table.to_string(), "pass       ms\ndenoise  10.5\ncommit    2.0\n");
    }

    #[test]
    fn byte_counts_are_read_and_written() {
        for (text, expected) in
            [("1500", 1500), ("64MB", 64_000_000), ("1.5 GiB", 1_610_612_736), ("2k", 2000), ("7 b", 7)]
        {
            assert_eq!(parse_bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "MB", "12 parsecs", "1.2.3", "-5", "9999999999GB"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(64_000_000), "64.0 MB");
    }

    #[test]
    fn medians() {
        assert_eq!(median_p95(&[]), (0.0, 0.0));
        assert_eq!(median_p95(&[3.0, 1.0, 2.0]), (2.0, 3.0));
    }
}
