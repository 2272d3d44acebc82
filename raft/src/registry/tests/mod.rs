//! Tests of the registry: tables per kind of command, then random sequences.

mod bench;
mod closings;
mod demand;
mod form;
mod moves;
mod pools;
mod random;
mod retention;
mod sessions;
mod snapshots;
mod statements;
mod submits;
