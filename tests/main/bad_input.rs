//! What is said, and with which exit code, when something is wrong.
//!
//! Every message is one line that begins with `error:`, names what is wrong, and says what to do.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use serde_json::json;

use crate::fixture::{Empty, Fixture, Pixels, blob, field};
use crate::harness::{Outcome, Workspace, gdal_tool};

/// Commands, and what came of them, as a table for a person to read.
struct Table {
    space: Workspace,
    text: String,
}

impl Table {
    fn new() -> Self {
        let space = Workspace::new();
        Fixture::new((96, 80), vec![blob(48.0, 40.0)]).write(&space, "good.tif");
        Self {
            space,
            text: String::new(),
        }
    }

    /// Runs a command that must fail with one line.
    fn add(&mut self, what: &str, arguments: &str) {
        use std::fmt::Write;
        let mut command = self.space.command("");
        for word in arguments.split_whitespace() {
            command.arg(OsString::from_vec(not_utf8(word)));
        }
        let output = command.output().unwrap();
        let outcome = Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        let Outcome { code, stderr, .. } = &outcome;
        assert!(
            stderr.starts_with("error: ") && stderr.lines().count() == 1,
            "{what}\n{outcome:?}"
        );
        let code = code.unwrap_or_else(|| panic!("{what}: killed\n{outcome:?}"));
        writeln!(self.text, "{what}\n  {code}  {}", stderr.trim_end()).unwrap();
    }

    /// The same for what is found out while chips are read, and noted then too.
    fn add_late(&mut self, what: &str, arguments: &str) {
        use std::fmt::Write;
        let outcome = self.space.run(arguments);
        let last = outcome.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("error: "), "{what}\n{outcome:?}");
        writeln!(self.text, "{what}\n  {}  {last}", outcome.code.unwrap()).unwrap();
    }

    /// Runs a scan that is put up with. `{bad}` in it stands for a name that is not UTF-8.
    fn survived(&mut self, what: &str, scan: &str) {
        use std::fmt::Write;
        let mut command = self.space.command("scan --model blob --workers 1");
        for word in scan.split_whitespace() {
            command.arg(OsString::from_vec(not_utf8(word)));
        }
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = told
            .lines()
            .find(|line| line.starts_with("failed: "))
            .or(told.lines().next());
        let told = told.unwrap_or_else(|| panic!("{what}: {output:?}"));
        writeln!(
            self.text,
            "{what}\n  {}  {told}",
            output.status.code().unwrap()
        )
        .unwrap();
    }

    fn scene(&mut self, what: &str, scene: &str) {
        self.add(
            what,
            &format!("scan {scene} --model blob --out run --workers 1"),
        );
    }

    fn area(&mut self, what: &str, area: &str) {
        self.scene(what, &format!("good.tif --aoi {area}"));
    }

    fn model(&mut self, what: &str, model: &str) {
        self.add(
            what,
            &format!("scan good.tif --model {model} --out run --workers 1"),
        );
    }
}

#[test]
fn scenes_that_cannot_be_scanned() {
    let mut table = Table::new();
    write_bad_scenes(&table.space);
    write_virtual_rasters(&table.space);
    write_odd_names(&table.space);

    table.scene("a file that is not there", "gone.tif");
    table.scene("a pipe that nobody writes to", "pipe.tif");
    table.scene("a device", "/dev/zero");
    table.scene("a link to itself", "loop.tif");
    table.scene("pixels larger than the universe", "endless.vrt");
    table.scene("a million pixels a side", "vast.vrt");
    table.scene("a negative number of pixels", "negative.vrt");
    table.scene("pixels without a size", "flat.vrt");
    table.scene("a corner that is no number", "nan.vrt");
    table.scene("a place that is not on Earth", "beyond.vrt");
    table.scene("a scene smaller than a pixel of the model", "speck.vrt");
    table.scene("XML that grows without end", "laughs.vrt");
    table.scene("text", "text.tif");
    table.scene("an empty file", "empty.tif");
    table.scene("a folder without rasters", "bare");
    table.scene("a pattern that matches nothing", "*.jp2");
    table.scene("no georeference", "nowhere.tif");
    table.scene("too few bands", "two-bands.tif");
    table.scene("four bands without names", "four-bands.tif");
    table.scene("bands of other names", "infrared.tif");
    table.scene("a band that is not there", "good.tif --bands 1,2,nir");
    table.scene("too few bands named", "good.tif --bands 1,2");
    table.scene("a colour table", "palette.tif");
    table.scene("complex numbers", "complex.tif");
    table.scene("16 bits, and nothing says what they mean", "wide.tif");
    table.scene("two that are wrong", "gone.tif text.tif");
    table.scene("a name that is not UTF-8", "caf{bad}.tif");
    table.scene("a folder that holds one", "menu");
    table.scene("a list of names that are not UTF-8", "menu.txt");
    table.scene("a list whose name is not UTF-8", "@caf{bad}.txt");
    for (what, scene) in [
        ("a virtual raster of itself", "self.vrt"),
        ("two virtual rasters of each other", "hen.vrt"),
    ] {
        table.add_late(
            what,
            &format!("scan {scene} --model blob --out cycle --fresh --workers 1"),
        );
    }
    insta::assert_snapshot!(table.text);
    assert!(!table.space.path("run").exists(), "nothing was scanned");
}

