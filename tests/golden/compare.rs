//! Comparisons: relative L2 errors, and messages with the position of the largest error.

/// The order of an array's axes in the files and on the tape.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The same order in files and on the tape.
    Plain,
    /// NCHW in files, NHWC on the tape.
    Activation,
    /// OIHW in files, HWIO on the tape.
    ConvWeight,
    /// [out, in] in files, [in, out] on the tape.
    LinearWeight,
}

impl Order {
    /// Returns, for each axis on the tape, its axis in the file.
    fn axes(self, rank: usize) -> Vec<usize> {
        match self {
            Order::Plain => (0..rank).collect(),
            Order::Activation => vec![0, 2, 3, 1],
            Order::ConvWeight => vec![2, 3, 1, 0],
            Order::LinearWeight => vec![1, 0],
        }
    }

    /// Returns the shape on the tape of an array with the shape `theirs` in the file.
    pub fn our_shape(self, theirs: &[usize]) -> Vec<usize> {
        self.axes(theirs.len()).iter().map(|&axis| theirs[axis]).collect()
    }

    /// Permutes an array from the file's order to the tape's.
    pub fn to_ours(self, theirs: &[usize], values: &[f32]) -> Vec<f32> {
        permute(theirs, values, &self.axes(theirs.len()))
    }

    /// Permutes an array from the tape's order to the file's; `theirs` is the file's shape.
    pub fn to_theirs(self, theirs: &[usize], values: &[f32]) -> Vec<f32> {
        let axes = self.axes(theirs.len());
        let mut inverse = vec![0; axes.len()];
        axes.iter().enumerate().for_each(|(ours, &axis)| inverse[axis] = ours);
        permute(&self.our_shape(theirs), values, &inverse)
    }
}

/// Returns the array whose i-th axis is axis `axes[i]` of the given one.
fn permute(shape: &[usize], values: &[f32], axes: &[usize]) -> Vec<f32> {
    let to: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
    let stride = |axis: usize| shape[axis + 1..].iter().product::<usize>();
    let strides: Vec<usize> = axes.iter().map(|&axis| stride(axis)).collect();
    let source = |ix| multi_index(&to, ix).iter().zip(&strides).map(|(i, s)| i * s).sum::<usize>();
    (0..values.len()).map(|ix| values[source(ix)]).collect()
}

/// Returns the position of element `ix` along each axis.
fn multi_index(shape: &[usize], mut ix: usize) -> Vec<usize> {
    let mut at = vec![0; shape.len()];
    for (at, &extent) in at.iter_mut().zip(shape).rev() {
        (*at, ix) = (ix % extent, ix / extent);
    }
    at
}

/// The comparisons that failed, one line each.
#[derive(Default)]
pub struct Failures {
    lines: Vec<String>,
    n_compared: usize,
}

impl Failures {
    /// Compares an array with PyTorch's by the relative L2 error, or bit for bit if the tolerance is 0.
    pub fn compare(
        &mut self,
        what: &str,
        shape: &[usize],
        got: &[f64],
        expected: &[f64],
        tolerance: f64,
    ) {
        self.n_compared += 1;
        if got.len() != expected.len() {
            let (got, expected) = (got.len(), expected.len());
            self.lines.push(format!("{what}: {got} elements, expected {expected}"));
            return;
        }
        let norm =
            |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let difference = norm(&mut got.iter().zip(expected).map(|(g, e)| g - e));
        let scale = norm(&mut expected.iter().copied());
        let error = if scale == 0.0 { difference } else { difference / scale };
        let same_bits = || got.iter().zip(expected).all(|(g, e)| g.to_bits() == e.to_bits());
        let fine = if tolerance == 0.0 { same_bits() } else { error <= tolerance };
        if !fine {
            // NaN counts as the largest error.
            let off = |ix: usize| {
                let off = (got[ix] - expected[ix]).abs();
                if off.is_nan() { f64::INFINITY } else { off }
            };
            let worst = (0..got.len()).max_by(|&a, &b| off(a).total_cmp(&off(b))).unwrap_or(0);
            self.lines.push(format!(
                "{what}: relative error {error:.2e}, allowed {tolerance:.0e}; worst at {:?}: \
                 expected {:?}, got {:?}",
                multi_index(shape, worst),
                expected[worst],
                got[worst],
            ));
        }
    }

    /// Fails the test if any comparison failed or none was made.
    pub fn finish(self, file: &str) {
        // A wrong state makes all later states wrong, so the first lines show the cause.
        const SHOWN: usize = 10;
        let lines = self.lines[..self.lines.len().min(SHOWN)].join("\n  ");
        let n = self.lines.len();
        assert!(n == 0, "{file}: {n} of {} differ\n  {lines}", self.n_compared);
        assert!(self.n_compared > 0, "{file}: nothing was compared");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_convert_there_and_back() {
        let theirs = [2, 3, 4, 5];
        let values: Vec<f32> = (0..120).map(|v| v as f32).collect();
        let ours = Order::Activation.to_ours(&theirs, &values);
        assert_eq!(Order::Activation.our_shape(&theirs), [2, 4, 5, 3]);
        // In PyTorch's order and in the device's order, the last element is image 1, channel 2, row 3, column 4.
        assert_eq!(ours[119], values[119]);
        assert_eq!(ours[1], values[20], "the second channel of the first pixel");
        for order in [Order::Activation, Order::ConvWeight] {
            assert_eq!(order.to_theirs(&theirs, &order.to_ours(&theirs, &values)), values);
        }
    }

    #[test]
    #[should_panic(expected = "worst at [1, 0]: expected 3.0, got NaN")]
    fn a_nan_fails() {
        let mut failures = Failures::default();
        failures.compare("y", &[2, 2], &[1.0, 2.0, f64::NAN, 4.0], &[1.0, 2.0, 3.0, 4.0], 1e-5);
        failures.finish("case");
    }

    #[test]
    #[should_panic(expected = "worst at [0]")]
    fn bit_for_bit_distinguishes_the_two_zeros() {
        let mut failures = Failures::default();
        failures.compare("y", &[1], &[-0.0], &[0.0], 0.0);
        failures.finish("case");
    }
}
