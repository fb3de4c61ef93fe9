//! A sled that boots, as a state machine.
