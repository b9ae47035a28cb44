//! Files of a user's own: what they add, what they contradict, and what is refused.
use super::*;
use crate::types::Capability;

fn laid(files: &[(&str, &str)]) -> Result<Laid, Vec<CatalogFault>> {
    let files: Vec<CatalogText<'_>> = files.iter().map(|(name, text)| CatalogText { name, text }).collect();
    Catalog::embedded().laid_over(&files)
}

/// What is wrong with `files`, a line each.
fn refused(files: &[(&str, &str)]) -> String {
    let shown = |f: CatalogFault| format!("{}: {}", files[f.file].0, f.fault);
    laid(files).unwrap_err().into_iter().map(shown).collect::<Vec<_>>().join("\n")
}

const GPU: &str = "[[gpu]]\nid = \"mine\"\nmemory_total_gib = 94\nmem_bw_gbps = 3900\nlike = \"h100-sxm\"\n";

#[test]
fn a_model_needs_its_dimensions_alone() {
    let text = "[[model]]\nid = \"my-8b\"\nhf_id = \"us/My-8B\"\nlayers = 32\nhidden = 4096\nheads = 32\nkv_heads = 8\n\
                ffn = 14336\nvocab = 128256\nmax_context = 131072\ncapability = \"mid\"\nweights = \"fp8\"\n";
    let laid = laid(&[("ours.toml", text)]).unwrap();
    let (own, like) = (laid.catalog.model("my-8b").unwrap(), laid.catalog.model("llama-3.1-8b").unwrap());
    assert_eq!((own.params_total, own.head_dim, own.dense_layers), (like.params_total, 128, 32));
    assert_eq!((own.attention.as_str(), own.full_attention_layers), ("gqa", 32));
    assert_eq!(own.kv_bytes_per_token_bf16_all_layers, like.kv_bytes_per_token_bf16_all_layers);
    assert_eq!((own.capability(), own.source.as_str(), own.date.as_str()), (Capability::Mid, "ours.toml", "undated"));
    let named = laid.catalog.model_named("someone/my-8b-instruct").unwrap();
    assert_eq!((named.row.id.as_str(), named.weights), ("my-8b", Some("fp8")));
    assert!(laid.notes.is_empty(), "{:?}", laid.notes);
}

#[test]
fn a_gpu_borrows_from_the_one_that_it_is_like_and_says_so() {
    let laid = laid(&[("ours.toml", GPU)]).unwrap();
    let (own, like) = (laid.catalog.gpu("mine").unwrap(), laid.catalog.gpu("h100-sxm").unwrap());
    assert_eq!((own.mem_bw_gbps, own.bf16_tflops_dense), (3_900.0, like.bf16_tflops_dense));
    assert_eq!((own.scale_up_domain_gpus, own.name.as_str()), (8, "mine"));
    assert_eq!(laid.catalog.step_time("mine", "fp8"), laid.catalog.step_time("h100-sxm", "fp8"));
    let note = &laid.notes[0];
    assert!(
        note.starts_with("ours.toml:1: gpu mine: borrowed from h100-sxm, whose they are: bf16_tflops_dense, "),
        "{note}"
    );
    assert!(note.ends_with("its step times") && note.contains("scale_up_gbps_unidirectional"), "{note}");
    // Step times of its own lie over the borrowed ones.
    let own = format!("{GPU}[[step_time]]\ngpu = \"mine\"\ndtype = \"bf16\"\nmemory_share = 0.5\n");
    let laid = self::laid(&[("ours.toml", &own)]).unwrap();
    let (row, h100) =
        (laid.catalog.step_time("mine", "bf16").unwrap(), laid.catalog.step_time("h100-sxm", "bf16").unwrap());
    assert_eq!((row.memory_share, row.host_step_us), (Some(0.5), h100.host_step_us));
    assert!(laid.notes[0].ends_with("what its step times do not say"), "{:?}", laid.notes);
    assert!(laid.catalog.step_time("mine", "mxfp4").is_some());
}

