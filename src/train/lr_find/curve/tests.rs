//! Tests of curves and suggestions, on synthetic losses.

use super::rules::valley;
use super::*;
use crate::train::lr_find::NoSlope;

/// Returns the curve of a sweep with the losses `loss(log10 of the learning rate)`. `start` is the mean loss before the
/// sweep.
fn curve(range: Range, start: f64, mut loss: impl FnMut(f64) -> f64) -> Curve {
    let mut curve = Curve::new(start);
    for ix in 0..range.n_steps {
        let rate = range.rate(ix);
        if !curve.push(rate, loss(rate.log10())) {
            break;
        }
    }
    curve
}

/// Returns a generator of noise with mean 0 and variance 1: each number is the sum of twelve uniform ones from -1/2 to
/// 1/2.
fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed + 1;
    let mut uniform = move || {
        // A linear congruential generator with Knuth's constants. Its high bits are random enough.
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f64 / (1u64 << 24) as f64 - 0.5
    };
    move || (0..12).map(|_| uniform()).sum()
}

/// Returns losses that fall by `height` between the learning rates 1e-4 and 1e-2, and rise at learning rates above 0.1.
fn fall(height: f64) -> impl Fn(f64) -> f64 {
    move |log| 2.4 - (log + 4.0).clamp(0.0, 2.0) / 2.0 * height + (log + 1.0).max(0.0) * 4.0
}

#[test]
fn learning_rates_reach_from_the_first_to_the_last() {
    let range = Range::default();
    let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-12, "{a} {b}");
    close(range.rate(0), 1e-7);
    close(range.rate(99), 10.0);
    close(range.rate(1) / range.rate(0), range.rate(51) / range.rate(50));
    let linear = Range { scale: Scale::Linear, n_steps: 11, start: 1.0, end: 2.0 };
    close(linear.rate(5), 1.5);
    assert!(range.check().is_ok());
    assert!(Range { start: 0.0, ..range }.check().is_err());
    assert!(Range { end: 1e-8, ..range }.check().is_err());
    assert!(Range { n_steps: 9, ..range }.check().is_err());
}

#[test]
fn the_smoothed_loss_is_corrected_for_its_start() {
    let mut curve = Curve::new(2.5);
    for _ in 0..3 {
        curve.push(1.0, 2.5);
    }
    assert!(curve.points().iter().all(|point| (point.smoothed - 2.5).abs() < 1e-12));
    curve.push(1.0, 0.0);
    let expected = 2.5 * (1.0 - 0.02 / (1.0 - 0.98f64.powi(4)));
    assert!((curve.points()[3].smoothed - expected).abs() < 1e-12);
}

#[test]
fn a_sweep_ends_when_the_loss_explodes_or_is_nan() {
    let explodes = curve(Range::default(), 2.0, |log| if log > -2.0 { 1e3 } else { 2.0 });
    let n = explodes.points().len();
    assert!((63..70).contains(&n), "{n}");
    assert!(explodes.read().suggestions.is_err());
    let is_nan = curve(Range::default(), 2.0, |log| if log > -2.0 { f64::NAN } else { 2.0 });
    assert!(is_nan.points().iter().all(|point| point.loss.is_finite()));
    assert!(matches!(is_nan.read().suggestions, Err(NoSlope::Level { .. })), "it never falls");
    let at_once = curve(Range::default(), 2.0, |log| if log > -6.5 { f64::NAN } else { 2.0 });
    assert_eq!(at_once.read().suggestions, Err(NoSlope::TooShort(7)));
}

#[test]
fn the_suggestions_lie_on_the_slope() {
    let reading = curve(Range::default(), 2.4, fall(1.0)).read();
    let found = reading.suggestions.expect("it falls");
    // A window ends at its point, so the slope lags behind the losses by a decade.
    assert!((5e-4..2e-2).contains(&found.steepest), "{found:?}");
    for rate in [found.minimum, found.valley] {
        assert!((1e-4..1e-1).contains(&rate), "{found:?}");
    }
    let (peak, middle) = (found.max_lr(Rule::Steepest), found.steepest);
    assert!((middle / (peak / 10.0) - peak / middle).abs() < 1e-9, "it is in the middle");
    assert_eq!(found.max_lr(Rule::Valley), found.valley);
    // The slope has neither the flat part of the curve before the fall nor the rise after the fall.
    let slope = reading.slope.expect("it falls");
    let rate = |ix: usize| Range::default().rate(ix);
    assert!((1e-4..3e-4).contains(&rate(*slope.start())), "{slope:?}");
    assert!((1e-2..1.0).contains(&rate(*slope.end())), "{slope:?}");
}

