//! `baseload policies`: the presets, what each expands to, and what parts and fields there are.
use super::{Exit, printer};
use crate::report::{Sheet, WIDTH, wrapped};
use baseload_core::gateway::{ENDPOINT_FIELDS, Keeps, POOL_FIELDS, Parts, Preset, Presets, REQUEST_FIELDS, SCORERS};
use baseload_core::types::{Fault, Faults};

/// List routing policies, print what a preset expands to, or list the parts to write your own
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  baseload policies\n  baseload policies show llmd_default\n  baseload policies fields"
)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print what a preset expands to, as parts of an experiment file, and its source
    #[command(after_help = "Example:\n  baseload policies show sglang_cache_aware")]
    Show {
        /// A preset's name
        name: String,
    },
    /// List the scorers, and the fields that a rule's condition may read
    #[command(after_help = "Example:\n  baseload policies fields")]
    Fields,
}

pub fn run(args: &Args) -> Result<(), Exit> {
    match &args.what {
        None => printer::out(&list()),
        Some(What::Fields) => printer::out(&fields()),
        Some(What::Show { name }) => {
            let presets = Presets::embedded();
            let Some(found) = presets.get(name) else {
                let known = presets.iter().map(|p| p.name);
                return Err(baseload_core::catalog::unknown("preset", name, known, "baseload policies").into());
            };
            printer::out(&show(found)?);
        }
    }
    Ok(())
}

/// Names, and what they are beside them.
fn columns(rows: &[(String, String)]) -> String {
    let mut sheet = Sheet::new("", &["", ""], 2).wrapping();
    rows.iter().for_each(|(name, text)| sheet.row(vec![name.clone(), text.clone()]));
    sheet.text()
}

fn list() -> String {
    let rows: Vec<_> = Presets::embedded().iter().map(|p| (p.name.to_string(), p.title.to_string())).collect();
    let head = "Presets: a table of [policy.NAME] each, such as [policy.mine.llmd_default]";
    let foot = wrapped(
        "`baseload policies show NAME` prints what a preset expands to, and its source. `baseload policies fields` lists the \
         parts to write your own of.",
        WIDTH,
        0,
    );
    format!("{head}\n\n{}\n{foot}", columns(&rows))
}

fn show(p: &Preset) -> Result<String, Faults> {
    let comment = |label: &str, text: &str| {
        let lines = wrapped(&format!("{label}: {text}"), WIDTH - 2, 2);
        lines.lines().map(|line| format!("# {line}\n")).collect::<String>()
    };
    let mut out = comment(p.name, p.title);
    out.push_str(&comment("source", p.source));
    out.push_str(&comment("sees", p.sees));
    out.push_str(&match p.keeps {
        Keeps::All | Keeps::AllThatIsThere => String::new(),
        Keeps::NoReplicas => {
            comment("keeps", "no replica: write `pools = { NAME = 0 }` beside its parts, for each pool")
        }
        Keeps::NoEndpoints => comment("keeps", "no endpoint: write `endpoints = []` beside its parts"),
    });
    out.push_str(&as_toml(&p.parts()?)?);
    Ok(out)
}

/// Parts as they stand in an experiment file: what fits on a line as one, the rest as tables of their own.
fn as_toml(parts: &Parts) -> Result<String, Fault> {
    let value = toml::Table::try_from(parts).map_err(|e| Fault::new(e.to_string()))?;
    let (mut lines, mut tables) = (String::from("[policy.mine]\n"), String::new());
    for (key, value) in value.iter().filter(|(key, _)| *key != "rules") {
        let line = format!("{key} = {}", inline(value));
        match value {
            toml::Value::Table(table) if line.len() > WIDTH => {
                tables.push_str(&format!("[policy.mine.{key}]\n{}", lines_of(table)));
            }
            _ => lines.push_str(&format!("{line}\n")),
        }
    }
    if let Some(toml::Value::Array(rules)) = value.get("rules") {
        let short: Vec<String> = rules.iter().map(|rule| format!("  {},\n", inline(rule))).collect();
        if short.iter().all(|line| line.len() <= WIDTH + 1) {
            lines.push_str(&format!("rules = [\n{}]\n", short.concat()));
        } else {
            for rule in rules.iter().filter_map(toml::Value::as_table) {
                tables.push_str(&format!("[[policy.mine.rules]]\n{}", lines_of(rule)));
            }
        }
    }
    Ok(lines + &tables)
}

/// A table's keys, a line each.
fn lines_of(table: &toml::Table) -> String {
    table.iter().map(|(key, value)| format!("{key} = {}\n", inline(value))).collect()
}

/// A value on one line.
fn inline(value: &toml::Value) -> String {
    match value {
        toml::Value::Table(t) => {
            let keys: Vec<String> = t.iter().map(|(k, v)| format!("{k} = {}", inline(v))).collect();
            if keys.is_empty() { "{}".into() } else { format!("{{ {} }}", keys.join(", ")) }
        }
        toml::Value::Array(a) => format!("[{}]", a.iter().map(inline).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn fields() -> String {
    let row = |name: String, kind: &str, text: &str| (name, format!("{kind}: {text}"));
    let scorers: Vec<_> = SCORERS.iter().map(|(name, s)| (name.to_string(), s.meaning().to_string())).collect();
    let request: Vec<_> = REQUEST_FIELDS.iter().map(|(n, k, t, _)| row(n.to_string(), k.name(), t)).collect();
    let pool: Vec<_> = POOL_FIELDS.iter().map(|(n, k, t, _)| row(format!("pool.{n}"), k.name(), t)).collect();
    let endpoint: Vec<_> =
        ENDPOINT_FIELDS.iter().map(|(n, k, t, _)| row(format!("endpoint.{n}"), k.name(), t)).collect();
    format!(
        "Scorers, for `scorers = {{ queue = 2, prefix = 3 }}`\n\n{}\n\
         Fields of the request and of time, for `when = \"request.prompt_tokens > 8000\"`\n\n{}\n\
         Fields of all ready own replicas; of one pool's: pools.NAME.\n\n{}\n\
         Fields of the cheapest allowed endpoint; of one: endpoints.NAME.\n\n{}\n\
         Conditions are CEL: + - * / %, comparisons, && || !, ? :, in [..], min(), max().\n\
         Names with a hyphen: pools[\"my-pool\"].ready",
        columns(&scorers),
        columns(&request),
        columns(&pool),
        columns(&endpoint),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_of_a_preset_can_be_written_into_an_experiment() {
        for p in Presets::embedded().iter() {
            let text = show(p).unwrap();
            let wide = text.lines().find(|line| line.chars().count() > WIDTH);
            assert_eq!(wide, None, "{}", p.name);
            let file: toml::Table = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}\n{text}", p.name));
            let mine = file["policy"]["mine"].clone();
            let parts: Parts = mine.try_into().unwrap_or_else(|e| panic!("{}: {e}", p.name));
            assert_eq!(parts, p.parts().unwrap(), "{}", p.name);
            assert!(fields().lines().chain(list().lines()).all(|line| line.chars().count() <= WIDTH));
        }
    }
}
