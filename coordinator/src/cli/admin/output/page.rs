//! A page for people: lines, facts and tables.
//!
//! PURE: values in, text out.

use super::grid::pairs;
use super::{Cell, Grid};

/// What the place can show that a page is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::admin) struct Look {
    /// The width of a terminal; none where it is no terminal, and nothing is cut.
    pub(in crate::cli::admin) columns: Option<u16>,
    pub(in crate::cli::admin) colours: bool,
}

/// A part of a page.
#[derive(Debug, Clone)]
pub(in crate::cli::admin) enum Block {
    /// A sentence.
    Line(String),
    /// A name and what it is, one below the other.
    Facts(Vec<(&'static str, Cell)>),
    /// Rows in columns.
    Grid(Grid),
}

/// All that is shown at once, its parts an empty line apart.
#[derive(Debug, Clone, Default)]
pub(in crate::cli::admin) struct Page {
    blocks: Vec<Block>,
}

impl Page {
    /// A sentence and no more.
    pub(in crate::cli::admin) fn line(text: impl Into<String>) -> Self {
        Self::default().and(Block::Line(text.into()))
    }

    /// One table.
    pub(in crate::cli::admin) fn grid(grid: Grid) -> Self {
        Self::default().and(Block::Grid(grid))
    }

    /// Facts of one thing.
    pub(in crate::cli::admin) fn facts(facts: Vec<(&'static str, Cell)>) -> Self {
        Self::default().and(Block::Facts(facts))
    }

    pub(in crate::cli::admin) fn and(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }

    pub(super) fn text(&self, look: Look) -> String {
        let block = |block: &Block| match block {
            Block::Line(text) => visible(text),
            Block::Facts(facts) => pairs(facts, look),
            Block::Grid(grid) => grid.text(look),
        };
        let blocks: Vec<String> = self.blocks.iter().map(block).collect();
        blocks.join("\n\n")
    }
}

/// The text with nothing in it that moves a cursor but line breaks and tabs.
pub(in crate::cli::admin) fn visible(text: &str) -> String {
    let visible = |c: char| match c {
        '\n' | '\t' => c,
        c if c.is_control() => ' ',
        c => c,
    };
    text.chars().map(visible).collect()
}
