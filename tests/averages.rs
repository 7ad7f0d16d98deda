//! The moving average of the weights: evaluation and the saved file use the average, training continues with the
//! weights themselves, and a training state holds both.

mod common;

use common::open_gpu;
use wgrad::data::shapes;
use wgrad::device::gpu::ShaderLibrary;
use wgrad::device::{Device, OpenOptions};
use wgrad::kernel::Kernels;
use wgrad::nn::{ResNet9, Weights};
use wgrad::ops::augment::ColorJitter;
use wgrad::tape::StateBuffer;
use wgrad::train::step::{StepConfig, training};
use wgrad::train::{Evaluator, Trainer};

const BATCH_SIZE: usize = 8;

fn config(ema: Option<f64>) -> StepConfig {
    let mut config = StepConfig::new(ResNet9 { width: 4, classes: 10 }, BATCH_SIZE);
    config.update.ema = ema;
    config.update.clip_grad_norm = Some(0.5);
    config.jitter = ColorJitter { brightness: 0.2, contrast: 0.2, saturation: 0.2 };
    config
}

fn devices() -> [Device; 2] {
    let gpu = open_gpu(Kernels::Default, ShaderLibrary::default());
    [Device::cpu(OpenOptions::default()), gpu]
}

fn train(trainer: &mut Trainer, steps: std::ops::Range<usize>) {
    let split = shapes::draw_train(0, 4 * BATCH_SIZE);
    for step in steps {
        let first = step % 4 * BATCH_SIZE;
        let images: Vec<u32> = (first..first + BATCH_SIZE).map(|ix| ix as u32).collect();
        trainer.step(&split, &images, step / 4, 0.01).expect("a step");
    }
}

fn parameters(trainer: &mut Trainer) -> Vec<f32> {
    trainer.state.session.read_state(StateBuffer::Parameters).expect("readable")
}

#[test]
fn the_average_does_not_change_training() {
    for device in devices() {
        let [plain, averaged] = [None, Some(0.9)].map(|ema| {
            let mut trainer = Trainer::new(&device, &config(ema), 1).expect("a trainer");
            train(&mut trainer, 0..3);
            (parameters(&mut trainer), trainer.state.weights().expect("weights"))
        });
        assert!(plain.0 == averaged.0, "on {}", device.name());
        assert!(plain.0 == plain.1.parameters, "without an average, the file has the weights");
        assert!(averaged.0 != averaged.1.parameters, "with an average, the file has the average");
        assert!(
            plain.1.running_statistics == averaged.1.running_statistics,
            "both files have the running statistics"
        );
    }
}

/// `train` evaluates the weights after an epoch, and `eval` evaluates the file of that epoch. Both get the same results
/// on the test images.
#[test]
fn the_saved_weights_are_the_evaluated_weights() {
    for device in devices() {
        let mut trainer = Trainer::new(&device, &config(Some(0.5)), 1).expect("a trainer");
        train(&mut trainer, 0..5);
        trainer.state.take_metrics().expect("metrics");
        let test = shapes::draw_test(0, 3 * BATCH_SIZE);
        let of_training = trainer.evaluate(&test, &|| false).expect("an evaluation");
        let weights = trainer.state.weights().expect("weights");

        let loss_of = |weights: &Weights| {
            let mut evaluator = Evaluator::new(&device, &config(None)).expect("an evaluator");
            evaluator.set_weights(weights).expect("written");
            evaluator.evaluate(&test, &|| false).expect("an evaluation")
        };
        assert_eq!(of_training, loss_of(&weights), "on {}", device.name());
        let plain = Weights { parameters: parameters(&mut trainer), ..weights };
        assert_ne!(of_training, loss_of(&plain), "on {}", device.name());
    }
}

#[test]
fn a_training_state_holds_the_weights_and_their_average() {
    for device in devices() {
        let new = || Trainer::new(&device, &config(Some(0.9)), 1).expect("a trainer");
        // The comparison includes the weights, so a snapshot without them fails.
        let state = |trainer: &mut Trainer| {
            (
                trainer.state.snapshot().expect("a snapshot"),
                trainer.state.weights().expect("weights"),
            )
        };
        let mut straight = new();
        train(&mut straight, 0..2);
        let halfway = state(&mut straight);
        train(&mut straight, 2..5);
        // A new trainer continues from the snapshot. The first trainer goes back to the snapshot and repeats the steps.
        let mut resumed = new();
        resumed.state.restore(&halfway.0).expect("restored");
        train(&mut resumed, 2..5);
        let end = state(&mut straight);
        assert!(state(&mut resumed) == end, "on {}: other bits", device.name());
        straight.state.restore(&halfway.0).expect("restored");
        assert!(state(&mut straight) == halfway, "on {}", device.name());
        train(&mut straight, 2..5);
        assert!(state(&mut straight) == end, "on {}", device.name());
    }
}

