//! The page of an experiment: what was claimed, what was measured, and whether the one shows in the other.

use std::fmt::Write;
use std::path::Path;

use crate::reproduce::ReproduceError;
use crate::reproduce::chart::Chart;
use crate::reproduce::table::{Table, moments};
use crate::train::state::{StateError, write_whole};

/// A claim, as the difference of two figures that should be positive.
pub struct Claim {
    /// In words.
    pub text: String,
    /// The difference in each seed.
    pub margin: Vec<f64>,
}

impl Claim {
    /// `text` holds where `left - right`, seed by seed, is positive.
    pub fn new(text: &str, left: &[f64], right: &[f64]) -> Self {
        Self { text: text.to_owned(), margin: left.iter().zip(right).map(|(a, b)| a - b).collect() }
    }

    /// What the seeds say: the difference is positive in all of them, in none, or in some.
    pub fn verdict(&self) -> &'static str {
        match self.margin.iter().filter(|&&m| m > 0.0).count() {
            n if n == self.margin.len() => "shows",
            0 => "**does not show: the opposite does**",
            _ => "**does not show in all seeds**",
        }
    }
}

/// A page.
pub struct Report<'a> {
    /// Name of the experiment, and of its files.
    pub name: &'a str,
    /// Heading.
    pub title: &'a str,
    /// What is compared, in words.
    pub setting: &'a str,
    /// Seeds, and the factor on all trainings.
    pub effort: (u64, f64),
    /// What was tried where a claim does not show; empty for nothing.
    pub tried: &'a str,
    /// Claims of the paper.
    pub claims: Vec<Claim>,
    /// Tables with a heading each.
    pub tables: Vec<(&'a str, Table)>,
    /// Pictures.
    pub charts: Vec<Chart<'a>>,
}

impl Report<'_> {
    /// Writes `NAME.md` and `NAME-1.svg`, ... to `dir`.
    ///
    /// # Errors
    /// [`ReproduceError`].
    pub fn write(&self, dir: &Path) -> Result<(), ReproduceError> {
        std::fs::create_dir_all(dir).map_err(|source| StateError::Io { path: dir.into(), source })?;
        let mut page = self.page();
        for (i, chart) in self.charts.iter().enumerate() {
            let name = format!("{}-{}.svg", self.name, i + 1);
            chart.write(&dir.join(&name))?;
            let _ = write!(page, "\n![{}]({name})\n", chart.title);
        }
        Ok(write_whole(&dir.join(format!("{}.md", self.name)), page.as_bytes())?)
    }

    /// The text without pictures.
    pub fn page(&self) -> String {
        let (seeds, effort) = self.effort;
        let mut page = format!("# {}\n\n{}\n\n", self.title, self.setting);
        let _ = writeln!(page, "```sh\ncargo run --release -p causeway-distill -- reproduce {}\n```\n", self.name);
        let short = if effort == 1.0 { String::new() } else { format!(" **A short run: {effort} of all steps.**") };
        let _ = writeln!(page, "Written by this command; {seeds} seeds, mean ± standard deviation.{short}\n");
        let _ = writeln!(page, "| claim | margin | here |\n|---|---|---|");
        for claim in &self.claims {
            let (mean, deviation) = moments(&claim.margin);
            let _ = writeln!(page, "| {} | {mean:.3} ± {deviation:.3} | {} |", claim.text, claim.verdict());
        }
        if !self.tried.is_empty() {
            let _ = writeln!(page, "\n{}", self.tried);
        }
        for (heading, table) in &self.tables {
            let _ = write!(page, "\n## {heading}\n\n{table}");
        }
        page
    }
}
