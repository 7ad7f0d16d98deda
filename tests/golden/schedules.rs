//! Schedules against PyTorch's schedulers. The host computes a schedule, so no device is used.

use wgrad::device::Device;
use wgrad::train::schedule::{Anneal, Cosine, MultiStep, OneCycle, Schedule};

use crate::case_file::CaseFile;
use crate::compare::Failures;
use crate::{RATE_TOLERANCE, SCHEDULE_TOLERANCE};

/// Compares the schedule of a `one_cycle` file.
pub fn one_cycle(file: &CaseFile, _: &Device) {
    let anneal = match file.attribute::<String>("anneal_strategy").as_str() {
        "linear" => Anneal::Linear,
        "cos" => Anneal::Cos,
        other => panic!("{}: anneals along {other}", file.name),
    };
    let schedule = OneCycle {
        max_lr: file.attribute("max_lr"),
        total_steps: file.attribute("total_steps"),
        pct_start: file.attribute("pct_start"),
        div_factor: file.attribute("div_factor"),
        final_div_factor: file.attribute("final_div_factor"),
        anneal,
        three_phase: file.attribute::<String>("three_phase") == "True",
    };
    compare(file, &schedule);
}

/// Compares the schedule of a `multi_step` file.
pub fn multi_step(file: &CaseFile, _: &Device) {
    let milestones = file.attribute::<String>("milestones");
    let milestones = milestones.split(',').map(|step| step.parse().expect("a step")).collect();
    let (max_lr, gamma) = (file.attribute("max_lr"), file.attribute("gamma"));
    compare(file, &MultiStep { max_lr, milestones, gamma });
}

/// Compares the schedule of a `cosine` file.
pub fn cosine(file: &CaseFile, _: &Device) {
    let schedule = Cosine {
        max_lr: file.attribute("max_lr"),
        min_lr: file.attribute("min_lr"),
        warmup_steps: file.attribute("warmup_steps"),
        total_steps: file.attribute("total_steps"),
    };
    compare(file, &schedule);
}

/// Compares every learning rate with PyTorch's.
fn compare(file: &CaseFile, schedule: &dyn Schedule) {
    let expected = file.tensor("lr_f64");
    let rates: Vec<f64> = (0..expected.shape[0]).map(|step| schedule.rate(step)).collect();
    let mut failures = Failures::default();
    failures.compare("lr", &expected.shape, &rates, &expected.f64(), SCHEDULE_TOLERANCE);
    // Each learning rate is also compared alone, because the small rates at the end hardly change the L2 norm of all
    // rates.
    for (step, (rate, expected)) in rates.iter().zip(expected.f64()).enumerate() {
        let what = format!("lr[{step}]");
        failures.compare(&what, &[], &[*rate], &[expected], RATE_TOLERANCE);
    }
    failures.finish(&file.name);
}
