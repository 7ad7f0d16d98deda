//! A session on a GPU: the state, the programs that share it, and the submissions in flight.

use std::collections::VecDeque;
use std::sync::Arc;

use bytemuck::Pod;
use wgpu::BufferUsages;

use super::context::Context;
use super::pipelines::Pipelines;
use super::program::{Memory, Program, STORAGE};
use super::readback::{Reader, Ring};
use super::timing::{self, Timer};
use super::uploads::Uploads;
use crate::device::{Clock, DeviceError, LoadOptions, NodeTimes, Pending, ProgramId, Session};
use crate::kernel::{StepScalars, Target};
use crate::passes::{Plan, PlanError, PlanOptions, Tiles};
use crate::tape::{ElementType, StateBuffer, StateLayout, Tape, ValueId};

/// The largest number of submitted, unfinished steps. With two steps, the device is busy while the host encodes the
/// next one. A third step hides short delays of the host. More steps would only delay errors and metrics.
const MAX_IN_FLIGHT: usize = 3;

/// A source of tiles for the matrix products of a tape. The tuner, which measures tiles, implements this trait. A
/// session that the tuner opens for a measurement has no source of tiles.
pub(super) trait TileSource: Send + Sync {
    /// Returns the tiles of the matrix products of a tape.
    ///
    /// # Errors
    /// If the device is lost.
    fn tiles(
        &self,
        context: &Arc<Context>,
        pipelines: &Arc<Pipelines>,
        tape: &Tape,
    ) -> Result<Tiles, DeviceError>;
}

/// A model on a GPU; see [`Session`].
pub(super) struct GpuSession {
    context: Arc<Context>,
    pipelines: Arc<Pipelines>,
    target: Target,
    /// The source of measured tiles; None if tiles are not measured.
    tuner: Option<Arc<dyn TileSource>>,
    memory_limit: Option<u64>,
    layout: StateLayout,
    state: Option<State>,
    pub(super) programs: Vec<Program>,
    in_flight: VecDeque<wgpu::SubmissionIndex>,
    uploads: Uploads,
    reader: Reader,
    late: Ring,
    timer: Timer,
}

/// The buffers that all programs of the session bind: the state, and the scalars of the step.
struct State {
    /// The state's flat buffers, in the order of [`StateBuffer::ALL`].
    buffers: Vec<wgpu::Buffer>,
    /// The buffer with the [`StepScalars`] of the step that runs next.
    step: wgpu::Buffer,
}

impl GpuSession {
    pub(super) fn new(
        context: Arc<Context>,
        pipelines: Arc<Pipelines>,
        target: Target,
        tuner: Option<Arc<dyn TileSource>>,
        memory_limit: Option<u64>,
        layout: &StateLayout,
    ) -> Self {
        Self {
            context,
            pipelines,
            target,
            tuner,
            memory_limit,
            layout: layout.clone(),
            state: None,
            programs: Vec::new(),
            in_flight: VecDeque::new(),
            uploads: Uploads::default(),
            reader: Reader::default(),
            late: Ring::default(),
            timer: Timer::default(),
        }
    }

    /// Returns the state. The first call creates it and fills it with zeros.
    fn state(&mut self) -> Result<&State, DeviceError> {
        let state = match self.state.take() {
            Some(state) => state,
            None => self.create_state()?,
        };
        Ok(self.state.insert(state))
    }

    fn create_state(&self) -> Result<State, DeviceError> {
        let bytes = |buffer| 4 * self.layout.n_elements(buffer) as u64;
        let planned: u64 = StateBuffer::ALL.into_iter().map(bytes).sum();
        if let Some(limit) = self.memory_limit
            && planned > limit
        {
            return Err(PlanError::MemoryLimit { planned, limit }.into());
        }
        let create = |buffer: StateBuffer| {
            self.context.create_buffer(self.layout.name(buffer), bytes(buffer), STORAGE, planned)
        };
        let buffers =
            StateBuffer::ALL.into_iter().map(create).collect::<Result<_, DeviceError>>()?;
        let usage = BufferUsages::UNIFORM | BufferUsages::COPY_DST;
        let step = self.context.create_buffer("step", 0, usage, planned)?;
        Ok(State { buffers, step })
    }

    /// Runs the program like [`Session::run_timed`], and measures the nodes with `clock`. The device must support this
    /// clock.
    fn run_timed_by(
        &mut self,
        clock: Clock,
        program: ProgramId,
        step: &StepScalars,
    ) -> Result<NodeTimes, DeviceError> {
        // Earlier steps must be done before the run starts, otherwise the first node's time would include them.
        self.wait()?;
        let context = Arc::clone(&self.context);
        context.queue.write_buffer(&self.state()?.step, 0, bytemuck::bytes_of(step));
        self.programs[program.0].prepare(&context, &self.pipelines)?;
        self.timer.run(&context, &self.programs[program.0], &mut self.reader, clock)
    }

    /// Submits the copies of inputs that are not submitted yet.
    fn flush(&mut self) {
        if let Some(copies) = self.uploads.commands() {
            self.context.queue.submit([copies]);
            self.uploads.submitted();
        }
    }

