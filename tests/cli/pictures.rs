//! Runs on folders of the user's own pictures.

use std::collections::BTreeMap;

use safetensors::SafeTensors;

use super::support::*;

/// The names of the ten classes of [`records`], in the order of their labels. They have spaces and letters of several
/// alphabets.
const NAMES: [&str; 10] = ["Hund", "chat noir", "кот", "犬", "naïve", "x", "y", "z", "ß", "a-b"];

/// Writes a picture of rows of red, green and blue.
fn write_png(path: &Path, [height, width]: [usize; 2], rgb: &[u8]) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let file = fs::File::create(path).expect("created");
    let mut encoder = png::Encoder::new(file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(rgb).expect("pixels");
}

/// Writes records as pictures into `folder/part/NAME`, and returns the lines of a list in the order of the records.
pub fn write_pictures(folder: &Path, part: &str, records: &[u8]) -> String {
    let mut list = String::new();
    for (ix, record) in records.chunks(RECORD).enumerate() {
        let (label, planes) = (record[0], &record[1..]);
        let rgb: Vec<u8> =
            (0..1024).flat_map(|at| [planes[at], planes[1024 + at], planes[2048 + at]]).collect();
        let name = format!("{part}/{}/{ix:03}.png", NAMES[usize::from(label)]);
        write_png(&folder.join(&name), [32, 32], &rgb);
        list += &format!("{name},{label}\n");
    }
    list
}

/// Returns a temporary folder with the pictures of `folder_with_data` in `pictures/train` and `pictures/test`, and its cache
/// in `cache`.
pub fn folder_with_pictures() -> TempDir {
    let folder = folder_with_data();
    let pictures = folder.path().join("pictures");
    let train = [records(40, 1), records(20, 2)].concat();
    write_pictures(&pictures, "train", &train);
    write_pictures(&pictures, "test", &records(25, 3));
    folder
}

#[track_caller]
fn succeed(folder: &Path, arguments: &[&str]) -> Output {
    let output = with_cache(folder, arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

/// Returns the arguments of a short run on `pictures`.
pub fn on_pictures<'a>(others: &[&'a str]) -> Vec<&'a str> {
    let mut flags = vec!["--data=./pictures", "--image-size=32"];
    flags.extend(others);
    tiny(&flags).into_iter().filter(|flag| !flag.starts_with("--data-dir")).collect()
}

fn tensors(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let bytes = fs::read(path).expect("weights");
    let file = SafeTensors::deserialize(&bytes).expect("a file");
    file.tensors().into_iter().map(|(name, tensor)| (name, tensor.data().to_vec())).collect()
}

#[test]
fn pictures_in_lists_give_the_tensors_of_the_binary_files() {
    let folder = folder_with_data();
    let path = folder.path();
    let pictures = path.join("pictures");
    let train = [records(40, 1), records(20, 2)].concat();
    for (part, records) in [("train", &train), ("test", &records(25, 3))] {
        let list = write_pictures(&pictures, part, records);
        fs::write(pictures.join(format!("{part}.csv")), format!("file,label\n{list}"))
            .expect("written");
    }
    let numbers = ["--mean=0.5,0.4,0.3", "--std=0.2,0.25,0.3", "--max-lr=0.01"];
    let binary = tiny(&[&numbers[..], &["--data=cifar10", "--out=binary"]].concat());
    succeed(path, &binary);
    succeed(path, &on_pictures(&[&numbers[..], &["--out=run"]].concat()));
    let [binary, lists] =
        ["binary", "run"].map(|run| tensors(&path.join(run).join("model.safetensors")));
    assert!(binary == lists, "other bits");
    // The lists have labels and no names.
    let config = fs::read_to_string(path.join("run/config.toml")).expect("settings");
    assert!(config.contains("classes = \"10\""), "{config}");
}

