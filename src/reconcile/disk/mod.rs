//! The loop and the store: what is read at the start, and what is written before anybody hears of it.

pub(super) mod journal;
pub(super) mod load;
pub(super) mod records;
pub(super) mod save;
