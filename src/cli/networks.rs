//! The command `wgrad networks`, which lists the networks.

use std::process::ExitCode;

use wgrad::base::units::thousands;
use wgrad::nn::networks::{FAMILIES, NETWORKS};
use wgrad::nn::{NetworkConfig, NetworkRef};
use wgrad::passes::Work;

/// Flags of `wgrad networks`.
#[derive(clap::Args)]
pub struct Args {
    /// Print one line of JSON in place of the table
    #[arg(long)]
    json: bool,
}

/// Prints the table of all networks, and returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let rows: Vec<Row> = NETWORKS.iter().map(|&network| Row::of(network)).collect();
    let text = match args.json {
        true => format!("{}\n", serde_json::to_string(&rows)?),
        false => table(&rows),
    };
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// A network with its published sizes.
#[derive(serde::Serialize)]
struct Row {
    name: &'static str,
    description: &'static str,
    /// Number of channels of the first layer.
    width: usize,
    /// Shape of an image, `[H, W, C]`.
    image: [usize; 3],
    /// Number of classes.
    classes: usize,
    /// Number of parameters, without auxiliary heads.
    parameters: usize,
    /// Number of floating-point additions and multiplications in a forward pass on one image.
    flops: u64,
}

impl Row {
    fn of(network: NetworkRef) -> Self {
        let (width, classes) = (network.default_width(), network.default_classes());
        let image = network.default_image();
        let tape = NetworkConfig::new(network, width, classes).tape(image);
        Self {
            name: network.name(),
            description: network.description(),
            width,
            image,
            classes,
            parameters: tape.state().n_parameters(),
            flops: Work::sum_of(&tape, |_| true).flops,
        }
    }
}

/// Returns the table, one row for each network.
fn table(rows: &[Row]) -> String {
    let longest = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut text = format!(
        "{:<longest$}  {:>5}  {:>5}  {:>11}  {:>8}  network\n",
        "name", "width", "image", "parameters", "GFLOP"
    );
    for Row { name, description, width, image, parameters, flops, .. } in rows {
        let (parameters, giga) = (thousands(*parameters), *flops as f64 / 1e9);
        text += &format!(
            "{name:<longest$}  {width:>5}  {:>5}  {parameters:>11}  {giga:>8.3}  {description}\n",
            image[0]
        );
    }
    text += "\nGFLOP of a forward pass on one image; 1,000 classes where images have more than 32 rows, else 10.\n";
    let patterns: Vec<_> = FAMILIES.iter().filter_map(|family| family.pattern).collect();
    text + &format!("Further names: {}\n", patterns.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_network_has_a_line_with_its_size() {
        let names = ["resnet9", "resnet20", "resnet50"];
        let of_name = |row: &Row| names.contains(&row.name);
        let rows = NETWORKS.iter().map(|&network| Row::of(network)).filter(of_name);
        let text = table(&rows.collect::<Vec<_>>());
        let words = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).expect("a line");
            line.split_whitespace().take(5).map(str::to_string).collect::<Vec<_>>()
        };
        assert_eq!(words("resnet9 ")[..4], ["resnet9", "64", "32", "6,573,120"]);
        assert_eq!(words("resnet20")[..4], ["resnet20", "16", "32", "269,722"]);
        assert_eq!(words("resnet50")[..4], ["resnet50", "64", "224", "25,557,032"]);
    }
}
