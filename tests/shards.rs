//! Steps that are divided into shards: the sum of their gradients, their metrics, memory and checkpoints.

mod common;

use common::open_gpu;
use wgrad::data::{Split, shapes};
use wgrad::device::gpu::ShaderLibrary;
use wgrad::device::{Device, OpenOptions};
use wgrad::distributed::tree::tree_sum;
use wgrad::kernel::Kernels;
use wgrad::nn::ResNet9;
use wgrad::ops::metrics::Metrics;
use wgrad::tape::StateBuffer;
use wgrad::train::step::StepConfig;
use wgrad::train::{StepError, Trainer};

const BATCH: usize = 48;
const RATE: f64 = 1e-3;

fn config(batch_size: usize, n_shards: usize) -> StepConfig {
    let mut config = StepConfig::new(ResNet9 { width: 4, classes: 10 }, batch_size);
    config.update.n_shards = n_shards;
    config
}

fn trainer(device: &Device, batch_size: usize, n_shards: usize) -> Trainer {
    Trainer::new(device, &config(batch_size, n_shards), 3).expect("a trainer")
}

fn cpu() -> Device {
    Device::cpu(OpenOptions::default())
}

fn images() -> (Split, Vec<u32>) {
    let split = shapes::draw_train(0, BATCH);
    let numbers = (0..BATCH as u32).rev().collect();
    (split, numbers)
}

/// The results of a step.
struct Results {
    gradients: Vec<f32>,
    statistics: Vec<f32>,
    metrics: Metrics,
}

/// Runs a step with the learning rate `lr`, and returns its results.
fn step(trainer: &mut Trainer, images: &[u32], lr: f64) -> Results {
    let (split, _) = self::images();
    trainer.step(&split, images, 0, lr).expect("a step");
    let [gradients, statistics] = [StateBuffer::Gradients, StateBuffer::BatchStatistics]
        .map(|buffer| trainer.state.session.read_state(buffer).expect("read"));
    Results { gradients, statistics, metrics: trainer.state.take_metrics().expect("metrics") }
}

