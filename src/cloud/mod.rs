//! The clouds, in our own nouns.
