//! Decodes pictures on all cores, unless a file of decoded pictures has them.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::cache::{Cache, Entry, Key, Stamp, Writer};
use super::error::PicturesError;
use super::items::{Item, Part};
use crate::data::image_file::{MAX_PIXELS, bytes_of, decode_upright};
use crate::data::{ImageSize, Progress, Stop};

/// The number of pictures that are decoded while the ones before are written.
const CHUNK: usize = 128;

/// The number of pictures between two calls of the progress.
const PROGRESS: usize = 64;

/// The pictures to decode.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    /// Everything on which all decoded pictures depend.
    pub key: &'a Key,
    /// The folder of the files of decoded pictures; None to decode the pictures in each run.
    pub cache: Option<&'a Path>,
    /// The pictures, in any order.
    pub items: &'a [Item],
    /// True if whole pictures of the training part are decoded too.
    pub whole: bool,
    /// The function that is called while pictures are decoded.
    pub progress: Option<Progress>,
    /// The function that ends the decoding early.
    pub stop: Option<Stop<'a>>,
}

impl Request<'_> {
    /// Returns the result of the request's `stop`.
    fn is_stopped(&self) -> bool {
        self.stop.is_some_and(|Stop(stop)| stop())
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
/// added, changed or removed. Only the added and changed pictures are decoded.
///
/// # Errors
/// If the decoded pictures cannot be written to the disk. [`PicturesError::Interrupted`] if the request's `stop` returned
/// true; the cache folder is then as before.
pub(super) fn decode(request: Request) -> Result<Pictures, PicturesError> {
    let path = request.cache.map(|folder| folder.join(request.key.file_name()));
    let old = path.as_deref().and_then(|path| Cache::open(path, request.key));
    let wanted = wanted(request);
    let source = |wanted: &Wanted| {
        (!request.is_stopped()).then(|| Source::of(request.key, wanted, old.as_ref()))
    };
    let sources: Option<Vec<Source>> = wanted.par_iter().map(source).collect();
    let sources = sources.ok_or(PicturesError::Interrupted)?;

    let mut reasons = HashMap::new();
    for (wanted, source) in wanted.iter().zip(&sources) {
        if let Source::None(reason) = source {
            reasons.insert(wanted.path(), reason.clone());
        }
    }
    let n_kept = sources.iter().filter(|source| matches!(source, Source::Kept(_))).count();
    let is_current =
        |old: &Cache| n_kept == old.entries.len() && n_kept + reasons.len() == sources.len();
    let cache = match old {
        Some(old) if is_current(&old) => old,
        old => rewrite(request, old.as_ref(), &wanted, &sources, &mut reasons)?,
    };
    let place = |item: &Item| {
        let path = item.file.as_os_str().as_encoded_bytes();
        let Some(place) = cache.find(path) else { return Err(reasons[path].clone()) };
        let entry = &cache.entries[place];
        if entry.is_picture() { Ok(place) } else { Err(entry.reason.clone()) }
    };
    let places = request.items.iter().map(place).collect();
    Ok(Pictures { cache, places })
}

/// A picture to decode.
struct Wanted<'a> {
    file: &'a Path,
    /// True if the whole picture is decoded too.
    is_whole: bool,
}

impl<'a> Wanted<'a> {
    fn path(&self) -> &'a [u8] {
        self.file.as_os_str().as_encoded_bytes()
    }
}

