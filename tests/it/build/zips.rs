//! Zip files: what is packed comes out the same, and nothing gets out of the folder.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
};

use proptest::prelude::*;
use verdigris::build::zip::{self, Content, Entry, ZipError};

use super::{LIMITS, write};

/// A zip as an attacker would write it.
fn crafted(write: impl FnOnce(&mut ::zip::ZipWriter<File>)) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut zip = ::zip::ZipWriter::new(file.reopen().unwrap());
    write(&mut zip);
    zip.finish().unwrap();
    file
}

fn plain() -> ::zip::write::SimpleFileOptions {
    ::zip::write::SimpleFileOptions::default()
}

#[test]
fn unpacking_never_leaves_the_folder() {
    for name in [
        "../evil",
        "a/../../evil",
        "/evil",
        "a//b",
        "./a",
        "a\\..\\evil",
    ] {
        let zip = crafted(|zip| {
            // The writer normalises names; a stand-in of the same length is replaced in the bytes below.
            zip.start_file("x".repeat(name.len()), plain()).unwrap();
        });
        let bytes = fs::read(zip.path()).unwrap();
        let text: Vec<u8> = replace(&bytes, "x".repeat(name.len()).as_bytes(), name.as_bytes());
        fs::write(zip.path(), text).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let error = zip::unpack(zip.path(), &folder.path().join("in"), LIMITS).unwrap_err();
        assert!(
            matches!(error, ZipError::BadEntry { .. }),
            "{name}: {error}"
        );
        assert!(!folder.path().join("evil").exists());
    }
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for at in 0..=bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
    bytes
}

#[test]
fn links_bombs_floods_and_damage_are_refused() {
    let link = crafted(|zip| zip.add_symlink("l", "/etc/passwd", plain()).unwrap());
    let bomb = crafted(|zip| {
        let options = plain().compression_method(::zip::CompressionMethod::Deflated);
        zip.start_file("zeros", options).unwrap();
        zip.write_all(&vec![0; 9 * 1024 * 1024]).unwrap();
    });
    let flood =
        crafted(|zip| (0..60).for_each(|n| zip.start_file(n.to_string(), plain()).unwrap()));
    let under_file = crafted(|zip| {
        zip.start_file("a", plain()).unwrap();
        zip.start_file("a/b", plain()).unwrap();
    });
    let cut = crafted(|zip| zip.start_file("a", plain()).unwrap());
    let half = fs::read(cut.path()).unwrap();
    fs::write(cut.path(), &half[..half.len() / 2]).unwrap();
    for (zip, wanted) in [
        (
            link,
            "zip entry `l` is neither a file nor a folder: pack it again without that entry",
        ),
        (
            bomb,
            "the package is larger than 8388608 bytes: leave out files that the functions do not need",
        ),
        (
            flood,
            "the zip has 60 entries, more than 50: leave out files that the functions do not need",
        ),
        (under_file, "failed to read or write"),
        (cut, "the zip cannot be read"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let error = zip::unpack(zip.path(), folder.path(), LIMITS)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(wanted), "{error}");
    }
}

#[test]
fn a_folder_that_is_not_empty_is_not_unpacked_into() {
    let zip = crafted(|zip| zip.start_file("a", plain()).unwrap());
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "here", "", 0o644);
    let error = zip::unpack(zip.path(), folder.path(), LIMITS).unwrap_err();
    assert!(matches!(error, ZipError::NotEmpty { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_packed_is_unpacked_the_same(
        files in proptest::collection::btree_map("[a-zé ]{1,8}(/[a-z.]{3,8}){0,2}", (any::<Vec<u8>>(), any::<bool>()), 0..8)
    ) {
        let proper = |name: &String| {
            let below = format!("{name}/");
            zip::fault_of(name).is_none() && !files.keys().any(|other| other.starts_with(&below))
        };
        let entries: BTreeMap<String, Entry> = files
            .iter()
            .filter(|(name, _)| proper(name))
            .map(|(name, (bytes, executable))| {
                let content = Content::Bytes(bytes.clone().into());
                (name.clone(), Entry { content, executable: *executable })
            })
            .collect();
        let packed = tempfile::NamedTempFile::new().unwrap();
        zip::pack(&entries, packed.as_file(), 1 << 20).unwrap();
        let folder = tempfile::tempdir().unwrap();
        zip::unpack(packed.path(), folder.path(), LIMITS).unwrap();
        for (name, entry) in &entries {
            let path = folder.path().join(name);
            prop_assert_eq!(&Content::Bytes(fs::read(&path).unwrap().into()), &entry.content);
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            prop_assert_eq!(mode & 0o100 != 0, entry.executable);
        }
    }

    #[test]
    fn no_bytes_make_unpacking_panic(bytes in any::<Vec<u8>>()) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let _refused = zip::unpack(file.path(), folder.path(), LIMITS);
    }
}
