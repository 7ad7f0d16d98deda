//! Formats figures for tables and drawings.

/// Formats a fraction in percent: `12.3%`.
pub fn percent(part: f64) -> String {
    format!("{:.1}%", 100.0 * part)
}

/// Formats a rate in units of 10^9 with about three digits: `0.05`, `12.3`, `20413`.
pub fn giga(rate: f64) -> String {
    let value = rate / 1e9;
    match value {
        0.0..0.995 => format!("{value:.2}"),
        0.995..9999.5 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Formats seconds in milliseconds for a column: `12.345`.
pub fn milliseconds(seconds: f64) -> String {
    format!("{:.3}", 1e3 * seconds)
}

/// Formats seconds in milliseconds with the unit and about three digits: `0.046 ms`, `12.3 ms`, `1234 ms`.
pub fn short_milliseconds(seconds: f64) -> String {
    let value = 1e3 * seconds;
    match value {
        0.0 => "0 ms".to_string(),
        ..1.0 => format!("{value:.3} ms"),
        ..1000.0 => format!("{value:.1} ms"),
        _ => format!("{value:.0} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_about_three_digits() {
        assert_eq!([4.6e7, 1.23e10, 2.04134e13].map(giga), ["0.05", "12.3", "20413"]);
        assert_eq!(percent(0.1234), "12.3%");
        let texts = [0.0, 4.6e-5, 0.0123, 1.234].map(short_milliseconds);
        assert_eq!(texts, ["0 ms", "0.046 ms", "12.3 ms", "1234 ms"]);
    }
}