#[test]
fn a_users_row_counts_and_what_it_contradicts_is_said() {
    let rent = "[[gpu_price]]\ngpu = \"h100-sxm\"\nprovider = \"AWS\"\nkind = \"on-demand\"\nusd_per_gpu_hour = 2\n";
    let people = "[[ops_cost]]\nkey = \"ml_infra_engineer_loaded_us\"\ntypical = 150000\nunit = \"USD/year\"\n";
    let laid = laid(&[("ours.toml", &format!("{rent}{people}"))]).unwrap();
    assert_eq!(laid.catalog.rents.len(), 45);
    assert_eq!(laid.catalog.rent("h100-sxm", "AWS", "on-demand").unwrap().usd_per_gpu_hour.as_f64(), 2.0);
    let cost = laid.catalog.ops("ml_infra_engineer_loaded_us").unwrap();
    assert_eq!([cost.low, cost.typical, cost.high], [150_000.0; 3]);
    let want = "ours.toml:1: gpu_price h100-sxm, AWS, on-demand differs from the catalogue's, and counts: \
                usd_per_gpu_hour is 2.0 in place of 6.88";
    assert_eq!(laid.notes[0], want);
    assert_eq!(laid.notes.len(), 2);
    // A row that says the same is no contradiction.
    let same = rent.replace("= 2\n", "= 6.88\n");
    assert!(self::laid(&[("ours.toml", &same)]).unwrap().notes.is_empty());
}

#[test]
fn two_files_that_disagree_are_refused_whatever_their_order() {
    let other = GPU.replace("3900", "4000");
    let says = refused(&[("a.toml", GPU), ("b.toml", &other)]);
    let want = "b.toml: gpu[0]: `mine` is defined otherwise in a.toml:1: mem_bw_gbps is 4000.0 here and 3900.0 there; keep \
                one of the two";
    assert_eq!(says, want);
    assert!(refused(&[("b.toml", &other), ("a.toml", GPU)]).contains("is defined otherwise in b.toml:1"));
    assert!(laid(&[("a.toml", GPU), ("b.toml", GPU)]).is_ok(), "the same twice is one");
    let twice = format!("{GPU}{GPU}");
    assert_eq!(refused(&[("a.toml", &twice)]), "a.toml: gpu[1]: `mine` stands twice; the first is a.toml:1");
}

#[test]
fn all_faults_of_all_files_come_at_once() {
    let bad = "[[gpu]]\nid = \"mine\"\nbf16_tflops_dense = 9\nscale_up_gbps_unidirectional = 1\nscale_up_domain_gpus = 0\n\
               [[gpu]]\nid = \"other\"\nlike = \"h100-smx\"\nmemory_total_gib = -1\nmem_bw_gbps = 1\n\
               [[model]]\nid = \"m\"\nlayers = 2\n[[modle]]\n[[api_latency]]\nprovider = \"us\"\nmodel = \"x\"\nttft_p50_s = 1\n\
               output_tokens_per_s = 9\np95_over_p50 = 0.5\nerror_rate = 0\n";
    let says = refused(&[("bad.toml", bad), ("worse.toml", "[[gpu_price]\n")]);
    for words in [
        "bad.toml: modle: the catalogue has no such table; did you mean [[model]]?",
        "bad.toml: gpu[0]: memory_total_gib is missing (Memory that the runtime reports",
        "bad.toml: gpu[0]: mem_bw_gbps is missing (Peak memory bandwidth, 10^9 bytes/s)",
        "bad.toml: gpu[1].like: unknown GPU `h100-smx`; did you mean `h100-sxm`?",
        "bad.toml: gpu[1]: bf16_tflops_dense is missing",
        "bad.toml: model[0]: hidden is missing",
        "bad.toml: model[0]: max_context is missing",
        "bad.toml: api_latency[0].p95_over_p50: is 0.5; it must be from 1",
        "worse.toml: ",
    ] {
        assert!(says.contains(words), "{words}: {says}");
    }
    let names = "[[gpu_price]]\ngpu = \"h100-smx\"\nprovider = \"us\"\nkind = \"owned\"\nusd_per_gpu_hour = 1\n\
                 [[api_capability]]\nprovider = \"us\"\nmodel = \"x\"\ncapability = \"midd\"\n";
    let says = refused(&[("n.toml", names)]);
    assert!(says.contains("n.toml: gpu_price[0].gpu: unknown GPU `h100-smx`; did you mean"), "{says}");
    assert!(says.contains("n.toml: api_capability[0].capability: unknown value `midd`; did you mean `mid`?"), "{says}");
    assert!(refused(&[("e.toml", "")]).starts_with("e.toml: no rows; write each as one of a table"));
    assert!(refused(&[("t.toml", "gpu = 3\n")]).contains("gpu: is no list of rows; head each row with [[gpu]]"));
    let circle = "[[gpu]]\nid = \"h100-sxm\"\nlike = \"h100-sxm\"\n";
    assert!(refused(&[("c.toml", circle)]).contains("gpu[0].like: is the row itself"));
    let model = "[[model]]\nid = \"m\"\nlayers = 4\nhidden = 64\nheads = 8\nkv_heads = 3\nffn = 0\nvocab = 9\nmax_context = 9\n\
                 moe_layers = 2\nweights = \"int8\"\nwindow_layers = 2\n";
    let says = refused(&[("m.toml", model)]);
    for words in [
        "model[0].kv_heads: is 3; it must divide the 8 heads",
        "model[0].ffn: is 0; give it: 2 dense layers have an inner width",
        "model[0].moe_layers: is 2; give experts and moe_ffn",
        "model[0].experts_per_token: is 0; it must be from 1 to the 0 experts",
        "model[0].window_layers: is 2, and nothing says what they see; give window, or linear_state_bytes",
        "model[0].weights: is `int8`, which is not modelled; it may be bf16, fp8",
    ] {
        assert!(says.contains(words), "{words}: {says}");
    }
}

