//! Compiles every shader in a browser, if one is installed: Chromium's compiler is stricter than naga.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::launched::texts;

/// The longest time for the browser to start and compile; ten seconds are usual.
const PATIENCE: Duration = Duration::from_secs(120);

/// The page that compiles the shaders and sends back the compiler's messages.
const PAGE: &str = r#"<!doctype html><script type="module">
const send = (answer) => fetch("/answer", { method: "POST", body: JSON.stringify(answer) });
try {
    const adapter = await navigator.gpu?.requestAdapter();
    if (!adapter) throw "it has no adapter";
    const requiredFeatures = ["subgroups"].filter((feature) => adapter.features.has(feature));
    const device = await adapter.requestDevice({ requiredFeatures });
    const texts = await (await fetch("/texts")).json();
    const errors = await Promise.all(texts.map(async (code) => {
        const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
        const found = messages.filter((message) => message.type === "error");
        return found.map((e) => `line ${e.lineNum}: ${e.message}`).join("; ");
    }));
    await send({ features: requiredFeatures, errors });
} catch (error) {
    await send({ failed: String(error) });
}
</script>"#;

/// The browser process; it ends with the test.
struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Browser {
    fn open(chromium: &Path, profile: &Path, address: &str) -> Self {
        let browser = Command::new(chromium)
            .args([
                "--headless",
                "--no-sandbox",
                "--no-first-run",
                "--disable-background-networking",
            ])
            .args(["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"])
            .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(address)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(browser.expect("chromium starts"))
    }
}

fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    names.iter().flat_map(|name| folders.iter().map(move |f| f.join(name))).find(|p| p.is_file())
}

/// Serves the page and the shaders until the answer arrives.
fn answer(listener: &TcpListener, texts: &[String]) -> serde_json::Value {
    listener.set_nonblocking(true).expect("a listener");
    let begun = Instant::now();
    let texts = json!(texts).to_string();
    while begun.elapsed() < PATIENCE {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        // The browser opens connections that it does not use; they time out.
        if let Ok(Some(answer)) = serve(stream, &texts) {
            return serde_json::from_slice(&answer).expect("JSON");
        }
    }
    panic!("the browser has not answered in {PATIENCE:?}");
}

/// Answers one request. Returns the body of the request if it is the page's report of the compiler's messages.
fn serve(stream: TcpStream, texts: &str) -> std::io::Result<Option<Vec<u8>>> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut reader = BufReader::new(&stream);
    let (mut request, mut length, mut line) = (String::new(), 0, String::new());
    reader.read_line(&mut request)?;
    while reader.read_line(&mut line)? > 2 {
        let (name, value) = line.split_once(':').unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (kind, content) = match request.split(' ').nth(1) {
        Some("/") => ("text/html", PAGE),
        Some("/texts") => ("application/json", texts),
        _ => ("text/plain", ""),
    };
    let n = content.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {n}\r\nConnection: close\r\n\r\n"
    );
    (&stream).write_all(head.as_bytes())?;
    (&stream).write_all(content.as_bytes())?;
    Ok(request.starts_with("POST /answer").then_some(body))
}

#[test]
fn a_browser_compiles_every_text() {
    let Some(chromium) = chromium() else {
        println!("there is no Chromium on the PATH: the shaders were not compiled by it");
        return;
    };
    let (mut codes, mut names) = (Vec::new(), Vec::new());
    for (text, by) in texts() {
        // Browsers require the extension's name; naga does not read the line.
        let extension = if text.contains("subgroup") { "enable subgroups;\n" } else { "" };
        codes.push(format!("{extension}{text}"));
        names.push(by);
    }
    // The check itself must be able to fail: this shader is invalid.
    codes.push("fn f(a: u32) -> u32 { return a >> 1u & 3u; }".to_string());

    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}/", listener.local_addr().expect("an address"));
    let profile = tempfile::tempdir().expect("a temporary folder");
    let _browser = Browser::open(&chromium, profile.path(), &address);
    let answer = answer(&listener, &codes);
    if let Some(why) = answer["failed"].as_str() {
        println!("{} compiled nothing: {why}", chromium.display());
        return;
    }
    let errors = answer["errors"].as_array().expect("a list").iter();
    let errors: Vec<&str> = errors.map(|error| error.as_str().expect("text")).collect();
    let (last, errors) = errors.split_last().expect("one at least");
    assert!(last.contains("parenthes"), "the browser accepts an invalid shader: {last:?}");
    assert_eq!(errors.len(), names.len());
    let complaints = names.iter().zip(errors).filter(|(_, error)| !error.is_empty());
    let complaints: Vec<_> = complaints.map(|(name, error)| format!("{name}: {error}")).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    println!("{} texts, with {}", names.len(), answer["features"]);
}
