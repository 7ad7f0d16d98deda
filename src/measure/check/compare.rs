//! Compares the results of two runs of a case.

use std::fmt;

use super::{CaseResult, CaseTape, Contents};
use crate::tape::{Node, StateBuffer};

/// The bound on the error of an element, divided by the sum of the element's absolute value and the root mean square of
/// its tensor. In a case whose longest sum has n terms, the bound is larger by a factor of sqrt(n).
///
/// Two orders of the same sum of n products differ by about f32's unit roundoff (6e-8) times the square root of n.
/// Divisions, exponentials and roots on a GPU are off by up to 3 units more. 1e-6 allows a chain of a few nodes with
/// such errors, and is far below the error of a wrong term.
pub const TOLERANCE: f64 = 1e-6;

/// The first difference between two runs, with the op and the case.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Mismatch {
    /// The name of the op.
    pub op: &'static str,
    /// The name of the case.
    pub case: String,
    /// The value's name; for a tensor in a state buffer, the names of the buffer and of the tensor.
    pub value: String,
    /// The index, one number per axis, of the element whose error is the largest relative to the allowed error.
    pub index: Vec<usize>,
    /// The value of this element in the reference results.
    pub expected: f64,
    /// The value of this element in the device's results.
    pub got: f64,
    /// The largest allowed difference between `expected` and `got`.
    pub allowed: f64,
    /// The number of wrong elements of the value.
    pub n_wrong: usize,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch { op, case, value, index, expected, got, allowed, n_wrong } = self;
        write!(
            f,
            "{op}, case {case}: {value}{index:?} is {got:e}, expected {expected:e} ± {allowed:.1e} \
             ({n_wrong} of its elements disagree)"
        )
    }
}

/// A tensor of a case. With `exact`, its elements must be equal in both runs.
struct Tensor<'a> {
    name: String,
    shape: &'a [usize],
    exact: bool,
}

impl CaseTape {
    /// Returns the tolerance of this case; see [`TOLERANCE`].
    pub fn tolerance(&self) -> f64 {
        TOLERANCE * (self.reduction.max(1) as f64).sqrt()
    }

    /// Compares all results of two runs in the order of the tape. So the reported difference is the first one, which
    /// usually causes the later ones. Elements of type u32 and padding must be equal. Returns the largest error as a
    /// fraction of the allowed error.
    ///
    /// # Errors
    /// The first value that differs, at its worst element.
    pub fn compare(&self, expected: &CaseResult, got: &CaseResult) -> Result<f64, Mismatch> {
        let mut worst: f64 = 0.0;
        let mut makers = vec![None; self.tape.values().len()];
        for node in self.tape.nodes().iter().rev() {
            node.outputs.iter().for_each(|id| makers[id.index()] = Some(node));
        }
        for ((id, expected), (_, got)) in expected.values.iter().zip(&got.values) {
            let value = self.tape.value(*id);
            let maker = makers[id.index()].map_or_else(String::new, Node::label);
            let exact = matches!(expected, Contents::Words(_));
            let name = format!("{id} {} of {maker}", value.name);
            let tensor = Tensor { name, shape: &value.shape, exact };
            worst = worst.max(self.compare_one(&tensor, &expected.numbers(), &got.numbers())?);
        }
        for ((buffer, expected), got) in
            StateBuffer::ALL.into_iter().zip(&expected.state).zip(&got.state)
        {
            worst = worst.max(self.compare_state(buffer, expected, got)?);
        }
        Ok(worst)
    }

    /// Compares a state buffer tensor by tensor (member by member), because the root mean square differs between
    /// tensors.
    fn compare_state(
        &self,
        buffer: StateBuffer,
        expected: &[f32],
        got: &[f32],
    ) -> Result<f64, Mismatch> {
        let widen = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
        let (mut expected, mut got) = (widen(expected), widen(got));
        let mut worst: f64 = 0.0;
        for member in self.tape.state().members(buffer) {
            let name = format!("{}: {}", self.tape.state().name(buffer), member.name);
            let tensor = Tensor { name, shape: &member.shape, exact: false };
            let range = member.range();
            let one = self.compare_one(&tensor, &expected[range.clone()], &got[range.clone()])?;
            worst = worst.max(one);
            expected[range.clone()].fill(0.0);
            got[range].fill(0.0);
        }
        // The elements outside members are padding, metrics or control words. Each element is compared alone, because
        // each metric has another magnitude.
        let exact = !matches!(buffer, StateBuffer::Metrics | StateBuffer::StepMetrics);
        for (ix, (expected, got)) in expected.iter().zip(&got).enumerate() {
            let name = format!("{}, element {ix}", self.tape.state().name(buffer));
            let tensor = Tensor { name, shape: &[1], exact };
            worst = worst.max(self.compare_one(&tensor, &[*expected], &[*got])?);
        }
        Ok(worst)
    }

