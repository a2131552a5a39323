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
use super::overlap::Overlap;

/// When two boxes count as one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuppressionRule {
    /// Intersection over union at or above this.
    pub iou: f64,
    /// Or intersection over the smaller box at or above this (a part inside its whole).
    pub ios: f64,
}

impl SuppressionRule {
    /// Whether an overlap is large enough for the two boxes to show one thing.
    pub fn same(&self, overlap: Overlap) -> bool {
        overlap.iou >= self.iou || overlap.ios >= self.ios
    }
}

/// Suppression in a plane of pixels. `boxes` come best first; returns the positions kept, in order.
pub fn suppress_planar(boxes: &[OrientedBox], rule: SuppressionRule) -> Vec<usize> {
    let corners: Vec<[[f64; 2]; 4]> = boxes
        .iter()
        .map(|b| b.corners().map(|p| [p.x, p.y]))
        .collect();
    let footprints: Vec<Footprint> = boxes.iter().map(Footprint::of_pixels).collect();
    let mut tree = BoxTree::new(corners.iter().map(|quad| Bounds::of(quad)));
    let mut kept = Vec::new();
    let mut same = Vec::new();
    for (i, quad) in corners.iter().enumerate() {
        if tree.is_taken(i) {
            continue;
        }
        kept.push(i);
        tree.take(i);
        tree.for_each_near(&Bounds::of(quad), |j| {
            let apart = [
                boxes[j].center.x - boxes[i].center.x,
                boxes[j].center.y - boxes[i].center.y,
            ];
            if footprints[i].may_be_same(&footprints[j], apart, rule)
                && rule.same(Overlap::of_quads(quad, &corners[j]))
            {
                same.push(j);
            }
        });
        same.drain(..).for_each(|j| tree.take(j));
    }
    kept
}

/// Suppression on the ground. `boxes` come best first; returns the positions kept, in order.
pub fn suppress_ground(boxes: &[GroundBox], rule: SuppressionRule) -> Vec<usize> {
    let mut pile = GroundPile::new(boxes.to_vec());
    let mut same = Vec::new();
    let mut kept = Vec::new();
    for i in 0..boxes.len() {
        if pile.take_same(i, rule, &mut same) {
            kept.push(i);
        }
    }
    kept
}

/// Boxes on the ground, of which one after the other is taken away with all that show the same thing.
pub struct GroundPile {
    boxes: Vec<GroundBox>,
    footprints: Vec<Footprint>,
    tree: BoxTree<3>,
}

impl GroundPile {
    /// A pile of boxes; each is known by its position.
    pub fn new(boxes: Vec<GroundBox>) -> Self {
        Self {
            footprints: boxes.iter().map(Footprint::of_ground).collect(),
            tree: BoxTree::new(boxes.iter().map(bounds_in_space)),
            boxes,
        }
    }

    /// Takes box `i` away, and with it all that overlap it by `rule`: their positions, rising and without `i`, are
    /// what `same` holds afterwards. Returns `false` where box `i` was taken before.
    pub fn take_same(&mut self, i: usize, rule: SuppressionRule, same: &mut Vec<usize>) -> bool {
        same.clear();
        if self.tree.is_taken(i) {
            return false;
        }
        self.tree.take(i);
        let one = &self.boxes[i];
        self.tree.for_each_near(&bounds_in_space(one), |j| {
            let other = &self.boxes[j];
            let PlanePoint { east, north } = one.center.offset_to(other.center);
            if self.footprints[i].may_be_same(&self.footprints[j], [east, north], rule)
                && rule.same(one.overlap(other))
            {
                same.push(j);
            }
        });
        same.sort_unstable();
        for &j in same.iter() {
            self.tree.take(j);
        }
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
