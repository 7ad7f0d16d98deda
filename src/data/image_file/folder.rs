//! The pictures in a folder and in the folders below it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::is_picture_name;

/// Returns the pictures in a folder and below it, by the endings of their names, sorted by the bytes of their paths.
/// Hidden files and folders are left out. Symbolic links are followed, except those to a folder above.
///
/// # Errors
/// If a folder cannot be read.
pub fn pictures_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(folder, &mut Vec::new(), &mut found)?;
    found.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    Ok(found)
}

/// Appends the pictures in a folder and below it. `above` has the real paths of the folders above.
fn collect(folder: &Path, above: &mut Vec<PathBuf>, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let real = fs::canonicalize(folder)?;
    if above.contains(&real) {
        return Ok(());
    }
    above.push(real);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if path.is_dir() {
            collect(&path, above, found)?;
        } else if is_picture_name(&path) {
            found.push(path);
        }
    }
    above.pop();
    Ok(())
}

#[cfg(test)]
mod tests {
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
