//! Builds: what is packed, what is refused and why, and that nothing is built twice.

use std::{
    collections::BTreeSet,
    error::Error as _,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    time::Duration,
};

use verdigris::{
    build::{
        BuildError, Builder, Built, Limits,
        command::CommandError,
        recipe::{Recipe, Runtime},
        zip,
    },
    name::{CloudName, CodeDigest},
};

use super::{LIMITS, entry, http, node, python, recipe, write};

struct Yard {
    store: tempfile::TempDir,
    limits: Limits,
}

impl Yard {
    fn new() -> Self {
        Self {
            store: tempfile::tempdir().unwrap(),
            limits: LIMITS,
        }
    }

    fn builder(&self) -> Builder {
        Builder::new(self.store.path().to_owned(), self.limits)
    }

    async fn build(&self, recipe: &Recipe, fill: impl FnOnce(&Path)) -> Result<Built, BuildError> {
        let builder = self.builder();
        let workspace = builder.workspace().unwrap();
        fill(&workspace.source());
        builder.build(recipe, workspace).await
    }

    async fn refusal(&self, recipe: &Recipe, fill: impl FnOnce(&Path)) -> String {
        told(&self.build(recipe, fill).await.unwrap_err())
    }
}

fn told(error: &BuildError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn service(build: &str) -> Recipe {
    let build = Some(build.to_owned()).filter(|build| !build.is_empty());
    Recipe {
        build,
        ..recipe(python(), &[("stock", http("app:app", &["GET"], "/stock"))])
    }
}

fn app(folder: &Path) {
    write(folder, "app.py", "app = None\n", 0o644);
}

fn unpacked(built: &Built, cloud: CloudName) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    zip::unpack(&built.packages[&cloud].path, folder.path(), LIMITS).unwrap();
    folder
}

#[tokio::test]
async fn a_package_holds_what_the_build_left_and_our_files() {
    let yard = Yard::new();
    let recipe =
        service("mkdir -p lib && printf made > lib/made.txt && chmod +x run.sh && echo hello");
    let built = yard
        .build(&recipe, |folder| {
            app(folder);
            write(folder, "run.sh", "#!/bin/sh\n", 0o644);
            symlink("run.sh", folder.join("again.sh")).unwrap();
        })
        .await
        .unwrap();
    assert_eq!(built.log, "hello\n");
    let folder = unpacked(&built, CloudName::Azure);
    let mode = |path: &str| {
        let about = fs::symlink_metadata(folder.path().join(path)).unwrap();
        assert!(about.is_file(), "{path}");
        about.permissions().mode() & 0o777
    };
    assert_eq!(mode("app.py") & 0o111, 0);
    assert_eq!(mode("run.sh") & 0o100, 0o100);
    assert_eq!(mode("again.sh") & 0o100, 0o100);
    assert_eq!(mode("stock/function.json") & 0o111, 0);
    assert_eq!(
        fs::read_to_string(folder.path().join("lib/made.txt")).unwrap(),
        "made"
    );
    let package = &built.packages[&CloudName::Aws];
    let bytes = fs::read(&package.path).unwrap();
    assert_eq!(package.code, CodeDigest::of(&bytes));
    assert_eq!(package.size, bytes.len() as u64);
}

#[tokio::test]
async fn the_same_content_gives_the_same_bytes() {
    let mut codes = BTreeSet::new();
    for order in [["a.py", "b.py"], ["b.py", "a.py"]] {
        let yard = Yard::new();
        let built = yard
            .build(&service(""), |folder| {
                app(folder);
                for name in order {
                    write(folder, name, name, 0o600);
                }
            })
            .await
            .unwrap();
        codes.insert(built.packages.values().map(|p| p.code).collect::<Vec<_>>());
    }
    assert_eq!(codes.len(), 1);
}

