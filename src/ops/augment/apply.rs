//! Crop, flip, cutout and normalisation of images, with random numbers (draws) that another node has computed; and
//! normalisation alone.

use serde::{Deserialize, Serialize};

use super::{N_DRAWS, cutout, padding};
use crate::base::choice::Choice;
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::ops::mirrored;
use crate::tape::{Args, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// The border around an image from which a random crop is cut.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CropPadding {
    /// Black pixels.
    #[default]
    Zeros,
    /// The image, mirrored at its first and last rows and columns.
    Reflect,
}

impl Choice for CropPadding {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::Zeros, "zeros", "Black pixels"),
        (Self::Reflect, "reflect", "The image, mirrored at its first and last rows and columns"),
    ];
}

/// The augmentations, each on or off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AugmentFlags {
    /// Random crop after padding.
    pub crop: bool,
    /// The padding before the crop.
    pub crop_padding: CropPadding,
    /// Random horizontal flip.
    pub flip: bool,
    /// A square of zeros at a random place.
    pub cutout: bool,
}

impl AugmentFlags {
    /// No augmentation.
    pub const NONE: Self =
        Self { crop: false, crop_padding: CropPadding::Zeros, flip: false, cutout: false };

    /// Returns the name of the crop, with its padding unless the padding is black.
    pub fn crop_name(&self) -> &'static str {
        match self.crop_padding {
            CropPadding::Zeros => "crop",
            CropPadding::Reflect => "crop (reflect)",
        }
    }
}

impl Default for AugmentFlags {
    fn default() -> Self {
        Self { crop: true, crop_padding: CropPadding::Zeros, flip: true, cutout: true }
    }
}

/// Records the augmentation of pixels `[N, C, H, W]` with draws `[N, 5]`; the result is `[N, H, W, C]`. The border of
/// the crop and the square of the cutout are in proportion to the shorter side of the images.
pub fn augment(
    tape: &mut Tape,
    pixels: ValueId,
    table: ValueId,
    draws: ValueId,
    flags: AugmentFlags,
) -> ValueId {
    let [_, _, h, w] = sizes(tape.shape(pixels));
    let (padding, cutout) = (padding([h, w]), cutout([h, w]));
    tape.push_one(Augment { flags: Some(flags), padding, cutout }, &[pixels, table, draws])
}

/// Records the normalisation of pixels `[N, C, H, W]` without augmentation; the result is `[N, H, W, C]`.
pub fn normalise(tape: &mut Tape, pixels: ValueId, table: ValueId) -> ValueId {
    tape.push_one(Augment { flags: None, padding: 0, cutout: 0 }, &[pixels, table])
}

/// Augmentation and normalisation: `pixels, table, draws -> y`. Normalisation alone: `pixels, table -> y`.
#[derive(Clone, Copy, Debug)]
pub struct Augment {
    /// The augmentations; None for normalisation alone.
    pub flags: Option<AugmentFlags>,
    /// Width of the border that a crop may include, in pixels.
    pub padding: usize,
    /// Side of the cutout's square, in pixels.
    pub cutout: usize,
}

/// Returns the shape `[N, C, H, W]` of pixels as an array.
pub(super) fn sizes(pixels: &[usize]) -> [usize; 4] {
    let sizes = pixels.try_into().ok().filter(|&[_, c, ..]: &[usize; 4]| c > 0);
    sizes.unwrap_or_else(|| panic!("augment: pixels have shape {pixels:?}, not [N, C, H, W]"))
}

