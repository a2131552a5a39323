//! DBSCAN (Ester, Kriegel, Sander & Xu, KDD 1996) on ground distance, at a cost that grows with the number of
//! places and not with how close they stand.
//!
//! Places are sorted into cubes of geocentric space so small that all places in one are neighbours (after Gunawan,
//! "A faster algorithm for DBSCAN", TU Eindhoven 2013). A cube with enough places is all core and one cluster, with
//! no distance computed; two cubes need only one pair of neighbours to be joined.
//!
//! The original gives a border place to whichever cluster reaches it first; here it goes to the cluster of its
//! nearest core place, so that the result does not depend on the order of the places.

use std::cmp::Ordering;
use std::ops::Range;

use crate::geometry::{LonLat, distance_m};

/// Smallest radius of curvature of WGS 84 (of the meridian, at the equator): an arc is nowhere bent more.
const SMALLEST_RADIUS_M: f64 = 6_335_439.0;
/// Rounding of geocentric coordinates, generously.
const ROUNDING_M: f64 = 1e-6;

/// When sites form a cluster.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClusterRule {
    /// Sites within this many metres of one another are neighbours.
    pub distance_m: f64,
    /// A site with at least this many sites in its neighbourhood, itself included, is the core of a cluster.
    pub min_sites: usize,
}

/// Labels from 0 in the order of each cluster's first place; `None` for places that stand alone.
pub(super) fn dbscan(places: &[LonLat], rule: ClusterRule) -> Vec<Option<usize>> {
    let space = Space::new(places, rule.distance_m);
    let core = space.cores(rule.min_sites.max(1));
    let mut clusters = Clusters::new(places.len());
    space.join_cores(&core, &mut clusters);
    let nearest = space.nearest_cores(&core);
    let mut number_of: Vec<Option<usize>> = vec![None; places.len()];
    let mut numbers = 0..;
    let mut labels = vec![None; places.len()];
    for (label, &slot) in labels.iter_mut().zip(&space.slot_of) {
        let slot = slot as usize;
        let member = if core[slot] {
            Some(slot)
        } else {
            nearest[slot]
        };
        let root = member.map(|core| clusters.find(core));
        *label = root.and_then(|root| {
            if number_of[root].is_none() {
                number_of[root] = numbers.next();
            }
            number_of[root]
        });
    }
    labels
}

/// Places sorted into cubes. Everything but `slot_of` is in the order of the cubes: what is near in space is near in
/// memory, however the places came.
struct Space {
    places: Vec<LonLat>,
    at: Vec<[f64; 3]>,
    distance_m: f64,
    /// A straight line no longer than this spans no more than the distance on the ground.
    surely_m: f64,
    /// Where each place went.
    slot_of: Vec<u32>,
    /// In order of their keys.
    cubes: Vec<Cube>,
}

struct Cube {
    key: [i32; 3],
    places: Range<usize>,
}

/// Cubes farther apart than this many along an axis hold no neighbours: the diagonal of one is the distance.
const REACH: i32 = 2;

impl Space {
    fn new(places: &[LonLat], distance_m: f64) -> Self {
        let half_turn = (distance_m / (2.0 * SMALLEST_RADIUS_M)).min(std::f64::consts::FRAC_PI_2);
        let surely_m = (2.0 * SMALLEST_RADIUS_M * half_turn.sin() - ROUNDING_M).max(0.0);
        // A hair less than the diagonal asks for; and never so small that keys run over.
        let side = (surely_m / 3f64.sqrt() * (1.0 - 1e-9)).max(0.01);
        let mut order: Vec<([i32; 3], u32)> = (places.iter().zip(0..))
            .map(|(place, i)| (place.geocentric().map(|c| (c / side).floor() as i32), i))
            .collect();
        order.sort_unstable();
        let mut slot_of = vec![0; places.len()];
        let mut cubes: Vec<Cube> = Vec::new();
        for (slot, (key, i)) in order.iter().enumerate() {
            slot_of[*i as usize] = slot as u32;
            match cubes.last_mut() {
                Some(last) if last.key == *key => last.places.end = slot + 1,
                _ => cubes.push(Cube {
                    key: *key,
                    places: slot..slot + 1,
                }),
            }
        }
        let places: Vec<LonLat> = order.iter().map(|(_, i)| places[*i as usize]).collect();
        Self {
            at: places.iter().map(|place| place.geocentric()).collect(),
            places,
            distance_m,
            surely_m,
            slot_of,
            cubes,
        }
    }

    fn members(&self, cube: usize) -> Range<usize> {
        self.cubes[cube].places.clone()
    }

    /// Whether two places are neighbours, whichever is asked first.
    fn near(&self, a: usize, b: usize) -> bool {
        let (p, q) = (self.at[a], self.at[b]);
        let line = ((p[0] - q[0]).powi(2) + (p[1] - q[1]).powi(2) + (p[2] - q[2]).powi(2)).sqrt();
        line <= self.surely_m
            || (line <= self.distance_m + ROUNDING_M && self.apart_m(a, b) <= self.distance_m)
    }

    fn apart_m(&self, a: usize, b: usize) -> f64 {
        let (p, q) = (self.places[a], self.places[b]);
        if by_place(p, q).is_le() {
            distance_m(p, q)
        } else {
            distance_m(q, p)
        }
    }

