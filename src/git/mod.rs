//! Fetches, verifies and reads commits.
