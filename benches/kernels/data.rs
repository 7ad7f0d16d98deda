//! Times the loading of images on the host.

use std::fs;

use criterion::{BatchSize, Criterion, Throughput};
use wgrad::data::batches::{Batch, epoch_order};
use wgrad::data::cifar10::{Cifar10, RECORD_BYTES};
use wgrad::data::{DatasetSource, ReadOptions, shapes};

/// Number of images in a file of CIFAR-10.
const RECORDS: usize = 10_000;

/// Number of training images of CIFAR-10.
const IMAGES: usize = 50_000;

/// The default batch size.
const BATCH: usize = 512;

/// Times the loading of images on the host: reads CIFAR-10's files, shuffles an epoch, packs a batch, draws the built-in
/// shapes.
pub fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("data");

    // Two files of 10,000 records, in place of CIFAR-10's six.
    let folder = tempfile::tempdir().expect("a folder");
    let record =
        |ix: usize| (0..RECORD_BYTES).map(move |at| if at == 0 { ix % 10 } else { at * ix });
    let bytes: Vec<u8> = (0..RECORDS).flat_map(record).map(|value| value as u8).collect();
    for name in ["data_batch_1.bin", "test_batch.bin"] {
        fs::write(folder.path().join(name), &bytes).expect("written");
    }
    let options = ReadOptions::default();
    group.throughput(Throughput::Bytes(2 * bytes.len() as u64));
    group.bench_function("read files", |bencher| {
        bencher.iter_with_large_drop(|| Cifar10.read(folder.path(), options).expect("images"));
    });

    group.throughput(Throughput::Elements(IMAGES as u64));
    group.bench_function("shuffle an epoch", |bencher| {
        let mut epoch = 0;
        let next = || {
            epoch += 1;
            epoch
        };
        bencher.iter_batched(next, |epoch| epoch_order(0, epoch, IMAGES), BatchSize::SmallInput);
    });

    // The order is shuffled, so the images of a batch are spread over the memory of the split.
    let split = Cifar10.read(folder.path(), options).expect("images").train;
    let order = epoch_order(0, 0, split.len());
    let mut batch = Batch::new(BATCH, split.size);
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("pack a batch", |bencher| {
        let mut batches = order.chunks_exact(BATCH).cycle();
        bencher.iter(|| batch.fill(&split, batches.next().expect("it goes round")));
    });

    group.throughput(Throughput::Elements(100));
    group.bench_function("draw shapes", |bencher| {
        bencher.iter_with_large_drop(|| shapes::draw_train(0, 100));
    });
    group.finish();
}
