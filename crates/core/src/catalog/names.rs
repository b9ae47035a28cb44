//! What a name means: ids, names at Hugging Face in any case and with any owner, names that data sets use.
//!
//! Imports only `types`. Must keep true: this is the only rule by which names of models and GPUs are matched; the words
//! that it leaves out of a model's name are rows of `data/names.toml`; no two embedded rows answer to one name.
//!
//! A model's name loses its owner (`meta-llama/`) and is cut into words at `-` and `_`; words that say how weights are
//! stored (`FP8`, `AWQ`) or what the model was trained on last (`Instruct`) are taken out; what is left must be what is
//! left of an id, a name at Hugging Face or another name of a row. A GPU's name is a set of words.
use super::nearest::hint;
use super::{Catalog, CatalogError, Gpu, Model};

/// A model as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedModel<'a> {
    /// The catalogue's row of that model.
    pub row: &'a Model,
    /// How its weights are stored, by its name or its row; what is assumed of a model unless it says otherwise if none.
    pub weights: Option<&'a str>,
    /// Whether the name is the row's own: its id, or its name at Hugging Face.
    pub own_name: bool,
}

impl NamedModel<'_> {
    /// What `name` was taken for, in words, where it is not the row's own name.
    pub fn note(&self, name: &str) -> Option<String> {
        let as_it_says = self.weights.map_or_else(String::new, |w| format!(" with weights in {w}"));
        (!self.own_name).then(|| format!("`{name}` is taken for {}{as_it_says}", self.row.id))
    }
}

/// The words of a name of a GPU.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> =
        name.to_lowercase().split(|c: char| !c.is_ascii_alphanumeric()).map(String::from).collect();
    words.retain(|w| !w.is_empty());
    words.sort_unstable();
    words.dedup();
    words
}

impl Gpu {
    /// Every name it answers to, in words; its vendor's is none of them.
    pub(super) fn names(&self) -> impl Iterator<Item = Vec<String>> + '_ {
        let all = [&self.id, &self.name].into_iter().chain(&self.also);
        all.map(|n| words(n)).map(|mut w| {
            w.retain(|word| *word != self.vendor);
            w
        })
    }
}

impl Model {
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        [&self.id, &self.hf_id].into_iter().chain(&self.also).filter(|n| !n.is_empty())
    }
}