#[test]
fn a_run_on_pictures_is_evaluated_reported_and_predicts() {
    let folder = folder_with_pictures();
    let path = folder.path();
    let text = stdout(&succeed(path, &on_pictures(&[])));
    assert!(text.contains("60 training") && text.contains("25 test images"), "{text}");
    let text = stdout(&succeed(path, &["eval", "--weights=run", "--device=cpu"]));
    assert!(text.contains("chat noir") && text.contains("% of 25 images"), "{text}");
    succeed(path, &["report", "run", "--device=cpu"]);
    let page = fs::read_to_string(path.join("run/report.html")).expect("a page");
    assert!(NAMES.iter().all(|name| page.contains(name)), "the names of the classes");
    let json = ["predict", "--weights=run", "--device=cpu", "--json", "pictures/test/犬"];
    let text = stdout(&succeed(path, &json));
    assert!(text.contains("chat noir"), "{text}");

    // Another folder of some of the classes, in another order: the labels are those of the network.
    let other = path.join("other");
    write_pictures(&other, "all", &records(25, 3));
    for name in &NAMES[..8] {
        fs::remove_dir_all(other.join("all").join(name)).expect("removed");
    }
    let output = succeed(path, &["eval", "--weights=run", "--device=cpu", "--data=other/all"]);
    assert!(stdout(&output).contains("of 4 images"), "{}", stdout(&output));
    assert!(stderr(&output).contains("not the data of the training"), "{}", stderr(&output));
    fs::create_dir(other.join("all/fish")).expect("created");
    fs::copy(path.join("pictures/test/x/005.png"), other.join("all/fish/1.png")).expect("copied");
    let refused = with_cache(path, &["eval", "--weights=run", "--device=cpu", "--data=other/all"]);
    assert_fails(&refused, 1, &["\"fish\"", "is not a class of the network"]);
}

#[test]
fn weights_bring_the_format_of_their_images() {
    let folder = folder_with_pictures();
    let path = folder.path();
    let numbers = ["--mean=0.5,0.4,0.3", "--std=imagenet", "--out=first"];
    succeed(path, &on_pictures(&numbers));
    let config =
        |run: &str| fs::read_to_string(path.join(run).join("config.toml")).expect("settings");
    // Two of the classes, whose names a listing of this folder alone would give the labels 0 and 1.
    let some = path.join("some");
    write_pictures(&some, "train", &records(20, 4));
    for name in &NAMES[..8] {
        fs::remove_dir_all(some.join("train").join(name)).expect("removed");
    }
    let flags = ["--data=some", "--weights=first", "--validation=1", "--batch-size=2"];
    let flags: Vec<_> =
        tiny(&flags).into_iter().filter(|flag| !flag.starts_with("--data-dir")).collect();
    succeed(path, &flags);
    let text = config("run");
    for line in ["mean = \"0.5,0.4,0.3\"", "std = \"0.229,0.224,0.225\"", "image-size = 32"] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    assert!(text.contains("chat noir"), "the classes of the weights: {text}");
    // A new head has the classes of the folder, and `auto` measures it.
    let more = ["--new-head", "--mean=auto", "--out=head"];
    let flags: Vec<_> = flags.into_iter().filter(|flag| !flag.starts_with("--out")).collect();
    succeed(path, &[&flags[..], &more].concat());
    let text = config("head");
    assert!(text.contains("classes = \"2\"") && !text.contains("mean = \"0.5,"), "{text}");
    // Other classes need a new head.
    fs::rename(some.join("train/ß"), some.join("train/swan")).expect("renamed");
    assert_fails(&with_cache(path, &flags), 2, &["classes", "swan", "--new-head"]);
}

