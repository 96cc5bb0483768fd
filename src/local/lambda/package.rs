//! Packages: zips by their digest, unpacked once, safely.

use std::{
    collections::BTreeSet,
    fs, io,
    io::{Cursor, Read},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Component, Path, PathBuf},
};

use bytes::Bytes;
use zip::ZipArchive;

use super::{record::Code, wire::ApiError};
use crate::name::CodeDigest;

const ZIPPED_MAX: usize = 52_428_800;
const UNZIPPED_MAX: u64 = 262_144_000;
/// More entries than any honest package has; each costs a system call or two.
const ENTRIES_MAX: usize = 100_000;

/// The folder of packages.
#[derive(Clone, Debug)]
pub(super) struct Packages {
    folder: PathBuf,
}

/// Why a package was not taken.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the zip cannot be read")]
    Unreadable,
    #[error("the zip is too large when unpacked")]
    TooLarge,
    #[error("the package could not be kept")]
    Disk(#[from] io::Error),
}

impl From<zip::result::ZipError> for Refusal {
    fn from(_: zip::result::ZipError) -> Self {
        Self::Unreadable
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unreadable => Self::invalid(
                "Could not unzip uploaded file. Please check your file, then try to upload again.",
            ),
            Refusal::TooLarge => Self::invalid(format!(
                "Unzipped size must be smaller than {UNZIPPED_MAX} bytes"
            )),
            Refusal::Disk(fault) => {
                Self::internal(format!("the package could not be kept: {fault}"))
            }
        }
    }
}

impl Packages {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder.join("zipped"))?;
        fs::create_dir_all(folder.join("unpacked"))?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Checks, keeps and unpacks a zip.
    pub(super) async fn keep(&self, zip: Bytes) -> Result<Code, ApiError> {
        if zip.len() > ZIPPED_MAX {
            let message = format!("Zipped size must be smaller than {ZIPPED_MAX} bytes");
            return Err(ApiError::too_large(message));
        }
        let packages = self.clone();
        let kept = tokio::task::spawn_blocking(move || packages.keep_now(&zip)).await;
        kept.map_err(|_| ApiError::internal("the package could not be unpacked"))?
            .map_err(ApiError::from)
    }

    fn keep_now(&self, zip: &[u8]) -> Result<Code, Refusal> {
        let digest = CodeDigest::of(zip);
        let code = Code {
            digest,
            size: zip.len() as u64,
        };
        if !self.unpacked(digest).is_dir() {
            self.unpack(digest, zip)?;
        }
        let file = self.zipped(digest);
        if !file.is_file() {
            let fresh = tempfile::NamedTempFile::new_in(&self.folder)?;
            fs::write(fresh.path(), zip)?;
            fresh.persist(file).map_err(|fault| fault.error)?;
        }
        Ok(code)
    }

    /// Unpacks beside the place and moves there, so that half a package is never run.
    fn unpack(&self, digest: CodeDigest, zip: &[u8]) -> Result<(), Refusal> {
        let fresh = tempfile::TempDir::new_in(&self.folder)?;
        fs::set_permissions(fresh.path(), fs::Permissions::from_mode(0o755))?;
        unzip(zip, fresh.path())?;
        let place = self.unpacked(digest);
        match fs::rename(fresh.path(), &place) {
            // Somebody else unpacked the same bytes meanwhile.
            Err(_) if place.is_dir() => Ok(()),
            Err(fault) => Err(fault.into()),
            Ok(()) => {
                // The folder has moved: there is nothing left to clean up.
                let _moved = fresh.keep();
                Ok(())
            }
        }
    }

    /// The unpacked package, unpacked anew where its folder is gone.
    pub(super) async fn folder(&self, digest: CodeDigest) -> Result<PathBuf, ApiError> {
        let place = self.unpacked(digest);
        if !place.is_dir() {
            let zip = self.zip(digest).await.map_err(|fault| {
                ApiError::internal(format!("the package {digest} is lost: {fault}"))
            })?;
            self.keep(zip).await?;
        }
        Ok(place)
    }

    pub(super) async fn zip(&self, digest: CodeDigest) -> io::Result<Bytes> {
        tokio::fs::read(self.zipped(digest)).await.map(Bytes::from)
    }

    /// Removes what is not wanted and was `condemned` before; returns what is condemned now.
    pub(super) fn sweep(
        &self,
        wanted: &BTreeSet<CodeDigest>,
        condemned: &BTreeSet<PathBuf>,
    ) -> io::Result<BTreeSet<PathBuf>> {
        let unwanted = self.unwanted(wanted)?;
        remove(unwanted.intersection(condemned))?;
        Ok(unwanted)
    }

    fn unwanted(&self, wanted: &BTreeSet<CodeDigest>) -> io::Result<BTreeSet<PathBuf>> {
        let wanted: BTreeSet<String> = wanted.iter().map(CodeDigest::hex).collect();
        let mut unwanted = BTreeSet::new();
        for folder in ["zipped", "unpacked"] {
            let entries = fs::read_dir(self.folder.join(folder))?.flatten();
            unwanted.extend(entries.map(|entry| entry.path()).filter(|path| {
                let stem = path.file_stem().and_then(|stem| stem.to_str());
                !stem.is_some_and(|stem| wanted.contains(stem))
            }));
        }
        Ok(unwanted)
    }

    fn zipped(&self, digest: CodeDigest) -> PathBuf {
        self.folder
            .join("zipped")
            .join(format!("{}.zip", digest.hex()))
    }

    fn unpacked(&self, digest: CodeDigest) -> PathBuf {
        self.folder.join("unpacked").join(digest.hex())
    }
}

