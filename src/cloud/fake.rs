//! A cloud in memory, which can misbehave on request.
