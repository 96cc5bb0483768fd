//! A Lambda endpoint: control plane, function URLs, and functions that really run.
