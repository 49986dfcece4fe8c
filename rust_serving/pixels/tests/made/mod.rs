//! Images of any size in every format, made of noise, which is the largest that a file gets.

use crate::chunks::chunk;
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

/// A file and what it is.
pub struct Made {
    pub name: &'static str,
    pub data: Vec<u8>,
}

/// Returns an image of so many stored columns and rows in each format and form.
pub fn all(width: u16, height: u16) -> Vec<Made> {
    let mut made = pngs(width, height);
    made.extend(jpegs(width, height));
    made.extend([
        named("bmp", bmp(width, height, 24)),
        named("bmp of a palette", bmp(width, height, 8)),
        named("bmp of runs", bmp_of_runs(width, height)),
        named("gif", gif(width, height)),
        named("webp", webp(width, height, image_webp::ColorType::Rgb8, None)),
        named(
            "webp with alpha, turned",
            webp(width, height, image_webp::ColorType::Rgba8, Some(6)),
        ),
    ]);
    made
}

fn named(name: &'static str, data: Vec<u8>) -> Made {
    Made { name, data }
}

/// Returns bytes without any order.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// Returns EXIF that says nothing but an orientation.
fn exif(orientation: u8) -> Vec<u8> {
    [
        &b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"[..],
        &[orientation],
        &[0; 6],
    ]
    .concat()
}

fn pngs(width: u16, height: u16) -> Vec<Made> {
    const RGB: u8 = 2;
    let forms: [(&str, u8, u8, bool, Option<u8>); 12] = [
        ("png", 8, RGB, false, None),
        ("png, turned", 8, RGB, false, Some(5)),
        ("png, interlaced", 8, RGB, true, None),
        ("png, interlaced, turned", 8, RGB, true, Some(8)),
        ("png of grey", 8, 0, false, None),
        ("png of bits", 1, 0, false, None),
        ("png of bits, interlaced", 1, 0, true, None),
        ("png of deep grey, interlaced, turned", 16, 0, true, Some(6)),
        ("png of a palette, interlaced", 8, 3, true, None),
        ("png of deep rgb, interlaced", 16, RGB, true, None),
        ("png of deep rgba", 16, 6, false, None),
        ("png of deep rgba, interlaced, turned", 16, 6, true, Some(7)),
    ];
    let made = |(name, depth, colour, interlaced, turned)| {
        named(name, png(width, height, (depth, colour), interlaced, turned))
    };
    forms.into_iter().map(made).collect()
}

fn png(width: u16, height: u16, (depth, colour): (u8, u8), interlaced: bool, turned: Option<u8>) -> Vec<u8> {
    let (across, down) = (usize::from(width), usize::from(height));
    let bits = usize::from(depth) * [1, 0, 3, 1, 2, 0, 4][usize::from(colour)];
    // first column and row of each pass, and the steps from one to the next
    let passes: &[[usize; 4]] = if interlaced {
        &[
            [0, 0, 8, 8],
            [4, 0, 8, 8],
            [0, 4, 4, 8],
            [2, 0, 4, 4],
            [0, 2, 2, 4],
            [1, 0, 2, 2],
            [0, 1, 1, 2],
        ]
    } else {
        &[[0, 0, 1, 1]]
    };
    let mut rows = Vec::new();
    for [left, top, right, below] in passes {
        let (columns, lines) = (
            across.saturating_sub(*left).div_ceil(*right),
            down.saturating_sub(*top).div_ceil(*below),
        );
        for _ in 0..if columns > 0 { lines } else { 0 } {
            rows.push(0);
            rows.extend(noise((columns * bits).div_ceil(8)));
        }
    }
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &rows).expect("memory");
    let packed = packed.finish().expect("memory");
    let header = [
        &u32::from(width).to_be_bytes()[..],
        &u32::from(height).to_be_bytes(),
        &[depth, colour, 0, 0, u8::from(interlaced)],
    ]
    .concat();
    let mut file = [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &header)].concat();
    if let Some(orientation) = turned {
        file.extend(chunk(b"eXIf", &exif(orientation)));
    }
    if colour == 3 {
        file.extend(chunk(b"PLTE", &noise(768)));
    }
    for part in packed.chunks(8192) {
        file.extend(chunk(b"IDAT", part));
    }
    file.extend(chunk(b"IEND", b""));
    file
}

