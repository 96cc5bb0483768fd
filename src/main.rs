//! Exit code only.

use std::process::ExitCode;

fn main() -> ExitCode {
    verdigris::cli::main()
}
