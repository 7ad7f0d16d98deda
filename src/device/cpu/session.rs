//! A session on the CPU: the plan's buffers as vectors, and a loop over the nodes.

use std::sync::Arc;
use std::time::Instant;

use super::check_memory;
use crate::device::{Clock, LoadOptions, NodeTimes, ProgramId, Session, StepScalars};
use crate::error::Error;
use crate::ops::{Args, Runs, Slice, SliceMut};
use crate::tape::plan::{BufferKind, Placement};
use crate::tape::{Group, Node, Plan, PlanOptions, StateLayout, Tape, ValueId};

/// A buffer of the plan.
enum Buffer<T> {
    Real(Vec<T>),
    Words(Vec<u32>),
}

/// A model on the CPU, in f32 or f64; see [`Session`].
pub struct CpuSession<T> {
    layout: StateLayout,
    /// The state's flat buffers, in the order of [`Group::ALL`]; none before they are needed.
    state: Vec<Buffer<T>>,
    programs: Vec<Program<T>>,
    memory_limit: Option<u64>,
    metrics: Option<Vec<f32>>,
}

struct Program<T> {
    tape: Arc<Tape>,
    plan: Plan,
    /// The plan's buffers; the state's are empty here, and lent for the time of a run.
    buffers: Vec<Buffer<T>>,
}

impl<T: Runs> CpuSession<T> {
    pub(super) fn new(layout: &StateLayout, memory_limit: Option<u64>) -> Self {
        let (layout, state, programs) = (layout.clone(), Vec::new(), Vec::new());
        Self { layout, state, programs, memory_limit, metrics: None }
    }

    /// Makes the state, zeroed, unless it is there: only once a plan has passed its limits.
    fn ensure_state(&mut self) {
        if self.state.is_empty() {
            let zeros = |group| Buffer::Real(vec![T::ZERO; self.layout.n_elements(group)]);
            self.state = Group::ALL.map(zeros).into();
        }
    }

    /// [`Session::write`] in the session's own number type.
    pub fn write_real(&mut self, program: ProgramId, input: ValueId, data: &[T]) {
        self.real_mut(program, input).copy_from_slice(data);
    }

    /// [`Session::read`] in the session's own number type.
    pub fn read_real(&self, program: ProgramId, value: ValueId) -> Vec<T> {
        let program = &self.programs[program.0];
        let placement = program.placement(value);
        let buffer = match program.plan.buffers[placement.buffer].kind {
            BufferKind::State(group) => &self.state[group.index()],
            _ => &program.buffers[placement.buffer],
        };
        match buffer {
            Buffer::Real(values) => values[elements(placement)].to_vec(),
            Buffer::Words(_) => panic!("{value} holds words"),
        }
    }

    fn real_mut(&mut self, program: ProgramId, value: ValueId) -> &mut [T] {
        let program = &mut self.programs[program.0];
        let placement = program.placement(value);
        let buffer = match program.plan.buffers[placement.buffer].kind {
            BufferKind::State(group) => &mut self.state[group.index()],
            _ => &mut program.buffers[placement.buffer],
        };
        match buffer {
            Buffer::Real(values) => &mut values[elements(placement)],
            Buffer::Words(_) => panic!("{value} holds words"),
        }
    }

    fn state_mut(&mut self, group: Group) -> &mut Vec<T> {
        self.ensure_state();
        match &mut self.state[group.index()] {
            Buffer::Real(values) => values,
            Buffer::Words(_) => unreachable!("the state holds real numbers"),
        }
    }
}

impl<T> Program<T> {
    fn placement(&self, value: ValueId) -> Placement {
        self.plan.placements[value.index()].unwrap_or_else(|| panic!("{value} is on no node"))
    }
}

/// The range of a placement in elements (and words) of four bytes.
fn elements(placement: Placement) -> std::ops::Range<usize> {
    let start = (placement.offset / 4) as usize;
    start..start + (placement.bytes / 4) as usize
}

impl<T: Runs> Session for CpuSession<T> {
    fn load(&mut self, tape: &Arc<Tape>, options: LoadOptions) -> Result<ProgramId, Error> {
        assert!(*tape.state() == self.layout, "the tape has another state layout");
        let plan =
            Plan::new(tape, PlanOptions { keep_all: options.keep_all, ..PlanOptions::default() });
        let in_use = self.programs.iter().map(|program| program.plan.own_bytes()).sum();
        plan.check(self.memory_limit, in_use, u64::MAX)?;
        check_memory(plan.total_bytes())?;
        self.ensure_state();
        let buffers = plan.buffers.iter().map(|planned| {
            let n = match planned.kind {
                BufferKind::State(_) => 0,
                _ => (planned.bytes / 4) as usize,
            };
            if planned.real { Buffer::Real(vec![T::ZERO; n]) } else { Buffer::Words(vec![0; n]) }
        });
        let buffers = buffers.collect();
        self.programs.push(Program { tape: Arc::clone(tape), plan, buffers });
        Ok(ProgramId(self.programs.len() - 1))
    }

    fn plan(&self, program: ProgramId) -> &Plan {
        &self.programs[program.0].plan
    }

    fn write(&mut self, program: ProgramId, input: ValueId, data: &[f32]) -> Result<(), Error> {
        let target = self.real_mut(program, input);
        assert_eq!(target.len(), data.len(), "{input} has another number of elements");
        target.iter_mut().zip(data).for_each(|(to, &from)| *to = T::from_f32(from));
        Ok(())
    }

    fn write_words(
        &mut self,
        program: ProgramId,
        input: ValueId,
        data: &[u32],
    ) -> Result<(), Error> {
        let program = &mut self.programs[program.0];
        let placement = program.placement(input);
        match &mut program.buffers[placement.buffer] {
            Buffer::Words(words) => words[elements(placement)].copy_from_slice(data),
            Buffer::Real(_) => panic!("{input} holds real numbers"),
        }
        Ok(())
    }