fn jpegs(width: u16, height: u16) -> Vec<Made> {
    [
        ("jpeg", Subsamp::Sub2x2, false, false),
        ("jpeg of whole colours", Subsamp::None, false, false),
        ("jpeg of grey", Subsamp::Gray, false, false),
        ("jpeg, progressive", Subsamp::Sub2x2, true, false),
        (
            "jpeg of whole colours, progressive, turned",
            Subsamp::None,
            true,
            true,
        ),
        ("jpeg, turned", Subsamp::Sub2x1, false, true),
    ]
    .map(|(name, subsampling, progressive, turned)| {
        named(name, jpeg(width, height, subsampling, progressive, turned))
    })
    .into()
}

fn jpeg(width: u16, height: u16, subsampling: Subsamp, progressive: bool, turned: bool) -> Vec<u8> {
    let (across, down) = (usize::from(width), usize::from(height));
    let mut compressor = Compressor::new().expect("a compressor");
    compressor.set_quality(95).expect("a quality");
    compressor.set_subsamp(subsampling).expect("a sampling");
    compressor.set_progressive(progressive).expect("a form");
    let pixels = noise(across * down * 3);
    let image = Image {
        pixels: pixels.as_slice(),
        width: across,
        pitch: across * 3,
        height: down,
        format: PixelFormat::RGB,
    };
    let mut file = compressor.compress_to_vec(image).expect("an image");
    if turned {
        let body = [b"Exif\0\0".as_slice(), &exif(6)].concat();
        let length = u16::try_from(body.len() + 2).expect("a short body").to_be_bytes();
        file.splice(2..2, [&b"\xff\xe1"[..], &length, &body].concat());
    }
    file
}

fn bmp_head(width: u16, height: u16, bits: u8, runs: u8) -> Vec<u8> {
    let palette = if bits == 8 { 1024 } else { 0 };
    let mut file = b"BM".to_vec();
    for number in [
        0,
        0,
        54 + palette,
        40,
        width.into(),
        height.into(),
        1 | u32::from(bits) << 16,
        runs.into(),
    ] {
        file.extend(u32::to_le_bytes(number));
    }
    file.resize(54, 0);
    file.extend(noise(palette as usize));
    file
}

fn bmp(width: u16, height: u16, bits: u8) -> Vec<u8> {
    let stride = (usize::from(width) * usize::from(bits)).div_ceil(32) * 4;
    [
        bmp_head(width, height, bits, 0),
        noise(stride * usize::from(height)),
    ]
    .concat()
}

fn bmp_of_runs(width: u16, height: u16) -> Vec<u8> {
    let mut file = bmp_head(width, height, 8, 1);
    for _ in 0..height {
        for begin in (0..width).step_by(255) {
            let run = u8::try_from((width - begin).min(255)).expect("a byte");
            file.extend([run, run ^ 0x5A]);
        }
        file.extend([0, 0]);
    }
    file.extend([0, 1]);
    file
}

fn gif(width: u16, height: u16) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = gif::Encoder::new(&mut file, width, height, &noise(768)).expect("a screen");
    let pixels = noise(usize::from(width) * usize::from(height));
    let frame = gif::Frame::from_indexed_pixels(width, height, pixels, None);
    encoder.write_frame(&frame).expect("a frame");
    drop(encoder);
    file
}

fn webp(width: u16, height: u16, colour: image_webp::ColorType, turned: Option<u8>) -> Vec<u8> {
    // no longer side is known to the format
    let (width, height) = (width.min(16_383), height.min(16_383));
    let channels = if colour == image_webp::ColorType::Rgb8 {
        3
    } else {
        4
    };
    let mut file = Vec::new();
    let mut encoder = image_webp::WebPEncoder::new(&mut file);
    if let Some(orientation) = turned {
        encoder.set_exif_metadata(exif(orientation));
    }
    let pixels = noise(usize::from(width) * usize::from(height) * channels);
    encoder
        .encode(&pixels, width.into(), height.into(), colour)
        .expect("an image");
    file
}
