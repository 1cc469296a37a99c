//! The page of an experiment: what the paper says, what was tested, what came out and with what certainty, in one sentence at the top.

use std::fmt::Write;
use std::path::Path;

use crate::reproduce::chart::Chart;
use crate::reproduce::table::Table;
use crate::reproduce::{Cost, ReproduceError};
use crate::stats::paired::{Mean, holm};
use crate::train::state::{StateError, write_whole};

/// Chance below which a difference counts.
pub const CHANCE: f64 = 0.05;

/// A claim, as the difference of two figures that should be positive.
pub struct Claim {
    /// In words.
    pub text: String,
    /// The difference, over seeds.
    pub margin: Mean,
}

/// What a test says of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The difference is positive, and no chance.
    Shows,
    /// It is negative, and no chance.
    Opposite,
    /// It may be chance.
    Open,
    /// One seed, no test.
    Untested,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Shows => "shows",
            Self::Opposite => "**the opposite shows**",
            Self::Open => "does not show",
            Self::Untested => "not tested: one seed",
        })
    }
}

impl Claim {
    /// `text` holds where `left - right`, seed by seed, is positive.
    pub fn new(text: &str, left: &[f64], right: &[f64]) -> Self {
        Self { text: text.to_owned(), margin: Mean::of_differences(left, right) }
    }
}

/// Claims that are tested together: Holm's correction is over all of them.
pub struct Family<'a> {
    /// Heading.
    pub name: &'a str,
    /// The claims.
    pub claims: Vec<Claim>,
}

impl Family<'_> {
    /// For each claim, Holm's p and what it says.
    pub fn findings(&self) -> Vec<(f64, Finding)> {
        let p = holm(&self.claims.iter().map(|claim| claim.margin.p()).collect::<Vec<_>>());
        let finding = |(claim, p): (&Claim, f64)| {
            let finding = match (p, claim.margin.mean) {
                (p, _) if p.is_nan() => Finding::Untested,
                (p, mean) if p < CHANCE && mean > 0.0 => Finding::Shows,
                (p, _) if p < CHANCE => Finding::Opposite,
                _ => Finding::Open,
            };
            (p, finding)
        };
        self.claims.iter().zip(p).map(finding).collect()
    }
}

/// What must hold before a claim can be tested at all.
pub struct Gate {
    /// In words.
    pub text: String,
    /// The figure, over seeds.
    pub found: Mean,
    /// The least it may be.
    pub least: f64,
    /// What else was tried, with its figure: should the gate fail, the two nearest to passing are named.
    pub others: Vec<(String, f64)>,
}

impl Gate {
    /// Whether what follows means anything.
    pub fn passes(&self) -> bool {
        self.found.mean >= self.least
    }

    /// The two settings that came nearest.
    fn nearest(&self) -> String {
        let mut others: Vec<_> = self.others.iter().collect();
        others.sort_by(|a, b| b.1.total_cmp(&a.1));
        others.iter().take(2).map(|(name, figure)| format!("{name} ({figure:.3})")).collect::<Vec<_>>().join(", ")
    }
}

