//! Non-maximum suppression: of boxes that show the same thing, keep the best.
//!
//! Greedy and exact: boxes are taken in the order given (best first); each one kept removes all
//! later ones that overlap it too much. Only boxes whose circumscribed circles meet are compared,
//! found through an R-tree, so the cost grows with the number of real neighbours.
//! The result depends on the order and the boxes alone, so it is the same however the work was cut up
//! as long as the order is total: callers sort by score and then by place.

use rstar::RTree;
use rstar::primitives::GeomWithData;

use super::ground::{GroundBox, GroundIndex};
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
    let entries = boxes
        .iter()
        .enumerate()
        .map(|(i, b)| GeomWithData::new([b.center.x, b.center.y], i))
        .collect();
    let tree = RTree::bulk_load(entries);
    let corners: Vec<[[f64; 2]; 4]> = boxes
        .iter()
        .map(|b| b.corners().map(|p| [p.x, p.y]))
        .collect();
    let reach = boxes.iter().map(OrientedBox::radius).fold(0.0, f64::max);
    greedy(boxes.len(), |i, remove| {
        let radius = boxes[i].radius() + reach;
        for entry in
            tree.locate_within_distance([boxes[i].center.x, boxes[i].center.y], radius * radius)
        {
            if entry.data > i && rule.same(Overlap::of_quads(&corners[i], &corners[entry.data])) {
                remove(entry.data);
            }
        }
    })
}

/// Suppression on the ground. `boxes` come best first; returns the positions kept, in order.
pub fn suppress_ground(boxes: &[GroundBox], rule: SuppressionRule) -> Vec<usize> {
    let index = GroundIndex::new(boxes.iter().map(|b| b.center));
    let reach = boxes.iter().map(GroundBox::radius_m).fold(0.0, f64::max);
    greedy(boxes.len(), |i, remove| {
        for j in index.within(boxes[i].center, boxes[i].radius_m() + reach) {
            if j > i && rule.same(boxes[i].overlap(&boxes[j])) {
                remove(j);
            }
        }
    })
}

/// Takes positions in order; `visit` names the later ones that position `i` removes.
fn greedy(count: usize, mut visit: impl FnMut(usize, &mut dyn FnMut(usize))) -> Vec<usize> {
    let mut removed = vec![false; count];
    let mut kept = Vec::new();
    for i in 0..count {
        if removed[i] {
            continue;
        }
        kept.push(i);
        visit(i, &mut |j| removed[j] = true);
    }
    kept
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
            let ground: Vec<GroundBox> = boxes.iter().map(|b| GroundBox {
                center: home.displaced(PlanePoint { east: b.center.x * 10.0, north: -b.center.y * 10.0 }),
                length_m: b.length * 10.0,
                width_m: b.width * 10.0,
                angle_deg: (90.0 + b.angle.to_degrees()).rem_euclid(180.0),
            }).collect();
            prop_assert_eq!(suppress_ground(&ground, RULE), suppress_planar(&boxes, RULE));
        }
    }
}
