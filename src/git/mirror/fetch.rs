//! One conversation with the remote: connect, compare, and receive what is new within the limits.

use std::io;

use git2::{ErrorClass, Repository};

use crate::git::{
    GitError,
    source::Place,
    transport::{Session, Ticket},
};

/// How much history is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum History {
    /// The tip alone at first, where the remote can do that; later what came since.
    Needed,
    /// All of it, even what an earlier fetch left out.
    Whole,
}

/// libgit2's number for "all, and forget that some was left out before".
const UNSHALLOW: i32 = i32::MAX;

/// Fetches; false where the remote has none of the references.
pub(super) fn fetch(
    repository: &Repository,
    ticket: &Ticket,
    specs: &[String],
    history: History,
) -> Result<bool, GitError> {
    let session = ticket.session();
    let depth = depth(repository, session, history);
    match fetch_to_depth(repository, ticket, specs, depth) {
        // Not every server can leave history out.
        Err(error) if depth != 0 && error.message().contains("shallow") && session.is_well() => {
            fetch_to_depth(repository, ticket, specs, 0)
        }
        result => result,
    }
    .map_err(|error| sort(repository, session, &error))
}

/// Zero means everything that is not here yet. libgit2 knows no other depth for `file://`.
fn depth(repository: &Repository, session: &Session, history: History) -> i32 {
    let is_new = || {
        let ours = repository.references_glob("refs/verdigris/*");
        ours.is_ok_and(|mut ours| ours.next().is_none())
    };
    match (session.place(), history) {
        (Place::File(_), _) => 0,
        (Place::Http(_) | Place::Ssh(_), History::Needed) => i32::from(is_new()),
        (Place::Http(_) | Place::Ssh(_), History::Whole) if repository.is_shallow() => UNSHALLOW,
        (Place::Http(_) | Place::Ssh(_), History::Whole) => 0,
    }
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
    let fault = if session.is_stopped() {
        session.stopped()
    } else if session.is_late() {
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
    let class = error.class();
    if matches!(class, ErrorClass::Os | ErrorClass::Filesystem) {
        let cause = io::Error::other(error.message().to_owned());
        GitError::disk(repository.path(), cause)
    } else if BROKEN.contains(&class) {
        GitError::corrupt(repository.path(), error)
    } else {
        // The rest is about the conversation.
        session.unreachable(error.message())
    }
}

/// What libgit2 says of a repository that it cannot read.
const BROKEN: [ErrorClass; 9] = [
    ErrorClass::Config,
    ErrorClass::Object,
    ErrorClass::Odb,
    ErrorClass::Reference,
    ErrorClass::Repository,
    ErrorClass::Sha1,
    ErrorClass::Tag,
    ErrorClass::Tree,
    ErrorClass::Zlib,
];
