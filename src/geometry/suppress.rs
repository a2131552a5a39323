//! Non-maximum suppression: of boxes that show the same thing, keep the best.
//!
//! Greedy and exact: boxes are taken in the order given (best first); each one kept removes all
//! later ones that overlap it too much. Only boxes whose bounds meet, and which were not removed yet, are
//! compared, and of those most are told apart without clipping (see [`Footprint`]), so crowds cost little more
//! than scattered boxes. The result depends on the order and the boxes alone, so it is the same however the work
//! was cut up as long as the order is total: callers sort by score and then by place.

use super::box_tree::{Bounds, BoxTree};
use super::footprint::Footprint;
use super::ground::{GroundBox, PlanePoint};
use super::oriented_box::OrientedBox;
use super::overlap::{Overlap, SuppressionRule};

/// Suppression in a plane of pixels. `boxes` come best first; returns the positions kept, in order.
pub fn suppress_planar(boxes: &[OrientedBox], rule: SuppressionRule) -> Vec<usize> {
    let quad = |b: &OrientedBox| b.corners().map(|p| [p.x, p.y]);
    let mut tree = BoxTree::new(boxes.iter().map(|b| Bounds::of(&quad(b))));
    let by_slot = tree.in_order(|i| {
        (
            boxes[i].center,
            quad(&boxes[i]),
            Footprint::of_pixels(&boxes[i]),
        )
    });
    let mut kept = Vec::new();
    let mut same = Vec::new();
    for i in 0..boxes.len() {
        let slot = tree.slot(i);
        if !tree.take(slot) {
            continue;
        }
        kept.push(i);
        let (center, quad, footprint) = &by_slot[slot];
        tree.for_each_near(&tree.bounds(slot), |other| {
            let (its_center, its_quad, its_footprint) = &by_slot[other];
            let apart = [its_center.x - center.x, its_center.y - center.y];
            if footprint.may_be_same(its_footprint, apart, rule)
                && rule.same(Overlap::of_quads(quad, its_quad))
            {
                same.push(other);
            }
        });
        for other in same.drain(..) {
            tree.take(other);
        }
    }
    kept
}

/// Suppression on the ground. `boxes` come best first; returns the positions kept, in order.
pub fn suppress_ground(boxes: &[GroundBox], rule: SuppressionRule) -> Vec<usize> {
    let mut pile = GroundPile::new(boxes.len(), |i| boxes[i]);
    let mut same = Vec::new();
    let mut kept = Vec::new();
    for i in 0..boxes.len() {
        if pile.take_same(i, rule, &mut same) {
            kept.push(i);
        }
    }
    kept
}

/// Boxes on the ground, of which one after the other is taken away with all that show the same thing. Each is known
/// by its position.
pub struct GroundPile {
    tree: BoxTree<3>,
    /// By slot of the tree.
    boxes: Vec<(GroundBox, Footprint)>,
}

impl GroundPile {
    /// A pile of `count` boxes, each by its position.
    pub fn new(count: usize, ground: impl Fn(usize) -> GroundBox) -> Self {
        let tree = BoxTree::new((0..count).map(|i| bounds_in_space(&ground(i))));
        let with_footprint = |i| (ground(i), Footprint::of_ground(&ground(i)));
        Self {
            boxes: tree.in_order(with_footprint),
            tree,
        }
    }

    /// Takes box `i` away. Returns `false` where it was taken before.
    pub fn take(&mut self, i: usize) -> bool {
        self.tree.take(self.tree.slot(i))
    }

    /// Puts the positions of all boxes that are left and may come within `reach_m` metres of box `i`, rising, into
    /// `near`.
    pub fn near(&self, i: usize, reach_m: f64, near: &mut Vec<usize>) {
        near.clear();
        let around = self.tree.bounds(self.tree.slot(i)).widened(reach_m);
        self.tree
            .for_each_near(&around, |slot| near.push(self.tree.position(slot)));
        near.sort_unstable();
    }

    /// Takes box `i` away, and with it all that overlap it by `rule`: their positions, rising and without `i`, are
    /// what `same` holds afterwards. Returns `false` where box `i` was taken before.
    pub fn take_same(&mut self, i: usize, rule: SuppressionRule, same: &mut Vec<usize>) -> bool {
        same.clear();
        let slot = self.tree.slot(i);
        if !self.tree.take(slot) {
            return false;
        }
        let (one, footprint) = &self.boxes[slot];
        self.tree.for_each_near(&self.tree.bounds(slot), |slot| {
            let (other, its_footprint) = &self.boxes[slot];
            let PlanePoint { east, north } = one.center.offset_to(other.center);
            if footprint.may_be_same(its_footprint, [east, north], rule)
                && rule.same(one.overlap(other))
            {
                same.push(slot);
            }
        });
        for slot in same.iter_mut() {
            self.tree.take(*slot);
            *slot = self.tree.position(*slot);
        }
        same.sort_unstable();
        true
    }
}

