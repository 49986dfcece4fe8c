//! What decoding takes, measured: no more than was said before, and it ends when nobody waits any more.
//!
//! Memory is counted by thread where Rust allocates it, at its peak. The C library that decodes JPEG allocates its own,
//! which is not seen here: of a JPEG only what the pixels are written to, turned in and copied from is counted.
#![expect(unsafe_code, reason = "an allocator is unsafe by its nature")]

mod chunks;
mod made;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use made::{Made, all};
use pixels::{
    Decoded, Description, Error, ErrorKind, Interpolation, Transform, decode, decode_whole, describe,
};

const LIMIT: u64 = 50_000_000;
const SIZES: [(u16, u16); 7] = [
    (1, 1),
    (9, 7),
    (600, 400),
    (400, 600),
    (1500, 1100),
    (4, 30_000),
    (15_000, 3),
];

thread_local! {
    static NOW: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// Counts what each thread has allocated.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn note(bytes: isize) {
    let now = NOW.get() + bytes;
    NOW.set(now);
    PEAK.set(PEAK.get().max(now));
}

// SAFETY: all is left to the system's allocator; what is counted beside it allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size().cast_signed());
        // SAFETY: the caller keeps the conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size().cast_signed());
        // SAFETY: the caller keeps the conditions.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        note(-layout.size().cast_signed());
        // SAFETY: the caller keeps the conditions.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // the new block may be there before the old one is gone
        note(size.cast_signed());
        note(-layout.size().cast_signed());
        // SAFETY: the caller keeps the conditions.
        unsafe { System.realloc(place, layout, size) }
    }
}

/// Returns what `work` returns, and the most bytes that this thread had at a time while it went on.
fn measured<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = NOW.get();
    PEAK.set(before);
    let made = work();
    (made, u64::try_from(PEAK.get() - before).unwrap_or(0))
}

fn transform() -> Transform {
    Transform {
        resize: 256,
        crop: 224,
        interpolation: Interpolation::Bilinear,
        mean: [0.5; 3],
        std: [0.25; 3],
    }
}

type Decode = fn(&[u8], &Description, &Transform, &dyn Fn() -> bool) -> Result<Decoded, Error>;

#[test]
fn decoding_takes_no_more_memory_than_was_said() {
    for (width, height) in SIZES {
        for Made { name, data } in all(width, height) {
            let described = describe(&data, LIMIT).unwrap_or_else(|error| panic!("{name}: {error}"));
            for decode in [decode as Decode, decode_whole] {
                let (made, peak) = measured(|| decode(&data, &described, &transform(), &|| true));
                if let Err(error) = made {
                    panic!("{name} of {width}x{height}: {error}");
                }
                let said = described.memory_bytes;
                assert!(
                    peak <= said,
                    "{name} of {width}x{height}, {} bytes: {peak} of {said}",
                    data.len()
                );
            }
        }
    }
}

#[test]
fn every_long_step_asks_whether_the_image_is_still_wanted() {
    for Made { name, data } in all(2600, 1300) {
        let described = describe(&data, LIMIT).unwrap_or_else(|error| panic!("{name}: {error}"));
        let asked = Cell::new(0_u32);
        let count = || {
            asked.set(asked.get() + 1);
            true
        };
        let made = decode_whole(&data, &described, &transform(), &count);
        assert!(made.is_ok(), "{name}");
        let times = asked.get();
        // of an image that is turned, each column is a row; of one that is interlaced, the passes have more rows
        let least = if name.contains("turned") || name.contains("interlaced") {
            11
        } else {
            2
        };
        assert!(times >= least, "{name}: asked {times} times");
        for last in [0, 1, times / 2, times - 1] {
            asked.set(0);
            let until = || {
                asked.set(asked.get() + 1);
                asked.get() <= last
            };
            let ended = decode_whole(&data, &described, &transform(), &until).map(|_| ());
            assert_eq!(
                ended.map_err(|error| error.kind),
                Err(ErrorKind::Abandoned),
                "{name}: {last}"
            );
            assert_eq!(asked.get(), last + 1, "{name}");
        }
    }
}
