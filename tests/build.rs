//! Gives the tests a run path to libtorch, and builds what stands in for other machines: a GPU (`stand_in/cuda.cpp`) and
//! little memory (`stand_in/memory.c`).

#[path = "../compute/build.rs"]
mod run_path;

use std::{
    env,
    path::{Path, PathBuf},
};

fn main() {
    run_path::main();
    println!("cargo::rerun-if-changed=stand_in");
    let linux = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    let (Some(libtorch), Some(out), true) = (env::var_os("LIBTORCH"), env::var_os("OUT_DIR"), linux) else {
        return;
    };
    let (libtorch, out) = (PathBuf::from(libtorch), PathBuf::from(out));
    let include = libtorch.join("include");
    let mut cuda = cc::Build::new();
    cuda.cpp(true).std("c++17").includes([include.join("torch/csrc/api/include"), include]);
    let lib = format!("-L{}", libtorch.join("lib").display());
    let library = out.join("libtorch_cuda.so");
    share(
        &mut cuda,
        "stand_in/cuda.cpp",
        &library,
        &["-Wl,-soname,libtorch_cuda.so", &lib, "-ltorch_cpu", "-lc10"],
    );
    println!("cargo::rustc-env=STAND_IN={}", library.display());
    let library = out.join("little_memory.so");
    share(&mut cc::Build::new(), "stand_in/memory.c", &library, &["-ldl"]);
    println!("cargo::rustc-env=LITTLE_MEMORY={}", library.display());
}

/// Compiles one file to a shared library.
fn share(build: &mut cc::Build, source: &str, library: &Path, more: &[&str]) {
    let mut compiler = build.warnings(false).get_compiler().to_command();
    compiler.args(["-shared", "-fPIC", source, "-o"]).arg(library).args(more);
    let built = compiler.status().is_ok_and(|status| status.success());
    assert!(built, "could not compile {source} with {compiler:?}");
}
