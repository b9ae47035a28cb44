//! Prompts that begin as earlier ones did.
//!
//! A prompt takes the first k tokens of an earlier one and goes on with text of its own, so an infinite prefix cache holds
//! exactly k tokens of it, whatever the earlier prompt took from others.
//! Must hold: a bounded history is held; what request i wants depends on its length, its draw and how many before it were alike.
use super::super::spec::{Reuse, at_share};
use super::drawer::family;
use crate::SourceOptions;
use baseload_core::random::{Even, StreamFamily, dist};
use baseload_core::types::{ContentId, Entry, Run};
use std::collections::VecDeque;

/// Draws of a bin in a row that cover its law evenly.
const EVENLY: u64 = 32;

/// A prompt that was sent.
struct PastPrompt {
    tokens: u32,
    runs: Box<[Run]>,
}

/// What a prompt wants of earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Want {
    pub tokens: u32,
    /// Whether the prompt wants the base text.
    pub base: bool,
}

/// Makes prompts share.
pub(super) struct Sharer {
    spec: Reuse,
    bins: Vec<(Even, u64)>,
    places: StreamFamily,
    past: VecDeque<PastPrompt>,
}

impl Sharer {
    /// Follows a checked spec.
    pub fn new(spec: &Reuse, options: &SourceOptions) -> Sharer {
        let key = family(options, "generate.reuse");
        let bin = |i: usize| (Even::new(key.of(i as u64), EVENLY), 0);
        Sharer {
            spec: spec.clone(),
            bins: (0..spec.bins.len()).map(bin).collect(),
            places: family(options, "generate.reuse-place"),
            past: VecDeque::new(),
        }
    }

    /// `tokens` cut to what can be shared of a prompt of `prompt` tokens.
    pub fn whole_blocks(&self, tokens: u32, prompt: u32) -> u32 {
        if tokens >= prompt && self.spec.tails {
            prompt
        } else {
            tokens.min(prompt) / self.spec.block * self.spec.block
        }
    }

    /// What a prompt of `prompt` tokens reuses.
    pub fn want(&mut self, prompt: u32) -> Want {
        let bins = &self.spec.bins;
        let at = bins.partition_point(|b| b.up_to < prompt).min(bins.len() - 1);
        let (even, made) = &mut self.bins[at];
        let u = even.at(*made);
        *made += 1;
        let bin = &bins[at];
        let plain = bin.none + bin.base;
        if u < bin.none || bin.fraction.is_empty() && u >= plain {
            return Want { tokens: 0, base: false };
        }
        if u < plain {
            return Want { tokens: self.spec.base_tokens.min(prompt), base: true };
        }
        let fraction = at_share(&bin.fraction, (u - plain) / (1.0 - plain));
        let block = f64::from(self.spec.block);
        let tokens = (fraction * f64::from(prompt) / block).round() * block;
        // Rounding to whole blocks may end past the prompt: that is no whole prompt.
        let whole = fraction > 0.999_9;
        let most = if whole { prompt } else { prompt.saturating_sub(1) };
        let tokens = self.whole_blocks((tokens as u32).max(if whole { prompt } else { 0 }).min(most), prompt);
        Want { tokens, base: false }
    }

    /// Gives `entry` the beginning that it wants.
    pub fn share(&mut self, entry: &mut Entry, want: Want) {
        if want.tokens == 0 {
            return;
        }
        if want.base {
            entry.content.push(Run { id: ContentId::Named(0), start: 0, len: want.tokens });
            return;
        }
        let mut rng = self.places.at(entry.id, 0);
        let u = dist::uniform01(&mut rng);
        let back = if self.spec.distance.is_empty() {
            1.0 + u * self.past.len() as f64
        } else {
            at_share(&self.spec.distance, u)
        };
        if let Some(past) = self.nearest(back as usize, want.tokens) {
            take(&past.runs, want.tokens, &mut entry.content);
        } else if let Some(longest) = self.past.iter().max_by_key(|p| p.tokens) {
            let tokens = self.whole_blocks(longest.tokens, entry.prompt_tokens);
            take(&longest.runs, tokens.min(longest.tokens), &mut entry.content);
        }
    }

    /// The prompt of at least `tokens` tokens nearest to `back` requests ago.
    fn nearest(&self, back: usize, tokens: u32) -> Option<&PastPrompt> {
        let len = self.past.len();
        let middle = len.checked_sub(back.clamp(1, len.max(1)))?;
        let fits = |i: &usize| self.past[*i].tokens >= tokens;
        for off in 0..len {
            let found = [middle.checked_sub(off), Some(middle + off).filter(|i| *i < len)];
            if let Some(i) = found.into_iter().flatten().find(fits) {
                return Some(&self.past[i]);
            }
            if off > middle && middle + off >= len {
                break;
            }
        }
        None
    }

    /// Remembers what was sent.
    pub fn remember(&mut self, entry: &Entry) {
        if self.past.len() >= self.spec.history as usize {
            self.past.pop_front();
        }
        self.past.push_back(PastPrompt { tokens: entry.prompt_tokens, runs: entry.prompt().collect() });
    }
}

/// Adds the first `tokens` tokens of `runs` to `out`.
pub(super) fn take(runs: &[Run], tokens: u32, out: &mut Vec<Run>) {
    let mut left = tokens;
    for run in runs {
        if left == 0 {
            break;
        }
        let len = run.len.min(left);
        left -= len;
        out.push(Run { len, ..*run });
    }
}
