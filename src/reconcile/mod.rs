//! The loop: queue, pass, apply, settle, recover.
//!
//! A wake-up carries a name and no news. A pass looks at one service, takes every step that needs no waiting, writes down what changed,
//! and only then sends orders. What was sent comes back as a wake-up of the same name. After a crash there is nothing special to do: the
//! intents on the disk are open, nothing is in flight, and an ordinary pass sends them again.

pub mod handle;
pub mod world;
