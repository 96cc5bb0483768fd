//! Phases of one rollout, their legal moves, and verdicts on evidence.

pub mod evidence;
pub mod verdict;
