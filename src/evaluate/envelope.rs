//! Axis-aligned envelopes: what oriented boxes are compared by when the truth has no orientation.
//!
//! COCO boxes lie along the axes of the pixels, so with them the envelope is taken in the scene's
//! pixels. Labels on the ground are enveloped north-up, in metres.

use crate::geometry::{LonLat, Overlap, PixelPoint, PlanePoint};

/// The axes an envelope lies along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// Pixels of the scene: x right, y down, from the corner of the first pixel.
    Pixels,
    /// Metres east and north of `anchor` in the local plane.
    NorthUp,
}

/// An axis-aligned rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Envelope {
    pub(super) frame: Frame,
    /// What north-up coordinates count from; not used in pixels.
    anchor: LonLat,
    min: [f64; 2],
    max: [f64; 2],
}

impl Envelope {
    /// Of points in a scene's pixels.
    pub(super) fn in_pixels(points: &[PixelPoint]) -> Self {
        let nowhere = LonLat { lon: 0.0, lat: 0.0 };
        Self::of(Frame::Pixels, nowhere, points.iter().map(|p| [p.x, p.y]))
    }

    /// Of places, in metres round `anchor`.
    pub(super) fn north_up(anchor: LonLat, places: &[LonLat]) -> Self {
        let offsets = places.iter().map(|&p| anchor.offset_to(p));
        Self::of(Frame::NorthUp, anchor, offsets.map(|p| [p.east, p.north]))
    }

    fn of(frame: Frame, anchor: LonLat, points: impl Iterator<Item = [f64; 2]>) -> Self {
        let (mut min, mut max) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for point in points {
            for axis in 0..2 {
                min[axis] = point[axis].min(min[axis]);
                max[axis] = point[axis].max(max[axis]);
            }
        }
        Self {
            frame,
            anchor,
            min,
            max,
        }
    }

    /// Intersection over union, 0 to 1. Envelopes of different frames share nothing.
    pub(super) fn iou(&self, other: &Self) -> f64 {
        if self.frame != other.frame {
            return 0.0;
        }
        let offset = match self.frame {
            Frame::Pixels => PlanePoint {
                east: 0.0,
                north: 0.0,
            },
            Frame::NorthUp => self.anchor.offset_to(other.anchor),
        };
        let shifted = |[x, y]: [f64; 2]| [x + offset.east, y + offset.north];
        Overlap::of_quads(
            &quad(self.min, self.max),
            &quad(shifted(other.min), shifted(other.max)),
        )
        .iou
    }
}

fn quad([x0, y0]: [f64; 2], [x1, y1]: [f64; 2]) -> [[f64; 2]; 4] {
    [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_box_aside_shares_a_third() {
        let at = |x: f64| {
            Envelope::in_pixels(&[PixelPoint::new(x, 0.0), PixelPoint::new(x + 10.0, 10.0)])
        };
        // Shared 5 x 10, together 15 x 10.
        assert!((at(0.0).iou(&at(5.0)) - 1.0 / 3.0).abs() < 1e-12);
        assert!(at(0.0).iou(&at(10.0)).abs() < 1e-12);
    }

    #[test]
    fn frames_are_not_mixed() {
        let place = LonLat::new(3.0, 1.0);
        let ground = Envelope::north_up(place, &[place, LonLat::new(3.001, 1.001)]);
        let pixels = Envelope::in_pixels(&[PixelPoint::new(0.0, 0.0), PixelPoint::new(99.0, 99.0)]);
        assert!(ground.iou(&pixels).abs() < 1e-12);
        assert!((ground.iou(&ground) - 1.0).abs() < 1e-12);
    }
}