/// Files that are no scenes, or not such as the model needs.
fn write_bad_scenes(space: &Workspace) {
    let plain = || Fixture::new((96, 80), vec![blob(48.0, 40.0)]);
    space.write("text.tif", "This is no picture.");
    space.write("empty.tif", "");
    let mut fixture = plain();
    fixture.place = None;
    fixture.write(space, "nowhere.tif");
    let mut fixture = plain();
    fixture.bands.truncate(2);
    fixture.write(space, "two-bands.tif");
    let mut fixture = plain();
    fixture.bands = vec![("", 1.0); 4];
    // Left alone, GDAL takes four bands of bytes for red, green, blue and alpha.
    fixture.options = vec!["PHOTOMETRIC=MINISBLACK"];
    fixture.write(space, "four-bands.tif");
    fixture.bands = ["B08", "B11", "B12"].map(|name| (name, 1.0)).to_vec();
    fixture.write(space, "infrared.tif");
    let mut fixture = plain();
    fixture.pixels = Pixels::UInt16;
    fixture.write(space, "wide.tif");
    write_palette(space, "palette.tif");
    let folder = space.path("");
    gdal_tool(
        &folder,
        [
            "gdal_translate",
            "-q",
            "-ot",
            "CFloat32",
            "good.tif",
            "complex.tif",
        ],
        "",
    );
    std::fs::create_dir(space.path("bare")).unwrap();
    make_pipe(space, "pipe.tif");
    std::os::unix::fs::symlink("loop.tif", space.path("loop.tif")).unwrap();
    let tenfold = tenfold();
    let laughs = format!("<!DOCTYPE l [<!ENTITY e0 \"0123456789\">{tenfold}]>");
    space.write(
        "laughs.vrt",
        format!("{laughs}<VRTDataset><SRS>&e9;</SRS></VRTDataset>"),
    );
}

/// Virtual rasters that cannot be, and some that lead nowhere but to each other.
fn write_virtual_rasters(space: &Workspace) {
    let virtual_raster =
        |name: &str, side: &str, geotransform: &str| {
            let bands = [1, 2, 3]
                .map(|band| format!("<VRTRasterBand dataType=\"Byte\" band=\"{band}\"/>"))
                .concat();
            space.write(name, format!(
            "<VRTDataset rasterXSize=\"{side}\" rasterYSize=\"{side}\"><SRS>EPSG:32631</SRS>\
             <GeoTransform>{geotransform}</GeoTransform>{bands}</VRTDataset>"
        ));
        };
    virtual_raster("vast.vrt", "1000000", "500000,10,0,60000,0,-10");
    virtual_raster("endless.vrt", "2147483647", "500000,1e300,0,60000,0,-1e300");
    virtual_raster("negative.vrt", "-5", "500000,10,0,60000,0,-10");
    virtual_raster("flat.vrt", "96", "500000,0,0,60000,0,0");
    virtual_raster("nan.vrt", "96", "nan,10,0,60000,0,-10");
    virtual_raster("beyond.vrt", "96", "1e12,10,0,60000,0,-10");
    virtual_raster("speck.vrt", "96", "500000,1e-9,0,60000,0,-1e-9");
    for (name, of) in [("self", "self"), ("hen", "egg"), ("egg", "hen")] {
        let band = |band: u8| {
            format!(
                "<VRTRasterBand dataType=\"Byte\" band=\"{band}\"><SimpleSource>\
                 <SourceFilename relativeToVRT=\"1\">{of}.vrt</SourceFilename>\
                 <SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>"
            )
        };
        space.write(
            &format!("{name}.vrt"),
            format!(
                "<VRTDataset rasterXSize=\"96\" rasterYSize=\"96\"><SRS>EPSG:32631</SRS>\
             <GeoTransform>500000,10,0,60000,0,-10</GeoTransform>{}</VRTDataset>",
                [1, 2, 3].map(band).concat()
            ),
        );
    }
}

