//! Commands that list something: the devices, the layer table, the tape.

use super::support::*;

#[test]
fn a_missing_device_is_an_error_with_a_hint() {
    let folder = folder_with_data();
    let path = folder.path();
    let with_device = |device| command(path, &tiny(&["--device", device]));
    for device in ["voodoo2", "", " "] {
        let output = with_device(device).output().expect("it starts");
        assert_fails(&output, 1, &["hint:"]);
    }

    // These variables name a driver file that does not exist, so the Vulkan loader finds no driver.
    if cfg!(target_os = "linux") {
        let mut command = with_device("gpu");
        command.env("VK_DRIVER_FILES", "/nowhere.json").env("VK_ICD_FILENAMES", "/nowhere.json");
        let output = command.output().expect("it starts");
        let packages = [
            "Debian/Ubuntu",
            "mesa-vulkan-drivers",
            "Fedora",
            "dnf",
            "Arch",
            "pacman",
            "macOS",
            "Windows",
        ];
        assert_fails(&output, 1, &packages);
    }
}

#[test]
fn each_choice_of_a_device_opens_one_listed_device() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = wgrad(folder.path(), &["devices", "--no-self-test", "--json"]);
    let reports: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    let reports = reports.as_array().expect("a list");
    // Each value of `--device` opens exactly one of the listed devices; `gpu` opens none if there is no adapter.
    for (choice, n) in [("cpu", 1), ("auto", 1), ("gpu", usize::from(reports.len() > 1))] {
        let opens = |report: &&serde_json::Value| {
            report["opened_by"].as_array().is_some_and(|by| by.iter().any(|by| by == choice))
        };
        assert_eq!(reports.iter().filter(opens).count(), n, "{choice}: {reports:?}");
    }
    for report in &reports[1..] {
        let kernels = report["kernels"]["conv2d.forward"].as_array().expect("a list");
        let kernels: Vec<_> = kernels.iter().filter_map(|kernel| kernel.as_str()).collect();
        let of_winograd =
            |kernel: &&str| kernel.starts_with("conv2d/winograd_") || *kernel == "shared/mean_m2";
        let products: Vec<_> =
            kernels.iter().copied().filter(|kernel| !of_winograd(kernel)).collect();
        let in_registers = ["conv2d/forward", "conv2d/merge_tile_rows"];
        assert!(products == in_registers || products == ["conv2d/forward_tile"], "{kernels:?}");
        assert!(kernels.contains(&"conv2d/winograd_source"), "{kernels:?}");
    }
}

#[test]
fn a_closed_standard_output_does_not_fail_a_command() {
    let folder = folder_with_data();
    let train = tiny(&[]);
    for arguments in [&["summary"][..], &["tape", "--width", "4", "--batch-size", "8"], &train] {
        let mut command = command(folder.path(), arguments);
        let mut child = command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("it starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        let message = stderr(&output);
        assert!(output.status.success(), "{arguments:?}: {message}");
        let n_notes = message.matches("standard output").count();
        assert_eq!(n_notes, usize::from(arguments[0] == "train"), "{arguments:?}: {message}");
    }
}

#[test]
fn summary_prints_the_layer_table() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = stdout(&wgrad(folder.path(), &["summary"]));
    for word in ["Conv2d-1", "Linear-29", "6,573,120", "0.01", "6.44", "25.07", "31.53"] {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
}

#[test]
fn tape_prints_a_listing_and_writes_a_drawing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let small = ["tape", "--width", "4", "--batch-size", "8"];
    let text = stdout(&wgrad(folder.path(), &small));
    assert!(text.contains("conv2d") && text.contains("adam"), "{text}");
    let unfused = stdout(&wgrad(folder.path(), &[&small[..], &["--no-fuse"]].concat()));
    assert!(unfused.lines().count() > text.lines().count(), "fusion makes the tape shorter");
    // The listing also works for sizes far beyond any adapter's bindings and a kernel's indices.
    for huge in [["--batch-size", "4294967295"], ["--width", "65535"]] {
        let output = wgrad(folder.path(), &[&["tape"][..], &huge].concat());
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let drawn = wgrad(folder.path(), &[&small[..], &["--svg", "network.svg"]].concat());
    assert!(drawn.status.success(), "{}", stderr(&drawn));
    let svg = fs::read_to_string(folder.path().join("network.svg")).expect("drawn");
    assert!(svg.contains("<svg"), "{svg}");
    let nowhere = wgrad(folder.path(), &[&small[..], &["--svg", "nowhere/network.svg"]].concat());
    assert_fails(&nowhere, 1, &["nowhere/network.svg"]);
}

#[test]
fn tape_prints_its_size_and_the_time_of_each_part_as_json() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let of = |network: &str| -> serde_json::Value {
        let arguments = ["tape", "--network", network, "--batch-size", "8", "--json"];
        let text = stdout(&wgrad(folder.path(), &arguments));
        assert_eq!(text.lines().count(), 1, "{text}");
        serde_json::from_str(&text).expect("JSON")
    };
    let (shallow, deep) = (of("resnet20"), of("resnet56"));
    let number = |of: &serde_json::Value, key: &str| of[key].as_u64().expect("a number");
    assert_eq!((&deep["network"], &deep["batch_size"]), (&"resnet56".into(), &8.into()));
    // The additional blocks are equal to others, so they need no other kernels.
    assert!(number(&deep, "nodes") > 2 * number(&shallow, "nodes"), "{shallow} {deep}");
    assert_eq!(number(&deep, "pipelines"), number(&shallow, "pipelines"));
    for part in ["record", "fuse", "differentiate", "plan"] {
        assert!(deep["seconds"][part].as_f64().is_some_and(|seconds| seconds > 0.0), "{deep}");
    }
    assert_fails(&wgrad(folder.path(), &["tape", "--json", "--eval"]), 2, &["--json", "--eval"]);
}

/// Each rank would run the whole command.
#[test]
#[cfg(not(feature = "mpi"))]
fn a_program_without_mpi_refuses_to_be_one_of_several_ranks() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let started = |variables: &[(&str, &str)]| {
        let mut command = command(folder.path(), &["networks"]);
        command.envs(variables.iter().copied()).output().expect("it starts")
    };
    let several = started(&[("OMPI_COMM_WORLD_SIZE", "2"), ("OMPI_COMM_WORLD_RANK", "0")]);
    let refusal = "mpirun of Open MPI: it started 2 ranks, but this program has no MPI";
    assert_fails(&several, 2, &[refusal, "build it with --features mpi"]);
    assert_fails(&started(&[("SLURM_STEP_NUM_TASKS", "4")]), 2, &["srun: it started 4 ranks"]);
    assert!(started(&[("PMI_SIZE", "1"), ("PMI_RANK", "0")]).status.success());
}
