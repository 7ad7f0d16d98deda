//! Defines a small network and trains it: `cargo run --release --example small_network`.

use wgrad::data::{Split, shapes};
use wgrad::device::{Device, OpenOptions};
use wgrad::nn::{Conv, layers};
use wgrad::tape::{Tape, ValueId};
use wgrad::train::schedule::{OneCycle, Schedule};
use wgrad::train::{Model, ModelConfig};

const BATCH_SIZE: usize = 50;
const EPOCHS: usize = 6;

/// Records the network on the tape, and returns the logits. Recording computes no numbers.
fn network(tape: &mut Tape, x: ValueId) -> ValueId {
    let strided = Conv::default().strided(2);
    let x = layers::conv2d(tape, "conv1", x, 16, strided);
    let x = layers::batch_norm(tape, "norm1", x);
    let x = layers::relu(tape, "relu1", x);
    let x = layers::conv2d(tape, "conv2", x, 32, Conv::default());
    let x = layers::max_pool2d(tape, "pool2", x, 4);
    let x = layers::batch_norm(tape, "norm2", x);
    let x = layers::relu(tape, "relu2", x);
    let x = layers::flatten(tape, "flatten", x);
    layers::linear(tape, "out", x, 10, true)
}

/// Returns the images, `[N, H, W, C]` in -1..=1, and their labels.
fn arrays(split: &Split) -> (Vec<f32>, Vec<u32>) {
    let mut x = Vec::new();
    for image in (0..split.len()).map(|n| split.image(n)) {
        for pixel in 0..32 * 32 {
            x.extend((0..3).map(|c| f32::from(image[c * 32 * 32 + pixel]) / 127.5 - 1.0));
        }
    }
    (x, split.labels.iter().copied().map(u32::from).collect())
}

fn main() -> Result<(), wgrad::Error> {
    let (x, labels) = arrays(&shapes::draw_train(0, 2000));
    let (test_x, test_labels) = arrays(&shapes::draw_test(0, 1000));
    let device = Device::cpu(OpenOptions::default());
    let mut model = Model::new(&device, &ModelConfig::new(&[32, 32, 3], BATCH_SIZE), network)?;

    let schedule = OneCycle::linear(0.02, EPOCHS * labels.len() / BATCH_SIZE);
    let mut rates = (0..schedule.total_steps).map(|step| schedule.rate(step));
    for epoch in 1..=EPOCHS {
        let batches = x.chunks(BATCH_SIZE * 32 * 32 * 3).zip(labels.chunks(BATCH_SIZE));
        for ((x, labels), lr) in batches.zip(&mut rates) {
            model.train_step(x, labels, lr)?;
        }
        let train = model.state.take_metrics()?;
        let test = model.evaluate(&test_x, &test_labels)?;
        let (loss, accuracy) = (train.loss(), 100.0 * test.accuracy());
        println!("epoch {epoch}: training loss {loss:.3}, test accuracy {accuracy:.1}%");
    }
    Ok(())
}
