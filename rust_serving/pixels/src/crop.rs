//! From the levels of a crop to the network's input.

use crate::geometry::Transform;

/// Write levels from 0 to 255, RGB, as planes of normalised numbers.
pub(crate) fn normalise(crop: &[u8], transform: &Transform, out: &mut [f32]) {
    let (pixels, _) = crop.as_chunks::<3>();
    let (reds, rest) = out.split_at_mut(pixels.len());
    let (greens, blues) = rest.split_at_mut(pixels.len());
    let tables: [_; 3] =
        std::array::from_fn(|channel| numbers(transform.mean[channel], transform.std[channel]));
    for (((pixel, red), green), blue) in pixels.iter().zip(reds).zip(greens).zip(blues) {
        *red = tables[0][usize::from(pixel[0])];
        *green = tables[1][usize::from(pixel[1])];
        *blue = tables[2][usize::from(pixel[2])];
    }
}

/// Return what each level becomes.
fn numbers(mean: f32, std: f32) -> [f32; 256] {
    std::array::from_fn(|level| (f32::from(u8::try_from(level).unwrap_or(u8::MAX)) / 255.0 - mean) / std)
}
