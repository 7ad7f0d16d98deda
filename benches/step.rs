//! The whole training step, on the GPU and on the CPU, in images a second; and packing a batch.

mod common;

use common::{criterion, open_gpu, size};
use criterion::Throughput;
use wgrad::data::batches::{Batch, epoch_order};
use wgrad::data::shapes;
use wgrad::device::{Device, OpenOptions};
use wgrad::nn::ResNet9;
use wgrad::ops::Kernels;
use wgrad::train::Trainer;
use wgrad::train::step::StepConfig;

fn main() {
    let size = size();
    let split = shapes::draw_train(0, size.batch);
    let order = epoch_order(0, 0, size.batch);
    let mut criterion = criterion();

    let config = StepConfig::new(ResNet9 { width: size.width, classes: 10 }, size.batch);
    let devices = [
        ("gpu, naive", open_gpu(Kernels::Naive)),
        ("gpu, default", open_gpu(Kernels::Default)),
        ("cpu", Device::cpu(OpenOptions::default())),
    ];
    let mut group = criterion.benchmark_group("training step");
    group.throughput(Throughput::Elements(size.batch as u64));
    for (name, device) in &devices {
        let mut trainer = Trainer::new(device, &config, 0).expect("the step fits the device");
        let id = format!("{name}, width {}, batch {}", size.width, size.batch);
        group.bench_function(id, |bencher| {
            bencher.iter(|| {
                trainer.step(&split, &order, 0, 1e-3).expect("a step");
                trainer.session().wait().expect("the step ends");
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("data");
    group.throughput(Throughput::Elements(size.batch as u64));
    let mut batch = Batch::new(size.batch);
    group.bench_function("pack a batch", |bencher| bencher.iter(|| batch.fill(&split, &order)));
    group.finish();
    criterion.final_summary();
}
