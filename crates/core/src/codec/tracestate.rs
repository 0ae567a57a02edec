//! The `tracestate` header of [W3C Trace Context level 2](https://www.w3.org/TR/trace-context-2/#tracestate-header).
//!
//! OpenTelemetry's own [`TraceState`] still has the key grammar of level 1 and refuses keys such
//! as `a@b@c`. Members it can't hold are kept beside it, in [`Parsed::unheld`], and join the
//! others again when the header is printed.

use std::sync::Arc;

use opentelemetry::trace::TraceState;

use super::trim;

/// A list with more members is discarded as a whole.
pub const MAX_MEMBERS: usize = 32;

/// How many bytes are printed at the most. The specification asks for 512; what others sent with
/// reason passes, and together with as much baggage as there may be it stays below the 16 KiB that
/// servers take for all the headers of a request.
pub const MAX_BYTES: usize = 4096;

/// A member that is longer goes first where there are too many bytes.
const LONG: usize = 128;

/// The most bytes of a key, and of a value.
const MAX_PART: usize = 256;

/// What a valid header says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// The members that OpenTelemetry can hold, in order.
    pub held: TraceState,
    /// The whole list, where it has members that OpenTelemetry cannot hold.
    pub unheld: Option<Arc<Unheld>>,
}

/// A list with members that OpenTelemetry's [`TraceState`] refuses, as a value in the context.
#[derive(Debug, Default, PartialEq)]
pub struct Unheld {
    held: TraceState,
    /// Every member as it came, and whether it is one of the refused.
    members: Vec<(String, bool)>,
}

/// Parses the values of all `tracestate` headers, combined in their order.
///
/// `None` if there is nothing to keep: no member, more than [`MAX_MEMBERS`], or a member that the
/// grammar forbids. A broken `tracestate` never breaks the trace. Keys that come twice stay: the
/// specification leaves it to whoever reads them, and what passes through is not ours to mend.
pub fn parse<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Parsed> {
    let mut members: Vec<(&str, &str)> = Vec::new();
    for value in values {
        for member in value.split(|byte| *byte == b',').map(trim) {
            if member.is_empty() {
                continue;
            }
            if members.len() == MAX_MEMBERS {
                return None;
            }
            let (key, value) = std::str::from_utf8(member).ok()?.split_once('=')?;
            if !is_key(key) || !is_value(value) {
                return None;
            }
            members.push((key, value));
        }
    }
    if members.is_empty() {
        return None;
    }
    let is_held = |key: &str| TraceState::NONE.insert(key, "").is_ok();
    match TraceState::from_key_value(members.iter().copied()) {
        Ok(held) => Some(Parsed { held, unheld: None }),
        Err(_) => {
            let held = members.iter().copied().filter(|(key, _)| is_held(key));
            let held = TraceState::from_key_value(held).unwrap_or_default();
            let members = members.iter().map(|(k, v)| (format!("{k}={v}"), !is_held(k))).collect();
            Some(Parsed { held: held.clone(), unheld: Some(Arc::new(Unheld { held, members })) })
        }
    }
}

/// Prints the header, or `None` if it would be empty: an empty `tracestate` is refused by some
/// carriers (SQS) and means nothing to the others.
///
/// Where the list was changed since it came (by a sampler, say), what is new or changed comes first,
/// and the rest in the order in which it came. Of more than [`MAX_BYTES`] whole members are left out, as
/// the specification says: those longer than 128 bytes, then those at the end.
#[must_use]
pub fn print(state: &TraceState, unheld: Option<&Unheld>) -> Option<String> {
    let mut out = String::new();
    let mut count = 0;
    let mut push = |parts: &[&str]| {
        if count < MAX_MEMBERS {
            if count > 0 {
                out.push(',');
            }
            out.extend(parts.iter().copied());
            count += 1;
        }
    };
    match unheld {
        Some(list) if list.held == *state => {
            list.members.iter().for_each(|(member, _)| push(&[member]));
        }
        _ => {
            let came: &[(String, bool)] = unheld.map_or(&[], |list| &list.members);
            let is = |member: &str, (key, value): (&str, &str)| {
                member.split_once('=') == Some((key, value))
            };
            // What a program put into its own state was checked less strictly than this.
            let valid = state.into_iter().filter(|(key, value)| is_key(key) && is_value(value));
            let changed = valid.filter(|pair| !came.iter().any(|(member, _)| is(member, *pair)));
            changed.for_each(|(key, value)| push(&[key, "=", value]));
            for (member, is_refused) in came {
                if *is_refused || state.into_iter().any(|pair| is(member, pair)) {
                    push(&[member]);
                }
            }
        }
    }
    if out.len() > MAX_BYTES {
        out = shortened(&out);
    }
    (!out.is_empty()).then_some(out)
}

#[cold]
fn shortened(list: &str) -> String {
    let mut excess = list.len() - list.len().min(MAX_BYTES);
    // From the end, as the rest is.
    let mut members: Vec<&str> = list.rsplit(',').collect();
    for least in [LONG + 1, 0] {
        members.retain(|member| {
            let goes = excess > 0 && member.len() >= least;
            if goes {
                excess = excess.saturating_sub(member.len() + 1);
            }
            !goes
        });
    }
    members.reverse();
    members.join(",")
}

/// `key = ( lcalpha / DIGIT ) 0*255 ( keychar )`
fn is_key(key: &str) -> bool {
    let first = key.bytes().next();
    first.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && key.len() <= MAX_PART
        && key.bytes().all(
            |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@'),
        )
}

/// `value = 0*255(chr) nblk-chr`, where the blank at the end was already trimmed.
fn is_value(value: &str) -> bool {
    (1..=MAX_PART).contains(&value.len())
        && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=')
}