    fn write_value<T: Pod>(
        &mut self,
        program: ProgramId,
        input: ValueId,
        data: &[T],
        is_real: bool,
    ) -> Result<(), DeviceError> {
        self.context.check()?;
        let (buffer, placement) = self.programs[program.0].typed_place(input, is_real);
        let bytes: &[u8] = bytemuck::cast_slice(data);
        assert_eq!(bytes.len() as u64, placement.bytes, "{input} has another number of elements");
        self.uploads.write(&self.context, buffer, placement.offset, bytes)
    }

    async fn read_value<T: Pod>(
        &mut self,
        program: ProgramId,
        value: ValueId,
        is_real: bool,
    ) -> Result<Vec<T>, DeviceError> {
        self.flush();
        let (buffer, placement) = self.programs[program.0].typed_place(value, is_real);
        self.reader.read(&self.context, buffer, placement.offset, placement.bytes).await
    }
}

impl Program {
    /// Returns the result of [`Program::place`] for a value, after a check of the value's element type.
    ///
    /// # Panics
    /// If `is_real` is true and the elements are not f32, or if `is_real` is false and the elements are f32.
    fn typed_place(
        &self,
        value: ValueId,
        is_real: bool,
    ) -> (&wgpu::Buffer, crate::passes::plan::Placement) {
        let holds_real = self.tape.value(value).element == ElementType::F32;
        let what = if holds_real { "real numbers" } else { "words" };
        assert_eq!(holds_real, is_real, "{value} holds {what}");
        self.place(value)
    }
}

impl Session for GpuSession {
    fn load(&mut self, tape: &Arc<Tape>, options: LoadOptions) -> Result<ProgramId, DeviceError> {
        assert!(
            *tape.state() == self.layout,
            "load: the tape's state layout differs from the session's"
        );
        self.context.check()?;
        let (limit, max_binding) =
            (self.memory_limit, self.context.limits.max_storage_buffer_binding_size);
        // This first plan has no launches, and only its sizes are checked against the limits. The plan with launches is
        // made later: if a tensor is larger than the adapter's largest binding, the grid of the tensor's dispatch may
        // be too large to represent.
        let slots = self.programs.last().map_or(Vec::new(), |last| last.plan.slots());
        let keep_all = options.keep_all;
        let mut how = PlanOptions { keep_all, slots: &slots, ..PlanOptions::default() };
        let in_use = self.programs.iter().map(|program| program.plan.own_bytes()).sum();
        Plan::new(tape, how).check(limit, in_use, max_binding)?;
        how.target = Some(self.target);
        let tuned = self.tuner.as_ref();
        let tiles = tuned.map(|tuner| tuner.tiles(&self.context, &self.pipelines, tape));
        let tiles = tiles.transpose()?;
        how.tiles = tiles.as_ref();
        let mut plan = Plan::new(tape, how);
        if tiles.is_some() && plan.check(limit, in_use, max_binding).is_err() {
            // Some measured tiles need scratch memory, with which the plan exceeds a limit. So the tape is planned
            // again with the tiles that `Tile::by_rule` chooses.
            how.tiles = None;
            plan = Plan::new(tape, how);
        }
        plan.check(limit, in_use, max_binding)?;
        let (context, pipelines) = (Arc::clone(&self.context), Arc::clone(&self.pipelines));
        let slots = self.programs.last().map_or(Vec::new(), |last| last.slots().cloned().collect());
        let state = self.state()?;
        let memory = Memory { state: &state.buffers, step: &state.step, slots: &slots };
        let program = Program::load(&context, &pipelines, &memory, tape, plan)?;
        self.programs.push(program);
        Ok(ProgramId(self.programs.len() - 1))
    }

    fn plan(&self, program: ProgramId) -> &Plan {
        &self.programs[program.0].plan
    }

    fn write(
        &mut self,
        program: ProgramId,
        input: ValueId,
        data: &[f32],
    ) -> Result<(), DeviceError> {
        self.write_value(program, input, data, true)
    }

    fn write_words(
        &mut self,
        program: ProgramId,
        input: ValueId,
        data: &[u32],
    ) -> Result<(), DeviceError> {
        self.write_value(program, input, data, false)
    }

    fn run(&mut self, program: ProgramId, step: &StepScalars) -> Result<(), DeviceError> {
        self.context.check()?;
        if self.in_flight.len() == MAX_IN_FLIGHT {
            self.context.wait(self.in_flight.pop_front())?;
        }
        let context = Arc::clone(&self.context);
        // The write takes effect between the earlier submissions and the next one.
        let buffer = &self.state()?.step;
        context.queue.write_buffer(buffer, 0, bytemuck::bytes_of(step));
        self.programs[program.0].prepare(&context, &self.pipelines)?;
        let commands = self.programs[program.0].encode(&context);
        let commands = self.uploads.commands().into_iter().chain([commands]);
        self.in_flight.push_back(context.queue.submit(commands));
        self.uploads.submitted();
        context.check()
    }

