//! Training labels from verified places: what people confirmed and rejected becomes what the next model learns from.
//!
//! **In:** runs, the layer of places that were verified (or any GeoJSON of places), and the model whose input the
//! chips are to be. **Out:** a folder of chips with labels as COCO, YOLO-OBB and DOTA, split by place.
//!
//! ```text
//! verified    the layer ─► places: yes, no, undecided
//! select      runs × places ─► chips with objects in their pixels
//! split       chips ─► train, val, test: by blocks of ground, with a gap between them
//! format      objects of a chip ─► text of each format
//! request     what is asked for, and what came of it
//! write       all of it, in this order
//! folder      pictures and text ─► the folder, whole or not at all
//! ```

mod error;
mod folder;
mod format;
mod request;
mod select;
mod split;
mod verified;
mod write;

pub use error::LabelError;
pub use format::Format;
pub use request::{LabelRequest, LabelSummary, PartCount};
pub use select::{LabelledChip, Object, Selection};
pub use split::{Part, Shares, SplitRule};
pub use verified::{Places, Standing, VerifiedPlace};
pub use write::write_labels;
