//! Turns a source folder into a package with an address by content.
