//! The order of a tensor's axes in PyTorch and on the tape. The test states the orders again, independently of the tested
//! code.

use wgrad::tape::{Layout, StateEntry};

/// The order of the axes on the tape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// The same order in PyTorch and on the tape.
    Plain,
    /// NCHW in PyTorch, NHWC on the tape.
    Activation,
    /// OIHW in PyTorch, HWIO on the tape.
    ConvWeight,
    /// [out, in] in PyTorch, [in, out] on the tape.
    LinearWeight,
}

impl Order {
    /// Returns the order and PyTorch's shape of a parameter.
    pub fn of(member: &StateEntry) -> (Self, Vec<usize>) {
        let order = match member.layout {
            Layout::Plain => Order::Plain,
            Layout::ConvWeight => Order::ConvWeight,
            Layout::LinearWeight => Order::LinearWeight,
        };
        let mut shape = vec![0; member.shape.len()];
        let axes = order.axes(shape.len());
        axes.iter().zip(&member.shape).for_each(|(&axis, &n)| shape[axis] = n);
        (order, shape)
    }

    /// Returns the order and PyTorch's shape of a value on the tape.
    pub fn of_value(shape: &[usize]) -> (Self, Vec<usize>) {
        match *shape {
            [n, h, w, c] => (Order::Activation, vec![n, c, h, w]),
            _ => (Order::Plain, shape.to_vec()),
        }
    }

    /// Returns, for each axis on the tape, its axis in PyTorch.
    fn axes(self, rank: usize) -> Vec<usize> {
        match self {
            Order::Plain => (0..rank).collect(),
            Order::Activation => vec![0, 2, 3, 1],
            Order::ConvWeight => vec![2, 3, 1, 0],
            Order::LinearWeight => vec![1, 0],
        }
    }

    /// Returns the shape on the tape of a tensor with PyTorch's shape `theirs`.
    pub fn our_shape(self, theirs: &[usize]) -> Vec<usize> {
        self.axes(theirs.len()).iter().map(|&axis| theirs[axis]).collect()
    }

    /// Returns the rows of a tensor on the tape, along its last axis: PyTorch's index of the first element of each row,
    /// the number of elements in a row, and the distance of two elements of a row in PyTorch's order.
    pub fn rows(self, theirs: &[usize]) -> (Vec<usize>, usize, usize) {
        let axes = self.axes(theirs.len());
        let stride = |axis: usize| theirs[axis + 1..].iter().product::<usize>();
        let (&last, outer) = axes.split_last().expect("an axis");
        let mut starts = vec![0];
        for &axis in outer {
            let steps = move |start| (0..theirs[axis]).map(move |ix| start + ix * stride(axis));
            starts = starts.into_iter().flat_map(steps).collect();
        }
        (starts, theirs[last], stride(last))
    }

    /// Returns the index on the tape of the element with PyTorch's index along each axis, `at`.
    pub fn our_index(self, theirs: &[usize], at: &[usize]) -> usize {
        self.axes(at.len()).iter().fold(0, |ix, &axis| ix * theirs[axis] + at[axis])
    }
}

/// Returns the index along each axis of element `ix`.
pub fn multi_index(shape: &[usize], mut ix: usize) -> Vec<usize> {
    let mut at = vec![0; shape.len()];
    for (at, &extent) in at.iter_mut().zip(shape).rev() {
        (*at, ix) = (ix % extent, ix / extent);
    }
    at
}

#[test]
fn rows_and_indices_agree() {
    let theirs = [2, 3, 4, 5];
    for order in [Order::Plain, Order::Activation, Order::ConvWeight] {
        let (starts, n, step) = order.rows(&theirs);
        let in_our_order = starts.iter().flat_map(|start| (0..n).map(move |ix| start + ix * step));
        for (ours, theirs_ix) in in_our_order.enumerate() {
            let at = multi_index(&theirs, theirs_ix);
            assert_eq!(order.our_index(&theirs, &at), ours, "{order:?}");
        }
    }
}
