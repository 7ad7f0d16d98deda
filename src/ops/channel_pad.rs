//! Channels of zeros before and after the channels of a value: x `[..., C]` → y `[..., before + C + after]`.
//!
//! The node is in [`channel_slice`](super::channel_slice), because each of the two ops is the gradient of the other.
//!
//! Shader: `shaders/channel_pad/`. Derivation: `docs/ops/channel_pad.md`.

use super::channel_slice::ChannelPad;
use super::{Case, OpTests, case::Fill};
use crate::tape::{Tape, ValueId};

/// Records the padding of x with `before` channels of zeros before its own channels and `after` channels of zeros
/// after them: `[..., C]` to `[..., before + C + after]`.
///
/// # Panics
/// If x has no axis.
pub fn channel_pad(tape: &mut Tape, x: ValueId, before: usize, after: usize) -> ValueId {
    tape.push_one(ChannelPad { before, after }, &[x])
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "channel_pad", cases };

fn cases() -> Vec<Case> {
    let case = |shape: &[usize], before: usize, after: usize| {
        let name = format!("{shape:?}, {before} before, {after} after");
        Case::new(name, 1, move |tape, x| vec![channel_pad(tape, x[0], before, after)]).real(
            "x",
            shape,
            Fill::Normal,
        )
    };
    vec![case(&[2, 4, 5, 3], 2, 1), case(&[7, 6], 0, 3), case(&[7, 1], 3, 0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Mode;

    #[test]
    fn the_channels_of_x_stand_between_the_zeros() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[2, 3, 4]);
        let y = channel_pad(&mut tape, x, 2, 1);
        assert_eq!(tape.shape(y), [2, 3, 7]);
    }
}
