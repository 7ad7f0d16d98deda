//! Ranks that share the shards of a step: every number of ranks gives the bits of one.

mod common;
#[path = "common/ranks.rs"]
mod ranks;

use std::ops::Range;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use ranks::ranks;
use wgrad::data::batches::epoch_order;
use wgrad::data::shapes;
use wgrad::device::{Device, OpenOptions};
use wgrad::distributed::tree::carries;
use wgrad::distributed::{Ranks, Reduction, Sums, part};
use wgrad::measure::Effort;
use wgrad::nn::ResNet9;
use wgrad::ops::metrics::Metrics;
use wgrad::train::step::StepConfig;
use wgrad::train::{Snapshot, Trainer};

/// Returns the results of a shard: numbers whose sum rounds differently in each order.
fn results(shard: usize, n: usize) -> Vec<f32> {
    let number = |ix: usize| ((shard * 31 + ix * 7) as f32 * 0.37).sin();
    (0..n).map(|ix| number(ix) * 10_f32.powi(shard as i32 % 5)).collect()
}

/// Returns the sums that a rank finishes.
fn finished(n_shards: usize, part: Range<usize>, n: usize) -> Sums {
    let mut partials = vec![vec![0.0; n]; 8];
    let mut finished = Vec::new();
    for (shard, carry) in part.clone().zip(carries(n_shards, part)) {
        let mut sum = results(shard, n);
        for (level, partial) in partials.iter_mut().enumerate() {
            if (carry.added_levels >> level) & 1 == 1 {
                sum.iter_mut().zip(&*partial).for_each(|(sum, p)| *sum += p);
            }
            if (carry.stored_level >> level) & 1 == 1 {
                partial.clone_from(&sum);
            }
        }
        finished.extend(carry.finished.map(|shards| (shards, sum)));
    }
    finished
}

#[test]
fn the_sum_over_any_number_of_ranks_has_the_bits_of_one() {
    for (n_shards, n) in [(8, 37), (12, 5), (7, 64), (5, 3)] {
        let expected = finished(n_shards, 0..n_shards, n).remove(0).1;
        for n_ranks in 1..=n_shards {
            thread::scope(|scope| {
                for rank in ranks(n_ranks) {
                    let expected = &expected;
                    scope.spawn(move || {
                        let own = finished(n_shards, part(n_shards, rank.rank(), n_ranks), n);
                        let (mut total, mut reduction) = (vec![0.0; n], Reduction::default());
                        for _ in 0..2 {
                            reduction.sum(&rank, n_shards, &own, &mut total);
                            assert_eq!(&total, expected, "{n_ranks} ranks, {n_shards} shards");
                        }
                    });
                }
            });
        }
    }
}

/// Trains on a device for three steps, measures the running statistics of the averaged weights, and evaluates. Returns the
/// state and the metrics of training and evaluation.
fn train(
    device: &Device,
    n_shards: usize,
    rank: Option<Rc<dyn Ranks>>,
) -> (Snapshot, [Metrics; 2]) {
    let batch_size = 2 * n_shards;
    let mut config = StepConfig::new(ResNet9 { width: 4, classes: 10 }, batch_size);
    config.update.n_shards = n_shards;
    config.update.ema = Some(0.5);
    config.update.clip_grad_norm = Some(0.5);
    let mut trainer = Trainer::new(device, &config, 3).expect("a trainer");
    if let Some(rank) = rank {
        trainer.share(rank);
    }
    let (train, test) = (shapes::draw_train(0, 3 * batch_size), shapes::draw_test(0, 37));
    let order = epoch_order(1, 0, train.len());
    for images in order.chunks(batch_size) {
        trainer.step(&train, images, 0, 1e-2).expect("a step");
    }
    let trained = trainer.state.take_metrics().expect("metrics");
    assert!(trainer.update_statistics(&train, &order, 0, &|| false).expect("statistics"));
    let evaluated = trainer.evaluate(&test, &|| false).expect("evaluated").expect("not stopped");
    (trainer.state.snapshot().expect("a copy"), [trained, evaluated])
}

