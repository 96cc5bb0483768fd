//! What one commit asks for, per environment.
