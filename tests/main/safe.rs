//! Sentinel-2 products in SAFE format, drawn with the structure of real ones: level 1C before processing baseline
//! 04.00, level 2A after it, folders and archives.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::fixture::{Fixture, Pixels, blob, field};
use crate::harness::{Run, Workspace, gdal_tool};

const L1C: &str = "S2A_MSIL1C_20170105T013442_N0204_R031_T44RKR_20170105T013443";
const L2A: &str = "S2B_MSIL2A_20240131T053021_N0510_R105_T44RKR_20240131T091234";

/// What the metadata of a product says.
struct Product {
    name: &'static str,
    baseline: &'static str,
    start: &'static str,
    /// `RADIO_ADD_OFFSET` or `BOA_ADD_OFFSET` of all bands but B02, which has one less.
    offset: Option<i32>,
}

impl Product {
    fn level(&self) -> &'static str {
        if self.name.contains("_MSIL1C_") {
            "1C"
        } else {
            "2A"
        }
    }

    fn granule(&self) -> String {
        format!("L{}_T44RKR_A008047_20170105T013443", self.level())
    }

    fn image(&self, band: &str, metres: u32) -> String {
        let time = self.name.get(11..26).unwrap();
        let images = format!("GRANULE/{}/IMG_DATA", self.granule());
        match self.level() {
            "1C" => format!("{images}/T44RKR_{time}_{band}"),
            _ => format!("{images}/R{metres}m/T44RKR_{time}_{band}_{metres}m"),
        }
    }

    fn images(&self) -> Vec<(String, &'static str, u32)> {
        let all: &[(&str, u32)] = if self.level() == "1C" {
            &[("B02", 10), ("B03", 10), ("B04", 10)]
        } else {
            &[
                ("B02", 10),
                ("B03", 10),
                ("B04", 10),
                ("B02", 20),
                ("B03", 20),
                ("B04", 20),
                ("B05", 20),
                ("SCL", 20),
            ]
        };
        all.iter()
            .map(|&(band, metres)| (self.image(band, metres), band, metres))
            .collect()
    }

    /// `MTD_MSIL1C.xml` or `MTD_MSIL2A.xml`.
    fn metadata(&self) -> String {
        let level = self.level();
        let mut files = String::new();
        for (path, _, _) in self.images() {
            writeln!(files, "<IMAGE_FILE>{path}</IMAGE_FILE>").unwrap();
        }
        let mut offsets = String::new();
        if let Some(offset) = self.offset {
            let (list, element) = match level {
                "1C" => ("Radiometric_Offset_List", "RADIO_ADD_OFFSET"),
                _ => ("BOA_ADD_OFFSET_VALUES_LIST", "BOA_ADD_OFFSET"),
            };
            writeln!(offsets, "<{list}>").unwrap();
            for band in 0..13 {
                let value = offset - i32::from(band == 1);
                writeln!(offsets, "<{element} band_id=\"{band}\">{value}</{element}>").unwrap();
            }
            writeln!(offsets, "</{list}>").unwrap();
        }
        let quantification = match level {
            "1C" => "<QUANTIFICATION_VALUE unit=\"none\">10000</QUANTIFICATION_VALUE>",
            _ => {
                "<QUANTIFICATION_VALUES_LIST><BOA_QUANTIFICATION_VALUE unit=\"none\">10000</BOA_QUANTIFICATION_VALUE><AOT_QUANTIFICATION_VALUE unit=\"none\">1000.0</AOT_QUANTIFICATION_VALUE></QUANTIFICATION_VALUES_LIST>"
            }
        };
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>
<n1:Level-{level}_User_Product xmlns:n1=\"https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-{level}.xsd\">
  <n1:General_Info>
    <Product_Info>
      <PRODUCT_START_TIME>{start}</PRODUCT_START_TIME>
      <PRODUCT_URI>{name}.SAFE</PRODUCT_URI>
      <PROCESSING_LEVEL>Level-{level}</PROCESSING_LEVEL>
      <PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
      <Product_Organisation><Granule_List><Granule datastripIdentifier=\"S2\" granuleIdentifier=\"S2_OPER_MSI_L{level}_TL_EPAE_20170105T013443_A008047_T44RKR\" imageFormat=\"JPEG2000\">
{files}      </Granule></Granule_List></Product_Organisation>
    </Product_Info>
    <Product_Image_Characteristics>
      <Special_Values><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX></Special_Values>
      {quantification}
{offsets}      <Spectral_Information_List>
        <Spectral_Information bandId=\"1\" physicalBand=\"B2\"/><Spectral_Information bandId=\"2\" physicalBand=\"B3\"/><Spectral_Information bandId=\"3\" physicalBand=\"B4\"/>
      </Spectral_Information_List>
    </Product_Image_Characteristics>
  </n1:General_Info>
</n1:Level-{level}_User_Product>
",
            start = self.start,
            name = self.name,
            baseline = self.baseline,
        )
    }

    /// Draws the product from the bands of `scene`, which are red, green and blue at 10 m.
    fn write(&self, space: &Workspace, scene: &str) {
        let root = format!("{}.SAFE", self.name);
        for (path, band, metres) in self.images() {
            let file = format!("{root}/{path}.jp2");
            std::fs::create_dir_all(space.path(&file).parent().unwrap()).unwrap();
            let number = match band {
                "B04" => "1",
                "B03" => "2",
                _ => "3",
            };
            let size = format!("{}%", 1000 / metres);
            let mut arguments = vec![
                "gdal_translate",
                "-q",
                "-of",
                "JP2OpenJPEG",
                "-co",
                "QUALITY=100",
                "-co",
                "REVERSIBLE=YES",
                "-b",
                number,
                "-outsize",
                &size,
                &size,
                "-r",
                "average",
            ];
            if band == "SCL" {
                // Vegetation everywhere.
                arguments.extend(["-ot", "Byte", "-scale", "0", "65535", "4", "4"]);
            }
            arguments.extend([scene, &file]);
            gdal_tool(&space.path(""), arguments, "");
        }
        space.write(
            &format!("{root}/MTD_MSIL{}.xml", self.level()),
            self.metadata(),
        );
    }
}

