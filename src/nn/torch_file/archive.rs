//! The zip archive that `torch.save` writes since PyTorch 1.6.
//!
//! All entries are in one folder of any name, and are stored without compression. Their checksums are not compared:
//! `torch.save` leaves them out on request, and `torch.load` ignores them.

use std::collections::HashMap;

use rawzip::{CompressionMethod, ZipArchive};

use super::file::File;
use super::read_pickle;

/// Takes an archive apart.
pub(super) fn read(bytes: &[u8]) -> Result<File<'_>, String> {
    let (folder, mut entries) = entries(bytes)?;
    let data = entries.remove("data.pkl").expect("its name gives the folder");
    match entries.get("byteorder").copied() {
        None | Some(b"little") => {}
        Some(b"big") => {
            return Err("its tensors are big-endian; save them on another machine".into());
        }
        Some(_) => return Err(format!("{folder}/byteorder is neither \"little\" nor \"big\"")),
    }
    let (pickle, _) = read_pickle(data).map_err(|error| format!("{folder}/data.pkl: {error}"))?;
    let storages = entries
        .into_iter()
        .filter_map(|(name, bytes)| name.strip_prefix("data/").map(|key| (key.to_string(), bytes)));
    Ok(File { pickle, storages: storages.collect() })
}

/// Returns the name of the folder with `data.pkl`, and the entries of this folder by their names in it.
fn entries(bytes: &[u8]) -> Result<(String, HashMap<String, &[u8]>), String> {
    let damaged = |error: rawzip::Error| format!("the zip archive is damaged ({error})");
    let archive = ZipArchive::from_slice(bytes).map_err(damaged)?;
    let mut all = Vec::new();
    for entry in archive.entries() {
        let entry = entry.map_err(damaged)?;
        let name = String::from_utf8_lossy(entry.file_path().as_bytes()).into_owned();
        let method = entry.compression_method();
        let range = archive.get_entry(entry.wayfinder()).map_err(damaged)?.compressed_data_range();
        let (begin, end) = (range.0 as usize, range.1 as usize);
        let data = bytes.get(begin..end).ok_or_else(|| format!("{name} ends beyond the file"))?;
        all.push((name, method, data));
    }
    let has_pickle = |name: &str| name.split_once('/').is_some_and(|(_, file)| file == "data.pkl");
    let pickle = all.iter().find(|(name, ..)| has_pickle(name));
    let folder = match pickle.and_then(|(name, ..)| name.split_once('/')) {
        Some((folder, _)) => folder.to_string(),
        None => return Err("the zip archive has no FOLDER/data.pkl".to_string()),
    };
    let mut entries = HashMap::new();
    for (name, method, data) in &all {
        let Some(inner) = name.strip_prefix(&folder).and_then(|rest| rest.strip_prefix('/')) else {
            continue;
        };
        if *method != CompressionMethod::STORE {
            return Err(format!("{name} is compressed; torch.save stores entries as they are"));
        }
        if entries.insert(inner.to_string(), *data).is_some() {
            return Err(format!("the zip archive has {name} twice"));
        }
    }
    Ok((folder, entries))
}
