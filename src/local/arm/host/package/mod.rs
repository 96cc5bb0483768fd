//! A package: unpacked safely, with what its host.json and function.json files say.

mod polling;
mod raw;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Cursor, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use zip::ZipArchive;

pub(in crate::local::arm) use self::polling::Polling;
use self::raw::{HostFile, RawBinding, RawExtensions, RawFunction, RawHandler};
use super::route::{Methods, Template};
use crate::name::CodeDigest;

/// More than any real package holds, and little enough to unpack.
const ENTRIES_MAX: usize = 100_000;
const UNPACKED_MAX: u64 = 2 << 30;

/// What a plan allows a function that sets no limit of its own.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// A package that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::local::arm) enum PackageError {
    #[error("the package is not a zip archive: {0}")]
    NotZip(zip::result::ZipError),
    #[error("entry `{0}` would leave the package's folder")]
    Escapes(String),
    #[error("entry `{0}` is a link; links are not unpacked")]
    Link(String),
    #[error("the package holds more than {ENTRIES_MAX} entries")]
    TooMany,
    #[error("the package is larger than {UNPACKED_MAX} bytes when unpacked")]
    TooLarge,
    #[error("`{file}` cannot be read as JSON: {fault}")]
    Json { file: String, fault: String },
    #[error("function `{function}`: {fault}")]
    Function { function: String, fault: String },
    #[error("the package could not be unpacked: {0}")]
    Io(#[from] io::Error),
}

/// An unpacked package. Its folder is deleted with it.
pub(in crate::local::arm) struct Package {
    folder: TempDir,
    pub digest: CodeDigest,
    pub handler: Option<CustomHandler>,
    pub route_prefix: String,
    pub timeout: Duration,
    pub polling: Polling,
    pub functions: BTreeMap<String, Function>,
}

/// How the package's own web server is started and spoken to.
#[derive(Clone, Debug)]
pub(in crate::local::arm) struct CustomHandler {
    pub executable: String,
    pub arguments: Vec<String>,
    pub working_directory: String,
    pub forwards: bool,
}

/// One function of a package.
#[derive(Clone, Debug)]
pub(in crate::local::arm) struct Function {
    /// function.json as written.
    pub config: Value,
    pub http: Option<HttpTrigger>,
    pub disabled: bool,
    /// The file that a language's worker loads, seen from the function's folder, and what in it is called.
    pub script_file: String,
    pub entry_point: String,
    pub bindings: BTreeMap<String, Binding>,
}

/// One way into or out of a function.
#[derive(Clone, Debug)]
pub(in crate::local::arm) struct Binding {
    pub kind: String,
    pub direction: Direction,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(in crate::local::arm) enum Direction {
    #[default]
    In,
    Out,
    InOut,
}

/// The HTTP trigger of a function.
#[derive(Clone, Debug)]
pub(in crate::local::arm) struct HttpTrigger {
    /// The name of the request among the bindings, `req` by custom.
    pub binding: String,
    pub methods: Methods,
    pub template: Template,
    pub level: AuthLevel,
    /// Requests may be forwarded as they are: there is nothing but HTTP in and out.
    pub http_only: bool,
}

/// Which key a caller must present.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(in crate::local::arm) enum AuthLevel {
    Anonymous,
    #[default]
    Function,
    Admin,
}

// === impl Package ===

impl Package {
    /// Unpacks `zip` below `parent` and reads what it holds. Blocks.
    ///
    /// # Guarantees
    ///
    /// Nothing is written outside the package's own folder, and executable bits survive.
    pub(in crate::local::arm) fn unpack(zip: &[u8], parent: &Path) -> Result<Self, PackageError> {
        fs::create_dir_all(parent)?;
        let folder = TempDir::with_prefix_in("app-", parent)?;
        extract(zip, folder.path())?;
        let host: HostFile = read_json(folder.path(), "host.json")?.unwrap_or_default();
        let functions = read_functions(folder.path())?;
        let timeout = host.function_timeout.as_deref().and_then(parse_timeout);
        let RawExtensions { http, queues } = host.extensions.unwrap_or_default();
        let prefix = http.and_then(|http| http.route_prefix);
        Ok(Self {
            digest: CodeDigest::of(zip),
            handler: host.custom_handler.and_then(RawHandler::checked),
            route_prefix: prefix.unwrap_or_else(|| "api".to_owned()),
            timeout: timeout.unwrap_or(FUNCTION_TIMEOUT),
            polling: queues.unwrap_or_default().into(),
            functions,
            folder,
        })
    }

