//! The nouns every room shares: time, money, ids, requests, content, effects, records, and the seams; and how figures are
//! written for people.
//!
//! Imports nothing of the crate; knows no file, thread, clock or library type on its surface.
//! Must keep true: units are in the type or the name; a `RequestView` has no output length.
//! Read first: `request.rs`, then `effect.rs`.
mod account;
mod backend;
pub mod check;
mod columns;
mod content;
mod duration;
mod effect;
mod entry;
mod facts;
mod fault;
mod id_set;
mod money;
mod nearest;
pub mod numbers;
mod place;
mod record;
mod request;
mod seams;
pub mod shown;
mod time;
pub mod timestamp;

pub use crate::key;
pub use crate::wrong;
pub use account::{Account, LeftOut, ModelUse, UnknownField, source_cost};
pub use backend::{Backend, Cancelled, Outbox, Stop};
pub use columns::{Classes, ColumnMap, TimeColumn, TimeUnit};
pub use content::{Content, ContentId, Run, joined, served_prefix};
pub use duration::{duration_text, parse_duration};
pub use effect::{AttemptId, Effect, FailureCause, Job, Load};
pub use entry::{Clock, Entries, Entry, Measured, Status};
pub use facts::BackendFacts;
pub use fault::{FAULTS_SHOWN, Fault, Faults, KeyPath, Rest, Segment, TraceFault};
pub use id_set::IdSet;
pub use money::{PICO_PER_USD, TokenPrice, Usd};
pub use nearest::nearest;
pub use place::{EndpointId, IdMap, Place, PlaceId, PlaceMap, PoolId, ReplicaId, Roster};
pub use record::{AttemptRecord, GapRun, Outcome, OutcomeCause, RequestRecord, SeriesRow};
pub use request::{Capability, ClassSpec, NO_SESSION, Privacy, Request, RequestView};
pub use seams::{BatchShape, DecodeLaw, PrefillChunk, RecordSink, Source, StepFloor, StepTime};
pub use time::{Femtos, NS_PER_S, SimTime};
