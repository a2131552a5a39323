//! Boxes in space that are found by where they are and taken away one by one.
//!
//! Boxes are halved along the widest axis again and again, until eight are left: a leaf of a complete binary tree of
//! bounds. Unlike an R-tree built for searching alone it knows how many boxes are left under each node, so that what
//! was taken away costs nothing any more: where thousands of boxes lie on one another, suppression looks only at those
//! that are still there.
//!
//! A box is known by its *slot*, its place in the order of the leaves: what is kept of each box lies in memory in that
//! order too, so that neighbours in space are neighbours there.

/// Where a box lies: its lowest and highest coordinate along each axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds<const D: usize> {
    pub(super) low: [f64; D],
    pub(super) high: [f64; D],
}

impl<const D: usize> Bounds<D> {
    const NOTHING: Self = Self {
        low: [f64::INFINITY; D],
        high: [f64::NEG_INFINITY; D],
    };

    /// A cube round a point.
    pub(super) fn round(center: [f64; D], radius: f64) -> Self {
        Self {
            low: center.map(|c| c - radius),
            high: center.map(|c| c + radius),
        }
    }

    /// Wider by `reach` on all sides.
    pub(super) fn widened(self, reach: f64) -> Self {
        Self {
            low: self.low.map(|c| c - reach),
            high: self.high.map(|c| c + reach),
        }
    }

    /// Round all points.
    pub(super) fn of(points: &[[f64; D]]) -> Self {
        points.iter().fold(Self::NOTHING, |bounds, point| {
            bounds.with(&Self {
                low: *point,
                high: *point,
            })
        })
    }

    fn with(mut self, other: &Self) -> Self {
        for axis in 0..D {
            self.low[axis] = self.low[axis].min(other.low[axis]);
            self.high[axis] = self.high[axis].max(other.high[axis]);
        }
        self
    }

    fn meets(&self, other: &Self) -> bool {
        (0..D).all(|k| self.low[k] <= other.high[k] && other.low[k] <= self.high[k])
    }

    /// Twice the middle: as good as the middle for comparing.
    fn middle(&self, axis: usize) -> f64 {
        self.low[axis] + self.high[axis]
    }
}

/// Boxes in one leaf.
const LEAF: usize = 8;
/// Nodes that wait on the way down: one for each level of the deepest tree, and the root.
const WAITING: usize = 33;

/// The tree.
pub(super) struct BoxTree<const D: usize> {
    /// Bounds of the boxes, and their positions in the slice that the tree was made of; by slot.
    slots: Vec<(Bounds<D>, u32)>,
    /// Slots by position.
    slot_of: Vec<u32>,
    taken: Vec<bool>,
    /// Of the nodes: 1 is the root, `i` has the children `2 i` and `2 i + 1`, and the last half are the leaves.
    around: Vec<Bounds<D>>,
    /// Boxes left under each node. Apart from its bounds, since each box that is taken changes a whole branch.
    left: Vec<u32>,
}

impl<const D: usize> BoxTree<D> {
    pub(super) fn new(boxes: impl Iterator<Item = Bounds<D>>) -> Self {
        let slots: Vec<(Bounds<D>, u32)> = boxes.zip(0..).collect();
        let leaves = slots.len().div_ceil(LEAF).next_power_of_two();
        let mut tree = Self {
            slot_of: vec![0; slots.len()],
            taken: vec![false; slots.len()],
            slots,
            around: vec![Bounds::NOTHING; 2 * leaves],
            left: vec![0; 2 * leaves],
        };
        tree.build(1, 0, leaves * LEAF);
        for ((_, position), slot) in tree.slots.iter().zip(0..) {
            tree.slot_of[*position as usize] = slot;
        }
        tree
    }

