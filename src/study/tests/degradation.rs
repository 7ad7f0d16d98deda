//! The published schedule of the study `degradation`.

use crate::study::degradation::published;

#[test]
fn the_schedule_of_the_full_size_is_that_of_the_paper() {
    let schedule = published(64_000);
    for (step, rate) in
        [(0, 0.1), (31_999, 0.1), (32_000, 0.01), (47_999, 0.01), (48_000, 0.001), (63_999, 0.001)]
    {
        assert!((schedule.rate(step) - rate).abs() < 1e-12, "step {step}");
    }
}
