//! Runs a package's own programs on AWS Lambda (as `bootstrap`) and on Azure Functions (as `verdigris-shim`).
//!
//! A program serves plain HTTP on `$PORT`; this one stands between it and the cloud. It is compiled on its own, with the
//! standard library only, so that it is small and runs on any Linux.

mod aws;
mod azure;
mod base64;
mod contract;
mod head;
mod http;
mod json;
mod program;
mod routes;
mod shim;
mod streamed;

use std::{env, path::PathBuf, process::ExitCode};

const NOT_IN_A_CLOUD: &str = "a cloud starts this program: \
    set AWS_LAMBDA_RUNTIME_API or FUNCTIONS_CUSTOMHANDLER_PORT to try it";

fn main() -> ExitCode {
    let root = env::current_exe()
        .ok()
        .and_then(|path| path.parent().map(PathBuf::from))
        .unwrap_or_default();
    let runtime_api = env::var("AWS_LAMBDA_RUNTIME_API");
    let handler_port = env::var("FUNCTIONS_CUSTOMHANDLER_PORT");
    let ended = match (runtime_api, handler_port) {
        (Ok(address), _) => aws::run(&root, &address),
        (Err(_), Ok(port)) => azure::run(&root, &port),
        (Err(_), Err(_)) => Err(NOT_IN_A_CLOUD.to_owned()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("verdigris: {error}");
            ExitCode::FAILURE
        }
    }
}
