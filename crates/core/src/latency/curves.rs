//! How near to its peaks a GPU comes: the numbers behind the analytic step time.
//!
//! Imports `catalog`, `memory`. Must keep true: every GPU of the embedded tables has curves (its own or borrowed ones); fitted numbers live in
//! `catalog/data/step_times.toml`, and constants here are of structure or stated assumptions, the same for all GPUs.
use super::LatencyError;
use crate::catalog::{Catalog, Gpu, NUMBERS, StepTimeRow};
use crate::memory::WeightsDtype;

/// Launching one layer of a mixed step between its graphs, seconds. Assumption (three or four launches of about 10 us
/// from Python).
const PIECEWISE_LAYER_S: f64 = 40e-6;
/// Launching one compiled layer without a graph, seconds. Assumption (about ten launches of about 10 us).
const COMPILED_LAYER_S: f64 = 100e-6;
/// Launching one layer of an engine that neither compiles nor captures, seconds: Llama-2-70B decodes in 43-46 ms a
/// token on 4 and on 8 A100 alike, 80 layers (Splitwise's static batches; the GPU's own part is 18-30 ms).
const EAGER_LAYER_S: f64 = 540e-6;
/// An all-reduce over PCIe takes as much longer to start than one over NVLink; for a GPU that borrows. Assumption.
const PCIE_LATENCY_FACTOR: f64 = 4.0;
/// Kernels of a layer of experts, in launches of a product: routing, sorting, two grouped products, activation, sum.
const EXPERT_LAUNCHES: f64 = 8.0;

/// Matrix products of one number format.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProductCurve {
    /// Share of peak bandwidth.
    pub memory_share: f64,
    /// Share of peak compute.
    pub compute_share: f64,
    /// Fixed part of one product (of one layer for experts), seconds.
    pub launch_s: f64,
}

/// The name of a number that a user's rows do not say, and the GPU whose row in the catalogue it is from.
pub type Borrowed = (&'static str, String);

/// All that the analytic step time is fitted by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curves {
    /// Products in BF16: output head and router, whatever the weights are; its memory share is also attention's.
    pub bf16: ProductCurve,
    /// Products of attention and dense FFN.
    pub linear: ProductCurve,
    /// Routed experts.
    pub expert: ProductCurve,
    /// Share of peak BF16 compute of prefill attention.
    pub attention_compute_share: f64,
    /// Keys more that each query costs.
    pub attention_row_tokens: f64,
    /// Fixed part of one attention kernel, seconds.
    pub attention_launch_s: f64,
    /// Fixed part of one all-reduce, seconds.
    pub all_reduce_latency_s: f64,
    /// Share of peak link bandwidth, taken as a ring.
    pub link_share: f64,
    /// Fixed part of a layer beside its kernels, seconds.
    pub layer_overhead_s: f64,
    /// Host path of a step, seconds.
    pub host_step_s: f64,
    /// Host path for each sequence of a step, seconds.
    pub host_sequence_s: f64,
    /// Launching one layer of a mixed step between its graphs, seconds.
    pub piecewise_layer_s: f64,
    /// Launching one layer above the largest graph, seconds.
    pub compiled_layer_s: f64,
    /// Launching one layer of an engine that captured no graph at all, seconds.
    pub eager_layer_s: f64,
}

impl Curves {
    /// The catalogue's curves for `gpu` with weights of `dtype`.
    ///
    /// # Errors
    /// A catalogue whose BF16 row lacks a number.
    pub fn of(catalog: &Catalog, gpu: &Gpu, dtype: WeightsDtype) -> Result<Curves, LatencyError> {
        let base = Curves::base(catalog, gpu)?;
        let own = catalog.step_time(&gpu.id, dtype.name()).unwrap_or(base);
        Curves::from_rows(catalog, gpu, base, own)
    }

