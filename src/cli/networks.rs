//! The command `wgrad networks`, which lists the networks.

use std::process::ExitCode;

use wgrad::base::units::thousands;
use wgrad::data::cifar10;
use wgrad::nn::NetworkConfig;
use wgrad::nn::networks::NETWORKS;
use wgrad::passes::Work;

/// Prints the table of all networks, and returns the exit code.
pub fn run() -> anyhow::Result<ExitCode> {
    super::print(&table())?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the table, one row for each network: default width, number of parameters, and number of floating-point
/// additions and multiplications in a forward pass on one image.
fn table() -> String {
    let image = cifar10::SIZE.channels_last();
    let classes = cifar10::CLASSES.len();
    let mut text =
        format!("{:<10}  {:>5}  {:>10}  {:>9}  network\n", "name", "width", "parameters", "FLOPs");
    for network in NETWORKS {
        let width = network.default_width();
        let tape = NetworkConfig { network, width, classes }.tape(image);
        let n_parameters = thousands(tape.state().n_parameters());
        let mega = Work::sum_of(&tape, |_| true).flops as f64 / 1e6;
        let (name, description) = (network.name(), network.description());
        text +=
            &format!("{name:<10}  {width:>5}  {n_parameters:>10}  {mega:>7.1} M  {description}\n");
    }
    let [h, w, c] = image;
    text + &format!("\nFLOPs of a forward pass on one image of {h}x{w}x{c}, in {classes} classes\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_network_has_a_line_with_its_size() {
        let text = table();
        let words = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).expect("a line");
            line.split_whitespace().take(5).map(str::to_string).collect::<Vec<_>>()
        };
        assert_eq!(words("resnet9 ")[..3], ["resnet9", "64", "6,573,120"]);
        assert_eq!(words("resnet20")[..3], ["resnet20", "16", "269,722"]);
        assert_eq!(words("resnet56")[..3], ["resnet56", "16", "853,018"]);
    }
}
