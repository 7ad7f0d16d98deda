//! The speed of decoding and resizing, for the comparison with `benches/peers/torch_pictures.py`.

use std::fs;
use std::time::Instant;

use rayon::prelude::*;
use wgrad::data::image_file::{MAX_PIXELS, decode_upright, pictures_below};

use super::BACKGROUND;

/// Prints the images per second of five passes over the folder `$PICTURES`.
#[test]
#[ignore = "measures; $PICTURES names a folder of pictures"]
fn pictures_are_decoded_and_resized() {
    let folder = std::env::var("PICTURES").expect("a folder");
    let files = pictures_below(folder.as_ref()).expect("readable");
    for _ in 0..5 {
        let start = Instant::now();
        let images = files.par_iter().map(|file| {
            let bytes = fs::read(file).expect("readable");
            let picture = decode_upright(&bytes, BACKGROUND, MAX_PIXELS).expect("a picture");
            picture.evaluated([256; 2], [224; 2]).len()
        });
        let n_bytes: usize = images.sum();
        assert_eq!(n_bytes, files.len() * 3 * 224 * 224);
        println!("{:.0} images/s", files.len() as f64 / start.elapsed().as_secs_f64());
    }
}
