//! Lines with error bars, as SVG.

use std::path::Path;

use plotters::prelude::*;

use crate::reproduce::ReproduceError;
use crate::train::state::write_whole;

/// One line: its name, and (x, mean, deviation) of each point.
pub struct Line {
    /// Name in the legend.
    pub name: String,
    /// Points in order of x.
    pub points: Vec<(f64, f64, f64)>,
}

/// A chart of lines.
pub struct Chart<'a> {
    /// Heading.
    pub title: &'a str,
    /// Names of the axes.
    pub axes: [&'a str; 2],
    /// Whether lines are joined; else only their points are shown.
    pub joined: bool,
    /// The lines.
    pub lines: Vec<Line>,
}

const COLOURS: [RGBColor; 8] = [
    RGBColor(31, 119, 180),
    RGBColor(255, 127, 14),
    RGBColor(44, 160, 44),
    RGBColor(214, 39, 40),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(23, 160, 190),
    RGBColor(110, 110, 110),
];

/// Pixels of the plot and of the legend beside it.
const PLOT: u32 = 740;
const LEGEND: u32 = 300;

impl Chart<'_> {
    /// Draws the chart to `path`.
    ///
    /// # Errors
    /// [`ReproduceError::Plot`], [`ReproduceError::State`].
    pub fn write(&self, path: &Path) -> Result<(), ReproduceError> {
        let mut text = String::new();
        let drawn = self.draw(&mut text);
        drawn.map_err(|e| ReproduceError::Plot { path: path.into(), reason: e.to_string() })?;
        Ok(write_whole(path, text.as_bytes())?)
    }

    fn draw(&self, text: &mut String) -> Result<(), Box<dyn std::error::Error + '_>> {
        let root = SVGBackend::with_string(text, (PLOT + LEGEND, 520)).into_drawing_area();
        root.fill(&WHITE)?;
        // Beside the plot, where it hides nothing.
        let (plot, legend) = root.split_horizontally(PLOT);
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let span = |low: f64, high: f64| {
            let edge = 0.06 * (high - low).max(1e-9);
            low - edge..high + edge
        };
        let least = |f: fn(&(f64, f64, f64)) -> f64| points().map(f).fold(f64::INFINITY, f64::min);
        let most = |f: fn(&(f64, f64, f64)) -> f64| points().map(f).fold(f64::NEG_INFINITY, f64::max);
        let (x, y) = (span(least(|p| p.0), most(|p| p.0)), span(least(|p| p.1 - p.2), most(|p| p.1 + p.2)));
        let mut chart = ChartBuilder::on(&plot)
            .caption(self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(60)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .x_desc(self.axes[0])
            .y_desc(self.axes[1])
            .light_line_style(RGBColor(235, 235, 235))
            .draw()?;
        for (i, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[i % COLOURS.len()];
            let means = line.points.iter().map(|&(x, mean, _)| (x, mean));
            if self.joined {
                chart.draw_series(LineSeries::new(means.clone(), colour.stroke_width(2)))?;
            }
            // Bars only where they can be told apart.
            let every = line.points.len().div_ceil(12);
            chart.draw_series(line.points.iter().skip(i % every).step_by(every).map(|&(x, mean, deviation)| {
                ErrorBar::new_vertical(x, mean - deviation, mean, mean + deviation, colour.filled(), 6)
            }))?;
            let dots = if self.joined { 0 } else { 5 };
            chart.draw_series(means.map(|point| Circle::new(point, dots, colour.filled())))?;
            let y = 60 + 24 * i as i32;
            legend.draw(&Rectangle::new([(0, y - 5), (14, y + 5)], colour.filled()))?;
            legend.draw(&Text::new(line.name.as_str(), (22, y - 7), ("sans-serif", 14)))?;
        }
        root.present()?;
        drop(chart);
        Ok(())
    }
}
