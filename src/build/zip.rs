//! Zip files: the same content gives the same bytes, and unpacking never leaves its folder.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use ::zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter, result, write::SimpleFileOptions};

use super::Limits;

/// Where an entry's bytes come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Content {
    File(PathBuf),
    Bytes(Cow<'static, [u8]>),
}

/// One file of a package.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    pub content: Content,
    pub executable: bool,
}

/// Why a zip could not be written or taken apart.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    #[error("zip entry `{name}` {fault}: pack it again without that entry")]
    BadEntry { name: String, fault: &'static str },
    #[error(
        "the package is larger than {max} bytes: leave out files that the functions do not need"
    )]
    TooLarge { max: u64 },
    #[error(
        "the zip has {count} entries, more than {max}: leave out files that the functions do not need"
    )]
    TooMany { count: usize, max: usize },
    #[error("folder `{}` is not empty: unpack into a new one", path.display())]
    NotEmpty { path: PathBuf },
    #[error("the zip cannot be read")]
    Unreadable(#[from] result::ZipError),
    #[error("failed to read or write `{}`", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Writes `entries` (paths with `/`, relative) to `target` and returns the size.
///
/// # Guarantees
///
/// The bytes depend on paths, contents and executable bits only: entries are sorted, times fixed at 1980, modes 0644 or 0755.
///
/// # Errors
///
/// Refuses a path that would leave the folder it is unpacked in, and more than `max` bytes, packed or unpacked.
pub fn pack(entries: &BTreeMap<String, Entry>, target: &File, max: u64) -> Result<u64, ZipError> {
    let mut zip = ZipWriter::new(BufWriter::new(target));
    let mut left = max;
    for (name, entry) in entries {
        if let Some(fault) = fault_of(name) {
            let name = name.clone();
            return Err(ZipError::BadEntry { name, fault });
        }
        let mode = if entry.executable { 0o755 } else { 0o644 };
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(mode);
        zip.start_file(name.as_str(), options)?;
        left = append(&mut zip, entry, left, max)?;
    }
    let mut buffered = zip.finish()?;
    let size = buffered
        .flush()
        .and_then(|()| buffered.stream_position())
        .map_err(|source| io_error(Path::new("package"), source))?;
    if size > max {
        return Err(ZipError::TooLarge { max });
    }
    Ok(size)
}

/// Unpacks into `folder`, which must be new or empty.
///
/// # Guarantees
///
/// Nothing is written outside `folder`; no symbolic links, devices or set-user-id bits are made; sizes are counted as
/// they are written, whatever the headers claim. After an error the folder may hold a part: throw it away.
///
/// # Caveats
///
/// A process that another thread starts meanwhile holds the files open until it is under way: starting a program that was
/// just unpacked may say `ExecutableFileBusy` for a moment, and is then to be tried again.
///
/// # Errors
///
/// Fails when the zip is damaged, holds an entry that is not a plain file or folder below `folder`, or breaks a limit.
pub fn unpack(zip: &Path, folder: &Path, limits: Limits) -> Result<(), ZipError> {
    let file = File::open(zip).map_err(|source| io_error(zip, source))?;
    let mut archive = ZipArchive::new(BufReader::new(file))?;
    let (count, max) = (archive.len(), limits.files_max);
    if count > max {
        return Err(ZipError::TooMany { count, max });
    }
    check_empty(folder)?;
    let mut left = limits.package_max;
    for index in 0..count {
        let entry = archive.by_index(index)?;
        left = unpack_entry(entry, folder, left, limits.package_max)?;
    }
    Ok(())
}

/// What is wrong with a path as the name of an entry, if anything.
pub fn fault_of(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("has no name")
    } else if name.starts_with('/') {
        Some("is absolute")
    } else if name.contains(['\\', '\0']) {
        Some("has a backslash or a zero byte in its name")
    } else if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        Some("would leave its folder")
    } else {
        None
    }
}

fn append<W: Write>(target: &mut W, entry: &Entry, left: u64, max: u64) -> Result<u64, ZipError> {
    match &entry.content {
        Content::Bytes(bytes) => copy(&mut bytes.as_ref(), target, left, max, Path::new("package")),
        Content::File(path) => {
            let mut file = File::open(path).map_err(|source| io_error(path, source))?;
            copy(&mut file, target, left, max, path)
        }
    }
}

/// Copies at most `left` bytes and returns how many are still allowed.
fn copy(
    from: &mut impl Read,
    to: &mut impl Write,
    left: u64,
    max: u64,
    path: &Path,
) -> Result<u64, ZipError> {
    let copied = io::copy(&mut from.take(left.saturating_add(1)), to)
        .map_err(|source| io_error(path, source))?;
    left.checked_sub(copied).ok_or(ZipError::TooLarge { max })
}

fn check_empty(folder: &Path) -> Result<(), ZipError> {
    fs::create_dir_all(folder).map_err(|source| io_error(folder, source))?;
    let mut found = fs::read_dir(folder).map_err(|source| io_error(folder, source))?;
    if found.next().is_some() {
        let path = folder.to_owned();
        return Err(ZipError::NotEmpty { path });
    }
    Ok(())
}

const FILE_KIND: u32 = 0o170_000;
const FILE_PLAIN: u32 = 0o100_000;
const FILE_FOLDER: u32 = 0o040_000;

fn unpack_entry<R: Read>(
    mut entry: ::zip::read::ZipFile<'_, R>,
    folder: &Path,
    left: u64,
    max: u64,
) -> Result<u64, ZipError> {
    let name = entry.name()?.into_owned();
    let bad = |fault| ZipError::BadEntry {
        name: name.clone(),
        fault,
    };
    let is_folder = name.ends_with('/');
    let path = name.strip_suffix('/').unwrap_or(&name);
    if let Some(fault) = fault_of(path) {
        return Err(bad(fault));
    }
    let mode = entry.unix_mode().unwrap_or(0);
    match mode & FILE_KIND {
        0 | FILE_PLAIN | FILE_FOLDER => {}
        _ => return Err(bad("is neither a file nor a folder")),
    }
    let path = folder.join(path);
    if is_folder {
        fs::create_dir_all(&path).map_err(|source| io_error(&path, source))?;
        return Ok(left);
    }
    let mut file = create(&path, mode & 0o111 != 0)?;
    copy(&mut entry, &mut file, left, max, &path)
}

/// Makes a new file; one that exists already is an error, so that no entry can write through another.
fn create(path: &Path, executable: bool) -> Result<File, ZipError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|source| io_error(parent, source))?;
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(if executable { 0o755 } else { 0o644 })
        .open(path)
        .map_err(|source| io_error(path, source))
}

fn io_error(path: &Path, source: io::Error) -> ZipError {
    ZipError::Io {
        path: path.to_owned(),
        source,
    }
}
