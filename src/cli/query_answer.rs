//! The answer to a query as text: a table, JSON or CSV.
//!
//! Must keep true: JSON and CSV have every digit; a table has six.
use crate::frames::{Answer, Cell};
use crate::report::Sheet;
use baseload_core::types::numbers::significant;
use serde_json::{Map, Value};

/// In columns, with a line that counts the rows where there are none.
pub fn table(answer: &Answer) -> String {
    let shown = |cell: &Cell| match cell {
        Cell::Number(v) => significant(*v, 6),
        other => plain(other),
    };
    let is_text = |column: &usize| answer.rows.iter().any(|row| matches!(row[*column], Cell::Text(_) | Cell::Flag(_)));
    let texts = (0..answer.columns.len()).filter(is_text);
    let mut sheet = texts.fold(Sheet::new("", &answer.columns, 0), Sheet::left);
    answer.rows.iter().for_each(|row| sheet.row(row.iter().map(shown).collect()));
    if answer.rows.is_empty() { format!("{}(no rows)\n", sheet.text()) } else { sheet.text() }
}

/// A list of rows, each an object; what is not known is null.
pub fn json(answer: &Answer) -> String {
    let value = |cell: &Cell| match cell {
        Cell::Empty => Value::Null,
        Cell::Flag(v) => Value::from(*v),
        Cell::Whole(v) => match (i64::try_from(*v), u64::try_from(*v)) {
            (Ok(v), _) => Value::from(v),
            (_, Ok(v)) => Value::from(v),
            _ => Value::from(v.to_string()),
        },
        Cell::Number(v) => Value::from(*v),
        Cell::Text(v) => Value::from(v.as_str()),
    };
    let row = |row: &Vec<Cell>| {
        Value::Object(answer.columns.iter().cloned().zip(row.iter().map(value)).collect::<Map<_, _>>())
    };
    format!("{:#}\n", Value::Array(answer.rows.iter().map(row).collect()))
}

/// The answer as CSV with a head; fields are quoted where they must be.
pub fn csv(answer: &Answer) -> String {
    let quoted = |text: &str| {
        if text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    let line = |cells: Vec<String>| format!("{}\n", cells.join(","));
    let mut out = line(answer.columns.iter().map(|name| quoted(name)).collect());
    answer.rows.iter().for_each(|row| out.push_str(&line(row.iter().map(|cell| quoted(&plain(cell))).collect())));
    out
}

fn plain(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Flag(v) => v.to_string(),
        Cell::Whole(v) => v.to_string(),
        Cell::Number(v) => v.to_string(),
        Cell::Text(v) => v.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        let rows = vec![
            vec![Cell::Text("a, b".into()), Cell::Whole(12), Cell::Number(1.0 / 3.0)],
            vec![Cell::Text("c".into()), Cell::Empty, Cell::Number(2_000_000.0)],
        ];
        Answer { columns: ["policy", "n", "p50"].map(String::from).into(), rows }
    }

    #[test]
    fn an_answer_has_three_forms() {
        assert_eq!(table(&answer()), "policy   n       p50\na, b    12  0.333333\nc            2000000\n");
        assert_eq!(csv(&answer()), "policy,n,p50\n\"a, b\",12,0.3333333333333333\nc,,2000000\n");
        let back: Value = serde_json::from_str(&json(&answer())).unwrap();
        assert_eq!(back[0]["p50"].as_f64(), Some(1.0 / 3.0));
        assert_eq!((&back[1]["n"], &back[1]["policy"]), (&Value::Null, &Value::from("c")));
        let none = Answer { columns: vec!["n".into()], rows: Vec::new() };
        assert_eq!((table(&none), json(&none)), ("n\n(no rows)\n".into(), "[]\n".into()));
    }
}
