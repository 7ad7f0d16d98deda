//! The pictures in a folder and in the folders below it.

use std::io;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::{is_hidden, is_named_as_picture};

/// Returns the pictures in a folder and below it, by the endings of their names, sorted by the bytes of their paths. Files of
/// formats that are not read, such as HEIC, are among them, so that their reading names the reason.
/// Hidden files and folders are left out. Symbolic links are followed, except those to a folder above.
///
/// # Errors
/// If a folder cannot be read.
pub fn pictures_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for file in files_below(folder, Path::new("")) {
        match file {
            // The opening of a pipe would wait for a writer.
            Ok(path) if path.exists() && !path.is_file() => {}
            Ok(path) if is_named_as_picture(&path) => found.push(path),
            Err(error) if error.loop_ancestor().is_none() => return Err(error.into()),
            _ => {}
        }
    }
    found.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    Ok(found)
}

/// Returns the files in `part`, which is a path relative to a folder, and below it. Hidden files and folders are left
/// out. Symbolic links are followed; a link without a target counts as a file, so its reading fails.
///
/// An item is an error for a folder that cannot be read, and for a link to a folder above, up to `folder`, which has a
/// [`loop_ancestor`](walkdir::Error::loop_ancestor).
pub fn files_below(
    folder: &Path,
    part: &Path,
) -> impl Iterator<Item = Result<PathBuf, walkdir::Error>> {
    let walk = WalkDir::new(folder).follow_links(true).into_iter();
    let part = folder.join(part);
    let walk = walk.filter_entry(move |entry| {
        let path = entry.path();
        let is_in_part = path.starts_with(&part) || part.starts_with(path);
        is_in_part && (entry.depth() == 0 || !is_hidden(path))
    });
    walk.filter_map(|entry| match entry {
        Ok(entry) => (!entry.file_type().is_dir()).then(|| Ok(entry.into_path())),
        Err(error) => match error.path() {
            Some(path) if error.depth() > 0 && is_hidden(path) => None,
            Some(path)
                if error.loop_ancestor().is_none() && path.is_symlink() && !path.exists() =>
            {
                Some(Ok(path.to_path_buf()))
            }
            _ => Some(Err(error)),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn pictures_are_found_below_a_folder_in_the_order_of_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        for name in
            ["b.png", "a/ü.JPG", "a/b/c.gif", "a/b/.hidden.png", ".git/x.png", "a.txt", "Z.tif"]
        {
            let path = root.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, "").expect("written");
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(root, root.join("a/round")).expect("linked");
        let found = pictures_below(root).expect("readable");
        let names = ["Z.tif", "a/b/c.gif", "a/ü.JPG", "b.png"];
        assert_eq!(found, names.map(|name| root.join(name)));
        assert!(pictures_below(&root.join("none")).is_err());
    }
}
