//! The outage by scenario as a picture: ours beside theirs, on a logarithmic scale.

use super::product::Peer;
use super::run::Sample;
use super::scenario::{ALL, Scenario};
use super::stats::Spread;
use plotters::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;

const WIDTH: u32 = 1000;
const ROW: u32 = 74;
/// What is drawn for a silence that the probe does not resolve, and for one that never ended.
const SHORTEST: f64 = 1.0;
const LONGEST: f64 = 100_000.0;

/// Draws the medians of the client's silence into an SVG file.
///
/// # Errors
/// The file cannot be written.
pub fn plot(samples: &[Sample], path: &Path) -> Result<(), String> {
    draw(samples, path).map_err(|e| format!("draw {}: {e}", path.display()))
}

fn draw(samples: &[Sample], path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let peers: BTreeSet<Peer> = samples.iter().map(|s| s.peer).collect();
    let shown: Vec<Scenario> = ALL
        .into_iter()
        // These two are about two answering nodes: the client notices nothing.
        .filter(|s| !matches!(s, Scenario::Hang | Scenario::Partition))
        .filter(|s| samples.iter().any(|x| x.scenario == Some(*s)))
        .collect();
    let height = ROW * u32::try_from(shown.len())? + 110;
    let root = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let rows = shown.len() as f64;
    let mut chart = ChartBuilder::on(&root)
        .caption("Silence of an address as the client sees it (median, ms, logarithmic)", ("sans-serif", 20))
        .margin(14)
        .x_label_area_size(34)
        .y_label_area_size(250)
        .build_cartesian_2d((SHORTEST..LONGEST).log_scale(), 0.0..rows)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(0)
        .x_label_formatter(&|ms| {
            if *ms < 1000.0 { format!("{ms:.0} ms") } else { format!("{:.0} s", ms / 1e3) }
        })
        .draw()?;
    let thick = 0.8 / peers.len() as f64;
    for (k, peer) in peers.iter().enumerate() {
        let color = color(*peer);
        let bars = shown.iter().enumerate().filter_map(|(i, scenario)| {
            let of: Vec<&Sample> =
                samples.iter().filter(|s| s.peer == *peer && s.scenario == Some(*scenario)).collect();
            let gaps: Vec<f64> = of.iter().filter_map(|s| s.gap).collect();
            let value = match Spread::of(&gaps) {
                Some(s) => s.median,
                None if of.is_empty() => return None,
                None => LONGEST,
            };
            let top = rows - i as f64 - 0.1 - k as f64 * thick;
            let value = value.clamp(SHORTEST * 1.03, LONGEST);
            Some(Rectangle::new([(SHORTEST, top - thick * 0.92), (value, top)], color.filled()))
        });
        chart
            .draw_series(bars)?
            .label(peer.title())
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 14, y + 5)], color.filled()));
    }
    for (i, scenario) in shown.iter().enumerate() {
        let y = chart.backend_coord(&(SHORTEST, rows - i as f64 - 0.5)).1;
        root.draw(&Text::new(scenario.title().replace('`', ""), (14, y - 7), ("sans-serif", 15)))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.4))
        .label_font(("sans-serif", 15))
        .draw()?;
    root.present()?;
    Ok(())
}

fn color(peer: Peer) -> RGBColor {
    match peer {
        Peer::Ours => RGBColor(0, 110, 60),
        Peer::OursFast => RGBColor(80, 180, 110),
        Peer::OursQuorum => RGBColor(150, 210, 160),
        Peer::Ctdb => RGBColor(190, 60, 50),
        Peer::Keepalived => RGBColor(70, 100, 170),
        Peer::KeepalivedFast => RGBColor(150, 170, 215),
    }
}
