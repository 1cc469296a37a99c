//! Figures of several seeds as a Markdown table of means with their intervals.

use crate::stats::paired::Mean;

/// Rows of figures, each with a value for every seed.
#[derive(Clone, Debug, Default)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<(String, Vec<Vec<f64>>)>,
}

impl Table {
    /// A table with these columns beside the names of rows.
    pub fn new(columns: &[&str]) -> Self {
        Self { columns: columns.iter().map(|&name| name.to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds one seed's figures to the row `name`, which is made when it is new.
    pub fn add(&mut self, name: &str, figures: &[f64]) {
        let at = self.rows.iter().position(|row| row.0 == name).unwrap_or_else(|| {
            self.rows.push((name.to_owned(), vec![Vec::new(); self.columns.len()]));
            self.rows.len() - 1
        });
        self.rows[at].1.iter_mut().zip(figures).for_each(|(all, &figure)| all.push(figure));
    }

    /// A figure of every seed; nothing if there is no such row or column.
    pub fn values(&self, row: &str, column: &str) -> &[f64] {
        let column = self.columns.iter().position(|name| name == column);
        let found = self.rows.iter().find(|found| found.0 == row).zip(column);
        found.map_or(&[], |(found, column)| &found.1[column])
    }

    /// Its mean over seeds; NaN if there is none.
    pub fn figure(&self, row: &str, column: &str) -> Mean {
        Mean::new(self.values(row, column))
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "| | {} |", self.columns.join(" | "))?;
        writeln!(f, "|---|{}", "---|".repeat(self.columns.len()))?;
        for (name, figures) in &self.rows {
            let cells: Vec<String> = figures.iter().map(|values| Mean::new(values).to_string()).collect();
            writeln!(f, "| {name} | {} |", cells.join(" | "))?;
        }
        Ok(())
    }
}
