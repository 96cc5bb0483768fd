//! The files of a built folder: which there are, whether they may be packed, and whether the handlers are among them.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::name::{CloudName, FunctionName};

use super::{
    Limits,
    layout::Generated,
    recipe::{Recipe, Runtime},
    zip::{self, Content},
};

/// A built folder that cannot become a package.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("`{path}` points outside the source folder: copy the file there instead")]
    LinkLeaves { path: String },
    #[error("`{path}` points at a folder that it is in itself: remove the link")]
    LinkLoops { path: String },
    #[error("`{path}` points at nothing: remove the link or make what it points at")]
    LinkDangles { path: String },
    #[error("`{path}` is neither a file nor a folder: remove it at the end of `build`")]
    Special { path: String },
    #[error("file `{path}` {fault}: rename it")]
    BadName { path: String, fault: &'static str },
    #[error("file `{path}` has the name of a file that Verdigris adds for {cloud}: rename it")]
    Reserved { path: String, cloud: CloudName },
    #[error(
        "the built folder holds more than {max} files and folders: remove what the functions do not need at the end of `build`"
    )]
    TooMany { max: usize },
    #[error(
        "the built folder holds more than {max} bytes: remove what the functions do not need at the end of `build`"
    )]
    TooLarge { max: u64 },
    #[error("failed to read `{}` of the built folder", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// A handler that the built folder does not hold.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HandlerError {
    #[error("function `{function}`: handler `{handler}` must read `{form}`")]
    Malformed {
        function: FunctionName,
        handler: String,
        form: &'static str,
    },
    #[error(
        "function `{function}`: handler `{handler}` needs {wanted}, and the built folder has none: add it, or correct `handler`"
    )]
    Missing {
        function: FunctionName,
        handler: String,
        wanted: String,
    },
    #[error(
        "function `{function}`: `{handler}` is not executable: run `chmod +x {handler}` in `build`, or commit it with that mode"
    )]
    NotExecutable {
        function: FunctionName,
        handler: String,
    },
}

/// The files of a built folder by their path in the package.
pub type Found = BTreeMap<String, zip::Entry>;

/// Lists all files below `root`. Links inside are followed, so that a package never holds one.
///
/// # Errors
///
/// Refuses what cannot be unpacked the same everywhere, links that leave `root`, and more than the limits allow.
pub fn collect(root: &Path, limits: Limits) -> Result<Found, FilesError> {
    let root = root
        .canonicalize()
        .map_err(|source| io_fault(root, source))?;
    let mut walk = Walk {
        root: &root,
        limits,
        size: 0,
        seen: 0,
        found: Found::new(),
    };
    walk.folder(&root, "", &mut Vec::new())?;
    Ok(walk.found)
}

/// Adds the generated files to the found ones.
///
/// # Errors
///
/// Refuses a file of the service that one of ours would replace.
pub fn merge(
    found: &Found,
    generated: &[Generated],
    cloud: CloudName,
) -> Result<Found, FilesError> {
    let mut all = found.clone();
    for file in generated {
        let Generated {
            path,
            content,
            executable,
        } = file;
        let entry = zip::Entry {
            content: Content::Bytes(content.clone()),
            executable: *executable,
        };
        if is_taken(found, path) {
            let path = path.clone();
            return Err(FilesError::Reserved { path, cloud });
        }
        all.insert(path.clone(), entry);
    }
    Ok(all)
}

/// Checks that each handler names code that is there.
///
/// # Errors
///
/// Says which function's handler is missing or malformed, and what was looked for.
pub fn check_handlers(recipe: &Recipe, found: &Found) -> Result<(), HandlerError> {
    for (function, entry) in &recipe.functions {
        let handler = entry.handler.as_str();
        match &recipe.runtime {
            Runtime::Python { version: _ } => check_python(function, handler, found)?,
            Runtime::Node { version: _ } => check_node(function, handler, found)?,
            Runtime::Executable => check_executable(function, handler, found)?,
        }
    }
    Ok(())
}

struct Walk<'a> {
    root: &'a Path,
    limits: Limits,
    size: u64,
    /// Files and folders, so that links that multiply folders come to an end as well.
    seen: usize,
    found: Found,
}

