//! The second opinion: orders that must never be given.
