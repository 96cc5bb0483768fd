//! What this machine can run: a C compiler is needed, Python and Node are used where they are there.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use super::teller::Teller;
use crate::cli::{
    exit::{CliError, Result},
    screen::Tone,
};

/// A program that says its version or compiles a line takes less, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The oldest version that runs our examples: structural pattern matching.
const PYTHON: Runtime = Runtime {
    program: "python3",
    oldest: (3, 10),
};

/// The oldest version that runs our examples: fetch's Request and Response.
const NODE: Runtime = Runtime {
    program: "node",
    oldest: (18, 0),
};

struct Runtime {
    program: &'static str,
    oldest: (u32, u32),
}

/// A program that may be there.
#[derive(Clone, Debug)]
pub(super) enum Tool {
    Found {
        version: String,
    },
    /// Why not.
    Missing(String),
}

impl Tool {
    pub(super) fn is_found(&self) -> bool {
        match self {
            Self::Found { version: _ } => true,
            Self::Missing(_) => false,
        }
    }
}

/// What was found.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) python: Tool,
    pub(super) node: Tool,
    compiler: String,
    pub(super) search_path: Option<String>,
}

impl Machine {
    /// Looks around; `folder` is for a trial of the compiler.
    ///
    /// # Errors
    ///
    /// Without a C compiler there is not even one service to show.
    pub(super) async fn look(folder: &Path, search_path: Option<String>) -> Result<Self> {
        let (python, node, compiler) =
            tokio::join!(runtime(&PYTHON), runtime(&NODE), compiler(folder));
        Ok(Self {
            python,
            node,
            compiler: compiler?,
            search_path,
        })
    }

    pub(super) fn tell(&self, teller: &Teller<'_>) {
        let Self {
            python,
            node,
            compiler,
            search_path: _,
        } = self;
        let mut found = vec![format!("cc {compiler}")];
        for (name, tool) in [(PYTHON.program, python), (NODE.program, node)] {
            if let Tool::Found { version } = tool {
                found.push(format!("{name} {version}"));
            }
        }
        teller.line(Tone::Plain, "found", &found.join(", "));
        for (tool, service) in [(python, "inventory"), (node, "cart")] {
            if let Tool::Missing(why) = tool {
                let told = format!("{why}: the demo goes on without the service {service}");
                teller.line(Tone::Busy, "not found", &told);
            }
        }
    }
}

async fn runtime(runtime: &Runtime) -> Tool {
    let Runtime { program, oldest } = runtime;
    let Some(version) = version(program).await else {
        return Tool::Missing(format!("there is no {program} on this machine"));
    };
    let mut parts = version.split('.').map_while(|part| part.parse().ok());
    let has = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if has < *oldest {
        let (major, minor) = oldest;
        return Tool::Missing(format!("{program} {version} is older than {major}.{minor}"));
    }
    Tool::Found { version }
}

/// Tries what the example's build command will do.
async fn compiler(folder: &Path) -> Result<String> {
    let way_out = "on Debian and Ubuntu: apt-get install gcc libc6-dev; on Fedora: dnf install gcc glibc-static";
    let source = folder.join("trial.c");
    let program = folder.join("trial");
    std::fs::write(&source, "int main(void) { return 0; }\n")
        .map_err(|error| CliError::of(&error))?;
    let trial = Command::new("cc")
        .arg("-static")
        .arg("-o")
        .args([&program, &source])
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let trouble = match timeout(PATIENCE, trial).await {
        Ok(Ok(output)) if output.status.success() => None,
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or_default().to_owned();
            Some(format!(
                "the C compiler `cc` cannot link statically: {last}"
            ))
        }
        Ok(Err(_)) => Some("there is no C compiler `cc` on this machine".to_owned()),
        Err(_) => Some("the C compiler `cc` does not come to an end".to_owned()),
    };
    // What cannot be removed now goes with the folder.
    std::fs::remove_file(&source).ok();
    std::fs::remove_file(&program).ok();
    match trouble {
        Some(trouble) => Err(CliError::wrong(trouble).help(way_out)),
        None => Ok(version("cc").await.unwrap_or_default()),
    }
}

/// What `program --version` says; none where it cannot be run.
async fn version(program: &str) -> Option<String> {
    let asked = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, asked).await.ok()?.ok()?;
    if !output.status.success() {
        return None;
    }
    number(&String::from_utf8_lossy(&output.stdout))
}

/// The last word of the first line that begins like a number: `cc (Debian 14.2.0-19) 14.2.0`, `v22.11.0`, `Python 3.13.1`.
fn number(said: &str) -> Option<String> {
    let words = said.lines().next()?.split_whitespace();
    let mut numbers = words.filter_map(|word| {
        let word = word.strip_prefix('v').unwrap_or(word);
        word.starts_with(|c: char| c.is_ascii_digit())
            .then(|| word.to_owned())
    });
    numbers.next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_programs_say() {
        for (said, version) in [
            ("Python 3.13.1\n", "3.13.1"),
            ("v22.11.0\n", "22.11.0"),
            ("cc (Debian 14.2.0-19) 14.2.0\nCopyright\n", "14.2.0"),
        ] {
            assert_eq!(number(said).as_deref(), Some(version));
        }
        assert_eq!(number("no such thing"), None);
    }
}
