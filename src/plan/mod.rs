//! Orders that take live state to desired state, each with its reason, and what is waited on.
