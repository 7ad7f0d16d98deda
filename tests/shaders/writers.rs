//! Translates every shader to the drivers' languages with naga: SPIR-V, Metal and HLSL.

use std::io::Write;
use std::process::{Command, Stdio};

use naga::Module;
use naga::back::{hlsl, msl, spv};
use naga::valid::ModuleInfo;
use rayon::prelude::*;

use crate::launched::texts;
use crate::parse;

/// Translates a shader to SPIR-V 1.3, which has the subgroup operations of Vulkan 1.1.
fn spirv(module: &Module, info: &ModuleInfo) -> Result<Vec<u32>, spv::Error> {
    let options = spv::Options { lang_version: (1, 3), ..spv::Options::default() };
    spv::write_vec(module, info, &options, None)
}

fn metal(module: &Module, info: &ModuleInfo) -> Result<String, msl::Error> {
    let options = msl::Options { lang_version: (2, 4), ..msl::Options::default() };
    msl::write_string(module, info, &options, &msl::PipelineOptions::default())
        .map(|(text, _)| text)
}

fn directx(module: &Module, info: &ModuleInfo) -> Result<String, hlsl::Error> {
    let options =
        hlsl::Options { shader_model: hlsl::ShaderModel::V6_0, ..hlsl::Options::default() };
    let mut text = String::new();
    hlsl::Writer::new(&mut text, &options, &hlsl::PipelineOptions::default())
        .write(module, info, None)?;
    Ok(text)
}

/// Returns the message of `spirv-val` about a module; None for a valid one.
fn complaint(words: &[u32]) -> Option<String> {
    let mut validator = Command::new("spirv-val")
        .args(["--target-env", "vulkan1.1", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("spirv-val starts");
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    validator.stdin.take().expect("piped").write_all(&bytes).expect("it reads");
    let output = validator.wait_with_output().expect("it ends");
    (!output.status.success()).then(|| {
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

#[test]
fn every_shader_can_be_translated_for_every_driver() {
    let version = Command::new("spirv-val").arg("--version").output();
    let is_validated = version.is_ok_and(|output| output.status.success());
    if !is_validated {
        println!("no spirv-val on the PATH: the SPIR-V is not validated");
    }
    let texts: Vec<_> = texts().into_iter().collect();
    if is_validated {
        // The check itself must be able to fail: this module is invalid.
        let (module, info) = parse(&texts[0].0, &texts[0].1);
        let mut words = spirv(&module, &info).expect("SPIR-V");
        words.pop();
        assert!(complaint(&words).is_some(), "spirv-val accepts half a module");
    }
    let complaints: Vec<String> = texts
        .par_iter()
        .filter_map(|(text, by)| {
            let (module, info) = parse(text, by);
            let metal = metal(&module, &info).err().map(|error| format!("Metal: {error}"));
            let directx = directx(&module, &info).err().map(|error| format!("DirectX: {error}"));
            let spirv = match spirv(&module, &info) {
                Ok(words) if is_validated => complaint(&words),
                Ok(_) => None,
                Err(error) => Some(format!("SPIR-V: {error}")),
            };
            let all: Vec<_> = [metal, directx, spirv].into_iter().flatten().collect();
            (!all.is_empty()).then(|| format!("{by}: {}", all.join("; ")))
        })
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    println!("{} texts in three languages", texts.len());
}
