//! Circles between files of one room: files that cannot be read one after the other.
//!
//! A file needs another where its code names something of it, be it by way of a `pub use` in between. What a file names
//! of a module that it lies in (`super::` and up) is no need: a folder and its files are read together. Tests are left out.
use super::map::Map;
use super::source::{Import, chains, code, declared_for_tests, split_uses, tests_start};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A module of a package: the package's index and the names from its root.
type Place = (usize, Vec<String>);

/// A file as module.
struct Module {
    file: String,
    room: String,
    imports: Vec<Import>,
    /// Paths in the code outside `use`, and its single words.
    chains: Vec<Vec<String>>,
    words: BTreeSet<String>,
}

/// All files of all packages but those that only tests see.
struct Modules {
    packages: Vec<String>,
    of: BTreeMap<Place, Module>,
}

/// Names of a module's path: `kv/mod.rs` -> [kv], `lib.rs` -> [].
fn names_of(path: &str) -> Vec<String> {
    let names = path.trim_end_matches(".rs").trim_end_matches("/mod");
    if matches!(names, "lib" | "main" | "mod") { Vec::new() } else { names.split('/').map(String::from).collect() }
}

impl Modules {
    fn read(map: &Map, files: &[(String, String)]) -> Modules {
        let (mut of, mut hidden): (BTreeMap<Place, Module>, Vec<Place>) = (BTreeMap::new(), Vec::new());
        for (file, text) in files.iter().filter(|(f, _)| !f.ends_with("tests.rs") && !f.ends_with("/main.rs")) {
            let Some(package) = map.package_of(file) else { continue };
            let place = (package, names_of(&file[map.packages[package].folder.len()..]));
            let whole = code(text);
            hidden.extend(declared_for_tests(&whole).into_iter().map(|name| child(&place, &name)));
            let lines = whole.lines().take(tests_start(&whole).saturating_sub(1));
            let (imports, body) = split_uses(&lines.collect::<Vec<_>>().join("\n"));
            let chains = chains(&body);
            let words = chains.iter().map(|c| c[0].clone()).collect();
            let room = map.room_of(package, file).unwrap_or_default();
            let chains = chains.into_iter().filter(|c| c.len() > 1).collect();
            of.insert(place, Module { file: file.clone(), room, imports, chains, words });
        }
        of.retain(|(package, names), _| !hidden.iter().any(|(p, of)| p == package && names.starts_with(of)));
        Modules { packages: map.packages.iter().map(|p| p.name.clone()).collect(), of }
    }

    /// The module that has what `path` names when said in `from`; `None` where that is no file of ours.
    fn find(&self, from: &Place, path: &[String], steps: u32) -> Option<Place> {
        let first = path.first()?.as_str();
        let (mut at, mut path) = match first {
            "crate" => ((from.0, Vec::new()), &path[1..]),
            "self" => (from.clone(), &path[1..]),
            "super" => {
                let ups = path.iter().take_while(|n| *n == "super").count();
                ((from.0, from.1[..from.1.len().checked_sub(ups)?].to_vec()), &path[ups..])
            }
            name => match self.packages.iter().position(|p| p == name) {
                Some(package) if package != from.0 => ((package, Vec::new()), &path[1..]),
                _ if self.of.contains_key(&child(from, name)) || self.import(from, name).is_some() => {
                    (from.clone(), path)
                }
                _ => return None,
            },
        };
        while let Some(name) = path.first() {
            let inner = child(&at, name);
            if self.of.contains_key(&inner) {
                (at, path) = (inner, &path[1..]);
                continue;
            }
            let Some(import) = self.import(&at, name).filter(|_| steps > 0) else { break };
            let onward: Vec<String> = import.path.iter().chain(&path[1..]).cloned().collect();
            return self.find(&at, &onward, steps - 1);
        }
        Some(at)
    }

    fn import(&self, at: &Place, name: &str) -> Option<&Import> {
        self.of.get(at)?.imports.iter().find(|i| i.name == name)
    }

    /// What a module needs: (other module, as it says it).
    fn needs(&self, place: &Place) -> Vec<(Place, String)> {
        let module = &self.of[place];
        // What is handed on only (`pub use a::B` and no B beside it) is no need.
        let used = |i: &&Import| !i.public || module.words.contains(&i.name);
        let said = module.imports.iter().filter(used).map(|i| &i.path).chain(&module.chains);
        let mut needs = Vec::new();
        for path in said {
            let path = if path.last().is_some_and(|n| n == "*") { &path[..path.len() - 1] } else { path };
            let Some(found) = self.find(place, path, 8).filter(|p| self.of.contains_key(p)) else { continue };
            let around = found.0 == place.0 && place.1.starts_with(&found.1);
            if !around && self.of[&found].room == module.room {
                needs.push((found, path.join("::")));
            }
        }
        needs
    }
}

fn child(of: &Place, name: &str) -> Place {
    (of.0, of.1.iter().cloned().chain([name.to_string()]).collect())
}

/// The circles, one for each set of files that all need each other: the shortest that its first file is in, as
/// (that file, `a.rs needs b.rs (b::X), which needs a.rs (a::Y)`).
pub fn circles(map: &Map, files: &[(String, String)]) -> Vec<(String, String)> {
    let modules = Modules::read(map, files);
    let needs: BTreeMap<&Place, Vec<(Place, String)>> = modules.of.keys().map(|p| (p, modules.needs(p))).collect();
    let (mut found, mut done): (Vec<(String, String)>, BTreeSet<Place>) = (Vec::new(), BTreeSet::new());
    for start in modules.of.keys() {
        if done.contains(start) {
            continue;
        }
        let Some(circle) = shortest(start, &needs) else { continue };
        done.extend(together(start, &needs));
        let steps: Vec<String> =
            circle.iter().map(|(place, said)| format!("{} ({said})", modules.of[place].file)).collect();
        found.push((modules.of[start].file.clone(), format!("needs {}", steps.join(", which needs "))));
    }
    found
}

/// The shortest way from `start` back to it; each step is (file reached, what it was needed for).
fn shortest(start: &Place, needs: &BTreeMap<&Place, Vec<(Place, String)>>) -> Option<Vec<(Place, String)>> {
    let mut came: BTreeMap<&Place, (&Place, &str)> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for (to, said) in &needs[at] {
            if came.contains_key(to) {
                continue;
            }
            came.insert(to, (at, said));
            if to == start {
                let mut way = vec![(to.clone(), said.clone())];
                let mut back = at;
                while back != start {
                    let (from, said) = came[back];
                    way.push((back.clone(), said.to_string()));
                    back = from;
                }
                way.reverse();
                return Some(way);
            }
            queue.push_back(to);
        }
    }
    None
}

/// All files that need `start` and that it needs, by whatever way.
fn together(start: &Place, needs: &BTreeMap<&Place, Vec<(Place, String)>>) -> Vec<Place> {
    let reached = |from: &Place| {
        let (mut seen, mut stack) = (BTreeSet::from([from.clone()]), vec![from.clone()]);
        while let Some(at) = stack.pop() {
            stack.extend(needs[&at].iter().filter(|(to, _)| seen.insert(to.clone())).map(|(to, _)| to.clone()));
        }
        seen
    };
    reached(start).into_iter().filter(|p| reached(p).contains(start)).collect()
}
