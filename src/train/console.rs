//! The lines that a run prints on the standard output: a head, one line for each epoch, a summary.

use std::cell::Cell;
use std::path::Path;

use super::features::Features;
use super::folder::BEST;
use super::metrics::EpochMetrics;
use super::outcome::{Ended, Outcome};
use super::recipe::Recipe;
use super::step::StepConfig;
use super::{Trainer, screen};
use crate::Error;
use crate::base::choice::Choice;
use crate::base::shown::{Shown, escaped};
use crate::base::units::{readable_bytes, thousands};
use crate::data::Loaded;
use crate::device::Device;
use crate::tape::StateEntry;

/// Prints the lines of one run on the standard output.
pub struct Console<'a> {
    recipe: &'a Recipe,
    loaded: &'a Loaded,
    device: String,
    /// True after the warning that the standard output cannot be written.
    output_lost: Cell<bool>,
}

impl<'a> Console<'a> {
    /// Returns the console of a run with this recipe, on these images and this device. Prints nothing.
    pub fn new(recipe: &'a Recipe, loaded: &'a Loaded, device: &Device) -> Self {
        Self { recipe, loaded, device: device.name(), output_lost: Cell::new(false) }
    }

    /// Prints the dataset and the device, before anything is compiled.
    pub fn dataset(&self) {
        self.print(&head(self.loaded, &self.device));
    }

    /// Prints the time that compilation took, in seconds.
    pub fn compiled(&self, seconds: f64) {
        self.print(&format!("kernels   compiled in {}", duration(seconds)));
    }

    /// Prints the network, memory, recipe and folder after compilation, and the titles of the table.
    pub fn network(&self, trainer: &Trainer, folder: &Path) {
        let Recipe { epochs, batch_size, max_lr, seed, .. } = self.recipe;
        let n_parameters = thousands(trainer.state.layout.n_parameters());
        let memory = readable_bytes(trainer.planned_bytes());
        let (max_lr, schedule) = (rate(*max_lr), self.recipe.schedule.name());
        let n_steps = self.recipe.steps_per_epoch(self.loaded.dataset.train.len());
        let s = if *epochs == 1 { "" } else { "s" };
        let network = self.recipe.network();
        self.print(&format!("network   {network}: {n_parameters} parameters"));
        if let Some(weights) = &self.recipe.weights {
            self.print(&format!("start     the weights of {}", weights.shown()));
        }
        if let Some(trained) = self.trained(trainer) {
            self.print(&trained);
        }
        self.print(&format!("memory    {memory} for training and evaluation"));
        self.print(&format!(
            "recipe    {epochs} epoch{s} of {n_steps} steps of {batch_size} images{}; \
             {}, learning rate up to {max_lr} ({schedule}){}{}; {}; seed {seed}",
            self.shards(),
            self.recipe.optimizer().get().description(),
            self.lr_scale(),
            self.stability(),
            self.augmentation()
        ));
        self.print(&format!("folder    {}\n", folder.shown()));
        let accuracy = "accuracy";
        let loss = if self.evaluated_on() == "test" { "test loss" } else { "val. loss" };
        self.print(&format!(
            "epoch          lr   train loss  {accuracy}   {loss}  {accuracy}   seconds  images/s"
        ));
    }

    /// Returns a text such as ` in 8 shards`; an empty text for steps that are not divided.
    fn shards(&self) -> String {
        match self.recipe.shards {
            1 => String::new(),
            n => format!(" in {n} shards"),
        }
    }

    /// Returns a line with the number of trained parameters and the names of the frozen ones; none if nothing is frozen.
    fn trained(&self, trainer: &Trainer) -> Option<String> {
        let frozen = self.recipe.freeze.as_ref()?;
        let parameters = trainer.state.layout.parameters.iter();
        let trained = parameters.filter(|member| !frozen.select(&member.name));
        let n_trained = thousands(trained.map(StateEntry::n_elements).sum());
        let until = self.recipe.unfreeze_at.map(|at| format!(" until epoch {at}"));
        let until = until.unwrap_or_default();
        Some(format!("trained   {n_trained} of them; frozen{until}: {frozen}"))
    }

    /// Prints the size of the cached features of the training images and of the evaluated images, and the seconds that
    /// their computation took.
    pub fn features(&self, [train, evaluated]: &[Features; 2], seconds: f64) {
        let n_images = thousands(train.labels().len() + evaluated.labels().len());
        let bytes = readable_bytes(train.n_bytes() + evaluated.n_bytes());
        let took = duration(seconds);
        self.print(&format!(
            "(features of {n_images} images, {bytes}, computed in {took}; cache-features turns augmentation off)"
        ));
    }

    /// Prints a line before the epoch, from 0, in which all parameters are trained for the first time.
    pub fn unfrozen(&self, epoch: usize) {
        let epoch = epoch + 1;
        self.print(&format!(
            "(all parameters are trained from epoch {epoch} on; the optimizer begins anew)"
        ));
    }

