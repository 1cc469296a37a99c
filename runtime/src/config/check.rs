//! Checks of single fields, with errors that name the field, what it holds and what was expected.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
};
use core::fmt::Display;

use super::ConfigError;

pub(super) fn check(
    field: &str,
    found: impl Display,
    right: bool,
    expected: impl FnOnce() -> String,
) -> Result<(), ConfigError> {
    if right {
        return Ok(());
    }
    Err(ConfigError::Field { field: field.to_owned(), found: found.to_string(), expected: expected() })
}

pub(super) fn within(field: &str, value: usize, low: usize, high: usize) -> Result<(), ConfigError> {
    check(field, value, (low..=high).contains(&value), || {
        if low == high { low.to_string() } else { format!("from {low} to {high}") }
    })
}

/// A finite number for which `right` holds; comparisons are false for NaN, infinities are caught here.
pub(super) fn number(field: &str, value: f32, right: bool, expected: &str) -> Result<(), ConfigError> {
    check(field, value, value.is_finite() && right, || format!("a number {expected}"))
}

pub(super) fn positive(field: &str, value: f32, high: f32) -> Result<(), ConfigError> {
    number(field, value, value > 0.0 && value <= high, &format!("above 0 and at most {high}"))
}

fn per_channel(
    field: &str,
    values: &[f32],
    channels: usize,
    right: impl Fn(&str, f32) -> Result<(), ConfigError>,
) -> Result<(), ConfigError> {
    let count = values.len();
    check(field, format!("a list of {count}"), count == channels, || format!("one for each of {channels} channels"))?;
    values.iter().enumerate().try_for_each(|(i, &value)| right(&format!("{field}[{i}]"), value))
}

/// Mean and standard deviation of latents: `FIELD_mean` and `FIELD_std`.
pub(super) fn latents(field: &str, channels: usize, mean: &[f32], std: &[f32]) -> Result<(), ConfigError> {
    per_channel(&format!("{field}_mean"), mean, channels, |field, mean| {
        number(field, mean, mean.abs() <= 1e6, "from -1e6 to 1e6")
    })?;
    per_channel(&format!("{field}_std"), std, channels, |field, std| positive(field, std, 1e6))
}

pub(super) fn text(field: &str, value: &str) -> Result<(), ConfigError> {
    let length = value.len();
    check(field, format!("a text of {length} bytes"), (1..=256).contains(&length), || "1 to 256 bytes".to_owned())?;
    check(field, format!("{value:?}"), !value.contains(misleading), || {
        "a text without control characters, those of writing direction included".to_owned()
    })
}

/// Most names of a list: each must differ from all before it.
pub(super) const MOST_NAMES: usize = 512;

pub(super) fn names(field: &str, list: &[String]) -> Result<(), ConfigError> {
    let count = list.len();
    check(field, format!("a list of {count}"), (1..=MOST_NAMES).contains(&count), || {
        format!("1 to {MOST_NAMES} names")
    })?;
    for (i, name) in list.iter().enumerate() {
        let field = format!("{field}[{i}]");
        text(&field, name)?;
        check(&field, format!("{name:?}"), !list[..i].contains(name), || {
            "a name not used before in the list".to_owned()
        })?;
    }
    Ok(())
}

/// Whether a character moves, hides or turns round what is shown beside it: control characters, line and paragraph separators, the
/// marks of writing direction (with U+202E a name reads backwards), and those of no width.
pub(crate) fn misleading(c: char) -> bool {
    let marks = ['\u{61c}', '\u{180e}', '\u{feff}'];
    c.is_control()
        || marks.contains(&c)
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

/// Text of an untrusted file as it may be shown: on one line, without [`misleading`] characters, not too long.
pub fn printable(text: &str) -> String {
    const LONGEST: usize = 240;
    let clean = |c: char| if misleading(c) { ' ' } else { c };
    let mut shown: String = text.chars().take(LONGEST).map(clean).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push_str("...");
    }
    shown
}
