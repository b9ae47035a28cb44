//! The table of packages and rooms in ARCHITECTURE.md.
use super::source::ident;
use std::collections::{BTreeMap, BTreeSet};

/// A package of the workspace: where its sources lie, and the name that others import it by.
#[derive(Debug, PartialEq)]
pub struct Package {
    /// `crates/core/src/`.
    pub folder: String,
    /// `baseload_core`.
    pub name: String,
    /// The room that the package is, where it is a single one.
    pub room: Option<String>,
}

/// A row of the table.
#[derive(Debug)]
pub struct Room {
    /// Its package, by index.
    pub package: usize,
    /// What it may import beside `types`.
    pub may: BTreeSet<String>,
}

/// The table, read.
#[derive(Debug, Default)]
pub struct Map {
    pub packages: Vec<Package>,
    pub rooms: BTreeMap<String, Room>,
    /// Macros that stand at a package's root wherever they are written, and the rooms that write them.
    pub macros: BTreeMap<String, String>,
}

impl Map {
    /// Reads the table whose header starts with `| room |`. A row with an empty last cell is a package, and the rows
    /// below it are its rooms: `name/` a folder of it, `name` the package as a whole.
    pub fn parse(architecture: &str) -> Result<Map, String> {
        let mut rows = architecture.lines().skip_while(|l| !l.starts_with("| room |"));
        if rows.next().is_none() {
            return Err("ARCHITECTURE.md has no table that starts with `| room |`".into());
        }
        let mut map = Map::default();
        for row in rows.skip(1).take_while(|l| l.starts_with('|')) {
            let cells: Vec<&str> = row.trim().trim_matches('|').split('|').map(str::trim).collect();
            let [place, what, may] = cells[..] else { return Err(format!("not three cells: {row}")) };
            let place = place.trim_matches(|c| c == '*' || c == '`');
            if may.is_empty() {
                let name = what.split('`').nth(1).ok_or_else(|| format!("no package named: {row}"))?.replace('-', "_");
                map.packages.push(Package { folder: place.into(), name, room: None });
            } else {
                map.add(place, may)?;
            }
        }
        if map.rooms.is_empty() { Err("the room table has no rows".into()) } else { Ok(map) }
    }

    fn add(&mut self, place: &str, may: &str) -> Result<(), String> {
        let room = place.trim_end_matches('/').to_string();
        let package = self.packages.len().checked_sub(1).ok_or_else(|| format!("`{room}` stands in no package"))?;
        if room == place {
            self.packages[package].room = Some(room.clone());
        }
        let may = match may {
            "nothing" => BTreeSet::new(),
            names => names.split(',').map(|n| n.trim().trim_matches('`').to_string()).collect(),
        };
        for name in &may {
            if !self.rooms.contains_key(name) {
                return Err(format!("`{room}` may import `{name}`, which is no row above it: imports go downwards"));
            }
        }
        if self.rooms.insert(room.clone(), Room { package, may }).is_some() {
            return Err(format!("room `{room}` stands twice in the table"));
        }
        Ok(())
    }

    /// The package whose sources `path` is among.
    pub fn package_of(&self, path: &str) -> Option<usize> {
        self.packages.iter().position(|p| path.starts_with(&p.folder))
    }

    /// `crates/core/src/engine/vllm/admit.rs` -> `engine`; `None` for the roots of a package, which are no rooms.
    pub fn room_of(&self, package: usize, path: &str) -> Option<String> {
        let package = &self.packages[package];
        let first = path[package.folder.len()..].split('/').next()?;
        match &package.room {
            Some(room) => Some(room.clone()),
            None if matches!(first, "lib.rs" | "main.rs") => None,
            None => Some(first.trim_end_matches(".rs").into()),
        }
    }

    /// Notes the exported macros of a source.
    pub fn note_macros(&mut self, path: &str, code: &str) {
        let Some(room) = self.package_of(path).and_then(|p| self.room_of(p, path)) else { return };
        for exported in code.split("#[macro_export]").skip(1) {
            let name = exported.split("macro_rules!").nth(1).map_or(String::new(), |rest| ident(rest.trim_start()));
            self.macros.insert(name, room.clone());
        }
    }
}
