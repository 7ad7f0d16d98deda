//! A peak after 5 of 24 epochs trains best, and annihilation of the rate to near zero gives no higher accuracy.
//!
//! The arms differ in the learning rate of each step alone. `docs/lessons/one_cycle.md` has the text.

use wgrad::base::chart::lines::{Chart, Kind, Series, Unit};
use wgrad::train::schedule::{Anneal, Constant, Cosine, MultiStep, OneCycle, Schedule};

use super::lab::arms;
use super::lab::{BAND, Training};
use super::{Lab, Page, Record, Study, Subject};

pub static STUDY: Study = Study {
    name: "one-cycle",
    claim: "a peak after 5 of 24 epochs trains best, and annihilation of the rate to near zero gives no higher accuracy",
    minutes: 2,
    subject: Subject::Network,
    text: include_str!("../../docs/lessons/one_cycle.md"),
    measure,
    show,
};

/// The highest learning rate of each arm.
const PEAK: f64 = 0.01;

/// The number of points of a schedule's chart.
const N_RATES: usize = 97;

/// An arm: its name and its schedule, as a change of the base. The base has straight lines, its peak after 5 of 24 epochs,
/// and a last rate of a tenth of the peak, which is its first rate too.
type Arm = (&'static str, fn(OneCycle) -> Box<dyn Schedule>);

const ARMS: [Arm; 11] = [
    ("one cycle", |base| Box::new(base)),
    ("constant", |base| Box::new(Constant { lr: base.max_lr })),
    ("step", |OneCycle { max_lr, total_steps, .. }| {
        let milestones = vec![total_steps / 2, total_steps * 3 / 4];
        Box::new(MultiStep { max_lr, milestones, gamma: 0.1 })
    }),
    ("cosine", |OneCycle { max_lr, total_steps, .. }| {
        Box::new(Cosine { max_lr, min_lr: 0.0, warmup_steps: 0, total_steps })
    }),
    ("last rate / 100", |base| Box::new(OneCycle { final_div_factor: 100.0, ..base })),
    ("last rate / 1000", |base| Box::new(OneCycle { final_div_factor: 1000.0, ..base })),
    ("curved", |base| Box::new(OneCycle { anneal: Anneal::Cos, ..base })),
    ("curved, last rate / 100", |base| {
        Box::new(OneCycle { anneal: Anneal::Cos, final_div_factor: 100.0, ..base })
    }),
    ("curved, last rate / 1000", |base| {
        Box::new(OneCycle { anneal: Anneal::Cos, final_div_factor: 1000.0, ..base })
    }),
    ("peak after 1 of 24", |base| Box::new(OneCycle { pct_start: 1.0 / 24.0, ..base })),
    ("peak after 12 of 24", |base| Box::new(OneCycle { pct_start: 12.0 / 24.0, ..base })),
];

/// Returns the names of the arms with these numbers.
fn names<const N: usize>(numbers: [usize; N]) -> [&'static str; N] {
    numbers.map(|ix| ARMS[ix].0)
}

/// Returns the schedule of an arm over a number of steps.
pub(super) fn schedule(name: &str, n_steps: usize) -> Box<dyn Schedule> {
    let of_name = ARMS.iter().find(|(arm, _)| *arm == name);
    let (_, change) = of_name.unwrap_or_else(|| panic!("{name}: no such arm"));
    change(OneCycle::linear(PEAK, n_steps))
}

fn training(lab: &Lab<'_>) -> Training {
    Training::adam(lab, lab.size([16, 2500, usize::MAX]), lab.size([2, 120, 24 * 97]), PEAK)
}

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    let n_steps = training(lab).n_steps;
    for (name, _) in ARMS {
        lab.measure(&format!("rates/{name}"), |_| {
            let schedule = schedule(name, n_steps);
            let at = |ix: usize| (n_steps - 1) * ix / (N_RATES - 1);
            let rates = (0..N_RATES).map(|ix| schedule.rate(at(ix))).collect();
            let steps = (0..N_RATES).map(|ix| at(ix) as f64).collect();
            Ok(vec![("steps", steps), ("rate", rates)])
        })?;
    }
    arms::measure(lab, &ARMS.map(|(name, _)| name), |lab, name| {
        let training = training(lab);
        Training { schedule: schedule(name, training.n_steps), ..training }
    })
}

fn show(record: &Record, page: &mut Page) {
    let (kinds, peaks) = (names([0, 1, 2, 3]), names([0, 9, 10]));
    let (straight, curved) = (names([0, 4, 5]), names([6, 7, 8]));
    for (heading, arms) in [
        ("Kinds of schedules", &kinds[..]),
        ("Last rates, with straight lines", &straight),
        ("Last rates, with half periods of the cosine", &curved),
        ("Places of the peak", &peaks),
    ] {
        page.chart(&rates(record, heading, arms), "The learning rate of each step.");
        let title = format!("{heading}: test error");
        page.chart(&arms::chart(record, arms, "test error", &title, "steps"), BAND);
    }
    let mut rows = Vec::new();
    for (name, _) in ARMS {
        let rates = record.get(&format!("rates/{name}/rate"));
        let errors = ["training error", "test error"].map(|what| record.last(name, what));
        let (Some(rates), [Some(train), Some(test)]) = (rates, errors) else { continue };
        page.figure(arms::figure(name, "test_error"), test.mean);
        let rate = rates.last().map_or(String::new(), |rate| format!("{rate:.1e}"));
        rows.push(vec![name.to_string(), rate, train.percent(), test.percent()]);
    }
    let columns = ["schedule", "last rate", "training error", "test error"];
    page.table("Errors at the end: mean, lowest and highest of the seeds", &columns, &rows);
    let claim =
        "one cycle gives a lower error than a constant rate, steps and the cosine at equal cost";
    arms::is_lowest(record, page, claim, &kinds);
    let claim = "a peak after 5 of 24 epochs gives a lower error than an earlier and a later one";
    arms::is_lowest(record, page, claim, &peaks);
    for (form, arms) in [("straight lines", &straight[..]), ("half periods of the cosine", &curved)]
    {
        let claim =
            format!("with {form}, a last rate near zero raises the accuracy by at most 2 points");
        arms::is_no_higher(record, page, &claim, arms);
    }
}

/// Returns a chart of the learning rates of some arms.
fn rates(record: &Record, heading: &str, arms: &[&str]) -> Chart {
    let series = arms.iter().enumerate().filter_map(|(style, arm)| {
        let [steps, rates] =
            ["steps", "rate"].map(|what| record.get(&format!("rates/{arm}/{what}")));
        let points = steps?.iter().copied().zip(rates?.iter().copied()).collect();
        Some(Series {
            name: arm.to_string(),
            points,
            style,
            kind: Kind::Computed,
            ..Series::default()
        })
    });
    Chart {
        title: format!("{heading}: learning rate"),
        x_label: "steps".to_string(),
        x_unit: Unit::Count,
        series: series.collect(),
        ..Chart::default()
    }
}
