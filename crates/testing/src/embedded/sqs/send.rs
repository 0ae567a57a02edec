//! What a message must be to be taken.

use super::attribute::{self, is_character};
use super::message::{Content, content_id};
use super::refusal::Refusal;
use super::settings::Settings;
use super::wire::Entry;

/// A message that may be sent.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) content: Content,
    /// Its own, in seconds.
    pub(super) delay: Option<u64>,
    /// What it counts toward the limits, in bytes.
    pub(super) size: usize,
}

pub(super) fn check(entry: Entry, settings: &Settings) -> Result<Checked, Refusal> {
    let body = entry.message_body.filter(|body| !body.is_empty());
    let body = body.ok_or_else(|| Refusal::missing("MessageBody"))?;
    let attributes = attribute::read(entry.message_attributes)?;
    let size = body.len() + attribute::size(&attributes);
    if !fits(size, settings.max_size) {
        let message = format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {} bytes.",
            settings.max_size
        );
        return Err(Refusal::invalid(message));
    }
    if !body.chars().all(is_character) {
        return Err(Refusal::contents());
    }
    let system = attribute::read_system(entry.message_system_attributes)?;
    let delay = match entry.delay_seconds {
        None => None,
        Some(seconds) if settings.fifo && seconds != 0 => {
            return Err(of_no_use(seconds, "DelaySeconds"));
        }
        // A FIFO queue has the delay that it was given, for all.
        Some(_) if settings.fifo => None,
        Some(seconds) => Some(within(seconds, "DelaySeconds", 0, 900)?),
    };
    let group = token(entry.message_group_id, "MessageGroupId")?;
    if settings.fifo && group.is_none() {
        return Err(Refusal::missing("MessageGroupId"));
    }
    let mut deduplication = token(entry.message_deduplication_id, "MessageDeduplicationId")?;
    match &deduplication {
        Some(id) if !settings.fifo => return Err(of_no_use(id, "MessageDeduplicationId")),
        None if settings.content_based_deduplication => deduplication = Some(content_id(&body)),
        None if settings.fifo => {
            let message = "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly";
            return Err(Refusal::invalid(message));
        }
        _ => {}
    }
    Ok(Checked { content: Content { body, attributes, system, group, deduplication }, delay, size })
}

pub(super) fn fits(size: usize, limit: u64) -> bool {
    u64::try_from(size).is_ok_and(|size| size <= limit)
}

/// A number that is within its bounds.
pub(super) fn within(number: i64, name: &str, least: u64, most: u64) -> Result<u64, Refusal> {
    match u64::try_from(number) {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => {
            let reason = format!("Must be between {least} and {most}, if provided");
            Err(Refusal::value(number, name, &reason))
        }
    }
}

fn of_no_use(value: impl std::fmt::Display, parameter: &str) -> Refusal {
    let reason = "The request include parameter that is not valid for this queue type";
    Refusal::value(value, parameter, reason)
}

/// An id of 1 to 128 letters, digits and signs.
fn token(id: Option<String>, parameter: &str) -> Result<Option<String>, Refusal> {
    let Some(id) = id else { return Ok(None) };
    if (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Some(id));
    }
    let reason = "It can only include alphanumeric and punctuation characters. 1 to 128 in length";
    Err(Refusal::value(id, parameter, reason))
}
