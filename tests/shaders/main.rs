//! Every shader of an op parses, validates, and fits the op's bindings. These tests need no adapter.

mod browser;
mod launched;
mod precedence;
mod writers;

use std::collections::{BTreeMap, BTreeSet};
use std::mem::{offset_of, size_of};

use launched::{Launched, launched};

use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess, TypeInner};
use wgrad::device::gpu::ShaderLibrary;
use wgrad::kernel::launch::MAX_WORKGROUPS;
use wgrad::kernel::{Binding, Shader, Span, StepScalars};

/// The number of bytes of workgroup memory that every WebGPU adapter supports.
const MAX_WORKGROUP_MEMORY: u32 = 16 << 10;
/// The largest number of invocations of a workgroup that every WebGPU adapter supports.
const MAX_INVOCATIONS: u32 = 256;
/// The largest number of storage buffers of a dispatch that every WebGPU adapter supports.
const MAX_STORAGE_BUFFERS: usize = 8;
const MAX_UNIFORM_BUFFERS: usize = 12;

fn parse(text: &str, by: &str) -> (Module, ModuleInfo) {
    let module = naga::front::wgsl::parse_str(text)
        .unwrap_or_else(|error| panic!("{by}:\n{}", error.emit_to_string(text)));
    let info =
        Validator::new(ValidationFlags::all(), Capabilities::default() | Capabilities::SUBGROUP)
            .validate(&module)
            .unwrap_or_else(|error| panic!("{by}:\n{}", error.emit_to_string(text)));
    (module, info)
}

/// Returns the bindings of group 0 that the entry point uses, by number, with their address spaces.
///
/// Unused bindings are left out, like in a pipeline layout derived from the shader.
fn bindings(module: &Module, info: &ModuleInfo) -> BTreeMap<u32, AddressSpace> {
    let used =
        |handle: naga::Handle<naga::GlobalVariable>| !info.get_entry_point(0)[handle].is_empty();
    let globals = module.global_variables.iter().filter(|(handle, _)| used(*handle));
    let bound = globals.filter_map(|(_, global)| Some((global.binding?, global.space)));
    bound.map(|(at, space)| (at.binding, space)).collect()
}

/// Returns true if a shader uses a binding as the op declares it. A shader may not write an input. It may read an
/// output that an earlier dispatch of the launch has written.
fn fits(binding: Binding, space: AddressSpace) -> bool {
    match (binding, space) {
        (Binding::Input(_) | Binding::InputPart(..), AddressSpace::Storage { access }) => {
            access == StorageAccess::LOAD
        }
        (Binding::Output(_) | Binding::OutputPart(..), AddressSpace::Storage { .. }) => true,
        (Binding::Scratch(_) | Binding::ScratchPart(..), AddressSpace::Storage { .. }) => true,
        (Binding::Step | Binding::Number(_), AddressSpace::Uniform) => true,
        _ => false,
    }
}

/// Returns true for a part that has elements and begins at a multiple of 256 bytes.
fn begins_and_ends(span: Span) -> bool {
    span.start.is_multiple_of(64) && span.start < span.end
}

fn writes(space: AddressSpace) -> bool {
    matches!(space, AddressSpace::Storage { access } if access.contains(StorageAccess::STORE))
}

#[test]
fn every_variant_validates_and_fits_its_bindings() {
    let library = ShaderLibrary::default();
    let mut modules: BTreeMap<String, (Module, ModuleInfo)> = BTreeMap::new();
    for Launched { launch, n_outputs, by } in launched() {
        let mut written = BTreeSet::new();
        for dispatch in &launch.dispatches {
            let by = format!("{by}, shaders/{}.wgsl", dispatch.shader.path);
            let text =
                library.load(&dispatch.shader).unwrap_or_else(|error| panic!("{by}: {error}"));
            let (module, info) = modules.entry(text).or_insert_with_key(|text| parse(text, &by));
            let used = bindings(module, info);
            let given = &dispatch.bindings;
            assert!(
                used.keys().copied().eq(0..given.len() as u32),
                "{by} uses the bindings {:?}, but the launch binds {given:?}",
                used.keys().collect::<Vec<_>>()
            );
            for (&binding, (ix, &space)) in given.iter().zip(&used) {
                assert!(fits(binding, space), "{by}: binding {ix} is {space:?} for {binding:?}");
                if let (Binding::Output(output) | Binding::OutputPart(output, _), true) =
                    (binding, writes(space))
                {
                    written.insert(output);
                }
            }
            let n_storage = given.iter().filter(|binding| !binding.is_uniform()).count();
            assert!(n_storage <= MAX_STORAGE_BUFFERS, "{by}: {n_storage} storage buffers");
            let n_uniform = given.len() - n_storage;
            assert!(n_uniform <= MAX_UNIFORM_BUFFERS, "{by}: {n_uniform} uniform buffers");
            for binding in given {
                if let Binding::InputPart(_, span) | Binding::OutputPart(_, span) = *binding {
                    assert!(begins_and_ends(span), "{by}: {binding:?}");
                }
                if let Binding::ScratchPart(ix, span) = *binding {
                    let n = launch.scratch[ix] as usize / 4;
                    assert!(begins_and_ends(span) && span.end <= n, "{by}: {binding:?} of {n}");
                }
            }
            assert!(
                dispatch.workgroups.iter().all(|&n| (1..=MAX_WORKGROUPS as u32).contains(&n)),
                "{by}: a grid of {:?} workgroups",
                dispatch.workgroups
            );
        }
        assert!(written.into_iter().eq(0..n_outputs), "{by}: some output is never written");
    }
    println!("{} variants", modules.len());
}

