//! Space to depth: the pixels of each block of BLOCK x BLOCK become channels of one pixel.
//!
//! x `[N, OH·BLOCK, OW·BLOCK, C]` → y `[N, OH, OW, BLOCK·BLOCK·C]`.
//!
//! Shader: `shaders/space_to_depth/`. Derivation: `docs/ops/space_to_depth.md`.

use super::{Case, OpTests, case::Fill, nhwc};
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, Node, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// Records the move of blocks of `block` rows and columns to channels: `[N, H, W, C]` to
/// `[N, H / block, W / block, block * block * C]`.
///
/// # Panics
/// If `block` does not divide the rows or the columns.
pub fn space_to_depth(tape: &mut Tape, x: ValueId, block: usize) -> ValueId {
    tape.push_one(SpaceToDepth { block, backward: false }, &[x])
}

/// The copy `x -> y`, or, in the backward pass, the copy in the other direction, `d_y -> d_x`.
#[derive(Clone, Copy, Debug)]
pub struct SpaceToDepth {
    /// The number of rows, and of columns, of a block.
    pub block: usize,
    /// True for the copy from channels to pixels.
    pub backward: bool,
}

impl SpaceToDepth {
    /// Returns the shape of y, `[N, OH, OW, BLOCK·BLOCK·C]`.
    fn blocks(&self, io: &NodeIo<'_>) -> [usize; 4] {
        let shape = if self.backward { io.input_shape(0) } else { io.output_shape(0) };
        nhwc("space_to_depth", shape)
    }
}

impl Op for SpaceToDepth {
    fn name(&self) -> &'static str {
        if self.backward { "space_to_depth.backward" } else { "space_to_depth.forward" }
    }

    fn attributes(&self) -> String {
        format!("blocks of {0}x{0}", self.block)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let (b, [n, h, w, c]) = (self.block, nhwc("space_to_depth", &inputs[0].shape));
        if self.backward {
            return vec![OutputSpec::real("depth.d_x", &[n, h * b, w * b, c / (b * b)])];
        }
        let fits = h.is_multiple_of(b) && w.is_multiple_of(b);
        assert!(fits, "space_to_depth: {} do not tile planes of {h}x{w}", self.attributes());
        vec![OutputSpec::real("depth", &[n, h / b, w / b, b * b * c])]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        _: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let op = SpaceToDepth { backward: !self.backward, ..*self };
        vec![d_outputs[0].map(|d_y| tape.push_one(op, &[d_y]))]
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let [_, _, ow, c] = self.blocks(io);
        let shader = Shader::new("space_to_depth/forward")
            .constants(&[("OW", ow), ("C", c / (self.block * self.block)), ("BLOCK", self.block)])
            .constant("BACKWARD", self.backward);
        let bindings = [Binding::Input(0), Binding::Output(0)];
        Launch::one(shader, &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for SpaceToDepth {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [_, _, ow, depth] = self.blocks(&args.io);
        let (source, result) = (args.inputs[0].real(), args.outputs[0].real());
        // A row of blocks has BLOCK rows of pixels. In both orders it has the same elements, in runs of BLOCK pixels.
        let (row, run) = (ow * depth, depth / self.block);
        for_each_chunk(result, row, &|ix, result| {
            let source = chunk(source, ix, row);
            for (ix, run_in_y) in (0..row).step_by(run).enumerate() {
                let (ow_ix, kh) = (ix / self.block, ix % self.block);
                let run_in_x = (kh * ow + ow_ix) * run;
                let (from, to) = match self.backward {
                    true => (run_in_y, run_in_x),
                    false => (run_in_x, run_in_y),
                };
                result[to..][..run].copy_from_slice(&source[from..][..run]);
            }
        });
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "space_to_depth", cases };

fn case(shape: &[usize], block: usize) -> Case {
    let name = format!("{shape:?}, blocks of {block}x{block}");
    Case::new(name, 1, move |tape, x| vec![space_to_depth(tape, x[0], block)]).real(
        "x",
        shape,
        Fill::Normal,
    )
}

fn cases() -> Vec<Case> {
    vec![case(&[2, 8, 12, 3], 4), case(&[3, 6, 4, 5], 2), case(&[2, 3, 5, 2], 1)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Mode;

    #[test]
    fn shape_rule() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[2, 8, 12, 3]);
        let y = space_to_depth(&mut tape, x, 4);
        assert_eq!(tape.shape(y), [2, 2, 3, 48]);
    }

    #[test]
    #[should_panic(expected = "space_to_depth: blocks of 4x4 do not tile planes of 8x10")]
    fn refuses_blocks_that_do_not_fit() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[2, 8, 10, 3]);
        space_to_depth(&mut tape, x, 4);
    }
}
