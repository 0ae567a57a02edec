//! Text for people: what comes from outside is made harmless, what is long is cut.

use std::time::Duration;

/// Text from outside made fit to be printed: characters that move the cursor, start a line, turn
/// the direction of what follows or can't be seen are escaped, all others stay.
///
/// Names come from whoever sends spans; traces and verdicts are printed with it. What you print
/// beside them deserves the same.
///
/// ```
/// assert_eq!(throughline_lineage::escape("POST /é\u{1b}[2J\n"), r"POST /é\u{1b}[2J\n");
/// ```
#[must_use]
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        let hidden = matches!(char,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if char.is_control() || hidden {
            safe.extend(char.escape_default());
        } else {
            safe.push(char);
        }
    }
    safe
}

/// At most this many characters, the last of them an ellipsis if any were cut.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// A duration with three digits or so, in the unit that suits it.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds >= 100.0 {
        format!("{seconds:.0} s")
    } else if seconds >= 1.0 {
        format!("{seconds:.2} s")
    } else if seconds >= 0.1 {
        format!("{:.0} ms", seconds * 1e3)
    } else if seconds >= 0.001 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{:.0} µs", seconds * 1e6)
    }
}

/// The same of a duration that is known to the millisecond.
pub(crate) fn milliseconds(known: u64) -> String {
    if known < 1_000 { format!("{known} ms") } else { duration(Duration::from_millis(known)) }
}

/// How far a moment lies after the start; before it, where clocks disagree.
pub(crate) fn offset(start: u64, at: u64) -> String {
    let sign = if at < start { '-' } else { '+' };
    format!("{sign}{}", duration(Duration::from_nanos(at.abs_diff(start))))
}

/// `1 span`, `2 spans`.
pub(crate) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
