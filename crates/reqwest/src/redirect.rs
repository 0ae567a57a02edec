//! Redirects to where less may go along.

use reqwest::redirect::Policy;

use crate::process::Decides;

/// As many as `reqwest` follows.
const MAX_REDIRECTS: usize = 10;

/// Follows as `reqwest` does, and stops at where less may go than went with the request: nobody on
/// the way could take out of it what it carries.
///
/// To go on from there is the caller's affair, as a request of its own. Made by us it would have
/// whatever its client adds to each, a default `authorization` for one, which `reqwest` takes along
/// to no other host.
pub(crate) fn policy(propagate_to: Option<Decides>) -> Policy {
    Policy::custom(move |attempt| {
        if attempt.previous().len() > MAX_REDIRECTS {
            return attempt.error("too many redirects");
        }
        let Some(propagate_to) = &propagate_to else { return attempt.follow() };
        let allowed = attempt.previous().first().map(|first| propagate_to(first));
        match allowed.is_some_and(|allowed| propagate_to(attempt.url()) < allowed) {
            true => attempt.stop(),
            false => attempt.follow(),
        }
    })
}
