//! The listing of a tape: every node with its inputs, its outputs, their places, and its work.

use super::plan::BufferKind;
use super::{Plan, Work};
use crate::base::units::{decimal, readable_bytes};
use crate::tape::{ElementType, Node, Phase, StateBuffer, Tape, Value, ValueId};

/// Returns the listing of a tape and its plan as text. `batch_size` is the number of images in a step.
///
/// A node has one or more lines: its name and attributes are on the left, its inputs are in the middle, one per line,
/// and its outputs and scratch memory are on the right, one per line. Each input and output has its number, its shape,
/// and its buffer. The totals and the memory of the step are at the end.
pub fn listing(tape: &Tape, plan: &Plan, batch_size: usize) -> String {
    let mut table = Table::default();
    let mut phase = None;
    for ix in 0..tape.nodes().len() {
        let node = &tape.nodes()[ix];
        if phase != Some(node.phase) {
            phase = Some(node.phase);
            table.heading(node.phase.name());
        }
        add_node(&mut table, tape, plan, ix);
    }
    format!("{}\n{}\n{}", table.render(), work(tape, batch_size), memory(tape, plan))
}

fn add_node(table: &mut Table, tape: &Tape, plan: &Plan, ix: usize) {
    let node = &tape.nodes()[ix];
    let io = tape.io(node);
    let mut what = vec![node.label()];
    let attributes = node.op.attributes();
    if !attributes.is_empty() {
        what.push(format!("  {attributes}"));
    }
    let describe = |&id: &ValueId| describe(tape, plan, id);
    let reads: Vec<_> = node.inputs.iter().map(describe).collect();
    let mut makes: Vec<_> = node.outputs.iter().map(describe).collect();
    makes.extend(plan.scratch[ix].iter().map(|scratch| {
        let buffer = plan.buffers[scratch.buffer].label.clone();
        [String::new(), format!("scratch {}", readable_bytes(scratch.bytes)), buffer]
    }));

    for line in 0..what.len().max(reads.len()).max(makes.len()) {
        let [read, read_shape, read_from] = reads.get(line).cloned().unwrap_or_default();
        let [made, made_shape, made_in] = makes.get(line).cloned().unwrap_or_default();
        let (number, flops, bytes) = match line {
            0 => (ix.to_string(), decimal(node.op.flops(&io)), readable_bytes(io.bytes())),
            _ => Default::default(),
        };
        let what = what.get(line).cloned().unwrap_or_default();
        table.row([
            number, what, read, read_shape, read_from, made, made_shape, made_in, flops, bytes,
        ]);
    }
}

/// Returns three texts for a value: its number, its shape, and the name of its buffer.
fn describe(tape: &Tape, plan: &Plan, id: ValueId) -> [String; 3] {
    let value = tape.value(id);
    let placement = plan.placements[id.index()].expect("a place for every value of a node");
    let buffer = &plan.buffers[placement.buffer];
    let place = match buffer.kind {
        BufferKind::Input => format!("input {}", buffer.label),
        BufferKind::State(_) | BufferKind::Slot(_) => buffer.label.clone(),
    };
    [id.to_string(), shape(value), place]
}

/// Returns a shape such as `32x16x16x64`, or `32 u32` for elements that are not real numbers.
pub fn shape(value: &Value) -> String {
    let axes: Vec<_> = value.shape.iter().map(usize::to_string).collect();
    match value.element {
        ElementType::F32 => axes.join("x"),
        element => format!("{} {element}", axes.join("x")),
    }
}

/// Returns lines of text with the work of each phase and of the whole step.
fn work(tape: &Tape, batch_size: usize) -> String {
    let mut text = String::new();
    let mut line = |name: &str, phases: &[Phase]| {
        let is_counted = |node: &Node| phases.contains(&node.phase);
        let n_nodes = tape.nodes().iter().filter(|node| is_counted(node)).count();
        let Work { flops, bytes } = Work::sum_of(tape, is_counted);
        text += &format!(
            "{name:<16}{n_nodes:>4} nodes {:>9}FLOP ({:>8}FLOP an image) {:>11} moved\n",
            decimal(flops),
            decimal(flops / batch_size as u64),
            readable_bytes(bytes),
        );
    };
    let phases = [Phase::Forward, Phase::Backward, Phase::Reduce, Phase::Update];
    let has = |phase: &Phase| tape.nodes().iter().any(|node| node.phase == *phase);
    // The line for the sums over shards is left out if the step has no shards.
    for phase in phases.into_iter().filter(|phase| *phase != Phase::Reduce || has(phase)) {
        line(phase.name(), &[phase]);
    }
    line("step", &phases);
    text
}

