//! What can be read: services, the fleet, events, and changes as they happen.

pub mod events;
pub mod fleet;
pub mod services;
pub mod stream;
