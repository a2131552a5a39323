use super::*;
use crate::scene::{GroundScale, ValidityRule};

/// A scene of two bands whose file does not exist: nothing here may read it.
fn scene(data_type: &str, scaling: Option<(ScalingOrigin, [f64; 4])>) -> Scene {
    Scene {
        id: "a".into(),
        path: "a.tif".into(),
        raster: None,
        date: None,
        date_origin: None,
        scaling_note: None,
        width: 100,
        height: 100,
        crs: "EPSG:32644".into(),
        crs_wkt: String::new(),
        geotransform: [0.0, 10.0, 0.0, 0.0, 0.0, -10.0],
        georeferencing: "geotransform".into(),
        gsd_m: [10.0, 10.0],
        ground_scale: GroundScale::Uniform {
            x_m: 10.0,
            y_m: 10.0,
        },
        data_type: data_type.into(),
        bands: vec![1, 2],
        validity: ValidityRule::AllValid,
        radiometry: Radiometry::as_stored(2),
        scaling: scaling.map(|(_, [s0, o0, s1, o1])| {
            [(s0, o0), (s1, o1)]
                .map(|(scale, offset)| BandScaling { scale, offset })
                .to_vec()
        }),
        scaling_origin: scaling.map(|(origin, _)| origin),
        clouds: None,
        blocks: crate::scene::BlockLayout::default(),
        content: String::new(),
        cloud_content: String::new(),
        watches: Vec::new(),
    }
}

/// A Sentinel-2 product from processing baseline 04.00 on.
const BOA: Option<(ScalingOrigin, [f64; 4])> =
    Some((ScalingOrigin::Product, [1e-4, -0.1, 1e-4, -0.1]));

const BYTES_OF_REFLECTANCE: WantedValues = WantedValues {
    range: Some([0.0, 255.0]),
    reflectance: Some([0.02, 0.3]),
    percentiles: Some([1.0, 99.0]),
};
const NOTHING_GIVEN: RadiometryOptions = RadiometryOptions {
    scale: None,
    offset: None,
};

fn settled(scene: &Scene, wanted: &WantedValues, options: RadiometryOptions) -> Radiometry {
    Radiometry::settle(scene, wanted, options, None).unwrap()
}

/// The model's value of a stored number of a band.
fn value(radiometry: &Radiometry, band: usize, stored: f64) -> f64 {
    let value = stored * radiometry.bands[band].scale + radiometry.bands[band].offset;
    radiometry.floor.map_or(value, |floor| value.max(floor))
}

#[test]
fn reflectance_goes_to_the_ends_of_the_models_range() {
    let settled = settled(&scene("UInt16", BOA), &BYTES_OF_REFLECTANCE, NOTHING_GIVEN);
    // 1200 stored is 0.02 of reflectance, 4000 is 0.3.
    assert!(value(&settled, 0, 1200.0).abs() < 1e-9);
    assert!((value(&settled, 1, 4000.0) - 255.0).abs() < 1e-9);
    // What the offset takes below zero counts as zero.
    assert_eq!(value(&settled, 0, 500.0), value(&settled, 0, 1000.0));
    assert_eq!(
        settled.origin,
        "reflectance, as the product states: stored × 0.0001 - 0.1; 0.02 to 0.3 taken to 0 to 255"
    );
}

#[test]
fn each_band_has_its_own_scaling() {
    let bands = Some((ScalingOrigin::File, [1e-4, 0.0, 2e-4, -0.05]));
    let settled = settled(
        &scene("UInt16", bands),
        &BYTES_OF_REFLECTANCE,
        NOTHING_GIVEN,
    );
    for (band, stored) in [(0, 3000.0), (1, 1750.0)] {
        assert!(
            (value(&settled, band, stored) - 255.0).abs() < 1e-9,
            "{band}"
        );
    }
    assert!(
        settled
            .origin
            .contains("as the file's bands state: stored × 0.0001 + 0, × 0.0002 - 0.05"),
        "{}",
        settled.origin
    );
}

#[test]
fn what_the_user_says_replaces_that_part_and_no_other() {
    let zero = RadiometryOptions {
        offset: Some(0.0),
        scale: None,
    };
    let settled = settled(&scene("UInt16", BOA), &BYTES_OF_REFLECTANCE, zero);
    assert!((value(&settled, 0, 3000.0) - 255.0).abs() < 1e-9);
    assert!(
        settled
            .origin
            .contains("offset as given, scale as the product states")
    );
}

#[test]
fn an_offset_in_stored_numbers_is_refused_where_reflectance_is_meant() {
    let boa = RadiometryOptions {
        scale: None,
        offset: Some(-1000.0),
    };
    let error = Radiometry::settle(&scene("UInt16", BOA), &BYTES_OF_REFLECTANCE, boa, None);
    assert!(matches!(error, Err(RadiometryError::OffsetUnits { .. })));
    let plain = WantedValues {
        reflectance: None,
        ..BYTES_OF_REFLECTANCE
    };
    assert!(Radiometry::settle(&scene("UInt16", None), &plain, boa, None).is_ok());
}

#[test]
fn bytes_without_a_scaling_stay_bytes() {
    let settled = settled(&scene("Byte", None), &BYTES_OF_REFLECTANCE, NOTHING_GIVEN);
    assert_eq!(settled, Radiometry::as_stored(2));
}

#[test]
fn a_model_of_small_numbers_takes_reflectance_as_it_is() {
    for range in [None, Some([0.0, 1.0])] {
        let wanted = WantedValues {
            range,
            ..WantedValues::default()
        };
        let settled = settled(&scene("UInt16", BOA), &wanted, NOTHING_GIVEN);
        assert!((value(&settled, 0, 3000.0) - 0.2).abs() < 1e-12);
        assert_eq!(value(&settled, 0, 500.0), 0.0);
    }
}

#[test]
fn a_stretch_measured_before_is_used_again() {
    let before = Radiometry::stretch(2, [1.0, 99.0], [100.0, 600.0], [0.0, 255.0]);
    let wanted = WantedValues {
        reflectance: None,
        ..BYTES_OF_REFLECTANCE
    };
    let scene = scene("UInt16", None);
    let settled = Radiometry::settle(&scene, &wanted, NOTHING_GIVEN, Some(&before)).unwrap();
    assert_eq!(settled, before);
    assert!((value(&settled, 1, 600.0) - 255.0).abs() < 1e-9);
}
