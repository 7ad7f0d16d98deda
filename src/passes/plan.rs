//! The memory plan: the place of every value, computed before the step runs.
//!
//! Inputs and the state have buffers of their own. Transient values share slots by liveness: a value occupies a slot
//! from its node to its last reader (`plan/slots.rs`). A slot is one buffer, and holds one value at a time: a dispatch must
//! not bind the same buffer for reading and for writing, even at disjoint ranges. The programs of a session run one at a
//! time, so a plan first uses the slots of earlier programs, and then adds slots.

mod slots;

use std::collections::{BTreeMap, HashSet};

use self::slots::Tenant;
use super::PlanError;
use crate::kernel::{Launch, Target, Tile};
use crate::tape::{ElementType, Node, StateBuffer, Storage, Tape};

/// The options of a plan.
#[derive(Clone, Copy, Default, Debug)]
pub struct PlanOptions<'a> {
    /// Properties of the GPU whose launches and scratch memory are planned; None for the CPU device, where the session
    /// allocates the scratch memory.
    pub target: Option<Target>,
    /// Fastest tiles of the matrix products, as measured on the adapter; None without measurements.
    pub tiles: Option<&'a Tiles>,
    /// True if every value has a place of its own. The host can then read all values after the step.
    pub keep_all: bool,
    /// Slots of the session's earlier programs; see [`Plan::slots`].
    pub slots: &'a [Slot],
}

/// A buffer for transient values, which the programs of a session share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    /// True if the slot holds real numbers, false for 32-bit words.
    pub real: bool,
    /// Size, in bytes.
    pub bytes: u64,
}

/// The fastest measured tile of each matrix product on an adapter, by [`Tape::signature`].
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Tiles(pub BTreeMap<String, Tile>);

impl Tiles {
    /// Returns the fastest measured tile of a node; None if the node was not measured.
    pub fn get(&self, tape: &Tape, node: &Node) -> Option<Tile> {
        self.0.get(&tape.signature(node)).copied()
    }
}

/// A value's place: a range of a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placement {
    /// Index of the buffer in [`Plan::buffers`].
    pub buffer: usize,
    /// Start of the range, in bytes.
    pub offset: u64,
    /// Length of the range, in bytes.
    pub bytes: u64,
}

/// The use of a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BufferKind {
    /// A flat buffer of the state, shared by all programs of a session.
    State(StateBuffer),
    /// The buffer of one input of the tape.
    Input,
    /// A slot, which holds transient values one after another. The number is the slot's index in the session.
    Slot(usize),
}

/// A buffer of a plan: the plan adds the buffer to the session, or an earlier program of the session added it.
#[derive(Clone, Debug)]
pub struct PlannedBuffer {
    /// Name for listings and debuggers.
    pub label: String,
    /// Use of the buffer.
    pub kind: BufferKind,
    /// True if the buffer holds real numbers, false for 32-bit words.
    pub real: bool,
    /// Size, in bytes. The size of a slot is the size of the largest value that the slot holds in the program that
    /// added it.
    pub bytes: u64,
    /// True if an earlier program of the session added the buffer.
    pub is_shared: bool,
}

impl PlannedBuffer {
    fn slot(ix: usize, Slot { real, bytes }: Slot, is_shared: bool) -> Self {
        let (label, kind) = (format!("slot {ix}"), BufferKind::Slot(ix));
        Self { label, kind, real, bytes, is_shared }
    }
}

/// The memory plan of a tape: the place of every value, and the launches of a GPU; see the [module page](self).
#[derive(Clone, Debug)]
pub struct Plan {
    /// Place of each value, by the value's index; None for a transient value that no node computes.
    pub placements: Vec<Option<Placement>>,
    /// Buffers: first the state's flat buffers in the order of [`StateBuffer::ALL`], then the inputs, then the slots.
    pub buffers: Vec<PlannedBuffer>,
    /// Launch of each node on the GPU. In a plan for the CPU device, the launches have no dispatches.
    pub launches: Vec<Launch>,
    /// Places of each node's scratch memory.
    pub scratch: Vec<Vec<Placement>>,
    /// Size of the largest parameter or running statistic, in bytes.
    largest_member: u64,
    /// Size of the largest input, transient value or scratch memory, in bytes.
    largest_of_step: u64,
    /// Number of rows, the first axis, of the value that has this size; 0 for scratch memory.
    rows_of_largest: u64,
}

