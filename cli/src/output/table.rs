//! Tables: no lines, so that they can be cut and searched; a header that stands out on a terminal.

use super::escape::escape;
use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, Width, presets,
};

/// What stands where there is nothing, so that columns can be counted.
pub(crate) const NOTHING: &str = "-";

/// Between two columns.
const GAP: u16 = 2;

/// The columns of free text.
const FREE: [&str; 2] = ["DESCRIPTION", "DISPLAY NAME"];

/// How a cell looks on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    /// It has ended.
    Ended,
}

/// Rows under a header. Columns are never narrower than what they hold, except on a terminal, where free text is broken
/// to fit.
pub(crate) fn columns(header: &[&str], rows: Vec<Vec<(String, Tone)>>, terminal: bool) -> String {
    let mut table = bare(terminal);
    table.set_header(header.iter().map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
    for row in rows {
        table.add_row(row.into_iter().map(|(text, tone)| {
            let text = if text.is_empty() { NOTHING.to_owned() } else { escape(&text).into_owned() };
            match tone {
                Tone::Plain => Cell::new(text),
                Tone::Ended => Cell::new(text).fg(Color::Red),
            }
        }));
    }
    for (column, name) in table.column_iter_mut().zip(header) {
        // Ids and names are there to be copied, whole.
        column.set_constraint(if FREE.contains(name) {
            ColumnConstraint::LowerBoundary(Width::Fixed(name.len() as u16 + GAP))
        } else {
            ColumnConstraint::ContentWidth
        });
    }
    finish(&mut table)
}

/// What is known of one thing, a line each; what is empty is left out.
pub(crate) fn pairs(pairs: &[(&'static str, String)]) -> String {
    let mut table = bare(false);
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        table.add_row([Cell::new(name), Cell::new(escape(value))]);
    }
    finish(&mut table)
}

fn bare(terminal: bool) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if terminal {
        table.set_content_arrangement(ContentArrangement::Dynamic).enforce_styling();
    } else {
        table.set_content_arrangement(ContentArrangement::Disabled).force_no_tty();
    }
    table
}

fn finish(table: &mut Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP)).set_cell_alignment(CellAlignment::Left);
    }
    let text = table.to_string();
    let mut lines = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    if !lines.is_empty() {
        lines.push('\n');
    }
    lines
}
