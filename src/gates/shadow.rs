//! The design of `shadow`: recent live requests, sent again to green, and its answers compared with those that blue gave.
//!
//! It waits for the log of the gateway's requests; a manifest that asks for it is told so, and that `parity` does the same with recorded
//! requests. It will be this:
//!
//! - **Form.** `shadow: { share: 5%, for: 10m, max: 500 }`, with `headers`, `ignore`, `sort` and `replace` as a `parity` gate has them, since
//!   both end in [`Comparison`](super::parity::compare::Comparison). The share is of what users asked in the time before the gate began;
//!   `max` bounds how many are sent. There is no `unsafe`: what users did is never done twice.
//! - **What is taken.** Of the gateway's log: requests of this service to blue, by `GET`, `HEAD` and `OPTIONS` alone, with an answer of the
//!   release that blue still holds, below its bound of a body. Chosen by the hash of their correlation id, so that asking again takes the
//!   same ones. A route may be left out by name; one that says that its answers are private (`cache-control: private`) is, unless the
//!   manifest says otherwise.
//! - **What is sent.** Method, path, query and the headers that the gateway lets through, without cookies and authorization: those belong to
//!   people. Routes that cannot be asked without them are counted as left out and told, never sent with somebody's name. Each carries
//!   `x-verdigris-shadow`, and the daemon's room for loads bounds how many are under way.
//! - **What is compared.** Blue's answer as the log has it where it kept the body; otherwise blue is asked again beside green, as `parity`
//!   does, and the evidence says which of the two it was. A request whose two blue answers differ (the log's and the new one) says nothing
//!   about green and is left out: it is counted as unsteady.
//! - **What it says.** Evidence as that of `parity`, with the number of requests taken, left out (by reason) and unsteady. Too few requests
//!   (fewer than `min`, 20 unsaid) are Inconclusive: silence proves nothing. Any difference beyond `errors: 0%` is Failed.
//! - **Where it lives.** Taking from the log is wiring, since the log is the gateway's; this module gets requests and blue's answers as
//!   values, and measures as every gate here does.
