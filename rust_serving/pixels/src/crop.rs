//! From the pixels that a crop reads to the network's input.

use std::cell::RefCell;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use crate::area::Picture;
use crate::error::{Error, Result};
use crate::geometry::{Interpolation, SourceBox, Transform};

thread_local! {
    // a resizer keeps its memory for the next image
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

/// Return the crop as uint8, row by row, RGB.
pub(crate) fn resized(picture: &Picture, source: SourceBox, transform: &Transform) -> Result<Vec<u8>> {
    let source = source.within(picture.area);
    let done = match transform.interpolation {
        Interpolation::Bilinear => at_once(picture, source, transform.crop),
        Interpolation::Bicubic => one_by_one(picture, source, transform.crop),
    };
    done.ok_or_else(|| Error::broken("its sizes differ"))
}

/// Resize along the height, then along the width, with a bilinear filter.
fn at_once(picture: &Picture, source: SourceBox, crop: u32) -> Option<Vec<u8>> {
    let sides = (picture.area.width(), picture.area.height());
    let (across, down) = ((source.left, source.right), (source.top, source.bottom));
    resize(
        &picture.rgb,
        sides,
        across,
        down,
        (crop, crop),
        FilterType::Bilinear,
    )
}

/// Resize with a bicubic filter along one direction, then along the other.
///
/// The filter overshoots, and what is beyond 0 to 255 is lost after each direction, so they must have the
/// reference's order. It is zero in places within its reach as well, and for a first or last pixel there the library,
/// asked for both directions at once, reads outside of the image between them.
fn one_by_one(picture: &Picture, source: SourceBox, crop: u32) -> Option<Vec<u8>> {
    let (width, height) = (picture.area.width(), picture.area.height());
    let (across, down) = ((source.left, source.right), (source.top, source.bottom));
    let all = |side: u32| (0.0, f64::from(side));
    let filter = FilterType::CatmullRom;
    let rgb = &picture.rgb;
    if source.height_first {
        let short = resize(rgb, (width, height), all(width), down, (width, crop), filter)?;
        resize(&short, (width, crop), across, all(crop), (crop, crop), filter)
    } else {
        let narrow = resize(rgb, (width, height), across, all(height), (crop, height), filter)?;
        resize(&narrow, (crop, height), all(crop), down, (crop, crop), filter)
    }
}

/// Resize the part of an image of `sides` from `across.0` to `across.1` and from `down.0` to `down.1` to
/// `new_sides`; `None` if that part is not in the image.
fn resize(
    rgb: &[u8],
    sides: (u32, u32),
    across: (f64, f64),
    down: (f64, f64),
    new_sides: (u32, u32),
    filter: FilterType,
) -> Option<Vec<u8>> {
    let (width, height) = (reach(across, sides.0), reach(down, sides.1));
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(filter))
        .crop(across.0, down.0, width, height);
    // of one type of pixels: the library's other way is compiled for all that it knows, which takes minutes
    let image = TypedImageRef::<U8x3>::from_buffer(sides.0, sides.1, rgb).ok()?;
    let mut made = vec![0; new_sides.0 as usize * new_sides.1 as usize * 3];
    let mut target = TypedImage::<U8x3>::from_buffer(new_sides.0, new_sides.1, &mut made).ok()?;
    RESIZER
        .with(|resizer| resizer.borrow_mut().resize_typed(&image, &mut target, &options))
        .ok()?;
    Some(made)
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
