use super::*;
use crate::Name;

fn header(compressed: bool, image_size: u64) -> Header {
    Header {
        compressed,
        data_size: image_size,
        image_size,
        target_size: 5 * GIB,
        checksum: Checksum::from_bytes([1; 32]),
        dataset: Name::new("rpool/ROOT/ramdisk").unwrap(),
        image_name: Name::new("ci").unwrap(),
    }
}

/// Which sources take an image with this header, in a file that is just as long.
fn takers(header: &Header) -> Vec<String> {
    let length = header.data_size + Header::LEN as u64;
    let facts = Facts::new(header, length);
    let takes = |source: &BootSource| {
        let verdict = source.verdict(&facts);
        assert!(verdict.is_accepted() || !verdict.to_string().is_empty());
        verdict.is_accepted()
    };
    BootSource::ALL.iter().filter(|source| takes(source)).map(ToString::to_string).collect()
}

#[test]
fn plain_images_are_for_disk_network_and_agent() {
    let all = ["disk", "network", "sp", "gateway", "agent", "installer", "packaging"];
    assert_eq!(takers(&header(false, 64 * MIB)), all);
    let compressed = takers(&header(true, 64 * MIB));
    assert_eq!(compressed, ["disk", "sp", "gateway", "installer", "packaging"]);
}

#[test]
fn sizes_at_each_limit() {
    let without = |missing: &[&str], header: &Header| {
        let takers = takers(header);
        for source in BootSource::ALL {
            let expected = !missing.contains(&source.to_string().as_str());
            assert_eq!(takers.contains(&source.to_string()), expected, "{source}: {header:?}");
        }
    };
    without(&["disk", "sp", "network"], &header(false, 4095));
    without(&["network"], &header(false, 4096));
    without(&["network"], &header(false, MIB - BATCH));
    without(&[], &header(false, MIB));
    without(&["disk", "network"], &header(false, MIB + 1024));
    without(&[], &header(false, 512 * MIB - BATCH));
    without(&["network"], &header(false, 512 * MIB - PAGE));
    without(&["gateway"], &header(false, 512 * MIB));
    without(&["gateway"], &header(false, 4 * GIB));
    without(&["gateway", "disk", "sp"], &header(false, 4 * GIB + BATCH));
    let small = Header { target_size: MIB, ..header(false, 2 * MIB) };
    without(&["disk", "sp", "network", "agent"], &small);
    without(&[], &Header { target_size: 2 * MIB, ..header(false, 2 * MIB) });
    without(&[], &Header { target_size: MIB, ..header(false, MIB) });
}

#[test]
fn names_that_do_not_end_in_nul_are_for_those_who_read_none() {
    let endless = Name { field: [b'x'; Name::FIELD_LEN] };
    let dataset = Header { dataset: endless, ..header(false, MIB) };
    assert_eq!(takers(&dataset), ["gateway", "agent", "installer", "packaging"]);
    let image = Header { image_name: endless, ..header(false, MIB) };
    assert_eq!(takers(&image), ["network", "gateway", "agent", "installer", "packaging"]);
}

#[test]
fn compressed_images_are_meant_for_recovery_and_plain_ones_for_all_else() {
    let meant = |compressed| BootSource::ALL.map(|source| source.is_meant_for(compressed));
    assert_eq!(meant(false), [true, true, false, false, true, true, true]);
    assert_eq!(meant(true), [false, false, true, true, false, true, true]);
}

#[test]
fn the_installer_and_packaging_say_what_they_make_of_an_image() {
    let said = |source: BootSource, facts: &Facts<'_>| source.verdict(facts).to_string();
    let ci = header(false, MIB);
    let image_name = Name::new("recovery 1").unwrap();
    let recovery = Header { image_name, ..ci };
    let packaged = |header| said(BootSource::Packaging, &Facts::new(header, MIB));
    assert_eq!(packaged(&ci), "as a host image, by its name");
    assert_eq!(packaged(&recovery), "as a recovery image, by its name");
    let whole = Some(Checksum::from_bytes([0xa5; 32]));
    let installed =
        |whole, length| said(BootSource::Installer, &Facts { whole, ..Facts::new(&ci, length) });
    let sum = "a5".repeat(32);
    assert_eq!(installed(None, MIB), "");
    assert_eq!(installed(whole, MIB), format!("compares the whole file, sha256 {sum}"));
    let odd = "its length is not a multiple of 4096, which some disks refuse";
    assert_eq!(installed(None, MIB + 1), odd);
    assert!(installed(whole, MIB + 1).ends_with(&format!("{sum}; {odd}")));
}

#[test]
fn an_inflater_that_gives_up_is_in_the_way_of_its_own_source() {
    let header = header(true, MIB);
    let facts = |disk, sp| Facts {
        traps: SliceTraps { disk, sp },
        ..Facts::new(&header, MIB + Header::LEN as u64)
    };
    let refused = |facts| {
        BootSource::ALL
            .into_iter()
            .filter(|source| source.is_meant_for(true) || *source == BootSource::Disk)
            .find(|source| !source.verdict(&facts).is_accepted())
    };
    assert_eq!(refused(facts(Some(7), None)), Some(BootSource::Disk));
    assert_eq!(refused(facts(None, Some(7))), Some(BootSource::Sp));
    assert_eq!(refused(facts(None, None)), None);
}

#[test]
fn a_disk_needs_whole_pages_and_a_service_processor_nothing_behind_the_payload() {
    let header = header(true, 5000);
    let takes = |source: BootSource, length| {
        let facts = Facts::new(&header, length);
        source.verdict(&facts).is_accepted()
    };
    let (end, boundary) = (4096 + 5000, 4096 + 8192);
    for (length, disk, sp) in [
        (end, false, true),
        (boundary - 1, false, false),
        (boundary, true, false),
        (boundary + 10_000, true, false),
    ] {
        assert_eq!(takes(BootSource::Disk, length), disk, "{length}");
        assert_eq!(takes(BootSource::Sp, length), sp, "{length}");
    }
}

#[test]
fn the_agent_compares_the_stored_payload() {
    let header = header(false, MIB);
    let facts = |sum| Facts {
        stored: Some(Checksum::from_bytes([sum; 32])),
        ..Facts::new(&header, MIB + 4096)
    };
    assert!(BootSource::Agent.verdict(&facts(1)).is_accepted());
    assert!(!BootSource::Agent.verdict(&facts(2)).is_accepted());
}

#[test]
fn a_source_is_found_by_its_name() {
    for source in BootSource::ALL {
        assert_eq!(source.to_string().parse(), Ok(source));
    }
    assert!("floppy".parse::<BootSource>().unwrap_err().to_string().contains("disk, network, sp"));
}
