use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::base::fingerprint::Fingerprint;

use super::*;
use crate::nn::ResNet9;
use crate::nn::networks::by_name;
use crate::tape::{Initializer, Layout};

fn layout(width: usize) -> StateLayout {
    let mut layout = StateLayout::default();
    let start = Initializer::Uniform { fan_in: 27 };
    let conv = [3, 3, 3, width];
    layout.add(StateBuffer::Parameters, "0.weight", &conv, Layout::ConvWeight, start);
    layout.add(StateBuffer::RunningStatistics, "1.running_mean", &[width], Layout::Plain, start);
    let one = Initializer::Constant(1.0);
    layout.add(StateBuffer::RunningStatistics, "1.running_var", &[width], Layout::Plain, one);
    layout
}

fn read(layout: &StateLayout, bytes: &[u8]) -> Result<(Weights, Vec<String>), String> {
    let file = WeightsFile::parse(Path::new("x"), bytes.to_vec());
    file.and_then(|file| file.weights(layout)).map_err(|error| error.to_string())
}

/// Returns the bytes of a safetensors file with these tensors, each with name, type, shape and bytes.
fn file(tensors: &[(&str, Dtype, &[usize], &[u8])]) -> Vec<u8> {
    let views = tensors.iter().map(|&(name, dtype, shape, bytes)| {
        (name, TensorView::new(dtype, shape.to_vec(), bytes).expect("it is whole"))
    });
    safetensors::serialize(views, None).expect("small")
}

#[test]
fn a_file_restores_the_weights_that_were_saved() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    let (layout, n_batches) = (layout(5), 77);
    let weights = Weights { n_batches, ..Weights::initial(&layout, 3) };
    weights.save(&layout, None, &path).expect("it can be written");
    weights.save(&layout, None, &path).expect("it can be overwritten");
    assert_eq!(Weights::load(&layout, &path).expect("it fits"), weights);
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1, "no other file");
}

#[test]
fn tensors_have_pytorchs_shapes_and_types() {
    let layout = layout(5);
    let weights = Weights::initial(&layout, 3);
    let bytes = weights.to_safetensors(&layout, None);
    let file = SafeTensors::deserialize(&bytes).expect("just written");
    assert_eq!(file.tensor("0.weight").expect("there").shape(), [5, 3, 3, 3]);
    let count = file.tensor("1.num_batches_tracked").expect("there");
    assert_eq!((count.dtype(), count.shape()), (Dtype::I64, &[][..]));
    assert_eq!(bytes, weights.to_safetensors(&layout, None), "the same bits each time");
}

#[test]
fn the_record_of_the_training_data_is_read_back() {
    let layout = layout(5);
    let weights = Weights::initial(&layout, 3);
    let info = ModelInfo {
        classes: vec!["a \"b\"\u{1b}".to_string(), "ü".to_string()],
        data: "shapes".to_string(),
        fingerprint: Fingerprint::of([]),
        image: [32, 32, 3],
        mean: vec![0.5; 3],
        standard_deviation: vec![0.25; 3],
        network: None,
    };
    let bytes = weights.to_safetensors(&layout, Some(&info));
    let file = WeightsFile::parse(Path::new("x"), bytes.clone()).expect("just written");
    assert_eq!(file.info(), Some(&info));
    assert_eq!(file.weights(&layout).expect("it fits"), (weights, Vec::new()));
    let (n, metadata) = SafeTensors::read_metadata(&bytes).expect("just written");
    assert_eq!(metadata.metadata().as_ref().expect("some")["format"], "pt");
    assert!(n.is_multiple_of(8), "the data are aligned: {n}");
    let damaged = String::from_utf8_lossy(&bytes).contains("e3b0c442").then(|| {
        let at = bytes.windows(8).position(|part| part == b"e3b0c442").expect("the fingerprint");
        [&bytes[..at], b"nonsense", &bytes[at + 8..]].concat()
    });
    let error = WeightsFile::parse(Path::new("x"), damaged.expect("ASCII")).err();
    assert!(error.expect("damaged").to_string().contains("its metadata entry \"wgrad\""));
}

#[test]
fn every_tensor_that_does_not_fit_is_named() {
    let bytes = Weights::initial(&layout(5), 3).to_safetensors(&layout(5), None);
    let mut other = layout(6);
    other.add(StateBuffer::Parameters, "fc", &[1], Layout::Plain, Initializer::Constant(0.0));
    other.running_statistics.remove(1);
    let error = read(&other, &bytes).expect_err("it does not fit");
    for line in [
        "0.weight: shape [5, 3, 3, 3], expected [6, 3, 3, 3]",
        "fc: missing",
        "1.running_mean: shape [5], expected [6]",
        "1.running_var: not a part of this network",
    ] {
        assert!(error.contains(line), "{line:?} is not in {error:?}");
    }
}

