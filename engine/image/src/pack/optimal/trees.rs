//! Earlier places by binary trees: one for each hash of four bytes, the nearest place at its root,
//! in the order of what follows. Looking for a place rebuilds the tree with it at the root, so
//! that a few steps find the longest matches: as in LZMA, and in libdeflate's slow levels.

use super::places::{Base, NOWHERE, Search, WINDOW, eight, four, hash, nowhere, same};

/// Bits of hashes of four bytes.
const ORDER: u32 = 16;
const NODES: usize = 2 * WINDOW;

pub(super) struct Trees {
    search: Search,
    /// By hashes of three bytes, of `order` bits.
    of_three: Vec<i16>,
    order: u32,
    roots: Box<[i16; 1 << ORDER]>,
    /// Of each place, one whose bytes are less, and one whose are greater.
    children: Box<[i16; NODES]>,
    base: Base,
}

impl Trees {
    /// With hashes of three bytes, of `order` bits.
    pub(super) fn new(search: Search, order: u32) -> Self {
        Self {
            search,
            of_three: vec![NOWHERE; 1 << order],
            order,
            roots: nowhere(),
            children: nowhere(),
            base: Base::default(),
        }
    }

    /// Forgets everything; the next position is `at`.
    pub(super) fn restart(&mut self, at: usize) {
        self.of_three.fill(NOWHERE);
        self.roots.fill(NOWHERE);
        self.base = Base::new(at);
    }

    /// Takes in the position `at`, behind the one before, and looks for nothing. At least
    /// `LOOKAHEAD` of `bytes` follow, and `most` are the bytes that a match could have.
    #[inline]
    pub(super) fn insert(&mut self, bytes: &[u8], at: usize, most: usize) {
        // Beyond that, an order is of no use.
        self.find(bytes, at, most.min(self.search.nice), |_, _| ());
    }

    /// The same, and hands `found` the length and the distance of matches of `most` bytes at
    /// most: each longer than the one before.
    #[inline]
    pub(super) fn find(
        &mut self,
        bytes: &[u8],
        at: usize,
        most: usize,
        mut found: impl FnMut(usize, usize),
    ) {
        let Self { of_three, roots, children, base, .. } = self;
        let number = base.number(at, |renumber| {
            renumber(&mut of_three[..]);
            renumber(&mut roots[..]);
            renumber(&mut children[..]);
        });
        let base = *base;
        let last = base.last_outside(at);
        let word = eight(bytes, at);
        let near = std::mem::replace(&mut of_three[hash(word, 3, self.order)], number);
        let root = std::mem::replace(&mut roots[hash(word, 4, ORDER)], number);
        let (near, mut node) = (i32::from(near), i32::from(root));
        let mut best = 2;
        if near > last {
            let position = base.position(near);
            if (four(bytes, position) ^ word as u32) << 8 == 0 {
                best = 3;
                found(3, at - position);
            }
        }
        let nice = self.search.nice.min(most);
        let here = &bytes[at..at + most];
        // Where the next node with lesser bytes goes, and one with greater bytes, and how much of
        // what is here those have that went there last.
        let mut lesser = children_of(number.into());
        let mut greater = lesser + 1;
        let (mut length, mut of_lesser, mut of_greater) = (0, 0, 0);
        let mut depth = self.search.depth;
        while node > last && depth > 0 {
            depth -= 1;
            let position = base.position(node);
            let there = &bytes[position..position + most];
            let below = children_of(node);
            if there[length] == here[length] {
                length = same(here, there, length + 1);
                if length > best {
                    best = length;
                    found(length, at - position);
                }
                if length >= nice {
                    children[lesser % NODES] = children[below];
                    children[greater % NODES] = children[below + 1];
                    return;
                }
            }
            if there[length] < here[length] {
                children[lesser % NODES] = node as i16;
                lesser = below + 1;
                node = i32::from(children[lesser]);
                of_lesser = length;
                length = length.min(of_greater);
            } else {
                children[greater % NODES] = node as i16;
                greater = below;
                node = i32::from(children[greater]);
                of_greater = length;
                length = length.min(of_lesser);
            }
        }
        children[lesser % NODES] = NOWHERE;
        children[greater % NODES] = NOWHERE;
    }
}

#[inline]
fn children_of(node: i32) -> usize {
    2 * (node as usize % WINDOW)
}
