//! Objectives and classes, resolved.
use super::*;

impl Resolver<'_> {
    /// TTFT, TPOT and E2E. Keys of faults are counted from `slo`.
    pub(super) fn slo(&self) -> Result<[Option<SimTime>; 3], Faults> {
        let s = &self.file.slo;
        let mut faults = Faults::default();
        let objectives = [("ttft", &s.ttft), ("tpot", &s.tpot), ("e2e", &s.e2e)].map(|(key, text)| {
            let hint = "nothing meets it: leave the key out, or give a duration such as \"2s\"";
            faults.or_default(text.as_ref().map(|text| some_time(key, text, hint)).transpose())
        });
        faults.finish(objectives)
    }

    /// Classes and shares in millionths; the last one is the rest.
    pub(super) fn classes(&self) -> Result<Vec<(ClassSpec, u32)>, Faults> {
        let mut faults = Faults::default();
        let mut out = Vec::new();
        let mut total = 0;
        for (name, class) in &self.file.class {
            let at = key!["class", name];
            let of_all = share("share", class.share).map_err(|fault| fault.under(at.clone()));
            let ppm = (faults.or_default(of_all) * 1e6).round() as u32;
            total += ppm;
            let hint = "leave it out, or give a duration such as \"6h\"";
            let tolerates = class.tolerates.as_ref().map(|text| some_time("tolerates", text, hint)).transpose();
            let spec = ClassSpec {
                name: name.clone(),
                privacy: class.privacy,
                needs: class.needs,
                priority: class.priority,
                tolerates: faults.or_default(tolerates.map_err(|fault| fault.under(at))),
            };
            out.push((spec, ppm));
        }
        let rest = 1_000_000u32.checked_sub(total).ok_or_else(|| {
            let what = format!("the shares of all classes add up to {}", f64::from(total) / 1e6);
            Fault::at("class", what).hint("at most 1")
        });
        let plain = ClassSpec { privacy: Privacy::Any, needs: Capability::Small, ..ClassSpec::default() };
        out.push((ClassSpec { name: "default".into(), ..plain }, faults.or_default(rest)));
        faults.finish(out)
    }

    /// Warns of priorities that nobody goes by.
    pub(super) fn idle_priorities(&mut self, pools: &[Option<ResolvedPool>]) {
        let given = self.file.class.iter().find(|(_, class)| class.priority != 0);
        let gateways = self.file.policy.values().filter_map(|p| p.own.gateway.as_ref()).chain([&self.file.gateway]);
        let admits = gateways.filter_map(|g| g.admission.as_ref()).any(|a| a.shed_above.is_some() || a.queue.is_some());
        let by_priority = pools.iter().flatten().any(|pool| pool.replica.limits.by_priority);
        if let Some((name, _)) = given.filter(|_| !admits && !by_priority) {
            self.warnings.push(format!(
                "class.{name}.priority changes nothing: no pool's engine goes by it (scheduling_policy = \"priority\")"
            ));
        }
    }
}

/// A duration that is not 0; else `hint`.
fn some_time(key: &str, text: &str, hint: &str) -> Result<SimTime, Fault> {
    match duration(key, text)? {
        SimTime::ZERO => Err(Fault::at(key, "it is 0").hint(hint)),
        time => Ok(time),
    }
}
