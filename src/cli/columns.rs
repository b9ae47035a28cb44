//! Text in columns: the one place that pads and aligns what commands print as a table.
//!
//! Must keep true: a cell may have several lines; a line ends where its last character stands.

/// Aligned text below a head, columns `gap` spaces apart; those that `left` names begin at one place, the others end there.
pub fn aligned(head: &[&str], rows: &[Vec<String>], left: impl Fn(usize) -> bool, gap: usize) -> String {
    let widths = widths(head, rows);
    let mut out = String::new();
    let head = head.iter().map(|name| (*name).to_owned()).collect();
    for row in std::iter::once(&head).chain(rows) {
        let lines = row.iter().map(|cell| cell.lines().count()).max().unwrap_or(0).max(1);
        for at in 0..lines {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                line.push_str(&padded(cell.lines().nth(at).unwrap_or(""), widths[column], left(column)));
                line.push_str(&" ".repeat(gap));
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
    out
}

/// The same as Markdown. Cells have one line and no bare `|`.
pub fn markdown(head: &[&str], rows: &[Vec<String>], left: impl Fn(usize) -> bool) -> String {
    let widths = widths(head, rows);
    let row = |cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.enumerate().map(|(i, cell)| padded(cell, widths[i], left(i)));
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let mut out = row(&mut head.iter().copied());
    out.push_str(&format!("|{}|\n", widths.iter().map(|w| "-".repeat(w + 2)).collect::<Vec<_>>().join("|")));
    rows.iter().for_each(|cells| out.push_str(&row(&mut cells.iter().map(String::as_str))));
    out
}

fn padded(cell: &str, width: usize, left: bool) -> String {
    if left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
}

fn widths(head: &[&str], rows: &[Vec<String>]) -> Vec<usize> {
    let widest = |cell: &str| cell.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    let of = |(i, name): (usize, &&str)| {
        let cells = rows.iter().filter_map(|row| row.get(i)).map(|cell| widest(cell));
        cells.chain([widest(name)]).max().unwrap_or(0)
    };
    head.iter().enumerate().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_padded_to_their_widest_line() {
        let rows = vec![vec!["a/\nlong".into(), "1".into()], vec!["b".into(), "1000".into()]];
        assert_eq!(aligned(&["id", "n"], &rows, |i| i == 0, 2), "id       n\na/       1\nlong\nb     1000\n");
        let rows = vec![vec!["é".into(), "10".into()]];
        assert_eq!(markdown(&["id", "n"], &rows, |i| i == 0), "| id |  n |\n|----|----|\n| é  | 10 |\n");
        assert_eq!(aligned(&["id"], &[], |_| true, 2), "id\n");
    }
}
