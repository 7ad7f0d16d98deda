//! Tests of the curve and of what is read off it, on losses that are made up.

use super::rules::valley;
use super::*;
use crate::train::lr_find::NoSlope;

/// A sweep whose losses are `loss(log10 of the rate)`, from a network whose loss is `start`.
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

/// Noise of about one standard deviation: the sum of twelve numbers from -1/2 to 1/2, from a generator of its own
/// for each seed.
fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed + 1;
    let mut uniform = move || {
        // Knuth's multiplier and increment; the high bits are the random ones.
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f64 / (1u64 << 24) as f64 - 0.5
    };
    move || (0..12).map(|_| uniform()).sum()
}

/// A fall by `height` between the rates 1e-4 and 1e-2, and a rise behind 0.1.
fn fall(height: f64) -> impl Fn(f64) -> f64 {
    move |log| 2.4 - (log + 4.0).clamp(0.0, 2.0) / 2.0 * height + (log + 1.0).max(0.0) * 4.0
}

#[test]
fn rates_go_from_the_first_to_the_last() {
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
fn the_mean_is_corrected_for_its_start() {
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
fn a_sweep_ends_when_the_loss_explodes_or_is_no_number() {
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
    // The window trails the losses by a decade.
    assert!((5e-4..2e-2).contains(&found.steepest), "{found:?}");
    for rate in [found.minimum, found.valley] {
        assert!((1e-4..1e-1).contains(&rate), "{found:?}");
    }
    let (peak, middle) = (found.max_lr(Rule::Steepest), found.steepest);
    assert!((middle / (peak / 10.0) - peak / middle).abs() < 1e-9, "it is in the middle");
    assert_eq!(found.max_lr(Rule::Valley), found.valley);
    // What is flat before and what rises behind are left out.
    let slope = reading.slope.expect("it falls");
    let rate = |ix: usize| Range::default().rate(ix);
    assert!((1e-4..3e-4).contains(&rate(*slope.start())), "{slope:?}");
    assert!((1e-2..1.0).contains(&rate(*slope.end())), "{slope:?}");
}

#[test]
fn noise_of_the_batches_moves_no_suggestion() {
    let clean = curve(Range::default(), 2.4, fall(0.3)).read().suggestions.expect("it falls");
    for seed in 0..50 {
        let mut noise = noise(seed);
        // The noise of a batch of 16, in both losses; and a noise that grows as the network leaves its start.
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
fn a_loss_that_rises_from_the_first_rates_on_is_told_apart() {
    let range = Range { start: 1e-2, ..Range::default() };
    let rises = curve(range, 2.4, |log| 2.4 + log + 2.0);
    assert_eq!(rises.read().suggestions, Err(NoSlope::Rises));
    // It comes back, but not below its start.
    let returns = curve(range, 2.4, |log| 2.4 + 2.0 * (1.5 - (log + 0.5).abs()));
    assert_eq!(returns.read().suggestions, Err(NoSlope::Rises));
}

#[test]
fn noise_that_was_not_cleared_is_no_slope() {
    let by_chance = |seed: &u64| {
        let mut noise = noise(*seed);
        let curve = curve(Range::default(), 2.4, |_| 2.4 + 0.3 * noise());
        curve.read().suggestions.is_ok()
    };
    // Windows overlap, and their noise is estimated: some slopes are there by chance.
    let n = (0..200).filter(by_chance).count();
    assert!(n <= 20, "{n} of 200 curves of noise have a slope");
}

#[test]
fn a_fall_that_is_sure_and_tiny_is_no_slope() {
    let curve = curve(Range { start: 1e-9, end: 1e-8, ..Range::default() }, 2.4, |log| {
        2.4 - 1e-3 * (log + 9.0)
    });
    let why = curve.read().suggestions.expect_err("a thousandth is nothing");
    let NoSlope::Level { fall, needed } = why else { panic!("{why:?}") };
    assert!((fall - 1e-3).abs() < 1e-6 && (needed - 0.012).abs() < 1e-6, "{why:?}");
    assert!(why.to_string().contains("has no slope"), "{why}");
}

#[test]
fn a_dip_behind_a_bump_is_not_the_steepest() {
    // Between 0.01 and 0.1 the loss rises by 3, and then it falls further and ten times as steeply as before.
    let loss = |log: f64| match log {
        ..-2.0 => fall(0.6)(log),
        ..-1.0 => 1.8 + 3.0 * (log + 2.0),
        _ => (4.8 - 3.0 * (log + 1.0)).max(0.4),
    };
    let found = curve(Range::default(), 2.4, loss).read().suggestions.expect("it falls");
    assert!((5e-4..2e-2).contains(&found.steepest), "{found:?}");
}

/// fastai's rule in its own words: `lds` is what its code calls the lengths.
#[test]
fn the_valley_is_fastais() {
    let smoothed = [5.0, 4.0, 4.5, 3.0, 3.5, 2.0, 1.0, 1.5, 6.0, 7.0, 8.0, 9.0];
    let point = |(ix, &smoothed): (usize, &f64)| Point { rate: ix as f64, loss: 0.0, smoothed };
    let points: Vec<_> = smoothed.iter().enumerate().map(point).collect();
    // 5, 4.5, 3.5, 2, 1 (or 5, 4, 3, 2, 1): five points that end at the sixth; a third of 5 is 1.67.
    assert_eq!(valley(&points), 2.0);
}

#[test]
fn rules_that_differ_have_a_spread() {
    let rates = Suggestions { steepest: 1e-3, minimum: 1e-2, valley: 1e-4 };
    assert!((rates.spread() - 100.0).abs() < 1e-9);
    let peak_counts = Suggestions { steepest: 1e-3, minimum: 1e-3, valley: 1e-3 };
    assert!((peak_counts.spread() - 10f64.sqrt()).abs() < 1e-9);
}
