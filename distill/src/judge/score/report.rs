//! Rows of the score as a table and as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::stats::bootstrap::Estimate;

/// One line of the score.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Number in the score's definition.
    pub number: u8,
    /// What is measured.
    pub what: &'static str,
    /// What is asked for.
    pub required: String,
    /// What was found, or why nothing could be.
    pub measured: String,
    /// Whether that is enough; none where it was not measured or not long enough to say.
    pub met: Option<bool>,
    /// How it is measured.
    pub how: String,
    /// The figures behind `measured`.
    pub figures: BTreeMap<String, Estimate>,
}

impl Row {
    /// A row without figures yet.
    pub fn new(number: u8, what: &'static str, required: &str, how: &str) -> Self {
        let (measured, figures) = ("nothing".into(), BTreeMap::new());
        Self { number, what, required: required.into(), measured, met: None, how: how.into(), figures }
    }

    /// The row where `reason` kept it from being measured.
    pub fn missing(mut self, reason: &str) -> Self {
        self.measured = format!("not measured: {reason}");
        self
    }

    /// The row with what was found.
    pub fn found(mut self, measured: String, met: Option<bool>) -> Self {
        (self.measured, self.met) = (measured, met);
        self
    }

    /// Notes a figure, if there is one, and returns it.
    pub fn figure(&mut self, name: impl Into<String>, found: Option<Estimate>) -> Option<Estimate> {
        self.figures.extend(found.map(|found| (name.into(), found)));
        found
    }
}

/// A score, as `score.json` has it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was scored, how often, on what.
    pub about: BTreeMap<&'static str, String>,
    /// The rows.
    pub rows: Vec<Row>,
}

impl Report {
    /// The rows as a Markdown table, what was scored above and how below it.
    pub fn table(&self) -> String {
        let about: Vec<String> = self.about.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        let mut out = format!("{}\n\n| | | required | measured | met |\n|---|---|---|---|---|\n", about.join("; "));
        for row in &self.rows {
            let met = match row.met {
                Some(true) => "yes",
                Some(false) => "**no**",
                None => "",
            };
            out += &format!("| {} | {} | {} | {} | {met} |\n", row.number, row.what, row.required, row.measured);
        }
        out += "\nIn brackets: 95 % intervals by bootstrap over starts.\n\n";
        for row in &self.rows {
            out += &format!("* {}, {}: {}\n", row.number, row.what, row.how);
        }
        out
    }
}
