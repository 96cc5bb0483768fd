//! How Lambda speaks: requests taken apart, answers and errors in their real shapes.

mod call;
mod error;
mod reference;
mod route;

pub(super) use call::{Call, answer, no_content, page};
pub(super) use error::ApiError;
pub(super) use reference::{Place, Reference};
pub(super) use route::{Operation, route};
