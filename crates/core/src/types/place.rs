//! Where a request may be served: pools, their replicas, endpoints; their ids, and maps keyed by these.
//!
//! Places come and go while a simulation runs. An id is given once and never again, so what a record, a policy or a timer
//! names stays what it was.
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// An id of one kind of place: a small number, counted from 0 in the order in which places of that kind came.
pub trait PlaceId: Copy + Eq + Ord + Hash + fmt::Debug {
    /// The id that was given `number`-th, counted from 0.
    fn nth(number: usize) -> Self;
    /// Number of the place among its kind, counted from 0.
    fn index(self) -> usize;
}

macro_rules! place_id {
    ($(#[$doc:meta])* $name:ident, $kind:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl PlaceId for $name {
            fn nth(number: usize) -> $name {
                $name(number as u32)
            }
            fn index(self) -> usize {
                self.0 as usize
            }
        }
        impl From<$name> for Place {
            fn from(id: $name) -> Place {
                Place::$kind(id)
            }
        }
    };
}

place_id! {
    /// A pool of a simulation, by its position among the pools that the policy keeps.
    PoolId, Pool
}
place_id! {
    /// A replica of some pool; replicas of all pools are counted together, and one that comes later has a higher number.
    ReplicaId, Replica
}
place_id! {
    /// An endpoint that may be bought from, by its position among them; one that comes later has a higher number.
    EndpointId, Endpoint
}

/// Where a request may be sent or was served. A rule or a record names a pool, an attempt one of its replicas; an endpoint is
/// one place for all. Places are ordered pools, replicas, endpoints, and by id among their kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Any replica of an own pool.
    Pool(PoolId),
    /// One own replica.
    Replica(ReplicaId),
    /// One bought endpoint.
    Endpoint(EndpointId),
}

/// A value for each id that was ever named, dense and never shrinking: counts, and what is remembered of places. Ids that
/// nobody named have the default.
#[derive(Debug, Clone, PartialEq)]
pub struct IdMap<I, T> {
    values: Vec<T>,
    ids: PhantomData<I>,
}

impl<I, T> Default for IdMap<I, T> {
    fn default() -> IdMap<I, T> {
        IdMap { values: Vec::new(), ids: PhantomData }
    }
}

impl<I: PlaceId, T> IdMap<I, T> {
    /// The value of an id, if that or a higher one was named.
    pub fn get(&self, id: I) -> Option<&T> {
        self.values.get(id.index())
    }
    /// Gives the next id its value.
    pub fn push(&mut self, value: T) -> I {
        self.values.push(value);
        I::nth(self.values.len() - 1)
    }
    /// Ids that have a value, with it, in order.
    pub fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.values.iter().enumerate().map(|(i, value)| (I::nth(i), value))
    }
    /// Ids and values in the order of ids, to change the values.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (I, &mut T)> {
        self.values.iter_mut().enumerate().map(|(i, value)| (I::nth(i), value))
    }
    /// The values, in the order of their ids.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.values.iter()
    }
    /// Sets all values that there are.
    pub fn fill(&mut self, value: T)
    where
        T: Clone,
    {
        self.values.fill(value);
    }
}

impl<I: PlaceId, T: Default> IdMap<I, T> {
    /// The value of an id, to change it.
    pub fn of(&mut self, id: I) -> &mut T {
        if self.values.len() <= id.index() {
            self.grow(id);
        }
        &mut self.values[id.index()]
    }

    #[cold]
    fn grow(&mut self, id: I) {
        self.values.resize_with(id.index() + 1, T::default);
    }
}

impl<I: PlaceId, T> FromIterator<T> for IdMap<I, T> {
    /// The values of the ids from 0 on.
    fn from_iter<V: IntoIterator<Item = T>>(values: V) -> IdMap<I, T> {
        IdMap { values: values.into_iter().collect(), ids: PhantomData }
    }
}

impl<I: PlaceId, T> Index<I> for IdMap<I, T> {
    type Output = T;
    fn index(&self, id: I) -> &T {
        &self.values[id.index()]
    }
}
impl<I: PlaceId, T> IndexMut<I> for IdMap<I, T> {
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.values[id.index()]
    }
}

/// Members that come and go, and their ids: a new one gets the next id, and that of one that left is not given again.
#[derive(Debug, Clone)]
pub struct Roster<I, T> {
    members: Vec<Option<T>>,
    ids: PhantomData<I>,
}

