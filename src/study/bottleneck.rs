//! A bottleneck block is economical.
//!
//! Networks of basic blocks and of bottleneck blocks have equal numbers of layers. Parameters, operations and memory are
//! counted, the time is measured. `docs/lessons/bottleneck.md` has the text.

use wgrad::base::chart::lines::{Chart, Series, Unit};
use wgrad::data::ImageSize;
use wgrad::nn::NetworkConfig;
use wgrad::nn::networks::resnet::{ResNet, bottleneck};
use wgrad::nn::networks::resnet_cifar;
use wgrad::train::step::StepConfig;

use super::lab::{Cost, Spread, Verdict, step_times};
use super::{Lab, Page, Record, Study, Subject};

pub static STUDY: Study = Study {
    name: "bottleneck",
    claim: "a bottleneck block is economical",
    minutes: 1,
    subject: Subject::Own,
    text: include_str!("../../docs/lessons/bottleneck.md"),
    measure,
    show,
};

/// The networks. The convolutions between the blocks of the first two have equal numbers of channels. The 3x3
/// convolutions of the first and the third have equal numbers of channels, and the third has four times as many
/// between the blocks.
const NETWORKS: [&str; 3] = ["basic", "bottleneck, equal channels", "bottleneck, equal planes"];

/// The numbers of layers that both kinds of blocks can make for CIFAR, 6n + 2 and 9n + 2.
const DEPTHS: [usize; 6] = [20, 38, 56, 74, 92, 110];

/// The number of layers of the networks for ImageNet.
const IMAGENET: usize = 50;

/// A function that returns a number of a [`Cost`].
type Quantity<T> = fn(&Cost) -> T;

/// The quantities: name, the words of a claim, and the number in a [`Cost`] that is not measured.
const QUANTITIES: [(&str, &str, Quantity<f64>); 3] = [
    ("parameters", "has fewer parameters", |cost| cost.parameters),
    ("operations", "needs fewer operations", |cost| cost.operations),
    ("bytes", "takes less memory", |cost| cost.bytes),
];

/// Returns the `ix`-th network of `depth` layers: for ImageNet if there are 50, else for CIFAR. `width` is the number of
/// channels after the first block of the first network.
pub fn network(lab: &Lab<'_>, ix: usize, depth: usize, width: usize) -> NetworkConfig {
    let (base, of_basic, of_bottlenecks) = match depth {
        IMAGENET => (ResNet::named("resnet34"), vec![4, 6, 9, 5], vec![3, 4, 6, 3]),
        _ => (
            resnet_cifar::named(&format!("resnet{depth}")),
            vec![(depth - 2) / 6; 3],
            vec![(depth - 2) / 9; 3],
        ),
    };
    let name = format!("{}, {depth} layers", NETWORKS[ix]);
    let base = ResNet { name, ..base.expect("a ResNet of basic blocks") };
    let network = match ix {
        0 => ResNet { depths: of_basic, ..base },
        _ => ResNet { depths: of_bottlenecks, block: bottleneck, expansion: 4, ..base },
    };
    lab.config(network, if ix == 1 { (width / 4).max(1) } else { width })
}

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    let width = lab.width(lab.size([4, 16, 16]));
    let batch_size = lab.size([2, 32, 128]);
    let step =
        |lab: &Lab<'_>, ix, depth| lab.images.step(network(lab, ix, depth, width), batch_size);
    for depth in DEPTHS {
        for ix in 0..NETWORKS.len() {
            lab.measure(&format!("{depth}/{ix}"), |lab| {
                let step = step(lab, ix, depth);
                Ok(Cost::counted(step.network, &step))
            })?;
        }
    }
    for ix in 0..NETWORKS.len() {
        lab.measure(&format!("{IMAGENET}/{ix}"), |lab| {
            let network = NetworkConfig { classes: 1000, ..network(lab, ix, IMAGENET, 64) };
            let size = ImageSize { height: 224, width: 224, channels: 3 };
            let step = StepConfig { size, ..StepConfig::new(network, batch_size) };
            Ok(Cost::counted(network, &step))
        })?;
    }
    for &depth in lab.size::<&[usize]>([&[20], &[20, 56], &[20, 56, 110]]) {
        lab.measure(&format!("time/{depth}"), |lab| {
            let steps: Vec<_> = (0..NETWORKS.len()).map(|ix| step(lab, ix, depth)).collect();
            let times = step_times(lab, &steps, lab.size([2, 8, 20]))?;
            let named = times.into_iter().enumerate();
            Ok(named.map(|(ix, times)| (format!("{ix}/seconds"), times)).collect())
        })?;
    }
    Ok(())
}

