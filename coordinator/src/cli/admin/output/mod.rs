//! What a command shows, written for people or for programs.
//!
//! **Invariant:** JSON and YAML say the same with the same names (camelCase); tables are for people
//! and may change.

mod format;
mod grid;
mod page;
mod time;

pub(in crate::cli) use format::OutputFormat;
pub(super) use format::{Series, Shown, Sink, text_of};
pub(super) use grid::{Cell, Column, Grid, Tone};
pub(super) use page::{Block, Look, Page, visible};
pub(super) use time::{Time, age};
