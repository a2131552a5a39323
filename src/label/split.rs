//! Which chips are learnt from, and which are kept to measure with.
//!
//! Neighbours look alike: a network that has seen one half of a kiln field does well on the other, and that tells nothing
//! of a district it has never seen. So the ground is cut into blocks, each block belongs to one part as a whole, and
//! chips of different parts keep a distance.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::geometry::{GroundIndex, LonLat, distance_m};

/// Kilometres of a degree of latitude.
const KM_PER_DEGREE: f64 = 111.32;
/// Orders of the blocks that are tried: few and uneven blocks come out nearer to the shares in some than in others.
const ATTEMPTS: u64 = 64;

/// Row and column of a block of ground.
type Block = (i64, i64);

/// What a chip is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// To learn from.
    Train,
    /// To choose thresholds and training length by.
    Val,
    /// To measure with, once.
    Test,
}

impl Part {
    /// All parts, in the order in which they are written.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// Its name in folders and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

/// Shares of the parts, of objects. What is left is for training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares {
    /// Share of `val`.
    pub val: f64,
    /// Share of `test`.
    pub test: f64,
}

/// How the ground is cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SplitRule {
    /// Side of a block in kilometres.
    pub block_km: f64,
    /// Ground between chips of different parts, in metres: chips that lie nearer are left out of the larger part.
    pub gap_m: f64,
    /// Shares.
    pub shares: Shares,
    /// Another seed makes another split.
    pub seed: u64,
}

/// A chip to be split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Placed {
    /// Middle of the chip.
    pub(super) center: LonLat,
    /// Half its diagonal in metres.
    pub(super) radius_m: f64,
    /// Objects in it.
    pub(super) objects: usize,
}

/// The part of each chip, `None` for those that would lie too near to another part.
pub(super) fn split(chips: &[Placed], rule: &SplitRule) -> Vec<Option<Part>> {
    let blocks: Vec<Block> = chips
        .iter()
        .map(|c| block(c.center, rule.block_km))
        .collect();
    // A chip without objects counts a little, so that blocks of ground alone are shared out too.
    let mut weights: BTreeMap<Block, f64> = BTreeMap::new();
    for (chip, block) in chips.iter().zip(&blocks) {
        *weights.entry(*block).or_default() += chip.objects as f64 + 0.1;
    }
    let part_of = (0..ATTEMPTS)
        .map(|attempt| share_out(&weights, rule, attempt))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(BTreeMap::new, |(_, parts)| parts);
    let parts: Vec<Part> = blocks
        .iter()
        .map(|block| part_of.get(block).copied().unwrap_or(Part::Train))
        .collect();

    let index = GroundIndex::new(chips.iter().map(|c| c.center));
    let reach = chips.iter().map(|c| c.radius_m).fold(0.0, f64::max);
    (chips.iter().zip(&parts))
        .map(|(chip, &part)| {
            let crowded = index
                .within(chip.center, chip.radius_m + reach + rule.gap_m)
                .any(|other| {
                    let near = distance_m(chip.center, chips[other].center)
                        < chip.radius_m + chips[other].radius_m + rule.gap_m;
                    // The smaller part keeps its chips: there are few of them.
                    near && parts[other] > part
                });
            (!crowded).then_some(part)
        })
        .collect()
}

