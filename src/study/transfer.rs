//! Features near the softmax are specific to the task of a network, so for another task they are cut earlier (Yosinski et
//! al. 2014).
//!
//! Linear probes read the features of a trained network at several depths, and layers up to these depths are copied into
//! networks for its own task and for another one. `docs/lessons/transfer.md` has the text.

use wgrad::base::chart::lines::{Chart, Unit};
use wgrad::nn::NetworkConfig;

use super::lab::{BAND, Features, Interval, Recipe, Spread, Task, Trained, Verdict};
use super::lab::{layers_up_to, probe_accuracy, standard_error, stem_and_stages};
use super::{Lab, Page, Record, Study, Subject};

pub static STUDY: Study = Study {
    name: "transfer",
    claim: "features near the softmax are specific to the task, so for another task they are cut earlier",
    minutes: 1,
    subject: Subject::Weights,
    text: include_str!("../../docs/lessons/transfer.md"),
    measure,
    show,
};

/// The classes of the first task, if there are ten: in CIFAR-10 bird, cat, deer, dog and horse.
const ANIMALS: [u16; 5] = [2, 3, 4, 5, 7];

/// The tasks: names in the record, and words of the page.
const TASKS: [&str; 3] = ["own task", "other classes", "turned images"];

fn measure(lab: &mut Lab<'_>) -> anyhow::Result<()> {
    let recipe = Recipe {
        network: lab.size(["resnet8", "resnet14", "resnet56"]),
        width: lab.size([4, 8, 16]),
        batch_size: lab.size([8, 32, 128]),
        n_steps: lab.size([2, 160, 64_000]),
    };
    let n_classes = lab.images.n_classes() as u16;
    let is_own = |class: &u16| match n_classes {
        10 => ANIMALS.contains(class),
        n => 2 * class < n,
    };
    let (own, other): (Vec<u16>, Vec<u16>) = (0..n_classes).partition(is_own);
    // The network of --weights has all classes.
    let is_given = lab.weights.is_some();
    let own = if is_given { (0..n_classes).collect() } else { own };
    let mut tasks = vec![(TASKS[0], Task::of_classes(lab.images, &own))];
    if !is_given {
        tasks.push((TASKS[1], Task::of_classes(lab.images, &other)));
    }
    if lab.images.size().height == lab.images.size().width {
        tasks.push((TASKS[2], Task::of_turns(lab.images)));
    }
    for seed in lab.seeds(lab.size([1, 3, 3])) {
        lab.measure(&format!("networks/seed {seed}"), |lab| {
            let base = match Trained::given(lab)? {
                Some(given) => given,
                None => {
                    let config = NetworkConfig { classes: own.len(), ..lab.subject(recipe)? };
                    tasks[0].1.train(lab, config, recipe, seed, None)?.0
                }
            };
            let (mut numbers, n_images) = (Vec::new(), lab.size([20, 1000, usize::MAX]));
            for (ix, (name, task)) in tasks.iter().enumerate() {
                lab.report(ix, tasks.len())?;
                let few = task.first(n_images);
                // The probes of one network are the same for each seed.
                if !is_given || seed == lab.seed() {
                    numbers.push((format!("probes {name}"), probes(lab, &base, &few)?));
                    numbers.push((format!("images {name}"), vec![few.test.len() as f64]));
                }
                if ix < 2 {
                    numbers
                        .push((format!("copies {name}"), copies(lab, &base, &few, recipe, seed)?));
                }
            }
            Ok(numbers)
        })?;
    }
    Ok(())
}

/// Returns the accuracy of linear probes behind the stem, the stages and the last layer.
fn probes(lab: &Lab<'_>, base: &Trained, task: &Task) -> anyhow::Result<Vec<f64>> {
    let [train, test] = [&task.train, &task.test].map(|split| Features::of(lab, base, split));
    let (train, test) = (train?, test?);
    Ok(train.iter().zip(&test).map(|(a, b)| probe_accuracy(a, b, task.n_classes)).collect())
}

/// Returns the accuracy of networks whose first layers are copied from the base and not trained: none, the stem, and the
/// stages one after another. The other layers begin anew, and are trained.
fn copies(
    lab: &Lab<'_>,
    base: &Trained,
    task: &Task,
    recipe: Recipe,
    seed: u64,
) -> anyhow::Result<Vec<f64>> {
    let config = NetworkConfig { classes: task.n_classes, ..base.network };
    let tape = config.tape(lab.images.size().channels_last());
    let ends = stem_and_stages(&tape, tape.nodes()[0].inputs[0]);
    let ends =
        ends.iter().map(|end| tape.nodes().iter().position(|node| node.outputs.contains(end)));
    let recipe = Recipe { n_steps: lab.size([2, 50, 20_000]), ..recipe };
    let depths = [None].into_iter().chain(ends);
    let accuracies = depths.map(|end| {
        let copied = end.map(|end| layers_up_to(&tape, end)).transpose()?;
        let copied = copied.map(|layers| (base, layers));
        Ok(task.train(lab, config, recipe, seed.wrapping_add(1000), copied)?.1)
    });
    accuracies.collect()
}