    fn compare_one(
        &self,
        tensor: &Tensor<'_>,
        expected: &[f64],
        got: &[f64],
    ) -> Result<f64, Mismatch> {
        assert_eq!(expected.len(), got.len(), "{}: two lengths", tensor.name);
        let finite = expected.iter().filter(|v| v.is_finite());
        let mean_square = finite.map(|v| v * v).sum::<f64>() / expected.len().max(1) as f64;
        let scale = mean_square.sqrt();
        let allowed = |expected: f64| match tensor.exact {
            true => 0.0,
            false => self.tolerance() * (expected.abs() + scale),
        };
        let ratio = |expected: f64, got: f64| {
            let equal = expected == got || (expected.is_nan() && got.is_nan());
            let ratio = (got - expected).abs() / allowed(expected);
            if equal {
                0.0
            } else if ratio.is_nan() {
                f64::INFINITY
            } else {
                ratio
            }
        };
        let ratios: Vec<f64> = expected.iter().zip(got).map(|(&e, &g)| ratio(e, g)).collect();
        let worst = (0..ratios.len()).max_by(|&a, &b| ratios[a].total_cmp(&ratios[b]));
        match worst {
            Some(ix) if ratios[ix] > 1.0 => Err(Mismatch {
                op: self.op,
                case: self.case.clone(),
                value: tensor.name.clone(),
                index: unravel(ix, tensor.shape),
                expected: expected[ix],
                got: got[ix],
                allowed: allowed(expected[ix]),
                n_wrong: ratios.iter().filter(|&&r| r > 1.0).count(),
            }),
            Some(ix) => Ok(ratios[ix]),
            None => Ok(0.0),
        }
    }
}

impl Contents {
    /// Returns the elements as f64, which represents every f32 and every word exactly.
    fn numbers(&self) -> Vec<f64> {
        match self {
            Contents::Real(values) => values.iter().map(|&v| f64::from(v)).collect(),
            Contents::Words(words) => words.iter().map(|&w| f64::from(w)).collect(),
        }
    }
}

/// Converts a flat index to one index per axis. (Packed pixels have four elements in a word. Their flat index counts
/// words, so the result does not name the pixel.)
fn unravel(mut ix: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (position, &extent) in index.iter_mut().zip(shape).rev() {
        *position = ix % extent.max(1);
        ix /= extent.max(1);
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::case::{Case, Fill};
    use crate::ops::relu;

    fn check() -> CaseTape {
        let case = Case::new("test", 1, |tape, x| vec![relu::relu(tape, x[0])]);
        CaseTape::record("relu", &case.real("x", &[2, 3], Fill::Normal))
    }

    fn compare(expected: &[f64], got: &[f64]) -> Result<f64, Mismatch> {
        let tensor = Tensor { name: "y".to_string(), shape: &[2, 3], exact: false };
        check().compare_one(&tensor, expected, got)
    }

    #[test]
    fn rounding_passes_and_a_wrong_element_is_named() {
        let expected = [1.0, 2.0, 3.0, 4.0, 5.0, 0.0];
        assert!(compare(&expected, &[1.0 + 1e-7, 2.0, 3.0, 4.0, 5.0, 1e-7]).is_ok());
        let error = compare(&expected, &[1.0, 2.0, 3.0, 4.001, 5.0, 0.0]).unwrap_err();
        assert_eq!((error.index.as_slice(), error.n_wrong), ([1, 0].as_slice(), 1));
        assert!(error.to_string().contains("relu, case test: y[1, 0]"), "{error}");
    }

    #[test]
    fn values_that_are_not_finite_must_be_the_same() {
        let nan = f64::NAN;
        assert!(compare(&[nan, f64::INFINITY, 1.0], &[nan, f64::INFINITY, 1.0]).is_ok());
        assert!(compare(&[nan, 1.0, 1.0], &[1.0, 1.0, 1.0]).is_err());
        assert!(compare(&[1.0, 1.0, 1.0], &[nan, 1.0, 1.0]).is_err());
        assert!(compare(&[1.0, 1.0, 1.0], &[f64::INFINITY, 1.0, 1.0]).is_err());
    }

    #[test]
    fn a_zero_tensor_allows_no_error() {
        assert!(compare(&[0.0; 3], &[0.0; 3]).is_ok());
        assert!(compare(&[0.0; 3], &[0.0, 1e-20, 0.0]).is_err());
    }
}
