//! How `blue` moves: an alias and all that hangs on it.

pub(super) mod attached;
pub(super) mod place;
pub(super) mod promote;
pub(super) mod shift;