impl Plan {
    /// Plans a tape.
    pub fn new(tape: &Tape, options: PlanOptions<'_>) -> Self {
        let mut plan = Self::without_slots(tape);
        let last_use = last_uses(tape, options.keep_all);
        let mut tenants = Vec::new();
        // The value or the scratch memory of each tenant.
        let mut of_values = Vec::new();
        for (ix, node) in tape.nodes().iter().enumerate() {
            let launch = match &options.target {
                Some(target) => {
                    let measured = options.tiles.and_then(|tiles| tiles.get(tape, node));
                    let tile = target.tile.or(measured);
                    node.op.launch(&tape.io(node), &Target { tile, ..*target })
                }
                None => Launch::default(),
            };
            for &output in &node.outputs {
                let value = tape.value(output);
                if value.storage == Storage::Transient {
                    let real = value.element == ElementType::F32;
                    let nodes = ix..last_use[output.index()].saturating_add(1);
                    tenants.push(Tenant { real, bytes: value.bytes(), nodes });
                    of_values.push(Some(output));
                }
            }
            for &bytes in &launch.scratch {
                tenants.push(Tenant { real: true, bytes, nodes: ix..ix + 1 });
                of_values.push(None);
            }
            plan.launches.push(launch);
        }
        plan.scratch = vec![Vec::new(); tape.nodes().len()];
        let mut slots = options.slots.to_vec();
        let slot_of = slots::assign(&tenants, &mut slots);
        let n_fixed = plan.buffers.len();
        for (Tenant { bytes, nodes, .. }, (slot, value)) in
            tenants.iter().zip(slot_of.into_iter().zip(of_values))
        {
            let place = Placement { buffer: n_fixed + slot, offset: 0, bytes: *bytes };
            match value {
                Some(value) => plan.placements[value.index()] = Some(place),
                None => plan.scratch[nodes.start].push(place),
            }
        }
        let n_earlier = options.slots.len();
        let buffer = |(ix, slot)| PlannedBuffer::slot(ix, slot, ix < n_earlier);
        plan.buffers.extend(slots.into_iter().enumerate().map(buffer));
        let placed = tape.values().iter().zip(&plan.placements);
        let of_step = placed.filter(|(value, _)| !matches!(value.storage, Storage::State { .. }));
        let of_step = of_step.filter_map(|(value, placement)| {
            let rows = value.shape.first().map_or(1, |&rows| rows as u64);
            Some((placement.as_ref()?.bytes, rows))
        });
        let scratch = plan.scratch.iter().flatten().map(|place| (place.bytes, 0));
        let largest = of_step.chain(scratch).max().unwrap_or((0, 0));
        (plan.largest_of_step, plan.rows_of_largest) = largest;
        plan
    }

    /// Returns the plan of a tape with the state and the inputs, without slots and launches.
    fn without_slots(tape: &Tape) -> Self {
        let state = StateBuffer::ALL.map(|buffer| PlannedBuffer {
            label: tape.state().name(buffer).to_string(),
            kind: BufferKind::State(buffer),
            real: true,
            bytes: 4 * tape.state().n_elements(buffer) as u64,
            is_shared: false,
        });
        let mut buffers = state.to_vec();
        let mut placements = vec![None; tape.values().len()];
        for (value, placement) in tape.values().iter().zip(&mut placements) {
            let bytes = value.bytes();
            match value.storage {
                Storage::State { buffer, offset } => {
                    let (buffer, offset) = (buffer.index(), 4 * offset as u64);
                    *placement = Some(Placement { buffer, offset, bytes });
                }
                Storage::Input => {
                    *placement = Some(Placement { buffer: buffers.len(), offset: 0, bytes });
                    let real = value.element == ElementType::F32;
                    let (label, kind) = (value.name.clone(), BufferKind::Input);
                    let is_shared = false;
                    buffers.push(PlannedBuffer { label, kind, real, bytes, is_shared });
                }
                Storage::Transient => {}
            }
        }
        let all = [&tape.state().parameters, &tape.state().running_statistics];
        let members = all.into_iter().flatten().map(|member| 4 * member.n_elements() as u64);
        Self {
            placements,
            buffers,
            launches: Vec::new(),
            scratch: Vec::new(),
            largest_member: members.max().unwrap_or(0),
            largest_of_step: 0,
            rows_of_largest: 0,
        }
    }

    /// Returns the bytes of the state, of the inputs, and of the slots that the program adds. For the first program of
    /// a session, this is the memory of the whole session.
    pub fn total_bytes(&self) -> u64 {
        self.bytes_where(|_| true)
    }

    /// Returns the bytes of the buffers for which `is_it` returns true, without the buffers that earlier programs
    /// added.
    pub fn bytes_where(&self, is_it: impl Fn(BufferKind) -> bool) -> u64 {
        let own = self.buffers.iter().filter(|b| !b.is_shared && is_it(b.kind));
        own.map(|b| b.bytes).sum()
    }

