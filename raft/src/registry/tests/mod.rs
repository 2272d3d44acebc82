//! Tests of the registry: tables per kind of command, then random sequences.

mod bench;
mod closings;
mod cluster_moves;
mod demand;
mod events;
mod form;
mod form_admin;
mod form_cluster;
mod handover;
mod levels;
mod moves;
mod nodes;
mod nodes_bench;
mod pauses;
mod pools;
mod random;
mod reach;
mod replicas;
mod requests;
mod restores;
mod retention;
mod sessions;
mod snapshots;
mod statements;
mod submits;