/// Returns loss sum and correct predictions of the first weights on `n` test images.
fn evaluate(n: usize, rank: Option<Rc<dyn Ranks>>) -> Metrics {
    let mut config = StepConfig::new(ResNet9 { width: 2, classes: 10 }, 96);
    config.update.n_shards = 3;
    let device = Device::cpu(OpenOptions::default());
    let mut trainer = Trainer::new(&device, &config, 3).expect("a trainer");
    if let Some(rank) = rank {
        trainer.share(rank);
    }
    let test = shapes::draw_test(0, n);
    trainer.evaluate(&test, &|| false).expect("evaluated").expect("not stopped")
}

#[test]
fn an_evaluation_on_any_number_of_ranks_has_the_bits_of_one() {
    for n in [1000, 997] {
        let expected = evaluate(n, None);
        assert_eq!(expected.n_images, n as f64);
        for n_ranks in [2, 3] {
            thread::scope(|scope| {
                for rank in ranks(n_ranks) {
                    scope.spawn(move || {
                        let got = evaluate(n, Some(Rc::new(rank)));
                        assert_eq!(got.loss_sum.to_bits(), expected.loss_sum.to_bits());
                        assert_eq!(got, expected, "{n} images on {n_ranks} ranks");
                    });
                }
            });
        }
    }
}

/// Trains on each number of ranks, each rank with a device of its own, and compares with `expected`.
fn has_the_bits_of(
    expected: &(Snapshot, [Metrics; 2]),
    open: fn() -> Device,
    n_shards: usize,
    numbers: &[usize],
) {
    for &n_ranks in numbers {
        thread::scope(|scope| {
            for rank in ranks(n_ranks) {
                scope.spawn(move || {
                    let got = train(&open(), n_shards, Some(Rc::new(rank)));
                    assert_eq!(&got.1, &expected.1, "{n_shards} shards, {n_ranks} ranks");
                    assert!(got.0 == expected.0, "{n_shards} shards, {n_ranks} ranks");
                });
            }
        });
    }
}

#[test]
fn training_on_any_number_of_ranks_has_the_bits_of_one() {
    let open = || Device::cpu(OpenOptions::default());
    for (n_shards, all) in [(8, &[2, 3, 8][..]), (12, &[5, 6])] {
        let expected = train(&open(), n_shards, None);
        assert_eq!(expected.1.map(|metrics| metrics.n_images), [6.0 * n_shards as f64, 37.0]);
        has_the_bits_of(&expected, open, n_shards, all);
    }
}

/// The flat buffers of the network are larger than the largest binding, so a kernel runs once for each of several
/// segments.
#[test]
fn ranks_with_state_above_one_binding_have_the_bits_of_one() {
    const LIMIT: u64 = 1 << 15;
    let whole = train(&common::open(OpenOptions::default()), 4, None);
    let bytes = size_of_val(&whole.0.buffers[0][..]) as u64;
    assert!(bytes > 3 * LIMIT, "{bytes} bytes");
    let open = || common::open(OpenOptions { max_segment: Some(LIMIT), ..OpenOptions::default() });
    has_the_bits_of(&whole, open, 4, &[1, 2, 3]);
}

/// Rank 1 needs ten times as long for a repetition as rank 0.
#[test]
fn ranks_repeat_a_measurement_as_often_as_the_first_one() {
    let effort = Effort { n: None, seconds: 0.2, bounds: [1, 1000] };
    let counts = thread::scope(|scope| {
        let repeat = |rank: ranks::Thread| {
            let pause = Duration::from_millis([1, 10][rank.rank()]);
            let measure = || {
                thread::sleep(pause);
                Ok(rank.of_first(rank.rank() as f64))
            };
            let done = effort.repeat(Some(&rank), &|| false, measure);
            done.expect("nothing fails").expect("not stopped")
        };
        let spawned: Vec<_> =
            ranks(2).into_iter().map(|rank| scope.spawn(move || repeat(rank))).collect();
        spawned.into_iter().map(|rank| rank.join().expect("no panic")).collect::<Vec<_>>()
    });
    assert_eq!(counts[0], counts[1], "equal numbers of repetitions");
    assert!(counts[0].iter().all(|&number| number == 0.0), "the number of the first rank");
}
