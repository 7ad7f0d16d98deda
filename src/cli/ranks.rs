//! The ranks of a command: several processes that `mpirun` or `srun` has started.

use std::rc::Rc;
use std::time::Duration;

use wgrad::device::Device;
use wgrad::distributed::{RANK_TIMEOUT, Ranks, World};
use wgrad::train::{Resumed, resume, screen};

/// The flag for the wait for other ranks.
#[derive(clap::Args)]
pub struct RankArgs {
    /// Ranks over MPI: the time after which a rank that does not answer ends all, such as 90s or 10m [default: 10m]
    #[arg(long, value_name = "TIME", help_heading = "Device", value_parser = seconds)]
    rank_timeout: Option<Duration>,
}

impl RankArgs {
    /// Returns the time after which a rank that does not answer ends all.
    pub fn timeout(&self) -> Duration {
        self.rank_timeout.unwrap_or(RANK_TIMEOUT)
    }
}

/// Reads a time: a number with `s`, `m` or `h`.
fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a time such as 90s, 10m or 1h".to_string();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1.0,
        'm' => 60.0,
        'h' => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = text[..text.len() - 1].trim().parse().map_err(|_| wrong())?;
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err(wrong()),
    }
}

/// Prepares this process for its work as one of several ranks: only the first rank prints, and the ranks of a machine
/// share its cores.
pub fn prepare(world: &World) {
    if world.size() == 1 {
        return;
    }
    if !world.is_first() {
        screen::mute();
    }
    if std::env::var_os("RAYON_NUM_THREADS").is_none() {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(world.n_threads());
        // An error means that the threads have begun already. The bits do not depend on their number.
        let _ = threads.build_global();
    }
    world.warnings().iter().for_each(|warning| screen::note(&format!("warning: {warning}")));
}

/// Calls `work` on the first rank of each machine, and then on its other ranks. The first one downloads and writes the
/// cache of pictures, and the others find both.
pub fn in_turns<T>(world: &World, work: impl FnOnce() -> T) -> T {
    if world.size() == 1 {
        return work();
    }
    if world.local_rank() == 0 {
        let result = work();
        world.barrier();
        result
    } else {
        world.barrier();
        work()
    }
}

/// Returns the result if all ranks have succeeded. Otherwise the first rank that has failed prints its error, and all end.
/// An error that all have, such as a file that is missing, is thus printed once.
pub fn agreed<T, E>(world: &World, result: Result<T, E>) -> Result<T, E> {
    let failed = world.all_numbers(u64::from(result.is_err()));
    let first = failed.iter().position(|failed| *failed == 1);
    if first.is_some_and(|first| first != world.rank()) {
        // The first rank that has failed does not come here: its error ends this rank.
        world.barrier();
    }
    result
}

/// Checks that there is a shard for each rank. A lack of shards ends all ranks.
pub fn check_shards(world: &World, n_shards: usize, batch_size: usize) {
    let n_ranks = world.size();
    if n_ranks > n_shards {
        let fit = (n_ranks..=batch_size).find(|n| batch_size.is_multiple_of(*n));
        let fit = fit.map_or(String::new(), |n| format!("; --shards {n} is enough"));
        let message =
            format!("--shards {n_shards}: {n_ranks} ranks need at least as many shards{fit}");
        world.refuse(&message, super::WRONG_USE);
    }
}

/// Checks that all ranks have the same version, recipe, images and step, and that there is a shard for each. A difference
/// or a lack of shards ends all ranks. Prints the devices of the ranks, and a warning if they are not alike.
pub fn check(world: &World, run: &Resumed, device: &Device) {
    if world.size() == 1 {
        return;
    }
    check_shards(world, run.recipe.shards, run.recipe.batch_size);
    let mut items = Vec::new();
    // The paths of the images and of the weights may differ from machine to machine; their contents may not.
    let is_free = |key: &str| resume::FREE.contains(&key) || ["data", "weights"].contains(&key);
    let recipe = run.recipe.to_toml();
    let settings = recipe.lines().filter_map(|line| line.split_once(" = "));
    items.extend(settings.filter(|(key, _)| !is_free(key)).map(|(k, v)| (k, v.to_string())));
    items.push(("the images", run.loaded.dataset.fingerprint().to_string()));
    let step = run.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.header.step);
    items.push(("the step of the checkpoint", step.to_string()));
    check_items(world, &items);
    let _ = screen::print(&devices(world, device));
}

/// Checks that all ranks have the same version and the same values of `items`. A difference ends all ranks.
pub fn check_items(world: &World, items: &[(&str, String)]) {
    let version = [("version", env!("CARGO_PKG_VERSION").to_string())];
    world.check(&[&version, items].concat());
}

/// Returns a line with the devices of all ranks. Prints a warning if they are not alike.
pub fn devices(world: &World, device: &Device) -> String {
    let (kind, driver) = match device {
        Device::Cpu(_) => ("cpu".to_string(), processor_features()),
        Device::Gpu(_) => (device.name(), device.driver().unwrap_or_default().to_string()),
    };
    let alike = [("device", kind), ("driver or processor features", driver)];
    if let Some(difference) = world.difference(&alike) {
        let message = "equal bits need equal devices, drivers and processors";
        screen::note(&format!("warning: {difference}; {message}"));
    }
    let names = world.all_gather(device.name().as_bytes());
    let mut devices: Vec<String> =
        names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    devices.dedup();
    let library = world.library().unwrap_or_default();
    let library = library.split(',').next().unwrap_or_default();
    format!("ranks     {} over {library}: {}", world.size(), devices.join("; "))
}

/// Returns the processor features that choose among the kernels of matrix products.
fn processor_features() -> String {
    #[cfg(target_arch = "x86_64")]
    {
        let features = [
            ("avx512f", is_x86_feature_detected!("avx512f")),
            ("avx2", is_x86_feature_detected!("avx2")),
            ("fma", is_x86_feature_detected!("fma")),
        ];
        let has = features.iter().filter(|(_, has)| *has).map(|(name, _)| *name);
        has.collect::<Vec<_>>().join(" ")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        std::env::consts::ARCH.to_string()
    }
}

/// Returns the ranks that share the work; none if this process works alone.
pub fn shared(world: &Rc<World>) -> Option<Rc<dyn Ranks>> {
    (world.size() > 1).then(|| Rc::clone(world) as Rc<dyn Ranks>)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(seconds("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(seconds("1.5 m"), Ok(Duration::from_secs(90)));
        assert_eq!(seconds("1h"), Ok(Duration::from_secs(3600)));
        for wrong in ["", "90", "s", "-1s", "0s", "1d", "ä"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