#[test]
fn missing_and_unknown_names_are_listed() {
    let names: Vec<String> = (0..9).map(|ix| format!("encoder.{ix}.kernel")).collect();
    let tensors: Vec<_> =
        names.iter().map(|name| (name.as_str(), Dtype::F32, &[1][..], &[0u8; 4][..])).collect();
    let mut large = StateLayout::default();
    for ix in 0..9 {
        let name = format!("layer{ix}.weight");
        large.add(StateBuffer::Parameters, &name, &[1], Layout::Plain, Initializer::Constant(0.0));
    }
    let error = read(&large, &file(&tensors)).expect_err("it does not fit");
    for line in ["layer4.weight: missing", "encoder.4.kernel: not a part of this network"] {
        assert!(error.contains(line), "{line:?} is not in {error:?}");
    }
    assert_eq!(error.matches("and 4 more like this").count(), 2, "{error}");
}

#[test]
fn float_types_are_converted_and_other_types_refused() {
    // Tests a file in which every element of the tensor `0.weight` is 1.5. `bytes` is the number 1.5 in the type
    // `dtype`.
    let one = |name: &str, dtype, bytes: &[u8]| {
        let weight = bytes.repeat(135);
        let others: Vec<_> = ["1.running_mean", "1.running_var"]
            .map(|name| (name, Dtype::F32, &[5][..], &[0u8; 20][..]))
            .into();
        let all = [vec![("0.weight", dtype, &[5, 3, 3, 3][..], &weight[..])], others].concat();
        let (weights, notes) = read(&layout(5), &file(&all)).expect(name);
        assert!(weights.parameters[..135].iter().all(|&value| value == 1.5), "{name}");
        assert_eq!(notes, [format!("converted 1 tensor from {name} to F32")]);
    };
    one("F16", Dtype::F16, &[0x00, 0x3e]);
    one("BF16", Dtype::BF16, &[0xc0, 0x3f]);
    one("F64", Dtype::F64, &1.5f64.to_le_bytes());
    let large = 1e300f64.to_le_bytes().repeat(135);
    let large = file(&[("0.weight", Dtype::F64, &[5, 3, 3, 3], &large)]);
    let error = read(&layout(5), &large).expect_err("it is refused");
    assert!(error.contains("0.weight: 1e300 is too large for F32"), "{error}");
    let words = file(&[("0.weight", Dtype::I32, &[5, 3, 3, 3], &[0; 540])]);
    let refused = |bytes: &[u8]| read(&layout(5), bytes).expect_err("it is refused");
    let error = refused(&words);
    assert!(error.contains("0.weight: I32, expected F32, F16, BF16 or F64"), "{error}");
    assert!(refused(b"PK\x03\x04").contains("torch.save"));
    assert!(refused(b"\x80\x02}q").contains("torch.save"));
    assert!(refused(&words[..40]).contains("damaged"));
    assert!(refused(b"").contains("damaged"));
}

#[test]
fn prefixes_of_wrappers_are_removed() {
    let layout = layout(1);
    let weight = [0; 108];
    let (four, count) = ([0u8; 4], [7u8, 0, 0, 0, 0, 0, 0, 0]);
    let wrapped = file(&[
        ("_orig_mod.module.0.weight", Dtype::F32, &[1, 3, 3, 3], &weight),
        ("module.1.running_mean", Dtype::F32, &[1], &four),
        ("module.1.running_var", Dtype::F32, &[1], &four),
        // PyTorch writes the count of batches as a scalar of type i64. Here its type and shape are wrong, and the
        // reader ignores it.
        ("module.1.num_batches_tracked", Dtype::F32, &[1], &four),
        ("n_averaged", Dtype::I64, &[], &count),
    ]);
    let (weights, notes) = read(&layout, &wrapped).expect("it fits");
    assert_eq!(weights.n_batches, 0);
    assert_eq!(
        notes,
        [
            "removed the prefix \"_orig_mod.module.\" from the names of 1 tensor",
            "removed the prefix \"module.\" from the names of 3 tensors",
            "ignored n_averaged and 1 more; no computation reads them"
        ]
    );
    let twice = file(&[
        ("0.weight", Dtype::F32, &[1, 3, 3, 3], &weight),
        ("module.0.weight", Dtype::F32, &[1, 3, 3, 3], &weight),
    ]);
    assert!(
        read(&layout, &twice).expect_err("ambiguous").contains("0.weight: the file has it twice")
    );
}

