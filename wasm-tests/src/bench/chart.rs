//! The picture: a bar for each variant.

use std::fmt::Write as _;

use super::rounds::{Measured, find};

const LEFT: f64 = 330.0;
const RIGHT: f64 = 760.0;
const ROW: f64 = 24.0;
const TOP: f64 = 44.0;

/// CPU time for a request as a multiple of that without a filter, as SVG. The
/// thin line on each bar is between the quartiles.
pub(super) fn draw(all: &[Measured]) -> String {
    let none = find(all, "none");
    let bars: Vec<_> = all
        .iter()
        .filter(|one| !one.is_stream() && !one.key.ends_with("_far"))
        .map(|one| (one, one.ratio(none)))
        .collect();
    let longest = bars.iter().map(|(_, ratio)| ratio.high).fold(1.0, f64::max);
    let x = |ratio: f64| LEFT + (RIGHT - LEFT) * ratio / longest;
    let mut rows = String::new();
    let mut y = TOP;
    for (one, ratio) in &bars {
        let colour = match one.key {
            key if key.starts_with("guard") => "#0b7a75",
            key if key.starts_with("none") => "#8a8a8a",
            _ => "#b9c4cc",
        };
        let middle = y + ROW / 2.0;
        // Writing to a string does not fail.
        let _ = writeln!(
            rows,
            "<text x=\"{name_x}\" y=\"{text_y:.1}\" text-anchor=\"end\">{name}</text>\
             <rect x=\"{LEFT}\" y=\"{bar_y:.1}\" width=\"{width:.1}\" height=\"16\" fill=\"{colour}\"/>\
             <path d=\"M{low:.1} {middle:.1}H{high:.1}\" stroke=\"#222\"/>\
             <text x=\"{value_x:.1}\" y=\"{text_y:.1}\">{value:.2}</text>",
            name_x = LEFT - 8.0,
            text_y = middle + 4.0,
            name = one.name,
            bar_y = y + 4.0,
            width = x(ratio.median) - LEFT,
            low = x(ratio.low),
            high = x(ratio.high),
            value_x = x(ratio.high) + 6.0,
            value = ratio.median,
        );
        y += ROW;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 820 {height:.0}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <rect width=\"820\" height=\"{height:.0}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-weight=\"bold\">CPU time of Envoy for a request, no filter = 1</text>\n\
         <path d=\"M{unit:.1} {TOP}V{y:.1}\" stroke=\"#8a8a8a\" stroke-dasharray=\"3 3\"/>\n\
         {rows}</svg>\n",
        height = y + 16.0,
        unit = x(1.0),
    )
}