    /// Returns all slots of the session after this program is loaded, in the order of their numbers.
    pub fn slots(&self) -> Vec<Slot> {
        let slots = self.buffers.iter().filter(|b| matches!(b.kind, BufferKind::Slot(_)));
        slots.map(|&PlannedBuffer { real, bytes, .. }| Slot { real, bytes }).collect()
    }

    /// Returns the size of the largest value or scratch memory that a dispatch binds whole, in bytes. A flat buffer of
    /// the state does not count, because kernels can bind it in parts. Each parameter and running statistic counts.
    pub fn largest_binding(&self) -> u64 {
        self.largest_member.max(self.largest_of_step)
    }

    /// Returns the number of different shaders in the launches. A device compiles one pipeline for each.
    pub fn n_pipelines(&self) -> usize {
        let dispatches = self.launches.iter().flat_map(|launch| &launch.dispatches);
        dispatches.map(|dispatch| &dispatch.shader).collect::<HashSet<_>>().len()
    }

    /// Returns the bytes of the buffers that the program adds to the session: its inputs and its new slots.
    pub fn own_bytes(&self) -> u64 {
        self.bytes_where(|kind| !matches!(kind, BufferKind::State(_)))
    }

    /// Returns an error if the plan exceeds a limit. Call this function before memory is allocated. `in_use` is the
    /// number of bytes that the session's other programs take, and `max_binding` the adapter's largest binding in
    /// bytes.
    ///
    /// # Errors
    /// [`PlanError::MemoryLimit`], [`PlanError::BindingTooLarge`] or [`PlanError::ParameterTooLarge`].
    pub fn check(
        &self,
        memory_limit: Option<u64>,
        in_use: u64,
        max_binding: u64,
    ) -> Result<(), PlanError> {
        let planned = self.total_bytes() + in_use;
        if let Some(limit) = memory_limit
            && planned > limit
        {
            return Err(PlanError::MemoryLimit { planned, limit });
        }
        let limit = max_binding;
        match (self.largest_member, self.largest_of_step) {
            (bytes, _) if bytes > limit => Err(PlanError::ParameterTooLarge { bytes, limit }),
            (_, bytes) if bytes > limit => {
                let fits = self.rows_of_largest * limit / bytes;
                let fits = Some(fits).filter(|&rows| rows > 0);
                Err(PlanError::BindingTooLarge { bytes, limit, fits })
            }
            _ => Ok(()),
        }
    }
}

/// Returns, for each value, the index of the last node that reads or makes the value; `usize::MAX` for a value that is
/// kept after the step.
fn last_uses(tape: &Tape, keep_all: bool) -> Vec<usize> {
    let mut last = vec![0; tape.values().len()];
    for (ix, node) in tape.nodes().iter().enumerate() {
        node.inputs.iter().chain(&node.outputs).for_each(|id| last[id.index()] = ix);
    }
    for (value, last) in tape.values().iter().zip(&mut last) {
        if value.keep || keep_all {
            *last = usize::MAX;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::relu::relu;
    use crate::tape::Mode;

    /// Returns a tape of three ReLUs in sequence. The output of the last ReLU is kept.
    fn tape(n: usize) -> Tape {
        let mut tape = Tape::new("test", Mode::Eval);
        let x = tape.input("x", ElementType::F32, &[n]);
        let y = (0..3).fold(x, |y, _| relu(&mut tape, y));
        tape.keep(y);
        tape
    }

    fn sizes(plan: &Plan) -> Vec<u64> {
        plan.slots().iter().map(|slot| slot.bytes).collect()
    }

    fn plan(n: usize, slots: &[Slot]) -> Plan {
        Plan::new(&tape(n), PlanOptions { slots, ..PlanOptions::default() })
    }

    #[test]
    fn a_plan_uses_the_slots_of_an_earlier_plan() {
        let first = plan(100, &[]);
        assert_eq!((sizes(&first), first.own_bytes()), (vec![400, 400], 3 * 400));
        let smaller = plan(10, &first.slots());
        assert_eq!((sizes(&smaller), smaller.own_bytes()), (vec![400, 400], 40));
    }

    #[test]
    fn a_slot_of_an_earlier_plan_does_not_grow() {
        let larger = plan(200, &plan(100, &[]).slots());
        assert_eq!((sizes(&larger), larger.own_bytes()), (vec![400, 400, 800, 800], 3 * 800));
    }

    #[test]
    fn words_and_real_numbers_share_no_slot() {
        let words = Slot { real: false, bytes: 400 };
        assert_eq!(sizes(&plan(100, &[words, words])), [400; 4]);
    }
}
