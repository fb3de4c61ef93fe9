//! Prefix codes as deflate has them.

/// Sets the `lengths` of a code for symbols of such frequencies, of `limit` bits at most. At
/// least two symbols get a code, as some inflaters want it.
pub(super) fn lengths_of(frequencies: &[u32], limit: usize, lengths: &mut [u8]) {
    lengths.fill(0);
    let mut order = [(0_u32, 0_u16); 288];
    let mut used = 0;
    for (symbol, &frequency) in frequencies.iter().enumerate() {
        if frequency > 0 {
            order[used] = (frequency, symbol as u16);
            used += 1;
        }
    }
    let order = &mut order[..used];
    match *order {
        [] => {
            lengths[..2].fill(1);
            return;
        }
        [(_, symbol)] => {
            lengths[usize::from(symbol)] = 1;
            lengths[usize::from(symbol == 0)] = 1;
            return;
        }
        _ => {}
    }
    order.sort_unstable();
    let mut counts = counts_of(order, limit);
    let mut length = limit;
    for &(_, symbol) in order.iter() {
        while counts[length] == 0 {
            length -= 1;
        }
        counts[length] -= 1;
        lengths[usize::from(symbol)] = length as u8;
    }
}

/// How many codes there are of each length: of symbols in order of their frequencies.
fn counts_of(order: &[(u32, u16)], limit: usize) -> [u32; 16] {
    // Inner nodes come into being in order of their weight, too.
    let used = order.len();
    let mut weights = [0_u64; 288];
    let mut parents = [0_u16; 2 * 288];
    let (mut leaf, mut inner) = (0, 0);
    for made in 0..used - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let takes_leaf =
                leaf < used && (inner == made || u64::from(order[leaf].0) <= weights[inner]);
            if takes_leaf {
                weight += u64::from(order[leaf].0);
                parents[leaf] = made as u16;
                leaf += 1;
            } else {
                weight += weights[inner];
                parents[288 + inner] = made as u16;
                inner += 1;
            }
        }
        weights[made] = weight;
    }
    let mut depths = [0_u8; 288];
    for node in (0..used - 2).rev() {
        depths[node] = depths[usize::from(parents[288 + node])] + 1;
    }
    let mut counts = [0_u32; 16];
    let mut too_long = 0;
    for parent in &parents[..used] {
        let depth = usize::from(depths[usize::from(*parent)]) + 1;
        counts[depth.min(limit)] += 1;
        too_long += u32::from(depth > limit);
    }
    if too_long > 0 {
        shorten(&mut counts, limit);
    }
    counts
}

/// Makes a code of one that has too many symbols.
fn shorten(counts: &mut [u32; 16], limit: usize) {
    let taken =
        |counts: &[u32; 16]| (1..=limit).map(|l| u64::from(counts[l]) << (limit - l)).sum::<u64>();
    while taken(counts) > 1 << limit {
        let length = (1..limit).rev().find(|&l| counts[l] > 0).expect("a shorter code");
        counts[length] -= 1;
        counts[length + 1] += 1;
    }
    // What is left over shortens the longest ones.
    loop {
        let left = (1_u64 << limit) - taken(counts);
        let gain = |l: usize| 1_u64 << (limit - l);
        let Some(length) = (2..=limit).find(|&l| counts[l] > 0 && gain(l) <= left) else {
            return;
        };
        counts[length] -= 1;
        counts[length - 1] += 1;
    }
}

/// The codes of such lengths, their first bit lowest.
pub(super) fn codes_of(lengths: &[u8], codes: &mut [u16]) {
    let mut counts = [0_u16; 16];
    for &length in lengths {
        counts[usize::from(length)] += 1;
    }
    counts[0] = 0;
    let mut next = [0_u16; 16];
    for length in 1..16 {
        next[length] = (next[length - 1] + counts[length - 1]) << 1;
    }
    for (code, &length) in codes.iter_mut().zip(lengths) {
        if length > 0 {
            let next = &mut next[usize::from(length)];
            *code = next.reverse_bits() >> (16 - length);
            *next += 1;
        }
    }
}