#[test]
fn noise_of_the_batches_does_not_move_the_suggestion() {
    let clean = curve(Range::default(), 2.4, fall(0.3)).read().suggestions.expect("it falls");
    for seed in 0..50 {
        let mut noise = noise(seed);
        // There are two kinds of noise. The noise of the batches, as with 16 images, is the same before and in the
        // sweep. The other noise grows as the network changes.
        let batches: Vec<_> = (0..100).map(|_| 0.3 * noise()).collect();
        let still = Still::new(batches.iter().map(|batch| 2.4 + batch).collect());
        let mut ix = 0;
        let curve = curve(Range::default(), still.mean(), |log| {
            let moved = ((log + 4.5) / 2.5).clamp(0.0, 1.0);
            let loss = fall(0.3)(log) + batches[ix] + 0.1 * moved * noise();
            ix += 1;
            still.cleared(ix - 1, loss)
        });
        let found = curve.read().suggestions.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        let ratio = found.steepest / clean.steepest;
        assert!((0.1..10.0).contains(&ratio), "seed {seed}: {found:?}, without noise {clean:?}");
    }
}

#[test]
fn a_loss_that_rises_from_the_start_has_no_slope() {
    let range = Range { start: 1e-2, ..Range::default() };
    let rises = curve(range, 2.4, |log| 2.4 + log + 2.0);
    assert_eq!(rises.read().suggestions, Err(NoSlope::Rises));
    // The loss falls again, but not below its value before the sweep.
    let returns = curve(range, 2.4, |log| 2.4 + 2.0 * (1.5 - (log + 0.5).abs()));
    assert_eq!(returns.read().suggestions, Err(NoSlope::Rises));
}

#[test]
fn noise_seldom_has_a_slope() {
    let by_chance = |seed: &u64| {
        let mut noise = noise(*seed);
        let curve = curve(Range::default(), 2.4, |_| 2.4 + 0.3 * noise());
        curve.read().suggestions.is_ok()
    };
    // A sweep has many windows, and the noise in each is only estimated. A few slopes are therefore significant by
    // chance.
    let n = (0..200).filter(by_chance).count();
    assert!(n <= 20, "{n} of 200 curves of noise have a slope");
}

#[test]
fn a_significant_but_tiny_fall_is_not_a_slope() {
    let curve = curve(Range { start: 1e-9, end: 1e-8, ..Range::default() }, 2.4, |log| {
        2.4 - 1e-3 * (log + 9.0)
    });
    let why = curve.read().suggestions.expect_err("a fall by a thousandth is not a slope");
    let NoSlope::Level { fall, needed } = why else { panic!("{why:?}") };
    assert!((fall - 1e-3).abs() < 1e-6 && (needed - 0.012).abs() < 1e-6, "{why:?}");
    assert!(why.to_string().contains("has no slope"), "{why}");
}

#[test]
fn a_fall_after_a_rise_does_not_count() {
    // Between 0.01 and 0.1 the loss rises by 3. Above 0.1 the loss falls to a lower value, ten times as steeply as
    // below 0.01.
    let loss = |log: f64| match log {
        ..-2.0 => fall(0.6)(log),
        ..-1.0 => 1.8 + 3.0 * (log + 2.0),
        _ => (4.8 - 3.0 * (log + 1.0)).max(0.4),
    };
    let found = curve(Range::default(), 2.4, loss).read().suggestions.expect("it falls");
    assert!((5e-4..2e-2).contains(&found.steepest), "{found:?}");
}

/// The rule is fastai's `valley`. The variable `lds` of its code has the lengths of the falling subsequences.
#[test]
fn the_valley_is_the_one_of_fastai() {
    let smoothed = [5.0, 4.0, 4.5, 3.0, 3.5, 2.0, 1.0, 1.5, 6.0, 7.0, 8.0, 9.0];
    let point = |(ix, &smoothed): (usize, &f64)| Point { rate: ix as f64, loss: 0.0, smoothed };
    let points: Vec<_> = smoothed.iter().enumerate().map(point).collect();
    // The longest falling subsequence, 5, 4, 3, 2, 1, has five points and ends at index 6. The valley therefore
    // starts at index 1. A third of 5 is rounded down to 1 and a sixth to 0, so the suggestion is at index 1 + 1 + 0.
    assert_eq!(valley(&points), 2.0);
}

#[test]
fn the_spread_is_the_ratio_of_the_peaks() {
    let rates = Suggestions { steepest: 1e-3, minimum: 1e-2, valley: 1e-4 };
    assert!((rates.spread() - 100.0).abs() < 1e-9);
    let peak_counts = Suggestions { steepest: 1e-3, minimum: 1e-3, valley: 1e-3 };
    assert!((peak_counts.spread() - 10f64.sqrt()).abs() < 1e-9);
}