const MODEL: &str = "[[model]]\nid = \"my-8b\"\nlayers = 32\nhidden = 4096\nheads = 32\nkv_heads = 8\nffn = 14336\n\
                     vocab = 128256\nmax_context = 131072\ncapability = \"mid\"\n";

#[test]
fn a_name_means_one_row_whatever_the_order_of_files() {
    let also = |id: &str, name: &str| format!("{}also = [\"{name}\"]\n", MODEL.replace("my-8b", id));
    let (one, two) = (also("one", "ours"), also("two", "Ours"));
    for files in [[("a", one.as_str()), ("b", two.as_str())], [("b", two.as_str()), ("a", one.as_str())]] {
        let says = refused(&files);
        assert!(says.contains("`one` answers to `ours`, and so does `two`"), "{says}");
        assert!(says.contains("`two` answers to `Ours`, and so does `one`"), "{says}");
    }
    let taken = refused(&[("a", &also("one", "llama-3.1-8b"))]);
    assert!(
        taken.contains("so does `llama-3.1-8b`") && taken.contains("give the row the id `llama-3.1-8b`"),
        "{taken}"
    );
    let gpu = refused(&[("a", &format!("{GPU}also = [\"NVIDIA H200\"]\n"))]);
    assert!(gpu.contains("a: gpu[0]: `mine` answers to `h200`"), "{gpu}");
    assert!(laid(&[("a", &also("one", "mine")), ("b", &also("two", "yours"))]).is_ok());
}

#[test]
fn dimensions_that_no_sum_was_made_for_are_refused_and_so_are_kv_bytes_that_contradict_them() {
    let huge = refused(&[("a", &MODEL.replace("4096", "4000000000").replace("14336", "4000000000"))]);
    assert!(huge.contains("model[0].hidden: is 4000000000; it must be at most 131072"), "{huge}");
    assert!(huge.contains("model[0].ffn: is 4000000000; it must be at most 1048576"), "{huge}");
    let kv = refused(&[("a", &format!("{MODEL}kv_bytes_per_token_bf16_all_layers = 65536\n"))]);
    assert!(kv.contains("is 65536; layers, kv_heads and head_dim make it 131072; leave it out"), "{kv}");
    assert!(laid(&[("a", &format!("{MODEL}kv_bytes_per_token_bf16_all_layers = 131072\n"))]).is_ok());
}

#[test]
fn models_are_far_from_the_bounds_of_dimensions_where_sums_do_not_overflow() {
    for m in &Catalog::embedded().models {
        let near = m.bounds().into_iter().find(|(_, is, most)| is.saturating_mul(4) > *most);
        assert_eq!(near, None, "{}", m.id);
    }
    let mut table = serde_json::to_value(Catalog::embedded().model("deepseek-v3").unwrap()).unwrap();
    for (key, _, most) in Catalog::embedded().model("deepseek-v3").unwrap().bounds() {
        table[key] = most.into();
    }
    for rank in [1u32 << 16, 0] {
        table["kv_lora_rank"] = rank.into();
        table["params_total"] = 0.into();
        table["kv_bytes_per_token_bf16_all_layers"] = 0.into();
        let mut largest: Model = serde_json::from_value(table.clone()).unwrap();
        largest.fill();
        assert!(largest.params_total > 1 << 55 && largest.kv_bytes_per_token_bf16_all_layers > 0);
    }
}