/// Reflectances of a made-up scene as Sentinel-2 stores them, brighter in red than in green than in blue.
fn stored() -> Fixture {
    let mut fixture = Fixture::new((160, 120), field((160, 120), 50.0, 70));
    fixture.bands = vec![("red", 1.0), ("green", 0.9), ("blue", 0.8)];
    fixture.pixels = Pixels::UInt16;
    fixture.units = (10.0, 0.0);
    fixture.holes = vec![[0, 0, 20, 20]];
    fixture
}

fn early() -> Product {
    Product {
        name: L1C,
        baseline: "02.04",
        start: "2017-01-05T01:34:42.026Z",
        offset: None,
    }
}

fn late() -> Product {
    Product {
        name: L2A,
        baseline: "05.10",
        start: "2024-01-31T05:30:21.024Z",
        offset: Some(-1000),
    }
}

/// All layers but for the id and the date of the scene.
fn layers(run: &Run, id: &str) -> Vec<String> {
    let layer = |name: &&str| {
        let text = run.bytes(&format!("{name}.geojson"));
        text.replace(id, "scene")
            .replace("\"2017-01-05\"", "null")
            .replace("\"2024-01-31\"", "null")
    };
    crate::harness::LAYERS.iter().map(layer).collect()
}

fn only_scene(run: &Run) -> Value {
    let record = run.record();
    assert_eq!(record["scenes"].as_array().unwrap().len(), 1);
    record["scenes"][0].clone()
}

#[test]
fn a_product_gives_the_detections_of_its_bands() {
    let space = Workspace::new();
    stored().write(&space, "unpacked.tif");
    let plain = space.scan_into("plain", "unpacked.tif --scale 0.1 --offset 0");
    assert!(plain.layer("sites").len() >= 4);
    for product in [early(), late()] {
        product.write(&space, "unpacked.tif");
        let run = space.scan_into(
            product.level(),
            &format!(
                "{}.SAFE --scale 0.1 --offset 0 --cloud-mask none",
                product.name
            ),
        );
        assert_eq!(layers(&run, product.name), layers(&plain, "unpacked"));
    }
}

