//! One conversation with the remote: connect, compare, and receive what is new within the limits.

use std::io;

use git2::{ErrorClass, Repository};

use crate::git::{
    GitError,
    source::Place,
    transport::{Session, Ticket},
};

/// Fetches; false where the remote has none of the references.
///
/// The first fetch asks for the tip alone, where the remote can do that; later ones for what came since.
pub(super) fn fetch(
    repository: &Repository,
    ticket: &Ticket,
    specs: &[String],
) -> Result<bool, GitError> {
    let session = ticket.session();
    let local = matches!(session.place(), Place::File(_));
    let is_new = repository
        .references_glob("refs/verdigris/*")
        .map(|mut all| all.next().is_none());
    let shallow = !local && specs.len() == 1 && is_new.unwrap_or(false);
    match fetch_to_depth(repository, ticket, specs, i32::from(shallow)) {
        Err(error) if shallow && error.message().contains("shallow") && session.is_well() => {
            fetch_to_depth(repository, ticket, specs, 0)
        }
        result => result,
    }
    .map_err(|error| sort(repository, session, &error))
}

fn fetch_to_depth(
    repository: &Repository,
    ticket: &Ticket,
    specs: &[String],
    depth: i32,
) -> Result<bool, git2::Error> {
    let session = ticket.session();
    let mut found = false;
    let mut remote = repository.remote_anonymous(&ticket.address())?;
    remote
        .connect(git2::Direction::Fetch)
        .map_err(|mut error| {
            // Whatever libgit2 calls it: before we are connected, it is about reaching the remote.
            error.set_class(ErrorClass::Net);
            error
        })?;
    let mut callbacks = git2::RemoteCallbacks::new();
    callbacks.transfer_progress(|progress| go_on(session, &progress));
    callbacks.update_tips(|_, _, _| {
        found = true;
        true
    });
    let mut options = git2::FetchOptions::new();
    options.remote_callbacks(callbacks).depth(depth);
    options.update_fetchhead(false).report_unchanged(true);
    options.download_tags(git2::AutotagOption::None);
    remote.fetch(specs, Some(&mut options), None)?;
    drop((remote, options));
    Ok(found)
}

/// Asked by libgit2 while it receives and indexes: false stops it.
fn go_on(session: &Session, progress: &git2::Progress<'_>) -> bool {
    let limits = session.limits();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let fault = if session.is_late() {
        session.timed_out()
    } else if count(progress.received_bytes()) > limits.max_bytes {
        session.too_many("bytes", limits.max_bytes)
    } else if count(progress.total_objects()) > limits.max_objects {
        session.too_many("objects", limits.max_objects)
    } else {
        return true;
    };
    drop(session.fail(fault));
    false
}

/// What went wrong: the transport's own word for it, or else libgit2's class of error.
fn sort(repository: &Repository, session: &Session, error: &git2::Error) -> GitError {
    if let Some(fault) = session.take_fault() {
        return fault;
    }
    match error.class() {
        ErrorClass::Os | ErrorClass::Filesystem => GitError::disk(
            repository.path(),
            io::Error::other(error.message().to_owned()),
        ),
        ErrorClass::Odb
        | ErrorClass::Object
        | ErrorClass::Zlib
        | ErrorClass::Reference
        | ErrorClass::Repository
        | ErrorClass::Tree
        | ErrorClass::Tag
        | ErrorClass::Config
        | ErrorClass::Sha1 => GitError::corrupt(repository.path(), error),
        // libgit2's classes are not ours to list; the rest is about the conversation.
        _ => session.unreachable(error.message()),
    }
}
