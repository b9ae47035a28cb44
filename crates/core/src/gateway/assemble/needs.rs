//! Who needs the strong model, of its parts: a drawn win rate, a predictor of stated quality, or the oracle.
use super::{Maker, share, unknown};
use crate::gateway::need::{Need, Predictor, Sample};
use crate::gateway::parts::NeedSection;
use crate::gateway::quality::Pair;

impl Maker<'_> {
    pub(super) fn need(&self, rule: &str, n: &NeedSection, to: &str) -> Result<Need, String> {
        let key = &format!("{rule}.need");
        let drawn = [("win_rates", n.win_rates.is_some()), ("classes", !n.classes.is_empty())];
        let of_threshold = [("threshold", n.threshold.is_some()), ("strong_share", n.strong_share.is_some())];
        let with = |what: &str, refused: &[(&str, bool)]| match refused.iter().find(|(_, given)| *given) {
            Some((other, _)) => {
                Err(format!("{key}.{other}: {what} is given too, which does not look at it; leave one out"))
            }
            None => Ok(()),
        };
        match (&n.predictor, &n.oracle) {
            (_, Some(oracle)) => {
                with("oracle", &[("predictor", n.predictor.is_some())])?;
                with("oracle", &drawn)?;
                with("oracle", &of_threshold)?;
                Ok(Need::Oracle(self.pair((rule, &format!("{key}.oracle")), to, oracle.weak.as_deref())?))
            }
            (Some(p), None) => {
                with("predictor", &drawn)?;
                with("predictor", &of_threshold[..1])?;
                let at = format!("{key}.predictor");
                if !(0.5..1.0).contains(&p.auc) {
                    return Err(format!(
                        "{at}.auc is {}; it must lie from 0.5 (chance) to below 1 (the policy oracle_quality is that)",
                        p.auc
                    ));
                }
                let wanted =
                    n.strong_share.ok_or_else(|| format!("{key}.strong_share is missing; a predictor needs it"))?;
                let strong_share = share(&format!("{key}.strong_share"), wanted)?;
                let pair = self.pair((rule, &at), to, p.weak.as_deref())?;
                let predictor = Predictor::calibrated(p.auc, strong_share, pair.share());
                Ok(Need::Predicted { pair, predictor })
            }
            (None, None) => self.drawn_need(key, n),
        }
    }

    /// The answers of the strong model, which `to` names, and of the weak one.
    fn pair(&self, (rule, key): (&str, &str), to: &str, weak: Option<&str>) -> Result<Pair, String> {
        let k = self.known;
        let kept = k.pools.iter().zip(&k.replicas).filter(|(_, n)| **n > 0).map(|(name, _)| name);
        let places: Vec<&str> = kept.chain(&k.endpoints).map(String::as_str).collect();
        let answers = |at: String, name: &str| {
            let found = k.quality.iter().find(|(place, _)| place == name).map(|(_, answers)| answers.clone());
            found.ok_or_else(|| format!("{at}: it is not known how good answers of `{name}` are; give it a quality"))
        };
        if !places.contains(&to) {
            return Err(format!("{rule}.to is \"{to}\"; it must be the pool or endpoint of the strong model"));
        }
        let others: Vec<&str> = places.iter().copied().filter(|place| *place != to).collect();
        let weak = match (weak, &others[..]) {
            (Some(name), _) if others.contains(&name) => name,
            (Some(name), _) => {
                let there = others.iter().copied();
                return Err(format!("{key}.weak: {}", unknown("other pool or endpoint of this policy", name, there)));
            }
            (None, [only]) => only,
            (None, _) => {
                return Err(format!(
                    "{key}.weak is missing: this policy has {} pools and endpoints beside `{to}`; name the one whose answer \
                     it is otherwise",
                    others.len()
                ));
            }
        };
        Ok(Pair { weak: answers(format!("{key}.weak"), weak)?, strong: answers(format!("{rule}.to"), to)? })
    }

    fn drawn_need(&self, key: &str, n: &NeedSection) -> Result<Need, String> {
        let sample = |at: String, numbers: &[f64]| {
            if numbers.is_empty() {
                return Err(format!("{at} is empty; give at least one number from 0 to 1"));
            }
            for x in numbers {
                share(&at, *x)?;
            }
            Ok(Sample::new(numbers.to_vec()))
        };
        let win_rates = sample(format!("{key}.win_rates"), n.win_rates.as_deref().unwrap_or(&[0.0, 1.0]))?;
        let mut classes = Vec::new();
        for (name, numbers) in &n.classes {
            if !self.known.classes.contains(name) {
                let known = self.known.classes.iter().map(String::as_str);
                return Err(format!("{key}.classes: {}", unknown("class", name, known)));
            }
            classes.push((name.clone(), sample(format!("{key}.classes.{name}"), numbers)?));
        }
        let threshold = match (n.threshold, n.strong_share) {
            (Some(t), None) => share(&format!("{key}.threshold"), t)?,
            (None, Some(s)) => Need::calibrated(&win_rates, share(&format!("{key}.strong_share"), s)?),
            _ => return Err(format!("{key}: give either threshold or strong_share")),
        };
        Ok(Need::Drawn { threshold, classes, win_rates })
    }
}
