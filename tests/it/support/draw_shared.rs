//! Prompts that name what came before: others' private text and answers, in whole, in part, and left in the middle of a block.
use super::seeds::DrawKey;

/// A run as a line of JSON has it: its kind ("" for named text), id, start, length.
type Run = (&'static str, u64, u64, u64);

/// All that the requests of a trace said so far: prompts, then answers.
#[derive(Default)]
pub struct Said(Vec<Vec<Run>>);

/// The first `tokens` tokens.
fn take(runs: &[Run], mut tokens: u64) -> Vec<Run> {
    let mut out = Vec::new();
    for &(kind, id, start, len) in runs {
        let len = len.min(tokens);
        tokens -= len;
        out.push((kind, id, start, len));
    }
    out.retain(|r| r.3 > 0);
    out
}

impl Said {
    /// The content of the next request, of so many tokens: it goes on from some earlier one's prompt or answer, or leaves it early.
    pub fn content(&mut self, l: &mut DrawKey, prompt: u64, output: u64) -> String {
        let id = self.0.len() as u64;
        let mut runs = Vec::new();
        if !self.0.is_empty() && l.percent(75) {
            // Mostly of the last few, of which pools still hold something.
            let back = l.skewed(1, id.min(40));
            let before = &self.0[(id - back) as usize];
            let whole: u64 = before.iter().map(|r| r.3).sum();
            let keep = if l.percent(40) { whole } else { l.range(0, whole) };
            runs = take(before, keep.min(prompt));
        }
        if l.percent(20) {
            runs.push(("", l.range(0, 3), 0, l.range(1, 40)));
        }
        if id > 0 && l.percent(20) {
            let kind = *l.pick(&["prompt", "output"]);
            runs.push((kind, l.range(0, id - 1), l.range(0, 5), l.range(1, 30)));
        }
        runs = take(&runs, prompt);
        let text = |&(kind, id, start, len): &Run| match kind {
            "" => format!("[{id},{start},{len}]"),
            kind => format!("[\"{kind}\",{id},{start},{len}]"),
        };
        let content = format!("[{}]", runs.iter().map(text).collect::<Vec<_>>().join(","));
        let named: u64 = runs.iter().map(|r| r.3).sum();
        runs.extend([("prompt", id, 0, prompt - named), ("output", id, 0, output)]);
        runs.retain(|r| r.3 > 0);
        self.0.push(runs);
        content
    }
}

/// A trace of `requests` requests a second apart, as JSON lines.
pub fn trace(l: &mut DrawKey, requests: u64) -> String {
    let (mut said, mut text) = (Said::default(), String::new());
    for i in 0..requests {
        let (prompt, output) = (1 + l.skewed(0, 300), l.range(1, 40));
        let content = said.content(l, prompt, output);
        text += &format!(
            "{{\"arrival_s\":{i},\"prompt_tokens\":{prompt},\"output_tokens\":{output},\"content\":{content}}}\n"
        );
    }
    text
}

/// A generator whose prompts reuse earlier ones, or whose sessions branch, reset and repeat their answers.
pub fn generator(l: &mut DrawKey, requests: u64, longest: u64) -> String {
    let longest = longest.clamp(60, 3_000);
    let (rate, process) = (*l.pick(&["3.0", "20.0", "200.0"]), *l.pick(&["\"poisson\"", "\"constant\""]));
    let head = format!(
        "requests = {requests}\noutput = {{ median = 12, sigma = 1.0, max = 90 }}\n\
         [arrivals]\nprocess = {process}\nrate = [{{ at = \"0s\", per_s = {rate} }}]\n"
    );
    let block = *l.pick(&[1, 7, 16, 16, 64]);
    let (history, base, none) = (*l.pick(&[2, 9, 400]), l.range(1, longest / 2), *l.pick(&["0.0", "0.2"]));
    let distance = *l.pick(&["", "distance = [[0.0, 1], [1.0, 6]]\n"]);
    let reuse = format!(
        "[reuse]\nblock = {block}\ntails = {}\nbase_tokens = {base}\nhistory = {history}\n{distance}\
         bins = [{{ up_to = {longest}, none = {none}, base = 0.2, fraction = [[0.0, 0.1], [0.7, 1.0], [1.0, 1.0]] }}]\n",
        l.percent(50)
    );
    let prompt = format!("[prompt]\nuniform = [1, {}]\n", l.range(2, longest + 10));
    if l.percent(40) {
        return head + &prompt + &reuse;
    }
    let (turns, think) = (l.range(2, 12), *l.pick(&[0, 5, 300]));
    let sessions = format!(
        "[sessions]\nturns.uniform = [1, {turns}]\nthink_ms.uniform = [0, {think}]\nanswer_ms_per_token = {}\n\
         repeat_answers = {}\n",
        l.pick(&["0.0", "1.0", "20.0"]),
        l.percent(60)
    );
    if l.percent(50) {
        let most = l.range(longest / 3, longest + 10);
        let grown = format!(
            "grow.uniform = [1, {}]\nreset = {}\nbranch = {}\nmost_prompt_tokens = {most}\n",
            longest / 6 + 1,
            l.pick(&["0.0", "0.1", "0.4"]),
            l.pick(&["0.0", "0.2", "0.6"]),
        );
        return format!("{head}[prompt]\nuniform = [1, {}]\n{sessions}{grown}", (longest / 4).min(most));
    }
    let (middle, end) = (longest / 3 + 1, longest + 10);
    let measured = format!(
        "redraw = {}\nextend = {}\nacross = {}\n\
         by_turn = [{{ turn = 1, quantiles = [[0.0, 1], [1.0, {middle}]] }}, {{ turn = 6, quantiles = [[0.0, 9], [1.0, {end}]] }}]\n",
        l.pick(&["0.0", "0.3"]),
        l.pick(&["0.5", "0.95"]),
        l.percent(60),
    );
    head + &reuse + &sessions + &measured
}
