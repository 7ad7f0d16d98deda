//! Flags and settings files.

use super::support::*;

#[test]
fn flags_take_precedence_over_the_settings_file() {
    let folder = folder_with_data();
    let config = "epochs = 1\nwidth = 4\nbatch-size = 8\nno-crop = true\nno-flip = true\n\
                  device = 'cpu'\nout = 'from-file'\ndata-dir = 'data'\n";
    fs::write(folder.path().join("settings.toml"), config).expect("written");
    let arguments = ["train", "--config", "settings.toml", "--width", "2", "--no-flip=false"];
    let output = wgrad(folder.path(), &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let resolved = fs::read_to_string(folder.path().join("from-file/config.toml")).expect("there");
    for line in
        ["width = 2", "epochs = 1", "no-crop = true", "no-flip = false", "no-cutout = false"]
    {
        assert!(resolved.contains(line), "{line:?} is not in {resolved}");
    }
}

#[test]
fn senseless_settings_are_rejected() {
    let folder = folder_with_data();
    let path = folder.path();
    for (more, words) in [
        (["--batch-size", "61"], vec!["batch-size 61: the dataset has 60 training images"]),
        (["--max-lr", "0"], vec!["max-lr"]),
        (["--max-lr", "inf"], vec!["max-lr", "finite number above 0"]),
        (["--max-lr", "-1"], vec!["max-lr -1"]),
        (["--pct-start", "1.5"], vec!["pct-start"]),
        (["--label-smoothing", "1"], vec!["label-smoothing 1"]),
        (["--weight-decay", "-1"], vec!["weight-decay -1"]),
        (
            ["--jitter-brightness", "4"],
            vec!["jitter-brightness 4.0: the value must be from 0 to 1"],
        ),
        (["--validation", "60"], vec!["validation 60: the dataset has 60 training images"]),
    ] {
        assert_fails(&wgrad(path, &tiny(&more)), 2, &words);
        // The same mistake in a settings file gives the same error.
        let [flag, value] = more;
        let line = format!("{} = {value}\n", flag.trim_start_matches("--"));
        fs::write(path.join("settings.toml"), line).expect("written");
        let other = tiny(&["--config=settings.toml"]);
        let other = other.into_iter().filter(|other| !other.starts_with(flag)).collect::<Vec<_>>();
        assert_fails(&wgrad(path, &other), 2, &words);
    }
    for (weights, words) in [
        ("1,2", "class-weights 1,2: the value must be balanced, or 10 numbers"),
        (
            "1,1,1,1,1,1,1,1,1,-1",
            "class-weights 1,1,1,1,1,1,1,1,1,-1: the value must be numbers from 0",
        ),
        ("0,0,0,0,0,0,0,0,0,0", "at least one of them above 0"),
        ("NaN,1,1,1,1,1,1,1,1,1", "class-weights NaN,1"),
        ("even", "\"even\" is neither balanced nor a number for each class"),
    ] {
        assert_fails(&wgrad(path, &tiny(&["--class-weights", weights])), 2, &[words]);
    }
    for (flag, words) in [
        ("--mean=0.5,2,0.5", "mean 0.5,2,0.5: the value must be 3 numbers from 0 to 1, "),
        ("--mean=-0.5,0.5,0.5", "mean -0.5,0.5,0.5: "),
        ("--std=0.2,0,0.2", "std 0.2,0,0.2: the value must be 3 numbers above 0 and up to 1, "),
        ("--std=58,57,57", "pixels are from 0 to 1, so divide"),
    ] {
        assert_fails(&wgrad(path, &tiny(&[flag])), 2, &[words]);
    }
    // Too little memory is an error of the device and not of the settings, so the exit code is 1.
    let limited = tiny(&["--memory-limit", "1MiB"]);
    assert_fails(&wgrad(path, &limited), 1, &["limit of 1.0 MiB", "hint:", "--memory-limit"]);
    assert!(!path.join("run").exists(), "a run that did not start leaves no folder");
}

#[test]
fn an_error_in_a_settings_file_names_the_file_and_the_line() {
    let folder = folder_with_data();
    let path = folder.path();
    let run_with = |text: &str| {
        fs::write(path.join("settings.toml"), text).expect("written");
        wgrad(path, &tiny(&["--config", "settings.toml"]))
    };
    assert_fails(&run_with("epocs = 3"), 2, &["settings.toml", "line 1", "epocs", "epochs"]);
    assert_fails(&run_with("seed = 'one'"), 2, &["settings.toml", "line 1"]);
    assert_fails(&run_with("seed = = 1"), 2, &["settings.toml", "line 1"]);
    assert_fails(&run_with("[a]\nseed = 1"), 2, &["settings.toml", "unknown"]);
    let missing = wgrad(path, &tiny(&["--config", "nowhere.toml"]));
    assert_fails(&missing, 1, &["nowhere.toml"]);
}

#[test]
fn wrong_usage_has_exit_code_2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for arguments in [
        &["train", "--epoch", "3"][..],
        &["train", "--epochs", "many"],
        &["train", "--epochs", "0"],
        &["train", "--data", "imagenet"],
        &["train", "--memory-limit", "much"],
        &["train", "--anneal", "square"],
        &["eval"],
        &["tape", "--batch-size", "0"],
        &["summary", "--width", "-1"],
        &["fly"],
    ] {
        assert_fails(&wgrad(folder.path(), arguments), 2, &[]);
    }
    for (arguments, words) in [
        (&["train", "--seed", "-1"], "'--seed <N>': must be a whole number of at least 0"),
        (&["train", "--epochs", "-1"], "'--epochs <N>': must be a whole number of at least 1"),
        (&["summary", "--width", "0"], "'--width <N>': must be a whole number of at least 1"),
        (&["summary", "--width", "65536"], "'--width <N>': is too large"),
        (&["train", "--memory-limit", "-5"], "is not a number of bytes"),
    ] {
        assert_fails(&wgrad(folder.path(), arguments), 2, &[words]);
    }
    assert_eq!(wgrad(folder.path(), &[]).status.code(), Some(2));
}