/// Files whose names are not UTF-8, and a list of one.
fn write_odd_names(space: &Workspace) {
    std::fs::create_dir(space.path("menu")).unwrap();
    for name in ["caf{bad}.tif", "menu/caf{bad}.tif", "caf{bad}.txt"] {
        let name = OsString::from_vec(not_utf8(name));
        std::fs::copy(space.path("good.tif"), space.path(name)).unwrap();
    }
    space.write("menu.txt", not_utf8("caf{bad}.tif\n"));
}

#[test]
fn areas_of_interest_that_cannot_be_used() {
    let mut table = Table::new();
    let collection = |features: serde_json::Value| {
        json!({"type": "FeatureCollection", "features": features}).to_string()
    };
    let feature = |geometry: serde_json::Value| json!([{"type": "Feature", "properties": {}, "geometry": geometry}]);
    let square = |x: f64, y: f64, side: f64| {
        json!({"type": "Polygon", "coordinates": [[
            [x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y],
        ]]})
    };
    let space = &table.space;
    space.write("empty.geojson", "");
    space.write("nothing.geojson", collection(json!([])));
    let point = json!({"type": "Point", "coordinates": [79.0, 27.1]});
    space.write("points.geojson", collection(feature(point)));
    space.write(
        "metres.geojson",
        collection(feature(square(300_000.0, 2_990_000.0, 1000.0))),
    );
    space.write(
        "elsewhere.geojson",
        collection(feature(square(10.0, 50.0, 0.1))),
    );
    space.write(
        "broken.geojson",
        "{\"type\": \"FeatureCollection\", \"features\": [",
    );

    let ring = |third: &str| format!("[[[78.9,27.0],[79.1,27.0],{third},[78.9,27.2],[78.9,27.0]]]");
    let polygon =
        |coordinates: &str| format!("{{\"type\":\"Polygon\",\"coordinates\":{coordinates}}}");
    space.write("nan.geojson", polygon(&ring("[NaN,27.2]")));
    space.write("infinite.geojson", polygon(&ring("[1e999,27.2]")));
    space.write("letters.geojson", polygon(&ring("[\"a\",\"b\"]")));
    space.write("no-ring.geojson", polygon("[]"));
    space.write("empty-ring.geojson", polygon("[[]]"));
    space.write(
        "needle.geojson",
        polygon("[[[79.0,27.1],[79.1,27.1],[79.0,27.1]]]"),
    );
    space.write("unlocated.geojson", collection(feature(json!(null))));
    space.write("deep.geojson", "[".repeat(100_000));
    let nested = "{\"type\":\"GeometryCollection\",\"geometries\":[".repeat(200);
    space.write(
        "nested.geojson",
        format!(
            "{nested}{}{}",
            polygon(&ring("[79.1,27.2]")),
            "]}".repeat(200)
        ),
    );
    let tenfold = tenfold();
    space.write("laughs.kml", format!(
        "<!DOCTYPE l [<!ENTITY e0 \"0123456789\">{tenfold}]><kml xmlns=\"http://www.opengis.net/kml/2.2\"><Document><name>&e9;</name></Document></kml>"
    ));
    space.write("stranger.kml", "<!DOCTYPE l [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><kml xmlns=\"http://www.opengis.net/kml/2.2\"><Document><name>&e;</name></Document></kml>");
    make_pipe(space, "pipe.geojson");
    let name = OsString::from_vec(not_utf8("caf{bad}.geojson"));
    std::fs::write(space.path(name), polygon(&ring("[79.1,27.2]"))).unwrap();
    std::fs::create_dir(space.path("bare")).unwrap();

    table.area("a corner that is no number", "nan.geojson");
    table.area("an infinite corner", "infinite.geojson");
    table.area("letters for numbers", "letters.geojson");
    table.area("a polygon without rings", "no-ring.geojson");
    table.area("a ring without corners", "empty-ring.geojson");
    table.area("a polygon without area", "needle.geojson");
    table.area("a feature without a geometry", "unlocated.geojson");
    table.area("brackets without end", "deep.geojson");
    table.area("collections within collections", "nested.geojson");
    table.area("XML that grows without end", "laughs.kml");
    table.area("XML that reads another file", "stranger.kml");
    table.area("a pipe that nobody writes to", "pipe.geojson");
    table.area("a folder", "bare");
    table.area("a name that is not UTF-8", "caf{bad}.geojson");
    table.area("a box of no numbers", "nan,27,80,28");
    table.area("an infinite box", "-inf,-inf,inf,inf");
    table.area("a file that is not there", "gone.geojson");
    table.area("an empty file", "empty.geojson");
    table.area("half a file", "broken.geojson");
    table.area("no features", "nothing.geojson");
    table.area("points only", "points.geojson");
    table.area("metres", "metres.geojson");
    table.area("another country", "elsewhere.geojson");
    table.area("a box of three numbers", "79,27,80");
    table.area("a box of five numbers", "79,27,80,28,29");
    table.area("a box with north and south swapped", "79,28,80,27");
    table.area("a box of latitudes first", "27,179,28,180");
    table.area("a box with a letter", "79,27,80,x");
    table.area("a box elsewhere", "10,50,11,51");
    insta::assert_snapshot!(table.text);
}