/// In geocentric space, where there is no date line and no pole. A hair wider than the box, since overlaps are
/// computed in a plane.
fn bounds_in_space(ground: &GroundBox) -> Bounds<3> {
    Bounds::round(ground.center.geocentric(), ground.radius_m() * (1.0 + 1e-6))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::geometry::{LonLat, PixelPoint, PlanePoint};

    const RULE: SuppressionRule = SuppressionRule {
        iou: 0.45,
        ios: 0.8,
    };

    /// Suppression as its definition reads: every pair compared.
    fn by_definition(boxes: &[OrientedBox]) -> Vec<usize> {
        let quad = |b: &OrientedBox| b.corners().map(|p| [p.x, p.y]);
        let mut kept: Vec<usize> = Vec::new();
        for (i, b) in boxes.iter().enumerate() {
            if kept
                .iter()
                .all(|&k| !RULE.same(Overlap::of_quads(&quad(&boxes[k]), &quad(b))))
            {
                kept.push(i);
            }
        }
        kept
    }

    prop_compose! {
        fn crowded_box()(x in 0.0..60.0f64, y in 0.0..60.0f64, l in 2.0..20.0f64, w in 2.0..20.0f64, a in 0.0..3.2f64) -> OrientedBox {
            OrientedBox { center: PixelPoint::new(x, y), length: l, width: w, angle: a }
        }
    }

    prop_compose! {
        /// Many on one spot, of very different sizes.
        fn piled_box()(x in 20.0..24.0f64, y in 20.0..24.0f64, l in 0.5..30.0f64, w in 0.5..30.0f64, a in 0.0..3.2f64)
            -> OrientedBox
        {
            OrientedBox { center: PixelPoint::new(x, y), length: l, width: w, angle: a }
        }
    }

    /// A box of pixels of ten metres.
    fn on_ground(home: LonLat, b: &OrientedBox) -> GroundBox {
        GroundBox {
            center: home.displaced(PlanePoint {
                east: b.center.x * 10.0,
                north: -b.center.y * 10.0,
            }),
            length_m: b.length * 10.0,
            width_m: b.width * 10.0,
            angle_deg: (90.0 + b.angle.to_degrees()).rem_euclid(180.0),
        }
    }

    proptest! {
        #[test]
        fn the_index_changes_nothing(boxes in prop::collection::vec(crowded_box(), 0..60)) {
            prop_assert_eq!(suppress_planar(&boxes, RULE), by_definition(&boxes));
        }

        #[test]
        fn suppressing_twice_changes_nothing(boxes in prop::collection::vec(crowded_box(), 0..60)) {
            let kept: Vec<OrientedBox> = suppress_planar(&boxes, RULE).into_iter().map(|i| boxes[i]).collect();
            prop_assert_eq!(suppress_planar(&kept, RULE).len(), kept.len());
        }

        #[test]
        fn crowds_keep_what_the_definition_keeps(boxes in prop::collection::vec(piled_box(), 0..300)) {
            prop_assert_eq!(suppress_planar(&boxes, RULE), by_definition(&boxes));
        }

        #[test]
        fn on_the_ground_the_index_changes_nothing(
            boxes in prop::collection::vec(prop_oneof![crowded_box(), piled_box()], 0..80), lat in -80.0..80.0f64,
        ) {
            let home = LonLat::new(179.999, lat);
            let ground: Vec<GroundBox> = boxes.iter().map(|b| on_ground(home, b)).collect();
            let mut kept: Vec<usize> = Vec::new();
            for (i, b) in ground.iter().enumerate() {
                if kept.iter().all(|&k| !RULE.same(ground[k].overlap(b))) {
                    kept.push(i);
                }
            }
            prop_assert_eq!(suppress_ground(&ground, RULE), kept);
        }

        #[test]
        fn on_the_ground_as_in_the_plane(boxes in prop::collection::vec(crowded_box(), 0..40)) {
            // Ten metres a pixel, away from the overlaps that lie within rounding of the threshold.
            let quad = |b: &OrientedBox| b.corners().map(|p| [p.x, p.y]);
            for (i, a) in boxes.iter().enumerate() {
                for b in &boxes[..i] {
                    let o = Overlap::of_quads(&quad(a), &quad(b));
                    prop_assume!((o.iou - RULE.iou).abs() > 1e-3 && (o.ios - RULE.ios).abs() > 1e-3);
                }
            }
            let home = LonLat::new(179.999, 27.0);
            let ground: Vec<GroundBox> = boxes.iter().map(|b| on_ground(home, b)).collect();
            prop_assert_eq!(suppress_ground(&ground, RULE), suppress_planar(&boxes, RULE));
        }
    }
}
