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

/// Checks that all ranks have the same version, recipe, images and step, and that there is a shard for each. A difference
/// or a lack of shards ends all ranks. Prints the devices of the ranks, and a warning if they are not alike.
pub fn check(world: &World, run: &Resumed, device: &Device) {
    if world.size() == 1 {
        return;
    }
    let (n_ranks, n_shards) = (world.size(), run.recipe.shards);
    if n_ranks > n_shards {
        let batch_size = run.recipe.batch_size;
        let fit = (n_ranks..=batch_size).find(|n| batch_size.is_multiple_of(*n));
        let fit = fit.map_or(String::new(), |n| format!("; --shards {n} is enough"));
        let message =
            format!("--shards {n_shards}: {n_ranks} ranks need at least as many shards{fit}");
        world.refuse(&message, super::WRONG_USE);
    }
    let mut items = vec![("version", env!("CARGO_PKG_VERSION").to_string())];
    // The paths of the images and of the weights may differ from machine to machine; their contents may not.
    let is_free = |key: &str| resume::FREE.contains(&key) || ["data", "weights"].contains(&key);
    let recipe = run.recipe.to_toml();
    let settings = recipe.lines().filter_map(|line| line.split_once(" = "));
    items.extend(settings.filter(|(key, _)| !is_free(key)).map(|(k, v)| (k, v.to_string())));
    items.push(("the images", run.loaded.dataset.fingerprint().to_string()));
    let step = run.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.header.step);
    items.push(("the step of the checkpoint", step.to_string()));
    world.check(&items);

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
    let _ = screen::print(&format!("ranks     {n_ranks} over {library}: {}", devices.join("; ")));
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
