//! What is refused before it is decoded, and that no bytes make a decoder panic.

mod chunks;

use chunks::chunk;
use pixels::{ErrorKind, Interpolation, Transform, count_pixels, decode, describe, prepare};
use proptest::prelude::*;

const LIMIT: u64 = 50_000_000;

fn transform(interpolation: Interpolation) -> Transform {
    Transform {
        resize: 256,
        crop: 224,
        interpolation,
        mean: [0.5; 3],
        std: [0.25; 3],
    }
}

fn refusal(data: &[u8]) -> (ErrorKind, String) {
    match describe(data, LIMIT) {
        Ok(described) => panic!("it is described: {described:?}"),
        Err(error) => (error.kind, error.message),
    }
}

fn png_of(width: u32, height: u32, depth: u8, colour: u8, more: &[u8]) -> Vec<u8> {
    let header = [
        &width.to_be_bytes()[..],
        &height.to_be_bytes(),
        &[depth, colour, 0, 0, 0],
    ]
    .concat();
    [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", &header).as_slice(), more].concat()
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).expect("a short body").to_be_bytes();
    [&[0xFF, marker], &length[..], body].concat()
}

fn bmp(width: u8, height: u8) -> Vec<u8> {
    let mut file = b"BM".to_vec();
    file.extend([
        0, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0, width, 0, 0, 0, height, 0, 0, 0, 1, 0, 24, 0,
    ]);
    file.resize(54, 0);
    let stride = (usize::from(width) * 3).next_multiple_of(4);
    file.extend((0..stride * usize::from(height)).map(|place| u8::try_from(place % 251).expect("a byte")));
    file
}

#[test]
fn what_is_no_image_is_refused() {
    for data in [&b""[..], b"not an image", &[0; 1000], b"\xff\xd8"] {
        let (kind, message) = refusal(data);
        assert_eq!(kind, ErrorKind::Unreadable);
        assert_eq!(
            message,
            "this is not an image: send a whole JPEG, PNG, WebP, GIF or BMP"
        );
    }
}

#[test]
fn too_many_pixels_are_refused_from_the_header() {
    let (kind, message) = refusal(&png_of(20_000, 20_000, 1, 0, b""));
    assert_eq!(kind, ErrorKind::TooLarge);
    assert_eq!(
        message,
        "the image has 20000x20000 pixels: send one of at most 50000000 pixels in all"
    );
    let (kind, message) = refusal(&png_of(1, 2_000_000, 8, 0, b""));
    assert_eq!(kind, ErrorKind::TooLarge);
    assert_eq!(
        message,
        "the image has 1x2000000 pixels: send one of at most 1000000 pixels a side"
    );
}

#[test]
fn pixels_are_counted_from_the_header() {
    let large = png_of(7000, 6000, 1, 0, b"");
    assert_eq!(count_pixels(&large, LIMIT), 42_000_000);
    assert_eq!(count_pixels(&large, 41_999_999), 0);
    assert_eq!(count_pixels(b"no image", LIMIT), 0);
}

#[test]
fn memory_is_reckoned_from_the_header() {
    let memory = |depth, colour| {
        let described = describe(&png_of(3000, 2000, depth, colour, b""), LIMIT);
        described.map_or(0, |all| all.memory_bytes)
    };
    // what is measured is in tests/memory.rs; here, that it is as much as the other services reckon with
    assert!(memory(8, 2) >= 6_000_000 * 4 + 36_000);
    assert!(memory(8, 0) >= 6_000_000 * 5 + 72_000);
    assert!(memory(16, 0) >= 6_000_000 * 8 + 36_000);
    assert!(memory(16, 0) < 6_000_000 * 9);
}

#[test]
fn a_second_header_of_a_png_is_refused_whatever_it_says() {
    for (side, form) in [
        (1_u32, [8, 2, 0, 0, 0]),
        (2000, [16, 6, 0, 0, 1]),
        (u32::MAX >> 1, [16, 6, 0, 0, 0]),
    ] {
        let sides = side.to_be_bytes();
        let second = chunk(b"IHDR", &[&sides[..], &sides, &form].concat());
        let refused = describe(&png_of(300, 300, 8, 2, &second), LIMIT).expect_err("two headers");
        assert_eq!(refused.kind, ErrorKind::Unreadable);
        assert!(refused.message.contains("two headers"), "{}", refused.message);
    }
}

#[test]
fn an_interlaced_png_takes_the_memory_of_its_stored_pixels_too() {
    let header = [
        &3000_u32.to_be_bytes()[..],
        &2000_u32.to_be_bytes(),
        &[16, 6, 0, 0, 1],
    ]
    .concat();
    let data = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", &header).as_slice()].concat();
    let taken = describe(&data, LIMIT).expect("an image").memory_bytes;
    // as it is in the file, eight bytes a pixel, and in RGB
    assert!(taken >= 6_000_000 * (8 + 3), "{taken}");
}

