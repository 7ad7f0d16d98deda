//! Comparisons by relative errors, and messages with the position of the largest error.

use std::fmt::Debug;

use crate::order::{Order, multi_index};
use crate::reference::Sample;

/// A gradient whose norm is below this part of the largest gradient's norm is zero in exact arithmetic: a batch norm
/// removes its parameter's effect.
const ZERO: f64 = 1e-6;

/// Elements of a tensor.
struct Elements<'a> {
    /// Shape of the tensor.
    shape: &'a [usize],
    /// Positions of the elements in PyTorch's order.
    indices: Vec<usize>,
    got: Vec<f64>,
    expected: &'a [f64],
    /// The number to which an error is relative.
    scale: f64,
}

/// The comparisons that failed, one line each.
#[derive(Default)]
pub struct Failures {
    lines: Vec<String>,
    n_compared: usize,
}

impl Failures {
    /// Compares a whole tensor by the relative L2 error.
    pub fn whole(
        &mut self,
        what: &str,
        shape: &[usize],
        got: &[f32],
        expected: &[f64],
        tolerance: f64,
    ) {
        assert_eq!(got.len(), expected.len(), "{what}: the number of elements");
        let got: Vec<f64> = got.iter().copied().map(f64::from).collect();
        let indices = (0..got.len()).collect();
        self.check(
            what,
            tolerance,
            &Elements { shape, indices, got, expected, scale: norm(expected) },
        );
    }

    /// Compares the norm and the stored elements of a tensor. `shape` is PyTorch's, `got` has the tape's order, and
    /// `largest` is the norm of the largest tensor of its kind.
    pub fn sample(
        &mut self,
        what: &str,
        (order, shape): (Order, Vec<usize>),
        got: &[f32],
        expected: &Sample,
        largest: f64,
        tolerance: f64,
    ) {
        let norm_of_all = got.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        let scale = if expected.norm < ZERO * largest { largest } else { expected.norm };
        self.n_compared += 1;
        let error = (norm_of_all - expected.norm).abs() / scale;
        if error.is_nan() || error > tolerance {
            let Sample { norm, .. } = expected;
            self.lines.push(format!(
                "{what}: norm off by {error:.2e}, allowed {tolerance:.0e}: expected {norm:?}, got {norm_of_all:?}"
            ));
        }
        let (n, m) = (got.len(), expected.at.len());
        let indices: Vec<usize> = (0..m).map(|ix| ix * n / m).collect();
        let element =
            |&ix: &usize| f64::from(got[order.our_index(&shape, &multi_index(&shape, ix))]);
        let elements: Vec<f64> = indices.iter().map(element).collect();
        // The stored elements may all be small, so their error is relative to as many elements of average size.
        let scale = norm(&expected.at).max(scale * (m as f64 / n as f64).sqrt());
        let (shape, got, expected) = (&*shape, elements, &*expected.at);
        self.check(what, tolerance, &Elements { shape, indices, got, expected, scale });
    }

    /// Compares elements of a tensor.
    fn check(&mut self, what: &str, tolerance: f64, of: &Elements<'_>) {
        let Elements { shape, indices, got, expected, scale } = of;
        self.n_compared += 1;
        let off: Vec<f64> = got.iter().zip(*expected).map(|(g, e)| g - e).collect();
        let error = norm(&off) / scale;
        if error <= tolerance {
            return;
        }
        // NaN counts as the largest error.
        let size = |ix: usize| if off[ix].is_nan() { f64::INFINITY } else { off[ix].abs() };
        let worst = (0..off.len()).max_by(|&a, &b| size(a).total_cmp(&size(b))).unwrap_or(0);
        self.lines.push(format!(
            "{what}: relative error {error:.2e}, allowed {tolerance:.0e}; worst at {:?}: expected {:?}, got {:?}",
            multi_index(shape, indices[worst]),
            expected[worst],
            got[worst],
        ));
    }

    /// Compares two values that are not numbers of a tensor.
    pub fn same<T: Debug + PartialEq>(&mut self, what: &str, got: T, expected: T) {
        self.n_compared += 1;
        if got != expected {
            self.lines.push(format!("{what}: expected {expected:?}, got {got:?}"));
        }
    }

    /// Returns true if a comparison failed.
    pub fn any(&self) -> bool {
        !self.lines.is_empty()
    }

    /// Returns a text about the comparisons that failed, None if none did.
    ///
    /// # Panics
    /// If nothing was compared.
    pub fn finish(self, case: &str) -> Option<String> {
        const SHOWN: usize = 6;
        assert!(self.n_compared > 0, "{case}: nothing was compared");
        let (n, lines) = (self.lines.len(), self.lines[..self.lines.len().min(SHOWN)].join("\n  "));
        (n > 0).then(|| format!("{case}: {n} of {} differ\n  {lines}", self.n_compared))
    }
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}
