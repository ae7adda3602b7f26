//! Gives the tests a run path to libtorch, and builds the GPU that stands in for one: `stand_in/cuda.cpp`.

#[path = "../compute/build.rs"]
mod run_path;

use std::{env, path::PathBuf};

fn main() {
    run_path::main();
    println!("cargo::rerun-if-changed=stand_in/cuda.cpp");
    let linux = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    let (Some(libtorch), Some(out), true) = (env::var_os("LIBTORCH"), env::var_os("OUT_DIR"), linux) else {
        return;
    };
    let (libtorch, library) = (PathBuf::from(libtorch), PathBuf::from(out).join("libtorch_cuda.so"));
    let include = libtorch.join("include");
    let mut compiler = cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .includes([include.join("torch/csrc/api/include"), include])
        .get_compiler()
        .to_command();
    compiler
        .args(["-shared", "-fPIC", "-Wl,-soname,libtorch_cuda.so", "stand_in/cuda.cpp", "-o"])
        .arg(&library);
    compiler.arg("-L").arg(libtorch.join("lib")).args(["-ltorch_cpu", "-lc10"]);
    let built = compiler.status().is_ok_and(|status| status.success());
    assert!(built, "could not compile stand_in/cuda.cpp with {compiler:?}");
    println!("cargo::rustc-env=STAND_IN={}", library.display());
}
