//! The charts of `report.html`, in their order: a chart is a function to markup, and a line of [`CHARTS`].
use super::charts;
use super::timeline;
use crate::experiment::summary::Summary;
use Place::{Half, Middle, Whole};

/// A chart of the report.
struct Chart {
    place: Place,
    heading: &'static str,
    caption: &'static str,
    /// The chart as markup; `None` where the summary has nothing to show in it.
    draw: Draw,
}

type Draw = fn(&Summary) -> Option<String>;

impl Chart {
    const fn new(place: Place, heading: &'static str, caption: &'static str, draw: Draw) -> Chart {
        Chart { place, heading, caption, draw }
    }
}

/// How much of the page's width a chart has.
#[derive(PartialEq, Eq)]
enum Place {
    /// Half, beside its neighbour.
    Half,
    /// A middle part, alone.
    Middle,
    /// All, with heading and caption of its own.
    Whole,
}

const CHARTS: [Chart; 4] = [
    Chart::new(Half, "Cost against tail latency", COST, |s| Some(charts::scatter(&s.policies))),
    Chart::new(Half, "End-to-end latency", CDF, |s| Some(charts::cdf(&s.policies))),
    Chart::new(Middle, "Cost against quality", QUALITY, |s| charts::quality_scatter(&s.policies)),
    Chart::new(Whole, "", "", timeline::section),
];

const COST: &str = "Lower left is better; a hollow dot is overloaded, † dropped work.";
const CDF: &str = "Share of completed requests answered within a time; further left is better.";
const QUALITY: &str = "Lower right is better: what a month costs, and the share of completed requests whose answer is above \
                       the bar; a hollow dot is overloaded, † dropped work.";

/// All charts that have something to show, as markup.
pub fn charts_of(summary: &Summary) -> String {
    let mut out = String::new();
    let drawn = CHARTS.iter().filter_map(|chart| Some((chart, (chart.draw)(summary)?)));
    let mut beside = false;
    for (chart, markup) in drawn {
        let half = chart.place == Place::Half;
        if half != beside {
            out.push_str(if half { "<div class=\"two\">\n" } else { "</div>\n" });
        }
        beside = half;
        let width = if chart.place == Place::Middle { " style=\"max-width:560px\"" } else { "" };
        out.push_str(&match chart.place {
            Place::Whole => markup,
            _ => format!(
                "<section><figure{width}><h2>{}</h2><figcaption>{}</figcaption>\n{markup}</figure></section>\n",
                chart.heading, chart.caption
            ),
        });
    }
    if beside {
        out.push_str("</div>\n");
    }
    out
}
