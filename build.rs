//! Compiles the small program that runs executables on both clouds; `src/build/layout.rs` embeds it.

use std::{env, error::Error, ffi::OsString, path::PathBuf, process::Command};

const SOURCE: &str = "src/build/shims/executable";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SOURCE}");
    let target = variable("TARGET")?.to_string_lossy().into_owned();
    let program = PathBuf::from(variable("OUT_DIR")?).join("verdigris-shim");
    let mut rustc = Command::new(variable("RUSTC")?);
    rustc
        .args([
            "--crate-name=verdigris_shim",
            "--crate-type=bin",
            "--edition=2024",
        ])
        .args([
            "-Copt-level=z",
            "-Cpanic=abort",
            "-Cstrip=symbols",
            "-Ccodegen-units=1",
        ])
        .args(["--target", &target, "-o"])
        .arg(&program)
        .arg(format!("{SOURCE}/main.rs"));
    if target.contains("linux") {
        // The clouds' images may have an older libc than the machine that builds.
        rustc.arg("-Ctarget-feature=+crt-static");
    }
    // A linker that the build was told to use is the right one here as well.
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = OsString::from("-Clinker=");
        option.push(linker);
        rustc.arg(option);
    }
    let status = rustc.status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("compiling {SOURCE} ended with {status}").into())
    }
}

fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("Cargo did not set {name}"))
}
