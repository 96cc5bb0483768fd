//! Exit code only.

fn main() {}
