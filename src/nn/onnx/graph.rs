//! Builds the graph of an ONNX file: its nodes, and the tensors that are stored in the file.

use std::collections::HashMap;

use super::proto::{
    Attribute, AttributeKind, Axis, Element, Graph, Node, Shape, Size, Tensor, TensorType, Type,
    ValueInfo,
};

/// The name of the free axis of the batch.
const BATCH: &str = "batch";

/// A graph under construction.
#[derive(Default)]
pub struct Builder {
    graph: Graph,
    /// The number of values that were given each name.
    names: HashMap<String, usize>,
}

impl Builder {
    /// Returns `name`, or `name` with a number behind it if a value has this name already.
    pub fn name(&mut self, name: &str) -> String {
        let mut unique = name.to_string();
        while self.names.contains_key(&unique) {
            let n = self.names.get_mut(name).expect("the name is taken");
            *n += 1;
            unique = format!("{name}_{n}");
        }
        self.names.insert(unique.clone(), 1);
        unique
    }

    /// Adds an input, whose first axis is the batch. `shape` has the sizes of the other axes.
    pub fn input(&mut self, name: &str, element: Element, shape: &[usize]) -> String {
        let name = self.name(name);
        self.graph.input.push(value_info(&name, element, shape));
        name
    }

    /// Adds an output of f32, whose first axis is the batch. `shape` has the sizes of the other axes.
    pub fn output(&mut self, name: &str, shape: &[usize]) {
        self.graph.output.push(value_info(name, Element::F32, shape));
    }

    /// Adds a tensor of f32 and returns its name.
    pub fn f32(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, Element::F32, shape, bytes)
    }

    /// Adds a tensor of i64 with one axis and returns its name.
    pub fn i64(&mut self, name: &str, values: &[usize]) -> String {
        let bytes = values.iter().flat_map(|&value| int(value).to_le_bytes()).collect();
        self.tensor(name, Element::I64, &[values.len()], bytes)
    }

    fn tensor(
        &mut self,
        name: &str,
        element: Element,
        shape: &[usize],
        raw_data: Vec<u8>,
    ) -> String {
        let name = self.name(name);
        let dims = ints(shape);
        self.graph.initializer.push(Tensor {
            dims,
            data_type: element.into(),
            name: name.clone(),
            raw_data,
        });
        name
    }

    /// Adds a node whose one output has the name `output`, which [`Builder::name`] has returned. The node has the same
    /// name. An empty name in `inputs` is an optional input that is left out.
    pub fn node(
        &mut self,
        output: &str,
        op_type: &str,
        input: Vec<String>,
        attribute: Vec<Attribute>,
    ) {
        let [name, output, op_type] = [output, output, op_type].map(str::to_string);
        self.graph.node.push(Node { input, output: vec![output], name, op_type, attribute });
    }

    /// Returns the graph under this name.
    pub fn finish(self, name: &str) -> Graph {
        Graph { name: name.to_string(), ..self.graph }
    }
}

fn value_info(name: &str, element: Element, shape: &[usize]) -> ValueInfo {
    let sizes = shape.iter().map(|&size| Size::Fixed(int(size)));
    let sizes = [Size::Free(BATCH.to_string())].into_iter().chain(sizes);
    let shape = Shape { dim: sizes.map(|size| Axis { size: Some(size) }).collect() };
    let tensor = TensorType { elem_type: element.into(), shape: Some(shape) };
    ValueInfo { name: name.to_string(), of: Some(Type { tensor: Some(tensor) }) }
}

fn int(size: usize) -> i64 {
    i64::try_from(size).expect("a size of a tensor")
}

fn ints(sizes: &[usize]) -> Vec<i64> {
    sizes.iter().map(|&size| int(size)).collect()
}

fn attribute(name: &str, kind: AttributeKind) -> Attribute {
    Attribute { name: name.to_string(), kind: kind.into(), ..Attribute::default() }
}

/// Returns an attribute that is a number.
pub fn of_f32(name: &str, value: f32) -> Attribute {
    Attribute { f: Some(value), ..attribute(name, AttributeKind::Float) }
}

/// Returns an attribute that is an integer.
pub fn of_int(name: &str, value: usize) -> Attribute {
    Attribute { i: Some(int(value)), ..attribute(name, AttributeKind::Int) }
}

/// Returns an attribute that is a list of integers.
pub fn of_ints(name: &str, values: &[usize]) -> Attribute {
    Attribute { ints: ints(values), ..attribute(name, AttributeKind::Ints) }
}

/// Returns an attribute that is a text.
pub fn of_text(name: &str, text: &str) -> Attribute {
    Attribute { s: Some(text.as_bytes().to_vec()), ..attribute(name, AttributeKind::String) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_a_name_of_its_own() {
        let mut builder = Builder::default();
        let names = ["a", "a_2", "a", "a", "b"].map(|name| builder.name(name));
        assert_eq!(names, ["a", "a_2", "a_3", "a_4", "b"]);
    }
}