/// Models whose detector is fine and whose screen is not.
fn write_unfit_screens(space: &Workspace) {
    space.write_screened("screenless", "map", 0.1);
    std::fs::remove_file(space.path("screenless/screen.onnx")).unwrap();
    space.write_screened("fixed-screen", "fixed", 0.1);
    space.write_screened("corrupt-screen", "map", 0.1);
    space.write("corrupt-screen/screen.onnx", "no ONNX at all");
    let with_screen = |name: &str, key: &str, value: serde_json::Value| {
        let mut screen = json!({"onnx": "model.onnx", "factor": 2, "threshold": 0.1});
        screen[key] = value;
        space.write_model(name, |card| card["kilnsight:screen"] = screen);
    };
    with_screen("replaced-screen", "sha256", json!("0".repeat(64)));
    with_screen("far-screen", "onnx", json!("../screen.onnx"));
    with_screen("half-screen", "factor", json!(1.5));
    with_screen("misnamed-screen", "output", json!("kilns"));
    with_screen("manifold-screen", "output", json!("size"));
}

#[test]
fn models_that_cannot_be_used() {
    let mut table = Table::new();
    let space = &table.space;
    let as_is = |_: &mut serde_json::Value| {};
    // Without a digest the card does not notice that the ONNX file is another one.
    let unsigned = |card: &mut serde_json::Value| card["kilnsight:sha256"] = json!(null);
    for (name, content) in [("corrupt", "no ONNX at all"), ("hollow", "")] {
        space.write_model(name, unsigned);
        space.write(&format!("{name}/model.onnx"), content);
    }
    space.write_model("replaced", as_is);
    space.write("replaced/model.onnx", "another file");
    space.write_model("cardless", as_is);
    std::fs::remove_file(space.path("cardless/model.json")).unwrap();
    space.write_model("onnxless", as_is);
    std::fs::remove_file(space.path("onnxless/model.onnx")).unwrap();
    space.write_model("scribbled", as_is);
    space.write("scribbled/model.json", "model: blob\n");
    std::fs::create_dir(space.path("bare")).unwrap();
    space.write_model("misnamed-input", |card| {
        card["mlm:input"][0]["name"] = json!("pixels");
    });
    space.write_model("misnamed-output", |card| {
        card["kilnsight:center"]["heatmap"] = json!("heat");
    });
    space.write_model("four-bands", |card| {
        card["mlm:input"][0]["bands"] = json!(["red", "green", "blue", "nir"]);
        card["mlm:input"][0]["input"]["shape"] = json!([-1, 4, -1, -1]);
    });
    space.write_model("two-classes", |card| {
        let classes = json!([{"value": 0, "name": "kiln"}, {"value": 1, "name": "camp"}]);
        card["mlm:output"][0]["classification:classes"] = classes;
    });
    space.write_model("other-head", |card| card["kilnsight:head"] = json!("ssd"));
    space.write_model("no-gsd", |card| card["kilnsight:gsd_m"] = json!(null));
    space.write_model("later", |card| card["kilnsight:card_version"] = json!(2));

    space.write_model("blank", as_is);
    space.write("blank/model.json", "");
    space.write_model("deep", as_is);
    space.write("deep/model.json", "[".repeat(100_000));
    space.write_model("folder-card", as_is);
    std::fs::remove_file(space.path("folder-card/model.json")).unwrap();
    std::fs::create_dir(space.path("folder-card/model.json")).unwrap();
    space.write_model("pipe-card", as_is);
    std::fs::remove_file(space.path("pipe-card/model.json")).unwrap();
    make_pipe(space, "pipe-card/model.json");
    space.write_model("tiny-pixels", |card| {
        card["kilnsight:gsd_m"] = json!(1e-300);
    });
    space.write_model("huge-pixels", |card| card["kilnsight:gsd_m"] = json!(1e300));
    space.write_model("huge-chips", |card| {
        card["kilnsight:chip_px"] = json!(1_000_000_000);
    });
    space.write_model("all-overlap", |card| {
        card["kilnsight:overlap_m"] = json!(1e9);
    });

    write_unfit_screens(space);

    table.model("a card of no bytes", "blank");
    table.model("a card of brackets without end", "deep");
    table.model("a card that is a folder", "folder-card");
    table.model("a card that is a pipe", "pipe-card");
    table.model("pixels smaller than atoms", "tiny-pixels");
    table.model("pixels larger than the Earth", "huge-pixels");
    table.model("chips of a billion pixels a side", "huge-chips");
    table.model("chips that overlap wholly", "all-overlap");
    table.model("a folder that is not there", "no/such/model");
    table.model("a folder without a model", "bare");
    table.model("no card", "cardless");
    table.model("no ONNX file", "onnxless");
    table.model("a card that is not JSON", "scribbled");
    table.model("a card without its resolution", "no-gsd");
    table.model("a card of a later format", "later");
    table.model("a head that this version does not read", "other-head");
    table.model("another ONNX file than the card's", "replaced");
    table.model("an ONNX file of text", "corrupt");
    table.model("an ONNX file of no bytes", "hollow");
    table.model("an input of another name", "misnamed-input");
    table.model("an output of another name", "misnamed-output");
    table.model("another number of bands", "four-bands");
    table.model("another number of classes", "two-classes");
    table.model("a screen that is not there", "screenless");
    table.model("a screen of text", "corrupt-screen");
    table.model("another screen than the card's", "replaced-screen");
    table.model("a screen elsewhere", "far-screen");
    table.model("a screen of one and a half pixels", "half-screen");
    table.model("a screen of fixed size for chips of any", "fixed-screen");
    table.model("an output that the screen lacks", "misnamed-screen");
    table.model("an output that is no map", "manifold-screen");
    insta::assert_snapshot!(table.text);
    assert!(!table.space.path("run").exists(), "nothing was scanned");
}

