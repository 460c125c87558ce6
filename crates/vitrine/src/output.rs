//! How answers are printed: a table for a person, JSON for a program.

use comfy_table::{Table, presets};
use serde_json::Value;
use std::io::Write as _;

/// Prints a line. A reader that went away (`vitrine … | head`) is no error.
pub fn line(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints a value as JSON.
pub fn json(value: &Value) {
    line(format_args!("{value:#}"));
}

/// Prints rows under a head; `empty` when there are none.
pub fn table(head: &[&str], rows: Vec<Vec<String>>, empty: &str) {
    if rows.is_empty() {
        return line(empty);
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(head.iter().map(|name| name.to_uppercase()));
    table.add_rows(rows);
    // The first column needs no margin, the last no trailing spaces.
    for text in table.to_string().lines() {
        line(text.strip_prefix(' ').unwrap_or(text).trim_end());
    }
}

/// Prints an object as `name  value` lines, in the given order; what is absent or null is left out.
pub fn fields(value: &Value, names: &[&str]) {
    let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
    for name in names {
        match cell(value, name) {
            text if text.is_empty() => {}
            text => line(format_args!("{name:width$}  {text}")),
        }
    }
}

/// A field as text. Times are shown as such.
pub fn cell(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if ["At", "Since", "Until"].iter().any(|end| name.ends_with(end)) => {
            number.as_i64().map(time).unwrap_or_default()
        }
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(", "),
        Some(other) => other.to_string(),
    }
}

/// Epoch milliseconds as a time of day in UTC, to the second.
pub fn time(epoch_ms: i64) -> String {
    jiff::Timestamp::from_second(epoch_ms.div_euclid(1_000)).map(|time| time.to_string()).unwrap_or_default()
}

/// Bytes in the unit that reads best.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_well() {
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(1_610_612_736), "1.5 GiB");
        assert_eq!(time(1_772_078_705_353), "2026-02-26T04:05:05Z");
        let value = serde_json::json!({ "createdAt": 0, "list": ["a", 1], "none": null });
        assert_eq!(cell(&value, "createdAt"), "1970-01-01T00:00:00Z");
        assert_eq!(cell(&value, "list"), "a, 1");
        assert_eq!(cell(&value, "none"), "");
    }
}
