//! The reference's resize of the pixels that a crop reads, to the bit.
//!
//! Each direction is a sum of levels, weighted with 22 bits after the point and rounded to a level, as in Pillow
//! (its `Resample.c`). The arithmetic is that of whole numbers, so that vectors of any width give the same.
#![expect(
    unsafe_code,
    reason = "a function for a processor's wider vectors is called once they are known to be there"
)]
#![expect(
    clippy::inline_always,
    reason = "what is called in a function for wider vectors has them only if it is a part of that"
)]

use crate::area::Picture;
use crate::geometry::{Axis, Interpolation, Source};

/// The bits of a weight after the point.
const PRECISION: u32 = 22;
const HALF: i32 = 1 << (PRECISION - 1);
/// How many values of a row are summed at once, and how many rows: as many as the vectors of a processor hold.
const BLOCK: usize = 64;
const TOGETHER: usize = 8;

/// Which pixels of a side make each pixel of a crop, and with what weights.
struct Weights {
    /// For each pixel of the crop the first that it reads, and how many.
    spans: Vec<(usize, usize)>,
    /// For each pixel of the crop as many weights as the most that any reads.
    shares: Vec<i32>,
    most: usize,
}

impl Weights {
    /// Return the weights of a crop's pixels; spans begin at `origin`, which no pixel reads before.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "places lie within a side, and weights between -2 and 2"
    )]
    fn new(axis: Axis, crop: u32, interpolation: Interpolation, origin: u32) -> Self {
        let scale = axis.scale();
        let stretch = scale.max(1.0);
        let support = interpolation.reach() * stretch;
        let most = support.ceil() as usize * 2 + 1;
        let mut shares = Vec::with_capacity(most * crop as usize);
        let mut spans = Vec::with_capacity(crop as usize);
        for place in 0..crop {
            let centre = (f64::from(axis.margin + place) + 0.5) * scale;
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(axis.side as usize);
            let weight = |pixel: usize| interpolation.weight((pixel as f64 - centre + 0.5) * (1.0 / stretch));
            let all: f64 = (first..end).fold(0.0, |sum, pixel| sum + weight(pixel));
            let rounded = (first..end).map(|pixel| {
                let share = if all == 0.0 {
                    weight(pixel)
                } else {
                    weight(pixel) / all
                };
                (share * f64::from(1 << PRECISION) + 0.5_f64.copysign(share)) as i32
            });
            shares.extend(rounded);
            shares.resize(most * spans.len() + most, 0);
            spans.push((first - origin as usize, end - first));
        }
        Self { spans, shares, most }
    }

    /// Return the first pixel and the weights of each pixel of the crop.
    fn of_each(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let weights = self.shares.chunks_exact(self.most);
        self.spans
            .iter()
            .zip(weights)
            .map(|(&(first, count), weights)| (first, &weights[..count]))
    }
}

/// Return the crop as uint8, row by row, RGB; `None` if the picture is not the part that the crop reads.
pub(crate) fn resampled(
    picture: &Picture,
    source: &Source,
    crop: u32,
    interpolation: Interpolation,
) -> Option<Vec<u8>> {
    let (width, area) = (picture.area.width() as usize, picture.area);
    let across = Weights::new(source.across, crop, interpolation, area.left);
    let down = Weights::new(source.down, crop, interpolation, area.top);
    let fits = |weights: &Weights, side: u32| {
        weights
            .spans
            .iter()
            .all(|&(first, count)| first + count <= side as usize)
    };
    if !fits(&across, area.width()) || !fits(&down, area.height()) || picture.rgb.len() != area.bytes() {
        return None;
    }
    let side = crop as usize;
    Some(if source.height_first {
        let short = columns(&picture.rgb, width * 3, &down);
        rows(&short, width, &across)
    } else {
        let narrow = rows(&picture.rgb, width, &across);
        columns(&narrow, side * 3, &down)
    })
}

/// Resize along each row of `width` pixels.
fn rows(rgb: &[u8], width: usize, weights: &Weights) -> Vec<u8> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[target_feature(enable = "avx2")]
        fn wider(rgb: &[u8], width: usize, weights: &Weights) -> Vec<u8> {
            resize_rows(rgb, width, weights)
        }
        // SAFETY: this processor has AVX2.
        return unsafe { wider(rgb, width, weights) };
    }
    resize_rows(rgb, width, weights)
}

