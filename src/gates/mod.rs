//! Asks the world, and returns evidence.
