//! Formats numbers for people: counts, and sizes with a unit.

/// Formats a number with a decimal unit: `38.7 G`.
pub fn decimal(number: u64) -> String {
    scaled(number, 1000.0, &["", "k", "M", "G", "T"])
}

/// Formats bytes with a binary unit: `96.0 MiB`.
pub fn readable_bytes(bytes: u64) -> String {
    scaled(bytes, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

fn scaled(number: u64, base: f64, units: &[&str]) -> String {
    let mut value = number as f64;
    let mut units = units.iter();
    let mut unit = units.next().expect("there are units");
    // A value that would be printed as `1024.0 KiB` takes the next unit.
    while value >= base - 0.05 {
        let Some(next) = units.next() else { break };
        (value, unit) = (value / base, next);
    }
    if number < 1000 { format!("{number} {unit}") } else { format!("{value:.1} {unit}") }
}

/// Formats a count with a comma every three digits: `6,573,120`.
pub fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (ix, digit) in digits.chars().enumerate() {
        if ix > 0 && (digits.len() - ix).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_the_unit_that_fits() {
        assert_eq!(decimal(999), "999 ");
        assert_eq!(decimal(1000), "1.0 k");
        assert_eq!(decimal(999_999), "1.0 M");
        assert_eq!(readable_bytes(134_217_728), "128.0 MiB");
        assert_eq!(readable_bytes(0), "0 B");
        assert_eq!([0, 999, 1000, 6_573_120].map(thousands), ["0", "999", "1,000", "6,573,120"]);
    }
}
