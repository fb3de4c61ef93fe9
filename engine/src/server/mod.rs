//! The boot server as a state machine.
