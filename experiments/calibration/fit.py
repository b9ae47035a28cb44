"""Fits and scores the numbers of crates/core/src/catalog/data/step_times.toml.

    python experiments/calibration/fit.py kernels   # shares and launches from kernel tables, held-out error
    python experiments/calibration/fit.py engine    # what engine runs add: prints the lines of step_times.toml
    python experiments/calibration/fit.py folds     # five folds by group, and each model left out
    python experiments/calibration/fit.py others    # shipped numbers on data that no fit has seen
    python experiments/calibration/fit.py vectors   # the figures that crates/core/src/latency/analytic_tests.rs repeats

Needs Python 3.11, numpy, scipy, pandas, pyarrow, numba, and $BASELOAD_DATA (default ../shared/data). Engine runs are
simulated here by a small scheduler of its own (chunked prefill, decode first, FCFS, recompute preemption), a second
opinion on the crate's; `baseload validate` scores with the crate's engines. Formulas: crates/core/src/latency/analytic.rs.
"""
import glob, json, math, os, sys, tomllib, zlib
import numpy as np, pandas as pd
from numba import njit
from scipy.optimize import least_squares
from scipy.stats import poisson

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DATA = os.environ.get("BASELOAD_DATA", os.path.join(ROOT, "../shared/data"))
toml = lambda name: tomllib.load(open(os.path.join(ROOT, "crates/core/src/catalog/data", name), "rb"))
MODEL = {m["id"]: m for m in toml("models.toml")["model"]}
GPU = {g["id"]: g for g in toml("gpus.toml")["gpu"]}
ROWS = toml("step_times.toml")["step_time"]
# Bytes of a linear weight, of an expert's weight, whether products are computed in 8 bits.
DTYPE = {"bf16": (2, 2, False), "fp8": (1, 1, True), "fp8-block": (1, 1, True), "mxfp4": (2, 0.53, False)}


def row_of(gpu, dtype):
    rows = [r for r in ROWS if r["dtype"] == dtype]
    own = [r for r in rows if r["gpu"] == gpu] + [r for r in rows if gpu in r.get("borrowed_by", [])]
    return own[0] if own else {}


def curves(gpu, dtype):
    """The numbers of Curves::of, seconds and shares."""
    base, own = row_of(gpu, "bf16"), row_of(gpu, dtype)
    c = {k: v for k, v in {**base, **own}.items() if isinstance(v, (int, float)) and k != "error"}
    c = {k[:-3] if k.endswith("_us") else k: v * 1e-6 if k.endswith("_us") else v for k, v in c.items()}
    b = {k[:-3] if k.endswith("_us") else k: v * 1e-6 if k.endswith("_us") else v for k, v in base.items() if isinstance(v, (int, float))}
    c["bf16"] = {k: b[k] for k in ("memory_share", "linear_compute_share", "linear_launch")}
    if GPU[gpu]["scale_up_tech"] == "PCIe" and GPU[base["gpu"]]["scale_up_tech"] != "PCIe":
        c["all_reduce_latency"] *= 4
    return c