    /// The BF16 row of a GPU, its own or the one that it borrows.
    fn base<'a>(catalog: &'a Catalog, gpu: &Gpu) -> Result<&'a StepTimeRow, LatencyError> {
        catalog.step_time(&gpu.id, "bf16").ok_or_else(|| LatencyError::Unknown(gpu.id.clone()))
    }

    /// The catalogue's curves for `gpu` with weights of `dtype` under the numbers of `rows`, which are of this GPU; and
    /// the names of those that `rows` say nothing of, with the GPU whose row in the catalogue they are from.
    ///
    /// # Errors
    /// A number that makes no sense, by its name.
    pub fn under(
        catalog: &Catalog,
        gpu: &Gpu,
        dtype: WeightsDtype,
        rows: &[StepTimeRow],
    ) -> Result<(Curves, Vec<Borrowed>), LatencyError> {
        let base = Curves::base(catalog, gpu)?;
        let given = |dtype: WeightsDtype| rows.iter().find(|r| r.dtype == dtype.name());
        let laid = |own: Option<&StepTimeRow>, under: &StepTimeRow| {
            own.map_or_else(
                || under.clone(),
                |row| {
                    let gpu = if row.all_reduce_latency_us.is_some() { &row.gpu } else { &under.gpu };
                    // The row's GPU is asked for only where the latency of an all-reduce is borrowed.
                    StepTimeRow { gpu: gpu.clone(), ..row.over(under) }
                },
            )
        };
        let base_row = laid(given(WeightsDtype::Bf16), base);
        let own = match (catalog.step_time(&gpu.id, dtype.name()), given(dtype)) {
            _ if dtype == WeightsDtype::Bf16 => base_row.clone(),
            (Some(row), own) => laid(own, row),
            (None, Some(own)) => own.clone(),
            (None, None) => base_row.clone(),
        };
        let curves = Curves::from_rows(catalog, gpu, &base_row, &own)?;
        curves.check()?;
        let said: Vec<[Option<f64>; 14]> =
            [given(WeightsDtype::Bf16), given(dtype)].into_iter().flatten().map(StepTimeRow::numbers).collect();
        let of_catalog = base.numbers();
        let borrowed = NUMBERS.iter().enumerate().filter(|(i, _)| said.iter().all(|n| n[*i].is_none()));
        let borrowed = borrowed.filter(|(i, _)| of_catalog[*i].is_some()).map(|(_, name)| (*name, base.gpu.clone()));
        Ok((curves, borrowed.collect()))
    }

    /// Curves of a BF16 row and the row of the weights' format, which may be the same.
    ///
    /// # Errors
    /// The name of a number that `base` lacks.
    pub fn from_rows(
        catalog: &Catalog,
        gpu: &Gpu,
        base: &StepTimeRow,
        own: &StepTimeRow,
    ) -> Result<Curves, LatencyError> {
        let need = |name: &str, value: Option<f64>| {
            value.ok_or_else(|| LatencyError::Options(format!("step times of {}, bf16: no {name}", base.gpu)))
        };
        let micro = |name: &str, value: Option<f64>| need(name, value).map(|us| us * 1e-6);
        let bf16 = ProductCurve {
            memory_share: need("memory_share", base.memory_share)?,
            compute_share: need("linear_compute_share", base.linear_compute_share)?,
            launch_s: micro("linear_launch_us", base.linear_launch_us)?,
        };
        let linear = ProductCurve {
            memory_share: own.memory_share.unwrap_or(bf16.memory_share),
            compute_share: own.linear_compute_share.unwrap_or(bf16.compute_share),
            launch_s: own.linear_launch_us.map_or(bf16.launch_s, |us| us * 1e-6),
        };
        let expert = ProductCurve {
            memory_share: own.expert_memory_share.unwrap_or(linear.memory_share),
            compute_share: need("expert_compute_share", own.expert_compute_share.or(base.expert_compute_share))?,
            launch_s: own.expert_launch_us.map_or(EXPERT_LAUNCHES * linear.launch_s, |us| us * 1e-6),
        };
        let slower = if gpu.scale_up_tech == "PCIe" && base.gpu != gpu.id && !base_is_pcie(catalog, base) {
            PCIE_LATENCY_FACTOR
        } else {
            1.0
        };
        Ok(Curves {
            bf16,
            linear,
            expert,
            attention_compute_share: need("attention_compute_share", base.attention_compute_share)?,
            attention_row_tokens: need("attention_row_tokens", base.attention_row_tokens)?,
            attention_launch_s: micro("attention_launch_us", base.attention_launch_us)?,
            all_reduce_latency_s: micro("all_reduce_latency_us", base.all_reduce_latency_us)? * slower,
            link_share: need("link_share", base.link_share)?,
            layer_overhead_s: micro("layer_overhead_us", base.layer_overhead_us)?,
            host_step_s: micro("host_step_us", base.host_step_us)?,
            host_sequence_s: micro("host_sequence_us", base.host_sequence_us)?,
            piecewise_layer_s: PIECEWISE_LAYER_S,
            compiled_layer_s: COMPILED_LAYER_S,
            eager_layer_s: EAGER_LAYER_S,
        })
    }

    /// What makes no sense, if anything.
    pub(super) fn check(&self) -> Result<(), LatencyError> {
        let refuse = |name: &str, value: f64, range: &str| {
            Err(LatencyError::Options(format!("{name} = {value} is not {range}")))
        };
        let shares = [
            ("bf16.memory_share", self.bf16.memory_share),
            ("bf16.compute_share", self.bf16.compute_share),
            ("linear.memory_share", self.linear.memory_share),
            ("linear.compute_share", self.linear.compute_share),
            ("expert.memory_share", self.expert.memory_share),
            ("expert.compute_share", self.expert.compute_share),
            ("attention_compute_share", self.attention_compute_share),
        ];
        for (name, share) in shares {
            if !(share > 0.0 && share <= 1.5) {
                return refuse(name, share, "a share above 0 and up to 1.5");
            }
        }
        if !(self.link_share > 0.0 && self.link_share <= 4.0) {
            return refuse("link_share", self.link_share, "above 0 and up to 4");
        }
        if !(0.0..100_000.0).contains(&self.attention_row_tokens) {
            return refuse("attention_row_tokens", self.attention_row_tokens, "between 0 and 100,000");
        }
        for (name, seconds) in [
            ("bf16.launch_s", self.bf16.launch_s),
            ("linear.launch_s", self.linear.launch_s),
            ("expert.launch_s", self.expert.launch_s),
            ("attention_launch_s", self.attention_launch_s),
            ("all_reduce_latency_s", self.all_reduce_latency_s),
            ("layer_overhead_s", self.layer_overhead_s),
            ("host_step_s", self.host_step_s),
            ("host_sequence_s", self.host_sequence_s),
            ("piecewise_layer_s", self.piecewise_layer_s),
            ("compiled_layer_s", self.compiled_layer_s),
            ("eager_layer_s", self.eager_layer_s),
        ] {
            if !(0.0..1.0).contains(&seconds) {
                return refuse(name, seconds, "between 0 and 1 seconds");
            }
        }
        Ok(())
    }
}