fn show(record: &Record, page: &mut Page) {
    let (mut rows, mut depth) = (Vec::new(), 0);
    // The depth of the first number: probes begin behind the stem, copies with no layer at all.
    for (what, first) in [("probes", 1), ("copies", 0)] {
        let mut series = Vec::new();
        for (style, task) in TASKS.into_iter().enumerate() {
            let all = record.of_seeds("networks", &format!("{what} {task}"));
            let n = all.first().map_or(0, |accuracies| accuracies.len());
            let at = |ix: usize| Spread::of(&all.iter().map(|seed| seed[ix]).collect::<Vec<_>>());
            let spreads: Vec<Spread> = (0..n).filter_map(at).collect();
            // A copy of no layer is a network from scratch, not an earlier cut.
            let earlier = 1 - first..n.saturating_sub(1);
            let Some(best) = earlier.max_by(|&a, &b| spreads[a].mean.total_cmp(&spreads[b].mean))
            else {
                continue;
            };
            let end = n - 1;
            let xs: Vec<f64> = (first..first + n).map(|ix| ix as f64).collect();
            series.push(Spread::series(task, style, &xs, &all));
            depth = depth.max(first + n - 1);
            let cells = spreads.iter().map(|spread| spread.percent());
            let before = vec!["-".to_string(); first];
            rows.push([vec![format!("{what}, {task}")], before, cells.collect()].concat());
            let figure = format!("{what}_{}", task.replace(' ', "_"));
            let ends = [spreads[end], spreads[best]];
            page.figure(format!("{figure}_last"), ends[0].mean);
            page.figure(format!("{figure}_best_earlier"), ends[1].mean);
            let differences: Vec<f64> = all.iter().map(|seed| seed[end] - seed[best]).collect();
            let n_images = record.of_seeds("networks", &format!("images {task}")).concat();
            let (difference, source) = match (&differences[..], &n_images[..]) {
                ([difference], [n, ..]) => {
                    let errors = ends.map(|accuracy| standard_error(accuracy.mean, *n));
                    let source = format!(
                        " This is one network: the interval is that of its {n} test images."
                    );
                    (Some(Interval::around(*difference, errors[0].hypot(errors[1]))), source)
                }
                _ => (Interval::of(&differences), String::new()),
            };
            let is_worse = Verdict::below(difference, 0.0);
            let verdict = if task == TASKS[0] { is_worse.opposite() } else { is_worse };
            let text = format!(
                "The accuracy is {} with the last cut and {} with the best earlier one, a difference of {}.{source}",
                ends[0].percent(),
                ends[1].percent(),
                Interval::points(difference)
            );
            page.verdict(&claim(what, task), verdict, &text);
        }
        let title = format!("Accuracy of {what}");
        let x_label = "depth of the cut: 1 stem, 2 first stage".to_string();
        let units = Chart { x_unit: Unit::Count, y_unit: Unit::Percent, ..Chart::default() };
        page.chart(&Chart { title, x_label, series, ..units }, BAND);
    }
    rows.iter_mut().for_each(|row| row.resize(depth + 2, "-".to_string()));
    let stages: Vec<String> =
        (1..depth.saturating_sub(1)).map(|stage| format!("stage {stage}")).collect();
    let ends = [
        &["features", "none", "stem"][..],
        &stages.iter().map(String::as_str).collect::<Vec<_>>(),
        &["last layer"],
    ];
    page.table("Accuracy by the depth of the cut", &ends.concat(), &rows);
}

/// Returns the claim about a task.
fn claim(what: &str, task: &str) -> String {
    match (what, task == TASKS[0]) {
        ("probes", true) => {
            "for its own task, the last features are better than earlier ones".to_string()
        }
        ("probes", false) => format!("for {task}, earlier features are better than the last ones"),
        (_, true) => {
            "for its own task, a copy of all layers but the last is better than earlier cuts"
                .to_string()
        }
        (_, false) => {
            format!("for {task}, a copy of fewer layers is better than one of all but the last")
        }
    }
}
