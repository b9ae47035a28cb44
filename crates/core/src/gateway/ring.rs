//! Consistent hashing: a session's replica is the first point clockwise from the session's own, among replicas that are
//! candidates; when one leaves, only its sessions move. 160 points a replica (production-stack's `uhashring`, spec/routers.md
//! 3.2, has as many); where they lie is ours.
use crate::random::mix;
use crate::types::{IdMap, ReplicaId};

/// Points of a replica on the ring.
const POINTS: u64 = 160;

/// See the module head.
#[derive(Debug, Clone, Default)]
pub struct Ring {
    points: Vec<(u64, ReplicaId)>,
    known: IdMap<ReplicaId, bool>,
}

impl Ring {
    /// The candidate that `key` belongs to; `own` is in order and not empty.
    pub fn find(&mut self, key: u64, own: &[ReplicaId]) -> ReplicaId {
        for &replica in own {
            self.add(replica);
        }
        let at = mix(key);
        let start = self.points.partition_point(|(point, _)| *point < at);
        let turn = self.points[start..].iter().chain(&self.points[..start]);
        let mut replicas = turn.map(|(_, replica)| *replica);
        replicas.find(|r| own.binary_search(r).is_ok()).expect("hash-ring: every candidate has points")
    }

    fn add(&mut self, replica: ReplicaId) {
        if !std::mem::replace(self.known.of(replica), true) {
            self.points.extend((0..POINTS).map(|i| (mix(mix(u64::from(replica.0)) ^ i), replica)));
            self.points.sort_unstable();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_that_leaves_moves_only_its_own_sessions_and_all_have_some() {
        let mut ring = Ring::default();
        let all = [0, 1, 2, 3].map(ReplicaId);
        let before: Vec<ReplicaId> = (0..4_000).map(|s| ring.find(s, &all)).collect();
        for r in all {
            let n = before.iter().filter(|x| **x == r).count();
            assert!((700..1_300).contains(&n), "{r:?}: {n}");
        }
        for (s, was) in before.iter().enumerate() {
            let now = ring.find(s as u64, &[0, 1, 3].map(ReplicaId));
            assert!(now == *was || *was == ReplicaId(2));
        }
        assert_eq!((0..4_000).map(|s| ring.find(s, &all)).collect::<Vec<_>>(), before);
    }
}
