//! What a cloud told us.
