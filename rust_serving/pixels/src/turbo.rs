//! The one module that calls a C library, libjpeg-turbo: its safe binding has no cropping region.
#![expect(
    unsafe_code,
    reason = "the cropping region is only in the raw binding of libjpeg-turbo"
)]

use std::ffi::CStr;
use std::ptr::NonNull;

use turbojpeg::PixelFormat;
use turbojpeg::raw;

use crate::area::Area;

/// How the library's warnings begin; whatever else it says is an error.
const WARNINGS: [&str; 7] = [
    "Corrupt JPEG data: ",
    "Premature end of JPEG file",
    "Inconsistent progression sequence for component ",
    "Invalid SOS parameters for sequential JPEG",
    "Unknown Adobe color transform code ",
    "Warning: unknown JFIF revision number ",
    "Application transferred too many scanlines",
];

/// How a decode went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// Without any doubt.
    Whole,
    /// The data is damaged, and pixels were made up where it is.
    Warned,
}

/// The colours that a file stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colours {
    /// Grey, or what becomes RGB.
    Rgb,
    /// CMYK, or what becomes CMYK.
    Cmyk,
}

impl Colours {
    pub(crate) fn bytes(self) -> usize {
        self.format().size()
    }

    fn format(self) -> PixelFormat {
        match self {
            Self::Rgb => PixelFormat::RGB,
            Self::Cmyk => PixelFormat::CMYK,
        }
    }
}

/// A decoder for one file.
pub(crate) struct Decoder<'data> {
    handle: NonNull<std::ffi::c_void>,
    data: &'data [u8],
    area: Area,
    colours: Colours,
}

impl<'data> Decoder<'data> {
    /// Read a file's header; `Err` has the library's words.
    pub(crate) fn new(data: &'data [u8]) -> Result<Self, String> {
        // SAFETY: the call has no conditions; a null pointer is its failure.
        let handle = unsafe { raw::tj3Init(raw::TJINIT_TJINIT_DECOMPRESS.cast_signed()) };
        let handle = NonNull::new(handle).ok_or_else(|| "no memory for a decoder".to_owned())?;
        let mut decoder = Self {
            handle,
            data,
            area: Area::whole(0, 0),
            colours: Colours::Rgb,
        };
        // SAFETY: the handle is that of a decoder, and the pointer and length are of one slice.
        let code =
            unsafe { raw::tj3DecompressHeader(handle.as_ptr(), data.as_ptr(), data.len() as raw::size_t) };
        decoder.judge(code)?;
        let side = |parameter| u32::try_from(decoder.get(parameter)).unwrap_or(0);
        let (width, height) = (
            side(raw::TJPARAM_TJPARAM_JPEGWIDTH),
            side(raw::TJPARAM_TJPARAM_JPEGHEIGHT),
        );
        let space = side(raw::TJPARAM_TJPARAM_COLORSPACE);
        decoder.area = Area::whole(width, height);
        if space == raw::TJCS_TJCS_CMYK || space == raw::TJCS_TJCS_YCCK {
            decoder.colours = Colours::Cmyk;
        }
        Ok(decoder)
    }

    /// Return what will be decoded: the whole image, or the area that was set.
    pub(crate) fn area(&self) -> Area {
        self.area
    }

    /// Return the colours that will be decoded.
    pub(crate) fn colours(&self) -> Colours {
        self.colours
    }

    /// Decode only this area, if the file is stored so that this can be done.
    pub(crate) fn set_area(&mut self, area: Area) {
        let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        let region = raw::tjregion {
            x: number(area.left),
            y: number(area.top),
            w: number(area.width()),
            h: number(area.height()),
        };
        // SAFETY: the handle is that of a decoder; the library checks the region.
        let code = unsafe { raw::tj3SetCroppingRegion(self.handle.as_ptr(), region) };
        if code == 0 {
            self.area = area;
        }
    }

    /// Decode; returns how that went and the pixels, row by row. `Err` has the library's words.
    pub(crate) fn decode(&mut self) -> Result<(Decoded, Vec<u8>), String> {
        let row_bytes = self.area.width() as usize * self.colours.bytes();
        let pitch = i32::try_from(row_bytes).map_err(|_| "its rows are too long".to_owned())?;
        let mut pixels = vec![0; row_bytes * self.area.height() as usize];
        // SAFETY: the data has not changed since its header was read (it is borrowed), so the library writes
        // the whole image of the header, or the region that it took, in rows of `pitch` bytes: `pixels` has
        // room for `area`, which is one or the other.
        let code = unsafe {
            raw::tj3Decompress8(
                self.handle.as_ptr(),
                self.data.as_ptr(),
                self.data.len() as raw::size_t,
                pixels.as_mut_ptr(),
                pitch,
                self.colours.format() as i32,
            )
        };
        Ok((self.judge(code)?, pixels))
    }

    fn get(&self, parameter: raw::TJPARAM) -> i32 {
        // SAFETY: the handle is that of a decoder; an unknown parameter gives -1.
        unsafe { raw::tj3Get(self.handle.as_ptr(), parameter.cast_signed()) }
    }

    fn judge(&self, code: i32) -> Result<Decoded, String> {
        if code == 0 {
            return Ok(Decoded::Whole);
        }
        // SAFETY: the library gives a text that ends in 0 and lives until its next call with this handle.
        let text = unsafe { CStr::from_ptr(raw::tj3GetErrorStr(self.handle.as_ptr())) };
        let text = text.to_string_lossy();
        // the library's own code for a warning also stands for an error after a warning; its text does not
        if WARNINGS.iter().any(|&warning| text.starts_with(warning)) {
            return Ok(Decoded::Warned);
        }
        Err(text.into_owned())
    }
}

impl Drop for Decoder<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is that of a decoder, and is not used again.
        unsafe { raw::tj3Destroy(self.handle.as_ptr()) }
    }
}
