//! The coverage of a sweep in the study `lr-finder`.

use wgrad::train::lr_find::curve::{Range, Scale};

use crate::study::Record;
use crate::study::lr_finder::on_slope;

#[test]
fn a_logarithmic_sweep_has_more_steps_on_a_slope_at_low_rates() {
    let mut record = Record::default();
    for (name, scale) in [("log", Scale::Log), ("linear", Scale::Linear)] {
        let range = Range { scale, n_steps: 81, ..Range::default() };
        for seed in 0..2 {
            let rates = (0..81).map(|ix| range.rate(ix)).collect();
            record.insert(format!("{name}/seed {seed}/rates"), rates);
        }
    }
    // Ten steps are a decade. The sweep of the second seed has no slope, and does not count.
    record.insert("log/seed 0/start".to_string(), vec![0.9e-5]);
    record.insert("log/seed 0/end".to_string(), vec![1.1e-2]);
    assert_eq!(on_slope(&record, "log"), [(0, 31.0)].into());
    assert_eq!(on_slope(&record, "linear"), [(0, 0.0)].into());
}
