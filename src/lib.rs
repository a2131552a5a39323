//! kilnsight finds brick kilns and camp-like structures in satellite imagery and puts them on a map.
//!
//! The library is a row of rooms; data flows through them in this order, and each room knows only those
//! before it:
//!
//! ```text
//! geometry    boxes, places, overlap, suppression
//! scene       a georeferenced raster: bands, radiometry, nodata, where it lies
//! source      what the user names ─► scenes to open: products, catalogues, remote files
//! chip        the windows over a scene and an area of interest; their pixels
//! model       card, ONNX session, output heads ─► boxes in a chip
//! detect      read ‖ infer ‖ decode ─► ledger ─► detections on the ground
//! site        detections ─► sites ─► clusters
//! layer       vector layers and the overview picture
//! run         one scan and its directory
//! evaluate    detections against labels
//! verify      volunteers' votes ─► decisions with a known error
//! label       verified places ─► chips and labels to train on
//! serve       pages and an API for volunteers, the verified layer for map programs
//! cli         the commands
//! ```
//!
//! A detection is a screening result. A kiln is not proof of slavery.

pub mod chip;
pub mod cli;
pub mod detect;
pub mod evaluate;
pub mod geometry;
pub mod label;
pub mod layer;
pub mod model;
pub mod run;
pub mod scene;
pub mod serve;
pub mod site;
pub mod source;
pub mod verify;
