//! From a file to the RGB pixels of an area, at least, of its image.

pub(crate) mod bmp;
pub(crate) mod gif;
pub(crate) mod jpeg;
pub(crate) mod png;
pub(crate) mod run_lengths;
pub(crate) mod webp;

/// After how many rows a decoder asks whether the image is still wanted.
pub(crate) const ASK_ROWS: u32 = 256;

/// A palette of 256 colours in RGB.
pub(crate) type Palette = [[u8; 3]; 256];

/// Return the palette of grey levels.
pub(crate) fn greys() -> Palette {
    std::array::from_fn(|level| [u8::try_from(level).unwrap_or(u8::MAX); 3])
}

/// Return the pixels of a row, in RGB, of which each has `bits` bits in `row`, the first in the highest.
pub(crate) fn look_up(
    row: &[u8],
    bits: u8,
    palette: &Palette,
    rgb: &mut Vec<u8>,
    columns: std::ops::Range<u32>,
) {
    let colour = |index: u8| palette[usize::from(index)];
    if bits == 8 {
        let indices = &row[columns.start as usize..columns.end as usize];
        rgb.extend(indices.iter().flat_map(|&index| colour(index)));
        return;
    }
    let (bits, mask) = (u32::from(bits), (1u8 << bits) - 1);
    for column in columns {
        let at = column * bits;
        let index = row[(at / 8) as usize] >> (8 - bits - at % 8) & mask;
        rgb.extend(colour(index));
    }
}
