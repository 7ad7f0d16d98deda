//! Decodes pictures on all cores, unless a file of decoded pictures has them.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::cache::{Cache, Entry, Stamp, Writer};
use super::error::PicturesError;
use super::items::{Item, Part};
use crate::base::fingerprint::Fingerprint;
use crate::data::image_file::{MAX_PIXELS, bytes_of, decode_upright};
use crate::data::{ImageSize, Progress};

/// The number of pictures that are decoded while the ones before are written.
const CHUNK: usize = 128;

/// The number of pictures between two calls of the progress.
const PROGRESS: usize = 64;

/// The pictures to decode.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    /// The folder of the dataset.
    pub dir: &'a Path,
    /// The folder of the files of decoded pictures; None to decode the pictures in each run.
    pub cache: Option<&'a Path>,
    /// The pictures, in the order in which the file of decoded pictures has them.
    pub items: &'a [Item],
    /// The number of rows and columns of the pictures.
    pub side: usize,
    /// The colour behind transparent pixels.
    pub background: [u8; 3],
    /// True if whole training pictures are decoded too.
    pub whole: bool,
    /// The function that is called while pictures are decoded.
    pub progress: Option<Progress>,
}

impl Request<'_> {
    /// Returns true if the whole picture is requested.
    fn is_whole(&self, item: &Item) -> bool {
        self.whole && item.part == Part::Training
    }
}

/// The pictures of a request.
#[derive(Debug)]
pub(super) struct Pictures {
    /// The file of decoded pictures.
    pub cache: Cache,
    /// The index in the file's entries of each requested picture, or the reason why it cannot be read.
    pub places: Vec<Result<usize, String>>,
}

/// A picture that was just decoded: its entry, its input and the whole picture. The error is the reason why its file
/// cannot be read. A file that can be read and not decoded has an entry with the reason, so it is not read again.
type Fresh = Result<(Entry, Vec<u8>, Vec<u8>), String>;

/// Returns the pictures of a request. The file of decoded pictures in the cache folder is written anew if a picture was
/// added, changed or removed, or the order has changed.
///
/// # Errors
/// If the decoded pictures cannot be written to the disk.
pub(super) fn decode(request: Request) -> Result<Pictures, PicturesError> {
    let path = request.cache.map(|folder| folder.join(file_name(request)));
    let old = path.as_deref().and_then(|path| Cache::open(path, request.side));
    let stamp = |item: &Item| Stamp::of(&request.dir.join(&item.file)).map_err(|e| e.to_string());
    let stamps: Vec<Result<Stamp, String>> = request.items.par_iter().map(stamp).collect();
    let kept = kept(request, old.as_ref(), &stamps);
    let sources: Vec<Source> = kept.into_iter().zip(stamps).map(Source::from).collect();

    let pictures = match old {
        Some(cache) if is_current(&cache, &sources) => {
            let place = |source: Source| match source {
                Source::Kept(place) => Ok(place),
                Source::File(_) => unreachable!("the file is current"),
                Source::None(reason) => Err(reason),
            };
            Pictures { places: sources.into_iter().map(place).collect(), cache }
        }
        old => rewrite(request, path.as_deref(), old.as_ref(), &sources)?,
    };
    Ok(pictures.with_reasons())
}

/// The origin of a picture's pixels.
enum Source {
    /// The entry with this index in the file of an earlier run.
    Kept(usize),
    /// The picture's own file, which has this stamp.
    File(Stamp),
    /// Nothing: the reason why there is no file.
    None(String),
}

impl From<(Option<usize>, Result<Stamp, String>)> for Source {
    fn from(found: (Option<usize>, Result<Stamp, String>)) -> Self {
        match found {
            (_, Err(reason)) => Self::None(reason),
            (Some(place), Ok(_)) => Self::Kept(place),
            (None, Ok(stamp)) => Self::File(stamp),
        }
    }
}

/// Returns the name of the file of decoded pictures: the hash of everything on which all pictures depend.
fn file_name(request: Request) -> String {
    let dir = request.dir.as_os_str().as_encoded_bytes();
    let side = (request.side as u64).to_le_bytes();
    format!("{}.pixels", Fingerprint::of([dir, &side[..], &request.background[..]]))
}

/// Returns the index in the old file of each picture that has not changed.
fn kept(
    request: Request,
    old: Option<&Cache>,
    stamps: &[Result<Stamp, String>],
) -> Vec<Option<usize>> {
    let Some(old) = old else { return vec![None; stamps.len()] };
    let by_path: HashMap<&[u8], usize> =
        old.entries.iter().enumerate().map(|(ix, entry)| (&entry.path[..], ix)).collect();
    let mut next = 0;
    let place = |(item, stamp): (&Item, &Result<Stamp, String>)| {
        let path = item.file.as_os_str().as_encoded_bytes();
        // A list may have a picture twice, so the next entry is compared before the others.
        let is_next = old.entries.get(next).is_some_and(|entry| entry.path == path);
        let found = if is_next { next } else { *by_path.get(path)? };
        next = found + 1;
        let entry = &old.entries[found];
        let is_complete = !entry.is_picture() || !request.is_whole(item) || entry.has_whole();
        (is_complete && stamp.as_ref() == Ok(&entry.stamp)).then_some(found)
    };
    request.items.iter().zip(stamps).map(place).collect()
}

/// Returns true if a file has exactly these pictures in this order.
fn is_current(cache: &Cache, sources: &[Source]) -> bool {
    let mut n = 0;
    let is_next = |source: &Source| match source {
        Source::Kept(place) => {
            n += 1;
            *place == n - 1
        }
        Source::File(_) => false,
        Source::None(_) => true,
    };
    sources.iter().all(is_next) && n == cache.entries.len()
}

