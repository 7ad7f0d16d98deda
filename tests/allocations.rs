//! A replayed step allocates nothing of ours: every buffer is planned and created when a step is loaded.
//!
//! A counting allocator wraps the system's. Allocations of other crates, within calls that
//! [`foreign`](wgrad::kernel::foreign) marks, are counted apart. They may not grow from step to step, and
//! without late reads they are the same in each.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use wgrad::data::{N_CLASSES, Split, batches, shapes};
use wgrad::device::{Device, OpenOptions};
use wgrad::kernel::foreign::is_foreign;
use wgrad::nn::ResNet9;
use wgrad::train::Trainer;
use wgrad::train::step::StepConfig;

/// The system's allocator with a counter.
struct Counting;

static OURS: AtomicUsize = AtomicUsize::new(0);
static FOREIGN: AtomicUsize = AtomicUsize::new(0);

fn count() {
    let counter = if is_foreign() { &FOREIGN } else { &OURS };
    counter.fetch_add(1, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator; the counter allocates nothing.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(memory, layout, size) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Lets only one test count at a time.
static COUNTING: Mutex<()> = Mutex::new(());

const BATCH_SIZE: usize = 12;
/// The number of warm-up steps, until every thread has run every task once.
const FIRST_STEPS: usize = 4;

/// Numbers of allocations in a step.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Allocations {
    ours: usize,
    foreign: usize,
}

/// Counts the allocations of each training step after the warm-up. With `metrics`, each step requests the
/// metrics and reads them late, as in training.
fn allocations(device: &Device, metrics: bool) -> Vec<Allocations> {
    let config = StepConfig::new(ResNet9 { width: 8, classes: N_CLASSES }, BATCH_SIZE);
    let mut trainer = Trainer::new(device, &config, 0).expect("the steps compile");
    let split: Split = shapes::draw_train(0, 2 * BATCH_SIZE);
    let order = batches::epoch_order(0, 0, split.len());
    let mut steps = Vec::new();
    for _ in 0..FIRST_STEPS + 8 {
        let now = || [&OURS, &FOREIGN].map(|counter| counter.load(Ordering::Relaxed));
        let before = now();
        trainer.step(&split, &order[..BATCH_SIZE], 0, 1e-3).expect("a step");
        if metrics {
            trainer.state.late_metrics().expect("the numbers are finite");
            trainer.state.request_metrics().expect("the request is accepted");
        }
        trainer.state.session.wait().expect("the step ends");
        let [ours, foreign] = [0, 1].map(|kind| now()[kind] - before[kind]);
        steps.push(Allocations { ours, foreign });
    }
    steps.split_off(FIRST_STEPS)
}

/// Checks that we allocate nothing and that other crates allocate the same in every step.
fn check(steps: &[Allocations]) {
    for step in steps {
        assert_eq!(step.ours, 0, "a step allocates: {steps:?}");
        assert_eq!(step, &steps[0], "not every step allocates the same: {steps:?}");
    }
    // The counter works: the matrix product and wgpu do allocate.
    assert!(steps[0].foreign > 0);
}

#[test]
fn a_step_on_the_cpu_allocates_nothing_of_ours() {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    let device = Device::cpu(OpenOptions::default());
    // Run in the pool, because the pool's queue from outside allocates a block every few steps.
    check(&pool.install(|| allocations(&device, false)));
    check(&pool.install(|| allocations(&device, true)));
}

#[test]
fn a_step_on_a_gpu_allocates_nothing_of_ours() {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let device = Device::open("gpu", OpenOptions::default()).expect("an adapter");
    check(&allocations(&device, false));
    // wgpu's own allocations depend on how much work the device has finished when the metrics are read.
    let steps = allocations(&device, true);
    assert!(steps.iter().all(|step| step.ours == 0), "a step allocates: {steps:?}");
    let [first, last] = [0, 4].map(|ix| steps[ix..ix + 4].iter().map(|s| s.foreign).sum::<usize>());
    assert!(last <= first + first / 10, "steps allocate more and more: {steps:?}");
}
