//! The profile as text.

use super::{Profile, Total};
use crate::base::choice::Choice;
use crate::base::sorting::sort_by;
use crate::device::Peaks;
use crate::measure::TimedWork;
use crate::measure::figures::{giga, percent};
use crate::tape::Phase;

/// The order of the nodes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Sort {
    /// In the order of the tape.
    #[default]
    Tape,
    /// By time, the longest first.
    Time,
}

impl Choice for Sort {
    const ALL: &'static [(Self, &'static str, &'static str)] =
        &[(Self::Tape, "tape", "Order of execution"), (Self::Time, "time", "Longest time first")];
}

/// Name of the reduction in the column of names.
const REDUCTION: &str = "reduction over ranks";

/// Returns the table as text: one line per node, then the totals, then the sum, the whole step and its wait for data. If
/// ranks share the step, the reduction has a line before the update.
pub fn table(profile: &Profile, sort: Sort) -> String {
    let mut text = head(profile);
    let name = profile.nodes.iter().map(|node| node.node.len()).max().unwrap_or(0);
    let columns = Columns { name, sum: profile.sum.timed.seconds, peak: profile.peak };
    text += &columns.titles("  #  node");
    let nodes = profile.nodes.iter();
    let mut rows: Vec<_> =
        nodes.map(|node| (node.phase, Some(node.ix), &*node.node, node.timed)).collect();
    if let Some(reduction) = profile.reduction {
        // The reduction has no number on the tape. It follows the partial sums.
        let row = (Phase::Reduce.name(), None, REDUCTION, seconds(reduction.seconds));
        let update = rows.iter().position(|row| row.0 == Phase::Update.name());
        rows.insert(update.unwrap_or(rows.len()), row);
    }
    if sort == Sort::Time {
        sort_by(&mut rows, |a, b| b.3.seconds.total_cmp(&a.3.seconds));
    }
    let mut phase = "";
    for (of_row, ix, name, timed) in rows {
        if sort == Sort::Tape && of_row != phase {
            phase = of_row;
            text += &format!("-- {phase}\n");
        }
        let ix = ix.map_or(String::new(), |ix| ix.to_string());
        text += &columns.line(&ix, name, timed);
    }
    for (title, totals) in
        [("phase", &profile.phases), ("layer", &profile.layers), ("op", &profile.ops)]
    {
        text += &format!("\n{}", columns.titles(&format!("  n  {title}")));
        let mut totals: Vec<&Total> = totals.iter().collect();
        if sort == Sort::Time {
            sort_by(&mut totals, |a, b| b.timed.seconds.total_cmp(&a.timed.seconds));
        }
        for total in totals {
            let name = if total.name.is_empty() { "(none)" } else { &total.name };
            text += &columns.line(&format!("{:>3}", total.n_nodes), name, total.timed);
        }
    }
    let sum = &profile.sum;
    text += &format!("\n{}", columns.titles("  n"));
    text += &columns.line(&format!("{:>3}", sum.n_nodes), "all nodes", sum.timed);
    text += &columns.line(
        "",
        "a whole step, by the host's clock",
        TimedWork { seconds: profile.step_seconds, ..sum.timed },
    );
    text += &columns.line("", "waiting for data", seconds(profile.wait_seconds));
    if let Some(reduction) = profile.reduction {
        text += &columns.line("", REDUCTION, seconds(reduction.seconds));
        text += &columns.line("", "of it, waiting for ranks", seconds(reduction.wait_seconds));
    }
    text
}

/// Returns a time without work.
fn seconds(seconds: f64) -> TimedWork {
    TimedWork { seconds, ..TimedWork::default() }
}

fn head(profile: &Profile) -> String {
    let Profile { device, network, width, batch_size, images, clock, n_steps, peak, .. } = profile;
    let s = if *n_steps == 1 { "" } else { "s" };
    format!(
        "device    {device}\n\
         step      {network}, width {width}, {batch_size} images\n\
         images    {images}\n\
         clock     {clock}\n\
         times     the median of {n_steps} step{s}\n\
         peak      {} GFLOP/s, {} GB/s\n\n",
        giga(peak.flops_per_s),
        giga(peak.bytes_per_s),
    )
}

/// The width of the column of names, and the values that stand for 100% in other columns.
struct Columns {
    /// Width of the column of names, in characters.
    name: usize,
    /// Time of all nodes, in seconds.
    sum: f64,
    peak: Peaks,
}

impl Columns {
    fn titles(&self, first: &str) -> String {
        let width = self.name + 5;
        format!(
            "{first:<width$}  {:>10}  {:>6}  {:>9} {:>6}  {:>8} {:>6}\n",
            "ms", "step", "GFLOP/s", "peak", "GB/s", "peak"
        )
    }

    fn line(&self, count: &str, name: &str, timed: TimedWork) -> String {
        let width = self.name;
        let rate = |rate: Option<f64>| rate.map_or("-".to_string(), giga);
        let share =
            |rate: Option<f64>, peak: f64| rate.map_or(String::new(), |rate| percent(rate / peak));
        let (flops, bytes) = (timed.flops_per_s(), timed.bytes_per_s());
        let line = format!(
            "{count:>3}  {name:<width$}  {:>10.3}  {:>6}  {:>9} {:>6}  {:>8} {:>6}",
            1e3 * timed.seconds,
            percent(timed.seconds / self.sum),
            rate(flops),
            share(flops, self.peak.flops_per_s),
            rate(bytes),
            share(bytes, self.peak.bytes_per_s),
        );
        format!("{}\n", line.trim_end())
    }
}
