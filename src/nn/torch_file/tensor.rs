//! Makes a tensor of a storage, sizes and strides.

use safetensors::Dtype;

use super::file::{File, Reference, Storage};
use crate::base::pickle::{Item, Name};

/// The functions of PyTorch that a pickle calls to make tensors.
pub(super) const FUNCTIONS: [Name<'static>; 3] = [
    ("torch._utils", "_rebuild_tensor"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", PARAMETER),
];

/// The function that makes a parameter of a tensor, its first argument.
const PARAMETER: &str = "_rebuild_parameter";

/// The largest number of axes of a tensor, as in PyTorch.
const MAX_AXES: usize = 64;

/// A tensor whose elements follow one another, the last axis first.
pub(super) struct Tensor {
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) bytes: Vec<u8>,
}

/// Returns the arguments of the call that makes a tensor; None for a value that is neither tensor nor parameter.
pub(super) fn arguments<'p, 'a>(value: Item<'p, 'a>) -> Option<Item<'p, 'a>> {
    let of_torch = |value: Item<'p, 'a>| {
        value
            .call()
            .filter(|((module, _), _)| *module == "torch._utils")
            .map(|(name, arguments)| (name.1, arguments))
    };
    match of_torch(value)? {
        (PARAMETER, arguments) => {
            let [data] = arguments.first()?;
            of_torch(data).filter(|(name, _)| *name != PARAMETER).map(|(_, arguments)| arguments)
        }
        (_, arguments) => Some(arguments),
    }
}

/// Returns a tensor of at most `max_bytes` bytes. `arguments` are storage, offset, sizes, strides and, in newer files,
/// more.
///
/// # Errors
/// If the arguments are damaged, or the tensor needs elements that its storage lacks.
pub(super) fn read(
    arguments: Item<'_, '_>,
    file: &File<'_>,
    max_bytes: usize,
) -> Result<Tensor, String> {
    let damaged = "the description of the tensor is damaged";
    let [storage, offset, sizes, strides] = arguments.first().ok_or(damaged)?;
    let storage = file.storage(&Reference::of(storage).ok_or(damaged)?)?;
    let offset = offset.size().ok_or(damaged)?;
    let (shape, strides) = (numbers(sizes).ok_or(damaged)?, numbers(strides).ok_or(damaged)?);
    if shape.len() != strides.len() {
        return Err(damaged.to_string());
    }
    let axes: Vec<Axis> =
        shape.iter().zip(strides).map(|(&size, stride)| Axis { size, stride }).collect();
    let bytes = gather(&storage, offset, axes, max_bytes)
        .map_err(|problem| format!("the tensor of shape {shape:?} {problem}"))?;
    Ok(Tensor { dtype: storage.dtype, shape, bytes })
}

/// Returns the sizes or strides of a tensor.
fn numbers(item: Item<'_, '_>) -> Option<Vec<usize>> {
    let elements = item.elements()?;
    if elements.len() > MAX_AXES { None } else { elements.map(|element| element.size()).collect() }
}

#[derive(Clone, Copy)]
struct Axis {
    size: usize,
    /// The distance of neighbours in the storage, in elements.
    stride: usize,
}

/// Returns the elements of a tensor in row-major order.
///
/// # Errors
/// The problem, as the end of a sentence: the storage lacks an element, or the tensor has more elements than the
/// storage, or more than `max_bytes` bytes.
fn gather(
    storage: &Storage<'_>,
    offset: usize,
    mut axes: Vec<Axis>,
    max_bytes: usize,
) -> Result<Vec<u8>, &'static str> {
    let element_bytes = storage.dtype.bitsize() / 8;
    let n_stored = storage.bytes.len() / element_bytes;
    let n_elements = axes.iter().try_fold(1, |n: usize, axis| n.checked_mul(axis.size));
    let n_elements = match n_elements.filter(|&n| n <= n_stored) {
        Some(0) => return Ok(Vec::new()),
        Some(n_elements) => n_elements,
        None => return Err("has more elements than its storage"),
    };
    let last = axes.iter().try_fold(offset, |at: usize, axis| {
        at.checked_add((axis.size - 1).checked_mul(axis.stride)?)
    });
    if last.is_none_or(|last| last >= n_stored) {
        return Err("has elements beyond its storage");
    }
    if n_elements * element_bytes > max_bytes {
        return Err("repeats storages that earlier tensors have repeated too often");
    }
    // Axes of size 1 have any stride. Each of the others doubles the elements at least, so there are few of them.
    axes.retain(|axis| axis.size > 1);
    // The innermost axes that follow one another in the storage are copied as one run.
    let mut run = 1;
    while let Some(axis) = axes.pop_if(|axis| axis.stride == run) {
        run *= axis.size;
    }
    let mut bytes = Vec::with_capacity(n_elements * element_bytes);
    for ix in 0..n_elements / run {
        let mut rest = ix;
        let at = axes.iter().rev().fold(offset, |at, axis| {
            let step = rest % axis.size * axis.stride;
            rest /= axis.size;
            at + step
        });
        bytes.extend_from_slice(&storage.bytes[at * element_bytes..(at + run) * element_bytes]);
    }
    Ok(bytes)
}
