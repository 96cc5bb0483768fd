//! Opens sled's folder, or moves it out of the way and starts a fresh one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Options, trees::Trees};
use crate::store::StoreError;

/// Damaged stores that are kept for people to look at; older ones make room.
const KEPT_MAX: usize = 3;

/// A store that could not be opened or read, and where it is now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MovedAside {
    pub path: PathBuf,
    pub why: String,
}

pub(super) fn open_or_move(
    path: &Path,
    options: &Options,
) -> Result<(Trees, Option<MovedAside>), StoreError> {
    let why = match Trees::open_checked(path, options) {
        Ok(trees) => return Ok((trees, None)),
        Err(StoreError::Corrupt { cause, .. }) => cause,
        Err(error) => return Err(error),
    };
    let moved = move_aside(path, why)?;
    tracing::error!(path = %moved.path.display(), why = moved.why, "damaged store moved aside, starting afresh");
    let trees = Trees::open_checked(path, options)?;
    Ok((trees, Some(moved)))
}

fn move_aside(path: &Path, why: String) -> Result<MovedAside, StoreError> {
    let sorted = |error: std::io::Error| StoreError::Failed {
        path: path.to_owned(),
        cause: format!("it is damaged ({why}) and cannot be moved aside: {error}"),
    };
    let kept = kept(path).map_err(sorted)?;
    let number = kept.last().map_or(1, |last| last + 1);
    let target = numbered(path, number);
    fs::rename(path, &target).map_err(sorted)?;
    let old = kept.len().saturating_sub(KEPT_MAX - 1);
    for number in &kept[..old] {
        fs::remove_dir_all(numbered(path, *number)).map_err(sorted)?;
    }
    Ok(MovedAside { path: target, why })
}

/// Numbers of the damaged stores beside this one, in order.
fn kept(path: &Path) -> std::io::Result<Vec<u64>> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("store.corrupt-"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn numbered(path: &Path, number: u64) -> PathBuf {
    path.with_file_name(format!("store.corrupt-{number}"))
}