impl Walk<'_> {
    /// `above` holds the real folders that we are in, which a link must not lead back to.
    fn folder(
        &mut self,
        folder: &Path,
        prefix: &str,
        above: &mut Vec<PathBuf>,
    ) -> Result<(), FilesError> {
        let failed = |source| io_fault(folder, source);
        above.push(folder.to_owned());
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let shown = format!("{prefix}{}", name.to_string_lossy());
            if name.to_str().is_none() {
                let fault = "has a name that is not UTF-8";
                return Err(FilesError::BadName { path: shown, fault });
            }
            self.entry(&entry.path(), shown, above)?;
        }
        above.pop();
        Ok(())
    }

    fn entry(
        &mut self,
        path: &Path,
        shown: String,
        above: &mut Vec<PathBuf>,
    ) -> Result<(), FilesError> {
        if let Some(fault) = zip::fault_of(&shown) {
            return Err(FilesError::BadName { path: shown, fault });
        }
        self.seen += 1;
        let max = self.limits.files_max;
        if self.seen > max {
            return Err(FilesError::TooMany { max });
        }
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(FilesError::LinkDangles { path: shown });
            }
            Err(source) => return Err(io_fault(path, source)),
        };
        if !real.starts_with(self.root) {
            return Err(FilesError::LinkLeaves { path: shown });
        }
        let about = fs::metadata(&real).map_err(|source| io_fault(path, source))?;
        if about.is_file() {
            self.file(real, shown, &about)
        } else if !about.is_dir() {
            Err(FilesError::Special { path: shown })
        } else if above.contains(&real) {
            Err(FilesError::LinkLoops { path: shown })
        } else {
            self.folder(&real, &format!("{shown}/"), above)
        }
    }

    fn file(
        &mut self,
        real: PathBuf,
        shown: String,
        about: &fs::Metadata,
    ) -> Result<(), FilesError> {
        let Limits {
            timeout: _,
            output_max: _,
            package_max,
            files_max: _,
        } = self.limits;
        self.size = self.size.saturating_add(about.len());
        if self.size > package_max {
            return Err(FilesError::TooLarge { max: package_max });
        }
        let entry = zip::Entry {
            content: Content::File(real),
            executable: about.permissions().mode() & 0o111 != 0,
        };
        self.found.insert(shown, entry);
        Ok(())
    }
}

/// A file of ours collides with one of the same name, with a folder of that name, and with a file named like our folder.
fn is_taken(found: &Found, path: &str) -> bool {
    let folder = format!("{path}/");
    let below = found.range(folder.clone()..).next();
    let is_folder = below.is_some_and(|(name, _)| name.starts_with(&folder));
    let parent = path.split_once('/').map(|(parent, _)| parent);
    is_folder || found.contains_key(path) || parent.is_some_and(|name| found.contains_key(name))
}

fn check_python(function: &FunctionName, handler: &str, found: &Found) -> Result<(), HandlerError> {
    let is_word =
        |word: &str| !word.is_empty() && word.chars().all(|c| c == '_' || c.is_alphanumeric());
    let parts = handler.split_once(':').filter(|(module, attribute)| {
        module.split('.').all(is_word) && attribute.split('.').all(is_word)
    });
    let Some((module, _)) = parts else {
        return Err(malformed(function, handler, "module:attribute"));
    };
    let path = module.replace('.', "/");
    let wanted = [format!("{path}.py"), format!("{path}/__init__.py")];
    if wanted.iter().any(|path| found.contains_key(path)) {
        return Ok(());
    }
    missing(
        function,
        handler,
        format!("`{}` or `{}`", wanted[0], wanted[1]),
    )
}

fn check_node(function: &FunctionName, handler: &str, found: &Found) -> Result<(), HandlerError> {
    let (file, export) = handler.split_once(':').unwrap_or((handler, "default"));
    if file.is_empty() || export.is_empty() {
        return Err(malformed(function, handler, "file.mjs:export"));
    }
    if found.contains_key(plain(file)) {
        return Ok(());
    }
    missing(function, handler, format!("`{file}`"))
}

fn check_executable(
    function: &FunctionName,
    handler: &str,
    found: &Found,
) -> Result<(), HandlerError> {
    match found.get(plain(handler)) {
        None => missing(function, handler, format!("program `{handler}`")),
        Some(entry) if entry.executable => Ok(()),
        Some(_) => Err(HandlerError::NotExecutable {
            function: function.clone(),
            handler: handler.to_owned(),
        }),
    }
}

/// `./server` and `server` are the same file.
fn plain(path: &str) -> &str {
    path.strip_prefix("./").unwrap_or(path)
}

fn malformed(function: &FunctionName, handler: &str, form: &'static str) -> HandlerError {
    HandlerError::Malformed {
        function: function.clone(),
        handler: handler.to_owned(),
        form,
    }
}

fn missing(function: &FunctionName, handler: &str, wanted: String) -> Result<(), HandlerError> {
    Err(HandlerError::Missing {
        function: function.clone(),
        handler: handler.to_owned(),
        wanted,
    })
}

fn io_fault(path: &Path, source: io::Error) -> FilesError {
    FilesError::Io {
        path: path.to_owned(),
        source,
    }
}
