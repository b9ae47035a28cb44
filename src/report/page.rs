//! The shell of every page, and what pages have in common: head, what was asked and found, warnings, tables, keys of charts.
//!
//! May import: nothing but its style. Must keep true: no script and no address of anything outside the file; every text from
//! outside is escaped here unless the parameter is called `html`.
use super::markup::{escape, prose};
use super::style::CSS;

/// A page under construction; parts stand in the order in which they are added.
pub(super) struct Page {
    html: String,
}

impl Page {
    /// A page with a title and the same as its first heading.
    pub(super) fn new(title: &str) -> Page {
        let title = escape(title);
        let html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>{title} – Baseload</title>\n\
             <style>\n{CSS}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
        );
        Page { html }
    }

    /// What was asked; nothing where it is empty.
    pub(super) fn question(&mut self, text: &str) {
        if !text.is_empty() {
            self.html.push_str(&format!("<p class=\"q\">{}</p>\n", escape(text)));
        }
    }

    /// What the page is of, in small print.
    pub(super) fn facts(&mut self, facts: &[String]) {
        let facts: Vec<String> = facts.iter().map(|f| prose(f)).collect();
        self.html.push_str(&format!("<p class=\"facts\">{}</p>\n", facts.join(" · ")));
    }

    /// What was found, a paragraph each.
    pub(super) fn verdict(&mut self, sentences: &[String]) {
        match sentences {
            [] => {}
            [one] => self.html.push_str(&format!("<p class=\"verdict\">{}</p>\n", prose(one))),
            many => {
                let said: String = many.iter().map(|s| format!("<p>{}</p>\n", prose(s))).collect();
                self.html.push_str(&format!("<div class=\"verdict\">{said}</div>\n"));
            }
        }
    }

    /// What the reader should know before trusting it; nothing where there is nothing.
    pub(super) fn warnings(&mut self, heading: &str, all: &[String]) {
        if !all.is_empty() {
            let items: String = all.iter().map(|w| format!("<li>{}</li>", prose(w))).collect();
            self.html.push_str(&format!("<div class=\"warn\"><strong>{heading}</strong><ul>{items}</ul></div>\n"));
        }
    }

    /// Whatever comes next.
    pub(super) fn push(&mut self, html: &str) {
        self.html.push_str(html);
    }

    /// The whole page.
    pub(super) fn finish(self) -> String {
        self.html + "</main>\n</body>\n</html>\n"
    }
}

/// A column's heading.
pub(super) enum Head<'a> {
    /// Words, which stand at the left of their column.
    Words(&'a str),
    /// A figure that needs no unit.
    Figure(&'a str),
    /// A figure with its unit in a line below; empty where other columns have one.
    Unit(&'a str, &'a str),
}

/// A table in a section of its own.
pub(super) struct PageTable {
    html: String,
}

impl PageTable {
    /// A table below a heading; the first column is that of the rows' names.
    pub(super) fn new<'a>(heading: &str, columns: impl IntoIterator<Item = Head<'a>>) -> PageTable {
        let mut html = format!("<section><h2>{}</h2><div class=\"scroll\"><table>\n<thead><tr>", escape(heading));
        for column in columns {
            html.push_str(&match column {
                Head::Words(name) => format!("<th class=\"l\">{}</th>", escape(name)),
                Head::Figure(name) => format!("<th>{}</th>", escape(name)),
                Head::Unit(name, "") => format!("<th>{}<small>&nbsp;</small></th>", escape(name)),
                Head::Unit(name, unit) => format!("<th>{}<small>{}</small></th>", escape(name), escape(unit)),
            });
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        PageTable { html }
    }

    /// A row: its name as markup, and its cells.
    pub(super) fn row(&mut self, name_html: &str, cells: impl IntoIterator<Item = Cell>) {
        self.html.push_str(&format!("<tr><th scope=\"row\">{name_html}</th>"));
        for Cell { class, text } in cells {
            let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
            self.html.push_str(&format!("<td{class}>{}</td>", escape(&text)));
        }
        self.html.push_str("</tr>\n");
    }

    /// The section, closed.
    pub(super) fn finish(self) -> String {
        self.finish_with("")
    }

    /// The section with something below its table.
    pub(super) fn finish_with(self, below_html: &str) -> String {
        let below = if below_html.is_empty() { String::new() } else { format!("\n{below_html}") };
        format!("{}</tbody></table></div>{below}</section>\n", self.html)
    }
}

/// A cell of a table.
pub(super) struct Cell {
    class: &'static str,
    text: String,
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell { class: "", text }
    }
}

impl Cell {
    /// The best of its column.
    pub(super) fn best(text: String) -> Cell {
        Cell { class: "best", text }
    }
    /// A sum of other cells.
    pub(super) fn sum(text: String) -> Cell {
        Cell { class: "sum", text }
    }
    /// Words.
    pub(super) fn words(text: String) -> Cell {
        Cell { class: "l", text }
    }
}

/// What a line of a chart stands for: the line again, as `class` and `style` draw it, and its name.
pub(super) fn key(class: &str, style: &str, name: &str) -> String {
    format!(
        "<span><svg width=\"30\" height=\"8\"><path class=\"{class}\" style=\"{style}\" d=\"M0 4H30\"/></svg>{}</span>\n",
        escape(name)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_escapes_what_it_is_given_and_leaves_out_what_is_not_there() {
        let mut page = Page::new("a <b>");
        page.question("");
        page.facts(&["1 & 2".into(), "`x`".into()]);
        page.verdict(&["one".into()]);
        page.warnings("Warnings", &[]);
        let page = page.finish();
        assert!(page.contains("<title>a &lt;b&gt; – Baseload</title>") && page.contains("<h1>a &lt;b&gt;</h1>"));
        assert!(
            page.contains(
                "<p class=\"facts\">1 &amp; 2 · <strong>x</strong></p>\n<p class=\"verdict\">one</p>\n</main>"
            )
        );
    }

    #[test]
    fn a_table_has_a_heading_a_column_and_what_stands_below_it() {
        let mut table = PageTable::new("T", [Head::Words("n"), Head::Figure("f"), Head::Unit("u", "")]);
        table.row("a", [Cell::from("<".to_owned()), Cell::best("2".into())]);
        let html = table.finish_with("<p>b</p>\n");
        let want = "<section><h2>T</h2><div class=\"scroll\"><table>\n<thead><tr><th class=\"l\">n</th><th>f</th>\
            <th>u<small>&nbsp;</small></th></tr></thead>\n<tbody>\n<tr><th scope=\"row\">a</th><td>&lt;</td>\
            <td class=\"best\">2</td></tr>\n</tbody></table></div>\n<p>b</p>\n</section>\n";
        assert_eq!(html, want);
    }
}
