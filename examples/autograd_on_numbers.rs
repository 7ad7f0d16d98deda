//! Autograd on numbers: a training step is a list of nodes, recorded once and run many times, as on wgrad's tape.

use Op::{Add, Descend, Input, Mul};

#[derive(Clone, Copy)]
enum Op {
    Input,
    Add(usize, usize),
    Mul(usize, usize),
    Descend(usize, usize), // Subtracts the second value from the first. The first is a parameter.
}

/// Appends the gradient nodes of `loss`, and returns the gradient of each value. `one` is the index of the number 1.
fn backward(tape: &mut Vec<Op>, loss: usize, one: usize) -> Vec<Option<usize>> {
    let mut gradients = vec![None; tape.len()];
    gradients[loss] = Some(one);
    for ix in (0..=loss).rev() {
        let Some(d) = gradients[ix] else { continue };
        let parts = match tape[ix] {
            Add(a, b) => vec![(a, d), (b, d)],
            Mul(a, b) => vec![(a, push(tape, Mul(d, b))), (b, push(tape, Mul(d, a)))],
            Input | Descend(..) => Vec::new(),
        };
        // If several nodes read a value, its gradient is the sum of their parts.
        for (input, part) in parts {
            let sum = gradients[input].map(|other| push(tape, Add(other, part)));
            gradients[input] = sum.or(Some(part));
        }
    }
    gradients
}

fn push(tape: &mut Vec<Op>, op: Op) -> usize {
    tape.push(op);
    tape.len() - 1
}

fn main() {
    // One list has the loss (a x + b - y)^2, its gradient, and a step of gradient descent.
    let mut tape = vec![Input; 6];
    let [a, b, x, minus_y, one, rate] = [0, 1, 2, 3, 4, 5];
    tape.extend([Mul(a, x), Add(6, b), Add(7, minus_y), Mul(8, 8)]);
    let gradients = backward(&mut tape, 9, one);
    for parameter in [a, b] {
        let change = push(&mut tape, Mul(gradients[parameter].expect("it is used"), rate));
        push(&mut tape, Descend(parameter, change));
    }
    let mut value = vec![0.0; tape.len()];
    for at in [-1.0, -0.5, 0.0, 0.5, 1.0].repeat(20) {
        // A point on the line y = 3x - 1.
        [value[x], value[minus_y], value[one], value[rate]] = [at, 1.0 - 3.0 * at, 1.0, 0.1];
        tape.iter().enumerate().for_each(|(ix, op)| match *op {
            Input => {}
            Add(a, b) => value[ix] = value[a] + value[b],
            Mul(a, b) => value[ix] = value[a] * value[b],
            Descend(parameter, change) => value[parameter] -= value[change],
        });
    }
    println!("a = {:.3}, b = {:.3}", value[a], value[b]);
}
