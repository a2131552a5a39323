//! Keeps the libraries that are linked into the program to itself.
//!
//! The program brings its own SQLite, and GDAL uses the system's. Without this the linker exports the first, it takes
//! the place of the second in GDAL's calls, and two versions in one data structure crash on the first GeoPackage or
//! `MBTiles` file.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_CFG_TARGET_OS").is_some_and(|system| system == "linux") {
        println!("cargo::rustc-link-arg=-Wl,--exclude-libs,ALL");
    }
}