fn remove<'p>(paths: impl IntoIterator<Item = &'p PathBuf>) -> io::Result<()> {
    for path in paths {
        if path.is_dir() {
            fs::remove_dir_all(path)?;
        } else {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Unpacks into `root` and nowhere else.
fn unzip(zip: &[u8], root: &Path) -> Result<(), Refusal> {
    let mut archive = ZipArchive::new(Cursor::new(zip))?;
    if archive.len() > ENTRIES_MAX {
        return Err(Refusal::TooLarge);
    }
    let mut left = UNZIPPED_MAX;
    let mut links = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let name = entry.enclosed_name().ok_or(Refusal::Unreadable)?;
        let place = root.join(name);
        if entry.is_dir() {
            fs::create_dir_all(&place)?;
        } else if entry.is_symlink() {
            let mut target = String::new();
            entry
                .by_ref()
                .take(4096)
                .read_to_string(&mut target)
                .map_err(|_| Refusal::Unreadable)?;
            links.push((place, target));
        } else {
            let mode = entry.unix_mode();
            left -= write(&mut entry, &place, mode, left)?;
        }
    }
    // Links come last, so that no entry is written through one.
    links
        .into_iter()
        .try_for_each(|(place, target)| link(root, &place, &target))
}

/// Returns how many bytes were written, at most `left`. What the header claims is not believed.
fn write(
    entry: &mut impl Read,
    place: &Path,
    mode: Option<u32>,
    left: u64,
) -> Result<u64, Refusal> {
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = fs::File::create(place)?;
    let written =
        io::copy(&mut entry.take(left + 1), &mut file).map_err(|_| Refusal::Unreadable)?;
    if written > left {
        return Err(Refusal::TooLarge);
    }
    // Readable and writable for us in any case: the folder must stay removable.
    let mode = mode.unwrap_or(0o644) & 0o777 | 0o600;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    Ok(written)
}

/// Makes a link that stays inside `root`, whatever it and its folder go through.
fn link(root: &Path, place: &Path, target: &str) -> Result<(), Refusal> {
    let folder = place.parent().ok_or(Refusal::Unreadable)?;
    let inside = folder.strip_prefix(root).map_err(|_| Refusal::Unreadable)?;
    let mut depth = inside.components().count();
    for part in Path::new(target).components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => depth = depth.checked_sub(1).ok_or(Refusal::Unreadable)?,
            Component::RootDir | Component::Prefix(_) => return Err(Refusal::Unreadable),
        }
    }
    fs::create_dir_all(folder)?;
    if !folder.canonicalize()?.starts_with(root.canonicalize()?) {
        return Err(Refusal::Unreadable);
    }
    symlink(target, place)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    /// Name, content, and the target of a link.
    type Entry = (&'static str, &'static [u8], Option<&'static str>);

    fn zip(entries: &[Entry]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content, target) in entries {
            let options = SimpleFileOptions::default().unix_permissions(0o755);
            match target {
                Some(target) => writer.add_symlink(*name, *target, options).unwrap(),
                None => {
                    writer.start_file(*name, options).unwrap();
                    writer.write_all(content).unwrap();
                }
            }
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn nothing_is_written_outside_the_package() {
        let cases: [(&[Entry], bool); 7] = [
            (&[("bin/run", b"x", None)], true),
            (
                &[
                    ("bin/tool", b"", Some("../lib/tool.js")),
                    ("lib/tool.js", b"x", None),
                ],
                true,
            ),
            (&[("../evil", b"x", None)], false),
            (&[("evil", b"", Some("/etc/passwd"))], false),
            (&[("a/evil", b"", Some("../../outside"))], false),
            (&[("a", b"", Some("b")), ("a/c", b"x", None)], false),
            (&[("/absolute", b"x", None)], false),
        ];
        for (entries, expected) in cases {
            let outer = tempfile::tempdir().unwrap();
            let root = outer.path().join("root");
            fs::create_dir(&root).unwrap();
            let told = unzip(&zip(entries), &root).is_ok();
            let strangers = fs::read_dir(outer.path()).unwrap().count() - 1;
            assert!(
                strangers == 0 && (told == expected || entries[0].0 == "/absolute"),
                "{entries:?}"
            );
        }
    }
}
