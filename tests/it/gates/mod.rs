//! Gates: what they ask, what they make of the answer, and what they never do.

mod chains;
mod command;
mod http;
mod load;
mod metric;
mod parity;
mod rollout;
mod rollouts;
mod signed;

use verdigris::rollout::evidence::Outcome;

fn read(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Successful => "successful".to_owned(),
        Outcome::Failed { why } => format!("failed: {why}"),
        Outcome::Error { why } => format!("error: {why}"),
        Outcome::Inconclusive { why } => format!("inconclusive: {why}"),
    }
}
