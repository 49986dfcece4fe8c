//! From the pixels that a crop reads to the network's input.

use std::cell::RefCell;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::area::Picture;
use crate::geometry::{Interpolation, SourceBox, Transform};

thread_local! {
    // a resizer keeps its memory for the next image
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

/// Return the crop as uint8, row by row, RGB.
pub(crate) fn resized(picture: &Picture, source: SourceBox, transform: &Transform) -> Vec<u8> {
    let (width, height) = (picture.area.width(), picture.area.height());
    let crop = transform.crop;
    let source = source.within(picture.area);
    let across = (source.left, source.right);
    let down = (source.top, source.bottom);
    // Levels are rounded, and cut off at 0 and 255, between the two directions: in the reference's order they
    // come out within a level. The library itself resizes columns first.
    let done = if source.columns_first {
        resize(
            &picture.rgb,
            (width, height),
            across,
            down,
            (crop, crop),
            transform,
        )
    } else {
        let all = (0.0, f64::from(height));
        resize(
            &picture.rgb,
            (width, height),
            across,
            all,
            (crop, height),
            transform,
        )
        .and_then(|rows| {
            let all = (0.0, f64::from(crop));
            resize(&rows, (crop, height), all, down, (crop, crop), transform)
        })
    };
    debug_assert!(done.is_some(), "the crop's box is in the picture");
    done.unwrap_or_else(|| vec![0; crop as usize * crop as usize * 3])
}

/// Resize the part of an image of `sides` from `across.0` to `across.1` and from `down.0` to `down.1` to
/// `new_sides`; `None` if that part is not in the image.
fn resize(
    rgb: &[u8],
    sides: (u32, u32),
    across: (f64, f64),
    down: (f64, f64),
    new_sides: (u32, u32),
    transform: &Transform,
) -> Option<Vec<u8>> {
    let filter = match transform.interpolation {
        Interpolation::Bilinear => FilterType::Bilinear,
        Interpolation::Bicubic => FilterType::CatmullRom,
    };
    let (width, height) = (reach(across, sides.0), reach(down, sides.1));
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(filter))
        .crop(across.0, down.0, width, height);
    let image = ImageRef::new(sides.0, sides.1, rgb, PixelType::U8x3).ok()?;
    let mut made = Image::new(new_sides.0, new_sides.1, PixelType::U8x3);
    RESIZER
        .with(|resizer| resizer.borrow_mut().resize(&image, &mut made, &options))
        .ok()?;
    Some(made.into_vec())
}

/// Return how far a range goes so that it stays within `side` if that is added to its begin again.
fn reach((begin, end): (f64, f64), side: u32) -> f64 {
    let length = end - begin;
    if begin + length > f64::from(side) {
        length.next_down()
    } else {
        length
    }
}

/// Write levels from 0 to 255, RGB, as planes of normalised numbers.
pub(crate) fn normalise(crop: &[u8], transform: &Transform, out: &mut [f32]) {
    let plane = crop.len() / 3;
    for (channel, plane) in out.chunks_exact_mut(plane.max(1)).take(3).enumerate() {
        let (mean, std) = (transform.mean[channel], transform.std[channel]);
        let numbers: [f32; 256] = std::array::from_fn(|level| {
            (f32::from(u8::try_from(level).unwrap_or(u8::MAX)) / 255.0 - mean) / std
        });
        for (number, pixel) in plane.iter_mut().zip(crop.chunks_exact(3)) {
            *number = numbers[usize::from(pixel[channel])];
        }
    }
}
