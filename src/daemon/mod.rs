//! Configuration, wiring, shutdown, telemetry.
