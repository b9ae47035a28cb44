//! `--engine KEY=VALUE`: settings of an engine, under the names of its section in an experiment.
use baseload_core::catalog::{MeasuredEngine, unknown};
use baseload_core::engine::Engines;
use baseload_core::types::Fault;
use toml::{Table, Value};

/// The option.
const OPTION: &str = "--engine";
/// Keys that are of every engine: its name and version, its KV blocks, and its longest sequence.
const OF_ALL: [&str; 4] = ["name", "version", "num_gpu_blocks", "max_model_len"];

/// The help of the option: what it is, and the keys that there are.
pub fn help(what: &str) -> String {
    let keys = |row: &baseload_core::engine::EngineRow| format!("of {}: {}", row.name, row.keys().join(", "));
    let engines: Vec<String> = Engines::embedded().rows().iter().map(keys).collect();
    format!("{what}, such as max_num_seqs=128; repeatable. Keys: {}; {}", OF_ALL.join(", "), engines.join("; "))
}

/// Parses them.
pub fn parse(pairs: &[String]) -> Result<MeasuredEngine, Fault> {
    let mut engine = MeasuredEngine::default();
    let split = |pair: &'_ String| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    let engines = Engines::embedded();
    for pair in pairs {
        let (key, value) = split(pair).unwrap_or_else(|| (pair.clone(), String::new()));
        if pairs.iter().filter(|other| other.split('=').next() == Some(key.as_str())).count() > 1 {
            return Err(Fault::at(OPTION, format!("{key} is given twice")).hint("give it once"));
        }
        let count = || match value.parse::<u32>() {
            Ok(n) if n > 0 => Ok(Some(n)),
            _ => Err(Fault::at(OPTION, format!("{key} is `{value}`")).hint("it must be a whole number from 1")),
        };
        match key.as_str() {
            "name" => engine.name = value,
            "version" => engine.version = value,
            "num_gpu_blocks" => engine.num_gpu_blocks = count()?,
            "max_model_len" => engine.max_model_len = count()?,
            _ => {
                let rows = || engines.rows().iter().flat_map(|row| row.keys());
                if !rows().any(|known| known == key) {
                    let known: Vec<String> = OF_ALL.iter().map(|k| (*k).to_owned()).chain(rows()).collect();
                    let known = known.iter().map(String::as_str);
                    return Err(unknown("engine setting", &key, known, "baseload validate --help"));
                }
                engine.settings.insert(key, typed(&value));
            }
        }
    }
    // What the engine's own section does not take is said before any file is read.
    let name = if engine.name.is_empty() { engines.usual().name } else { engine.name.as_str() };
    let of_option =
        |fault: Fault| Fault { key: OPTION.into(), what: format!("{}: {}", fault.key, fault.what), ..fault };
    engines.choose(name, engine.settings.clone()).map_err(of_option)?;
    Ok(engine)
}

/// The value as TOML has it; what is no TOML is a text.
fn typed(value: &str) -> Value {
    let table = toml::from_str::<Table>(&format!("v = {value}")).ok().filter(|t| t.len() == 1);
    table.and_then(|mut t| t.remove("v")).unwrap_or_else(|| Value::String(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_every_engine_may_be_given_and_others_name_the_nearest() {
        let pairs = |all: &[&str]| all.iter().map(|p| (*p).to_owned()).collect::<Vec<String>>();
        let said = parse(&pairs(&["max_num_seqs=8", "async_scheduling=false", "num_gpu_blocks=64"])).unwrap();
        assert_eq!((said.num_gpu_blocks, said.settings["max_num_seqs"].as_integer()), (Some(64), Some(8)));
        assert_eq!(said.settings["async_scheduling"].as_bool(), Some(false));
        let fixed = parse(&pairs(&["name=static", "timeout=1s", "max_batch=4"])).unwrap();
        assert_eq!((fixed.name.as_str(), fixed.settings["timeout"].as_str()), ("static", Some("1s")));
        let says = |all: &[&str]| parse(&pairs(all)).unwrap_err().to_string();
        assert!(
            says(&["max_num_seq=8"]).starts_with("unknown engine setting `max_num_seq`; did you mean `max_num_seqs`?")
        );
        let none = says(&["num_gpu_blocks=0"]);
        assert_eq!(none, "--engine: num_gpu_blocks is `0`; it must be a whole number from 1");
        let kind = says(&["max_num_seqs=many"]);
        assert!(kind.starts_with("--engine: vllm.max_num_seqs: invalid type: string \"many\""), "{kind}");
        assert!(says(&["max_batch=4"]).starts_with("--engine: vllm.max_batch: there is no such key"));
        assert!(says(&["name=potato"]).starts_with("--engine: potato: there is no such engine"));
    }
}
