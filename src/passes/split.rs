//! The split of a step into two parts. The part in front of the first trained layer gives the same results for an image in
//! every epoch, so a run can compute them once. The part behind the last feature map is short, so the gradient of a
//! logit with respect to this map takes little time.

use crate::tape::{Phase, Storage, Tape, ValueId};

/// The first part of a split step.
#[derive(Clone, Debug)]
pub struct Front {
    /// The nodes of the part, on a tape with the values and the state layout of the whole step.
    pub tape: Tape,
    /// The values that the rest of the step reads, `[N, ...]`. They are outputs of [`Front::tape`], which the host can
    /// read, and inputs of the rest.
    pub features: Vec<ValueId>,
}

/// Moves nodes of a forward pass to a tape of their own: those that depend on nothing but `images` and frozen members of
/// the state. The values between the two parts become inputs of `tape`.
///
/// A layer with random draws depends on the numbers of the images, and a batch norm that is not frozen depends on its
/// parameters. So neither is moved, and the moved nodes compute each image for itself.
pub fn split_frozen(tape: &mut Tape, images: &[ValueId]) -> Front {
    let mut is_fixed = vec![false; tape.values().len()];
    for &image in images {
        is_fixed[image.index()] = true;
    }
    let members = tape.state().parameters.iter().chain(&tape.state().running_statistics);
    for member in members.filter(|member| tape.is_frozen(&member.name)) {
        let id = tape.find_member(&member.name).expect("a member is a value");
        is_fixed[id.index()] = true;
    }
    let mut is_moved = vec![false; tape.nodes().len()];
    for (node, is_moved) in tape.nodes().iter().zip(&mut is_moved) {
        let is_transient = |&id: &ValueId| tape.value(id).storage == Storage::Transient;
        *is_moved = node.inputs.iter().all(|id| is_fixed[id.index()])
            && node.outputs.iter().all(is_transient);
        node.outputs.iter().for_each(|id| is_fixed[id.index()] = *is_moved);
    }
    // A node that reads nothing but features stays behind, such as the pool in the shortcut of the first trained block.
    // Its result would be one more feature.
    let mut is_read: Vec<bool> = vec![false; tape.values().len()];
    features(tape, &is_moved).iter().for_each(|id| is_read[id.index()] = true);
    for (node, is_moved) in tape.nodes().iter().zip(&mut is_moved).filter(|(_, moved)| **moved) {
        if node.inputs.iter().all(|id| is_read[id.index()]) {
            *is_moved = false;
            node.outputs.iter().for_each(|id| is_read[id.index()] = true);
        }
    }
    split(tape, &is_moved)
}

/// Moves the nodes of a forward pass up to the node that computes `value` to a tape of their own. The value becomes an
/// input of `tape`.
///
/// # Panics
/// If no node computes the value, or a later node reads another value that an earlier node computes.
pub fn split_behind(tape: &mut Tape, value: ValueId) -> Front {
    let name = tape.value(value).name.clone();
    let maker = tape.nodes().iter().position(|node| node.outputs.contains(&value));
    let maker = maker.unwrap_or_else(|| panic!("split_behind: no node computes {name}"));
    let is_moved: Vec<bool> = (0..tape.nodes().len()).map(|ix| ix <= maker).collect();
    let front = split(tape, &is_moved);
    assert_eq!(front.features, [value], "split_behind: later nodes do not read {name} alone");
    front
}

/// Moves the nodes of [`Phase::Update`] to a tape of their own, and returns it. A step over shards runs the rest once for
/// each shard, and then the update once.
///
/// # Panics
/// If an update reads a value that is not in the state.
pub fn split_update(tape: &mut Tape) -> Tape {
    let is_moved: Vec<bool> = tape.nodes().iter().map(|node| node.phase != Phase::Update).collect();
    let mut update = tape.clone();
    update.retain(|ix| !is_moved[ix]);
    let read = features(tape, &is_moved).into_iter();
    let lost = read.map(|id| tape.value(id)).find(|value| value.storage == Storage::Transient);
    assert!(lost.is_none(), "split_update: the update reads {}", lost.map_or("", |v| &v.name));
    tape.retain(|ix| is_moved[ix]);
    update
}

/// Moves the nodes that `is_moved` selects to a tape of their own.
fn split(tape: &mut Tape, is_moved: &[bool]) -> Front {
    let features = features(tape, is_moved);
    let mut front = tape.clone();
    front.retain(|ix| is_moved[ix]);
    tape.retain(|ix| !is_moved[ix]);
    for &id in &features {
        front.keep(id);
        tape.make_input(id);
    }
    Front { tape: front, features }
}

/// Returns the values that moved nodes compute and other nodes read, in the order of the tape.
fn features(tape: &Tape, is_moved: &[bool]) -> Vec<ValueId> {
    let nodes = || tape.nodes().iter().zip(is_moved);
    let mut is_made = vec![false; tape.values().len()];
    let moved = nodes().filter(|(_, is_moved)| **is_moved);
    moved.flat_map(|(node, _)| &node.outputs).for_each(|id| is_made[id.index()] = true);
    let others = nodes().filter(|(_, is_moved)| !**is_moved);
    let read = others.flat_map(|(node, _)| &node.inputs).copied();
    let mut features: Vec<_> = read.filter(|id| is_made[id.index()]).collect();
    features.sort_unstable();
    features.dedup();
    features
}
