//! The token that lets a person act: from a file, from the environment, or where a daemon on this machine left it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use secrecy::SecretString;

use crate::{
    cli::{
        exit::{CliError, Result},
        follow,
        run::data_folder,
    },
    daemon::site::TOKEN_FILE,
};

/// The token to send, if there is one.
pub(super) fn find(file: Option<&PathBuf>, is_this_machine: bool) -> Result<Option<SecretString>> {
    if let Some(file) = file {
        return read(file).map(Some);
    }
    if let Some(token) = follow::variable("VERDIGRIS_TOKEN").filter(|token| !token.is_empty()) {
        return Ok(Some(SecretString::from(token)));
    }
    // The token of the daemon here is nothing to be shown to another machine.
    if !is_this_machine {
        return Ok(None);
    }
    let folder = match follow::variable("VERDIGRIS_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => data_folder()?,
    };
    // Reading needs no token, so that a file that is not ours to read is no fault yet.
    Ok(read(&folder.join(TOKEN_FILE)).ok())
}

fn read(file: &Path) -> Result<SecretString> {
    let text = fs::read_to_string(file).map_err(|error| {
        CliError::wrong(format!(
            "failed to read the token file `{}`: {error}",
            file.display()
        ))
    })?;
    first(&text).ok_or_else(|| {
        CliError::wrong(format!(
            "the token file `{}` holds no token",
            file.display()
        ))
        .help("a line reads `TOKEN`, or `NAME TOKEN`")
    })
}

/// The first token of a file whose lines read `TOKEN` or `NAME TOKEN`; `#` begins a comment.
fn first(text: &str) -> Option<SecretString> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let mut tokens = lines.filter_map(|line| line.split_whitespace().last());
    tokens
        .next()
        .map(|token| SecretString::from(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_first_token_of_a_file_counts() {
        for (text, token) in [
            ("vg_1\n", Some("vg_1")),
            ("# mine\n\nana vg_2 # hers\nvg_3", Some("vg_2")),
            ("# none\n", None),
        ] {
            let found = first(text).map(|token| token.expose_secret().to_owned());
            assert_eq!(found.as_deref(), token);
        }
    }
}
