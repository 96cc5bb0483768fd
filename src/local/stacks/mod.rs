//! Stacks as CloudFormation knows them: what a template asks for, what differs, and the requests that make it so. Pure: whoever has the
//! services carries the requests out.
//!
//! # Caveats
//!
//! Resource types and properties that are not in [`resource`] are refused by name when their turn comes, and the stack goes back.
//! `Fn::ImportValue`, macros but SAM's, nested stacks and stack policies are not known.

pub mod changes;
pub mod record;
pub mod resource;
pub mod sam;
pub mod template;
pub mod value;

/// Why a template or one of its values cannot be used, in the words of CloudFormation where they are known.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

/// A [`Fault`] as a result.
///
/// # Errors
///
/// Always.
pub fn fault<T>(message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault(message.into()))
}
