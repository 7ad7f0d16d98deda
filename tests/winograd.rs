//! Winograd's algorithm on the CPU device, beside the kernels that compute a convolution by its definition: its error
//! against f64 is about as small, and its bits do not depend on the number of threads.
//!
//! `cargo test --release --test winograd -- --nocapture` prints the errors of the table in `docs/ops/conv2d.md`.

use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use wgrad::device::cpu::CpuDevice;
use wgrad::device::{LoadOptions, Session};
use wgrad::kernel::{Real, StepScalars};
use wgrad::ops::conv2d::{Conv2d, conv2d};
use wgrad::passes::fuse::Fusion;
use wgrad::passes::{backward_from, fuse};
use wgrad::tape::{ElementType, Mode, Precision, Tape, ValueId};

/// The root of the mean square error, relative to that of the kernels by the definition, that a result may have. The
/// transforms add a few roundings, each relative to numbers up to a few times as large as the result.
const MAX_RATIO: f64 = 3.0;

/// A convolution and its gradients on a tape, and the contents of the inputs.
struct Convolution {
    tape: Arc<Tape>,
    inputs: Vec<(ValueId, Vec<f64>)>,
    /// y, d_x and d_weight.
    results: [ValueId; 3],
}

/// Records a 3x3 convolution of x `[N, side, side, Ci]`, with padding 1, and its gradients.
fn record([n, side, ci, co]: [usize; 4], winograd: bool) -> Convolution {
    let mut tape = Tape::new("test", Mode::Train);
    let x = tape.input_with_grad("x", &[n, side, side, ci]);
    let weight = tape.input_with_grad("weight", &[3, 3, ci, co]);
    let y = conv2d(&mut tape, x, weight, None, Conv2d::square(3, 1, 1));
    tape.keep(y);
    let n_places = fuse(&mut tape, Fusion { winograd, ..Fusion::NONE });
    assert_eq!(n_places, usize::from(winograd));
    let d_y = tape.input("d_y", ElementType::F32, &[n, side, side, co]);
    let gradients = backward_from(&mut tape, &[(y, d_y)]);
    let results = [y, gradients.get(x).expect("d_x"), gradients.get(weight).expect("d_weight")];
    results.iter().for_each(|&id| tape.keep(id));
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let inputs = [x, weight, d_y].map(|id| {
        // Numbers of f32, so that both precisions have the same inputs.
        let contents =
            (0..tape.value(id).n_elements()).map(|_| f64::from(rng.random_range(-1.0_f32..1.0)));
        (id, contents.collect())
    });
    Convolution { tape: Arc::new(tape), inputs: inputs.into(), results }
}

/// Runs the tape and returns y, d_x and d_weight.
fn run<T: Precision>(conv: &Convolution) -> [Vec<f64>; 3] {
    let mut session = CpuDevice::default().session::<T>(conv.tape.state());
    let program = session.load(&conv.tape, LoadOptions { keep_all: true }).expect("loaded");
    for (id, contents) in &conv.inputs {
        let contents: Vec<T> = contents.iter().map(|&x| T::from_f64(x)).collect();
        session.write_real(program, *id, &contents);
    }
    session.run(program, &StepScalars::default()).expect("run");
    conv.results.map(|id| session.read_real(program, id).into_iter().map(Real::to_f64).collect())
}

/// Returns the root of the mean square of the differences, relative to that of `exact`.
fn error(of: &[f64], exact: &[f64]) -> f64 {
    let difference: f64 = of.iter().zip(exact).map(|(a, b)| (a - b).powi(2)).sum();
    (difference / exact.iter().map(|b| b * b).sum::<f64>()).sqrt()
}

#[test]
fn errors_are_about_as_small_as_by_the_definition() {
    println!("[N, H, W, Ci -> Co]          y: definition, Winograd    d_x            d_weight");
    for sizes in [[8, 16, 64, 128], [4, 16, 128, 128], [8, 8, 256, 256], [16, 4, 512, 512]] {
        let [direct, winograd] = [false, true].map(|winograd| record(sizes, winograd));
        let exact = run::<f64>(&direct);
        let [direct, in_tiles] = [&direct, &winograd].map(run::<f32>);
        let tiles_exact = run::<f64>(&winograd);
        print!("{sizes:?}");
        for ix in 0..3 {
            let [e_direct, e_tiles] = [&direct, &in_tiles].map(|of| error(&of[ix], &exact[ix]));
            print!("   {e_direct:.1e} {e_tiles:.1e}");
            assert!(in_tiles[ix] != direct[ix], "{sizes:?}: Winograd's algorithm did not run");
            assert!(error(&tiles_exact[ix], &exact[ix]) < 1e-14, "{sizes:?}, result {ix} in f64");
            assert!(e_tiles <= MAX_RATIO * e_direct, "{sizes:?}, result {ix}");
        }
        println!();
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    // Odd sizes, and several blocks of tiles.
    for sizes in [[9, 15, 65, 127], [3, 32, 64, 128]] {
        let conv = record(sizes, true);
        let with_threads = |n: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("threads");
            pool.install(|| run::<f32>(&conv))
        };
        let one = with_threads(1);
        for n in [2, 5] {
            assert!(one == with_threads(n), "{sizes:?}: {n} threads");
        }
    }
}
