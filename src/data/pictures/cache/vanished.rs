//! Removes files of decoded pictures that no run will read again.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{ENDING, Header, Key, MAGIC, TEMPORARY};

/// The age from which a file that another process may be writing is tested.
const SETTLED: Duration = Duration::from_secs(60);

/// The largest number of bytes of a folder's path that is read.
const MAX_DIR: u32 = 1 << 16;

/// Removes two kinds of files from the folder of decoded pictures: those that interrupted processes left, and those of
/// folders that are gone. Other files stay. Failures are ignored.
pub(super) fn remove(cache: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let has_ending = |ending: &str| path.extension().is_some_and(|found| found == ending);
        let is_removed = is_file
            && ((has_ending(TEMPORARY) && is_abandoned(&path))
                || (has_ending(ENDING) && is_of_vanished(&path)));
        if is_removed {
            let _ = fs::remove_file(path);
        }
    }
}

/// Returns true if no process writes a temporary file. A process locks its file as soon as it has created it.
fn is_abandoned(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let modified = file.metadata().and_then(|data| data.modified()).ok();
    let age = modified.and_then(|time| SystemTime::now().duration_since(time).ok());
    age.is_some_and(|age| age > SETTLED) && file.try_lock().is_ok()
}

/// Returns true if a file is one of decoded pictures and the folder of the pictures is gone. The file's name is the hash of
/// the key in the file, so no other file is taken for one.
fn is_of_vanished(path: &Path) -> bool {
    let is_ours = |key: &Key| path.file_name().is_some_and(|name| name == &*key.file_name());
    let is_gone = |key: &Key| {
        let kind = key.dir.symlink_metadata().err().map(|error| error.kind());
        kind == Some(io::ErrorKind::NotFound)
    };
    key_of(path).is_some_and(|key| is_ours(&key) && is_gone(&key))
}

/// Returns the key in a file; None if the file does not begin as a file of decoded pictures.
fn key_of(path: &Path) -> Option<Key> {
    let mut file = File::open(path).ok()?;
    let mut header = [0; size_of::<Header>()];
    file.read_exact(&mut header).ok()?;
    let header: Header = bytemuck::pod_read_unaligned(&header);
    if header.magic != MAGIC || header.dir_length > MAX_DIR {
        return None;
    }
    let mut dir = vec![0; header.dir_length as usize];
    file.read_exact(&mut dir).ok()?;
    Key::of(&header, dir)
}