def build(m, g, tp, c, dtype="bf16", ep=False, seqs=1024, longest=8400, budget=8192, graphs=True):
    """Everything a step needs: seconds of layers by tokens, of the head by rows, attention's rates."""
    wb, eb, eight = DTYPE[dtype]
    eight = eight and "fp8_tflops_dense" in g
    bw, link = g["mem_bw_gbps"] * 1e9, g["scale_up_gbps_unidirectional"] * 1e9
    p16 = g["bf16_tflops_dense"] * 1e12
    peak = g["fp8_tflops_dense"] * 1e12 if eight else p16
    H, nh, hd, L = m["hidden"], m["heads"], m["head_dim"], m["layers"]
    kv, n, b16 = max(1, m["kv_heads"] // tp), np.arange(longest + 1.0), c["bf16"]
    mem = bw * c["memory_share"]

    def linear(N, K, M=n, w=wb, q=eight, p=peak, k=c):
        bytes_ = N * K * w + M * (2 * N + (4 if q else 2) * K)
        return k["linear_launch"] + np.hypot(2 * M * N * K / (p * k["linear_compute_share"]), bytes_ / (bw * k["memory_share"]))

    rows = (nh // tp + 2 * kv) * hd
    out = L * (linear(rows, H) + linear(H, nh // tp * hd) + c["layer_overhead"] + c["attention_launch"] + n * 2 * (8 * H + 3 * rows) / mem)
    gated = lambda f: linear(2 * f / tp, H) + linear(H, f / tp) + n * 6 * f / tp / mem
    if m["dense_layers"]:
        out += m["dense_layers"] * gated(m["ffn"])
    if m["moe_layers"]:
        E, k, I = m["experts"], m["experts_per_token"], m["moe_ffn"]
        T = np.maximum(n, 1)
        held, visits, inner = k * T * E / (E + k * (T - 1)), T * k, I / tp
        if ep and tp > 1:
            mean = held / tp
            more = np.minimum(mean + np.sqrt(2 * mean * np.maximum(0, 1 - held / E) * math.log(tp)), E / tp) / mean
            held, visits, inner = held / tp * more, visits / tp * more, I
        bytes_ = held * 3 * H * inner * eb + visits * (2 * H + 4 * inner) * 2
        launch = c.get("expert_launch", 8 * c["linear_launch"])
        flops = 6 * H * inner * visits / ((peak if eight else p16) * c["expert_compute_share"])
        moe = launch + np.hypot(bytes_ / (bw * c.get("expert_memory_share", c["memory_share"])), flops)
        moe += linear(E, H, w=2, q=False, p=p16, k=b16)
        out += m["moe_layers"] * (moe + (gated(m["shared_ffn"]) if m["shared_ffn"] else 0))
    if tp > 1:
        out += 2 * L * (c["all_reduce_latency"] + n * H * 4 * (tp - 1) / tp / (link * c["link_share"]))
    r, V = n[:1100], m["vocab"]
    head = linear(math.ceil(V / tp), H, M=r, w=2, q=False, p=p16, k=b16) + r * V * 12 / (bw * b16["memory_share"])
    if tp > 1:
        head = head + c["all_reduce_latency"] + r * V * 2 / (link * c["link_share"])
    pad, largest = np.arange(longest + 1), 0
    if graphs:
        most = min(512, 2 * seqs)
        top = min(most, budget)
        sizes = [s for s in (1, 2, 4) if s <= top] + list(range(8, min(top, 255) + 1, 8)) + list(range(256, top + 1, 16))
        sizes += [budget] * (budget <= top) + [seqs] * (seqs <= most and seqs <= budget)
        largest = max(sizes)
        for t in range(1, largest + 1):
            pad[t] = min(s for s in sizes if s >= t)
    out = out[pad]
    out[0] = 0
    full, windowed = m["full_attention_layers"], m["window_layers"] if m["window"] else 0
    per_ctx = kv * hd * 4 / (bw * b16["memory_share"])
    per_pair = 4 * hd * (nh // tp) / (p16 * c["attention_compute_share"])
    return out, head, full, windowed, m["window"], per_ctx, per_pair, c["attention_row_tokens"], L, largest


@njit
def pairs(c, t, W):
    if W == 0:
        return t * c + t * (t + 1) / 2
    g = min(max(W - c, 0.0), t)
    return g * c + g * (g + 1) / 2 + (t - g) * W


@njit
def step(nd, ctx, cc, ct, nch, b, host, beside):
    layers, head, full, windowed, W, per_ctx, per_pair, row_tokens, L, largest = b
    a, tokens = nd * 0.0, nd
    if nd > 0:
        a += ctx * per_ctx * full + min(ctx, nd * W) * per_ctx * windowed
    for i in range(nch):
        tokens += ct[i]
        a += full * (pairs(cc[i], ct[i], 0) + ct[i] * row_tokens) * per_pair
        if windowed > 0:
            a += windowed * (pairs(cc[i], ct[i], W) + ct[i] * row_tokens) * per_pair
    gpu = layers[tokens] + head[min(nd + nch, len(head) - 1)] + a
    path, launch = host[0] + host[1] * (nd + nch), 0.0
    if nch > 0:
        launch = host[2] * L
    if tokens > largest:
        launch = host[3] * L
    return max(gpu, path + launch) if beside else path + max(gpu, launch)


@njit
def serve(arrivals, users, il, ol, budget, kv_tokens, seqs, front, b, host, beside):
    """Times of all requests; `users` > 0 is a closed loop. front: seconds in, seconds a prompt token, seconds out."""
    N = len(il)
    sent, first, done, ready = np.zeros(N), np.zeros(N), np.zeros(N), np.zeros(N)
    run = np.full(seqs + 1, -1, np.int64)
    comp, need, gen = np.zeros(N, np.int64), il.copy(), np.zeros(N, np.int64)
    known = min(users, N) if users > 0 else N
    for i in range(known):
        sent[i] = 0.0 if users > 0 else arrivals[i]
        ready[i] = sent[i] + front[0] + front[1] * il[i]
    wait, wh, wt, back, nb = np.empty(N, np.int64), 0, 0, np.full(4 * N, -1, np.int64), 0
    nrun, seen, ended, t = 0, 0, 0, 0.0
    cc, ct, share = np.zeros(seqs + 1), np.zeros(seqs + 1, np.int64), np.zeros(seqs + 1, np.int64)
    while ended < N:
        while seen < known and ready[seen] <= t + 1e-12:
            wait[wt] = seen
            wt += 1
            seen += 1
        if nrun == 0 and wh == wt and nb == 0:
            t = max(t, ready[seen])
            continue
        held = 0
        for j in range(nrun):
            held += (need[run[j]] + 15) // 16 * 16
        while held > kv_tokens and nrun > 1:
            nrun -= 1
            r = run[nrun]
            held -= (need[r] + 15) // 16 * 16
            comp[r] = 0
            back[nb] = r
            nb += 1
        left, nd, ctx, nch = budget, 0, 0, 0
        for i in range(nrun):
            if need[run[i]] - comp[run[i]] == 1:
                nd += 1
                ctx += comp[run[i]]
                left -= 1
                share[i] = 1
        for i in range(nrun):
            r = run[i]
            if need[r] - comp[r] > 1:
                q = min(need[r] - comp[r], left)
                share[i] = q
                if q > 0:
                    cc[nch] = comp[r]
                    ct[nch] = q
                    nch += 1
                    left -= q
        while nrun < seqs and left > 0 and (nb > 0 or wh < wt):
            r = back[nb - 1] if nb > 0 else wait[wh]
            blocks = (need[r] + 15) // 16 * 16
            if held + blocks > kv_tokens:
                break
            if nb > 0:
                nb -= 1
            else:
                wh += 1
            q = min(need[r], left)
            run[nrun], share[nrun] = r, q
            nrun += 1
            held += blocks
            cc[nch], ct[nch] = 0, q
            nch += 1
            left -= q
        t += step(nd, ctx, cc, ct, nch, b, host, beside)
        keep = 0
        for i in range(nrun):
            r = run[i]
            comp[r] += share[i]
            over = False
            if comp[r] == need[r]:
                gen[r] += 1
                need[r] += 1
                if gen[r] == 1:
                    first[r] = t + front[2]
                if gen[r] >= ol[r]:
                    done[r] = t + front[2]
                    over = True
                    ended += 1
                    if users > 0 and known < N:
                        sent[known] = t + front[2]
                        ready[known] = sent[known] + front[0] + front[1] * il[known]
                        known += 1
            if not over:
                run[keep] = r
                keep += 1
        nrun = keep
    return first - sent, (done - first) / np.maximum(ol - 1, 1), done - sent


def kv_tokens(m, g, tp, dtype, utilization=0.9):
    weights = m["params_total"] * {"bf16": 2, "fp8": 1, "fp8-block": 1, "mxfp4": 0.56}[dtype] / tp
    layers = m["full_attention_layers"] if m["window"] else m["layers"]
    a_token = max(1, m["kv_heads"] // tp) * m["head_dim"] * 4 * layers
    return int((g["memory_total_gib"] * 2**30 * utilization - weights - 3 * 2**30) / a_token)


def host_of(c):
    return np.array([c["host_step"], c["host_sequence"], 40e-6, 100e-6])


# ---- kernel tables -------------------------------------------------------------------------------------------------
def error(name, ours, measured):
    e = np.abs(ours / measured - 1)
    print(f"    {name}: n {len(e)}, median {np.median(e):.3f}, p90 {np.quantile(e, 0.9):.3f}, bias {np.median(ours / measured - 1):+.3f}")


def solve(names, model, measured, keep, start):
    f = lambda z: np.log(model(np.exp(z)) / measured)[keep]
    z = least_squares(f, np.log(start), loss="soft_l1", f_scale=0.1).x
    x = np.exp(z)
    print("   ", ", ".join(f"{n} {v:.4g}" for n, v in zip(names, x)))
    error("held out", model(x)[~keep], measured[~keep])


def kernels():
    for folder, gpu, version, dtype, column in [
        ("h100_sxm", "h100-sxm", "0.24.0", "bf16", "bfloat16"),
        ("h100_sxm", "h100-sxm", "0.24.0", "fp8", "fp8"),
        ("h100_sxm", "h100-sxm", "0.19.0", "fp8-block", "fp8_block"),
        ("h100_sxm", "h100-sxm", "0.24.0", "mxfp4", None),
        ("a100_sxm", "a100-80-sxm", "0.14.0", "bf16", "bfloat16"),
        ("l40s", "l40s", "0.24.0", "bf16", "bfloat16"),
    ]:
        print(gpu, dtype)
        g, base = GPU[gpu], f"{DATA}/kernels/{folder}"
        wb, eb, eight = DTYPE[dtype]
        bw, p16 = g["mem_bw_gbps"] * 1e9, g["bf16_tflops_dense"] * 1e12
        peak = g["fp8_tflops_dense"] * 1e12 if eight else p16
        if column:
            d = pd.read_parquet(f"{base}/gemm/{version}/gemm_perf.parquet")
            d = d[d.gemm_dtype == column].groupby(["m", "n", "k"]).latency.median().reset_index()
            d = d[(d.n >= 512) & (d.k >= 512) & (d.m <= 16384) & (d.n * d.k >= 1e6)]
            m, n, k = (d[c].values.astype(float) for c in "mnk")
            bytes_ = n * k * wb + m * (2 * n + (4 if eight else 2) * k)
            product = lambda x: x[2] * 1e-6 + np.hypot(2 * m * n * k / (peak * x[0]), bytes_ / (bw * x[1]))
            keep = ((d.n * 7919 + d.k * 104729) % 5 != 0).values
            solve(["linear_compute_share", "memory_share", "linear_launch_us"], product, d.latency.values * 1e-3, keep, [0.7, 0.8, 5])
        if dtype == "bf16":
            for kind, column_, lo in (("generation", "step", 127), ("context", "isl", 64)):
                d = pd.read_parquet(f"{base}/attention/{version}/{kind}_attention_perf.parquet")
                d = d[d.window_size == 0] if "window_size" in d else d
                d = d[(d.kv_cache_dtype == "bfloat16") & (d.head_dim == 128) & (d.num_key_value_heads <= 16) & (d[column_] >= lo)]
                d = d[d.batch_size * d.isl <= 65536] if kind == "context" else d
                d = d.groupby(["batch_size", column_, "num_heads", "num_key_value_heads"]).latency.median().reset_index()
                b, l, h, kv = (d[c].values.astype(float) for c in ("batch_size", column_, "num_heads", "num_key_value_heads"))
                keep = ((d.num_heads * 31 + d.num_key_value_heads * 17) % 5 != 0).values
                if kind == "generation":
                    solve(["memory_share", "attention_launch_us"], lambda x: x[1] * 1e-6 + b * l * kv * 512 / (bw * x[0]), d.latency.values * 1e-3, keep, [0.8, 10])
                else:
                    prefill = lambda x: x[2] * 1e-6 + 512 * h * b * (l * (l + 1) / 2 + l * x[1]) / (p16 * x[0])
                    solve(["attention_compute_share", "attention_row_tokens", "(launch)"], prefill, d.latency.values * 1e-3, keep, [0.6, 300, 10])
            comm = glob.glob(f"{base}/comm/custom_allreduce_0.14.0.parquet" if gpu != "l40s" else f"{base}/comm/nccl_perf.parquet")[0]
            d = pd.read_parquet(comm)
            d = d[(d.op_name == "all_reduce") & (d.message_size >= 4096) & (d.message_size <= 2.7e8)]
            d = d[d.backend == "vllm_graph"] if "backend" in d else d[d.nccl_dtype == "half"]
            n, s = d.num_gpus.values.astype(float), 2 * d.message_size.values.astype(float)  # elements of 16 bits
            ring = lambda x: x[1] * 1e-6 + s * 2 * (n - 1) / n / (g["scale_up_gbps_unidirectional"] * 1e9 * x[0])
            solve(["link_share", "all_reduce_latency_us"], ring, d.latency.values * 1e-3, np.log2(s).astype(int) % 5 != 0, [0.4, 10])
        name = {"bf16": "bfloat16", "fp8-block": "fp8_block", "mxfp4": "w4a16_mxfp4"}.get(dtype)
        if name:
            d = pd.read_parquet(f"{base}/moe/{'0.14.0' if folder == 'a100_sxm' else '0.24.0'}/moe_perf.parquet")
            d = d[(d.moe_dtype == name) & (d.distribution == "power_law_1.01") & (d.moe_ep_size == 1) & (d.num_tokens <= 16384) & (d.inter_size // d.moe_tp_size >= 128)]
            shape = ["num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size"]
            d = d.groupby(shape).latency.median().reset_index()
            T, H, I, k, E, tp = (d[c].values.astype(float) for c in shape)
            touched, rows, I = k * T * E / (E + k * (T - 1)), T * k, I / tp
            p = peak if eight else p16
            experts = lambda x: x[2] * 1e-6 + np.hypot((touched * 3 * H * I * eb + rows * (2 * H + 4 * I) * 2) / (bw * x[1]), 6 * H * I * rows / (p * x[0]))
            keep = ((d.hidden_size // 64 * 7 + d.inter_size // 32 * 3 + d.num_experts // 8 + d.moe_tp_size * 11) % 5 != 0).values
            solve(["expert_compute_share", "expert_memory_share", "expert_launch_us"], experts, d.latency.values * 1e-3, keep, [0.4, 0.7, 30])


# ---- engine runs ---------------------------------------------------------------------------------------------------
def inferencex():
    d = pd.read_csv(f"{DATA}/calibration/inferencex_silicon.csv")
    d = d[(d.backend == "vllm") & d.concurrency.notna() & (d.concurrency <= 128)].copy()
    d["mid"] = d.model_path.map({"Qwen/Qwen3-32B": "qwen3-32b", "openai/gpt-oss-120b": "gpt-oss-120b", "meta-llama/Llama-3.1-70B": "llama-3.1-70b"})
    d["dtype"] = d.mid.map({"qwen3-32b": "bf16", "gpt-oss-120b": "mxfp4", "llama-3.1-70b": "fp8"})
    d["tp"], d["users"] = d.tp_size.astype(int), d.concurrency.astype(int)
    d["saturated"] = d.silicon_ttft_ms > 10 * d.groupby(["mid", "tp", "isl"]).silicon_ttft_ms.transform("min")
    # Asynchronous scheduling is vLLM's default from 0.14 on; rows that do not say a version are of spring 2026.
    d["beside"] = [not isinstance(v, str) or tuple(int(n) for n in v.split(".")[:2]) >= (0, 14) for v in d.backend_version]
    d["group"] = d.mid + "/" + d.tp.astype(str) + "/" + d.isl.astype(str) + "/" + d.osl.astype(str)
    d["fold"] = [zlib.crc32(g.encode()) % 5 for g in d.group]
    return d[~d.saturated].copy()


NAMES = ["linear_compute_share", "linear_compute_share of fp8", "link_share", "all_reduce_latency_us", "layer_overhead_us", "host_step_us",
         "host_sequence_us", "expert_compute_share of mxfp4", "expert_memory_share of mxfp4",
         "frontend of InferenceX, ms", "the same, us a prompt token", "frontend of vLLM 0.23, ms", "memory_share of fp8"]
START = np.array([0.75, 0.7, 0.55, 6.0, 25.0, 600.0, 40.0, 0.2, 0.7, 12.0, 12.0, 12.0, 0.8])
LOW = np.array([0.4, 0.3, 0.1, 0.0, 0.0, 0.0, 0.0, 0.05, 0.2, 0.0, 0.0, 0.0, 0.4])
HIGH = np.array([1.0, 1.0, 3.0, 40.0, 100.0, 5000.0, 100.0, 0.8, 2.0, 50.0, 100.0, 50.0, 1.1])
SCALE = np.array([0.1, 0.1, 0.3, 3, 10, 300, 10, 0.1, 0.2, 5, 5, 5, 0.1])
TTFT_WEIGHT, RUN_WEIGHT = 0.15, 4.0
# Where no synchronous run is left in the fit nothing says what the host takes: it stays near what was assumed before
# any fit (500 us a step, 30 us a sequence).
PRIOR = {5: (500.0, 300.0), 6: (30.0, 10.0)}
PRIOR_WEIGHT = 0.05
OUT_S = 0.002


def numbers(x):
    c = {d: curves("h100-sxm", d) for d in ("bf16", "fp8", "mxfp4")}
    for d in c.values():
        d.update(link_share=x[2], all_reduce_latency=x[3] * 1e-6, layer_overhead=x[4] * 1e-6, host_step=x[5] * 1e-6, host_sequence=x[6] * 1e-6)
        d["bf16"] = dict(d["bf16"], linear_compute_share=x[0])
    c["bf16"]["linear_compute_share"] = c["mxfp4"]["linear_compute_share"] = x[0]
    c["fp8"]["linear_compute_share"], c["fp8"]["memory_share"] = x[1], x[12]
    c["mxfp4"]["expert_compute_share"], c["mxfp4"]["expert_memory_share"] = x[7], x[8]
    return c, (x[9] * 1e-3, x[10] * 1e-6, OUT_S), (x[11] * 1e-3, 2e-6, OUT_S)


def shipped():
    b, f, m = curves("h100-sxm", "bf16"), curves("h100-sxm", "fp8"), curves("h100-sxm", "mxfp4")
    return np.array([b["linear_compute_share"], f["linear_compute_share"], b["link_share"], b["all_reduce_latency"] * 1e6, b["layer_overhead"] * 1e6,
                     b["host_step"] * 1e6, b["host_sequence"] * 1e6, m["expert_compute_share"], m["expert_memory_share"], 17.3, 10.4, 11.4, f["memory_share"]])


def predict(rows, c, front):
    out, built = [], {}
    for r in rows.itertuples():
        m, g, key = MODEL[r.mid], GPU["h100-sxm"], (r.mid, r.tp, r.users)
        if key not in built:
            built[key] = build(m, g, r.tp, c[r.dtype], r.dtype, seqs=r.users)
        random, n = np.random.default_rng(1), 10 * r.users
        il = random.integers(int(r.isl * 0.8), r.isl + 1, n)
        ol = random.integers(int(r.osl * 0.8), r.osl + 1, n)
        ttft, tpot, _ = serve(np.zeros(1), r.users, il, ol, 8192, kv_tokens(m, g, r.tp, r.dtype), r.users, front, built[key], host_of(c[r.dtype]), r.beside)
        out.append((ttft.mean() * 1e3, tpot.mean() * 1e3))
    rows = rows.copy()
    rows[["ttft", "tpot"]] = out
    rows["et"], rows["ep"] = rows.ttft / rows.silicon_ttft_ms - 1, rows.tpot / rows.silicon_tpot_ms - 1
    return rows


def vllm023(rate, c, front):
    d = pd.read_csv(f"{DATA}/calibration/vllm023_qwen3-14b_h100_sweep_rate_agg_{rate}rps.csv.gz").query("status == 'ok'").sort_values("sent_us")
    b = build(MODEL["qwen3-14b"], GPU["h100-sxm"], 1, c)
    ttft, _, e2e = serve(d.sent_us.values * 1e-6, 0, d.input_tokens.values, d.output_tokens.values, 8192, 288608, 1024, front, b, host_of(c), True)
    return ttft, e2e, d.ttft_us.values * 1e-6, d.e2e_us.values * 1e-6


def residuals(x, rows):
    c, front, front23 = numbers(x)
    o = predict(rows, c, front)
    parts, at = [np.log1p(o.ep.values), TTFT_WEIGHT * np.log1p(o.et.values)], [0.25, 0.5, 0.75, 0.9, 0.99]
    for rate in (2, 6):
        t, e, T, E = vllm023(rate, c["bf16"], front23)
        parts += [0.25 * RUN_WEIGHT * np.log(np.quantile(t, at) / np.quantile(T, at)), RUN_WEIGHT * np.log(np.quantile(e, at) / np.quantile(E, at))]
    parts.append(PRIOR_WEIGHT * np.array([(x[i] - mean) / scale for i, (mean, scale) in PRIOR.items()]))
    return np.concatenate(parts)


def fit(rows, rounds=10):
    return least_squares(lambda x: residuals(x, rows), START, bounds=(LOW, HIGH), loss="soft_l1", f_scale=0.05, x_scale=SCALE, diff_step=0.03, max_nfev=rounds).x


def show(name, x):
    print(f"{name:28} n {len(x):3d}  TPOT median {x.ep.abs().median():.3f} p90 {x.ep.abs().quantile(0.9):.3f} bias {x.ep.median():+.3f}"
          f"  TTFT median {x.et.abs().median():.3f} p90 {x.et.abs().quantile(0.9):.3f} bias {x.et.median():+.3f}", flush=True)


def score(o):
    show("all", o)
    for (mid, tp), x in o.groupby(["mid", "tp"]):
        show(f"{mid} tp {tp}", x)


def score_runs(x):
    for rate in (2, 4, 6, 8):
        t, e, T, E = vllm023(rate, numbers(x)[0]["bf16"], numbers(x)[2])
        q = lambda a, b: " ".join(f"{np.quantile(a, p) / np.quantile(b, p) - 1:+.3f}" for p in (0.5, 0.9, 0.99))
        print(f"vLLM 0.23, {rate}/s{' (fitted)' if rate in (2, 6) else ''}: p50 p90 p99 of TTFT {q(t, T)}, of E2E {q(e, E)}; each E2E {np.median(abs(e / E - 1)):.3f}")


def engine():
    rows = inferencex()
    x = fit(rows[rows.osl < 8192], 40)
    for name, v in zip(NAMES, x):
        print(f"  {name} = {v:.4g}")
    score(predict(rows, *numbers(x)[:2]))
    score_runs(x)


def trivial(test, train):
    """The nearest measured row (tp, users, lengths; any model of the same format first), scaled by the bytes of a decode step."""
    def bytes_of(r):
        m = MODEL[r.mid]
        weights = (m["params_active"] if m["moe_layers"] else m["params_total"]) * {"bf16": 2, "fp8": 1, "mxfp4": 0.56}[r.dtype] / r.tp
        return weights + r.users * (r.isl + r.osl / 2) * max(1, m["kv_heads"] // r.tp) * m["head_dim"] * 4 * m["full_attention_layers"]
    near = lambda a, b: abs(math.log(a / b))
    out = []
    for r in test.itertuples():
        best = min(train.itertuples(), key=lambda t: near(r.tp, t.tp) + near(r.users, t.users) + near(r.isl, t.isl) + near(r.osl, t.osl) + 3 * (r.mid != t.mid) + 2 * (r.dtype != t.dtype))
        s = bytes_of(r) / bytes_of(best)
        out.append((best.silicon_tpot_ms * s / r.silicon_tpot_ms - 1, best.silicon_ttft_ms * s / r.silicon_ttft_ms - 1))
    test = test.copy()
    test[["ep", "et"]] = out
    return test


def folds():
    rows = inferencex()
    short = rows.osl < 8192
    ours, plain = [], []
    for f in range(5):
        x = fit(rows[(rows.fold != f) & short], 8)
        ours.append(predict(rows[rows.fold == f], *numbers(x)[:2]))
        plain.append(trivial(rows[rows.fold == f], rows[rows.fold != f]))
    print("five folds by group")
    score(pd.concat(ours))
    print("the trivial baseline")
    score(pd.concat(plain))
    for mid in rows.mid.unique():
        x = fit(rows[(rows.mid != mid) & short], 8)
        if mid == "llama-3.1-70b":  # no FP8 run is left: the shares of BF16, of twice the peak and half the bytes
            x[1], x[12] = x[0], curves("h100-sxm", "bf16")["memory_share"]
        if mid == "gpt-oss-120b":  # no MXFP4 run is left: the kernels'
            x[7], x[8] = 0.288, 0.608
        print(f"without {mid}")
        score(predict(rows[rows.mid == mid], *numbers(x)[:2]))
        show("the trivial baseline", trivial(rows[rows.mid == mid], rows[rows.mid != mid]))


# ---- data that no fit has seen -------------------------------------------------------------------------------------
def once(b, host, nd, ctx, chunks, beside=False):
    cc, ct = np.array([c for c, _ in chunks] + [0.0]), np.array([t for _, t in chunks] + [0], dtype=np.int64)
    return step(nd, ctx, cc, ct, len(chunks), b, host, beside)


def static(m, g, tp, c, batch, prompt, out, graphs, eager):
    b = build(m, g, tp, c, seqs=256, longest=max(8400, batch * prompt + 8), budget=8192, graphs=graphs)
    host, pre, at = host_of(c), 0.0, 0
    host[3] = eager
    todo = [[0, prompt] for _ in range(batch)]
    while at < batch:
        left, chunks = 8192 if graphs else batch * prompt, []
        while at < batch and left > 0:
            q = min(todo[at][1], left)
            chunks.append((float(todo[at][0]), q))
            todo[at] = [todo[at][0] + q, todo[at][1] - q]
            left -= q
            if todo[at][1]:
                break
            at += 1
        pre += once(b, host, 0, 0, chunks)
    ends = [once(b, host, batch, batch * ctx, []) for ctx in (prompt, prompt + out - 1)]
    return pre, (out - 1) * sum(ends) / 2


HF = {"Qwen3-235B-A22B": "qwen3-235b-a22b", "Qwen3-30B-A3B": "qwen3-30b-a3b", "Qwen3-32B": "qwen3-32b", "Qwen3-8B": "qwen3-8b", "Llama-3.1-405B": "llama-3.1-405b",
      "Llama-3.1-70B": "llama-3.1-70b", "Llama-3.1-8B": "llama-3.1-8b", "Llama-4-Maverick": "llama-4-maverick", "Llama-4-Scout": "llama-4-scout", "gpt-oss-120b": "gpt-oss-120b",
      "gpt-oss-20b": "gpt-oss-20b", "Llama-2-7b": "llama-2-7b", "Llama-2-70b": "llama-2-70b", "Meta-Llama-3-8B": "llama-3-8b", "Meta-Llama-3-70B": "llama-3.1-70b",
      "Mistral-7B": "mistral-7b-v0.3", "Qwen2-7B": "qwen2.5-7b"}
name_of = lambda s: next((v for k, v in HF.items() if k in s), None)
summary = {"n": "size", "median": lambda e: e.abs().median(), "p90": lambda e: e.abs().quantile(0.9), "bias": "median"}


def table(d, by, column):
    print(d.groupby(by)[column].agg(**summary).round(3).to_string())


def others():
    score_runs(shipped())
    # ML.ENERGY: the median gap is a step of the average batch and of the median number of prompts that start in a step
    # (Poisson); prompts are not recorded: 120 tokens (chat) and 250 (GPQA) are taken.
    d = pd.read_csv(f"{DATA}/calibration/ml_energy_llm.csv")
    d["mid"] = d.model.map(name_of)
    d, out = d[d.mid.notna()].copy(), []
    for r in d.itertuples():
        m, tp = MODEL[r.mid], max(r.tp, r.ep)
        dtype = {"bfloat16": "bf16", "mxfp4": "mxfp4"}.get(r.precision) or ("fp8-block" if "qwen" in r.mid else "fp8")
        c, n = curves("h100-sxm", dtype), max(1, round(r.avg_batch_size))
        b = build(m, GPU["h100-sxm"], tp, c, dtype, ep=r.ep > 1, seqs=int(r.max_num_seqs))
        prompt = {"gpqa": 250}.get(r.task, 120)
        starts = int(poisson.median(n / r.avg_output_len))
        ctx = int(n * (prompt + 0.6 * r.avg_output_len))
        out.append(once(b, host_of(c), n, ctx, [(0.0, prompt)] * starts) * 1e3)
    d["e"] = np.array(out) / d.itl_p50_ms - 1
    print(f"ML.ENERGY ITL p50: n {len(d)}, median {d.e.abs().median():.3f}, p90 {d.e.abs().quantile(0.9):.3f}, bias {d.e.median():+.3f}")
    table(d, ["mid", "task", "num_gpus", "precision"], "e")
    # Static batches. Argonne's A100 are those of Polaris, 40 GB; rows that need more KV than there is are left out.
    d = pd.read_csv(f"{DATA}/calibration/argonne_static_batch.csv")
    d["mid"] = d.Model.map(name_of)
    d = d[d.mid.notna() & d.Hardware.str.contains("A100|H100")].copy()
    out = []
    for hw, tp, mid, length, batch in d[["Hardware", "Num of Hardware", "mid", "Input Output Length", "Batch Size"]].values:
        gpu = "a100-40-sxm" if "A100" in hw else "h100-sxm"
        m, g, c = MODEL[mid], GPU[gpu], curves(gpu, "bf16")
        fits = batch * 2 * length <= kv_tokens(m, g, tp, "bf16")
        out.append(sum(static(m, g, tp, c, batch, length, length, True, 100e-6)) if fits else np.nan)
    d["e"] = np.array(out) / d.Latency - 1
    d = d[d.e.notna() & (d.e < 3)]  # 21 rows of Qwen2-7B at 2,048 tokens last a hundredth of what they must
    print(f"Argonne latency: n {len(d)}, median {d.e.abs().median():.3f}, p90 {d.e.abs().quantile(0.9):.3f}, bias {d.e.median():+.3f}")
    table(d, ["Hardware", "Framework"], "e")
    table(d, ["Hardware", "Framework", "mid", "Num of Hardware"], "e")
    s = pd.read_csv(f"{DATA}/calibration/splitwise_dgx.csv")
    s = s[s.token_size == 128].groupby(["tensor_parallel", "prompt_size", "batch_size"])[["prompt_time", "token_time"]].median().reset_index()
    c = curves("a100-80-sxm", "bf16")
    out = [static(MODEL["llama-2-70b"], GPU["a100-80-sxm"], int(r.tensor_parallel), c, int(r.batch_size), int(r.prompt_size), 128, False, 540e-6) for r in s.itertuples()]
    s["prompt"], s["token"] = [p * 1e3 / m - 1 for (p, _), m in zip(out, s.prompt_time)], [t / 127 * 1e3 / m - 1 for (_, t), m in zip(out, s.token_time)]
    for column in ("prompt", "token"):
        print(f"Splitwise {column} time: n {len(s)}, median {s[column].abs().median():.3f}, p90 {s[column].abs().quantile(0.9):.3f}, bias {s[column].median():+.3f}")
    # Another GPU, by data sheet: RTX PRO 6000.
    rows = [json.loads(line) for line in open(f"{DATA}/calibration/llmservingsim_RTXPRO6000_Llama-3.1-8B/requests.jsonl")]
    rows.sort(key=lambda r: r["queued_ts"])
    col = lambda k: np.array([r[k] for r in rows])
    T, E = col("first_token_ts") - col("queued_ts"), col("last_token_ts") - col("queued_ts")
    P = (E - T) / (col("output_toks") - 1)
    m, g = MODEL["llama-3.1-8b"], GPU["rtx-pro-6000"]
    c = curves("rtx-pro-6000", "bf16")
    b = build(m, g, 1, c, seqs=128, budget=2048)
    t, p, e = serve(col("queued_ts") - rows[0]["queued_ts"], 0, col("input_toks"), col("output_toks"), 2048, kv_tokens(m, g, 1, "bf16"), 128, (0.0, 0.0, 0.0), b, host_of(c), True)
    q = lambda a, b: " ".join(f"{np.quantile(a, x) / np.quantile(b, x) - 1:+.3f}" for x in (0.5, 0.9, 0.99))
    print(f"RTX PRO 6000: TTFT {q(t, T)}, TPOT {q(p, P)}, E2E {q(e, E)}; each TPOT {np.median(abs(p / P - 1)):.3f}, each E2E {np.median(abs(e / E - 1)):.3f}")


def vectors():
    for mid, dtype, tp, ep in [("llama-3.1-8b", "bf16", 1, False), ("qwen3-14b", "bf16", 1, False), ("qwen3-32b", "bf16", 4, False), ("llama-3.1-70b", "fp8", 2, False),
                               ("gpt-oss-120b", "mxfp4", 2, False), ("qwen3-30b-a3b", "bf16", 1, False), ("qwen3-235b-a22b", "fp8-block", 8, True)]:
        b = build(MODEL[mid], GPU["h100-sxm"], tp, curves("h100-sxm", dtype), dtype, ep=ep)
        steps = [(1, 1000, []), (64, 64000, []), (200, 100000, []), (0, 0, [(0.0, 1024)]), (0, 0, [(4096.0, 4096)]), (32, 32000, [(0.0, 2048)])]
        ms = ", ".join(f"{once(b, np.zeros(4), *s, beside=True) * 1e3:.4f}" for s in steps)
        print(f'    ("{mid}", "{dtype}", {tp}, {str(ep).lower()}, [{ms}]),')


if __name__ == "__main__":
    what = {f.__name__: f for f in (kernels, engine, folds, others, vectors)}
    if len(sys.argv) != 2 or sys.argv[1] not in what:
        sys.exit(__doc__)
    what[sys.argv[1]]()
