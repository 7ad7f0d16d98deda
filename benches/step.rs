//! The whole training step, in images per second: by the host's clock, as in training, and by the device's
//! clock, which excludes the host's work.

mod common;

use std::time::Duration;

use common::{criterion, kinds, name, open_gpu, size};
use criterion::Throughput;
use wgrad::data::batches::epoch_order;
use wgrad::data::shapes;
use wgrad::device::{Device, OpenOptions};
use wgrad::nn::ResNet9;
use wgrad::train::Trainer;
use wgrad::train::step::StepConfig;

/// The most real steps per sample; further steps are extrapolated.
const MOST_RUNS: u64 = 20;

fn main() {
    let size = size();
    let split = shapes::draw_train(0, size.batch);
    let order = epoch_order(0, 0, size.batch);
    let mut criterion = criterion();

    let config = StepConfig::new(ResNet9 { width: size.width, classes: 10 }, size.batch);
    let gpu = |kernels| (format!("gpu, {}", name(kernels)), open_gpu(kernels));
    let mut devices: Vec<(String, Device)> = kinds().into_iter().map(gpu).collect();
    devices.push(("cpu".to_string(), Device::cpu(OpenOptions::default())));
    let id = |name: &str| format!("{name}, width {}, batch {}", size.width, size.batch);

    let mut group = criterion.benchmark_group("training step");
    group.throughput(Throughput::Elements(size.batch as u64));
    for (name, device) in &devices {
        let mut trainer = Trainer::new(device, &config, 0).expect("the step fits the device");
        group.bench_function(id(name), |bencher| {
            bencher.iter(|| {
                trainer.step(&split, &order, 0, 1e-3).expect("a step");
                trainer.state.session.wait().expect("the step ends");
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("training step, all nodes");
    group.throughput(Throughput::Elements(size.batch as u64));
    for (name, device) in &devices {
        let mut trainer = Trainer::new(device, &config, 0).expect("the step fits the device");
        group.bench_function(id(name), |bencher| {
            bencher.iter_custom(|n| {
                let runs = n.min(MOST_RUNS);
                let mut step =
                    || trainer.timed_step(&split, &order, 0, 1e-3).expect("a step").sum();
                let seconds: f64 = (0..runs).map(|_| step()).sum();
                Duration::from_secs_f64(seconds * n as f64 / runs as f64)
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