#[test]
fn metadata_of_a_product_are_read_and_never_guessed() {
    let space = Workspace::new();
    stored().write(&space, "unpacked.tif");
    early().write(&space, "unpacked.tif");
    late().write(&space, "unpacked.tif");
    let run = space.scan_into("early", &format!("{L1C}.SAFE --scale 0.1 --offset 0"));
    let scene = only_scene(&run);
    assert_eq!(scene["id"], L1C);
    assert_eq!(scene["path"], format!("{L1C}.SAFE"));
    assert_eq!(
        (&scene["date"], &scene["date_origin"]),
        (&json!("2017-01-05"), &json!("sentinel2"))
    );
    assert_eq!(
        scene["scaling"],
        json!(vec![json!({"scale": 1e-4, "offset": 0.0}); 3])
    );
    assert_eq!(scene["clouds"], Value::Null);
    assert_eq!(scene["nodata"], "declared nodata value");

    // The metadata file names the product as well as its folder does.
    let run = space.scan_into(
        "late",
        &format!("{L2A}.SAFE/MTD_MSIL2A.xml --scale 0.1 --offset 0"),
    );
    let scene = only_scene(&run);
    assert_eq!(scene["path"], format!("{L2A}.SAFE"));
    assert_eq!(
        (&scene["date"], &scene["date_origin"]),
        (&json!("2024-01-31"), &json!("sentinel2"))
    );
    let scaling = |offset: f64| json!({"scale": 1e-4, "offset": offset});
    assert_eq!(
        scene["scaling"],
        json!([scaling(-0.1), scaling(-0.1), scaling(-0.1001)])
    );
    assert_eq!(
        scene["scaling_note"],
        "product metadata: offset -1001, -1000, quantification 10000, processing baseline 05.10"
    );
    assert!(
        scene["clouds"]["raster"]
            .as_str()
            .unwrap()
            .ends_with("_SCL_20m.jp2"),
        "{scene}"
    );
    assert_eq!(scene["clouds"]["codes"], "scene_classification");

    // The bands are in the model's order.
    let raster = {
        let safe = space.path(format!("{L2A}.SAFE/"));
        let text = scene["raster"].as_str().unwrap();
        gdal::Dataset::open(text.replace(&format!("{L2A}.SAFE/"), safe.to_str().unwrap())).unwrap()
    };
    let bright = stored().blobs[3];
    let value = |band: usize| {
        let band = raster.rasterband(band).unwrap();
        let at = (bright.x as isize, bright.y as isize);
        band.read_as::<f64>(at, (1, 1), (1, 1), None)
            .unwrap()
            .data()[0]
    };
    assert!(value(1) > value(2) && value(2) > value(3));

    // The date never decides on the offset: an early date with one, a late date without.
    let mut mixed = late();
    mixed.start = "2016-06-01T05:30:21.024Z";
    space.write(&format!("{L2A}.SAFE/MTD_MSIL2A.xml"), mixed.metadata());
    let scene =
        only_scene(&space.scan_into("mixed", &format!("{L2A}.SAFE --scale 0.1 --offset 0")));
    assert_eq!(scene["date"], "2016-06-01");
    assert_eq!(scene["scaling"][0], scaling(-0.1));
    mixed = late();
    mixed.offset = None;
    space.write(&format!("{L2A}.SAFE/MTD_MSIL2A.xml"), mixed.metadata());
    let scene = only_scene(&space.scan_into("none", &format!("{L2A}.SAFE --scale 0.1 --offset 0")));
    assert_eq!(scene["scaling"][0], scaling(0.0));
}

#[test]
fn the_models_resolution_decides_which_images_are_read() {
    let space = Workspace::new();
    let mut fixture = stored();
    fixture.blobs = vec![blob(60.0, 60.0)];
    fixture.write(&space, "unpacked.tif");
    late().write(&space, "unpacked.tif");
    space.write_model("coarse", |card| {
        card["kilnsight:gsd_m"] = 20.into();
        card["kilnsight:overlap_m"] = 640.into();
    });
    let command =
        format!("scan {L2A}.SAFE --model coarse --workers 1 --out run --scale 0.1 --offset 0");
    space.succeed(&command);
    let scene = only_scene(&space.read_run("run"));
    assert_eq!(
        (&scene["width"], &scene["height"]),
        (&json!(80), &json!(60))
    );
    assert!(scene["raster"].as_str().unwrap().contains("_B04_20m.jp2"));

    // Bands of two resolutions lie on the finer grid.
    let run = space.scan_into(
        "mixed",
        &format!("{L2A}.SAFE --scale 0.1 --offset 0 --bands B04,B03,B05"),
    );
    let scene = only_scene(&run);
    assert_eq!(
        (&scene["width"], &scene["height"]),
        (&json!(160), &json!(120))
    );
    assert_eq!(run.layer("sites").len(), 1);
}

