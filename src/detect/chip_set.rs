//! A set of chip numbers, one bit each.

/// Which chips of a scene are in the set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChipSet {
    words: Vec<u64>,
}

impl ChipSet {
    /// Adds a chip.
    pub fn insert(&mut self, chip: usize) {
        let word = chip / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (chip % 64);
    }

    /// Number of chips in the set.
    pub fn len(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a chip is in the set.
    pub fn contains(&self, chip: usize) -> bool {
        self.words
            .get(chip / 64)
            .is_some_and(|word| word >> (chip % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in_and_nothing_else() {
        let mut set = ChipSet::default();
        for chip in [0, 63, 64, 1000] {
            set.insert(chip);
        }
        let held: Vec<usize> = (0..2000).filter(|c| set.contains(*c)).collect();
        assert_eq!(held, [0, 63, 64, 1000]);
        assert_eq!(set.len(), 4);
    }
}