    /// Brings the boxes into order that are under a node, with room for `room` from slot `from` on.
    fn build(&mut self, node: usize, from: usize, room: usize) {
        let to = self.slots.len().min(from + room);
        let slots = &mut self.slots[from.min(to)..to];
        let bounds = (slots.iter()).fold(Bounds::NOTHING, |all, (own, _)| all.with(own));
        self.around[node] = bounds;
        self.left[node] = slots.len() as u32;
        if room == LEAF {
            return;
        }
        let half = room / 2;
        if half < slots.len() {
            let width = |axis: &usize| bounds.high[*axis] - bounds.low[*axis];
            let axis = (0..D).max_by(|a, b| width(a).total_cmp(&width(b)));
            let axis = axis.unwrap_or(0);
            slots.select_nth_unstable_by(half, |(a, _), (b, _)| {
                a.middle(axis).total_cmp(&b.middle(axis))
            });
        }
        self.build(2 * node, from, half);
        self.build(2 * node + 1, from + half, half);
    }

    /// The slot of a box, by its position in the slice that the tree was made of.
    pub(super) fn slot(&self, position: usize) -> usize {
        self.slot_of[position] as usize
    }

    /// The other way round.
    pub(super) fn position(&self, slot: usize) -> usize {
        self.slots[slot].1 as usize
    }

    /// What is kept of each box, brought from positions into the order of slots.
    pub(super) fn in_order<T>(&self, item: impl Fn(usize) -> T) -> Vec<T> {
        let positions = self.slots.iter().map(|(_, position)| *position);
        positions.map(|p| item(p as usize)).collect()
    }

    /// Bounds of a box.
    pub(super) fn bounds(&self, slot: usize) -> Bounds<D> {
        self.slots[slot].0
    }

    /// Takes a box away. Returns `false` where it was taken before.
    pub(super) fn take(&mut self, slot: usize) -> bool {
        if std::mem::replace(&mut self.taken[slot], true) {
            return false;
        }
        let mut node = self.left.len() / 2 + slot / LEAF;
        while node > 0 {
            self.left[node] -= 1;
            node /= 2;
        }
        true
    }

    /// Hands the slots of all boxes that are left and whose bounds meet `bounds` to `visit`, in no order.
    pub(super) fn for_each_near(&self, bounds: &Bounds<D>, mut visit: impl FnMut(usize)) {
        let leaves = self.left.len() / 2;
        let mut waiting = [1_usize; WAITING];
        let mut count = 1;
        while count > 0 {
            count -= 1;
            let node = waiting[count];
            if self.left[node] == 0 || !self.around[node].meets(bounds) {
                continue;
            }
            if node < leaves {
                waiting[count] = 2 * node + 1;
                waiting[count + 1] = 2 * node;
                count += 2;
                continue;
            }
            let first = (node - leaves) * LEAF;
            let last = (first + LEAF).min(self.slots.len());
            for (slot, (own, _)) in (first..last).zip(&self.slots[first..last]) {
                if !self.taken[slot] && own.meets(bounds) {
                    visit(slot);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_is_left_and_nothing_else(
            boxes in prop::collection::vec((0.0..50.0f64, 0.0..50.0f64, 0.0..9.0f64), 0..80),
            gone in prop::collection::vec(any::<bool>(), 80),
            at in (0.0..50.0f64, 0.0..50.0f64, 0.0..20.0f64),
        ) {
            let bounds: Vec<Bounds<2>> = boxes.iter().map(|&(x, y, r)| Bounds::round([x, y], r)).collect();
            let mut tree = BoxTree::new(bounds.iter().copied());
            for position in (0..bounds.len()).filter(|&i| gone[i]) {
                let slot = tree.slot(position);
                prop_assert!(tree.take(slot) && !tree.take(slot));
            }
            let here = Bounds::round([at.0, at.1], at.2);
            let mut found = Vec::new();
            tree.for_each_near(&here, |slot| found.push(tree.position(slot)));
            found.sort_unstable();
            let expected: Vec<usize> =
                (0..bounds.len()).filter(|&i| !gone[i] && bounds[i].meets(&here)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
