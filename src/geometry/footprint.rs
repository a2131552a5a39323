//! A quick no: pairs of boxes that cannot overlap enough, found without clipping.

use super::ground::GroundBox;
use super::oriented_box::OrientedBox;
use super::overlap::SuppressionRule;

/// Half sides and direction of a box, in whatever plane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Footprint {
    half: [f64; 2],
    /// Unit vector along the first side.
    axis: [f64; 2],
}

impl Footprint {
    /// In a plane of pixels.
    pub(super) fn of_pixels(shape: &OrientedBox) -> Self {
        let (sin, cos) = shape.angle.sin_cos();
        Self {
            half: [shape.length / 2.0, shape.width / 2.0],
            axis: [cos, sin],
        }
    }

    /// In a plane of metres east and north.
    pub(super) fn of_ground(ground: &GroundBox) -> Self {
        let (sin, cos) = ground.angle_deg.to_radians().sin_cos();
        Self {
            half: [ground.length_m / 2.0, ground.width_m / 2.0],
            axis: [sin, cos],
        }
    }

    fn area(&self) -> f64 {
        4.0 * self.half[0] * self.half[1]
    }

    /// Whether a box whose centre lies `apart` from this one's might overlap it by `rule`: `false` only where it
    /// surely does not. The shared area is at most that of either box and what is round the other.
    pub(super) fn may_be_same(&self, other: &Self, apart: [f64; 2], rule: SuppressionRule) -> bool {
        /// What rounding may make of a number.
        const SLACK: f64 = 1.0 + 1e-6;
        let (a, b) = (self.area(), other.area());
        let smaller = a.min(b);
        let shared = self
            .most_shared(other, apart)
            .min(other.most_shared(self, apart));
        let shared = shared.min(smaller) * SLACK;
        shared >= rule.iou * (a + b - shared) || shared >= rule.ios * smaller
    }

    /// Area of this box that lies within the other's extent along its own two sides.
    fn most_shared(&self, other: &Self, apart: [f64; 2]) -> f64 {
        let [x, y] = self.axis;
        let along = (apart[0] * x + apart[1] * y).abs();
        let across = (apart[1] * x - apart[0] * y).abs();
        // Cosine and sine of the angle between the two.
        let cos = (other.axis[0] * x + other.axis[1] * y).abs();
        let sin = (other.axis[1] * x - other.axis[0] * y).abs();
        let reach = [
            cos * other.half[0] + sin * other.half[1],
            sin * other.half[0] + cos * other.half[1],
        ];
        let side = |half: f64, away: f64, reach: f64| {
            (half.min(away + reach) - (-half).max(away - reach)).max(0.0)
        };
        side(self.half[0], along, reach[0]) * side(self.half[1], across, reach[1])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::geometry::{Overlap, PixelPoint};

    prop_compose! {
        fn any_box()(x in 0.0..30.0f64, y in 0.0..30.0f64, l in 0.1..20.0f64, w in 0.1..20.0f64, a in 0.0..3.2f64)
            -> OrientedBox
        {
            OrientedBox { center: PixelPoint::new(x, y), length: l, width: w, angle: a }
        }
    }

    proptest! {
        #[test]
        fn a_no_is_never_wrong(a in any_box(), b in any_box(), iou in 0.01..1.0f64, ios in 0.01..1.0f64) {
            let rule = SuppressionRule { iou, ios };
            let quad = |b: &OrientedBox| b.corners().map(|p| [p.x, p.y]);
            let apart = [b.center.x - a.center.x, b.center.y - a.center.y];
            if !Footprint::of_pixels(&a).may_be_same(&Footprint::of_pixels(&b), apart, rule) {
                prop_assert!(!rule.same(Overlap::of_quads(&quad(&a), &quad(&b))));
            }
        }
    }
}
