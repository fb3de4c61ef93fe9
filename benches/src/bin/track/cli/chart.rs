//! Line charts, as SVG.

use std::path::Path;

use anyhow::{Context, anyhow};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

/// Lines over one scale.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) across: &'static str,
    pub(crate) lines: Vec<Line>,
    pub(crate) scales: Scales,
}

/// How figures lie along the two axes. What is linear upwards begins at 0.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scales {
    Linear,
    LogarithmicAcross,
    Logarithmic,
}

/// A named line.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Width and height of one chart, in pixels.
const SIZE: (u32, u32) = (720, 320);
const COLOURS: [RGBColor; 6] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 96, 20),
    RGBColor(44, 140, 44),
    RGBColor(148, 60, 189),
    RGBColor(120, 120, 20),
    RGBColor(120, 80, 75),
];

/// Draws charts below each other.
pub(crate) fn draw(path: &Path, charts: &[Chart]) -> anyhow::Result<()> {
    let mut svg = String::new();
    {
        let size = (SIZE.0, SIZE.1 * charts.len() as u32);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let failed = |error: &dyn std::fmt::Display| anyhow!("drawing: {error}");
        area.fill(&WHITE).map_err(|error| failed(&error))?;
        for (chart, area) in charts.iter().zip(area.split_evenly((charts.len(), 1))) {
            chart.draw(&area).map_err(|error| failed(&error))?;
        }
        area.present().map_err(|error| failed(&error))?;
    }
    std::fs::write(path, svg).with_context(|| path.display().to_string())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Chart {
    fn draw(&self, area: &Area<'_>) -> Result<(), Box<dyn std::error::Error>> {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let range = |of: fn(&(f64, f64)) -> f64| {
            let least = points().map(of).fold(f64::INFINITY, f64::min);
            let most = points().map(of).fold(f64::NEG_INFINITY, f64::max);
            least..most.max(least + 1e-9)
        };
        let (across, up) = (range(|point| point.0), range(|point| point.1));
        let from_zero = 0.0..up.end * 1.1;
        match self.scales {
            Scales::Linear => self.draw_on(area, across, from_zero),
            Scales::LogarithmicAcross => self.draw_on(area, across.log_scale(), from_zero),
            Scales::Logarithmic => {
                let up = up.start * 0.8..up.end * 1.25;
                self.draw_on(area, across.log_scale(), up.log_scale())
            }
        }
    }

    fn draw_on<X, Y>(
        &self,
        area: &Area<'_>,
        across: X,
        up: Y,
    ) -> Result<(), Box<dyn std::error::Error>>
    where
        X: AsRangedCoord<Value = f64>,
        Y: AsRangedCoord<Value = f64>,
        X::CoordDescType: ValueFormatter<f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 16))
            .margin(10)
            .x_label_area_size(36)
            .y_label_area_size(64)
            .build_cartesian_2d(across, up)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc(self.across)
            .x_label_formatter(&|figure| short(*figure))
            .y_label_formatter(&|figure| short(*figure))
            .draw()?;
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let drawn = LineSeries::new(line.points.iter().copied(), colour.stroke_width(2));
            let sample = move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour);
            chart.draw_series(drawn.point_size(2))?.label(&line.name).legend(sample);
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .border_style(BLACK.mix(0.3))
            .background_style(WHITE.mix(0.8))
            .draw()?;
        Ok(())
    }
}

/// A figure for a scale.
fn short(figure: f64) -> String {
    match figure.abs() {
        large if large >= 1e6 => format!("{:.1}M", figure / 1e6),
        large if large >= 1e4 => format!("{:.0}k", figure / 1e3),
        large if large >= 10.0 => format!("{figure:.0}"),
        _ => format!("{}", (figure * 100.0).round() / 100.0),
    }
}
