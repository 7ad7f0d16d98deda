//! Networks of two blocks a stage and an eighth of the width, by the names in the references.

use wgrad::tape::{Tape, ValueId};

/// Records a reduced network, and returns its logits.
pub fn record(name: &str, _tape: &mut Tape, _x: ValueId) -> ValueId {
    panic!("{name}: no structure has this name")
}
