//! In a steady state, wgrad's own code allocates no memory in a step: every buffer is planned and allocated when the
//! step is loaded.
//!
//! A counting allocator wraps the system's allocator. Other crates do allocate in every step. The size and the
//! alignment of an allocation show its origin:
//!
//! - On the CPU, only the matrix product allocates: memory for packed matrices, aligned to cache lines, and flags,
//!   which are bytes. An allocation with the alignment of a number or a pointer is wgrad's own, and fails the test,
//!   whatever its size.
//! - On a GPU, wgpu allocates small objects and lists of commands. An array of f32 or u32 of at least 256 bytes is
//!   wgrad's own, and so is any allocation larger than the longest list.
//! - On both, an array of bytes as large as a picture is wgrad's own.
//!
//! The number of allocations must also be the same in every step. The test misses an allocation of wgrad's own that
//! looks like one of another crate and happens in every step: a few bytes, or a small object on a GPU.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use wgrad::data::{Split, batches, shapes};
use wgrad::device::{Device, OpenOptions};
use wgrad::nn::ResNet9;
use wgrad::train::Trainer;
use wgrad::train::step::StepConfig;

/// The system's allocator, with a record of the layouts of all allocations.
struct Counting;

/// The largest number of allocations that are recorded with their layout; a step has a few hundred.
const MAX_RECORDED: usize = 1 << 12;

static N_ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static SIZES: [AtomicUsize; MAX_RECORDED] = [const { AtomicUsize::new(0) }; MAX_RECORDED];
static ALIGNMENTS: [AtomicUsize; MAX_RECORDED] = [const { AtomicUsize::new(0) }; MAX_RECORDED];

fn record(size: usize, alignment: usize) {
    let ix = N_ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    if ix < MAX_RECORDED {
        SIZES[ix].store(size, Ordering::Relaxed);
        ALIGNMENTS[ix].store(alignment, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system allocator; `record` allocates nothing.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        record(layout.size(), layout.align());
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        record(layout.size(), layout.align());
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        record(size, layout.align());
        unsafe { System.realloc(memory, layout, size) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The lock that lets only one test count at a time.
static COUNTING: Mutex<()> = Mutex::new(());

const BATCH_SIZE: usize = 12;
/// The number of warm-up steps on a GPU. After them, every thread has run every task once.
const FIRST_STEPS: usize = 4;
/// The same on the CPU device. A step has few matrix products, and a thread may compute none in several steps. In its first
/// product, a thread allocates a buffer.
const FIRST_STEPS_CPU: usize = 100;
/// The number of bytes of a picture of 32 x 32 pixels.
const PICTURE: usize = 3072;

/// One allocation.
#[derive(Clone, Copy, PartialEq)]
struct Allocation {
    size: usize,
    alignment: usize,
}

impl fmt::Debug for Allocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes aligned to {}", self.size, self.alignment)
    }
}

impl Allocation {
    /// Returns true if the matrix product can have made the allocation.
    fn is_of_matrix_product(&self) -> bool {
        self.alignment >= 64 || (self.alignment == 1 && self.size < PICTURE)
    }

    /// Returns true if wgpu can have made the allocation.
    fn is_of_wgpu(&self) -> bool {
        self.size
            < match self.alignment {
                1 => PICTURE,
                4 => 256,
                _ => 1 << 16,
            }
    }
}

/// Returns the allocations of several training steps, by step, without the warm-up steps. With `metrics`, every step
/// also requests the metrics and reads those of the step before, as in training.
fn allocations(device: &Device, metrics: bool) -> Vec<Vec<Allocation>> {
    let n_first = if matches!(device, Device::Gpu(_)) { FIRST_STEPS } else { FIRST_STEPS_CPU };
    let config = StepConfig::new(ResNet9 { width: 8, classes: 10 }, BATCH_SIZE);
    let mut trainer = Trainer::new(device, &config, 0).expect("the steps compile");
    let split: Split = shapes::draw_train(0, 2 * BATCH_SIZE);
    let order = batches::epoch_order(0, 0, split.len());
    let mut steps = Vec::new();
    for step in 0..n_first + 8 {
        N_ALLOCATIONS.store(0, Ordering::Relaxed);
        trainer.step(&split, &order[..BATCH_SIZE], 0, 1e-3).expect("a step");
        if metrics {
            trainer.state.late_metrics().expect("the numbers are finite");
            trainer.state.request_metrics().expect("the request is accepted");
        }
        trainer.state.session.wait().expect("the step ends");
        let n = N_ALLOCATIONS.load(Ordering::Relaxed);
        if step < n_first {
            continue;
        }
        assert!(n < MAX_RECORDED, "{n} allocations in a step");
        let recorded = |ix: usize| Allocation {
            size: SIZES[ix].load(Ordering::Relaxed),
            alignment: ALIGNMENTS[ix].load(Ordering::Relaxed),
        };
        steps.push((0..n).map(recorded).collect());
    }
    steps
}

/// Fails if a step has an allocation for which `of_others` returns false.
fn assert_none_of_ours(steps: &[Vec<Allocation>], of_others: impl Fn(&Allocation) -> bool) {
    for step in steps {
        let ours: Vec<_> = step.iter().filter(|allocation| !of_others(allocation)).collect();
        assert!(ours.is_empty(), "a step allocates: {ours:?}");
    }
    // The counter must see some allocations, because the matrix product and wgpu allocate.
    assert!(!steps[0].is_empty());
}

/// Fails unless every step has the same number of allocations.
fn assert_equal_numbers(steps: &[Vec<Allocation>]) {
    let numbers: Vec<_> = steps.iter().map(Vec::len).collect();
    assert!(numbers.iter().all(|&n| n == numbers[0]), "allocations of each step: {numbers:?}");
}

#[test]
fn a_step_on_the_cpu_allocates_no_memory_of_its_own() {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    let device = Device::cpu(OpenOptions::default());
    for metrics in [false, true] {
        // The steps run on a thread of the pool. From another thread, rayon would pass work to the pool through a
        // queue, which allocates a block of memory every few steps.
        let steps = pool.install(|| allocations(&device, metrics));
        assert_none_of_ours(&steps, Allocation::is_of_matrix_product);
        assert_equal_numbers(&steps);
    }
}

#[test]
fn a_step_on_a_gpu_allocates_no_memory_of_its_own() {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let device = Device::open("gpu", OpenOptions::default()).expect("an adapter");
    let steps = allocations(&device, false);
    assert_none_of_ours(&steps, Allocation::is_of_wgpu);
    assert_equal_numbers(&steps);

    let steps = allocations(&device, true);
    assert_none_of_ours(&steps, Allocation::is_of_wgpu);
    // Steps with metrics may have different numbers of allocations: wgpu allocates more or less, depending on the work
    // that the GPU has finished when a step requests the metrics. So the test only requires that the number does not
    // grow.
    let n = |steps: &[Vec<Allocation>]| steps.iter().map(Vec::len).sum::<usize>();
    let (first, last) = (n(&steps[..4]), n(&steps[4..]));
    assert!(last <= first + first / 10, "four steps allocate {first} times, and then {last} times");
}
