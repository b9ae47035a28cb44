//! What would fit instead: other numbers of GPUs, other GPUs, and the cheapest of them to rent.
//!
//! Imports `catalog`. Must keep true: whether something fits is asked of the caller, who makes a plan of it; a price is a
//! row of the catalogue.
use crate::catalog::{Catalog, Gpu, Rent};
use crate::types::Usd;
use crate::types::numbers::usd_cents;

/// The kind of rent that is compared: what anybody can have today. Spot may be taken away; prepaid and owned GPUs are
/// paid for in advance.
const KIND: &str = "on-demand";

/// Whether it is a price at which anybody can rent today.
fn offered(rent: &Rent) -> bool {
    rent.kind == KIND && !rent.is_range
}

/// Something that fits, and what it costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer<'a> {
    /// The GPU.
    pub gpu: &'a Gpu,
    /// GPUs of a replica.
    pub tensor_parallel: u32,
    /// Who rents it out, at what price, read when and where.
    pub rent: &'a Rent,
    /// A replica for an hour.
    pub usd_per_hour: Usd,
}

impl std::fmt::Display for Offer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (gpu, rent) = (&self.gpu.id, self.rent);
        write!(
            f,
            "{} x {gpu} at US$ {} an hour ({} {}, US$ {} a GPU, {})",
            self.tensor_parallel,
            usd_cents(self.usd_per_hour.as_f64()),
            rent.provider,
            rent.kind,
            rent.usd_per_gpu_hour.as_f64(),
            rent.date
        )
    }
}

/// Whether something fits so many of a GPU.
pub type Fits<'a> = dyn Fn(&Gpu, u32) -> bool + 'a;

/// The fewest GPUs that it fits. Powers of two: others are not rented.
fn fewest(gpu: &Gpu, fits: &Fits<'_>) -> Option<u32> {
    let most = gpu.most_tensor_parallel();
    (0..).map(|n| 1u32 << n).take_while(|tp| *tp <= most).find(|tp| fits(gpu, *tp))
}

/// The cheapest replica that fits, by on-demand rent; of equals the one with fewer GPUs.
pub fn cheapest<'a>(catalog: &'a Catalog, fits: &Fits<'_>) -> Option<Offer<'a>> {
    let offers = catalog.rents.iter().filter(|rent| offered(rent)).filter_map(|rent| {
        let gpu = catalog.gpu(&rent.gpu).ok()?;
        let tensor_parallel = fewest(gpu, fits)?;
        let usd_per_hour = rent.usd_per_gpu_hour.times(tensor_parallel.into());
        Some(Offer { gpu, tensor_parallel, rent, usd_per_hour })
    });
    // The first of equals, in the catalogue's order.
    offers.min_by_key(|offer| (offer.usd_per_hour, offer.tensor_parallel))
}

/// The replica with the fewest GPUs among those that the catalogue has no on-demand rent for.
pub fn without_rent<'a>(catalog: &'a Catalog, fits: &Fits<'_>) -> Option<(&'a Gpu, u32)> {
    let rented = |gpu: &Gpu| catalog.rents.iter().any(|rent| rent.gpu == gpu.id && offered(rent));
    let options_of = |gpu: &'a Gpu| Some((gpu, fewest(gpu, fits)?));
    catalog.gpus.iter().filter(|gpu| !rented(gpu)).filter_map(options_of).min_by_key(|(_, tp)| *tp)
}

/// What would fit where `gpu` does not, as the end of a sentence.
pub fn advice(catalog: &Catalog, gpu: &Gpu, fits: &Fits<'_>) -> String {
    let mut parts = Vec::new();
    if let Some(tp) = fewest(gpu, fits) {
        parts.push(format!("{} with tensor_parallel = {tp} would fit", gpu.id));
    }
    match (cheapest(catalog, fits), without_rent(catalog, fits)) {
        (Some(offer), _) => parts.push(format!("the cheapest of the catalogue that would fit is {offer}")),
        (None, Some((gpu, tp))) => {
            parts.push(format!("nothing of the catalogue with a rent would fit; without one, {tp} x {} would", gpu.id));
        }
        (None, None) => parts.push(
            "no GPU of the catalogue would fit it; lower max_model_len, raise utilization, or quantise weights and KV \
             cache"
                .to_owned(),
        ),
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Model;
    use crate::memory::{PlanOptions, plan};

    /// Whether a plan of these options fits so many of a GPU.
    fn planned<'a>(model: &'a Model, options: &'a PlanOptions) -> impl Fn(&Gpu, u32) -> bool + 'a {
        move |gpu, tensor_parallel| plan(model, gpu, &PlanOptions { tensor_parallel, ..options.clone() }).is_ok()
    }

    #[test]
    fn the_cheapest_fits_and_nothing_cheaper_does() {
        let c = Catalog::embedded();
        let options = PlanOptions::default();
        for m in &c.models {
            let fits = planned(m, &options);
            let Some(best) = cheapest(c, &fits) else { continue };
            assert!(offered(best.rent), "{}: a price that nobody can have today", m.id);
            assert!(fits(best.gpu, best.tensor_parallel), "{}: {best}", m.id);
            for rent in c.rents.iter().filter(|r| offered(r)) {
                for tp in [1, 2, 4, 8] {
                    let cheaper = rent.usd_per_gpu_hour.0 * i128::from(tp) < best.usd_per_hour.0;
                    let gpu = c.gpu(&rent.gpu).unwrap();
                    assert!(!cheaper || !fits(gpu, tp), "{}: {tp} x {} beats {best}", m.id, gpu.id);
                }
            }
        }
    }

    #[test]
    fn an_offer_says_provider_price_and_date() {
        let c = Catalog::embedded();
        let usual = PlanOptions::default();
        let best = cheapest(c, &planned(c.model("llama-3.1-70b").unwrap(), &usual)).unwrap().to_string();
        assert!(best.contains(" x ") && best.contains("US$ ") && best.contains("on-demand"), "{best}");
        assert!(best.contains("202"), "a date: {best}");
        // Kimi K2 in BF16 is 1.87 TiB: no rented server holds it.
        let kimi = c.model("kimi-k2").unwrap();
        assert_eq!(cheapest(c, &planned(kimi, &usual)), None);
        assert!(without_rent(c, &planned(kimi, &usual)).is_some());
        let nowhere = PlanOptions { utilization: 0.05, ..PlanOptions::default() };
        let says = advice(c, c.gpu("l4").unwrap(), &planned(kimi, &nowhere));
        assert!(says.starts_with("no GPU of the catalogue would fit it; lower max_model_len"), "{says}");
    }
}