#[test]
fn run_directories_that_cannot_be_written() {
    let mut table = Table::new();
    let scan = |out: &str| format!("scan good.tif --model blob --workers 1 --out {out}");
    table.space.write("file", "not a folder");
    table.add("a file of that name", &scan("file"));
    table.add("a folder under a file", &scan("file/run"));
    // The tests may run as root, to whom no folder is forbidden; here even root makes none.
    table.add("a folder where none can be made", &scan("/proc/run"));
    std::fs::create_dir(table.space.path("text")).unwrap();
    table.space.write(
        "text/ledger.sqlite",
        "my notes on ledgers, which are no ledger at all",
    );
    table.add("a ledger that is text", &scan("text"));
    std::fs::create_dir(table.space.path("database")).unwrap();
    let other = rusqlite::Connection::open(table.space.path("database/ledger.sqlite")).unwrap();
    other
        .execute_batch("CREATE TABLE notes (line TEXT)")
        .unwrap();
    drop(other);
    table.add("a ledger that is another database", &scan("database"));
    insta::assert_snapshot!(table.text);
    let kept = std::fs::read_to_string(table.space.path("text/ledger.sqlite")).unwrap();
    assert!(
        kept.starts_with("my notes"),
        "what is not ours is left alone"
    );
}

#[test]
fn what_is_put_up_with() {
    let mut table = Table::new();
    let space = &table.space;
    let mut fixture = Fixture::new((96, 80), vec![blob(48.0, 40.0)]);
    fixture.pixels = Pixels::Float32;
    for (name, value) in [
        ("nan", f64::NAN),
        ("infinite", f64::INFINITY),
        ("low", f64::NEG_INFINITY),
    ] {
        fixture.holes = vec![[60, 0, 96, 80]];
        fixture.empty = Empty::Untagged(value);
        fixture.write(space, &format!("{name}.tif"));
    }
    table.survived(
        "pixels that are NaN",
        "nan.tif --scale 1 --offset 0 --out nan",
    );
    table.survived(
        "pixels that are infinite",
        "infinite.tif --scale 1 --offset 0 --out infinite",
    );
    table.survived(
        "pixels that are minus infinity",
        "low.tif --scale 1 --offset 0 --out low",
    );
    table.survived(
        "a scene that is wrong beside one that is not",
        "good.tif gone.tif --out beside",
    );
    table.survived(
        "a run directory whose name is not UTF-8",
        "good.tif --out r{bad}n",
    );
    insta::assert_snapshot!(table.text);
}