#[test]
fn an_archive_is_read_where_it_is() {
    let space = Workspace::new();
    stored().write(&space, "unpacked.tif");
    late().write(&space, "unpacked.tif");
    let folder = space.scan_into("folder", &format!("{L2A}.SAFE --scale 0.1 --offset 0"));
    let (zip, safe) = (format!("{L2A}.zip"), format!("{L2A}.SAFE"));
    gdal_tool(
        &space.path(""),
        ["python3", "-m", "zipfile", "-c", &zip, &safe],
        "",
    );
    std::fs::rename(space.path(&safe), space.path("moved")).unwrap();
    let archive = space.scan_into("archive", &format!("{zip} --scale 0.1 --offset 0"));
    for layer in crate::harness::LAYERS {
        let file = format!("{layer}.geojson");
        assert_eq!(folder.bytes(&file), archive.bytes(&file));
    }
    let scene = only_scene(&archive);
    assert_eq!((&scene["path"], &scene["id"]), (&json!(zip), &json!(L2A)));
    assert_eq!(scene["date"], "2024-01-31");
}

#[test]
fn a_folder_stands_for_the_products_and_rasters_in_it() {
    let space = Workspace::new();
    stored().write(&space, "unpacked.tif");
    late().write(&space, "unpacked.tif");
    std::fs::create_dir_all(space.path("all/2024")).unwrap();
    let safe = format!("{L2A}.SAFE");
    std::fs::rename(space.path(&safe), space.path(format!("all/2024/{safe}"))).unwrap();
    std::fs::rename(space.path("unpacked.tif"), space.path("all/unpacked.tif")).unwrap();
    let run = space.scan("all --scale 0.1 --offset 0");
    let record = run.record();
    let paths: Vec<&Value> = record["scenes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["path"])
        .collect();
    assert_eq!(
        json!(paths),
        json!([format!("all/2024/{safe}"), "all/unpacked.tif"])
    );
}

#[test]
fn a_product_that_is_mended_or_changed_is_noticed() {
    let space = Workspace::new();
    stored().write(&space, "unpacked.tif");
    late().write(&space, "unpacked.tif");
    let command = format!(
        "scan {L2A}.SAFE unpacked.tif --model blob --workers 1 --scale 0.1 --offset 0 --out"
    );
    let red = format!("{L2A}.SAFE/{}.jp2", late().image("B04", 10));
    std::fs::rename(space.path(&red), space.path("aside")).unwrap();
    let outcome = space.run(&format!("{command} run"));
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert!(
        outcome
            .stdout
            .contains("its metadata lists band B04, but there is no"),
        "{outcome:?}"
    );
    // Mended: it joins in, and nothing shows that it was ever away.
    std::fs::rename(space.path("aside"), space.path(&red)).unwrap();
    for out in ["run", "fine"] {
        assert_eq!(space.run(&format!("{command} {out}")).code, Some(0));
    }
    assert_eq!(
        space.read_run("run").results(),
        space.read_run("fine").results()
    );
    // Changed: another scan.
    let mut changed = late();
    changed.offset = Some(-900);
    space.write(&format!("{L2A}.SAFE/MTD_MSIL2A.xml"), changed.metadata());
    let outcome = space.run(&format!("{command} run"));
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.stderr.contains(&format!("scene `{L2A}` was")),
        "{outcome:?}"
    );
}

#[test]
fn products_that_cannot_be_used_say_why() {
    let space = Workspace::new();
    let mut table = String::new();
    let mut add = |what: &str, rest: &str| {
        let outcome = space.run(&format!("scan {rest} --model blob --workers 1 --out run"));
        assert_eq!(
            (outcome.code, outcome.stderr.lines().count()),
            (Some(1), 1),
            "{outcome:?}"
        );
        writeln!(table, "{what}\n  {}", outcome.stderr.trim_end()).unwrap();
    };
    let with = |name: &str, metadata: &str| {
        std::fs::create_dir_all(space.path(format!("{name}.SAFE"))).unwrap();
        space.write(&format!("{name}.SAFE/MTD_MSIL2A.xml"), metadata);
    };
    std::fs::create_dir(space.path("empty.SAFE")).unwrap();
    add("no metadata", "empty.SAFE");
    with("broken", "<n1:Level-2A_User_Product");
    add("half of the metadata", "broken.SAFE");
    with("other", "<n1:Level-0_User xmlns:n1=\"x\"/>");
    add("metadata of another kind", "other.SAFE");
    with("bare", &late().metadata());
    add("no images", "bare.SAFE");
    add("bands by number", "bare.SAFE --bands 3,2,1");
    add("a band that it has not", "bare.SAFE --bands B04,B03,B11");
    space.write("bad.zip", "This is no archive.");
    add("an archive that is none", "bad.zip");
    insta::assert_snapshot!(table);
}