/// Returns the cost of the `ix`-th network of `depth` layers.
fn cost(record: &Record, ix: usize, depth: usize) -> Option<Cost> {
    Cost::of(record, &format!("{depth}/{ix}"), &format!("time/{depth}/{ix}/seconds"))
}

/// Returns the costs of the first and of the `ix`-th network, for each depth of which both have one.
fn pairs(record: &Record, ix: usize) -> Vec<[Cost; 2]> {
    let pair = |depth| Some([cost(record, 0, depth)?, cost(record, ix, depth)?]);
    DEPTHS.into_iter().filter_map(pair).collect()
}

fn show(record: &Record, page: &mut Page) {
    charts(record, page);
    for (depths, heading) in [
        (&DEPTHS[..], "Networks for CIFAR"),
        (&[IMAGENET], "Networks for ImageNet, images of 224x224, not run"),
    ] {
        let mut rows = Vec::new();
        for &depth in depths {
            for (ix, name) in NETWORKS.iter().enumerate() {
                let Some(cost) = cost(record, ix, depth) else { continue };
                let mut row = vec![format!("{depth} layers, {name}")];
                row.extend(cost.cells());
                rows.push(row);
            }
        }
        let columns = ["network", "parameters (k)", "operations (M)", "memory (MiB)", "step (ms)"];
        page.table(heading, &columns, &rows);
    }
    for (ix, with) in [(1, "as many channels"), (2, "four times the channels")] {
        let (pairs, name) = (pairs(record, ix), ["", "equal_channels", "equal_planes"][ix]);
        let claim = |is: &str| {
            format!("a bottleneck network with {with} {is} than a basic one of equal depth")
        };
        for (quantity, is, of) in QUANTITIES {
            let ratios = pairs.iter().map(|pair| of(&pair[1]) / of(&pair[0]));
            let Some(ratio) = Spread::of(&ratios.collect::<Vec<_>>()) else { continue };
            page.figure(format!("{quantity}_ratio_{name}"), ratio.mean);
            let text = format!("Over 20 to 110 layers, the ratio is {}.", shown(ratio));
            page.verdict(&claim(is), Verdict::of(ratio.high < 1.0, ratio.low > 1.0), &text);
        }
        let times = pairs.iter().filter_map(|[a, b]| Some([a.seconds?, b.seconds?]));
        let times: Vec<[Spread; 2]> = times.collect();
        let ratios: Vec<f64> = times.iter().map(|[a, b]| b.mean / a.mean).collect();
        let Some(ratio) = Spread::of(&ratios) else { continue };
        page.figure(format!("time_ratio_{name}"), ratio.mean);
        let is_faster = times.iter().all(|[basic, other]| other.is_below(basic));
        let is_slower = times.iter().all(|[basic, other]| basic.is_below(other));
        let text = format!("The ratio of the mean times of a step is {}.", shown(ratio));
        page.verdict(&claim("takes less time"), Verdict::of(is_faster, is_slower), &text);
    }
}

/// Returns a ratio with its lowest and highest value.
fn shown(Spread { mean, low, high }: Spread) -> String {
    format!("{mean:.2} ({low:.2} to {high:.2})")
}

/// Adds a chart of each quantity over the number of layers.
fn charts(record: &Record, page: &mut Page) {
    let quantities: [(&str, Quantity<Option<f64>>); 4] = [
        ("Parameters, in thousands", |cost| Some(cost.parameters / 1e3)),
        ("Operations for one image, in millions", |cost| Some(cost.operations / 1e6)),
        ("Memory of a training step, in MiB", |cost| Some(cost.bytes / f64::from(1 << 20))),
        ("Time of a training step, in ms", |cost| cost.seconds.map(|s| 1e3 * s.mean)),
    ];
    for (title, quantity) in quantities {
        let series = NETWORKS.iter().enumerate().map(|(style, name)| {
            let point = |depth| Some((depth as f64, quantity(&cost(record, style, depth)?)?));
            let points = DEPTHS.into_iter().filter_map(point).collect();
            Series { name: name.to_string(), points, style, ..Series::default() }
        });
        let chart = Chart {
            title: title.to_string(),
            x_label: "layers".to_string(),
            x_unit: Unit::Count,
            y_unit: Unit::Log,
            series: series.collect(),
            ..Chart::default()
        };
        page.chart(&chart, "Networks for CIFAR. The vertical axis is logarithmic.");
    }
}
