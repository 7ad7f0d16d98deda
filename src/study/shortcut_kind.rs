//! A parameter-free shortcut is enough, and a 1x1 convolution with stride 2 ignores part of the pixels.
//!
//! The same network trains with five kinds of shortcuts. Gradients of single layers and blocks then show the pixels that
//! each of them reads. `docs/lessons/shortcut_kind.md` has the text.

use wgrad::nn::layers::{Conv, conv2d};
use wgrad::nn::networks::parts::{padded_shortcut, shortcut_pool};
use wgrad::nn::networks::resnet::{RecordBlock, ResNet, basic, bottleneck};
use wgrad::nn::networks::resnet_cifar;
use wgrad::nn::networks::stages::{Place, Shortcut};
use wgrad::tape::{Tape, ValueId};

use super::lab::pixels::{self, gradient_map};
use super::lab::shortcuts::{identity_only, projected_everywhere, published_bottleneck};
use super::lab::{BAND, Cost, Training, Verdict, arms};
use super::{Lab, Page, Record, Study, Subject};

pub static STUDY: Study = Study {
    name: "shortcut-kind",
    claim: "a parameter-free shortcut is enough, and a 1x1 convolution with stride 2 ignores part of the pixels",
    minutes: 2,
    subject: Subject::Own,
    text: include_str!("../../docs/lessons/shortcut_kind.md"),
    measure,
    show,
};

/// The kinds: name, function of a block, shortcut where the shape changes.
const KINDS: [(&str, RecordBlock, Shortcut); 5] = [
    ("identity only", identity_only, Shortcut::Padded),
    ("padded", basic, Shortcut::Padded),
    ("projected", basic, Shortcut::Projection),
    ("projected everywhere", projected_everywhere, Shortcut::Projection),
    ("average pooled", basic, Shortcut::AveragePool),
];

const PADDED: usize = 1;
const PROJECTED: usize = 2;

/// A function that records a layer or block on its input.
pub type RecordPart = fn(&mut Tape, ValueId) -> ValueId;

/// Layers and blocks with stride 2, and the functions that record them on images.
pub const PARTS: [(&str, RecordPart); 7] = [
    ("padded shortcut", |tape, x| padded_shortcut(tape, "part", x, 8, 2)),
    ("1x1 convolution", |tape, x| conv2d(tape, "part", x, 8, Conv::square(1, 2, 0))),
    ("average pool, 1x1 convolution", |tape, x| {
        let x = shortcut_pool(tape, "pool", x, 2);
        conv2d(tape, "part", x, 8, Conv::square(1, 1, 0))
    }),
    ("3x3 convolution", |tape, x| conv2d(tape, "part", x, 8, Conv::square(3, 2, 1))),
    ("basic block", |tape, x| block(tape, x, basic, 1)),
    ("bottleneck, stride in its 1x1", |tape, x| block(tape, x, published_bottleneck, 4)),
    ("bottleneck, stride in its 3x3", |tape, x| block(tape, x, bottleneck, 4)),
];

const N_SEEDS: u64 = 3;

/// The side of the part of an image that the page shows, in pixels.
const SHOWN: usize = 12;

/// Returns the network `base` with shortcuts of the `ix`-th kind.
fn network(base: &str, ix: usize) -> ResNet {
    let (name, block, shortcut) = KINDS[ix];
    let network = resnet_cifar::named(base).expect("a network of 6n + 2 layers");
    ResNet { name: format!("{}, {name}", network.name), block, shortcut, ..network }
}

