//! Who needs the strong model, of its parts: a drawn win rate, a predictor of stated quality, or the oracle. Keys of faults
//! are counted from the rule's table.
use super::Maker;
use crate::gateway::answers::Pair;
use crate::gateway::need::{Need, Predictor, Sample};
use crate::gateway::parts::{NeedSection, PredictorSection};
use crate::types::check::{in_range, share};
use crate::types::key;
use crate::types::{Fault, Faults, KeyPath};

/// Refuses what stands beside `what`, which does not look at it.
fn alone(what: &str, beside: &[(&str, bool)]) -> Result<(), Faults> {
    let given = beside.iter().filter(|(_, given)| *given);
    let fault = |other: &str| {
        let says = format!("{what} is given too, which does not look at it");
        Fault::at(key!["need", other], says).hint("leave one out")
    };
    given.map(|(other, _)| fault(other)).collect::<Faults>().finish(())
}

impl Maker<'_> {
    pub(super) fn need(&self, n: &NeedSection, to: &str) -> Result<Need, Faults> {
        let drawn = [("win_rates", n.win_rates.is_some()), ("classes", !n.classes.is_empty())];
        let threshold = ("threshold", n.threshold.is_some());
        match (&n.predictor, &n.oracle) {
            (predictor, Some(oracle)) => {
                let predictor = ("predictor", predictor.is_some());
                let strong_share = ("strong_share", n.strong_share.is_some());
                alone("oracle", &[predictor, drawn[0], drawn[1], threshold, strong_share])?;
                Ok(Need::Oracle(self.pair(key!["need", "oracle"], to, oracle.weak.as_deref())?))
            }
            (Some(predictor), None) => {
                alone("predictor", &[drawn[0], drawn[1], threshold])?;
                self.predicted(predictor, n.strong_share, to)
            }
            (None, None) => self.drawn_need(n),
        }
    }

    fn predicted(&self, p: &PredictorSection, strong_share: Option<f64>, to: &str) -> Result<Need, Faults> {
        let mut faults = Faults::default();
        let right = "it must lie from 0.5 (chance) to below 1 (the policy oracle_quality is that)";
        let auc = in_range(key!["need", "predictor", "auc"], p.auc, (0.5..1.0).contains(&p.auc), right);
        let auc = faults.or_default(auc);
        let at = key!["need", "strong_share"];
        let wanted = strong_share.ok_or_else(|| Fault::at(at.clone(), "it is missing").hint("a predictor needs it"));
        let strong_share = faults.or_default(wanted.and_then(|wanted| share(at, wanted)));
        let pair = faults.take(self.pair(key!["need", "predictor"], to, p.weak.as_deref()));
        let Some(pair) = pair.filter(|_| faults.is_empty()) else { return Err(faults) };
        let predictor = Predictor::calibrated(auc, strong_share, pair.share());
        Ok(Need::Predicted { pair, predictor })
    }

    /// The answers of the strong model, which `to` names, and of the weak one, which `key` may name.
    fn pair(&self, key: KeyPath, to: &str, weak: Option<&str>) -> Result<Pair, Fault> {
        let k = self.scope;
        let kept = k.pools.iter().zip(&k.replicas).filter(|(_, n)| **n > 0).map(|(name, _)| name);
        let places: Vec<&str> = kept.chain(&k.endpoints).map(String::as_str).collect();
        let key = key.then("weak");
        let answers = |at: KeyPath, name: &str| {
            let found = k.quality.iter().find(|(place, _)| place == name).map(|(_, answers)| answers.clone());
            let what = format!("it is not known how good answers of `{name}` are");
            found.ok_or_else(|| Fault::at(at, what).hint("give it a quality"))
        };
        if !places.contains(&to) {
            let fault = Fault::at("to", format!("it is \"{to}\""));
            return Err(fault.hint("it must be the pool or endpoint of the strong model"));
        }
        let others: Vec<&str> = places.iter().copied().filter(|place| *place != to).collect();
        let weak = match (weak, &others[..]) {
            (Some(name), _) if others.contains(&name) => name,
            (Some(name), _) => {
                let kind = "other pool or endpoint of this policy";
                return Err(Fault::unknown(key, kind, name, others.iter().copied()));
            }
            (None, [only]) => only,
            (None, _) => {
                let beside = format!("this policy has {} pools and endpoints beside `{to}`", others.len());
                let fault = Fault::at(key, format!("it is missing, and {beside}"));
                return Err(fault.hint("name the one whose answer it is otherwise"));
            }
        };
        Ok(Pair { weak: answers(key, weak)?, strong: answers(key!["to"], to)? })
    }

    fn drawn_need(&self, n: &NeedSection) -> Result<Need, Faults> {
        let mut faults = Faults::default();
        let sample = |at: KeyPath, numbers: &[f64]| {
            if numbers.is_empty() {
                return Err(Fault::at(at, "it is empty").hint("give at least one number from 0 to 1"));
            }
            numbers.iter().enumerate().try_for_each(|(i, x)| share(at.clone().then(i), *x).map(drop))?;
            Ok(Sample::new(numbers.to_vec()))
        };
        let even = [0.0, 1.0];
        let win_rates = sample(key!["need", "win_rates"], n.win_rates.as_deref().unwrap_or(&even));
        let win_rates = faults.or(Sample::new(even.to_vec()), win_rates);
        let mut classes = Vec::new();
        for (name, numbers) in &n.classes {
            let at = key!["need", "classes", name];
            if !self.scope.classes.contains(name) {
                let known = self.scope.classes.iter().map(String::as_str);
                faults.push(Fault::unknown(at.clone(), "class", name, known));
            }
            classes.extend(faults.take(sample(at, numbers)).map(|sample| (name.clone(), sample)));
        }
        let threshold = match (n.threshold, n.strong_share) {
            (Some(t), None) => share(key!["need", "threshold"], t),
            (None, Some(s)) => share(key!["need", "strong_share"], s).map(|s| Need::calibrated(&win_rates, s)),
            (Some(_), Some(_)) => Err(Fault::at("need", "both threshold and strong_share are given").hint("give one")),
            (None, None) => Err(Fault::at("need", "it says not who needs it").hint("give threshold or strong_share")),
        };
        let threshold = faults.or_default(threshold);
        faults.finish(Need::Drawn { threshold, classes, win_rates })
    }
}
