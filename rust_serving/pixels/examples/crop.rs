//! Answers questions about images, so that tests can compare the answers with those of the reference.
//!
//! `crop RESIZE CROP bilinear|bicubic MAX_PIXELS` reads questions: a letter, the length of a file (u32, little
//! endian) and the file. `c` asks for the crop, `r` for the region that it reads, `w` for the whole image, `p` for
//! the network's input. An answer is the kind of a refusal (0: none, 1: too large, 2: unreadable, 3: abandoned),
//! then width, height, left, top and length (u32 each), the memory (u64), and the pixels or the message.
//! `crop time FILE` prints how long decoding and preparing it take, in milliseconds.

use std::io::{self, Read, Write};
use std::time::Instant;

use pixels::{Decoded, Error, ErrorKind, Interpolation, Transform};

const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];
const TIMES: u32 = 200;

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["time", file] => time(&std::fs::read(file)?),
        [resize, crop, interpolation, max_pixels] => {
            let number = |text: &str| text.parse::<u32>().map_err(io::Error::other);
            let interpolation = match *interpolation {
                "bicubic" => Interpolation::Bicubic,
                _ => Interpolation::Bilinear,
            };
            let (resize, crop) = (number(resize)?, number(crop)?);
            let transform = Transform {
                resize,
                crop,
                interpolation,
                mean: MEAN,
                std: STD,
            };
            answer_all(&transform, number(max_pixels)?.into())
        }
        _ => Err(io::Error::other("crop RESIZE CROP bilinear|bicubic MAX_PIXELS")),
    }
}

fn answer_all(transform: &Transform, max_pixels: u64) -> io::Result<()> {
    let (mut questions, mut answers) = (io::stdin().lock(), io::stdout().lock());
    loop {
        let mut head = [0; 5];
        if questions.read(&mut head[..1])? == 0 {
            return Ok(());
        }
        questions.read_exact(&mut head[1..])?;
        let [question, length @ ..] = head;
        let mut data = vec![0; u32::from_le_bytes(length) as usize];
        questions.read_exact(&mut data)?;
        answers.write_all(&answer(question, &data, transform, max_pixels))?;
        answers.flush()?;
    }
}

fn answer(question: u8, data: &[u8], transform: &Transform, max_pixels: u64) -> Vec<u8> {
    match pixels_of(question, data, transform, max_pixels) {
        Ok((memory_bytes, decoded, body)) => {
            let (left, top) = decoded.origin();
            packed(
                0,
                [decoded.width(), decoded.height(), left, top],
                memory_bytes,
                &body,
            )
        }
        Err(error) => {
            let kind = match error.kind {
                ErrorKind::TooLarge => 1,
                ErrorKind::Unreadable => 2,
                ErrorKind::Abandoned => 3,
            };
            packed(kind, [0; 4], 0, error.message.as_bytes())
        }
    }
}

fn pixels_of(
    question: u8,
    data: &[u8],
    transform: &Transform,
    max_pixels: u64,
) -> Result<(u64, Decoded, Vec<u8>), Error> {
    let description = pixels::describe(data, max_pixels)?;
    let decode = if question == b'w' {
        pixels::decode_whole
    } else {
        pixels::decode
    };
    let decoded = decode(data, &description, transform, &|| true)?;
    let body = match question {
        b'c' => pixels::crop_levels(&decoded, transform)?,
        b'p' => prepared(&decoded, transform)?
            .into_iter()
            .flat_map(f32::to_le_bytes)
            .collect(),
        _ => decoded.rgb().to_vec(),
    };
    Ok((description.memory_bytes, decoded, body))
}

fn prepared(decoded: &Decoded, transform: &Transform) -> Result<Vec<f32>, Error> {
    let mut numbers = vec![0.0; 3 * transform.crop as usize * transform.crop as usize];
    pixels::prepare(decoded, transform, &mut numbers)?;
    Ok(numbers)
}

fn packed(kind: u8, places: [u32; 4], memory_bytes: u64, body: &[u8]) -> Vec<u8> {
    let mut answer = vec![kind];
    answer.extend(places.into_iter().flat_map(u32::to_le_bytes));
    answer.extend(u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    answer.extend(memory_bytes.to_le_bytes());
    answer.extend(body);
    answer
}

fn time(data: &[u8]) -> io::Result<()> {
    let interpolation = Interpolation::Bilinear;
    let transform = Transform {
        resize: 256,
        crop: 224,
        interpolation,
        mean: MEAN,
        std: STD,
    };
    let description = pixels::describe(data, u64::MAX).map_err(io::Error::other)?;
    let (mut decoding, mut whole, mut preparing) = (0.0, 0.0, 0.0);
    for _ in 0..TIMES {
        let begin = Instant::now();
        let decoded = pixels::decode(data, &description, &transform, &|| true).map_err(io::Error::other)?;
        decoding += begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        prepared(&decoded, &transform).map_err(io::Error::other)?;
        preparing += begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        pixels::decode_whole(data, &description, &transform, &|| true).map_err(io::Error::other)?;
        whole += begin.elapsed().as_secs_f64();
    }
    let shown = |seconds: f64| seconds / f64::from(TIMES) * 1000.0;
    println!(
        "decode {:.3} whole {:.3} prepare {:.3}",
        shown(decoding),
        shown(whole),
        shown(preparing)
    );
    Ok(())
}
