//! Maps of Grad-CAM, from the pixels to the map.

use wgrad::data::{ImageSize, Split};
use wgrad::device::Device;
use wgrad::nn::networks::by_name;
use wgrad::nn::{NetworkConfig, Weights};
use wgrad::tape::StateBuffer;
use wgrad::train::Explainer;
use wgrad::train::step::StepConfig;

use crate::OP_TOLERANCE;
use crate::bench::compare;
use crate::case_file::CaseFile;
use crate::compare::{Failures, Order};
use crate::network::order;

/// Explains the images of a case in batches of two, so that the last batch has a row without an image.
pub fn maps(file: &CaseFile, device: &Device) {
    let network = by_name(&file.attribute::<String>("network")).expect("a name");
    let network = NetworkConfig::new(network, file.attribute("width"), 10);
    let pixels = file.tensor("pixels");
    let &[n, channels, height, width] = &pixels.shape[..] else { panic!("pixels: four axes") };
    let size = ImageSize { height, width, channels };
    let config = StepConfig {
        size,
        mean: file.tensor("mean_f64").f64(),
        standard_deviation: file.tensor("std_f64").f64(),
        ..StepConfig::new(network, 2)
    };
    let mut explainer = Explainer::new(device, &config).expect("an explainer");
    let layout = explainer.evaluator.layout().clone();
    let of_file = |buffer| {
        let mut values = vec![0.0; layout.n_elements(buffer)];
        for member in layout.members(buffer) {
            let tensor = file.tensor(&format!("param.{}", member.name));
            let tensor = order(member.layout).to_ours(&tensor.shape, tensor.f32());
            values[member.range()].copy_from_slice(&tensor);
        }
        values
    };
    let weights = Weights {
        parameters: of_file(StateBuffer::Parameters),
        running_statistics: of_file(StateBuffer::RunningStatistics),
        n_batches: 0,
    };
    explainer.evaluator.set_weights(&weights).expect("written");

    let images: Vec<u8> = pixels.f64().into_iter().map(|value| value as u8).collect();
    let split = Split::of(size, images, vec![0; n]);
    let explained = explainer.explain(&split, &|| false).expect("it runs").expect("whole");
    let mut failures = Failures::default();
    for (what, got) in [("logits", &explained.logits), ("maps", &explained.maps)] {
        compare(&mut failures, what, file.tensor(what), got, Order::Plain, OP_TOLERANCE);
    }
    failures.finish(&file.name);
}
