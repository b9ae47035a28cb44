//! Which policies are the lines of a break-even: all-API, all-self-hosted, hybrid.
//!
//! May import: the resolved experiment. Must keep true: a policy is at most one line; two lines at least.
use super::super::format::FileFaults;
use super::super::resolve::{Experiment, ResolvedPolicy};
use baseload_core::types::Fault;
use serde::Serialize;

/// One of the three lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Keeps no replicas.
    Api,
    /// Keeps replicas and buys nothing but what they may not serve.
    Own,
    /// Keeps replicas and may buy what they could serve.
    Hybrid,
}

impl Kind {
    /// In the order of reports.
    pub const ALL: [Kind; 3] = [Kind::Api, Kind::Own, Kind::Hybrid];

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Kind::Api => "all-API",
            Kind::Own => "all-self-hosted",
            Kind::Hybrid => "hybrid",
        }
    }

    /// The command's option that chooses its policy.
    fn option(self) -> &'static str {
        match self {
            Kind::Api => "--api",
            Kind::Own => "--own",
            Kind::Hybrid => "--hybrid",
        }
    }

    /// What would make such a policy.
    fn made_by(self) -> &'static str {
        match self {
            Kind::Api => "[policy.api.api_only]",
            Kind::Own => "[policy.own.least_outstanding]",
            Kind::Hybrid => "[policy.hybrid.overflow] to = \"ENDPOINT\"",
        }
    }

    /// What a policy is.
    pub fn of(policy: &ResolvedPolicy) -> Kind {
        match (keeps(policy), policy.buys_by_choice()) {
            (false, _) => Kind::Api,
            (true, false) => Kind::Own,
            (true, true) => Kind::Hybrid,
        }
    }
}

fn keeps(policy: &ResolvedPolicy) -> bool {
    policy.pools.iter().any(|(_, replicas)| *replicas > 0)
}

/// Names that the user gave, by kind.
pub type Named<'a> = [Option<&'a str>; 3];

/// The policy of each line, by kind: the one named, else the first of its kind in the file.
///
/// # Errors
/// An unknown name, one that cannot be that line, fewer than two lines.
pub fn choose<'a>(exp: &'a Experiment, named: &Named<'_>) -> Result<[Option<&'a ResolvedPolicy>; 3], FileFaults> {
    let mut chosen = [None; 3];
    for (kind, name) in Kind::ALL.into_iter().zip(named) {
        let found = match name {
            None => exp.policies.iter().find(|p| Kind::of(p) == kind),
            Some(name) => Some(by_name(exp, kind, name)?),
        };
        chosen[kind as usize] = found;
    }
    if chosen.iter().flatten().count() < 2 {
        let has: Vec<String> = Kind::ALL
            .into_iter()
            .filter_map(|k| chosen[k as usize].map(|p| format!("an {} one (`{}`)", k.title(), p.name)))
            .map(|s| s.replace("an hybrid", "a hybrid"))
            .collect();
        let lacks: Vec<String> = Kind::ALL
            .into_iter()
            .filter(|k| chosen[*k as usize].is_none())
            .map(|k| format!("{} (such as {})", k.title(), k.made_by()))
            .collect();
        let what = format!("a break-even needs policies of two kinds, and there is only {}", has.join(" and "));
        let fault = Fault::at("policy", what).hint(format!("add one that is {}", lacks.join(" or ")));
        return Err(exp.located(fault));
    }
    Ok(chosen)
}

fn by_name<'a>(exp: &'a Experiment, kind: Kind, name: &str) -> Result<&'a ResolvedPolicy, FileFaults> {
    let option = kind.option();
    let names = || exp.policies.iter().map(|p| p.name.as_str());
    let Some(policy) = exp.policies.iter().find(|p| p.name == name) else {
        return Err(FileFaults::plain(Fault::unknown(option, "policy", name, names())));
    };
    let is = Kind::of(policy);
    let (what, instead) = match (kind, is) {
        (Kind::Api, Kind::Own | Kind::Hybrid) => {
            ("it keeps replicas, and the all-API line keeps none", "give pools of 0 or api_only; ")
        }
        (Kind::Own | Kind::Hybrid, Kind::Api) => ("it keeps no replicas", "give a policy that keeps some; "),
        (Kind::Own, Kind::Hybrid) => ("it may buy what its own replicas could serve", ""),
        (Kind::Hybrid, Kind::Own) => ("it never buys what its own replicas could serve", ""),
        _ => return Ok(policy),
    };
    let hint = format!("{instead}as it is, it belongs to {}", is.option());
    Err(FileFaults::plain(Fault::new(format!("{option} {name}: {what}")).hint(hint)))
}