impl<I, T> Default for Roster<I, T> {
    fn default() -> Roster<I, T> {
        Roster { members: Vec::new(), ids: PhantomData }
    }
}

impl<I: PlaceId, T> Roster<I, T> {
    /// Takes a member in.
    pub fn add(&mut self, member: T) -> I {
        self.members.push(Some(member));
        I::nth(self.members.len() - 1)
    }
    /// Lets a member go, if it is here.
    pub fn remove(&mut self, id: I) -> Option<T> {
        self.members.get_mut(id.index())?.take()
    }
    /// The member with this id, unless it has left or never was.
    pub fn get(&self, id: I) -> Option<&T> {
        self.members.get(id.index())?.as_ref()
    }
    /// The member with this id, to change it; none if it has left or never was.
    pub fn get_mut(&mut self, id: I) -> Option<&mut T> {
        self.members.get_mut(id.index())?.as_mut()
    }
    /// Who is here, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.members.iter().enumerate().filter_map(|(i, member)| Some((I::nth(i), member.as_ref()?)))
    }
    /// Ids and values in the order of ids, to change the values.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (I, &mut T)> {
        self.members.iter_mut().enumerate().filter_map(|(i, member)| Some((I::nth(i), member.as_mut()?)))
    }
}

impl<I: PlaceId, T> Index<I> for Roster<I, T> {
    type Output = T;
    fn index(&self, id: I) -> &T {
        self.members[id.index()].as_ref().expect("place-known: it has left")
    }
}
impl<I: PlaceId, T> IndexMut<I> for Roster<I, T> {
    fn index_mut(&mut self, id: I) -> &mut T {
        self.members[id.index()].as_mut().expect("place-known: it has left")
    }
}

/// A value for each place, the default where none was named.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaceMap<T> {
    /// Values of pools.
    pub pools: IdMap<PoolId, T>,
    /// Values of replicas.
    pub replicas: IdMap<ReplicaId, T>,
    /// Values of endpoints.
    pub endpoints: IdMap<EndpointId, T>,
}

impl<T> Default for PlaceMap<T> {
    fn default() -> PlaceMap<T> {
        PlaceMap { pools: IdMap::default(), replicas: IdMap::default(), endpoints: IdMap::default() }
    }
}

impl<T> PlaceMap<T> {
    /// The value of a place, if it or a later one of its kind was named.
    pub fn get(&self, place: Place) -> Option<&T> {
        match place {
            Place::Pool(id) => self.pools.get(id),
            Place::Replica(id) => self.replicas.get(id),
            Place::Endpoint(id) => self.endpoints.get(id),
        }
    }
    /// All values: pools, replicas, endpoints.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.pools.values().chain(self.replicas.values()).chain(self.endpoints.values())
    }
}

impl<T: Default> PlaceMap<T> {
    /// The value of a place, to change it.
    pub fn of(&mut self, place: Place) -> &mut T {
        match place {
            Place::Pool(id) => self.pools.of(id),
            Place::Replica(id) => self.replicas.of(id),
            Place::Endpoint(id) => self.endpoints.of(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_never_given_again() {
        let mut roster = Roster::<ReplicaId, &str>::default();
        let (a, b) = (roster.add("a"), roster.add("b"));
        assert_eq!((a, b), (ReplicaId(0), ReplicaId(1)));
        assert_eq!((roster.remove(a), roster.remove(a)), (Some("a"), None));
        let c = roster.add("c");
        assert_eq!(c, ReplicaId(2));
        roster.iter_mut().for_each(|(_, name)| *name = "x");
        assert_eq!(roster.iter().collect::<Vec<_>>(), [(b, &"x"), (c, &"x")]);
        assert_eq!((roster.get(a), roster[c]), (None, "x"));
    }

    #[test]
    fn what_nobody_named_is_the_default() {
        let mut map = PlaceMap::<u32>::default();
        *map.of(Place::Replica(ReplicaId(2))) += 5;
        *map.of(EndpointId(0).into()) += 1;
        assert_eq!(map.get(ReplicaId(1).into()), Some(&0));
        assert_eq!((map.get(ReplicaId(3).into()), map.get(PoolId(0).into())), (None, None));
        assert_eq!(map.values().sum::<u32>(), 6);
        assert_eq!(map.replicas.iter().max_by_key(|(_, n)| **n), Some((ReplicaId(2), &5)));
        assert!(
            Place::Pool(PoolId(9)) < Place::Replica(ReplicaId(0))
                && Place::Replica(ReplicaId(9)) < EndpointId(0).into()
        );
    }
}
