//! The examples run, and do what they promise.

#[path = "../../examples/make_and_look.rs"]
#[expect(dead_code, reason = "its `main` takes the images from the command line")]
mod make_and_look;
#[path = "../../examples/read_a_header.rs"]
#[expect(dead_code, reason = "its `main` takes the image from the command line")]
mod read_a_header;
#[path = "../../examples/serve_on_a_cable.rs"]
mod serve_on_a_cable;
#[path = "../../examples/take_a_frame_apart.rs"]
mod take_a_frame_apart;
mod tool;

use crate::tool::Desk;

#[test]
fn a_sled_boots_on_a_cable() {
    serve_on_a_cable::main().unwrap();
}

#[test]
fn a_header_is_read_and_what_is_none_is_refused() {
    let mut desk = Desk::new();
    desk.run("mkimage -q -i raw -o zfs.img");
    read_a_header::show(&desk.path("zfs.img")).unwrap();
    let error = read_a_header::show(&desk.path("raw")).unwrap_err().to_string();
    assert!(error.starts_with("not a boot image"), "{error}");
}

#[test]
fn an_image_is_made_and_looked_at() {
    let desk = Desk::new();
    make_and_look::make(&desk.path("raw"), &desk.path("zfs.img")).unwrap();
    assert!(desk.pipe("lookimage zfs.img").status.success());
}

#[test]
fn a_frame_is_taken_apart() {
    take_a_frame_apart::main().unwrap();
}
