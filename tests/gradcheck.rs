//! Compares the backward rules with central differences, in f64, with the ops' implementations for the CPU.
//!
//! Every case has its op in the middle of a tape, with factors other than 1 before and after the op and a random
//! upstream gradient. So the check catches a rule that drops or doubles the upstream gradient.

use wgrad::device::cpu::{CpuDevice, CpuSession};
use wgrad::device::{LoadOptions, ProgramId, Session};
use wgrad::measure::check::{CaseData, CaseTape, Contents};
use wgrad::ops::case::Fill;
use wgrad::tape::ValueId;

/// The step h of the central differences. Their error is about h² = 1e-10 times the third derivative, plus
/// f64's rounding divided by the step, about 1e-16 / 1e-5 = 1e-11 of the scalar.
const STEP: f64 = 1e-5;
/// The bound on the difference between a gradient and its central difference, relative to the largest gradient of the
/// tensor. It allows for the errors that [`STEP`] describes, grown by sums of a few hundred terms. A wrong term gives a
/// far larger difference.
const TOLERANCE: f64 = 1e-6;
/// The number of checked elements per tensor, spread evenly.
const CHECKED: usize = 60;

#[test]
fn gradients_agree_with_central_differences() {
    let mut n_checked = 0;
    for check in CaseTape::all() {
        // A maximum has no derivative at ties; golden.rs compares those cases with PyTorch.
        if check.inputs.iter().any(|(input, _)| input.fill == Fill::Coarse) {
            continue;
        }
        n_checked += check_case(&check);
    }
    // The cases have about a hundred gradients. A much lower number would mean that the cases lost their differentiable
    // inputs.
    assert!(n_checked > 60, "only {n_checked} gradients were checked");
}

/// Checks every gradient of a case and returns their number.
fn check_case(check: &CaseTape) -> usize {
    let data = check.fill(11);
    let mut run = Run::new(check, &data);
    run.step();
    let analytic: Vec<_> =
        check.gradients.iter().map(|g| run.session.read_real(run.program, g.gradient)).collect();
    for (pair, analytic) in check.gradients.iter().zip(&analytic) {
        let largest = analytic.iter().fold(0.0_f64, |a, g| a.max(g.abs()));
        let values = run.session.read_real(run.program, pair.value);
        for ix in (0..values.len()).step_by(values.len().div_ceil(CHECKED)) {
            let mut at = |offset: f64| {
                let mut moved = values.clone();
                moved[ix] += offset;
                run.session.write_real(run.program, pair.value, &moved);
                run.step();
                run.scalar()
            };
            let numeric = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            let error = (numeric - analytic[ix]).abs();
            assert!(
                error <= TOLERANCE * largest.max(1.0),
                "{}, case {}: gradient of {} at {ix} is {}, differences give {numeric}",
                check.op,
                check.case,
                check.tape.value(pair.value).name,
                analytic[ix],
            );
        }
        run.session.write_real(run.program, pair.value, &values);
    }
    check.gradients.len()
}

struct Run<'a> {
    check: &'a CaseTape,
    data: &'a CaseData,
    session: CpuSession<f64>,
    program: ProgramId,
}

impl<'a> Run<'a> {
    fn new(check: &'a CaseTape, data: &'a CaseData) -> Self {
        let mut session = CpuDevice::default().session::<f64>(check.tape.state());
        let options = LoadOptions { keep_all: true };
        let program = session.load(&check.tape, options).expect("the CPU loads every case");
        check.write(&mut session, program, data).expect("the CPU is writable");
        Self { check, data, session, program }
    }

    fn step(&mut self) {
        self.session.run(self.program, &self.data.step).expect("the CPU runs every case");
    }

    /// Returns the differentiated scalar: the sum of all results, each weighted with its upstream gradient.
    fn scalar(&self) -> f64 {
        let upstream = |id: ValueId| {
            let input = self.data.inputs.iter().find(|(input, _)| *input == id);
            match input.map(|(_, contents)| contents) {
                Some(Contents::Real(values)) => values,
                _ => panic!("an upstream gradient is an input of real numbers"),
            }
        };
        let weighted = self.check.upstreams.iter().map(|pair| {
            let values = self.session.read_real(self.program, pair.value);
            let weights = upstream(pair.gradient).iter();
            values.iter().zip(weights).map(|(v, &w)| v * f64::from(w)).sum::<f64>()
        });
        weighted.sum()
    }
}
