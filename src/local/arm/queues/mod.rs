//! Queues of storage accounts: the part of the Queue service's REST API that functions and people need. No access policies, no
//! signatures in addresses, no properties of the service.

pub(super) mod door;
pub(super) mod keys;
mod messages;
mod named;
pub(super) mod store;
mod words;