#[test]
fn settings_of_another_optimizer_are_rejected() {
    let folder = folder_with_data();
    let path = folder.path();
    for (more, words) in [
        (&["--momentum=0.9"][..], "momentum: a setting of optimizer sgd, but optimizer is adam"),
        (&["--optimizer=adamw", "--nesterov"], "nesterov: a setting of optimizer sgd, but"),
        (&["--optimizer=sgd", "--nesterov"], "nesterov true: the value must come with a momentum"),
        (&["--optimizer=sgd", "--momentum=1"], "momentum 1.0: the value must be at least 0"),
        (&["--optimizer=sdg"], "adam, adamw, sgd"),
    ] {
        assert_fails(&wgrad(path, &tiny(more)), 2, &[words]);
    }
    assert!(!path.join("run").exists(), "a run that did not start leaves no folder");
}

#[test]
fn a_run_prints_and_records_its_optimizer() {
    let folder = folder_with_data();
    let path = folder.path();
    for (ix, (more, line, settings)) in [
        (&[][..], " Adam, learning", &["optimizer = \"adam\"", "weight-decay = 0.0"][..]),
        (&["--optimizer=adamw"], " AdamW, learning", &["weight-decay = 0.01"]),
        (
            &["--optimizer=sgd", "--momentum=0.9", "--weight-decay=0.1", "--no-decay-norm"],
            " SGD, momentum 0.9, weight decay 0.1 without biases and batch norm, learning",
            &["momentum = 0.9", "nesterov = false", "no-decay-norm = true"],
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let out = format!("--out={ix}");
        let output = wgrad(path, &tiny(&[more, &[out.as_str()]].concat()));
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(stdout(&output).contains(line), "{}", stdout(&output));
        let config = path.join(&out[6..]).join("config.toml");
        let config = fs::read_to_string(config).expect("settings");
        assert!(settings.iter().all(|setting| config.contains(setting)), "{config}");
    }
}

/// A repeated flag is not an error, because wrapper scripts append their flags to the flags of their user.
#[test]
fn the_last_of_two_values_wins() {
    let folder = folder_with_data();
    let arguments = [&tiny(&[])[..], &["--epochs=1", "--no-flip", "--no-flip=false"]].concat();
    let output = wgrad(folder.path(), &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(lines(folder.path().join("run/metrics.jsonl")).len(), 1);
    let config = fs::read_to_string(folder.path().join("run/config.toml")).expect("settings");
    assert!(config.contains("no-flip = false"), "{config}");
}

/// wgrad replaces `~` by the home folder in a settings file, in $WGRAD_DATA, and in a flag such as `--out=~/run`, in
/// which the shell leaves `~` as it is.
#[test]
fn a_tilde_is_the_home_folder() {
    let folder = folder_with_data();
    let path = folder.path();
    fs::write(path.join("home.toml"), "data-dir = \"~/data\"\nout = \"~/of-file\"\n")
        .expect("written");
    let sizes = ["train", "--device=cpu", "--width=4", "--batch-size=8", "--epochs=1"];
    for (more, out) in [
        (&["--config=~/home.toml"][..], "of-file"),
        (&["--data-dir=~/data", "--out=~/of-flag"], "of-flag"),
    ] {
        let arguments = [&sizes[..], more].concat();
        let output = command(path, &arguments).env("HOME", path).output().expect("it starts");
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(path.join(out).join("model.safetensors").exists() && !path.join("~").exists());
    }
    let mut from_variable = command(path, &["train", "--out=gone/~", "--data=cifar10"]);
    let output =
        from_variable.env("HOME", path).env("WGRAD_DATA", "~/gone").output().expect("it starts");
    let gone = path.join("gone");
    assert_fails(&output, 1, &[&gone.to_string_lossy(), "from $WGRAD_DATA"]);
}

/// The error states the source of the folder's path: the settings file or the flag.
#[test]
fn a_missing_data_folder_is_an_error_with_the_source_of_its_path() {
    let folder = folder_with_data();
    let path = folder.path();
    assert!(wgrad(path, &tiny(&["--epochs=1"])).status.success());
    fs::rename(path.join("data"), path.join("moved")).expect("moved");
    // `report` also looks for the training images in other places.
    let looked_for = ["which was not found: ", "/data is not there"];
    for (arguments, words) in [
        (&["report", "run"][..], &looked_for[..]),
        (&["train", "--resume", "run"], &["(from data-dir in the settings)"]),
    ] {
        let output = wgrad(path, arguments);
        assert_fails(&output, 1, words);
        let output = wgrad(path, &[arguments, &["--data-dir=gone"]].concat());
        assert_fails(&output, 1, &["there is no folder gone (from data-dir)"]);
    }
}

#[test]
fn a_run_records_the_settings_of_its_schedule_alone() {
    let folder = folder_with_data();
    let path = folder.path();
    let of_schedules =
        ["pct-start", "div-factor", "anneal", "milestones", "gamma", "min-lr", "warmup-epochs"];
    for (ix, (schedule, own)) in [
        (&["--schedule=constant"][..], &[][..]),
        (&["--schedule=step", "--milestones=1"], &["milestones", "gamma"]),
        (&["--schedule=cosine", "--warmup-epochs=0.5"], &["min-lr", "warmup-epochs"]),
    ]
    .into_iter()
    .enumerate()
    {
        let out = format!("--out={ix}");
        let arguments = [schedule, &[out.as_str()]].concat();
        let output = wgrad(path, &tiny(&arguments));
        assert!(output.status.success(), "{}", stderr(&output));
        let name = schedule[0].trim_start_matches("--schedule=");
        let words = format!("learning rate up to 0.01 ({name});");
        assert!(stdout(&output).contains(&words), "{}", stdout(&output));
        let config = path.join(&out[6..]).join("config.toml");
        let config = fs::read_to_string(config).expect("settings");
        for key in of_schedules {
            let is_recorded = config.contains(&format!("\n{key} = "));
            assert_eq!(is_recorded, own.contains(&key), "{key} in {config}");
        }
        // Another schedule on the command line replaces the one of the file, and its settings.
        fs::write(path.join("settings.toml"), config).expect("written");
        let again = ["train", "--config=settings.toml", "--schedule=one-cycle", "--out=again"];
        let output = wgrad(path, &again);
        assert!(output.status.success(), "{}", stderr(&output));
        fs::remove_dir_all(path.join("again")).expect("removed");
    }
    let refused = tiny(&["--schedule=cosine", "--gamma=0.5"]);
    let words = ["gamma: a setting of schedule step, but schedule is cosine"];
    assert_fails(&wgrad(path, &refused), 2, &words);
    fs::write(path.join("settings.toml"), "schedule = 'stepp'").expect("written");
    let words = ["did you mean step? the names are one-cycle, constant, step, cosine"];
    assert_fails(&wgrad(path, &tiny(&["--config=settings.toml"])), 2, &words);
}