    fn run_timed(
        &mut self,
        program: ProgramId,
        step: &StepScalars,
    ) -> Result<NodeTimes, DeviceError> {
        let n_nodes = self.programs[program.0].tape.nodes().len();
        let clock = timing::best_clock(self.context.device.features(), n_nodes);
        self.run_timed_by(clock, program, step)
    }

    fn read_async(&mut self, program: ProgramId, value: ValueId) -> Pending<'_, Vec<f32>> {
        Box::pin(self.read_value(program, value, true))
    }

    fn read_words_async(&mut self, program: ProgramId, value: ValueId) -> Pending<'_, Vec<u32>> {
        Box::pin(self.read_value(program, value, false))
    }

    fn write_state(&mut self, buffer: StateBuffer, data: &[f32]) -> Result<(), DeviceError> {
        let n_elements = self.layout.n_elements(buffer);
        assert_eq!(data.len(), n_elements, "{} has another size", buffer.name());
        let context = Arc::clone(&self.context);
        context.check()?;
        let buffer = &self.state()?.buffers[buffer.index()];
        context.queue.write_buffer(buffer, 0, bytemuck::cast_slice(data));
        Ok(())
    }

    fn read_state_async(&mut self, buffer: StateBuffer) -> Pending<'_, Vec<f32>> {
        Box::pin(async move {
            let bytes = 4 * self.layout.n_elements(buffer) as u64;
            let buffer = self.state()?.buffers[buffer.index()].clone();
            self.reader.read(&self.context, &buffer, 0, bytes).await
        })
    }

    fn request_state(&mut self, buffer: StateBuffer) -> Result<(), DeviceError> {
        let bytes = 4 * self.layout.n_elements(buffer) as u64;
        let source = self.state()?.buffers[buffer.index()].clone();
        self.late.request(&self.context, buffer, &source, bytes)
    }

    fn poll_state(&mut self, values: &mut Vec<f32>) -> Result<Option<StateBuffer>, DeviceError> {
        self.late.poll(&self.context, values)
    }

    fn wait_async(&mut self) -> Pending<'_, ()> {
        Box::pin(async move {
            self.flush();
            self.in_flight.clear();
            self.context.idle().await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::OpenOptions;
    use crate::device::gpu::GpuDevice;
    use crate::ops::batch_norm::batch_norm;
    use crate::ops::conv2d::{Conv2d, conv2d};
    use crate::ops::relu::relu;
    use crate::tape::{Initializer, Layout, Mode};

    /// Runs the same step with each clock and without a clock. The results are the same to the bit, and the times are
    /// plausible.
    #[test]
    fn every_clock_runs_the_same_step() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[4, 8, 8, 3]);
        let mut parameter = |name: &str, shape: &[usize]| {
            tape.parameter(name, shape, Layout::Plain, Initializer::Constant(0.0))
        };
        let [gamma, beta] = ["gamma", "beta"].map(|name| parameter(name, &[16]));
        let weight = parameter("weight", &[3, 3, 3, 16]);
        let y = conv2d(&mut tape, x, weight, None, Conv2d::square(3, 1, 1));
        let y = batch_norm(&mut tape, y, gamma, beta, 1e-5).y;
        let y = relu(&mut tape, y);
        tape.keep(y);
        let tape = Arc::new(tape);
        let device = GpuDevice::open(None, &OpenOptions::default()).expect("an adapter");
        let new = |tape: &Tape| {
            let (context, pipelines) = (Arc::clone(&device.context), Arc::clone(&device.pipelines));
            GpuSession::new(context, pipelines, Target::default(), None, None, tape.state())
        };
        let run = |clock: Option<Clock>| {
            let mut session = new(&tape);
            let program = session.load(&tape, LoadOptions::default()).expect("it loads");
            let data: Vec<f32> = (0..4 * 8 * 8 * 3).map(|n| (n as f32).sin()).collect();
            session.write(program, x, &data).expect("written");
            let n_parameters = tape.state().n_elements(StateBuffer::Parameters);
            let weights: Vec<f32> = (0..n_parameters).map(|n| (n as f32).cos()).collect();
            session.write_state(StateBuffer::Parameters, &weights).expect("written");
            let scalars = StepScalars::default();
            match clock {
                None => session.run(program, &scalars).expect("it runs"),
                Some(clock) => {
                    let begun = std::time::Instant::now();
                    let times = session.run_timed_by(clock, program, &scalars).expect("it runs");
                    let seconds = begun.elapsed().as_secs_f64();
                    assert_eq!((times.clock, times.seconds.len()), (clock, tape.nodes().len()));
                    assert!(times.seconds.iter().all(|&seconds| seconds > 0.0), "{times:?}");
                    assert!(times.sum() < seconds, "{times:?} in {seconds} s");
                }
            }
            session.read(program, y).expect("read")
        };
        let expected = run(None);
        assert!(expected.iter().any(|&y| y > 0.0));
        for clock in [Clock::BetweenNodes, Clock::AroundPasses, Clock::SubmitAndWait] {
            assert_eq!(run(Some(clock)), expected, "{clock:?}");
        }
    }
}
