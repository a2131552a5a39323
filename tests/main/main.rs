//! The program from outside: the built binary on small made-up scenes, and the library where a seam is needed.
//!
//! One test binary, since linking GDAL takes its time. Models come from `scripts/make_test_model.py`; scenes are
//! written by each test into a folder of its own. ONNX Runtime must be where `scripts/setup.sh` puts it, and
//! GDAL's command line tools must be installed: positions are compared with theirs.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that cannot go on fails the test"
)]

// What the tests stand on: running the program, writing scenes, reading layers.
mod browser;
mod fixture;
mod harness;
mod layers;
mod serve_client;
mod serve_crowd;
mod server;

// A scan from scene to sites: what is written, and whether it is right.
mod scan;
// Where things are on Earth, in every kind of grid a scene may have.
mod georeference;
// Scenes that say where they lie by control points or polynomials.
mod geolocation;
// The same bytes, however the work was cut up or interrupted.
mod determinism;
// The same sites, wherever the grid of chips starts.
mod grid;
// The pipeline alone, with detectors that misbehave.
mod pipeline;
// Empty pixels, edges, areas of interest: what was not seen.
mod nodata;
// Rasters that claim to be larger than anything there is.
mod huge;
// Clouds: what a mask hides, what it flags, and that neither is silent.
mod clouds;
// Bands, numbers and resolutions of scenes that are not what the model was trained on.
mod radiometry;
// Every output head, against an independent decode.
mod heads;
// A model against its card and its stored answer; calibration.
mod models;
// A screen before the detector: what it drops, and that nothing else changes.
mod screen;
// Training labels of verified places.
mod labels;
// Several scenes of one place.
mod scenes;
// What may be named as a scene; Sentinel-2 products; STAC; networks, and servers that fail.
mod remote;
mod safe;
mod sources;
mod stac;
// What the fuzzer learnt.
mod fuzz;
// What is said, and with which exit code, when something is wrong.
mod bad_input;
// What befalls a scan from outside: locked, damaged, deleted.
mod mishaps;
// Run directories that hold something already.
mod run_directory;
// Detections against labels.
mod evaluate;
// Votes of workers: labels, error rates, agreement.
mod consensus;
// Volunteers: projects from runs, what volunteers get, crashes, files out and in.
mod verify;
// The small commands, the help, the manners on the command line.
mod commands;
// The server: starting and stopping, the API, who may do what, the map layer, the volunteers' page.
mod serve;
mod serve_api;
mod serve_attacks;
mod serve_ogc;
mod serve_page;
// The model and the demo scene that ship.
mod shipped;