/// Resize [`TOGETHER`] rows at once: each pixel of one column has the same weights, so they fill a vector.
#[inline(always)]
fn resize_rows(rgb: &[u8], width: usize, weights: &Weights) -> Vec<u8> {
    let new_width = weights.spans.len();
    let mut made = vec![0; rgb.len() / (width * 3) * new_width * 3];
    let mut across = vec![[0; TOGETHER * 3]; width];
    let mut resized = vec![[0; TOGETHER * 3]; new_width];
    let mut rest = vec![0; width * 3 * TOGETHER];
    let all = rgb.chunks(width * 3 * TOGETHER);
    for (read, out) in all.zip(made.chunks_mut(new_width * 3 * TOGETHER)) {
        if read.len() == rest.len() {
            turn(read, width, &mut across);
        } else {
            rest[..read.len()].copy_from_slice(read);
            turn(&rest, width, &mut across);
        }
        for ((first, weights), pixels) in weights.of_each().zip(&mut resized) {
            *pixels = weighted(across[first..first + weights.len()].iter().zip(weights));
        }
        for (row, out) in out.chunks_exact_mut(new_width * 3).enumerate() {
            for (pixel, made) in resized.iter().zip(out.as_chunks_mut::<3>().0) {
                *made = [pixel[row * 3], pixel[row * 3 + 1], pixel[row * 3 + 2]];
            }
        }
    }
    made
}

/// Gather what rows of `width` pixels have in each column.
#[inline(always)]
fn turn(rgb: &[u8], width: usize, across: &mut [[u8; TOGETHER * 3]]) {
    let rows: [&[[u8; 3]]; TOGETHER] =
        std::array::from_fn(|row| &rgb[row * width * 3..(row + 1) * width * 3].as_chunks::<3>().0[..width]);
    for (column, pixels) in across.iter_mut().enumerate() {
        for (row, pixel) in rows.iter().zip(pixels.as_chunks_mut::<3>().0) {
            *pixel = row[column];
        }
    }
}

/// Resize along each column of rows of `bytes`.
fn columns(rgb: &[u8], bytes: usize, weights: &Weights) -> Vec<u8> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[target_feature(enable = "avx2")]
        fn wider(rgb: &[u8], bytes: usize, weights: &Weights) -> Vec<u8> {
            resize_columns(rgb, bytes, weights)
        }
        // SAFETY: this processor has AVX2.
        return unsafe { wider(rgb, bytes, weights) };
    }
    resize_columns(rgb, bytes, weights)
}

#[inline(always)]
fn resize_columns(rgb: &[u8], bytes: usize, weights: &Weights) -> Vec<u8> {
    let mut made = vec![0; weights.spans.len() * bytes];
    for ((first, weights), out) in weights.of_each().zip(made.chunks_exact_mut(bytes)) {
        let read = &rgb[first * bytes..(first + weights.len()) * bytes];
        let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
        let begin = blocks.len() * BLOCK;
        for (number, block) in blocks.iter_mut().enumerate() {
            let levels = read
                .chunks_exact(bytes)
                .map(|row| &row.as_chunks::<BLOCK>().0[number]);
            *block = weighted(levels.zip(weights));
        }
        for (place, made) in rest.iter_mut().enumerate() {
            let levels = read
                .chunks_exact(bytes)
                .map(|row| &row[begin..].as_chunks::<1>().0[place]);
            [*made] = weighted(levels.zip(weights));
        }
    }
    made
}

/// Sum levels by their weights, many places at once, and round the sums.
#[inline(always)]
fn weighted<'a, const N: usize>(levels_and_weights: impl Iterator<Item = (&'a [u8; N], &'a i32)>) -> [u8; N] {
    let mut sums = [HALF; N];
    for (levels, weight) in levels_and_weights {
        for (sum, level) in sums.iter_mut().zip(levels) {
            *sum += i32::from(*level) * weight;
        }
    }
    sums.map(level)
}

/// Round a sum to a level.
#[inline(always)]
fn level(sum: i32) -> u8 {
    u8::try_from((sum >> PRECISION).clamp(0, 255)).unwrap_or_default()
}