#[test]
fn what_takes_too_much_work_is_refused_with_a_remedy() {
    let gif = [&b"GIF89a\x01\0\x01\0\0\0\0"[..], &vec![0; 1_000_000]].concat();
    let frame = segment(0xC2, &[8, 0, 8, 0, 8, 1, 1, 0x11, 0]);
    let scans = segment(0xDA, &[1, 1, 0, 0, 63, 0]).repeat(4000);
    let jpeg = [&b"\xff\xd8"[..], &frame, &scans].concat();
    let comments = [&b"\xff\xd8"[..], &segment(0xFE, b"").repeat(100_000)].concat();
    let frames = b"ANMF\0\0\0\0".repeat(100_000);
    let webp = [&b"RIFF\xff\xff\xff\0WEBPVP8X\x0a\0\0\0"[..], &[0; 10], &frames].concat();
    let png = png_of(8, 8, 8, 0, &chunk(b"abCd", b"").repeat(100_000));
    for data in [gif, jpeg, comments, webp, png] {
        let (kind, message) = refusal(&data);
        assert_eq!(kind, ErrorKind::Unreadable);
        assert!(
            message.ends_with("save the image again, in the usual way of its format"),
            "{message}"
        );
    }
}

#[test]
fn a_jpeg_of_many_components_is_refused_before_they_are_counted() {
    let frame = segment(
        0xC2,
        &[&[8, 255, 255, 255, 255, 255][..], &[1, 255, 0].repeat(255)].concat(),
    );
    let data = [&b"\xff\xd8"[..], &frame].concat();
    assert!(refusal(&data).1.contains("it has 255 components"));
}

#[test]
fn what_nobody_waits_for_is_abandoned() {
    let data = bmp(30, 20);
    let described = describe(&data, LIMIT).expect("an image");
    let refused = decode(&data, &described, &transform(Interpolation::Bilinear), &|| false);
    assert_eq!(
        refused.map(|_| ()).map_err(|error| error.kind),
        Err(ErrorKind::Abandoned)
    );
}

#[test]
fn a_filter_that_is_zero_within_its_reach_reads_no_pixel_outside() {
    // both pixels of the crop lie so that the filter is zero at the first pixel that the one reads, not the other
    let transform = Transform {
        resize: 73,
        crop: 2,
        ..transform(Interpolation::Bicubic)
    };
    let data = bmp(3, 5);
    let described = describe(&data, LIMIT).expect("an image");
    let decoded = decode(&data, &described, &transform, &|| true).expect("an image");
    assert_eq!(prepare(&decoded, &transform, &mut [0.0; 12]), Ok(()));
}

fn try_all(data: &[u8]) {
    for interpolation in [Interpolation::Bilinear, Interpolation::Bicubic] {
        let transform = Transform {
            resize: 40,
            crop: 32,
            ..transform(interpolation)
        };
        let Ok(described) = describe(data, 1_000_000) else {
            return;
        };
        let Ok(decoded) = decode(data, &described, &transform, &|| true) else {
            return;
        };
        let prepared = prepare(&decoded, &transform, &mut vec![0.0; 3 * 32 * 32]);
        assert_eq!(prepared, Ok(()), "what was decoded is what was described");
    }
}

const BEGINS: [&[u8]; 7] = [
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x09\0\0\0\x07",
    b"RIFF\x40\0\0\0WEBPVP8",
    b"GIF89a\x09\0\x07\0",
    b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x09\0\0\0\x07\0\0\0",
    b"BM\0\0\0\0\0\0\0\0\0\0\0\0\x0c\0\0\0\x09\0\x07\0",
];

proptest! {
    #[test]
    fn no_bytes_panic(begin in prop::sample::select(BEGINS.to_vec()), rest in prop::collection::vec(any::<u8>(), 0..300)) {
        try_all(&[begin, &rest].concat());
    }

    #[test]
    fn no_edit_of_an_image_panics(edits in prop::collection::vec((0usize..2000, any::<u8>()), 1..6), length in 0usize..2000) {
        let mut data = bmp(20, 16);
        for (place, value) in edits {
            let place = place % data.len();
            data[place] = value;
        }
        data.truncate(length.max(60));
        try_all(&data);
    }

    #[test]
    fn a_crop_of_any_size_reads_within_the_image(width in 1u8.., height in 1u8.., resize in 1u32..80, less in 0u32..80) {
        let data = bmp(width, height);
        let described = describe(&data, LIMIT).expect("an image");
        let crop = resize.saturating_sub(less).max(1);
        for interpolation in [Interpolation::Bilinear, Interpolation::Bicubic] {
            let transform = Transform { resize, crop, ..transform(interpolation) };
            let decoded = decode(&data, &described, &transform, &|| true).expect("an image");
            let (left, top) = decoded.origin();
            prop_assert!(decoded.width() > 0 && left + decoded.width() <= width.into());
            prop_assert!(decoded.height() > 0 && top + decoded.height() <= height.into());
            let size = 3 * crop as usize * crop as usize;
            prop_assert_eq!(prepare(&decoded, &transform, &mut vec![0.0; size]), Ok(()));
        }
    }
}