/// The running statistics of the averaged weights are those of PyTorch's `update_bn`: the means of the batch statistics
/// over the batches. The test computes them with a trainer whose weights are the average and whose learning rate is 0.
#[test]
fn averaged_weights_get_their_own_statistics() {
    let split = shapes::draw_train(0, 4 * BATCH_SIZE);
    // The last images do not fill a batch.
    let images: Vec<u32> = (0..3 * BATCH_SIZE as u32 + 5).rev().collect();
    for device in devices() {
        let mut trainer = Trainer::new(&device, &config(Some(0.9)), 1).expect("a trainer");
        train(&mut trainer, 0..6);
        let before = trainer.state.weights().expect("weights");
        let trained = parameters(&mut trainer);
        assert!(!trainer.update_statistics(&split, &images, 3, &|| true).expect("interrupted"));
        assert!(
            trainer.state.weights().expect("weights") == before,
            "an interrupted update changes nothing"
        );
        assert!(trainer.update_statistics(&split, &images, 3, &|| false).expect("statistics"));
        let after = trainer.state.weights().expect("weights");
        assert!(
            after.parameters == before.parameters
                && after.running_statistics != before.running_statistics
        );
        assert!(parameters(&mut trainer) == trained, "on {}", device.name());

        // The same seed gives the same augmentation.
        let mut other = Trainer::new(&device, &config(None), 1).expect("a trainer");
        let mut sums = vec![0.0; after.running_statistics.len()];
        for batch in images.chunks_exact(BATCH_SIZE) {
            other
                .state
                .session
                .write_state(StateBuffer::Parameters, &before.parameters)
                .expect("written");
            other.step(&split, batch, 3, 0.0).expect("a step");
            let of_batch =
                other.state.session.read_state(StateBuffer::BatchStatistics).expect("readable");
            sums.iter_mut().zip(of_batch).for_each(|(sum, value)| *sum += f64::from(value));
        }
        for (&got, sum) in after.running_statistics.iter().zip(sums) {
            let expected = sum / 3.0;
            let error = (f64::from(got) - expected).abs();
            assert!(error <= 1e-5 * expected.abs().max(1.0), "{got} and {expected}");
        }
    }
}

/// The running statistics of training belong to the latest weights. A slow average is far from these weights, so its
/// loss is lower with statistics that are computed for the average.
#[test]
fn a_slow_average_is_better_with_its_own_statistics() {
    let device = Device::cpu(OpenOptions::default());
    let mut trainer = Trainer::new(&device, &config(Some(0.95)), 1).expect("a trainer");
    train(&mut trainer, 0..60);
    trainer.state.take_metrics().expect("metrics");
    let split = shapes::draw_train(0, 4 * BATCH_SIZE);
    let images: Vec<u32> = (0..4 * BATCH_SIZE as u32).collect();
    let loss = |trainer: &mut Trainer| {
        trainer.evaluate(&split, &|| false).expect("evaluated").expect("whole").loss()
    };
    let running = loss(&mut trainer);
    trainer.update_statistics(&split, &images, 0, &|| false).expect("statistics");
    let own = loss(&mut trainer);
    assert!(own < running, "loss {own} with its own statistics, {running} with the running ones");
}

#[test]
fn without_an_average_its_buffer_is_empty() {
    let layout = |ema| training(&config(ema)).tape.state().clone();
    let [without, with] = [None, Some(0.9)].map(layout);
    assert_eq!(without.n_elements(StateBuffer::AveragedParameters), 0);
    assert_eq!(
        with.n_elements(StateBuffer::AveragedParameters),
        with.n_elements(StateBuffer::Parameters)
    );
}

/// Before the first step, evaluation uses the weights themselves.
#[test]
fn before_the_first_step_the_weights_are_evaluated() {
    let device = Device::cpu(OpenOptions::default());
    let mut trainer = Trainer::new(&device, &config(Some(0.9)), 1).expect("a trainer");
    let plain = parameters(&mut trainer);
    assert!(trainer.state.weights().expect("weights").parameters == plain);
    assert!(plain.iter().any(|&p| p != 0.0));
}
