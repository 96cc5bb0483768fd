//! What differs, and why.