#[test]
fn every_workgroup_fits_every_adapter() {
    let library = ShaderLibrary::default();
    let mut seen = BTreeSet::new();
    for Launched { launch, by, .. } in launched() {
        for dispatch in &launch.dispatches {
            let by = format!("{by}, shaders/{}.wgsl", dispatch.shader.path);
            let text =
                library.load(&dispatch.shader).unwrap_or_else(|error| panic!("{by}: {error}"));
            if seen.insert(text.clone()) {
                fits_every_adapter(&parse(&text, &by).0, &by);
            }
        }
    }
}

fn fits_every_adapter(module: &Module, by: &str) {
    let [entry] = &module.entry_points[..] else { panic!("{by}: not one entry point") };
    let n_invocations: u32 = entry.workgroup_size.iter().product();
    assert!(n_invocations <= MAX_INVOCATIONS, "{by}: {n_invocations} invocations");
    let globals = module.global_variables.iter().map(|(_, global)| global);
    let shared = globals.filter(|global| global.space == AddressSpace::WorkGroup);
    let memory: u32 = shared.map(|g| module.types[g.ty].inner.size(module.to_ctx())).sum();
    assert!(memory <= MAX_WORKGROUP_MEMORY, "{by}: {memory} bytes of workgroup memory");
}

#[test]
fn shaders_that_measure_the_adapter_validate_and_fit_every_adapter() {
    for path in launched::PEAKS {
        let text = ShaderLibrary::default().load(&Shader::new(path)).expect("it loads");
        let (module, info) = parse(&text, path);
        fits_every_adapter(&module, path);
        let spaces: Vec<_> = bindings(&module, &info).into_values().collect();
        assert!(fits(Binding::Input(0), spaces[0]) && writes(spaces[1]), "{path}: {spaces:?}");
    }
}

#[test]
fn every_file_is_part_of_some_variant() {
    let library = ShaderLibrary::default();
    let dispatches = launched().into_iter().flat_map(|launched| launched.launch.dispatches);
    let reached = dispatches.flat_map(|d| library.files(&d.shader).expect("it loads")).collect();
    // Shaders that measure the adapter belong to no op, so they are left out.
    let of_ops = ShaderLibrary::embedded_paths().into_iter().filter(|p| !p.starts_with("peak/"));
    let there: BTreeSet<String> = of_ops.collect();
    let unreached: Vec<&String> = there.difference(&reached).collect();
    assert!(unreached.is_empty(), "no case of any op launches {unreached:?}");
}

#[test]
fn the_scalars_of_a_step_are_the_same_struct_in_wgsl() {
    let text = ShaderLibrary::default().load(&Shader::new("shared/step")).expect("it loads");
    let (module, _) = parse(&text, "shared/step");
    let is_it = |ty: &&naga::Type| ty.name.as_deref() == Some("StepScalars");
    let ty = module.types.iter().map(|(_, ty)| ty).find(is_it).expect("a struct StepScalars");
    let TypeInner::Struct { members, span } = &ty.inner else {
        panic!("StepScalars is not a struct")
    };
    let offset = |member: &naga::StructMember| {
        (member.name.clone().expect("members have names"), member.offset as usize)
    };
    let found: Vec<(String, usize)> = members.iter().map(offset).collect();
    let expected = [
        ("seed", offset_of!(StepScalars, seed)),
        ("epoch", offset_of!(StepScalars, epoch)),
        ("step", offset_of!(StepScalars, step)),
        ("optimizer", offset_of!(StepScalars, optimizer)),
        ("added_levels", offset_of!(StepScalars, added_levels)),
        ("stored_level", offset_of!(StepScalars, stored_level)),
        ("padding", offset_of!(StepScalars, padding)),
    ];
    assert_eq!(found, expected.map(|(name, offset)| (name.to_string(), offset)));
    assert_eq!(*span as usize, size_of::<StepScalars>());
}