    pub(in crate::local::arm) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn extract(zip: &[u8], folder: &Path) -> Result<(), PackageError> {
    let mut archive = ZipArchive::new(Cursor::new(zip)).map_err(PackageError::NotZip)?;
    if archive.len() > ENTRIES_MAX {
        return Err(PackageError::TooMany);
    }
    let mut room = UNPACKED_MAX;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(PackageError::NotZip)?;
        let named = entry.name().map_err(PackageError::NotZip)?.into_owned();
        if entry.is_symlink() {
            return Err(PackageError::Link(named));
        }
        let path = inside(&entry.enclosed_name(), &named)?;
        let target = folder.join(path);
        if entry.is_dir() {
            fs::create_dir_all(&target)?;
            continue;
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        let mode = 0o644 | (entry.unix_mode().unwrap_or(0) & 0o111);
        let mut file = fs::File::create(&target)?;
        // One byte more than there is room for tells "full" from "too large".
        let written = io::copy(&mut entry.by_ref().take(room + 1), &mut file)?;
        room = room.checked_sub(written).ok_or(PackageError::TooLarge)?;
        fs::set_permissions(&target, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

fn inside(enclosed: &Option<PathBuf>, named: &str) -> Result<PathBuf, PackageError> {
    let absolute = named.starts_with('/') || named.starts_with('\\');
    let climbs = named.split(['/', '\\']).any(|part| part == "..");
    enclosed
        .clone()
        .filter(|_| !absolute && !climbs)
        .ok_or_else(|| PackageError::Escapes(named.to_owned()))
}

fn read_functions(folder: &Path) -> Result<BTreeMap<String, Function>, PackageError> {
    let mut functions = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let file = format!("{name}/function.json");
        if let Some(config) = read_json::<Value>(folder, &file)? {
            functions.insert(name.clone(), Function::parse(&name, config)?);
        }
    }
    Ok(functions)
}

fn read_json<T: for<'a> Deserialize<'a>>(
    folder: &Path,
    file: &str,
) -> Result<Option<T>, PackageError> {
    let text = match fs::read(folder.join(file)) {
        Ok(text) => text,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| PackageError::Json {
            file: file.to_owned(),
            fault: error.to_string(),
        })
}

/// Reads `hh:mm:ss`, with days in front as in `1.00:00:00`; `-1` means no limit and is left to the plan.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (days, time) = text.split_once('.').unwrap_or(("0", text));
    let mut parts = time.split(':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let days: u64 = days.parse().ok()?;
    let hours = days.checked_mul(24)?.checked_add(hours)?;
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    Some(Duration::from_secs(
        minutes.checked_mul(60)?.checked_add(seconds)?,
    ))
}

// === impl Function ===

impl Function {
    fn parse(name: &str, config: Value) -> Result<Self, PackageError> {
        let fault = |fault: String| PackageError::Function {
            function: name.to_owned(),
            fault,
        };
        let raw: RawFunction =
            serde_json::from_value(config.clone()).map_err(|error| fault(error.to_string()))?;
        let is_trigger = |binding: &&RawBinding| binding.r#type.eq_ignore_ascii_case("httpTrigger");
        let http = match raw.bindings.iter().find(is_trigger) {
            Some(trigger) => Some(trigger.http_trigger(name, &raw.bindings).map_err(fault)?),
            None => None,
        };
        let RawFunction {
            bindings,
            disabled,
            script_file,
            entry_point,
        } = raw;
        Ok(Self {
            config,
            http,
            disabled,
            script_file: script_file.unwrap_or_else(|| "__init__.py".to_owned()),
            entry_point,
            bindings: bindings.into_iter().filter_map(RawBinding::named).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    fn archive(entries: &[(&str, &str, u32)]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text, mode) in entries {
            let options = SimpleFileOptions::default().unix_permissions(*mode);
            zip.start_file(*name, options).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn entries_that_leave_the_folder_are_refused() {
        let parent = TempDir::new().unwrap();
        for name in ["../x", "a/../../x", "/etc/x"] {
            let refused = Package::unpack(&archive(&[(name, "", 0o644)]), parent.path());
            assert!(
                matches!(refused, Err(PackageError::Escapes(_))),
                "{name} was unpacked"
            );
        }
        assert_eq!(
            fs::read_dir(parent.path()).unwrap().count(),
            0,
            "a folder was left behind"
        );
    }

    #[test]
    fn executable_bits_survive_and_functions_are_read() {
        let parent = TempDir::new().unwrap();
        let zip = archive(&[
            ("run", "#!/bin/sh", 0o755),
            ("host.json", r#"{"functionTimeout":"00:00:05"}"#, 0o644),
            (
                "stock/function.json",
                r#"{"bindings":[{"type":"httpTrigger","route":"stock/{sku}"}]}"#,
                0o644,
            ),
        ]);
        let package = Package::unpack(&zip, parent.path()).unwrap();
        let mode = fs::metadata(package.folder().join("run"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o755);
        assert_eq!(package.timeout, Duration::from_secs(5));
        assert_eq!(package.route_prefix, "api");
        assert!(package.functions["stock"].http.is_some());
    }

    #[test]
    fn timeouts_read_as_in_host_json() {
        let cases = [
            ("00:05:00", Some(300)),
            ("1.00:00:01", Some(86_401)),
            ("-1", None),
            ("soon", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(
                parse_timeout(text),
                seconds.map(Duration::from_secs),
                "{text}"
            );
        }
    }
}