/// Records a block of stride 2 with a projected shortcut.
fn block(tape: &mut Tape, x: ValueId, record: RecordBlock, expansion: usize) -> ValueId {
    let network = ResNet { expansion, ..network("resnet8", PROJECTED) };
    record(&network, tape, "part", x, Place { stage: 1, ix: 0, planes: 8, stride: 2 })
}

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    for (part, record) in PARTS {
        lab.measure(&format!("pixels/{part}"), |lab| {
            let map = gradient_map(lab, 16, record)?;
            let n_read = map.iter().filter(|&&gradient| gradient != 0.0).count();
            let width = lab.images.size().width;
            let side = SHOWN.min(width).min(lab.images.size().height);
            let corner = map.chunks(width).take(side).flat_map(|row| &row[..side]);
            let share = n_read as f64 / map.len() as f64;
            Ok(vec![("share", vec![share]), ("corner", corner.copied().collect())])
        })?;
    }
    let width = lab.width(lab.size([2, 8, 16]));
    let (batch_size, n_steps) = (lab.size([8, 64, 128]), lab.size([2, 160, 64_000]));
    for (ix, (kind, ..)) in KINDS.iter().enumerate() {
        let network = network(lab.size(["resnet8", "resnet8", "resnet20"]), ix);
        let step = lab.images.step(lab.config(network, width), batch_size);
        lab.measure(&format!("cost/{kind}"), |_| Ok(Cost::counted(step.network, &step)))?;
        for seed in lab.seeds(N_SEEDS) {
            lab.measure(&format!("{kind}/seed {seed}"), |lab| {
                let training = Training::new(lab, step.clone(), n_steps, 0.1);
                let training = Training { seed, every: n_steps.div_ceil(4), ..training };
                Ok(training.run(lab)?.1.measurements())
            })?;
        }
    }
    Ok(())
}

fn show(record: &Record, page: &mut Page) {
    let kinds = KINDS.map(|(kind, ..)| kind);
    page.chart(&arms::chart(record, &kinds, "test error", "Test error", "steps"), BAND);
    let (mut pictures, mut read) = (Vec::new(), Vec::new());
    for (part, _) in PARTS {
        let key = format!("pixels/{part}");
        let (Some(share), Some(corner)) =
            (record.number(&format!("{key}/share")), record.get(&format!("{key}/corner")))
        else {
            continue;
        };
        page.figure(format!("pixels_{}", part.replace([',', ' '], "_").replace("__", "_")), share);
        read.push(vec![part.to_string(), format!("{:.0}%", 100.0 * share)]);
        pictures.push((pixels::picture(corner), part.to_string()));
    }
    let caption = format!(
        "The first {SHOWN} rows and columns of the image. Black: the output does not depend on the pixel. Blue to \
         yellow: the size of the gradient, from 0 to the largest of the picture."
    );
    page.row("Pixels with a gradient, through a layer or block of stride 2", &pictures, &caption);
    let mut rows = Vec::new();
    for kind in kinds {
        let (Some(cost), Some(error)) =
            (Cost::of(record, &format!("cost/{kind}"), ""), record.last(kind, "test error"))
        else {
            continue;
        };
        page.figure(format!("{}_test_error", kind.replace(' ', "_")), error.mean);
        page.figure(format!("{}_parameters", kind.replace(' ', "_")), cost.parameters);
        let mut row = vec![kind.to_string()];
        row.extend(cost.cells().drain(..2));
        row.push(error.percent());
        rows.push(row);
    }
    let columns = ["shortcut", "parameters (k)", "operations (M)", "test error"];
    page.table("Shortcuts: size, and the error at the end over the seeds", &columns, &rows);
    page.table("Pixels that reach the output", &["part", "of all pixels"], &read);

    let claim = "a shortcut without parameters costs at most 2 points of test error";
    arms::is_no_higher(record, page, claim, &kinds[PADDED..]);
    let claim = "a shortcut where the shape changes lowers the test error";
    arms::is_lowest(record, page, claim, &[kinds[PADDED], kinds[0]]);
    let share = |part: usize| record.number(&format!("pixels/{}/share", PARTS[part].0));
    if let [Some(conv), Some(pool), Some(published), Some(moved)] = [1, 2, 5, 6].map(share) {
        let [conv_read, pool_read, published, moved] =
            [conv, pool, published, moved].map(|share| format!("{:.0}%", 100.0 * share));
        page.verdict(
            "a 1x1 convolution with stride 2 ignores part of the pixels",
            Verdict::of(conv < 1.0 && pool == 1.0, conv == 1.0),
            &format!(
                "It reads {conv_read} of the pixels, and with an average pool before it {pool_read}. A bottleneck block \
                 reads {published} with the stride in its first 1x1 convolution, and {moved} with the stride in its 3x3 \
                 convolution."
            ),
        );
    }
}