/// Returns the sum of two buffers, element by element.
fn plus(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// Returns the norm of the difference divided by the norm of `expected`.
fn relative_error(expected: &[f32], got: &[f32]) -> f64 {
    let difference = expected.iter().zip(got).map(|(&e, &g)| (f64::from(g) - f64::from(e)).powi(2));
    let norm = expected.iter().map(|&e| f64::from(e).powi(2));
    (difference.sum::<f64>() / norm.sum::<f64>()).sqrt()
}

/// Compares a step over shards with the steps on its shards alone, added in the tree on the host. If the number of shards
/// is a power of two, all bits are equal: the division of the loss by it is exact.
#[test]
fn a_step_adds_the_results_of_its_shards_in_a_tree() {
    let (_, numbers) = images();
    for n_shards in [2, 3, 4, 6, 8, 12, 16] {
        let size = BATCH / n_shards;
        let mut alone = trainer(&cpu(), size, 1);
        let parts: Vec<_> =
            numbers.chunks(size).map(|images| step(&mut alone, images, 0.0)).collect();
        let sum = |of: fn(&Results) -> &Vec<f32>| {
            let leaves: Vec<_> = parts.iter().map(|part| of(part).clone()).collect();
            tree_sum(&leaves, &|a: Vec<f32>, b: Vec<f32>| plus(&a, &b)).expect("a shard")
        };
        let gradients = sum(|part| &part.gradients);
        let mean: Vec<f32> = gradients.iter().map(|sum| sum / n_shards as f32).collect();
        let statistics = sum(|part| &part.statistics);
        let Results { gradients: got, statistics: got_statistics, metrics } =
            step(&mut trainer(&cpu(), BATCH, n_shards), &numbers, 0.0);
        let error = relative_error(&mean, &got);
        if n_shards.is_power_of_two() {
            assert_eq!(got, mean, "{n_shards} shards: the gradients differ by {error:e}");
        }
        // f32 rounds the factor 1 / S and each product with it.
        assert!(error < 1e-6, "{n_shards} shards: the gradients differ by {error:e}");
        assert_eq!(got_statistics, statistics, "{n_shards} shards");
        let sums = parts.iter().fold(Metrics::default(), |sum, part| sum.plus(&part.metrics));
        assert_eq!((metrics.n_images, metrics.n_correct), (sums.n_images, sums.n_correct));
        let loss_error = (metrics.loss_sum / sums.loss_sum - 1.0).abs();
        assert!(loss_error < 1e-6, "{n_shards} shards: the losses differ by {loss_error:e}");
    }
}

/// The shards of a step share the transforms of weights for Winograd's algorithm. After an update, or after the host has
/// written the parameters, a step has the gradients of a new session with the same parameters.
#[test]
fn transforms_of_weights_are_those_of_the_present_parameters() {
    let numbers = [5, 2, 7, 1];
    let mut config = StepConfig::new(ResNet9 { width: 64, classes: 10 }, numbers.len());
    config.update.n_shards = 2;
    let new = |config: &StepConfig| Trainer::new(&cpu(), config, 3).expect("a trainer");
    let gradients = |trainer: &mut Trainer, lr| step(trainer, &numbers, lr).gradients;
    let from = |parameters: &[f32]| {
        let mut trainer = new(&config);
        trainer.state.session.write_state(StateBuffer::Parameters, parameters).expect("write");
        gradients(&mut trainer, 0.0)
    };

    let mut trainer = new(&config);
    let first = gradients(&mut trainer, RATE);
    let session = &mut trainer.state.session;
    let mut parameters = session.read_state(StateBuffer::Parameters).expect("read");
    assert_eq!(gradients(&mut trainer, 0.0), from(&parameters), "after an update");
    parameters.iter_mut().for_each(|parameter| *parameter *= 0.5);
    trainer.state.session.write_state(StateBuffer::Parameters, &parameters).expect("write");
    assert_eq!(gradients(&mut trainer, 0.0), from(&parameters), "after a write");

    config.update.fusion.winograd = false;
    assert_ne!(gradients(&mut new(&config), RATE), first, "the algorithm is used");
}

/// The running statistics take the mean over the shards once, with the momentum of one batch.
#[test]
fn running_statistics_take_the_mean_over_the_shards() {
    let (_, numbers) = images();
    let mut trainer = trainer(&cpu(), BATCH, 4);
    let read = |trainer: &mut Trainer| {
        trainer.state.session.read_state(StateBuffer::RunningStatistics).expect("read")
    };
    let before = read(&mut trainer);
    let Results { statistics: sums, .. } = step(&mut trainer, &numbers, 0.0);
    let after = read(&mut trainer);
    for ((before, sum), after) in before.iter().zip(&sums).zip(&after) {
        let expected = 0.9 * before + 0.1 * (0.25 * sum);
        assert!((after - expected).abs() <= 1e-6 * expected.abs(), "{after}, not {expected}");
    }
}

/// The bound on the relative L2 error of gradients is that of `network_gpu_vs_cpu`: of a step in which a ReLU or a max pool
/// decides differently.
#[test]
fn the_gpu_agrees_with_the_cpu() {
    let (_, numbers) = images();
    let gpu = open_gpu(Kernels::Default, ShaderLibrary::default());
    for n_shards in [3, 4] {
        let [expected, got] = [&cpu(), &gpu]
            .map(|device| step(&mut trainer(device, BATCH, n_shards), &numbers, RATE));
        let errors = [
            relative_error(&expected.gradients, &got.gradients),
            relative_error(&expected.statistics, &got.statistics),
        ];
        println!("{n_shards} shards: gradients, statistics off by {errors:?}");
        assert!(errors[0] <= 2e-2 && errors[1] <= 1e-5, "{n_shards} shards: {errors:?}");
        let error = (got.metrics.loss() / expected.metrics.loss() - 1.0).abs();
        assert!(error <= 2e-6, "{n_shards} shards: the loss is off by {error:e}");
    }
}

#[test]
fn a_step_over_shards_takes_the_memory_of_a_shard_and_of_the_partial_sums() {
    let bytes = |batch_size, n_shards| {
        let trainer = trainer(&cpu(), batch_size, n_shards);
        let layout = &trainer.state.layout;
        let partial = (0..StateBuffer::N_PARTIAL).map(StateBuffer::Partial);
        let added = partial.chain([StateBuffer::StepMetrics]);
        let added: usize = added.map(|buffer| 4 * layout.n_elements(buffer)).sum();
        let gradients = 4 * layout.n_elements(StateBuffer::Gradients);
        (trainer.planned_bytes(), added as u64, gradients as u64)
    };
    let (alone, none, _) = bytes(6, 1);
    let (divided, partial, gradients) = bytes(48, 8);
    assert_eq!(none, 0);
    assert!(partial > 3 * gradients && partial < 4 * gradients, "three sums: {partial} bytes");
    // The update has the inputs of the step, too: images, labels, numbers, table.
    let inputs = divided - alone - partial;
    assert!(inputs < 6 * 3 * 32 * 32 + 4096 * 2, "{inputs} bytes");
    assert!(divided < bytes(48, 1).0 / 2, "{divided} bytes");
}

#[test]
fn evaluation_does_not_depend_on_the_shards() {
    let test = shapes::draw_test(0, 101);
    let evaluated = [1, 2, 8].map(|n_shards| {
        let mut trainer = trainer(&cpu(), BATCH, n_shards);
        trainer.evaluate(&test, &|| false).expect("evaluated").expect("not stopped")
    });
    for metrics in evaluated {
        assert_eq!(metrics.n_images, 101.0);
        assert_eq!(metrics.n_correct, evaluated[0].n_correct);
        assert!((metrics.loss() / evaluated[0].loss() - 1.0).abs() < 1e-6, "{}", metrics.loss());
    }
}

/// A number that is not finite in one shard stops the update of all.
#[test]
fn a_shard_that_is_not_finite_stops_the_step() {
    let (_, numbers) = images();
    let mut trainer = trainer(&cpu(), BATCH, 4);
    step(&mut trainer, &numbers, RATE);
    let mut parameters = trainer.state.session.read_state(StateBuffer::Parameters).expect("read");
    let good = parameters.clone();
    parameters[0] = f32::INFINITY;
    trainer.state.session.write_state(StateBuffer::Parameters, &parameters).expect("written");
    let (split, _) = images();
    trainer.step(&split, &numbers, 0, RATE).expect("a step");
    let error = trainer.state.take_metrics().expect_err("not finite");
    assert!(matches!(error, wgrad::Error::Step(StepError::NotFinite { .. })), "{error}");
    let after = trainer.state.session.read_state(StateBuffer::Parameters).expect("read");
    assert_eq!(after, parameters, "no parameter changes");
    // The next step is right again.
    trainer.state.session.write_state(StateBuffer::Parameters, &good).expect("written");
    assert!(step(&mut trainer, &numbers, RATE).metrics.loss().is_finite());
}
