//! The shader library: `.wgsl` files, their imports, and their constants.
//!
//! A shader is a valid WGSL file below `shaders/`. Loading makes two changes:
//!
//! - It inserts another file's text after a line `// #import name`. [`Shader::imports`] can bind the name to a file;
//!   without a binding, the file is `shaders/<name>.wgsl`. Imports can be nested; every file is inserted once.
//! - It replaces the value in the declaration `const NAME: type = value;` of each of [`Shader::constants`]. The
//!   `override` declarations of WGSL do not suffice, because they cannot be the size of an array in a function.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use include_dir::{Dir, include_dir};

use crate::base::sorting::sort_by;
use crate::device::DeviceError;
use crate::kernel::{Constant, Shader};

/// The files below `shaders/` at build time.
static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/shaders");

/// The library that shaders are loaded from: the built-in files, unless a folder or overrides replace them.
#[derive(Clone, Debug, Default)]
pub struct ShaderLibrary {
    directory: Option<PathBuf>,
    overrides: BTreeMap<String, String>,
}

impl ShaderLibrary {
    /// Returns a library that reads a folder instead of the built-in files, for work on shaders without a rebuild.
    pub fn from_directory(directory: impl Into<PathBuf>) -> Self {
        Self { directory: Some(directory.into()), overrides: BTreeMap::new() }
    }

    /// Replaces the text of one file. Tests insert broken shaders with this function. `path` is as in [`Shader::path`].
    pub fn with_override(mut self, path: impl Into<String>, text: impl Into<String>) -> Self {
        self.overrides.insert(path.into(), text.into());
        self
    }

    /// Returns true if all files are the built-in files. Their shaders can run without runtime checks.
    pub fn is_trusted(&self) -> bool {
        self.directory.is_none() && self.overrides.is_empty()
    }

    /// Returns the paths of all built-in files, without the extension, sorted.
    pub fn embedded_paths() -> Vec<String> {
        let mut paths = Vec::new();
        let mut folders = vec![&EMBEDDED];
        while let Some(folder) = folders.pop() {
            folders.extend(folder.dirs());
            let files = folder.files().map(|f| f.path().with_extension(""));
            paths.extend(files.map(|path| path.to_string_lossy().replace('\\', "/")));
        }
        sort_by(&mut paths, |a, b| a.cmp(b));
        paths
    }

    /// Returns the text of one file without imports; `path` is as in [`Shader::path`].
    pub fn file(&self, path: &str) -> Option<Cow<'static, str>> {
        if let Some(text) = self.overrides.get(path) {
            return Some(Cow::Owned(text.clone()));
        }
        let name = format!("{path}.wgsl");
        match &self.directory {
            Some(directory) => std::fs::read_to_string(directory.join(name)).ok().map(Cow::Owned),
            None => EMBEDDED.get_file(name)?.contents_utf8().map(Cow::Borrowed),
        }
    }

    /// Returns the text of a shader with its imports and the values of its constants.
    ///
    /// # Errors
    /// [`DeviceError::Shader`] for a missing file, for an import that no file uses, for a constant that no file
    /// declares, for a constant of another type, or for a number that WGSL cannot represent.
    pub fn load(&self, shader: &Shader) -> Result<String, DeviceError> {
        let mut text = self.assemble(shader)?.text;
        for &(name, value) in &shader.constants {
            text = specialise(&text, name, value).map_err(|reason| error(shader.path, reason))?;
        }
        Ok(text)
    }

    /// Returns the paths of a shader's files: its own path, then the paths of its imports in the order of insertion.
    ///
    /// # Errors
    /// [`DeviceError::Shader`] for a missing file or an unused import.
    pub fn files(&self, shader: &Shader) -> Result<Vec<String>, DeviceError> {
        Ok(self.assemble(shader)?.files)
    }

    fn assemble(&self, shader: &Shader) -> Result<Assembly, DeviceError> {
        let mut assembly = Assembly::default();
        let reason = || format!("shaders/{}.wgsl does not exist", shader.path);
        let text = self.file(shader.path).ok_or_else(|| error(shader.path, reason()))?;
        self.append(shader, shader.path, &text, &mut assembly)?;
        let unused = shader.imports.iter().find(|(name, _)| !assembly.names.contains(*name));
        match unused {
            Some((name, _)) => Err(error(shader.path, format!("no file imports {name}"))),
            None => Ok(assembly),
        }
    }

    fn append(
        &self,
        shader: &Shader,
        path: &str,
        text: &str,
        assembly: &mut Assembly,
    ) -> Result<(), DeviceError> {
        assembly.files.push(path.to_string());
        for line in text.lines() {
            assembly.text.push_str(line);
            assembly.text.push('\n');
            let Some(name) = imported(line) else { continue };
            assembly.names.insert(name.to_string());
            let mapped = shader.imports.iter().find(|(from, _)| *from == name);
            let target = mapped.map_or(name, |(_, to)| *to);
            if assembly.files.iter().any(|file| file == target) {
                continue;
            }
            let reason = || format!("imports {name}, but shaders/{target}.wgsl does not exist");
            let text = self.file(target).ok_or_else(|| error(path, reason()))?;
            self.append(shader, target, &text, assembly)?;
        }
        Ok(())
    }
}

/// A shader's text while it is being assembled.
#[derive(Default)]
struct Assembly {
    text: String,
    /// The paths of the files that the text contains so far.
    files: Vec<String>,
    /// The names in the `#import` lines of these files.
    names: std::collections::BTreeSet<String>,
}