impl Op for Augment {
    fn name(&self) -> &'static str {
        if self.flags.is_some() { "augment.apply" } else { "augment.normalise" }
    }

    fn attributes(&self) -> String {
        let Some(flags) = self.flags else { return String::new() };
        let on = [(flags.crop, flags.crop_name()), (flags.flip, "flip"), (flags.cutout, "cutout")];
        on.into_iter().filter_map(|(on, name)| on.then_some(name)).collect::<Vec<_>>().join(", ")
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let [n, c, h, w] = sizes(&inputs[0].shape);
        let table = &inputs[1].shape;
        assert_eq!(table, &[256, c], "augment: the table has shape {table:?}, not [256, {c}]");
        if self.flags.is_some() {
            let draws = &inputs[2].shape;
            assert_eq!(draws, &[n, N_DRAWS], "augment: {n} images, but draws have shape {draws:?}");
        }
        vec![OutputSpec::real("images", &[n, h, w, c])]
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let [n, c, h, w] = sizes(io.input_shape(0));
        let sizes = [("IMAGES", n), ("CHANNELS", c), ("HEIGHT", h), ("WIDTH", w)];
        let (input, output) = (Binding::Input, Binding::Output);
        match self.flags {
            None => {
                let shader = Shader::new("augment/normalise").constants(&sizes);
                Launch::one(shader, &[input(0), input(1), output(0)], grid(n * h * w))
            }
            Some(AugmentFlags { crop, crop_padding, flip, cutout }) => {
                let shader = Shader::new("augment/augment")
                    .constants(&sizes)
                    .constants(&[("PADDING", self.padding), ("CUTOUT", self.cutout)])
                    .constant("CROP", crop)
                    .constant("REFLECT", crop_padding == CropPadding::Reflect)
                    .constant("FLIP", flip)
                    .constant("CUT", cutout);
                let bindings = [input(0), input(1), input(2), output(0)];
                Launch::one(shader, &bindings, grid(n * h * w))
            }
        }
    }
}

impl Reference for Augment {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [_, n_channels, h, w] = sizes(args.io.input_shape(0));
        // A u32 word packs four pixels, the first in the lowest byte. wgpu runs on little-endian machines, where the
        // bytes of the words are the pixels in order.
        let pixels: &[u8] = bytemuck::cast_slice(args.inputs[0].words());
        let table = args.inputs[1].real();
        let draws = self.flags.map(|_| args.inputs[2].words());
        let flags = self.flags.unwrap_or(AugmentFlags::NONE);
        for_each_chunk(args.outputs[0].real(), n_channels * h * w, &|image, y| {
            let pixels = chunk(pixels, image, n_channels * h * w);
            let draws = draws.map_or(&[0; N_DRAWS][..], |draws| chunk(draws, image, N_DRAWS));
            for (at, y) in y.chunks_mut(n_channels).enumerate() {
                let value = self.source([at / w, at % w], [h, w], draws, flags);
                for (c, y) in y.iter_mut().enumerate() {
                    *y = match value {
                        PixelSource::Hole => T::ZERO,
                        PixelSource::Border => table[c],
                        PixelSource::Pixel(at) => {
                            table[n_channels * usize::from(pixels[c * h * w + at]) + c]
                        }
                    };
                }
            }
        });
    }
}

/// The source of an output pixel.
enum PixelSource {
    /// The cutout's square: the output is 0.
    Hole,
    /// The border of black pixels around the image.
    Border,
    /// The pixel with this index in a channel's plane, row by row.
    Pixel(usize),
}

impl Augment {
    /// Returns the source of the output pixel in row `y` and column `x`: the cutout, the border or an input pixel.
    fn source(
        &self,
        [y, x]: [usize; 2],
        [height, width]: [usize; 2],
        draws: &[u32],
        flags: AugmentFlags,
    ) -> PixelSource {
        let Self { padding, cutout, .. } = *self;
        let [offset_y, offset_x, flip, centre_y, centre_x] =
            [0, 1, 2, 3, 4].map(|i| draws[i] as usize);
        let in_hole =
            |at: usize, centre: usize| (centre..centre + cutout).contains(&(at + cutout / 2));
        if flags.cutout && in_hole(y, centre_y) && in_hole(x, centre_x) {
            return PixelSource::Hole;
        }
        let x = if flags.flip && flip == 1 { width - 1 - x } else { x };
        let (row, column) = match flags.crop {
            true => (y + offset_y, x + offset_x),
            false => (y + padding, x + padding),
        };
        match (row.checked_sub(padding), column.checked_sub(padding)) {
            (Some(row), Some(column)) if row < height && column < width => {
                PixelSource::Pixel(row * width + column)
            }
            _ if flags.crop_padding == CropPadding::Reflect => {
                let mirrored = |at: usize, extent| mirrored(at as isize - padding as isize, extent);
                PixelSource::Pixel(mirrored(row, height) * width + mirrored(column, width))
            }
            _ => PixelSource::Border,
        }
    }
}