#[test]
fn a_run_on_whole_pictures_that_is_killed_ends_with_the_same_bits() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    for ix in 0..24 {
        let size = [70 + ix, 130 - 2 * ix];
        let pixel = |at: usize| ((at * (ix + 3)) ^ (at >> 5)) as u8;
        let rgb: Vec<u8> = (0..3 * size[0] * size[1]).map(pixel).collect();
        write_png(&path.join(format!("pictures/{}/{ix}.png", ["a", "b"][ix % 2])), size, &rgb);
    }
    let flags = [
        "--image-size=72",
        "--batch-size=4",
        "--epochs=6",
        "--checkpoint-every=2",
        "--validation=0.2",
    ];
    let run_to = |out: &'static str| on_pictures(&[&flags[..], &[out]].concat());
    let text = stdout(&succeed(path, &run_to("--out=whole")));
    assert!(text.contains("random resized crop"), "{text}");
    let mut arguments = run_to("--out=run");
    let mut n_killed = 0;
    for milliseconds in [40, 90, 150, 220, 300, 380, 450, 60] {
        let mut child = command(path, &arguments)
            .env("WGRAD_CACHE", path.join("cache"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        child.kill().expect("it can be killed");
        n_killed += usize::from(child.wait().expect("it ends").code().is_none());
        if path.join("run/config.toml").exists() {
            arguments = vec!["train", "--resume", "run"];
        }
    }
    assert!(n_killed > 0, "no run was killed");
    succeed(path, &arguments);
    let [whole, resumed] =
        ["whole", "run"].map(|run| tensors(&path.join(run).join("model.safetensors")));
    assert!(whole == resumed, "other bits");
}

/// A signal ends the first pass over the pictures, before there is anything to train.
#[cfg(unix)]
#[test]
fn a_signal_ends_the_decoding_at_once_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    // Decoding all links takes minutes.
    let (side, large) = (2500, path.join("large.png"));
    write_png(&large, [side; 2], &vec![7; 3 * side * side]);
    for ix in 0..4000 {
        let class = path.join("pictures").join(["a", "b"][ix % 2]);
        fs::create_dir_all(&class).expect("created");
        std::os::unix::fs::symlink(&large, class.join(format!("{ix}.png"))).expect("linked");
    }
    let cache = path.join("cache/pictures");
    let n_files = || fs::read_dir(&cache).map_or(0, Iterator::count);
    for signal in ["-INT", "-TERM"] {
        let mut child = command(path, &on_pictures(&[]))
            .env("WGRAD_CACHE", path.join("cache"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        while n_files() == 0 {
            assert!(child.try_wait().expect("it is ours").is_none(), "it ended early");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let begun = std::time::Instant::now();
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.expect("kill is everywhere").success());
        assert_eq!(child.wait().expect("it ends").code(), Some(130), "{signal}");
        // An idle machine needs 0.1 s.
        assert!(begun.elapsed().as_secs_f64() < 5.0, "{signal}: {:?}", begun.elapsed());
        assert!(n_files() == 0 && !path.join("run").exists(), "{signal}: files are left");
    }
}

#[test]
fn a_run_whose_pictures_have_changed_names_them() {
    let folder = folder_with_pictures();
    let path = folder.path();
    succeed(path, &on_pictures(&["--epochs=1"]));
    fs::remove_file(path.join("run/summary.json")).expect("it was there");
    let list = fs::read_to_string(path.join("run/pictures.csv")).expect("a list");
    assert_eq!(list.lines().count(), 86, "{list}");
    let line = "test/chat noir/001.png,test,chat noir,";
    assert!(list.lines().any(|found| found.starts_with(line)), "{list}");
    let train = path.join("pictures/train");
    fs::copy(train.join("x/005.png"), train.join("x/new.png")).expect("copied");
    fs::copy(train.join("y/006.png"), train.join("x/015.png")).expect("copied");
    fs::remove_file(path.join("pictures/test/z/007.png")).expect("removed");
    let changes = "1 picture was added (train/x/new.png), 1 picture was removed (test/z/007.png), 1 picture has other \
                   contents (train/x/015.png)";
    let resumed = with_cache(path, &["train", "--resume", "run"]);
    assert_fails(&resumed, 1, &["the images are not those that the run began with: ", changes]);
    let evaluated = with_cache(path, &["eval", "--weights=run", "--device=cpu"]);
    assert_fails(&evaluated, 1, &["have changed since: ", changes]);
}

#[test]
fn folders_that_cannot_be_learned_are_refused_with_the_reason() {
    let folder = folder_with_pictures();
    let path = folder.path();
    let refused = |data: &str, more: &[&str], words: &[&str]| {
        let data = format!("--data={data}");
        let flags: Vec<_> = tiny(&[&[&data, "--image-size=32"], more].concat())
            .into_iter()
            .filter(|flag| !flag.starts_with("--data-dir"))
            .map(str::to_string)
            .collect();
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let output = with_cache(path, &flags);
        assert_fails(&output, output.status.code().unwrap_or(-1), words);
        assert!(!path.join("run").exists(), "{data}: a run folder is left");
    };
    refused("./none", &[], &["none", "no such folder"]);
    refused("picture", &[], &["./picture"]);
    fs::create_dir(path.join("empty")).expect("created");
    refused("empty", &[], &["DIR/CLASS/"]);
    // A picture that is none, and one of a format that is not read.
    fs::write(path.join("pictures/train/x/text.jpg"), "text").expect("written");
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    fs::write(path.join("pictures/train/x/phone.heic"), heic).expect("written");
    refused(
        "pictures",
        &[],
        &["text.jpg", "phone.heic", "heif-convert", "--skip-bad", "; `wgrad data /"],
    );
    let output = succeed(path, &on_pictures(&["--skip-bad"]));
    assert!(stderr(&output).contains("text.jpg") || stdout(&output).contains("text.jpg"));
    fs::remove_dir_all(path.join("run")).expect("removed");
    // Two pictures of one class, and nothing to evaluate on.
    let two = path.join("two/only");
    fs::create_dir_all(&two).expect("created");
    for name in ["000", "010"] {
        let picture = path.join(format!("pictures/train/Hund/{name}.png"));
        fs::copy(picture, two.join(name).with_extension("png")).expect("copied");
    }
    refused("two", &["--validation=0"], &["validation 0", "1 is one picture"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_path_that_is_no_utf8_is_refused_and_pictures_with_such_names_are_read() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = folder_with_pictures();
    let path = folder.path();
    let name = OsStr::from_bytes(b"b\xff.png");
    fs::rename(path.join("pictures/train/x/005.png"), path.join("pictures/train/x").join(name))
        .expect("renamed");
    let text = stdout(&succeed(path, &on_pictures(&[])));
    assert!(text.contains("60 training"), "{text}");
    fs::rename(path.join("pictures"), path.join(OsStr::from_bytes(b"p\xff"))).expect("renamed");
    let output = command(path, &["train"])
        .arg("--data")
        .arg(OsStr::from_bytes(b"./p\xff"))
        .output()
        .expect("it starts");
    assert_fails(&output, 2, &["--data"]);
}

#[test]
fn a_folder_is_reported_before_training() {
    let folder = folder_with_pictures();
    let path = folder.path();
    let text = stdout(&succeed(path, &["data", "pictures"]));
    assert!(text.starts_with("85 pictures of 10 classes in "), "{text}");
    assert!(text.contains("\nchat noir           6           0           3\n"), "{text}");
    assert!(text.contains("32x32: 85\n") && text.contains("unreadable  0\n"), "{text}");
    assert!(text.contains("duplicates  0 groups"), "{text}");
    // A test picture that training has too, a picture with two labels, and a file that is none.
    let pictures = path.join("pictures");
    fs::copy(pictures.join("train/x/005.png"), pictures.join("test/x/copy.png")).expect("copied");
    fs::copy(pictures.join("train/x/015.png"), pictures.join("test/x/copy2.png")).expect("copied");
    fs::copy(pictures.join("train/y/006.png"), pictures.join("train/z/copy.png")).expect("copied");
    fs::write(pictures.join("train/z/text.jpg"), "text").expect("written");
    let output = with_cache(path, &["data", "pictures", "--out=page.html"]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for line in [
        "unreadable  1\n            train/z/text.jpg: ",
        "duplicates  3 groups of files with the same bytes; 2 of them in several parts, 1 in several classes\n",
        "train/x/005.png (training) = test/x/copy.png (test)\n",
        "train/y/006.png (training) = train/z/copy.png (training)\n",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let page = fs::read_to_string(path.join("page.html")).expect("a page");
    assert!(page.contains("several classes") && page.contains("chat noir"), "the page");
    assert!(page.matches("<img ").count() == 88, "{} pictures", page.matches("<img ").count());
    let output = with_cache(path, &["data", "pictures", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(json["duplicates"].as_array().map(Vec::len), Some(3), "{json}");
    assert_eq!(json["classes"][0]["training"], 6, "{json}");
    // Of a class with many pictures, the contact sheet has twelve, evenly spaced.
    for ix in 0..31_u8 {
        let name =
            if ix < 30 { format!("many/a/{ix:02}.png") } else { "many/b/30.png".to_string() };
        write_png(&path.join(name), [2, 2], &[ix; 12]);
    }
    succeed(path, &["data", "many", "--out=page.html"]);
    let page = fs::read_to_string(path.join("page.html")).expect("a page");
    let shown = (0..31).filter(|ix| page.contains(&format!("/{ix:02}.png,")));
    let shown: Vec<usize> = shown.collect();
    assert_eq!(shown, [0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27, 30]);
    assert_eq!(page.matches("<img ").count(), 13);
    let none = with_cache(path, &["data", "cifar10"]);
    assert_fails(&none, 2, &["cifar10: there is no such folder; name a folder of pictures\n"]);
    fs::create_dir(path.join("batches")).expect("a folder");
    fs::write(path.join("batches/data_batch_1"), [0]).expect("written");
    let flags = format!("--data cifar10 --data-dir {}\n", path.join("batches").display());
    let published = with_cache(path, &["train", "--data=./batches"]);
    let hint = format!("hint: these are files of CIFAR-10: read them with {flags}");
    assert_fails(&published, 1, &["no training pictures are found", &hint]);
    let published = with_cache(path, &["data", "./batches"]);
    assert_fails(&published, 1, &[&format!("`wgrad train {}` reads them", flags.trim_end())]);
}