#[tokio::test]
async fn unchanged_sources_are_built_once_even_after_a_restart() {
    let yard = Yard::new();
    let counter = yard.store.path().join("count");
    let recipe = service(&format!("echo x >> {}", counter.display()));
    assert_eq!(yard.builder().cached(&recipe).await, None);
    let first = yard.build(&recipe, app).await.unwrap();
    let again = yard.build(&recipe, app).await.unwrap();
    assert_eq!(first.packages, again.packages);
    assert_eq!(fs::read_to_string(&counter).unwrap(), "x\n");
    assert_eq!(
        yard.builder().cached(&recipe).await.unwrap().packages,
        first.packages
    );
    let left = fs::read_dir(yard.store.path().join("work"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "folders of builds are removed");
}

#[tokio::test]
async fn two_builds_of_the_same_recipe_at_once_run_the_command_once() {
    let yard = Yard::new();
    let counter = yard.store.path().join("count");
    let recipe = service(&format!("sleep 0.2; echo x >> {}", counter.display()));
    let builder = yard.builder();
    let build = || async {
        let workspace = builder.workspace().unwrap();
        app(&workspace.source());
        builder.build(&recipe, workspace).await.unwrap()
    };
    let (one, two) = tokio::join!(build(), build());
    assert_eq!(one.packages, two.packages);
    assert_eq!(fs::read_to_string(&counter).unwrap(), "x\n");
}

#[tokio::test]
async fn a_damaged_package_or_record_counts_as_not_built() {
    let yard = Yard::new();
    let recipe = service("");
    let built = yard.build(&recipe, app).await.unwrap();
    let package = &built.packages[&CloudName::Aws].path;
    let whole = fs::read(package).unwrap();
    for damage in [
        &whole[..whole.len() - 1],
        &[b"x", &whole[1..]].concat(),
        b"",
    ] {
        fs::write(package, damage).unwrap();
        assert_eq!(yard.builder().cached(&recipe).await, None);
    }
    assert_eq!(
        yard.build(&recipe, app).await.unwrap().packages,
        built.packages
    );
    for record in fs::read_dir(yard.store.path().join("index")).unwrap() {
        fs::write(record.unwrap().path(), "{").unwrap();
    }
    assert_eq!(yard.builder().cached(&recipe).await, None);
}

#[tokio::test]
async fn old_packages_and_left_over_folders_can_be_removed() {
    let yard = Yard::new();
    let old = yard.build(&service("touch old"), app).await.unwrap();
    let new = yard.build(&service("touch new"), app).await.unwrap();
    let keep: BTreeSet<CodeDigest> = new.packages.values().map(|package| package.code).collect();
    assert_eq!(yard.builder().prune(&keep).unwrap(), 2);
    assert_eq!(yard.builder().cached(&service("touch old")).await, None);
    assert!(yard.builder().cached(&service("touch new")).await.is_some());
    let again = yard.build(&service("touch old"), app).await.unwrap();
    assert_eq!(again.packages, old.packages);
    write(yard.store.path(), "work/build-x/home/left", "", 0o644);
    write(yard.store.path(), "packages/draft-x", "", 0o644);
    yard.builder().sweep().unwrap();
    assert!(!yard.store.path().join("work").exists());
    assert!(!yard.store.path().join("packages/draft-x").exists());
    assert!(yard.builder().cached(&service("touch new")).await.is_some());
}

#[tokio::test]
async fn a_build_sees_a_clean_environment_and_throw_away_folders() {
    let yard = Yard::new();
    let mut recipe =
        service("env | cut -d= -f1 | sort | tr '\\n' ' '; touch $HOME/h $TMPDIR/t; ls");
    recipe
        .environment
        .insert("EXTRA".to_owned(), "1".to_owned());
    let built = yard.build(&recipe, app).await.unwrap();
    let mut lines = built.log.lines();
    let known = [
        "EXTRA",
        "HOME",
        "LANG",
        "OLDPWD",
        "PATH",
        "PWD",
        "SHLVL",
        "SOURCE_DATE_EPOCH",
        "TMPDIR",
        "_",
    ];
    let (names, file) = lines.next().unwrap().rsplit_once(' ').unwrap();
    for name in names.split(' ') {
        assert!(known.contains(&name), "{name}");
    }
    assert_eq!(file, "app.py");
}

#[tokio::test]
async fn a_failed_command_tells_its_status_and_the_end_of_its_output() {
    let yard = Yard::new();
    let error = yard
        .build(&service("seq 1 1000; echo broken >&2; exit 3"), app)
        .await
        .unwrap_err();
    let BuildError::Command(CommandError::Failed { status, tail }) = error else {
        panic!("{error}");
    };
    assert_eq!(status.code(), Some(3));
    assert!(tail.ends_with("1000\nbroken\n"), "{tail}");
    assert!(
        tail.starts_with("(the first 3700 bytes are left out)\n"),
        "{tail}"
    );
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_stopped_with_all_its_children() {
    let mut yard = Yard::new();
    yard.limits.timeout = Duration::from_secs(1);
    let marker = yard.store.path().join("late");
    let script = format!(
        "(sleep 3; touch {}) & echo begun; sleep 30",
        marker.display()
    );
    let told = yard.refusal(&service(&script), app).await;
    assert_eq!(
        told,
        "the build command took longer than 1s and was stopped: make it faster or raise the limit; it said:\nbegun\n"
    );
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(!marker.exists(), "a child outlived the command");
}

#[tokio::test]
async fn what_a_command_leaves_running_is_ended_and_not_waited_for() {
    let yard = Yard::new();
    let begun = tokio::time::Instant::now();
    yard.build(&service("sleep 30 & echo done"), app)
        .await
        .unwrap();
    assert!(begun.elapsed() < Duration::from_secs(25));
}

#[tokio::test]
async fn a_handler_that_is_not_there_is_told_with_what_was_looked_for() {
    let cases: [(Runtime, &str, &str); 9] = [
        (
            python(),
            "web:app",
            "function `stock`: handler `web:app` needs `web.py` or `web/__init__.py`, and the built folder has none: add it, or correct `handler`",
        ),
        (
            python(),
            "app",
            "function `stock`: handler `app` must read `module:attribute`",
        ),
        (
            python(),
            "../app:app",
            "function `stock`: handler `../app:app` must read `module:attribute`",
        ),
        (python(), "pkg.sub:make.app", ""),
        (
            node(),
            "app.mjs:default",
            "function `stock`: handler `app.mjs:default` needs `app.mjs`, and the built folder has none: add it, or correct `handler`",
        ),
        (
            node(),
            ":x",
            "function `stock`: handler `:x` must read `file.mjs:export`",
        ),
        (
            Runtime::Executable,
            "bin/none",
            "function `stock`: handler `bin/none` needs program `bin/none`, and the built folder has none: add it, or correct `handler`",
        ),
        (
            Runtime::Executable,
            "app.py",
            "function `stock`: `app.py` is not executable: run `chmod +x app.py` in `build`, or commit it with that mode",
        ),
        (Runtime::Executable, "./bin/server", ""),
    ];
    for (runtime, handler, wanted) in cases {
        let yard = Yard::new();
        let recipe = recipe(runtime, &[("stock", entry(handler))]);
        let outcome = yard
            .build(&recipe, |folder| {
                app(folder);
                write(folder, "pkg/sub/__init__.py", "", 0o644);
                write(folder, "bin/server", "", 0o755);
            })
            .await;
        let told = outcome.map_or_else(|error| told(&error), |_| String::new());
        assert_eq!(told, wanted, "{handler}");
    }
}

#[tokio::test]
async fn files_that_cannot_be_packed_are_refused_by_name() {
    type Fill = fn(&Path);
    let cases: [(Fill, &str); 9] = [
        (
            |f| symlink("/etc/passwd", f.join("l")).unwrap(),
            "`l` points outside the source folder: copy the file there instead",
        ),
        (
            |f| symlink("../home", f.join("l")).unwrap(),
            "`l` points outside the source folder: copy the file there instead",
        ),
        (
            |f| symlink("none", f.join("l")).unwrap(),
            "`l` points at nothing: remove the link or make what it points at",
        ),
        (
            |f| symlink(".", f.join("l")).unwrap(),
            "`l` points at a folder that it is in itself: remove the link",
        ),
        (
            |f| write(f, "a\\b", "", 0o644),
            "file `a\\b` has a backslash or a zero byte in its name: rename it",
        ),
        (
            |f| write(f, "verdigris.json", "", 0o644),
            "file `verdigris.json` has the name of a file that Verdigris adds for aws: rename it",
        ),
        (
            |f| write(f, "verdigris.json/x", "", 0o644),
            "file `verdigris.json` has the name of a file that Verdigris adds for aws: rename it",
        ),
        (
            |f| write(f, "stock", "", 0o644),
            "file `stock/function.json` has the name of a file that Verdigris adds for azure: rename it",
        ),
        (
            |f| (0..60).for_each(|n| write(f, &n.to_string(), "", 0o644)),
            "the built folder holds more than 50 files and folders: remove what the functions do not need at the end of `build`",
        ),
    ];
    for (fill, wanted) in cases {
        let yard = Yard::new();
        let told = yard
            .refusal(&service(""), |folder| {
                app(folder);
                fill(folder);
            })
            .await;
        assert_eq!(told, wanted);
    }
}

#[tokio::test]
async fn a_folder_that_is_too_large_is_refused() {
    let yard = Yard::new();
    let told = yard
        .refusal(
            &service("head -c 6000000 /dev/zero > a; head -c 6000000 /dev/zero > b"),
            app,
        )
        .await;
    assert_eq!(
        told,
        "the built folder holds more than 8388608 bytes: remove what the functions do not need at the end of `build`"
    );
}

#[tokio::test]
async fn a_socket_or_pipe_is_refused() {
    let yard = Yard::new();
    let told = yard.refusal(&service("mkfifo pipe"), app).await;
    assert_eq!(
        told,
        "`pipe` is neither a file nor a folder: remove it at the end of `build`"
    );
}
