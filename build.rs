//! Compiles the small program that runs executables on both clouds; `src/build/layout.rs` embeds it.

use std::{
    env,
    error::Error,
    ffi::{OsStr, OsString},
    path::PathBuf,
    process::Command,
};

const SOURCE: &str = "src/build/shims/executable";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SOURCE}");
    let target = variable("TARGET")?;
    // The clouds' images may have an older libc than the machine that builds, so the program brings its own.
    let is_linux = target.to_string_lossy().contains("linux");
    if is_linux && compile(&target, &["-Ctarget-feature=+crt-static"])? {
        return Ok(());
    }
    if !compile(&target, &[])? {
        return Err(format!("compiling {SOURCE} failed: its messages are above").into());
    }
    println!(
        "cargo::warning=packages of executables run on this system only: \
         build Verdigris on Linux with a static C library (glibc-static) to deploy them"
    );
    Ok(())
}

/// Says whether it went well.
fn compile(target: &OsStr, more: &[&str]) -> Result<bool, Box<dyn Error>> {
    let program = PathBuf::from(variable("OUT_DIR")?).join("verdigris-shim");
    let mut rustc = Command::new(variable("RUSTC")?);
    rustc
        .args(["--crate-name=verdigris_shim", "--crate-type=bin"])
        .args(["--edition=2024", "-Copt-level=z", "-Cpanic=abort"])
        .args(["-Cstrip=symbols", "-Ccodegen-units=1"])
        .args(more)
        .arg(format!("{SOURCE}/main.rs"))
        .arg("--target")
        .arg(target)
        .arg("-o")
        .arg(&program);
    // A linker that the build was told to use is the right one here as well.
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = OsString::from("-Clinker=");
        option.push(linker);
        rustc.arg(option);
    }
    Ok(rustc.status()?.success())
}

fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("Cargo did not set {name}"))
}