/// Writes the pictures to a new file.
fn rewrite(
    request: Request,
    path: Option<&Path>,
    old: Option<&Cache>,
    sources: &[Source],
) -> Result<Pictures, PicturesError> {
    let all = sources.iter().filter(|source| matches!(source, Source::File(_))).count();
    let done = AtomicUsize::new(0);
    let report = |n: usize| {
        if let Some(Progress(report)) = request.progress
            && (n.is_multiple_of(PROGRESS) || n == all)
        {
            report(n, all);
        }
    };
    let fresh = |(item, source): (&Item, &Source)| {
        let Source::File(stamp) = source else { return None };
        let fresh = fresh(request, item, *stamp);
        report(done.fetch_add(1, Ordering::Relaxed) + 1);
        Some(fresh)
    };
    let decoded = |sources: &[Source], items: &[Item]| -> Vec<Option<Fresh>> {
        items.par_iter().zip(sources).map(fresh).collect()
    };
    let mut writer = Writer::create(path, sources.len(), request.side)?;
    let mut places = Vec::with_capacity(sources.len());
    let mut write = |sources: &[Source], pictures: Vec<Option<Fresh>>| {
        for (source, fresh) in sources.iter().zip(pictures) {
            places.push(match (source, old, fresh) {
                (Source::Kept(place), Some(old), _) => {
                    let entry = &old.entries[*place];
                    Ok(writer.push(entry.clone(), old.input(entry), old.whole(entry))?)
                }
                (Source::None(reason), ..) => Err(reason.clone()),
                (_, _, Some(Ok((entry, input, whole)))) => Ok(writer.push(entry, &input, &whole)?),
                (_, _, Some(Err(reason))) => Err(reason),
                (_, _, None) => unreachable!("a picture is kept or decoded"),
            });
        }
        Ok(())
    };
    report(0);
    let mut chunks = sources.chunks(CHUNK).zip(request.items.chunks(CHUNK));
    let mut next = || chunks.next().map(|(sources, items)| (sources, decoded(sources, items)));
    let mut current = next();
    while let Some((sources, pictures)) = current {
        // One thread writes a chunk while the others decode the next one.
        let (written, following) = rayon::join(|| write(sources, pictures), &mut next);
        written?;
        current = following;
    }
    Ok(Pictures { cache: writer.finish()?, places })
}

/// Reads and decodes a picture.
fn fresh(request: Request, item: &Item, stamp: Stamp) -> Fresh {
    let path = request.dir.join(&item.file);
    let bytes = File::open(&path).and_then(bytes_of).map_err(|error| error.to_string())?;
    let bytes = bytes?;
    // A file that is just being written would be a damaged picture, or another one at the next reading.
    if bytes.len() as u64 != stamp.length || Stamp::of(&path).ok() != Some(stamp) {
        return Err("changed while it was read; read the folder again".to_string());
    }
    let path = item.file.as_os_str().as_encoded_bytes().to_vec();
    let entry = Entry { path, stamp, hash: Sha256::digest(&bytes).into(), ..Entry::default() };
    let picture = match decode_upright(&bytes, request.background, MAX_PIXELS) {
        Ok(picture) => picture,
        Err(reason) => return Ok((Entry { reason, ..entry }, Vec::new(), Vec::new())),
    };
    let input = picture.input(ImageSize { height: request.side, width: request.side, channels: 3 });
    let plane =
        |channel: usize| input.chunks_exact(input.len() / 3).nth(channel).unwrap_or_default();
    let sum = |of: fn(u64) -> u64| {
        [0, 1, 2].map(|channel| plane(channel).iter().map(|&byte| of(byte.into())).sum::<u64>())
    };
    let (sums, squares) = (sum(|byte| byte), sum(|byte| byte * byte));
    let (size, whole) = match request.is_whole(item) {
        true => picture.whole(request.side),
        false => (ImageSize { height: 0, width: 0, channels: 3 }, Vec::new()),
    };
    let whole_size = [size.height as u32, size.width as u32];
    Ok((Entry { whole_size, sums, squares, ..entry }, input, whole))
}

impl Pictures {
    /// Returns the pictures with the reasons of the entries that have no pixels.
    fn with_reasons(mut self) -> Self {
        for place in &mut self.places {
            let entry = place.as_ref().ok().map(|&place| &self.cache.entries[place]);
            if let Some(entry) = entry.filter(|entry| !entry.is_picture()) {
                *place = Err(entry.reason.clone());
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changes_while_it_is_read_is_unreadable() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("a.png");
        std::fs::write(&path, "text").expect("written");
        let items =
            [Item { file: "a.png".into(), key: Vec::new(), label: 0, part: Part::Training }];
        let request = Request {
            dir: root.path(),
            cache: None,
            items: &items,
            side: 32,
            background: [255; 3],
            whole: false,
            progress: None,
        };
        let stamp = Stamp::of(&path).expect("there");
        let (entry, ..) = fresh(request, &items[0], stamp).expect("read and not decoded");
        assert!(entry.reason.contains("neither PNG"), "{}", entry.reason);
        let earlier = Stamp { modified: stamp.modified - 1, ..stamp };
        let shorter = Stamp { length: 3, ..stamp };
        for stamp in [earlier, shorter] {
            let reason = fresh(request, &items[0], stamp).expect_err("it changed");
            assert!(reason.contains("changed while it was read"), "{reason}");
        }
    }
}
