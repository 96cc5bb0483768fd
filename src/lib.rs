//! Verdigris: blue-green GitOps for one set of serverless functions on AWS Lambda and Azure Functions at once.
//!
//! A team merges a pull request; the daemon builds the commit, puts it on the *green* slot of both clouds, runs test gates against green,
//! and only then makes it *blue*, which serves users, on both clouds or on neither. Git is the only way to change what runs.
//!
//! # The map
//!
//! One package. Imports point down only, and `tests/it/layers` holds it: pure code decides, effects act, wiring joins them.
//!
//! | Layer | Module | Holds |
//! |---|---|---|
//! | pure | [`name`] | names, digests, revisions, moments |
//! | | [`condition`] | sentences in CEL about what a gate found |
//! | | [`manifest`] | what users write: as typed, then checked; faults with their places |
//! | | [`import`] | `serverless.yml` as manifests, and what became of each of its keys |
//! | | [`observed`] | what a cloud told us |
//! | | [`desired`] | what one commit asks for, per environment |
//! | | [`diff`] | what differs, and why it matters |
//! | | [`rollout`] | phases and their legal moves, orders and intents, evidence and verdicts |
//! | | [`plan`] | the one next step of a service, its reason, and what is waited on |
//! | | [`guard`] | a second opinion, which shares no code with the plan: orders that must never be given |
//! | | [`status`] | what people are told; one report for API, command line and dashboard |
//! | effects | [`clock`] | the only reader of time; below the other effects |
//! | | [`git`] | fetch, verify, read a commit |
//! | | [`build`] | source folder to package, by content address |
//! | | [`cloud`] | the trait, and its `aws`, `azure` and `fake` |
//! | | [`store`] | the trait, and its disk and memory |
//! | | [`gates`] | ask the world, return evidence |
//! | wiring | [`reconcile`] | queue, pass, orders, outcomes, recovery |
//! | | [`local`] | both clouds on this machine, by their real wire protocols |
//! | | [`api`] | HTTP: status, actions, metrics, dashboard |
//! | | [`daemon`] | configuration, sources, shutdown |
//! | | [`cli`] | verbs |
//!
//! Effects are strangers to one another, but for `clock`. A type that crosses the line between pure and effect lives on the pure side.
//!
//! # The way of one merge
//!
//! 1. A poll, a webhook or a person wakes a *name* (`environment/service`). A wake-up carries no news: what changed is found by looking.
//! 2. `git` fetches, and trees are compared by their ids, so that work follows the change; `manifest` and `desired` say what is asked for,
//!    and [`reconcile::handle::Handle::ask`] takes it in.
//! 3. A pass asks [`plan::step::step`] for the one next thing to do, takes it into the state ([`plan::apply`]), and asks again, until the
//!    answer is to wait. [`guard::check`] looks at every order once more.
//! 4. What changed is written to the store in one batch: the *intent* of each order, with its idempotency key, is on the disk before the
//!    order is sent. A pass that cannot write sends nothing.
//! 5. Orders are carried out beside the pass. Each is followed by a look, since a reply alone proves nothing; what was seen and what became
//!    of the order are taken into the state, and the name is woken.
//! 6. Waits (clouds, gates, bakes, people) hold no worker: the pass leaves an alarm. Every pass puts a report on the board, which API and
//!    dashboard read without waiting for anybody.
//!
//! After a crash nothing is special: intents on the disk are open, nothing is in flight, and an ordinary pass sends them again. Every order
//! is safe to repeat.
//!
//! # Invariants
//!
//! 1. Blue serves only what passed every gate of its rollout, or was rolled back to.
//! 2. After things settle, all targets of an environment serve the same release of a service.
//! 3. At most one rollout of a service is past `Staging`, and at most one order is at work on a target of it.
//! 4. A crash at any instruction, a lost reply, or a repeated order changes nothing about where we end up.
//! 5. What does not carry our tags is never changed or deleted. A cloud that cannot be seen is *unknown*, never *empty*.
//! 6. A second pass with nothing new makes no writing call.
//! 7. Secrets appear in no log, event, error, status, plan or record.
//! 8. One bad manifest, repository, record or request stops nothing else.
//! 9. A promotion is given up soon and goes back on both clouds; a way back, a repair and a rollback are never given up while anything is
//!    left to go back to, and no target waits for another on the way back.
//!
//! # On the disk
//!
//! Everything is in one folder, and losing it loses no truth: live state comes back from the clouds' tags and from Git. The store has a tree
//! for each kind of record (services, live state, releases, rollouts, intents, history, events, rejected releases); every record carries the
//! version of its schema, and one that cannot be read is set aside and told, and what it said is put together from the others. Packages lie
//! by their digest and can be built again.
//!
//! # Tests
//!
//! One test binary, `tests/it`. `plans` says how a plan reads for what Git asks and the clouds hold; `actions` what people may ask; `laws`
//! what holds for every service, by repetition and loss; `crashes` stops after every write, fails the disk and rots records; these run the
//! real loop over fake clouds on the `stage`, in virtual time. `simulation` does all of it at random, each story from one seed, and is
//! watched by a checker of its own (`VERDIGRIS_SEEDS`, `VERDIGRIS_SEED`; `tests/bench/simulate` plays many more). `cloud_contract` runs one
//! suite over the fake and the local clouds; `layers` holds the shape of the code. Unit tests stand beside small pure code.

// --- pure: values in, values out ---
pub mod condition;
pub mod desired;
pub mod diff;
pub mod guard;
pub mod import;
pub mod manifest;
pub mod name;
pub mod observed;
pub mod plan;
pub mod rollout;
pub mod status;
// --- effects: strangers to one another ---
pub mod build;
pub mod clock;
pub mod cloud;
pub mod gates;
pub mod git;
pub mod store;
// --- wiring ---
pub mod api;
pub mod cli;
pub mod daemon;
pub mod local;
pub mod reconcile;
