//! Boxes in space that are found by where they are and taken away one by one.
//!
//! A balanced tree of bounds, halved at the median along the widest axis. Unlike an R-tree built for searching
//! alone it knows how many boxes are left under each node, so that what was taken away costs nothing any more:
//! where thousands of boxes lie on one another, suppression looks only at those that are still there.

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

struct Node<const D: usize> {
    bounds: Bounds<D>,
    left_over: u32,
}

/// The tree. A box is known by its position in the slice that the tree was made of.
pub(super) struct BoxTree<const D: usize> {
    /// Node `i` has the children `2 i + 1` and `2 i + 2`; its range of slots is halved for them.
    nodes: Vec<Node<D>>,
    depth: u32,
    /// Boxes by slot, the order of the leaves.
    slots: Vec<(Bounds<D>, usize)>,
    /// Slot of each box.
    slot_of: Vec<usize>,
    taken: Vec<bool>,
}

/// A node on the way down: its number, its slots, levels below it.
type Step = (usize, usize, usize, u32);

fn children((node, from, to, depth): Step) -> [Step; 2] {
    let middle = usize::midpoint(from, to);
    [
        (2 * node + 1, from, middle, depth - 1),
        (2 * node + 2, middle, to, depth - 1),
    ]
}

impl<const D: usize> BoxTree<D> {
    pub(super) fn new(boxes: impl IntoIterator<Item = Bounds<D>>) -> Self {
        let slots: Vec<(Bounds<D>, usize)> =
            boxes.into_iter().enumerate().map(|(i, b)| (b, i)).collect();
        let depth = slots
            .len()
            .div_ceil(LEAF)
            .max(1)
            .next_power_of_two()
            .ilog2();
        let mut tree = Self {
            nodes: Vec::new(),
            depth,
            slot_of: vec![0; slots.len()],
            taken: vec![false; slots.len()],
            slots,
        };
        tree.nodes.resize_with((2 << depth) - 1, || Node {
            bounds: Bounds::NOTHING,
            left_over: 0,
        });
        tree.build(tree.root());
        for (slot, (_, position)) in tree.slots.iter().enumerate() {
            tree.slot_of[*position] = slot;
        }
        tree
    }

    fn root(&self) -> Step {
        (0, 0, self.slots.len(), self.depth)
    }

    fn build(&mut self, step: Step) {
        let (node, from, to, depth) = step;
        let slots = &mut self.slots[from..to];
        let bounds = (slots.iter()).fold(Bounds::NOTHING, |all, (own, _)| all.with(own));
        self.nodes[node] = Node {
            bounds,
            left_over: slots.len() as u32,
        };
        if depth == 0 {
            return;
        }
        let width = |axis: usize| bounds.high[axis] - bounds.low[axis];
        let axis = (1..D).fold(0, |widest, axis| {
            if width(axis) > width(widest) {
                axis
            } else {
                widest
            }
        });
        let middle = slots.len() / 2;
        if middle < slots.len() {
            slots.select_nth_unstable_by(middle, |(a, _), (b, _)| {
                a.middle(axis).total_cmp(&b.middle(axis))
            });
        }
        for child in children(step) {
            self.build(child);
        }
    }

    /// Whether a box was taken away.
    pub(super) fn is_taken(&self, position: usize) -> bool {
        self.taken[self.slot_of[position]]
    }

    /// Takes a box away, once.
    pub(super) fn take(&mut self, position: usize) {
        let slot = self.slot_of[position];
        self.taken[slot] = true;
        let mut step = self.root();
        loop {
            self.nodes[step.0].left_over -= 1;
            if step.3 == 0 {
                return;
            }
            let [left, right] = children(step);
            step = if slot < left.2 { left } else { right };
        }
    }

    /// Hands all boxes that are left and whose bounds meet `bounds` to `visit`, in no order.
    pub(super) fn for_each_near(&self, bounds: &Bounds<D>, mut visit: impl FnMut(usize)) {
        let mut open = vec![self.root()];
        while let Some(step) = open.pop() {
            let (node, from, to, depth) = step;
            let Node {
                bounds: own,
                left_over,
            } = &self.nodes[node];
            if *left_over == 0 || !own.meets(bounds) {
                continue;
            }
            if depth > 0 {
                open.extend(children(step));
                continue;
            }
            for (slot, (own, position)) in (from..to).zip(&self.slots[from..to]) {
                if !self.taken[slot] && own.meets(bounds) {
                    visit(*position);
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
                tree.take(position);
            }
            let here = Bounds::round([at.0, at.1], at.2);
            let mut found = Vec::new();
            tree.for_each_near(&here, |position| found.push(position));
            found.sort_unstable();
            let expected: Vec<usize> =
                (0..bounds.len()).filter(|&i| !gone[i] && bounds[i].meets(&here)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