    /// Hands each pair of different cubes that may hold neighbours to `visit`, once.
    ///
    /// Cubes are in order of their keys; so are, for each step along the first two axes, those that lie that step
    /// further, and a cursor for each step moves through the cubes once.
    fn for_each_pair(&self, mut visit: impl FnMut(usize, usize)) {
        let steps: Vec<[i32; 2]> = (0..=REACH)
            .flat_map(|x| (-REACH..=REACH).map(move |y| [x, y]))
            .filter(|step| *step >= [0, 0])
            .collect();
        let mut cursors = vec![0; steps.len()];
        for (one, Cube { key, .. }) in self.cubes.iter().enumerate() {
            for (step, cursor) in steps.iter().zip(&mut cursors) {
                // In the same column only those behind, or each pair would come twice.
                let lowest = if *step == [0, 0] { 1 } else { -REACH };
                let first = [key[0] + step[0], key[1] + step[1], key[2] + lowest];
                let last = [first[0], first[1], key[2] + REACH];
                while self.cubes.get(*cursor).is_some_and(|cube| cube.key < first) {
                    *cursor += 1;
                }
                let others = self.cubes[*cursor..]
                    .iter()
                    .take_while(|cube| cube.key <= last);
                (*cursor..)
                    .zip(others)
                    .for_each(|(other, _)| visit(one, other));
            }
        }
    }

    /// Which places have at least `least` neighbours, themselves included.
    fn cores(&self, least: usize) -> Vec<bool> {
        let mut neighbours: Vec<usize> = vec![0; self.places.len()];
        for cube in &self.cubes {
            neighbours[cube.places.clone()].fill(cube.places.len());
        }
        self.for_each_pair(|one, other| {
            for (from, to) in [(one, other), (other, one)] {
                for i in self.members(from) {
                    let missing = least.saturating_sub(neighbours[i]);
                    if missing > 0 {
                        let found = self.members(to).filter(|&j| self.near(i, j));
                        neighbours[i] += found.take(missing).count();
                    }
                }
            }
        });
        neighbours.iter().map(|&count| count >= least).collect()
    }

    /// Joins core places that are neighbours.
    fn join_cores(&self, core: &[bool], clusters: &mut Clusters) {
        let first_core: Vec<Option<usize>> = (0..self.cubes.len())
            .map(|cube| {
                let mut cores = self.members(cube).filter(|&i| core[i]);
                let first = cores.next()?;
                cores.for_each(|other| clusters.join(first, other));
                Some(first)
            })
            .collect();
        self.for_each_pair(|one, other| {
            let (Some(a), Some(b)) = (first_core[one], first_core[other]) else {
                return;
            };
            if clusters.find(a) != clusters.find(b) && self.any_near(one, other, core) {
                clusters.join(a, b);
            }
        });
    }

    /// Whether a core place of one cube is a neighbour of one of another. Only those within reach of the space that
    /// the others take are compared, the nearest to it first: where there is such a pair, it is found at once.
    fn any_near(&self, one: usize, other: usize, core: &[bool]) -> bool {
        let candidates = |from: usize, to: usize| -> Vec<usize> {
            let nothing = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
            let cores = self.members(to).filter(|&j| core[j]);
            let (low, high) = cores.fold(nothing, |(l, h), j| {
                let at = self.at[j];
                (
                    [0, 1, 2].map(|k| l[k].min(at[k])),
                    [0, 1, 2].map(|k| h[k].max(at[k])),
                )
            });
            let mut found: Vec<(f64, usize)> = (self.members(from).filter(|&i| core[i]))
                .map(|i| {
                    let at = self.at[i];
                    let away = [0, 1, 2].map(|k| (low[k] - at[k]).max(at[k] - high[k]).max(0.0));
                    (away.iter().map(|a| a * a).sum::<f64>().sqrt(), i)
                })
                .filter(|(away, _)| *away <= self.distance_m + ROUNDING_M)
                .collect();
            found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            found.into_iter().map(|(_, i)| i).collect()
        };
        let (mine, theirs) = (candidates(one, other), candidates(other, one));
        mine.iter()
            .any(|&i| theirs.iter().any(|&j| self.near(i, j)))
    }

    /// For each place that is no core: its nearest core neighbour, if it has one.
    fn nearest_cores(&self, core: &[bool]) -> Vec<Option<usize>> {
        let mut nearest: Vec<Option<(f64, usize)>> = vec![None; self.places.len()];
        let mut consider = |i: usize, j: usize| {
            if core[i] || !core[j] || !self.near(i, j) {
                return;
            }
            let apart = self.apart_m(i, j);
            let closer = nearest[i].is_none_or(|(best, k)| {
                apart
                    .total_cmp(&best)
                    .then_with(|| by_place(self.places[j], self.places[k]))
                    .is_lt()
            });
            if closer {
                nearest[i] = Some((apart, j));
            }
        };
        for cube in 0..self.cubes.len() {
            for i in self.members(cube).filter(|&i| !core[i]) {
                self.members(cube).for_each(|j| consider(i, j));
            }
        }
        self.for_each_pair(|one, other| {
            for (from, to) in [(one, other), (other, one)] {
                for i in self.members(from).filter(|&i| !core[i]) {
                    self.members(to).for_each(|j| consider(i, j));
                }
            }
        });
        nearest
            .into_iter()
            .map(|n| n.map(|(_, core)| core))
            .collect()
    }
}

fn by_place(a: LonLat, b: LonLat) -> Ordering {
    a.lat.total_cmp(&b.lat).then(a.lon.total_cmp(&b.lon))
}

/// Sets that grow together: a forest with halved paths.
struct Clusters {
    parent: Vec<u32>,
}

impl Clusters {
    fn new(count: usize) -> Self {
        Self {
            parent: (0..count as u32).collect(),
        }
    }

    fn find(&mut self, mut i: usize) -> usize {
        while self.parent[i] as usize != i {
            self.parent[i] = self.parent[self.parent[i] as usize];
            i = self.parent[i] as usize;
        }
        i
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.parent[a.max(b)] = a.min(b) as u32;
    }
}

#[cfg(test)]
#[path = "dbscan_tests.rs"]
mod tests;
