//! The loop: queue, pass, apply, settle, recover.
