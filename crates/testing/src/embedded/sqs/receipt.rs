//! What is done to a message by its receipt.

use super::message;
use super::queue::Queue;
use super::refusal::Refusal;

/// For so long in all may a message be hidden, in milliseconds.
const LONGEST_IN_FLIGHT: u64 = 12 * 60 * 60 * 1000;

impl Queue {
    /// Deletes what this receipt is of, if it is the last one of its message.
    pub(super) fn delete(&mut self, now: u64, handle: &str) -> Result<(), Refusal> {
        let (key, receipt) = message::read_handle(handle, self.serial)?;
        self.expire(now);
        let Some(message) = self.messages.get(&key) else { return Ok(()) };
        let is_last = message.receipt.is_some_and(|last| last.number == receipt);
        if self.settings.fifo && (!is_last || message.visible <= now) {
            return Err(expired(handle));
        }
        // With an old receipt it succeeds, as AWS documents it, but isn't deleted.
        if is_last {
            self.messages.remove(&key);
        }
        Ok(())
    }

    /// Hides a message that is in flight for so many seconds from now on.
    pub(super) fn change_visibility(
        &mut self,
        now: u64,
        handle: &str,
        timeout: u64,
    ) -> Result<(), Refusal> {
        let (key, number) = message::read_handle(handle, self.serial)?;
        self.expire(now);
        let fifo = self.settings.fifo;
        let Some(message) = self.messages.get_mut(&key) else {
            let reason = "Message does not exist or is not available for visibility timeout change";
            return Err(Refusal::value(handle, "ReceiptHandle", reason));
        };
        match message.receipt {
            Some(receipt) if receipt.number == number && message.visible > now => {
                let visible = now + timeout * 1000;
                if visible > receipt.received + LONGEST_IN_FLIGHT {
                    let reason = "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]";
                    return Err(Refusal::value(timeout, "VisibilityTimeout", reason));
                }
                message.visible = visible;
                Ok(())
            }
            _ if fifo => Err(expired(handle)),
            _ => Err(Refusal::not_in_flight(&message.id)),
        }
    }
}

fn expired(handle: &str) -> Refusal {
    Refusal::value(handle, "ReceiptHandle", "The receipt handle has expired")
}
