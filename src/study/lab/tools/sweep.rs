//! Sweeps over learning rates, as measurements of a record.

use std::collections::BTreeMap;

use wgrad::data::batches;
use wgrad::train::Trainer;
use wgrad::train::lr_find;
use wgrad::train::lr_find::curve::{Range, Rule};

use crate::study::lab::{Lab, Record, Stopped, Training};

/// The upper end of the learning rates at which [`noise`] is measured. Above it, a step changes the weights much.
const CALM: f64 = 1e-5;

/// The numbers of a measurement, with their names.
pub type Numbers = Vec<(&'static str, Vec<f64>)>;

/// Runs the finder of `wgrad lr-find` on all training images. Returns its curve, the ends of its slope, and the peak that
/// each rule suggests. A curve without a slope has neither ends nor peaks.
///
/// # Errors
/// [`Stopped`] if a signal has arrived. If there are too few images, or the device fails.
pub fn found(lab: &Lab<'_>, training: &Training, range: Range) -> anyhow::Result<Numbers> {
    training.n_batches()?;
    let Training { step, seed, .. } = training;
    let mut trainer = Trainer::new(lab.device, step, *seed)?;
    let (train, stop) = (lab.images.train(), || lab.is_stopped());
    let found = lr_find::sweep(&mut trainer, train, *seed, range, Rule::Steepest, &stop)?;
    let found = found.ok_or(Stopped)?;
    let points = found.curve.points();
    let mut numbers = vec![
        ("rates", points.iter().map(|point| point.rate).collect()),
        ("losses", points.iter().map(|point| point.loss).collect()),
        ("smoothed", points.iter().map(|point| point.smoothed).collect()),
    ];
    if let (Some(slope), Some(peaks)) = (&found.reading.slope, found.suggestions()) {
        numbers.push(("start", vec![points[*slope.start()].rate]));
        numbers.push(("end", vec![points[*slope.end()].rate]));
        numbers.push(("steepest", vec![peaks.max_lr(Rule::Steepest)]));
        numbers.push(("minimum", vec![peaks.max_lr(Rule::Minimum)]));
        numbers.push(("valley", vec![peaks.max_lr(Rule::Valley)]));
    }
    Ok(numbers)
}

/// Returns the losses of the steps of a sweep as they are. The finder subtracts from each of them the loss that the
/// untrained network has on the same batch, which removes most of the noise.
///
/// # Errors
/// As for [`found`].
pub fn losses(lab: &Lab<'_>, training: &Training, range: Range) -> anyhow::Result<Numbers> {
    training.n_batches()?;
    let Training { step, seed, .. } = training;
    let (train, batch_size) = (lab.images.train(), step.batch_size);
    let mut trainer = Trainer::new(lab.device, step, *seed)?;
    let (mut rates, mut losses, n_batches) = (Vec::new(), Vec::new(), train.len() / batch_size);
    for ix in 0..range.n_steps {
        lab.report(ix, range.n_steps)?;
        let (epoch, batch) = (ix / n_batches, ix % n_batches);
        let order = batches::epoch_order(*seed, epoch as u64, train.len());
        trainer.step(train, &order[batch * batch_size..][..batch_size], epoch, range.rate(ix))?;
        let metrics = trainer.state.drop_metrics()?;
        if metrics.not_finite {
            break;
        }
        rates.push(range.rate(ix));
        losses.push(metrics.loss());
    }
    Ok(vec![("rates", rates), ("losses", losses)])
}

/// Returns the noise of a curve at rates up to [`CALM`]: the root of the mean squared second difference of neighbouring
/// losses, over the square root of 6. For independent noise it is the standard deviation; a straight slope adds nothing.
/// None if fewer than three rates are so low.
fn noise(rates: &[f64], losses: &[f64]) -> Option<f64> {
    let n = rates.iter().take_while(|rate| **rate <= CALM).count();
    let n_squares = n.checked_sub(2).filter(|n| *n > 0)?;
    let squares = losses[..n].windows(3).map(|of| (of[0] - 2.0 * of[1] + of[2]).powi(2));
    Some((squares.sum::<f64>() / n_squares as f64 / 6.0).sqrt())
}

/// Returns the noise of the curve of a sweep for each seed, whose `rates` and `losses` the record has.
pub fn noises(record: &Record, sweep: &str) -> BTreeMap<u64, f64> {
    let [rates, losses] = ["rates", "losses"].map(|what| record.by_seed(sweep, what));
    let of_seed = |(seed, rates): (&u64, &&[f64])| Some((*seed, noise(rates, losses.get(seed)?)?));
    rates.iter().filter_map(of_seed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_is_the_standard_deviation_around_a_slope() {
        // A slope with an error of +-0.1 whose second difference has the mean square 6 · 0.1².
        let signs = [1.0, 1.0, -1.0, -1.0, 1.0, -1.0, 1.0, 1.0];
        let rates: Vec<f64> = (1..=8).map(|ix| 1e-6 * f64::from(ix)).collect();
        let slope = rates.iter().map(|rate| 3.0 - 5e4 * rate);
        let losses: Vec<f64> = slope.zip(signs).map(|(loss, sign)| loss + 0.1 * sign).collect();
        let squares = [4.0, 4.0, 4.0, 16.0, 16.0, 4.0].iter().sum::<f64>() / 6.0;
        let expected = 0.1 * (squares / 6.0_f64).sqrt();
        let found = noise(&rates, &losses).expect("a number");
        assert!((found - expected).abs() < 1e-12, "{found} and {expected}");
        // Rates above 1e-5 do not count.
        let (more, wild) = ([&rates[..], &[0.5]].concat(), [&losses[..], &[9.0]].concat());
        assert_eq!(noise(&more, &wild), Some(found));
        assert_eq!(noise(&rates[..2], &losses[..2]), None);
    }
}