fn base_is_pcie(catalog: &Catalog, base: &StepTimeRow) -> bool {
    catalog.gpu(&base.gpu).is_ok_and(|g| g.scale_up_tech == "PCIe")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gpu_has_sane_curves_for_every_format() {
        for gpu in &Catalog::embedded().gpus {
            for dtype in WeightsDtype::ALL {
                Curves::of(Catalog::embedded(), gpu, dtype).unwrap().check().unwrap();
                assert_eq!(WeightsDtype::parse(dtype.name()), Some(dtype));
            }
        }
    }

    #[test]
    fn a_borrower_is_slower_to_start_an_all_reduce_over_pcie_and_a_stranger_has_no_curves() {
        let c = Catalog::embedded();
        let latency = |id: &str| Curves::of(c, c.gpu(id).unwrap(), WeightsDtype::Bf16).unwrap().all_reduce_latency_s;
        assert_eq!(latency("h200-sxm"), latency("h100-sxm"));
        assert_eq!(latency("h100-pcie"), 4.0 * latency("h100-sxm"));
        assert_eq!(latency("rtx-pro-6000"), latency("l40s"));
        let stranger = Gpu { id: "b9000".to_owned(), ..c.gpu("h100-sxm").unwrap().clone() };
        let says = Curves::of(c, &stranger, WeightsDtype::Fp8).unwrap_err().to_string();
        assert!(says.starts_with("no step times of b9000 are known; give it `like = \"GPU\"`"), "{says}");
    }

    #[test]
    fn rows_lie_over_the_catalogue_and_what_they_do_not_say_is_named() {
        let c = Catalog::embedded();
        let a100 = c.gpu("a100-80-sxm").unwrap();
        let plain = Curves::of(c, a100, WeightsDtype::Bf16).unwrap();
        let row = StepTimeRow {
            gpu: "a100-80-sxm".into(),
            dtype: "bf16".into(),
            memory_share: Some(0.8),
            ..StepTimeRow::default()
        };
        let (laid, borrowed) = Curves::under(c, a100, WeightsDtype::Bf16, std::slice::from_ref(&row)).unwrap();
        let want = ProductCurve { memory_share: 0.8, ..plain.bf16 };
        assert_eq!((laid.bf16, laid.linear), (want, want));
        assert_eq!(Curves { bf16: plain.bf16, linear: plain.linear, expert: plain.expert, ..laid }, plain);
        assert!(!borrowed.iter().any(|b| b.0 == "memory_share"), "{borrowed:?}");
        assert!(borrowed.contains(&("host_step_us", "a100-80-sxm".to_owned())), "{borrowed:?}");
        // The catalogue's own row of a format stays, and a GPU over PCIe that borrows a latency is slower still.
        let h100 = StepTimeRow { gpu: "h100-pcie".into(), ..row.clone() };
        let pcie = c.gpu("h100-pcie").unwrap();
        let (laid, _) = Curves::under(c, pcie, WeightsDtype::Fp8, std::slice::from_ref(&h100)).unwrap();
        let plain = Curves::of(c, pcie, WeightsDtype::Fp8).unwrap();
        assert_eq!((laid.linear, laid.all_reduce_latency_s), (plain.linear, plain.all_reduce_latency_s));
        assert_eq!(laid.bf16.memory_share, 0.8);
        let own = StepTimeRow { all_reduce_latency_us: Some(7.0), ..h100 };
        assert_eq!(Curves::under(c, pcie, WeightsDtype::Bf16, &[own]).unwrap().0.all_reduce_latency_s, 7e-6);
        let wrong = StepTimeRow { memory_share: Some(3.0), ..row };
        let e = Curves::under(c, a100, WeightsDtype::Bf16, &[wrong]).unwrap_err().to_string();
        assert!(e.starts_with("bf16.memory_share = 3 is not a share"), "{e}");
    }

    #[test]
    fn a_row_without_a_number_is_refused_by_its_name() {
        let c = Catalog::embedded();
        let gpu = c.gpu("h100-sxm").unwrap();
        let row = StepTimeRow { gpu: "h100-sxm".to_owned(), ..StepTimeRow::default() };
        let e = Curves::from_rows(c, gpu, &row, &row).unwrap_err().to_string();
        assert_eq!(e, "step times of h100-sxm, bf16: no memory_share");
    }
}
