//! What comes of the calls: which messages are done with, and which have to be tried again.

use std::time::Duration;

use tokio::time::Instant;

use super::calls::Outcome;
use super::lease::Settle;
use super::work::Work;

/// How often a deletion is tried, beyond the tries of the SDK: for about a quarter of a minute.
const DELETE_TRIES: u32 = 8;

/// The same for giving back, without which a message only comes again later.
const CHANGE_TRIES: u32 = 3;

const FIRST_WAIT: Duration = Duration::from_millis(100);

impl Work {
    /// A right that is missing is missing for all that follows.
    fn look_at(&self, outcome: &Outcome) {
        if let Outcome::Denied(right, reason) = outcome {
            self.denied.set(right, reason.clone());
        }
    }

    pub(super) fn deleted(&mut self, id: u64, outcome: Outcome) {
        self.look_at(&outcome);
        let Some(held) = self.held.get_mut(&id) else { return };
        held.tries += 1;
        let reason = match outcome {
            Outcome::Done => {
                if let Some(waits) = self.forget(id).and_then(|held| held.waits) {
                    // Nobody may wait any longer.
                    waits.send(()).unwrap_or_default();
                }
                return;
            }
            Outcome::Failed(reason) if held.tries < DELETE_TRIES => {
                let (queue, message_id) = (&self.queue, &held.message_id);
                tracing::warn!(%queue, message_id, reason, "not deleted yet: it is tried again");
                self.deletes.push((Instant::now() + wait_after(held.tries), id));
                return;
            }
            Outcome::Failed(reason) | Outcome::Refused(reason) | Outcome::Denied(_, reason) => {
                reason
            }
        };
        let (queue, message_id) = (&self.queue, held.message_id.clone());
        tracing::error!(
            %queue, message_id, reason, "a message was handled but not deleted, and comes again"
        );
        self.undeleted.add(message_id, reason);
        self.forget(id);
    }

    pub(super) fn changed(&mut self, id: u64, outcome: Outcome) {
        self.look_at(&outcome);
        let Some(held) = self.held.get_mut(&id) else { return };
        held.tries += 1;
        match outcome {
            Outcome::Failed(_) if held.tries < CHANGE_TRIES => {
                self.changes.push((Instant::now() + wait_after(held.tries), id));
                return;
            }
            Outcome::Failed(reason) | Outcome::Refused(reason) | Outcome::Denied(_, reason) => {
                let (queue, message_id) = (&self.queue, &held.message_id);
                tracing::warn!(
                    %queue, message_id, reason,
                    "a message was not given back: it comes again when its visibility timeout ends"
                );
            }
            Outcome::Done => {}
        }
        self.forget(id);
    }

    pub(super) fn beaten(&mut self, id: u64, outcome: Outcome) {
        self.look_at(&outcome);
        // It may have been deleted meanwhile.
        let Some(held) = self.held.get_mut(&id) else { return };
        held.is_beating = false;
        let now = Instant::now();
        if let Some(Settle::Visible(_)) = held.settle {
            self.changes.push((now, id));
            return;
        }
        let (queue, message_id) = (&self.queue, &held.message_id);
        held.next_beat = match outcome {
            Outcome::Done => Some(now + self.every),
            Outcome::Failed(reason) => {
                tracing::warn!(%queue, message_id, reason, "not kept invisible: it is tried again");
                Some(now + self.every / 4)
            }
            Outcome::Refused(reason) | Outcome::Denied(_, reason) => {
                tracing::warn!(
                    %queue, message_id, reason,
                    "a message can't be kept invisible any longer: others may receive it, too"
                );
                None
            }
        };
        if let Some(next) = held.next_beat {
            self.next_beat = self.next_beat.min(next);
        }
    }
}

fn wait_after(tries: u32) -> Duration {
    FIRST_WAIT * 2_u32.saturating_pow(tries.saturating_sub(1).min(6))
}
