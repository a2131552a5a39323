//! Pixels as a file stores them: read once, in the file's own type, and turned into numbers where they are used.

use gdal::raster::GdalType;

/// Values of the used bands, one band after the other, row by row.
///
/// Types that most imagery has are kept as they are (a byte takes a quarter of the room of a float); all others
/// are converted to `f32` by GDAL.
#[derive(Debug, Clone, PartialEq)]
pub enum Samples {
    /// Bytes.
    U8(Vec<u8>),
    /// Unsigned 16-bit numbers.
    U16(Vec<u16>),
    /// Signed 16-bit numbers.
    I16(Vec<i16>),
    /// Everything else.
    F32(Vec<f32>),
}

/// A type of number that is kept as stored.
pub(super) trait Sample: GdalType + Copy + Default {
    /// The values, where they are of this type; else an empty vector.
    fn take(samples: &mut Samples) -> Vec<Self>;
    /// The other way round.
    fn wrap(values: Vec<Self>) -> Samples;
}

macro_rules! sample {
    ($number:ty, $variant:ident) => {
        impl Sample for $number {
            fn take(samples: &mut Samples) -> Vec<Self> {
                match samples {
                    Samples::$variant(values) => std::mem::take(values),
                    _ => Vec::new(),
                }
            }

            fn wrap(values: Vec<Self>) -> Samples {
                Samples::$variant(values)
            }
        }
    };
}

sample!(u8, U8);
sample!(u16, U16);
sample!(i16, I16);
sample!(f32, F32);

/// How pixels without a measurement are told. In all cases a number that is not finite is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum EmptyPixels {
    /// There are none.
    Never,
    /// All used bands hold this value.
    Value(f32),
    /// The mask is 0 there.
    Masked,
}

/// A rectangle of pixels as stored. Filled again and again, so that reading allocates nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPixels {
    /// Scene column and row of the first pixel.
    pub origin: (usize, usize),
    /// Columns and rows.
    pub size: (usize, usize),
    /// The values.
    pub samples: Samples,
    /// Which of them are none.
    pub empty: EmptyPixels,
    /// 1 where measured, row by row; of use only where `empty` says so.
    pub mask: Vec<u8>,
}

impl Default for StoredPixels {
    fn default() -> Self {
        Self {
            origin: (0, 0),
            size: (0, 0),
            samples: Samples::F32(Vec::new()),
            empty: EmptyPixels::Never,
            mask: Vec::new(),
        }
    }
}

impl StoredPixels {
    /// Makes room for `bands` of `size` as `f32` with a mask, and returns both, their content arbitrary: for
    /// pixels that are resampled and so are the file's own no more. The origin is (0, 0).
    pub fn floats(&mut self, bands: usize, size: (usize, usize)) -> (&mut [f32], &mut [u8]) {
        let pixels = size.0 * size.1;
        (self.origin, self.size) = ((0, 0), size);
        self.empty = EmptyPixels::Masked;
        self.mask.resize(pixels, 0);
        let mut planes = f32::take(&mut self.samples);
        planes.resize(bands * pixels, 0.0);
        self.samples = Samples::F32(planes);
        match &mut self.samples {
            Samples::F32(planes) => (planes, &mut self.mask),
            Samples::U8(_) | Samples::U16(_) | Samples::I16(_) => (&mut [], &mut self.mask),
        }
    }
}
