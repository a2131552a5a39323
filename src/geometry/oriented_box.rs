//! A rectangle at any angle in a plane of pixels.

/// A position in pixels. Pixel (0, 0) is the square from (0, 0) to (1, 1): its centre is (0.5, 0.5).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelPoint {
    /// To the right.
    pub x: f64,
    /// Down.
    pub y: f64,
}

impl PixelPoint {
    /// A point from its coordinates.
    pub const fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }
}

/// A rectangle given by its centre, its two sides and the direction of the longer one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OrientedBox {
    /// Centre.
    pub center: PixelPoint,
    /// Side along `angle`, in pixels.
    pub length: f64,
    /// Side across `angle`, in pixels.
    pub width: f64,
    /// Direction of the length axis in radians, from +x towards +y (clockwise on the screen).
    pub angle: f64,
}

impl OrientedBox {
    /// The same rectangle with `length >= width` and `0 <= angle < π`.
    ///
    /// A rectangle looks the same after half a turn, and after a quarter turn with its sides
    /// exchanged, so every rectangle but a square has exactly one such form.
    #[must_use]
    pub fn canonical(self) -> Self {
        let (length, width, angle) = if self.length >= self.width {
            (self.length, self.width, self.angle)
        } else {
            (
                self.width,
                self.length,
                self.angle + std::f64::consts::FRAC_PI_2,
            )
        };
        let angle = angle.rem_euclid(std::f64::consts::PI);
        // rem_euclid may round up to π itself for tiny negative angles.
        let angle = if angle >= std::f64::consts::PI {
            0.0
        } else {
            angle
        };
        Self {
            center: self.center,
            length,
            width,
            angle,
        }
    }

    /// The four corners, in order round the box, starting at (+length/2, +width/2).
    pub fn corners(&self) -> [PixelPoint; 4] {
        let (sin, cos) = self.angle.sin_cos();
        let (l, w) = (self.length / 2.0, self.width / 2.0);
        [(l, w), (-l, w), (-l, -w), (l, -w)].map(|(along, across)| PixelPoint {
            x: self.center.x + along * cos - across * sin,
            y: self.center.y + along * sin + across * cos,
        })
    }

    /// The two ends of the length axis, then the two ends of the width axis.
    pub fn axis_ends(&self) -> [PixelPoint; 4] {
        let (sin, cos) = self.angle.sin_cos();
        let (l, w) = (self.length / 2.0, self.width / 2.0);
        [(-l, 0.0), (l, 0.0), (0.0, -w), (0.0, w)].map(|(along, across)| PixelPoint {
            x: self.center.x + along * cos - across * sin,
            y: self.center.y + along * sin + across * cos,
        })
    }

    /// Half the diagonal: the radius of the circle through the corners.
    pub fn radius(&self) -> f64 {
        self.length.hypot(self.width) / 2.0
    }

    /// Whether all numbers are finite and both sides are positive.
    pub fn is_valid(&self) -> bool {
        [
            self.center.x,
            self.center.y,
            self.length,
            self.width,
            self.angle,
        ]
        .iter()
        .all(|v| v.is_finite())
            && self.length > 0.0
            && self.width > 0.0
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

    use super::*;

    fn sample(length: f64, width: f64, angle: f64) -> OrientedBox {
        OrientedBox {
            center: PixelPoint::new(10.0, 20.0),
            length,
            width,
            angle,
        }
    }

    #[test]
    fn corners_of_an_upright_box_are_its_extent() {
        let corners = sample(4.0, 2.0, 0.0).corners();
        assert_eq!(corners[0], PixelPoint::new(12.0, 21.0));
        assert_eq!(corners[2], PixelPoint::new(8.0, 19.0));
    }

    #[test]
    fn a_positive_angle_turns_the_length_axis_down_the_screen() {
        let [_, end, ..] = sample(2.0, 1.0, FRAC_PI_4).axis_ends();
        assert!(end.x > 10.0 && end.y > 20.0);
    }

    #[test]
    fn canonical_form_keeps_the_longer_side_as_length() {
        let turned = sample(2.0, 6.0, 0.0).canonical();
        assert!((turned.length - 6.0).abs() < 1e-12);
        assert!((turned.angle - FRAC_PI_2).abs() < 1e-12);
    }

    #[test]
    fn canonical_angle_never_reaches_half_a_turn() {
        let tiny = sample(6.0, 2.0, -1e-18).canonical();
        assert!(tiny.angle < PI);
    }
}
