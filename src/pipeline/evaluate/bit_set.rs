//! Sets of places in a listing, a bit for each. Does not know what the places are of.

/// A place as a 32-bit number: a repository of four billion manifests is far beyond what paging bounds let in.
pub(super) fn place(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// A set of places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitSet {
    words: Vec<u64>,
}

impl BitSet {
    /// Room for so many places, and none in it.
    pub fn new(items: usize) -> Self {
        Self { words: vec![0; items.div_ceil(64)] }
    }

    /// No places, and room for none.
    pub const fn none() -> Self {
        Self { words: Vec::new() }
    }

    /// Puts a place in.
    pub fn insert(&mut self, item: usize) {
        self.words[item / 64] |= 1 << (item % 64);
    }

    /// Takes a place out.
    pub fn remove(&mut self, item: usize) {
        self.words[item / 64] &= !(1 << (item % 64));
    }

    /// Whether the place is in it.
    pub fn contains(&self, item: usize) -> bool {
        self.words.get(item / 64).is_some_and(|word| word & 1 << (item % 64) != 0)
    }

    /// Takes out what `stays` does not want.
    pub fn retain(&mut self, mut stays: impl FnMut(u32) -> bool) {
        for (place, word) in self.words.iter_mut().enumerate() {
            let mut rest = *word;
            while rest != 0 {
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                if !stays(self::place(place * 64) + bit) {
                    *word &= !(1 << bit);
                }
            }
        }
    }

    /// The places, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(place, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                Some(self::place(place * 64) + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_set_gives_back_what_was_put_in() {
        let mut set = BitSet::new(200);
        for item in [0, 63, 64, 199] {
            set.insert(item);
        }
        set.remove(63);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 64, 199]);
        assert!(set.contains(199) && !set.contains(63));
        set.retain(|place| place != 64);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 199]);
    }
}
