//! Both clouds on this machine, by their real wire protocols.
