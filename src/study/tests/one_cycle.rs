//! The schedules of the study `one-cycle`.

use crate::study::one_cycle::schedule;

#[test]
fn each_schedule_has_its_peak_and_its_last_rate() {
    // 240 steps are 24 epochs of 10 steps.
    for (arm, peak, last) in [
        ("one cycle", 49, 1e-3),
        ("constant", 0, 1e-2),
        ("step", 0, 1e-4),
        ("cosine", 0, 0.0),
        ("last rate / 100", 49, 1e-5),
        ("last rate / 1000", 49, 1e-6),
        ("curved", 49, 1e-3),
        ("curved, last rate / 100", 49, 1e-5),
        ("curved, last rate / 1000", 49, 1e-6),
        ("peak after 1 of 24", 9, 1e-3),
        ("peak after 12 of 24", 119, 1e-3),
    ] {
        let schedule = schedule(arm, 240);
        let rates: Vec<f64> = (0..240).map(|step| schedule.rate(step)).collect();
        assert!((rates[peak] - 0.01).abs() < 1e-12, "{arm}: {}", rates[peak]);
        assert!(rates.iter().all(|rate| *rate <= 0.01 + 1e-12), "{arm}");
        // The last step of the cosine is one step before 0.
        assert!((rates[239] - last).abs() < 1e-6, "{arm}: {}", rates[239]);
    }
}
