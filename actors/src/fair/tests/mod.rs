//! The rules of fairness, by example and by property.

mod allocate;
mod queue;