    /// Prints a note if a resumed run has moved to another device, and returns whether it has. Two CPU devices count as
    /// the same device: their names differ only in the number of threads, and the results do not depend on this number.
    pub fn other_device(&self, before: &str, now: &str) -> bool {
        let are_cpus = [before, now].iter().all(|name| name.starts_with("cpu ("));
        let is_other = before != now && !are_cpus;
        if is_other {
            let message = "the run began on another device; from this step on, its results differ by rounding \
                           from results on that device";
            self.print(&format!(
                "{}\n",
                indent(&format!("{message} ({})", escaped(before)), "note: ")
            ));
        }
        is_other
    }

    /// Prints the earlier epochs of a resumed run, and the step that it continues from.
    pub fn resumed(&self, epochs: &[EpochMetrics], n_steps: usize) {
        epochs.iter().for_each(|epoch| self.epoch(epoch));
        if n_steps > 0 {
            let in_all = self.n_steps_in_all();
            self.print(&format!("(resumed after step {n_steps} of {in_all})"));
        }
    }

    fn evaluated_on(&self) -> &'static str {
        self.loaded.dataset.evaluated_on()
    }

    fn n_steps_in_all(&self) -> usize {
        self.recipe.n_steps(self.loaded.dataset.train.len())
    }

    /// Prints the line of an epoch in the table.
    pub fn epoch(&self, epoch: &EpochMetrics) {
        let n_epochs = self.recipe.epochs;
        let count = format!("{:>2}/{n_epochs}", epoch.epoch);
        self.print(&format!(
            "{count:<7} {:>9}   {:>10.4}  {:>7.2}%   {:>9.4}  {:>7.2}%   {:>7.1}  {:>8.0}",
            rate_column(epoch.lr),
            epoch.train_loss,
            100.0 * epoch.train_accuracy,
            epoch.loss(),
            100.0 * epoch.accuracy(),
            epoch.seconds,
            epoch.images_per_s,
        ));
        if epoch.skipped_steps > 0 {
            let n = epoch.skipped_steps;
            self.print(&format!("        ({n} steps were skipped: a gradient was not finite)"));
        }
    }

    /// Prints the path of the saved weights. They are the weights from before step `step`, which had a NaN or infinite
    /// loss or gradient.
    pub fn kept(&self, step: usize, model: &Path) {
        self.print(&format!("the weights from before step {step} are in {}", model.shown()));
    }

    /// Prints the path of the page `report.html`, or a warning if the page is incomplete.
    pub fn report(&self, page: &Path, error: Option<Error>) {
        self.print("");
        match error {
            None => self.print(&format!("report    {}", page.shown())),
            Some(error) => self.print(&format!("warning:  the report is incomplete: {error}")),
        }
    }

    /// Prints the results. The last line is a summary for programs.
    pub fn summary(&self, outcome: &Outcome, n_steps: usize, folder: &Path) {
        let in_all = self.n_steps_in_all();
        match outcome.ended {
            Ended::Interrupted => {
                self.print(&format!("interrupted after step {n_steps} of {in_all}\n"));
            }
            Ended::OutOfPatience => self.print(&format!(
                "stopped after step {n_steps} of {in_all}: the {} accuracy did not improve for {} epochs\n",
                self.evaluated_on(),
                self.recipe.patience.unwrap_or_default()
            )),
            Ended::Finished => {}
        }
        if let Some(best) = outcome.best() {
            let (file, epoch, set) = (folder.join(BEST), best.epoch, best.evaluated_on());
            let file = file.shown();
            self.print(&format!("best      {file}: epoch {epoch}, chosen on the {set} images\n"));
        }
        if let Some(ranks) = EpochMetrics::ranks(&outcome.epochs) {
            self.print(&format!("ranks     {ranks}\n"));
        }
        if let Some(notice) = &self.loaded.notice {
            self.print(&format!("{}\n", indent(&notice.to_string(), "note: ")));
        }
        let percent = |accuracy: f64| format!("{:.2}%", 100.0 * accuracy);
        let set = self.evaluated_on();
        let accuracy = match (outcome.best(), outcome.epochs.last()) {
            (Some(best), Some(last)) => format!(
                "best {set} accuracy {} (epoch {}), final {}",
                percent(best.accuracy()),
                best.epoch,
                percent(last.accuracy())
            ),
            _ => "no epoch was finished".to_string(),
        };
        let accuracy = match outcome.test {
            Some((_, test)) if set != "test" => {
                format!("{accuracy}, test accuracy {}", percent(test))
            }
            _ => accuracy,
        };
        self.print(&format!(
            "summary: {} | {} | {accuracy} | {} | {}",
            self.loaded.dataset.name,
            self.device,
            duration(outcome.seconds),
            folder.shown()
        ));
    }

    /// Prints a line. A closed pipe (`wgrad train | head`) or a full disk does not stop the training: the first failure
    /// is a warning on the standard error, and later failures are ignored.
    fn print(&self, line: &str) {
        if let Err(error) = screen::print(line)
            && !self.output_lost.replace(true)
        {
            let message = "the standard output cannot be written; training goes on";
            screen::note(&format!("warning: {message} ({error})"));
        }
    }

    /// Returns the factors of learning rates as text, such as `, times layer4=0.1`; empty if there are none.
    fn lr_scale(&self) -> String {
        self.recipe.lr_scale.as_ref().map_or(String::new(), |scale| format!(", times {scale}"))
    }

    /// Returns the options of the loss and of the update as text, such as `, classes weighted 0.5 to 2 (balanced),
    /// gradients clipped to 1, weights averaged (0.99)`; empty if no option is on.
    fn stability(&self) -> String {
        let class_weights = self.recipe.class_weights.as_ref();
        let class_weights = class_weights.map(|weights| format!(", {}", weights.description()));
        let clip = self.recipe.clip_grad_norm.map(|norm| format!(", gradients clipped to {norm}"));
        let ema = self.recipe.ema.map(|decay| format!(", weights averaged ({decay})"));
        class_weights.into_iter().chain(clip).chain(ema).collect()
    }

    /// Returns the names of the augmentations that are on, such as `crop, flip, cutout`.
    fn augmentation(&self) -> String {
        let StepConfig { resized_crop, augmentation, jitter, random_erasing, .. } =
            self.recipe.step();
        let on = [
            ("random resized crop", resized_crop.is_some()),
            ("jitter", jitter.is_on()),
            (augmentation.crop_name(), augmentation.crop),
            ("flip", augmentation.flip),
            ("cutout", augmentation.cutout),
            ("random erasing", random_erasing > 0.0),
        ];
        let names: Vec<_> = on.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name).collect();
        if names.is_empty() { "no augmentation".to_string() } else { names.join(", ") }
    }
}