    fn run(&mut self, program: ProgramId, step: &StepScalars) -> Result<(), Error> {
        self.run_timed(program, step).map(|_| ())
    }

    /// Reading the clock costs a millionth of a step, so every run is timed.
    fn run_timed(&mut self, program: ProgramId, step: &StepScalars) -> Result<NodeTimes, Error> {
        let program = &mut self.programs[program.0];
        // The state's vectors change hands for the time of the run; nothing is copied.
        let swap_state = |program: &mut Program<T>, state: &mut [Buffer<T>]| {
            program.buffers.iter_mut().zip(state).for_each(|(a, b)| std::mem::swap(a, b));
        };
        swap_state(program, &mut self.state);
        let mut ends = vec![Instant::now()];
        for node in program.tape.nodes() {
            run_node(&program.tape, &program.plan, node, &mut program.buffers, step);
            ends.push(Instant::now());
        }
        let seconds = ends.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        swap_state(program, &mut self.state);
        Ok(NodeTimes { seconds, clock: Clock::Host })
    }

    fn read(&mut self, program: ProgramId, value: ValueId) -> Result<Vec<f32>, Error> {
        Ok(self.read_real(program, value).into_iter().map(T::to_f32).collect())
    }

    fn read_words(&mut self, program: ProgramId, value: ValueId) -> Result<Vec<u32>, Error> {
        let program = &self.programs[program.0];
        let placement = program.placement(value);
        match &program.buffers[placement.buffer] {
            Buffer::Words(words) => Ok(words[elements(placement)].to_vec()),
            Buffer::Real(_) => panic!("{value} holds real numbers"),
        }
    }

    fn write_state(&mut self, group: Group, data: &[f32]) -> Result<(), Error> {
        let target = self.state_mut(group);
        assert_eq!(target.len(), data.len(), "{} has another size", group.name());
        target.iter_mut().zip(data).for_each(|(to, &from)| *to = T::from_f32(from));
        Ok(())
    }

    fn read_state(&mut self, group: Group) -> Result<Vec<f32>, Error> {
        Ok(self.state_mut(group).iter().map(|v| v.to_f32()).collect())
    }

    fn request_metrics(&mut self) -> Result<(), Error> {
        self.metrics = Some(self.read_state(Group::Metrics)?);
        Ok(())
    }

    fn poll_metrics(&mut self) -> Result<Option<Vec<f32>>, Error> {
        Ok(self.metrics.take())
    }

    fn wait(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// Runs one node. The buffers that it writes are taken out of the list, so that the others can be
/// lent for reading at the same time.
fn run_node<T: Runs>(
    tape: &Tape,
    plan: &Plan,
    node: &Node,
    buffers: &mut [Buffer<T>],
    step: &StepScalars,
) {
    let place = |id: ValueId| plan.placements[id.index()].expect("every value of a node is placed");
    // Outputs by buffer and offset, so that those that share a buffer can be split off in order.
    let mut order: Vec<usize> = (0..node.outputs.len()).collect();
    order.sort_by_key(|&ix| (place(node.outputs[ix]).buffer, place(node.outputs[ix]).offset));
    let mut taken: Vec<(usize, Buffer<T>)> = Vec::with_capacity(order.len());
    for &ix in &order {
        let buffer = place(node.outputs[ix]).buffer;
        if taken.last().is_none_or(|(last, _)| *last != buffer) {
            let empty = Buffer::Words(Vec::new());
            taken.push((buffer, std::mem::replace(&mut buffers[buffer], empty)));
        }
    }

    {
        let mut outputs: Vec<Option<SliceMut<'_, T>>> = node.outputs.iter().map(|_| None).collect();
        for (buffer, contents) in &mut taken {
            let here =
                order.iter().copied().filter(|&ix| place(node.outputs[ix]).buffer == *buffer);
            let ranges = here.map(|ix| (ix, elements(place(node.outputs[ix]))));
            match contents {
                Buffer::Real(values) => {
                    split(values, ranges, |ix, slice| outputs[ix] = Some(SliceMut::Real(slice)));
                }
                Buffer::Words(words) => {
                    split(words, ranges, |ix, slice| outputs[ix] = Some(SliceMut::Words(slice)));
                }
            }
        }
        let mut outputs: Vec<_> = outputs.into_iter().map(|o| o.expect("every output")).collect();

        let inputs: Vec<Slice<'_, T>> = (0..node.inputs.len())
            .map(|ix| {
                if node.op.aliases().iter().any(|&(_, input)| input == ix) {
                    return Slice::Aliased;
                }
                let placement = place(node.inputs[ix]);
                match &buffers[placement.buffer] {
                    Buffer::Real(values) => Slice::Real(&values[elements(placement)]),
                    Buffer::Words(words) => Slice::Words(&words[elements(placement)]),
                }
            })
            .collect();
        T::run_op(
            &*node.op,
            Args { io: tape.io(node), inputs: &inputs, outputs: &mut outputs, step },
        );
    }
    for (buffer, contents) in taken {
        buffers[buffer] = contents;
    }
}

/// Hands out disjoint ranges of `values`, given in ascending order.
fn split<'a, E>(
    mut values: &'a mut [E],
    ranges: impl Iterator<Item = (usize, std::ops::Range<usize>)>,
    mut give: impl FnMut(usize, &'a mut [E]),
) {
    let mut start = 0;
    for (ix, range) in ranges {
        let (head, tail) = values.split_at_mut(range.end - start);
        give(ix, &mut head[range.start - start..]);
        (values, start) = (tail, range.end);
    }
}