/// Returns lines of text with the step's memory on the device, one line for each use of memory.
fn memory(tape: &Tape, plan: &Plan) -> String {
    let of = |buffers: &[StateBuffer]| {
        let is_it = |kind| matches!(kind, BufferKind::State(buffer) if buffers.contains(&buffer));
        plan.bytes_where(is_it)
    };
    let sizes: Vec<u64> = plan.slots().iter().map(|slot| slot.bytes).collect();
    let slots = match sizes.iter().max() {
        Some(&largest) => format!("{} of up to {}", sizes.len(), readable_bytes(largest)),
        None => String::new(),
    };
    let partial: Vec<_> = (0..StateBuffer::N_PARTIAL).map(StateBuffer::Partial).collect();
    let state = tape.state();
    let levels = format!("{} for {} shards", state.n_levels(), state.n_shards);
    let kinds = [
        ("parameters", of(&[StateBuffer::Parameters]), String::new()),
        ("gradients", of(&[StateBuffer::Gradients]), String::new()),
        ("optimizer", of(&[StateBuffer::Optimizer(0), StateBuffer::Optimizer(1)]), String::new()),
        ("averages", of(&[StateBuffer::AveragedParameters]), String::new()),
        (
            "statistics",
            of(&[StateBuffer::RunningStatistics, StateBuffer::BatchStatistics]),
            String::new(),
        ),
        ("partial sums", of(&partial), levels),
        ("metrics", of(&[StateBuffer::Metrics, StateBuffer::StepMetrics]), String::new()),
        ("control", of(&[StateBuffer::Control]), String::new()),
        ("inputs", plan.bytes_where(|kind| kind == BufferKind::Input), String::new()),
        ("slots", plan.bytes_where(|kind| matches!(kind, BufferKind::Slot(_))), slots),
        ("total memory", plan.total_bytes(), String::new()),
        ("largest binding", plan.largest_binding(), largest(tape, plan)),
    ];
    // The lines for moving averages and partial sums are left out if the step has none.
    let is_optional = |name| ["averages", "partial sums"].contains(&name);
    let kinds = kinds.into_iter().filter(|&(name, bytes, _)| !is_optional(name) || bytes > 0);
    let lines = kinds.map(|(name, bytes, note)| {
        let text = format!("{name:<16}{:>11}   {note}", readable_bytes(bytes));
        format!("{}\n", text.trim_end())
    });
    lines.collect()
}

/// Returns the name of the largest value, or `scratch` if a node's scratch memory is larger than every value.
fn largest(tape: &Tape, plan: &Plan) -> String {
    let bytes = plan.largest_binding();
    let is_it = |ix: &usize| plan.placements[*ix].is_some_and(|place| place.bytes == bytes);
    match (0..tape.values().len()).find(is_it) {
        Some(ix) => format!("%{ix} {}", tape.values()[ix].name),
        None => "scratch".to_string(),
    }
}

const N_COLUMNS: usize = 10;

/// A table of text: rows of cells, and headings between the rows. `render` aligns the columns.
#[derive(Default)]
struct Table {
    rows: Vec<Row>,
}

enum Row {
    Heading(String),
    Cells(Box<[String; N_COLUMNS]>),
}

impl Table {
    const TITLES: [&str; N_COLUMNS] =
        ["#", "node", "reads", "", "from", "makes", "", "in", "FLOP", "moves"];
    /// The columns of numbers, which are aligned to the right.
    const RIGHT: [usize; 3] = [0, 8, 9];

    fn heading(&mut self, text: &str) {
        self.rows.push(Row::Heading(text.to_string()));
    }

    fn row(&mut self, cells: [String; N_COLUMNS]) {
        self.rows.push(Row::Cells(Box::new(cells)));
    }

    fn render(&self) -> String {
        let mut widths = Self::TITLES.map(str::len);
        for row in &self.rows {
            if let Row::Cells(cells) = row {
                let lengths = cells.iter().map(|cell| cell.chars().count());
                widths.iter_mut().zip(lengths).for_each(|(w, length)| *w = length.max(*w));
            }
        }
        let line = |cells: [&str; N_COLUMNS]| {
            let mut text = String::new();
            for (column, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
                text += &match Self::RIGHT.contains(&column) {
                    true => format!("{cell:>width$}  "),
                    false => format!("{cell:<width$}  "),
                };
            }
            format!("{}\n", text.trim_end())
        };
        let mut text = line(Self::TITLES);
        for row in &self.rows {
            text += &match row {
                Row::Heading(name) => format!("-- {name}\n"),
                Row::Cells(cells) => line(cells.each_ref().map(String::as_str)),
            };
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{add, relu};
    use crate::passes::PlanOptions;
    use crate::tape::Mode;

    #[test]
    fn lists_nodes_values_and_totals() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[2, 3, 4, 5]);
        let y = tape.scoped("layer", |tape| relu::relu(tape, x));
        let z = add::add(&mut tape, y, x);
        tape.keep(z);
        let text = listing(&tape, &Plan::new(&tape, PlanOptions::default()), 2);
        let lines: Vec<&str> = text.lines().collect();
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(lines[1], "-- forward");
        assert_eq!(
            words(lines[2]),
            "0 layer.relu.forward %0 2x3x4x5 input x %1 2x3x4x5 slot 0 120 960 B"
        );
        // Each line of the listing has one value that a node reads. The addition reads two values, so line 4 is its second
        // line.
        assert_eq!(words(lines[4]), "%0 2x3x4x5 input x");
        assert_eq!(lines[4].find("%0"), lines[2].find("%0"));
        assert!(text.contains("step               2 nodes"), "{text}");
        assert!(text.contains("total memory"), "{text}");
    }
}