/// Returns the lines before training: notices and warnings about the data, its description, and the device.
pub fn head(loaded: &Loaded, device: &str) -> String {
    let dataset = &loaded.dataset;
    let notice = loaded.notice.iter().map(|notice| indent(&notice.to_string(), "note: ") + "\n");
    let description = format!("dataset   {}", dataset.description);
    let warnings = dataset.warnings.iter().map(|warning| indent(warning, "warning:  "));
    let device = format!("device    {device}");
    let lines: Vec<_> = notice.chain([description]).chain(warnings).chain([device]).collect();
    lines.join("\n")
}

/// Returns a learning rate in its shortest form: `0.01`, `1e-7`, `1e30`.
fn rate(value: f64) -> String {
    if (1e-4..1e4).contains(&value) { value.to_string() } else { format!("{value:e}") }
}

/// Returns a learning rate in at most nine characters: `0.010000`, `1.000e-7`.
fn rate_column(value: f64) -> String {
    if (1e-4..100.0).contains(&value) { format!("{value:.6}") } else { format!("{value:.3e}") }
}

/// The longest line of a paragraph, in characters.
const COLUMNS: usize = 96;

/// Breaks paragraphs into lines of at most [`COLUMNS`]. `first` stands before the first line, and spaces of the same
/// width before the others.
fn indent(text: &str, first: &str) -> String {
    let mut lines = Vec::new();
    for paragraph in text.trim_end().lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && first.len() + line.len() + 1 + word.len() > COLUMNS {
                lines.push(std::mem::take(&mut line));
            }
            line += if line.is_empty() { "" } else { " " };
            line += word;
        }
        lines.push(line);
    }
    format!("{first}{}", lines.join(&format!("\n{:width$}", "", width = first.len())))
}

/// Returns a time in seconds as text: `8.1s`, `2m 05s`, `1h 02m 05s`.
pub fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1}s");
    }
    let whole = seconds.round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    match hours {
        0 => format!("{minutes}m {seconds:02}s"),
        _ => format!("{hours}h {minutes:02}m {seconds:02}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_times_have_short_forms() {
        assert_eq!([0.01, 1e-7, 1e30].map(rate), ["0.01", "1e-7", "1e30"]);
        assert_eq!([0.01, 1e-7, 1e30].map(rate_column), ["0.010000", "1.000e-7", "1.000e30"]);
        assert_eq!(duration(8.13), "8.1s");
        assert_eq!(duration(125.2), "2m 05s");
        assert_eq!(duration(3725.0), "1h 02m 05s");
    }

    #[test]
    fn paragraphs_are_broken_and_indented() {
        assert_eq!(indent("a\nb\n", "note: "), "note: a\n      b");
        let long = "word ".repeat(40);
        let broken = indent(&long, "note: ");
        assert_eq!(broken.split_whitespace().count(), 41);
        assert!(broken.lines().count() == 3 && broken.lines().all(|l| l.len() <= COLUMNS));
    }
}