#[test]
fn an_element_that_is_not_finite_is_named() {
    let layout = layout(5);
    let good = Weights::initial(&layout, 3);
    let refused = |weights: &Weights| {
        read(&layout, &weights.to_safetensors(&layout, None)).expect_err("it is refused")
    };
    // `at` is the index of the element [ky 0, kx 1, ci 2, co 4] in the tape's layout of the weight, [3, 3, 3, 5]. In
    // PyTorch's layout it is the element [co 4, ci 2, ky 0, kx 1].
    let at = (5 * 3) + 2 * 5 + 4;
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut bad = good.clone();
        bad.parameters[at] = value;
        let expected =
            format!("0.weight: element [4, 2, 0, 1] is {value}; a weight must be finite");
        assert!(refused(&bad).contains(&expected), "{}", refused(&bad));
    }
    let mut bad = good.clone();
    let variance = layout.find("1.running_var").expect("there").1.offset;
    bad.running_statistics[variance + 3] = -0.25;
    assert!(refused(&bad).contains("1.running_var: element [3] is -0.25; a variance must not"));
    bad.running_statistics[variance + 3] = 0.0;
    let mean = layout.find("1.running_mean").expect("there").1.offset;
    bad.running_statistics[mean] = -1.0;
    assert!(read(&layout, &bad.to_safetensors(&layout, None)).is_ok());
}

#[test]
fn the_error_names_a_file_that_cannot_be_written() {
    let path = Path::new("/nowhere/model.safetensors");
    let weights = Weights::initial(&layout(2), 0);
    let error = weights.save(&layout(2), None, path).expect_err("there is no such folder");
    assert!(error.to_string().contains("/nowhere/model.safetensors"), "{error}");
}

/// Returns a file with the initial weights of a network, and with the record `info`.
fn file_of(config: impl Into<NetworkConfig>, info: Option<&ModelInfo>) -> WeightsFile {
    let tape = config.into().tape([32, 32, 3]);
    let bytes = Weights::initial(tape.state(), 0).to_safetensors(tape.state(), info);
    WeightsFile::parse(Path::new("x"), bytes).expect("just written")
}

#[test]
fn a_file_without_a_record_has_its_size_in_the_shapes() {
    let resnet9 = ResNet9 { width: 4, classes: 7 };
    let file = file_of(resnet9, None);
    assert_eq!(file.network(None, None).expect("resnet9"), resnet9.into());
    let network = by_name("resnet20").expect("a name");
    let resnet20 = NetworkConfig::new(network, 6, 3);
    let file = file_of(resnet20, None);
    assert_eq!(file.network(Some(network), None).expect("resnet20"), resnet20);
    assert_eq!(file.network(Some(network), Some(8)).expect("resnet20").width, 8);
}

#[test]
fn a_record_names_the_network() {
    let network = by_name("resnet20").expect("a name");
    let config = NetworkConfig::new(network, 6, 3);
    let info = |name: &str| ModelInfo {
        classes: Vec::new(),
        data: String::new(),
        fingerprint: Fingerprint::of([]),
        image: [32, 32, 3],
        mean: vec![0.5; 3],
        standard_deviation: vec![0.25; 3],
        network: Some(crate::nn::NetworkEntry { name: name.to_string(), width: 6 }),
    };
    let file = file_of(config, Some(&info("resnet20")));
    assert_eq!(file.network(None, None).expect("resnet20"), config);
    let error = file.network(by_name("resnet9").ok(), None).expect_err("another").to_string();
    assert!(error.contains("the file has resnet20, and the network has resnet9"), "{error}");
    let error = file_of(config, Some(&info("resnet5"))).network(None, None).expect_err("unknown");
    assert!(error.to_string().contains("did you mean resnet5"), "{error}");
}

#[test]
fn weights_of_another_network_are_named() {
    let network = by_name("resnet32").expect("a name");
    let file = file_of(NetworkConfig::new(network, 4, 10), None);
    for other in ["resnet9", "resnet20"] {
        let network = by_name(other).expect("a name");
        let layout = NetworkConfig::new(network, 4, 10).tape([32, 32, 3]);
        let error = file.weights(layout.state()).expect_err("another network").to_string();
        let words = format!("the file has resnet32, and the network has {other}");
        assert!(error.contains(&words), "{error}");
    }
}