fn error(name: &str, reason: String) -> DeviceError {
    DeviceError::Shader { name: name.to_string(), reason }
}

/// Returns the name in `// #import name`.
fn imported(line: &str) -> Option<&str> {
    line.trim().strip_prefix("// #import ").map(str::trim)
}

/// Returns the shader text `text`, in which the declaration of the constant `name` has the value `value`.
fn specialise(text: &str, name: &str, value: Constant) -> Result<String, String> {
    let wanted = match value {
        Constant::U32(_) => "u32",
        Constant::Bool(_) => "bool",
        Constant::F32(number) if number.is_finite() => "f32",
        Constant::F32(number) => return Err(format!("WGSL has no literal for {name} = {number}")),
    };
    let (start, found) = text
        .lines()
        .find_map(|line| declared_type(line, name).map(|found| (line, found)))
        .map(|(line, found)| (line.as_ptr() as usize - text.as_ptr() as usize, found))
        .ok_or_else(|| format!("no `const {name}: {wanted} = ...;` on a line of its own"))?;
    if found != wanted {
        return Err(format!(
            "{name} is declared as {found}, and is given a value of type {wanted}"
        ));
    }
    let (before, rest) = text.split_at(start);
    let (_, after) = rest.split_once(';').ok_or_else(|| format!("no `;` ends const {name}"))?;
    Ok(format!("{before}const {name}: {wanted} = {value};{after}"))
}

/// Returns the type in `const name: type = ...`.
fn declared_type<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line.trim_start().strip_prefix("const ")?.trim_start().strip_prefix(name)?;
    let (declared, _value) = rest.trim_start().strip_prefix(':')?.split_once('=')?;
    Some(declared.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a library of only these files.
    fn library(files: &[(&str, &str)]) -> ShaderLibrary {
        let empty = ShaderLibrary::from_directory("/there/is/no/such/folder");
        files.iter().fold(empty, |library, (path, text)| library.with_override(*path, *text))
    }

    fn reason(result: Result<String, DeviceError>) -> String {
        result.expect_err("this shader is wrong").to_string()
    }

    #[test]
    fn an_import_is_inserted_once_and_can_have_imports() {
        let library = library(&[
            ("main", "// #import a\n// #import b\nfn main() {}"),
            ("a", "// #import b\nconst A: u32 = 1u;"),
            ("b", "const B: u32 = 2u;"),
        ]);
        let text = library.load(&Shader::new("main")).expect("loads");
        assert_eq!(text.matches("const B").count(), 1);
        assert!(text.find("const B") < text.find("const A"));
        assert_eq!(library.files(&Shader::new("main")).expect("loads"), ["main", "a", "b"]);
    }

    #[test]
    fn an_import_can_be_bound_to_another_file() {
        let files = [("main", "// #import epilogue"), ("relu", "fn f() {}")];
        let shader = Shader::new("main").import("epilogue", "relu");
        assert!(library(&files).load(&shader).expect("loads").contains("fn f()"));
    }

    #[test]
    fn missing_files_are_named_with_their_importer() {
        let library = library(&[("main", "// #import a"), ("a", "  // #import gone")]);
        let message = reason(library.load(&Shader::new("main")));
        assert_eq!(message, "shader a: imports gone, but shaders/gone.wgsl does not exist");
        let message = reason(library.load(&Shader::new("other")));
        assert_eq!(message, "shader other: shaders/other.wgsl does not exist");
        let message =
            reason(library.load(&Shader::new("main").import("a", "main").import("x", "a")));
        assert_eq!(message, "shader main: no file imports x");
    }

    #[test]
    fn constants_get_their_values_and_the_rest_stays() {
        let text = "const N: u32 = 1u; // rows\nconst NN: u32 = 2u;\n  const F: f32 = 0.0;\n\
                    const B: bool = false;";
        let library = library(&[("main", text)]);
        let shader =
            Shader::new("main").constant("N", 7).constant("F", -1.5_f32).constant("B", true);
        let expected = "const N: u32 = 7u; // rows\nconst NN: u32 = 2u;\nconst F: f32 = -1.5f;\n\
                        const B: bool = true;\n";
        assert_eq!(library.load(&shader).expect("loads"), expected);
    }

    #[test]
    fn wrong_constants_are_refused() {
        let library = library(&[("main", "const N: u32 = 1u;\nconst INFERRED = 3u;")]);
        let load = |name, value: Constant| {
            reason(library.load(&Shader::new("main").constant(name, value)))
        };
        assert!(load("M", Constant::U32(1)).contains("no `const M: u32 = ...;`"));
        assert!(load("INFERRED", Constant::U32(1)).contains("no `const INFERRED: u32"));
        assert!(load("N", Constant::F32(1.0)).contains("N is declared as u32"));
        assert!(load("N", Constant::F32(f32::INFINITY)).contains("no literal for N = inf"));
    }

    #[test]
    fn the_built_in_files_are_trusted_and_others_are_not() {
        assert!(ShaderLibrary::default().is_trusted());
        assert!(!ShaderLibrary::default().with_override("relu/forward", "").is_trusted());
        assert!(!ShaderLibrary::from_directory("shaders").is_trusted());
        assert!(ShaderLibrary::embedded_paths().contains(&"relu/forward".to_string()));
    }
}