/// A page.
pub struct Report<'a> {
    /// Name of the experiment, and of its files.
    pub name: &'a str,
    /// Heading.
    pub title: &'a str,
    /// What came out, in one sentence.
    pub verdict: String,
    /// What the paper says.
    pub paper: &'a str,
    /// What was tested, in words.
    pub setting: &'a str,
    /// What figures mean, and their units.
    pub symbols: &'a str,
    /// Seeds, and the factor on all trainings.
    pub effort: (u64, f64),
    /// What was trained, over all seeds.
    pub cost: Cost,
    /// What else was tried; empty for nothing.
    pub tried: &'a str,
    /// What must hold first.
    pub gates: Vec<Gate>,
    /// Claims of the paper.
    pub families: Vec<Family<'a>>,
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

    /// Whether all gates pass.
    pub fn open(&self) -> bool {
        self.gates.iter().all(Gate::passes)
    }

    /// The text without pictures.
    pub fn page(&self) -> String {
        let (seeds, effort) = self.effort;
        let mut page = format!("# {}\n\n**{}**\n\n", self.title, self.verdict);
        let _ = writeln!(
            page,
            "*The paper.* {}\n\n*Tested.* {}\n\n*Symbols and units.* {}\n",
            self.paper, self.setting, self.symbols
        );
        let mut command = format!("reproduce {} --seeds {seeds}", self.name);
        if effort != 1.0 {
            let _ = write!(command, " --effort {effort}");
        }
        let _ = writeln!(page, "```sh\ncargo run --release -p causeway-distill -- {command}\n```\n");
        let short = if effort == 1.0 { String::new() } else { format!(" **A short run: {effort} of all steps.**") };
        let Cost { steps, windows } = self.cost;
        let _ = writeln!(
            page,
            "Written by this command: {seeds} seeds, which took {steps} steps of training (each a forward and a backward pass of a \
             batch) over {windows} windows; [README.md](README.md) has their processor time.{short} Means over seeds have their 95 % interval by Student's t behind them; *d* is the mean difference over its standard deviation, *p* that of the \
             paired t-test, two-sided, corrected by Holm within its table."
        );
        if !self.gates.is_empty() {
            let _ = writeln!(page, "\n| gate | needed | found | |\n|---|---|---|---|");
            for gate in &self.gates {
                let word =
                    if gate.passes() { "passes".to_owned() } else { "**fails: nothing to show here**".to_owned() };
                let _ = writeln!(page, "| {} | at least {:.2} | {} | {word} |", gate.text, gate.least, gate.found);
            }
            for gate in self.gates.iter().filter(|gate| !gate.passes() && !gate.others.is_empty()) {
                let _ = writeln!(page, "\nNearest to passing \"{}\": {}.", gate.text, gate.nearest());
            }
        }
        for family in &self.families {
            let _ =
                writeln!(page, "\n## {}\n\n| claim | difference | d | p | here |\n|---|---|---|---|---|", family.name);
            for (claim, (p, finding)) in family.claims.iter().zip(family.findings()) {
                let told = |x: f64, digits: usize| if x.is_finite() { format!("{x:.digits$}") } else { "-".to_owned() };
                let (effect, p) =
                    (told(claim.margin.effect(), 2), if p < 1e-4 { "< .0001".to_owned() } else { told(p, 4) });
                let _ = writeln!(page, "| {} | {} | {effect} | {p} | {finding} |", claim.text, claim.margin);
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(found: &[f64], others: &[(&str, f64)]) -> Gate {
        let others = others.iter().map(|&(name, figure)| (name.to_owned(), figure)).collect();
        Gate { text: "loses".into(), found: Mean::new(found), least: 0.3, others }
    }

    #[test]
    fn a_gate_that_fails_names_the_two_settings_nearest_to_passing() {
        let failed = gate(&[0.1, 0.2], &[("a", 0.1), ("b", 0.25), ("c", -0.5), ("d", 0.2)]);
        assert!(!failed.passes() && gate(&[0.4, 0.3], &[]).passes());
        assert_eq!(failed.nearest(), "b (0.250), d (0.200)");
    }

    #[test]
    fn a_claim_shows_only_where_chance_is_ruled_out_among_all_that_were_tested() {
        let zeros = [0.0; 8];
        let sure = [1.0, 1.2, 0.9, 1.1, 1.0, 0.8, 1.1, 1.0];
        // By itself p is .02 or so: beside another test it is no longer enough.
        let weak = [1.0, -0.2, 0.9, 0.4, -0.1, 0.8, 0.1, 1.3];
        let alone = Family { name: "", claims: vec![Claim::new("", &weak, &zeros)] };
        assert_eq!(alone.findings()[0].1, Finding::Shows);
        let claims = vec![
            Claim::new("", &sure, &zeros),
            Claim::new("", &weak, &zeros),
            Claim::new("", &zeros, &sure),
            Claim::new("", &weak, &zeros),
            Claim::new("", &weak, &weak),
        ];
        let found: Vec<Finding> = Family { name: "", claims }.findings().into_iter().map(|found| found.1).collect();
        assert_eq!(found, [Finding::Shows, Finding::Open, Finding::Opposite, Finding::Open, Finding::Open]);
        let one = Family { name: "", claims: vec![Claim::new("", &[1.0], &[0.0])] };
        assert_eq!(one.findings()[0].1, Finding::Untested);
    }
}
