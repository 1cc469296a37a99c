//! tools/fetch-model against a server of our own: what is downloaded, gone on with, refused, and said.

mod common;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Output},
    thread,
};

use causeway_tests::machine;
use common::Place;

/// Serves `body` at every address, from where a request says; returns the hub's address.
fn serve(body: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let range =
                head.iter().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
            let first = range.and_then(|range| range.trim_end_matches('-').parse().ok()).unwrap_or(0);
            let (status, rest, all) =
                (if first > 0 { "206 Partial Content" } else { "200 OK" }, &body[first..], body.len());
            let range = format!("Content-Range: bytes {first}-{}/{all}", all - 1);
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{range}\r\nConnection: close\r\n\r\n", rest.len());
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(rest)).unwrap();
        }
    });
    address
}

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn fetch(place: &Place, hub: &str, name: &str) -> Output {
    let script = repository().join("tools/fetch-model");
    let output =
        Command::new("bash").arg(script).arg(name).env("HF_ENDPOINT", hub).current_dir(place.path("")).output();
    output.expect("bash runs; .ci/run installs curl")
}

#[test]
fn a_file_is_fetched_and_gone_on_with() {
    if !machine::has(&[&machine::CURL]) {
        return;
    }
    const BODY: &[u8] = b"PK\x03\x04 weights, as far as anybody knows";
    let (place, hub) = (Place::new("fetch"), serve(BODY));
    let output = fetch(&place, &hub, "vae");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("/Wan-AI/Wan2.1-T2V-1.3B/resolve/main/Wan2.1_VAE.pth"), "{said}");
    assert!(said.contains("next: causeway convert Wan2.1_VAE.pth vae.safetensors"), "{said}");
    assert_eq!(place.read("Wan2.1_VAE.pth"), BODY);
    // A download that broke off: only the rest is asked for.
    place.write("lora.pt.part", b"PK\x03\x04 what");
    assert!(fetch(&place, &hub, "longlive-lora").status.success());
    assert_eq!(place.read("lora.pt"), [&b"PK\x03\x04 what"[..], &BODY[9..]].concat());
    // What is there is not fetched again.
    let output = fetch(&place, "http://127.0.0.1:9", "vae");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(place.list(), ["Wan2.1_VAE.pth", "lora.pt", "tiny.safetensors"]);
}

#[test]
fn pages_and_names_that_are_none_are_refused() {
    if !machine::has(&[&machine::CURL]) {
        return;
    }
    let place = Place::new("fetch-none");
    for body in [&b"<!DOCTYPE html><html>Log in"[..], b"version https://git-lfs.github.com/spec/v1\noid"] {
        let output = fetch(&place, &serve(body), "vae");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("gave a page and no weights"), "{output:?}");
    }
    let output = fetch(&place, "http://127.0.0.1:9", "vea");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("there is no vea; there are: self-forcing") && said.contains("tokenizer"), "{said}");
    assert_eq!(place.list(), ["tiny.safetensors"]);
}

#[test]
fn the_page_names_every_file_and_command() {
    if !machine::has(&[&machine::CURL]) {
        return;
    }
    let page = fs::read_to_string(repository().join("docs/models.md")).unwrap();
    let script = fs::read_to_string(repository().join("tools/fetch-model")).unwrap();
    let models: Vec<&str> =
        script.lines().filter(|line| line.contains("/resolve/main/") || line.contains("/raw/main/")).collect();
    assert_eq!(models.len(), 10);
    for line in models {
        let (name, command) = (line.split(' ').next().unwrap(), line.splitn(4, ' ').nth(3).unwrap());
        assert!(page.contains(&format!("`{name}`")), "docs/models.md does not name {name}");
        assert!(page.contains(&format!("causeway {command}")), "docs/models.md does not have: causeway {command}");
    }
}