/// Returns each picture of a request once, in the order of the bytes of their paths. A list may have a picture twice.
fn wanted(request: Request<'_>) -> Vec<Wanted<'_>> {
    let mut by_path = BTreeMap::new();
    for item in request.items {
        let wanted = Wanted { file: &item.file, is_whole: false };
        let wanted = by_path.entry(wanted.path()).or_insert(wanted);
        wanted.is_whole |= request.whole && item.part == Part::Training;
    }
    by_path.into_values().collect()
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

impl Source {
    /// Returns the origin of a picture: the old file of decoded pictures if the picture has not changed.
    fn of(key: &Key, wanted: &Wanted, old: Option<&Cache>) -> Self {
        let stamp = match Stamp::of(&key.dir.join(wanted.file)) {
            Ok(stamp) => stamp,
            Err(error) => return Self::None(error.to_string()),
        };
        let kept = old.and_then(|old| {
            let place = old.find(wanted.path())?;
            let entry = &old.entries[place];
            let is_complete = !entry.is_picture() || !wanted.is_whole || entry.has_whole();
            (is_complete && entry.stamp == stamp).then_some(place)
        });
        kept.map_or(Self::File(stamp), Self::Kept)
    }
}

/// Writes the pictures to a new file. Adds the reasons why pictures cannot be read.
fn rewrite<'a>(
    request: Request,
    old: Option<&Cache>,
    wanted: &[Wanted<'a>],
    sources: &[Source],
    reasons: &mut HashMap<&'a [u8], String>,
) -> Result<Cache, PicturesError> {
    let all = sources.iter().filter(|source| matches!(source, Source::File(_))).count();
    let done = AtomicUsize::new(0);
    let report = |n: usize| {
        if let Some(Progress(report)) = request.progress
            && (n.is_multiple_of(PROGRESS) || n == all)
        {
            report(n, all);
        }
    };
    let fresh = |(wanted, source): (&Wanted, &Source)| {
        if request.is_stopped() {
            return None;
        }
        let Source::File(stamp) = source else { return Some(None) };
        let fresh = fresh(request.key, wanted, *stamp);
        report(done.fetch_add(1, Ordering::Relaxed) + 1);
        Some(Some(fresh))
    };
    // None if the decoding was stopped.
    let decoded = |wanted: &[Wanted], sources: &[Source]| -> Option<Vec<Option<Fresh>>> {
        wanted.par_iter().zip(sources).map(fresh).collect()
    };
    let mut writer = Writer::create(request.cache, request.key, sources.len())?;
    let mut write = |wanted: &[Wanted<'a>], sources: &[Source], pictures: Vec<Option<Fresh>>| {
        for ((wanted, source), fresh) in wanted.iter().zip(sources).zip(pictures) {
            match (source, old, fresh) {
                (Source::Kept(place), Some(old), _) => {
                    let entry = &old.entries[*place];
                    writer.push(entry.clone(), old.input(entry), old.whole(entry))?;
                }
                (_, _, Some(Ok((entry, input, whole)))) => writer.push(entry, &input, &whole)?,
                (_, _, Some(Err(reason))) => {
                    reasons.insert(wanted.path(), reason);
                }
                // The reason is known already.
                _ => {}
            }
        }
        Ok(())
    };
    report(0);
    let mut chunks = wanted.chunks(CHUNK).zip(sources.chunks(CHUNK));
    let mut next =
        || chunks.next().map(|(wanted, sources)| (wanted, sources, decoded(wanted, sources)));
    let mut current = next();
    while let Some((wanted, sources, pictures)) = current {
        let pictures = pictures.ok_or(PicturesError::Interrupted)?;
        // One thread writes a chunk while the others decode the next one.
        let (written, following) = rayon::join(|| write(wanted, sources, pictures), &mut next);
        written?;
        current = following;
    }
    writer.finish()
}

/// Reads and decodes a picture.
fn fresh(key: &Key, wanted: &Wanted, stamp: Stamp) -> Fresh {
    let path = key.dir.join(wanted.file);
    let bytes = File::open(&path).and_then(bytes_of).map_err(|error| error.to_string())?;
    let bytes = bytes?;
    // A file that is just being written would be a damaged picture, or another one at the next reading.
    if bytes.len() as u64 != stamp.length || Stamp::of(&path).ok() != Some(stamp) {
        return Err("changed while it was read; read the folder again".to_string());
    }
    let path = wanted.path().to_vec();
    let entry = Entry { path, stamp, hash: Sha256::digest(&bytes).into(), ..Entry::default() };
    let picture = match decode_upright(&bytes, key.background, MAX_PIXELS) {
        Ok(picture) => picture,
        Err(reason) => return Ok((Entry { reason, ..entry }, Vec::new(), Vec::new())),
    };
    let input = picture.input(ImageSize { height: key.side, width: key.side, channels: 3 });
    let plane =
        |channel: usize| input.chunks_exact(input.len() / 3).nth(channel).unwrap_or_default();
    let sum = |of: fn(u64) -> u64| {
        [0, 1, 2].map(|channel| plane(channel).iter().map(|&byte| of(byte.into())).sum::<u64>())
    };
    let (sums, squares) = (sum(|byte| byte), sum(|byte| byte * byte));
    let (size, whole) = match wanted.is_whole {
        true => picture.whole(key.side),
        false => (ImageSize { height: 0, width: 0, channels: 3 }, Vec::new()),
    };
    let whole_size = [size.height as u32, size.width as u32];
    Ok((Entry { whole_size, sums, squares, ..entry }, input, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changes_while_it_is_read_is_unreadable() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("a.png");
        std::fs::write(&path, "text").expect("written");
        let key = Key { dir: root.path().into(), side: 32, background: [255; 3] };
        let wanted = Wanted { file: "a.png".as_ref(), is_whole: false };
        let stamp = Stamp::of(&path).expect("there");
        let (entry, ..) = fresh(&key, &wanted, stamp).expect("read and not decoded");
        assert!(entry.reason.contains("neither PNG"), "{}", entry.reason);
        let earlier = Stamp { modified: stamp.modified - 1, ..stamp };
        let shorter = Stamp { length: 3, ..stamp };
        for stamp in [earlier, shorter] {
            let reason = fresh(&key, &wanted, stamp).expect_err("it changed");
            assert!(reason.contains("changed while it was read"), "{reason}");
        }
    }
}