#[test]
fn labels_that_cannot_be_compared() {
    let mut table = Table::new();
    table.space.scan("good.tif");
    let labels = |labels: &str| format!("evaluate run --truth {labels}");
    let space = &table.space;
    space.write("empty.json", "");
    space.write(
        "half.json",
        "{\"type\": \"FeatureCollection\", \"features\": [",
    );
    space.write("other.json", "{\"places\": []}");
    space.write(
        "nothing.json",
        "{\"type\": \"FeatureCollection\", \"features\": []}",
    );
    let square = |positions: serde_json::Value| {
        json!({"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [positions]}})
            .to_string()
    };
    space.write(
        "metres.json",
        square(json!([
            [3e5, 3e6],
            [3.1e5, 3e6],
            [3.1e5, 3.1e6],
            [3e5, 3e6]
        ])),
    );
    space.write(
        "swapped.json",
        square(json!([
            [27.0, 178.9],
            [27.1, 178.9],
            [27.1, 179.0],
            [27.0, 178.9]
        ])),
    );
    space.write(
        "elsewhere.json",
        square(json!([[10, 50], [10.1, 50], [10.1, 50.1], [10, 50]])),
    );
    space.write(
        "coco.json",
        json!({"images": [{"id": 1, "file_name": "other.png"}], "annotations": [
            {"image_id": 1, "bbox": [1, 2, 3, 4]},
        ]})
        .to_string(),
    );
    space.write(
        "dangling.json",
        json!({"images": [{"id": 1, "file_name": "good.png"}], "annotations": [
            {"image_id": 7, "bbox": [1, 2, 3, 4]},
        ]})
        .to_string(),
    );
    std::fs::create_dir(space.path("bare")).unwrap();

    space.write("nan.json", "{\"type\":\"Feature\",\"properties\":{},\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[NaN,27.1],[79.1,27.1],[79.0,27.2],[79.0,27.1]]]}}");
    space.write("infinite.json", "{\"type\":\"Feature\",\"properties\":{},\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[1e999,27.1],[79.1,27.1],[79.0,27.2],[79.0,27.1]]]}}");
    space.write("no-ring.json", square(json!([])));
    space.write("deep.json", "[".repeat(100_000));
    space.write("latin.json", b"{\"type\": \"\xe9\"}");

    table.add("a corner that is no number", &labels("nan.json"));
    table.add("an infinite corner", &labels("infinite.json"));
    table.add("a ring without corners", &labels("no-ring.json"));
    table.add("brackets without end", &labels("deep.json"));
    table.add("letters of another encoding", &labels("latin.json"));
    table.add("a folder", &labels("bare"));
    table.add("labels that are not there", &labels("gone.json"));
    table.add("an empty file", &labels("empty.json"));
    table.add("half a file", &labels("half.json"));
    table.add("JSON of another kind", &labels("other.json"));
    table.add("no features", &labels("nothing.json"));
    table.add("metres", &labels("metres.json"));
    table.add("latitude first", &labels("swapped.json"));
    table.add("another country", &labels("elsewhere.json"));
    table.add("images of other scenes", &labels("coco.json"));
    table.add("a label of no image", &labels("dangling.json"));
    table.add("a run that is not there", "evaluate gone --truth coco.json");
    table.add("a folder that is no run", "evaluate bare --truth coco.json");
    table.add(
        "detections that are a picture",
        "evaluate good.tif --truth coco.json",
    );
    table.add(
        "an overlap above one",
        &format!("{} --iou 1.5", labels("coco.json")),
    );
    insta::assert_snapshot!(table.text);
}

#[test]
fn one_bad_scene_among_good_ones_is_named_and_the_others_are_scanned() {
    let space = Workspace::new();
    let fixture = Fixture::new((96, 80), vec![blob(48.0, 40.0)]);
    fixture.write(&space, "a.tif");
    fixture.write(&space, "c.tif");
    space.write("b.tif", "This is no picture.");
    let outcome = space.run("scan a.tif b.tif c.tif --model blob --out run --workers 1");
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert!(
        outcome
            .stdout
            .contains("failed: b.tif: `b.tif` cannot be opened")
    );
    let run = space.read_run("run");
    let record = run.record();
    assert_eq!(record["counts"]["scenes"], 2);
    assert_eq!(record["failures"].as_array().unwrap().len(), 1);
    assert_eq!(record["failures"][0]["scene"], "b.tif");
    assert_eq!(run.layer("detections").len(), 2);
}

#[test]
fn a_truncated_scene_is_scanned_as_far_as_it_can_be_read() {
    let space = Workspace::new();
    let fixture = Fixture::new((400, 400), field((400, 400), 50.0, 30));
    fixture.write(&space, "whole.tif");
    // Rows in strips, in order and uncompressed: what is cut off is the lower part.
    gdal_tool(
        &space.path(""),
        [
            "gdal_translate",
            "-q",
            "-co",
            "INTERLEAVE=PIXEL",
            "-co",
            "BLOCKYSIZE=1",
            "whole.tif",
            "a.tif",
        ],
        "",
    );
    let file = std::fs::File::options()
        .write(true)
        .open(space.path("a.tif"))
        .unwrap();
    file.set_len(file.metadata().unwrap().len() * 6 / 10)
        .unwrap();
    let scan = "scan a.tif --model blob --out run --workers 1";
    let outcome = space.run(scan);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    let run = space.read_run("run");
    let record = run.record();
    let chips = record["counts"]["chips"].clone();
    assert!(chips["failed"].as_u64().unwrap() > 0 && chips["scanned"].as_u64().unwrap() > 0);
    let failure = &record["failures"][0];
    assert_eq!(
        (&failure["scene"], &failure["chips"]),
        (&json!("a"), &chips["failed"])
    );
    let reason = failure["reason"].as_str().unwrap();
    assert!(
        reason.contains("the file may be truncated or damaged"),
        "{reason}"
    );
    assert!(
        outcome
            .stdout
            .contains(&format!("failed: a ({} chips)", chips["failed"])),
        "{outcome:?}"
    );

    let coverage = run.layer("coverage");
    coverage.assert_valid();
    let (scanned, failed) = (coverage.area_km2("scanned"), coverage.area_km2("failed"));
    assert!(((scanned + failed) / 16.0 - 1.0).abs() < 2e-3);
    assert!((0.3..0.6).contains(&(failed / 16.0)), "{failed} km2");
    let found = run.layer("sites").len();
    assert!(
        (20..50).contains(&found),
        "{found} of {}",
        fixture.blobs.len()
    );

    // Failed chips are tried again, and fail again.
    let before = run.results();
    assert_eq!(space.run(scan).code, Some(3));
    assert_eq!(before, run.results());
}

#[test]
fn the_page_on_bad_inputs_tells_what_the_program_says() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(folder.join("docs/bad-inputs.md")).unwrap();
    let mut rows = 0;
    for of in [
        "scenes_that_cannot_be_scanned",
        "areas_of_interest_that_cannot_be_used",
        "models_that_cannot_be_used",
        "run_directories_that_cannot_be_written",
        "what_is_put_up_with",
        "labels_that_cannot_be_compared",
    ] {
        let file = format!("tests/main/snapshots/main__bad_input__{of}.snap");
        let snapshot = std::fs::read_to_string(folder.join(file)).unwrap();
        let lines: Vec<&str> = snapshot
            .splitn(3, "---\n")
            .nth(2)
            .unwrap()
            .lines()
            .collect();
        for pair in lines.chunks_exact(2) {
            let (code, message) = pair[1].trim().split_once("  ").unwrap();
            let message = message.strip_prefix("error: ").unwrap_or(message);
            let row = format!("| {} | {code} | {} |", pair[0], message.replace('|', "\\|"));
            assert!(
                page.contains(&row),
                "docs/bad-inputs.md lacks the row\n{row}"
            );
            rows += 1;
        }
    }
    let told = page.lines().filter(|line| line.starts_with("| ")).count() - 2 * 6;
    assert_eq!(told, rows, "the page has rows that are tried no more");
}

/// A text in which `{bad}` stands for a byte that is not UTF-8.
fn not_utf8(text: &str) -> Vec<u8> {
    let parts: Vec<&[u8]> = text.split("{bad}").map(str::as_bytes).collect();
    parts.join(&0xe9)
}

/// XML entities, each of which stands for ten of the one before: `e9` for ten thousand million letters.
fn tenfold() -> String {
    let entity = |i: usize| format!("<!ENTITY e{} \"{}\">", i + 1, format!("&e{i};").repeat(10));
    std::array::from_fn::<String, 9, _>(entity).concat()
}

/// A named pipe: opening it would wait for a writer that never comes.
fn make_pipe(space: &Workspace, name: &str) {
    let made = std::process::Command::new("mkfifo")
        .arg(space.path(name))
        .status();
    assert!(made.unwrap().success());
}

#[test]
fn a_scene_that_cannot_be_placed_costs_the_others_nothing() {
    let space = Workspace::new();
    let fixture = Fixture::new((96, 80), vec![blob(48.0, 40.0)]);
    fixture.write(&space, "a.tif");
    fixture
        .at(32631, [1e12, 10.0, 0.0, 60_000.0, 0.0, -10.0])
        .write(&space, "b.tif");
    let outcome = space.run("scan a.tif b.tif --model blob --out run --workers 1");
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert_eq!(space.read_run("run").layer("sites").len(), 1);
}

#[test]
fn scenes_of_one_name_are_told_apart_whatever_else_is_called() {
    let space = Workspace::new();
    let fixture = Fixture::new((96, 80), vec![blob(48.0, 40.0)]);
    for folder in ["x", "y"] {
        std::fs::create_dir(space.path(folder)).unwrap();
        fixture.write(&space, &format!("{folder}/a.tif"));
    }
    // Just what the second `a` would be called.
    fixture.write(&space, "a-2.tif");
    let run = space.scan("x/a.tif y/a.tif a-2.tif");
    let record = run.record();
    let scenes = record["scenes"].as_array().unwrap();
    let ids: Vec<&str> = scenes.iter().map(|s| s["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a-2", "a", "a-3"]);
}

#[test]
fn features_without_geometry_do_not_spoil_an_area_of_interest() {
    let space = Workspace::new();
    Fixture::new((96, 80), vec![blob(48.0, 40.0)]).write(&space, "a.tif");
    let whole = json!({"type": "Polygon", "coordinates": [[[70, 20], [90, 20], [90, 35], [70, 35], [70, 20]]]});
    let bow = json!({"type": "Polygon", "coordinates": [[[70, 20], [90, 35], [90, 20], [70, 35], [70, 20]]]});
    for (name, geometry) in [("whole.geojson", whole), ("bow.geojson", bow)] {
        let features = json!({"type": "FeatureCollection", "features": [
            {"type": "Feature", "properties": {}, "geometry": null},
            {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": []}},
            {"type": "Feature", "properties": {}, "geometry": geometry},
        ]});
        space.write(name, features.to_string());
    }
    let run = space.scan("a.tif --aoi whole.geojson");
    assert_eq!(run.layer("sites").len(), 1);
    // Edges that cross each other enclose two triangles; the scene lies in neither or in one, but in no trouble.
    assert!(
        space
            .run("scan a.tif --model blob --out bow --aoi bow.geojson")
            .code
            .is_some_and(|c| c < 2)
    );
}

fn write_palette(space: &Workspace, name: &str) {
    use gdal::raster::{ColorEntry, ColorTable, PaletteInterpretation};
    let mut fixture = Fixture::new((96, 80), vec![blob(48.0, 40.0)]);
    fixture.bands.truncate(1);
    fixture.options = vec!["PHOTOMETRIC=PALETTE"];
    fixture.write(space, name);
    let options = gdal::DatasetOptions {
        open_flags: gdal::GdalOpenFlags::GDAL_OF_UPDATE,
        ..Default::default()
    };
    let dataset = gdal::Dataset::open_ex(space.path(name), options).unwrap();
    let mut colors = ColorTable::new(PaletteInterpretation::Rgba);
    colors.set_color_entry(1, &ColorEntry::rgba(200, 0, 0, 255));
    dataset.rasterband(1).unwrap().set_color_table(&colors);
}