impl Catalog {
    /// The model that `name` means: its row, and how its weights are stored.
    ///
    /// # Errors
    /// [`CatalogError::Unknown`] with the nearest name.
    pub fn model_named(&self, name: &str) -> Result<NamedModel<'_>, CatalogError> {
        let of_row = |row| NamedModel { row, weights: row.weights.as_deref(), own_name: true };
        if let Some(row) = self.models.iter().find(|r| r.id == name) {
            return Ok(of_row(row));
        }
        let (shape, weights) = self.shape(name);
        // Rows of a user's own stand behind the embedded ones and are meant first.
        let found = self.models.iter().rev().find(|r| r.names().any(|n| self.shape(n).0 == shape));
        match found {
            Some(row) if row.hf_id.eq_ignore_ascii_case(name) || row.id.eq_ignore_ascii_case(name) => Ok(of_row(row)),
            Some(row) => Ok(NamedModel { row, weights: weights.or(row.weights.as_deref()), own_name: false }),
            None => {
                let ids = || self.models.iter().map(|r| r.id.as_str());
                // A name that begins as one does and goes on is nearer to it than its length tells.
                let begun = ids().filter(|id| shape.strip_prefix(*id).is_some_and(|rest| rest.starts_with('-')));
                let near = begun.max_by_key(|id| id.len()).unwrap_or(&shape);
                let hint = hint(near, ids(), "baseload catalog models");
                Err(CatalogError::Unknown { what: "model", name: name.to_owned(), hint })
            }
        }
    }

    /// A model's name without its owner and without the words that do not say its shape; and the format of the weights
    /// that the first of those tells that tells one.
    fn shape(&self, name: &str) -> (String, Option<&str>) {
        let (owner, bare) = name.rsplit_once('/').map_or(("", name), |(owner, bare)| (owner, bare));
        let mut left = format!("-{}-", bare.to_lowercase().replace('_', "-"));
        let mut weights = None;
        for row in &self.name_words {
            if row.owner.as_deref().is_some_and(|o| !o.eq_ignore_ascii_case(owner)) {
                continue;
            }
            for word in &row.words {
                // A name that is nothing but such words keeps them.
                while let Some(at) = left.find(&format!("-{word}-")).filter(|_| left.len() > word.len() + 2) {
                    left.replace_range(at..at + word.len() + 1, "");
                    weights = weights.or(row.weights.as_deref());
                }
            }
        }
        (left.trim_matches('-').to_owned(), weights)
    }

    /// The GPU `name`: its id, the vendor's name or another of its row, in any case.
    ///
    /// # Errors
    /// [`CatalogError::Unknown`] with the nearest id.
    pub fn gpu(&self, name: &str) -> Result<&Gpu, CatalogError> {
        if let Some(row) = self.gpus.iter().find(|r| r.id == name) {
            return Ok(row);
        }
        let wanted = words(name);
        let same = |row: &&Gpu| {
            let asked: Vec<&String> = wanted.iter().filter(|w| **w != row.vendor).collect();
            row.names().any(|n| n.iter().eq(asked.iter().copied()))
        };
        self.gpus.iter().rev().find(same).ok_or_else(|| CatalogError::Unknown {
            what: "GPU",
            name: name.to_owned(),
            hint: hint(name, self.gpus.iter().map(|r| r.id.as_str()), "baseload catalog gpus"),
        })
    }

    /// The GPU that a text speaks of, such as the name of a file: the row one of whose names has all its words in there,
    /// and most of them; the first such row.
    pub fn gpu_in(&self, text: &str) -> Option<&Gpu> {
        let there = words(text);
        let fits = |row: &Gpu| row.names().filter(|n| n.iter().all(|w| there.contains(w))).map(|n| n.len()).max();
        let mut best: Option<(usize, &Gpu)> = None;
        for row in &self.gpus {
            if let Some(n) = fits(row).filter(|n| best.is_none_or(|(most, _)| *n > most)) {
                best = Some((n, row));
            }
        }
        best.map(|(_, row)| row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_at_hugging_face_find_their_row_and_their_format() {
        let c = Catalog::embedded();
        for (name, id, weights) in [
            ("llama-3.1-8b", "llama-3.1-8b", None),
            ("LLAMA-3.1-8B", "llama-3.1-8b", None),
            ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b", None),
            ("meta-llama/meta-llama-3.1-8b", "llama-3.1-8b", None),
            ("RedHatAI/Meta-Llama-3.1-70B-Instruct-FP8", "llama-3.1-70b", Some("fp8")),
            ("RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic", "llama-3.1-8b", Some("fp8")),
            ("hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4", "llama-3.1-70b", Some("int4")),
            ("RedHatAI/Meta-Llama-3.1-70B-Instruct-quantized.w4a16", "llama-3.1-70b", Some("int4")),
            ("RedHatAI/Llama-3.3-70B-Instruct-quantized.w8a8", "llama-3.3-70b", Some("int8")),
            ("TheBloke/Llama-2-7B-Chat-GPTQ", "llama-2-7b", Some("int4")),
            ("Qwen/Qwen2.5-72B-Instruct-GPTQ-Int4", "qwen2.5-72b", Some("int4")),
            ("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", "qwen3-235b-a22b", Some("fp8-block")),
            ("RedHatAI/Qwen3-32B-FP8-dynamic", "qwen3-32b", Some("fp8")),
            ("Qwen/Qwen3-30B-A3B-Thinking-2507", "qwen3-30b-a3b", None),
            ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mixtral-8x7b", None),
            ("deepseek-ai/DeepSeek-R1", "deepseek-v3", None),
            ("nvidia/DeepSeek-R1-NVFP4", "deepseek-v3", Some("nvfp4")),
            ("unsloth/gpt-oss-20b-BF16", "gpt-oss-20b", Some("bf16")),
            ("google/gemma-3-27b-it", "gemma-3-27b", None),
            // Names of data sets.
            ("meta-llama/Llama-3.1-70B", "llama-3.1-70b", None),
            ("mistralai/Mistral-7B-v0.1", "mistral-7b-v0.3", None),
            ("meta-llama/Meta-Llama-3-8B", "llama-3-8b", None),
            ("llama2-70b", "llama-2-70b", None),
            ("Qwen/Qwen2-7B", "qwen2.5-7b", None),
            ("meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8", "llama-4-maverick", Some("fp8")),
        ] {
            let named = c.model_named(name).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!((named.row.id.as_str(), named.weights), (id, weights), "{name}");
        }
        let note = |name: &str| c.model_named(name).unwrap().note(name);
        assert_eq!(note("Meta-Llama/llama-3.1-8b-instruct"), None);
        assert_eq!(
            note("RedHatAI/Qwen3-32B-FP8-dynamic").as_deref(),
            Some("`RedHatAI/Qwen3-32B-FP8-dynamic` is taken for qwen3-32b with weights in fp8")
        );
        for (name, near) in [
            ("meta-llama/Llama-3.1-8BB-Instruct", "did you mean `llama-3.1-8b`?"),
            ("meta-llama/Llama-3.1-8B-Instrukt", "did you mean `llama-3.1-8b`?"),
            ("codellama/CodeLlama-34b-Instruct-hf", "`baseload catalog models` lists"),
            ("", "`baseload catalog models` lists"),
            ("FP8", "`baseload catalog models` lists"),
        ] {
            let says = c.model_named(name).unwrap_err().to_string();
            assert!(says.starts_with(&format!("unknown model `{name}`")) && says.contains(near), "{says}");
        }
    }

    #[test]
    fn every_row_answers_to_its_own_names_and_no_name_to_two_rows() {
        let c = Catalog::embedded();
        for m in &c.models {
            for name in m.names() {
                assert_eq!(c.model_named(name).unwrap().row.id, m.id, "{name}");
                let others = c.models.iter().filter(|o| o.id != m.id);
                assert!(others.flat_map(Model::names).all(|o| c.shape(o).0 != c.shape(name).0), "{name}");
            }
        }
        for g in &c.gpus {
            for name in [&g.id, &g.name].into_iter().chain(&g.also) {
                assert_eq!(c.gpu(name).unwrap().id, g.id, "{name}");
                assert_eq!(c.gpu_in(name).unwrap().id, g.id, "{name}");
            }
        }
    }

    #[test]
    fn gpus_are_found_in_any_case_and_in_texts() {
        let c = Catalog::embedded();
        for (name, id) in [
            ("h100_sxm", "h100-sxm"),
            ("H100", "h100-sxm"),
            ("NVIDIA H100 80GB HBM3", "h100-sxm"),
            ("a100-80gb", "a100-80-sxm"),
            ("NVIDIA A100-SXM4-40GB", "a100-40-sxm"),
            ("L40S", "l40s"),
            ("AMD MI300X", "mi300x"),
        ] {
            assert_eq!(c.gpu(name).map(|g| g.id.as_str()).ok(), Some(id), "{name}");
            assert_eq!(c.gpu_in(name).map(|g| g.id.as_str()), Some(id), "{name}");
        }
        for (text, id) in
            [("Nvidia A100 GPU", "a100-80-sxm"), ("vllm023_qwen3-14b_h100_sweep_rate_agg_4rps.csv.gz", "h100-sxm")]
        {
            assert_eq!(c.gpu_in(text).map(|g| g.id.as_str()), Some(id), "{text}");
            assert!(c.gpu(text).is_err(), "a text that holds a name is no name: {text}");
        }
        assert_eq!(c.gpu_in("TPU v5"), None);
        let says = c.gpu("h100-smx").unwrap_err().to_string();
        assert_eq!(says, "unknown GPU `h100-smx`; did you mean `h100-sxm`? `baseload catalog gpus` lists them");
    }
}