/// Gives each block to a part, in an order by chance, and tells how far the shares are from what is wanted.
fn share_out(
    weights: &BTreeMap<Block, f64>,
    rule: &SplitRule,
    attempt: u64,
) -> (f64, BTreeMap<Block, Part>) {
    let mut order: Vec<([u8; 32], Block)> = weights
        .keys()
        .map(|&block| (digest(rule.seed, attempt, block), block))
        .collect();
    order.sort_unstable();
    let total = weights.values().sum::<f64>().max(f64::MIN_POSITIVE);
    let wanted = [
        1.0 - rule.shares.val - rule.shares.test,
        rule.shares.val,
        rule.shares.test,
    ];
    let mut lacking = wanted;
    let mut parts = BTreeMap::new();
    for (_, block) in order {
        let part = (0..lacking.len())
            .filter(|&part| wanted[part] > 0.0)
            .max_by(|&a, &b| lacking[a].total_cmp(&lacking[b]).then(b.cmp(&a)))
            .unwrap_or(0);
        lacking[part] -= weights.get(&block).copied().unwrap_or_default() / total;
        parts.insert(block, Part::ALL[part]);
    }
    (lacking.iter().map(|lack| lack * lack).sum(), parts)
}

/// The block that a place lies in. Blocks of a row are equally wide on the ground.
fn block(place: LonLat, block_km: f64) -> Block {
    let row = (place.lat * KM_PER_DEGREE / block_km).floor();
    let middle = (row + 0.5) * block_km / KM_PER_DEGREE;
    let width = KM_PER_DEGREE * middle.to_radians().cos().abs().max(1e-6);
    let column = (place.lon * width / block_km).floor();
    (row as i64, column as i64)
}

fn digest(seed: u64, attempt: u64, (row, column): Block) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(attempt.to_le_bytes());
    hash.update(row.to_le_bytes());
    hash.update(column.to_le_bytes());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(val: f64, test: f64) -> SplitRule {
        SplitRule {
            block_km: 10.0,
            gap_m: 500.0,
            shares: Shares { val, test },
            seed: 7,
        }
    }

    fn spread(count: usize) -> Vec<Placed> {
        (0..count)
            .map(|i| Placed {
                center: LonLat::new(80.0 + (i % 20) as f64 * 0.05, 20.0 + (i / 20) as f64 * 0.05),
                radius_m: 900.0,
                objects: 1 + i % 3,
            })
            .collect()
    }

    #[test]
    fn parts_get_their_shares_and_the_same_again() {
        let chips = spread(400);
        let parts = split(&chips, &rule(0.15, 0.15));
        assert_eq!(parts, split(&chips, &rule(0.15, 0.15)));
        let objects = |wanted: Part| -> usize {
            let of_part = chips
                .iter()
                .zip(&parts)
                .filter(|(_, part)| **part == Some(wanted));
            of_part.map(|(chip, _)| chip.objects).sum()
        };
        let kept: usize = Part::ALL.map(objects).iter().sum();
        for (part, share) in [(Part::Val, 0.15), (Part::Test, 0.15)] {
            let found = objects(part) as f64 / kept as f64;
            assert!((found - share).abs() < 0.06, "{part:?}: {found}");
        }
        let other = SplitRule {
            seed: 8,
            ..rule(0.15, 0.15)
        };
        assert_ne!(parts, split(&chips, &other));
        assert!(
            split(&chips, &rule(0.0, 0.0))
                .iter()
                .all(|p| *p == Some(Part::Train))
        );
        assert!(split(&[], &rule(0.1, 0.1)).is_empty());
    }

    proptest! {
        #[test]
        fn chips_of_different_parts_keep_their_distance(
            places in proptest::collection::vec((179.5f64..180.5, -0.6f64..0.6, 0usize..4), 1..60), seed: u64,
        ) {
            let chips: Vec<Placed> = places
                .iter()
                .map(|&(lon, lat, objects)| Placed { center: LonLat::new(lon, lat), radius_m: 900.0, objects })
                .collect();
            let rule = SplitRule { seed, ..rule(0.3, 0.3) };
            let parts = split(&chips, &rule);
            for (a, part_a) in chips.iter().zip(&parts) {
                for (b, part_b) in chips.iter().zip(&parts) {
                    if let (Some(part_a), Some(part_b)) = (part_a, part_b) && part_a != part_b {
                        prop_assert!(distance_m(a.center, b.center) >= 2.0 * 900.0 + 500.0);
                    }
                }
            }
        }
    }
}