/// What is no TOML, what is no row, what is out of range and what contradicts itself, in one file: one round.
#[test]
fn faults_of_text_and_of_values_come_in_one_round() {
    let text = format!(
        "{}unknown_key = 1\n{}[[gpu]]\nid = \"odd\"\nlike = \"h100-sxm\"\nmemory_total_gib = -5\nmem_bw_gbps = \"fast\"\n\
         [[ops_cost]]\nkey = \"cake\"\ntypical = 1\nlow = 3\nunit = 4\n\
         [[gpu_price]]\ngpu = \"odd\"\nprovider = \"us\"\nkind = \"owned\"\nusd_per_gpu_hour = -1\n",
        MODEL.replace("kv_heads = 8", "kv_heads = 7").replace("heads = 32", "heads = 30"),
        MODEL.replace("my-8b", "my-9b").replace("kv_heads = 8\n", "").replace("vocab = 128256", "vocab = 0"),
    );
    let says = refused(&[("a", &text)]);
    for words in [
        "a: model[0].unknown_key: unknown key",
        "a: model[0].kv_heads: is 7; it must divide the 30 heads",
        "a: model[0].head_dim: is not given, and the 30 heads do not divide hidden, 4096",
        "a: model[1]: kv_heads is missing",
        "a: model[1].vocab: is 0; it must be at least 1",
        "a: gpu[0].memory_total_gib: is -5; it must be above 0",
        "a: gpu[0].mem_bw_gbps: it is the text \"fast\"; it must be a number",
        "a: ops_cost[0].unit: it is 4; it must be a text",
        "a: ops_cost[0].low: is 3; it must be from 0 to 1",
        "a: gpu_price[0].usd_per_gpu_hour: ",
    ] {
        assert!(says.contains(words), "{words}: {says}");
    }
    // Nothing that follows from a key that could not be read, and nothing of a row that is there.
    assert!(!says.contains("model[1].kv_heads") && !says.contains("gpu_price[0].gpu"), "{says}");
    assert_eq!(says.lines().count(), 10, "{says}");
    let torn = format!("[[gpu]]\nid = \"mine\"\nmem_bw_gbps = = 3\n{}", MODEL.replace("vocab = 128256", "vocab = 0"));
    let says = refused(&[("a", &torn)]);
    assert!(says.contains("a: model[0].vocab: is 0"), "{says}");
    assert!(!says.contains("mem_bw_gbps is missing"), "the line is there: {says}");
}

#[test]
fn what_cannot_be_is_refused_and_what_hardly_is_said() {
    let says = |more: &str| refused(&[("a", &format!("{MODEL}{more}\n"))]);
    for (more, words) in [
        ("experts = 8", "model[0].experts: is 8, and no layer has experts; give moe_layers"),
        ("experts_per_token = 2", "model[0].experts_per_token: is 2, and no layer has experts"),
        ("moe_ffn = 512", "model[0].moe_ffn: is 512, and no layer has experts"),
        ("shared_experts = 1", "model[0].shared_experts: is 1, and no layer has experts"),
        ("head_dim = 7", "model[0].head_dim: is 7; positions turn the elements of a head in pairs; give it: an even"),
        ("window = 4096", "model[0].window: is 4096, and no layer has one; give window_layers"),
        ("v_head_dim = 128", "model[0].v_head_dim: is 128, and there is no latent; give kv_lora_rank"),
        (
            "attention = \"gqa with windows\"",
            "model[0].attention: is `gqa with windows`; leave it out, or give mha, gqa",
        ),
        ("attention = \"mla\"", "model[0].attention: is `mla`; leave it out"),
    ] {
        assert!(says(more).contains(words), "{more}: {}", says(more));
    }
    let notes = |more: &str| laid(&[("a", &format!("{MODEL}{more}\n"))]).unwrap().notes;
    assert_eq!(notes("head_dim = 128"), Vec::<String>::new());
    for width in ["100", "512"] {
        let notes = notes(&format!("head_dim = {width}"));
        assert!(
            notes[0].starts_with(&format!("a:1: model my-8b: head_dim is {width}: attention kernels take")),
            "{notes:?}"
        );
    }
    for model in &Catalog::embedded().models {
        assert_eq!((model.nonsense(), model.unusual_dimensions()), (vec![], vec![]), "{}", model.id);
    }
}
